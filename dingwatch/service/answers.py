"""The answers to commands about the ledger, as JSON. The running service gives them, or the ledger itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from dingwatch.model import Cause, Decision, FolderPause, Pause, Scope


class RecordedStatus(TypedDict):
    """The ledger's part of `status`; folders are those of the configuration in force, by their names."""

    numbers: dict[str, int]
    """The folders' ids in the ledger."""
    counts: dict[str, dict[str, int]]
    """Deliveries by state, with baseline versions."""
    deliveries: int
    """How many there are in the ledger."""
    direct: dict[str, int]
    """Deliveries of files that were given to `send`, by state."""
    unmapped: int
    """Unsent deliveries of folders that left the configuration."""
    pauses: list[dict[str, Any]]
    by_hand: dict[str, dict[str, Any]]
    """The pauses of folders that a person has paused, by the folders' names."""
    held: dict[str, int]
    """How many deliveries `hold_over` holds, where it holds any."""
    calls: dict[str, int]
    """How often each API was called this month (Asia/Shanghai), billed or not."""
    billed_calls: dict[str, int]
    """Those that count against the monthly quota."""
    webhook_calls: int
    """How many calls count against the quota of webhooks."""
    waiting_since: float | None
    """When the oldest file that waits has settled; None when none waits. Flood holds do not count."""
    nodes: list[dict[str, Any]]
    """The nodes of a ledger that several hosts share: name, state, lease_until."""
    others: list[dict[str, Any]]
    """Folders that only other nodes have: id, name, path, recipients, node, counts."""
    drive: dict[str, Any] | None
    """The room in the organisation's storage (a `DriveRoom`), as far as it is known."""


NOTHING_RECORDED: RecordedStatus = {
    "numbers": {},
    "counts": {},
    "deliveries": 0,
    "direct": {},
    "unmapped": 0,
    "pauses": [],
    "by_hand": {},
    "held": {},
    "calls": {},
    "billed_calls": {},
    "webhook_calls": 0,
    "waiting_since": None,
    "nodes": [],
    "others": [],
    "drive": None,
}
"""The answer where there is no ledger."""


class RecordedPath(TypedDict):
    """The ledger's part of `why` for one path in one folder (or given to `send`)."""

    number: int | None
    """The folder's id in the ledger; None for `send`, and for a folder that the service has not watched."""
    moves: bool
    """Whether sent files are moved in the folder, or ever were."""
    story: list[dict[str, Any]]
    """Each decision about it, in order."""
    unmapped: bool
    """Whether a delivery waits whose recipient is no longer in the configuration."""
    waits: bool
    """Whether another delivery waits."""
    pauses: list[dict[str, Any]]
    """The pauses that such a delivery is under."""
    by_hand: dict[str, Any] | None
    """The pause of its folder, where a person has paused it."""
    in_turn: bool
    """Whether none of them is paused, and one has not been refused: it waits for its turn."""
    drained: str | None
    """This node, if one of them waits because it was drained and no other node can upload the file."""


NEVER_WATCHED: RecordedPath = {
    "number": None,
    "moves": False,
    "story": [],
    "unmapped": False,
    "waits": False,
    "pauses": [],
    "by_hand": None,
    "in_turn": False,
    "drained": None,
}
"""The answer for a folder that is not in the ledger."""


def load_pause(told: Mapping[str, Any]) -> Pause:
    """Read a pause."""
    return Pause(**{**told, "scope": Scope(told["scope"]), "cause": Cause(**told["cause"])})


def load_folder_pause(told: Mapping[str, Any]) -> FolderPause:
    """Read a pause by hand."""
    return FolderPause(**told)


def load_decision(told: Mapping[str, Any]) -> Decision:
    """Read a decision."""
    cause = None if told["cause"] is None else Cause(**told["cause"])
    return Decision(**{**told, "cause": cause})
