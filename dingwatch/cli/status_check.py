"""`dingwatch status --check`: one line and an exit code for a monitor."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Mapping
from contextlib import redirect_stderr
from enum import IntEnum
from types import MappingProxyType
from typing import Final, NamedTuple

from dingwatch import quota
from dingwatch.cli.context import Session
from dingwatch.cli.output import print_line
from dingwatch.cli.status import read_status
from dingwatch.lifecycle import IN_WORK, State
from dingwatch.model import LedgerError
from dingwatch.service.overview import Status
from dingwatch.service.sentences import printable
from dingwatch.texts import Log, Monitor, Text

LONG_WAIT: Final = 15 * 60.0
"""Seconds after which a file that waits is worth a look."""
_MOST_NAMES: Final = 3


class Level(IntEnum):
    """How it is; the exit codes that monitors know (Nagios, Icinga, Zabbix)."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


class Finding(NamedTuple):
    """Something that is not well."""

    level: Level
    text: Text
    values: Mapping[str, object] = MappingProxyType({})


def check(session: Session) -> int:
    """Print the line; return the exit code."""
    said = io.StringIO()
    try:
        # Whatever other commands write to stderr before they end becomes the reason in the one line.
        with redirect_stderr(said):
            status = read_status(session)
    except SystemExit:
        reason = " ".join(said.getvalue().split())
        return _print(session, Level.UNKNOWN, [reason])
    except PermissionError:
        reason = session.render(Monitor.FORBIDDEN, path=str(session.state_dir))
        return _print(session, Level.UNKNOWN, [reason])
    except LedgerError as error:  # the service has no answer either while its database is away
        return _print(session, Level.CRITICAL, [session.render(Log.LEDGER_DOWN, error.cause)])
    findings = sorted([*_judge(status, time.time()), *_judge_config(session)], key=lambda one: -one.level)
    if not findings:
        return _print(session, Level.OK, [_describe(session, status)])
    reasons = [session.render(text, **values) for _, text, values in findings]
    return _print(session, findings[0].level, reasons)


def _print(session: Session, level: Level, reasons: list[str]) -> int:
    print_line(f"{level.name}: {printable(session.render(Monitor.BETWEEN).join(reasons))}")
    return int(level)


def _judge(status: Status, now: float) -> Iterator[Finding]:
    """Yield all that is not well."""
    if status.running is None:
        yield Finding(Level.UNKNOWN, Monitor.SILENT)
    elif not status.running:
        yield Finding(Level.CRITICAL, Monitor.NOT_RUNNING)
    else:
        yield from _judge_folders(status)
    if status.ledger_error is not None:
        yield Finding(Level.CRITICAL, Log.LEDGER_DOWN, {"reason": status.ledger_error.code, "advice": ""})
    if status.lost_nodes:
        yield Finding(Level.WARNING, Monitor.NODES_LOST, {"names": _list(status.lost_nodes)})
    yield from _judge_deliveries(status)
    waits = None if status.waiting_since is None else now - status.waiting_since
    if waits is not None and waits > LONG_WAIT:
        yield Finding(Level.WARNING, Monitor.WAITING, {"minutes": int(waits // 60)})
    use = status.use
    if any(quota.refused(pause, now) for pause in status.pauses):
        yield Finding(Level.WARNING, Monitor.NO_CALLS)
    elif quota.crossed(0, use.used, use.limit) is not None:
        yield Finding(Level.WARNING, Monitor.CALLS, {"used": use.used, "limit": use.limit})


def _judge_config(session: Session) -> Iterator[Finding]:
    """Yield whether the service could not start again with the config file as it is now."""
    if session.broken is not None:
        yield Finding(Level.WARNING, Monitor.CONFIG, {"count": len(session.broken.problems)})


def _judge_folders(status: Status) -> Iterator[Finding]:
    down = [one for one in status.folders if one.watch == "down"]
    own = [one.folder.name for one in down if one.other is None]
    if own:
        yield Finding(Level.CRITICAL, Monitor.DOWN, {"names": _list(own)})
    others = [f"{one.folder.name} @ {one.node}" for one in down if one.other is not None]
    if others:  # their nodes are lost, and a check on this host does not show why
        yield Finding(Level.CRITICAL, Monitor.UNWATCHED, {"names": _list(others)})
    polled = [
        one.folder.name for one in status.folders if (one.folder.watch, one.watch) == ("inotify", "poll")
    ]
    if polled:
        yield Finding(Level.WARNING, Monitor.POLLED, {"names": _list(polled)})


def _judge_deliveries(status: Status) -> Iterator[Finding]:
    counts = [status.direct, *(one.counts for one in status.folders)]
    failed = sum(one[State.FAILED] for one in counts) + status.unmapped
    if failed:
        yield Finding(Level.CRITICAL, Monitor.FAILED, {"count": failed})
    if uncertain := sum(one[State.UNCERTAIN] for one in counts):
        yield Finding(Level.CRITICAL, Monitor.UNCERTAIN, {"count": uncertain})
    if held := sum(status.held.values()):
        yield Finding(Level.CRITICAL, Monitor.HELD, {"count": held, "names": _list(list(status.held))})


def _list(names: list[str]) -> str:
    return ", ".join(names[:_MOST_NAMES]) + (", …" if len(names) > _MOST_NAMES else "")


def _describe(session: Session, status: Status) -> str:
    waiting = sum(one.counts[state] for one in status.folders for state in IN_WORK)
    text, values = quota.describe(status.use)
    watched = session.render(Monitor.WELL, count=len(status.folders), waiting=waiting)
    return session.render(Monitor.BETWEEN).join((watched, session.render(text, **values)))
