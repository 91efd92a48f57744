"""What a long past costs a file: a burst on a ledger with few rows and on one with many."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench import long_past
from tests.bench.benchmark import Benchmark, Figures, Measure, Rounds, Scale
from tests.bench.code import Code
from tests.bench.long_past import FEW, LongPast, many
from tests.bench.process import cpu, settle, until
from tests.bench.world import check, daemon, drop
from tests.bench.world import far as other_end

SIZE: Final = 4096


@dataclass(frozen=True)
class Cost:
    """What a file cost."""

    rate: float
    """Files a second."""
    cpu_ms: float


def _burst(code: Code, past: LongPast, count: int, name: str) -> Cost:
    """Drop files into the folder that has the past."""
    with other_end() as other:
        with daemon(code, past.configured(other.url)) as pid:
            before = settle(pid)
            dropped = drop([past.share], count, SIZE, f"{name}-{{}}.pdf")
            until(lambda: other.sent() >= count)
            time.sleep(0.3)  # the last outcomes are still to be written
            used = cpu(pid) - before
        check(other, dropped)
        took = other.arrived()[-1]["at"] - dropped.began
    return Cost(count / took, used / count * 1000)


def _compare(few: Cost, most: Cost, rows: int) -> Figures:
    return {
        Measure(f"{FEW:,} rows: files/s", 0): few.rate,
        Measure(f"{rows:,} rows: files/s", 0): most.rate,
        Measure("files/s, many ÷ few rows", 2): most.rate / few.rate,
        Measure(f"{FEW:,} rows: CPU ms/file", 1): few.cpu_ms,
        Measure(f"{rows:,} rows: CPU ms/file", 1): most.cpu_ms,
        Measure("CPU ms/file, many ÷ few rows", 2, most=1.2): most.cpu_ms / few.cpu_ms,
    }


def rounds(code: Code, scale: Scale) -> Rounds:
    """Write both pasts; then drop a burst into each in every round, in another order than before."""
    count, number = scale.pick(100, 500), 0
    with tempfile.TemporaryDirectory() as made:
        pasts = [long_past.make(code, Path(made) / str(rows), rows) for rows in (FEW, many(scale))]
        while True:
            number += 1
            order = pasts if number % 2 else pasts[::-1]
            costs = {past.rows: _burst(code, past, count, str(number)) for past in order}
            yield _compare(costs[FEW], costs[many(scale)], many(scale))


BENCHMARK: Final = Benchmark(lambda scale: f"A burst on a ledger of {many(scale):,} rows", rounds)
