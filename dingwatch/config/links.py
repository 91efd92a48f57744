"""Resolves the links in folders' paths, also while a share hangs that some of them lie on."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import Final

from dingwatch import files
from dingwatch.model import Failure

SECONDS: Final = 3.0
"""For which all paths together are waited for; a file system that works answers within microseconds."""
_MOST_LINKS: Final = 40
"""As many as the kernel follows (path_resolution(7)); a chain that is longer leads nowhere."""


def real_paths(paths: Iterable[bytes], seconds: float = SECONDS) -> list[bytes]:
    """Return absolute paths with their links resolved; what lies on a share that hangs stays as written.

    The service must start, and its commands answer, while one of many shares hangs. Most often nothing
    beyond such a share's mount point is a link, and then this is the real path all the same.
    """
    guesses = [deque([path], maxlen=1) for path in paths]
    # Each gets its own thread, which puts the best guess there before every step that may hang.
    walks = [files.start(partial(guess.extend, _resolve(guess[0]))) for guess in guesses]
    until = time.monotonic() + seconds
    for walk in walks:
        with suppress(Failure):
            files.wait_for(walk, max(0.0, until - time.monotonic()))
    return [guess[0] for guess in guesses]


def _resolve(path: bytes) -> Iterator[bytes]:
    """Yield the best guess before each readlink (which may hang), then the resolved path."""
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
