"""A big known tree: what its start-up scan costs beside `find`, and what it costs at rest."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, Final

from tests.bench.process import fine_cpu, resident, settle
from tests.bench.table import show
from tests.bench.world import ROOT, Share, configure, daemon
from tests.bench.world import far as other_end

DIRECTORIES: Final = 1000


def _plant(share: Path, count: int) -> None:
    for number in range(DIRECTORIES):
        directory = share / f"{number:04}"
        directory.mkdir(parents=True)
        for one in range(count // DIRECTORIES):
            (directory / f"{one}.pdf").write_bytes(b"x")


def _find(share: Path) -> float:
    session = time.monotonic()
    command = ["/usr/bin/find", str(share), "-printf", "%p %s %T@\n"]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - session


def _scan(ledger: Path, share: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.bench.scan", str(ledger), str(share)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    figures: dict[str, Any] = json.loads(done.stdout)
    if figures["found"]:
        raise RuntimeError(f"the scan found {figures['found']} paths in a tree that is known")
    return figures


def _compare(title: str, ledger: Path, share: Path, rounds: int) -> None:
    pairs = [(_find(share), _scan(ledger, share)) for _ in range(rounds)]
    find = median(seconds for seconds, _ in pairs)
    scan, used, grown = (median(done[key] for _, done in pairs) for key in ("seconds", "cpu", "grown"))
    show(
        f"Start-up scan of {title} (medians of {rounds})",
        ("find -printf, s", "scan, s", "scan ÷ find", "scan CPU, s", "memory growth, MB"),
        (f"{find:.2f}", f"{scan:.2f}", f"{median(d['seconds'] / f for f, d in pairs):.1f}", f"{used:.2f}",
         f"{grown:.1f}"),
    )  # fmt: skip


def _first_look(config: Path) -> tuple[float, float]:
    """Let the daemon take its baseline; return the seconds to `ready` and the most memory it had."""
    session = time.monotonic()
    with daemon(config) as pid:
        return time.monotonic() - session, resident(pid, peak=True)


def _rest(config: Path, span: float) -> tuple[float, float, float]:
    """Start again, wait until the scan is over; return resident MB, the peak, and the share of a core."""
    with daemon(config) as pid:
        settle(pid)
        used, session = fine_cpu(pid), time.monotonic()
        time.sleep(span)
        share = (fine_cpu(pid) - used) / (time.monotonic() - session)
        return resident(pid), resident(pid, peak=True), share


def measure(*, quick: bool, large: bool = False) -> None:
    """Plant a tree, let the daemon know it, and look on."""
    count, rounds, span = (10_000, 1, 5.0) if quick else (1_000_000, 3, 20.0) if large else (100_000, 5, 20.0)
    with other_end() as other, tempfile.TemporaryDirectory() as made:
        target, share = Path(made), Path(made) / "share"
        _plant(share, count)
        config = configure(target, other.url, [Share(share)])
        title = f"{count:,} known files in {DIRECTORIES:,} directories"
        ready, first_peak = _first_look(config)
        _compare(title, target / "state" / "ledger.db", share, rounds)
        now, peak, core = _rest(config, span)
    show(
        f"{title}, idle for {span:.0f} s",
        ("% of a core", "resident MB", "peak since start, MB", "first look, s", "first look's peak, MB"),
        (f"{core * 100:.2f}", f"{now:.0f}", f"{peak:.0f}", f"{ready:.1f}", f"{first_peak:.0f}"),
    )
