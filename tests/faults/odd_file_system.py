"""A FUSE file system over a directory, odd in one way: `odd_file_system.py BACKING MOUNT_POINT ODDITY`.

ODDITY is one of
    renumbered       every look finds another inode number, as after a forget of sshfs, davfs or rclone
    numbered_root    the root alone gets another inode number, every second
    read_moves_ctime reading moves the ctime, as where a virus scanner notes what it has read
    no_links         a file has one name only, as on exFAT and many network shares
    any_case         names are found in any case and listed as they were written, as on CIFS and exFAT
    cifs_times       mtimes are rounded to 100 ns, as on CIFS
    whole_seconds    mtimes are rounded to seconds, as by many FUSE servers
    even_seconds     mtimes are rounded to two seconds, as on FAT
"""

from __future__ import annotations

import errno
import itertools
import os
import sys
import time
from typing import Any

from fuse import FUSE, FuseOSError, Operations  # type: ignore[import-untyped]

KEPT = ("st_mode", "st_nlink", "st_size", "st_uid", "st_gid", "st_ino")
TIMES = ("st_atime", "st_mtime", "st_ctime")
STEPS = {"cifs_times": 100, "whole_seconds": 10**9, "even_seconds": 2 * 10**9}
"""Nanoseconds to which mtimes are rounded."""


class OddFileSystem(Operations):  # type: ignore[misc]
    """Passes everything on to the directory below, but for its oddity."""

    use_ns = True
    """Times are whole nanoseconds."""

    def __init__(self, backing: str, oddity: str) -> None:
        self.backing = backing
        self.oddity = oddity
        self.numbers = itertools.count(1000)
        self.read_at: dict[str, int] = {}

    def __call__(self, operation: str, *arguments: Any) -> Any:  # noqa: ANN401
        """Carry out an operation; an OSError becomes its answer."""
        try:
            return super().__call__(operation, *arguments)
        except FuseOSError:
            raise
        except OSError as error:
            raise FuseOSError(error.errno or errno.EIO) from None

    def below(self, path: str) -> str:
        """Return where a path lies in the directory below."""
        found = self.backing
        for name in path.split("/"):
            there = os.listdir(found) if self.oddity == "any_case" and os.path.isdir(found) else []
            same = [one for one in there if one.lower() == name.lower()]
            found = os.path.join(found, name if name in there or not same else same[0])
        return found

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        """Look at a file, in the odd way."""
        del fh
        status = os.lstat(self.below(path))
        answer = {key: getattr(status, key) for key in KEPT}
        answer |= {key: getattr(status, f"{key}_ns") for key in TIMES}
        answer["st_mtime"] -= answer["st_mtime"] % STEPS.get(self.oddity, 1)
        if self.oddity == "renumbered":
            answer["st_ino"] = next(self.numbers)
        if self.oddity == "numbered_root" and path == "/":
            answer["st_ino"] = 5000 + int(time.time())
        if self.oddity == "read_moves_ctime":
            answer["st_ctime"] = self.read_at.get(path, answer["st_ctime"])
        return answer

    def readdir(self, path: str, fh: int) -> list[str]:
        """List a directory."""
        del fh
        return [".", "..", *os.listdir(self.below(path))]

    def open(self, path: str, flags: int) -> int:
        """Open a file."""
        return os.open(self.below(path), flags)

    def create(self, path: str, mode: int, fi: object = None) -> int:
        """Make a file."""
        del fi
        return os.open(self.below(path), os.O_RDWR | os.O_CREAT, mode)

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        """Read."""
        self.read_at[path] = time.time_ns()
        return os.pread(fh, size, offset)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        """Write."""
        del path
        return os.pwrite(fh, data, offset)

    def release(self, path: str, fh: int) -> None:
        """Close a file."""
        del path
        os.close(fh)

    def rename(self, old: str, new: str) -> None:
        """Give a file another name, in the spelling that was asked for."""
        os.rename(self.below(old), os.path.join(self.below(os.path.dirname(new)), os.path.basename(new)))

    def link(self, target: str, source: str) -> None:
        """Give a file a second name."""
        if self.oddity == "no_links":
            raise FuseOSError(errno.EPERM)
        os.link(self.below(source), self.below(target))

    def chmod(self, path: str, mode: int) -> None:
        """Change permissions."""
        os.chmod(self.below(path), mode)

    def truncate(self, path: str, length: int, fh: int | None = None) -> None:
        """Cut a file, or make it longer."""
        del fh
        os.truncate(self.below(path), length)

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> None:
        """Set times, rounded as they are shown."""
        accessed, modified = times or (time.time_ns(), time.time_ns())
        os.utime(self.below(path), ns=(accessed, modified - modified % STEPS.get(self.oddity, 1)))

    def mkdir(self, path: str, mode: int) -> None:
        """Make a directory."""
        os.mkdir(self.below(path), mode)

    def unlink(self, path: str) -> None:
        """Remove a file."""
        os.unlink(self.below(path))

    def rmdir(self, path: str) -> None:
        """Remove an empty directory."""
        os.rmdir(self.below(path))


def main(backing: str, mount_point: str, oddity: str) -> None:
    """Serve until it is unmounted."""
    uncached = {"attr_timeout": 0, "entry_timeout": 0, "negative_timeout": 0}
    FUSE(
        OddFileSystem(backing, oddity), mount_point, foreground=True, nothreads=True, use_ino=True, **uncached
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
