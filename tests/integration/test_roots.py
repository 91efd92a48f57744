"""What lies where a folder's root was, and first looks that are written in steps."""

import os
from pathlib import Path

import pytest

from dingwatch.intake import first_look
from dingwatch.intake import loop as intake_loop
from dingwatch.intake.folder import MISSED
from dingwatch.intake.jobs import Compare, Listed, Look
from dingwatch.texts import Log
from dingwatch.watch import Hint, scan
from tests.integration.test_intake import Watcher
from tests.ledger import change, query

WALL = 1e9
"""What a watcher's wall clock is ahead of its monotonic one."""


def write(directory: Path, *names: str) -> None:
    """Write files, each with a content of its own."""
    directory.mkdir(exist_ok=True)
    for name in names:
        (directory / name).write_text(f"{directory} {name}")


def baseline(watcher: Watcher) -> set[str]:
    """Return the names of the baseline versions."""
    with watcher.store.reading() as connection:
        names = connection.exec_driver_sql("SELECT name FROM versions WHERE baseline").scalars().all()
    return {os.fsdecode(name) for name in names}


def missing(watcher: Watcher) -> set[str]:
    """Return the names that the ledger knows to be missing."""
    query = "SELECT name FROM versions WHERE missing_since IS NOT NULL"
    with watcher.store.reading() as connection:
        return {os.fsdecode(name) for name in connection.exec_driver_sql(query).scalars()}


def sent(watcher: Watcher) -> set[str]:
    """Return the names that are to be sent."""
    return {name for name, state, _ in watcher.rows() if state == "pending"}


def replaced(watcher: Watcher) -> list[dict[str, object]]:
    """Return what the log said of roots that were replaced."""
    return [values for text, values in watcher.heard.said if text is Log.REPLACED]


@pytest.fixture
def old(tmp_path: Path, ledger_url: str) -> Watcher:
    """A folder with four old files, whose clock is ahead of their times by less than counts as new."""
    watcher = Watcher(tmp_path, ledger_url)
    write(watcher.share, "1.pdf", "2.pdf", "3.pdf", "4.pdf")
    watcher.now = (watcher.share / "4.pdf").stat().st_ctime - WALL + 1.0
    watcher.go(10.0)
    assert baseline(watcher) == {"1.pdf", "2.pdf", "3.pdf", "4.pdf"}
    return watcher


def swap(watcher: Watcher, other: Path) -> None:
    """Let another directory take the place of the folder's."""
    watcher.share.rename(watcher.path / "former")
    other.rename(watcher.share)


def test_old_files_of_a_directory_in_the_roots_place_are_not_sent(old: Watcher) -> None:
    """Two folders swap names: what was changed long before the last look at the former root is not new."""
    write(old.path / "other", "a.pdf", "b.pdf", "c.pdf")
    old.go(MISSED + 20.0)
    swap(old, old.path / "other")
    old.go(60.0)
    assert (sent(old), baseline(old) >= {"a.pdf", "b.pdf", "c.pdf"}) == (set(), True)
    (line,) = replaced(old)
    assert (line["old"], line["new"], line["existing"]) == (3, 0, "skip")
    old.drop("new.pdf")
    old.go(10.0)
    assert sent(old) == {"new.pdf"}


def test_recent_files_of_a_directory_in_the_roots_place_are_sent(old: Watcher) -> None:
    """What was changed at most ten minutes before the last look may have been meant for the folder."""
    write(old.path / "other", "a.pdf", "b.pdf")
    swap(old, old.path / "other")
    old.go(60.0)
    assert sent(old) == {"a.pdf", "b.pdf"}
    (line,) = replaced(old)
    assert (line["old"], line["new"]) == (0, 2)


def test_old_files_in_the_roots_place_follow_existing(tmp_path: Path, ledger_url: str) -> None:
    """With `existing: send` they are sent, and counted as old."""
    watcher = Watcher(tmp_path, ledger_url, existing="send")
    watcher.go(10.0)
    write(watcher.path / "other", "a.pdf")
    watcher.now = (watcher.path / "other" / "a.pdf").stat().st_ctime - WALL + MISSED + 20.0
    watcher.go(10.0)
    swap(watcher, watcher.path / "other")
    watcher.go(60.0)
    assert sent(watcher) == {"a.pdf"}
    assert [(line["old"], line["new"]) for line in replaced(watcher)] == [(1, 0)]


def test_a_remount_is_no_other_directory(old: Watcher) -> None:
    """Half of the known files are there: whatever else lies there is new, however old."""
    write(old.path / "other", "new.pdf")
    old.go(MISSED + 20.0)
    for name in ("1.pdf", "2.pdf"):
        (old.share / name).rename(old.path / "other" / name)
    swap(old, old.path / "other")
    old.go(60.0)
    assert (sent(old), replaced(old)) == ({"new.pdf"}, [])
    assert len([job for job in old.jobs if isinstance(job, Compare)]) == 1


def test_a_clock_that_was_set_back_makes_no_new_file_old(old: Watcher) -> None:
    """The ledger says that the former root was last seen tomorrow: ten minutes before now is what counts."""
    old.go(60.0)
    old.loop.save_scans()
    with old.store.writing() as connection:
        connection.exec_driver_sql("UPDATE folders SET root_seen_at = root_seen_at + 86400")
    write(old.path / "other", "a.pdf", "b.pdf")
    swap(old, old.path / "other")
    old.begin()
    old.go(60.0)
    assert sent(old) == {"a.pdf", "b.pdf"}


def test_a_root_that_was_replaced_while_the_service_was_stopped(old: Watcher) -> None:
    """The ledger tells which directory it was, and when it was last seen; a crash forgets nothing of that."""
    old.go(60.0)
    old.loop.save_scans()
    write(old.path / "other", "a.pdf", "b.pdf")
    swap(old, old.path / "other")
    old.now += 7 * 86400.0
    old.begin()
    old.go(60.0)
    assert sent(old) == {"a.pdf", "b.pdf"}


# --- First looks -----------------------------------------------------------------------------------


def begin(path: Path, ledger: Path | str, count: int) -> Watcher:
    """Return a watcher whose first look has listed its first old files, and has written nothing."""
    watcher = Watcher(path, ledger)
    write(watcher.share, *(f"{i}.pdf" for i in range(count)))
    watcher.now = (watcher.share / "0.pdf").stat().st_ctime - WALL + 5.0
    while not any(isinstance(one, Listed) for one in watcher.inputs):
        go_on(watcher)
    return watcher


def go_on(watcher: Watcher) -> None:
    """Tick once, and do the jobs."""
    watcher.inputs += [watcher.execute(job) for job in watcher.step()]


def looked(watcher: Watcher, name: str = "share") -> tuple[bool, bool]:
    """Return whether the ledger says that a folder's first look began, and that it is complete."""
    ((began, done),) = query(
        watcher.store, "SELECT look_began, looked_at FROM folders WHERE name = :name", name=name
    )
    return began is not None, done is not None


def test_a_first_look_is_written_in_steps(
    tmp_path: Path, ledger_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its beginning first, some rows in each transaction, and the folder's mark with the last of them."""
    monkeypatch.setattr(first_look, "ROWS_AT_ONCE", 4)
    watcher = begin(tmp_path, ledger_url, 10)
    assert looked(watcher) == (True, False)
    steps = []
    while not looked(watcher)[1]:
        go_on(watcher)
        steps.append(len(baseline(watcher)))
    assert steps == [4, 8, 10]
    assert looked(watcher) == (False, True)
    assert [values["count"] for text, values in watcher.heard.said if text is Log.BASELINE] == [10]
    watcher.go(60.0)
    assert watcher.rows() == []


@pytest.mark.parametrize("ahead", [0.0, 3600.0])
def test_a_file_may_be_listed_before_its_event(tmp_path: Path, ledger_url: str, ahead: float) -> None:
    """It came after the look began and is new; a time in the future proves no such thing."""
    watcher = Watcher(tmp_path, ledger_url)
    write(watcher.share, "old.pdf")
    watcher.now = (watcher.share / "old.pdf").stat().st_ctime - WALL + 0.001 - ahead
    watcher.inputs += [watcher.execute(job) for job in watcher.step()]
    jobs = watcher.step()
    new = watcher.share / "new.pdf"
    while not new.exists() or new.stat().st_ctime - ahead <= watcher.now + WALL:
        write(watcher.share, "new.pdf")
    watcher.inputs += [watcher.execute(job) for job in jobs]
    watcher.now += 60.0
    watcher.go(60.0)
    assert sent(watcher) == ({"new.pdf"} if not ahead else set())
    assert baseline(watcher) == {"old.pdf", "new.pdf"} - sent(watcher)


@pytest.mark.parametrize(("ahead", "old"), [(0.0, set()), (3600.0, {"old.pdf"})], ids=["before", "after"])
def test_a_clock_set_back_during_a_first_look_makes_no_new_file_old(
    tmp_path: Path, ledger_url: str, ahead: float, old: set[str]
) -> None:
    """A file came during the look, before the clock was set back by an hour or after; its event is late.

    By its time alone, what was changed within the hour before the look may have come after the step.
    """
    watcher = Watcher(tmp_path, ledger_url)
    write(watcher.share, "old.pdf")
    watcher.now = (watcher.share / "old.pdf").stat().st_ctime - WALL + 0.001
    watcher.ahead = WALL + ahead
    watcher.inputs += [watcher.execute(job) for job in watcher.step()]
    jobs = watcher.step()
    new = watcher.share / "new.pdf"
    while not new.exists() or new.stat().st_ctime <= watcher.now + WALL:
        write(watcher.share, "new.pdf")
    watcher.inputs += [watcher.execute(job) for job in jobs]
    watcher.ahead -= 3600.0
    watcher.now += 60.0
    watcher.go(60.0)
    assert (sent(watcher), baseline(watcher)) == ({"old.pdf", "new.pdf"} - old, old)


def test_a_first_look_that_began_in_the_future(tmp_path: Path, ledger_url: str) -> None:
    """It was cut off, and the clock set back while nothing ran: what is ten minutes old may be new."""
    watcher = begin(tmp_path, ledger_url, 2)
    with watcher.store.writing() as connection:
        connection.exec_driver_sql("UPDATE folders SET look_began = look_began + 86400")
    watcher.begin()
    watcher.go(60.0)
    assert sent(watcher) == {"0.pdf", "1.pdf"}


def test_a_first_look_that_was_cut_off_starts_over(
    tmp_path: Path, ledger_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash in its midst, and a week later: what came after its beginning is new, the rest is old."""
    monkeypatch.setattr(first_look, "ROWS_AT_ONCE", 4)
    watcher = begin(tmp_path, ledger_url, 8)
    began = (watcher.share / "7.pdf").stat().st_ctime + 0.001
    for name in ("8.pdf", "9.pdf"):
        path = watcher.share / name
        # The kernel's clock for files ticks every few milliseconds.
        while not path.exists() or path.stat().st_ctime <= began:
            path.write_text(name)
    # As if it had begun before those two were written.
    change(watcher.store, "UPDATE folders SET look_began = :began", began=began)
    watcher.step()
    watcher.begin()
    watcher.go(60.0)
    names = {f"{i}.pdf" for i in range(10)}
    newer = {name for name in names if (watcher.share / name).stat().st_ctime > began}
    assert {"8.pdf", "9.pdf"} <= newer
    assert baseline(watcher) >= names - newer
    assert sent(watcher) == newer - baseline(watcher)
    assert looked(watcher) == (False, True)


def test_an_event_may_come_after_its_file_was_written_down(
    tmp_path: Path, ledger_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file was written during the first look, and is new; one that was only removed is not sought."""
    monkeypatch.setattr(first_look, "ROWS_AT_ONCE", 2)
    watcher = begin(tmp_path, ledger_url, 5)
    while len(baseline(watcher)) < 2:
        go_on(watcher)
    written, removed = sorted(baseline(watcher))
    watcher.inputs += [
        Hint(watcher.id, written.encode(), must_read=True),
        Hint(watcher.id, removed.encode()),
    ]
    watcher.go(60.0)
    assert baseline(watcher) == {f"{i}.pdf" for i in range(5)} - {written}
    assert sent(watcher) == {written}


def test_first_looks_are_written_by_turns(
    tmp_path: Path, ledger_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A share with a million old files does not keep the small folder after it from being watched."""
    monkeypatch.setattr(first_look, "ROWS_AT_ONCE", 2)
    monkeypatch.setattr(intake_loop, "ROWS_AT_ONCE", 2)
    watcher = Watcher(tmp_path, ledger_url)
    big, small = tmp_path / "big", tmp_path / "small"
    write(big, *(f"{i}.pdf" for i in range(40)))
    write(small, "1.pdf", "2.pdf", "3.pdf")
    watcher.watch(big, small)
    old = 0
    while not looked(watcher, "small")[1]:
        go_on(watcher)
        old = len(baseline(watcher))
    assert (old < 20, looked(watcher, "big")) == (True, (True, False))


def test_a_directory_of_many_files_is_compared_in_parts(
    tmp_path: Path, ledger_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the beginning, in the middle and at the end, what is missing or new is found, and nothing else."""
    monkeypatch.setattr(scan, "FILES_AT_ONCE", 2)
    watcher = Watcher(tmp_path, ledger_url)
    write(watcher.share, *(f"{i}.pdf" for i in range(1, 8)))
    watcher.now = (watcher.share / "7.pdf").stat().st_ctime - WALL + 1.0
    watcher.go(10.0)
    assert len(baseline(watcher)) == 7
    for name in ("1.pdf", "4.pdf", "7.pdf"):
        (watcher.share / name).unlink()
    write(watcher.share, "0.pdf", "4a.pdf", "8.pdf")
    watcher.go(700.0)
    assert sent(watcher) == {"0.pdf", "4a.pdf", "8.pdf"}
    assert missing(watcher) == {"1.pdf", "4.pdf", "7.pdf"}
    looks = {os.fsdecode(path) for job in watcher.jobs if isinstance(job, Look) for path in job.paths}
    assert looks == sent(watcher) | missing(watcher)
