"""The first look at a big folder: memory, seconds beside `find`, and whether others wait meanwhile."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench.benchmark import Benchmark, Figures, Measure, Rounds, Scale
from tests.bench.code import Code
from tests.bench.process import resident, until
from tests.bench.transactions import LongestTransaction
from tests.bench.world import CONVERSATIONS, Share, configure, find, plant, starting
from tests.bench.world import far as other_end

DIRECTORIES: Final = 1000
QUIET: Final = 2.0
"""Seconds; the default, because the goal for the other folder's file includes it."""
_FIND: Final = Measure("find -printf: s", 2)
_LOOK: Final = Measure("first look: s", 1)
_RATIO: Final = Measure("first look ÷ find", 1, most=12)
_PEAK: Final = Measure("peak memory, MB", 0, most=160)
_FLAT: Final = Measure("peak memory ÷ that with a tenth of the files", 2, most=1.1)
_LONGEST: Final = Measure("longest transaction: s", 2)
_OTHER: Final = Measure(f"another folder's file meanwhile ({QUIET:.0f} s of quiet included): s", 1, most=4)


@dataclass(frozen=True)
class Look:
    """One first look."""

    seconds: float
    """To `ready`, beyond the start of a daemon that has nothing to look at."""
    peak: float
    """The most resident memory by then, in MB."""
    longest: float
    """Seconds of the longest transaction."""
    other: float
    """Seconds from the drop of another folder's file to its message."""


def _look(code: Code, share: Path) -> Look:
    with other_end() as other, tempfile.TemporaryDirectory() as made:
        target, beside = Path(made), Path(made) / "beside"
        beside.mkdir()
        small = Share(beside, CONVERSATIONS[1:2], QUIET)
        with starting(code, configure(target, other.url, [small])) as empty:
            start = empty.wait_until_ready()
        config = configure(target, other.url, [small, Share(share, CONVERSATIONS[:1], QUIET)])
        with (
            LongestTransaction(target / "state" / "ledger.db") as transactions,
            starting(code, config) as busy,
        ):
            time.sleep(start)  # from here on it is busy with its first look
            dropped = time.monotonic()
            (beside / "report.pdf").write_bytes(b"report")
            ready = busy.wait_until_ready()
            peak = resident(busy.pid, peak=True)
            until(lambda: other.sent() > 0)
            (message,) = other.arrived()
        return Look(ready - start, peak, transactions.seconds, message["at"] - dropped)


def _round(code: Code, share: Path, tenth: Path) -> Figures:
    find_seconds, small, full = find(share), _look(code, tenth), _look(code, share)
    return {
        _FIND: find_seconds,
        _LOOK: full.seconds,
        _RATIO: full.seconds / find_seconds,
        _PEAK: full.peak,
        _FLAT: full.peak / small.peak,
        _LONGEST: full.longest,
        _OTHER: full.other,
    }


def _count(scale: Scale) -> int:
    return scale.pick(10_000, 200_000, 1_000_000)


def rounds(code: Code, scale: Scale) -> Rounds:
    """Plant a tree and one of a tenth; look at them with a new ledger in every round."""
    with tempfile.TemporaryDirectory() as made:
        share, tenth = Path(made) / "share", Path(made) / "tenth"
        plant(share, _count(scale), DIRECTORIES)
        plant(tenth, _count(scale) // 10, DIRECTORIES)
        while True:
            yield _round(code, share, tenth)


BENCHMARK: Final = Benchmark(
    lambda scale: f"First look at {_count(scale):,} files in {DIRECTORIES:,} directories", rounds
)
