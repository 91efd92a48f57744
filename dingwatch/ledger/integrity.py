"""Checks of a SQLite ledger before it is opened, and its backups.

A missing or damaged ledger is never replaced by an empty one: every file in the folders would either be sent
again, or count as a baseline and never be sent.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from dingwatch.ledger.sqlite import errors, sqlite_address
from dingwatch.model import Cause, LedgerError

BACKUPS: Final = "backups"
"""The directory beside the ledger that holds its backups."""
ROOM: Final = 2
"""How many times the ledger's size must be free for a backup, which must not fill the disk."""
KEPT: Final = 3
"""How many backups are kept, one a day."""


def require_present(path: Path) -> bool:
    """Return whether there is a ledger; False at the first start.

    Raises:
        LedgerError: `missing`: there is none, but there are backups of one, or its log.
    """
    if path.exists() and path.stat().st_size > 0:
        return True
    if backups(path) or _has_log(path):
        raise LedgerError(Cause("missing", str(path), "LEDGER_MISSING"))
    return False


def _has_log(path: Path) -> bool:
    """Return whether a ledger's log is there, which SQLite deletes when it makes a new ledger beside it."""
    log = path.with_name(path.name + "-wal")
    return log.exists() and log.stat().st_size > 0


def require_whole(path: Path) -> None:
    """Check the ledger, if there is one, before it is opened.

    Raises:
        LedgerError: `damaged`, `missing`, or it cannot be read.
    """
    if not require_present(path):
        return
    # Opening it applies the write-ahead log beside it, which may hold the newest pages.
    with errors(), closing(sqlite3.connect(sqlite_address(path), uri=True, timeout=5.0)) as connection:
        (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if said != "ok":
        raise LedgerError(Cause("damaged", " ".join(said.split()), "LEDGER_DAMAGED"))


def backups(path: Path) -> list[Path]:
    """Return the backups of a ledger, newest first."""
    return sorted((path.parent / BACKUPS).glob(f"{path.stem}-*{path.suffix}"), reverse=True)


def back_up(path: Path, day: str) -> bool:
    """Make the backup of a day (`2026-11-24`) unless it exists, and delete the oldest ones.

    Return whether it was made. Writers do not wait for it.

    Raises:
        LedgerError: the ledger cannot be read (it is damaged), or the backup cannot be written; older backups
            stay.
    """
    target = path.parent / BACKUPS / f"{path.stem}-{day}{path.suffix}"
    part = target.with_suffix(".part")  # renamed when it is complete: a crash leaves no half backup
    try:
        if target.exists():
            return False
        target.parent.mkdir(mode=0o700, exist_ok=True)
        for left in target.parent.glob("*.part"):
            left.unlink()
        if shutil.disk_usage(target.parent).free < ROOM * path.stat().st_size:
            raise LedgerError(Cause("no_room", "", "LEDGER_UNWRITABLE"))
        try:
            _copy(path, part)
            part.rename(target)
        finally:
            part.unlink(missing_ok=True)
        _to_disk(target.parent)
        for old in backups(path)[KEPT:]:
            old.unlink()
    except OSError as error:
        raise LedgerError(Cause("backup", error.strerror or "", "LEDGER_UNWRITABLE")) from None
    return True


def _copy(path: Path, part: Path) -> None:
    # Created here, so that nobody else can read it even for a moment: it names people's files.
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    with errors(), closing(sqlite3.connect(sqlite_address(path), uri=True, timeout=5.0)) as connection:
        connection.execute("VACUUM INTO ?", (str(part),))
    _to_disk(part)


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
