"""The run loop of both sides: wait for something to do, read the clocks, tick."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from dingwatch.model import Now
from dingwatch.service.inbox import Inbox

Tick = Callable[[Now, list[Any]], float | None]
"""Take what came in; return the seconds until the next tick, None when only the inbox calls for it."""


def run(stop: threading.Event, inbox: Inbox, tick: Tick) -> None:
    """Tick until stopped: at once, then whenever something comes in or the tick's own time is up."""
    timeout: float | None = 0.0
    while not stop.is_set():
        timeout = wait_and_tick(inbox, timeout, tick)


def wait_and_tick(inbox: Inbox, timeout: float | None, tick: Tick) -> float | None:
    """Wait until something comes in, or `timeout` seconds, and tick once."""
    taken = inbox.take(timeout)
    # A call may take 5 s, and be refused with "wait 3 s". By a clock that was read before the loop waited
    # for that answer, those 3 s would be over already, and the call would be made again at once.
    return tick(Now(time.time(), time.monotonic()), taken)
