"""Counts calls, and says when the app has had its share (KB:1431 to 1433)."""

import threading
from collections import Counter, defaultdict, deque
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum, auto

# The quota's month is China's. A fixed offset needs no zone database, and China has had no summer time
# since 1991.
_CHINA = timezone(timedelta(hours=8))


class Admission(Enum):
    """What the limits say about a call."""

    GRANTED = auto()
    THROTTLED = auto()
    EXHAUSTED = auto()


class Meter:
    """Requests per API, billed calls, and the two limits. Safe for use from several threads.

    The QPS limit is judged in a sliding second, the strictest reading: who keeps it keeps every other
    [?]. Refused calls do not count against either limit (KB:1432).
    """

    def __init__(self, qps: int | None, monthly_calls: int | None) -> None:
        self._qps = qps
        self._monthly_calls = monthly_calls
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Back to zero, limits included."""
        with self._lock:
            self._calls: Counter[str] = Counter()
            self._billed = 0
            self._month = (0, 0)
            self._month_used = 0
            self._granted: defaultdict[str, deque[float]] = defaultdict(deque)

    def arrived(self, api: str) -> None:
        """Counts a request, whatever becomes of it."""
        with self._lock:
            self._calls[api] += 1

    def admit(self, api: str, now: float, *, billed: bool) -> Admission:
        """Judges an authenticated call and, when it is granted, counts it."""
        with self._lock:
            if self._qps is not None and self._second_is_full(api, now, self._qps):
                return Admission.THROTTLED
            if billed:
                if self._monthly_calls is not None and self._used_in_month(now) >= self._monthly_calls:
                    return Admission.EXHAUSTED
                self._billed += 1
                self._month_used += 1
            if self._qps is not None:
                self._granted[api].append(now)
            return Admission.GRANTED

    def calls(self) -> dict[str, int]:
        """Requests received so far, by API."""
        with self._lock:
            return dict(self._calls)

    def billed(self) -> int:
        """Calls granted so far that count against the monthly quota."""
        with self._lock:
            return self._billed

    def _second_is_full(self, api: str, now: float, qps: int) -> bool:
        granted = self._granted[api]
        while granted and granted[0] <= now - 1:
            granted.popleft()
        return len(granted) >= qps

    def _used_in_month(self, now: float) -> int:
        day = datetime.fromtimestamp(now, UTC).astimezone(_CHINA)
        month = (day.year, day.month)
        if month != self._month:
            self._month = month
            self._month_used = 0
        return self._month_used
