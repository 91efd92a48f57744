"""The clock of the ledger: this host's, or the database's where several hosts share the ledger."""

from __future__ import annotations

import threading
import time
from math import inf
from typing import Final

from dingwatch.model import Now

JITTER: Final = 1.0
"""Seconds by which the database's clock may seem to go back because an answer took its time."""


class LedgerClock:
    """Tells the time that is written to the ledger.

    A host whose wall clock is five minutes ahead would write due times that lie five minutes ahead of what
    the others call now, and get its files behind theirs. So on a shared ledger the time is the database's,
    as it was last asked for, and goes on from there by this host's monotonic clock.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ahead: float | None = None
        """How far the database's clock is ahead of the monotonic one; None: the ledger is not shared."""
        self._latest = -inf

    def set(self, ledger: float, monotonic: float, uncertainty: float) -> None:
        """Note that the database's clock showed `ledger` when the monotonic one showed `monotonic`.

        All in seconds; by `uncertainty` the two readings may have been apart.
        """
        ahead = ledger - monotonic
        with self._lock:
            if self._ahead is None or abs(ahead - self._ahead) > uncertainty:
                self._ahead = ahead

    def now(self) -> float:
        """Return the time by the ledger's clock, in seconds since the epoch."""
        with self._lock:
            if self._ahead is None:
                return time.time()
            now = time.monotonic() + self._ahead
            # A step back is one of the database's own clock, after a failover say, and has to be seen.
            self._latest = max(now, self._latest) if now > self._latest - JITTER else now
            return self._latest

    def read(self) -> Now:
        """Return the time by all clocks."""
        wall = time.time()
        return Now(wall, time.monotonic(), 0.0 if self._ahead is None else self.now() - wall)
