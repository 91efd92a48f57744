"""How folders give feedback."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dingwatch.texts import Language


@dataclass(frozen=True, slots=True)
class FolderFeedback:
    """How one folder gives feedback, or a former target of its path; `settle` is in seconds.

    The root is empty for a folder that has left the configuration, and gives none.
    """

    name: str
    root: bytes = b""
    sidecars: bool = False
    moves: bool = False
    settle: float = 2.0


@dataclass(frozen=True, slots=True)
class Settings:
    """All folders by their ids in the ledger, and what is the same for all.

    `holds_uncertain` says whether a delivery that is uncertain for the first time waits for a person.
    """

    language: Language
    holds_uncertain: bool
    recipient_names: Mapping[str, str] = field(default_factory=dict)
    folders: Mapping[int, FolderFeedback] = field(default_factory=dict)

    @property
    def asked(self) -> bool:
        """Whether any folder gives feedback."""
        return any(one.sidecars or one.moves for one in self.folders.values())
