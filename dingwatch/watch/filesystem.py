"""What kind of file system a folder lies on: the kernel tells of changes only where it makes them itself."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

NETWORK: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "glusterfs", "lustre", "9p", "virtiofs", "ncpfs"}
)


@dataclass(frozen=True, slots=True)
class Kind:
    """A file system's type as the kernel names it, and whether others can change it unnoticed."""

    name: str
    network: bool


def kind_of(path: bytes) -> Kind:
    """Return the kind of file system that holds a path, by the longest mount point above it."""
    best, name = b"", "unknown"
    for line in Path("/proc/self/mountinfo").read_bytes().splitlines():
        left, _, right = line.partition(b" - ")
        mount = _unescape(left.split(b" ")[4])
        above = path == mount or path.startswith(mount.rstrip(b"/") + b"/")
        if above and len(mount) >= len(best):
            best, name = mount, os.fsdecode(right.split(b" ")[0])
    return Kind(name, name in NETWORK or name.startswith("fuse."))


def _unescape(mount: bytes) -> bytes:
    """Undo the kernel's octal escapes of blank, tab, newline and backslash."""
    for code in (b"\\040", b"\\011", b"\\012", b"\\134"):
        mount = mount.replace(code, bytes([int(code[1:], 8)]))
    return mount
