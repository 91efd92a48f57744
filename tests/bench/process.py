"""What /proc says of a process: CPU, memory."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
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


def until(done: Callable[[], bool], pause: float = 0.05) -> None:
    """Wait for a condition; give up at the deadline."""
    end = time.monotonic() + DEADLINE
    while not done():
        if time.monotonic() > end:
            raise TimeoutError("the benchmark did not come to its end")
        time.sleep(pause)


def settle(pid: int) -> float:
    """Wait until a process has had next to nothing to do for some seconds; return the CPU seconds it used.

    One second would not do: where others take the cores, a busy process may get none for that long.
    """
    seen = [cpu(pid)]

    def still() -> bool:
        seen.append(cpu(pid))
        return len(seen) > REST and seen[-1] - seen[-1 - REST] < 0.03  # three ticks of the kernel's clock

    until(still, 1.0)
    return seen[-1]
