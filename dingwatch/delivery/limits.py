"""Limits that hold jobs back: pauses with their probes, and the pace. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import inf
from typing import Final

from dingwatch import policy
from dingwatch.dingtalk import API_PUT, API_UPLOAD, Host
from dingwatch.ledger.queues import Paused
from dingwatch.model import FolderPause, Pause, Scope
from dingwatch.pace import LONG_AGO, Lesson, Limit, Pace
from dingwatch.recipients import KINDS, recipient_kind

APP = "app"
AHEAD_SECONDS: Final = 120.0
"""No more is uploaded ahead for a recipient than can be sent within this time."""
AHEAD_WITHOUT_PACE: Final = 40
MOST_AHEAD: Final = 400
"""However fast the pace: so many keep every worker busy, and are counted in no time."""
_HOSTS: Final[Mapping[str, Host | None]] = {
    API_UPLOAD: Host.OAPI,
    API_PUT: None,
    **{kind.message_api: kind.host for kind in KINDS.values()},
}
"""Whose token an API needs; all others are of the newer host."""


def hosts_of(api: str) -> tuple[Host, ...]:
    """Return the host whose token an API needs, if any."""
    host = _HOSTS.get(api, Host.API)
    return () if host is None else (host,)


@dataclass(frozen=True, slots=True)
class Target:
    """The API, the recipients and the folder that a job acts on."""

    api: str
    recipients: tuple[str, ...] = ()
    """More than one where one call is for several persons."""
    folder: int | None = None
    also: str | None = None
    """A second API that the same job needs: the store's, for a file that goes there in one piece."""

    @property
    def apis(self) -> tuple[str, ...]:
        """All the APIs that it needs."""
        return (self.api,) if self.also is None else (self.api, self.also)

    def scopes(self) -> tuple[tuple[Scope, str], ...]:
        """Return the pauses that would hold it back."""
        keys = [(Scope.APP, APP), *((Scope.API, api) for api in self.apis)]
        keys += [(Scope.CONVERSATION, recipient) for recipient in self.recipients]
        if self.folder is not None:
            keys.append((Scope.FOLDER, str(self.folder)))
        return tuple(keys)

    def keys(self, scope: Scope) -> tuple[str, ...]:
        """Return the keys of the pauses of this scope that would hold it back."""
        return tuple(key for known, key in self.scopes() if known is scope)

    def reach(self, scope: Scope) -> Scope:
        """Return how far a verdict of this scope reaches, where a job may not have such a scope at all.

        What is returned holds that very job back, by a pause or (ROW) by the row's own wait.
        """
        if scope is Scope.ROW or self.keys(scope):
            return scope
        if scope is Scope.FOLDER:
            # `send` was given a file on a share that hangs. It lies in no watched folder, and its trouble is
            # not DingTalk's: only its own row has to wait, not everybody's uploads.
            return Scope.ROW
        # An upload is for no recipient. If DingTalk refuses one with "no such conversation" nevertheless,
        # it does not mean this file: the next upload would be refused like it, and each is a billed call.
        return Scope.API


def message_target(recipient: str) -> Target:
    """Return the target of a message to a recipient: a file by the robot, a caption or a notice."""
    return Target(recipient_kind(recipient).message_api, (recipient,))


@dataclass(frozen=True, slots=True)
class StoreProbe:
    """The free probes of a paused store, of which the next is `due`."""

    address: str
    due: float
    failures: int = 1
    spent: bool = False
    """Whether one has reached the store: from then on only files show whether it takes them."""


@dataclass(slots=True)
class Pauses:
    """The pauses in force. After its end a pause lets one job through, whose success ends it."""

    known: dict[tuple[Scope, str], Pause] = field(default_factory=dict)
    proven: dict[Host, float] = field(default_factory=dict)
    """When a token call last succeeded on each host."""
    store_probes: dict[tuple[Scope, str], StoreProbe] = field(default_factory=dict)
    """How a pause of the drive's store can end before its time, at no cost."""
    by_hand: dict[int, FolderPause] = field(default_factory=dict)
    """The folders that a person has paused: they are not probed, only `resume` or its time ends that."""
    node: str = ""
    """This host's name on a shared ledger."""

    def copy(self) -> Pauses:
        """Return a copy for a tick to change."""
        return replace(
            self,
            known=dict(self.known),
            proven=dict(self.proven),
            store_probes=dict(self.store_probes),
            by_hand=dict(self.by_hand),
        )

    def load(self, pauses: Iterable[Pause], by_hand: Iterable[FolderPause] = ()) -> None:
        """Take over what the ledger holds (a command may have changed it)."""
        # Of a node's own pause and everybody's, over the same, the one that lasts longer holds.
        lasting = sorted(pauses, key=lambda pause: pause.until)
        self.known = {(pause.scope, pause.key): pause for pause in lasting}
        self.by_hand = {pause.folder: pause for pause in by_hand}

    def take_ended(self, now: float) -> list[FolderPause]:
        """Take out the pauses by hand whose time is over, and return them."""
        ended = [pause for pause in self.by_hand.values() if not pause.in_force(now)]
        for pause in ended:
            del self.by_hand[pause.folder]
        return ended

    def set_back(self, now: float) -> None:
        """Forget token calls of the future, by whose time a pause would count as probed."""
        self.proven = {host: at for host, at in self.proven.items() if at <= now}
        self.store_probes = {
            key: replace(probe, due=min(probe.due, now)) for key, probe in self.store_probes.items()
        }

    def blocks(self, target: Target, now: float, busy: Iterable[Target]) -> bool:
        """Return whether a job may not begin now."""
        if target.folder in self.by_hand:
            return True
        if not self.known:
            return False
        found = [self.known[key] for key in target.scopes() if key in self.known]
        if not found:
            return False
        if any(
            pause.until > now or self._is_probed_elsewhere(pause, now) or self.hosts_to_prove(pause)
            for pause in found
        ):
            return True
        # All these pauses are over, but nobody knows whether their causes are. A thousand files wait, so one
        # job goes as a probe, and the others wait for its outcome.
        under = {(pause.scope, pause.key) for pause in found}
        return any(under.intersection(other.scopes()) for other in busy)

    def _is_probed_elsewhere(self, pause: Pause, now: float) -> bool:
        return pause.probed_by not in {"", self.node} and pause.probed_until > now

    def is_refused(self, recipient: str) -> bool:
        """Return whether a recipient has a pause of its own."""
        return (Scope.CONVERSATION, recipient) in self.known

    def probing_since(self, api: str, now: float) -> float | None:
        """Return since when an API's pause is over and waits for its probe; None when there is none."""
        pause = self.known.get((Scope.API, api))
        return pause.until if pause is not None and pause.until <= now else None

    def most_ahead(self, target: Target, most: int, now: float) -> int:
        """Return how many of `most` uploads may be made ahead for a target: none while it is paused.

        When its pause is over, one is made: the file that is sent as the probe.
        """
        found = [self.known[key] for key in target.scopes() if key in self.known]
        if any(pause.until > now for pause in found):
            return 0
        return min(most, 1) if found else most

    def hosts_to_prove(self, pause: Pause) -> tuple[Host, ...]:
        """Return the hosts whose token call must succeed before anything else is tried."""
        # While DingTalk is out of reach, an upload costs a billed call to learn nothing, and a send may be
        # in doubt. The token call is free and can be repeated.
        if not pause.by_token:
            return ()
        hosts = tuple(Host) if pause.scope is not Scope.API else hosts_of(pause.key)
        return tuple(host for host in hosts if self.proven.get(host, LONG_AGO) < pause.until)

    def probe_store(self, pause: tuple[Scope, str], address: str, now: float, chance: float) -> None:
        """Probe the store while it is paused, unless a probe has reached it since it first failed.

        A firewall may let connections through, and no files: then a probe tells nothing.
        """
        self.store_probes.setdefault(pause, StoreProbe(address, due=now + policy.backoff(1, chance)))

    def due_probes(self, now: float) -> dict[str, float]:
        """Return when to probe each address of the store that is paused now; one probe each."""
        return {
            probe.address: probe.due
            for key, probe in self.store_probes.items()
            if not probe.spent and key in self.known and self.known[key].until > now
        }

    def enter_probe(self, address: str, now: float, chance: float, *, reached: bool) -> list[Pause]:
        """Enter what came of a probe; return the pauses that end now, when a job goes as their last probe."""
        ended = []
        for key, probe in self.store_probes.items():
            if probe.address == address and not probe.spent:
                wait = policy.backoff(probe.failures + 1, chance)
                self.store_probes[key] = replace(
                    probe, failures=probe.failures + 1, due=now + wait, spent=reached
                )
                if reached and key in self.known:
                    self.known[key] = replace(self.known[key], until=now)
                    ended.append(self.known[key])
        return ended

    def free_at(self, target: Target) -> float:
        """Return when the pauses over a message end that is no delivery; −∞ without any.

        A pause of the app does not keep a custom robot from it: its address holds a token of its own.
        """
        scopes = [one for one in target.scopes() if hosts_of(target.api) or one[0] is not Scope.APP]
        return max((self.known[one].until for one in scopes if one in self.known), default=LONG_AGO)

    def must_prove(self, target: Target) -> bool:
        """Return whether the token call must show first that an outage is over."""
        known = (self.known.get(one) for one in target.scopes())
        return any(pause is not None and pause.by_token for pause in known)

    def probes(self, now: float) -> set[Host]:
        """Return the token calls that are due as probes."""
        return {
            host for pause in self.known.values() if pause.until <= now for host in self.hosts_to_prove(pause)
        }

    def paused(self, now: float) -> Paused:
        """Return the recipients and folders under a pause that has not ended."""
        lasting = [key for key, pause in self.known.items() if pause.until > now]
        folders = {int(key) for scope, key in lasting if scope is Scope.FOLDER}
        return Paused(
            tuple(key for scope, key in lasting if scope is Scope.CONVERSATION),
            tuple(sorted(folders.union(self.by_hand))),
        )

    def next_end(self, now: float) -> float:
        """Return the next instant at which a pause ends; infinity when none does."""
        ends = [pause.until for pause in self.known.values() if pause.until > now]
        by_hand = (pause.until for pause in self.by_hand.values() if pause.until is not None)
        return min((*ends, *by_hand), default=inf)


@dataclass(slots=True)
class RateLimits:
    """The pace of every API and recipient."""

    per_api: Limit | None
    per_conversation: Limit | None
    rates: dict[tuple[Scope, str], Pace] = field(default_factory=dict)

    def copy(self) -> RateLimits:
        """Return a copy for a tick to change."""
        return RateLimits(self.per_api, self.per_conversation, dict(self.rates))

    def with_limits(self, per_api: Limit | None, per_conversation: Limit | None) -> RateLimits:
        """Return the same use of other limits; what was learnt of an API or recipient stays."""
        limits = {Scope.API: per_api, Scope.CONVERSATION: per_conversation}
        used = ((key, pace, limits.get(key[0])) for key, pace in self.rates.items())
        rates = {key: replace(pace, limit=limit) for key, pace, limit in used if limit is not None}
        return RateLimits(per_api, per_conversation, rates)

    def set_back(self, now: float) -> None:
        """Forget the slots that were taken in the future, before the clock was set back."""
        self.rates = {key: pace.set_back(now) for key, pace in self.rates.items()}

    def longest_period(self) -> float:
        """Return the longest window of the limits, in seconds; 0 without any."""
        limits = (self.per_api, self.per_conversation)
        return max((limit.period for limit in limits if limit), default=0.0)

    @staticmethod
    def keys(target: Target) -> list[tuple[Scope, str]]:
        """Return what a call uses one slot of each, whether it is limited here or not."""
        return [(Scope.API, target.api), *((Scope.CONVERSATION, one) for one in target.recipients)]

    def note(self, key: tuple[Scope, str], at: float) -> None:
        """Note a slot that another node has taken."""
        limit = {Scope.API: self.per_api, Scope.CONVERSATION: self.per_conversation}.get(key[0])
        if limit is not None:
            self.rates[key] = self._pace(key, limit).taken(at)

    def _limits(self, target: Target) -> Mapping[tuple[Scope, str], Limit]:
        limits = {}
        if self.per_api is not None:
            limits[Scope.API, target.api] = self.per_api
        if self.per_conversation is not None:
            for recipient in target.recipients:
                limits[Scope.CONVERSATION, recipient] = self.per_conversation
        return limits

    def next_slot(self, target: Target, now: float) -> float:
        """Return the earliest instant at which a request keeps to every limit."""
        slots = (self._pace(key, limit).next_slot(now) for key, limit in self._limits(target).items())
        return max(slots, default=now)

    def free_since(self, target: Target, now: float) -> float:
        """Return since when, or from when on, a request keeps to every limit; −∞ without any."""
        free = (self._pace(key, limit).free_since(now) for key, limit in self._limits(target).items())
        return max(free, default=LONG_AGO)

    def most_ahead(self, target: Target, now: float) -> int:
        """Return how many uploads may be made ahead of the messages to a target's recipient: at least one.

        More than can be sent soon would only hold back the uploads of others, and of files yet to come.
        """
        if self.per_conversation is None:
            return AHEAD_WITHOUT_PACE
        rates = (self._pace(key, limit) for key, limit in self._limits(target).items())
        soon = min(pace.most_within(AHEAD_SECONDS, now) for pace in rates)
        return min(max(soon, 1), MOST_AHEAD)

    def is_tight(self, target: Target, now: float) -> bool:
        """Return whether a limit of a request is used so much that its slots have to be kept to."""
        return any(self._pace(key, limit).is_tight(now) for key, limit in self._limits(target).items())

    def take(self, target: Target, now: float) -> None:
        """Use one slot."""
        for key, limit in self._limits(target).items():
            self.rates[key] = self._pace(key, limit).taken(now)

    def learn_refusal(self, target: Target, scope: Scope, now: float) -> dict[tuple[Scope, str], Lesson]:
        """Learn from a refusal; return what was learnt, to be written down."""
        lessons = {}
        for key, limit in self._limits(target).items():
            if key[0] is scope:
                before = self._pace(key, limit)
                self.rates[key] = after = before.throttled(now)
                if after is not before:
                    lessons[key] = after.lesson
        return lessons

    def take_up(self, key: tuple[Scope, str], lesson: Lesson) -> None:
        """Take up what was learnt before."""
        limit = {Scope.API: self.per_api, Scope.CONVERSATION: self.per_conversation}.get(key[0])
        if limit is not None:
            self.rates[key] = replace(self._pace(key, limit), lesson=lesson)

    def _pace(self, key: tuple[Scope, str], limit: Limit) -> Pace:
        return self.rates.get(key) or Pace(limit)
