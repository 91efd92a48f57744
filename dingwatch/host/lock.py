"""The lock that lets one service run per SQLite ledger.

It is a POSIX lock (64-bit Linux), because `F_GETLK` names the process that holds it.
"""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path
from typing import Final

LOCK_FILE: Final = "lock"
"""The lock of a service, in its state directory."""
_FLOCK: Final = "hhqqi"  # struct flock: type, whence, start, length, pid
_locked_here: dict[tuple[int, int], int] = {}
"""The lock files (device, inode) that this process has locked, with its pid: a forked child has locked none.

A process cannot see its own POSIX locks, and closing *any* descriptor of the file drops them. So nothing here
may open a lock file that this process has locked.
"""


class LockedError(Exception):
    """Another process holds the lock; `pid` is 0 if it is in another PID namespace."""

    def __init__(self, pid: int) -> None:
        super().__init__(f"held by process {pid}")
        self.pid = pid


class Lock:
    """An `F_SETLK` lock on a file, which the kernel drops however the process ends.

    The file is never removed: two services could then lock two files of one name.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock, or raise `LockedError`."""
        if (pid := _own_pid(self._path)) is not None:
            raise LockedError(pid)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            _lock(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        _locked_here[_identity(os.fstat(descriptor))] = os.getpid()

    def in_place(self) -> bool:
        """Return whether the locked file still has its name: else another service may lock one of its own."""
        assert self._descriptor is not None  # noqa: S101 (asked by whoever holds the lock)
        try:
            found = os.stat(self._path, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:  # a disk that fails for a moment says nothing of the file
            return True
        return _identity(found) == _identity(os.fstat(self._descriptor))

    def release(self) -> None:
        """Release the lock; do nothing if it was not taken."""
        if self._descriptor is not None:
            _locked_here.pop(_identity(os.fstat(self._descriptor)), None)
            os.close(self._descriptor)
            self._descriptor = None


def lock_holder(path: Path) -> int | None:
    """Return the pid of the process that has locked the file; None if none has, or there is no file.

    Of this process, only locks taken by `Lock` are seen.

    Raises:
        PermissionError: the file may not be read, so it is not known whether it is locked.
    """
    if (pid := _own_pid(path)) is not None:
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


def _own_pid(path: Path) -> int | None:
    try:
        pid = _locked_here.get(_identity(path.stat()))
    except FileNotFoundError:
        return None
    return pid if pid == os.getpid() else None


def _request() -> bytes:
    return struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)


def _lock(descriptor: int) -> None:
    while True:
        try:
            fcntl.fcntl(descriptor, fcntl.F_SETLK, _request())
        except (BlockingIOError, PermissionError):  # EAGAIN or EACCES, depending on the file system
            pid = _holder(descriptor)
            if pid is not None:
                raise LockedError(pid) from None
        else:
            return


def _holder(descriptor: int) -> int | None:
    answer = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, fcntl.F_GETLK, _request()))
    return None if answer[0] == fcntl.F_UNLCK else int(answer[4])
