"""The canary: something that takes the way of a file every few seconds, to show that all of it still works.

A thread that waits for ever looks like one that has nothing to do: no exception is raised, no process ends,
and files stay where they are. So, every few seconds, a file in the state directory is opened. Its event goes
through the observer, then through the loops of intake, delivery and feedback, and the ledger's write lock is
taken meanwhile. Only when all of that has come back is systemd told that the service is alive.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dingwatch.ledger import LedgerError, Outage, Store
from dingwatch.model import Failure
from dingwatch.service.inbox import Inbox
from dingwatch.service.looping import Errand
from dingwatch.watch import Observer

FILE: Final = "canary"
"""The file in the state directory that is opened, and never written."""
SECONDS: Final = 5.0
"""From one canary to the next."""
FRESH_SECONDS: Final = 30.0
"""How long after a canary came back the service still counts as healthy."""


@dataclass(frozen=True, slots=True)
class Health:
    """The results of the last canaries."""

    passed_at: float | None
    """When the last one came back, monotonic; None before the first."""
    ledger_error: LedgerError | None
    """Why the ledger could not be used. A ledger that answers with an error does answer."""

    def is_good(self, now: float) -> bool:
        """Return whether a file that is dropped now would be sent."""
        fresh = self.passed_at is not None and now - self.passed_at < FRESH_SECONDS
        return fresh and self.ledger_error is None


@dataclass(frozen=True, slots=True)
class Route:
    """The stations of a canary: the observer, then each inbox in turn; and meanwhile the ledger."""

    observer: Observer
    inboxes: tuple[Inbox, ...]
    store: Store
    outage: Outage


class Canary:
    """Sends canaries round, one at a time, until stopped. `on_passed` is called whenever one came back."""

    def __init__(self, state_dir: Path, route: Route, on_passed: Callable[[], None]) -> None:
        self._path = os.fsencode(state_dir.resolve() / FILE)
        self._route = route
        self._on_passed = on_passed
        self._passed_at: float | None = None
        self._ledger_error: LedgerError | None = None

    def health(self) -> Health:
        """Return what the last canaries have shown; callable from any thread."""
        return Health(self._passed_at, self._route.outage.error or self._ledger_error)

    def run(self, stop: threading.Event) -> None:
        """Send one round after the other until stopped. One that never comes back is the last."""
        while not stop.is_set():
            came_back = threading.Event()
            self._set_out(came_back)
            self._ledger_error = self._ask_ledger()
            while not came_back.wait(SECONDS):
                if stop.is_set():
                    return
            self._passed_at = time.monotonic()
            self._on_passed()
            stop.wait(SECONDS)

    def _set_out(self, came_back: threading.Event) -> None:
        """Have a canary pass the observer and then each loop."""
        passing: Callable[[], None] = came_back.set
        for inbox in reversed(self._route.inboxes):
            passing = _Leg(inbox, passing)
        try:
            self._route.observer.hear_opening(self._path, passing)
            os.close(os.open(self._path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
        except (Failure, OSError):
            # Where the kernel has no watch left, folders are polled, and files come without the observer.
            # Others notice that the state directory is gone, or its disk full.
            passing()

    def _ask_ledger(self) -> LedgerError | None:
        """Return what is wrong with the ledger, once it has answered."""
        try:
            self._route.store.require_lock()
        except LedgerError as error:
            return error
        return None


@dataclass(frozen=True, slots=True)
class _Leg:
    """Hands the canary to a loop, which lets it go on after its tick."""

    inbox: Inbox
    go_on: Callable[[], None]

    def __call__(self) -> None:
        self.inbox.put(Errand(self.go_on))
