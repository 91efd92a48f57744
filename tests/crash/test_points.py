from __future__ import annotations

import itertools
import os
import shutil
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.crash.account import Account, account
from tests.crash.lives import Place, place
from tests.crash.victim import Kill


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
    return account(here.drops, here.sandbox, here.conversations, here.rows())


@dataclass
class Sweep:
    """Plays the story again and again, each time killed at the next point, until one comes to its end."""

    at: Path
    on_uncertain: str
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    over: threading.Event = field(default_factory=threading.Event)
    points: Counter[str] = field(default_factory=Counter)
    sum: Account = field(default_factory=Account)
    turn: threading.Lock = field(default_factory=threading.Lock)

    def lane(self) -> None:
        """Play until there is nothing more to be killed."""
        try:
            while not self.over.is_set() and self._one(next(self.numbers)):
                pass
        finally:
            self.over.set()

    def _one(self, number: int) -> bool:
        at = self.at / str(number)
        with place(at, self.on_uncertain, Kill(number)) as here:
            first = here.life
            found = play(here)
            point = first.point
        shutil.rmtree(at)
        with self.turn:
            self.sum.add(found)
            self.points[point] += 1
        assert not found.wrong, (number, point, found.wrong)
        return bool(point)


@pytest.mark.sweep
@pytest.mark.parametrize("on_uncertain", ["resend", "hold"])
def test_killed_at_every_point(tmp_path: Path, on_uncertain: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Wherever the process is killed, the next one sends every file whole, and twice only when marked."""
    begun = time.monotonic()
    sweep = Sweep(tmp_path, on_uncertain)
    with ThreadPoolExecutor(2) as lanes:
        for lane in [lanes.submit(sweep.lane) for _ in range(2)]:
            lane.result()
    with capsys.disabled():
        seconds = time.monotonic() - begun
        print(f"\n{on_uncertain}: kills {sum(sweep.points.values())}, {sweep.sum}, {seconds:.0f} s")
        print(sweep.points)
