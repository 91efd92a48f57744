"""Work in a child process: only with a process is all the memory given back that its libraries took."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


def in_child(work: Callable[[], T]) -> T:
    """Return what `work` returns, computed in a child process; it must be picklable. No threads may run yet.

    What the child cannot do is done again in this process: then whatever `work` raises is raised here.
    """
    with suppress(OSError):  # of no more processes, say
        if written := _fork(work):
            done: T = pickle.loads(written)  # noqa: S301 (by this program a moment ago)
            return done
    return work()


def _fork(work: Callable[[], object]) -> bytes:
    """Return the pickled result of a child process; nothing if it has failed."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            written = pickle.dumps(work())
            with open(writing, "wb") as pipe:
                pipe.write(written)
        finally:
            os._exit(0)  # neither an exception nor an exit handler of the parent concerns the child
    os.close(writing)
    with open(reading, "rb") as pipe:
        written = pipe.read()
    os.waitpid(pid, 0)
    return written
