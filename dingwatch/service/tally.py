"""Counts what the service has done since it started: for metrics, whose counters may begin at zero."""

from __future__ import annotations

import re
import threading
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from dingwatch.ledger import Store, facts
from dingwatch.lifecycle import State
from dingwatch.model import Verdict

BUCKETS: Final = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 21600.0, 86400.0)
"""The upper bounds of the histogram of delivery times, in seconds."""
_WORDS: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")


@dataclass(slots=True)
class Totals:
    """Counters of deliveries' outcomes; folders are numbered as in the ledger, None is for `send`."""

    entered: Counter[tuple[int | None, State]] = field(default_factory=Counter)
    """How often a delivery of a folder entered a state."""
    sent_bytes: int = 0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    """How many deliveries were sent within each bound, and not within the one before."""
    seconds: float = 0.0
    """How long they took together, from when they had settled."""


class Tally:
    """Reads from the history what has happened since it was last asked."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._totals = Totals()
        with store.reading() as connection:
            self._last = facts.last_event(connection)

    def read(self) -> Totals:
        """Return the totals; raise LedgerError where they cannot be brought up to date."""
        with self._lock:
            with self._store.reading() as connection:
                until = facts.last_event(connection)
                # Built apart: a query that fails in the middle must not have some of it counted twice.
                found = list(facts.entered_states(connection, self._last, until))
            for one in found:
                self._add(one)
            self._last = until
            return self._totals

    def _add(self, one: facts.Entered) -> None:
        totals = self._totals
        totals.entered[one.folder, one.state] += 1
        if one.state is State.SENT:
            seconds = max(one.seconds, 0.0)  # the clock may have been set back
            totals.sent_bytes += one.size
            totals.seconds += seconds
            totals.buckets[bisect_left(BUCKETS, seconds)] += 1


class CallTally:
    """Counts DingTalk's answers by API and outcome; called from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()

    def note(self, api: str, verdict: Verdict | None) -> None:
        """Count the outcome of one request: `ok`, or the kind of the verdict (`throttled`, `no_answer`)."""
        kind = "Ok" if verdict is None else type(verdict).__name__
        with self._lock:
            self._counts[api, _WORDS.sub("_", kind).lower()] += 1

    def read(self) -> dict[tuple[str, str], int]:
        """Return the counts so far."""
        with self._lock:
            return dict(self._counts)
