from dataclasses import replace

import pytest

from dingwatch import novelty
from dingwatch.lifecycle import State
from dingwatch.model import (
    Fingerprint,
)
from dingwatch.novelty import Comparison, Known, Moved, New, Read, Returned, Touched, Unchanged

NOW = Fingerprint(size=5, mtime_ns=50, ctime_ns=1, inode=7, device=1)


def known(states: set[State], **changes: object) -> Known:
    """Return a known version in these states."""
    base = Known(1, b"a", 5, 50, 7, "d", baseline=False, states=frozenset(states), noticed_at=0.0)
    return replace(base, **changes)  # type: ignore[arg-type]


def decide(
    here: list[Known], digest: str | None = None, movable: list[Known] | None = None, on_change: str = "send"
) -> novelty.Novelty:
    """Decide what the file of `NOW` is."""
    return novelty.classify(NOW, digest, here, movable or [], Comparison(on_change))


def test_a_path_never_seen_is_read_and_then_new() -> None:
    """What nobody knows needs its digest, and is a new version."""
    assert decide([]) == Read()
    assert decide([], "d") == New()


def test_size_and_mtime_make_a_version_known_without_reading() -> None:
    """A sent or failed version stays as it is while path, size and mtime are the same."""
    for states in ({State.SENT}, {State.FAILED}, {State.SKIPPED}, {State.PENDING}, {State.UNCERTAIN}):
        assert decide([known(states)]) == Unchanged(1)
    assert decide([known(set(), baseline=True, digest=None)]) == Unchanged(1)


def test_what_was_gone_and_is_there_again_is_work_again() -> None:
    """`gone` makes nothing known."""
    assert decide([known({State.GONE})]) == Returned(1)


def test_what_moved_to_the_path_of_what_was_gone_is_not_sent_again() -> None:
    """It was sent under another name, and has only come back to its first one."""
    sent = known({State.SENT}, id=2, path=b"b")
    assert decide([known({State.GONE})], "d", movable=[sent]) == Moved(2)
    assert decide([known({State.SENT}, id=2), known({State.GONE}, id=3)]) == Unchanged(2)


def test_a_touched_file_is_not_sent_again() -> None:
    """The digest of the newest version that was sent, under a new mtime, is no new version."""
    assert decide([known({State.SENT}, mtime_ns=40)], "d") == Touched(1)


def test_the_content_of_an_older_version_is_sent_again() -> None:
    """A return to an earlier content is a change like any other."""
    old = known({State.SENT}, mtime_ns=30)
    newer = known({State.SENT}, id=2, mtime_ns=40, digest="e")
    assert decide([old, newer], "d") == New()


def test_a_restored_file_is_known_by_its_old_size_and_mtime() -> None:
    """An older version that comes back with its own size and mtime is not sent again."""
    assert decide([known({State.SENT}), known({State.SENT}, id=2, mtime_ns=90, digest="e")]) == Unchanged(1)


def test_a_touched_failure_is_work_again() -> None:
    """Touching a failed file tries it anew, and withdraws the old row."""
    assert decide([known({State.FAILED}, mtime_ns=40)], "d") == New(supersedes=(1,))


def test_new_content_withdraws_what_was_not_sent() -> None:
    """An older version never follows a newer one."""
    assert decide([known({State.PENDING}, mtime_ns=40, digest="e")], "d") == New(supersedes=(1,))
    assert decide([known({State.SENT}, mtime_ns=40, digest="e")], "d") == New()


def test_on_change_ignore_concerns_only_names_that_were_seen() -> None:
    """A name is sent once; a version that was never sent is simply replaced."""
    sent = known({State.SENT}, mtime_ns=40, digest="e")
    pending = known({State.PENDING}, mtime_ns=40, digest="e")
    baseline = known(set(), mtime_ns=40, digest=None, baseline=True)
    assert decide([sent], "d", on_change="ignore") == New(ignored=True)
    assert decide([baseline], "d", on_change="ignore") == New(ignored=True)
    assert decide([pending], "d", on_change="ignore") == New(supersedes=(1,))


def test_a_file_whose_directory_was_renamed_is_recognised_without_reading() -> None:
    """Its ctime is what it was, and no other file can have inode and ctime of it."""
    assert decide([], None, [known({State.SENT}, path=b"old", ctime_ns=1)]) == Moved(1)
    assert decide([], None, [known({State.SENT}, path=b"old", ctime_ns=2)]) == Read()


def test_a_version_without_a_digest_moves_by_inode_size_and_mtime() -> None:
    """There is nothing else to know a baseline by, or a file that only got a notice."""
    old = known(set(), path=b"old", baseline=True, digest=None, ctime_ns=2)
    assert decide([], None, [old]) == Moved(1)
    assert decide([], "d", [old]) == Moved(1)
    assert decide([], "d", [replace(old, inode=8)]) == New()
    assert decide([], "d", [replace(old, mtime_ns=49)]) == New()


def test_where_inodes_prove_nothing_a_moved_baseline_is_known_by_size_and_mtime() -> None:
    """A FUSE server gives the renamed file another inode; what has a digest is read there in any case."""
    old = known(set(), path=b"old", baseline=True, digest=None, inode=8)
    sent = known({State.SENT}, path=b"old", ctime_ns=1)
    for digest, movable, expected in ((None, old, Moved(1)), (None, sent, Read()), ("d", sent, Moved(1))):
        found = novelty.classify(NOW, digest, [], [movable], Comparison(steady=False))
        assert found == expected


def test_a_file_of_which_nothing_is_uploaded_is_not_read() -> None:
    """It is new by its path, size and mtime, and moves by inode, size and mtime whatever it was before."""
    unread = Comparison(reads=False)
    sent = known({State.SENT}, path=b"old", ctime_ns=2)
    assert novelty.classify(NOW, None, [], [], unread) == New()
    assert novelty.classify(NOW, None, [known({State.SENT}, mtime_ns=40)], [], unread) == New()
    assert novelty.classify(NOW, None, [known({State.SENT})], [], unread) == Unchanged(1)
    assert novelty.classify(NOW, None, [], [sent], unread) == Moved(1)
    assert novelty.classify(NOW, None, [], [replace(sent, inode=8)], unread) == New()


def test_an_inode_that_is_used_again_makes_no_move() -> None:
    """The file that had it was removed, and a new one got its inode, size and mtime: other content is new."""
    assert decide([], "e", [known({State.SENT}, path=b"old")]) == New()


def test_a_file_that_was_touched_and_moved_is_the_same() -> None:
    """The digest alone decides; but what was touched where it lies has not come from elsewhere."""
    moved = known({State.SENT}, path=b"old", mtime_ns=40, inode=8)
    assert decide([], "d", [moved]) == Moved(1)
    assert decide([known({State.SENT}, id=2, mtime_ns=30)], "d", [moved]) == Touched(2)


def test_whether_a_version_lies_where_it_did_is_told_by_its_inode() -> None:
    """Size and mtime tell where neither file has its inode, as after a remount, or inodes prove nothing."""
    one, other = known({State.SENT}), NOW._replace(inode=8, mtime_ns=60)
    assert one.is_in_place(NOW._replace(mtime_ns=60), other, steady=True)
    assert one.is_in_place(NOW, NOW, steady=True)
    assert not one.is_in_place(NOW._replace(inode=8), NOW, steady=True)
    assert one.is_in_place(NOW._replace(inode=9), other, steady=True)
    assert one.is_in_place(NOW._replace(inode=9), NOW, steady=False)
    assert not one.is_in_place(NOW._replace(mtime_ns=60), NOW, steady=False)


def test_what_was_gone_before_a_path_was_seen_has_not_moved_there() -> None:
    """The same content dropped again later is a new file; a slow reading does not make it one."""
    assert known({State.SENT}).was_there(100.0)
    assert known({State.SENT}, missing_since=100.5).was_there(100.0)
    assert not known({State.SENT}, missing_since=99.5).was_there(100.0)


def test_a_moved_file_is_recognised_by_its_digest() -> None:
    """Across file systems the inode changes, the content does not."""
    assert decide([], "d", [known({State.SENT}, path=b"old", inode=99)]) == Moved(1)
    assert decide([], "e", [known({State.SENT}, path=b"old", inode=99)]) == New()


def test_of_versions_with_one_content_that_moved_each_file_takes_its_own() -> None:
    """Else one is left without, and is sent again."""
    own, newer = known({State.SENT}, path=b"old"), known({State.SENT}, id=2, path=b"other", inode=8)
    assert decide([], "d", [own, newer]) == Moved(1)
    assert decide([], "d", [replace(own, inode=9), newer]) == Moved(2)


def test_a_failed_or_gone_file_under_a_new_name_is_new() -> None:
    """Only what counts as known can have moved."""
    for states in ({State.FAILED}, {State.GONE}, {State.SKIPPED}):
        assert decide([], "d", [known(states, path=b"old")]) == New()
    assert decide([], "d", [known({State.SKIPPED}, path=b"old", noticed=True)]) == Moved(1)


def test_a_digest_that_differs_overrules_size_and_mtime() -> None:
    """Other content under the same size and mtime is a new version once it has been read."""
    assert decide([known({State.SENT})], "e") == New()


def test_an_older_content_is_a_change_when_a_newer_one_has_its_size_and_mtime() -> None:
    """A camera with a set time writes d, e and d again: the last replaces e, and was not there all along."""
    first, second = known({State.SENT}), known({State.SENT}, id=2, digest="e")
    assert decide([first, second], "d") == New()
    assert decide([first, second], "e") == Unchanged(2)
    assert decide([first, known({State.SKIPPED}, id=2, digest="e")], "d") == Unchanged(1)


# --- A mass change of times ------------------------------------------------------------------------

HOUR = 3600 * 10**9
SECOND = 10**9


@pytest.mark.parametrize(
    ("change", "steps"),
    [
        (HOUR, 4),
        (-HOUR, -4),
        (HOUR + 2 * SECOND, 4),
        (HOUR - 2 * SECOND, 4),
        (HOUR + 2 * SECOND + 1, None),
        (24 * HOUR, 96),
        (24 * HOUR + HOUR // 4, None),
        (5 * HOUR + 3 * HOUR // 4, 23),
        (0, None),
        (SECOND, None),
        (HOUR // 2 + 60 * SECOND, None),
    ],
)
def test_a_time_is_shifted_by_quarters_of_an_hour(change: int, steps: int | None) -> None:
    """Daylight saving and time zones shift a time by up to a day, to the two seconds that FAT keeps."""
    assert novelty.time_shift(1_700_000_000 * SECOND, 1_700_000_000 * SECOND + change) == steps


def test_only_a_whole_directory_is_shifted() -> None:
    """Three files at least, all by the same amount, and none with another size."""

    def shifts(*changes: int, size: int = 7) -> bool:
        return novelty.shifted_together(
            [((7, i), Fingerprint(size, i + change, 0, 0, 0)) for i, change in enumerate(changes)]
        )

    assert shifts(HOUR, HOUR, HOUR + SECOND)
    assert not shifts(HOUR, HOUR)
    assert not shifts(HOUR, HOUR, 2 * HOUR)
    assert not shifts(HOUR, HOUR, HOUR, 0)
    assert not shifts(HOUR, HOUR, HOUR, size=8)
