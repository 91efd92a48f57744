from hypothesis import given
from hypothesis import strategies as st

from dingwatch.model import Fingerprint
from dingwatch.settle import (
    CEILING,
    EMPTY_WAIT,
    LOCK_AGES,
    LOCK_HOLDS,
    LONGEST_QUIET,
    LONGEST_WAIT,
    RESTLESS,
    TEMPORARY_QUIET,
    Candidate,
    due,
    hint,
    is_past_ceiling,
    is_restless,
    is_settled,
    lock_names,
    locks_since,
    look,
    odd_changes,
    postpone,
    quiet_for,
    quiet_of,
)

FULL = Fingerprint(size=5, mtime_ns=1, ctime_ns=1, inode=7, device=1)
QUIET = 2.0


def hinted(at: float) -> Candidate:
    """Return a candidate with a hint at this instant."""
    return hint(None, at, QUIET)


def seen(at: float, fingerprint: Fingerprint = FULL) -> Candidate:
    """Return a candidate that was hinted at and looked at."""
    return look(hinted(at), fingerprint, asked=at, now=at)


def test_a_hinted_path_is_looked_at_once() -> None:
    """The first step of a candidate is a look."""
    assert due(hinted(10.0)) <= 10.0


def test_after_the_first_look_it_waits_for_the_quiet_period() -> None:
    """Nothing is due before the quiet period has passed since the hint."""
    assert due(seen(10.0)) == 12.0


def test_a_first_look_that_came_late_begins_the_quiet_period() -> None:
    """Where looks take long, what was seen once has rested no longer than since it was seen."""
    late = look(hinted(10.0), FULL, asked=10.0, now=30.0)
    assert due(late) == 32.0
    assert not is_settled(late, FULL, asked=31.9)


def test_the_same_fingerprint_after_the_quiet_period_settles() -> None:
    """Two looks that saw the same, a quiet period apart, complete the file."""
    assert due(seen(10.0)) <= 12.0
    assert is_settled(seen(10.0), FULL, asked=12.0)


def test_a_look_that_was_asked_for_too_early_settles_nothing() -> None:
    """A look from before the quiet period's end proves nothing."""
    assert not is_settled(seen(10.0), FULL, asked=11.9)


def test_every_hint_starts_the_quiet_period_again() -> None:
    """An event resets the timer, and what was seen before it is out of date."""
    again = hint(seen(10.0), 11.0, QUIET)
    assert due(again) <= 11.0
    assert not is_settled(again, FULL, asked=12.5)


def test_a_look_older_than_the_last_event_is_dropped() -> None:
    """What was seen before something happened does not count as seen after it."""
    again = hint(seen(10.0), 11.0, QUIET)
    assert look(again, FULL, asked=10.9, now=11.1).seen is None


def test_a_changed_fingerprint_starts_the_quiet_period_again() -> None:
    """A writer that makes no events is caught by the second look."""
    grown = FULL._replace(size=6)
    changed = look(seen(10.0), grown, asked=12.0, now=12.0)
    assert due(changed) == 14.0
    assert not is_settled(seen(10.0), grown, asked=12.0)


def test_any_field_of_the_fingerprint_counts() -> None:
    """A file replaced by one of the same size and mtime has not settled."""
    assert not is_settled(seen(10.0), FULL._replace(inode=8), asked=12.0)
    assert not is_settled(seen(10.0), FULL._replace(ctime_ns=2), asked=12.0)


def test_where_inodes_and_ctimes_prove_nothing_size_and_mtime_decide() -> None:
    """A FUSE server that numbers its files at every look does not keep a file from settling."""
    renumbered = FULL._replace(inode=8, ctime_ns=2, device=3)
    assert is_settled(seen(10.0), renumbered, asked=12.0, steady=False)
    assert due(look(seen(10.0), renumbered, asked=11.0, now=11.0, steady=False)) == 12.0
    assert not is_settled(seen(10.0), renumbered._replace(mtime_ns=2), asked=12.0, steady=False)
    assert not is_settled(seen(10.0), renumbered._replace(size=6), asked=12.0, steady=False)


def test_changes_that_leave_size_and_mtime_are_named() -> None:
    """They keep a file from settling, and people would look for them in vain."""
    assert odd_changes(FULL, FULL._replace(inode=8, ctime_ns=2)) == ("inode", "ctime")
    assert odd_changes(FULL, FULL._replace(device=2)) == ("device",)
    assert odd_changes(FULL, FULL) == ()
    assert odd_changes(FULL, FULL._replace(ctime_ns=2, mtime_ns=2)) == ()
    assert odd_changes(FULL, FULL._replace(ctime_ns=2, size=6)) == ()
    assert not is_restless(seen(10.0), 10.0 + RESTLESS - 0.1)
    assert is_restless(hint(seen(10.0), 60.0, QUIET), 10.0 + RESTLESS)


def test_an_empty_file_waits_ten_minutes() -> None:
    """A file of no size is most likely about to be filled."""
    empty = FULL._replace(size=0)
    assert not is_settled(seen(10.0, empty), empty, asked=300.0)
    assert is_settled(seen(10.0, empty), empty, asked=10.0 + EMPTY_WAIT)


def test_an_empty_file_is_looked_at_meanwhile() -> None:
    """No event may tell that it was filled: looks come ever more seldom, the last after ten minutes."""
    empty = FULL._replace(size=0)
    candidate, looks = seen(10.0, empty), []
    while not is_settled(candidate, empty, asked=(now := due(candidate))):
        looks.append(now - 10.0)
        candidate = look(candidate, empty, now, now)
    assert looks[:4] == [2.0, 4.0, 6.0, 8.0]
    assert len(looks) < 50
    assert now == 10.0 + EMPTY_WAIT


def test_frequent_versions_of_one_path_need_longer_quiet() -> None:
    """The n-th version within an hour needs settle x 2^(n-1), at most five minutes."""
    assert [quiet_for(2.0, recent) for recent in range(4)] == [2.0, 4.0, 8.0, 16.0]
    assert quiet_for(2.0, 60) == LONGEST_QUIET


def test_a_long_settle_is_never_shortened() -> None:
    """A folder's own quiet period above the bound stays as it is."""
    assert quiet_for(900.0, 3) == 900.0


def test_a_held_file_is_looked_at_ever_more_seldom() -> None:
    """After a quiet period at first, then after a quarter of its age, and at least once a minute."""
    assert due(postpone(seen(10.0), 12.0)) == 12.0 + QUIET
    assert due(postpone(seen(10.0), 50.0)) == 60.0
    assert due(postpone(seen(10.0), 7000.0)) == 7000.0 + LONGEST_WAIT


def test_a_happening_ends_the_wait_of_a_held_file() -> None:
    """When the writer closes it, the kernel says so, and only the quiet period is left."""
    again = hint(postpone(seen(10.0), 7000.0), 7001.0, QUIET)
    assert due(again) <= 7001.0
    assert due(look(again, FULL, asked=7001.0, now=7001.0)) == 7003.0


def test_the_locks_of_every_editor_are_known() -> None:
    """Office and WPS take characters, not bytes, from the front of a name."""
    assert set(lock_names("合同.docx".encode())) == {
        name.encode()
        for name in (
            "~$合同.docx",
            "~$同.docx",
            "~$.docx",
            ".~lock.合同.docx#",
            ".~合同.docx",
        )
    }
    assert b"~$\xc4\xe3.doc" in lock_names(b"\xc4\xe3.doc")


def test_a_lock_holds_half_an_hour_after_the_last_change() -> None:
    """Then it holds nothing, and one older than a day holds nothing at any time."""
    assert locks_since(seen(10.0), 10.0 + LOCK_HOLDS, wall=1e9) == 1e9 - LOCK_AGES
    assert locks_since(seen(10.0), 10.1 + LOCK_HOLDS, wall=1e9) is None


def test_a_file_that_never_rests_is_told_after_a_day() -> None:
    """Its age counts from when it was first hinted at, whatever happened to it since."""
    again = hint(seen(10.0), 5000.0, QUIET)
    assert not is_past_ceiling(again, CEILING)
    assert is_past_ceiling(again, CEILING + 10.0)


@given(st.lists(st.tuples(st.floats(0.01, 5.0), st.integers(0, 3)), min_size=1, max_size=30))
def test_nothing_settles_within_the_quiet_period_of_a_change(history: list[tuple[float, int]]) -> None:
    """Whatever is seen and when: at a settling, the last quiet period saw one and the same state."""
    now, candidate = 0.0, hinted(0.0)
    seen_at: list[tuple[float, int]] = []
    for pause, size in history:
        now += pause
        fingerprint = FULL._replace(size=size + 1)
        if is_settled(candidate, fingerprint, asked=now):
            recent = {s for at, s in seen_at if at >= now - QUIET}
            before = [s for at, s in seen_at if at < now - QUIET]
            assert recent <= {size}
            assert before or recent
            return
        candidate = look(candidate, fingerprint, asked=now, now=now)
        seen_at.append((now, size))


def test_excels_temporary_names_need_a_minute() -> None:
    """Eight hex digits in either case and no extension, anywhere in the folder."""
    for name in (b"A1B2C3D0", b"0f9e8d7c", "财务/12345678".encode(), b"a\nb/DEADBEEF"):
        assert quiet_of(name, QUIET) == TEMPORARY_QUIET
    assert quiet_of(b"A1B2C3D0", 120.0) == 120.0
    for name in (b"A1B2C3D0.xlsx", b"A1B2C3D", b"A1B2C3D01", b"A1B2C3G0", b"A1B2C3D0/a.pdf", b"A1B2C3D0\n"):
        assert quiet_of(name, QUIET) == QUIET
