"""`dingwatch history`: what was sent and what was not, newest first."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain, zip_longest
from typing import Final

import click
from rich.cells import cell_len
from rich.table import Table

from dingwatch import names
from dingwatch.cli.context import Session, command, option
from dingwatch.cli.ledger_access import find_scope, ledger_exists, open_store
from dingwatch.cli.output import (
    iso_time,
    local_time,
    of_unwatched_file,
    print_line,
    printable,
)
from dingwatch.cli.tables import STYLES, cell, console
from dingwatch.ledger import report
from dingwatch.ledger.report import HistoryQuery, Line
from dingwatch.lifecycle import BASELINE, State
from dingwatch.model import Cause
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
    pages = _read(session, HistoryQuery(folder, state, limit))
    if as_json:
        for line in chain.from_iterable(pages):
            print_line(json.dumps(_json(session, line), ensure_ascii=False))
    else:
        _print_table(session, pages)
    return 0


def _read(session: Session, query: HistoryQuery) -> Iterator[list[Line]]:
    """Yield the lines in pages, so that the first are printed while the last have not been read."""
    if not ledger_exists(session):
        if query.folder is not None:
            session.require_folder(query.folder)
        yield []
        return
    with open_store(session) as store:
        scope = find_scope(session, store)
        # A folder that left the configuration still has its history, so the ledger's names count too.
        if query.folder is not None and scope.number(query.folder) is None:
            session.require_folder(query.folder)
        yield from report.pages(store, scope, query)


def _json(session: Session, line: Line) -> dict[str, object]:
    error = _error(line)
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


_WHOLE: Final = (Cli.COL_ID, Cli.COL_NOTICED, Cli.COL_STATE)
"""Columns that never wrap: people copy an id to `retry`."""
_FOLDED: Final = (Cli.COL_FOLDER, Cli.COL_PATH, Cli.COL_CONVERSATION, Cli.COL_WHY)


def _print_table(session: Session, pages: Iterator[list[Line]]) -> None:
    """Print a table page by page, as the pages are read."""
    out = console()
    headings = [session.render(one) for one in (*_WHOLE, *_FOLDED)]
    if not out.is_terminal:
        _print_plain(session, headings, pages)
        return
    for number, page in enumerate(pages):
        table = Table(box=None, pad_edge=False, header_style="bold", show_header=number == 0)
        for place, heading in enumerate(headings):
            table.add_column(heading, no_wrap=place < len(_WHOLE), overflow="fold")
        for line in page:
            words = _words(session, line)
            styles = ("", "", STYLES.get(line.state, ""))
            table.add_row(*(cell(word, style) for word, style in zip_longest(words, styles, fillvalue="")))
        out.print(table)


def _print_plain(session: Session, headings: list[str], pages: Iterator[list[Line]]) -> None:
    """Print for a pipe, where no line wraps: rich would need minutes for half a million of them."""
    widths = [cell_len(heading) for heading in headings]
    rows = [headings]
    for page in pages:
        rows += [[printable(word) for word in _words(session, line)] for line in page]
        # Each page has the widths of all that was printed so far, and nobody waits for the widest to be read.
        widths = [max(width, *map(cell_len, words)) for width, *words in zip(widths, *rows, strict=True)]
        for row in rows:
            padded = (word + " " * (width - cell_len(word)) for word, width in zip(row, widths, strict=True))
            print_line("  ".join(padded).rstrip())
        rows = []


def _words(session: Session, line: Line) -> list[str]:
    return [
        str(line.id),
        local_time(line.noticed_at),
        line.state,
        line.folder or "–",
        names.readable(line.path),
        line.recipient or "–",
        _why(session, line),
    ]


def _why(session: Session, line: Line) -> str:
    # A sent delivery may keep the cause of an earlier attempt, which nobody needs to act on any more.
    error = _error(line)
    if error is None or line.state == State.SENT:
        return ""
    return session.render(Cli.HISTORY_WHY, cause=session.reason(error), advice=session.advice(error.advice))


def _error(line: Line) -> Cause | None:
    """Return the last cause of a line; `send` has no folder, and no watch that would send its file later."""
    if line.error is None or line.folder is not None:
        return line.error
    return of_unwatched_file(line.error)
