"""The life cycle of a delivery.

Everything that says which state follows which stands in this file, in one table. Recovery after a
crash, the ledger's constraints and the diagram in the docs are derived from it; no other module
names a successor state. Waiting is not a state: it is a row's `due` time.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class State(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    UPLOADING = "uploading"
    UPLOADED = "uploaded"
    SENDING = "sending"
    SENT = "sent"
    UNCERTAIN = "uncertain"
    FAILED = "failed"
    SKIPPED = "skipped"
    GONE = "gone"


class Event(StrEnum):
    """What can happen to a delivery."""

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
            Event.DOUBT: State.PENDING,  # a second upload costs a call, never a second message
            Event.REJECT: State.FAILED,
            Event.SKIP: State.SKIPPED,
            Event.VANISH: State.GONE,
            Event.CRASH: State.PENDING,
        },
        State.UPLOADED: {
            Event.CLAIM: State.SENDING,
            Event.MEDIA_LOST: State.PENDING,
            Event.REJECT: State.FAILED,
            Event.SKIP: State.SKIPPED,
            Event.VANISH: State.GONE,
        },
        State.SENDING: {
            Event.SEND_OK: State.SENT,
            Event.RETRY: State.UPLOADED,
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
"""States that only a running process can be in: recovery at the start applies `crash` to them."""

IN_WORK: Final = frozenset({State.PENDING, State.UPLOADING, State.UPLOADED, State.SENDING})
"""States that lead somewhere without a person."""

PERHAPS_SEEN: Final = frozenset({State.SENT, State.SENDING, State.UNCERTAIN})
"""States in which the conversation has, or may have, seen the content."""

WITHDRAWABLE: Final = frozenset(state for state in State if Event.VANISH in TABLE[state])
"""States from which an absent or superseded file takes its delivery out."""


class IllegalTransitionError(Exception):
    """The table has no such edge."""


def advance(state: State, event: Event) -> State:
    """Return the state that follows; raise IllegalTransitionError where the table has no edge."""
    try:
        return TABLE[state][event]
    except KeyError:
        raise IllegalTransitionError(f"{event} does not apply to {state}") from None


def sources(event: Event) -> tuple[State, ...]:
    """Return the states that an event applies to."""
    return tuple(state for state in State if event in TABLE[state])


def diagram() -> str:
    """Draw the table as a Mermaid state diagram; the docs hold its output, a test compares."""
    edges: dict[tuple[State, State], list[Event]] = {}
    for state, row in TABLE.items():
        for event, target in row.items():
            edges.setdefault((state, target), []).append(event)
    lines = ["stateDiagram-v2", f"    [*] --> {State.PENDING}"]
    lines += [f"    {a} --> {b}: {', '.join(events)}" for (a, b), events in edges.items()]
    lines += [f"    {state} --> [*]" for state, row in TABLE.items() if not row]
    return "\n".join(lines)
