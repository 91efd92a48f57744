import mmap
import os
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dingwatch import filters
from dingwatch.dingtalk import MEDIA_LIMIT
from dingwatch.intake import Executor, FolderSettings, Input, IntakeLoop, Job
from dingwatch.intake.folder import HUNG
from dingwatch.intake.jobs import (
    Arm,
    Armed,
    Check,
    Examine,
    ExamineFailed,
    Found,
    Look,
    Looked,
    Scan,
    Scanned,
    TakeBaseline,
)
from dingwatch.ledger import Outage, folders, pruning
from dingwatch.ledger.folders import MappedFolder, bind, save_homes
from dingwatch.model import Cause, Home, Misconfigured, NotReached, Now, WatchKind
from dingwatch.payload import PayloadPolicy
from dingwatch.settle import EMPTY_WAIT
from dingwatch.texts import Log
from dingwatch.watch import Hint, Observer, Overflow, RootLocks
from tests.ledger import change, on_sqlite, open_ledger
from tests.support import Heard


class Watcher:
    """An intake loop over a real folder and a real ledger; its jobs are done at once, its clock stands still.

    Kernel events are left out: what is noticed is told by the test, or found by a scan.
    """

    def __init__(self, path: Path, ledger: Path | str, **changes: object) -> None:
        self.share = path / "share"
        self.share.mkdir()
        self.path = path
        self.now = 1000.0
        self.ahead = 1e9
        """What the wall clock is ahead of the monotonic one."""
        self.heard = Heard()
        self.changes = changes
        self.keep = 1e12
        self.locks = RootLocks()
        self.store = open_ledger(ledger, path / "ledger.db")
        self.begin()

    def begin(self) -> None:
        """Start a loop on the ledger, as the service does."""
        self.watch(self.share)

    def watch(self, *roots: Path) -> None:
        """Start a loop that watches these folders; the first is the one that the test is about."""
        mapped = [MappedFolder(os.fsencode(root), root.name, ("cidA", "cidB")) for root in roots]
        with self.store.writing() as connection:
            marks = bind(connection, mapped)
        settings = [
            FolderSettings(
                id=mark.id,
                root=one.root,
                name=one.name,
                conversations=one.recipients,
                code=PayloadPolicy("app", MEDIA_LIMIT),
                watch="poll",
                **{"filter": filters.path_filter((), (), recursive=True), **self.changes},  # type: ignore[arg-type]
            )
            for mark, one in zip(marks, mapped, strict=True)
        ]
        self.id = marks[0].id
        self.inputs: list[Input] = []
        self.loop = IntakeLoop(
            self.store,
            list(zip(settings, marks, strict=True)),
            app="app",
            refused=frozenset(),
            log=self.heard,
            outage=Outage(self.heard),
            keep=self.keep,
        )
        observer = Observer(lambda _: None)
        self.execute = Executor(
            self.store, observer, {one.id: one for one in settings}, self.inputs.append, locks=self.locks
        )
        self.jobs: list[Job] = []

    def go(self, seconds: float = 0.0) -> None:
        """Let time pass, and everything be done that is due meanwhile."""
        end = self.now + seconds
        while True:
            taken, self.inputs[:] = list(self.inputs), []
            plan = self.loop.tick(Now(self.now + self.ahead, self.now), taken)
            for job in plan.jobs:
                self.jobs.append(job)
                self.inputs.append(self.execute(job))
            if self.inputs or (plan.next_at is not None and plan.next_at <= self.now):
                continue
            if plan.next_at is None or plan.next_at > end:
                break
            self.now = plan.next_at
        self.now = end

    def step(self) -> list[Job]:
        """Tick once, and leave the jobs undone."""
        taken, self.inputs[:] = list(self.inputs), []
        return self.loop.tick(Now(self.now + self.ahead, self.now), taken).jobs

    def next_at(self) -> float | None:
        """Return when the loop is next needed, with nothing coming in."""
        return self.loop.tick(Now(self.now + self.ahead, self.now), []).next_at

    def drop(self, name: str, content: bytes = b"content") -> Path:
        """Write a file and tell the loop."""
        path = self.share / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self.hint(name)
        return path

    def hint(self, name: str) -> None:
        """Tell the loop that something happened to a path."""
        self.inputs.append(Hint(self.id, os.fsencode(name)))

    def rows(self) -> list[tuple[str, str, str | None]]:
        """Return (name, state, code) of the deliveries to the first conversation."""
        with self.store.reading() as connection:
            found = connection.exec_driver_sql(
                "SELECT v.name, d.state, d.code FROM deliveries d JOIN versions v ON v.id = d.version_id"
                " WHERE d.conversation_id = 'cidA' ORDER BY d.id"
            ).all()
        return [(os.fsdecode(name), state, code) for name, state, code in found]

    def set_states(self, state: str) -> None:
        """Give all deliveries a state, as delivery would have."""
        change(self.store, "UPDATE deliveries SET state = :state", state=state)


@pytest.fixture
def watcher(tmp_path: Path, ledger_url: str) -> Iterator[Watcher]:
    """A folder that has had its first look."""
    made = Watcher(tmp_path, ledger_url)
    made.go()
    yield made
    made.execute.close()
    made.store.close()


def test_a_settled_file_becomes_a_version_with_all_its_deliveries(watcher: Watcher) -> None:
    """After the quiet period it is written down once, for both conversations."""
    watcher.drop("a.pdf")
    watcher.go(1.9)
    assert watcher.rows() == []
    watcher.go(0.2)
    assert watcher.rows() == [("a.pdf", "pending", None)]
    with watcher.store.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM deliveries").scalar() == 2


def test_a_file_that_is_still_written_waits(watcher: Watcher) -> None:
    """Without any event, the look at the end of the quiet period sees that it grew."""
    path = watcher.drop("a.pdf")
    for _ in range(5):
        watcher.go(1.5)
        with path.open("ab") as file:
            file.write(b"more")
    watcher.go(1.9)
    assert watcher.rows() == []
    watcher.go(2.2)
    assert len(watcher.rows()) == 1


def test_what_was_there_at_the_first_look_is_baseline(tmp_path: Path, ledger_url: str) -> None:
    """It is known and not sent; what had an event meanwhile is no baseline."""
    watcher = Watcher(tmp_path, ledger_url)
    watcher.drop("old.pdf")
    watcher.inputs.clear()
    watcher.drop("during.pdf")
    watcher.go(10.0)
    assert watcher.rows() == [("during.pdf", "pending", None)]
    with watcher.store.reading() as connection:
        names = connection.exec_driver_sql("SELECT name FROM versions WHERE baseline").scalars().all()
    assert names == [b"old.pdf"]


def test_a_scan_finds_what_no_event_told(watcher: Watcher) -> None:
    """Polled folders, lost events and restarts find new files by comparing with the ledger."""
    (watcher.share / "deep").mkdir()
    (watcher.share / "deep" / "a.pdf").write_bytes(b"a")
    watcher.go(10.0)
    assert watcher.rows() == [("a.pdf", "pending", None)]


def test_an_overflow_leads_to_a_scan(tmp_path: Path, ledger_url: str) -> None:
    """Lost events are found at once, not at the next rescan."""
    watcher = Watcher(tmp_path, ledger_url, poll_interval=3600.0)
    watcher.go(1.0)
    (watcher.share / "a.pdf").write_bytes(b"a")
    watcher.go(60.0)
    assert watcher.rows() == []
    watcher.inputs.append(Overflow())
    watcher.go(3.0)
    assert len(watcher.rows()) == 1


def test_a_known_file_is_not_read_again(watcher: Watcher) -> None:
    """Equal size and mtime is the same version, whatever is noticed."""
    watcher.drop("a.pdf")
    watcher.go(3.0)
    watcher.hint("a.pdf")
    before = len(watcher.jobs)
    watcher.go(3.0)
    done = {type(job).__name__ for job in watcher.jobs[before:]}
    assert "Look" in done
    assert "Examine" not in done
    assert len(watcher.rows()) == 1


def test_no_digest_is_taken_of_a_baseline_that_an_event_names(tmp_path: Path, ledger_url: str) -> None:
    """There is none to compare it with: size and mtime decide."""
    watcher = Watcher(tmp_path, ledger_url)
    watcher.drop("old.pdf")
    watcher.inputs.clear()
    watcher.go()
    watcher.inputs.append(Hint(watcher.id, b"old.pdf", must_read=True))
    watcher.go(10.0)
    assert not [job for job in watcher.jobs if isinstance(job, Examine)]
    assert watcher.rows() == []


def test_an_unsent_version_is_replaced_by_a_newer_one(watcher: Watcher) -> None:
    """The older is gone as superseded, and never follows the newer."""
    watcher.drop("a.pdf", b"one")
    watcher.go(3.0)
    watcher.drop("a.pdf", b"two, longer")
    watcher.go(10.0)
    assert watcher.rows() == [("a.pdf", "gone", "superseded"), ("a.pdf", "pending", None)]


def test_frequent_versions_need_longer_quiet(watcher: Watcher) -> None:
    """The second version within an hour needs twice the quiet period."""
    watcher.drop("a.pdf", b"one")
    watcher.go(3.0)
    watcher.drop("a.pdf", b"two, longer")
    watcher.go(3.0)
    assert len(watcher.rows()) == 1
    watcher.go(2.0)
    assert len(watcher.rows()) == 2


def test_a_moved_file_takes_its_version_along(watcher: Watcher) -> None:
    """In work or sent, under its new name it is the same version."""
    path = watcher.drop("a.pdf")
    watcher.go(3.0)
    path.rename(watcher.share / "b.pdf")
    watcher.hint("a.pdf")
    watcher.hint("b.pdf")
    watcher.go(10.0)
    assert watcher.rows() == [("b.pdf", "pending", None)]


def test_a_file_that_is_renamed_time_and_again_before_it_rests_was_moved(watcher: Watcher) -> None:
    """Its first name has been gone for long when its last one settles."""
    path = watcher.drop("0.pdf")
    watcher.go(3.0)
    watcher.set_states("sent")
    for number in range(1, 8):
        path = path.rename(watcher.share / f"{number}.pdf")
        former = b"%d.pdf" % (number - 1)
        watcher.inputs.append(Hint(watcher.id, former))
        watcher.inputs.append(Hint(watcher.id, os.fsencode(path.name), must_read=True, source=former))
        watcher.go(1.5)
    watcher.go(10.0)
    assert watcher.rows() == [("7.pdf", "sent", None)]


def test_a_content_dropped_again_after_its_file_was_gone_is_a_new_file(watcher: Watcher) -> None:
    """Its owner removed it, and drops it again under another name when nobody expects it any more."""
    path = watcher.drop("a.pdf")
    watcher.go(3.0)
    watcher.set_states("sent")
    os.utime(path, (5, 5))
    path.rename(watcher.path / "away.pdf")
    watcher.hint("a.pdf")
    watcher.go(10.0)
    (watcher.path / "away.pdf").rename(watcher.share / "b.pdf")
    watcher.hint("b.pdf")
    watcher.go(10.0)
    assert watcher.rows() == [("a.pdf", "sent", None), ("b.pdf", "pending", None)]


def test_an_older_content_dropped_under_another_name_is_a_new_file(watcher: Watcher) -> None:
    """Its own name has long held another one: it is not there any more, and has not moved."""
    path = watcher.drop("a.pdf", b"old")
    watcher.go(3.0)
    (watcher.share / ".saving").write_bytes(b"newer")
    (watcher.share / ".saving").rename(path)
    watcher.hint("a.pdf")
    watcher.go(10.0)
    watcher.drop("b.pdf", b"old")
    watcher.go(10.0)
    assert [name for name, _, _ in watcher.rows()] == ["a.pdf", "a.pdf", "b.pdf"]


def test_an_older_version_that_was_put_back_moves_like_any_other(watcher: Watcher) -> None:
    """It is what its name holds again, and the newer one is not."""
    path = watcher.drop("a.pdf", b"old")
    watcher.go(3.0)
    watcher.set_states("sent")
    os.link(path, watcher.path / "backup")
    path.unlink()
    watcher.drop("a.pdf", b"newer")
    watcher.go(10.0)
    watcher.set_states("sent")
    (watcher.path / "backup").rename(path)
    watcher.hint("a.pdf")
    watcher.go(10.0)
    path.rename(watcher.share / "b.pdf")
    watcher.hint("a.pdf")
    watcher.hint("b.pdf")
    watcher.go(10.0)
    assert watcher.rows() == [("b.pdf", "sent", None), ("a.pdf", "sent", None)]
    watcher.drop("c.pdf", b"newer")
    watcher.go(10.0)
    assert watcher.rows()[-1] == ("c.pdf", "pending", None)


def test_a_removed_file_whose_copy_takes_long_to_settle_was_moved(watcher: Watcher) -> None:
    """It was there when the copy was first seen, and a program kept the copy open for a minute."""
    path = watcher.drop("a.pdf")
    watcher.go(3.0)
    watcher.set_states("sent")
    with (watcher.share / "b.pdf").open("wb") as copy:
        copy.write(path.read_bytes())
        copy.flush()
        watcher.hint("b.pdf")
        watcher.go(1.0)
        path.unlink()
        watcher.hint("a.pdf")
        watcher.go(60.0)
    watcher.hint("b.pdf")
    watcher.go(10.0)
    assert watcher.rows() == [("b.pdf", "sent", None)]


def test_a_touched_file_and_its_copy_are_not_taken_for_each_other(watcher: Watcher) -> None:
    """The copy is a new file under its own name; the other lies where it did."""
    path = watcher.drop("a.pdf")
    watcher.go(3.0)
    watcher.set_states("sent")
    shutil.copy(path, watcher.share / "b.pdf")
    os.utime(path, (5, 5))
    watcher.hint("b.pdf")
    watcher.hint("a.pdf")
    watcher.go(10.0)
    assert watcher.rows() == [("a.pdf", "sent", None), ("b.pdf", "pending", None)]


def test_a_rotated_log_is_not_sent_again(watcher: Watcher) -> None:
    """Its old name is taken at once by another file; that one is new."""
    path = watcher.drop("day.log", b"one")
    watcher.go(3.0)
    watcher.set_states("sent")
    path.rename(watcher.share / "day.log.1")
    watcher.drop("day.log", b"two")
    watcher.hint("day.log.1")
    watcher.go(10.0)
    assert watcher.rows() == [("day.log.1", "sent", None), ("day.log", "pending", None)]


@on_sqlite
def test_a_ledger_that_cannot_be_read_puts_off_a_decision(watcher: Watcher) -> None:
    """Whether a file that was read has moved is asked again when the ledger is back."""
    watcher.drop("a.pdf")
    (watcher.path / "ledger.db").rename(watcher.path / "away.db")
    watcher.go(2.5)
    assert watcher.heard.count(Log.LEDGER_DOWN) == 1
    (watcher.path / "away.db").rename(watcher.path / "ledger.db")
    watcher.go(20.0)
    assert watcher.rows() == [("a.pdf", "pending", None)]


def test_a_hard_link_is_a_new_file(watcher: Watcher) -> None:
    """The same content under another name that is also there is sent."""
    path = watcher.drop("a.pdf")
    watcher.go(3.0)
    (watcher.share / "b.pdf").hardlink_to(path)
    watcher.hint("b.pdf")
    watcher.go(10.0)
    assert [name for name, _, _ in watcher.rows()] == ["a.pdf", "b.pdf"]


def test_a_removed_file_is_withdrawn_and_its_return_is_work(watcher: Watcher) -> None:
    """Its owner took it back before it was sent; put back, it is pending again."""
    path = watcher.drop("a.pdf")
    watcher.go(3.0)
    path.rename(watcher.path / "kept")
    watcher.hint("a.pdf")
    watcher.go(10.0)
    assert watcher.rows() == [("a.pdf", "gone", "withdrawn")]
    (watcher.path / "kept").rename(path)
    watcher.hint("a.pdf")
    watcher.go(10.0)
    assert [(name, state) for name, state, _ in watcher.rows()] == [("a.pdf", "pending")]


def test_a_moved_file_that_cannot_be_read_yet_takes_its_version_along(watcher: Watcher) -> None:
    """A virus scanner holds it long after its old path was found empty: its message may have arrived."""
    path = watcher.drop("a.pdf")
    watcher.go(3.0)
    moved = path.rename(watcher.share / "b.pdf")
    watcher.hint("a.pdf")
    watcher.hint("b.pdf")
    with moved.open("r+b"):
        watcher.go(60.0)
    watcher.hint("b.pdf")
    watcher.go(60.0)
    assert watcher.rows() == [("b.pdf", "pending", None)]


@pytest.mark.parametrize("seconds", [4.0, 6.0, 20.0])
def test_a_removed_content_that_is_dropped_again_is_a_new_file(watcher: Watcher, seconds: float) -> None:
    """Nobody moved it: it was missing before the other name turned up, written down already or not."""
    path = watcher.drop("a.pdf")
    watcher.go(3.0)
    watcher.set_states("sent")
    path.unlink()
    watcher.hint("a.pdf")
    watcher.go(seconds)
    watcher.drop("b.pdf")
    watcher.go(10.0)
    assert watcher.rows() == [("a.pdf", "sent", None), ("b.pdf", "pending", None)]


@pytest.mark.parametrize(("comes_back_as", "newer"), [("b.pdf", False), ("b.pdf", True), ("a.pdf", False)])
def test_what_one_conversation_never_got_is_work_again(
    watcher: Watcher, comes_back_as: str, *, newer: bool
) -> None:
    """Sent to one conversation and gone for the other, a file that comes back needs no scan to go there."""
    path = watcher.drop("a.pdf")
    watcher.go(3)
    with watcher.store.writing() as connection:
        connection.exec_driver_sql("UPDATE deliveries SET state = 'sent' WHERE conversation_id = 'cidB'")
    away = path.rename(watcher.path / "away.pdf")
    watcher.hint("a.pdf")
    if newer:
        watcher.drop("a.pdf", b"newer content")
    watcher.go(10)
    assert watcher.rows()[0][:2] == ("a.pdf", "gone")
    back = away.rename(watcher.share / comes_back_as)
    if comes_back_as == "a.pdf":
        back.touch()
    watcher.hint(comes_back_as)
    watcher.go(4.5)
    assert (comes_back_as, "pending") in [row[:2] for row in watcher.rows()]


def test_a_replaced_root_withdraws_nothing(watcher: Watcher) -> None:
    """An empty listing of another directory in the root's place changes nothing."""
    watcher.drop("a.pdf")
    watcher.go(3.0)
    watcher.share.rename(watcher.path / "away")
    watcher.share.mkdir()
    watcher.go(4.0)
    assert watcher.heard.count(Log.FOLDER_DOWN) == 1
    watcher.share.rmdir()
    (watcher.path / "away").rename(watcher.share)
    watcher.go(20.0)
    assert watcher.heard.count(Log.FOLDER_BACK) == 1
    assert watcher.rows() == [("a.pdf", "pending", None)]


def test_a_failed_file_stays_failed_until_it_is_touched(watcher: Watcher) -> None:
    """The same path, size and mtime is no new work; a touch is."""
    path = watcher.drop("a.pdf")
    watcher.go(3.0)
    watcher.set_states("failed")
    watcher.go(30.0)
    assert [state for _, state, _ in watcher.rows()] == ["failed"]
    os.utime(path, (5, 5))
    watcher.go(30.0)
    assert [state for _, state, _ in watcher.rows()] == ["gone", "pending"]


def test_a_workbook_that_is_saved_is_sent_once_under_its_own_name(watcher: Watcher) -> None:
    """Excel's temporary file rests for longer than the quiet period before it is renamed."""
    temporary = watcher.drop("A1B2C3D0", b"first")
    watcher.go(50)
    assert watcher.rows() == []
    temporary.rename(watcher.share / "报表.xlsx")
    watcher.hint("A1B2C3D0")
    watcher.hint("报表.xlsx")
    watcher.go(60)
    assert watcher.rows() == [("报表.xlsx", "pending", None)]
    watcher.set_states("sent")
    # Each further save moves the old workbook aside first.
    temporary = watcher.drop("0f9e8d7c", b"second")
    watcher.go(20)
    assert watcher.rows() == [("报表.xlsx", "sent", None)]
    (watcher.share / "报表.xlsx").rename(watcher.share / "1A2B3C4D.tmp")
    temporary.rename(watcher.share / "报表.xlsx")
    (watcher.share / "1A2B3C4D.tmp").unlink()
    for name in ("0f9e8d7c", "报表.xlsx", "1A2B3C4D.tmp"):
        watcher.hint(name)
    watcher.go(120)
    assert watcher.rows() == [("报表.xlsx", "sent", None), ("报表.xlsx", "pending", None)]


def test_a_file_that_keeps_a_temporary_name_is_sent_after_a_minute(watcher: Watcher) -> None:
    """Eight hex digits may be a name that people mean; a scan that finds it waits as long."""
    (watcher.share / "20261129").write_bytes(b"content")
    watcher.go(64)
    assert watcher.rows() == []
    watcher.go(10)
    assert watcher.rows() == [("20261129", "pending", None)]


def test_an_empty_file_is_skipped_after_ten_minutes(watcher: Watcher) -> None:
    """Before that it may be about to be filled."""
    watcher.drop("a.pdf", b"")
    watcher.go(EMPTY_WAIT - 1)
    assert watcher.rows() == []
    watcher.go(10.0)
    assert watcher.rows() == [("a.pdf", "skipped", "empty")]


def test_a_file_that_is_filled_unnoticed_is_sent(watcher: Watcher) -> None:
    """A file that is polled, or lies in a new directory, may be first seen empty and have no event later."""
    path = watcher.drop("a.pdf", b"")
    watcher.go(3.0)
    path.write_bytes(b"content")
    watcher.go(10.0)
    assert watcher.rows() == [("a.pdf", "pending", None)]


def test_what_delivery_found_changed_is_digested_anew(watcher: Watcher) -> None:
    """Even with the size and mtime of a known version it is read again."""
    path = watcher.drop("a.pdf", b"one")
    watcher.go(3.0)
    seen = path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(seen.st_mtime_ns, seen.st_mtime_ns))
    watcher.set_states("gone")
    watcher.inputs.append(Hint(watcher.id, b"a.pdf", must_read=True))
    watcher.go(10.0)
    with watcher.store.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(DISTINCT sha256) FROM versions").scalar() == 2
    assert [state for _, state, _ in watcher.rows()][-1] == "pending"


def test_a_missing_folder_is_reported_and_asked_after(tmp_path: Path, ledger_url: str) -> None:
    """It is down, said once, and the loop is ready all the same."""
    watcher = Watcher(tmp_path, ledger_url)
    watcher.share.rmdir()
    watcher.go(60.0)
    assert watcher.loop.ready
    assert watcher.heard.count(Log.FOLDER_DOWN) == 1
    assert watcher.loop.watching() == {watcher.id: (WatchKind.DOWN, 0)}
    assert sum(isinstance(job, Arm) for job in watcher.jobs) > 5


def test_a_suspended_machine_is_followed_by_a_scan(tmp_path: Path, ledger_url: str) -> None:
    """A wall clock that jumped tells that events may have been missed."""
    watcher = Watcher(tmp_path, ledger_url, poll_interval=3600.0)
    watcher.go(1.0)
    (watcher.share / "a.pdf").write_bytes(b"a")
    plan = watcher.loop.tick(Now(watcher.now + 1e9 + 7200, watcher.now), [])
    assert [type(job).__name__ for job in plan.jobs] == ["Scan"]


def test_a_look_that_found_the_folder_down_is_asked_for_again(watcher: Watcher) -> None:
    """A file that was just being looked at when its folder went away settles when the folder is back."""
    watcher.drop("a.pdf")
    (look,) = [job for job in watcher.step() if isinstance(job, Look)]
    watched = watcher.execute.watched.pop(watcher.id)
    watcher.inputs.append(watcher.execute(look))
    watched.root.close()
    watcher.go(30.0)
    assert watcher.rows() == [("a.pdf", "pending", None)]


def test_a_file_that_cannot_be_looked_at_is_not_asked_for_at_once(watcher: Watcher) -> None:
    """It is looked at ever more seldom, said once, and settles when it can be read."""
    watcher.drop("a.pdf")
    (look,) = [job for job in watcher.step() if isinstance(job, Look)]
    refused = Misconfigured(Cause("EACCES", "", "FILE_FORBIDDEN"))
    watcher.inputs.append(Looked(look, ((b"a.pdf", refused),)))
    assert not [job for job in watcher.step() if isinstance(job, Look)]
    watcher.go(30.0)
    assert watcher.heard.count(Log.UNREADABLE) == 1
    assert watcher.rows() == [("a.pdf", "pending", None)]


def test_a_file_that_cannot_be_read_is_told_once(watcher: Watcher) -> None:
    """It settles again and again, and each time its reading is refused."""
    execute, refused = watcher.execute, Misconfigured(Cause("EACCES", "", "FILE_FORBIDDEN"))

    def refusing(job: Job) -> Input:
        return ExamineFailed(job, refused) if isinstance(job, Examine) else execute(job)

    watcher.execute = refusing  # type: ignore[assignment]
    watcher.drop("a.pdf")
    watcher.go(600.0)
    assert sum(isinstance(job, Examine) for job in watcher.jobs) > 1
    assert watcher.heard.count(Log.UNREADABLE) == 1
    watcher.execute = execute
    watcher.go(600.0)
    assert watcher.rows() == [("a.pdf", "pending", None)]


def test_the_loop_sleeps_while_a_first_look_lasts(tmp_path: Path, ledger_url: str) -> None:
    """A listing that takes longer than `poll_interval` leaves the loop little to do."""
    watcher = Watcher(tmp_path, ledger_url)
    (arm,) = watcher.step()
    watcher.inputs.append(watcher.execute(arm))
    assert [type(job).__name__ for job in watcher.step()] == ["TakeBaseline"]
    watcher.now += 60.0
    (check,) = watcher.step()
    assert isinstance(check, Check)
    assert watcher.next_at() == watcher.now + HUNG


def test_the_loop_sleeps_while_a_folder_is_down(watcher: Watcher) -> None:
    """What was missing when the folder went away is not asked after before it is back."""
    path = watcher.drop("a.pdf")
    watcher.go(3.0)
    path.unlink()
    watcher.hint("a.pdf")
    watcher.go(0.1)
    watcher.share.rename(watcher.path / "away")
    watcher.go(60.0)
    assert watcher.heard.count(Log.FOLDER_DOWN) == 1
    wake = watcher.next_at()
    assert wake is not None
    assert wake > watcher.now


DAY = 86400.0


@pytest.fixture
def forgetful(tmp_path: Path, ledger_url: str) -> Iterator[Watcher]:
    """A folder whose gone files are remembered for ten days."""
    made = Watcher(tmp_path, ledger_url, poll_interval=3600.0)
    made.keep = 10 * DAY
    made.begin()
    made.go()
    yield made
    made.execute.close()
    made.store.close()


# --- Held by somebody ----------------------------------------------------------------------------


def test_a_file_that_somebody_writes_waits_until_it_is_closed(watcher: Watcher) -> None:
    """However long the writer pauses; when it closes the file, the quiet period is all that is left."""
    path = watcher.drop("a.pdf", b"half")
    with path.open("ab") as writer:
        watcher.go(3600.0)
        assert watcher.rows() == []
        settling = watcher.loop.describe(watcher.id, b"a.pdf")
        assert settling is not None
        assert settling.reason is not None
        assert settling.reason.code == "being_written"
        writer.write(b"whole")
    watcher.hint("a.pdf")
    watcher.go(2.1)
    assert watcher.rows() == [("a.pdf", "pending", None)]


def test_a_file_closed_without_an_event_is_found_within_a_minute(watcher: Watcher) -> None:
    """Where it is polled, nobody tells that a writer has gone."""
    path = watcher.drop("a.pdf")
    with path.open("ab"):
        watcher.go(7200.0)
    watcher.go(63.0)
    assert len(watcher.rows()) == 1


def test_a_file_mapped_for_writing_waits(watcher: Watcher) -> None:
    """A mapping outlives the descriptor, and what is written to it makes no event."""
    path = watcher.drop("a.pdf", b"x" * 4096)
    with path.open("r+b") as file:
        mapped = mmap.mmap(file.fileno(), 4096)
    watcher.go(600.0)
    assert watcher.rows() == []
    mapped.close()
    watcher.go(63.0)
    assert len(watcher.rows()) == 1


@pytest.mark.parametrize("lock", ["~$合同.docx", "~$同.docx", "~$.docx", ".~lock.合同.docx#", ".~合同.docx"])
def test_an_editors_lock_holds_a_file_until_it_is_gone(watcher: Watcher, lock: str) -> None:
    """When the lock goes, the file need not wait for its next look."""
    held = watcher.share / lock
    held.write_bytes(b"")
    os.utime(held, (1e9 + 1000, 1e9 + 1000))  # the clock of this test
    watcher.drop("合同.docx")
    watcher.go(1200.0)
    assert watcher.rows() == []
    held.unlink()
    watcher.hint(lock)
    watcher.go(0.1)
    assert watcher.rows() == [("合同.docx", "pending", None)]


def test_a_lock_holds_half_an_hour_at_the_most(watcher: Watcher) -> None:
    """Whoever leaves a document open over lunch does not keep it from the others."""
    (watcher.share / "~$a.docx").write_bytes(b"")
    os.utime(watcher.share / "~$a.docx", (1e9 + 1000, 1e9 + 1000))
    watcher.drop("a.docx")
    watcher.go(1799.0)
    assert watcher.rows() == []
    watcher.go(120.0)
    assert len(watcher.rows()) == 1


def test_a_lock_of_yesterday_holds_nothing(watcher: Watcher) -> None:
    """An editor that died left it behind."""
    (watcher.share / "~$a.docx").write_bytes(b"")
    os.utime(watcher.share / "~$a.docx", (1e9 - 86500, 1e9 - 86500))
    watcher.drop("a.docx")
    watcher.go(2.1)
    assert len(watcher.rows()) == 1


@on_sqlite
def test_a_file_that_never_rests_is_told_once_and_waited_for(forgetful: Watcher) -> None:
    """After a day it is shown with its age; it is sent when it rests at last."""
    watcher = forgetful
    with watcher.drop("a.pdf").open("ab"):
        watcher.go(3 * 86400.0)
        assert watcher.heard.count(Log.UNSETTLED) == 1
        (one,) = watcher.loop.past_ceiling
        assert (one.path, watcher.now - one.since >= 3 * 86400.0) == (b"a.pdf", True)
    watcher.go(7200.0)
    assert len(watcher.rows()) == 1
    assert watcher.loop.past_ceiling == ()


@on_sqlite
def test_a_file_that_never_rests_once_more_is_told_once_more(forgetful: Watcher) -> None:
    """What was told is kept in mind only as long as it goes on."""
    for told in (1, 2):
        with forgetful.drop("a.pdf", str(told).encode()).open("ab"):
            forgetful.go(2 * 86400.0)
            assert forgetful.heard.count(Log.UNSETTLED) == told
        forgetful.go(7200.0)
        assert len(forgetful.rows()) == told


# --- The ledger is left alone --------------------------------------------------------------------


@on_sqlite
def test_a_tick_that_writes_nothing_takes_no_write_lock(watcher: Watcher) -> None:
    """Another holds the ledger's lock: what is new, known or was never known still gets as far as it can."""
    watcher.drop("known.pdf")
    watcher.go(3.0)
    ledger = sqlite3.connect(watcher.path / "ledger.db", isolation_level=None)
    ledger.execute("BEGIN IMMEDIATE")
    watcher.drop("new.pdf", b"new")
    watcher.hint("known.pdf")
    watcher.hint("temporary.pdf")
    done = _examined(watcher, "new.pdf")
    assert watcher.heard.count(Log.LEDGER_DOWN) == 0
    ledger.rollback()
    watcher.inputs += done
    watcher.go(1.0)
    ledger.close()
    assert [row[:2] for row in watcher.rows()] == [("known.pdf", "pending"), ("new.pdf", "pending")]


@on_sqlite
def test_a_file_that_is_read_once_more_in_vain_takes_no_write_lock(watcher: Watcher) -> None:
    """Delivery asked for its digest, which is what it was."""
    watcher.drop("a.pdf")
    watcher.go(3.0)
    ledger = sqlite3.connect(watcher.path / "ledger.db", isolation_level=None)
    ledger.execute("BEGIN IMMEDIATE")
    watcher.inputs.append(Hint(watcher.id, b"a.pdf", must_read=True))
    watcher.inputs += _examined(watcher, "a.pdf")
    watcher.go(10.0)
    ledger.close()
    assert watcher.heard.count(Log.LEDGER_DOWN) == 0
    assert watcher.loop.watching()[watcher.id][1] == 0


# --- What is never sent --------------------------------------------------------------------------


@pytest.mark.parametrize("between", [Look, Examine])
def test_a_file_that_changes_only_in_its_ctime_is_told_of_once(watcher: Watcher, between: type[Job]) -> None:
    """A program sets its permissions before each look, or as soon as it is read: the log and `why` say so."""
    path = watcher.drop("a.pdf")
    execute = watcher.execute

    def execute_after_chmod(job: Job) -> Input:
        if isinstance(job, between):
            path.chmod(path.stat().st_mode ^ 0o020)
        return execute(job)

    watcher.execute = execute_after_chmod  # type: ignore[assignment]
    watcher.go(300.0)
    assert watcher.rows() == []
    assert watcher.heard.count(Log.RESTLESS) == 1
    found = watcher.loop.describe(watcher.id, b"a.pdf")
    assert found is not None
    assert found.reason == Cause("only_metadata", "ctime", "ONLY_METADATA")
    watcher.execute = execute
    watcher.go(10.0)
    assert watcher.rows() == [("a.pdf", "pending", None)]


def test_what_is_no_regular_file_is_told_once(watcher: Watcher) -> None:
    """A link, a pipe and a socket found by a scan or noticed: one line, and nothing in the ledger."""
    os.mkfifo(watcher.share / "pipe.pdf")
    (watcher.share / "link.pdf").symlink_to("/etc/hostname")
    watcher.inputs.append(Overflow())
    watcher.go(5.0)
    watcher.hint("link.pdf")
    watcher.inputs.append(Overflow())
    watcher.go(5.0)
    assert watcher.heard.count(Log.NOT_REGULAR) == 1
    (watcher.share / "later.pdf").symlink_to("/etc/hostname")
    watcher.hint("later.pdf")
    watcher.go(5.0)
    assert watcher.heard.count(Log.NOT_REGULAR) == 2
    assert watcher.rows() == []


def test_a_link_that_is_gone_is_not_kept_in_mind(watcher: Watcher) -> None:
    """A program that makes and removes links all day costs no memory; one that comes again is told again."""
    link = watcher.share / "link.pdf"
    for told in (1, 2):
        link.symlink_to("/etc/hostname")
        watcher.inputs.append(Overflow())
        watcher.go(2000.0)
        assert watcher.heard.count(Log.NOT_REGULAR) == told
        link.unlink()
        watcher.go(2000.0)


# --- Floods --------------------------------------------------------------------------------------


def test_a_flood_is_held_from_the_first_file_too_many(tmp_path: Path, ledger_url: str) -> None:
    """What is pending waits too; it is said once, and the next hour begins anew."""
    watcher = Watcher(tmp_path, ledger_url, hold_over=6)
    watcher.go()
    for number in range(3):
        watcher.drop(f"{number}.pdf", b"%d" % number)
    watcher.go(3.0)
    assert held(watcher) == 0  # three files to two conversations
    for number in range(3, 6):
        watcher.drop(f"{number}.pdf", b"%d" % number)
    watcher.go(3.0)
    assert (held(watcher), watcher.heard.count(Log.FLOOD)) == (12, 1)
    watcher.go(3700.0)
    watcher.drop("next.pdf")
    watcher.go(3.0)
    assert (held(watcher), watcher.heard.count(Log.FLOOD)) == (12, 1)
    watcher.execute.close()
    watcher.store.close()


def held(watcher: Watcher) -> int:
    """Return how many deliveries wait for a person."""
    with watcher.store.reading() as connection:
        return folders.count_held(connection).total()


# --- Forgetting ----------------------------------------------------------------------------------


def known(watcher: Watcher) -> list[str]:
    """Return the names of all versions in the ledger."""
    with watcher.store.reading() as connection:
        return [
            os.fsdecode(name)
            for (name,) in connection.exec_driver_sql("SELECT name FROM versions ORDER BY id")
        ]


def test_what_has_been_gone_for_long_is_forgotten(forgetful: Watcher) -> None:
    """With its deliveries, history and uploads; what is there is not, however old it is."""
    forgetful.drop("gone.pdf", b"gone")
    forgetful.drop("here.pdf", b"here")
    forgetful.go(3.0)
    forgetful.set_states("sent")
    (forgetful.share / "gone.pdf").unlink()
    forgetful.go(9 * DAY)
    assert known(forgetful) == ["gone.pdf", "here.pdf"]
    forgetful.go(2 * DAY)
    assert known(forgetful) == ["here.pdf"]
    with forgetful.store.reading() as connection:
        for query in ("count(*) FROM deliveries", "2 * count(*) FROM uploads", "count(*) FROM history"):
            assert connection.exec_driver_sql(f"SELECT {query}").scalar() == 2


def test_many_that_are_gone_are_forgotten_part_by_part(
    forgetful: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All went at one instant; what lies there against the ledger's word does not hide what comes after."""
    monkeypatch.setattr(pruning, "PRUNED_AT_ONCE", 3)
    for number in range(10):
        forgetful.drop(f"{number}.pdf", b"%d" % number)
    forgetful.go(3.0)
    forgetful.set_states("sent")
    with forgetful.store.writing() as connection:
        connection.exec_driver_sql("UPDATE versions SET missing_since = 1.0")
    for number in (0, 1, 2, *range(4, 10)):
        (forgetful.share / f"{number}.pdf").unlink()
    forgetful.go(2 * DAY)
    assert known(forgetful) == ["3.pdf"]


def test_what_waits_for_a_person_is_never_forgotten(forgetful: Watcher) -> None:
    """A failed file is on the list until somebody has seen to it."""
    forgetful.drop("a.pdf")
    forgetful.go(3.0)
    forgetful.set_states("failed")
    with forgetful.store.writing() as connection:
        connection.exec_driver_sql("UPDATE versions SET missing_since = 1.0")
    (forgetful.share / "a.pdf").unlink()
    forgetful.go(2 * DAY)
    assert known(forgetful) == ["a.pdf"]


def sent_from(watcher: Watcher) -> Path:
    """Have a file sent; return its path."""
    path = watcher.drop("a.pdf")
    watcher.go(3.0)
    watcher.set_states("sent")
    return path


def stays_known(watcher: Watcher) -> None:
    """See that the one file is known still, and was not sent again."""
    assert known(watcher) == ["a.pdf"]
    assert watcher.rows() == [("a.pdf", "sent", None)]


def test_a_file_that_came_back_is_known_and_not_forgotten(forgetful: Watcher) -> None:
    """It counts from when it is gone, not from when it was gone once; nothing is sent again."""
    path = sent_from(forgetful)
    kept = path.rename(forgetful.path / "kept.pdf")
    forgetful.go(2 * DAY)
    kept.rename(path)
    forgetful.go(20 * DAY)
    stays_known(forgetful)


def test_what_lies_there_is_not_forgotten_whatever_the_ledger_says(forgetful: Watcher) -> None:
    """The path is looked at once more before anything is deleted."""
    sent_from(forgetful)
    with forgetful.store.writing() as connection:
        connection.exec_driver_sql("UPDATE versions SET missing_since = 1.0")
    forgetful.go(3 * DAY)
    stays_known(forgetful)


def test_a_folder_that_is_down_forgets_nothing(forgetful: Watcher) -> None:
    """An absent share is no reason to forget what was sent from it."""
    sent_from(forgetful)
    forgetful.share.rename(forgetful.path / "away")
    forgetful.go(400 * DAY)
    (forgetful.path / "away").rename(forgetful.share)
    forgetful.go(2 * DAY)
    stays_known(forgetful)


def test_a_scan_that_falls_due_during_a_check_keeps_nobody_awake(watcher: Watcher) -> None:
    """A share that hangs may hold a look at its root for minutes: until then nothing is asked for."""
    watcher.now += 5.0
    scan, check = watcher.step()
    assert (type(scan), type(check)) == (Scan, Check)
    watcher.inputs.append(watcher.execute(scan))
    watcher.step()
    watcher.now += 5.0
    assert watcher.next_at() == watcher.now - 5.0 + HUNG
    watcher.inputs.append(watcher.execute(check))
    assert Scan(watcher.id) in watcher.step()


def test_a_share_that_hangs_is_down_and_asked_nothing_more(watcher: Watcher) -> None:
    """When the look at its root comes back at last, it is watched anew."""
    watcher.now += 5.0
    (check,) = [job for job in watcher.step() if isinstance(job, Check)]
    watcher.now += HUNG
    assert watcher.step() == []
    assert watcher.loop.watching()[watcher.id][0] is WatchKind.DOWN
    assert watcher.heard.count(Log.FOLDER_DOWN) == 1
    watcher.now += 3600.0
    assert watcher.step() == []
    watcher.inputs.append(watcher.execute(check))
    watcher.step()
    watcher.go(10.0)
    assert watcher.loop.watching()[watcher.id][0] is WatchKind.POLL


def test_a_share_that_is_not_mounted_is_no_empty_folder(watcher: Watcher) -> None:
    """The directory beneath its mount point is down; nothing in the ledger changes, however long it takes."""
    watcher.drop("a.pdf")
    watcher.go(3.0)
    with watcher.store.writing() as connection:
        save_homes(connection, {watcher.id: Home(os.fsencode(watcher.share), "another")})
    (watcher.share / "a.pdf").unlink()
    watcher.begin()
    watcher.go(3600.0)
    assert watcher.loop.watching()[watcher.id][0] is WatchKind.DOWN
    assert watcher.rows() == [("a.pdf", "pending", None)]


@on_sqlite
def test_a_ledger_that_cannot_be_read_is_waited_for(watcher: Watcher) -> None:
    """A scan that meets it is carried out again; nothing ends."""
    ledger = watcher.path / "ledger.db"
    away = ledger.rename(watcher.path / "away.db")
    (watcher.share / "a.pdf").write_bytes(b"a")
    watcher.go(60.0)
    assert watcher.heard.count(Log.LEDGER_DOWN) == 1
    away.rename(ledger)
    watcher.go(60.0)
    assert watcher.rows() == [("a.pdf", "pending", None)]
    assert watcher.heard.count(Log.LEDGER_BACK) == 1


def test_a_flood_that_leaves_and_comes_back_is_still_held(tmp_path: Path, ledger_url: str) -> None:
    """To move it out and in is no word of a person's."""
    watcher = Watcher(tmp_path, ledger_url, hold_over=3)
    watcher.go()
    for number in range(4):
        watcher.drop(f"{number}.pdf", b"%d" % number)
    watcher.go(3.0)
    assert held(watcher) == 8
    away = watcher.share.rename(watcher.path / "away")
    watcher.share.mkdir()
    watcher.go(60.0)
    assert {state for _, state, _ in watcher.rows()} == {"gone"}
    watcher.share.rmdir()
    away.rename(watcher.share)
    watcher.go(60.0)
    assert held(watcher) == 8
    watcher.execute.close()
    watcher.store.close()


def test_after_a_discarded_flood_the_next_file_goes(tmp_path: Path, ledger_url: str) -> None:
    """What a person has given up does not count against what comes after it."""
    watcher = Watcher(tmp_path, ledger_url, hold_over=3)
    watcher.go()
    for number in range(4):
        watcher.drop(f"{number}.pdf", b"%d" % number)
    watcher.go(3.0)
    assert folders.discard_flood(watcher.store, watcher.id, watcher.now + 1e9) == 8
    watcher.drop("next.pdf")
    watcher.go(3.0)
    assert held(watcher) == 0


def test_an_overflow_during_a_scan_asks_for_another(watcher: Watcher) -> None:
    """What the kernel dropped may have come where the scan had been already."""
    watcher.now += 5.0
    done = [watcher.execute(job) for job in watcher.step()]
    assert Scanned(watcher.id) in done
    watcher.inputs += [Overflow(), *done]
    assert Scan(watcher.id) in watcher.step()


def _examined(watcher: Watcher, *names: str) -> list[Input]:
    """Let files settle, and return what reading them gave, not yet entered."""
    done: dict[str, Input] = {}
    for _ in range(20):
        for job in watcher.step():
            if isinstance(job, Examine):
                done[os.fsdecode(job.path)] = watcher.execute(job)
            else:
                watcher.inputs.append(watcher.execute(job))
        watcher.now += 0.5
    return [done[name] for name in names]


def test_two_names_of_one_file_that_move_at_once_take_each_its_own_version(watcher: Watcher) -> None:
    """What the first has taken along is no more there for the second to take."""
    first = watcher.drop("a.pdf")
    os.link(first, watcher.share / "b.pdf")
    watcher.hint("b.pdf")
    watcher.go(10.0)
    watcher.set_states("sent")
    for name in ("a.pdf", "b.pdf"):
        (watcher.share / name).rename(watcher.share / f"new {name}")
        watcher.hint(f"new {name}")
    for one in _examined(watcher, "new a.pdf", "new b.pdf"):
        watcher.inputs.append(one)
        watcher.step()
    assert sorted(watcher.rows()) == [("new a.pdf", "sent", None), ("new b.pdf", "sent", None)]


def test_a_version_that_moved_before_another_took_its_path_is_work_again(watcher: Watcher) -> None:
    """The newer file withdrew it; then it turns out that the old one lies elsewhere, unsent."""
    old = watcher.drop("a.pdf", b"old")
    watcher.go(3.0)
    old.rename(watcher.share / "b.pdf")
    watcher.drop("a.pdf", b"new")
    watcher.hint("b.pdf")
    for one in _examined(watcher, "a.pdf", "b.pdf"):
        watcher.inputs.append(one)
        watcher.step()
    assert [row[:2] for row in watcher.rows()] == [("b.pdf", "pending"), ("a.pdf", "pending")]


def test_a_file_that_was_found_after_its_absence_was_believed_is_work_again(watcher: Watcher) -> None:
    """It was moved, and the reading under its new name took its time."""
    old = watcher.drop("a.pdf")
    watcher.go(3.0)
    old.rename(watcher.share / "b.pdf")
    watcher.hint("a.pdf")
    watcher.hint("b.pdf")
    watcher.inputs += _examined(watcher, "b.pdf")
    watcher.step()
    assert [row[:2] for row in watcher.rows()] == [("b.pdf", "pending")]


@pytest.mark.parametrize(("mounted", "job"), [(False, Scan), (True, TakeBaseline)])
def test_only_what_was_mounted_there_makes_another_first_look(
    watcher: Watcher, job: type[Job], *, mounted: bool
) -> None:
    """Devices are numbered anew at a start of the machine: that alone makes nothing a baseline."""
    watcher.drop("while_stopped.pdf")
    watcher.begin()
    (arm,) = watcher.step()
    armed = watcher.execute(arm)
    assert isinstance(armed, Armed)
    watcher.inputs.append(replace(armed, home=Home(b"/", "another"), mounted=mounted))
    assert [type(one) for one in watcher.step()] == [job]


def test_a_file_that_vanishes_while_it_is_read_is_forgotten(watcher: Watcher) -> None:
    """A scan misses it too, and its reading comes back empty: nothing of it is left to settle."""
    path = watcher.drop("a.pdf")
    watcher.go(3.0)
    path.write_bytes(b"other")
    watcher.hint("a.pdf")
    (examine,) = [job for job in _jobs_until(watcher, Examine) if isinstance(job, Examine)]
    path.unlink()
    watcher.inputs.append(Found(watcher.id, missing=(b"a.pdf",)))
    assert not [job for job in watcher.step() if isinstance(job, Look)]
    watcher.inputs.append(watcher.execute(examine))
    watcher.go(20.0)
    assert watcher.loop.watching()[watcher.id][1] == 0
    assert watcher.rows() == [("a.pdf", "gone", "withdrawn")]


def _jobs_until(watcher: Watcher, kind: type[Job]) -> list[Job]:
    """Let time pass until a job of this kind is asked for; what else is asked for is done at once."""
    for _ in range(40):
        jobs = watcher.step()
        if any(isinstance(job, kind) for job in jobs):
            return jobs
        watcher.inputs += [watcher.execute(job) for job in jobs]
        watcher.now += 0.5
    raise AssertionError(kind)


def test_a_file_waits_while_nobody_can_tell_whether_it_moved(watcher: Watcher) -> None:
    """A second name is looked at again later: it is neither new nor takes the other's version."""
    path = watcher.drop("a.pdf")
    watcher.go(3.0)
    (watcher.share / "b.pdf").hardlink_to(path)
    watcher.hint("b.pdf")
    (examine,) = [job for job in _jobs_until(watcher, Examine) if isinstance(job, Examine)]
    too_long = tuple(replace(rival, path=b"n" * 300) for rival in examine.rivals)
    done = watcher.execute(replace(examine, rivals=too_long))
    assert len(too_long) == 1
    assert isinstance(done, ExamineFailed)
    assert isinstance(done.verdict, NotReached)


def test_a_file_that_moved_away_was_sent_and_moved_back_is_not_sent_again(watcher: Watcher) -> None:
    """That its first version is gone, under the very name and mtime, does not make it new."""
    first, second = watcher.share / "a.pdf", watcher.share / "b.pdf"
    watcher.drop("a.pdf")
    watcher.go(3.0)
    watcher.set_states("gone")
    first.rename(second)
    watcher.hint("b.pdf")
    watcher.go(10.0)
    with watcher.store.writing() as connection:
        connection.exec_driver_sql("UPDATE deliveries SET state = 'sent' WHERE state = 'pending'")
    second.rename(first)
    watcher.hint("a.pdf")
    watcher.go(20.0)
    assert [row[:2] for row in watcher.rows()] == [("a.pdf", "gone"), ("a.pdf", "sent")]


# --- Filters that change ---------------------------------------------------------------------------


def including(*patterns: str, recursive: bool = True) -> filters.Filter:
    """Return the filter of a folder with these include patterns."""
    return filters.path_filter(patterns, (), recursive=recursive)


@pytest.fixture
def filtered(tmp_path: Path, ledger_url: str) -> Iterator[Watcher]:
    """A folder whose filter lets text files in, with its first look behind it."""
    made = Watcher(tmp_path, ledger_url, filter=including("*.txt"))
    made.go()
    yield made
    made.execute.close()
    made.store.close()


def scan_between(watcher: Watcher, old: str, new: str) -> None:
    """Write one file before and one after the last scan under the present filter, and stop."""
    before = watcher.drop(old, b"old").stat().st_ctime_ns
    watcher.go(10)
    watcher.loop.save_scans()
    while (after := watcher.drop(new, b"new").stat().st_ctime_ns) == before:
        pass  # the kernel's clock for files ticks every few milliseconds
    watcher.inputs.clear()
    change(watcher.store, "UPDATE folders SET scanned_at = :at", at=(before + after) / 2e9)


def widen(watcher: Watcher, chosen: filters.Filter) -> None:
    """Start again with another filter, and let everything settle."""
    watcher.changes["filter"] = chosen
    watcher.begin()
    watcher.go(20)


def versions_of(watcher: Watcher) -> list[tuple[str, bool]]:
    """Return the names of all versions, and which of them are baseline."""
    with watcher.store.reading() as connection:
        found = connection.exec_driver_sql("SELECT name, baseline FROM versions ORDER BY name").all()
    return [(os.fsdecode(name), bool(baseline)) for name, baseline in found]


@pytest.mark.parametrize(
    ("chosen", "old", "new"),
    [
        (including("*.txt", "*.pdf"), "old.pdf", "new.pdf"),
        (including(), "old.pdf", "new.pdf"),
        (including("*.txt", "/sub/*"), "sub/a", "sub/b"),
    ],
)
def test_a_filter_that_widens_makes_no_old_file_new(
    filtered: Watcher, chosen: filters.Filter, old: str, new: str
) -> None:
    """What the last scan left out is baseline; what came after it is sent; one line tells of both."""
    scan_between(filtered, old, new)
    widen(filtered, chosen)
    names = [Path(old).name, Path(new).name]
    assert sorted(versions_of(filtered)) == sorted([(names[0], True), (names[1], False)])
    assert [name for name, _, _ in filtered.rows()] == names[1:]
    assert filtered.heard.count(Log.WIDENED) == 1
    widen(filtered, chosen)
    assert len(versions_of(filtered)) == 2
    assert filtered.heard.count(Log.WIDENED) == 1


def test_a_folder_that_becomes_recursive_sends_no_old_file(tmp_path: Path, ledger_url: str) -> None:
    """`recursive` is part of the filter."""
    watcher = Watcher(tmp_path, ledger_url, filter=including(recursive=False))
    watcher.go()
    scan_between(watcher, "sub/old.pdf", "sub/new.pdf")
    widen(watcher, including())
    assert versions_of(watcher) == [("new.pdf", False), ("old.pdf", True)]


def test_with_existing_send_a_wider_filter_sends_all(filtered: Watcher) -> None:
    """`existing` says what becomes of files that were there before."""
    scan_between(filtered, "old.pdf", "new.pdf")
    filtered.changes["existing"] = "send"
    widen(filtered, including())
    assert sorted(name for name, _, _ in filtered.rows()) == ["new.pdf", "old.pdf"]
    assert filtered.heard.count(Log.WIDENED) == 1


def test_what_0_1_left_out_is_not_sent_by_its_successor(filtered: Watcher) -> None:
    """0.1 told SCAN1.PDF from scan1.pdf, and kept neither its filter nor when it scanned."""
    filtered.changes["filter"] = including("*.txt", "*.pdf")
    with filtered.store.writing() as connection:
        connection.exec_driver_sql("UPDATE folders SET filter = NULL, scanned_at = NULL")
    for name in ("SCAN1.PDF", "scan2.pdf", "a.txt"):
        (filtered.share / name).write_bytes(name.encode())
    filtered.begin()
    filtered.go(20)
    assert versions_of(filtered) == [("SCAN1.PDF", True), ("a.txt", False), ("scan2.pdf", False)]
    (filtered.share / "SCAN3.PDF").write_bytes(b"3")
    filtered.go(20)
    assert versions_of(filtered)[1] == ("SCAN3.PDF", False)


def test_an_old_file_that_is_written_is_sent_under_a_wider_filter(filtered: Watcher) -> None:
    """An event says more than the scan that finds the file."""
    scan_between(filtered, "old.pdf", "new.pdf")
    filtered.changes["filter"] = including()
    filtered.begin()
    filtered.hint("old.pdf")
    filtered.go(20)
    assert versions_of(filtered) == [("new.pdf", False), ("old.pdf", False)]


def test_a_scan_that_was_cut_off_leaves_the_old_filter_in_force(filtered: Watcher) -> None:
    """The ledger learns of the new filter only with the last of the files that the old one left out."""
    scan_between(filtered, "old.pdf", "new.pdf")
    filtered.changes["filter"] = including()
    filtered.begin()
    while not any(isinstance(one, Found) for one in filtered.inputs):
        filtered.inputs += [filtered.execute(job) for job in filtered.step()]
    filtered.begin()  # it crashed
    filtered.go(20)
    assert versions_of(filtered) == [("new.pdf", False), ("old.pdf", True)]


def test_a_filter_that_narrows_says_and_changes_nothing(filtered: Watcher) -> None:
    """Back under the wider filter, what it let in before is still known."""
    filtered.drop("a.txt")
    filtered.drop("sub/b.txt")
    filtered.go(10)
    filtered.set_states("sent")
    widen(filtered, including("/a.txt"))
    widen(filtered, filters.path_filter((), ("sub/",), recursive=True))
    filtered.jobs.clear()
    filtered.go(30)
    assert not any(isinstance(job, Look) for job in filtered.jobs)  # the files of `sub` are not missing
    widen(filtered, including("*.txt"))
    assert versions_of(filtered) == [("a.txt", False), ("b.txt", False)]
    assert filtered.heard.count(Log.WIDENED) == 0


def scanned_at(watcher: Watcher) -> float:
    """Return when the last complete scan began, as the ledger has it."""
    with watcher.store.reading() as connection:
        return float(connection.exec_driver_sql("SELECT scanned_at FROM folders").scalars().one())


def test_a_folder_at_rest_writes_no_mark_at_every_scan(filtered: Watcher) -> None:
    """A polled folder is scanned every five seconds; the ledger learns of it now and then, and at a stop."""
    marks = []
    for seconds in (300.0, 400.0, 100.0):
        filtered.go(seconds)
        marks.append(scanned_at(filtered))
    assert marks[0] < marks[1] == marks[2]
    filtered.loop.save_scans()
    assert scanned_at(filtered) > marks[2]
