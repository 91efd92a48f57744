"""How long a fuzzer runs: a few examples each time, and as many as a minute takes in a sweep."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy

SECONDS: Final = float(os.environ.get("FUZZ_SECONDS", "60"))
"""For each of the fuzzers, in a sweep."""
HANGS: Final = 60
"""Seconds after which one example is taken to hang; it needs some milliseconds."""
FEW: Final = 25
ROUND: Final = 100


@contextmanager
def ends() -> Iterator[None]:
    """Fail what hangs. It is no stopwatch: the limit is far beyond what a slow machine needs."""

    def hangs(_number: int, _frame: FrameType | None) -> None:
        raise AssertionError(f"not done after {HANGS} seconds")

    before = signal.signal(signal.SIGALRM, hangs)
    signal.alarm(HANGS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def a_few(
    check: Callable[[Any], object],
    examples: SearchStrategy[Any],
    number: int = FEW,
    *,
    shrinks: bool = True,
) -> None:
    """Check some examples; on failure Hypothesis prints the smallest that it found.

    `shrinks` is for what starts anew with each example: where the first failure lasts, none is smaller.
    """

    def one(example: Any) -> None:  # noqa: ANN401 (of any strategy)
        with ends():
            check(example)

    quiet = list(HealthCheck)
    phases = (Phase.generate, Phase.shrink) if shrinks else (Phase.generate,)
    run = settings(
        max_examples=number,
        phases=phases,
        deadline=None,
        database=None,
        derandomize=False,
        suppress_health_check=quiet,
    )(given(examples)(one))
    run()


def for_a_while(check: Callable[[Any], object], examples: SearchStrategy[Any], share: int = 1) -> None:
    """Check new examples, round after round, for one of so many shares of a minute."""
    until = time.monotonic() + SECONDS / share
    while time.monotonic() < until:
        a_few(check, examples, ROUND)
