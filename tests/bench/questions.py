"""`status`, `history` and `why` on a ledger with a long past, beyond what they take on a small one."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Final

from tests.bench import long_past
from tests.bench.benchmark import Benchmark, Figures, Measure, Rounds, Scale
from tests.bench.code import Code
from tests.bench.long_past import FEW, LongPast, many
from tests.bench.process import elapsed, settle
from tests.bench.world import ask, daemon
from tests.bench.world import far as other_end

COMMANDS: Final = ("status", "history", "why")


def _ask_in_turn(
    code: Code, pasts: tuple[LongPast, LongPast], times: int, *, running: bool
) -> Iterator[tuple[str, float, float]]:
    """Yield the seconds of each command on both ledgers, several times."""
    with other_end() as other, ExitStack() as stack:
        configs = [past.configured(other.url) for past in pasts]
        if running:
            for config in configs:
                settle(stack.enter_context(daemon(code, config)))
        for _ in range(times):
            for name in COMMANDS:
                few, most = (
                    elapsed(code.dingwatch(*past.question(name), "-c", str(config)), code.tree)
                    for past, config in zip(pasts, configs, strict=True)
                )
                yield name, few, most


def _compare(code: Code, pasts: tuple[LongPast, LongPast], times: int, *, running: bool) -> Figures:
    service = "service running" if running else "service stopped"
    took = list(_ask_in_turn(code, pasts, times, running=running))
    figures: dict[Measure, float] = {}
    for name in COMMANDS:
        pairs = [(few, most) for command, few, most in took if command == name]
        figures[Measure(f"{name}, {service}: s", 2)] = median(most for _, most in pairs)
        beyond = Measure(f"{name}, {service}: s beyond {FEW:,} rows", 2, most=0.3)
        figures[beyond] = median(most - few for few, most in pairs)
    return figures


def _require_answers(code: Code, past: LongPast) -> None:
    """Fail if a command does not see the past."""
    config = past.configured("http://127.0.0.1:9")
    sent = f'"sent": {past.deliveries}'
    expected = {"status": sent, "history": '"sent"', "why": past.some_path.name}
    for name, text in expected.items():
        if text not in ask(code, config, *past.question(name)):
            raise RuntimeError(f"`dingwatch {name}` does not see the past")


def rounds(code: Code, scale: Scale) -> Rounds:
    """Write both pasts; then ask them in turn in every round, with the service running and without."""
    times = scale.pick(3, 7)
    with tempfile.TemporaryDirectory() as made:
        few, most = (long_past.make(code, Path(made) / str(rows), rows) for rows in (FEW, many(scale)))
        _require_answers(code, most)
        while True:
            yield {
                **_compare(code, (few, most), times, running=True),
                **_compare(code, (few, most), times, running=False),
            }


BENCHMARK: Final = Benchmark(lambda scale: f"Questions to a ledger of {many(scale):,} rows", rounds)
