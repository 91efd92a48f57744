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
from dingwatch.delivery.limits import Target, message_target
from dingwatch.delivery.outcomes import enter
from dingwatch.delivery.state import LogLine, LoopState, Settings, TickContext, target_of
from dingwatch.dingtalk import API_UPLOAD, BILLED, Host
from dingwatch.ledger import calls, delivery, pauses, queues, transitions
from dingwatch.ledger.delivery import Delivery
from dingwatch.ledger.store import RETRY_SECONDS, LedgerError, Outage, Store
from dingwatch.ledger.transitions import Change
from dingwatch.lifecycle import Event, State
from dingwatch.model import Cause, NoAnswer, NotReached
from dingwatch.texts import Log

METER_SECONDS: Final = 1.0
"""How long counted calls may wait to be written, while other things are."""
POISON: Final = 3
"""Crashes in a row with one row alone in hand, after which it is put aside."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Jobs to be carried out, and when the loop is next needed (None: when something happens)."""

    jobs: list[Job]
    next_at: float | None


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
        self._memory = LoopState(store, settings, token_fresh, chance)
        self._log = log
        self._outage = outage
        self._in_hand: dict[Job, Target | None] = {}
        self._kept: list[Outcome] = []
        self._called: deque[str] = deque()  # by any thread; a Counter is not safe to count up
        self._calls: Counter[str] = Counter()
        self._metered_at = float("-inf")
        self._ticked_at = float("-inf")

    # --- Beginning and end ---------------------------------------------------------------------

    def recover(self, now: float) -> None:
        """Repair what a process that died left behind; call once before the first tick."""
        state = self._memory
        with self._store.writing() as connection:
            rows = delivery.recover(connection, now)
            pauses.probe_pauses(connection)
            if len(rows) == 1 and rows[0].state is State.UPLOADING and rows[0].crashes + 1 >= POISON:
                cause = Cause("internal", "", "POISON")
                transitions.apply(connection, now, [Change(rows[0].id, Event.REJECT, State.PENDING, cause)])
            state.crashed = queues.list_crashed(connection)
            state.captioned = delivery.last_captions(connection)
            self._recover_pace(connection, now)
        if rows:
            self._log(Log.RECOVERED, count=len(rows))

    def sent_unread(self) -> list[Delivery]:
        """Return the rows that would be sent without another look at their file."""
        with self._store.reading() as connection:
            return queues.list_unread(connection)

    def withdraw(self, missing: Iterable[tuple[Delivery, Cause]], now: float) -> None:
        """Give up what its owner took back, or replaced, while no process ran."""
        found = list(missing)
        changes = [Change(row.id, Event.VANISH, row.state, cause) for row, cause in found]
        with self._store.writing() as connection:
            transitions.apply(connection, now, changes)
        for row, cause in found:
            values = {"code": cause.code, "message": cause.message, "advice": cause.advice}
            path = names.readable(row.path)
            self._log(Log.WITHDRAWN, path=path, conversation=row.recipient, **values)

    def _recover_pace(self, connection: Connection, now: float) -> None:
        """Take up the pace where the last process left it."""
        for key, lesson in pauses.read_learned_rates(connection).items():
            self._memory.rates.learn(key, lesson)
        limits = (self._memory.settings.per_api, self._memory.settings.per_conversation)
        longest = max((limit.period for limit in limits if limit), default=0.0)
        if longest:
            claims = delivery.recent_claims(connection, now - longest)
            taken = [
                (at, message_target(where) if state is State.SENDING else Target(API_UPLOAD))
                for state, at, where in claims
            ]
            if any(folder.wording.template for folder in self._memory.settings.folders.values()):
                lines = delivery.recent_captions(connection, now - longest)
                taken += [(at, message_target(where)) for at, where in lines]
            for at, target in sorted(taken, key=lambda one: one[0]):
                self._memory.rates.take(target, at)

    def poke(self) -> None:
        """Something else wrote to the ledger: look there at the next tick."""
        self._memory.stale = True

    def count(self, api: str) -> None:
        """Note one request for the meter; safe to call from any thread."""
        self._called.append(api)

    @property
    def in_hand(self) -> int:
        """How many jobs are out."""
        return len(self._in_hand)

    def abandon(self, now: float) -> None:
        """At a stop: what is still out is given up as what it is, unsent or in doubt."""
        cause = Cause("stopped", "", "STOPPED")
        self._metered_at = float("-inf")
        kept = {outcome.job for outcome in self._kept}  # what became of these is known
        given_up = [
            Outcome(job, NoAnswer(cause) if isinstance(job, ToPeople) else NotReached(cause))
            for job in self._in_hand
            if job not in kept
        ]
        self.tick(now, given_up, claim=False)

    # --- One tick --------------------------------------------------------------------------------

    def tick(self, now: float, outcomes: Sequence[Outcome], *, claim: bool = True) -> Plan:
        """Enter outcomes, claim what may go now, and return the jobs.

        When the ledger cannot be written, nothing is claimed and the outcomes are kept for the next tick.
        """
        if now < self._ticked_at:
            self._memory.stale = True  # the clock was set back: what was due may have to be waited for
        self._ticked_at = now
        kept = [*self._kept, *outcomes]
        finished = {outcome.job for outcome in kept}
        out = {job: target for job, target in self._in_hand.items() if job not in finished}
        try:
            with self._store.writing() as connection:
                tick = TickContext(connection, now, out, drives=dict(self._memory.drives))
                self._memory.refresh(tick)
                counted = self._write_meter(tick)
                enter(self._memory, tick, kept)
                if not claim and not out:
                    drives.release(tick)
                if claim:
                    claim_jobs(self._memory, tick)
        except LedgerError as error:
            return self._without_ledger(kept, error, now)
        self._take_over(tick, kept, counted)
        return Plan(tick.jobs, min(tick.wakes, default=None))

    def _without_ledger(self, kept: list[Outcome], error: LedgerError, now: float) -> Plan:
        self._kept = kept
        self._memory.stale = True
        self._outage.begin(self, error)
        return Plan([], now + RETRY_SECONDS)

    def _take_over(self, tick: TickContext, entered: Sequence[Outcome], counted: Counter[str]) -> None:
        self._kept = []
        self._memory.drives = tick.drives
        self._calls.subtract(counted)
        self._outage.end(self)
        for outcome in entered:
            self._in_hand.pop(outcome.job, None)
        for target in tick.slots:
            self._memory.rates.take(target, tick.now)
        for job in tick.jobs:
            self._in_hand[job] = target_of(job)
        for text, values in tick.messages:
            self._log(text, **values)

    def _write_meter(self, tick: TickContext) -> Counter[str]:
        """Add the counted calls to the ledger, once in a while."""
        while self._called:
            self._calls[self._called.popleft()] += 1
        counted = Counter({api: count for api, count in list(self._calls.items()) if count})
        if not counted:
            return counted
        if 0.0 <= tick.now - self._metered_at < METER_SECONDS:
            tick.wakes.append(tick.now + METER_SECONDS)
            return Counter()
        self._metered_at = tick.now
        before = calls.total(tick.connection, quota.month(tick.now), BILLED)
        calls.count(self._store, tick.connection, quota.day(tick.now), counted)
        self._warn(tick, before, before + sum(counted[api] for api in BILLED))
        return counted

    def _warn(self, tick: TickContext, before: int, after: int) -> None:
        """Say once that most of the month's calls, or all of them, are used."""
        limit = self._memory.settings.monthly_calls
        if quota.crossed(before, after, limit) is not None:
            text, values = quota.told(quota.use(after, limit, tick.now))
            tick.log(text, **values)
