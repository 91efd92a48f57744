"""What may be sent how often, by real counters: settable while the sandbox runs, and off by default."""

import threading
from collections import defaultdict, deque
from collections.abc import Hashable
from dataclasses import dataclass, fields, replace


@dataclass(frozen=True, slots=True)
class Limits:
    """The ceilings; None: there is none.

    Attributes:
        qps: calls a second per app and API (20 on a standard plan, KB:1433).
        qpm: calls a minute per app and API. DingTalk has the code (KB:0013); which APIs have it is open [?].
        monthly_calls: billed calls a calendar month of the organisation (5000 on a standard plan, KB:1432).
        monthly_events: calls of webhooks and callbacks of Stream a calendar month (3000, KB:1432).
        robot_per_minute: messages a minute of the robot to groups. Unpublished [?].
        conversation_per_minute: messages a minute of the robot to one group. Unpublished [?].
        person_per_minute: messages a minute of the robot to one person. Unpublished [?].
        webhook_per_minute: messages a minute of one custom robot (20, then 10 minutes of silence, KB:0717).
    """

    qps: int | None = None
    qpm: int | None = None
    monthly_calls: int | None = None
    monthly_events: int | None = None
    robot_per_minute: int | None = None
    conversation_per_minute: int | None = None
    person_per_minute: int | None = None
    webhook_per_minute: int | None = None

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
                raise ValueError(f"{each.name} must be a number of calls, or None")

    def changed(self, **changes: object) -> "Limits":
        """The same with some of them changed.

        Raises:
            ValueError: for a name that is none, or a value that is no number.
        """
        names = [each.name for each in fields(self)]
        unknown = set(changes) - set(names)
        if unknown:
            raise ValueError(f"unknown limit {min(unknown)!r}; known: {', '.join(names)}")
        return replace(self, **changes)  # type: ignore[arg-type]  # __post_init__ looks at each value


class Window:
    """Counts what happened within the last so many seconds, key by key.

    The window slides, which is the strictest reading: who keeps it keeps every other [?]. Not for several
    threads by itself.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._granted: defaultdict[Hashable, deque[float]] = defaultdict(deque)

    def is_full(self, key: Hashable, now: float, limit: int | None) -> bool:
        """Whether one more would be too many."""
        granted = self._granted[key]
        while granted and granted[0] <= now - self._seconds:
            granted.popleft()
        return limit is not None and len(granted) >= limit

    def note(self, key: Hashable, now: float) -> None:
        """Counts one."""
        self._granted[key].append(now)


class Flow:
    """The pace of messages. Safe for use from several threads."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._lock = threading.Lock()
        self._held_back: frozenset[str] = frozenset()
        self.reset()

    def reset(self) -> None:
        """Nothing was sent yet; the limits stay."""
        with self._lock:
            self._minute = Window(60)
            self._silent_until: dict[str, float] = {}
            self._held_back = frozenset()

    def hold_back(self, user_ids: frozenset[str]) -> None:
        """These people are flow-controlled from now on, and nobody else is by hand."""
        with self._lock:
            self._held_back = user_ids

    def admit_group(self, conversation_id: str, now: float) -> str | None:
        """Judges a message of the robot to a group: the code of its refusal, or None when it is counted."""
        with self._lock:
            if self._minute.is_full("robot", now, self.limits.robot_per_minute):
                return "send.byToken.tooFast"
            if self._minute.is_full(conversation_id, now, self.limits.conversation_per_minute):
                return "send.too.fast"
            self._minute.note("robot", now)
            self._minute.note(conversation_id, now)
            return None

    def admits_person(self, user_id: str, now: float) -> bool:
        """Judges a message of the robot to a person, and counts it when it may go."""
        with self._lock:
            key = ("person", user_id)
            if user_id in self._held_back or self._minute.is_full(key, now, self.limits.person_per_minute):
                return False
            self._minute.note(key, now)
            return True

    def admit_webhook(self, token: str, now: float) -> int | None:
        """Judges a message of a custom robot: the errcode of its refusal, or None when it is counted.

        The first too many silences it for ten minutes (KB:0717). 130101 was seen in public, 410100 is
        documented; which of them comes when is a guess [?].
        """
        with self._lock:
            if self._silent_until.get(token, now) > now:
                return 410100
            key = ("webhook", token)
            if self._minute.is_full(key, now, self.limits.webhook_per_minute):
                self._silent_until[token] = now + 600
                return 130101
            self._minute.note(key, now)
            return None
