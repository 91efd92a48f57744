"""Changes for intake when the configuration is read again: a comparison of frozen values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from dingwatch.intake.folder import FolderSettings
from dingwatch.ledger.folders import FolderMark

Wanted = Sequence[tuple[FolderSettings, FolderMark]]
"""All folders that are to be followed from now on, as the ledger has them."""


@dataclass(frozen=True, slots=True)
class FolderChanges:
    """The difference between the folders that are followed and those that are to be."""

    added: tuple[tuple[FolderSettings, FolderMark], ...] = ()
    removed: tuple[int, ...] = ()
    changed: tuple[FolderSettings, ...] = ()


def compare(have: Mapping[int, FolderSettings], want: Wanted) -> FolderChanges:
    """Return what is to be done to follow the wanted folders; those that are the same are not in it."""
    wanted = {settings.id for settings, _ in want}
    return FolderChanges(
        added=tuple((settings, mark) for settings, mark in want if settings.id not in have),
        removed=tuple(number for number in have if number not in wanted),
        changed=tuple(
            settings
            for settings, _ in want
            if settings.id in have and not _are_equal(have[settings.id], settings)
        ),
    )


def _are_equal(one: FolderSettings, other: FolderSettings) -> bool:
    # Compiled patterns are compared by the rules that they were made of.
    return one.filter.rules == other.filter.rules and replace(one, filter=other.filter) == other


@dataclass(frozen=True, slots=True)
class FoldersChanged:
    """The configuration was read again.

    The loop calls `bind` between two decisions: it binds the folders to the ledger, and returns them with
    what the loop is to follow from now on; None if nothing is to change after all. In the loop's own thread
    no link is followed meanwhile, which would bind its folder as well. `applied` is told what was changed.
    """

    keep: float
    bind: Callable[[], Wanted | None]
    applied: Callable[[FolderChanges], None]
