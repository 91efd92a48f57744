"""`dingwatch status --watch`: what the service does, as a live view on a terminal."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stderr, suppress
from dataclasses import dataclass
from threading import Event
from typing import Any, Final

import click
from rich.console import Console, ConsoleDimensions, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text as Markup

from dingwatch import names
from dingwatch.cli.context import Session
from dingwatch.cli.ledger_access import find_scope, ledger_exists, open_store
from dingwatch.cli.output import local_time
from dingwatch.cli.status import heading, notes, read_status
from dingwatch.cli.tables import STYLES, cell
from dingwatch.delivery.drives import parts_for
from dingwatch.ledger import activity
from dingwatch.ledger.activity import Active
from dingwatch.lifecycle import IN_WORK, State
from dingwatch.notice_text import human_size
from dingwatch.service.overview import Status
from dingwatch.texts import Monitor, Text, describe_span

SECONDS: Final = 1.0
"""How often the view is renewed."""
_LEAST_ROWS: Final = 3
_OTHER_ROWS: Final = 10
"""Lines that a view has besides the rows of its four lists."""


_WIDE: Final = 100
"""Columns from which on there is room for a bar beside names of usual length."""
_WAITS: Final = {
    "changing": Monitor.CHANGING,
    "being_written": Monitor.BEING_WRITTEN,
    "locked": Monitor.LOCKED,
}
"""Reasons why a settling file waits; anything else is shown by its code."""


@dataclass(frozen=True, slots=True)
class View:
    """All that is shown at one moment."""

    status: Status
    now: float
    in_hand: Sequence[Active]
    waiting: Sequence[Active]
    sent: Sequence[Active]
    settling: Sequence[tuple[int, str, float, str]]
    """The folder, the path, the seconds so far, and what it waits for (empty where nothing is known)."""
    folders: Mapping[int, str]


def watch(session: Session) -> int:
    """Show the view until ^C."""
    if not sys.stdout.isatty():
        session.fail(Monitor.NO_TERMINAL)
    session.state_dir  # noqa: B018 (a bad config ends the command before the screen is cleared)
    out = Console(highlight=False, markup=False, emoji=False)
    said = io.StringIO()
    try:
        with suppress(KeyboardInterrupt), Live(console=out, screen=True, auto_refresh=False) as live:
            _show(session, live, said)
    except SystemExit:
        # What other functions say before they end the command would vanish with the screen.
        click.echo(said.getvalue(), nl=False, err=True)
        raise
    return 0


def _show(session: Session, live: Live, said: io.StringIO) -> None:
    """Renew the view for ever; what would be written to stderr, across the view, goes to `said`."""
    pause = Event()
    while True:
        size = live.console.size  # the terminal may have been resized
        # A new session each time: the service may have been restarted, and the config edited.
        now = Session(session.file, session.language, secret_needed=session.secret_needed)
        said.seek(0)
        said.truncate()
        with redirect_stderr(said):
            view = read_view(now, size.height)
        live.update(render(now, view, size), refresh=True)
        pause.wait(SECONDS)


def read_view(session: Session, height: int) -> View:
    """Read what is shown on so many lines."""
    most = max(_LEAST_ROWS, (height - _OTHER_ROWS) // 4)
    status = read_status(session)
    settling = _read_settling(session, most) if status.running else []
    if not ledger_exists(session):
        return View(status, time.time(), [], [], [], settling, {})
    with open_store(session) as store:
        folders = find_scope(session, store).names
        with store.reading() as connection:
            return View(
                status,
                time.time(),
                activity.list_in_hand(connection, most),
                activity.list_waiting(connection, most),
                activity.list_sent(connection, most),
                settling,
                folders,
            )


def _read_settling(session: Session, most: int) -> list[tuple[int, str, float, str]]:
    answer: dict[str, Any] = session.ask("activity", most=most) or {}
    return [tuple(one) for one in answer.get("settling", [])]


def render(session: Session, view: View, size: ConsoleDimensions) -> RenderableType:
    """Return the view; what does not fit is left out from below."""
    lines: list[RenderableType] = [heading(session, view.status)]
    if session.broken is not None:
        broken = session.render(Monitor.CONFIG, count=len(session.broken.problems))
        lines.append(cell(broken, "bold red"))
    lines += list(notes(session, view.status))[: max(1, size.height // 4)]
    waiting = sum(view.status.direct[state] for state in IN_WORK) + sum(
        one.counts[state] for one in view.status.folders for state in IN_WORK
    )
    settling = sum(one.counts["settling"] for one in view.status.folders)
    parts: list[tuple[Text, int, Iterator[Sequence[RenderableType]]]] = [
        (Monitor.IN_HAND, len(view.in_hand), _in_hand_rows(session, view, wide=size.width >= _WIDE)),
        (Monitor.SETTLING, settling, _settling_rows(session, view)),
        (Monitor.IN_QUEUE, max(0, waiting - len(view.in_hand)), _waiting_rows(session, view)),
        (Monitor.LAST_SENT, len(view.sent), _sent_rows(session, view)),
    ]
    for text, count, rows in parts:
        lines.append(Markup())
        lines.append(cell(session.render(text, count=count), "bold"))
        table = Table.grid(padding=(0, 2))
        for row in rows:
            table.add_row(*row)
        lines.append(table)
    return Group(*lines)


def _what(session: Session, view: View, one: Active) -> tuple[Markup, Markup, Markup, Markup]:
    return (
        cell(view.folders.get(one.folder or 0, "–")),
        cell(names.readable(one.path)),
        cell(human_size(one.size)),
        cell(f"→ {session.name_of(one.recipient)}"),
    )


def _in_hand_rows(session: Session, view: View, *, wide: bool) -> Iterator[Sequence[RenderableType]]:
    for one in view.in_hand:
        seconds = describe_span(max(0.0, view.now - (one.at or view.now)), session.language)
        total = len(parts_for(one.size))
        progress: RenderableType = Markup()
        if one.state is State.UPLOADING and total > 1:
            progress = percent = cell(f"{100 * one.parts // total} %")
            if wide:
                progress = Table.grid(padding=(0, 1))
                progress.add_row(ProgressBar(total, one.parts, width=20), percent)
        yield *_what(session, view, one), cell(str(one.state)), cell(seconds), progress


def _settling_rows(session: Session, view: View) -> Iterator[Sequence[RenderableType]]:
    for folder, path, age, reason in view.settling:
        seconds = describe_span(age, session.language)
        waits = session.render(_WAITS[reason]) if reason in _WAITS else reason
        yield cell(view.folders.get(folder, "–")), cell(path), cell(seconds), cell(waits, "yellow")


def _waiting_rows(session: Session, view: View) -> Iterator[Sequence[RenderableType]]:
    for one in view.waiting:
        until = "" if one.at is None or one.at <= view.now else local_time(one.at)
        yield *_what(session, view, one), cell(str(one.state)), cell(until)


def _sent_rows(session: Session, view: View) -> Iterator[Sequence[RenderableType]]:
    for one in view.sent:
        at = "" if one.at is None else local_time(one.at)
        yield *_what(session, view, one), cell(at, STYLES[State.SENT])
