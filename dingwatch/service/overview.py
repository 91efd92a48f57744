"""The contents of `status`, as a value and as JSON: the same for the command and for the HTTP API."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from dingwatch import quota
from dingwatch.lifecycle import State
from dingwatch.model import Cause, DriveRoom, FolderPause, Pause, Scope
from dingwatch.service.answers import RecordedStatus, load_folder_pause, load_pause
from dingwatch.service.in_force import ShownFolder
from dingwatch.service.sentences import Sentences, iso_time
from dingwatch.texts import Cli

COUNTED: Final = (*(str(state) for state in State), "settling", "baseline")
"""The keys of `counts`."""


class FolderStatus(NamedTuple):
    """A folder, how it is watched, and its deliveries by state.

    Besides `inotify`, `poll` and `down`, `watch` is `unknown` when the service cannot be asked, and `new` for
    a folder that was added to the config since the service started. Folders of other nodes are `down` where
    their node is lost, else `unknown`.
    """

    folder: ShownFolder
    watch: str
    counts: Counter[str]
    node: str | None = None
    """The node that has it; None where several share it, and where the ledger is not shared."""
    other: int | None = None
    """Its number in the ledger, if this node does not have it."""


class NodeStatus(NamedTuple):
    """A node of a ledger that several hosts share; `state` is `up`, `lost` or `draining`."""

    name: str
    state: str
    lease_until: float


@dataclass(frozen=True, slots=True)
class Status:
    """Everything that `status` shows."""

    running: bool | None
    """None: nobody can tell, because the service does not answer or may not be asked."""
    pid: int | None
    folders: tuple[FolderStatus, ...]
    direct: Counter[str]
    """Deliveries of files that were given to `send`."""
    unmapped: int
    """Unsent deliveries of folders that left the configuration."""
    pauses: tuple[Pause, ...]
    by_hand: Mapping[str, FolderPause]
    """The folders that a person has paused, by their names."""
    held: Mapping[str, int]
    """How many deliveries `hold_over` holds, by folder name."""
    unsettled: tuple[tuple[str, float], ...]
    """Files that have not settled for a day, and for how many seconds."""
    use: quota.Use
    """The month's calls against its quota."""
    by_api: Mapping[str, int]
    """How often each API was called this month, billed or not."""
    billed_calls: Mapping[str, int]
    """Those that count against the quota."""
    webhook_calls: int
    """How many calls count against the quota of webhooks."""
    waiting_since: float | None
    """When the oldest file that waits has settled."""
    ledger_error: Cause | None
    """Why nothing can be written to the ledger."""
    edited: bool
    """Whether the config file is no longer what the service runs with."""
    drive: DriveRoom | None = None
    """The room in the organisation's storage, as far as it is known."""
    unlisted: tuple[str, ...] = ()
    """Directories that are not watched, because a table of recipients does not have them."""
    deliveries: int = 0
    """How many deliveries the ledger has."""
    nodes: tuple[NodeStatus, ...] = ()
    """The nodes of a ledger that several hosts share."""

    @property
    def lost_nodes(self) -> list[str]:
        """The nodes without a lease that nobody has drained."""
        return [one.name for one in self.nodes if one.state == "lost"]


class Process(NamedTuple):
    """Whether a service runs (None: nobody can tell), and its process."""

    running: bool | None
    pid: int | None


def make_status(  # noqa: PLR0913 (each comes from another place)
    process: Process,
    folders: Iterable[ShownFolder],
    recorded: RecordedStatus,
    live: Mapping[str, Any],
    *,
    monthly_calls: int | None,
    ledger_error: Cause | None,
    edited: bool,
    now: float,
    unlisted: tuple[str, ...] = (),
    node: str = "",
) -> Status:
    """Put together what the ledger has recorded, and what the running service tells (nothing without one)."""
    paused = tuple(map(load_pause, recorded["pauses"]))
    nodes = tuple(NodeStatus(**one) for one in recorded.get("nodes", []))
    return Status(
        running=process.running,
        pid=process.pid,
        folders=(
            *(
                _folder(one, recorded, live.get("folders", {}), node, running=process.running)
                for one in folders
            ),
            *(_of_other(one, nodes) for one in recorded.get("others", [])),
        ),
        direct=Counter(recorded["direct"]),
        unmapped=recorded["unmapped"],
        pauses=paused,
        by_hand={name: load_folder_pause(one) for name, one in recorded["by_hand"].items()},
        held=recorded["held"],
        unsettled=tuple((path, age) for _, path, age in live.get("unsettled", [])),
        use=quota.use_of_all(sum(recorded["billed_calls"].values()), monthly_calls, paused, now),
        by_api=recorded["calls"],
        billed_calls=recorded["billed_calls"],
        webhook_calls=recorded["webhook_calls"],
        waiting_since=recorded.get("waiting_since"),  # a service of an earlier version tells none
        drive=None if (room := recorded.get("drive")) is None else DriveRoom(**room),
        ledger_error=ledger_error,
        edited=edited,
        unlisted=unlisted,
        deliveries=recorded.get("deliveries", 0),
        nodes=nodes,
    )


def _folder(
    folder: ShownFolder,
    recorded: RecordedStatus,
    live: Mapping[str, Mapping[str, object]],
    node: str,
    *,
    running: bool | None,
) -> FolderStatus:
    # JSON has no numbers as keys.
    now = live.get(str(recorded["numbers"].get(folder.name)), {})
    counts = Counter(recorded["counts"].get(folder.name))
    counts["settling"] = int(str(now.get("settling", 0)))
    watch = "unknown" if running is None else "down" if folder.loaded else "new"
    own = None if folder.shared else node or None
    return FolderStatus(folder, str(now.get("watch", watch)), counts, own)


def _of_other(told: Mapping[str, Any], nodes: Iterable[NodeStatus]) -> FolderStatus:
    """Return a folder that another node has, or several others."""
    lost = {one.name for one in nodes if one.state == "lost"}
    recipients = tuple(told["recipients"])
    folder = ShownFolder(
        told["name"],
        told["path"],
        os.fsencode(told["path"]),
        recipients,
        recursive=True,
        include=(),
        exclude=(),
    )
    watch = "down" if told["node"] in lost else "unknown"
    return FolderStatus(folder, watch, Counter(told["counts"]), told["node"], told["id"])


def status_json(sentences: Sentences, status: Status) -> dict[str, Any]:
    """Return the status as JSON."""
    totals = sum((one.counts for one in status.folders), Counter(status.direct))
    return {
        "daemon": {"running": status.running, "pid": status.pid},
        "folders": [
            {
                "name": folder.name,
                "path": folder.path,
                "conversation_ids": list(folder.recipients),
                "recipient_names": list(map(sentences.recipient_names.get, folder.recipients)),
                "watch": watch,
                "counts": {state: counts[state] for state in COUNTED},
                "paused": None
                if other is not None or (by := status.by_hand.get(folder.name)) is None
                else _pause(by),
                "node": node,
            }
            for folder, watch, counts, node, other in status.folders
        ],
        "nodes": [
            {"name": one.name, "state": one.state, "lease_until": iso_time(one.lease_until)}
            for one in status.nodes
        ],
        "unlisted": list(status.unlisted),
        "totals": {state: totals[state] for state in COUNTED},
        "pauses": [
            *_pauses(sentences, status),
            *_pauses_by_hand(sentences, status),
            *_holds(sentences, status),
        ],
        "ledger_error": None if status.ledger_error is None else sentences.describe(status.ledger_error),
        "api_calls": _calls(status),
        "webhook_calls": {
            "month": status.use.month,
            "used": status.webhook_calls,
            "limit": quota.WEBHOOK_LIMIT,
        },
        "drive": None if status.drive is None else _drive(status.drive),
    }


def _drive(room: DriveRoom) -> dict[str, Any]:
    return {"used": room.used, "limit": room.size, "at": iso_time(room.asked_at)}


def _pauses(sentences: Sentences, status: Status) -> Iterator[dict[str, Any]]:
    for pause in status.pauses:
        # `retry` has a pause probed at once by setting its end to 1970, which `until` must not show.
        until = iso_time(max(pause.until, pause.since))
        yield {"scope": pause.scope, "until": until, "reason": sentences.pause_reason(pause)}


def _pause(pause: FolderPause) -> dict[str, object]:
    until = None if pause.until is None else iso_time(pause.until)
    return {"since": iso_time(pause.since), "until": until, "by": pause.by, "reason": pause.reason}


def _pauses_by_hand(sentences: Sentences, status: Status) -> Iterator[dict[str, Any]]:
    for name, pause in status.by_hand.items():
        reason = sentences.describe_folder_pause(name, pause)
        yield {"scope": Scope.FOLDER, "until": _pause(pause)["until"], "reason": reason}


def _holds(sentences: Sentences, status: Status) -> Iterator[dict[str, Any]]:
    """Yield flood holds, which have no end: `release` or `discard` ends them."""
    for name, count in status.held.items():
        reason = sentences.render(Cli.HELD, name=name, count=count)
        yield {"scope": Scope.FOLDER, "until": None, "reason": reason}


def _calls(status: Status) -> dict[str, object]:
    use = status.use
    return {
        "month": use.month,
        "used": use.used,
        "limit": use.limit,
        "left": use.left,
        "runs_out_on": None if use.runs_out_on is None else use.runs_out_on.isoformat(),
        "by_api": dict(status.billed_calls),
    }
