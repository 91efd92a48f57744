"""What a long past costs: a burst and `dingwatch status` on a ledger with few rows and with many."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from tests.bench.past import invent
from tests.bench.process import cpu, settle, until
from tests.bench.table import show
from tests.bench.world import CONVERSATIONS, ROOT, Share, check, configure, daemon, drop
from tests.bench.world import far as other_end

FEW: Final = 1000
SIZE: Final = 4096


@dataclass(frozen=True)
class Cost:
    """What a file cost, and how long `status` took beyond a start of Python with the same imports."""

    rate: float
    cpu_ms: float
    status: float


def _command(arguments: Sequence[str]) -> float:
    session = time.monotonic()
    subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, stdout=subprocess.DEVNULL, env={**os.environ}, check=True
    )
    return time.monotonic() - session


class _Past:
    """A daemon's place whose ledger holds `rows` deliveries that were sent."""

    def __init__(self, target: Path, rows: int) -> None:
        self.rows = rows
        self._target, self._share, self._bursts = target, target / "share", 0
        self._share.mkdir(parents=True)
        with other_end() as other, daemon(self._configured(other.url)):
            pass  # makes the ledger
        invent(target / "state" / "ledger.db", rows, CONVERSATIONS[0])

    def _configured(self, url: str) -> Path:
        return configure(self._target, url, [Share(self._share)])

    def burst(self, count: int) -> Cost:
        """Drop files into the folder that has the past."""
        self._bursts += 1
        with other_end() as other:
            config = self._configured(other.url)
            with daemon(config) as pid:
                before = settle(pid)
                dropped = drop([self._share], count, SIZE, f"{self._bursts}-{{}}.pdf")
                until(lambda: other.sent() >= count)
                time.sleep(0.3)  # the last outcomes are still to be written
                used = cpu(pid) - before
                status = _command(["-m", "dingwatch", "status", "--json", "-c", str(config)])
            check(other, dropped)
            took = other.arrived()[-1]["at"] - dropped.session
        return Cost(count / took, used / count * 1000, status)


def measure(*, quick: bool, large: bool = False) -> None:
    """Compare a ledger of few rows with one of many, in turn."""
    many, count, rounds = (20_000, 100, 1) if quick else (1_000_000 if large else 100_000, 500, 3)
    with tempfile.TemporaryDirectory() as made:
        pasts = [_Past(Path(made) / str(rows), rows) for rows in (FEW, many)]
        costs: dict[int, list[Cost]] = {past.rows: [] for past in pasts}
        starts = []
        for _ in range(rounds):
            starts.append(_command(["-m", "dingwatch", "--help"]))
            for past in pasts:
                costs[past.rows].append(past.burst(count))
    base = median(cost.cpu_ms for cost in costs[FEW])
    rows = [
        (
            f"{number:,}",
            f"{median(cost.rate for cost in done):.0f}",
            f"{median(cost.cpu_ms for cost in done):.1f}",
            f"{median(cost.cpu_ms for cost in done) / base:.2f}",
            f"{median(cost.status for cost in done):.2f}",
        )
        for number, done in costs.items()
    ]
    show(
        f"A burst of {count} files on a ledger with a history (medians of {rounds};"
        f" `dingwatch --help` takes {median(starts):.2f} s)",
        ("sent deliveries", "files/s", "CPU ms/file", "× the few", "`dingwatch status`, s"),
        *rows,
    )
