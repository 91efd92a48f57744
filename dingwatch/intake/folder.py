"""One folder as intake follows it: its settings, and where its watching stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from dingwatch.filters import Filter
from dingwatch.model import Home, WatchKind
from dingwatch.payload import PayloadPolicy

NETWORK_QUIET = 10.0
"""Seconds; the least quiet period where another host's writes show late."""


@dataclass(frozen=True, slots=True)
class FolderSettings:
    """What intake is to know of a folder of the configuration; durations in seconds."""

    id: int
    root: bytes
    name: str
    conversations: tuple[str, ...]
    filter: Filter
    code: PayloadPolicy
    settle: float = 2.0
    existing: str = "skip"
    on_change: str = "send"
    watch: str = "auto"
    poll_interval: float = 5.0
    rescan: float = 600.0
    hold_over: int | None = None


class Phase(StrEnum):
    """Where the watching of a folder stands."""

    DOWN = "down"
    ARMING = "arming"
    FIRST_LOOK = "first look"
    UP = "up"


@dataclass(slots=True)
class Folder:
    """The loop's own record of a folder; instants are monotonic."""

    settings: FolderSettings
    looked: bool
    blank_device: str | None
    phase: Phase = Phase.DOWN
    reported: bool = False
    kind: WatchKind = WatchKind.DOWN
    network: bool = False
    home: Home | None = None
    mounted: bool = False
    next_check: float = 0.0
    checking: bool = False
    check_began: float = 0.0
    next_scan: float = 0.0
    scan_began: float | None = None
    said_down: str = ""
    hinted: set[bytes] = field(default_factory=set)
    """Paths with an event during the first look: they are no baseline."""
    unwatched: frozenset[bytes] = frozenset()
    """Directories that the last scan found to make no events."""
    mended: bool = False
    """Whether it was watched anew for their sake."""
    fallen_back: bool = False
    """Whether it is polled because the kernel's events failed there."""
    said_fallen_back: bool = False
    next_trial: float = 0.0
    """When kernel events are tried again."""

    @property
    def id(self) -> int:
        """The folder's id in the ledger."""
        return self.settings.id

    @property
    def quiet(self) -> float:
        """The quiet period in seconds."""
        return max(self.settings.settle, NETWORK_QUIET) if self.network else self.settings.settle

    def rest_until(self, now: float, duration: float) -> float:
        """Return when the next scan is due after one that took `duration` seconds."""
        if self.kind is WatchKind.POLL:
            return now + max(self.settings.poll_interval, 5 * duration)
        return now + max(self.settings.rescan, 20 * duration)
