"""Where paths really are, also while a share hangs that some of them lie on."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Final

SECONDS: Final = 3.0
"""For which all paths together are waited for; a file system that works answers within microseconds."""
_MOST_LINKS: Final = 40
"""As many as the kernel follows (path_resolution(7)); a chain that is longer leads nowhere."""


def real_paths(paths: Iterable[bytes], seconds: float = SECONDS) -> list[bytes]:
    """Return absolute paths with their links resolved; what lies on a share that hangs stays as written.

    The service must start, and its commands answer, while one of many shares hangs. Most often nothing
    beyond such a share's mount point is a link, and then this is the real path all the same.
    """
    walks = [_Walk(path) for path in paths]
    for walk in walks:
        walk.thread.start()
    until = time.monotonic() + seconds
    for walk in walks:
        walk.thread.join(max(0.0, until - time.monotonic()))
    return [walk.known for walk in walks]


class _Walk:
    """One path on its way through the links, in a thread that a share may hold for ever."""

    def __init__(self, path: bytes) -> None:
        self.path = self.known = path
        self.thread = threading.Thread(target=self._go, name="links", daemon=True)

    def _go(self) -> None:
        for known in _resolved(self.path):
            self.known = known


def _resolved(path: bytes) -> Iterator[bytes]:
    """Yield before each look what the path is should that look never end, and in the end what it is."""
    done, ahead, links = b"/", path.split(b"/")[::-1], 0
    while ahead:
        name = ahead.pop()
        if name == b"..":
            done = os.path.dirname(done)
        elif name not in {b"", b"."}:
            done = os.path.join(done, name)
            yield os.path.normpath(os.path.join(done, *ahead[::-1]))
            try:
                target = os.readlink(done)
            except OSError:  # no link, or nothing that could be looked at
                continue
            links += 1
            if links > _MOST_LINKS:
                yield path
                return
            done = b"/" if target.startswith(b"/") else os.path.dirname(done)
            ahead += target.split(b"/")[::-1]
    yield done
