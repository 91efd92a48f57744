from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from dingwatch.model import Fingerprint
from dingwatch.settle import (
    EMPTY_WAIT,
    LONGEST_QUIET,
    Candidate,
    Look,
    Wait,
    look,
    notice,
    quiet_for,
    settled,
    step,
)

FULL = Fingerprint(size=5, mtime_ns=1, ctime_ns=1, inode=7, device=1)
QUIET = 2.0


def noticed(at: float) -> Candidate:
    """Return a candidate noticed at this instant."""
    return notice(None, at, QUIET)


def seen(at: float, fingerprint: Fingerprint = FULL) -> Candidate:
    """Return a candidate that was noticed and looked at."""
    return look(noticed(at), fingerprint, asked=at, now=at)


def test_a_noticed_path_is_looked_at_once() -> None:
    """The first step of a candidate is a look."""
    assert step(noticed(10.0), 10.0) == Look()


def test_after_the_first_look_it_waits_for_the_quiet_period() -> None:
    """Nothing is due before the quiet period has passed since the notice."""
    assert step(seen(10.0), 10.1) == Wait(12.0)


def test_the_same_fingerprint_after_the_quiet_period_settles() -> None:
    """Two looks that saw the same, a quiet period apart, complete the file."""
    assert step(seen(10.0), 12.0) == Look()
    assert settled(seen(10.0), FULL, asked=12.0)


def test_a_look_that_was_asked_for_too_early_settles_nothing() -> None:
    """A look from before the quiet period's end proves nothing."""
    assert not settled(seen(10.0), FULL, asked=11.9)


def test_every_notice_starts_the_quiet_period_again() -> None:
    """An event resets the timer, and what was seen before it is out of date."""
    again = notice(seen(10.0), 11.0, QUIET)
    assert step(again, 11.0) == Look()
    assert not settled(again, FULL, asked=12.5)


def test_a_look_older_than_the_last_event_is_dropped() -> None:
    """What was seen before something happened does not count as seen after it."""
    again = notice(seen(10.0), 11.0, QUIET)
    assert look(again, FULL, asked=10.9, now=11.1).seen is None


def test_a_changed_fingerprint_starts_the_quiet_period_again() -> None:
    """A writer that makes no events is caught by the second look."""
    grown = replace(FULL, size=6)
    changed = look(seen(10.0), grown, asked=12.0, now=12.0)
    assert step(changed, 12.0) == Wait(14.0)
    assert not settled(seen(10.0), grown, asked=12.0)


def test_any_field_of_the_fingerprint_counts() -> None:
    """A file replaced by one of the same size and mtime has not settled."""
    assert not settled(seen(10.0), replace(FULL, inode=8), asked=12.0)
    assert not settled(seen(10.0), replace(FULL, ctime_ns=2), asked=12.0)


def test_an_empty_file_waits_ten_minutes() -> None:
    """A file of no size is most likely about to be filled."""
    empty = replace(FULL, size=0)
    assert step(seen(10.0, empty), 13.0) == Wait(10.0 + EMPTY_WAIT)
    assert not settled(seen(10.0, empty), empty, asked=300.0)
    assert settled(seen(10.0, empty), empty, asked=10.0 + EMPTY_WAIT)


def test_frequent_versions_of_one_path_need_longer_quiet() -> None:
    """The n-th version within an hour needs settle x 2^(n-1), at most five minutes."""
    assert [quiet_for(2.0, recent) for recent in range(4)] == [2.0, 4.0, 8.0, 16.0]
    assert quiet_for(2.0, 60) == LONGEST_QUIET


def test_a_long_settle_is_never_shortened() -> None:
    """A folder's own quiet period above the bound stays as it is."""
    assert quiet_for(900.0, 3) == 900.0


@given(st.lists(st.tuples(st.floats(0.01, 5.0), st.integers(0, 3)), min_size=1, max_size=30))
def test_nothing_settles_within_the_quiet_period_of_a_change(history: list[tuple[float, int]]) -> None:
    """Whatever is seen and when: at a settling, the last quiet period saw one and the same state."""
    now, candidate = 0.0, noticed(0.0)
    seen_at: list[tuple[float, int]] = []
    for pause, size in history:
        now += pause
        fingerprint = replace(FULL, size=size + 1)
        if settled(candidate, fingerprint, asked=now):
            recent = {s for at, s in seen_at if at >= now - QUIET}
            before = [s for at, s in seen_at if at < now - QUIET]
            assert recent <= {size}
            assert before or recent
            return
        candidate = look(candidate, fingerprint, asked=now, now=now)
        seen_at.append((now, size))
