"""A loop's inbox: hands inputs over to its thread, and wakes it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class _Bug:
    """An unexpected exception, on its way to the thread that must end."""

    error: BaseException


class Inbox:
    """The inputs that a loop has not yet taken; putting one in wakes the loop.

    `linger` is called with their number before they are taken, and may wait for more.
    """

    def __init__(self, linger: Callable[[int], None] = lambda _: None) -> None:
        self._linger = linger
        self._items: deque[Any] = deque()
        self._wake = threading.Event()

    def put(self, item: object) -> None:
        """Hand something over; never blocks and never fails."""
        self._items.append(item)
        self._wake.set()

    def fill(self, work: Callable[[], object]) -> None:
        """Put in the outcome of a job; an unexpected exception ends the loop, and so the service."""
        try:
            self.put(work())
        except BaseException as error:  # noqa: BLE001 (raised again where the loop takes it)
            self.put(_Bug(error))

    def wake(self) -> None:
        """Make the loop tick although nothing came in."""
        self._wake.set()

    def take(self, timeout: float | None) -> list[Any]:
        """Wait until something comes in, or `timeout` seconds, and return all there is."""
        self._wake.wait(timeout)
        self._linger(len(self._items))
        self._wake.clear()  # before the items are taken: what is put meanwhile wakes the loop once more
        taken = []
        while self._items:
            item = self._items.popleft()
            if isinstance(item, _Bug):
                raise item.error
            taken.append(item)
        return taken
