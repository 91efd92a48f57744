"""`python -m tests.nodes.frozen [--rounds N]`: nodes that are frozen, or killed, at each point of a job.

Two delivery loops on a real PostgreSQL, in one process: what would take a real node a minute, the end of its
lease, is one UPDATE here, so that a thousand rounds take minutes. A frozen node does nothing from one point
of a job on, while the other takes over what it had in hand; then it goes on where it was.
"""

from __future__ import annotations

import itertools
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import click
from sqlalchemy import text

from dingwatch.delivery import DeliveryLoop, FetchToken, Outcome, Send, SendDone, Settings, Upload, UploadDone
from dingwatch.delivery.jobs import Done, Job
from dingwatch.dingtalk import REFUSED_EXTENSIONS
from dingwatch.ledger import Outage, Store, versions
from dingwatch.ledger.folders import MappedFolder, bind
from dingwatch.ledger.versions import NewVersion
from dingwatch.lifecycle import IN_WORK, State
from dingwatch.model import Cause, Fingerprint, NotReached
from dingwatch.payload import choose_payload
from tests.postgres import PostgresServer

APP: Final = "app"
RECIPIENTS: Final = ("cidA", "cidB", "cidC")
POINTS: Final = ("claimed", "checked", "reached", "answered")
"""Where a node stops within a job: before anything of it, when it may leave and before it does, when DingTalk
has it, and when its answer is there."""
KINDS: Final = ("frozen", "killed")
LEASE: Final = 60.0
FOR_EVER: Final = 1e9
STEPS: Final = 2000


@dataclass(frozen=True)
class Lease:
    """The lease of a node, which only this file ends."""

    number: int
    since: float = -FOR_EVER


@dataclass
class Member:
    """What a delivery loop knows of its node."""

    name: str
    instance: str
    lease: Lease = Lease(1)
    seconds: float = LEASE


@dataclass
class DingTalk:
    """Counts what arrives."""

    messages: Counter[int] = field(default_factory=Counter)
    """By delivery."""
    uploads: int = 0


@dataclass
class Task:
    """A job that is out: how far it has come, and under which lease it was claimed."""

    job: Job
    lease: int
    point: str = "claimed"
    result: Outcome | None = None


class Node:
    """A delivery loop, and the jobs that it has out."""

    def __init__(self, name: str, url: str, settings: Settings, chat: DingTalk) -> None:
        self.name = name
        self.store = Store.open(url, name)
        self.chat = chat
        self.settings = settings
        self.lives = 0
        self.folder = 0
        self.start()

    def start(self) -> None:
        """Begin a life of its process."""
        self.lives += 1
        self.member = Member(self.name, f"{self.name} {self.lives}", Lease(self.lives * 1000))
        self.tasks: list[Task] = []
        self.next_at: float | None = None
        self.woken = True
        self.loop = DeliveryLoop(
            self.store,
            self.settings,
            token_fresh=lambda _: True,
            chance=lambda: 0.5,
            log=lambda *_, **__: None,
            outage=Outage(lambda *_, **__: None),
        )
        self.loop.member = self.member
        self.renew()

    def renew(self) -> None:
        """Renew the lease; after one that was over it is another."""
        statement = (
            "INSERT INTO nodes (name, instance, started_at, lease_until, draining, tick)"
            " VALUES (:name, :instance, 0, :until, false, 0) ON CONFLICT (name) DO UPDATE"
            " SET instance = :instance, lease_until = :until"
        )
        values = {"name": self.name, "instance": self.member.instance, "until": time.time() + FOR_EVER}
        with self.store.writing() as connection:
            connection.execute(text(statement), values)

    def lose_lease(self) -> None:
        """End the lease, as time does."""
        with self.store.writing() as connection:
            connection.execute(
                text("UPDATE nodes SET lease_until = :over WHERE name = :name"),
                {"name": self.name, "over": time.time() - 1},
            )

    def regain_lease(self) -> None:
        """Renew a lease that was over."""
        self.member.lease = Lease(self.member.lease.number + 1)
        self.renew()

    def is_due(self, now: float) -> bool:
        """Return whether a tick has something to do."""
        answered = any(task.result is not None for task in self.tasks)
        return self.woken or answered or (self.next_at is not None and self.next_at <= now)

    def tick(self, now: float) -> bool:
        """Enter the outcomes that are there, and take new jobs; return whether anything happened."""
        self.woken = False
        done = [task for task in self.tasks if task.result is not None]
        lease = self.member.lease.number
        plan = self.loop.tick(now, [task.result for task in done if task.result is not None])
        self.tasks = [task for task in self.tasks if task.result is None]
        self.tasks += [Task(job, lease) for job in plan.jobs]
        self.next_at = plan.next_at
        return bool(done or plan.jobs)

    def advance(self, task: Task) -> None:
        """Bring a job one point further."""
        here = POINTS.index(task.point) + 1
        task.point = POINTS[here]
        if task.point == "checked" and isinstance(task.job, Send) and task.lease != self.member.lease.number:
            # As `LeaseKeeper.require`: it does not leave under another lease than it was claimed under.
            task.point = POINTS[-1]
            task.result = Outcome(task.job, NotReached(Cause("stopped", "", "LEASE")))
        elif task.point == "reached":
            self._reach(task.job)
        elif task.point == "answered":
            task.result = Outcome(task.job, _success(task.job))

    def _reach(self, job: Job) -> None:
        if isinstance(job, Send):
            self.chat.messages.update(row.id for row in job.rows)
        else:
            self.chat.uploads += isinstance(job, Upload)


def _success(job: Job) -> UploadDone | SendDone | Done:
    if isinstance(job, Upload):
        return UploadDone(f"@{job.source.id}-{job.rows[0].claim}")
    if isinstance(job, Send):
        return SendDone(f"key{job.row.id}")
    assert isinstance(job, FetchToken)
    return Done()


class World:
    """Two nodes with a folder each, on one ledger."""

    def __init__(self, url: str, seed: int, *, resend: bool, kill: bool) -> None:
        self.chance = random.Random(seed)  # noqa: S311 (chance that can be repeated)
        self.kill = kill
        self.resend = resend
        self.chat = DingTalk()
        self.now = 1_000_000.0
        self.number = 0
        settings = Settings(APP, workers=4, resend_uncertain=resend)
        self.nodes = [Node(name, url, settings, self.chat) for name in ("a", "b")]
        for node in self.nodes:
            mapped = MappedFolder(f"/{node.name}".encode(), node.name, RECIPIENTS, by_any_node=True)
            with node.store.writing() as connection:
                (mark,) = bind(connection, [mapped])
            node.folder = mark.id
        self.points: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.twice = 0
        self.uncertain = 0
        self.files = 0

    def close(self) -> None:
        """Close the ledgers."""
        for node in self.nodes:
            node.store.close()

    def drop(self, node: Node) -> list[int]:
        """Write down a settled file."""
        self.number += 1
        name = f"{self.number}.pdf".encode()
        digest = f"digest{self.chance.choice((self.number, max(self.number - 1, 1)))}"
        code = node.settings.of_folder(node.folder).payload
        new = NewVersion(
            folder=node.folder,
            path=name,
            fingerprint=Fingerprint(5, self.number, 1, self.number, 1),
            digest=digest,
            noticed_at=self.now,
            settled_at=self.now - 1.0 + self.number / 1e6,
            payload=choose_payload(name, 5, digest, code, REFUSED_EXTENSIONS),
            recipients=tuple(self.chance.sample(RECIPIENTS, self.chance.choice((1, 1, 2)))),
        )
        with node.store.writing() as connection:
            made = versions.add(node.store, connection, [new], self.now)
        for one in self.nodes:
            one.loop.poke()
            one.woken = True
        return made

    def play(self) -> None:
        """Freeze or kill a node at a point of a job; see what becomes of the files of this round."""
        rows = [
            row for node in self.nodes for _ in range(self.chance.randint(1, 2)) for row in self.drop(node)
        ]
        self.files += len(rows)
        victim, other = self.chance.sample(self.nodes, 2)
        kind: type[Job] = self.chance.choice((Upload, Send, Send))
        point = self.chance.choice(POINTS)
        task = self._until(victim, kind, point)
        if task is not None:
            self.points[f"{kind.__name__} {point}"] += 1
            self._stop(victim, other)
        self._rest()
        self._judge(rows)

    def _until(self, victim: Node, kind: type[Job], point: str) -> Task | None:
        """Let both work until a job of the victim is at this point; it never is where the other has all."""
        for _ in range(STEPS):
            for task in victim.tasks:
                if isinstance(task.job, kind) and task.point == point:
                    return task
            if not self._step(self.nodes):
                return None
        raise AssertionError("it works without end")

    def _stop(self, victim: Node, other: Node) -> None:
        """Have the victim do nothing while its lease ends and the other takes over; then let it go on."""
        seconds = self.chance.choice((0.0, 20.0, 40.0, 100.0))
        victim.lose_lease()
        for _ in range(self.chance.choice((1, 3, 40))):
            self._step([other])
        self.now += seconds
        for _ in range(self.chance.choice((0, 3, 40))):
            self._step([other])
        if self.kill:
            # Of the other jobs, some had reached DingTalk.
            for task in victim.tasks:
                while task.point != POINTS[-1] and self.chance.random() < 0.4:
                    victim.advance(task)
            victim.start()
            victim.loop.recover(self.now)
            return
        if self.chance.random() < 0.5:  # a job goes on before the lease is known to have been lost
            for task in victim.tasks:
                while task.point != POINTS[-1] and self.chance.random() < 0.5:
                    victim.advance(task)
            victim.tick(self.now)
        victim.regain_lease()

    def _step(self, nodes: Sequence[Node]) -> bool:
        """Do one thing that can be done now; return whether there was any."""
        can = [partial(node.advance, task) for node in nodes for task in node.tasks if task.result is None]
        can += [partial(self._tick, node) for node in nodes if node.is_due(self.now)]
        if can:
            self.chance.choice(can)()
        return bool(can)

    def _tick(self, node: Node) -> None:
        if node.tick(self.now):  # as LISTEN does
            for one in self.nodes:
                one.woken = one.woken or one is not node

    def _rest(self) -> None:
        """Let both work until nothing is left."""
        for _ in range(STEPS):
            for node in self.nodes:
                for task in node.tasks:
                    while task.result is None:
                        node.advance(task)
                node.loop.poke()
                node.tick(self.now)
            if not any(node.tasks for node in self.nodes):
                if not self._left():
                    return
                self.now += 10.0
        self.wrong.append(f"round {self.number}: never at rest: {self._left()}")

    def _left(self) -> list[object]:
        with self.nodes[0].store.reading() as connection:
            found = connection.execute(text("SELECT id, state, doubts, due FROM deliveries")).all()
        return [
            tuple(row)
            for row in found
            if row.state in IN_WORK or (self.resend and row.state == State.UNCERTAIN and row.doubts == 1)
        ]

    def _judge(self, rows: Sequence[int]) -> None:
        with self.nodes[0].store.reading() as connection:
            found = connection.execute(text("SELECT id, state, uncertain_resent FROM deliveries")).all()
            flying = connection.execute(text("SELECT * FROM in_flight")).all()
            busy = connection.execute(text("SELECT * FROM uploads WHERE state = 'busy'")).all()
        states = {row.id: row for row in found}
        for row in rows:
            times, now = self.chat.messages[row], states[row]
            story = f"round {self.number}: {times} times: {now}"
            if now.state == State.UNCERTAIN:
                self.uncertain += 1
            elif now.state != State.SENT or not times:
                self.wrong.append(f"lost: {story}")
            if times > 1 and not now.uncertain_resent:
                self.wrong.append(f"twice, unmarked: {story}")
            elif times > 2:
                self.wrong.append(f"too often: {story}")
            self.twice += times > 1
        if flying or busy:
            self.wrong.append(f"round {self.number}: left: {flying} {busy}")


def play(rounds: int, seed: int, *, resend: bool, kill: bool) -> World:
    """Stop nodes at so many points, on a server of their own, or until something goes wrong."""
    with PostgresServer() as server, server.ledger() as url:
        world = World(url, seed, resend=resend, kill=kill)
        try:
            while world.points.total() < rounds and not world.wrong:
                world.play()
        finally:
            world.close()
    return world


def describe(world: World) -> str:
    """Return what became of the files."""
    lost = sum(one.startswith("lost") for one in world.wrong)
    unmarked = sum(one.startswith("twice") for one in world.wrong)
    return (
        f"{'killed' if world.kill else 'frozen'} at {world.points.total()} points"
        f" ({'resend' if world.resend else 'hold'}): {world.files} deliveries, lost {lost},"
        f" twice (unmarked) {unmarked}, twice (marked) {world.twice - unmarked}, uncertain {world.uncertain},"
        f" other {len(world.wrong) - lost - unmarked}; {dict(sorted(world.points.items()))}"
    )


@click.command()
@click.option("--rounds", type=click.IntRange(1), default=1000, help="Rounds of each kind.")
@click.option("--seed", type=int, default=0)
@click.option("--only", type=click.Choice(KINDS), help="Frozen nodes alone, or killed ones.")
def main(rounds: int, seed: int, only: str | None) -> None:
    """Freeze, and kill, one of two nodes at each point of a job, and print what became of the files."""
    wrong: list[str] = []
    for kind, resend in itertools.product((only,) if only else KINDS, (True, False)):
        kill = kind == "killed"
        begun = time.monotonic()
        world = play(rounds // 2, seed, resend=resend, kill=kill)
        click.echo(f"{describe(world)}; {time.monotonic() - begun:.0f} s")
        wrong += world.wrong
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
