"""The gate that every request passes: it keeps the pace, and refuses after a stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from dingwatch.delivery import Target
from dingwatch.model import Cause, Failure, NotReached
from dingwatch.pace import LONG_AGO, Limit, Pace


class Gate:
    """Keeps each API's pace at the instant when requests leave, and refuses them after a stop.

    The loop took a slot for a job's first request when it claimed the job. Between claim and request other
    requests may get ahead of it; then it waits here. Requests that a job repeats, or makes beyond its first,
    have no slot: they wait for one of their own, spaced from whatever request left last.
    """

    def __init__(
        self,
        per_api: Limit | None,
        stopping: threading.Event,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = per_api
        self._stopping = stopping
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._pace_by_api: dict[str, Pace] = {}
        self._job = threading.local()

    def change_limit(self, per_api: Limit | None) -> None:
        """Keep another pace from now on."""
        with self._lock:
            self._limit = per_api
            known = self._pace_by_api.items()
            self._pace_by_api = {
                api: replace(pace, limit=per_api) for api, pace in known if per_api is not None
            }

    @contextmanager
    def admitting(
        self,
        target: Target | None,
        may_leave: Callable[[], None] = lambda: None,
        not_before: float = LONG_AGO,
    ) -> Iterator[None]:
        """Let the first request to the target's API that this thread makes pass by the slot of its job.

        `may_leave` is called when a request is about to leave, and raises Failure to keep it. The first
        request leaves at the monotonic time `not_before`, if it could earlier.
        """
        self._job.admitted = target.api if target else None
        self._job.may_leave = may_leave
        self._job.not_before = not_before
        try:
            yield
        finally:
            self._job.admitted = None
            del self._job.may_leave

    def __call__(self, api: str) -> None:
        """Pass, or raise Failure(NotReached) when the service stops."""
        admitted = getattr(self._job, "admitted", None) == api
        if admitted:
            self._job.admitted = None
            if (early := self._job.not_before - self._monotonic()) > 0.0:
                self._stopping.wait(early)
        # Every wait ends at a stop: a slot may be a minute away.
        while not self._stopping.is_set():
            wait = self._wait(api, spaced=not admitted)
            if wait <= 0.0:
                may_leave: Callable[[], None] = getattr(self._job, "may_leave", lambda: None)
                may_leave()
                return
            self._stopping.wait(wait)
        raise Failure(NotReached(Cause("stopped", "", "STOPPED")))

    def _wait(self, api: str, *, spaced: bool) -> float:
        """Return the seconds until the API's next slot; 0 when it was free, and is now taken."""
        with self._lock:
            if self._limit is None:
                return 0.0
            now = self._monotonic()
            pace = self._pace_by_api.get(api) or Pace(self._limit)
            asked = replace(pace, limit=replace(self._limit, spaced=self._limit.spaced and spaced))
            slot = asked.next_slot(now)
            if slot <= now:
                self._pace_by_api[api] = pace.taken(now)
            return slot - now
