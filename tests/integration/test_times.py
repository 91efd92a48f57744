"""A mass change of times is not new content: whole directories that shift, and many old files touched."""

import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from dingwatch.intake.jobs import Examine
from dingwatch.ledger import folders
from dingwatch.ledger.folders import MOST_TOUCHED, discard_flood, release_flood
from dingwatch.settle import TOUCHED_WAIT
from dingwatch.texts import Log
from tests.integration.test_intake import Watcher

HOUR = 3600.0
QUIET = 2.0


def with_old_files(path: Path, ledger: Path | str, names: Iterable[str], **changes: object) -> Watcher:
    """Return a watcher whose first look has found these files."""
    watcher = Watcher(path, ledger, **changes)
    for name in names:
        watcher.drop(name, name.encode() * 3)
    watcher.inputs.clear()
    watcher.go()
    return watcher


def shift(watcher: Watcher, names: Iterable[str], seconds: float) -> None:
    """Set the times of files on or back, as daylight saving does on a FAT disk: nothing makes an event."""
    for name in names:
        path = watcher.share / name
        status = path.stat()
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + round(seconds * 1e9)))


def touched(watcher: Watcher) -> int:
    """Return how many versions took a new time."""
    with watcher.store.reading() as connection:
        query = "SELECT count(*) FROM history WHERE event = 'touched'"
        return int(connection.exec_driver_sql(query).scalar() or 0)


def states(watcher: Watcher) -> list[tuple[str, str | None]]:
    """Return (state, code) of the deliveries to the first conversation."""
    return [(state, code) for _, state, code in watcher.rows()]


def test_a_directory_whose_times_shift_is_not_sent(tmp_path: Path, ledger_url: str) -> None:
    """All old files of a directory take the new time, without being read."""
    names = [f"{directory}/{i}.pdf" for directory in "ab" for i in range(20)]
    watcher = with_old_files(tmp_path, ledger_url, names)
    watcher.drop("a/new.pdf")
    watcher.go(10.0)
    read = len([job for job in watcher.jobs if isinstance(job, Examine)])
    shift(watcher, names[:20], -HOUR)
    shift(watcher, names[20:], HOUR / 4 + 1.5)
    watcher.go(200.0)
    assert touched(watcher) == 40
    assert watcher.rows() == [("new.pdf", "pending", None)]
    assert len([job for job in watcher.jobs if isinstance(job, Examine)]) == read
    shift(watcher, names, HOUR)  # and back, half a year later
    watcher.go(200.0)
    assert (touched(watcher), len(watcher.rows())) == (80, 1)


def test_a_file_with_an_event_is_no_part_of_a_shift(tmp_path: Path, ledger_url: str) -> None:
    """Somebody may have written to it: it waits for a minute, and is sent."""
    names = [f"{i}.pdf" for i in range(5)]
    watcher = with_old_files(tmp_path, ledger_url, names)
    shift(watcher, names, HOUR)
    watcher.hint("3.pdf")
    watcher.go(QUIET + TOUCHED_WAIT - 1.0)
    assert (touched(watcher), watcher.rows()) == (4, [])
    watcher.go(10.0)
    assert watcher.rows() == [("3.pdf", "pending", None)]


def test_a_few_touched_files_are_sent_after_a_minute(tmp_path: Path, ledger_url: str) -> None:
    """Not all of a directory, or by no quarter of an hour: each may be new content."""
    names = [f"{i}.pdf" for i in range(12)]
    watcher = with_old_files(tmp_path, ledger_url, names)
    shift(watcher, names[:MOST_TOUCHED], 50.0)
    watcher.go(QUIET + TOUCHED_WAIT - 1.0)
    assert watcher.rows() == []
    watcher.go(10.0)
    assert states(watcher) == [("pending", None)] * MOST_TOUCHED
    assert watcher.heard.count(Log.TOUCHED) == 0


def test_many_touched_files_are_held(
    tmp_path: Path, ledger_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restore without times is held whole, later files join it, and a person decides."""
    names = [f"{i:02}.pdf" for i in range(40)]
    watcher = with_old_files(tmp_path, ledger_url, names, hold_over=None)
    shift(watcher, names[:10], 77.0)
    watcher.go(120.0)
    assert states(watcher) == [("pending", None)] * 10
    shift(watcher, names[10:30], 77.0)
    watcher.drop("new.pdf")
    watcher.go(120.0)
    assert sorted(watcher.rows())[:30] == [(name, "pending", "touched") for name in names[:30]]
    assert ("new.pdf", "pending", None) in watcher.rows()
    watcher.go(3600.0)
    shift(watcher, names[30:31], 77.0)
    watcher.go(120.0)
    assert states(watcher).count(("pending", "touched")) == 31
    assert watcher.heard.count(Log.TOUCHED) == 1
    monkeypatch.setattr(folders, "DECIDED_AT_ONCE", 50)  # they are released in several transactions
    assert release_flood(watcher.store, watcher.id, watcher.now + 1e9) == 62  # for both conversations
    shift(watcher, names[31:32], 77.0)
    watcher.go(120.0)
    assert states(watcher) == [("pending", None)] * 33


def test_a_slow_restore_is_held_from_its_first_file_on(tmp_path: Path, ledger_url: str) -> None:
    """One file after the other is written: while the first one waits, it is seen how many follow."""
    names = [f"{i:02}.pdf" for i in range(20)]
    watcher = with_old_files(tmp_path, ledger_url, names)
    free = []
    for name in (*names, *[""] * 20):
        if name:
            shift(watcher, [name], 77.0)
            watcher.hint(name)
        watcher.go(4.0)
        free += [one for one in states(watcher) if one == ("pending", None)]
    assert free == []
    assert states(watcher) == [("pending", "touched")] * 20
    assert watcher.heard.count(Log.TOUCHED) == 1


def test_touched_files_that_are_discarded_are_skipped(tmp_path: Path, ledger_url: str) -> None:
    """They stay known with their new times."""
    names = [f"{i:02}.pdf" for i in range(20)]
    watcher = with_old_files(tmp_path, ledger_url, names)
    shift(watcher, names, 77.0)
    watcher.go(120.0)
    assert discard_flood(watcher.store, watcher.id, watcher.now + 1e9) == 40
    watcher.go(3600.0)
    assert states(watcher) == [("skipped", "discarded")] * 20
