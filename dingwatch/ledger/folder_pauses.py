"""Pauses by hand: folders of which nothing is uploaded or sent until a person resumes them.

They have rows of their own, because everything ends an automatic pause sooner or later: a success, a
`retry`, a restart, a clock that was set back. None of these may end what a person has decided.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, delete, insert, select

from dingwatch.ledger.folders import find_or_insert
from dingwatch.ledger.nodes import wake_nodes
from dingwatch.ledger.schema import folder_pauses
from dingwatch.ledger.store import Store
from dingwatch.model import FolderPause


def list_folder_pauses(connection: Connection) -> list[FolderPause]:
    """Return all of them, also those whose time is over and that the service has not yet ended."""
    rows = connection.execute(select(folder_pauses).order_by(folder_pauses.c.folder_id))
    return [FolderPause(row.folder_id, row.since, row.until, row.paused_by, row.reason) for row in rows]


def pause_folder(store: Store, root: bytes, name: str, targets: Sequence[int], pause: FolderPause) -> None:
    """Pause a folder with the former targets of its path; one that was paused already is paused anew.

    `targets` are their ids. They are empty for a folder that the service has never watched; its row is
    inserted, so that it is paused from its first file on. The folder of `pause` does not matter.
    """
    with store.writing() as connection:
        found = targets or [find_or_insert(connection, root, name)]
        resume_folder(connection, found)
        rows = [
            {
                "folder_id": folder,
                "since": pause.since,
                "until": pause.until,
                "paused_by": pause.by,
                "reason": pause.reason,
            }
            for folder in found
        ]
        connection.execute(insert(folder_pauses), rows)


def resume_folder(connection: Connection, targets: Iterable[int]) -> bool:
    """End the pause of a folder with the former targets of its path; return whether there was one."""
    wake_nodes(connection)
    these = folder_pauses.c.folder_id.in_(list(targets))
    return connection.execute(delete(folder_pauses).where(these)).rowcount > 0
