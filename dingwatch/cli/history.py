"""`dingwatch history`: what was sent and what was not, newest first."""

from __future__ import annotations

import csv
import difflib
import io
import json
import sys
from collections.abc import Iterator, Mapping
from itertools import chain, zip_longest
from typing import Any, Final

import click
from rich.table import Table

from dingwatch import names
from dingwatch.cli.context import Session, command, option
from dingwatch.cli.ledger_access import find_scope, ledger_exists, open_store
from dingwatch.cli.options import WHEN, Span, complete_folders
from dingwatch.cli.output import local_time, print_line
from dingwatch.cli.tables import STYLES, PlainTable, cell, console
from dingwatch.ledger import report
from dingwatch.ledger.report import HistoryQuery, Line
from dingwatch.lifecycle import BASELINE, State
from dingwatch.notice_text import human_size
from dingwatch.service.lines import line_error, line_json
from dingwatch.texts import Cli

_STATES: Final = [*map(str, State), BASELINE]
_MOST_ROWS: Final = 2**63 - 1
"""SQLite's largest LIMIT."""


@command()
@option(Cli.OPT_JSON, "--json", "as_json", is_flag=True)
@option(Cli.OPT_CSV, "--csv", "as_csv", is_flag=True)
@option(Cli.OPT_FOLDER, "--folder", metavar="NAME", shell_complete=complete_folders)
@option(Cli.OPT_STATE, "--state", type=click.Choice(_STATES))
@option(Cli.OPT_RECIPIENT, "--recipient", metavar="R")
@option(Cli.OPT_SEARCH, "--search", metavar="TEXT", default="")
@option(Cli.OPT_SINCE, "--since", metavar="WHEN", type=WHEN)
@option(Cli.OPT_UNTIL, "--until", metavar="WHEN", type=WHEN)
@option(Cli.OPT_LIMIT, "--limit", metavar="N", type=click.IntRange(0), default=20, show_default=True)
def history(  # noqa: PLR0913 (each is an option)
    session: Session,
    *,
    as_json: bool,
    as_csv: bool,
    folder: str | None,
    state: str | None,
    recipient: str | None,
    search: str,
    since: Span | None,
    until: Span | None,
    limit: int,
) -> int:
    """Print the newest lines."""
    if as_json and as_csv:
        raise click.UsageError(session.render(Cli.ONE_LIST_FORMAT))
    if since is not None and until is not None and since.start >= until.end:
        raise click.UsageError(session.render(Cli.SINCE_AFTER_UNTIL))
    query = HistoryQuery(
        folder,
        state,
        min(limit, _MOST_ROWS),
        since=None if since is None else since.start,
        until=None if until is None else until.end,
        recipient=None if recipient is None else _require_recipient(session, recipient),
        search=search,
    )
    pages = _read(session, query)
    if as_json:
        for line in chain.from_iterable(pages):
            print_line(json.dumps(line_json(session, line), ensure_ascii=False))
    elif as_csv:
        _print_csv(session, pages)
    else:
        _print_table(session, pages)
    return 0


def _require_recipient(session: Session, written: str) -> str:
    """Return the id of a recipient, who may be named by an alias; end the command for what is neither."""
    from dingwatch.recipients import is_recipient  # noqa: PLC0415 (slow, and needed with this option alone)

    aliases = session.aliases
    recipient = aliases.get(written, written)
    if not is_recipient(recipient):
        if nearest := difflib.get_close_matches(written, aliases, 1, 0.0):
            session.fail(Cli.NO_ALIAS, name=written, nearest=nearest[0])
        session.fail(Cli.NO_RECIPIENT, name=written)
    return recipient


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


_COLUMNS: Final = (
    *("id", "folder", "path", "conversation_id", "state", "size", "sha256", "attempts"),
    *("error_code", "error_message", "error_advice", "uncertain_resent", "noticed_at", "sent_at", "bundle"),
    "node",
)
"""Of `--csv`: the keys of `--json`."""
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""First characters of a formula in Excel. A hostile file name could start with one and run it."""


def _print_csv(session: Session, pages: Iterator[list[Line]]) -> None:
    """Print CSV as RFC 4180 has it, in UTF-8, page by page."""
    _print_rows([_COLUMNS])
    for page in pages:
        _print_rows([_cells(line_json(session, line)) for line in page])


def _cells(line: Mapping[str, Any]) -> list[object]:
    error = line["error"] or {}
    flat = {**line, **{f"error_{key}": error.get(key) for key in ("code", "message", "advice")}}
    return [_inert(flat[name]) for name in _COLUMNS]


def _inert(value: object) -> object:
    """Return what a cell shows; an apostrophe keeps a spreadsheet from running it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _print_rows(rows: list[Any]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    click.echo(text.getvalue(), nl=False)
    sys.stdout.flush()


_WHOLE: Final = (Cli.COL_ID, Cli.COL_NOTICED, Cli.COL_STATE, Cli.COL_SIZE)
"""Columns that never wrap: people copy an id to `retry`."""
_FOLDED: Final = (Cli.COL_FOLDER, Cli.COL_PATH, Cli.COL_CONVERSATION)


def _print_table(session: Session, pages: Iterator[list[Line]]) -> None:
    """Print a table page by page, as the pages are read."""
    out = console()
    if not out.is_terminal:
        _print_plain(session, pages)
        return
    for number, page in enumerate(pages):
        headings = _headings(session)
        table = Table(box=None, pad_edge=False, header_style="bold", show_header=number == 0)
        for place, heading in enumerate(headings):
            table.add_column(heading, no_wrap=place < len(_WHOLE), overflow="fold")
        for line in page:
            words = _words(session, line)
            styles = ("", "", STYLES.get(line.state, ""))
            table.add_row(*(cell(word, style) for word, style in zip_longest(words, styles, fillvalue="")))
        out.print(table)


def _print_plain(session: Session, pages: Iterator[list[Line]]) -> None:
    """Print for a pipe."""
    table = PlainTable()
    for number, page in enumerate(pages):
        rows = [_words(session, line) for line in page]
        table.print(rows if number else [_headings(session), *rows])


def _headings(session: Session) -> list[str]:
    # Not before the first page is there: until then the language of the config is not known.
    nodes = () if session.ledger_in_file else (Cli.COL_NODE,)
    return [session.render(one) for one in (*_WHOLE, *_FOLDED, *nodes, Cli.COL_WHY)]


def _words(session: Session, line: Line) -> list[str]:
    return [
        str(line.id),
        local_time(line.noticed_at),
        line.state,
        human_size(line.size),
        line.folder or "–",
        names.readable(line.path),
        "–" if line.recipient is None else session.name_of(line.recipient),
        *(() if session.ledger_in_file else (line.node or "–",)),
        _why(session, line),
    ]


def _why(session: Session, line: Line) -> str:
    # A sent delivery may keep the cause of an earlier attempt, which nobody needs to act on any more.
    error = line_error(line)
    if line.moved_to is not None:
        return session.render(Cli.HISTORY_MOVED, place=names.readable(line.moved_to))
    if error is None or line.state == State.SENT:
        return ""
    return session.render(Cli.HISTORY_WHY, cause=session.reason(error), advice=session.advice(error.advice))
