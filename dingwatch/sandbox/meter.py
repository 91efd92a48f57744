"""Counts calls, and says when the app has had its share (KB:1431 to 1433)."""

import threading
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum, auto

from dingwatch.sandbox.limits import Limits, Window

# The quota's month is China's. A fixed offset needs no zone database, and China has had no summer time
# since 1991.
_CHINA = timezone(timedelta(hours=8))

_STANDARD_PLAN = 5000  # billed calls a month


class Admission(Enum):
    """What the limits say about a call."""

    GRANTED = auto()
    THROTTLED = auto()
    THROTTLED_MINUTE = auto()
    EXHAUSTED = auto()


class Meter:
    """Requests per API, billed calls, and the limits of the gateway. Safe for use from several threads.

    Refused calls do not count against any limit (KB:1432).
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Back to zero, months included; the limits stay."""
        with self._lock:
            self._calls: Counter[str] = Counter()
            self._granted: Counter[str] = Counter()
            self._billed = 0
            self._events = 0
            self._month = (0, 0)
            self._month_billed = 0
            self._month_events = 0
            self._second, self._minute = Window(1), Window(60)

    def arrived(self, api: str) -> None:
        """Counts a request, whatever becomes of it."""
        with self._lock:
            self._calls[api] += 1

    def admit(self, api: str, now: float, *, billed: bool) -> Admission:
        """Judges an authenticated call and, when it is granted, counts it."""
        with self._lock:
            limits = self.limits
            if self._second.is_full(api, now, limits.qps):
                return Admission.THROTTLED
            if self._minute.is_full(api, now, limits.qpm):
                return Admission.THROTTLED_MINUTE
            if billed:
                self._turn_month(now)
                if limits.monthly_calls is not None and self._month_billed >= limits.monthly_calls:
                    return Admission.EXHAUSTED
                self._billed += 1
                self._month_billed += 1
            self._granted[api] += 1
            self._second.note(api, now)
            self._minute.note(api, now)
            return Admission.GRANTED

    def admit_event(self, now: float) -> bool:
        """Judges a webhook's call or a callback of Stream, which have a quota of their own, and counts it."""
        with self._lock:
            self._turn_month(now)
            if self.limits.monthly_events is not None and self._month_events >= self.limits.monthly_events:
                return False
            self._events += 1
            self._month_events += 1
            return True

    def calls(self) -> dict[str, int]:
        """Requests received so far, by API."""
        with self._lock:
            return dict(self._calls)

    def granted(self) -> dict[str, int]:
        """Calls that no limit refused so far, by API."""
        with self._lock:
            return dict(self._granted)

    def billed(self) -> int:
        """Calls granted so far that count against the monthly quota."""
        with self._lock:
            return self._billed

    def quota(self) -> tuple[int, int]:
        """The figures of a refusal: calls of this month with the refused one, and how many are allowed.

        Without a limit, as when a fault asks for the refusal, they are those of the standard plan (KB:1431).
        """
        with self._lock:
            allowed = _STANDARD_PLAN if self.limits.monthly_calls is None else self.limits.monthly_calls
            return max(self._month_billed, allowed) + 1, allowed

    def events(self) -> int:
        """Webhook calls and Stream callbacks so far, which count against a quota of their own."""
        with self._lock:
            return self._events

    def _turn_month(self, now: float) -> None:
        day = datetime.fromtimestamp(now, UTC).astimezone(_CHINA)
        month = (day.year, day.month)
        if month != self._month:
            self._month = month
            self._month_billed = self._month_events = 0
