"""The delivery loop with its client and its pool; in the daemon, and alone for `send`."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from functools import partial
from math import inf
from typing import Final

from dingwatch import delivery
from dingwatch.config.values import Config
from dingwatch.delivery import DeliveryLoop, Outcome
from dingwatch.delivery.drives import THREADS as DRIVE_THREADS
from dingwatch.delivery.limits import hosts_of, message_target
from dingwatch.delivery.loop import Slot
from dingwatch.dingtalk import Client, Host, Hurry, TrustStore, hurrying
from dingwatch.host.lock import LOCK_FILE, Lock
from dingwatch.host.program import ProgramRunner
from dingwatch.ledger import LedgerError, Outage, Store
from dingwatch.ledger.delivery import Delivery
from dingwatch.ledger.folders import find_name
from dingwatch.ledger.store import RETRY_SECONDS
from dingwatch.lifecycle import IN_WORK, State
from dingwatch.model import Now, Vanished
from dingwatch.pace import LONG_AGO
from dingwatch.recipients import Content, Receipt, Sender
from dingwatch.service import looping
from dingwatch.service.folders import Folders, account_of, addresses, bind_folders, folder_policies
from dingwatch.service.gate import Gate
from dingwatch.service.inbox import Inbox
from dingwatch.service.ledgers import open_ledger
from dingwatch.service.log import ServiceLog, Shown, log_to_stderr
from dingwatch.service.looping import Errand
from dingwatch.service.node import Lease, LeaseKeeper, OpenLedger, since_boot
from dingwatch.service.progress import Progress
from dingwatch.service.tally import CallTally
from dingwatch.texts import Log
from dingwatch.watch import Hint

EXTRA_THREADS: Final = 3
"""Besides the workers: one for the token of each host, and one for a message while all workers upload."""
STOP_SECONDS: Final = 9.0
"""Seconds that calls in flight may take after a stop; systemd and people were promised ten."""
GATHER_SECONDS: Final = 0.002
"""How long the first outcome of several waits for others, to share a transaction of the ledger with them.

It waits only if it comes as soon after the last tick."""
RESERVE_SECONDS: Final = 30.0
"""How long the loop may take until it comes to an errand. A tick lasts some milliseconds; but while another
program keeps the ledger locked, both loops, the canary and alerts wait for it in turn, each for 5 s."""
POLL_SECONDS: Final = 4.0
"""How often a node looks at what other nodes have written, should their notifications be lost.

They notify only what others wait for. That a file of a share was sent follows so, and its sidecar has to be
gone within 5 s."""
HURRY: Final = Hurry(seconds=20.0, connect=5.0)
"""The bounds of a send on a shared ledger."""
OUTAGE_SECONDS: Final = 10.0
"""How long `send` waits for a ledger that cannot be written."""


class DeliverySide:
    """The delivery loop with its client, pool and thread."""

    def __init__(
        self,
        config: Config,
        ledger: OpenLedger,
        folders: Folders,
        log: Callable[..., None],
    ) -> None:
        self.clock, self._node = ledger.clock, ledger.node
        self._outage, store = ledger.outage, ledger.store
        self._config = self._next_config = config
        self._store = store
        self._roots = folders.roots
        self._policies = folder_policies(config, folders.owners)
        self._addresses = addresses(config)
        self._others: dict[int, str] = {}
        """Names of folders that only other nodes have, by their ids."""
        self._left: set[int] = set()
        """Folders that have left the configuration. What is known of them stays: their jobs may be out."""
        self._stopping = threading.Event()
        self._ticked_at = -inf
        self._gate = Gate(config.pace.per_api, self._stopping)
        self.calls = CallTally()
        self.progress = Progress()
        self._client = self._make_client(config)
        if self._client.trust is TrustStore.CERTIFI and config.dingtalk.api_url.startswith("https:"):
            log(Log.NO_TRUST_STORE)
        self.loop = DeliveryLoop(
            store,
            self._settings(config),
            token_fresh=self._is_token_fresh,
            chance=random.random,
            log=log,
            outage=ledger.outage,
        )
        self.loop.member = ledger.node
        self._reader = delivery.Reader(self._roots, self._store)
        operator = self._operator(config)
        self._drive = (
            None if operator is None else delivery.DriveUploader(self._client, self._reader, operator)
        )
        self._programs = ProgramRunner(self._stopping)
        self._execute = self._make_executor(config)
        self.inbox = Inbox(self._gather)
        self._pool = ThreadPoolExecutor(config.delivery.workers + EXTRA_THREADS, "delivery")
        self._drive_pool = ThreadPoolExecutor(DRIVE_THREADS, "drive")
        # Threads of their own: a scanner that hangs for a minute must not hold up what needs none.
        self._programs_pool = ThreadPoolExecutor(config.delivery.workers, "program")
        self.hint: Callable[[Hint], None] = lambda _: None
        self.on_tick: Callable[[], None] = lambda: None

    def _is_token_fresh(self, host: Host) -> bool:
        return self._client.token_fresh(host)  # the client may be another one by then

    def _settings(self, config: Config) -> delivery.Settings:
        return delivery.Settings(
            app=config.dingtalk.client_id,
            workers=config.delivery.workers,
            give_up_after=config.delivery.give_up_after,
            resend_uncertain=config.delivery.on_uncertain == "resend",
            per_api=config.pace.per_api,
            per_conversation=config.pace.per_conversation,
            monthly_calls=config.dingtalk.monthly_calls,
            folders=self._policies,
            left=self._left,
        )

    def _make_client(self, config: Config) -> Client:
        return Client(
            account_of(config.dingtalk),
            gate=self._gate,
            count=self._count,
            sleep=self._sleep,
            clock=time.time,
            monotonic=time.monotonic if self._node is None else since_boot,
            note=self.calls.note,
            pool=config.delivery.workers + EXTRA_THREADS + DRIVE_THREADS,
        )

    def _make_executor(self, config: Config) -> delivery.Executor:
        sender = Sender(self._client, self._addresses, config.dingtalk.operator_union_id)
        return delivery.Executor(self._client, self._reader, sender, self._drive, self._programs.screen)

    def add_folder(self, number: int, root: bytes, policy: delivery.FolderPolicy) -> None:
        """Read the files of one more folder, because a link in a folder's path leads there now."""
        self._roots[number] = root
        self._policies[number] = policy
        self._left.discard(number)

    def folder_name(self, number: int) -> str:
        """Return the name of a folder whose files are sent, by its id in the ledger."""
        policy = self._policies.get(number)
        return self._name_of_other(number) if policy is None else policy.wording.folder

    def _name_of_other(self, number: int) -> str:
        """Return the name of a folder that this node does not have: it sends what another has uploaded."""
        if number not in self._others:
            try:
                with self._store.reading() as connection:
                    self._others[number] = find_name(connection, number)
            except LedgerError:
                return f"#{number}"
        return self._others[number]

    # --- Another configuration -------------------------------------------------------------------
    # Its folders are bound in intake's thread, between two of its decisions. Before they are, this side must
    # know what is new in them: a row that was unmapped may be claimed as soon as the ledger maps it.

    def prepare(self, config: Config, folders: Folders) -> None:
        """Get to know the folders and custom robots that are new; nothing refers to them yet."""
        policies = folder_policies(config, folders.owners)
        self._roots |= {number: root for number, root in folders.roots.items() if number not in self._roots}
        self._policies |= {
            number: policy for number, policy in policies.items() if number not in self._policies
        }
        self._addresses |= {
            number: address for number, address in addresses(config).items() if number not in self._addresses
        }

    def change(self, config: Config, folders: Folders) -> None:
        """Go on by another configuration, whose folders are bound."""
        self._roots |= folders.roots
        self._policies |= folder_policies(config, folders.owners)
        self._addresses |= addresses(config)
        self._left |= self._roots.keys()
        self._left -= folders.roots.keys()
        self._next_config = config
        self.poke()

    def _take_over(self, config: Config) -> None:
        """Go on by another configuration; jobs that are out are carried out as they began.

        Raises:
            LedgerError: the ledger cannot say which drive is its own; nothing was taken over.
        """
        operator = self._operator(config)
        before, self._config = self._config, config
        self._gate.change_limit(config.pace.per_api)
        workers = config.delivery.workers
        if before.delivery.workers != workers:
            self._pool.shutdown(wait=False)  # it finishes what it was given
            self._pool = ThreadPoolExecutor(workers + EXTRA_THREADS, "delivery")
            self._programs_pool.shutdown(wait=False)
            self._programs_pool = ThreadPoolExecutor(workers, "program")
        if (before.dingtalk, before.delivery.workers) != (config.dingtalk, workers):
            self._client = self._make_client(config)
            # Without an operator, uploads that are begun go on with the rights of the former one.
            if operator is not None:
                self._drive = delivery.DriveUploader(self._client, self._reader, operator)
            self._execute = self._make_executor(config)
        self.loop.change_settings(self._settings(config))

    def _operator(self, config: Config) -> delivery.Operator | None:
        """Return whose rights uploads to the drive take, and into which spaces; None where nobody's."""
        union_id = config.dingtalk.operator_union_id
        if union_id is None:
            return None
        return delivery.Operator(union_id, f"{self._store.identity(random.getrandbits(62)):x}")

    def _count(self, api: str) -> None:
        self.loop.count(api)

    def poke(self) -> None:
        """Wake the loop: there is new work in the ledger."""
        self.loop.poke()
        self.inbox.wake()

    def _gather(self, came: int) -> None:
        """Wait a moment for more outcomes, if other jobs are out and outcomes come fast.

        Where all files go to one recipient, the next message waits for the outcome of the one before. Where
        answers take long, a worker waits for its next call, and no other outcome comes meanwhile.
        """
        fast = time.monotonic() - self._ticked_at < GATHER_SECONDS
        if fast and 0 < came < self.loop.in_hand and self.loop.messages_out != 1:
            self._sleep(GATHER_SECONDS)

    # --- Messages that are no deliveries ---------------------------------------------------------

    def admit(self, recipients: Sequence[str]) -> float:
        """Get all that a message needs which is no delivery: a slot of the pace, and a token.

        Return how many seconds to wait before the next try; 0 when it may go now. Not for the loop's thread.

        Raises:
            Failure: there is no token.
        """
        target = replace(message_target(recipients[0]), recipients=tuple(recipients))
        reserved: Future[Slot] = Future()
        self.inbox.put(Errand(lambda: reserved.set_result(self.loop.reserve(target, self.clock.now()))))
        try:
            slot = reserved.result(RESERVE_SECONDS)
        except FutureTimeoutError:
            return RESERVE_SECONDS
        if (wait := slot.at - self.clock.now()) > 0.0:
            return wait
        try:
            for host in hosts_of(target.api):
                self._client.fetch_token(host, force=slot.unproven)
        finally:
            self.inbox.wake()  # to count the calls
        return 0.0

    def send_message(self, recipients: Sequence[str], content: Content, uuid: str) -> Receipt:
        """Send a message that is no delivery, once, after `admit`.

        Raises:
            Failure: NoAnswer means that it may have arrived.
        """
        target = replace(message_target(recipients[0]), recipients=tuple(recipients))
        try:
            with self._gate.admitting(target):
                return self._execute.sender.send(recipients, content, uuid)
        finally:
            self.inbox.wake()

    def renew_token(self, recipient: str) -> None:
        """Get another token for messages to a recipient: the one in use was refused.

        Raises:
            Failure: there is none.
        """
        for host in hosts_of(message_target(recipient).api):
            self._client.fetch_token(host, force=True)

    def _sleep(self, seconds: float) -> None:
        """Wait for a moment, between repetitions of a call or for outcomes; a stop ends every wait."""
        self._stopping.wait(seconds)

    def run(self, stop: threading.Event) -> None:
        """Tick until stopped; then finish or abandon what is in flight."""
        self.recover(stop)
        looping.run(stop, self.inbox, self.tick, self.clock)
        self.finish()

    def tick(self, now: Now, outcomes: Sequence[Outcome], *, claim: bool = True) -> float | None:
        """Tick once, and have the jobs carried out; return the seconds until the next tick."""
        config = self._next_config  # another thread may set it at any moment
        if config is not self._config:
            with suppress(LedgerError):  # the next tick tries again
                self._take_over(config)
        lease = None if self._node is None else self._node.lease  # as it was before anything is claimed
        plan = self.loop.tick(now.ledger, outcomes, claim=claim)
        self._submit(plan, lease, now)
        self._hint(plan.unread)
        self._ticked_at = time.monotonic()
        self.on_tick()
        wait = inf if plan.next_at is None else plan.next_at - self.clock.now()
        if self._node is not None:
            wait = min(wait, POLL_SECONDS)
        return None if wait == inf else wait

    def recover(self, stop: threading.Event) -> None:
        """Repair before anything else; a ledger that cannot be written now is waited for."""
        while not stop.is_set():
            try:
                self.loop.recover(self.clock.now())
                self._withdraw()
            except LedgerError as error:
                self._outage.begin(self.loop, error)  # its first tick will end it
                looping.wait_and_tick(self.inbox, RETRY_SECONDS, _do_nothing, self.clock)
            else:
                return

    def _withdraw(self) -> None:
        """Look once more at the files that are sent without being read: intake has not yet been there."""
        folders: dict[int | None, list[Delivery]] = {}
        for row in self.loop.list_unread():
            folders.setdefault(row.folder, []).append(row)
        missing = [found for rows in folders.values() for found in self._reader.find_withdrawn(rows)]
        if missing:
            self.loop.withdraw(missing, self.clock.now())

    def _submit(self, plan: delivery.Plan, lease: Lease | None, now: Now) -> None:
        for job in plan.jobs:
            leaves = plan.departures.get(id(job), LONG_AGO) - now.ledger + now.monotonic
            carry_out = partial(self._carry_out, self._execute, job, lease, leaves)
            self._pool_for(job).submit(self.inbox.fill, carry_out)

    def _pool_for(self, job: delivery.Job) -> ThreadPoolExecutor:
        if isinstance(job, delivery.Screen):
            return self._programs_pool
        at_store = isinstance(job, delivery.DriveJob | delivery.Upkeep | delivery.ProbeStore)
        return self._drive_pool if at_store else self._pool

    def _carry_out(
        self, execute: delivery.Executor, job: delivery.Job, lease: Lease | None, leaves: float
    ) -> Outcome:
        if self._node is not None and lease is not None and isinstance(job, delivery.ToPeople):
            # Once the lease is over, another node takes the message for uncertain and sends it again. So it
            # leaves only if its outcome will be known before.
            may_leave = partial(self._node.require, lease.number)
            admitting = self._gate.admitting(job.target, may_leave, leaves)
            with admitting, hurrying(HURRY), self.progress.following(job):
                return execute(job)
        with self._gate.admitting(job.target, not_before=leaves), self.progress.following(job):
            outcome = execute(job)
        self._tell_intake(outcome)
        return outcome

    def _tell_intake(self, outcome: Outcome) -> None:
        """Hint to intake that a file is no longer the one that settled, even if size and mtime are."""
        job, verdict = outcome.job, outcome.result
        if isinstance(job, delivery.UploadArchive) and isinstance(verdict, delivery.MembersLost):
            changed = {version for version, one in verdict.failed if one.cause.code == "changed"}
            self._hint([row for row in job.rows if row.version in changed])
        if (
            isinstance(job, delivery.Screen | delivery.Upload | delivery.DriveJob)
            and isinstance(verdict, Vanished)
            and verdict.cause.code == "changed"
        ):
            self._hint(job.rows)

    def _hint(self, rows: Sequence[Delivery]) -> None:
        for row in rows:
            if row.folder is not None:
                self.hint(Hint(row.folder, row.path, must_read=True))

    def finish(self, seconds: float | None = None) -> None:
        """Give what is in flight some seconds, and abandon the rest."""
        until = time.monotonic() + (STOP_SECONDS if seconds is None else seconds)
        self._stopping.set()
        while self.loop.in_hand and (left := until - time.monotonic()) > 0.0:
            looping.wait_and_tick(self.inbox, left, partial(self.tick, claim=False), self.clock)
        self.loop.abandon(self.clock.now())
        for pool in (self._pool, self._drive_pool, self._programs_pool):
            pool.shutdown(wait=False, cancel_futures=True)
        self._reader.close()
        self._client.close()


def _do_nothing(_now: Now, _outcomes: Sequence[Outcome]) -> None:
    """Take what comes in before the loop has begun: no job is out yet."""


def deliver(config: Config, look: Callable[[], float | None]) -> None:
    """Run delivery alone, under the lock, as long as somebody waits for something; for `send`.

    `look` is called after each tick. It returns the seconds until it wants to be called again, infinity if
    only an outcome is of interest, and None when nothing is waited for any more.

    Raises:
        LockedError: a daemon runs, which delivers itself.
        LedgerError: the ledger cannot be opened, or not written for some seconds.
    """
    log_to_stderr(replace(config.log, level="warning"))
    lock = Lock(config.state_dir / LOCK_FILE)
    lock.acquire()
    try:
        with closing(open_ledger(config)) as store:
            _deliver(config, store, look)
    finally:
        lock.release()


@contextmanager
def _as_node(ledger: OpenLedger, app: str, log: Callable[..., None]) -> Iterator[None]:
    """Be a node meanwhile, where the ledger is shared: nothing is claimed without a lease."""
    if not ledger.store.shared:
        yield
        return
    # Its thread may meet an outage as well, but it is the loop that gives up.
    node = LeaseKeeper(replace(ledger, outage=Outage(log)), log, app)
    stop = threading.Event()
    node.join(stop)
    ledger.node = node
    thread = threading.Thread(target=node.run, args=(stop,), name="node", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        node.stop()
        thread.join()
        node.leave()


def _deliver(config: Config, store: Store, look: Callable[[], float | None]) -> None:
    def name_folder(number: int) -> str:
        return side.folder_name(number)

    shown = Shown(
        name_folder,
        lambda recipient: config.recipient_names.get(recipient, recipient),
    )
    log = ServiceLog(config.language, shown)
    outage = _BriefOutage(log)
    ledger = OpenLedger(store, outage)
    with _as_node(ledger, config.dingtalk.client_id, log):
        side = DeliverySide(config, ledger, bind_folders(store, config), log)
        _run_alone(side, outage, look)


def _run_alone(side: DeliverySide, outage: _BriefOutage, look: Callable[[], float | None]) -> None:
    stop = threading.Event()

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
        looping.run(stop, side.inbox, tick, side.clock)
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
