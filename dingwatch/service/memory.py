"""Keeps the memory of threads together, and gives back what scans have taken."""

from __future__ import annotations

import ctypes
import threading
from typing import Final

from dingwatch.ledger import Store

GIVE_BACK_SECONDS: Final = 60.0
"""Seconds between two times: a polled folder may be scanned all the time, and a thousand in turn."""
_M_ARENA_MAX: Final = -8
"""The number by which `mallopt` of glibc knows how many heaps there may be."""


def share_heap() -> None:
    """Let all threads share one heap; called before there are any.

    glibc gives each thread of many a heap of its own, and each keeps what it has freed. With fifteen threads,
    up to 18 MB lay there unused after a removal of 50,000 files. No thread waits for the heap for long, for
    most of the time only one of them runs Python.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none, and one heap
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)


class ScanMemory:
    """Gives the memory of scans back to the system when they are over.

    A scan of 100,000 files takes 15 MB: pages of the ledger, and rows. SQLite keeps the pages for the next
    query on the same connection, and glibc keeps whatever a thread has freed for the next thread. Both would
    keep them until the next scan, for ten minutes.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._scanned = threading.Event()
        self._next_at = 0.0

    def note_scan(self) -> None:
        """Note that a scan is over; any thread may call this."""
        self._scanned.set()

    def give_back(self, now: float) -> None:
        """Give back what scans took; `now` is monotonic, and calls may come at any rate."""
        if now < self._next_at or not self._scanned.is_set():
            return
        self._next_at = now + GIVE_BACK_SECONDS
        self._scanned.clear()
        self._store.release_memory()
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none, and keeps less
        if trim is not None:
            trim(0)
