"""Measures from outside how long another process's transactions hold SQLite's write lock."""

from __future__ import annotations

import fcntl
import os
import struct
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

EVERY: Final = 0.001
"""Seconds between two looks, and the precision of what is measured."""
# https://sqlite.org/walformat.html, "The WAL-Index File Format": who writes holds byte 120 of the -shm file,
# and each commit counts the number at byte 8 up.
_WRITE_LOCK: Final = 120
_CHANGES: Final = 8
_FLOCK: Final = "hhqqi4x"
"""`struct flock` on 64-bit Linux: type, whence, start, length, pid."""


class LongestTransaction:
    """Watches a ledger's write lock during a block, without ever taking it."""

    def __init__(self, ledger: Path) -> None:
        self.seconds = 0.0
        self._shared = Path(f"{ledger}-shm")
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(EVERY):
            try:
                index = os.open(self._shared, os.O_RDWR)
            except FileNotFoundError:
                continue  # no process has the ledger open
            try:
                self._watch_file(index)
            finally:
                os.close(index)

    def _watch_file(self, index: int) -> None:
        """Watch until the block ends, or until the last process closed the ledger and so removed the file."""
        began, changes = None, b""
        while not self._over.wait(EVERY) and os.fstat(index).st_nlink:
            now, seen = time.monotonic(), os.pread(index, 4, _CHANGES)
            if not _is_locked(index):
                began = None
            elif began is None or seen != changes:
                began = now  # one transaction may follow the other within a millisecond
            else:
                self.seconds = max(self.seconds, now - began)
            changes = seen


def _is_locked(index: int) -> bool:
    asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, _WRITE_LOCK, 1, 0)
    found = struct.unpack(_FLOCK, fcntl.fcntl(index, fcntl.F_GETLK, asked))
    return bool(found[0] != fcntl.F_UNLCK)
