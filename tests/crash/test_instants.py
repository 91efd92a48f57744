from __future__ import annotations

import os
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from dingwatch.sandbox import Fault, FaultKind
from tests.crash.account import Account
from tests.crash.conftest import Tell
from tests.crash.lives import OnUncertain, Target, target

LANES: Final = 2
LEDGERS: Final = 10
KILLS: Final = 32
"""Lives of each ledger that end by a kill."""
LONGEST_LIFE: Final = 0.8
PACE: Final = 15.0
"""Things that happen in a second, on average."""
LONGEST_DELAY: Final = 0.5
APIS: Final = ("media/upload", "robot/groupMessages/send", "*")
FAULTS: Final = (
    FaultKind.THROTTLE,
    FaultKind.ERROR,
    FaultKind.CUT_EARLY,
    FaultKind.CUT_BEFORE,
    FaultKind.CUT_AFTER,
    FaultKind.SLOW,
    FaultKind.SLOW_ANSWER,
    FaultKind.TOKEN_DEAD,
)


@dataclass
class Trouble:
    """People, programs and a network at work around a service that is killed again and again."""

    here: Target
    chance: random.Random
    tick: threading.Event = field(default_factory=threading.Event)

    def life(self) -> None:
        """Begin a life and end it at any instant, with files coming in all the time."""
        self.here.start()
        until = time.monotonic() + self.chance.uniform(0.0, LONGEST_LIFE)
        while (left := until - time.monotonic()) > 0.0:
            self._something()
            self.tick.wait(min(left, self.chance.expovariate(PACE)))
        self.here.life.kill()

    def _something(self) -> None:
        (happens,) = self.chance.choices(
            (self._new, self._copy, self._replace, self._rename, self._rotate, self._fault),
            (10, 2, 3, 3, 1, 3),
        )
        happens()

    def _new(self) -> None:
        self.here.drop(self._path(), self._content())

    def _copy(self) -> None:
        if self.here.there:
            self.here.drop(self._path(), (self.here.share / self._known()).read_bytes())

    def _replace(self) -> None:
        if self.here.there:
            self.here.drop(self._known(), self._content(), by_rename=self.chance.random() < 0.5)

    def _rename(self) -> None:
        if self.here.there:
            self.here.rename(self._known(), self._path())

    def _rotate(self) -> None:
        """Give a file another name, and another content the old one."""
        if self.here.there:
            path = self._known()
            self.here.rename(path, self._path())
            self.here.drop(path, self._content())

    def _fault(self) -> None:
        api, kind = self.chance.choice(APIS), self.chance.choice(FAULTS)
        times, seconds = self.chance.randint(1, 3), self.chance.uniform(0.0, LONGEST_DELAY)
        self.here.sandbox.inject(Fault(api, kind, times, seconds=seconds))

    def _content(self) -> bytes:
        return self.chance.randbytes(self.chance.randint(1, 100_000))

    def _path(self) -> str:
        """Return a path that nothing had before."""
        directory, kind = self.chance.choice(("", "", "sub/")), self.chance.choice((".pdf", ".txt", ""))
        return f"{directory}{len(self.here.drops)}-{self.chance.getrandbits(32):08x}{kind}"

    def _known(self) -> str:
        return self.chance.choice(sorted(self.here.there))


def suffer(at: Path, on_uncertain: OnUncertain, seed: str) -> Account:
    """Let one ledger live through all the kills, and then through a quiet time."""
    with target(at, on_uncertain) as here:
        here.until(lambda: here.life.ready)
        here.life.kill()
        trouble = Trouble(here, random.Random(seed))  # noqa: S311 (chance that can be repeated)
        for _ in range(KILLS):
            trouble.life()
        here.sandbox.clear_faults()
        here.start()
        here.until(here.settled)
        return here.account()


@pytest.fixture
def seed(tell: Tell) -> int:
    """Chance, or what DINGWATCH_SEED says; told, so that a failure can be played again."""
    chosen = int(os.environ.get("DINGWATCH_SEED") or random.SystemRandom().getrandbits(32))
    tell(f"DINGWATCH_SEED={chosen}")
    return chosen


@pytest.mark.sweep
def test_killed_at_any_instant(tmp_path: Path, seed: int, tell: Tell) -> None:
    """Killed at random under load, with faults all around, every file is whole and accounted for."""
    session = time.monotonic()
    sums: dict[OnUncertain, Account] = {"resend": Account(), "hold": Account()}
    with ThreadPoolExecutor(LANES) as lanes:
        jobs = [
            (kind, lanes.submit(suffer, tmp_path / f"{kind}{number}", kind, f"{seed} {kind} {number}"))
            for number in range(LEDGERS // len(sums))
            for kind in sums
        ]
        for kind, job in jobs:
            sums[kind].add(job.result())
    for kind, found in sums.items():
        tell(f"{kind}: {LEDGERS // len(sums) * KILLS} random kills: {found}")
    tell(f"{time.monotonic() - session:.0f} s")
    wrong = [story for found in sums.values() for story in found.wrong]
    assert not wrong, "\n".join(wrong)
    assert sums["hold"].counts["twice (marked)"] == 0
