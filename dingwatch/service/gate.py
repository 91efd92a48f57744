"""What every request must pass."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from dingwatch.delivery import Place
from dingwatch.model import Cause, Failure, NotReached
from dingwatch.pace import Limit


class Gate:
    """Stands before every request: holds it back to keep the pace, and refuses it after a stop.

    The slot of a job's first request was taken when the job was claimed; only what a request is repeated
    for within a job waits here.
    """

    def __init__(self, per_api: Limit | None, stopping: threading.Event) -> None:
        self._spacing = per_api.period / per_api.count if per_api else 0.0
        self._stopping = stopping
        self._job = threading.local()

    @contextmanager
    def admitting(self, place: Place | None) -> Iterator[None]:
        """Let the first request of its API that a job makes, in its own thread, pass at once."""
        self._job.admitted = place.api if place else None
        try:
            yield
        finally:
            self._job.admitted = None

    def __call__(self, api: str) -> None:
        """Pass, or raise Failure(NotReached) when the service stops."""
        if getattr(self._job, "admitted", None) == api:
            self._job.admitted = None
        else:
            self._stopping.wait(self._spacing)
        if self._stopping.is_set():
            raise Failure(NotReached(Cause("stopped", "", "STOPPED")))
