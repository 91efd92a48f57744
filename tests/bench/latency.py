"""From closing a file to its message, beyond the quiet period and the two calls."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles
from typing import Final

from tests.bench.benchmark import Benchmark, Measure, Rounds, Scale
from tests.bench.code import Code
from tests.bench.process import until
from tests.bench.world import QUIET, Bare, Share, configure, daemon
from tests.bench.world import far as other_end

SIZE: Final = 4096
EVERY: Final = 0.2
"""Seconds between two drops."""


def _two_calls(count: int) -> list[float]:
    """Return the seconds from the begin of an upload to its message, with nothing around the two calls."""
    began: dict[str, float] = {}
    with other_end() as other:
        deliver = Bare(other.url, trust_env=False)
        for number in range(count):
            content = os.urandom(SIZE)
            began[f"{number}.pdf"] = time.monotonic()
            deliver(f"{number}.pdf", content)
            time.sleep(EVERY / 4)
        return [message["at"] - began[message["name"]] for message in other.arrived()]


def _whole_way(code: Code, count: int) -> list[float]:
    """Return the seconds from each close to its message, through the daemon."""
    closed: dict[str, float] = {}
    with other_end() as other, tempfile.TemporaryDirectory() as made:
        share = Path(made) / "share"
        share.mkdir()
        with daemon(code, configure(Path(made), other.url, [Share(share)])):
            for number in range(count):
                (share / f"{number}.pdf").write_bytes(os.urandom(SIZE))
                closed[f"{number}.pdf"] = time.monotonic()
                time.sleep(EVERY)
            until(lambda: other.sent() >= count)
            return [message["at"] - closed[message["name"]] for message in other.arrived()]


_P50: Final = Measure("beyond quiet period and calls: p50 ms", 1, most=8)
_P90: Final = Measure("beyond quiet period and calls: p90 ms", 1)
_P99: Final = Measure("beyond quiet period and calls: p99 ms", 1, most=40)
_CALLS: Final = Measure("the two calls: ms", 1)


def _count(scale: Scale) -> int:
    return scale.pick(20, 300)


def rounds(code: Code, scale: Scale) -> Rounds:
    """Time the two calls alone, then drop a file every 200 ms; nothing is prepared."""
    while True:
        calls = median(_two_calls(scale.pick(10, 40)))
        beyond = [(took - QUIET - calls) * 1000 for took in _whole_way(code, _count(scale))]
        cuts = quantiles(beyond, n=100, method="inclusive")
        yield {_P50: cuts[49], _P90: cuts[89], _P99: cuts[98], _CALLS: calls * 1000}


BENCHMARK: Final = Benchmark(
    lambda scale: f"From close to message ({_count(scale)} drops a round, {EVERY * 1000:.0f} ms apart)",
    rounds,
)
