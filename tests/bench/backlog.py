"""A long queue for one recipient: what a call costs under it, and how long another recipient waits."""

from __future__ import annotations

import math
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench.benchmark import Benchmark, Figures, Measure, Rounds, Scale
from tests.bench.code import Code
from tests.bench.process import cpu, until
from tests.bench.world import CONVERSATIONS, Far, Share, configure, daemon, drop, totals
from tests.bench.world import far as other_end

RATE: Final = 20
"""Calls a second that each API is allowed; recipients have no limit of their own, so a queue moves fast."""
QUIET: Final = 2.0
"""Seconds; the default, because the goal for the other recipient's file includes it."""
SIZE: Final = 4096
PATIENCE: Final = 60.0
"""Seconds after which the other recipient's file is not waited for any longer."""
DEADLINE: Final = 3600.0
WAITING: Final = ("settling", "pending", "uploading", "uploaded", "sending")
_FEW_WAITING: Final = Measure("few: files waiting when measured", 0)
_MANY_WAITING: Final = Measure("backlog: files waiting when measured", 0)
_FEW_CPU: Final = Measure("few: CPU of a paced call, ms", 2)
_MANY_CPU: Final = Measure("backlog: CPU of a paced call, ms", 2)
_RATIO: Final = Measure("CPU of a paced call, backlog ÷ few", 2, most=1.2)
_FEW_OTHER: Final = Measure(f"few: another recipient's file ({QUIET:.0f} s of quiet included), s", 1)
_MANY_OTHER: Final = Measure(
    f"backlog: another recipient's file ({QUIET:.0f} s of quiet included), s", 1, most=4
)


@dataclass(frozen=True)
class Queue:
    """What a queue showed."""

    waiting: int
    cpu_ms: float
    """Milliseconds of CPU for each paced call."""
    other: float
    """Seconds from the drop of the other recipient's file to its message; infinite if it was given up."""


@contextmanager
def _queue(code: Code, other: Far, count: int) -> Iterator[tuple[int, Path, int]]:
    """Let `count` files for one recipient settle; yield the pid, another folder, and how many wait."""
    with tempfile.TemporaryDirectory() as made:
        target = Path(made)
        busy, calm = (Share(target / name, CONVERSATIONS[n:][:1], QUIET) for n, name in enumerate(("a", "b")))
        for share in (busy, calm):
            share.path.mkdir()
        pace = {"per_api": f"{RATE}/s", "per_conversation": None}
        config = configure(target, other.url, [busy, calm], {"pace": pace})
        with daemon(code, config) as pid:
            drop([busy.path], count, SIZE)
            counts: Counter[str] = Counter()

            def settled() -> bool:
                counts.clear()
                counts.update(totals(code, config))
                return counts["settling"] == 0 and counts.total() >= count

            until(settled, 1.0, DEADLINE)
            yield pid, calm.path, sum(counts[state] for state in WAITING)


def _measure(code: Code, count: int, window: float) -> Queue:
    with other_end() as other, _queue(code, other, count) as (pid, calm, waiting):
        used, calls = cpu(pid), other.calls().total()
        time.sleep(window)
        cpu_ms = (cpu(pid) - used) / (other.calls().total() - calls) * 1000
        dropped = time.monotonic()
        (calm / "report.pdf").write_bytes(b"report")
        end = dropped + PATIENCE
        until(lambda: bool(other.arrived(CONVERSATIONS[1])) or time.monotonic() > end)
        _require_once(other)
        message = next(iter(other.arrived(CONVERSATIONS[1])), {"at": math.inf})
        return Queue(waiting, cpu_ms, message["at"] - dropped)


def _require_once(other: Far) -> None:
    """Fail if something came twice; that all arrives, the other benchmarks show."""
    twice = Counter(message["sha256"] for message in other.arrived())
    if twice and max(twice.values()) > 1:
        raise RuntimeError(f"{sum(count > 1 for count in twice.values())} files came more than once")


def _round(code: Code, scale: Scale) -> Figures:
    window = scale.pick(3.0, 20.0)
    # Enough that some still wait at the end, however long `status` takes to say that all have settled.
    few = _measure(code, int(RATE * (window + 15)), window)
    many = _measure(code, _count(scale), window)
    return {
        _FEW_WAITING: few.waiting,
        _MANY_WAITING: many.waiting,
        _FEW_CPU: few.cpu_ms,
        _MANY_CPU: many.cpu_ms,
        _RATIO: many.cpu_ms / few.cpu_ms,
        _FEW_OTHER: few.other,
        _MANY_OTHER: many.other,
    }


def _count(scale: Scale) -> int:
    return scale.pick(1000, 20_000)


def rounds(code: Code, scale: Scale) -> Rounds:
    """Make a short and a long queue in every round; nothing is prepared."""
    while True:
        yield _round(code, scale)


BENCHMARK: Final = Benchmark(
    lambda scale: f"{_count(scale):,} files for one recipient, at {RATE} calls/s of each API", rounds, times=2
)
