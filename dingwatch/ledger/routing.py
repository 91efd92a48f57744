"""Who does what: which deliveries this node may upload and send, and which are anybody's at all.

On a shared ledger each node has routes of its own. What its folders hold is uploaded by that node alone. What
is uploaded may be sent by any node, unless the settings of its folder are needed for it. Where the ledger is
not shared, there is one node, whose name is empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal,
    literal_column,
    or_,
    select,
)

from dingwatch.ledger.schema import deliveries, folders, is_in, is_in_work, nodes, routes, uploads
from dingwatch.ledger.store import node_of
from dingwatch.lifecycle import State
from dingwatch.model import Route
from dingwatch.payload import NOTICE

NODE: Final = "own_node"
"""The parameter that holds this node's name, in the queries with one of these conditions."""
_OWN: Final[ColumnElement[str]] = bindparam(NODE)
_EMPTY: Final[ColumnElement[str]] = literal_column("''")


def own(connection: Connection) -> dict[str, Any]:
    """Return the parameter of a query about what this node may do."""
    return {NODE: node_of(connection)}


def _of(rows: FromClause) -> tuple[ColumnElement[bool], ...]:
    """Match the routes of a row's folder and recipient, of all nodes."""
    return (routes.c.folder_id == rows.c.folder_id, routes.c.recipient == rows.c.recipient)


def is_mapped(rows: FromClause) -> ColumnElement[bool]:
    """Match rows whose folder and recipient any node maps, and what `send` was given."""
    return or_(rows.c.folder_id.is_(None), exists().where(*_of(rows)))


def is_own(rows: FromClause) -> ColumnElement[bool]:
    """Match rows of this node's folders and recipients, and what `send` was given on this host."""
    given_here = and_(rows.c.folder_id.is_(None), is_given_here(rows))
    return or_(given_here, exists().where(*_of(rows), routes.c.node == _OWN))


def is_given_here(rows: FromClause) -> ColumnElement[bool]:
    """Match what `send` was given on this host, among what it was given at all."""
    return or_(rows.c.given_to.is_(None), rows.c.given_to == _OWN)


def _is_for_any(rows: FromClause) -> ColumnElement[bool]:
    """Match rows of the robot's route that any node may send, if they are no notices."""
    needs_nothing = or_(rows.c.folder_id.is_(None), exists().where(*_of(rows), routes.c.by_any_node))
    return and_(rows.c.route == Route.ROBOT, rows.c.bundle.is_(None), needs_nothing)


def is_live(rows: FromClause) -> ColumnElement[bool]:
    """Match rows that a live node maps; the query has a parameter `now`.

    What only a node can do that is lost or draining must not hold up others.
    """
    return or_(
        exists().where(*_of(rows), or_(routes.c.node == _EMPTY, _works(routes.c.node))),
        and_(rows.c.folder_id.is_(None), or_(rows.c.given_to.is_(None), _works(rows.c.given_to))),
    )


def _works(node: ColumnElement[str]) -> ColumnElement[bool]:
    return exists().where(nodes.c.name == node, nodes.c.lease_until > bindparam("now"), ~nodes.c.draining)


IS_MAPPED: Final = is_mapped(deliveries)
IS_OWN: Final = is_own(deliveries)
IS_GIVEN_HERE: Final = is_given_here(deliveries)
IS_FOR_ANY: Final = _is_for_any(deliveries)
IS_SENDABLE: Final = or_(IS_OWN, and_(IS_FOR_ANY, uploads.c.type != NOTICE))
"""What this node may send once it is uploaded; the query joins `uploads`."""
IS_LIVE: Final = is_live(deliveries)

# --- Routes --------------------------------------------------------------------------------------


def replace_routes(connection: Connection) -> None:
    """Forget this node's routes, before those of another configuration are written."""
    connection.execute(delete(routes).where(routes.c.node == node_of(connection)))


def add_routes(
    connection: Connection, folder: int, recipients: Sequence[str], *, by_any_node: bool = False
) -> None:
    """Have the deliveries of a folder to these recipients claimed.

    `by_any_node` says that a node without the folder may send what is uploaded.
    """
    node = node_of(connection)
    rows = [
        {"folder_id": folder, "recipient": recipient, "node": node, "by_any_node": by_any_node}
        for recipient in recipients
    ]
    if rows:
        connection.execute(insert(routes), rows)


def list_routed(connection: Connection, folders: Sequence[int]) -> set[int]:
    """Return those of these folders whose deliveries this node claims."""
    mine = (routes.c.folder_id.in_(folders), routes.c.node == node_of(connection))
    return set(connection.scalars(select(routes.c.folder_id).where(*mine).distinct()))


def list_live(connection: Connection, numbers: Sequence[int], now: float) -> set[int]:
    """Return those of these deliveries that a live node maps."""
    query = select(deliveries.c.id).where(deliveries.c.id.in_(numbers), IS_LIVE)
    return set(connection.scalars(query, {"now": now}))


def remove_routes(connection: Connection, folder: int) -> None:
    """Have the deliveries of a folder claimed by this node no more."""
    mine = (routes.c.folder_id == folder, routes.c.node == node_of(connection))
    connection.execute(delete(routes).where(*mine))


def copy_routes(connection: Connection, source: int, target: int) -> None:
    """Have the deliveries of one folder claimed as those of another are, and no others of it."""
    node = node_of(connection)
    columns = ("recipient", "node", "by_any_node")
    copied = select(literal(target), *(routes.c[one] for one in columns)).where(
        routes.c.folder_id == source, routes.c.node == node
    )
    connection.execute(delete(routes).where(routes.c.folder_id == target, routes.c.node == node))
    connection.execute(insert(routes).from_select(["folder_id", *columns], copied))


_RECIPIENTS: Final = (
    select(routes.c.recipient)
    .where(routes.c.folder_id == bindparam("folder"), routes.c.node == _OWN)
    .order_by(routes.c.recipient)
)


def list_recipients(connection: Connection, folder: int) -> list[str]:
    """Return those to whom this node's configuration maps a folder."""
    return list(connection.scalars(_RECIPIENTS, {"folder": folder, **own(connection)}))


def count_claimed(connection: Connection, node: str) -> int:
    """Return how many deliveries a node has in hand."""
    claimed = (is_in(deliveries, State.UPLOADING, State.SENDING), deliveries.c.node == node)
    # What is in work is in an index of its own.
    return connection.scalar(select(func.count()).where(is_in_work(deliveries), *claimed)) or 0


@dataclass(frozen=True, slots=True)
class OtherFolder:
    """A folder that this node does not have, as far as the ledger knows it."""

    id: int
    name: str
    root: bytes
    node: str | None
    """The node that has it; None where several share it."""
    recipients: tuple[str, ...]


def list_folders_of_others(connection: Connection) -> list[OtherFolder]:
    """Return the folders in the configurations of other nodes, by node and number."""
    node = node_of(connection)
    if not node:
        return []
    f = folders.c
    query = (
        select(f.id, f.name, f.root, f.node, f.shared, routes.c.recipient)
        .join(routes, routes.c.folder_id == f.id)
        .where(routes.c.node != node)
        .order_by(f.node, f.id, routes.c.recipient)
        .distinct()
    )
    found: dict[int, OtherFolder] = {}
    for number, name, root, owner, shared, recipient in connection.execute(query):
        known = found.get(number)
        recipients = (recipient,) if known is None else (*known.recipients, recipient)
        found[number] = OtherFolder(number, name, root, None if shared else owner, recipients)
    return list(found.values())


def list_routes_of_others(connection: Connection) -> list[tuple[int, str]]:
    """Return the folders and recipients that other nodes map."""
    node = node_of(connection)
    if not node:
        return []
    others = select(routes.c.folder_id, routes.c.recipient).where(routes.c.node != node).distinct()
    return [(folder, recipient) for folder, recipient in connection.execute(others)]
