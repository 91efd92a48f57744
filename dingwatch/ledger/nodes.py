"""Nodes: the hosts that work on a shared ledger, and their leases by the clock of the database."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Connection,
    Double,
    Text,
    bindparam,
    case,
    cast,
    extract,
    func,
    literal_column,
    select,
    true,
    update,
)

from dingwatch.ledger.schema import nodes, tellers
from dingwatch.ledger.store import Prepared, Store, node_of

CHANNEL: Final = "dingwatch"
"""Where the nodes of a database notify each other: that there is something to do, and nothing else."""
ARE_YOU_THERE: Final = "node:"
"""Begins a notification that asks the node of this name to renew its lease at once, as a sign of life."""
CLOCK: Final = cast(extract("epoch", func.clock_timestamp()), Double)
"""The clock of the database, in seconds since the epoch, at the instant at which it is asked."""


@dataclass(frozen=True, slots=True)
class Node:
    """A host that works on the ledger; its times are the database's."""

    name: str
    instance: str
    """Drawn by each of its processes, with the app that it works for (`4f3a…/dingxxxx`)."""
    started_at: float
    lease_until: float
    """When others take over what it has in hand, unless it renews its lease before."""
    draining: bool
    """Whether it claims nothing, because a person asked for that."""
    tick: int
    """The number of the last transaction of its delivery loop that was committed."""
    timeline: str
    """The timeline of the database with which it has compared what it remembers."""

    def is_live(self, now: float) -> bool:
        """Return whether it has a lease."""
        return self.lease_until > now

    def state(self, now: float) -> str:
        """Return its state for people: `up`, `lost` or `draining`.

        A node that was drained and then stopped stays `draining`: somebody wanted that, and nobody needs to
        be told.
        """
        return "draining" if self.draining else "up" if self.is_live(now) else "lost"


@dataclass(frozen=True, slots=True)
class Members:
    """All nodes at one instant, as a transaction sees them."""

    now: float
    timeline: str
    """The history of the database that a server goes on with: another one after each failover."""
    nodes: tuple[Node, ...]

    def find(self, name: str) -> Node | None:
        """Return a node by its name."""
        return next((one for one in self.nodes if one.name == name), None)

    @property
    def agree(self) -> bool:
        """Whether all live nodes have compared what they remember with this timeline."""
        return all(one.timeline == self.timeline for one in self.nodes if one.is_live(self.now))

    def lost(self, name: str) -> tuple[Node, ...]:
        """Return the nodes without a lease, apart from the one of this name."""
        return tuple(one for one in self.nodes if one.name != name and not one.is_live(self.now))

    def find_teller(self, tellers: Collection[str]) -> str | None:
        """Return which of these nodes tells people of troubles, for all; None while none of them is live.

        Of those that work it is the first by name, so that all know it without having to agree.
        """
        live = [one for one in self.nodes if one.name in tellers and one.is_live(self.now)]
        working = [one.name for one in live if not one.draining]
        return min(working or (one.name for one in live), default=None)


_COLUMNS: Final = (
    nodes.c.name,
    nodes.c.instance,
    nodes.c.started_at,
    nodes.c.lease_until,
    nodes.c.draining,
    nodes.c.tick,
    nodes.c.timeline,
)
# A server in recovery writes no log of its own, and fails when it is asked where that ends.
TIMELINE: Final = case(
    (func.pg_is_in_recovery(), literal_column("''")),
    else_=func.substr(func.pg_walfile_name(func.pg_current_wal_lsn()), 1, 8),
)
_MEMBERS: Final = Prepared(
    select(CLOCK, cast(TIMELINE, Text), *_COLUMNS).select_from(
        # Also where there is no node at all, as right after the ledger was made.
        select(literal_column("1").label("one")).subquery("always").outerjoin(nodes, true())
    )
)
_LIST: Final = select(*_COLUMNS).order_by(nodes.c.name)
_CLOCK: Final = Prepared(select(CLOCK))


def app_of(instance: str) -> str:
    """Return the app that a process works for; empty for one of which that is not known."""
    return instance.partition("/")[2]


def read_members(connection: Connection) -> Members:
    """Return the clock of the database, its timeline and all nodes, in one query; PostgreSQL only."""
    rows = _MEMBERS.rows(connection, {})
    now, timeline = rows[0][:2]
    return Members(now, timeline, tuple(_node(row[2:]) for row in rows if row[2] is not None))


def is_drained(connection: Connection) -> bool:
    """Return whether this host was drained; one that does not share its ledger cannot be."""
    own = node_of(connection)
    found = read_members(connection).find(own) if own else None
    return found is not None and found.draining


def list_nodes(connection: Connection) -> list[Node]:
    """Return all nodes by name; a ledger that is not shared has none."""
    return [_node(row) for row in connection.execute(_LIST)]


def _node(row: Any) -> Node:  # noqa: ANN401 (a row of the driver's, or of SQLAlchemy's)
    name, instance, started_at, lease_until, draining, tick, timeline = row
    return Node(name, instance, started_at, lease_until, bool(draining), tick, timeline)


def is_teller(store: Store) -> bool:
    """Return whether this host tells people of troubles, for all nodes; on a ledger of its own it does.

    Raises:
        LedgerError: the ledger cannot be asked.
    """
    if not store.shared:
        return True
    with store.reading() as connection:
        able = set(connection.scalars(select(tellers.c.node)))
        return read_members(connection).find_teller(able) == store.node


def ledger_time(store: Store, wall: float) -> float:
    """Return the time by the clock of the ledger: the database's where it is shared, else `wall`.

    Raises:
        LedgerError: the database cannot be asked.
    """
    if not store.shared:
        return wall
    with store.reading() as connection:
        ((now,),) = _CLOCK.rows(connection, {})
    return float(now)


def set_draining(store: Store, name: str, *, draining: bool) -> bool:
    """Have a node claim nothing more, or claim again; return whether there is such a node.

    Raises:
        LedgerError: it cannot be written.
    """
    with store.writing() as connection:
        changed = connection.execute(
            update(nodes).where(nodes.c.name == name).values(draining=draining)
        ).rowcount
        if changed:
            wake_nodes(connection)
    return bool(changed)


_NOTE_TICK: Final = Prepared(
    update(nodes)
    .where(nodes.c.name == bindparam("node"), nodes.c.instance == bindparam("process"))
    .values(tick=bindparam("number", type_=BigInteger))
)
_NOTIFY: Final = Prepared(
    select(func.pg_notify(bindparam("channel", type_=Text), bindparam("payload", type_=Text)))
)


def note_tick(connection: Connection, name: str, instance: str, number: int) -> None:
    """Write the number of a transaction with it: who reads that number later knows that it took place."""
    _NOTE_TICK.count(connection, {"node": name, "process": instance, "number": number})


_NOTE_TIMELINE: Final = Prepared(
    update(nodes)
    .where(nodes.c.name == bindparam("node"), nodes.c.instance == bindparam("process"))
    .values(timeline=bindparam("number"))
)


def note_timeline(connection: Connection, name: str, instance: str, timeline: str) -> None:
    """Write down that a node has compared what it remembers with a timeline."""
    _NOTE_TIMELINE.count(connection, {"node": name, "process": instance, "number": timeline})


def wake_nodes(connection: Connection) -> None:
    """Wake all nodes once this transaction is committed, this host's too: a command has written it.

    It only spares them the wait for their next look. A ledger that is not shared has no nodes.
    """
    if node_of(connection):
        _NOTIFY.rows(connection, {"channel": CHANNEL, "payload": ""})


def wake_others(connection: Connection) -> None:
    """Wake the other nodes once this transaction is committed; they then look at the ledger."""
    _NOTIFY.rows(connection, {"channel": CHANNEL, "payload": node_of(connection)})
