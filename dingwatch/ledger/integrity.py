"""Whether a SQLite ledger is there and whole, and its backups.

A ledger is never made anew where there was one: everything in the folders would be new again, or old.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from dingwatch.ledger.store import LedgerError, errors
from dingwatch.model import Cause

BACKUPS: Final = "backups"
"""The directory beside the ledger that holds its backups."""
ROOM: Final = 2
"""How many times the ledger's size must be free for a backup: it must not take the room that work needs."""
KEPT: Final = 3
"""How many backups are kept, one a day."""


def require_present(path: Path) -> bool:
    """Return whether there is a ledger; one that was never there is fine.

    Raises:
        LedgerError: `missing`, where there are backups of one that is not there.
    """
    if path.exists() and path.stat().st_size > 0:
        return True
    if backups(path):
        raise LedgerError(Cause("missing", str(path), "LEDGER_MISSING"))
    return False


def require_whole(path: Path) -> None:
    """Check a ledger, if there is one, before anything is done with it.

    Raises:
        LedgerError: `damaged`, `missing`, or it cannot be read.
    """
    if not require_present(path):
        return
    # The newest pages may be in the log beside it, which opening takes up.
    with errors(), closing(sqlite3.connect(path, timeout=5.0)) as connection:
        (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if said != "ok":
        raise LedgerError(Cause("damaged", " ".join(said.split()), "LEDGER_DAMAGED"))


def backups(path: Path) -> list[Path]:
    """Return the backups of a ledger, newest first."""
    return sorted((path.parent / BACKUPS).glob(f"{path.stem}-*{path.suffix}"), reverse=True)


def back_up(path: Path, day: str) -> bool:
    """Make the backup of a day (`2026-11-24`), unless there is one; keep the latest.

    Returns whether one was made. Writers are not held back meanwhile. A damaged ledger makes no backup.

    Raises:
        LedgerError: it cannot be read, or the backup cannot be written; older backups are as they were.
    """
    target = path.parent / BACKUPS / f"{path.stem}-{day}{path.suffix}"
    if target.exists():
        return False
    part = target.with_suffix(".part")
    try:
        target.parent.mkdir(mode=0o700, exist_ok=True)
        for left in target.parent.glob("*.part"):
            left.unlink()
        if shutil.disk_usage(target.parent).free < ROOM * path.stat().st_size:
            raise LedgerError(Cause("no_room", "", "LEDGER_UNWRITABLE"))
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with errors(), closing(sqlite3.connect(path, timeout=5.0)) as connection:
            connection.execute("VACUUM INTO ?", (str(part),))
        _to_disk(part)
        part.rename(target)
        _to_disk(target.parent)
        for old in backups(path)[KEPT:]:
            old.unlink()
    except OSError as error:
        raise LedgerError(Cause("backup", error.strerror or "", "LEDGER_UNWRITABLE")) from None
    finally:
        part.unlink(missing_ok=True)
    return True


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
