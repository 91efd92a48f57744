import threading

import pytest

from dingwatch.delivery import Place
from dingwatch.model import Failure, NotReached
from dingwatch.pace import Limit
from dingwatch.service import Gate


class Stopping(threading.Event):
    """A stop that notes how long it was waited for, and waits for nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        """Note the wait."""
        self.waits.append(timeout)
        return self.is_set()


UPLOAD = Place("media/upload")
LIMIT = Limit(20, 1.0, spaced=True)


def test_the_first_request_of_a_job_passes_at_once() -> None:
    """Its slot was taken when the job was claimed; what is repeated within the job keeps the pace."""
    stopping = Stopping()
    gate = Gate(LIMIT, stopping)
    with gate.admitting(UPLOAD):
        gate("media/upload")
        gate("media/upload")
    assert stopping.waits == [0.05]


def test_a_job_that_made_no_request_leaves_nothing_behind() -> None:
    """A file that vanished before its upload gives no other request a free pass."""
    stopping = Stopping()
    gate = Gate(LIMIT, stopping)
    with gate.admitting(UPLOAD):
        pass
    gate("media/upload")
    assert stopping.waits == [0.05]


def test_no_request_passes_after_a_stop() -> None:
    """It certainly had no effect, and says so."""
    stopping = Stopping()
    stopping.set()
    gate = Gate(None, stopping)
    with gate.admitting(UPLOAD), pytest.raises(Failure) as caught:
        gate("media/upload")
    assert isinstance(caught.value.verdict, NotReached)
