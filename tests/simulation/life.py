"""One life: both loops on a real ledger, over a simulated disk and DingTalk, by a clock that jumps ahead.

Everything that happens is an event in a queue: what the story does, a job being carried out, its outcome
coming back, a start of the process. Between two events the loops tick when they asked for it. All chance
comes from one generator, so that a seed is a life.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from random import Random
from typing import Any, Final, cast

from sqlalchemy import text

from dingwatch import delivery, filters, intake
from dingwatch.delivery import (
    DeliveryLoop,
    FetchToken,
    FolderPolicy,
    MembersLost,
    Outcome,
    Send,
    SendCaption,
    Settings,
    Upload,
)
from dingwatch.delivery import reading as delivery_reading
from dingwatch.dingtalk import MEDIA_LIMIT, REFUSED_EXTENSIONS, Client
from dingwatch.intake import FolderSettings, Input, IntakeLoop, first_look
from dingwatch.intake import execute as intake_execute
from dingwatch.intake.jobs import Check, Listed, Look, Scan, Scanned, TakeBaseline
from dingwatch.intake.phases import WatchPhase
from dingwatch.ledger import LedgerError, Outage, folders
from dingwatch.ledger.folders import MappedFolder, bind
from dingwatch.ledger.schema import HELD
from dingwatch.lifecycle import State
from dingwatch.model import NoAnswer, Now, Vanished, Verdict, WatchKind
from dingwatch.notice_text import Wording
from dingwatch.payload import PayloadPolicy
from dingwatch.recipients import Sender
from dingwatch.watch import Hint, Overflow
from tests.simulation.chat import Chat
from tests.simulation.disk import Disk, Place, Root, Tree, nothing
from tests.simulation.edges import Ledger, Watching
from tests.simulation.shape import Shape

APP: Final = "app"
SPIN: Final = 40
"""Ticks in a row at one instant with nothing coming in, after which a loop is said to spin."""
LONGEST: Final = 6000
"""Ticks of one life, after which it is said never to come to rest."""
STOP_SECONDS: Final = 9.0
FILTER: Final = filters.path_filter((), (), recursive=True)


_WAITING: Final = text(
    "SELECT d.id, d.state FROM deliveries d JOIN routes r ON r.folder_id = d.folder_id"
    " AND r.conversation_id = d.conversation_id"
    " WHERE d.state IN ('pending', 'uploading', 'uploaded', 'sending') AND d.due < :held"
)


class Wrong(Exception):  # noqa: N818 (what a life shows to be wrong)
    """A promise that was broken."""


@dataclass(order=True)
class _Event:
    at: float
    number: int
    act: Callable[[], None] = field(compare=False)
    job: Any = field(compare=False, default=None)
    done: bool = field(compare=False, default=False)
    """Whether the job was carried out, and only its outcome is on the way."""


_TIMES: Final[dict[type, tuple[float, ...]]] = {
    Look: (0.001, 0.01, 0.3),
    Check: (0.001, 0.01),
    Scan: (0.01, 0.5, 5.0),
    TakeBaseline: (0.01, 0.5, 5.0),
    Upload: (0.1, 1.0, 10.0),
    Send: (0.1, 0.5, 3.0, 20.0),
    SendCaption: (0.1, 0.5, 3.0, 20.0),
    FetchToken: (0.1, 1.0),
}


class Life:
    """The world of one seed."""

    def __init__(self, seed: int, store: Ledger) -> None:
        self.rng = Random(seed)  # noqa: S311 (chance, no secret)
        self.shape = Shape.drawn(seed, self.rng)
        self.store = store
        store.wipe()
        store.trouble = self._trouble
        self.monotonic = 1000.0
        self.offset = 1_000_000.0
        self.disk = Disk(lambda: self.wall, lambda: self.monotonic)
        self.disk.tells_all = self.shape.strict
        self.chat = Chat(self.rng, lambda: self.monotonic, self.shape.refused)
        self.trees = [self._tree(b"/share%d" % i) for i in range(len(self.shape.mapping))]
        self.told: deque[tuple[float, str]] = deque(maxlen=4000)
        self.ids: dict[int, Tree] = {}
        self.claims: list[tuple[float, delivery.Target | None]] = []
        """When, by the wall clock, what was claimed."""
        self.listed: set[tuple[int, bytes, int, int]] = set()
        self.jumped = False
        self.calm = False
        self.full = False
        self.intake: IntakeLoop | None = None
        self.delivery: DeliveryLoop | None = None
        self._events: list[_Event] = []
        self._numbers = count()
        self._still = 0
        self._ticks = 0
        self._last_tick = 0.0
        self._stop_at: float | None = None
        self._noticed: set[tuple[int, bytes]] = set()
        self._looked: set[int] = set()
        """Folders into which a scan has looked since the end began; only its outcome counts."""
        self._scanned: set[int] = set()
        self._reset()

    def _tree(self, root: bytes) -> Tree:
        return self.disk.trees.setdefault(root, Tree(root, self.disk.number(), self.disk.number()))

    def _reset(self) -> None:
        self.intake = self.delivery = None
        self.intake_in: list[Input] = []
        self.delivery_in: list[Outcome] = []
        self._intake_at: float | None = None
        self._delivery_at: float | None = None
        self.observer = Watching()
        self._stop_at = None
        self.chat.stopping = False
        self._noticed.clear()
        self._looked.clear()
        self._scanned.clear()

    @property
    def wall(self) -> float:
        """The wall clock."""
        return self.monotonic + self.offset

    def tell(self, text: str) -> None:
        """Note a step of the story."""
        self.told.append((self.monotonic, text))

    def _say(self, text: object, **values: object) -> None:
        self.tell(f"   log: {text} {values}")

    def _trouble(self) -> str:
        if self.calm:
            return ""
        if self.full or self.rng.random() < self.shape.rate / 10:
            self.tell("   the ledger cannot be written")
            return self.rng.choice(("begin", "commit"))
        return ""

    # --- The queue --------------------------------------------------------------------------------

    def after(
        self, seconds: float, act: Callable[[], None], job: object = None, *, done: bool = False
    ) -> None:
        """Have something happen later."""
        one = _Event(self.monotonic + seconds, next(self._numbers), act, job, done)
        heapq.heappush(self._events, one)

    def run(self, until: Callable[[], bool], longest: float) -> None:
        """Let the world go on until something holds; it is wrong when it does not within so many seconds."""
        end = self.monotonic + longest
        while not until():
            self._tick_what_is_due()
            if until():
                return
            at = self._next()
            if at is None or at > end:
                raise Wrong(f"never came to rest: {self._why_not()}")
            self.monotonic = max(at, self.monotonic)
            while self._events and self._events[0].at <= self.monotonic:
                heapq.heappop(self._events).act()

    def _next(self) -> float | None:
        ats = [self._events[0].at] if self._events else []
        if self.intake_in and self.intake is not None:
            ats.append(self.monotonic)
        if self.delivery_in and self.delivery is not None:
            ats.append(self.monotonic)
        if self.intake is not None and self._intake_at is not None:
            ats.append(self._intake_at)
        if self.delivery is not None and self._delivery_at is not None:
            ats.append(self._delivery_at)
        return min(ats, default=None)

    def _tick_what_is_due(self) -> None:
        intake_due = self._intake_at is not None and self._intake_at <= self.monotonic
        if self.intake is not None and (self.intake_in or intake_due):
            self._tick_intake()
        delivery_due = self._delivery_at is not None and self._delivery_at <= self.monotonic
        if self.delivery is not None and (self.delivery_in or delivery_due):
            self._tick_delivery()

    # --- The loops ----------------------------------------------------------------------------------

    def _count_tick(self, loop: str, inputs: Sequence[object]) -> None:
        self._ticks += 1
        self._still = 0 if inputs or self._last_tick != self.monotonic else self._still + 1
        self._last_tick = self.monotonic
        if self._ticks > LONGEST:
            raise Wrong("it ticks without end")
        if self._still > SPIN:
            raise Wrong(f"{loop} asks to be called again and again")

    def _tick_intake(self) -> None:
        assert self.intake is not None
        taken, self.intake_in = self.intake_in, []
        self._count_tick("intake", taken)
        self._note_notices(self.intake, taken)
        plan = self.intake.tick(Now(self.wall, self.monotonic), taken)
        for job in plan.jobs:
            self._submit(job, partial(self._do_intake, job))
        self._intake_at = plan.next_at
        self._note_listings(self.intake, taken)
        if plan.written and self.delivery is not None:
            self.poke()

    def _note_notices(self, loop: IntakeLoop, taken: Sequence[Input]) -> None:
        """What is noticed while a folder is not yet watched is no baseline."""
        away = {i for i, folder in loop._folders.items() if folder.phase is not WatchPhase.UP}
        self._noticed |= {
            (one.folder, one.path) for one in taken if isinstance(one, Hint) and one.folder in away
        }
        self._scanned |= {one.folder for one in taken if isinstance(one, Scanned)} & self._looked

    def _note_listings(self, loop: IntakeLoop, taken: Sequence[Input]) -> None:
        """What a first look lists may be a baseline."""
        for one in taken:
            if isinstance(one, Listed):
                self.listed |= {
                    (one.folder, path, seen.size, seen.mtime_ns)
                    for path, seen in one.files
                    if (one.folder, path) not in self._noticed
                }
        up = {i for i, folder in loop._folders.items() if folder.phase is WatchPhase.UP}
        self._noticed = {key for key in self._noticed if key[0] not in up}

    def poke(self) -> None:
        """Wake delivery, as intake and commands do."""
        if self.delivery is not None:
            self.delivery.poke()
            self._delivery_at = self.monotonic

    def _tick_delivery(self) -> None:
        loop = self.delivery
        assert loop is not None
        taken, self.delivery_in = self.delivery_in, []
        self._count_tick("delivery", taken)
        stopping = self._stop_at is not None
        plan = loop.tick(self.wall, taken, claim=not stopping)
        self._take(plan)
        if stopping:
            self._stop_further()
        elif not loop._outage.affects(loop):
            self._look_for_forgotten(loop, plan)

    def _take(self, plan: delivery.loop.Plan) -> None:
        self._delivery_at = (
            None if plan.next_at is None else self.monotonic + max(plan.next_at - self.wall, 0)
        )
        for job in plan.jobs:
            if isinstance(job, Send | SendCaption | Upload):
                self.claims.append((self.wall, job.target))
            self._submit(job, partial(self._do_delivery, job))

    def _look_for_forgotten(self, loop: DeliveryLoop, plan: delivery.loop.Plan) -> None:
        """A tick that asks not to be called again at once has left nothing that could be done now."""
        if plan.next_at is not None and plan.next_at <= self.wall:
            return
        asleep = plan.next_at is None and not loop.in_hand
        if asleep:
            self._nothing_waits()
        if self.rng.random() < self.shape.poked:
            trouble, self.store.trouble = self.store.trouble, lambda: ""
            loop.poke()
            more = loop.tick(self.wall, [])
            self.store.trouble = trouble
            if more.jobs:
                raise Wrong(f"a tick left work behind: {more.jobs}")
            self._take(more)

    def _nothing_waits(self) -> None:
        with self.store.reading() as connection:
            rows = connection.execute(_WAITING, {"held": HELD}).all()
        if rows:
            raise Wrong(f"delivery sleeps for ever over {rows}")

    def _submit(self, job: object, do: Callable[[float], None]) -> None:
        """Have a job carried out some time from now, and its outcome come back some time later."""
        whole = self.rng.choice(_TIMES.get(type(job), (0.01, 0.5)))
        before = whole * self.rng.choice((0.0, 0.5, 1.0))
        self.tell(f"   job: {_short(job)}")
        self.after(before, partial(do, whole - before), job)

    def _do_intake(self, job: intake.Job, back: float) -> None:
        result = self._intake_executor(job)
        if isinstance(job, Scan):
            self._looked.add(job.folder)
        self.after(back, partial(self._intake_out, result), job, done=True)

    def _intake_out(self, result: Input) -> None:
        self.tell(f"   out: {_short(result)}")
        self.intake_in.append(result)

    def _do_delivery(self, job: delivery.Job, back: float) -> None:
        outcome = self._execute_delivery(job)
        changed = isinstance(outcome.result, Vanished) and outcome.result.cause.code == "changed"
        rows = job.rows if changed and isinstance(job, Upload) else ()
        if isinstance(outcome.result, MembersLost) and isinstance(job, Upload):
            lost = {version for version, one in outcome.result.failed if one.cause.code == "changed"}
            rows = tuple(row for row in job.rows if row.version in lost)
        if self.intake is not None:
            self.intake_in += [Hint(r.folder, r.path, must_read=True) for r in rows if r.folder is not None]
        self.after(back, partial(self._delivery_out, outcome), job, done=True)

    def _execute_delivery(self, job: delivery.Job) -> Outcome:
        self.chat.job = job
        try:
            return self._delivery_executor(job)
        finally:
            self.chat.job = None

    def _delivery_out(self, outcome: Outcome) -> None:
        self.tell(f"   out: {_short(outcome)}")
        self.chat.note(outcome.job, outcome.result)
        if isinstance(outcome.job, SendCaption) and isinstance(outcome.result, Verdict):
            self._forget_line(outcome.job, outcome.result)
        self.delivery_in.append(outcome)

    # --- Start, stop, kill -----------------------------------------------------------------------------

    def start(self) -> None:
        """Start the process on the ledger as it is."""
        try:
            self._start()
        except LedgerError:
            self._reset()
            self.after(1.0, self.start)

    def _start(self) -> None:
        mapped = [MappedFolder(tree.root, tree.root.decode(), to) for tree, to in self._mapped()]
        with self.store.writing() as connection:
            marks = bind(connection, mapped)
        settings = [
            FolderSettings(
                id=mark.id,
                root=one.root,
                name=one.name,
                conversations=one.recipients,
                filter=FILTER,
                code=PayloadPolicy(APP, MEDIA_LIMIT),
                settle=self.shape.settle,
                existing=self.shape.existing,
                on_change=self.shape.on_change,
                watch="poll" if self.shape.poll else "auto",
                poll_interval=60.0,
                rescan=1e7 if self.shape.strict else 300.0,
                hold_over=self.shape.hold_over,
                exclusive=False,  # the disk of a life is not a real one
                bundle_wait=None if self.shape.bundle is None else self.shape.bundle.wait,
            )
            for mark, one in zip(marks, mapped, strict=True)
        ]
        self.ids = {mark.id: self.disk.trees[one.root] for mark, one in zip(marks, mapped, strict=True)}
        outage = Outage(self._say)
        self.intake = IntakeLoop(
            self.store,
            list(zip(settings, marks, strict=True)),
            app=APP,
            refused=REFUSED_EXTENSIONS,
            log=self._say,
            outage=outage,
        )
        self._intake_executor = intake.Executor(
            self.store, self.observer, {one.id: one for one in settings}, self.intake_in_put
        )
        wording = Wording(caption="{name}") if self.shape.lines else Wording()
        payload = PayloadPolicy(APP, MEDIA_LIMIT)
        policy = FolderPolicy(payload, wording, self.shape.unsupported, bundle=self.shape.bundle)
        self.delivery = DeliveryLoop(
            self.store,
            Settings(
                APP,
                workers=self.shape.workers,
                resend_uncertain=self.shape.resend,
                per_api=self.shape.per_api,
                per_conversation=self.shape.per_conversation,
                folders={mark.id: policy for mark in marks},
            ),
            token_fresh=self.chat.token_fresh,
            chance=self.rng.random,
            log=self._say,
            outage=outage,
        )
        self._delivery_executor = delivery.Executor(
            cast("Client", self.chat),
            delivery.Reader({one.id: one.root for one in settings}),
            Sender(cast("Client", self.chat)),
        )
        self.delivery.recover(self.wall)
        self._intake_at = self._delivery_at = self.monotonic
        self.tell("started")

    def intake_in_put(self, one: Input) -> None:
        """Take what a scan finds on its way."""
        self.intake_in.append(one)

    def _mapped(self) -> list[tuple[Tree, tuple[str, ...]]]:
        return list(zip(self.trees, self.shape.mapping, strict=True))

    def kill(self) -> None:
        """End the process in the midst of whatever it does."""
        if self.intake is None:
            return
        self.tell("killed")
        if self.delivery is not None and self.rng.random() < 0.3:
            self._lose_a_tick(self.delivery)
        self._die()

    def _lose_a_tick(self, loop: DeliveryLoop) -> None:
        """The kill comes right after a commit, or right before: what it claimed is never carried out."""
        taken, self.delivery_in = self.delivery_in, []
        jobs = loop.tick(self.wall, taken, claim=self._stop_at is None).jobs
        for job in jobs:
            self.chat.note(job, None)

    def _forget_line(self, job: SendCaption, verdict: Verdict) -> None:
        """A line that certainly was not sent leaves no trace, and does not count in the next process."""
        places = [place for _, place in self.claims]
        if not isinstance(verdict, NoAnswer):
            del self.claims[len(places) - 1 - places[::-1].index(job.target)]

    def _die(self) -> None:
        left, self._events = self._events, []
        for one in sorted(left):
            if one.job is None:
                heapq.heappush(self._events, one)
            elif isinstance(one.job, Upload | Send | SendCaption):
                self.chat.note(one.job, None)
                if not one.done and self.rng.random() < 0.5:
                    self._execute_delivery(one.job)  # its effect happened, and nobody heard of it
        # What came back while the ledger could not be written dies with the process too.
        unwritten = self.delivery._unwritten if self.delivery is not None else []
        for outcome in (*self.delivery_in, *unwritten):
            self.chat.note(outcome.job, None)
        self._reset()
        self.after(self.rng.choice((0.1, 5.0, 40.0)), self.start)

    def stop(self) -> None:
        """Stop the process as SIGTERM does."""
        if self.intake is None or self._stop_at is not None:
            return
        self.tell("asked to stop")
        self.intake, self.intake_in, self.observer = None, [], Watching()
        self._events = [
            one
            for one in self._events
            if one.job is None or isinstance(one.job, Upload | Send | SendCaption | FetchToken)
        ]
        heapq.heapify(self._events)
        self._stop_at = self.monotonic + STOP_SECONDS
        self.chat.stopping = True
        self._delivery_at = self.monotonic

    def _stop_further(self) -> None:
        assert self.delivery is not None
        assert self._stop_at is not None
        if self.delivery.in_hand and self.monotonic < self._stop_at:
            self._delivery_at = self._stop_at
            return
        self.delivery.abandon(self.wall)
        self.tell("stopped")
        self._die()

    # --- What the story is told by ------------------------------------------------------------------------

    def notice(self, places: Sequence[Place], *, lost: bool = False) -> None:
        """Let the kernel tell of places; or lose it, and tell that something was lost."""
        ids = {tree.root: i for i, tree in self.ids.items()}
        heard = False
        for root, path in places:
            folder = ids.get(root)
            if folder is None or folder not in self.observer.armed or not self.disk.trees[root].up:
                continue
            heard = True
            if not lost:
                self._put_later(Hint(folder, path, must_read=True))
        if lost and heard and self.shape.strict:
            self._put_later(Overflow())

    def _put_later(self, one: Hint | Overflow) -> None:
        observer = self.observer

        def put() -> None:
            if self.observer is observer and self.intake is not None:
                self.tell(f"   event: {one}")
                self.intake_in.append(one)

        self.after(self.rng.choice((0.0, 0.01, 0.5)), put)

    # --- The end ------------------------------------------------------------------------------------------

    def rest(self) -> None:
        """Let the story come to its end, then everything else, without faults."""
        self.run(lambda: all(one.job is not None for one in self._events), 3600.0)
        self.calm, self.full = True, False
        self.chat.rate, self.chat.out = 0.0, False
        self.disk.hinder, self.disk.meanwhile = nothing, nothing
        self._looked.clear()
        self._scanned.clear()
        self.tell("calm")
        if self.intake is None and self._stop_at is None and not self._events:
            self.after(0.0, self.start)
        for tree in self.trees:
            tree.up = True
        self.run(self._idle, 5 * 3600.0)
        while self._held():
            for folder in self.ids:
                folders.release_flood(self.store, folder, self.wall)
            self.poke()
            self.run(self._idle, 5 * 3600.0)
        self.disk.close()

    def _held(self) -> bool:
        with self.store.reading() as connection:
            return bool(folders.count_held(connection))

    def again(self) -> None:
        """End the process at rest, start it again, and let it come to rest."""
        self.kill()
        self.run(self._idle, 5 * 3600.0)

    def _roots(self) -> list[tuple[int, Root]]:
        return [(i, cast("Root", one.root)) for i, one in self._intake_executor.watched.items()]

    def _idle(self) -> bool:
        return not self._why_not()

    def _why_not(self) -> str:
        """Say why the world is not at rest; nothing when it is."""
        if self.intake is None or self.delivery is None or self._stop_at is not None:
            return "the process does not run"
        if self.intake_in or self.delivery_in or any(not isinstance(e.job, Check) for e in self._events):
            return "something is on its way"
        if self.delivery.in_hand or self._delivery_at is not None:
            return f"delivery waits until {self._delivery_at}"
        return next(self._intake_waits(self.intake), "")

    def _intake_waits(self, loop: IntakeLoop) -> Iterator[str]:
        if self._intake_at is None or self._intake_at <= self.monotonic:
            yield "intake is due"
        for folder in loop._folders.values():
            if folder.phase is not WatchPhase.UP:
                yield "a folder is down"
            if folder.kind is WatchKind.INOTIFY and folder.id not in self.observer.armed:
                yield "a watch is dead"
        if any(root.identity != self.ids[i].identity for i, root in self._roots()):
            yield "a root is another"
        if not self.shape.strict and self._scanned != set(self.ids):
            yield "not everything is scanned"
        waits = {key: one.phase for key, one in loop._candidates._records.items()}
        if waits or any(settling for _, settling in loop.watching().values()):
            yield f"intake waits for {waits}"

    def rows(self, states: Sequence[State]) -> list[int]:
        """Return the ids of the deliveries in one of these states."""
        with self.store.reading() as connection:
            found = connection.exec_driver_sql("SELECT id, state FROM deliveries ORDER BY id").all()
        return [row for row, state in found if state in states]


def on_stage(life: Life, patch: Callable[[object, str, object], None]) -> None:
    """Put the life's disk where those who carry out jobs find the real one."""
    patch(intake_execute, "files", life.disk)
    patch(intake_execute, "walk", life.disk.walk)
    patch(intake_execute, "mounts", life.disk.mounts)
    patch(intake_execute, "holding", life.disk.holding)
    patch(delivery_reading, "files", life.disk)
    patch(first_look, "ROWS_AT_ONCE", 2)  # a life has few files, and its first looks are written in steps too


def _short(one: object) -> str:
    """Tell a job or an outcome in few words."""
    if isinstance(one, Outcome):
        return f"{_short(one.job)} -> {type(one.result).__name__} {getattr(one.result, 'cause', '')}"
    if isinstance(one, Upload):
        return f"Upload {[(r.id, r.path) for r in one.rows]}"
    if isinstance(one, SendCaption):
        return f"Announce {one.row.id} to {one.row.recipient}"
    if isinstance(one, Send):
        return f"Send {one.row.id} {one.row.path!r} to {one.row.recipient}"
    return str(one)[:300]
