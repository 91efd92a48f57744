"""How far uploads are, counted while their bodies are sent: for the status page."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from dingwatch.delivery import Job, Put, Upload
from dingwatch.dingtalk import counting
from dingwatch.ledger.delivery import Delivery

_SAMPLE: Final = 2.0
"""Seconds over which a rate is taken."""
_IDLE: Final = 2.0
"""Seconds for which an upload is still shown between two of its parts."""


@dataclass(slots=True)
class _Course:
    """An upload in progress. One thread at a time writes it, and others read it."""

    rows: tuple[Delivery, ...]
    done: int
    sampled_at: float
    sampled: int
    rate: float = 0.0
    left_at: float | None = None
    """When its last part ended (monotonic); None while one is in flight."""

    def note(self, done: int, now: float) -> None:
        self.done = done
        if now - self.sampled_at >= _SAMPLE:
            self.rate = max(done - self.sampled, 0) / (now - self.sampled_at)
            self.sampled_at, self.sampled = now, done

    def rate_at(self, now: float) -> float:
        """Return bytes per second: of the last sample, unless less was sent since."""
        seconds = now - self.sampled_at
        if self.rate and seconds < 2 * _SAMPLE:
            return self.rate
        return max(self.done - self.sampled, 0) / seconds if seconds > 0.0 else 0.0


@dataclass(frozen=True, slots=True)
class Uploading:
    """An upload in progress: the deliveries that wait for it, bytes, and bytes per second."""

    rows: tuple[Delivery, ...]
    size: int
    done: int
    rate: float


@dataclass(slots=True)
class Progress:
    """Follows the uploads that are in flight. Callable from any thread."""

    clock: Callable[[], float] = time.monotonic
    _courses: dict[str, _Course] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def following(self, job: Job) -> Iterator[None]:
        """Count what this thread sends of a job, if it is an upload."""
        if not isinstance(job, Upload | Put):
            yield
            return
        start = job.part.offset if isinstance(job, Put) else 0
        course = self._begin(job, start)
        size = job.source.fingerprint.size
        try:
            with counting(lambda sent: course.note(min(start + sent, size), self.clock())):
                yield
        finally:
            self._end(job, course)

    def list(self) -> list[Uploading]:
        """Return the uploads in progress, the one that began first at first."""
        now = self.clock()
        with self._lock:
            self._forget(now)
            found = list(self._courses.values())
        return [
            Uploading(one.rows, one.rows[0].fingerprint.size, one.done, one.rate_at(now)) for one in found
        ]

    def _begin(self, job: Upload | Put, start: int) -> _Course:
        now = self.clock()
        with self._lock:
            self._forget(now)
            known = self._courses.get(job.upload)
            if known is None:
                known = self._courses[job.upload] = _Course(job.rows, start, now, start)
            known.done, known.left_at = start, None
            return known

    def _end(self, job: Upload | Put, course: _Course) -> None:
        with self._lock:
            if isinstance(job, Upload):
                self._courses.pop(job.upload, None)
            course.left_at = self.clock()

    def _forget(self, now: float) -> None:
        for key in [key for key, one in self._courses.items() if now - (one.left_at or now) > _IDLE]:
            del self._courses[key]
