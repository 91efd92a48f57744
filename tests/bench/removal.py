"""A mass removal: all files of a big folder are gone at once while the service runs."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Final

from tests.bench.benchmark import FLAT, Benchmark, Figures, Measure, Rounds, Scale
from tests.bench.code import Code
from tests.bench.process import cpu, forget_peak, resident, settle, until
from tests.bench.transactions import LongestTransaction
from tests.bench.world import Share, configure, daemon, plant
from tests.bench.world import far as other_end

DIRECTORIES: Final = 1000
RESCAN: Final = "10s"
"""What the events do not tell is found by the next scan; the default of 10 minutes only takes longer."""
DEADLINE: Final = 3600.0
_GROWTH: Final = Measure("memory growth, MB", 1, most=FLAT)
_LONGEST: Final = Measure("longest transaction: s", 2, most=1)
_SECONDS: Final = Measure("until the ledger knows: s", 1)
_CPU: Final = Measure("CPU ms/file", 2)


def _present(ledger: Path) -> int:
    """Return how many versions the ledger takes to be there."""
    with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as connection:
        query = "SELECT count(*) FROM versions WHERE missing_since IS NULL"
        return int(connection.execute(query).fetchone()[0])


def _round(code: Code, count: int) -> Figures:
    with other_end() as other, tempfile.TemporaryDirectory() as made:
        target, share, ledger = Path(made), Path(made) / "share", Path(made) / "state" / "ledger.db"
        plant(share, count, DIRECTORIES)
        config = configure(target, other.url, [Share(share, rescan=RESCAN)])
        with daemon(code, config) as pid:
            settle(pid)
            if _present(ledger) != count:
                raise RuntimeError("the ledger does not know all files")
            forget_peak(pid)
            resting, used = resident(pid), cpu(pid)
            with LongestTransaction(ledger) as transactions:
                for directory in share.iterdir():
                    shutil.rmtree(directory)
                began = time.monotonic()
                until(lambda: _present(ledger) == 0, 1.0, DEADLINE)
                took = time.monotonic() - began
            return {
                _GROWTH: resident(pid, peak=True) - resting,
                _LONGEST: transactions.seconds,
                _SECONDS: took,
                _CPU: (cpu(pid) - used) / count * 1000,
            }


def _count(scale: Scale) -> int:
    return scale.pick(5_000, 50_000, 500_000)


def rounds(code: Code, scale: Scale) -> Rounds:
    """Plant a tree, let the daemon know it, and remove it, all anew in every round."""
    while True:
        yield _round(code, _count(scale))


BENCHMARK: Final = Benchmark(lambda scale: f"{_count(scale):,} known files gone at once", rounds, times=2)
