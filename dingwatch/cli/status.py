"""`dingwatch status`: the daemon, each folder, what is paused, and what the month has used."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.table import Table
from rich.text import Text as Markup

from dingwatch import host, quota
from dingwatch.cli.context import STYLES, Session, cell, console, local, print_line
from dingwatch.config import Folder
from dingwatch.dingtalk import BILLED, WEBHOOK_BILLED
from dingwatch.ledger import calls, pauses, report
from dingwatch.ledger.folders import count_held
from dingwatch.lifecycle import State
from dingwatch.model import Pause, Scope
from dingwatch.service import LOCK_FILE
from dingwatch.texts import Calls, Cli

COUNTED = (*(str(state) for state in State), "settling", "baseline")


@dataclass(frozen=True, slots=True)
class Standing:
    """Everything that `status` shows."""

    pid: int | None
    folders: tuple[tuple[Folder, str, Counter[str]], ...]
    direct: Counter[str]
    """What `send` was given."""
    left: int
    """Deliveries of folders that are no longer in the configuration."""
    pauses: tuple[Pause, ...]
    held: Mapping[str, int]
    """How many deliveries `hold_over` holds, by the folder's name."""
    unsettled: tuple[tuple[str, float], ...]
    """Files that do not come to rest, and for how many seconds."""
    use: quota.Use
    """The month's calls against its quota."""
    by_api: Counter[str]
    """How often each API was called this month, billed or not."""

    @property
    def webhook_calls(self) -> int:
        """How many calls count against the quota of webhooks."""
        return sum(self.by_api[api] for api in WEBHOOK_BILLED)


def status(session: Session, *, as_json: bool) -> int:
    """Print how everything stands."""
    standing = standing_of(session)
    if as_json:
        print_line(json.dumps(_values(session, standing), ensure_ascii=False))
    else:
        _show(session, standing)
    return 0


def standing_of(session: Session) -> Standing:
    """Gather it from the ledger and the running daemon."""
    config, now = session.config, time.time()
    pid = host.lock_holder(config.state_dir / LOCK_FILE)
    counted: dict[int | None, Counter[str]] = {}
    ids: dict[str, int] = {}
    paused_now: tuple[Pause, ...] = ()
    held: Counter[int] = Counter()
    by_api: Counter[str] = Counter()
    if session.ledger_exists:
        with session.store() as store, store.reading() as connection:
            scope = session.scope(store)
            ids = dict(scope.ids)
            counted = report.counts(connection, scope)
            paused_now = tuple(pauses.list_pauses(connection))
            held = count_held(connection)
            by_api = calls.by_api(connection, quota.month(now))
    live = json.loads(session.ask("status") or "{}") if pid is not None else {}
    watching = live.get("folders", {})
    folders = tuple(_folder(folder, ids.get(folder.name), counted, watching) for folder in config.folders)
    direct = counted.pop(None, Counter())
    left = sum(counts[State.FAILED] for number, counts in counted.items() if number not in ids.values())
    return Standing(
        pid=pid,
        folders=folders,
        direct=direct,
        left=left,
        pauses=paused_now,
        held={name: held[number] for name, number in ids.items() if held[number]},
        unsettled=tuple((path, age) for _, path, age in live.get("unsettled", [])),
        use=quota.use(sum(by_api[api] for api in BILLED), config.dingtalk.monthly_calls, now),
        by_api=by_api,
    )


def _folder(
    folder: Folder,
    number: int | None,
    counted: dict[int | None, Counter[str]],
    live: dict[str, dict[str, object]],
) -> tuple[Folder, str, Counter[str]]:
    now = live.get(str(number), {})
    counts = Counter(counted.get(number, Counter())) if number is not None else Counter[str]()
    counts["settling"] = int(str(now.get("settling", 0)))
    return folder, str(now.get("watch", "down")), counts


def _values(session: Session, standing: Standing) -> dict[str, object]:
    totals = sum((counts for _, _, counts in standing.folders), Counter(standing.direct))
    return {
        "daemon": {"running": standing.pid is not None, "pid": standing.pid},
        "folders": [
            {
                "name": folder.name,
                "path": os.fspath(folder.path),
                "conversation_ids": list(folder.recipients),
                "watch": watch,
                "counts": {state: counts[state] for state in COUNTED},
            }
            for folder, watch, counts in standing.folders
        ],
        "totals": {state: totals[state] for state in COUNTED},
        "pauses": [
            # `retry` sets a pause that is to be probed at once to end in 1970.
            {
                "scope": pause.scope,
                "until": instant(max(pause.until, pause.since)),
                "reason": _reason(session, pause),
            }
            for pause in standing.pauses
        ]
        + [
            # No instant ends it: a person does.
            {"scope": Scope.FOLDER, "until": None, "reason": session.say(Cli.HELD, name=name, count=count)}
            for name, count in standing.held.items()
        ],
        "api_calls": _calls(standing),
        "webhook_calls": {
            "month": standing.use.month,
            "used": standing.webhook_calls,
            "limit": quota.WEBHOOK_LIMIT,
        },
    }


def _calls(standing: Standing) -> dict[str, object]:
    use = standing.use
    return {
        "month": use.month,
        "used": use.used,
        "limit": use.limit,
        "left": use.left,
        "runs_out_on": None if use.runs_out_on is None else use.runs_out_on.isoformat(),
        "by_api": {api: count for api, count in sorted(standing.by_api.items()) if api in BILLED},
    }


def instant(at: float) -> str:
    """Return an instant as ISO 8601 in UTC."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _reason(session: Session, pause: Pause) -> str:
    """Say why something is paused, what is, and what a person can do."""
    cause, advice = session.reason(pause.cause), session.advice(pause.cause.advice)
    return session.say(Cli.PAUSE_REASON, cause=cause, key=pause.key, advice=advice).strip()


def paused(session: Session, pause: Pause, now: float) -> str:
    """Return the line that tells people of a pause."""
    until = local(pause.until) if pause.until > now else session.say(Cli.AT_ONCE)
    return session.say(Cli.PAUSE, scope=pause.scope, until=until, reason=_reason(session, pause))


def _show(session: Session, standing: Standing) -> None:
    out = console()
    running = standing.pid is not None
    said = session.say(Cli.RUNNING if running else Cli.NOT_RUNNING, pid=standing.pid)
    out.print(cell(said, "green" if running else "bold red"))
    out.print(_table(session, standing))
    for line in _notes(session, standing):
        out.print(line)


def _table(session: Session, standing: Standing) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(session.say(Cli.COL_FOLDER), overflow="fold")
    table.add_column(session.say(Cli.COL_WATCH), no_wrap=True)
    for heading in (Cli.COL_SENT, Cli.COL_WAITING, Cli.COL_BASELINE):
        table.add_column(session.say(heading), no_wrap=True, justify="right")
    for heading in (Cli.COL_TROUBLE, Cli.COL_PATH):
        table.add_column(session.say(heading), overflow="fold")
    for folder, watch, counts in standing.folders:
        _add(table, folder.name, watch, counts, os.fspath(folder.path))
    if standing.direct:
        _add(table, session.say(Cli.DIRECT), "–", standing.direct, "–")
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
    open_ = counts - Counter({State.SKIPPED: counts[report.NOTICED]})
    found = [s for s in (State.FAILED, State.UNCERTAIN, State.SKIPPED) if open_[s]]
    return Markup(", ").join(cell(f"{s} {open_[s]}", STYLES[s]) for s in found) or cell("–")


def _notes(session: Session, standing: Standing) -> Iterator[Markup]:
    if told := sum(counts[report.NOTICED] for _, _, counts in standing.folders):
        yield cell(session.say(Cli.TOLD, count=told))
    if standing.left:
        yield cell(session.say(Cli.LEFT, count=standing.left), "bold red")
    now = time.time()
    for pause in standing.pauses:
        yield cell(paused(session, pause, now), "yellow")
    for name, count in standing.held.items():
        yield cell(session.say(Cli.HELD, name=name, count=count), "bold red")
    for path, age in standing.unsettled:
        yield cell(session.say(Cli.UNSETTLED, path=path, hours=int(age // 3600)), "yellow")
    yield from _calls_notes(session, standing)


def _calls_notes(session: Session, standing: Standing) -> Iterator[Markup]:
    use = standing.use
    text, values = quota.told(use)
    refused = any(pause.cause.advice == "QUOTA" and pause.until > time.time() for pause in standing.pauses)
    if refused:  # whatever was counted here: other apps count too
        text = Calls.REFUSED
    serious = refused or quota.crossed(0, use.used, use.limit) is not None
    yield cell(session.say(text, **values), "bold red" if serious else "")
    if count := standing.webhook_calls:
        values = {"month": use.month, "used": count, "limit": quota.WEBHOOK_LIMIT}
        yield cell(session.say(Calls.WEBHOOK, **values))
