"""A full disk under the ledger: how a command recognises one, and waits a little for room."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from dingwatch.model import Cause, LedgerError

T = TypeVar("T")
ROOM_SECONDS: Final = 10.0
"""How long a command waits for room: a log that is rotated, or a backup that is moved away, makes some."""
LOOK_SECONDS: Final = 0.5
LEAST_ROOM: Final = 64 * 1024
"""Bytes: with less, not even a small change of the ledger can be written."""
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


def is_full(error: LedgerError | OSError, ledger: Path) -> bool:
    """Return whether the ledger could not be used because its disk is full."""
    if isinstance(error, OSError):
        return error.errno in _FULL
    # Where not even the log's index can be created, SQLite only says that it cannot open the file.
    return error.cause.code == "SQLITE_FULL" or (
        error.cause.code.startswith(("SQLITE_IOERR", "SQLITE_CANTOPEN")) and _lacks_room(ledger)
    )


def write_error(ledger: Path) -> Cause | None:
    """Return why nothing can be written to a ledger, as far as its disk tells; None when it can be."""
    try:
        disk = os.statvfs(ledger.parent)
    except OSError:
        return None
    if disk.f_flag & os.ST_RDONLY:
        return Cause("EROFS", os.strerror(errno.EROFS), "LEDGER_UNWRITABLE")
    if _lacks_room(ledger):
        return Cause("ENOSPC", os.strerror(errno.ENOSPC), "LEDGER_UNWRITABLE")
    return None


def _lacks_room(ledger: Path) -> bool:
    try:
        disk = os.statvfs(ledger.parent)
    except OSError:
        return False
    free = disk.f_bfree if os.geteuid() == 0 else disk.f_bavail
    return free * disk.f_frsize < LEAST_ROOM


def wait_for_room(attempt: Callable[[], T], ledger: Path) -> T:
    """Return what an attempt returns; repeat it for some seconds while the disk is full.

    Raises:
        LedgerError, OSError: as the last attempt did.
    """
    until, pause = time.monotonic() + ROOM_SECONDS, threading.Event()
    while True:
        try:
            return attempt()
        except (LedgerError, OSError) as error:
            if not is_full(error, ledger) or time.monotonic() >= until:
                raise
        pause.wait(LOOK_SECONDS)
