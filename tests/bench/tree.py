"""A big known tree: what it costs at rest, and what its start-up scan costs beside `find`."""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path

from tests.bench.world import cpu, daemon, dingtalk, memory, show, until


def _plant(share: Path, files: int, directories: int) -> None:
    for number in range(directories):
        directory = share / f"d{number}"
        directory.mkdir(parents=True)
        for one in range(files // directories):
            (directory / f"{one}.pdf").write_bytes(b"x")


def _find(share: Path) -> float:
    begun = time.monotonic()
    subprocess.run(
        ["/usr/bin/find", str(share), "-printf", "%p %s %T@\n"], stdout=subprocess.DEVNULL, check=True
    )
    return time.monotonic() - begun


def measure(*, quick: bool, large: bool = False) -> None:
    """Let the daemon know a tree, start it again, and look on."""
    files, directories = (10_000, 100) if quick else (1_000_000, 1_000) if large else (100_000, 1_000)
    with dingtalk() as far, tempfile.TemporaryDirectory() as made:
        share = Path(made) / "share"
        _plant(share, files, directories)
        folders = {share: far.conversations[0]}
        with daemon(Path(made), far, folders):
            pass  # the first look: all of it is baseline
        find = min(_find(share) for _ in range(3))
        begun = time.monotonic()
        with daemon(Path(made), far, folders) as pid:
            ready = time.monotonic() - begun
            before = memory(pid)
            used = _quiet(pid)
            scan = used - _start_cost()
            after, rest, span = memory(pid), cpu(pid), 5.0 if quick else 30.0
            time.sleep(span)
            share_of_core = (cpu(pid) - rest) / span * 100
    show(
        f"{files:,} known files in {directories:,} directories",
        [
            ("find, s", "scan, CPU s", "scan ÷ find", "ready, s", "MB then", "MB later", "idle, % of a core"),
            (
                f"{find:.2f}", f"{scan:.2f}", f"{scan / find:.1f}", f"{ready:.2f}", f"{before:.0f}",
                f"{after:.0f}", f"{share_of_core:.2f}",
            ),
        ],
    )  # fmt: skip


def _quiet(pid: int) -> float:
    """Wait until the process has had nothing to do for a second; return the CPU seconds it has used."""
    seen = [cpu(pid)]

    def still() -> bool:
        time.sleep(1.0)
        seen.append(cpu(pid))
        return seen[-1] - seen[-2] < 0.02  # two ticks of the kernel's clock

    until(still)
    return seen[-1]


def _start_cost() -> float:
    """Return the CPU seconds of a start with nothing to scan."""
    with dingtalk() as far, tempfile.TemporaryDirectory() as made:
        (Path(made) / "share").mkdir()
        with daemon(Path(made), far, {Path(made) / "share": far.conversations[0]}) as pid:
            return _quiet(pid)
