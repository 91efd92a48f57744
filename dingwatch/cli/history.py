"""`dingwatch history`: what was sent and what was not, newest first."""

from __future__ import annotations

import json
from typing import Final

import click
from rich.table import Table

from dingwatch import names
from dingwatch.cli.context import Session, command, option
from dingwatch.cli.output import STYLES, cell, console, iso_time, local_time, print_line
from dingwatch.ledger import report
from dingwatch.ledger.report import BASELINE, HistoryQuery, Line
from dingwatch.lifecycle import State
from dingwatch.texts import Cli

_STATES: Final = [*map(str, State), BASELINE]
_MOST_ROWS: Final = 2**63 - 1
"""SQLite's largest LIMIT."""


@command()
@option(Cli.OPT_JSON, "--json", "as_json", is_flag=True)
@option(Cli.OPT_FOLDER, "--folder", metavar="NAME")
@option(Cli.OPT_STATE, "--state", type=click.Choice(_STATES))
@option(
    Cli.OPT_LIMIT, "--limit", metavar="N", type=click.IntRange(0, _MOST_ROWS), default=20, show_default=True
)
def history(session: Session, *, as_json: bool, folder: str | None, state: str | None, limit: int) -> int:
    """Print the newest lines."""
    lines = _read(session, HistoryQuery(folder, state, limit))
    if as_json:
        for line in lines:
            print_line(json.dumps(_json(session, line), ensure_ascii=False))
    else:
        _print_table(session, lines)
    return 0


def _read(session: Session, query: HistoryQuery) -> list[Line]:
    if not session.ledger_exists:
        if query.folder is not None:
            session.require_folder(query.folder)
        return []
    with session.store() as store:
        scope = session.scope(store)
        # A folder that left the configuration still has its history, so the ledger's names count too.
        if query.folder is not None and scope.number(query.folder) is None:
            session.require_folder(query.folder)
        with store.reading() as connection:
            return report.lines(connection, scope, query)


def _json(session: Session, line: Line) -> dict[str, object]:
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
        "noticed_at": iso_time(line.noticed_at),
        "sent_at": None if line.sent_at is None else iso_time(line.sent_at),
    }


def _print_table(session: Session, lines: list[Line]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    # On a narrow terminal the others wrap: an id must stay whole, for people copy it to `retry`.
    for heading in (Cli.COL_ID, Cli.COL_NOTICED, Cli.COL_STATE):
        table.add_column(session.render(heading), no_wrap=True)
    for heading in (Cli.COL_FOLDER, Cli.COL_PATH, Cli.COL_CONVERSATION, Cli.COL_WHY):
        table.add_column(session.render(heading), overflow="fold")
    for line in lines:
        table.add_row(
            cell(str(line.id)),
            cell(local_time(line.noticed_at)),
            cell(line.state, STYLES.get(line.state, "")),
            cell(line.folder or "–"),
            cell(names.readable(line.path)),
            cell(line.recipient or "–"),
            cell(_why(session, line)),
        )
    console().print(table)


def _why(session: Session, line: Line) -> str:
    # A sent delivery may keep the cause of an earlier attempt, which nobody needs to act on any more.
    if line.error is None or line.state == State.SENT:
        return ""
    advice = session.advice(line.error.advice)
    return session.render(Cli.HISTORY_WHY, cause=session.reason(line.error), advice=advice)
