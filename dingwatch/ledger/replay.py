"""Writes again what a promoted standby lacks: the messages that a node has sent in the last minutes.

A standby that is not synchronous is some transactions behind when the server fails. What they recorded has
happened nevertheless; were it forgotten, its messages would be sent again, and nobody would know.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, bindparam, case, insert, select, update

from dingwatch.ledger import transitions
from dingwatch.ledger.delivery import Delivery
from dingwatch.ledger.schema import deliveries, folders, in_flight, numbers, uploads, versions
from dingwatch.ledger.store import Store
from dingwatch.ledger.uploads import upload_row
from dingwatch.ledger.versions import split
from dingwatch.lifecycle import State
from dingwatch.payload import Payload

_BEFORE: Final = frozenset({State.PENDING, State.UPLOADING, State.UPLOADED, State.SENDING, State.UNCERTAIN})
"""States of a row whose message may have been sent since."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A row that was claimed to be sent, and what has become of it."""

    row: Delivery
    payload: Payload
    state: State
    columns: Mapping[str, Any]

    @property
    def claim(self) -> int:
        """The number of the claim."""
        return self.row.claim or 0


def write_again(store: Store, connection: Connection, now: float, sent: Iterable[Sent]) -> int:
    """Write what the ledger lacks of these rows; return how many it lacked."""
    remembered = list(sent)
    if not remembered:
        return 0
    # Numbers that were given out are not given out a second time.
    _raise(connection, "id", max(max(one.row.id, one.row.version) for one in remembered))
    _raise(connection, "claim", max(one.claim for one in remembered))
    return sum(_write_one(store, connection, now, one) for one in remembered)


def _raise(connection: Connection, name: str, value: int) -> None:
    more = case((numbers.c.value < value, value), else_=numbers.c.value)
    connection.execute(update(numbers).where(numbers.c.name == name).values(value=more))


_FOUND: Final = select(deliveries.c.state, deliveries.c.claim).where(deliveries.c.id == bindparam("delivery"))


_FOLDER: Final = select(folders.c.id).where(folders.c.id == bindparam("folder"))


def _write_one(store: Store, connection: Connection, now: float, one: Sent) -> bool:
    found = connection.execute(_FOUND, {"delivery": one.row.id}).one_or_none()
    if found is None:
        if one.row.folder is not None and not connection.scalar(_FOLDER, {"folder": one.row.folder}):
            return False  # nothing of the folder is there, and no file of it is known before the next start
        _insert(store, connection, one)
        before = None
    elif not _is_behind(State(found.state), found.claim or 0, one):
        return False
    else:
        before = State(found.state)
    transitions.restore(connection, now, one.row.id, one.row.version, (before, one.state))
    columns = {**one.columns, "claim": one.claim, "node": store.node}
    connection.execute(update(deliveries).where(deliveries.c.id == one.row.id).values(columns))
    if one.state is State.SENDING:
        message = {"recipient": one.row.recipient, "claim": one.claim, "node": store.node}
        store.insert_missing(connection, in_flight, [message])
    return True


def _is_behind(state: State, claim: int, one: Sent) -> bool:
    """Return whether the ledger is behind: an earlier claim stands there, or this one without its outcome."""
    if claim < one.claim:
        return state in _BEFORE
    without = state is State.SENDING or (state is State.UNCERTAIN and one.state is State.SENT)
    return claim == one.claim and without and state is not one.state


def _insert(store: Store, connection: Connection, one: Sent) -> None:
    """Insert a version and its delivery, which came so late that the standby never heard of them."""
    row = one.row
    directory, name = split(row.path)
    version = {
        "id": row.version,
        "folder_id": row.folder,
        "directory": directory,
        "name": name,
        "size": row.fingerprint.size,
        "mtime_ns": row.fingerprint.mtime_ns,
        "ctime_ns": row.fingerprint.ctime_ns,
        "inode": str(row.fingerprint.inode),
        "device": str(row.fingerprint.device),
        "sha256": row.digest or None,
        "baseline": False,
        "noticed_at": row.noticed_at,
    }
    if connection.scalar(select(versions.c.id).where(versions.c.id == row.version)) is None:
        connection.execute(insert(versions).values(version))
    store.insert_missing(connection, uploads, [upload_row(one.payload)])
    delivery = {
        "id": row.id,
        "version_id": row.version,
        "folder_id": row.folder,
        "recipient": row.recipient,
        "route": row.route,
        "state": one.state,
        "form": row.form,
        "upload_key": row.upload_key,
        "due": row.due,
        "noticed_at": row.noticed_at,
        "settled_at": row.settled_at,
        "uploaded_at": row.uploaded_at,
        "attempts": 1,
        "failures": row.failures,
        "waited": row.waited,
        "doubts": row.doubts,
        "media_losses": row.media_losses,
        "crashes": row.crashes,
        "uncertain_resent": False,
    }
    connection.execute(insert(deliveries).values(delivery))
