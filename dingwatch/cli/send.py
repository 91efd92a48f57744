"""`dingwatch send`: sends files now, whatever is known of them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from dingwatch import files, host, names
from dingwatch.cli.context import Session
from dingwatch.cli.status import paused
from dingwatch.dingtalk import REFUSED_EXTENSIONS
from dingwatch.ledger import Store, pauses, versions
from dingwatch.ledger.delivery import Delivery, find_causes, find_deliveries
from dingwatch.ledger.versions import NewVersion
from dingwatch.lifecycle import State
from dingwatch.model import Failure, Fingerprint, Scope
from dingwatch.payload import choose_payload
from dingwatch.recipients import can_receive_files
from dingwatch.service import deliver, finished, payload_policy
from dingwatch.texts import Cli, Text

LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Given:
    """A file that was named on the command line, as it was found and read."""

    path: bytes
    fingerprint: Fingerprint
    digest: str


def send(session: Session, paths: tuple[Path, ...], target: str) -> int:
    """Send the files; return 0 when all of them were sent."""
    conversations = _conversations(session, target)
    given = _read_all(session, paths)
    with session.store() as store:
        ids = _write(session, store, given, conversations)
        try:
            session.poke()
            rows = _await(session, store, ids)
        except KeyboardInterrupt:
            session.fail(Cli.SEND_ENDED)
        return _report(session, store, rows)


def _conversations(session: Session, target: str) -> tuple[str, ...]:
    """Return the recipients; a custom robot of a folder is none, for it takes no files."""
    folder = next((one for one in session.config.folders if one.name == target), None)
    if folder is not None:
        words = tuple(word for word in folder.recipients if can_receive_files(word))
        return words or session.fail(Cli.NO_FILES, name=target)
    if not can_receive_files(target):
        names = ", ".join(one.name for one in session.config.folders)
        session.fail(Cli.NO_TARGET, name=target, names=names)
    return (target,)


def _read_all(session: Session, paths: tuple[Path, ...]) -> list[Given]:
    """Read every file's digest; what cannot be read is reported together, before anything is written."""
    given, bad = [], []
    for path in paths:
        try:
            given.append(_read(path))
        except Failure as failure:
            cause = failure.verdict.cause
            bad.append(
                session.say(
                    Cli.FILE_BAD,
                    path=names.readable(os.fsencode(path)),
                    reason=cause.code,
                    advice=session.advice(cause.advice),
                )
            )
    if bad:
        click.echo("\n".join(bad), err=True)
        sys.exit(1)
    return given


def _read(path: Path) -> Given:
    whole = os.fsencode(os.path.realpath(path))
    directory, name = os.path.split(whole)
    with closing(files.open_root(directory)) as root:
        fingerprint = files.observe(root, name)
        return Given(whole, fingerprint, files.digest(root, name, fingerprint))


def _write(session: Session, store: Store, given: list[Given], conversations: tuple[str, ...]) -> list[int]:
    now = time.time()
    code = payload_policy(session.config, None, None)
    with store.writing() as connection:
        refused = pauses.list_refused_extensions(connection, code.app) | REFUSED_EXTENSIONS
        new = [
            NewVersion(
                folder=None,
                path=one.path,
                fingerprint=one.fingerprint,
                digest=one.digest,
                noticed_at=now,
                settled_at=now,
                payload=choose_payload(
                    os.path.basename(one.path), one.fingerprint.size, one.digest, code, refused
                ),
                recipients=conversations,
            )
            for one in given
        ]
        return versions.add(store, connection, new, now)


def _await(session: Session, store: Store, ids: list[int]) -> list[Delivery]:
    """Wait until the daemon has delivered them; deliver them here where none runs."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    out = Console(stderr=True)
    with Progress(*columns, console=out, disable=not out.is_terminal, transient=True) as progress:
        task = progress.add_task(session.say(Cli.SENDING), total=len(ids))

        def done(count: int) -> None:
            progress.update(task, completed=count)

        told = Told(session)
        while True:
            told.look(store)
            try:
                deliver(session.config, ids, done)
            except host.LockedError:
                _watch(session, store, ids, done, told)
            rows = _rows(store, ids)
            if all(finished(session.config, row) for row in rows):
                return rows


def _watch(session: Session, store: Store, ids: list[int], done: Callable[[int], None], told: Told) -> None:
    """Look on while the daemon delivers; return when all is done, or the daemon has gone."""
    pause = Event()
    while session.ask("wake") is not None:
        told.look(store)
        rows = _rows(store, ids)
        count = sum(finished(session.config, row) for row in rows)
        done(count)
        if count == len(rows):
            return
        pause.wait(LOOK_SECONDS)


class Told:
    """Tells of what the daemon is waiting for, each pause once: else `send` would wait without a word."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: set[tuple[Scope, str]] = set()

    def look(self, store: Store) -> None:
        """Tell of the pauses that have begun."""
        with store.reading() as connection:
            found = pauses.list_pauses(connection)
        for pause in found:
            if (pause.scope, pause.key) not in self._known:
                self._known.add((pause.scope, pause.key))
                click.echo(paused(self._session, pause, time.time()), err=True)


def _rows(store: Store, ids: list[int]) -> list[Delivery]:
    with store.reading() as connection:
        found = find_deliveries(connection, ids)
    return [found[i] for i in ids]


_SAID: dict[State, Text] = {State.SENT: Cli.FILE_SENT, State.UNCERTAIN: Cli.FILE_UNCERTAIN}


def _report(session: Session, store: Store, rows: list[Delivery]) -> int:
    with store.reading() as connection:
        found = find_causes(connection, [row.id for row in rows])
    for row in rows:
        cause = found.get(row.id)
        click.echo(
            session.say(
                _SAID.get(row.state, Cli.FILE_NOT_SENT),
                id=row.id,
                path=names.readable(row.path),
                conversation=row.recipient,
                reason=session.reason(cause) if cause else str(row.state),
                advice=session.advice(cause.advice) if cause else "",
            )
        )
    return 0 if all(row.state is State.SENT for row in rows) else 1
