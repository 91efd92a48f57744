"""Runs dingwatch so that a part of it can be made to hang: `/run/stall` names the part.

It is installed in place of the program for the tests of the watchdog.
"""

from __future__ import annotations

import os
import sys
import threading
from functools import partial
from pathlib import Path

from dingwatch.cli.app import main
from dingwatch.service import daemon
from dingwatch.service.looping import Errand

ORDER = Path("/run/stall")


def stall(service: daemon.Service, part: str) -> None:
    """Have a part of the service hang for ever."""
    for_ever = threading.Event()
    match part:
        case "intake":
            service._intake.inbox.put(Errand(partial(wait, for_ever)))
        case "delivery":
            service._delivery.inbox.put(Errand(partial(wait, for_ever)))
        case "feedback":
            service._feedback.inbox.put(Errand(partial(wait, for_ever)))
        case "observer":
            assert service._intake.observer._observer is not None
            service._intake.observer._observer._lock.acquire()
        case "reader":
            assert service._intake.observer._observer is not None
            service._intake.observer._observer._inotify_fd._lock.acquire()
        case "ledger":
            assert service._store is not None
            service._store._lock.acquire()


def wait(event: threading.Event) -> None:
    """Wait for an event."""
    event.wait()


def obey(service: daemon.Service) -> None:
    """Wait for an order, in a thread of its own, and carry it out."""
    pause = threading.Event()
    while not ORDER.exists():
        pause.wait(0.1)
    stall(service, ORDER.read_text("ascii").strip())


class Stalling(daemon.Service):
    """The service, which waits for orders."""

    def start(self) -> None:
        """Start the service, and wait for an order."""
        super().start()
        threading.Thread(target=obey, args=(self,), daemon=True).start()


daemon.Service = Stalling  # type: ignore[misc]
if __name__ == "__main__":
    assert os.geteuid() != 0
    sys.argv[0] = "dingwatch"
    main()
