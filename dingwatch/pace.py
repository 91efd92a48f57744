"""How often DingTalk may be asked: sliding windows, and what its refusals teach. Pure; `now` is seconds."""

from __future__ import annotations

from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `count` in any `period` seconds; `spaced` evenly, else in bursts."""

    count: int
    period: float
    spaced: bool


@dataclass(frozen=True, slots=True)
class Pace:
    """How one limit has been used: the latest slots, oldest first, and how much it was slowed down."""

    limit: Limit
    slots: tuple[float, ...] = ()
    slowdown: float = 1.0
    throttled_at: float = field(default=float("-inf"))

    def next_slot(self, now: float) -> float:
        """Return the earliest instant at which one more keeps to the limit."""
        slowdown = self._slowdown(now)
        free = now
        past = [slot for slot in self.slots if slot <= now]  # a clock set back must not hold all for years
        if self.limit.spaced and past:
            free = max(free, past[-1] + slowdown * self.limit.period / self.limit.count)
        if len(past) >= self.limit.count:
            free = max(free, past[-self.limit.count] + slowdown * self.limit.period)
        return free

    def taken(self, now: float) -> Pace:
        """Return the pace after one slot was taken."""
        return replace(
            self, slots=(*self.slots[1 - self.limit.count :], now) if self.limit.count > 1 else (now,)
        )

    def throttled(self, now: float) -> Pace:
        """Learn from DingTalk's refusal: slow down by a half, and come back within minutes."""
        if now - self.throttled_at < self.limit.period:
            return self  # one refusal per window: those in flight together say the same thing
        return replace(self, slowdown=min(self._slowdown(now) * 1.5, 10.0), throttled_at=now)

    def _slowdown(self, now: float) -> float:
        calm = max(now - self.throttled_at, 0.0)
        return max(1.0, self.slowdown * float(0.9 ** (calm / max(self.limit.period, 1.0) / 10)))
