"""Rate limits: sliding windows, and what DingTalk's refusals teach. Pure; `now` is seconds."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

WINDOW_RESERVE: Final = 0.02
"""Seconds by which a window is taken longer than it is: requests do not all travel equally long."""
SPACING_RESERVE: Final = 0.028
"""The same for spaced slots. It is more, so that a slot taken some milliseconds late does not make the one
late that comes a window after it, and that one the next."""
CATCH_UP: Final = 0.25
"""How late a spaced slot may be taken, in periods, so that the next one does not wait the longer for it."""
HOLD: Final = 8.0
"""Periods after a refusal for which no more is sent than was let through."""
FULL_AGAIN: Final = 9.0
"""Periods after a refusal from which on the rate is full again."""
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
    """A rate learned from refusals: how many times fewer requests pass, and when the latest came."""

    slowdown: float = 1.0
    refused_at: float = LONG_AGO

    def share(self, now: float, period: float) -> float:
        """Return the share of the limit to use: what was let through, and soon all of it, as a new try."""
        calm = max(now - self.refused_at, 0.0) / max(period, 1.0)
        climbed = min(max((calm - HOLD) / (FULL_AGAIN - HOLD), 0.0), 1.0)
        let_through = 1.0 / self.slowdown
        return let_through + (1.0 - let_through) * climbed


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
        return max(self.free_since(now), now)

    def free_since(self, now: float) -> float:
        """Return since when, or from when on, one more keeps to the limit."""
        past = [slot for slot in self.slots if slot <= now]  # a clock set back must not hold all for years
        free, most = LONG_AGO, max(int(self._most(now)), 1)
        if self.limit.spaced and past:
            free = max(free, min(self.meant, past[-1]) + self._spacing(now))
        if len(past) >= most:
            free = max(free, past[-most] + self.limit.period + WINDOW_RESERVE)
        return free

    def taken(self, now: float) -> Pace:
        """Return the pace after one slot was taken."""
        free = self.meant + self._spacing(now)
        late = now - free
        meant = free if 0.0 <= late <= CATCH_UP * self.limit.period else now
        return replace(self, slots=(*self.slots, now)[-self.limit.count :], meant=meant)

    def throttled(self, now: float) -> Pace:
        """Learn from DingTalk's refusal: fewer fit into a window than it held just now."""
        if 0.0 <= now - self.lesson.refused_at < self.limit.period:
            return self  # those in flight together say the same thing
        let_through = sum(now - self.limit.period < slot <= now for slot in self.slots) - 1
        # A call that is refused all alone, such as the probe after a pause, says nothing of the rate: for a
        # while DingTalk refuses everything, or other programs use up the limit.
        if let_through < 1:
            return self
        return replace(self, lesson=Lesson(self.limit.count / let_through, now))

    def set_back(self, now: float) -> Pace:
        """Return the pace after the clock was set back: slots in the future were taken by another clock."""
        slots = tuple(slot for slot in self.slots if slot <= now)
        lesson = replace(self.lesson, refused_at=min(self.lesson.refused_at, now))
        return replace(self, slots=slots, meant=min(self.meant, now), lesson=lesson)

    def most_within(self, seconds: float, now: float) -> int:
        """Return how many fit into so many seconds at the present rate."""
        return int(self._most(now) * seconds / self.limit.period)

    def is_tight(self, now: float) -> bool:
        """Return whether the last window held more than half of what fits into one."""
        recent = sum(now - self.limit.period < slot <= now for slot in self.slots)
        return recent > self._most(now) / 2

    def _most(self, now: float) -> float:
        """Return how many fit into a window at the present rate."""
        # A hair more than the product: 20 / (20 / 9) are 9, not 8.999.
        return self.limit.count * self.lesson.share(now, self.limit.period) + 1e-9

    def _spacing(self, now: float) -> float:
        return (self.limit.period + SPACING_RESERVE) / self._most(now)
