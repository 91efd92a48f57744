"""Several delivery loops on one shared ledger, each of another node, by a clock that a test moves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import inf
from typing import Final

from sqlalchemy import insert, text, update

from dingwatch.delivery import DeliveryLoop, FolderPolicy, Job, Outcome, Settings
from dingwatch.delivery.loop import Plan
from dingwatch.dingtalk import REFUSED_EXTENSIONS
from dingwatch.ledger import Outage, Store, versions
from dingwatch.ledger.folders import MappedFolder, Share, bind
from dingwatch.ledger.schema import nodes
from dingwatch.ledger.versions import NewVersion
from dingwatch.model import Fingerprint
from dingwatch.payload import choose_payload
from tests.support import Heard

APP: Final = "app1"
FAR: Final = 1e9
"""Seconds that a lease lasts here: tests end leases themselves."""


FOR_EVER: Final = 1e12
"""The end of a lease by the database's clock."""


@dataclass(frozen=True)
class LongLease:
    """A lease that has lasted for long, and goes on."""

    number: int = 1
    since: float = 0.0


@dataclass(frozen=True)
class Member:
    """A node as its loop knows it."""

    name: str
    instance: str
    seconds: float = 60.0
    lease: LongLease = LongLease()


class Node:
    """One host: a store, a folder `/NAME` to some recipients, and a delivery loop."""

    def __init__(
        self,
        world: World,
        name: str,
        recipients: Sequence[str],
        settings: Settings,
        *,
        by_any_node: bool,
        shared: str | None = None,
    ) -> None:
        self.world, self.name, self.settings = world, name, settings
        self.store = Store.open(world.url, name)
        self.heard = Heard()
        self.mapped = MappedFolder(
            f"/{name}".encode(),
            shared or name,
            tuple(recipients),
            by_any_node=by_any_node,
            share=None if shared is None else Share(shared, {}),
        )
        with self.store.writing() as connection:
            (self.mark,) = bind(connection, [self.mapped])
            connection.execute(
                insert(nodes).values(name=name, instance=name, started_at=0.0, lease_until=world.now + FAR)
            )
        self.restart()

    def restart(self) -> None:
        """Begin anew, as a new process does."""
        self.loop = DeliveryLoop(
            self.store,
            self.settings,
            token_fresh=lambda _: True,
            chance=lambda: 0.5,
            log=self.heard,
            outage=Outage(self.heard),
        )
        self.loop.recover(self.world.now)

    def drop(self, *recipients: str, content: str | None = None, watched: bool = True) -> list[int]:
        """Write down a settled file of the folder, or one given to `send`; return its deliveries' ids."""
        self.world.number += 1
        number = self.world.number
        path, digest = f"{self.name}{number}.pdf".encode(), content or f"digest{number}"
        policy = self.settings.of_folder(self.mark.id).payload
        new = NewVersion(
            folder=self.mark.id if watched else None,
            path=path,
            fingerprint=Fingerprint(5, number, 1, number, 1),
            digest=digest,
            noticed_at=self.world.now,
            settled_at=self.world.now,
            payload=choose_payload(path, 5, digest, policy, REFUSED_EXTENSIONS),
            recipients=recipients or self.mapped.recipients[:1],
        )
        with self.store.writing() as connection:
            made = versions.add(self.store, connection, [new], self.world.now)
        self.world.now += 0.001
        return made

    def set_policy(self, policy: FolderPolicy) -> None:
        """Give the folder other settings, and begin anew with them."""
        self.settings = replace(self.settings, folders={self.mark.id: policy})
        self.restart()

    def stand(self) -> None:
        """Have a lease by the database's clock from now on, and take over from nodes that have none."""
        self.loop.member = Member(self.name, self.name)
        with self.store.writing() as connection:
            mine = nodes.c.name == self.name
            connection.execute(update(nodes).where(mine).values(lease_until=FOR_EVER))

    def plan(self, *outcomes: Outcome) -> Plan:
        """Tick once; return all that the tick says."""
        return self.loop.tick(self.world.now, outcomes)

    def tick(self, *outcomes: Outcome) -> list[Job]:
        """Tick once; return the jobs."""
        return self.plan(*outcomes).jobs


class World:
    """A ledger in PostgreSQL, and the nodes that work on it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.now = 1_000_000.0
        self.number = 0
        self.nodes: list[Node] = []

    def add(
        self,
        name: str,
        *recipients: str,
        settings: Settings | None = None,
        by_any_node: bool = True,
        shared: str | None = None,
    ) -> Node:
        """Add a node with a folder for these recipients; it shares it with others under the name `shared`."""
        made = Node(self, name, recipients, settings or Settings(APP), by_any_node=by_any_node, shared=shared)
        self.nodes.append(made)
        return made

    def lose(self, node: Node) -> None:
        """Let a node's lease be over."""
        with node.store.writing() as connection:
            mine = nodes.c.name == node.name
            connection.execute(update(nodes).where(mine).values(lease_until=self.now - 1.0))

    def state(self, delivery: int) -> str:
        """Return a delivery's state."""
        with self.nodes[0].store.reading() as connection:
            query = text("SELECT state FROM deliveries WHERE id = :id")
            return str(connection.execute(query, {"id": delivery}).scalar())

    def close(self) -> None:
        """Close all."""
        for node in self.nodes:
            node.store.close()


@contextmanager
def world(url: str) -> Iterator[World]:
    """Yield a world without nodes."""
    made = World(url)
    try:
        yield made
    finally:
        made.close()


class Days:
    """Lets nodes work in simulated time: each ticks when it wants to, and when its jobs have come back.

    A notification is as good as lost here: nodes look again after some seconds, as they do without.
    """

    def __init__(self, world: World, seconds: float, poll: float = 5.0) -> None:
        self._world, self._seconds, self._poll = world, seconds, poll
        self._out: list[tuple[float, Node, Job]] = []
        self.log: list[tuple[float, Node, Job]] = []
        """When each job was issued, and by which node."""

    def run(self, until: float, answer: object) -> None:
        """Work until an instant; `answer` makes an outcome's result of (node, job)."""
        wake = dict.fromkeys(self._world.nodes, self._world.now)
        while True:
            at = min([*wake.values(), *(end for end, *_ in self._out)], default=inf)
            if at > until:
                self._world.now = until
                return
            self._world.now = max(at, self._world.now)
            for node in self._world.nodes:
                ended = [one for one in self._out if one[1] is node and one[0] <= self._world.now]
                if not ended and wake[node] > self._world.now:
                    continue
                self._out = [one for one in self._out if one not in ended]
                plan = node.plan(*(Outcome(job, answer(node, job)) for _, _, job in ended))  # type: ignore[operator]
                for job in plan.jobs:
                    self._out.append((self._world.now + self._seconds, node, job))
                    self.log.append((self._world.now, node, job))
                later = self._world.now + self._poll
                wake[node] = min(later, inf if plan.next_at is None else max(plan.next_at, self._world.now))
