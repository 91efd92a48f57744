"""Tells people what needs them: looks at the service every few seconds, and sends what there is to tell.

It is apart from deliveries: what is sent here has no row, no pause of its own, and no alert when it fails.
What has been told is on disk before the message leaves, so neither a restart nor a lost answer tells anything
twice; while the ledger cannot be written, memory has to do.
"""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Final, Protocol

from sqlalchemy import Connection

from dingwatch import alerts, policy, quota
from dingwatch.alert_text import FolderDay, Style, Summary, word_alert, word_summary
from dingwatch.alerts import SUMMARY, Condition, News, Place, Record, Topic
from dingwatch.config.values import Config
from dingwatch.delivery.screening import PAUSE as SCREENING_PAUSE
from dingwatch.dingtalk import BILLED
from dingwatch.ledger import LedgerError, Store, calls, facts, pauses, screening, sharing
from dingwatch.ledger import alerts as remembered
from dingwatch.ledger.nodes import is_teller, read_members
from dingwatch.ledger.report import Scope as Mapped
from dingwatch.ledger.report import with_others
from dingwatch.ledger.routing import list_routes_of_others
from dingwatch.ledger.screening import ScreeningFailure
from dingwatch.ledger.store import node_of
from dingwatch.lifecycle import IN_WORK, State
from dingwatch.model import (
    Cause,
    Failure,
    NoAnswer,
    NotReached,
    Pause,
    Recipient,
    Scope,
    Throttled,
    TokenRejected,
    Verdict,
)
from dingwatch.notice_text import Message
from dingwatch.recipients import Content, Receipt, recipient_kind
from dingwatch.service.in_force import InForce
from dingwatch.service.recorded import read_status, scope_of
from dingwatch.texts import Log

LOOK_SECONDS: Final = 10.0
"""From one look to the next; less where alerts are wanted sooner."""
SHORTEST_LOOK: Final = 0.05
LONGEST_WAIT: Final = 30.0
"""Seconds until it is asked again whether a message may go."""
LONGEST_OUTAGE: Final = 300.0
"""Seconds between tries while DingTalk cannot be reached, which costs nothing."""
UNSENT_REST: Final = 50.0
"""How many times as long as reading what failed took it is not read again."""
JOIN_SECONDS: Final = 0.5
"""How long a stop waits for a message in flight."""
_OF_LEDGER: Final = frozenset(Topic) - {Topic.LEDGER, Topic.FOLDER_DOWN}
"""Topics about which nothing is known without the ledger."""


class Carrier(Protocol):
    """Sends messages that are no deliveries: the delivery side."""

    def admit(self, recipients: Sequence[str]) -> float:
        """Return how many seconds to wait for a slot of the pace and a token; 0 when both are there."""

    def send_message(self, recipients: Sequence[str], content: Content, uuid: str) -> Receipt:
        """Send a message, once."""

    def renew_token(self, recipient: str) -> None:
        """Get another token for messages to a recipient."""


@dataclass(frozen=True, slots=True)
class Sources:
    """The sources of a look for troubles."""

    config: Callable[[], Config]
    store: Store
    down: Callable[[], Mapping[int, Cause | None]]
    """The folders that are not watched, by their numbers."""
    ledger_error: Callable[[], LedgerError | None]
    clock: Callable[[], float] = time.time
    """Tells the time by the ledger's clock."""


@dataclass(slots=True)
class _Seen:
    """The ledger's answer at the last look, and marks that change when the answer would."""

    marks: tuple[object, ...] | None = None
    unsent: tuple[Condition, ...] = ()
    until: float = -inf
    """Until when it is good enough in any case, monotonic."""


@dataclass(slots=True)
class _Tries:
    """Tries to reach one recipient; `after` is monotonic."""

    failures: int = 0
    after: float = -inf
    alone: bool = False
    """Whether a call together with others was refused, which may be for any of them."""


@dataclass(frozen=True, slots=True)
class _Outbound:
    """One message to be sent: the memory after it, what is logged of it."""

    recipients: tuple[str, ...]
    message: Message
    after: Record
    log: Log
    count: int


class Alerting:
    """Tells people what needs them. Nothing is read or sent before `run`."""

    def __init__(
        self,
        sources: Sources,
        carrier: Carrier,
        log: Callable[..., None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sources = sources
        self._monotonic = monotonic
        self._carrier = carrier
        self._log = log
        self._memory: Record | None = None
        self._saved: Record | None = None
        self._ledger_error: LedgerError | None = None
        self._seen = _Seen()
        self._conditions: dict[Place, Condition] = {}
        self._tries: dict[str, _Tries] = {}
        self._served: dict[str, float] = {}
        """When each recipient was last written to: who has waited for longest comes first."""
        self._sent_at: tuple[float, ...] = ()
        """The messages of this process within the last hour, monotonic: the clock may be set forward."""
        self._shared: tuple[bool, dict[int, Cause | None]] | None = None
        """What the other nodes know of this one: whether it may tell people, and which folders are down."""
        self._tells = False
        self._stop = threading.Event()
        self._abandoned = False
        self._looked_at = -inf
        """When the look began, monotonic."""

    def run(self, stop: threading.Event) -> None:
        """Look and tell until stopped."""
        self._stop = stop
        while not stop.is_set():
            self.look(self._sources.clock())
            stop.wait(self._seconds())

    def abandon(self) -> None:
        """Write nothing any more: the service has stopped, and the next one may have begun."""
        self._abandoned = True

    def _seconds(self) -> float:
        return min(LOOK_SECONDS, max(self._sources.config().alerts.after / 4.0, SHORTEST_LOOK))

    # --- One look --------------------------------------------------------------------------------

    def look(self, now: float) -> None:
        """Look once, and send what there is to tell; `now` is wall-clock seconds."""
        self._looked_at = self._monotonic()
        config = self._sources.config()
        self._share(tells=bool(config.alerts.to))
        if not config.alerts.to or not self._is_teller() or not self._remember():
            return
        conditions, unknown = self._read_conditions(config, now)
        self._conditions = {one.place: one for one in conditions}
        memory = alerts.keep_recipients(self._known, config.alerts.to)
        memory = alerts.observe(memory, conditions, unknown, now)
        local = _local(now)
        self._memory = alerts.begin_summaries(memory, config.alerts.to, config.alerts.daily, local)
        self._save()
        for message in self._outbound(config, now):
            if self._stop.is_set() or not self._messages_left(now):
                return
            self._send(message, now)

    def _share(self, *, tells: bool) -> None:
        """Tell the other nodes whether this one may speak for all, and which folders it cannot watch."""
        store, down = self._sources.store, dict(self._sources.down())
        if not store.shared or (tells, down) == self._shared:
            return
        with suppress(LedgerError):  # the next look tries again
            with store.writing() as connection:
                sharing.save_teller(connection, tells=tells)
                sharing.save_down(connection, down)
            self._shared = tells, down

    def _is_teller(self) -> bool:
        """Return whether this host tells people: of several on one ledger one does, for all of them."""
        try:
            self._tells = is_teller(self._sources.store)
        except LedgerError:
            return self._tells  # that the ledger is down is worth telling, by who spoke last
        if not self._tells:
            self._memory = self._saved = None  # another node goes on from what is in the ledger
        return self._tells

    def _messages_left(self, now: float) -> int:
        self._sent_at = tuple(at for at in self._sent_at if at > self._monotonic() - alerts.HOUR)
        return min(alerts.messages_left(self._known, now), alerts.MOST_MESSAGES - len(self._sent_at))

    def _remember(self) -> bool:
        """Return whether it is known what was told before; else there is nothing to be told safely."""
        if self._memory is None:
            try:
                with self._sources.store.reading() as connection:
                    self._saved = remembered.load(connection)
                    self._memory = self._saved or remembered.begin(connection)
            except LedgerError as error:
                self._ledger_error = error
        return self._memory is not None

    def _save(self) -> None:
        """Write the memory; a ledger that cannot be written is itself a trouble, and written to later."""
        if self._memory is None or self._abandoned:
            return
        if self._memory == self._saved:
            self._ledger_error = None
            return
        try:
            with self._sources.store.writing() as connection:
                remembered.save(self._sources.store, connection, self._memory)
        except LedgerError as error:
            self._ledger_error = error
        else:
            self._saved, self._ledger_error = self._memory, None

    # --- What needs a person ---------------------------------------------------------------------

    def _read_conditions(self, config: Config, now: float) -> tuple[list[Condition], set[Place | Topic]]:
        """Return what needs a person now, and of what nothing can be said."""
        memory = self._known
        error = self._sources.ledger_error() or self._ledger_error
        found = [] if error is None else [Condition(Topic.LEDGER, now, cause=error.cause)]
        try:
            with self._sources.store.reading() as connection:
                mapped = with_others(connection, scope_of(connection, InForce.of(config, by_service=True)))
                found += self._read_ledger(connection, config, mapped, memory, now)
                found += _down(connection, mapped, self._sources.down(), now)
                recipients = _recipients(connection, config)
                silent = _silent_nodes(connection)
        except LedgerError as failure:
            found = found or [Condition(Topic.LEDGER, now, cause=failure.cause)]
            return found, set(_OF_LEDGER | {Topic.FOLDER_DOWN})
        return found, set(_list_left(memory, mapped, recipients, silent))

    def _read_ledger(
        self, connection: Connection, config: Config, mapped: Mapped, memory: Record, now: float
    ) -> Iterator[Condition]:
        paused = pauses.list_pauses(connection)
        yield from _refusals(paused, config, _recipients(connection, config))
        used = calls.total(connection, quota.month(now), BILLED)
        yield from _quota(quota.use_of_all(used, config.dingtalk.monthly_calls, paused, now), paused, now)
        held = remembered.count_held(connection, memory.first_id)
        for number in mapped.ids.values():
            if count := sum(held[one] for one in mapped.targets(number)):
                name = _name_of(mapped, number) or ""
                yield Condition(Topic.HELD, now, str(number), name, count=count)
        yield from _unscreened(screening.list_failures(connection), mapped)
        yield from _lost_nodes(connection)
        marks = (facts.last_event(connection), memory.first_event, mapped, config.delivery.on_uncertain)
        if self._seen.marks != marks and self._seen.until <= (began := time.monotonic()):
            unsent = tuple(_unsent(connection, config, mapped, memory))
            # A hundred thousand failed deliveries take a second, and each that is added changes the marks.
            rest = UNSENT_REST * (time.monotonic() - began)
            self._seen = _Seen(marks, unsent, time.monotonic() + rest)
        yield from self._seen.unsent

    # --- What is to be sent ----------------------------------------------------------------------

    def _outbound(self, config: Config, now: float) -> Iterator[_Outbound]:
        """Yield what is to be sent, one after the other: what was sent before decides what is left."""
        style = Style(config.language, config.node or socket.gethostname())
        waiting = [one for one in config.alerts.to if self._tries_of(one).after <= self._monotonic()]
        waiting.sort(key=lambda one: self._served.get(one, -inf))
        news = {one: self._news(one, config, now) for one in waiting}
        for together in self._group((one, news[one]) for one in waiting if news[one]):
            yield self._alert(style, together, news[together[0]], config, now)
        at, local = config.alerts.daily, _local(now)
        if at is None:
            return
        due = [one for one in waiting if alerts.summary_due(self._known, one, at, local)]
        if due:
            yield from self._summaries(style, due, config, now)

    @property
    def _known(self) -> Record:
        assert self._memory is not None  # noqa: S101 (`_remember` has seen to it)
        return self._memory

    def _tries_of(self, recipient: str) -> _Tries:
        return self._tries.setdefault(recipient, _Tries())

    def _news(self, recipient: str, config: Config, now: float) -> News:
        news = alerts.news_for(self._known, recipient, config.alerts.after, now)
        # Of what nothing can be said now, there is nothing to tell.
        return replace(news, begun=tuple(place for place in news.begun if place in self._conditions))

    def _group(self, wanted: Iterable[tuple[str, object]]) -> Iterator[tuple[str, ...]]:
        """Yield those who are to be told the same, together where one call is for several persons."""
        groups: dict[object, list[str]] = {}
        for one, content in wanted:
            alone = one if self._tries_of(one).alone else ""
            groups.setdefault((recipient_kind(one).kind, content, alone), []).append(one)
        for members in groups.values():
            size = recipient_kind(members[0]).batch
            for start in range(0, len(members), size):
                yield tuple(members[start : start + size])

    def _alert(
        self, style: Style, together: tuple[str, ...], news: News, config: Config, now: float
    ) -> _Outbound:
        after = self._known
        begun = [replace(self._conditions[one], since=after.troubles[one].since) for one in news.begun]
        over = [after.troubles[one] for one in news.over]
        for one in together:
            after = alerts.tell(after, one, news, config.alerts.to, now)
        message = word_alert(style, begun, over)
        return _Outbound(together, message, after, Log.ALERT_SENT, len(begun) + len(over))

    def _summaries(self, style: Style, due: Sequence[str], config: Config, now: float) -> Iterator[_Outbound]:
        try:
            summary = self._read_summary(config, now)
        except LedgerError:  # the next look tries again
            return
        for together in self._group((one, SUMMARY) for one in due):
            after = self._known
            for one in together:
                after = alerts.tell_summary(after, one, _local(now).date())
            yield _Outbound(together, word_summary(style, summary), after, Log.SUMMARY_SENT, 1)

    def _read_summary(self, config: Config, now: float) -> Summary:
        """Return what was sent from yesterday's summary to today's, and what is now."""
        until = _at_time(_local(now), config.alerts.daily or "")
        since = until - timedelta(days=1)
        in_force = InForce.of(config, by_service=True)
        with self._sources.store.reading_apart() as connection:
            status = read_status(connection, in_force, now, of_all=True)
            mapped = with_others(connection, scope_of(connection, in_force))
            down = {one.folder for one in sharing.list_down(connection, now)}.union(self._sources.down())
            sent = remembered.count_sent(connection, since.timestamp(), until.timestamp())
            paused = pauses.list_pauses(connection)
        days = [
            _folder_day(
                name,
                status["counts"][name],
                sent=sum(sent[one] for one in mapped.targets(number)),
                held=status["held"].get(name, 0),
                down=number in down,
            )
            for name, number in mapped.ids.items()
        ]
        days.append(_folder_day("dingwatch send", status["direct"], sent=sent[None], held=0, down=False))
        if days[-1].quiet:
            days.pop()
        used = sum(status["billed_calls"].values())
        use = quota.use_of_all(used, config.dingtalk.monthly_calls, paused, now)
        return Summary(since.timestamp(), until.timestamp(), tuple(days), use)

    # --- Sending ---------------------------------------------------------------------------------

    def _send(self, out: _Outbound, now: float) -> None:
        """Send a message: it counts as told before it leaves, unless it certainly did not arrive."""
        try:
            wait = self._carrier.admit(out.recipients)
        except Failure as failure:
            self._fail(out.recipients, failure.verdict)
            return
        if wait > 0.0:
            # A pause until the end of the month may be ended by `resume` any time.
            self._postpone(out.recipients, min(wait, LONGEST_WAIT))
            return
        before = self._known
        self._memory = alerts.count_message(out.after, now)
        self._save()
        try:
            missed = self._carry(out, now)
            self._memory = self._note_end(self._memory, now)
        except Failure as failure:
            verdict = failure.verdict
            if isinstance(verdict, NoAnswer):
                self._memory = self._note_end(self._memory, now)
                self._log_each(Log.ALERT_LOST, out.recipients, verdict)
            else:
                self._memory = before
                self._fail(out.recipients, verdict)
        else:
            reached = [one for one in out.recipients if one not in missed]
            self._memory = alerts.take_back(self._memory, before, missed) if missed else self._memory
            for one in reached:
                self._tries.pop(one, None)
                self._served[one] = self._monotonic()
                self._log(out.log, conversation=one, count=out.count)
            for one, verdict in missed.items():
                self._fail((one,), verdict)
        self._save()

    def _note_end(self, memory: Record, now: float) -> Record:
        """Count a message from when its answer came: it may have taken a minute."""
        self._sent_at = (*self._sent_at, self._monotonic())
        ended = now + self._monotonic() - self._looked_at
        return replace(memory, messages=(*memory.messages[:-1], ended))

    def _carry(self, out: _Outbound, now: float) -> Mapping[str, Verdict]:
        """Hand a message over; return whom it did not reach."""
        # The same words may come next month, and DingTalk drops what comes twice under one uuid.
        uuid = hashlib.blake2b(f"{out.recipients}{out.message}{now!r}".encode(), digest_size=16).hexdigest()
        try:
            receipt = self._carrier.send_message(out.recipients, out.message, uuid)
        except Failure as failure:
            if not isinstance(failure.verdict, TokenRejected):
                raise
            with suppress(Failure):  # without a new token, it is refused once more
                self._carrier.renew_token(out.recipients[0])
            receipt = self._carrier.send_message(out.recipients, out.message, uuid)
        return {
            one: receipt.missed[Recipient.of(one).id]
            for one in out.recipients
            if Recipient.of(one).id in receipt.missed
        }

    def _postpone(self, recipients: Sequence[str], wait: float) -> None:
        for one in recipients:
            self._tries_of(one).after = self._monotonic() + wait

    def _fail(self, recipients: Sequence[str], verdict: Verdict) -> None:
        """Wait before the next try, ever longer: each may be billed."""
        for one in recipients:
            tries = self._tries_of(one)
            tries.failures += 1
            tries.alone = tries.alone or len(recipients) > 1
            wait = policy.for_a_person(tries.failures)
            if isinstance(verdict, NotReached):
                wait = min(wait, LONGEST_OUTAGE)
            elif isinstance(verdict, Throttled):
                wait = max(wait, verdict.retry_after)
            tries.after = self._monotonic() + wait
        if not self._stop.is_set():
            self._log_each(Log.ALERT_FAILED, recipients, verdict)

    def _log_each(self, text: Log, recipients: Sequence[str], verdict: Verdict) -> None:
        for one in recipients:
            cause = recipient_kind(one).judge(verdict).cause
            self._log(text, conversation=one, **cause.log_values())


# --- Conditions ----------------------------------------------------------------------------------


def _name_of(mapped: Mapped, number: int) -> str | None:
    """Return the name of a folder of the configuration; None for any other."""
    return mapped.names.get(number) if number in set(mapped.ids.values()) else None


def _recipients(connection: Connection, config: Config) -> set[str]:
    """Return the recipients of this host's folders, and of those of all nodes on the ledger."""
    own = {recipient for folder in config.folders for recipient in folder.recipients}
    return own.union(recipient for _, recipient in list_routes_of_others(connection))


def _lost_nodes(connection: Connection) -> Iterator[Condition]:
    """Yield the nodes of a shared ledger whose lease is over, unless somebody has drained them."""
    if not node_of(connection):
        return
    members = read_members(connection)
    for one in members.nodes:
        if one.state(members.now) == "lost":
            yield Condition(Topic.NODE_LOST, one.lease_until, one.name, one.name)


def _silent_nodes(connection: Connection) -> set[str]:
    """Return the nodes of a shared ledger without a lease: what is down on them is not known."""
    if not node_of(connection):
        return set()
    members = read_members(connection)
    return {one.name for one in members.nodes if not one.is_live(members.now)}


def _down(
    connection: Connection, mapped: Mapped, own: Mapping[int, Cause | None], now: float
) -> Iterator[Condition]:
    """Yield the folders that are down here, and on the other nodes of a shared ledger.

    A trouble must have the same key whichever node tells people: the former leader may have told of it.
    """
    node = node_of(connection)
    here = [(number, _name_of(mapped, number), node, cause) for number, cause in own.items()]
    for number, name, on, cause in (*here, *sharing.list_down(connection, now)):
        if name is not None:
            key = f"{number}/{on}" if on else str(number)
            yield Condition(Topic.FOLDER_DOWN, now, key, name, cause=cause)


def _refusals(paused: Sequence[Pause], config: Config, recipients: Collection[str]) -> Iterator[Condition]:
    """Yield the pauses that only a person can end: credentials, permissions, robots, recipients."""
    for one in paused:
        # What DingTalk set an end to ends by itself, as does an outage; folders have a topic of their own.
        if one.fixed or one.by_token or one.scope is Scope.FOLDER:
            continue
        if one.scope is Scope.CONVERSATION and one.key not in recipients:
            continue
        # A program of `before_send` that fails is paused, too; `_unscreened` tells of it.
        if one.scope is Scope.API and one.key.startswith(SCREENING_PAUSE):
            continue
        name = config.recipient_names.get(one.key, one.key) if one.scope is not Scope.APP else ""
        yield Condition(Topic.REFUSED, one.since, f"{one.scope}/{one.key}", name, cause=one.cause)


def _list_left(
    memory: Record, mapped: Mapped, recipients: Collection[str], silent: Collection[str]
) -> Iterator[Place]:
    """Yield the troubles that are neither here nor over.

    Their folders and recipients have left the configuration, or their nodes say nothing: a lost node has not
    got its folder back.
    """
    numbers = {str(number) for number in mapped.ids.values()}
    keys = {f"{Scope.CONVERSATION}/{one}" for one in recipients}
    of_folders = {Topic.FOLDER_DOWN, Topic.HELD, Topic.FAILED, Topic.UNCERTAIN, Topic.GATE}
    for place, one in memory.troubles.items():
        of_folder = one.topic in of_folders and one.key
        of_recipient = one.topic is Topic.REFUSED and one.key.startswith(f"{Scope.CONVERSATION}/")
        number, _, node = one.key.partition("/")
        left = number not in numbers or node in silent
        if (of_folder and left) or (of_recipient and one.key not in keys):
            yield place


def _quota(use: quota.Use, paused: Sequence[Pause], now: float) -> Iterator[Condition]:
    """Yield how much of the quota is used, from the first mark on."""
    refused = any(quota.refused(one, now) for one in paused)
    limit = use.limit or 0
    reached = [mark for mark in quota.WARNINGS if limit and use.used * 100 >= mark * limit]
    share = max(quota.WARNINGS) if refused else max(reached, default=0)
    if share:
        yield Condition(Topic.QUOTA, now, newest=share, count=use.used, limit=limit or use.used)


def _unscreened(failures: Iterable[ScreeningFailure], mapped: Mapped) -> Iterator[Condition]:
    """Yield the folders whose program of `before_send` has failed, or took too long."""
    present = _present(mapped)
    found: dict[str, Condition] = {}
    for one in failures:
        if (number := present.get(one.folder)) is not None:
            name = _name_of(mapped, number) or ""
            here = Condition(Topic.GATE, one.since, str(number), name, count=one.files, cause=one.cause)
            before = found.get(here.key)
            found[here.key] = here if before is None else _merge(before, here)
    yield from found.values()


def _present(mapped: Mapped) -> dict[int, int]:
    """Return the folders by their own numbers and those of their paths' former targets."""
    return {one: number for number in mapped.ids.values() for one in mapped.targets(number)}


def _unsent(connection: Connection, config: Config, mapped: Mapped, memory: Record) -> Iterator[Condition]:
    """Yield what failed and what is uncertain, by folder, since alerts were turned on."""
    resends = config.delivery.on_uncertain == "resend"
    present = _present(mapped)
    found: dict[tuple[Topic, str], Condition] = {}
    for one in remembered.list_unsent(connection, memory.first_event, resends=resends):
        number = None if one.folder is None else present.get(one.folder)
        if one.folder is not None and number is None:
            continue
        topic = Topic.FAILED if one.state is State.FAILED else Topic.UNCERTAIN
        key, name = ("", "") if number is None else (str(number), _name_of(mapped, number) or "")
        before = found.get((topic, key))
        file, cause = remembered.describe_event(connection, one.newest)
        here = Condition(topic, one.since, key, name, one.newest, one.number, file, cause)
        found[topic, key] = here if before is None else _merge(before, here)
    yield from found.values()


def _merge(one: Condition, other: Condition) -> Condition:
    """Return what is true of a folder with a former target of its path."""
    latest = max(one, other, key=lambda each: each.newest)
    return replace(latest, since=min(one.since, other.since), count=one.count + other.count)


# --- Times ---------------------------------------------------------------------------------------


def _local(now: float) -> datetime:
    """Return the local time, without its zone: that is how people mean `18:00`."""
    return datetime.fromtimestamp(now, UTC).astimezone().replace(tzinfo=None)


def _at_time(local: datetime, at: str) -> datetime:
    hour, minute = map(int, at.split(":"))
    return local.replace(hour=hour, minute=minute, second=0, microsecond=0)


def _folder_day(name: str, counts: Mapping[str, int], *, sent: int, held: int, down: bool) -> FolderDay:
    waiting = sum(counts[state] for state in IN_WORK) - held
    return FolderDay(
        name, sent, max(waiting, 0), held, counts[State.FAILED], counts[State.UNCERTAIN], down=down
    )
