"""Bundles: which deliveries wait for others, and which share one message.

The files of a burst wait until it is over, as pending rows with `gathering`. Then they are put into bundles:
the rows of one message have the same `bundle`, upload, due time and counters, and change state together. A
row that leaves its bundle (its file was removed, say) goes on alone; what is left is another archive.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import (
    Connection,
    Select,
    bindparam,
    delete,
    exists,
    func,
    insert,
    select,
    update,
)

from dingwatch.ledger.delivery import WHOLE, Delivery, delivery_of
from dingwatch.ledger.queues import IS_OLDER_IN_FLIGHT
from dingwatch.ledger.routing import IS_OWN, own
from dingwatch.ledger.schema import (
    HELD,
    IS_BUNDLED,
    IS_GATHERING,
    bundles,
    deliveries,
    folders,
    history,
    uploads,
)
from dingwatch.ledger.store import Prepared, Store, chunks
from dingwatch.ledger.uploads import set_payload
from dingwatch.lifecycle import State
from dingwatch.model import UploadKey
from dingwatch.payload import Payload

# --- Bursts --------------------------------------------------------------------------------------


def join_burst(connection: Connection, folder: int, wait: float, now: float) -> float:
    """Return when the burst is over that a file of a folder joins which settles now.

    A burst begins with a file that comes when none is going on, and lasts `wait` seconds.
    """
    until = connection.scalar(select(folders.c.burst_until).where(folders.c.id == folder))
    # An end further ahead was written before the clock was set back, or under another configuration.
    if until is not None and now < until <= now + wait:
        return float(until)
    connection.execute(update(folders).where(folders.c.id == folder).values(burst_until=now + wait))
    return now + wait


_HAVE: Final = select(uploads.c.key).where(
    uploads.c.key.in_(bindparam("keys", expanding=True)), uploads.c.state == "have"
)


def find_uploaded(connection: Connection, keys: Collection[UploadKey]) -> set[UploadKey]:
    """Return those of these contents that DingTalk has."""
    by_id = {key.id: key for key in keys}
    return {
        by_id[found] for some in chunks(sorted(by_id)) for found in connection.scalars(_HAVE, {"keys": some})
    }


_GATHERING: Final = "deliveries_gathering"
_WAITING_IN: Final = (
    IS_GATHERING,
    deliveries.c.folder_id == bindparam("folder"),
    deliveries.c.recipient == bindparam("recipient"),
    deliveries.c.due <= bindparam("now"),
)
_HAS_GATHERED: Final = Prepared(select(deliveries.c.id).where(*_WAITING_IN).limit(1), index=_GATHERING)
_GATHERED: Final = Prepared(
    WHOLE.where(*_WAITING_IN, IS_OWN)
    # The ids of two recipients' rows say nothing of each other, and both are to get the same files together.
    .order_by(deliveries.c.settled_at, deliveries.c.version_id)
    .limit(bindparam("limit")),
    index=_GATHERING,
)


def has_gathered(connection: Connection, folder: int, recipient: str, now: float) -> bool:
    """Return whether the burst of files is over that waits in a folder for a recipient."""
    values = {"folder": folder, "recipient": recipient, "now": now}
    return bool(_HAS_GATHERED.rows(connection, values))


def list_gathered(
    connection: Connection, folder: int, recipient: str, now: float, limit: int
) -> list[Delivery]:
    """Return the first deliveries whose burst is over, earliest settled first."""
    where = {"folder": folder, "recipient": recipient}
    values = {**where, "now": now, "limit": limit, **own(connection)}
    return [delivery_of(row) for row in _GATHERED.rows(connection, values)]


_ALL_GATHERING: Final = Prepared(
    select(deliveries.c.id, deliveries.c.folder_id, deliveries.c.due).where(IS_GATHERING), index=_GATHERING
)
_CUT: Final = Prepared(
    update(deliveries)
    .where(deliveries.c.id == bindparam("row"))
    .values(due=bindparam("to_due"), due_after=bindparam("after"), gathering=bindparam("gathers"))
)


def cut_bursts(connection: Connection, waits: Mapping[int, float], now: float) -> None:
    """Let nothing gather longer than the configuration says; `waits` are the folders that bundle.

    In the others, what gathers goes at once, each file alone. What is held stays so.
    """
    cut = []
    for number, folder, due in _ALL_GATHERING.rows(connection, {}):
        wait, gathers = waits.get(folder, 0.0), folder in waits
        late = now + wait < due < HELD
        if late or not gathers:
            until, after = (now + wait, wait) if late else (due, 0.0)
            cut.append({"row": number, "to_due": until, "after": after, "gathers": gathers})
    _CUT.many(connection, cut)


# --- Forming and dissolving ----------------------------------------------------------------------


_LINE: Final = insert(history).values(
    {
        name: bindparam(name)
        for name in ("version_id", "delivery_id", "at", "event", "before", "after", "message")
    }
)


def form_bundle(
    store: Store, connection: Connection, rows: Sequence[Delivery], payload: Payload, now: float
) -> int:
    """Put pending rows of one folder and recipient into one message; return its id."""
    (number,) = store.new_ids(connection, 1)
    connection.execute(insert(bundles).values(id=number, name=payload.name))
    ids = [row.id for row in rows]
    set_payload(store, connection, ids, payload)
    # With one time for all they stand together in the queue; it is the last, so that none is ahead of a
    # version that it replaces.
    values = {"bundle": number, "gathering": False, "settled_at": max(row.settled_at for row in rows)}
    for some in chunks(ids):
        connection.execute(update(deliveries).where(deliveries.c.id.in_(some)).values(values))
    line = {"at": now, "event": "bundled", "before": State.PENDING, "after": State.PENDING}
    lines = [
        {**line, "version_id": row.version, "delivery_id": row.id, "message": payload.name} for row in rows
    ]
    connection.execute(_LINE, lines)
    return number


def set_gathering(connection: Connection, ids: Sequence[int], *, gathering: bool) -> None:
    """Let rows go alone, or put them into bundles with what is due."""
    for some in chunks(ids):
        connection.execute(update(deliveries).where(deliveries.c.id.in_(some)).values(gathering=gathering))


def leave_bundles(connection: Connection, ids: Sequence[int]) -> None:
    """Take rows out of their bundles; each goes on alone."""
    for some in chunks(ids):
        connection.execute(update(deliveries).where(deliveries.c.id.in_(some)).values(bundle=None))


def forget_crashes(connection: Connection, ids: Sequence[int]) -> None:
    """Count as one crash what a bundle has had: each of its files goes alone from now on, one at a time."""
    for some in chunks(ids):
        connection.execute(update(deliveries).where(deliveries.c.id.in_(some)).values(crashes=1))


_STRAYS: Final = Prepared(
    WHOLE.where(deliveries.c.upload_key == bindparam("upload"), func.coalesce(deliveries.c.bundle, 0) == 0),
    index="deliveries_of_upload",
)


def list_strays(connection: Connection, upload: str) -> list[Delivery]:
    """Return the rows that have left a bundle, and still refer to its archive."""
    return [delivery_of(row) for row in _STRAYS.rows(connection, {"upload": upload})]


def forget_archive(connection: Connection, upload: str) -> None:
    """Forget an archive that no delivery refers to any more: one that held a file which has left it."""
    used = exists().where(deliveries.c.upload_key == upload)
    connection.execute(delete(uploads).where(uploads.c.key == upload, ~used))


def forget_bundles(connection: Connection, ids: Collection[int]) -> None:
    """Forget those of these bundles that no delivery refers to any more."""
    for some in chunks(sorted(ids)):
        used = select(deliveries.c.bundle).where(IS_BUNDLED, deliveries.c.bundle.in_(some))
        unused = (bundles.c.id.in_(some), bundles.c.id.not_in(used))
        connection.execute(delete(bundles).where(*unused))


# --- Messages ------------------------------------------------------------------------------------


def _of_bundle(state: State) -> Select[Any]:
    older = exists().where(*IS_OLDER_IN_FLIGHT) if state is State.UPLOADED else None
    query = WHOLE if older is None else WHOLE.add_columns(older.label("older_in_flight"))
    # `coalesce` hides the state from SQLite's planner, which would read all that waits.
    here = (
        IS_BUNDLED,
        deliveries.c.bundle == bindparam("bundle"),
        func.coalesce(deliveries.c.state, "") == state,
    )
    return query.where(*here, deliveries.c.due + 0 <= bindparam("now"), IS_OWN)


_MEMBERS: Final = {
    state: Prepared(_of_bundle(state), index="deliveries_of_bundle")
    for state in (State.PENDING, State.UPLOADED)
}


def list_members(connection: Connection, bundle: int, state: State, now: float) -> list[Delivery]:
    """Return a bundle's rows that are due in a state (`pending` or `uploaded`), in its archive's order."""
    values = {"bundle": bundle, "now": now, **own(connection)}
    rows = map(delivery_of, _MEMBERS[state].rows(connection, values))
    return in_order(rows)


def in_order(rows: Iterable[Delivery]) -> list[Delivery]:
    """Return rows in the order of their archive."""
    return sorted(rows, key=lambda row: (row.path, row.version))


_NAME: Final = Prepared(select(bundles.c.name).where(bundles.c.id == bindparam("bundle")))


def find_name(connection: Connection, bundle: int) -> str:
    """Return the name of a bundle's archive."""
    ((name,),) = _NAME.rows(connection, {"bundle": bundle})
    return str(name)


_TOGETHER: Final = (
    select(deliveries.c.id)
    .where(IS_BUNDLED, deliveries.c.bundle.in_(bindparam("bundles", expanding=True)))
    .order_by(deliveries.c.id)
)
_BUNDLES: Final = select(deliveries.c.bundle, deliveries.c.state).where(
    IS_BUNDLED, deliveries.c.id.in_(bindparam("ids", expanding=True))
)


def with_others(connection: Connection, ids: Sequence[int], states: Collection[State]) -> list[int]:
    """Return these rows, and all others in these states that share a message with one of them."""
    bundled = {
        bundle
        for some in chunks(ids)
        for bundle, state in connection.execute(_BUNDLES, {"ids": some})
        if state in states
    }
    others = [
        row
        for some in chunks(sorted(bundled))
        for row in connection.scalars(_TOGETHER.where(deliveries.c.state.in_(states)), {"bundles": some})
    ]
    return list(dict.fromkeys([*ids, *others]))
