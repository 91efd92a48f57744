"""The pool for the jobs of all folders, with shares that hang until they are let go."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from dingwatch.service.pool import PATIENCE, THREADS, Pool
from tests.support import eventually


class Share:
    """A share that hangs until it is let go; what was done there, in order."""

    def __init__(self) -> None:
        self.goes = threading.Event()
        self.began: list[object] = []
        self.done: list[object] = []

    def work(self, name: object) -> Callable[[], None]:
        """Return a job that takes as long as the share hangs."""
        return partial(self._do, name)

    def _do(self, name: object) -> None:
        self.began.append(name)
        assert self.goes.wait(60)
        self.done.append(name)


@pytest.fixture
def share() -> Iterator[Share]:
    """Give a share that is let go at the end."""
    made = Share()
    yield made
    made.goes.set()


@pytest.fixture
def pool() -> Iterator[Pool]:
    """Give a pool for jobs of which each folder has one at a time."""
    made = Pool("test", 1)
    yield made
    made.close()


def alive() -> int:
    """Return how many threads the pool has."""
    return sum(thread.name == "test" for thread in threading.enumerate())


def later() -> float:
    """Return an instant at which everything that runs now has run for too long."""
    return time.monotonic() + PATIENCE


def test_the_jobs_of_a_folder_are_carried_out_in_order(pool: Pool, share: Share) -> None:
    """One at a time, however many threads are free."""
    for number in range(20):
        pool.submit("folder", "disk", share.work(number))
    eventually(lambda: share.began)
    assert share.began == [0]
    share.goes.set()
    eventually(lambda: len(share.done) == 20)
    assert share.done == list(range(20))


def test_so_many_jobs_of_a_folder_are_carried_out_at_a_time(share: Share) -> None:
    """Two, where a pool is made for that."""
    pool = Pool("test", 2)
    for number in range(5):
        pool.submit("folder", "disk", share.work(number))
    eventually(lambda: len(share.began) == 2)
    pool.relieve(later())
    pool.submit("other", "disk", share.work("other"))
    eventually(lambda: share.began[2:] == ["other"])
    share.goes.set()
    eventually(lambda: len(share.done) == 6)
    pool.close()


def test_a_thousand_folders_need_few_threads(pool: Pool, share: Share) -> None:
    """Their jobs wait for one another, as long as none hangs."""
    share.goes.set()
    for number in range(1000):
        pool.submit(number, "disk", share.work(number))
    eventually(lambda: len(share.done) == 1000)
    assert alive() <= THREADS


def test_a_device_that_hangs_holds_up_no_other(pool: Pool, share: Share) -> None:
    """A hundred folders of it wait, and the first folder elsewhere goes before them."""
    elsewhere = Share()
    elsewhere.goes.set()
    for number in range(100):
        pool.submit(number, "share", share.work(number))
    eventually(lambda: len(share.began) == THREADS)
    pool.submit("local", "disk", elsewhere.work("local"))
    assert not elsewhere.began
    assert pool.relieve(later()) is not None
    eventually(lambda: elsewhere.done == ["local"])
    assert len(share.began) < 100


def test_the_pool_says_when_it_is_to_be_relieved(pool: Pool, share: Share) -> None:
    """That is when the first of its jobs has taken too long, and never while nobody waits for a thread."""
    before = time.monotonic()
    for number in range(THREADS):
        pool.submit(number, "share", share.work(number))
    eventually(lambda: len(share.began) == THREADS)
    assert pool.relieve(before) is None
    pool.submit("one more", "share", share.work("one more"))
    due = pool.relieve(before)
    assert due is not None
    assert before + PATIENCE <= due <= time.monotonic() + PATIENCE


def test_the_pool_shrinks_when_the_share_answers(pool: Pool, share: Share) -> None:
    """The threads that took the place of those that hung are given up."""
    for number in range(5 * THREADS):
        pool.submit(number, "share", share.work(number))
    eventually(lambda: pool.relieve(later()) is None and len(share.began) == 5 * THREADS)
    assert alive() == 5 * THREADS
    share.goes.set()
    eventually(lambda: alive() == THREADS)
    pool.submit("after", "share", share.work("after"))
    eventually(lambda: "after" in share.done)


def test_a_pool_that_is_closed_begins_nothing(pool: Pool, share: Share) -> None:
    """What waits is left, and the threads end."""
    for number in range(2 * THREADS):
        pool.submit(number, "share", share.work(number))
    eventually(lambda: len(share.began) == THREADS)
    pool.close()
    share.goes.set()
    eventually(lambda: not alive())
    assert len(share.done) == THREADS
