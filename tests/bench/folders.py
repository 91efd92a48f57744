"""Many folders at rest: threads, cores, memory, and how soon they are watched."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench.benchmark import Benchmark, Figures, Measure, Rounds, Scale
from tests.bench.code import Code
from tests.bench.process import cpu, resident, settle, threads
from tests.bench.world import Share, configure, starting
from tests.bench.world import far as other_end

PATIENCE: Final = 20.0
"""Seconds after which a service that never rests is measured all the same."""


@dataclass(frozen=True)
class Folders:
    """A configuration of so many folders, and what is measured with it."""

    count: int
    config: Path

    def measure(self, code: Code, span: float) -> Figures:
        """Start the service, wait until it rests, and look on for some seconds."""
        with starting(code, self.config) as daemon:
            ready = daemon.wait_until_ready()
            settle(daemon.pid, PATIENCE)
            used, began = cpu(daemon.pid), time.monotonic()
            time.sleep(span)
            core = (cpu(daemon.pid) - used) / (time.monotonic() - began)
            name = f"{self.count:,} folder" + "s" * (self.count > 1)
            goals = self.count == COUNTS[1][-1]
            return {
                Measure(f"{name}: threads", 0, most=64 if goals else None): threads(daemon.pid),
                Measure(f"{name}: cores at rest", 3, most=0.03 if goals else None): core,
                Measure(f"{name}: resident MB", 0, most=130 if goals else None): resident(daemon.pid),
                Measure(f"{name}: ready after s", 1, most=6 if goals else None): ready,
            }


COUNTS: Final = (1, 5, 20), (1, 100, 1000)
"""Folders of a quick run, and of any other."""


def _watched(code: Code, url: str, target: Path, count: int) -> Folders:
    """Make folders with one file each, and let the service take its first look at them."""
    shares = [Share(target / f"folder{number:04}") for number in range(count)]
    for share in shares:
        share.path.mkdir(parents=True)
        (share.path / "known.pdf").write_bytes(b"x")
    config = configure(target, url, shares)
    with starting(code, config) as first:
        first.wait_until_ready()
    return Folders(count, config)


def rounds(code: Code, scale: Scale) -> Rounds:
    """Make the folders and let the service know them; measure a later start in every round."""
    with other_end() as other, tempfile.TemporaryDirectory() as made:
        several = [_watched(code, other.url, Path(made) / str(count), count) for count in scale.pick(*COUNTS)]
        while True:
            figures: dict[Measure, float] = {}
            for folders in several:
                figures |= folders.measure(code, scale.pick(5.0, 20.0))
            yield figures


BENCHMARK: Final = Benchmark(lambda _: "Folders at rest, one known file in each", rounds)
