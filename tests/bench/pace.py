"""How much of the allowed rate is used, and what a message costs: against the sandbox's real counters."""

from __future__ import annotations

import math
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.bench.benchmark import Benchmark, Figures, Measure, Rounds, Scale
from tests.bench.code import Code
from tests.bench.faithful import Strict, strict
from tests.bench.process import cpu, until
from tests.bench.world import Share, configure, daemon, drop

QPS: Final = 20
UPLOAD: Final = "media/upload"
SEND: Final = "robot/groupMessages/send"
SIZE: Final = 4096
LOOK: Final = 0.02
"""Seconds between two looks at the counters."""
OWN: Final = 5
"""Messages a second that a recipient is allowed, where it has a limit of its own."""
OUTAGE: Final = 5.0
"""Seconds for which every call is refused."""
FULL: Final = 0.97
"""Share of an allowed rate that counts as all of it."""
SPAN: Final = 3.0
"""Seconds over which the rate is taken after a refusal."""
NEARLY: Final = 0.95
"""Share that counts as all of it over so short a span: one message more or less is 2 %."""


@dataclass
class Counters:
    """When the sandbox's counters moved."""

    far: Strict
    seen: dict[str, list[tuple[float, int]]] = field(default_factory=dict)
    """By API: each instant (monotonic) at which its granted calls had become more, and how many they were."""

    def look(self) -> Counter[str]:
        """Return the calls that were granted, by API; note when these moved."""
        granted, now = self.far.granted(), time.monotonic()
        for api, count in granted.items():
            counts = self.seen.setdefault(api, [])
            if not counts or counts[-1][1] != count:
                counts.append((now, count))
        return granted

    def share(self, api: str, rate: float) -> float:
        """Return the share of an allowed rate that was used, from the first granted call to the last."""
        (began, _), (end, count) = self.seen[api][0], self.seen[api][-1]
        return (count - 1) / (end - began) / rate

    def full_again(self, api: str, rate: float, since: float) -> float:
        """Return after how many seconds since an instant a span at the full rate began; infinity if none."""
        counts = [one for one in self.seen[api] if one[0] >= since]
        for began, before in counts:
            later = [(at, count) for at, count in counts if at >= began + SPAN]
            if later and (later[0][1] - before) / (later[0][0] - began) >= NEARLY * rate:
                return began - since
        return math.inf


@dataclass(frozen=True)
class Setting:
    """A sandbox and a daemon with one folder for each list of conversations, and what is counted."""

    far: Strict
    counters: Counters
    folders: Sequence[Path]
    pid: int

    def wait_for(self, messages: int) -> None:
        """Wait until so many messages were granted."""
        until(lambda: self.counters.look()[SEND] >= messages, LOOK)


@contextmanager
def _setting(
    code: Code, recipients: Callable[[Sequence[str]], Sequence[Sequence[str]]], pace: Mapping[str, str | None]
) -> Iterator[Setting]:
    """Run both; `recipients` chooses from the sandbox's conversations those of each folder."""
    with strict() as far, tempfile.TemporaryDirectory() as made:
        far.limit(qps=QPS if pace["per_api"] else None)
        chosen = recipients(far.conversations)
        shares = [Share(Path(made) / f"share{number}", some) for number, some in enumerate(chosen)]
        for share in shares:
            share.path.mkdir()
        more = {"dingtalk": {**far.dingtalk, "monthly_calls": None}, "pace": pace}
        with daemon(code, configure(Path(made), "", shares, more)) as pid:
            yield Setting(far, Counters(far), [share.path for share in shares], pid)


_UPLOADS: Final = Measure("uploads: share of what is allowed", 3, least=FULL)
_SENDS: Final = Measure("sends: share of what is allowed", 3, least=FULL)
_REFUSED: Final = Measure("calls refused", 1, most=0)
_CPU: Final = Measure("CPU ms/message", 1)
_TWO: Final = Measure(f"two recipients at {OWN} messages/s each: share of what is allowed", 3, least=FULL)
_AGAIN: Final = Measure("after a refusal: s until the full rate", 1, most=10)
_AGAIN_LATE: Final = Measure(f"after {OUTAGE:.0f} s of refusals: s until the full rate", 1, most=10)
_WIDE: Final = Measure("unlimited, 3 conversations for each file: billed calls/message", 3, most=1.333)


def _paced(code: Code, count: int) -> Figures:
    """Let some files wait for one recipient."""
    pace = {"per_api": f"{QPS}/s", "per_conversation": None}
    with _setting(code, lambda inside: [inside[:1]], pace) as setting:
        before = cpu(setting.pid)
        drop(setting.folders, count, SIZE)
        setting.wait_for(count)
        used = cpu(setting.pid) - before
        refused = setting.far.calls() - setting.counters.look()
        return {
            _UPLOADS: setting.counters.share(UPLOAD, QPS),
            _SENDS: setting.counters.share(SEND, QPS),
            _REFUSED: refused[UPLOAD] + refused[SEND],
            _CPU: used / count * 1000,
        }


def _two(code: Code, count: int) -> float:
    """Return the share that two recipients use of limits of their own, which allow less than the API's.

    It is the smaller of the two, each from that recipient's first message to its last.
    """
    pace = {"per_api": f"{QPS}/s", "per_conversation": f"{OWN}/s"}
    with _setting(code, lambda inside: [inside[:1], inside[1:2]], pace) as setting:
        drop(setting.folders, count, SIZE)
        setting.wait_for(count)
        both = [setting.far.messages(one) for one in setting.far.conversations[:2]]
        shares: list[float] = [(len(some) - 1) / (some[-1]["at"] - some[0]["at"]) / OWN for some in both]
        return min(shares)


def _after_refusal(code: Code, count: int, outage: float = 0.0) -> float:
    """Let the sandbox allow nothing until it has refused a call, and then for some seconds more.

    Return the seconds from the end of that to the full rate.
    """
    pace = {"per_api": f"{QPS}/s", "per_conversation": None}
    with _setting(code, lambda inside: [inside[:1]], pace) as setting:
        drop(setting.folders, count, SIZE)
        setting.wait_for(count // 5)
        setting.far.limit(qps=0)
        # Of uploads or of messages: where the uploads are refused first, there is soon no message to refuse.
        until(lambda: bool(setting.far.calls() - setting.far.granted()), LOOK)
        time.sleep(outage)
        setting.far.limit(qps=QPS)
        refused = time.monotonic()
        setting.wait_for(count)
        return setting.counters.full_again(SEND, QPS, refused)


def _wide(code: Code, count: int) -> float:
    """Return the billed calls for each message where every file goes to three conversations."""
    pace = {"per_api": None, "per_conversation": None}
    with _setting(code, lambda inside: [inside[:3]], pace) as setting:
        drop(setting.folders, count, SIZE)
        setting.wait_for(3 * count)
        granted = setting.counters.look()
        return (granted[UPLOAD] + granted[SEND]) / (3 * count)


def _count(scale: Scale) -> int:
    return scale.pick(120, 500)


def rounds(code: Code, scale: Scale) -> Rounds:
    """Let files wait under each kind of limit; nothing is prepared."""
    while True:
        yield {
            **_paced(code, _count(scale)),
            _TWO: _two(code, _count(scale) // 2),
            _AGAIN: _after_refusal(code, _count(scale)),
            _AGAIN_LATE: _after_refusal(code, _count(scale), OUTAGE),
            _WIDE: _wide(code, scale.pick(30, 100)),
        }


BENCHMARK: Final = Benchmark(
    lambda scale: f"{_count(scale)} files at {QPS} calls/s of each API, counted by the sandbox", rounds
)
