"""The lock that keeps two installs of dingwatch from watching one folder: both would send every file.

It is an advisory `flock` on the folder's root, which the kernel drops however the process ends. It says
nothing about what lies in the folder, and no other program minds it.
"""

from __future__ import annotations

import fcntl
import os
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from dingwatch.files import Root
from dingwatch.model import Cause, Failure, FolderDown, Scope

_LOCKS: Final = Path("/proc/locks")
_FLOCK: Final = re.compile(r"FLOCK +ADVISORY +WRITE +(\d+) +([0-9a-f]+):([0-9a-f]+):(\d+) ")

_Identity = tuple[int, int]


class RootLocks:
    """The locks of one service: one for each real root, however many of its folders have that root.

    A second descriptor of the same directory would be refused although the process itself holds the lock.
    """

    def __init__(self) -> None:
        self._descriptors: dict[_Identity, int] = {}
        self._roots: dict[int, _Identity] = {}
        """The root that each folder has locked."""
        self._lock = threading.Lock()
        self._closed = False

    def take(self, folder: int, root: Root) -> None:
        """Lock the root of a folder, which may have it locked already.

        Raises:
            Failure: FolderDown(`in_use`) while another process holds the lock.
        """
        with self._lock:
            if self._roots.get(folder) == root.identity:
                return
            self._release(folder)
            if not self._closed and (root.identity in self._descriptors or self._take(root)):
                self._roots[folder] = root.identity

    def _take(self, root: Root) -> bool:
        """Return whether the root is locked now; a file system without such locks proves nothing."""
        descriptor = os.dup(root.descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if isinstance(error, BlockingIOError):
                raise Failure(FolderDown(Cause("in_use", "", "FOLDER_IN_USE"), Scope.FOLDER)) from None
            return False
        self._descriptors[root.identity] = descriptor
        return True

    def release(self, folder: int) -> None:
        """Release the lock of a folder, unless another folder has the same root; fine when it has none."""
        with self._lock:
            self._release(folder)

    def close(self) -> None:
        """Release all locks, and take none any more."""
        with self._lock:
            self._closed = True
            for folder in list(self._roots):
                self._release(folder)

    def _release(self, folder: int) -> None:
        identity = self._roots.pop(folder, None)
        if identity is None or identity in self._roots.values():
            return
        descriptor = self._descriptors.pop(identity)
        # A scan may still have the root open. It is the same open file, so closing would not unlock it.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def lock_holder_of(root: Root) -> int | None:
    """Return the pid of the process that has locked a root; None if none has.

    It is 0 for a process that cannot be seen from here, such as one in another container.
    """
    with suppress(OSError):
        held = set(_inode_numbers(root))
        for line in _LOCKS.read_text().splitlines():
            found = _FLOCK.search(line)
            if found and (int(found[2], 16), int(found[3], 16), int(found[4])) in held and "->" not in line:
                return int(found[1])
    # A process of another PID namespace is not listed, so the lock itself is asked for, for an instant.
    descriptor = os.open(f"/proc/self/fd/{root.descriptor}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return 0
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return None


def _inode_numbers(root: Root) -> Iterator[tuple[int, int, int]]:
    """Yield the (major, minor, inode) by which /proc/locks may name a root.

    It names them as the file system itself does. On btrfs and overlayfs, `stat` has other numbers.
    """
    device, inode = root.identity
    yield os.major(device), os.minor(device), inode
    text = Path(f"/proc/self/fdinfo/{root.descriptor}").read_text()
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    mount = fields["mnt_id"].strip()
    for line in Path("/proc/self/mountinfo").read_bytes().splitlines():
        number, _, held, *_ = line.decode("utf-8", "replace").split(" ")
        if number == mount:
            major, _, minor = held.partition(":")
            yield int(major), int(minor), int(fields.get("ino", inode))
