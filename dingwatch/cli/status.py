"""`dingwatch status`: the service, each folder, the pauses, and the month's API calls."""

from __future__ import annotations

import errno
import json
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import click
from rich.table import Table
from rich.text import Text as Markup

from dingwatch import quota
from dingwatch.cli.context import Session, command, option
from dingwatch.cli.full_disk import write_error
from dingwatch.cli.output import local_time, print_line
from dingwatch.cli.tables import STYLES, PlainTable, cell, console
from dingwatch.host.lock import LOCK_FILE, lock_holder
from dingwatch.lifecycle import NOTICED, State
from dingwatch.model import Cause
from dingwatch.names import shell_word
from dingwatch.notice_text import human_size
from dingwatch.service.answers import RecordedStatus
from dingwatch.service.overview import COUNTED, Process, Status, make_status, status_json
from dingwatch.texts import Calls, Cli, Log

NEARLY_FULL: Final = 0.9
"""The part of the organisation's storage from which `status` marks it: when it is full, no upload works."""
MOST_NAMED: Final = 10
"""Directories that are named in one line; JSON and `check` have more."""


@command()
@option(Cli.OPT_JSON, "--json", "as_json", is_flag=True)
@option(Cli.OPT_METRICS, "--metrics", "as_metrics", is_flag=True)
@option(Cli.OPT_CHECK, "--check", "as_check", is_flag=True)
@option(Cli.OPT_WATCH, "--watch", "as_view", is_flag=True)
def status(session: Session, *, as_json: bool, as_metrics: bool, as_check: bool, as_view: bool) -> int:
    """Print the status of the service and its folders."""
    if [as_json, as_metrics, as_check, as_view].count(True) > 1:
        raise click.UsageError(session.render(Cli.ONE_FORMAT))
    if as_view:
        from dingwatch.cli.status_watch import watch  # noqa: PLC0415 (it needs the ledger)

        return watch(session)
    if as_check:
        from dingwatch.cli.status_check import check  # noqa: PLC0415 (its sentences are its own)

        return check(session)
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
        return status_json(session, read_status(session))
    except PermissionError as error:
        path = error.filename or session.state_dir
        click.echo(session.render(Cli.FORBIDDEN, path=path), err=True)
    return _json_of_stranger(session)


def read_status(session: Session) -> Status:
    """Gather the status from the running service, else from the ledger."""
    process = _find_service(session)
    answer = session.ask("status") if process.running else {}
    if answer is None:  # it has just hung or ended
        process, answer = Process(None, None), {}
    live = answer
    return make_status(
        process,
        session.folders,
        live.get("recorded") or _read_recorded(session),
        live,
        monthly_calls=session.in_force.monthly_calls,
        ledger_error=Cause(**live["ledger"]) if live.get("ledger") else _write_error(session),
        edited=session.in_force.by_service and not session.in_force.equals(session.in_file),
        now=time.time(),
        unlisted=session.in_force.unlisted,
        node=session.node,
    )


def _write_error(session: Session) -> Cause | None:
    """Return why nothing can be written to a ledger that is a file; a server tells that when it is."""
    return write_error(session.ledger_path) if session.ledger_in_file else None


def _read_recorded(session: Session) -> RecordedStatus:
    from dingwatch.cli import ledger_access  # noqa: PLC0415 (slow, and not needed if the service answers)

    return ledger_access.read_status(session)


def _find_service(session: Session) -> Process:
    """Return whether a service runs (None: nobody can tell), and its process."""
    try:
        pid = lock_holder(session.state_dir / LOCK_FILE)
    except PermissionError:
        return Process(None, None)
    # The socket may outlive a killed service; only the lock tells whether one runs.
    if pid is None:
        return Process(running=False, pid=None)
    return Process(running=True, pid=pid) if session.in_force.by_service else Process(None, None)


def _json_of_stranger(session: Session) -> dict[str, object]:
    """Return the same keys, with null for all that cannot be known."""
    unknown = dict.fromkeys(COUNTED)
    month, limit = quota.month(time.time()), session.in_force.monthly_calls
    folders = [
        {
            "name": folder.name,
            "path": folder.path,
            "conversation_ids": list(folder.recipients),
            "recipient_names": list(map(session.recipient_names.get, folder.recipients)),
            "watch": "unknown",
            "counts": unknown,
            "paused": None,
            "node": None if folder.shared else session.node or None,
        }
        for folder in session.folders
    ]
    used: dict[str, object] = {"used": None, "left": None, "runs_out_on": None, "by_api": {}}
    return {
        "daemon": {"running": None, "pid": None},
        "folders": folders,
        "unlisted": list(session.in_force.unlisted),
        "nodes": [],
        "totals": unknown,
        "pauses": [],
        "ledger_error": session.describe(Cause("EACCES", os.strerror(errno.EACCES), "")),
        "api_calls": {"month": month, "limit": limit, **used},
        "webhook_calls": {"month": month, "used": None, "limit": quota.WEBHOOK_LIMIT},
    }


def _print_table(session: Session, status: Status) -> None:
    out = console()
    out.print(heading(session, status))
    rows = list(_rows(session, status))
    if out.is_terminal:
        out.print(_table(session, rows))
    else:
        headings = [session.render(one) for one in _HEADINGS]
        PlainTable().print([headings, *([one.plain for one in row] for row in rows)])
    for line in notes(session, status):
        out.print(line)


def heading(session: Session, status: Status) -> Markup:
    """Return the line that says whether the service runs."""
    text = Cli.CANNOT_ASK if status.running is None else Cli.RUNNING if status.running else Cli.NOT_RUNNING
    said = session.render(text, pid=status.pid, path=str(session.state_dir))
    return cell(said, "green" if status.running else "bold red")


_HEADINGS: Final = (
    *(Cli.COL_FOLDER, Cli.COL_WATCH, Cli.COL_SENT, Cli.COL_WAITING, Cli.COL_BASELINE),
    *(Cli.COL_TROUBLE, Cli.COL_PATH),
)
_FOLDED: Final = (Cli.COL_FOLDER, Cli.COL_TROUBLE, Cli.COL_PATH)
_NUMBERS: Final = (Cli.COL_SENT, Cli.COL_WAITING, Cli.COL_BASELINE)


def _table(session: Session, rows: Iterable[Sequence[Markup]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for one in _HEADINGS:
        folded, justify = one in _FOLDED, "right" if one in _NUMBERS else "left"
        table.add_column(
            session.render(one),
            no_wrap=not folded,
            overflow="fold" if folded else "ellipsis",
            justify=justify,  # type: ignore[arg-type] # a literal of rich's
        )
    for row in rows:
        table.add_row(*row)
    return table


def _rows(session: Session, status: Status) -> Iterator[list[Markup]]:
    for folder, watch, counts, node, other in status.folders:
        by_hand = other is None and folder.name in status.by_hand
        paused = session.render(Cli.COL_PAUSED) if by_hand else ""
        name = folder.name if other is None or node is None else f"{folder.name} @ {node}"
        yield _row(name, watch, counts, folder.path, paused)
    if status.direct:
        yield _row(session.render(Cli.DIRECT), "–", status.direct, "–")


def _row(name: str, watch: str, counts: Counter[str], path: str, paused: str = "") -> list[Markup]:
    waiting = sum(counts[s] for s in ("settling", "pending", "uploading", "uploaded", "sending"))
    numbers = (counts["sent"], waiting, counts["baseline"])
    return [
        cell(name),
        cell(watch, "bold red" if watch == "down" else ""),
        *(cell(str(number)) for number in numbers),
        _trouble(counts, paused),
        cell(path),
    ]


def _trouble(counts: Counter[str], paused: str) -> Markup:
    # A notice instead of the file is what the admin configured: nobody needs to look at it.
    open_ = counts - Counter({State.SKIPPED: counts[NOTICED]})
    found = [s for s in (State.FAILED, State.UNCERTAIN, State.SKIPPED) if open_[s]]
    cells = [cell(paused, "yellow")] if paused else []
    cells += [cell(f"{s} {open_[s]}", STYLES[s]) for s in found]
    return Markup(", ").join(cells) or cell("–")


def notes(session: Session, status: Status) -> Iterator[Markup]:
    """Yield the lines on what is wrong, paused or held, and on the month's calls."""
    if not session.state_dir.exists():
        yield cell(session.render(Cli.NO_STATE_DIR, path=str(session.state_dir)), "bold red")
    if status.ledger_error is not None:
        yield cell(session.render(Log.LEDGER_DOWN, status.ledger_error), "bold red")
    yield from _node_notes(session, status)
    if status.edited:
        yield cell(session.render(Cli.CONFIG_EDITED), "yellow")
    if noticed := sum(one.counts[NOTICED] for one in status.folders):
        yield cell(session.render(Cli.TOLD, count=noticed))
    if status.unmapped:
        yield cell(session.render(Cli.LEFT, count=status.unmapped), "bold red")
    now = time.time()
    for pause in status.pauses:
        yield cell(session.describe_pause(pause, now), "yellow")
    for name, by_hand in status.by_hand.items():
        yield cell(session.describe_folder_pause(name, by_hand), "yellow")
    for name, count in status.held.items():
        yield cell(session.render(Cli.HELD, name=name, count=count), "bold red")
    for path, age in status.unsettled:
        yield cell(session.render(Cli.UNSETTLED, path=path, hours=int(age // 3600)), "yellow")
    yield from _describe_unlisted(session, status.unlisted)
    yield from _calls_notes(session, status)


def _node_notes(session: Session, status: Status) -> Iterator[Markup]:
    """Yield the nodes of a ledger that several hosts share, those first that need somebody."""
    for one in status.nodes:
        if one.state == "lost":
            since = local_time(one.lease_until)
            yield cell(session.render(Cli.NODE_LOST, **_name(one.name), since=since), "bold red")
        elif one.state == "draining":
            yield cell(session.render(Cli.NODE_DRAINING, **_name(one.name)), "yellow")
    up = [one.name for one in status.nodes if one.state == "up"]
    if up:
        yield cell(session.render(Cli.NODES_UP, nodes=", ".join(up)))


def _name(node: str) -> dict[str, str]:
    return {"node": node, "word": shell_word(node)}


def _describe_unlisted(session: Session, paths: Sequence[str]) -> Iterator[Markup]:
    if paths:
        shown = ", ".join(paths[:MOST_NAMED]) + (" …" if paths[MOST_NAMED:] else "")
        yield cell(session.render(Cli.UNLISTED_DIRECTORIES, count=len(paths), paths=shown), "yellow")


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
    if (room := status.drive) is not None:
        full = room.used >= room.size * NEARLY_FULL
        values = {
            "used": human_size(room.used),
            "size": human_size(room.size),
            "at": local_time(room.asked_at),
        }
        yield cell(session.render(Calls.DRIVE, **values), "bold red" if full else "")
