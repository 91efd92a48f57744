"""`dingwatch send`: sends files now, even if they were sent before."""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Final

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from dingwatch import files, host, names
from dingwatch.cli.context import Session, command, option
from dingwatch.dingtalk import REFUSED_EXTENSIONS
from dingwatch.ledger import Store, pauses, versions
from dingwatch.ledger.delivery import Delivery, find_causes, find_deliveries
from dingwatch.ledger.versions import NewVersion
from dingwatch.lifecycle import State
from dingwatch.model import Cause, Failure, Fingerprint, Rejected, Scope
from dingwatch.payload import choose_payload
from dingwatch.recipients import can_receive_files
from dingwatch.service import deliver, finished, payload_policy
from dingwatch.texts import Cli, Text
from dingwatch.watch import is_steady

LOOK_SECONDS: Final = 0.1
"""How often the ledger is read while the service delivers."""


@dataclass(frozen=True, slots=True)
class Given:
    """A file that was named on the command line, as it was read."""

    path: bytes
    fingerprint: Fingerprint
    digest: str


@command(secret_needed=True)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@option(Cli.OPT_TO, "--to", "target", required=True, metavar="CONVERSATION|FOLDER")
def send(session: Session, *, files: tuple[Path, ...], target: str) -> int:
    """Send the files; return 0 when all of them were sent."""
    recipients = _recipients(session, target)
    given = _read_all(session, files)
    with session.store() as store:
        ids = _write(session, store, given, recipients)
        try:
            session.poke()
            rows = _await(session, store, ids)
        except KeyboardInterrupt:
            session.fail(Cli.SEND_ENDED)
        return _report(session, store, rows)


def _recipients(session: Session, target: str) -> tuple[str, ...]:
    """Return the recipients that are meant; of a folder's, those that take files."""
    folder = next((one for one in session.config.folders if one.name == target), None)
    if folder is not None:
        words = tuple(word for word in folder.recipients if can_receive_files(word))
        return words or session.fail(Cli.NO_FILES, name=target)
    if not can_receive_files(target):
        session.fail(Cli.NO_TARGET, name=target, names=", ".join(session.folder_names))
    return (target,)


def _read_all(session: Session, paths: tuple[Path, ...]) -> list[Given]:
    """Read every file's digest; report all that cannot be read before anything is written to the ledger."""
    given, bad = [], []
    for path in paths:
        try:
            given.append(_read(path))
        except Failure as failure:
            cause = failure.verdict.cause
            shown = names.readable(os.fsencode(path))
            bad.append(session.render(Cli.FILE_BAD, cause, path=shown, reason=cause.code))
    if bad:
        click.echo("\n".join(bad), err=True)
        sys.exit(1)
    return given


def _read(path: Path) -> Given:
    # The service runs in another directory, so the ledger needs the absolute path. Only the directory is
    # resolved: a link itself is not sent.
    above, name = os.path.split(os.path.abspath(os.fsencode(path)))
    directory = os.path.realpath(above)
    whole = os.path.join(directory, name)
    _require_no_link(whole)
    with closing(files.open_root(directory, steady=is_steady(directory))) as root:
        fingerprint = files.observe(root, name)
        if fingerprint.size == 0:
            raise Failure(Rejected(Cause("empty", "", "EMPTY_GIVEN")))
        return Given(whole, fingerprint, files.digest(root, name, fingerprint))


def _require_no_link(path: bytes) -> None:
    """Raise Failure for a link, and where nothing is; reading tells of what else may be wrong."""
    try:
        is_link = stat.S_ISLNK(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        raise Failure(Rejected(Cause("absent", "", "NOTHING_GIVEN"))) from None
    except OSError:
        return
    if is_link:
        raise Failure(Rejected(Cause("link", "", "LINK_GIVEN")))


def _write(session: Session, store: Store, given: list[Given], recipients: tuple[str, ...]) -> list[int]:
    now = time.time()
    policy = payload_policy(session.config, None, None)
    with store.writing() as connection:
        refused = pauses.list_refused_extensions(connection, policy.app) | REFUSED_EXTENSIONS
        new = [
            NewVersion(
                # Without a folder, so that no change of the config takes its recipients away.
                folder=None,
                path=one.path,
                fingerprint=one.fingerprint,
                digest=one.digest,
                noticed_at=now,
                settled_at=now,
                payload=choose_payload(
                    os.path.basename(one.path), one.fingerprint.size, one.digest, policy, refused
                ),
                recipients=recipients,
            )
            for one in given
        ]
        return versions.add(store, connection, new, now)


def _await(session: Session, store: Store, ids: list[int]) -> list[Delivery]:
    """Wait until the running service has delivered them; deliver them here if none runs."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    out = Console(stderr=True)
    with Progress(*columns, console=out, disable=not out.is_terminal, transient=True) as progress:
        task = progress.add_task(session.render(Cli.SENDING), total=len(ids))

        def done(count: int) -> None:
            progress.update(task, completed=count)

        reporter = PauseReporter(session)
        # The service may start or end while `send` waits: whoever gets the lock delivers.
        while True:
            reporter.report(store)
            try:
                deliver(session.config, ids, done)
            except host.LockedError:
                _watch(session, store, ids, done, reporter)
            rows = _rows(store, ids)
            if all(finished(session.config, row) for row in rows):
                return rows


def _watch(
    session: Session, store: Store, ids: list[int], done: Callable[[int], None], reporter: PauseReporter
) -> None:
    """Watch the service deliver; return when all is done, or when the service has ended."""
    pause = Event()
    while session.ask("wake") is not None:
        reporter.report(store)
        rows = _rows(store, ids)
        count = sum(finished(session.config, row) for row in rows)
        done(count)
        if count == len(rows):
            return
        pause.wait(LOOK_SECONDS)


class PauseReporter:
    """Prints each pause once, so that a `send` that waits for hours says what it waits for."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._reported: set[tuple[Scope, str]] = set()

    def report(self, store: Store) -> None:
        """Print the pauses that have begun since the last call."""
        with store.reading() as connection:
            found = pauses.list_pauses(connection)
        for pause in found:
            if (pause.scope, pause.key) not in self._reported:
                self._reported.add((pause.scope, pause.key))
                click.echo(self._session.describe_pause(pause, time.time()), err=True)


def _rows(store: Store, ids: list[int]) -> list[Delivery]:
    with store.reading() as connection:
        found = find_deliveries(connection, ids)
    return [found[i] for i in ids]


_RESULTS: dict[State, Text] = {State.SENT: Cli.FILE_SENT, State.UNCERTAIN: Cli.FILE_UNCERTAIN}


def _report(session: Session, store: Store, rows: list[Delivery]) -> int:
    with store.reading() as connection:
        found = find_causes(connection, [row.id for row in rows])
    for row in rows:
        cause = found.get(row.id)
        # A delivery that was withdrawn, say, has no cause: its state is the reason.
        values = {} if cause else {"reason": str(row.state), "advice": ""}
        text = _RESULTS.get(row.state, Cli.FILE_NOT_SENT)
        path = names.readable(row.path)
        click.echo(session.render(text, cause, id=row.id, path=path, conversation=row.recipient, **values))
    return 0 if all(row.state is State.SENT for row in rows) else 1
