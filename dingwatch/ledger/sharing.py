"""What nodes tell each other through a shared ledger, so that together they keep to the limits of one app.

All of it is written and read under the ledger's lock: whoever reads here knows what every other node has done
before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final, NamedTuple

from sqlalchemy import Connection, bindparam, delete, exists, insert, select, union_all, update

from dingwatch.ledger.queues import FOLDERS_ELSEWHERE
from dingwatch.ledger.routing import IS_OWN, NODE, own
from dingwatch.ledger.schema import (
    IS_WAITING,
    captioned,
    deliveries,
    folders,
    folders_down,
    in_flight,
    is_in,
    nodes,
    pauses,
    slots,
    tellers,
)
from dingwatch.ledger.store import Prepared, node_of
from dingwatch.lifecycle import State
from dingwatch.model import Cause, Pause, Route, Scope

AHEAD: Final = 1.0
"""Seconds by which a slot may lie ahead of this node's clock; further ahead it was taken by another clock."""


class TakenSlot(NamedTuple):
    """A slot of the pace that a node took."""

    id: int
    node: str
    at: float
    scope: Scope
    key: str


_SLOTS: Final = Prepared(
    select(slots.c.id, slots.c.node, slots.c.at, slots.c.scope, slots.c.key)
    .where(slots.c.id > bindparam("after"), slots.c.at > bindparam("since"), slots.c.at <= bindparam("until"))
    .order_by(slots.c.id)
)
_TAKE: Final = Prepared(
    insert(slots)
    .values({name: bindparam(name) for name in ("node", "at", "scope", "key")})
    .returning(slots.c.id)
)
_FORGET: Final = Prepared(delete(slots).where(slots.c.at < bindparam("before")))


def read_slots(connection: Connection, after: int, since: float, now: float) -> list[TakenSlot]:
    """Return the slots that were taken since an instant and have a higher id, as they were taken."""
    found = _SLOTS.rows(connection, {"after": after, "since": since, "until": now + AHEAD})
    return [TakenSlot(number, node, at, Scope(scope), key) for number, node, at, scope, key in found]


def take_slots(connection: Connection, taken: Iterable[tuple[Scope, str, float]]) -> int:
    """Write slots that this node takes, and from when on; return the id of the last one."""
    node, latest = node_of(connection), 0
    for scope, key, at in taken:
        ((latest,),) = _TAKE.rows(connection, {"node": node, "at": at, "scope": scope, "key": key})
    return latest


_OTHERS: Final = Prepared(
    select(nodes.c.name).where(
        nodes.c.name != bindparam(NODE), nodes.c.lease_until > bindparam("now"), ~nodes.c.draining
    )
)


def list_others(connection: Connection, now: float) -> tuple[str, ...]:
    """Return the other nodes that work on the ledger now."""
    return tuple(name for (name,) in _OTHERS.rows(connection, {**own(connection), "now": now}))


def forget_slots(connection: Connection, before: float) -> None:
    """Forget the slots that no window reaches any more."""
    _FORGET.count(connection, {"before": before})


# --- Recipients ----------------------------------------------------------------------------------

CAPTION_SECONDS: Final = 120.0
"""How long a caption keeps other nodes from its recipient: the file follows in some seconds, or not soon."""
_BUSY_ELSEWHERE: Final = Prepared(
    union_all(
        select(in_flight.c.recipient).where(in_flight.c.node != bindparam(NODE)),
        select(captioned.c.recipient).where(
            captioned.c.node != bindparam(NODE), captioned.c.at > bindparam("since")
        ),
    )
)


def list_busy_elsewhere(connection: Connection, now: float) -> set[str]:
    """Return the recipients to whom other nodes are sending something, or a file after its caption."""
    values = {**own(connection), "since": now - CAPTION_SECONDS}
    return {recipient for (recipient,) in _BUSY_ELSEWHERE.rows(connection, values)}


_CAPTIONS_BY: Final = Prepared(select(captioned.c.recipient).where(captioned.c.node == bindparam("by")))


def list_captions(connection: Connection, node: str) -> set[str]:
    """Return the recipients whose last message is a caption of a node."""
    return {recipient for (recipient,) in _CAPTIONS_BY.rows(connection, {"by": node})}


_CAPTIONS_OF: Final = Prepared(delete(captioned).where(captioned.c.node == bindparam(NODE)))


def note_captions(connection: Connection, recipients: Collection[str], now: float) -> None:
    """Note the recipients whose last message is a caption of this node; the file comes next."""
    node = node_of(connection)
    _CAPTIONS_OF.count(connection, own(connection))
    if recipients:
        # Another node's is over: nobody sends anything to a recipient while another node's caption is there.
        connection.execute(delete(captioned).where(captioned.c.recipient.in_(list(recipients))))
        rows = [{"recipient": one, "node": node, "at": now} for one in recipients]
        connection.execute(insert(captioned), rows)


# --- Folders that are down -----------------------------------------------------------------------


def save_teller(connection: Connection, *, tells: bool) -> None:
    """Tell the other nodes whether this one knows whom to tell of troubles."""
    node = node_of(connection)
    connection.execute(delete(tellers).where(tellers.c.node == node))
    if tells:
        connection.execute(insert(tellers).values(node=node))


def save_down(connection: Connection, down: Mapping[int, Cause | None]) -> None:
    """Tell the other nodes which folders this one cannot watch now, and why."""
    node = node_of(connection)
    connection.execute(delete(folders_down).where(folders_down.c.node == node))
    causes = {folder: cause or Cause("", "", "") for folder, cause in down.items()}
    rows = [
        {"folder_id": folder, "node": node, "code": one.code, "message": one.message, "advice": one.advice}
        for folder, one in causes.items()
    ]
    if rows:
        connection.execute(insert(folders_down), rows)


class DownElsewhere(NamedTuple):
    """A folder that another node cannot watch, and why, where that is known."""

    folder: int
    name: str
    node: str
    cause: Cause | None


def list_down(connection: Connection, now: float) -> list[DownElsewhere]:
    """Return the folders that other nodes cannot watch now, of those nodes that work at all."""
    d = folders_down.c
    live = (nodes.c.name == d.node, nodes.c.lease_until > now)
    is_former = folders.c.left_at.is_not(None)  # nobody misses the former target of a link
    found = (
        select(d.folder_id, folders.c.name, d.node, d.code, d.message, d.advice)
        .join(folders, folders.c.id == d.folder_id)
        .where(d.node != node_of(connection), exists().where(*live), ~is_former)
        .order_by(d.folder_id, d.node)
    )
    return [
        DownElsewhere(folder, name, node, Cause(code, message, advice) if code else None)
        for folder, name, node, code, message, advice in connection.execute(found)
    ]


# --- Probes --------------------------------------------------------------------------------------

_RESERVE: Final = Prepared(
    update(pauses)
    .where(pauses.c.scope == bindparam("of_scope"), pauses.c.key == bindparam("of_key"), pauses.c.node == "")
    .values(probed_by=bindparam("to_node"), probed_until=bindparam("to_until"))
)


def reserve_probe(connection: Connection, pause: Pause, until: float) -> None:
    """Keep other nodes from probing a pause meanwhile."""
    values = {"to_node": node_of(connection), "to_until": until}
    _RESERVE.count(connection, {"of_scope": pause.scope, "of_key": pause.key, **values})


def release_probe(connection: Connection, pause: Pause) -> None:
    """Let anybody probe a pause: the job that did has ended, and did not tell whether its cause is over."""
    values = {"to_node": None, "to_until": None}
    _RESERVE.count(connection, {"of_scope": pause.scope, "of_key": pause.key, **values})


# --- Waking others -------------------------------------------------------------------------------

_IS_UPLOADED: Final = Prepared(
    select(deliveries.c.id)
    .where(is_in(deliveries, State.UPLOADED), deliveries.c.recipient == bindparam("recipient"))
    .limit(1)
)
_SAME_CONTENT: Final = Prepared(
    select(deliveries.c.id)
    .where(IS_WAITING, deliveries.c.upload_key == bindparam("upload"), ~IS_OWN)
    .limit(1)
)


def is_anything_uploaded(connection: Connection, recipient: str) -> bool:
    """Return whether something is uploaded for a recipient, by whatever node."""
    return bool(_IS_UPLOADED.rows(connection, {"recipient": recipient}))


def waits_elsewhere(connection: Connection, recipient: str) -> bool:
    """Return whether something of another node waits to be uploaded for a recipient."""
    values = {"recipient": recipient, **own(connection)}
    return any(FOLDERS_ELSEWHERE.rows(connection, {**values, "route": route}) for route in Route)


def waits_for_upload(connection: Connection, upload: str) -> bool:
    """Return whether another node has deliveries that wait for this upload."""
    return bool(_SAME_CONTENT.rows(connection, {"upload": upload, **own(connection)}))
