from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dingwatch.pace import RESERVE, Lesson, Limit, Pace

PER_SECOND = Limit(20, 1.0, spaced=True)
LATE = st.builds(
    lambda step, most: [most * (step * number % 97) / 97 for number in range(150)],
    st.integers(0, 96),
    st.floats(0.0, 0.02),
)
"""By how many seconds slots are taken late: the loop wakes up, writes, hands out."""


@given(
    st.integers(1, 30),
    st.floats(0.5, 90.0),
    st.booleans(),
    st.lists(st.floats(0.0, 30.0), min_size=1, max_size=80),
)
def test_no_window_ever_holds_more_than_the_limit(
    count: int,
    period: float,
    spaced: bool,  # noqa: FBT001 (Hypothesis gives it)
    pauses: list[float],
) -> None:
    """At most N in any sliding window, whenever requests are asked for."""
    pace, now = Pace(Limit(count, period, spaced)), 1000.0
    slots: list[float] = []
    for pause in pauses:
        now = max(now + pause, pace.next_slot(now + pause))
        pace = pace.taken(now)
        slots.append(now)
    assert fewest(slots, count) >= period


@given(LATE)
def test_no_window_holds_more_though_lost_time_is_made_up_for(late: Sequence[float]) -> None:
    """What was taken late brings the next one forward, never more than fit into a window."""
    assert fewest(used(PER_SECOND, late), PER_SECOND.count) >= PER_SECOND.period


@given(LATE)
def test_at_least_95_percent_of_what_is_allowed_is_used(late: Sequence[float]) -> None:
    """Slots that are taken late cost nothing: the next is spaced from where this one was free."""
    slots = used(PER_SECOND, late)
    assert (len(slots) - 1) / (slots[-1] - slots[0]) >= 0.95 * 20


def test_a_rest_earns_no_burst() -> None:
    """Twenty a second means one each fiftieth of a second, also after hours without any."""
    pace = Pace(PER_SECOND)
    for start in (0.0, 3600.0):
        pace = pace.taken(pace.next_slot(start))
        assert pace.next_slot(start) == pytest.approx(start + 0.05, abs=0.005)


def test_a_minutes_limit_allows_a_burst() -> None:
    """Twenty a minute to a conversation may come at once; the next waits for the window."""
    pace = Pace(Limit(20, 60.0, spaced=False))
    for _ in range(20):
        assert pace.next_slot(5.0) == 5.0
        pace = pace.taken(5.0)
    assert pace.next_slot(5.0) == pytest.approx(65.0, abs=0.1)


def fewest(slots: Sequence[float], count: int) -> float:
    """Return the shortest time in which one more than `count` were taken; with float's last digits."""
    later = zip(slots, slots[count:], strict=False)
    return min((b - a for a, b in later), default=float("inf")) + 1e-6


def used(limit: Limit, late: Sequence[float]) -> list[float]:
    """Use a limit as fast as it goes, each slot so many seconds late; return when they were taken."""
    pace, now, slots = Pace(limit), 1000.0, list[float]()
    for delay in late:
        now = max(now, pace.next_slot(now) + delay)
        pace = pace.taken(now)
        slots.append(now)
    return slots


# --- What refusals teach ---------------------------------------------------------------------------


def test_a_throttle_answer_slows_down_and_is_forgotten() -> None:
    """DingTalk's refusal slows the pace at once, and calm brings it back."""
    pace = Pace(PER_SECOND).taken(0.0).throttled(0.0)
    assert pace.next_slot(0.0) > 0.05 + RESERVE / 20
    assert pace.next_slot(10_000.0) == 10_000.0


@given(st.lists(st.floats(0.0, 30.0), min_size=1, max_size=40))
def test_whatever_was_learnt_is_forgotten_within_minutes(between: list[float]) -> None:
    """A wrong lesson decays: at most ten times slower, and four minutes of calm end all of it."""
    pace, now = Pace(PER_SECOND), 1000.0
    for calm in between:
        now += calm
        pace = pace.throttled(now)
        assert 1.0 <= pace.lesson.at(now, PER_SECOND) <= 10.0
    assert pace.lesson.at(now + 240.0, PER_SECOND) == 1.0


def test_refusals_that_come_together_teach_once() -> None:
    """What was in flight together says the same thing; soon after, it weighs more."""
    once = Pace(PER_SECOND).throttled(0.0)
    assert once.throttled(0.5) is once
    assert once.throttled(1.5).lesson.slowdown > 1.4 * once.lesson.slowdown
    assert once.throttled(500.0).lesson == Lesson(once.lesson.slowdown, 500.0)


@dataclass
class Server:
    """Allows `count` in any second and refuses the rest, uncounted, as DingTalk does (KB:1433)."""

    count: int
    granted: deque[float] = field(default_factory=deque)
    asked: int = 0
    served: int = 0

    def ask(self, now: float) -> bool:
        """Return whether a call is let through."""
        while self.granted and self.granted[0] <= now - 1.0:
            self.granted.popleft()
        self.asked += 1
        if len(self.granted) >= self.count:
            return False
        self.granted.append(now)
        self.served += 1
        return True


@given(st.integers(4, 20))
def test_a_lower_limit_is_learnt(allowed: int) -> None:
    """A server that allows less than is configured refuses few calls, and most of what it allows is used."""
    server, pace, now = Server(allowed), Pace(PER_SECOND), 1000.0
    while now < 1300.0:
        now = pace.next_slot(now)
        pace = pace.taken(now)
        if not server.ask(now):
            pace = pace.throttled(now)
            now += 1.0  # the pause that every refusal begins (API sheet 8)
    assert server.asked - server.served <= 0.04 * server.asked
    assert server.served >= 0.8 * allowed * 300.0


def test_a_clock_set_back_holds_nothing_for_years() -> None:
    """Slots that lie in the future count for nothing."""
    pace = Pace(Limit(1, 1.0, spaced=True)).taken(1e9)
    assert pace.next_slot(1.0) == 1.0
    again = pace.taken(1.0)
    assert again.next_slot(1.0) == pytest.approx(2.0, abs=0.1)


def test_slots_of_the_future_are_dropped_when_the_clock_is_set_back() -> None:
    """They count neither now nor when the clock comes to that time again."""
    pace = Pace(Limit(2, 60.0, spaced=False)).taken(1000.0).taken(1001.0).throttled(1001.0).set_back(500.0)
    assert pace.slots == ()
    assert [pace.next_slot(now) for now in (500.0, 1002.0)] == [500.0, 1002.0]
    assert pace.lesson.refused_at == 500.0
