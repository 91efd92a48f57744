"""The life cycle of a delivery.

One table says which state follows which. Recovery after a crash, the ledger's constraints and the diagram in
the docs are derived from it; no other module names a successor state. Waiting is not a state, but a row's
`due` time.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class State(StrEnum):
    """The state of a delivery."""

    PENDING = "pending"
    UPLOADING = "uploading"
    UPLOADED = "uploaded"
    SENDING = "sending"
    SENT = "sent"
    UNCERTAIN = "uncertain"
    FAILED = "failed"
    SKIPPED = "skipped"
    GONE = "gone"


BASELINE: Final = "baseline"
"""Shown in the place of a state for versions that have no delivery, because they were there before."""
NOTICED: Final = "noticed"
"""The code of a delivery that was skipped because a notice was sent instead of the file."""
IGNORED: Final = "on_change"
"""The code of a delivery that was skipped because the folder sends each name once."""


class Event(StrEnum):
    """An event in the life of a delivery."""

    CLAIM = "claim"
    UPLOAD_OK = "upload_ok"
    SEND_OK = "send_ok"
    RETRY = "retry"
    DOUBT = "doubt"
    MEDIA_LOST = "media_lost"
    REJECT = "reject"
    SKIP = "skip"
    VANISH = "vanish"
    CRASH = "crash"
    REQUEUE = "requeue"
    CONFIRM = "confirm"
    SEEN = "seen"


TABLE: Final[Mapping[State, Mapping[Event, State]]] = MappingProxyType(
    {
        State.PENDING: {
            Event.CLAIM: State.UPLOADING,
            Event.REJECT: State.FAILED,
            Event.SKIP: State.SKIPPED,
            Event.VANISH: State.GONE,
        },
        State.UPLOADING: {
            Event.UPLOAD_OK: State.UPLOADED,
            Event.RETRY: State.PENDING,
            # An upload whose answer was lost is repeated: that costs a call, but never shows a file twice.
            Event.DOUBT: State.PENDING,
            Event.REJECT: State.FAILED,
            Event.SKIP: State.SKIPPED,
            Event.VANISH: State.GONE,
            Event.CRASH: State.PENDING,
        },
        State.UPLOADED: {
            Event.CLAIM: State.SENDING,
            # The answer to a send that was in doubt came late, after its row was queued again.
            Event.CONFIRM: State.SENT,
            Event.MEDIA_LOST: State.PENDING,
            Event.REJECT: State.FAILED,
            Event.SKIP: State.SKIPPED,
            Event.VANISH: State.GONE,
        },
        State.SENDING: {
            Event.SEND_OK: State.SENT,
            Event.RETRY: State.UPLOADED,
            # The message may have arrived. It is repeated when DingTalk answers again, or a person says so.
            Event.DOUBT: State.UNCERTAIN,
            Event.MEDIA_LOST: State.PENDING,
            Event.REJECT: State.FAILED,
            Event.SKIP: State.SKIPPED,
            Event.CRASH: State.UNCERTAIN,
        },
        State.UNCERTAIN: {Event.REQUEUE: State.UPLOADED, Event.CONFIRM: State.SENT},
        State.FAILED: {Event.VANISH: State.GONE, Event.REQUEUE: State.PENDING},
        State.SKIPPED: {Event.VANISH: State.GONE, Event.REQUEUE: State.PENDING},
        State.GONE: {Event.REQUEUE: State.PENDING, Event.SEEN: State.PENDING},
        State.SENT: {},
    }
)

IN_HAND: Final = frozenset(state for state in State if Event.CRASH in TABLE[state])
"""States of rows with a job in progress; at a start no job is, so recovery applies `crash` to them."""

IN_WORK: Final = frozenset({State.PENDING, State.UPLOADING, State.UPLOADED, State.SENDING})
"""States that a delivery leaves by itself."""

PERHAPS_SEEN: Final = frozenset({State.SENT, State.SENDING, State.UNCERTAIN})
"""States in which the recipient has, or may have, the content."""

WITHDRAWABLE: Final = frozenset(state for state in State if Event.VANISH in TABLE[state])
"""States in which a delivery is withdrawn when its file is gone or superseded."""


class IllegalTransitionError(Exception):
    """The table has no such transition."""


def advance(state: State, event: Event) -> State:
    """Return the state that follows; raise IllegalTransitionError if the event does not apply."""
    try:
        return TABLE[state][event]
    except KeyError:
        raise IllegalTransitionError(f"{event} does not apply to {state}") from None


def sources(event: Event) -> tuple[State, ...]:
    """Return the states that an event applies to."""
    return tuple(state for state in State if event in TABLE[state])


def diagram() -> str:
    """Return the table as a Mermaid state diagram, which a test compares with the one in the docs."""
    edges: dict[tuple[State, State], list[Event]] = {}
    for state, row in TABLE.items():
        for event, target in row.items():
            edges.setdefault((state, target), []).append(event)
    lines = ["stateDiagram-v2", f"    [*] --> {State.PENDING}"]
    lines += [f"    {a} --> {b}: {', '.join(events)}" for (a, b), events in edges.items()]
    lines += [f"    {state} --> [*]" for state, row in TABLE.items() if not row]
    return "\n".join(lines)
