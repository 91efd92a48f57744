"""What only several keys together show: missing keys, names and paths that clash."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

from dingwatch.config.findings import Finding, Place, line_of, shown
from dingwatch.texts import Problems


@dataclass(frozen=True, slots=True)
class Spot:
    """What is known of one folder, however much else is wrong with it."""

    index: int
    root: bytes | None
    name: str | None
    recipients: frozenset[str]

    def place(self, key: str) -> Place:
        """Return where one of its keys stands."""
        return ("folders", self.index, key)


def missing(tree: Mapping[str, Any]) -> Iterator[Finding]:
    """Find the keys that are needed and not there, or empty."""
    for section in ("dingtalk", "folders"):
        if section not in tree:
            yield Finding((section,), Problems.MISSING)
    dingtalk = tree.get("dingtalk")
    if isinstance(dingtalk, dict) and dingtalk.get("client_id") is None:
        yield Finding(("dingtalk", "client_id"), Problems.MISSING)
    folders = tree.get("folders")
    for index, folder in enumerate(folders if isinstance(folders, list) else ()):
        if isinstance(folder, dict):
            yield from _missing_in_folder(index, folder)


RECIPIENTS: Final = ("conversation_id", "user_ids", "chat_id", "webhook")
"""Keys of which a folder needs one at least; an empty list of the first is a problem of its own."""


def _missing_in_folder(index: int, folder: Mapping[str, Any]) -> Iterator[Finding]:
    if folder.get("path") is None:
        yield Finding(("folders", index, "path"), Problems.MISSING)
    others = (folder.get(key) for key in RECIPIENTS[1:])
    if folder.get(RECIPIENTS[0]) is None and all(one is None or one == [] for one in others):
        yield Finding(("folders", index, "conversation_id"), Problems.MISSING)
    if folder.get("webhook") is not None and folder.get("send_as") != "notice":
        yield Finding(("folders", index, "webhook"), Problems.WEBHOOK_FILES)
    if folder.get("webhook_secret") is not None and folder.get("webhook") is None:
        yield Finding(("folders", index, "webhook_secret"), Problems.WEBHOOK_NONE)


def clashes(spots: Sequence[Spot], lines: Mapping[Place, int]) -> Iterator[Finding]:
    """Find names that are not unique, and paths that would send a file twice to one conversation."""
    for earlier, later in combinations(spots, 2):
        if later.name is not None and later.name == earlier.name:
            line = line_of(earlier.place("name"), lines)
            yield Finding(later.place("name"), Problems.SAME_NAME, {"name": shown(later.name), "first": line})
        common = earlier.recipients & later.recipients
        if common and earlier.root and later.root and overlap(earlier.root, later.root):
            values = {"first": line_of(earlier.place("path"), lines), "conversation": shown(min(common))}
            yield Finding(later.place("path"), Problems.OVERLAP, values)


def around_state(spots: Sequence[Spot], state_dir: bytes) -> Iterator[Finding]:
    """Find folders that hold the ledger or lie beside it: dingwatch would send its own files."""
    for spot in spots:
        if spot.root and overlap(spot.root, state_dir):
            values = {"state_dir": state_dir.decode("utf-8", "backslashreplace")}
            yield Finding(spot.place("path"), Problems.AROUND_STATE, values)


def overlap(one: bytes, other: bytes) -> bool:
    """Say whether two real paths are the same or one lies beneath the other."""
    return _beneath(one, other) or _beneath(other, one)


def _beneath(path: bytes, top: bytes) -> bool:
    return path == top or path.startswith(top.rstrip(b"/") + b"/")
