"""`dingwatch ledger copy`: moves the ledger to another database."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

import click

from dingwatch.cli.context import EXIT_CONFIG, Session, command, option
from dingwatch.cli.options import NODE
from dingwatch.cli.output import print_line, readable_path
from dingwatch.cli.tables import PlainTable
from dingwatch.config import database
from dingwatch.config.values import ConfigError
from dingwatch.host.lock import LOCK_FILE, Lock, LockedError
from dingwatch.host.owner import become_owner_of
from dingwatch.ledger import LedgerError, Store, sqlite_url
from dingwatch.ledger.copying import SHOWN, Refusal, RefusedError, TableProof, TargetError, copy
from dingwatch.ledger.store import Use
from dingwatch.texts import Text, Upkeep

_REFUSALS: Final[dict[Refusal, Text]] = {
    Refusal.IN_USE: Upkeep.COPY_NODES,
    Refusal.SAME: Upkeep.COPY_SAME,
    Refusal.NOT_EMPTY: Upkeep.COPY_NOT_EMPTY,
    Refusal.LEFT: Upkeep.COPY_LEFT,
    Refusal.UNKNOWN_NODE: Upkeep.COPY_UNKNOWN_NODE,
    Refusal.AMBIGUOUS: Upkeep.COPY_AMBIGUOUS,
    Refusal.DIFFERS: Upkeep.COPY_DIFFERS,
}
_OF_SOURCE: Final = frozenset({Refusal.IN_USE, Refusal.UNKNOWN_NODE})
"""Refusals that are about the ledger that is copied."""
_FILE_SCHEME: Final = "sqlite:///"


@command()
@option(Upkeep.OPT_NODE, "--node", metavar="NAME", type=NODE)
@click.argument("source", metavar="FROM-URL")
@click.argument("target", metavar="TO-URL")
def copy_ledger(session: Session, *, source: str, target: str, node: str | None) -> int:
    """Copy the ledger, prove the copy, and retire the original."""
    name = node or _own_node(session)
    read, written = _parse(session, "FROM-URL", source), _parse(session, "TO-URL", target)
    files = [one.file for one in (read, written) if one.file is not None]
    if files:
        become_owner_of(files[0].parent)
    if read.file is not None and not read.file.is_file():
        session.fail(Upkeep.SOURCE_MISSING, path=readable_path(read.file))
    with ExitStack() as stack:
        for directory in dict.fromkeys(one.parent.resolve() for one in files):
            _lock(session, stack, directory)
        proofs = _copy(session, stack, read, written, name)
    _print(session, proofs, read, written)
    return 0


def _own_node(session: Session) -> str:
    """Return this host's name on a shared ledger."""
    try:
        _ = session.file
    except ConfigError:  # the ledger may be copied on a host that never had one
        return socket.gethostname()
    return session.config.node or socket.gethostname()


@dataclass(frozen=True, slots=True)
class _Address:
    """Where a ledger is: for the driver, and without its password for people."""

    url: str
    shown: str
    file: Path | None = None
    """Of a SQLite ledger."""


def _parse(session: Session, argument: str, text: str) -> _Address:
    """Return the address of a ledger; what is none ends the command.

    It is not shown then: it may hold a password.
    """
    path = text.removeprefix(_FILE_SCHEME)
    if text.startswith(_FILE_SCHEME) and path:
        file = Path(path).absolute()
        return _Address(sqlite_url(file), sqlite_url(file), file)
    if not database.is_address(text):
        session.fail(Upkeep.URL_ODD, argument=argument)
    complete, wrong = database.resolve(database.Sources.of(text, os.environ), needed=True)
    if wrong:
        _refuse(session, wrong[0].text, wrong[0].values)
    return _Address(complete, database.strip_password(text))


def _lock(session: Session, stack: ExitStack, directory: Path) -> None:
    """Keep services away from the SQLite ledger in a directory."""
    lock = Lock(directory / LOCK_FILE)
    try:
        lock.acquire()
    except LockedError as error:
        session.fail(Upkeep.COPY_RUNNING, pid=error.pid, ledger=readable_path(directory))
    except OSError as error:
        session.fail(Upkeep.COPY_NO_LOCK, path=readable_path(directory), reason=error.strerror or "")
    stack.callback(lock.release)


def _copy(
    session: Session, stack: ExitStack, read: _Address, written: _Address, node: str
) -> list[TableProof]:
    """Copy the ledger; what prevents it ends the command."""
    about = read
    try:
        source = _open(stack, read, node, Use.SOURCE)
        about = written
        target = _open(stack, written, node, Use.TARGET)
        about = read
        return copy(source, target, node, written.shown)
    except TargetError as error:
        _fail(session, error, read, written)
    except LedgerError as error:
        _fail(session, error, read, about)
    except RefusedError as error:
        about = read if error.refusal in _OF_SOURCE else written
        values = {**error.values, "ledger": about.shown, "how": _how_to_empty(session, written)}
        _refuse(session, _REFUSALS[error.refusal], values)


def _open(stack: ExitStack, address: _Address, node: str, use: Use) -> Store:
    store = Store.open(address.url, node, use)
    stack.callback(store.close)
    return store


def _fail(session: Session, error: LedgerError, read: _Address, about: _Address) -> NoReturn:
    """End the command because a ledger cannot be used, or was moved elsewhere before."""
    code = EXIT_CONFIG if error.cause.advice == "LEDGER_MOVED" else 1
    session.fail(Upkeep.COPY_FAILED, error.cause, exit_code=code, source=read.shown, ledger=about.shown)


def _refuse(session: Session, text: Text, values: Mapping[str, object]) -> NoReturn:
    click.echo(session.render(text, **values), err=True)
    sys.exit(1)


def _how_to_empty(session: Session, target: _Address) -> str:
    if target.file is None:
        return session.render(Upkeep.EMPTY_DATABASE)
    return session.render(Upkeep.EMPTY_FILE, path=readable_path(target.file))


def _print(session: Session, proofs: Sequence[TableProof], read: _Address, written: _Address) -> None:
    """Print what both ledgers have, and what to do now."""
    if proofs:
        headings = [session.render(one) for one in (Upkeep.COPY_TABLE, Upkeep.COPY_ROWS, Upkeep.COPY_DIGEST)]
        rows = [[one.name, str(one.rows), one.digest[:SHOWN]] for one in proofs]
        PlainTable().print([headings, *rows])
    values = {"source": read.shown, "target": written.shown}
    print_line(session.render(Upkeep.MOVED if proofs else Upkeep.MOVED_BEFORE, **values))
    if written.file is None:
        print_line(session.render(Upkeep.MOVED_TO_SERVER, **values))
    else:
        print_line(session.render(Upkeep.MOVED_TO_FILE, directory=readable_path(written.file.parent)))
