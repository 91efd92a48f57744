"""`dingwatch status`: the service, each folder, the pauses, and the month's API calls."""

from __future__ import annotations

import errno
import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import click
from rich.table import Table
from rich.text import Text as Markup

from dingwatch import quota
from dingwatch.cli.context import Session, command, option
from dingwatch.cli.full_disk import write_error
from dingwatch.cli.output import iso_time, print_line
from dingwatch.cli.tables import STYLES, cell, console
from dingwatch.host.lock import LOCK_FILE, lock_holder
from dingwatch.lifecycle import NOTICED, State
from dingwatch.model import Cause, Pause, Scope
from dingwatch.service.answers import RecordedStatus, load_pause
from dingwatch.service.in_force import ShownFolder
from dingwatch.texts import Calls, Cli, Log

_COUNTED = (*(str(state) for state in State), "settling", "baseline")


class FolderStatus(NamedTuple):
    """A folder, how it is watched, and its deliveries by state.

    Besides `inotify`, `poll` and `down`, `watch` is `unknown` when the service cannot be asked, and `new` for
    a folder that was added to the config since the service started.
    """

    folder: ShownFolder
    watch: str
    counts: Counter[str]


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
    ledger_error: Cause | None
    """Why nothing can be written to the ledger."""
    edited: bool
    """Whether the config file is no longer what the service runs with."""


@command()
@option(Cli.OPT_JSON, "--json", "as_json", is_flag=True)
@option(Cli.OPT_METRICS, "--metrics", "as_metrics", is_flag=True)
def status(session: Session, *, as_json: bool, as_metrics: bool) -> int:
    """Print the status of the service and its folders."""
    if as_json and as_metrics:
        raise click.UsageError(session.render(Cli.ONE_FORMAT))
    if as_metrics:
        from dingwatch.cli.metrics import print_metrics  # noqa: PLC0415 (only this option needs its library)

        return print_metrics(session)
    if as_json:
        print_line(json.dumps(_read_json(session), ensure_ascii=False))
    else:
        _print_table(session, read_status(session))
    return 0


def _read_json(session: Session) -> dict[str, object]:
    """Return the status as JSON, also for somebody who may read neither the ledger nor ask the service."""
    try:
        return _json(session, read_status(session))
    except PermissionError as error:
        path = error.filename or session.state_dir
        click.echo(session.render(Cli.FORBIDDEN, path=path), err=True)
    return _json_of_stranger(session)


def read_status(session: Session) -> Status:
    """Gather the status from the running service, else from the ledger."""
    now = time.time()
    running, pid = _find_service(session)
    live = (session.ask("status") or {}) if running else {}
    recorded: RecordedStatus = live.get("recorded") or _read_recorded(session)
    paused = tuple(map(load_pause, recorded["pauses"]))
    folders = tuple(
        _folder(folder, recorded, live.get("folders", {}), running=running) for folder in session.folders
    )
    return Status(
        running=running,
        pid=pid,
        folders=folders,
        direct=Counter(recorded["direct"]),
        unmapped=recorded["unmapped"],
        pauses=paused,
        held=recorded["held"],
        unsettled=tuple((path, age) for _, path, age in live.get("unsettled", [])),
        use=quota.use_of_all(
            sum(recorded["billed_calls"].values()), session.in_force.monthly_calls, paused, now
        ),
        by_api=recorded["calls"],
        billed_calls=recorded["billed_calls"],
        webhook_calls=recorded["webhook_calls"],
        ledger_error=Cause(**live["ledger"]) if live.get("ledger") else write_error(session.ledger_path),
        edited=session.in_force.by_service and not session.in_force.equals(session.in_file),
    )


def _read_recorded(session: Session) -> RecordedStatus:
    from dingwatch.cli import ledger_access  # noqa: PLC0415 (slow, and not needed if the service answers)

    return ledger_access.read_status(session)


def _find_service(session: Session) -> tuple[bool | None, int | None]:
    """Return whether a service runs (None: nobody can tell), and its process."""
    try:
        pid = lock_holder(session.state_dir / LOCK_FILE)
    except PermissionError:
        return None, None
    # The socket may outlive a killed service; only the lock tells whether one runs.
    if pid is None:
        return False, None
    return (True, pid) if session.in_force.by_service else (None, None)


def _folder(
    folder: ShownFolder,
    recorded: RecordedStatus,
    live: Mapping[str, Mapping[str, object]],
    *,
    running: bool | None,
) -> FolderStatus:
    # JSON has no numbers as keys.
    now = live.get(str(recorded["numbers"].get(folder.name)), {})
    counts = Counter(recorded["counts"].get(folder.name))
    counts["settling"] = int(str(now.get("settling", 0)))
    watch = "unknown" if running is None else "down" if folder.loaded else "new"
    return FolderStatus(folder, str(now.get("watch", watch)), counts)


def _json(session: Session, status: Status) -> dict[str, object]:
    totals = sum((counts for _, _, counts in status.folders), Counter(status.direct))
    return {
        "daemon": {"running": status.running, "pid": status.pid},
        "folders": [
            {
                "name": folder.name,
                "path": folder.path,
                "conversation_ids": list(folder.recipients),
                "watch": watch,
                "counts": {state: counts[state] for state in _COUNTED},
            }
            for folder, watch, counts in status.folders
        ],
        "totals": {state: totals[state] for state in _COUNTED},
        "pauses": [
            # `retry` has a pause probed at once by setting its end to 1970, which `until` must not show.
            {
                "scope": pause.scope,
                "until": iso_time(max(pause.until, pause.since)),
                "reason": session.pause_reason(pause),
            }
            for pause in status.pauses
        ]
        + [
            # A flood hold has no end: `release` or `discard` ends it.
            {"scope": Scope.FOLDER, "until": None, "reason": session.render(Cli.HELD, name=name, count=count)}
            for name, count in status.held.items()
        ],
        "ledger_error": None if status.ledger_error is None else _describe(session, status.ledger_error),
        "api_calls": _calls(status),
        "webhook_calls": {
            "month": status.use.month,
            "used": status.webhook_calls,
            "limit": quota.WEBHOOK_LIMIT,
        },
    }


def _json_of_stranger(session: Session) -> dict[str, object]:
    """Return the same keys, with null for all that cannot be known."""
    unknown = dict.fromkeys(_COUNTED)
    month, limit = quota.month(time.time()), session.in_force.monthly_calls
    folders = [
        {
            "name": folder.name,
            "path": folder.path,
            "conversation_ids": list(folder.recipients),
            "watch": "unknown",
            "counts": unknown,
        }
        for folder in session.folders
    ]
    used: dict[str, object] = {"used": None, "left": None, "runs_out_on": None, "by_api": {}}
    return {
        "daemon": {"running": None, "pid": None},
        "folders": folders,
        "totals": unknown,
        "pauses": [],
        "ledger_error": _describe(session, Cause("EACCES", os.strerror(errno.EACCES), "")),
        "api_calls": {"month": month, "limit": limit, **used},
        "webhook_calls": {"month": month, "used": None, "limit": quota.WEBHOOK_LIMIT},
    }


def _describe(session: Session, cause: Cause) -> dict[str, str]:
    return {"code": cause.code, "message": cause.message, "advice": session.advice(cause.advice)}


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


def _print_table(session: Session, status: Status) -> None:
    out = console()
    text = Cli.CANNOT_ASK if status.running is None else Cli.RUNNING if status.running else Cli.NOT_RUNNING
    heading = session.render(text, pid=status.pid, path=str(session.state_dir))
    out.print(cell(heading, "green" if status.running else "bold red"))
    out.print(_table(session, status))
    for line in _notes(session, status):
        out.print(line)


def _table(session: Session, status: Status) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(session.render(Cli.COL_FOLDER), overflow="fold")
    table.add_column(session.render(Cli.COL_WATCH), no_wrap=True)
    for heading in (Cli.COL_SENT, Cli.COL_WAITING, Cli.COL_BASELINE):
        table.add_column(session.render(heading), no_wrap=True, justify="right")
    for heading in (Cli.COL_TROUBLE, Cli.COL_PATH):
        table.add_column(session.render(heading), overflow="fold")
    for folder, watch, counts in status.folders:
        _add(table, folder.name, watch, counts, folder.path)
    if status.direct:
        _add(table, session.render(Cli.DIRECT), "–", status.direct, "–")
    return table


def _add(table: Table, name: str, watch: str, counts: Counter[str], path: str) -> None:
    waiting = sum(counts[s] for s in ("settling", "pending", "uploading", "uploaded", "sending"))
    numbers = (counts["sent"], waiting, counts["baseline"])
    table.add_row(
        cell(name),
        cell(watch, "bold red" if watch == "down" else ""),
        *(cell(str(number)) for number in numbers),
        _trouble(counts),
        cell(path),
    )


def _trouble(counts: Counter[str]) -> Markup:
    # A notice instead of the file is what the admin configured: nobody needs to look at it.
    open_ = counts - Counter({State.SKIPPED: counts[NOTICED]})
    found = [s for s in (State.FAILED, State.UNCERTAIN, State.SKIPPED) if open_[s]]
    return Markup(", ").join(cell(f"{s} {open_[s]}", STYLES[s]) for s in found) or cell("–")


def _notes(session: Session, status: Status) -> Iterator[Markup]:
    if not session.state_dir.exists():
        yield cell(session.render(Cli.NO_STATE_DIR, path=str(session.state_dir)), "bold red")
    if status.ledger_error is not None:
        yield cell(session.render(Log.LEDGER_DOWN, status.ledger_error), "bold red")
    if status.edited:
        yield cell(session.render(Cli.CONFIG_EDITED), "yellow")
    if noticed := sum(counts[NOTICED] for _, _, counts in status.folders):
        yield cell(session.render(Cli.TOLD, count=noticed))
    if status.unmapped:
        yield cell(session.render(Cli.LEFT, count=status.unmapped), "bold red")
    now = time.time()
    for pause in status.pauses:
        yield cell(session.describe_pause(pause, now), "yellow")
    for name, count in status.held.items():
        yield cell(session.render(Cli.HELD, name=name, count=count), "bold red")
    for path, age in status.unsettled:
        yield cell(session.render(Cli.UNSETTLED, path=path, hours=int(age // 3600)), "yellow")
    yield from _calls_notes(session, status)


def _calls_notes(session: Session, status: Status) -> Iterator[Markup]:
    use = status.use
    text, values = quota.describe(use)
    refused = any(quota.refused(pause, time.time()) for pause in status.pauses)
    # The quota is the organisation's: other apps may have used it up while the count here is low.
    if refused:
        text = Calls.REFUSED if use.limit is None else Calls.REFUSED_OF
    serious = refused or quota.crossed(0, use.used, use.limit) is not None
    yield cell(session.render(text, **values), "bold red" if serious else "")
    if count := status.webhook_calls:
        values = {"month": use.month, "used": count, "limit": quota.WEBHOOK_LIMIT}
        yield cell(session.render(Calls.WEBHOOK, **values))
