"""Finds out whether a folder's root was moved to another path, with the files in it.

An admin moves a share to another place and leaves a link there, or puts it back in the link's place. It is
the same directory: nothing in it is new, and what waits in it is still to be sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from dingwatch import files
from dingwatch.files import Root
from dingwatch.ledger import links, versions
from dingwatch.ledger.versions import Present
from dingwatch.model import Failure
from dingwatch.watch import is_steady

SAMPLE: Final = 100
"""Known files that are looked for; an inode alone proves nothing, because it is used again."""


@dataclass(frozen=True, slots=True)
class Traces:
    """By what a folder's root is found again: its (device, inode) and some of the files in it."""

    identity: tuple[int, int] | None
    files: Sequence[Present]


def read_traces(connection: Connection, folder: int) -> Traces:
    """Return what the ledger knows of a folder's root."""
    return Traces(links.root_identity(connection, folder), versions.list_present(connection, folder, SAMPLE))


def lies_at(traces: Traces, path: bytes) -> bool:
    """Return whether a root lies at a path now, with at least half of the files that are looked for.

    Of an empty one there are none. Were its number used again, all in it would be newer than the last look.
    """
    try:
        with closing(files.open_root(path)) as root:
            if root.identity != traces.identity or not is_steady(path):
                return False
            there = sum(_is_there(root, one) for one in traces.files)
    except Failure:
        return False
    return 2 * there >= len(traces.files)


def _is_there(root: Root, one: Present) -> bool:
    try:
        return files.observe(root, one.path).known_as(one.size, one.mtime_ns)
    except Failure:
        return False
