"""What comes in for a loop, and wakes it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class _Bug:
    """An exception that nobody expected, on its way to the thread that must end."""

    error: BaseException


class Inbox:
    """What comes in for a loop; putting something in wakes it."""

    def __init__(self) -> None:
        self._items: deque[Any] = deque()
        self._wake = threading.Event()

    def put(self, item: object) -> None:
        """Hand something over; never blocks and never fails."""
        self._items.append(item)
        self._wake.set()

    def fill(self, work: Callable[[], object]) -> None:
        """Put in what a job gives; an exception that nobody expected ends the loop with its story."""
        try:
            self.put(work())
        except BaseException as error:  # noqa: BLE001 (raised again where the loop takes it)
            self.put(_Bug(error))

    def wake(self) -> None:
        """Have the loop tick without anything new."""
        self._wake.set()

    def take(self, timeout: float | None) -> list[Any]:
        """Wait until something comes in, or `timeout` seconds, and return all there is."""
        self._wake.wait(timeout)
        self._wake.clear()
        taken = []
        while self._items:
            item = self._items.popleft()
            if isinstance(item, _Bug):
                raise item.error
            taken.append(item)
        return taken
