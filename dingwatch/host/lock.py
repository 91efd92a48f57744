"""The lock of the one daemon.

POSIX locks on 64-bit Linux, because `F_GETLK` names the holder.
"""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path
from typing import Final

_FLOCK: Final = "hhqqi"  # struct flock: type, whence, start, length, pid
_held: dict[tuple[int, int], int] = {}
"""Which lock files (device, inode) this process holds, and its pid (a forked child holds none of them).

POSIX locks belong to the process: it cannot see its own, and to close *any* descriptor of the file drops
them. So nothing in this process may open a lock file that it holds, and this is how it knows.
"""


class LockedError(Exception):
    """Another process holds the lock; `pid` is 0 when it lives in another PID namespace."""

    def __init__(self, pid: int) -> None:
        super().__init__(f"held by process {pid}")
        self.pid = pid


class Lock:
    """One daemon per SQLite ledger: an `F_SETLK` lock on a file, gone with its process however that ends.

    The file stays: to remove it would let two daemons lock two files of one name.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock, or raise `Locked`."""
        if (pid := _held_here(self._path)) is not None:
            raise LockedError(pid)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            _lock(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        _held[_identity(os.fstat(descriptor))] = os.getpid()

    def release(self) -> None:
        """Give the lock back; harmless when it is not held."""
        if self._descriptor is not None:
            _held.pop(_identity(os.fstat(self._descriptor)), None)
            os.close(self._descriptor)
            self._descriptor = None


def lock_holder(path: Path) -> int | None:
    """Return the pid of the process that holds the lock; None when nobody does or there is no file.

    A lock that this process holds is seen only when it was taken by a `Lock`. A file that may not be
    read raises `PermissionError`: that is not the same as nobody.
    """
    if (pid := _held_here(path)) is not None:
        return pid
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        return _holder(descriptor)
    finally:
        os.close(descriptor)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _held_here(path: Path) -> int | None:
    try:
        pid = _held.get(_identity(path.stat()))
    except FileNotFoundError:
        return None
    return pid if pid == os.getpid() else None


def _request() -> bytes:
    return struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)


def _lock(descriptor: int) -> None:
    while True:
        try:
            fcntl.fcntl(descriptor, fcntl.F_SETLK, _request())
        except (BlockingIOError, PermissionError):  # EAGAIN or EACCES, as the file system likes
            pid = _holder(descriptor)
            if pid is not None:
                raise LockedError(pid) from None
        else:
            return


def _holder(descriptor: int) -> int | None:
    answer = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, fcntl.F_GETLK, _request()))
    return None if answer[0] == fcntl.F_UNLCK else int(answer[4])
