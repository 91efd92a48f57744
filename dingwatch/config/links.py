"""Resolves the links in folders' paths, also while a share hangs that some of them lie on."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from typing import Final

from dingwatch import files
from dingwatch.model import Failure

SECONDS: Final = 3.0
"""For which all paths together are waited for; a file system that works answers within microseconds."""


def real_paths(paths: Iterable[bytes]) -> list[bytes]:
    """Return absolute paths with their links resolved; what lies on a share that hangs stays as written.

    The service must start, and its commands answer, while one of many shares hangs. Most often nothing
    beyond such a share's mount point is a link, and then this is the real path all the same.
    """
    guesses = [deque([path], maxlen=1) for path in paths]
    # Each gets its own thread, which puts the best guess there before every step that may hang.
    walks = [files.start(partial(guess.extend, files.resolve(guess[0]))) for guess in guesses]
    until = time.monotonic() + SECONDS
    for walk in walks:
        with suppress(Failure):
            files.wait_for(walk, max(0.0, until - time.monotonic()))
    return [guess[0] for guess in guesses]
