"""Stop signals: SIGTERM and SIGINT."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Final

STOP_SIGNALS: Final = frozenset({signal.SIGTERM, signal.SIGINT})


def when_asked_to_stop(call: Callable[[], object]) -> None:
    """Call `call`, in a thread of its own, at each SIGTERM and SIGINT. Call this before other threads start.

    A signal handler would run in the main thread, between any two of its steps. It could wait for ever for a
    lock that the main thread has taken; and a signal just before the main thread begins to wait would be
    handled only when something else ends that wait. Threads that start later inherit that these signals are
    blocked.
    """

    def wait() -> None:
        while True:
            signal.sigwait(STOP_SIGNALS)
            call()

    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    threading.Thread(target=wait, name="signals", daemon=True).start()
