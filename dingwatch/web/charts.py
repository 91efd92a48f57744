"""The geometry of the two charts, as paths and positions of SVG. The style sheet has the colours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import ceil
from typing import Final

_HEIGHT: Final = 24
_TALLEST: Final = 22
_STEP: Final = 5
_LEAST: Final = 6
"""A folder with one file in a day does not get a bar as high as the row."""
_ROOM: Final = 1.08
"""How far the quota chart reaches above its highest point."""
_SHARE: Final = 0.84
"""The part of the chart's height above the days' labels."""
_LABELLED: Final = ((1, "a"), (10, "m"), (20, "m"))

Hours = Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True)
class Bars:
    """A day of a folder, an hour a bar: what was sent, and above it what failed."""

    sent_path: str
    failed_path: str
    sent: int
    failed: int


def draw_bars(hours: Hours) -> Bars:
    """Return the bars of some hours, each with how many files were sent and how many failed."""
    most = max((_LEAST, *(sent + failed for sent, failed in hours)))

    def draw(bounds: Callable[[Sequence[int]], tuple[int, int]]) -> str:
        parts = []
        for place, pair in enumerate(hours):
            low, high = (ceil(one / most * _TALLEST) for one in bounds(pair))
            if high > low:
                parts.append(f"M{place * _STEP + 2} {_HEIGHT - low}v{low - high}")
        return "".join(parts)

    sent, failed = (sum(pair[which] for pair in hours) for which in (0, 1))
    above = draw(lambda pair: (pair[0], pair[0] + pair[1])) if failed else ""
    return Bars(draw(lambda pair: (0, pair[0])) if sent else "", above, sent, failed)


@dataclass(frozen=True, slots=True)
class Label:
    """A text below the chart."""

    day: int
    x: str
    anchor: str


@dataclass(frozen=True, slots=True)
class QuotaChart:
    """The calls of a month: the sum up to today, from there to what is expected, and the limit."""

    area: str
    curve: str
    guess: str
    limit: str
    """The line of the limit; empty if there is none."""
    limit_label: str
    """The position of the limit's number."""
    labels: tuple[Label, ...]


def draw_quota(by_day: Sequence[int], days: int, limit: int | None, forecast: int) -> QuotaChart:
    """Return the chart of a month with so many days, of which `by_day` has those that have begun."""
    sums = list(accumulate(by_day)) or [0]
    top = max(limit or 0, forecast, sums[-1], 1) * _ROOM

    def x(day: int) -> str:
        return f"{(day - 1) / max(days - 1, 1) * 100:.1f}"

    def y(calls: float) -> str:
        return f"{100 - calls / top * 100:.1f}"

    points = [f"{x(day)} {y(calls)}" for day, calls in enumerate(sums, start=1)]
    curve = "L".join(points)
    last = points[-1].split(" ")[0]
    height = 0.0 if limit is None else float(y(limit))
    return QuotaChart(
        area=f"M0 100L{curve}L{last} 100z",
        curve=f"M{curve}",
        guess=f"M{points[-1]}L100 {y(forecast)}",
        limit="" if limit is None else f"M0 {y(limit)}H100",
        limit_label=f"{height * _SHARE - 3:.1f}%",
        labels=(*(Label(day, f"{x(day)}%", anchor) for day, anchor in _LABELLED), Label(days, "100%", "z")),
    )
