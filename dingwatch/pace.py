"""Rate limits: sliding windows, and what DingTalk's refusals teach. Pure; `now` is seconds."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

RESERVE: Final = 0.03
"""Seconds by which a window is taken longer than it is: requests do not all travel equally long."""
CATCH_UP: Final = 0.25
"""How late a spaced slot may be taken, in periods, so that the next one does not wait the longer for it."""
FIRST_STEP: Final = 1.1
NEXT_STEP: Final = 1.5
"""How much slower after a refusal: little at first, more when it is soon refused again."""
SOON: Final = 3.0
"""Periods without a refusal, after which the next is a first one again."""
STEP_BACK: Final = 0.9
CALM: Final = 10.0
"""What is left of a slowdown after so many periods without a refusal."""
SLOWEST: Final = 10.0
LONG_AGO: Final = float("-inf")
"""An instant before all others: it has never happened."""


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `count` in any `period` seconds; `spaced` evenly, else in bursts."""

    count: int
    period: float
    spaced: bool


@dataclass(frozen=True, slots=True)
class Lesson:
    """A learned rate: how many times slower, and when the last was; calm makes it forgotten."""

    slowdown: float = 1.0
    refused_at: float = LONG_AGO

    def at(self, now: float, limit: Limit) -> float:
        """Return how many times slower it still is: a tenth less with every ten periods of calm."""
        calm = max(now - self.refused_at, 0.0) / max(limit.period, 1.0)
        return max(1.0, self.slowdown * float(STEP_BACK ** (calm / CALM)))


@dataclass(frozen=True, slots=True)
class Pace:
    """How one limit has been used: the latest slots, oldest first, and what was learnt.

    Slots are the instants at which they were taken, and only these decide what fits into a window.
    `meant` is when the last one was free: the next is spaced from there, or what is lost between a slot
    and its taking would be lost for good.
    """

    limit: Limit
    slots: tuple[float, ...] = ()
    meant: float = LONG_AGO
    lesson: Lesson = field(default=Lesson())

    def next_slot(self, now: float) -> float:
        """Return the earliest instant at which one more keeps to the limit."""
        window, free = self._window(now), now
        past = [slot for slot in self.slots if slot <= now]  # a clock set back must not hold all for years
        if self.limit.spaced and past:
            free = max(free, min(self.meant, past[-1]) + window / self.limit.count)
        if len(past) >= self.limit.count:
            free = max(free, past[-self.limit.count] + window)
        return free

    def taken(self, now: float) -> Pace:
        """Return the pace after one slot was taken."""
        free = self.meant + self._window(now) / self.limit.count
        late = now - free
        meant = free if 0.0 <= late <= CATCH_UP * self.limit.period else now
        return replace(self, slots=(*self.slots, now)[-self.limit.count :], meant=meant)

    def set_back(self, now: float) -> Pace:
        """Return the pace after the clock was set back: slots in the future were taken by another clock."""
        slots = tuple(slot for slot in self.slots if slot <= now)
        lesson = replace(self.lesson, refused_at=min(self.lesson.refused_at, now))
        return replace(self, slots=slots, meant=min(self.meant, now), lesson=lesson)

    def most_within(self, seconds: float, now: float) -> int:
        """Return how many fit into so many seconds at the present rate."""
        # A hair more than the quotient: 120 s of 20 in 60 s are 40, not 39.999.
        return int(self.limit.count * seconds / (self.limit.period * self.lesson.at(now, self.limit)) + 1e-9)

    def _window(self, now: float) -> float:
        return self.lesson.at(now, self.limit) * self.limit.period + RESERVE

    def throttled(self, now: float) -> Pace:
        """Learn from DingTalk's refusal: slow down, and come back within minutes."""
        calm = now - self.lesson.refused_at
        if 0.0 <= calm < self.limit.period:
            return self  # one refusal per window: those in flight together say the same thing
        step = NEXT_STEP if 0.0 <= calm < SOON * self.limit.period else FIRST_STEP
        slowdown = min(self.lesson.at(now, self.limit) * step, SLOWEST)
        return replace(self, lesson=Lesson(slowdown, now))
