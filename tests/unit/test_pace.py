from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dingwatch.pace import FULL_AGAIN, HOLD, Lesson, Limit, Pace

PER_SECOND = Limit(20, 1.0, spaced=True)


def late(most: float) -> st.SearchStrategy[list[float]]:
    """Return by how many seconds slots are taken late: the loop wakes up, writes, hands out."""
    return st.builds(
        lambda step, most: [most * (step * number % 97) / 97 for number in range(150)],
        st.integers(0, 96),
        st.floats(0.0, most),
    )


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


@given(late(0.3))
def test_no_window_holds_more_though_lost_time_is_made_up_for(delays: Sequence[float]) -> None:
    """What was taken late brings the next one forward, never more than fit into a window."""
    assert fewest(used(PER_SECOND, delays), PER_SECOND.count) >= PER_SECOND.period


@pytest.mark.parametrize(
    ("delay", "least"), [(0.0, 0.97), (0.002, 0.97), (0.008, 0.97), (0.02, 0.95), (0.05, 0.9)]
)
def test_slots_that_are_taken_late_cost_little(delay: float, least: float) -> None:
    """Up to 8 ms, as on a machine with little else to do, cost nothing."""
    slots = used(PER_SECOND, [delay * (37 * number % 97) / 97 for number in range(2000)])
    for first in range(0, 1800, 100):
        assert 200 / (slots[first + 200] - slots[first]) / 20 >= least


@given(late(0.02))
def test_at_least_95_percent_of_what_is_allowed_is_used(delays: Sequence[float]) -> None:
    """However a lateness of up to 20 ms is spread."""
    slots = used(PER_SECOND, delays)
    assert (len(slots) - 1) / (slots[-1] - slots[0]) >= 0.95 * 20


def test_a_pace_is_tight_when_half_of_a_window_is_used() -> None:
    """From then on it matters whether a request leaves some milliseconds late; after a rest it does not."""
    pace, tight = Pace(PER_SECOND), []
    for number in range(12):
        pace = pace.taken(1000.0 + number * 0.05)
        tight.append(pace.is_tight(1000.0 + number * 0.05))
    assert tight == [False] * 10 + [True] * 2
    assert not pace.is_tight(1001.2)


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


def steps(pace: Pace, began: float, until: float) -> Iterator[float]:
    """Yield when slots are taken, as soon as each is free."""
    now = began
    while (now := pace.next_slot(now)) < until:
        pace = pace.taken(now)
        yield now


def used(limit: Limit, late: Sequence[float]) -> list[float]:
    """Use a limit as fast as it goes, each slot so many seconds late; return when they were taken."""
    pace, now, slots = Pace(limit), 1000.0, list[float]()
    for delay in late:
        now = max(now, pace.next_slot(now) + delay)
        pace = pace.taken(now)
        slots.append(now)
    return slots


# --- What refusals teach ---------------------------------------------------------------------------


@dataclass
class Server:
    """Allows `count` in any second and refuses the rest, uncounted, as DingTalk does (KB:1433)."""

    count: int
    granted: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)

    def ask(self, now: float) -> bool:
        """Return whether a call is let through."""
        granted = sum(at > now - 1.0 for at in self.granted[-self.count :]) < self.count
        (self.granted if granted else self.refused).append(now)
        return granted


def use(server: Server, pace: Pace, began: float, until: float) -> Pace:
    """Ask as often as the pace allows; each refusal begins a pause of a second (API sheet 8)."""
    now = began
    while (now := pace.next_slot(now)) < until:
        pace = pace.taken(now)
        if not server.ask(now):
            pace = pace.throttled(now)
            now += 1.0
    return pace


def share(granted: Sequence[float], began: float, ended: float) -> float:
    """Return the share of 20 a second that was let through."""
    return sum(began <= at < ended for at in granted) / (ended - began) / 20


@pytest.mark.parametrize("outage", [0.1, 0.9, 1.5, 3.0, 10.0, 300.0])
def test_the_full_rate_is_back_within_ten_seconds(outage: float) -> None:
    """One refusal, or one after the other for as long as DingTalk refuses everything: the end is the same."""
    server = Server(20)
    pace = use(server, Pace(PER_SECOND), 1000.0, 1010.0)
    server.count = 0
    pace = use(server, pace, 1010.0, 1010.0 + outage)
    last = server.refused[-1]
    server.count = 20
    use(server, pace, last + 1.0, last + 60.0)
    assert server.refused[-1] == last
    assert share(server.granted, last + 1.0, last + 10.0) >= 0.85
    for second in range(10, 55):
        assert share(server.granted, last + second, last + second + 5.0) >= 0.97


@pytest.mark.parametrize("lower", [1, 5, 10, 15, 19])
@pytest.mark.parametrize("ended", [1051.0, 1054.0, 1057.0, 1060.0])
def test_the_full_rate_is_back_within_ten_seconds_of_a_lower_limit(lower: int, ended: float) -> None:
    """Another program used up a part of the limit for a minute, and ends."""
    server = Server(lower)
    pace = use(server, Pace(PER_SECOND), 1000.0, ended)
    server.count = 20
    use(server, pace, ended, ended + 30.0)
    assert share(server.granted, ended + 10.0, ended + 30.0) >= 0.97


@pytest.mark.parametrize("allowed", range(2, 20))
def test_a_lower_limit_is_learnt(allowed: int) -> None:
    """Where less is allowed than is configured, one try in eight seconds is refused, and most is used."""
    server = Server(allowed)
    use(server, Pace(PER_SECOND), 1000.0, 1300.0)
    assert len(server.refused) <= 300.0 / HOLD + 1
    assert len(server.granted) >= 0.78 * allowed * 300.0


def test_a_refusal_teaches_what_was_let_through() -> None:
    """Of 13 in the last second one was refused; so 12 fit into a second, until it is time for a new try."""
    pace = Pace(PER_SECOND)
    for number in range(13):
        pace = pace.taken(1000.0 + number / 20)
    pace = pace.throttled(1000.7)
    slots = list(steps(pace, 1001.0, 1000.7 + HOLD))
    assert fewest(slots, 12) >= 1.0
    assert 12 * 0.97 <= (len(slots) - 1) / (slots[-1] - slots[0]) <= 12


def test_a_refused_burst_is_followed_by_smaller_ones() -> None:
    """Of 20 messages in a minute the eleventh was refused: the next minutes see ten each."""
    pace = Pace(Limit(20, 60.0, spaced=False))
    for _ in range(11):
        pace = pace.taken(1000.0)
    slots = list(steps(pace.throttled(1000.0), 1061.0, 1180.0))
    assert [round(at - 1061.0) for at in slots] == [0] * 10 + [60] * 10


@given(
    st.lists(st.floats(0.0, 30.0), min_size=1, max_size=40), st.integers(1, 30), st.sampled_from([1.0, 60.0])
)
def test_whatever_was_learnt_is_forgotten_in_nine_periods(
    between: list[float], count: int, period: float
) -> None:
    """No refusal leaves anything behind, however many there were."""
    pace, now = Pace(Limit(count, period, spaced=True)), 1000.0
    for calm in between:
        now += calm
        pace = pace.taken(now).throttled(now)
        assert 1 / count <= pace.lesson.share(now, period) <= 1.0
    assert pace.lesson.share(now + FULL_AGAIN * period, period) == 1.0


def test_refusals_that_come_together_teach_once() -> None:
    """What was in flight together says the same thing."""
    pace = Pace(PER_SECOND)
    for number in range(8):
        pace = pace.taken(1000.0 + number / 20)
    once = pace.throttled(1000.4)
    assert once.lesson == Lesson(20 / 7, 1000.4)
    assert once.throttled(1000.9) is once


def test_a_call_that_is_refused_alone_teaches_nothing() -> None:
    """A probe that is refused shows an outage, and no rate that would be right."""
    pace = Pace(PER_SECOND).taken(1000.0)
    assert pace.throttled(1000.1) is pace


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
