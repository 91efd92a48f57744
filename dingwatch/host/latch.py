"""What a signal handler may set, and threads wait for."""

from __future__ import annotations

from queue import Empty, SimpleQueue


class Latch:
    """An event that a signal handler may set.

    `threading.Event` is none: its lock is not reentrant, so a signal that comes while the main thread is
    about to wait has the handler wait for the lock that its own thread holds, for ever. Putting into a
    SimpleQueue is documented to be safe there.
    """

    def __init__(self) -> None:
        self._queue: SimpleQueue[None] = SimpleQueue()

    def set(self) -> None:
        """Set it for good; whoever waits goes on."""
        self._queue.put(None)

    def is_set(self) -> bool:
        """Say whether it has been set."""
        return not self._queue.empty()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, at most `timeout` seconds; say whether it is."""
        try:
            self._queue.get(timeout=timeout)
        except Empty:
            return False
        self._queue.put(None)  # for whoever else waits
        return True
