"""The delivery loop: outcomes in, jobs out, everything between in one transaction of the ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from sqlalchemy import Connection

from dingwatch import policy
from dingwatch.delivery.holds import APP, HOST_OF, Paces, Pauses, Place
from dingwatch.delivery.jobs import Done, FetchToken, Job, Outcome, Send, SendDone, Upload, UploadDone
from dingwatch.dingtalk import API_SEND, API_UPLOAD, MEDIA_LIMIT, REFUSED_EXTENSIONS, Host
from dingwatch.ledger import outbox, transitions
from dingwatch.ledger.outbox import Delivery, Held
from dingwatch.ledger.store import LedgerError, Store
from dingwatch.ledger.transitions import Change
from dingwatch.lifecycle import Event, State
from dingwatch.model import (
    Cause,
    Form,
    Misconfigured,
    NoAnswer,
    NotReached,
    Pause,
    Scope,
    Throttled,
    TokenRejected,
    TypeRefused,
    Verdict,
)
from dingwatch.policy import Consequence, Dress, Limit, Rules
from dingwatch.texts import Log, Text

HOLD_FOR_UPLOAD: Final = 5.0
"""Seconds that a file waits for the first upload of one that settled earlier."""
LEDGER_RETRY: Final = 1.0
POISON: Final = 3
"""Crashes in a row with one row alone in hand, after which it is put aside."""
TOKEN_TRIES: Final = 3
"""Tokens refused in a row for one row, after which a person must look at it."""

Say = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Settings:
    """What the delivery loop is to know of the configuration."""

    app: str
    workers: int = 4
    give_up_after: float = 3 * 86400.0
    resend_uncertain: bool = True
    per_api: Limit | None = None
    per_conversation: Limit | None = None
    unsupported: Mapping[int, str] = field(default_factory=dict)
    """`zip` or `skip` by folder id."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Jobs to be carried out, and when the loop is next needed (None: when something happens)."""

    jobs: list[Job]
    next_at: float | None


@dataclass(slots=True)
class _Tick:
    """What one tick decides; taken over only when its transaction has been committed."""

    connection: Connection
    now: float
    jobs: list[Job] = field(default_factory=list)
    wakes: list[float] = field(default_factory=list)
    said: list[tuple[Text, dict[str, object]]] = field(default_factory=list)
    slots: list[Place] = field(default_factory=list)

    def say(self, text: Text, **values: object) -> None:
        self.said.append((text, values))


class DeliveryLoop:
    """Decides what is uploaded and sent next. Call `tick`; carry out its jobs; bring the outcomes back."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        *,
        token_fresh: Callable[[Host], bool],
        chance: Callable[[], float],
        say: Say,
    ) -> None:
        self._store = store
        self._settings = settings
        self._token_fresh = token_fresh
        self._chance = chance
        self._say = say
        self._pauses = Pauses()
        self._paces = Paces(settings.per_api, settings.per_conversation)
        self._in_hand: dict[Job, Place | None] = {}
        self._kept: list[Outcome] = []
        self._crashed: list[int] = []
        self._calls: Counter[str] = Counter()
        self._served_at: dict[str, float] = {}
        self._refused: frozenset[str] = REFUSED_EXTENSIONS
        self._ledger_down = False

    # --- Beginning and end ---------------------------------------------------------------------

    def recover(self, now: float) -> None:
        """Repair what a process that died left behind; call once before the first tick."""
        with self._store.writing() as connection:
            rows = outbox.recover(connection, now)
            outbox.probe_all(connection)
            self._crashed = outbox.crashed(connection)
            if len(rows) == 1 and rows[0].state is State.UPLOADING and rows[0].crashes + 1 >= POISON:
                cause = Cause("internal", "", "POISON")
                transitions.apply(connection, now, [Change(rows[0].id, Event.REJECT, State.PENDING, cause)])
            self._refused |= outbox.extensions_refused(connection, self._settings.app)
            self._recover_pace(connection, now)
        if rows:
            self._say(Log.RECOVERED, count=len(rows))

    def _recover_pace(self, connection: Connection, now: float) -> None:
        limits = (self._settings.per_api, self._settings.per_conversation)
        longest = max((limit.period for limit in limits if limit), default=0.0)
        if longest:
            for state, at, conversation in outbox.recent_claims(connection, now - longest):
                sends = state is State.SENDING
                self._paces.take(Place(API_SEND, conversation) if sends else Place(API_UPLOAD), at)

    def count(self, api: str) -> None:
        """Note one request for the meter; safe to call from any thread."""
        self._calls[api] += 1

    @property
    def in_hand(self) -> int:
        """How many jobs are out."""
        return len(self._in_hand)

    def abandon(self, now: float) -> None:
        """At a stop: what is still out is given up as what it is, unsent or in doubt."""
        cause = Cause("stopped", "", "STOPPED")
        self.tick(
            now,
            [
                Outcome(job, NoAnswer(cause) if isinstance(job, Send) else NotReached(cause))
                for job in self._in_hand
            ],
            claim=False,
        )

    # --- One tick --------------------------------------------------------------------------------

    def tick(self, now: float, outcomes: Sequence[Outcome], *, claim: bool = True) -> Plan:
        """Enter outcomes, claim what may go now, and return the jobs.

        When the ledger cannot be written, nothing is claimed and the outcomes are kept for the next tick.
        """
        kept = [*self._kept, *outcomes]
        try:
            with self._store.writing() as connection:
                tick = _Tick(connection, now)
                self._pauses.load(outbox.all_pauses(connection))
                counted = self._flush_calls(tick)
                for outcome in kept:
                    self._enter(tick, outcome)
                finished = {outcome.job for outcome in kept}
                if claim:
                    self._claim(tick, {job: p for job, p in self._in_hand.items() if job not in finished})
        except LedgerError as error:
            return self._without_ledger(kept, error, now)
        self._take_over(tick, kept, counted)
        return Plan(tick.jobs, min(tick.wakes, default=None))

    def _without_ledger(self, kept: list[Outcome], error: LedgerError, now: float) -> Plan:
        self._kept = kept
        if not self._ledger_down:
            self._say(Log.LEDGER_DOWN, code=error.cause.code, message=error.cause.message)
        self._ledger_down = True
        return Plan([], now + LEDGER_RETRY)

    def _take_over(self, tick: _Tick, entered: Sequence[Outcome], counted: Counter[str]) -> None:
        self._kept = []
        self._calls.subtract(counted)
        if self._ledger_down:
            self._say(Log.LEDGER_BACK)
            self._ledger_down = False
        for outcome in entered:
            self._in_hand.pop(outcome.job, None)
        for place in tick.slots:
            self._paces.take(place, tick.now)
        for job in tick.jobs:
            self._in_hand[job] = _place(job)
        for text, values in tick.said:
            self._say(text, **values)

    def _flush_calls(self, tick: _Tick) -> Counter[str]:
        counted = Counter({api: count for api, count in list(self._calls.items()) if count})
        outbox.count_calls(self._store, tick.connection, policy.day(tick.now), dict(counted))
        return counted

    # --- Outcomes --------------------------------------------------------------------------------

    def _enter(self, tick: _Tick, outcome: Outcome) -> None:
        self._forget_crashes(outcome.job)
        match outcome.job, outcome.result:
            case Upload() as job, UploadDone() as done:
                self._uploaded(tick, job, done)
            case Send() as job, SendDone() as done:
                self._sent(tick, job, done)
            case FetchToken() as job, Done():
                self._token_came(tick, job)
            case job, Verdict() as verdict:
                self._failed(tick, job, verdict)

    def _forget_crashes(self, job: Job) -> None:
        """A row whose outcome is known did not bring the process down: it needs no special care."""
        if self._crashed and not isinstance(job, FetchToken):
            ids = {row.id for row in _rows(job)}
            self._crashed = [row for row in self._crashed if row not in ids]

    def _uploaded(self, tick: _Tick, job: Upload, done: UploadDone) -> None:
        outbox.uploaded(tick.connection, [(job.dress.key.id, done.media_id)], tick.now)
        columns = {"uploaded_at": tick.now, "due": tick.now, "failures": 0, "waited": 0.0, "crashes": 0}
        self._apply_all(tick, job.rows, Event.UPLOAD_OK, columns, attempt=True)
        self._served(tick, Place(API_UPLOAD, folder=job.source.folder))

    def _sent(self, tick: _Tick, job: Send, done: SendDone) -> None:
        columns = {
            "sent_at": tick.now,
            "process_query_key": done.process_query_key,
            "crashes": 0,
            **dict.fromkeys(("code", "message", "advice", "request_id")),
        }
        self._apply_all(tick, (job.row,), Event.SEND_OK, columns, attempt=True)
        self._served(tick, Place(API_SEND, job.row.conversation))
        tick.say(Log.SENT, path=policy.readable(job.row.path), conversation=job.row.conversation)

    def _token_came(self, tick: _Tick, job: FetchToken) -> None:
        self._pauses.proven[job.host] = tick.now
        self._served_at[job.host] = tick.now
        app = self._pauses.known.get((Scope.APP, APP))
        if app is not None and app.by_token and not self._pauses.hosts_to_prove(app):
            self._end_pauses(tick, [(Scope.APP, APP)])

    def _apply_all(
        self, tick: _Tick, rows: Sequence[Delivery], event: Event, columns: dict[str, Any], *, attempt: bool
    ) -> None:
        """Apply one event to rows that were claimed together."""
        claimed = State.UPLOADING if rows[0].state is State.PENDING else State.SENDING
        attempts = {"attempts": transitions.ONE_MORE} if attempt else {}
        transitions.apply(
            tick.connection,
            tick.now,
            [Change(row.id, event, claimed, None, columns | attempts) for row in rows],
        )

    def _served(self, tick: _Tick, place: Place) -> None:
        """A call came through: the pauses over it end, and its API is known to serve."""
        self._served_at[place.api] = tick.now
        self._end_pauses(tick, [key for key in place.keys() if key in self._pauses.known])

    def _end_pauses(self, tick: _Tick, ended: Sequence[tuple[Scope, str]]) -> None:
        outbox.end_pauses(tick.connection, ended)
        for key in ended:
            pause = self._pauses.known.pop(key)
            if pause.failures > 1 or pause.scope is not Scope.API:
                tick.say(Log.RESUMED, scope=pause.scope, key=pause.key)

    # --- Failures --------------------------------------------------------------------------------

    def _failed(self, tick: _Tick, job: Job, verdict: Verdict) -> None:
        place = _place(job) or Place(_token_api(job))
        verdict = _widened(job, verdict)
        self._pause(tick, place, verdict)
        if isinstance(verdict, Throttled):
            self._paces.throttled(place, verdict.scope, tick.now)
        match job:
            case Upload():
                self._upload_failed(tick, job, verdict)
            case Send():
                self._row_failed(tick, job.row, job.dress, verdict)

    def _pause(self, tick: _Tick, place: Place, verdict: Verdict) -> None:
        key = (verdict.scope, place.key(verdict.scope))
        before = self._pauses.known.get(key)
        if before is not None and before.until > tick.now:
            return  # those in flight together say the same thing once
        made = policy.pause_after(verdict, key[1], before, tick.now, self._chance())
        if made is None:
            return
        self._pauses.known[key] = made
        outbox.pause(self._store, tick.connection, [made])
        if before is None or before.cause.code != made.cause.code:
            self._say_paused(tick, made)

    def _say_paused(self, tick: _Tick, made: Pause) -> None:
        if made.cause.code == "stopped":
            return
        tick.say(
            Log.PAUSED,
            scope=made.scope,
            key=made.key,
            seconds=round(made.until - tick.now, 1),
            code=made.cause.code,
            message=made.cause.message,
            advice=made.cause.advice,
        )

    def _upload_failed(self, tick: _Tick, job: Upload, verdict: Verdict) -> None:
        outbox.upload_states(tick.connection, [job.dress.key.id], "none")
        if isinstance(verdict, TypeRefused) and job.dress.form is Form.PLAIN:
            extension = job.dress.key.extension
            self._refused |= {extension}
            outbox.refuse_extension(self._store, tick.connection, self._settings.app, extension, tick.now)
            tick.say(Log.EXTENSION_REFUSED, extension=extension, path=policy.readable(job.source.path))
        source = job.source
        for row in job.rows:
            own = (row.folder, row.path) == (source.folder, source.path) or not isinstance(
                verdict, policy.OWN_FILE
            )
            if own:
                self._row_failed(tick, row, job.dress, verdict)
            else:  # it waited for another's file; its own may be fine
                self._again(tick, row)

    def _again(self, tick: _Tick, row: Delivery) -> None:
        transitions.apply(
            tick.connection,
            tick.now,
            [Change(row.id, Event.RETRY, State.UPLOADING, None, {"due": tick.now})],
        )

    def _row_failed(self, tick: _Tick, row: Delivery, dress: Dress, verdict: Verdict) -> None:
        claimed = State.UPLOADING if row.state is State.PENDING else State.SENDING
        now_row = outbox.by_id(tick.connection, [row.id]).get(row.id)
        if now_row is None or now_row.state is not claimed:
            return
        if isinstance(verdict, policy.OWN_FILE) and (now_row.path, now_row.fingerprint) != (
            row.path,
            row.fingerprint,
        ):
            self._again(tick, row)  # it was moved or touched under our hands: look again where it is now
            return
        api = API_UPLOAD if claimed is State.UPLOADING else API_SEND
        standing = replace(row.standing, state=claimed)
        alone = row.failures == 0 or self._served_at.get(api, float("-inf")) > row.due
        rules = Rules(self._settings.give_up_after, self._unsupported(row))
        result = policy.consequence(verdict, standing, tick.now, self._chance(), rules, alone=alone)
        self._write_consequence(tick, row, claimed, result)
        self._say_consequence(tick, row, result, verdict)

    def _write_consequence(self, tick: _Tick, row: Delivery, claimed: State, result: Consequence) -> None:
        columns: dict[str, Any] = {
            "due": result.due,
            "failures": result.standing.failures,
            "waited": result.standing.waited,
            "media_losses": result.standing.media_losses,
        }
        if result.answered:
            columns["attempts"] = transitions.ONE_MORE
        if result.event is Event.DOUBT and claimed is State.SENDING:
            columns |= {"doubts": row.doubts + 1, "doubted_at": tick.now}
        if result.event is Event.MEDIA_LOST:
            outbox.upload_states(tick.connection, [row.upload_key], "none")
        transitions.apply(
            tick.connection, tick.now, [Change(row.id, result.event, claimed, result.cause, columns)]
        )

    def _say_consequence(self, tick: _Tick, row: Delivery, result: Consequence, verdict: Verdict) -> None:
        text = {
            Event.REJECT: Log.FAILED,
            Event.SKIP: Log.SKIPPED,
            Event.VANISH: Log.WITHDRAWN,
            Event.DOUBT: Log.DOUBTED if row.state is State.UPLOADED else None,
            Event.RETRY: Log.RETRYING if verdict.scope is Scope.ROW else None,
        }.get(result.event)
        if text is not None and not isinstance(verdict, TypeRefused | TokenRejected):
            tick.say(
                text,
                path=policy.readable(row.path),
                conversation=row.conversation,
                code=result.cause.code,
                message=result.cause.message,
                advice=result.cause.advice,
            )

    def _unsupported(self, row: Delivery) -> str:
        return self._settings.unsupported.get(row.folder or 0, "zip")

    # --- Claims ----------------------------------------------------------------------------------

    def _claim(self, tick: _Tick, out: dict[Job, Place | None]) -> None:
        """Claim what may go: doubted rows back to work, then sends, then uploads with the workers left."""
        self._requeue_doubted(tick, out)
        for host in sorted(self._pauses.probes(tick.now)):
            self._need_token(tick, host, out, force=True)
        if self._crashed:
            self._claim_crashed(tick, out)
        else:
            self._claim_sends(tick, out)
            self._claim_uploads(tick, out)
        tick.wakes += [
            at for at in (self._pauses.next_end(tick.now), outbox.next_due(tick.connection, tick.now)) if at
        ]

    def _busy(self, tick: _Tick, out: Mapping[Job, Place | None]) -> list[Place]:
        return [place for place in (*out.values(), *map(_place, tick.jobs)) if place is not None]

    def _free_workers(self, tick: _Tick, out: Mapping[Job, Place | None]) -> int:
        return self._settings.workers - len(self._busy(tick, out))

    def _held(self, now: float) -> Held:
        return Held(self._pauses.held_conversations(now), self._pauses.held_folders(now))

    def _need_token(
        self, tick: _Tick, host: Host, out: Mapping[Job, Place | None], *, force: bool = False
    ) -> bool:
        """Say whether a token must be waited for, and see to it that it is being fetched."""
        asked = any(isinstance(job, FetchToken) and job.host is host for job in (*out, *tick.jobs))
        if asked:
            return True
        if not force and self._token_fresh(host):
            return False
        app = self._pauses.known.get((Scope.APP, APP))
        if app is None or app.until <= tick.now:
            tick.jobs.append(FetchToken(host, force))
        return True

    def _requeue_doubted(self, tick: _Tick, out: Mapping[Job, Place | None]) -> None:
        """Send doubted rows once more, when a call that is safe to repeat has shown that DingTalk answers."""
        if not self._settings.resend_uncertain:
            return
        served = max(self._served_at.values(), default=float("-inf"))
        again = []
        for row in outbox.doubted_once(tick.connection):
            ready = (row.doubted_at or 0.0) + policy.DOUBT_WAIT
            if ready > tick.now:
                tick.wakes.append(ready)
            elif served > (row.doubted_at or 0.0):
                columns = {"due": tick.now, "uncertain_resent": True}
                again.append(Change(row.id, Event.REQUEUE, State.UNCERTAIN, None, columns))
                tick.say(Log.RESENDING, path=policy.readable(row.path), conversation=row.conversation)
            else:
                self._need_token(tick, Host.API, out, force=True)
        transitions.apply(tick.connection, tick.now, again)

    def _claim_crashed(self, tick: _Tick, out: Mapping[Job, Place | None]) -> None:
        """After a crash what was in hand goes first and one at a time, so that a culprit stands alone."""
        rows = outbox.by_id(tick.connection, self._crashed)
        self._crashed = [
            row
            for row in self._crashed
            if row in rows
            and rows[row].state in {State.PENDING, State.UPLOADED, State.UPLOADING, State.SENDING}
        ]
        if not self._crashed or self._busy(tick, out):
            return
        row = rows[self._crashed[0]]
        if row.state is State.UPLOADED:
            self._claim_send_of(tick, [row], out)
        elif row.state is State.PENDING:
            self._claim_upload(tick, [row], out)
        if not tick.jobs:
            self._crashed = self._crashed[1:]  # held by something else than itself: let the others go on

    def _claim_sends(self, tick: _Tick, out: Mapping[Job, Place | None]) -> None:
        if self._free_workers(tick, out) <= 0 or self._pauses.holds(
            Place(API_SEND), tick.now, self._busy(tick, out)
        ):
            return
        sending = {place.conversation for place in self._busy(tick, out)}
        held = self._held(tick.now)
        for conversation in outbox.conversations_waiting(tick.connection, held, tick.now):
            if conversation in sending:
                continue
            place = Place(API_SEND, conversation)
            slot = self._paces.next_slot(place, tick.now)
            if slot > tick.now:
                tick.wakes.append(slot)
                continue
            if self._free_workers(tick, out) <= 0 or self._pauses.holds(
                place, tick.now, self._busy(tick, out)
            ):
                continue
            self._claim_send_of(tick, outbox.next_to_send(tick.connection, held, tick.now, conversation), out)

    def _claim_send_of(self, tick: _Tick, rows: Sequence[Delivery], out: Mapping[Job, Place | None]) -> None:
        """Claim the first of a conversation's rows that nothing holds back."""
        lost = [row for row in rows if row.upload_state != "have"]
        transitions.apply(
            tick.connection, tick.now, [Change(row.id, Event.MEDIA_LOST, State.UPLOADED) for row in lost]
        )
        for row in rows:
            if row.media_id is None or outbox.older_in_flight(
                tick.connection, row, resends=self._settings.resend_uncertain
            ):
                continue
            hold_until = (row.uploaded_at or row.settled_at) + HOLD_FOR_UPLOAD
            if hold_until > tick.now and outbox.upload_ahead(tick.connection, row, tick.now):
                tick.wakes.append(hold_until)
                return
            self._claim_send(tick, row, row.media_id, out)
            return

    def _claim_send(self, tick: _Tick, row: Delivery, media_id: str, out: Mapping[Job, Place | None]) -> None:
        place = Place(API_SEND, row.conversation)
        slot = self._slot(tick, place)
        if slot > tick.now:
            tick.wakes.append(slot)
            return
        if self._pauses.holds(place, tick.now, self._busy(tick, out)) or self._need_token(
            tick, Host.API, out
        ):
            return
        claim = Change(row.id, Event.CLAIM, State.UPLOADED, None, {"claimed_at": tick.now})
        if transitions.apply(tick.connection, tick.now, [claim]):
            tick.slots.append(place)
            dress = policy.dress(row.name, row.digest, self._settings.app, self._shape_of(row))
            tick.jobs.append(Send(row, media_id, dress))

    def _shape_of(self, row: Delivery) -> frozenset[str]:
        """Return refused extensions so that a row keeps the form in which it was uploaded."""
        kind = policy.extension(policy.displayed_name(row.name))
        return self._refused | {kind} if row.form is Form.ZIP else self._refused - {kind}

    def _slot(self, tick: _Tick, place: Place) -> float:
        """Return the next free slot, those of this tick counted in."""
        paces = Paces(self._paces.per_api, self._paces.per_conversation, dict(self._paces.paces))
        for taken in tick.slots:
            paces.take(taken, tick.now)
        return paces.next_slot(place, tick.now)

    def _claim_uploads(self, tick: _Tick, out: Mapping[Job, Place | None]) -> None:
        uploading = sum(place.api == API_UPLOAD for place in self._busy(tick, out))
        # One worker is left for sends, or slow uploads would hold back what is ready to go.
        free = min(self._free_workers(tick, out), max(self._settings.workers - 1, 1) - uploading)
        if free <= 0 or self._pauses.holds(Place(API_UPLOAD), tick.now, self._busy(tick, out)):
            return
        for rows in outbox.to_upload(tick.connection, self._held(tick.now), tick.now, free):
            self._claim_upload(tick, rows, out)

    def _claim_upload(self, tick: _Tick, rows: Sequence[Delivery], out: Mapping[Job, Place | None]) -> None:
        """Claim all rows of one content: a job, or none where DingTalk has it already."""
        source = rows[0]
        dress = policy.dress(source.name, source.digest, self._settings.app, self._refused)
        if dress.key.id != source.upload_key:
            outbox.redress(self._store, tick.connection, [source.id], dress)
            tick.wakes.append(tick.now)
            return
        refusal = self._preflight(source, dress)
        if refusal is not None:
            event, cause = refusal
            self._refuse(tick, rows, event, cause)
            return
        if source.upload_state == "have":
            self._claim_rows(tick, rows)
            columns = {"uploaded_at": tick.now, "due": tick.now, "crashes": 0}
            self._apply_all(tick, rows, Event.UPLOAD_OK, columns, attempt=False)
            tick.wakes.append(tick.now)
            return
        place = Place(API_UPLOAD, folder=source.folder)
        slot = self._slot(tick, place)
        if slot > tick.now:
            tick.wakes.append(slot)
        elif not self._pauses.holds(place, tick.now, self._busy(tick, out)) and not self._need_token(
            tick, Host.OAPI, out
        ):
            self._claim_rows(tick, rows)
            outbox.upload_states(tick.connection, [dress.key.id], "busy")
            tick.slots.append(place)
            tick.jobs.append(Upload(tuple(rows), dress))

    def _claim_rows(self, tick: _Tick, rows: Sequence[Delivery]) -> None:
        columns = {"claimed_at": tick.now}
        transitions.apply(
            tick.connection,
            tick.now,
            [Change(row.id, Event.CLAIM, State.PENDING, None, columns) for row in rows],
        )

    def _preflight(self, row: Delivery, dress: Dress) -> tuple[Event, Cause] | None:
        """Return what would make the upload fail for certain, so that it costs no call."""
        if row.fingerprint.size > MEDIA_LIMIT:
            return Event.REJECT, Cause("too_big", "", "TOO_BIG")
        if row.fingerprint.size == 0:
            return Event.SKIP, Cause("empty", "", "EMPTY")
        if dress.form is Form.ZIP and self._unsupported(row) == "skip":
            return Event.SKIP, Cause("unsupported", "", "UNSUPPORTED")
        return None

    def _refuse(self, tick: _Tick, rows: Sequence[Delivery], event: Event, cause: Cause) -> None:
        transitions.apply(
            tick.connection, tick.now, [Change(row.id, event, State.PENDING, cause) for row in rows]
        )
        for row in rows:
            tick.say(
                Log.FAILED if event is Event.REJECT else Log.SKIPPED,
                path=policy.readable(row.path),
                conversation=row.conversation,
                code=cause.code,
                message=cause.message,
                advice=cause.advice,
            )


def _rows(job: Upload | Send) -> tuple[Delivery, ...]:
    return job.rows if isinstance(job, Upload) else (job.row,)


def _place(job: Job) -> Place | None:
    """Return where a job stands; token calls stand above all places."""
    match job:
        case Upload():
            return Place(API_UPLOAD, folder=job.source.folder)
        case Send():
            return Place(API_SEND, job.row.conversation)
    return None


def api_of(job: Upload | Send) -> str:
    """Return the API that a job calls."""
    return API_UPLOAD if isinstance(job, Upload) else API_SEND


def _token_api(job: Job) -> str:
    return next(
        (api for api, host in HOST_OF.items() if isinstance(job, FetchToken) and host is job.host), API_SEND
    )


def _widened(job: Job, verdict: Verdict) -> Verdict:
    """A token that cannot be had, or is refused again and again, is the whole app's trouble."""
    if isinstance(job, FetchToken):
        kind = NotReached if isinstance(verdict, NoAnswer) else type(verdict)
        return kind(verdict.cause, Scope.APP)
    if isinstance(job, Send) and isinstance(verdict, TokenRejected) and job.row.failures >= TOKEN_TRIES:
        return Misconfigured(verdict.cause, Scope.APP)
    return verdict
