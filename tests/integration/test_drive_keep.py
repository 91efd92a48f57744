"""`drive_keep`: entries of the drive that are old enough are deleted, and nothing else is."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from dingwatch import quota
from dingwatch.config.values import Config
from dingwatch.delivery import (
    Commit,
    DeleteEntry,
    FolderPolicy,
    Outcome,
    SendDone,
    Settings,
    UploadDone,
)
from dingwatch.delivery.drives import WHOLE
from dingwatch.delivery.jobs import Done, Job
from dingwatch.dingtalk import API_DELETE_ENTRY, BILLED, MEDIA_LIMIT
from dingwatch.ledger import calls
from dingwatch.ledger.deletions import RESERVED
from dingwatch.lifecycle import State
from dingwatch.model import Cause, Misconfigured, NoAnswer, NotReached, Rejected, Scope
from dingwatch.payload import PayloadPolicy
from dingwatch.sandbox import Entry, Fault, FaultKind, Sandbox
from dingwatch.texts import Log
from tests.integration.conftest import Machine
from tests.integration.test_delivery import APP, CAUSE, Desk
from tests.integration.test_delivery_drive import success
from tests.ledger import change
from tests.support import Heard, config, eventually, folder, running, sent

LARGE = MEDIA_LIMIT + 1
KEEP = 1000.0


def large(path: Path, mark: bytes = b"") -> None:
    """Write a file over the media limit, all of it a hole but its beginning."""
    with path.open("wb") as file:
        file.write(mark)
        file.truncate(LARGE)


def entries(sandbox: Sandbox) -> list[Entry]:
    """Return the entries in the folders' own spaces."""
    own = [space for space in sandbox.spaces() if space.scene == "dingwatch"]
    return [entry for space in own for entry in sandbox.entries(space.id)]


def with_operator(setting: Config, sandbox: Sandbox) -> Config:
    """Return a configuration with the rights of the drive."""
    operator = sandbox.settings.operator_union_id
    return replace(setting, dingtalk=replace(setting.dingtalk, operator_union_id=operator))


# --- With the running service ---------------------------------------------------------------------


def test_an_old_entry_is_deleted_and_the_groups_copy_stays(
    tmp_path: Path, share: Path, sandbox: Sandbox
) -> None:
    """Billed and counted; the group still has its file, and the same file dropped again is uploaded again."""
    group = sandbox.conversations[0].id
    setting = with_operator(
        config(tmp_path / "state", sandbox, folder(share, group, drive_keep=1.0)), sandbox
    )
    heard = Heard()
    with running(setting, heard):
        large(share / "a.iso")
        eventually(sent(sandbox, 1))
        eventually(lambda: entries(sandbox) == [] and heard.count(Log.ENTRY_DELETED) == 1)
        (message,) = sandbox.messages(group)
        assert message.entry_id is not None
        large(share / "b.iso")
        eventually(sent(sandbox, 2))
        eventually(lambda: heard.count(Log.ENTRY_DELETED) == 2)
        with closing(sqlite3.connect(setting.state_dir / "ledger.db")) as ledger:
            eventually(
                lambda: (
                    ledger.execute("SELECT count FROM calls WHERE api = ?", (API_DELETE_ENTRY,)).fetchall()
                    == [(2,)]
                )
            )
    copies = [
        entry for space in sandbox.spaces() if space.conversation_id for entry in sandbox.entries(space.id)
    ]
    assert [copy.name for copy in copies] == ["a.iso", "b.iso"]


def test_an_entry_that_is_gone_already_is_no_failure(tmp_path: Path, share: Path, sandbox: Sandbox) -> None:
    """The answer is lost after DingTalk has deleted it: the next question finds nothing, and that is well."""
    sandbox.inject(Fault(API_DELETE_ENTRY, FaultKind.CUT_AFTER, times=1))
    setting = config(tmp_path / "state", sandbox, folder(share, sandbox.conversations[0].id, drive_keep=0.5))
    heard = Heard()
    with running(with_operator(setting, sandbox), heard):
        large(share / "a.iso")
        eventually(lambda: heard.count(Log.ENTRY_DELETED) == 1)
    assert entries(sandbox) == []
    assert heard.count(Log.PAUSED) == 0
    assert sandbox.calls()[API_DELETE_ENTRY] == 2


def test_an_entry_that_a_person_may_have_itself_stays(tmp_path: Path, share: Path, sandbox: Sandbox) -> None:
    """Whether a person gets a copy is unverified: `drive_keep` is off for what went to one."""
    group = sandbox.conversations[0].id
    watched = folder(share, group, user_ids=("user2345",), drive_keep=0.5)
    other = tmp_path / "other"
    other.mkdir()
    setting = config(tmp_path / "state", sandbox, watched, folder(other, group, drive_keep=0.5))
    heard = Heard()
    with running(with_operator(setting, sandbox), heard):
        large(share / "a.iso", b"a")
        eventually(lambda: len(sandbox.person_messages("user2345")) == 1)
        large(other / "b.iso", b"b")
        eventually(lambda: heard.count(Log.ENTRY_DELETED) == 1)
        assert [entry.name for entry in entries(sandbox)] == ["a.iso"]


def test_the_drives_room_is_asked_for_once_a_day(
    tmp_path: Path, share: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some seconds after an upload to the drive; a missing permission is no trouble."""
    monkeypatch.setattr("dingwatch.delivery.drive_upkeep.ROOM_DELAY", 0.1)
    sandbox.inject(Fault("storage/orgs", FaultKind.NO_PERMISSION, times=1))
    setting = with_operator(
        config(tmp_path / "state", sandbox, folder(share, sandbox.conversations[0].id)), sandbox
    )
    ledger = setting.state_dir / "ledger.db"

    def room() -> list[tuple[int | None, int | None]]:
        with closing(sqlite3.connect(ledger)) as connection:
            return connection.execute("SELECT used, size FROM drive_room").fetchall()

    with running(setting):
        large(share / "a.iso", b"a")
        eventually(lambda: room() == [(None, None)])
        with closing(sqlite3.connect(ledger)) as connection:
            assert connection.execute("SELECT * FROM pauses").fetchall() == []
            connection.execute("UPDATE drive_room SET asked_at = asked_at - 86400")
            connection.commit()
        large(share / "b.iso", b"b")
        eventually(lambda: room() == [(2 * LARGE * 2, 100 * 10**9)])  # the group's copies take room as well
        large(share / "c.iso", b"c")
        eventually(sent(sandbox, 3))
    assert sandbox.calls()["storage/orgs"] == 2


def test_status_shows_the_room(machine: Machine) -> None:
    """In JSON and in words, as far as it is known."""
    assert machine.status()["drive"] is None
    process = machine.start()
    with closing(sqlite3.connect(machine.state_dir / "ledger.db")) as ledger:
        row = (time.time(), time.time(), 5 * 10**9, 100 * 10**9)
        ledger.execute(
            "INSERT INTO drive_room (id, asked_at, said_at, used, size) VALUES (1, ?, ?, ?, ?)", row
        )
        ledger.commit()
    told = machine.status()["drive"]
    assert (told["used"], told["limit"]) == (5 * 10**9, 100 * 10**9)
    assert "5 GB of 100 GB" in machine.call("status").stdout
    machine.stop(process)
    assert machine.status()["drive"] == told


def test_check_tells_for_whom_nothing_is_deleted(machine: Machine) -> None:
    """A finding, and no failure; and one more where there is no operator."""
    machine.set_folder(drive_keep="90d", user_ids=["user2345"])
    done = machine.do("check", "--offline")
    assert done.returncode == 0, done.stdout
    assert "drive_keep deletes nothing that went to user:user2345" in done.stdout
    assert "without operator_union_id" in done.stdout


# --- Decisions ------------------------------------------------------------------------------------


@pytest.fixture
def desk(tmp_path: Path, ledger_url: str) -> Iterator[Desk]:
    """A desk whose folder sends large files by the drive, and keeps them for a while."""
    code = PayloadPolicy(APP, MEDIA_LIMIT, space="1", large="drive")
    made = Desk(tmp_path, ledger_url, Settings(APP, folders={1: FolderPolicy(code, drive_keep=KEEP)}))
    yield made
    made.store.close()


def work(desk: Desk, *kinds: type) -> list[Job]:
    """Let everything succeed until nothing is left to do; return the jobs of these kinds, which stay out."""
    outcomes: list[Outcome] = []
    kept: list[Job] = []
    while True:
        jobs = desk.tick(*outcomes)
        kept += [job for job in jobs if isinstance(job, kinds)]
        outcomes = [success(job) for job in jobs if not isinstance(job, kinds)]
        if not outcomes:
            return kept


def deletions(desk: Desk) -> list[Job]:
    """Return the deletions that are issued now, a moment later than the last look."""
    desk.now += 3601.0
    return work(desk, DeleteEntry)


def test_age_counts_from_the_last_upload_of_the_name(desk: Desk) -> None:
    """A name that is uploaded anew every week is never old, whatever became of its entry's id."""
    desk.drop("a.iso", size=WHOLE, content="one")
    work(desk)
    desk.now += KEEP - 10
    desk.drop("a.iso", size=WHOLE, content="two")
    work(desk)
    desk.now += 20
    assert work(desk, DeleteEntry) == []
    desk.now += KEEP
    (job,) = work(desk, DeleteEntry)
    assert isinstance(job, DeleteEntry)
    assert job.deletion.name == "a.iso"


@pytest.mark.parametrize("state", [State.UPLOADED, State.PENDING, State.FAILED, State.UNCERTAIN])
def test_nothing_is_deleted_while_a_delivery_of_the_name_is_unsent(desk: Desk, state: State) -> None:
    """Also one that waits for a person: the file may not be in the folder any more."""
    first, second = desk.drop("a.iso", "cidA", "cidB", size=WHOLE)
    work(desk)
    due = 2e15 if state is State.PENDING else 9e14
    unsent = "UPDATE deliveries SET state = :state, due = :due, doubts = 2 WHERE id = :id"
    change(desk.store, unsent, state=state, due=due, id=second)
    assert deletions(desk) == []
    change(desk.store, "UPDATE deliveries SET state = 'sent' WHERE id = :id", id=second)
    assert len(deletions(desk)) == 1
    assert desk.state(first) == "sent"


def test_the_recipients_copy_is_never_deleted_as_the_entry(desk: Desk) -> None:
    """Should DingTalk hand out the entry itself as a copy, it stays."""
    desk.drop("a.iso", size=WHOLE)
    outcomes: list[Outcome] = []
    for _ in range(10):
        jobs = desk.tick(*outcomes)
        outcomes = [
            Outcome(job, UploadDone("entry", "space"))
            if isinstance(job, Commit)
            else Outcome(job, SendDone(None, "space", "entry"))
            if hasattr(job, "media_id")
            else success(job)
            for job in jobs
        ]
    assert deletions(desk) == []


def test_killed_at_any_point_it_is_deleted_once_and_missed_by_nobody(desk: Desk) -> None:
    """The upload is forgotten before the call leaves; the next process asks again, which is no failure."""
    (row,) = desk.drop("a.iso", size=WHOLE, content="one")
    work(desk)
    (job,) = deletions(desk)
    desk.restart()  # killed, before or after DingTalk has deleted it
    (again,) = deletions(desk)
    assert isinstance(job, DeleteEntry)
    assert isinstance(again, DeleteEntry)
    assert (again.deletion.space_id, again.deletion.entry_id) == (
        job.deletion.space_id,
        job.deletion.entry_id,
    )
    work(desk)
    desk.restart()
    desk.tick(Outcome(again, Done()))
    assert desk.state(row) == "sent"
    (later,) = desk.drop("again.iso", size=WHOLE, content="one")
    assert any(isinstance(one, Commit) for one in work(desk, Commit))
    assert desk.state(later) == "uploading"


def test_an_upload_of_the_name_waits_for_the_deletion_and_cancels_a_lost_one(desk: Desk) -> None:
    """DingTalk may delete late: nothing is uploaded under the name meanwhile, nor deleted after."""
    desk.drop("a.iso", size=WHOLE, content="one")
    work(desk)
    (job,) = deletions(desk)
    desk.drop("a.iso", size=WHOLE, content="two")
    assert work(desk, Commit) == []  # it is on its way
    desk.tick(Outcome(job, NoAnswer(CAUSE, Scope.API)))
    assert work(desk, Commit) == []
    desk.now += RESERVED + 1
    assert len(work(desk, Commit)) == 1
    assert deletions(desk) == []


def test_a_deletion_that_fails_backs_off_and_is_given_up(desk: Desk) -> None:
    """A refusal of this entry is tried a few times, a missing permission pauses all of them."""
    desk.drop("a.iso", size=WHOLE)
    work(desk)
    for _ in range(5):
        (job,) = deletions(desk)
        desk.tick(Outcome(job, Rejected(CAUSE)))
        assert work(desk, DeleteEntry) == []
        desk.now += 6 * 3600.0
    assert deletions(desk) == []
    assert desk.heard.count(Log.ENTRY_STAYS) == 1
    desk.drop("b.iso", size=WHOLE)
    desk.drop("c.iso", size=WHOLE)
    work(desk)
    desk.now += KEEP
    (job,) = work(desk, DeleteEntry)
    desk.tick(Outcome(job, Misconfigured(Cause("permissionDenied", "", "OPERATOR"), Scope.API)))
    desk.now += 30.0
    assert work(desk, DeleteEntry) == []


def test_nothing_is_deleted_with_the_last_calls_of_the_month(desk: Desk) -> None:
    """From 80 % of the quota on, the rest is for files."""
    desk.settings = replace(desk.settings, monthly_calls=100)
    desk.restart()
    desk.drop("a.iso", size=WHOLE)
    work(desk)
    api = next(iter(BILLED))
    with desk.store.writing() as connection:
        calls.count(desk.store, connection, quota.day(desk.now + 3601), {api: 80})
    assert deletions(desk) == []


def test_a_folder_without_drive_keep_keeps_everything(desk: Desk) -> None:
    """Also what was begun: nothing is deleted any more once the key is taken out."""
    desk.drop("a.iso", size=WHOLE)
    work(desk)
    (job,) = deletions(desk)
    desk.tick(Outcome(job, NotReached(CAUSE, Scope.API)))
    policy = replace(desk.settings.of_folder(1), drive_keep=None)
    desk.loop.change_settings(replace(desk.settings, folders={1: policy}))
    assert deletions(desk) == []
