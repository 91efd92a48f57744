"""The delivery loop: outcomes in, jobs out, everything between in one transaction of the ledger."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from dingwatch import names, quota
from dingwatch.delivery import drives
from dingwatch.delivery.claims import claim as claim_jobs
from dingwatch.delivery.jobs import Job, Outcome, ToPeople
from dingwatch.delivery.limits import RateLimits, Target, message_target
from dingwatch.delivery.outcomes import enter
from dingwatch.delivery.state import WHEN_WOKEN, LogLine, LoopState, Settings, TickContext
from dingwatch.dingtalk import API_UPLOAD, BILLED, Host
from dingwatch.ledger import calls, clock, pauses, queues, transitions
from dingwatch.ledger.delivery import Delivery, last_captions, recent_captions, recent_claims, recover
from dingwatch.ledger.store import RETRY_SECONDS, Outage, Store
from dingwatch.ledger.transitions import Change
from dingwatch.lifecycle import Event, State
from dingwatch.model import Cause, LedgerError, NoAnswer, NotReached
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
        rates = RateLimits(settings.per_api, settings.per_conversation)
        self._state = LoopState(store, settings, token_fresh, chance, rates)
        self._log = log
        self._outage = outage
        self._meter = _Meter(store, settings.monthly_calls)
        self._in_hand: list[Job] = []
        self._unwritten: list[Outcome] = []
        self._must_reload = True
        self._latest = LONG_AGO

    # --- Beginning and end ---------------------------------------------------------------------

    def recover(self, now: float) -> None:
        """Repair what a process that died left behind; call once before the first tick."""
        state = self._state.copy()
        with self._store.writing() as connection:
            rows = recover(connection, now)
            pauses.probe_pauses(connection)
            # Of several rows in hand, any or none may be what ended the process. One alone, three times
            # in a row, and with nothing finished between: it would end the service for ever.
            if len(rows) == 1 and rows[0].state is State.UPLOADING and rows[0].crashes + 1 >= POISON:
                cause = Cause("internal", "", "POISON")
                transitions.apply(connection, now, [Change(rows[0].id, Event.REJECT, State.PENDING, cause)])
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
            values = {"code": cause.code, "message": cause.message, "advice": cause.advice}
            path = names.readable(row.path)
            self._log(Log.WITHDRAWN, path=path, conversation=row.recipient, **values)

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

    # --- One tick --------------------------------------------------------------------------------

    def tick(self, now: float, outcomes: Sequence[Outcome], *, claim: bool = True) -> Plan:
        """Enter outcomes, claim what may go now, and return the jobs.

        When the ledger cannot be written, nothing is claimed and the outcomes are kept for the next tick.
        """
        outcomes = [*self._unwritten, *outcomes]
        finished = {id(outcome.job) for outcome in outcomes}
        out = [job for job in self._in_hand if id(job) not in finished]
        # A command that writes while this tick runs is for the next one.
        reload, self._must_reload = self._must_reload, False
        counted = self._meter.due(now)

        def decide(connection: Connection) -> tuple[TickContext, float]:
            tick = TickContext(connection, now, self._state.copy(), list(out))
            if now < self._latest:
                self._set_back(tick)
            elif reload:
                tick.state.reload(connection)
            self._meter.write(tick, counted)
            enter(tick, outcomes)
            if claim:
                return tick, claim_jobs(tick)
            if not out:
                # The service stops. Parts that the store has stay there; the rows go back to `pending`, so
                # that the next start does not take them for interrupted by a crash.
                drives.release(tick)
            return tick, WHEN_WOKEN

        try:
            tick, again = self._store.transact(decide)
        except LedgerError as error:
            self._unwritten = outcomes
            self._must_reload = True
            self._outage.begin(self, error)
            return Plan([], now + RETRY_SECONDS)
        self._take_over(tick, counted)
        again = min(again, self._meter.next_at())
        return Plan(tick.jobs, None if again == WHEN_WOKEN else again, tuple(tick.unread))

    def _set_back(self, tick: TickContext) -> None:
        """Cut what was written before the clock was set back, so that nothing waits for the old time."""
        clock.cut_waits(tick.connection, tick.now)
        tick.state.set_back(tick.now)
        tick.state.reload(tick.connection)
        self._meter.flush()
        if (seconds := round(self._latest - tick.now)) > 0:
            tick.log(Log.CLOCK_SET_BACK, seconds=seconds)

    def _take_over(self, tick: TickContext, counted: Counter[str]) -> None:
        """Take over what a tick decided, now that it is on disk."""
        self._state = tick.state
        for path in tick.turns:
            tick.state.turns.take(*path)
        self._latest = tick.now
        self._in_hand = tick.in_hand
        self._unwritten = []
        self._meter.written(counted, tick.now)
        self._outage.end(self)
        for text, values in tick.messages:
            self._log(text, **values)


def _recover_rates(state: LoopState, connection: Connection, now: float) -> None:
    """Take up the pace where the last process left it."""
    for key, lesson in pauses.read_learned_rates(connection).items():
        state.rates.take_up(key, lesson)
    # DingTalk counts the messages of the last minute whoever sent them. A process that restarts every second
    # and began each time with an empty window would be refused, and be shut out for minutes.
    limits = (state.settings.per_api, state.settings.per_conversation)
    longest = max((limit.period for limit in limits if limit), default=0.0)
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
        self._limit = monthly_calls
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
        if quota.crossed(before, after, self._limit) is not None:
            text, values = quota.describe(quota.use(after, self._limit, tick.now))
            tick.log(text, **values)

    def written(self, counted: Counter[str], now: float) -> None:
        """Take off what is on disk."""
        if counted:
            self._calls -= counted
            self._written_at = now
