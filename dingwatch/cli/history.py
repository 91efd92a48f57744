"""`dingwatch history`: what was sent and what was not, newest first."""

from __future__ import annotations

import json

from rich.table import Table

from dingwatch import policy
from dingwatch.cli.context import Session, console, print_line
from dingwatch.cli.status import instant
from dingwatch.ledger import report
from dingwatch.ledger.report import Line
from dingwatch.texts import Cli


def history(session: Session, *, as_json: bool, folder: str | None, state: str | None, limit: int) -> int:
    """Print the newest lines."""
    names = [one.name for one in session.config.folders]
    if folder is not None and folder not in names:
        session.fail(Cli.NO_FOLDER, name=folder, names=", ".join(names))
    lines = _lines(session, folder, state, limit)
    if as_json:
        for line in lines:
            print_line(json.dumps(_values(session, line), ensure_ascii=False))
    else:
        _show(session, lines)
    return 0


def _lines(session: Session, folder: str | None, state: str | None, limit: int) -> list[Line]:
    if not session.ledger_exists:
        return []
    with session.store() as store, store.reading() as connection:
        scope = session.scope(store)
        ids = {name: number for number, name in scope.names.items()}
        number = ids[folder] if folder is not None else None
        return report.history(connection, scope, folder=number, state=state, limit=limit)


def _values(session: Session, line: Line) -> dict[str, object]:
    error = line.error
    return {
        "id": line.id,
        "folder": line.folder,
        "path": policy.readable(line.path),
        "conversation_id": line.conversation_id,
        "state": line.state,
        "size": line.size,
        "sha256": line.sha256,
        "attempts": line.attempts,
        "error": None
        if error is None
        else {"code": error.code, "message": error.message, "advice": session.advice(error.advice)},
        "uncertain_resent": line.uncertain_resent,
        "noticed_at": instant(line.noticed_at),
        "sent_at": None if line.sent_at is None else instant(line.sent_at),
    }


def _show(session: Session, lines: list[Line]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in (Cli.COL_ID, Cli.COL_NOTICED, Cli.COL_STATE, Cli.COL_FOLDER, Cli.COL_PATH, Cli.COL_WHY):
        table.add_column(session.say(heading), no_wrap=heading is not Cli.COL_WHY, overflow="fold")
    for line in lines:
        why = "" if line.error is None else f"{line.error.code} {session.advice(line.error.advice)}"
        path = _plain(policy.readable(line.path))
        table.add_row(str(line.id), instant(line.noticed_at)[:19], line.state, line.folder or "–", path, why)
    console().print(table)


def _plain(name: str) -> str:
    """A hostile name must not move the cursor or open markup."""
    return "".join(c if c.isprintable() else "�" for c in name).replace("[", "\\[")
