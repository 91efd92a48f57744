"""`dingwatch history`: what was sent and what was not, newest first."""

from __future__ import annotations

import json

from rich.table import Table

from dingwatch import names
from dingwatch.cli.context import STYLES, Session, cell, console, local, print_line
from dingwatch.cli.status import instant
from dingwatch.ledger import Store, report
from dingwatch.ledger.report import Line, Scope
from dingwatch.model import Cause
from dingwatch.texts import Cli


def history(session: Session, *, as_json: bool, folder: str | None, state: str | None, limit: int) -> int:
    """Print the newest lines."""
    lines = _lines(session, folder, state, limit)
    if as_json:
        for line in lines:
            print_line(json.dumps(_values(session, line), ensure_ascii=False))
    else:
        _show(session, lines)
    return 0


def _lines(session: Session, folder: str | None, state: str | None, limit: int) -> list[Line]:
    if not session.ledger_exists:
        _number(session, None, folder)
        return []
    with session.store() as store:
        return _found(session, store, folder, state, limit)


def _found(session: Session, store: Store, folder: str | None, state: str | None, limit: int) -> list[Line]:
    scope = session.scope(store)
    number = _number(session, scope, folder)
    if folder is not None and number is None:
        return []  # the configuration has it, and the ledger does not know it yet
    with store.reading() as connection:
        return report.lines(connection, scope, folder=number, state=state, limit=limit)


def _number(session: Session, scope: Scope | None, folder: str | None) -> int | None:
    """Return a folder's number in the ledger; a name that nobody knows ends the command."""
    names = [one.name for one in session.config.folders]
    number = scope.number(folder) if scope is not None and folder is not None else None
    if folder is not None and number is None and folder not in names:
        session.fail(Cli.NO_FOLDER, name=folder, names=", ".join(names))
    return number


def _values(session: Session, line: Line) -> dict[str, object]:
    error = line.error
    return {
        "id": line.id,
        "folder": line.folder,
        "path": names.readable(line.path),
        "conversation_id": line.recipient,
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
    table = Table(box=None, pad_edge=False, header_style="bold")
    # On a narrow terminal it is these that give way: an id must stay whole, it is what `retry` takes.
    for heading in (Cli.COL_ID, Cli.COL_NOTICED, Cli.COL_STATE):
        table.add_column(session.say(heading), no_wrap=True)
    for heading in (Cli.COL_FOLDER, Cli.COL_PATH, Cli.COL_CONVERSATION, Cli.COL_WHY):
        table.add_column(session.say(heading), overflow="fold")
    for line in lines:
        why = "" if line.error is None else _why(session, line.error)
        table.add_row(
            cell(str(line.id)),
            cell(local(line.noticed_at)),
            cell(line.state, STYLES.get(line.state, "")),
            cell(line.folder or "–"),
            cell(names.readable(line.path)),
            cell(line.recipient or "–"),
            cell(why if line.state != "sent" else ""),
        )
    console().print(table)


def _why(session: Session, error: Cause) -> str:
    """Return the last cause for people."""
    return session.say(Cli.HISTORY_WHY, cause=session.reason(error), advice=session.advice(error.advice))
