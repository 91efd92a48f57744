"""The answers to commands about the ledger, as JSON. The running service gives them, or the ledger itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from dingwatch.model import Cause, Decision, Pause, Scope


class RecordedStatus(TypedDict):
    """What the ledger knows for `status`; folders are those of the configuration in force, by their names."""

    numbers: dict[str, int]
    """The folders' ids in the ledger."""
    counts: dict[str, dict[str, int]]
    """Deliveries by state, with baseline versions."""
    direct: dict[str, int]
    """Deliveries of files that were given to `send`, by state."""
    unmapped: int
    """Unsent deliveries of folders that left the configuration."""
    pauses: list[dict[str, Any]]
    held: dict[str, int]
    """How many deliveries `hold_over` holds, where it holds any."""
    calls: dict[str, int]
    """How often each API was called this month (Asia/Shanghai), billed or not."""
    billed_calls: dict[str, int]
    """Those that count against the monthly quota."""
    webhook_calls: int
    """How many calls count against the quota of webhooks."""


NOTHING_RECORDED: RecordedStatus = {
    "numbers": {},
    "counts": {},
    "direct": {},
    "unmapped": 0,
    "pauses": [],
    "held": {},
    "calls": {},
    "billed_calls": {},
    "webhook_calls": 0,
}
"""What there is to know where there is no ledger."""


class RecordedPath(TypedDict):
    """What the ledger knows for `why` of one path in one folder (or given to `send`)."""

    number: int | None
    """The folder's id in the ledger; None for `send`, and for a folder that the service has not watched."""
    story: list[dict[str, Any]]
    """Each decision about it, in order."""
    unmapped: bool
    """Whether a delivery waits whose recipient is no longer in the configuration."""
    waits: bool
    """Whether another delivery waits."""
    pauses: list[dict[str, Any]]
    """The pauses that such a delivery is under."""
    in_turn: bool
    """Whether none of them is paused, and one has not been refused: it waits for its turn."""


NEVER_WATCHED: RecordedPath = {
    "number": None,
    "story": [],
    "unmapped": False,
    "waits": False,
    "pauses": [],
    "in_turn": False,
}
"""What there is to know in a folder that is not in the ledger."""


def load_pause(told: Mapping[str, Any]) -> Pause:
    """Read a pause."""
    return Pause(**{**told, "scope": Scope(told["scope"]), "cause": Cause(**told["cause"])})


def load_decision(told: Mapping[str, Any]) -> Decision:
    """Read a decision."""
    cause = None if told["cause"] is None else Cause(**told["cause"])
    return Decision(**{**told, "cause": cause})
