"""What a benchmark is, how its rounds are run, and how its figures are shown."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from enum import Enum
from statistics import median
from typing import Final, TypeVar

import click

from tests.bench.code import Code
from tests.bench.table import show

T = TypeVar("T")
NOTHING: Final = "–"
FLAT: Final = 15.0
"""MB by which memory may grow where the goal is that it does not grow with the number of files."""


class Scale(Enum):
    """How much is measured."""

    QUICK = "quick"
    """Small numbers: shows that a benchmark works, and says nothing about the goals."""
    NORMAL = "normal"
    LARGE = "large"

    def pick(self, quick: T, normal: T, large: T | None = None) -> T:
        """Return the value for this scale; without a large one, that of a normal run."""
        match self:
            case Scale.QUICK:
                return quick
            case Scale.LARGE if large is not None:
                return large
        return normal


@dataclass(frozen=True, slots=True)
class Measure:
    """One row of a table: its name with the unit, and the goal, if it has one."""

    name: str
    digits: int = 2
    most: float | None = None
    """The goal: at most this."""
    least: float | None = None
    """The goal: at least this."""

    @property
    def goal(self) -> str:
        """The goal in words; a dash without one."""
        if self.most == self.least and self.most is not None:
            return f"{self.most:,g}"
        if self.most is not None:
            return f"≤ {self.most:,g}"
        return f"≥ {self.least:,g}" if self.least is not None else NOTHING

    def judge(self, value: float) -> str:
        """Return whether a value meets the goal, as precisely as it is shown."""
        if self.most is None and self.least is None:
            return NOTHING
        seen = round(value, self.digits)
        met = (self.most is None or seen <= self.most) and (self.least is None or seen >= self.least)
        return "met" if met else "missed"

    def render(self, value: float) -> str:
        """Return a value as it is shown; infinity is what did not happen before the benchmark gave up."""
        return "never" if math.isinf(value) else f"{value:,.{self.digits}f}"


Figures = Mapping[Measure, float]
"""What one round measured."""
Rounds = Generator[Figures, None, None]
"""Prepares at its first round, then measures one round each time, and cleans up when it is closed.

Nothing of it may run between rounds: with `compare`, the other code is measured then.
"""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A table: its title, and the rounds that fill it."""

    title: Callable[[Scale], str]
    rounds: Callable[[Code, Scale], Rounds]
    times: int = 3
    """Rounds of a run that is not quick."""


def run(
    name: str, benchmark: Benchmark, codes: Sequence[Code], scale: Scale, times: int | None
) -> list[list[Figures]]:
    """Run a benchmark's rounds with each code in turn, and return them by code.

    The order changes with every round, so that what warms up or wears down favours neither.
    """
    count = times or scale.pick(1, benchmark.times)
    done: dict[str, list[Figures]] = {code.commit: [] for code in codes}
    with ExitStack() as stack:
        running = [(code, stack.enter_context(closing(benchmark.rounds(code, scale)))) for code in codes]
        for number in range(count):
            for code, rounds in running if number % 2 == 0 else reversed(running):
                click.echo(f"{name}: round {number + 1} of {count}, {code.commit}", err=True)
                done[code.commit].append(next(rounds))
    return list(done.values())


def show_figures(title: str, rounds: Sequence[Figures], scale: Scale) -> None:
    """Print the medians of one code beside the goals."""
    rows = [
        (
            measure.name,
            measure.render(_median(rounds, measure)),
            _spread(rounds, measure),
            measure.goal,
            NOTHING if scale is Scale.QUICK else measure.judge(_median(rounds, measure)),
        )
        for measure in rounds[0]
    ]
    show(_headline(title, rounds), ("measure", "median", "from – to", "goal", "result"), *rows)


def show_comparison(title: str, codes: Sequence[Code], both: Sequence[Sequence[Figures]]) -> None:
    """Print the medians of two codes, and the first as a multiple of the second."""
    here, there = both
    rows = [
        (
            measure.name,
            measure.render(_median(here, measure)),
            _spread(here, measure),
            measure.render(_median(there, measure)),
            _spread(there, measure),
            _ratio(_median(here, measure), _median(there, measure)),
            measure.goal,
        )
        for measure in here[0]
        if measure in there[0]
    ]
    names = [code.commit for code in codes]
    heading = ("measure", names[0], "from – to", names[1], "from – to", "ratio", "goal")
    show(_headline(title, here), heading, *rows)


def _headline(title: str, rounds: Sequence[Figures]) -> str:
    times = "1 round" if len(rounds) == 1 else f"medians of {len(rounds)} rounds"
    return f"{title} ({times}; load average at the end {os.getloadavg()[0]:.1f})"


def _values(rounds: Sequence[Figures], measure: Measure) -> list[float]:
    return [figures[measure] for figures in rounds]


def _median(rounds: Sequence[Figures], measure: Measure) -> float:
    return median(_values(rounds, measure))


def _spread(rounds: Sequence[Figures], measure: Measure) -> str:
    values = _values(rounds, measure)
    if len(values) == 1:
        return NOTHING
    return f"{measure.render(min(values))} – {measure.render(max(values))}"


def _ratio(here: float, there: float) -> str:
    """Return a multiple; a dash where it would say nothing: of zero, of a difference that is below it."""
    sound = here >= 0 and there > 0 and math.isfinite(here + there)
    return f"{here / there:.2f}" if sound else NOTHING
