"""`dingwatch ledger`: copies of the ledger, and whether one is sound."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path
from shlex import quote
from typing import NoReturn

import click

from dingwatch import names
from dingwatch.cli.context import Session, command, command_group
from dingwatch.cli.full_disk import is_full
from dingwatch.cli.ledger_access import fail_ledger, ledger_exists, open_store
from dingwatch.cli.ledger_copy import copy_ledger
from dingwatch.cli.output import print_line, readable_path
from dingwatch.config.database import describe_address, is_address, libpq_uri
from dingwatch.host.owner import calling_user
from dingwatch.ledger import LedgerError, Store
from dingwatch.ledger.integrity import BACKUPS, backups
from dingwatch.ledger.schema import SCHEMA
from dingwatch.ledger.verification import MOST, DefectKind, Verified, copy, verify, verify_on_server
from dingwatch.texts import Cli, Text, Upkeep
from dingwatch.watch import holding, mounts

_KINDS: dict[DefectKind, Text] = {
    DefectKind.DAMAGED: Upkeep.DAMAGED,
    DefectKind.FOREIGN: Upkeep.FOREIGN,
    DefectKind.STATE: Upkeep.STATE,
    DefectKind.EVENT: Upkeep.EVENT,
    DefectKind.COUNTER: Upkeep.COUNTER,
}


@command()
@click.argument("target", metavar="FILE", type=click.Path(path_type=Path))
def backup(session: Session, *, target: Path) -> int:
    """Copy the ledger, and verify the copy."""
    if not session.ledger_in_file:
        session.fail(Upkeep.BACKUP_ON_SERVER, command=_dump_command(session, target))
    if not ledger_exists(session):
        session.fail(Upkeep.NO_LEDGER, path=readable_path(session.ledger_path))
    try:
        found = copy(session.ledger_path, target)
    except LedgerError as error:
        fail_ledger(session, error)
    except OSError as error:
        _fail(session, target, error)
    print_line(session.render(Upkeep.COPIED, path=readable_path(target), **_counts(found)))
    return _report(session, target, found)


def _dump_command(session: Session, target: Path) -> str:
    """Return what backs up a ledger on a server."""
    uri = libpq_uri(session.ledger_address)
    return f"pg_dump --format=custom --file={quote(str(target))} --dbname={quote(uri)}"


def _fail(session: Session, target: Path, error: OSError) -> NoReturn:
    """End the command because the copy cannot be written."""
    shown = readable_path(target)
    if isinstance(error, FileExistsError):
        session.fail(Upkeep.EXISTS, path=shown)
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        session.fail(Upkeep.NO_DIRECTORY, path=readable_path(target.absolute().parent))
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        disk = holding(os.fsencode(target.absolute().parent.resolve()), mounts()).point
        session.fail(Upkeep.DISK_FULL, path=shown, disk=names.readable(disk))
    session.fail(
        Upkeep.NOT_WRITTEN, path=shown, reason=error.strerror or type(error).__name__, user=calling_user()
    )


@command()
@click.argument("file", metavar="[FILE]", required=False, type=click.Path(path_type=Path))
def verify_ledger(session: Session, *, file: Path | None) -> int:
    """Print whether a ledger is sound."""
    if file is None and not session.ledger_in_file:
        return _verify_on_server(session)
    if file is None and not ledger_exists(session):
        session.fail(Upkeep.NO_LEDGER, path=readable_path(session.ledger_path))
    path = file or session.ledger_path
    if not path.is_file():
        session.fail(Upkeep.NO_FILE, path=readable_path(path))
    try:
        found = verify(path)
    except LedgerError as error:
        if is_full(error, path):
            fail_ledger(session, error)
        if error.cause.code == "SQLITE_NOTADB" and not _is_ledger(session, path):
            directory = readable_path(session.ledger_path.with_name(BACKUPS))
            reason, shown = session.reason(error.cause), readable_path(path)
            print_line(session.render(Upkeep.NO_COPY, path=shown, reason=reason, directory=directory))
            return 1
        print_line(session.render(Upkeep.UNREADABLE, error.cause, path=readable_path(path)))
        _advise(session, path)
        return 1
    if not found.defects:
        print_line(session.render(Upkeep.SOUND, path=readable_path(path), **_counts(found)))
    return _report(session, path, found)


def _verify_on_server(session: Session) -> int:
    place = session.ledger_place
    if not ledger_exists(session):
        session.fail(Upkeep.NO_LEDGER_ON_SERVER, path=place)
    with open_store(session) as store:
        found = verify_on_server(store)
    if not found.defects:
        print_line(session.render(Upkeep.SOUND, path=place, **_counts(found)))
    return _report(session, place, found)


def _is_ledger(session: Session, path: Path) -> bool:
    """Return whether this is the ledger of the configuration, and not a copy of it."""
    return path.resolve() == session.ledger_path.resolve()


def _report(session: Session, path: Path | str, found: Verified) -> int:
    """Print each defect, and what to do; return the exit code. A ledger on a server has no path."""
    for kind, text in _KINDS.items():
        places = [one.where for one in found.defects if one.kind is kind]
        if places:
            more = "…" if len(places) >= MOST else ""
            shown = readable_path(path) if isinstance(path, Path) else path
            print_line(session.render(text, path=shown, where="; ".join(places) + more))
    if isinstance(path, Path) and any(one.kind is DefectKind.DAMAGED for one in found.defects):
        _advise(session, path)
    elif found.defects:
        print_line(session.render(Upkeep.INCONSISTENT))
    return 1 if found.defects else 0


def _advise(session: Session, path: Path) -> None:
    """Print from what a damaged ledger can be restored."""
    ledger = session.ledger_path
    others = [one for one in backups(ledger) if one != path.absolute()]
    if others:
        print_line(
            session.render(Upkeep.RESTORE, backup=readable_path(others[0]), ledger=readable_path(ledger))
        )
    else:
        print_line(session.render(Upkeep.NO_BACKUP, directory=readable_path(ledger.parent)))


def _counts(found: Verified) -> dict[str, int]:
    return {"schema": found.schema, "versions": found.versions, "deliveries": found.deliveries}


@command()
@click.argument("url", metavar="[URL]", required=False)
def upgrade(session: Session, *, url: str | None) -> int:
    """Create or change the tables of a ledger on a server, as the role in the URL may."""
    if url is not None and not is_address(url):
        session.fail(Upkeep.URL_ODD, argument="URL")
    if url is None and session.ledger_in_file:
        session.fail(Upkeep.UPGRADE_ALONE)
    # The owner of the tables may make them before there is a config, and on a host that never has one.
    address, node = (session.ledger_address, session.node) if url is None else (url, socket.gethostname())
    try:
        Store.open(address, node).close()
    except LedgerError as error:
        session.fail(Cli.LEDGER_FAILED, error.cause, path=describe_address(address))
    print_line(session.render(Upkeep.UPGRADED, path=describe_address(address), schema=SCHEMA))
    return 0


ledger = command_group(
    "ledger",
    {
        "backup": (backup, Upkeep.BACKUP),
        "copy": (copy_ledger, Upkeep.COPY),
        "upgrade": (upgrade, Upkeep.UPGRADE),
        "verify": (verify_ledger, Upkeep.VERIFY),
    },
)
