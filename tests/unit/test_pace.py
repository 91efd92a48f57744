import pytest
from hypothesis import given
from hypothesis import strategies as st

from dingwatch.pace import Limit, Pace


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
    for index, slot in enumerate(slots):
        if index >= count:
            assert slot - slots[index - count] >= period * 0.999999


def test_a_spaced_limit_is_used_in_full() -> None:
    """Twenty a second means one each fiftieth of a second, not a burst and a second of waiting."""
    pace, now = Pace(Limit(20, 1.0, spaced=True)), 0.0
    for _ in range(100):
        now = pace.next_slot(now)
        pace = pace.taken(now)
    assert now == pytest.approx(99 / 20)


def test_a_throttle_answer_slows_down_and_is_forgotten() -> None:
    """DingTalk's refusal slows the pace at once, and calm brings it back."""
    pace = Pace(Limit(20, 1.0, spaced=True)).taken(0.0).throttled(0.0)
    assert pace.next_slot(0.0) > 0.05
    assert pace.next_slot(10_000.0) == 10_000.0


def test_a_clock_set_back_holds_nothing_for_years() -> None:
    """Slots that lie in the future count for nothing."""
    pace = Pace(Limit(1, 1.0, spaced=True)).taken(1e9)
    assert pace.next_slot(1.0) == 1.0
