"""From closing a file to its message, beyond the quiet period and the two calls."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles
from typing import Final

from tests.bench.process import until
from tests.bench.table import show
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


def _whole_way(count: int) -> list[float]:
    """Return the seconds from each close to its message, through the daemon."""
    closed: dict[str, float] = {}
    with other_end() as other, tempfile.TemporaryDirectory() as made:
        share = Path(made) / "share"
        share.mkdir()
        with daemon(configure(Path(made), other.url, [Share(share)])):
            for number in range(count):
                (share / f"{number}.pdf").write_bytes(os.urandom(SIZE))
                closed[f"{number}.pdf"] = time.monotonic()
                time.sleep(EVERY)
            until(lambda: other.sent() >= count)
            return [message["at"] - closed[message["name"]] for message in other.arrived()]


def measure(*, quick: bool) -> None:
    """Drop a file every 200 ms and print what is beyond the quiet period and the calls."""
    count, rounds = (20, 1) if quick else (150, 2)
    calls = median(median(_two_calls(40)) for _ in range(rounds))
    beyond = [(took - QUIET - calls) * 1000 for _ in range(rounds) for took in _whole_way(count)]
    cuts = quantiles(beyond, n=100)
    show(
        f"Close to message, beyond quiet period and calls ({len(beyond)} drops, {EVERY * 1000:.0f} ms apart)",
        ("p50 ms", "p90 ms", "p99 ms", "the two calls, ms"),
        (f"{cuts[49]:.1f}", f"{cuts[89]:.1f}", f"{cuts[98]:.1f}", f"{calls * 1000:.1f}"),
    )
