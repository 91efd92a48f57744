"""`dingwatch send`: sends files now, even if they were sent before."""

from __future__ import annotations

import difflib
import os
import stat
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from math import inf
from pathlib import Path
from threading import Event
from typing import Final

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from dingwatch import files, names
from dingwatch.cli.context import Session, command, option
from dingwatch.cli.ledger_access import open_store, read_clock, write
from dingwatch.cli.options import DURATION, complete_folders
from dingwatch.cli.output import of_unwatched_file
from dingwatch.delivery import list_blocking, needs_a_person
from dingwatch.dingtalk import REFUSED_EXTENSIONS
from dingwatch.host.lock import LockedError
from dingwatch.ledger import LedgerError, Store, commands, pauses, versions
from dingwatch.ledger.delivery import Delivery, find_causes, find_deliveries
from dingwatch.ledger.nodes import is_drained
from dingwatch.ledger.versions import NewVersion
from dingwatch.lifecycle import IN_WORK, State
from dingwatch.model import Cause, Failure, Fingerprint, Pause, Rejected, Scope
from dingwatch.payload import choose_payload
from dingwatch.recipients import can_receive_files
from dingwatch.service.delivering import OUTAGE_SECONDS, deliver, finished
from dingwatch.service.folders import payload_policy
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
@option(
    Cli.OPT_TO,
    "--to",
    "target",
    required=True,
    shell_complete=complete_folders,
    metavar="CONVERSATION|FOLDER",
)
@option(Cli.OPT_TIMEOUT, "--timeout", type=DURATION, default=inf, metavar="DURATION")
def send(session: Session, *, files: tuple[Path, ...], target: str, timeout: float) -> int:
    """Send the files; return 0 when all of them were sent."""
    recipients = _recipients(session, target)
    given = _read_all(session, files)
    with open_store(session, writes=True) as store:
        _require_not_drained(session, store)
        ids = write(session, lambda: _write(session, store, given, recipients))
        try:
            session.poke()
            rows = _await(session, store, ids, timeout)
        except KeyboardInterrupt:
            session.fail(Cli.SEND_ENDED)
        return _report(session, store, rows)


def _require_not_drained(session: Session, store: Store) -> None:
    """End the command on a host that was drained: it would wait until a person thinks of that."""
    with store.reading() as connection:
        if is_drained(connection):
            session.fail(Cli.NODE_DRAINING, node=store.node, word=names.shell_word(store.node))


def _recipients(session: Session, target: str) -> tuple[str, ...]:
    """Return the recipients that are meant; of a folder's, those that take files."""
    folder = next((one for one in session.config.folders if one.name == target), None)
    if folder is not None:
        words = tuple(word for word in folder.recipients if can_receive_files(word))
        return words or session.fail(Cli.NO_FILES, name=target)
    recipient = session.config.aliases.get(target, target)
    if not can_receive_files(recipient):
        known = [*session.folder_names, *session.config.aliases]
        nearest = difflib.get_close_matches(target, known, 1) or known[:1] or ["cid…"]
        session.fail(Cli.NO_TARGET, name=target, nearest=nearest[0], names=", ".join(known))
    return (recipient,)


def _read_all(session: Session, paths: tuple[Path, ...]) -> list[Given]:
    """Read every file's digest; report all that cannot be read before anything is written to the ledger."""
    given, bad = [], []
    for path in paths:
        try:
            given.append(_read(path))
        except Failure as failure:
            cause = of_unwatched_file(failure.verdict.cause)
            shown = names.readable(path)
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
    with closing(files.open_root(directory, steady=partial(is_steady, directory))) as root:
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
    now = read_clock(store)
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
        ids = versions.add(store, connection, new, now)
        rows, paused = find_deliveries(connection, ids).values(), pauses.list_pauses(connection)
        # Somebody may have removed the cause since the last refusal, and asks for a try now.
        held = [pause for pause in paused if any(list_blocking(row, [pause]) for row in rows)]
        pauses.probe_some(connection, [pause for pause in held if needs_a_person(pause)])
        return ids


def _await(session: Session, store: Store, ids: list[int], timeout: float) -> list[Delivery]:
    """Wait until the running service has delivered them; deliver them here if none runs."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    out = Console(stderr=True)
    with Progress(*columns, console=out, disable=not out.is_terminal, transient=True) as progress:
        task = progress.add_task(session.render(Cli.SENDING), total=len(ids))
        wait = Wait(
            session,
            store,
            ids,
            time.monotonic() + timeout,
            lambda done: progress.update(task, completed=done),
        )
        # The service may start or end while `send` waits: whoever gets the lock delivers.
        while wait.look() is not None:
            try:
                deliver(session.config, wait.look)
            except LockedError:
                _watch(session, wait)
    return wait.rows()


def _watch(session: Session, wait: Wait) -> None:
    """Watch the service deliver; return when all is done, or when the service has ended.

    Raises:
        LedgerError: the service could not write its ledger for some seconds.
    """
    pause, written_at = Event(), time.monotonic()
    while (answer := session.ask("wake")) is not None and wait.look() is not None:
        if (error := answer.get("ledger")) is None:
            written_at = time.monotonic()
        elif time.monotonic() - written_at >= OUTAGE_SECONDS:
            raise LedgerError(Cause(**error))
        pause.wait(LOOK_SECONDS)


@dataclass(slots=True)
class Wait:
    """A person's wait for deliveries, which ends early where only another person could go on."""

    session: Session
    store: Store
    ids: list[int]
    until: float
    """The monotonic time at which it is over; infinity if it may take as long as it takes."""
    show: Callable[[int], None]
    """Hears how many deliveries are done."""
    reported: set[tuple[Scope, str]] = field(default_factory=set)

    def look(self) -> float | None:
        """Give up what is not worth waiting for; return seconds until the next look, None if all is done."""
        over = time.monotonic() >= self.until
        with self.store.reading() as connection:
            paused = pauses.list_pauses(connection)
            causes = find_causes(connection, self.ids)
        rows = self.rows()
        self._report(rows, paused)
        now = read_clock(self.store)
        given_up = {
            row.id: cause
            for row in rows
            if row.state in commands.NOT_LEFT
            and (cause := reason_to_give_up(list_blocking(row, paused), causes.get(row.id), now, over=over))
        }
        if given_up:
            write(self.session, lambda: commands.give_up(self.store, given_up, now))
            rows = self.rows()
        waiting = [row for row in rows if not self._is_done(row, over=over)]
        self.show(len(rows) - len(waiting))
        if not waiting:
            return None
        return inf if over else self.until - time.monotonic()

    def rows(self) -> list[Delivery]:
        """Return the deliveries as they are now."""
        with self.store.reading() as connection:
            found = find_deliveries(connection, self.ids)
        return [found[i] for i in self.ids]

    def _is_done(self, row: Delivery, *, over: bool) -> bool:
        # The service will resend an uncertain one, in half a minute or when DingTalk answers again.
        return finished(self.session.config, row) or (over and row.state is State.UNCERTAIN)

    def _report(self, rows: Sequence[Delivery], paused: Sequence[Pause]) -> None:
        """Print each pause once that holds something back: a `send` may wait for hours."""
        held = [row for row in rows if row.state in IN_WORK]
        for pause in paused:
            if (pause.scope, pause.key) not in self.reported and any(
                list_blocking(row, [pause]) for row in held
            ):
                self.reported.add((pause.scope, pause.key))
                click.echo(self.session.describe_pause(pause, time.time()), err=True)


_FOR_A_PERSON: Final = frozenset({"FILE_FORBIDDEN"})
"""Advice of causes that hold a single row back until a person acts."""


def reason_to_give_up(
    blocking: Sequence[Pause], cause: Cause | None, now: float, *, over: bool
) -> Cause | None:
    """Return why a delivery is given up that has not begun to leave; None if it is worth waiting for.

    Args:
        blocking: the pauses that hold it back.
        cause: what it was last refused for.
        now: the wall-clock time.
        over: whether the person waits no longer.
    """
    lasting = [pause.cause for pause in blocking if pause.until > now and needs_a_person(pause)]
    if cause is not None and cause.advice in _FOR_A_PERSON:
        lasting.append(cause)
    if not lasting and not over:
        return None
    known = [*lasting, *(pause.cause for pause in blocking), *([cause] if cause is not None else [])]
    if not known:
        return Cause("gave_up", "", "GAVE_UP")
    reason = known[0]
    return Cause(
        "gave_up", f"{reason.code} {reason.message}".strip(), reason.advice or "GAVE_UP", reason.request_id
    )


_RESULTS: dict[State, Text] = {State.SENT: Cli.FILE_SENT, State.UNCERTAIN: Cli.FILE_UNCERTAIN}


def _report(session: Session, store: Store, rows: list[Delivery]) -> int:
    with store.reading() as connection:
        found = find_causes(connection, [row.id for row in rows])
    for row in rows:
        cause = of_unwatched_file(found[row.id]) if row.id in found else None
        # A delivery that was withdrawn, say, has no cause: its state is the reason.
        values = {} if cause else {"reason": str(row.state), "advice": ""}
        text = _RESULTS.get(row.state, Cli.FILE_NOT_SENT)
        path = names.readable(row.path)
        click.echo(session.render(text, cause, id=row.id, path=path, conversation=row.recipient, **values))
    return 0 if all(row.state is State.SENT for row in rows) else 1
