from __future__ import annotations

import signal
import sys
import threading
from types import FrameType

from dingwatch.host import Latch
from tests.support import PATIENCE


def test_a_signal_may_come_at_any_instant_of_waiting() -> None:
    """Set between any two lines of `wait`, as a signal handler would, it hangs nobody."""
    latch = Latch()

    def interrupt(frame: FrameType, _event: str, _: object) -> object:
        if "set" not in (frame.f_code.co_name, frame.f_back.f_code.co_name if frame.f_back else ""):
            latch.set()
        return interrupt

    def wait() -> None:
        sys.settrace(interrupt)  # type: ignore[arg-type]
        latch.wait()
        sys.settrace(None)

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    waiting.join(PATIENCE)
    assert not waiting.is_alive()


def test_a_handler_wakes_the_main_thread() -> None:
    """A signal that comes while the main thread waits ends the wait."""
    latch = Latch()
    before = signal.signal(signal.SIGALRM, lambda *_: latch.set())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        assert latch.wait(PATIENCE)
    finally:
        signal.signal(signal.SIGALRM, before)


def test_what_is_set_stays_set_for_everybody() -> None:
    """Waiting takes nothing away; before it is set, it waits in vain."""
    latch = Latch()
    assert not latch.is_set()
    assert not latch.wait(0)
    latch.set()
    assert [latch.wait(0), latch.wait(0), latch.is_set()] == [True, True, True]
