"""The phases of intake: of a path until it is decided on, of a folder's watch, and of its kernel events.

What phase follows which stands in this file, in three tables; no other module names a successor. The docs
draw them. Phases live in memory alone: after a restart, a scan finds everything again.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeVar

from dingwatch.lifecycle import IllegalTransitionError

P = TypeVar("P", bound=StrEnum)
E = TypeVar("E", bound=StrEnum)
Table = Mapping[P, Mapping[E, P]]


def advance(table: Table[P, E], phase: P, event: E) -> P:
    """Return the phase that follows; raise IllegalTransitionError where the table has no edge."""
    try:
        return table[phase][event]
    except KeyError:
        raise IllegalTransitionError(f"{event} does not apply to {phase}") from None


def diagram(table: Table[P, E]) -> str:
    """Draw a table as a Mermaid state diagram that begins in its first phase."""
    edges: dict[tuple[P, P], list[E]] = {}
    for phase, row in table.items():
        for event, after in row.items():
            if after is not phase:
                edges.setdefault((phase, after), []).append(event)
    lines = ["stateDiagram-v2", f"    [*] --> {next(iter(table))}"]
    return "\n".join([*lines, *(f"    {a} --> {b}: {', '.join(events)}" for (a, b), events in edges.items())])


# --- A path ----------------------------------------------------------------------------------------


class PathPhase(StrEnum):
    """The phase of a path between its first hint and the decision on it."""

    IDLE = "idle"
    """Decided on, or never heard of: nothing is kept of it."""
    SETTLING = "settling"
    """It waits for the next look."""
    LOOKING = "looking"
    """A look at it is out."""
    SETTLED = "settled"
    """It kept still for its quiet period, and waits for a decision."""
    READING = "reading"
    """Its digest is being taken."""
    ABSENT = "absent"
    """It is missing, and may yet turn up under another name."""
    CONFIRMING = "confirming"
    """A second look is out, to confirm that it is missing."""
    GONE = "gone"
    """Its absence is confirmed, and waits to be written down."""


class PathEvent(StrEnum):
    """An event that can happen to a path."""

    HINT = "hint"
    """Something may have happened to it."""
    MISS = "miss"
    """A scan did not find it."""
    LOOK = "look"
    """A look at it goes out."""
    UNSETTLE = "unsettle"
    """It has changed, is in use or cannot be read: it must be looked at again."""
    SETTLE = "settle"
    """A look at the end of its quiet period saw what the look before saw."""
    VANISH = "vanish"
    """A look found no regular file there."""
    READ = "read"
    """It goes out to be read."""
    SUSPEND = "suspend"
    """Its folder went down while a look was out, which may never come back."""
    FINISH = "finish"
    """It was decided on, or is left to the next scan."""
    LEAVE = "leave"
    """The configuration no longer has it, by its folder or by the filter."""


PATHS: Final[Table[PathPhase, PathEvent]] = MappingProxyType(
    {
        PathPhase.IDLE: {PathEvent.HINT: PathPhase.SETTLING, PathEvent.MISS: PathPhase.ABSENT},
        PathPhase.SETTLING: {
            PathEvent.LEAVE: PathPhase.IDLE,
            PathEvent.HINT: PathPhase.SETTLING,
            PathEvent.MISS: PathPhase.SETTLING,  # the next look will see it
            PathEvent.LOOK: PathPhase.LOOKING,
        },
        PathPhase.LOOKING: {
            PathEvent.LEAVE: PathPhase.IDLE,
            PathEvent.HINT: PathPhase.LOOKING,  # the look that is out is then too old to prove anything
            PathEvent.MISS: PathPhase.LOOKING,
            PathEvent.UNSETTLE: PathPhase.SETTLING,
            PathEvent.SETTLE: PathPhase.SETTLED,
            PathEvent.VANISH: PathPhase.ABSENT,
            PathEvent.SUSPEND: PathPhase.SETTLING,
        },
        PathPhase.SETTLED: {
            PathEvent.LEAVE: PathPhase.IDLE,
            PathEvent.HINT: PathPhase.SETTLING,
            PathEvent.MISS: PathPhase.SETTLING,
            PathEvent.UNSETTLE: PathPhase.SETTLING,
            PathEvent.READ: PathPhase.READING,
            PathEvent.FINISH: PathPhase.IDLE,
        },
        PathPhase.READING: {
            PathEvent.LEAVE: PathPhase.IDLE,
            PathEvent.HINT: PathPhase.READING,  # it settles again once the reading is back
            PathEvent.MISS: PathPhase.READING,
            PathEvent.UNSETTLE: PathPhase.SETTLING,
            PathEvent.FINISH: PathPhase.IDLE,
        },
        PathPhase.ABSENT: {
            PathEvent.LEAVE: PathPhase.IDLE,
            PathEvent.HINT: PathPhase.SETTLING,
            PathEvent.MISS: PathPhase.ABSENT,
            PathEvent.LOOK: PathPhase.CONFIRMING,
        },
        PathPhase.CONFIRMING: {
            PathEvent.LEAVE: PathPhase.IDLE,
            PathEvent.HINT: PathPhase.LOOKING,
            PathEvent.MISS: PathPhase.CONFIRMING,
            PathEvent.UNSETTLE: PathPhase.SETTLING,  # it is there after all
            PathEvent.VANISH: PathPhase.GONE,
            PathEvent.SUSPEND: PathPhase.ABSENT,
            PathEvent.FINISH: PathPhase.IDLE,
        },
        PathPhase.GONE: {
            PathEvent.LEAVE: PathPhase.IDLE,
            PathEvent.HINT: PathPhase.SETTLING,
            PathEvent.MISS: PathPhase.GONE,
            PathEvent.FINISH: PathPhase.IDLE,
        },
    }
)

UNDECIDED: Final = frozenset({PathPhase.SETTLING, PathPhase.LOOKING, PathPhase.SETTLED, PathPhase.READING})
"""Phases of a file that people are shown as settling."""
MISSING: Final = frozenset(PathPhase) - UNDECIDED - {PathPhase.IDLE}
"""Phases of a path at which no file was found."""
AWAITING_LOOK: Final = frozenset(phase for phase in PathPhase if PathEvent.LOOK in PATHS[phase])
LOOK_OUT: Final = frozenset(phase for phase in PathPhase if PathEvent.SUSPEND in PATHS[phase])


# --- A folder's watch ------------------------------------------------------------------------------


class WatchPhase(StrEnum):
    """The phase of a folder's watch."""

    DOWN = "down"
    """It is not watched, and is to be armed at the next check."""
    ARMING = "arming"
    """Its root is being opened and its watch set."""
    FIRST_LOOK = "first_look"
    """It is watched; what lies there already is being listed and written down."""
    UP = "up"
    HUNG = "hung"
    """A look at its root has not come back; until it does, nothing more is asked of the share."""


class WatchEvent(StrEnum):
    """An event that can happen to the watch of a folder."""

    ARM = "arm"
    """Its root is to be opened and watched."""
    WATCH = "watch"
    """It is watched, and had its first look earlier."""
    WATCH_NEW = "watch_new"
    """It is watched for the first time."""
    BASELINE = "baseline"
    """Its first look is written down."""
    ANSWER = "answer"
    """Its root was checked, and is as it was."""
    HANG = "hang"
    """Its root does not answer."""
    FAIL = "fail"
    """It cannot be watched."""
    REARM = "rearm"
    """It is to be watched afresh, because kernel events are missing or may be had again."""


_ARMED: Final = {WatchEvent.WATCH: WatchPhase.UP, WatchEvent.WATCH_NEW: WatchPhase.FIRST_LOOK}
# A job that was out when the folder went down still comes back, so these apply in every phase: what was
# armed is armed, and what has failed has failed.
_ALWAYS: Final = {**_ARMED, WatchEvent.FAIL: WatchPhase.DOWN}

WATCHES: Final[Table[WatchPhase, WatchEvent]] = MappingProxyType(
    {
        WatchPhase.DOWN: {
            **_ALWAYS,
            WatchEvent.ARM: WatchPhase.ARMING,
            WatchEvent.ANSWER: WatchPhase.DOWN,
        },
        WatchPhase.ARMING: {
            **_ALWAYS,
            WatchEvent.ANSWER: WatchPhase.ARMING,  # that of a check from before it went down
            WatchEvent.HANG: WatchPhase.HUNG,
        },
        WatchPhase.FIRST_LOOK: {
            **_ALWAYS,
            WatchEvent.BASELINE: WatchPhase.UP,
            WatchEvent.ANSWER: WatchPhase.FIRST_LOOK,
            WatchEvent.HANG: WatchPhase.HUNG,
            WatchEvent.REARM: WatchPhase.DOWN,
        },
        WatchPhase.UP: {
            **_ALWAYS,
            WatchEvent.ANSWER: WatchPhase.UP,
            WatchEvent.HANG: WatchPhase.HUNG,
            WatchEvent.REARM: WatchPhase.DOWN,
        },
        WatchPhase.HUNG: {**_ALWAYS, WatchEvent.ANSWER: WatchPhase.DOWN},
    }
)


# --- A folder's kernel events ----------------------------------------------------------------------


class Coverage(StrEnum):
    """How far the kernel's events cover a folder."""

    WHOLE = "whole"
    """All of it, as far as is known."""
    REARMED = "rearmed"
    """Directories without events were found; setting the watch afresh may have mended that."""
    POLLED = "polled"
    """There are too few watches for it: scans do the work of the events."""
    TRIAL = "trial"
    """Kernel events are tried once more."""


class CoverageEvent(StrEnum):
    """A finding about the kernel's events, of a scan or an arming."""

    COMPLETE = "complete"
    """Every directory makes events."""
    GAPS = "gaps"
    """The same directories make no events at two scans in a row."""
    REFUSE = "refuse"
    """The kernel has no watch or no instance left."""
    TRY = "try"
    """Kernel events have not been tried for a while."""


COVERAGE: Final[Table[Coverage, CoverageEvent]] = MappingProxyType(
    {
        Coverage.WHOLE: {
            CoverageEvent.COMPLETE: Coverage.WHOLE,
            CoverageEvent.GAPS: Coverage.REARMED,
            CoverageEvent.REFUSE: Coverage.POLLED,
        },
        Coverage.REARMED: {
            CoverageEvent.COMPLETE: Coverage.WHOLE,
            CoverageEvent.GAPS: Coverage.POLLED,
            CoverageEvent.REFUSE: Coverage.POLLED,
        },
        Coverage.POLLED: {CoverageEvent.TRY: Coverage.TRIAL, CoverageEvent.REFUSE: Coverage.POLLED},
        Coverage.TRIAL: {
            CoverageEvent.COMPLETE: Coverage.WHOLE,
            CoverageEvent.GAPS: Coverage.POLLED,
            CoverageEvent.REFUSE: Coverage.POLLED,
        },
    }
)
