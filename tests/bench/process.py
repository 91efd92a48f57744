"""What /proc says of a process: CPU, memory, threads; and how long a command takes."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

DEADLINE: Final = 600.0
"""Seconds after which a benchmark is given up."""
REST: Final = 3
"""Seconds without work, after which a process is taken to rest."""
_TICKS: Final = os.sysconf("SC_CLK_TCK")


def cpu(pid: int) -> float:
    """Return the CPU seconds (user and system) of a process, in steps of the kernel's clock (10 ms)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def fine_cpu(pid: int) -> float:
    """Return the CPU seconds of the threads that a process has now, to the nanosecond."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def resident(pid: int, *, peak: bool = False) -> float:
    """Return a process's resident megabytes: now, or the most it had so far."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:" if peak else "VmRSS:")[2].split()[0]) / 1024


def forget_peak(pid: int) -> None:
    """Let the most memory that a process had so far be what it has now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="utf-8")


def threads(pid: int) -> int:
    """Return how many threads a process has."""
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def elapsed(command: Sequence[str], tree: Path, environ: Mapping[str, str] | None = None) -> float:
    """Return the seconds that a command takes in a directory; what it prints is thrown away."""
    began = time.monotonic()
    env = {**os.environ, **(environ or {})}
    subprocess.run(command, cwd=tree, env=env, stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - began


def until(done: Callable[[], bool], pause: float = 0.05, deadline: float = DEADLINE) -> None:
    """Wait for a condition; give up at the deadline."""
    end = time.monotonic() + deadline
    while not done():
        if time.monotonic() > end:
            raise TimeoutError("the benchmark did not come to its end")
        time.sleep(pause)


def settle(pid: int, patience: float = DEADLINE) -> float:
    """Wait until a process has had next to nothing to do for some seconds; return the CPU seconds it used.

    One second would not do: where others take the cores, a busy process may get none for that long. A
    process that never rests is not waited for longer than `patience` seconds.
    """
    end = time.monotonic() + patience
    seen = [cpu(pid)]

    def still() -> bool:
        seen.append(cpu(pid))
        rests = len(seen) > REST and seen[-1] - seen[-1 - REST] < 0.03  # three ticks of the kernel's clock
        return rests or time.monotonic() > end

    until(still, 1.0, patience + DEADLINE)
    return seen[-1]
