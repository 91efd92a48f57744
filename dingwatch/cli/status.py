"""`dingwatch status`: the daemon, each folder, what is paused, and what the month has used."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.table import Table

from dingwatch import host, policy
from dingwatch.cli.context import Session, console, print_line
from dingwatch.config import Folder
from dingwatch.dingtalk import BILLED
from dingwatch.ledger import outbox, report
from dingwatch.lifecycle import State
from dingwatch.model import Pause
from dingwatch.service import LOCK_FILE
from dingwatch.texts import Cli

COUNTED = (*(str(state) for state in State), "settling", "baseline")


@dataclass(frozen=True, slots=True)
class Standing:
    """Everything that `status` shows."""

    pid: int | None
    folders: tuple[tuple[Folder, str, Counter[str]], ...]
    totals: Counter[str]
    pauses: tuple[Pause, ...]
    month: str
    used: int
    limit: int | None


def status(session: Session, *, as_json: bool) -> int:
    """Print how everything stands."""
    standing = _standing(session)
    if as_json:
        print_line(json.dumps(_values(standing), ensure_ascii=False))
    else:
        _show(session, standing)
    return 0


def _standing(session: Session) -> Standing:
    config = session.config
    month = policy.day(time.time())[:7]
    pid = host.lock_holder(config.state_dir / LOCK_FILE)
    counted: dict[int | None, Counter[str]] = {}
    ids: dict[str, int] = {}
    pauses: tuple[Pause, ...] = ()
    used = 0
    if session.ledger_exists:
        with session.store() as store, store.reading() as connection:
            scope = session.scope(store)
            ids = {name: number for number, name in scope.names.items()}
            counted = report.counts(connection, scope)
            pauses = tuple(outbox.all_pauses(connection))
            used = report.calls_of(connection, month, sorted(BILLED))
    live = json.loads(session.ask("status") or "{}").get("folders", {}) if pid is not None else {}
    folders = tuple(_folder(folder, ids.get(folder.name), counted, live) for folder in config.folders)
    totals = sum((counts for _, _, counts in folders), Counter(counted.get(None, Counter())))
    return Standing(pid, folders, totals, pauses, month, used, config.dingtalk.monthly_calls)


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


def _values(standing: Standing) -> dict[str, object]:
    return {
        "daemon": {"running": standing.pid is not None, "pid": standing.pid},
        "folders": [
            {
                "name": folder.name,
                "path": os.fspath(folder.path),
                "conversation_ids": list(folder.conversation_ids),
                "watch": watch,
                "counts": {state: counts[state] for state in COUNTED},
            }
            for folder, watch, counts in standing.folders
        ],
        "totals": {state: standing.totals[state] for state in COUNTED},
        "pauses": [
            {
                "scope": pause.scope,
                "key": pause.key,
                "until": instant(pause.until),
                "reason": f"{pause.cause.code} {pause.cause.message}".strip(),
            }
            for pause in standing.pauses
        ],
        "api_calls": {"month": standing.month, "used": standing.used, "limit": standing.limit},
    }


def instant(at: float) -> str:
    """Return an instant as ISO 8601 in UTC."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _show(session: Session, standing: Standing) -> None:
    out = console()
    running = Cli.RUNNING if standing.pid is not None else Cli.NOT_RUNNING
    out.print(session.say(running, pid=standing.pid))
    table = Table(box=None, pad_edge=False)
    for heading in (
        Cli.COL_FOLDER,
        Cli.COL_WATCH,
        Cli.COL_SENT,
        Cli.COL_WAITING,
        Cli.COL_TROUBLE,
        Cli.COL_PATH,
    ):
        table.add_column(session.say(heading), no_wrap=True)
    for folder, watch, counts in standing.folders:
        table.add_row(folder.name, watch, str(counts["sent"]), *_summary(counts), os.fspath(folder.path))
    out.print(table)
    for pause in standing.pauses:
        out.print(
            session.say(
                Cli.PAUSE,
                scope=pause.scope,
                key=pause.key,
                until=instant(pause.until),
                code=pause.cause.code,
                message=pause.cause.message,
                advice=session.advice(pause.cause.advice),
            ),
            markup=False,
        )
    limit = standing.limit if standing.limit is not None else "∞"
    out.print(session.say(Cli.CALLS, month=standing.month, used=standing.used, limit=limit))


def _summary(counts: Counter[str]) -> tuple[str, str]:
    waiting = sum(counts[s] for s in ("settling", "pending", "uploading", "uploaded", "sending"))
    trouble = ", ".join(f"{s} {counts[s]}" for s in ("failed", "uncertain", "skipped") if counts[s])
    return str(waiting), trouble or "–"
