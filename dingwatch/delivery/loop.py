"""The delivery loop: outcomes in, jobs out, everything between in one transaction of the ledger."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from sqlalchemy import Connection

from dingwatch import quota
from dingwatch.delivery import drive_upkeep, drives, nodes, screening, sharing
from dingwatch.delivery.claims import claim as claim_jobs
from dingwatch.delivery.jobs import Job, Outcome, Question, ToPeople
from dingwatch.delivery.limits import Pauses, RateLimits, Target, message_target
from dingwatch.delivery.outcomes import enter
from dingwatch.delivery.state import WHEN_WOKEN, LogLine, LoopState, Settings, TickContext, about
from dingwatch.dingtalk import API_UPLOAD, BILLED, Host
from dingwatch.ledger import calls, clock, pauses, queues, transitions
from dingwatch.ledger.bundles import cut_bursts, forget_crashes, leave_bundles
from dingwatch.ledger.delivery import Delivery, last_captions, recent_captions, recent_claims, recover
from dingwatch.ledger.folder_pauses import resume_folder
from dingwatch.ledger.nodes import note_tick, read_members
from dingwatch.ledger.store import RETRY_SECONDS, Outage, Store
from dingwatch.ledger.transitions import Change
from dingwatch.lifecycle import Event, State
from dingwatch.model import Cause, FolderPause, LedgerError, NoAnswer, NotReached
from dingwatch.pace import LONG_AGO
from dingwatch.texts import Log

METER_SECONDS: Final = 1.0
"""How long counted calls may wait to be written, while other things are."""
POISON: Final = 3
"""Crashes in a row with one row alone in hand, after which it is put aside."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Jobs to be carried out, and when the loop is next needed (None: when something happens).

    `unread` are rows whose files are to settle and be read once more.
    """

    jobs: list[Job]
    next_at: float | None
    unread: tuple[Delivery, ...] = ()
    departures: Mapping[int, float] = field(default_factory=dict)
    """When some of the jobs, by their `id`, make their first request; the others may at once."""


@dataclass(frozen=True, slots=True)
class Slot:
    """When a message that is no delivery may go; the slot is taken if that is now or before."""

    at: float
    unproven: bool
    """Whether there was an outage, and the token call must show first that it is over."""


@dataclass(frozen=True, slots=True)
class _Unknown:
    """A tick of which nobody knows whether it was committed, because the connection broke meanwhile."""

    number: int
    tick: TickContext
    counted: Counter[str]
    outcomes: tuple[Outcome, ...]
    """The outcomes that it entered."""


class DeliveryLoop:
    """Decides what is uploaded and sent next. Call `tick`; carry out its jobs; bring the outcomes back."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        *,
        token_fresh: Callable[[Host], bool],
        chance: Callable[[], float],
        log: LogLine,
        outage: Outage,
    ) -> None:
        self._store = store
        self.member: nodes.Member | None = None
        """This host, where others share the ledger."""
        self.list_shares_down: Callable[[], Collection[int]] = lambda: ()
        """Returns the folders that several nodes share, and that this one cannot watch now."""
        self._number = 0
        """The number of the last tick that wrote anything to a shared ledger."""
        rates = RateLimits(settings.per_api, settings.per_conversation)
        self._state = LoopState(store, settings, token_fresh, chance, rates, Pauses(node=store.node))
        self._log = log
        self._outage = outage
        self._meter = _Meter(store, settings.monthly_calls)
        self._in_hand: list[Job] = []
        self._unwritten: list[Outcome] = []
        self._must_reload = True
        self._has_new_settings = True
        self._latest = LONG_AGO
        self._unknown: _Unknown | None = None
        self._sent_lately = nodes.SentLately()

    # --- Beginning and end ---------------------------------------------------------------------

    def recover(self, now: float) -> None:
        """Repair what a process that died left behind; call once before the first tick."""
        state = self._state.copy()
        with self._store.writing() as connection:
            rows = recover(connection, now, self._store.node)
            pauses.probe_pauses(connection)
            # Of several rows in hand, any or none may be what ended the process. One alone, three times
            # in a row, and with nothing finished between: it would end the service for ever.
            if _is_poison(rows):
                _put_aside(connection, rows, now)
            state.crashed = queues.list_crashed(connection)
            state.captioned = last_captions(connection)
            _recover_rates(state, connection, now)
        self._state = state
        if rows:
            self._log(Log.RECOVERED, count=len(rows))

    def list_unread(self) -> list[Delivery]:
        """Return the rows that would be sent without another look at their file."""
        with self._store.reading() as connection:
            return queues.list_unread(connection)

    def withdraw(self, missing: Iterable[tuple[Delivery, Cause]], now: float) -> None:
        """Withdraw files that their owner removed or replaced while no process ran."""
        found = list(missing)
        changes = [Change(row.id, Event.VANISH, row.state, cause) for row, cause in found]
        with self._store.writing() as connection:
            transitions.apply(connection, now, changes)
        for row, cause in found:
            self._log(Log.WITHDRAWN, **about(row), **cause.log_values())

    def change_settings(self, settings: Settings) -> None:
        """Decide by another configuration from the next tick on; jobs that are out go on as decided.

        What was refused to former credentials says nothing of these.
        """
        rates = self._state.rates.with_limits(settings.per_api, settings.per_conversation)
        self._state = replace(
            self._state, settings=settings, rates=rates, tokens_refused=Counter(), doubted_tokens=set()
        )
        self._meter.limit = settings.monthly_calls
        self._must_reload = True
        self._has_new_settings = True

    def poke(self) -> None:
        """Make the next tick read again what others write to the ledger; safe to call from any thread."""
        self._must_reload = True

    def count(self, api: str) -> None:
        """Note one request for the meter; safe to call from any thread."""
        self._meter.count(api)

    @property
    def in_hand(self) -> int:
        """How many jobs are out."""
        return len(self._in_hand)

    @property
    def messages_out(self) -> int:
        """How many messages are out."""
        return sum(isinstance(job, ToPeople) for job in self._in_hand)

    def abandon(self, now: float) -> None:
        """Give up what is still out at a stop, as what it is: unsent, or in doubt."""
        cause = Cause("stopped", "", "STOPPED")
        self._meter.flush()
        # The ledger could not be written for a while: what became of these jobs is known, and not in doubt.
        known = {id(outcome.job) for outcome in self._unwritten}
        given_up = [
            Outcome(job, NoAnswer(cause) if isinstance(job, ToPeople) else NotReached(cause))
            for job in self._in_hand
            if id(job) not in known
        ]
        self.tick(now, given_up, claim=False)

    # --- Messages that are no deliveries ---------------------------------------------------------

    def reserve(self, target: Target, now: float) -> Slot:
        """Take a slot for a message that is no delivery, unless its time has not come.

        On a shared ledger it counts for all nodes.
        """
        free = self._reserve_shared(target, now) if self._store.shared else self._reserve(target, now)
        return Slot(free, self._state.pauses.must_prove(target))

    def _reserve(self, target: Target, now: float) -> float:
        free = max(self._state.pauses.free_at(target), self._state.rates.next_slot(target, now))
        if free <= now:
            self._state.rates.take(target, now)
        return free

    def _reserve_shared(self, target: Target, now: float) -> float:
        def take(connection: Connection) -> tuple[LoopState, float]:
            state = self._state.copy()
            state.reload(connection)
            return state, sharing.reserve(state, connection, target, now)

        try:
            self._state, free = self._store.transact(take)
        except LedgerError:  # the next tick will tell of it
            return now + RETRY_SECONDS
        return free

    # --- One tick --------------------------------------------------------------------------------

    def tick(self, now: float, outcomes: Sequence[Outcome], *, claim: bool = True) -> Plan:
        """Enter outcomes, claim what may go now, and return the jobs.

        When the ledger cannot be written, nothing is claimed and the outcomes are kept for the next tick.
        """
        try:
            late = self._resolve_unknown()
        except LedgerError as error:
            return self._keep(error, [*self._unwritten, *outcomes], now)
        outcomes = [*self._unwritten, *outcomes]
        finished = {id(outcome.job) for outcome in outcomes}
        out = [job for job in self._in_hand if id(job) not in finished]
        # A command that writes while this tick runs is for the next one.
        reload, self._must_reload = self._must_reload, False
        counted = self._meter.due(now)
        # Where no other node could upload in its place, a tick need not go through all folders for this.
        down = frozenset(self.list_shares_down() if self._store.shared else ())
        decided: list[TickContext] = []

        def decide(connection: Connection) -> tuple[TickContext, float]:
            tick = TickContext(connection, now, self._state.copy(), list(out), shares_down=down)
            self._read(tick, reload=reload)
            self._meter.write(tick, counted)
            enter(tick, outcomes)
            if self._has_new_settings:
                drive_upkeep.begin_settings(tick)
                screening.begin_settings(tick)
                cut_bursts(connection, tick.settings.bundle_waits(), now)
            again = self._claim(tick) if claim and self._stand(tick) else WHEN_WOKEN
            if not claim and not out:
                # The service stops. Parts that the store has stay there; the rows go back to `pending`, so
                # that the next start does not take them for interrupted by a crash.
                drives.release(tick, tick.state.drives.values())
            again = min(again, sharing.end(tick, outcomes))
            if tick.jobs or outcomes or counted:
                self._number_tick(connection)
                decided.append(tick)
            return tick, again

        try:
            tick, again = self._store.transact(decide)
        except LedgerError as error:
            if decided and self.member is not None:
                self._unknown = _Unknown(self._number, decided[-1], counted, tuple(outcomes))
            # Those of the tick before are claimed for certain now, and nobody else carries them out.
            return replace(self._keep(error, outcomes, now), jobs=late)
        self._take_over(tick, counted)
        again = min(again, self._meter.next_at())
        jobs, next_at = [*late, *tick.jobs], None if again == WHEN_WOKEN else again
        return Plan(jobs, next_at, tuple(tick.unread), tick.departures)

    def _read(self, tick: TickContext, *, reload: bool) -> None:
        """Read what others have written, and see whether the ledger is on another server now."""
        if tick.now < self._latest:
            self._set_back(tick)
        elif reload or self._store.shared:  # other nodes write without a poke
            _reload(tick)
        if self.member is not None:
            tick.members = nodes.compare_with_timeline(tick, self.member, self._sent_lately)
        if self._store.shared:
            sharing.begin(tick)

    def _number_tick(self, connection: Connection) -> None:
        """Write down which tick this is, where others share the ledger."""
        if self.member is not None:
            self._number += 1
            note_tick(connection, self.member.name, self.member.instance, self._number)

    def _keep(self, error: LedgerError, outcomes: list[Outcome], now: float) -> Plan:
        """Keep outcomes for the next tick, as the ledger cannot be used now."""
        self._unwritten = outcomes
        # The transaction may have taken place, and its numbers stand in the ledger.
        self._state = replace(self._state, claims=range(0))
        self._must_reload = True
        self._outage.begin(self, error)
        return Plan([], now + RETRY_SECONDS)

    def _claim(self, tick: TickContext) -> float:
        """Claim what may go now; return when to look again."""
        _end_pauses_by_hand(tick)
        drives.release(tick, drives.list_paused(tick))
        return claim_jobs(tick)

    def _stand(self, tick: TickContext) -> bool:
        """See to what a shared ledger asks of its nodes; return whether this one may claim anything."""
        if self.member is None or tick.members is None:
            return True
        standing = nodes.stand(self.member, tick.members)
        if standing.live:
            nodes.take_over(tick, self.member, tick.members)
        if standing.draining:
            nodes.drain(tick)
        return standing.may_claim

    def _resolve_unknown(self) -> list[Job]:
        """Find out whether a tick was committed whose connection broke before the answer came.

        Its transaction has the lock of the ledger as long as the server works on it, and this one waits for
        that lock. If it was committed, what it decided holds; return its jobs, which are still to be carried
        out. If not, it has never been.

        Raises:
            LedgerError: the ledger cannot be asked now.
        """
        unknown, member = self._unknown, self.member
        if unknown is None or member is None:
            return []
        with self._store.writing() as connection:
            own = read_members(connection).find(member.name)
            took_place = own is not None and (own.instance, own.tick) == (member.instance, unknown.number)
            jobs = nodes.list_current(connection, unknown.tick.jobs) if took_place else []
        self._unknown = None
        if not took_place:
            return []
        entered = {id(outcome) for outcome in unknown.outcomes}
        later = [outcome for outcome in self._unwritten if id(outcome) not in entered]
        self._take_over(unknown.tick, unknown.counted)
        self._unwritten = later
        # Another node has taken over what is missing here: this one was away for longer than its lease.
        stale = {id(job) for job in unknown.tick.jobs} - {id(job) for job in jobs}
        self._in_hand = [job for job in self._in_hand if id(job) not in stale]
        return jobs

    def _set_back(self, tick: TickContext) -> None:
        """Cut what was written before the clock was set back, so that nothing waits for the old time."""
        clock.cut_waits(tick.connection, tick.now)
        tick.state.set_back(tick.now)
        _reload(tick)
        self._meter.flush()
        if (seconds := round(self._latest - tick.now)) > 0:
            tick.log(Log.CLOCK_SET_BACK, seconds=seconds)

    def _take_over(self, tick: TickContext, counted: Counter[str]) -> None:
        """Take over what a tick decided, now that it is on disk."""
        self._state = tick.state
        for path in tick.turns:
            tick.state.turns.take(*path)
        if self.member is not None:
            self._sent_lately.note(tick)
        self._latest = tick.now
        self._has_new_settings = False
        self._in_hand = tick.in_hand
        self._unwritten = []
        self._meter.written(counted, tick.now)
        self._outage.end(self)
        for text, values in tick.messages:
            self._log(text, **values)


def _is_poison(rows: Sequence[Delivery]) -> bool:
    """Return whether one upload was alone in hand at too many crashes in a row: of a file, or of a bundle."""
    bundles = {row.bundle for row in rows}
    alone = len(rows) == 1 or (len(bundles) == 1 and None not in bundles)
    return alone and all(row.state is State.UPLOADING and row.crashes + 1 >= POISON for row in rows)


def _put_aside(connection: Connection, rows: Sequence[Delivery], now: float) -> None:
    """Give up what brings the process down; of a bundle, find out first which of its files does."""
    if rows[0].bundle is not None:
        leave_bundles(connection, [row.id for row in rows])
        forget_crashes(connection, [row.id for row in rows])
        return
    cause = Cause("internal", "", "POISON")
    transitions.apply(connection, now, [Change(rows[0].id, Event.REJECT, State.PENDING, cause)])


def _reload(tick: TickContext) -> None:
    """Read again what commands write, and log which folders a person has paused or resumed."""
    before = tick.state.pauses.by_hand
    tick.state.reload(tick.connection)
    if tick.state.crashed:  # the configuration may no longer map some of them
        # The one that is in hand goes alone until its outcome is known.
        out = {row.id for job in tick.in_hand if not isinstance(job, Question) for row in job.rows}
        left = out.union(queues.list_crashed(tick.connection))
        tick.state.crashed = [row for row in tick.state.crashed if row in left]
    screening.note_resumed(tick)
    now = tick.state.pauses.by_hand
    _log_by_hand(tick, Log.FOLDER_PAUSED, [one for one in now.values() if one != before.get(one.folder)])
    _log_by_hand(tick, Log.FOLDER_RESUMED, [one for one in before.values() if one.folder not in now])


def _end_pauses_by_hand(tick: TickContext) -> None:
    """End the pauses by hand whose time is over, for good: the clock may be set back later."""
    if ended := tick.state.pauses.take_ended(tick.now):
        resume_folder(tick.connection, [pause.folder for pause in ended])
        _log_by_hand(tick, Log.FOLDER_RESUMED, ended)


def _log_by_hand(tick: TickContext, text: Log, pauses_by_hand: Iterable[FolderPause]) -> None:
    """Log pauses by hand, each once: a link's former targets are paused with the folder."""
    policies = tick.settings.folders
    logged = {policies[one.folder].wording.folder: one.by for one in pauses_by_hand if one.folder in policies}
    for folder, by in logged.items():
        tick.log(text, folder=folder, by=by)


def _recover_rates(state: LoopState, connection: Connection, now: float) -> None:
    """Take up the pace where the last process left it."""
    if state.store.shared:
        sharing.take_up_rates(state, connection, now)
        return
    for key, lesson in pauses.read_learned_rates(connection).items():
        state.rates.take_up(key, lesson)
    # DingTalk counts the messages of the last minute whoever sent them. A process that restarts every second
    # and began each time with an empty window would be refused, and be shut out for minutes.
    longest = state.rates.longest_period()
    if not longest:
        return
    taken = [
        (at, message_target(recipient) if after is State.SENDING else Target(API_UPLOAD))
        for after, at, recipient in recent_claims(connection, now - longest, now)
    ]
    if state.settings.has_captions:
        captions = recent_captions(connection, now - longest, now)
        taken += [(at, message_target(recipient)) for at, recipient in captions]
    for at, target in sorted(taken, key=lambda one: one[0]):
        state.rates.take(target, at)


class _Meter:
    """Counts calls in memory, and adds them to the ledger once in a while."""

    def __init__(self, store: Store, monthly_calls: int | None) -> None:
        self._store = store
        self.limit = monthly_calls
        self._called: deque[str] = deque()  # by any thread; a Counter is not safe to count up
        self._calls: Counter[str] = Counter()
        self._written_at = LONG_AGO

    def count(self, api: str) -> None:
        """Note one request."""
        self._called.append(api)

    def flush(self) -> None:
        """Make the next tick write all calls: the process ends."""
        self._written_at = LONG_AGO

    def due(self, now: float) -> Counter[str]:
        """Return the calls to write now."""
        while self._called:
            self._calls[self._called.popleft()] += 1
        waits = 0.0 <= now - self._written_at < METER_SECONDS
        return Counter() if waits else +self._calls

    def next_at(self) -> float:
        """Return when the calls that are counted are to be written."""
        return self._written_at + METER_SECONDS if +self._calls else WHEN_WOKEN

    def write(self, tick: TickContext, counted: Counter[str]) -> None:
        """Add calls to the ledger; log it once when they use up most of the month's, or all."""
        if not counted:
            return
        before = calls.total(tick.connection, quota.month(tick.now), BILLED)
        calls.count(self._store, tick.connection, quota.day(tick.now), counted)
        after = before + sum(counted[api] for api in BILLED)
        if quota.crossed(before, after, self.limit) is not None:
            text, values = quota.describe(quota.use(after, self.limit, tick.now))
            tick.log(text, **values)

    def written(self, counted: Counter[str], now: float) -> None:
        """Take off what is on disk."""
        if counted:
            self._calls -= counted
            self._written_at = now
