"""The composition root: clocks, chance, threads, pools, signals, and who watches over them.

Two loops, each in a thread of its own, share nothing but the ledger. A loop's jobs run in a pool and
their outcomes come back through its inbox. An exception that nobody expected stops the whole service
with its story in the log: nothing resurrects itself in the process, the next start repairs.
"""

from __future__ import annotations

import json
import logging
import os
import random
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from types import FrameType, TracebackType
from typing import Any, Final, Self

from dingwatch import delivery, host, intake, policy
from dingwatch.config import Config, Rate
from dingwatch.delivery import DeliveryLoop, Outcome, Place, place_of
from dingwatch.dingtalk import REFUSED_EXTENSIONS, Account, Client
from dingwatch.intake import FolderSettings, Instant, IntakeLoop
from dingwatch.intake.jobs import Anew, Look, Scan, TakeBaseline
from dingwatch.ledger import Store, outbox, sqlite_url, versions
from dingwatch.ledger.versions import FolderMark, Mapped
from dingwatch.lifecycle import IN_WORK, State
from dingwatch.model import Cause, Failure, NotReached, Vanished, WatchKind
from dingwatch.policy import Limit
from dingwatch.texts import Advice, Language, Log, Text
from dingwatch.watch import Observer

STOP_SECONDS: Final = 9.0
"""What is in flight may take this long after a stop; systemd and people were promised ten."""
LEDGER_FILE: Final = "ledger.db"
LOCK_FILE: Final = "lock"
EXIT_BUG: Final = 70

logger = logging.getLogger("dingwatch")


def ledger_url(config: Config) -> str:
    """Return the ledger's URL."""
    return config.ledger or sqlite_url(config.state_dir / LEDGER_FILE)


def speaker(language: Language) -> Callable[..., None]:
    """Return the function by which the loops say what happened: one line of log each."""

    def say(text: Text, **values: object) -> None:
        if "advice" in values:
            values["advice"] = Advice[str(values["advice"])].said(language)
        level = logging.INFO if text in _ORDINARY else logging.WARNING
        logger.log(level, "%s", _one_line(text.said(language, **values)))

    return say


_ORDINARY: Final = frozenset(
    {Log.SENT, Log.QUEUED, Log.RESUMED, Log.BASELINE, Log.FOLDER_BACK, Log.LEDGER_BACK}
)


def _one_line(text: str) -> str:
    """A file's name may hold a newline; a line of log may not."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


# --- A loop in its thread ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Bug:
    """An exception that nobody expected, on its way to the thread that must end."""

    error: BaseException


class Inbox:
    """What comes in for a loop; putting something in wakes it."""

    def __init__(self) -> None:
        self._items: deque[Any] = deque()
        self._wake = threading.Event()

    def put(self, item: object) -> None:
        """Hand something over; never blocks and never fails."""
        self._items.append(item)
        self._wake.set()

    def fill(self, work: Callable[[], object]) -> None:
        """Put in what a job gives; an exception that nobody expected ends the loop with its story."""
        try:
            self.put(work())
        except BaseException as error:  # noqa: BLE001 (raised again where the loop takes it)
            self.put(_Bug(error))

    def wake(self) -> None:
        """Have the loop tick without anything new."""
        self._wake.set()

    def take(self, timeout: float | None) -> list[Any]:
        """Wait until something comes in, or `timeout` seconds, and return all there is."""
        self._wake.wait(timeout)
        self._wake.clear()
        taken = []
        while self._items:
            item = self._items.popleft()
            if isinstance(item, _Bug):
                raise item.error
            taken.append(item)
        return taken


class Gate:
    """Stands before every request: holds it back to keep the pace, and refuses it after a stop.

    The slot of a job's first request was taken when the job was claimed; only what a request is repeated
    for within a job waits here.
    """

    def __init__(self, per_api: Limit | None, stopping: threading.Event) -> None:
        self._spacing = per_api.period / per_api.count if per_api else 0.0
        self._stopping = stopping
        self._job = threading.local()

    @contextmanager
    def admitting(self, place: Place | None) -> Iterator[None]:
        """Let the first request of its API that a job makes, in its own thread, pass at once."""
        self._job.admitted = place.api if place else None
        try:
            yield
        finally:
            self._job.admitted = None

    def __call__(self, api: str) -> None:
        """Pass, or raise Failure(NotReached) when the service stops."""
        if getattr(self._job, "admitted", None) == api:
            self._job.admitted = None
        else:
            self._stopping.wait(self._spacing)
        if self._stopping.is_set():
            raise Failure(NotReached(Cause("stopped", "", "STOPPED")))


@dataclass(frozen=True, slots=True)
class _Folders:
    settings: tuple[FolderSettings, ...]
    marks: tuple[FolderMark, ...]

    @property
    def roots(self) -> dict[int, bytes]:
        return {one.id: one.root for one in self.settings}


def bind_folders(store: Store, config: Config) -> _Folders:
    """Bind the folders of the configuration to the ledger."""
    mapped = [Mapped(f.root, f.name, f.conversation_ids) for f in config.folders]
    with store.writing() as connection:
        marks = tuple(versions.bind(connection, mapped))
    settings = tuple(
        FolderSettings(
            id=mark.id,
            root=folder.root,
            name=folder.name,
            conversations=folder.conversation_ids,
            filter=policy.path_filter(folder.include, folder.exclude, recursive=folder.recursive),
            settle=folder.settle,
            existing=folder.existing,
            on_change=folder.on_change,
            watch=folder.watch,
            poll_interval=folder.poll_interval,
            rescan=folder.rescan,
        )
        for folder, mark in zip(config.folders, marks, strict=True)
    )
    return _Folders(settings, marks)


def _limit(rate: Rate | None) -> Limit | None:
    return Limit(rate.count, rate.period, rate.spaced) if rate else None


class DeliverySide:
    """The delivery loop with its client, pool and thread."""

    def __init__(
        self, config: Config, store: Store, folders: Mapping[int, bytes], say: Callable[..., None]
    ) -> None:
        self._stopping = threading.Event()
        self._gate = Gate(_limit(config.pace.per_api), self._stopping)
        dingtalk = config.dingtalk
        self._client = Client(
            Account(
                dingtalk.client_id,
                dingtalk.client_secret,
                dingtalk.robot_code,
                dingtalk.api_url,
                dingtalk.oapi_url,
            ),
            gate=self._gate,
            count=self._count,
            sleep=self._sleep,
            clock=time.time,
            monotonic=time.monotonic,
            pool=config.delivery.workers + 2,
        )
        unsupported = {f: c.unsupported for f, c in zip(folders, config.folders, strict=False)}
        self.loop = DeliveryLoop(
            store,
            delivery.Settings(
                app=dingtalk.client_id,
                workers=config.delivery.workers,
                give_up_after=config.delivery.give_up_after,
                resend_uncertain=config.delivery.on_uncertain == "resend",
                per_api=_limit(config.pace.per_api),
                per_conversation=_limit(config.pace.per_conversation),
                unsupported=unsupported,
            ),
            token_fresh=self._client.token_fresh,
            chance=random.random,
            say=say,
        )
        self._perform = delivery.Performer(self._client, folders)
        self.inbox = Inbox()
        self._pool = ThreadPoolExecutor(config.delivery.workers + 2, "delivery")
        self.notice_changed: Callable[[Anew], None] = lambda _: None

    def _count(self, api: str) -> None:
        self.loop.count(api)

    def poke(self) -> None:
        """There is new work in the ledger."""
        self.loop.poke()
        self.inbox.wake()

    def _sleep(self, seconds: float) -> None:
        """Wait between repetitions of a call; a stop ends every wait."""
        self._stopping.wait(seconds)

    def run(self, stop: threading.Event, beat: Callable[[], None]) -> None:
        """Tick until stopped; then give what is in flight some seconds, and abandon the rest."""
        self.loop.recover(time.time())
        timeout: float | None = 0.0
        while not stop.is_set():
            plan = self.loop.tick(time.time(), self.inbox.take(timeout))
            self._submit(plan.jobs)
            timeout = None if plan.next_at is None else max(plan.next_at - time.time(), 0.0)
            beat()
        self._finish()

    def _submit(self, jobs: Sequence[delivery.Job]) -> None:
        for job in jobs:
            self._pool.submit(self.inbox.fill, partial(self._carry_out, job))

    def _carry_out(self, job: delivery.Job) -> Outcome:
        with self._gate.admitting(place_of(job)):
            outcome = self._perform(job)
        self._tell_intake(outcome)
        return outcome

    def _tell_intake(self, outcome: Outcome) -> None:
        """A file that differs from what settled must be looked at anew, whatever its size and mtime say."""
        job, verdict = outcome.job, outcome.result
        if (
            isinstance(job, delivery.Upload)
            and isinstance(verdict, Vanished)
            and verdict.cause.code == "changed"
        ):
            for row in job.rows:
                if row.folder is not None:
                    self.notice_changed(Anew(row.folder, row.path))

    def _finish(self) -> None:
        until = time.monotonic() + STOP_SECONDS
        self._stopping.set()
        while self.loop.in_hand and time.monotonic() < until:
            self.loop.tick(time.time(), self.inbox.take(until - time.monotonic()), claim=False)
        self.loop.abandon(time.time())
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._client.close()


class IntakeSide:
    """The intake loop with its observer, pools and thread."""

    def __init__(
        self,
        config: Config,
        store: Store,
        folders: _Folders,
        wrote: Callable[[], None],
        say: Callable[..., None],
    ) -> None:
        app = config.dingtalk.client_id
        self.inbox = Inbox()
        self._observer = Observer(self.inbox.put)
        self._wrote = wrote
        self.loop = IntakeLoop(
            store,
            list(zip(folders.settings, folders.marks, strict=True)),
            app=app,
            refused=REFUSED_EXTENSIONS,
            say=say,
        )
        self._perform = intake.Performer(
            store, self._observer, {one.id: one for one in folders.settings}, self.inbox.put
        )
        self._scans = ThreadPoolExecutor(2, "scan")
        self._looks = ThreadPoolExecutor(2, "look")
        self._reads = ThreadPoolExecutor(2, "read")
        self.on_ready: Callable[[], None] = lambda: None

    def run(self, stop: threading.Event, beat: Callable[[], None]) -> None:
        """Tick until stopped."""
        self._observer.start()
        said_ready = False
        timeout: float | None = 0.0
        while not stop.is_set():
            taken = self.inbox.take(timeout)
            plan = self.loop.tick(Instant(time.time(), time.monotonic()), taken)
            for job in plan.jobs:
                self._pool_for(job).submit(self.inbox.fill, partial(self._perform, job))
            if plan.written:
                self._wrote()
            if not said_ready and self.loop.ready:
                said_ready = True
                self.on_ready()
            timeout = None if plan.next_at is None else max(plan.next_at - time.monotonic(), 0.0)
            beat()
        self._finish()

    def _pool_for(self, job: intake.Job) -> ThreadPoolExecutor:
        if isinstance(job, Look):
            return self._looks
        if isinstance(job, Scan | TakeBaseline):
            return self._scans
        return self._reads

    def _finish(self) -> None:
        for pool in (self._scans, self._looks, self._reads):
            pool.shutdown(wait=False, cancel_futures=True)
        self._observer.stop()


class Service:
    """The whole daemon. Nothing runs before `start`; `stop` ends it within ten seconds."""

    def __init__(self, config: Config, *, say: Callable[..., None] | None = None) -> None:
        self._config = config
        self._say = say or speaker(config.language)
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._lock = host.Lock(config.state_dir / LOCK_FILE)
        self._store: Store | None = None
        self._door: host.Door | None = None
        self.ready = threading.Event()
        self.ended = threading.Event()
        self.failed: BaseException | None = None

    def start(self) -> None:
        """Take the lock, open the ledger and start both loops.

        Raises:
            host.Locked: another daemon works on this state directory.
            LedgerError: the ledger cannot be opened.
        """
        self._config.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock.acquire()
        try:
            self._open()
        except BaseException:
            self._lock.release()
            raise
        for thread in self._threads:
            thread.start()

    def _open(self) -> None:
        store = self._store = Store.open(ledger_url(self._config))
        folders = bind_folders(store, self._config)
        self._delivery = DeliverySide(self._config, store, folders.roots, self._say)
        self._intake = IntakeSide(self._config, store, folders, self._delivery.poke, self._say)
        self._delivery.notice_changed = self._intake.inbox.put
        self._intake.on_ready = self.ready.set
        self._door = host.Door(self._config.state_dir, self._answer)
        self._door.start()
        self._threads = [
            threading.Thread(target=self._guard, args=(side.run,), name=name)
            for name, side in (("delivery", self._delivery), ("intake", self._intake))
        ]

    def _guard(self, run: Callable[[threading.Event, Callable[[], None]], None]) -> None:
        """Let a loop run; whatever ends it ends the service."""
        try:
            run(self._stop, lambda: None)
        except BaseException as error:  # noqa: BLE001 (told by `run` once, with its story)
            self.failed = self.failed or error
        finally:
            self._stop.set()
            self.ended.set()
            self.ready.set()  # nobody must wait for what will not come
            self._delivery.inbox.wake()
            self._intake.inbox.wake()

    def _answer(self, request: str) -> str:
        """Answer a command: `status` tells how folders are watched, anything else wakes the loops."""
        if request == "status":
            watching = self.watching().items()
            return json.dumps(
                {"folders": {str(i): {"watch": kind, "settling": n} for i, (kind, n) in watching}}
            )
        self._delivery.poke()
        self._intake.inbox.wake()
        return "{}"

    def watching(self) -> dict[int, tuple[WatchKind, int]]:
        """Return how each folder (by its id in the ledger) is watched, and how many of its files settle."""
        return self._intake.loop.watching()

    def stop(self) -> None:
        """Take no more work, finish or abandon what is in flight, and close everything."""
        self._stop.set()
        if self._threads:
            self._delivery.inbox.wake()
            self._intake.inbox.wake()
        for thread in self._threads:
            thread.join()
        if self._door is not None:
            self._door.stop()
        if self._store is not None:
            self._store.close()
        self._lock.release()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def deliver(config: Config, ids: Sequence[int], progress: Callable[[int], None]) -> None:
    """Run delivery alone, under the lock, until none of these deliveries is in work; for `send`.

    Raises:
        host.Locked: a daemon runs, which delivers them itself.
        LedgerError: the ledger cannot be opened.
    """
    log_to_stderr(logging.WARNING)
    lock = host.Lock(config.state_dir / LOCK_FILE)
    lock.acquire()
    try:
        with closing(Store.open(ledger_url(config))) as store:
            _deliver(config, store, ids, progress)
    finally:
        lock.release()


def _deliver(config: Config, store: Store, ids: Sequence[int], progress: Callable[[int], None]) -> None:
    stop = threading.Event()
    side = DeliverySide(config, store, bind_folders(store, config).roots, speaker(config.language))

    def beat() -> None:
        with store.reading() as connection:
            rows = outbox.by_id(connection, ids).values()
        done = sum(finished(config, row) for row in rows)
        progress(done)
        if done == len(rows):
            stop.set()

    side.run(stop, beat)


def finished(config: Config, row: outbox.Delivery) -> bool:
    """Say whether nothing more will happen to a row by itself."""
    resent = row.state is State.UNCERTAIN and config.delivery.on_uncertain == "resend" and row.doubts == 1
    return row.state not in IN_WORK and not resent


# --- The daemon --------------------------------------------------------------------------------


def log_to_stderr(level: int = logging.INFO) -> None:
    """Send the log to stderr: with a time on a terminal, without under systemd, which adds its own."""
    handler = logging.StreamHandler(sys.stderr)
    plain = "JOURNAL_STREAM" in os.environ
    handler.setFormatter(logging.Formatter("%(message)s" if plain else "%(asctime)s %(message)s"))
    logger.handlers[:] = [handler]
    logger.setLevel(level)


def serve(config: Config, environ: Mapping[str, str]) -> int:
    """Run the service in the foreground until SIGTERM or SIGINT; return the exit code."""
    log_to_stderr()
    service = Service(config)
    asked = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        asked.set()
        service.ended.set()
        service.ready.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    service.start()
    service.ready.wait()
    if not asked.is_set() and service.failed is None:
        sys.stdout.write(f"ready {Log.READY.said(config.language, count=len(config.folders))}\n")
        sys.stdout.flush()
        host.notify(environ, "READY=1")
    service.ended.wait()
    host.notify(environ, "STOPPING=1")
    service.stop()
    if service.failed is not None:
        logger.critical("%s", Log.BUG.said(config.language), exc_info=service.failed)
        return EXIT_BUG
    return 0


__all__ = ["Service", "bind_folders", "deliver", "ledger_url", "log_to_stderr", "serve", "speaker"]
