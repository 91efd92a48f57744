"""Signals: SIGTERM and SIGINT stop, SIGHUP has the config read again."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Final

STOP_SIGNALS: Final = frozenset({signal.SIGTERM, signal.SIGINT})


def when_asked_to_stop(call: Callable[[], object], hang_up: Callable[[], object] | None = None) -> None:
    """Call `call`, in a thread of its own, at each SIGTERM and SIGINT. Call this before other threads start.

    With `hang_up`, SIGHUP no longer ends the process but calls that.

    A signal handler would run in the main thread, between any two of its steps. It could wait for ever for a
    lock that the main thread has taken; and a signal just before the main thread begins to wait would be
    handled only when something else ends that wait. Threads that start later inherit that these signals are
    blocked.
    """
    signals = STOP_SIGNALS | {signal.SIGHUP} if hang_up is not None else STOP_SIGNALS

    def wait() -> None:
        while True:
            if signal.sigwait(signals) in STOP_SIGNALS:
                call()
            elif hang_up is not None:
                hang_up()

    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    threading.Thread(target=wait, name="signals", daemon=True).start()
