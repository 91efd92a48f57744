from __future__ import annotations

import itertools
import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from tests.crash.account import Account
from tests.crash.conftest import Tell
from tests.crash.lives import OnUncertain, Place, place
from tests.crash.victim import Kill

LANES: Final = 2
KINDS: Final = {
    *(
        f"{when} commit of {who}"
        for when in ("before", "after")
        for who in ("MainThread", "intake", "delivery")
    ),
    *(f"{when} {read}" for when in ("before", "after") for read in ("digest", "reading")),
    *(
        f"{when} {api}"
        for when in ("before request", "after effect of", "after request")
        for api in ("upload", "send")
    ),
}
"""What a sweep must have found; the other points come once in a life, and two threads race for the number."""


def play(here: Place) -> Account:
    """Drop files into a folder, one after the other through whatever happens to the service."""
    here.until(lambda: here.life.ready)
    content = os.urandom(50_000)
    here.drop("a.pdf", content)
    here.drop("the same.pdf", content)
    here.drop("no extension", os.urandom(3000))
    here.drop("sub/deep.docx", os.urandom(200_000))
    first = here.drop("minutes.txt", b"first")
    here.until(lambda: here.arrived(first) or here.life.over)
    here.drop("minutes.txt", b"first and second")
    here.until(here.settled)
    return here.account()


@dataclass
class Sweep:
    """Plays the story again and again, each time killed at the next point, until one comes to its end."""

    at: Path
    on_uncertain: OnUncertain
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    over: threading.Event = field(default_factory=threading.Event)
    points: Counter[str] = field(default_factory=Counter)
    sum: Account = field(default_factory=Account)

    def lane(self) -> None:
        """Play until there is nothing more to be killed, or until something is wrong."""
        try:
            while not self.over.is_set():
                self._one(next(self.numbers))
        finally:
            self.over.set()

    def _one(self, number: int) -> None:
        at = self.at / str(number)
        with place(at, self.on_uncertain, Kill(number)) as here:
            first = here.life
            found = play(here)
        self.sum.add(found)
        assert not found.wrong, (number, first.point, found.wrong)
        if first.point:
            self.points[first.point] += 1
        else:
            self.over.set()
        shutil.rmtree(at)


@pytest.mark.sweep
@pytest.mark.parametrize("on_uncertain", ["resend", "hold"])
def test_killed_at_every_point(tmp_path: Path, on_uncertain: OnUncertain, tell: Tell) -> None:
    """Wherever the process is killed, the next one sends every file whole, and twice only when marked."""
    begun = time.monotonic()
    sweep = Sweep(tmp_path, on_uncertain)
    with ThreadPoolExecutor(LANES) as lanes:
        for lane in [lanes.submit(sweep.lane) for _ in range(LANES)]:
            lane.result()
    seconds = time.monotonic() - begun
    tell(f"{on_uncertain}: killed at {sweep.points.total()} points: {sweep.sum}, {seconds:.0f} s")
    assert set(sweep.points) >= KINDS
    if on_uncertain == "hold":
        assert sweep.sum.counts["twice (marked)"] == 0


@pytest.mark.parametrize(
    ("where", "on_uncertain", "twice", "uncertain"),
    [
        ("before request upload", "resend", False, False),
        ("after effect of send", "resend", True, False),
        ("after effect of send", "hold", False, True),
    ],
)
def test_killed_at_one_point(
    tmp_path: Path, where: str, on_uncertain: OnUncertain, *, twice: bool, uncertain: bool
) -> None:
    """A kill before a request costs nothing; one between a send and its answer is told, and done as told."""
    with place(tmp_path, on_uncertain, Kill(1, where)) as here:
        first = here.life
        here.until(lambda: here.life.ready)
        here.drop("a.pdf", os.urandom(1000))
        here.until(here.settled)
        found = here.account()
    assert first.point == where
    assert not found.wrong
    assert (found.counts["twice (marked)"] > 0, found.counts["uncertain"] > 0) == (twice, uncertain)
