"""Being asked to stop: SIGTERM and SIGINT."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Final

ASKING: Final = frozenset({signal.SIGTERM, signal.SIGINT})


def when_asked_to_stop(call: Callable[[], object]) -> None:
    """Call `call`, from a thread of its own, whenever the process is asked to stop.

    A signal handler would run within the main thread, between any two of its steps: it may want a lock
    that its own thread holds, and one that comes just before the thread begins to wait is run only when
    something else ends that wait. A thread that waits for signals knows neither trouble. To be called
    before there are other threads: they inherit that these signals are not theirs.
    """

    def wait() -> None:
        while True:
            signal.sigwait(ASKING)
            call()

    signal.pthread_sigmask(signal.SIG_BLOCK, ASKING)
    threading.Thread(target=wait, name="signals", daemon=True).start()
