"""The table of mounts: which file system holds a path, and whether inotify sees all of its changes.

The kernel makes events for what it writes itself. What another host writes to an NFS or SMB share, or a FUSE
server behind the kernel's back, makes none, and inotify reports no error: such folders are polled.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from dingwatch.model import is_beneath

# Every `fuse.…` counts, too (sshfs, rclone, s3fs); a plain `fuseblk` is a local NTFS or exFAT disk, whose
# changes all pass through this kernel.
NETWORK: Final = frozenset(
    {
        "fuse",
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "afs",
        "ceph",
        "glusterfs",
        "lustre",
        "9p",
        "virtiofs",
        "ncpfs",
        "vboxsf",
        "vmhgfs",
        "prl_fs",
        "fakeowner",
        "beegfs",
        "gpfs",
        "ocfs2",
        "gfs2",
        "orangefs",
    }
)

_NUMBERED_AT_WILL: Final = frozenset({"fuseblk", "vfat", "msdos", "exfat"})
"""Local file systems without inodes of their own: the driver numbers a file when it is looked up."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A file system's type as the kernel names it, and whether others can change it without an event here."""

    name: str
    network: bool

    @property
    def steady(self) -> bool:
        """Whether a file keeps its inode's number, and its ctime until somebody changes it."""
        return not self.network and self.name not in _NUMBERED_AT_WILL


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of the table of mounts; every mounting gets another `id`."""

    id: int
    point: bytes
    kind: Kind


def mounts() -> tuple[Mount, ...]:
    """Return everything that is mounted, the oldest first; the same tuple as long as nothing changes."""
    return _mounts(Path("/proc/self/mountinfo").read_bytes())


@lru_cache(maxsize=1)
def _mounts(table: bytes) -> tuple[Mount, ...]:
    return tuple(_mount(line) for line in table.splitlines())


def _mount(line: bytes) -> Mount:
    left, _, right = line.partition(b" - ")
    fields = left.split(b" ")
    name = os.fsdecode(right.split(b" ")[0])
    return Mount(
        int(fields[0]), _unescape(fields[4]), Kind(name, name in NETWORK or name.startswith("fuse."))
    )


def kind_of(path: bytes, table: tuple[Mount, ...] | None = None) -> Kind:
    """Return the kind of file system that holds a path, by the longest mount point above it."""
    return holding(path, mounts() if table is None else table).kind


def holding(path: bytes, table: tuple[Mount, ...]) -> Mount:
    """Return the mount that holds a path: the latest at the longest mount point above it."""
    best = Mount(0, b"/", Kind("unknown", network=False))
    for mount in table:
        # Equal points are mounts on top of each other: the last one is what people see.
        if is_beneath(path, mount.point) and len(mount.point) >= len(best.point):
            best = mount
    return best


def is_steady(path: bytes, table: tuple[Mount, ...] | None = None) -> bool:
    """Return whether inodes and ctimes prove anything of every file beneath a path."""
    table = mounts() if table is None else table
    return all(mount.kind.steady for mount in (holding(path, table), *mounted_beneath(path, table)))


def mounted_beneath(path: bytes, table: tuple[Mount, ...]) -> frozenset[Mount]:
    """Return the mounts within a folder, without one at its root."""
    return frozenset(mount for mount in table if mount.point != path and is_beneath(mount.point, path))


def _unescape(mount: bytes) -> bytes:
    """Undo the kernel's octal escapes of blank, tab, newline and backslash."""
    for code in (b"\\040", b"\\011", b"\\012", b"\\134"):
        mount = mount.replace(code, bytes([int(code[1:], 8)]))
    return mount
