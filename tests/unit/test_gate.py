import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from dingwatch.delivery import Target
from dingwatch.model import Failure, NotReached
from dingwatch.pace import Limit
from dingwatch.service.gate import Gate


class Clock(threading.Event):
    """A stop that notes how long it was waited for, and a clock that only those waits move."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.waits: list[float] = []
        self._lock = threading.Lock()
        self._seen = threading.local()

    def wait(self, timeout: float | None = None) -> bool:
        """Note the wait, and let it pass."""
        with self._lock:
            self.waits.append(timeout or 0.0)
            self.now += timeout or 0.0
        return self.is_set()

    def monotonic(self) -> float:
        """Return the time."""
        self._seen.at = self.now
        return self.now

    def left(self) -> float:
        """Return when this thread last looked at the clock: a request that passed left at that instant."""
        return float(self._seen.at)


UPLOAD = Target("media/upload")
LIMIT = Limit(20, 1.0, spaced=True)


def test_the_first_request_of_a_job_passes_at_once() -> None:
    """Its slot was taken when the job was claimed; what is repeated within the job keeps the pace."""
    clock = Clock()
    gate = Gate(LIMIT, clock, clock.monotonic)
    with gate.admitting(UPLOAD):
        gate("media/upload")
        assert clock.waits == []
        gate("media/upload")
    assert 0.05 <= sum(clock.waits) < 0.06


def test_a_request_may_have_to_leave_on_time() -> None:
    """Where other nodes count on its slot it is not early; the job's next request is not held up again."""
    clock = Clock()
    gate = Gate(None, clock, clock.monotonic)
    now = clock.monotonic()
    with gate.admitting(UPLOAD, not_before=now + 0.25):
        gate("media/upload")
        assert sum(clock.waits) == pytest.approx(0.25)
        gate("media/upload")
    with gate.admitting(UPLOAD, not_before=now):
        gate("media/upload")
    assert sum(clock.waits) == pytest.approx(0.25)


def test_a_job_that_made_no_request_leaves_nothing_behind() -> None:
    """A file that vanished before its upload gives no other request a free pass."""
    clock = Clock()
    gate = Gate(LIMIT, clock, clock.monotonic)
    gate("media/upload")
    with gate.admitting(UPLOAD):
        pass
    gate("media/upload")
    assert 0.05 <= sum(clock.waits) < 0.06


def test_each_api_has_a_window_of_its_own() -> None:
    """Twenty a second are allowed to each API: uploads leave the sends their own."""
    clock = Clock()
    gate = Gate(LIMIT, clock, clock.monotonic)
    for _ in range(20):
        with gate.admitting(UPLOAD):
            gate("media/upload")
        gate("robot/groupMessages/send")
    assert sum(clock.waits) < 1.0


@pytest.mark.parametrize("admitted", [True, False])
def test_no_window_of_all_workers_holds_more_than_the_limit(*, admitted: bool) -> None:
    """What has a slot and what is repeated within a job: at most N leave in any window, whoever asks."""
    clock, left, lock = Clock(), list[float](), threading.Lock()
    gate = Gate(Limit(5, 1.0, spaced=True), clock, clock.monotonic)

    def work(number: int) -> None:
        with gate.admitting(UPLOAD if admitted or number % 2 else None):
            gate("media/upload")
        with lock:
            left.append(clock.left())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(60)))
    left.sort()
    assert min(b - a for a, b in zip(left, left[5:], strict=False)) >= 1.0


def test_no_request_passes_after_a_stop() -> None:
    """It certainly had no effect, and says so."""
    clock = Clock()
    clock.set()
    for limit in (None, LIMIT):
        gate = Gate(limit, clock, clock.monotonic)
        with gate.admitting(UPLOAD), pytest.raises(Failure) as caught:
            gate("media/upload")
        assert isinstance(caught.value.verdict, NotReached)
