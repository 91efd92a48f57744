"""A big known tree: what its start-up scan costs beside `find`, and what it costs at rest."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from tests.bench.benchmark import FLAT, Benchmark, Figures, Measure, Rounds, Scale
from tests.bench.code import Code
from tests.bench.process import fine_cpu, resident, settle
from tests.bench.world import Share, configure, daemon, find, plant
from tests.bench.world import far as other_end

DIRECTORIES: Final = 1000
_FIND: Final = Measure("find -printf: s", 2)
_SCAN: Final = Measure("start-up scan: s", 2)
_RATIO: Final = Measure("start-up scan ÷ find", 1, most=2.5)
_SCAN_CPU: Final = Measure("start-up scan: CPU s", 2)
_GROWTH: Final = Measure("start-up scan: memory growth, MB", 1, most=FLAT)
_CORE: Final = Measure("idle: % of a core", 2, most=0.1)
_RESIDENT: Final = Measure("idle: resident MB", 0, most=85)
_PEAK: Final = Measure("idle: peak since start, MB", 0)


def _scan(code: Code, ledger: Path, share: Path) -> dict[str, Any]:
    """Run the scan that belongs to the code, in a process of its own."""
    command = [code.python, "-m", "tests.bench.scan", str(ledger), str(share)]
    done = subprocess.run(command, cwd=code.tree, stdout=subprocess.PIPE, text=True, check=True)
    figures: dict[str, Any] = json.loads(done.stdout)
    if figures["found"]:
        raise RuntimeError(f"the scan found {figures['found']} paths in a tree that is known")
    return figures


def _rest(code: Code, config: Path, span: float) -> Figures:
    """Start again, wait until the scan is over, and look on for some seconds."""
    with daemon(code, config) as pid:
        settle(pid)
        used, began = fine_cpu(pid), time.monotonic()
        time.sleep(span)
        share = (fine_cpu(pid) - used) / (time.monotonic() - began)
        return {_CORE: share * 100, _RESIDENT: resident(pid), _PEAK: resident(pid, peak=True)}


def _count(scale: Scale) -> int:
    return scale.pick(5_000, 100_000, 1_000_000)


def rounds(code: Code, scale: Scale) -> Rounds:
    """Plant a tree and let the daemon know it; then scan it and look on in every round."""
    with other_end() as other, tempfile.TemporaryDirectory() as made:
        target, share = Path(made), Path(made) / "share"
        plant(share, _count(scale), DIRECTORIES)
        config = configure(target, other.url, [Share(share)])
        with daemon(code, config):
            pass  # ready: the first look is over
        while True:
            find_seconds = find(share)
            scan = _scan(code, target / "state" / "ledger.db", share)
            yield {
                _FIND: find_seconds,
                _SCAN: scan["seconds"],
                _RATIO: scan["seconds"] / find_seconds,
                _SCAN_CPU: scan["cpu"],
                _GROWTH: scan["grown"],
                **_rest(code, config, scale.pick(5.0, 20.0)),
            }


BENCHMARK: Final = Benchmark(
    lambda scale: f"{_count(scale):,} known files in {DIRECTORIES:,} directories", rounds
)
