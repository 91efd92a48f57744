"""How much of the allowed rate is used, and what a message costs: against the sandbox's real counters."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.bench.faithful import Strict, strict
from tests.bench.process import cpu, until
from tests.bench.table import show
from tests.bench.world import Share, configure, daemon, drop

QPS: Final = 20
UPLOAD: Final = "media/upload"
SEND: Final = "robot/groupMessages/send"
SIZE: Final = 4096
LOOK: Final = 0.02
"""Seconds between two looks at the counters."""


@dataclass
class Counters:
    """When the sandbox's counters moved."""

    far: Strict
    first: dict[str, float] = field(default_factory=dict)
    last: dict[str, tuple[float, int]] = field(default_factory=dict)

    def look(self) -> Counter[str]:
        """Return the calls that were granted, by API; note when these moved."""
        granted, now = self.far.granted(), time.monotonic()
        for api, count in granted.items():
            self.first.setdefault(api, now)
            if self.last.get(api, (now, 0))[1] != count:
                self.last[api] = now, count
        return granted

    def share(self, api: str, qps: int) -> float:
        """Return the share of the allowed rate that was used, from the first granted call to the last."""
        end, count = self.last[api]
        return (count - 1) / (end - self.first[api]) / qps


@dataclass(frozen=True)
class Run:
    """What one run showed."""

    uploads: float
    """Share of the allowed rate that uploads used; likewise the sends."""
    sends: float
    refused: int
    billed: float
    """Granted calls for each message."""
    cpu_ms: float
    """Milliseconds of CPU that the service used for each message."""


def run(count: int, conversations: int, qps: int | None) -> Run:
    """Drop files into one folder that goes to so many conversations, and wait for the last message."""
    with strict() as far, tempfile.TemporaryDirectory() as made:
        far.limit(qps=qps)
        counters = Counters(far)
        share = Path(made) / "share"
        share.mkdir()
        pace = {"per_api": f"{QPS}/s" if qps else None, "per_conversation": None}
        more = {"dingtalk": {**far.dingtalk, "monthly_calls": None}, "pace": pace}
        config = configure(Path(made), "", [Share(share, far.conversations[:conversations])], more)
        with daemon(config) as pid:
            before = cpu(pid)
            drop([share], count, SIZE)
            until(lambda: counters.look()[SEND] >= count * conversations, LOOK)
            used = cpu(pid) - before
        calls, granted = far.calls(), counters.look()
    messages = count * conversations
    return Run(
        counters.share(UPLOAD, qps or QPS),
        counters.share(SEND, qps or QPS),
        (calls - granted)[UPLOAD] + (calls - granted)[SEND],
        (granted[UPLOAD] + granted[SEND]) / messages,
        used / messages * 1000,
    )


def measure(*, quick: bool) -> None:
    """Use a rate of 20 a second for each API, and send each of some files to three conversations."""
    count, few, rounds = (100, 30, 1) if quick else (500, 300, 3)
    runs = [run(count, 1, QPS) for _ in range(rounds)]
    show(
        f"{count} files at {QPS} calls/s of each API, counted by the sandbox",
        ("run", "uploads: share of what is allowed", "sends: share", "calls refused", "CPU ms/message"),
        *(
            (str(n + 1), f"{r.uploads:.3f}", f"{r.sends:.3f}", str(r.refused), f"{r.cpu_ms:.1f}")
            for n, r in enumerate(runs)
        ),
    )
    wide = run(few, 3, None)
    show(
        f"{few} files to 3 conversations each",
        ("messages", "billed calls/message", "expected: one upload and 3 messages per file"),
        (str(few * 3), f"{wide.billed:.3f}", f"{4 / 3:.3f}"),
    )
