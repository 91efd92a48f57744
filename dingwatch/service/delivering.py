"""The delivery loop with its client and its pool; in the daemon, and alone for `send`."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from math import inf
from typing import Final

from dingwatch import delivery
from dingwatch.config.values import Config
from dingwatch.delivery import DeliveryLoop, Outcome
from dingwatch.delivery.drives import THREADS as DRIVE_THREADS
from dingwatch.dingtalk import Client, TrustStore
from dingwatch.host.lock import LOCK_FILE, Lock
from dingwatch.ledger import LedgerError, Outage, Store
from dingwatch.ledger.delivery import Delivery
from dingwatch.ledger.store import RETRY_SECONDS
from dingwatch.lifecycle import IN_WORK, State
from dingwatch.model import Now, Vanished
from dingwatch.recipients import Sender
from dingwatch.service import looping
from dingwatch.service.folders import Folders, account_of, addresses, bind_folders, folder_policies
from dingwatch.service.gate import Gate
from dingwatch.service.inbox import Inbox
from dingwatch.service.ledgers import open_ledger
from dingwatch.service.log import log_to_stderr, make_log
from dingwatch.texts import Log
from dingwatch.watch import Hint

EXTRA_THREADS: Final = 3
"""Besides the workers: one for the token of each host, and one for a message while all workers upload."""
STOP_SECONDS: Final = 9.0
"""What is in flight may take this long after a stop; systemd and people were promised ten."""
GATHER_SECONDS: Final = 0.002
"""How long the first outcome of several waits for others, to share a transaction of the ledger with them."""
OUTAGE_SECONDS: Final = 10.0
"""How long `send` waits for a ledger that cannot be written."""


class DeliverySide:
    """The delivery loop with its client, pool and thread."""

    def __init__(
        self,
        config: Config,
        store: Store,
        folders: Folders,
        log: Callable[..., None],
        outage: Outage,
    ) -> None:
        self._outage = outage
        self._roots = folders.roots
        self._policies = folder_policies(config, folders.owners)
        self._stopping = threading.Event()
        self._gate = Gate(config.pace.per_api, self._stopping)
        dingtalk = config.dingtalk
        self._client = Client(
            account_of(dingtalk),
            gate=self._gate,
            count=self._count,
            sleep=self._sleep,
            clock=time.time,
            monotonic=time.monotonic,
            pool=config.delivery.workers + EXTRA_THREADS + DRIVE_THREADS,
        )
        if self._client.trust is TrustStore.CERTIFI and dingtalk.api_url.startswith("https:"):
            log(Log.NO_TRUST_STORE)
        self.loop = DeliveryLoop(
            store,
            delivery.Settings(
                app=dingtalk.client_id,
                workers=config.delivery.workers,
                give_up_after=config.delivery.give_up_after,
                resend_uncertain=config.delivery.on_uncertain == "resend",
                per_api=config.pace.per_api,
                per_conversation=config.pace.per_conversation,
                monthly_calls=dingtalk.monthly_calls,
                folders=self._policies,
            ),
            token_fresh=self._client.token_fresh,
            chance=random.random,
            log=log,
            outage=outage,
        )
        self._reader = delivery.Reader(self._roots)
        sender = Sender(self._client, addresses(config), dingtalk.operator_union_id)
        self._execute = delivery.Executor(
            self._client, self._reader, sender, self._drive_uploader(config, store)
        )
        self.inbox = Inbox(self._gather)
        self._pool = ThreadPoolExecutor(config.delivery.workers + EXTRA_THREADS, "delivery")
        self._drive_pool = ThreadPoolExecutor(DRIVE_THREADS, "drive")
        self.hint: Callable[[Hint], None] = lambda _: None

    def add_folder(self, number: int, root: bytes, policy: delivery.FolderPolicy) -> None:
        """Read the files of one more folder, because a link in a folder's path leads there now."""
        self._roots[number] = root
        self._policies[number] = policy

    def _drive_uploader(self, config: Config, store: Store) -> delivery.DriveUploader | None:
        """Return what carries out uploads to the drive, where there is somebody whose rights they take."""
        union_id = config.dingtalk.operator_union_id
        if union_id is None:
            return None
        operator = delivery.Operator(union_id, f"{store.identity(random.getrandbits(62)):x}")
        return delivery.DriveUploader(self._client, self._reader, operator)

    def _count(self, api: str) -> None:
        self.loop.count(api)

    def poke(self) -> None:
        """Wake the loop: there is new work in the ledger."""
        self.loop.poke()
        self.inbox.wake()

    def _gather(self, came: int) -> None:
        """Wait a moment for more outcomes, if other jobs are out.

        Where all files go to one recipient, the next message waits for the outcome of the one before.
        """
        if 0 < came < self.loop.in_hand and self.loop.messages_out != 1:
            self._sleep(GATHER_SECONDS)

    def _sleep(self, seconds: float) -> None:
        """Wait for a moment, between repetitions of a call or for outcomes; a stop ends every wait."""
        self._stopping.wait(seconds)

    def run(self, stop: threading.Event) -> None:
        """Tick until stopped; then finish or abandon what is in flight."""
        self.recover(stop)
        looping.run(stop, self.inbox, self.tick)
        self.finish()

    def tick(self, now: Now, outcomes: Sequence[Outcome], *, claim: bool = True) -> float | None:
        """Tick once, and have the jobs carried out; return the seconds until the next tick."""
        plan = self.loop.tick(now.wall, outcomes, claim=claim)
        self._submit(plan.jobs)
        self._hint(plan.unread)
        return None if plan.next_at is None else plan.next_at - time.time()

    def recover(self, stop: threading.Event) -> None:
        """Repair before anything else; a ledger that cannot be written now is waited for."""
        while not stop.is_set():
            try:
                self.loop.recover(time.time())
                self._withdraw()
            except LedgerError as error:
                self._outage.begin(self.loop, error)  # its first tick will end it
                stop.wait(RETRY_SECONDS)
            else:
                return

    def _withdraw(self) -> None:
        """Look once more at the files that are sent without being read: intake has not yet been there."""
        folders: dict[int | None, list[Delivery]] = {}
        for row in self.loop.list_unread():
            folders.setdefault(row.folder, []).append(row)
        missing = [found for rows in folders.values() for found in self._reader.find_withdrawn(rows)]
        if missing:
            self.loop.withdraw(missing, time.time())

    def _submit(self, jobs: Sequence[delivery.Job]) -> None:
        for job in jobs:
            at_store = isinstance(job, delivery.DriveJob | delivery.ProbeStore)
            pool = self._drive_pool if at_store else self._pool
            pool.submit(self.inbox.fill, partial(self._carry_out, job))

    def _carry_out(self, job: delivery.Job) -> Outcome:
        with self._gate.admitting(job.target):
            outcome = self._execute(job)
        self._tell_intake(outcome)
        return outcome

    def _tell_intake(self, outcome: Outcome) -> None:
        """Hint to intake that a file is no longer the one that settled, even if size and mtime are."""
        job, verdict = outcome.job, outcome.result
        if (
            isinstance(job, delivery.Upload | delivery.DriveJob)
            and isinstance(verdict, Vanished)
            and verdict.cause.code == "changed"
        ):
            self._hint(job.rows)

    def _hint(self, rows: Sequence[Delivery]) -> None:
        for row in rows:
            if row.folder is not None:
                self.hint(Hint(row.folder, row.path, must_read=True))

    def finish(self, seconds: float = STOP_SECONDS) -> None:
        """Give what is in flight some seconds, and abandon the rest."""
        until = time.monotonic() + seconds
        self._stopping.set()
        while self.loop.in_hand and (left := until - time.monotonic()) > 0.0:
            looping.wait_and_tick(self.inbox, left, partial(self.tick, claim=False))
        self.loop.abandon(time.time())
        for pool in (self._pool, self._drive_pool):
            pool.shutdown(wait=False, cancel_futures=True)
        self._reader.close()
        self._client.close()


def deliver(config: Config, look: Callable[[], float | None]) -> None:
    """Run delivery alone, under the lock, as long as somebody waits for something; for `send`.

    `look` is called after each tick. It returns the seconds until it wants to be called again, infinity if
    only an outcome is of interest, and None when nothing is waited for any more.

    Raises:
        LockedError: a daemon runs, which delivers itself.
        LedgerError: the ledger cannot be opened, or not written for some seconds.
    """
    log_to_stderr(logging.WARNING)
    lock = Lock(config.state_dir / LOCK_FILE)
    lock.acquire()
    try:
        with closing(open_ledger(config)) as store:
            _deliver(config, store, look)
    finally:
        lock.release()


def _deliver(config: Config, store: Store, look: Callable[[], float | None]) -> None:
    stop = threading.Event()
    log = make_log(config.language)
    outage = _BriefOutage(log)
    side = DeliverySide(config, store, bind_folders(store, config), log, outage)

    def tick(now: Now, outcomes: Sequence[Outcome]) -> float | None:
        wait = side.tick(now, outcomes)
        again = look()
        if again is None:
            stop.set()
            return 0.0
        sooner = min(again, inf if wait is None else wait)
        return None if sooner == inf else sooner

    try:
        side.recover(stop)
        looping.run(stop, side.inbox, tick)
    except LedgerError:
        outage.patient = True
        side.finish(0.0)  # no outcome could be recorded
        raise
    side.finish()


class _BriefOutage(Outage):
    """Raises the ledger's error when it lasts: a person waits for a command, and nobody for a service."""

    def __init__(self, log: Callable[..., None]) -> None:
        super().__init__(log)
        self.patient = False
        self._since: float | None = None

    def begin(self, who: object, error: LedgerError) -> None:
        """Note that `who` could not use the ledger; raise LedgerError if that has been so for long."""
        super().begin(who, error)
        self._since = time.monotonic() if self._since is None else self._since
        if not self.patient and time.monotonic() - self._since >= OUTAGE_SECONDS:
            raise error

    def end(self, who: object) -> None:
        """Note that `who` has used the ledger."""
        super().end(who)
        self._since = None


def finished(config: Config, row: Delivery) -> bool:
    """Return whether the service will do nothing more for a row."""
    resent = row.state is State.UNCERTAIN and config.delivery.on_uncertain == "resend" and row.doubts == 1
    return row.state not in IN_WORK and not resent
