"""The run loop of both sides: wait for something to do, read the clocks, tick."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dingwatch.model import Now
from dingwatch.service.clock import LedgerClock
from dingwatch.service.inbox import Inbox

Tick = Callable[[Now, list[Any]], float | None]
"""Take what came in; return the seconds until the next tick, None when only the inbox calls for it."""


@dataclass(frozen=True, slots=True)
class Errand:
    """An input that no tick is concerned with: it is done by the loop's thread right after the tick."""

    do: Callable[[], None]


def run(stop: threading.Event, inbox: Inbox, tick: Tick, clock: LedgerClock) -> None:
    """Tick until stopped: at once, then whenever something comes in or the tick's own time is up."""
    timeout: float | None = 0.0
    while not stop.is_set():
        timeout = wait_and_tick(inbox, timeout, tick, clock)


def wait_and_tick(inbox: Inbox, timeout: float | None, tick: Tick, clock: LedgerClock) -> float | None:
    """Wait until something comes in, or `timeout` seconds, and tick once."""
    taken = inbox.take(timeout)
    # A call may take 5 s, and be refused with "wait 3 s". By a clock that was read before the loop waited
    # for that answer, those 3 s would be over already, and the call would be made again at once.
    inputs = [one for one in taken if not isinstance(one, Errand)]
    wait = tick(clock.read(), inputs)
    for one in taken:
        if isinstance(one, Errand):
            one.do()
    return wait
