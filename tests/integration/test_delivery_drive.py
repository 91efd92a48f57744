"""The delivery loop with files that go by the drive, step by step on a ledger."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from dingwatch.delivery import (
    AskRoom,
    Begin,
    Commit,
    DeleteEntry,
    Done,
    FetchToken,
    FolderPolicy,
    Job,
    Outcome,
    ProbeStore,
    Put,
    PutDone,
    Screen,
    Send,
    SendCaption,
    SendDone,
    Settings,
    Upload,
    UploadDone,
)
from dingwatch.delivery.drives import WHOLE
from dingwatch.dingtalk import MEDIA_LIMIT
from dingwatch.ledger import commands
from dingwatch.ledger.folder_pauses import pause_folder, resume_folder
from dingwatch.ledger.uploads import UploadSession
from dingwatch.model import (
    FolderPause,
    MediaLost,
    Misconfigured,
    NoAnswer,
    NotReached,
    Rejected,
    Scope,
    Vanished,
)
from dingwatch.notice_text import Wording
from dingwatch.payload import PayloadPolicy
from dingwatch.texts import Log
from tests.integration.test_delivery import APP, CAUSE, Desk
from tests.ledger import change

Kind = TypeVar("Kind", Send, Commit)
SIZE = WHOLE + 1
BEGUN = UploadSession("space", "key")


@pytest.fixture
def desk(tmp_path: Path, ledger_url: str) -> Iterator[Desk]:
    """A desk whose folder sends large files by the drive."""
    code = PayloadPolicy(APP, MEDIA_LIMIT, space="1", large="drive")
    made = Desk(tmp_path, ledger_url, Settings(APP, folders={1: FolderPolicy(code)}))
    yield made
    made.store.close()


def success(job: Job) -> Outcome:
    """Return the outcome of a job that worked."""
    match job:
        case Begin():
            return Outcome(job, BEGUN)
        case FetchToken() | ProbeStore() | Screen() | DeleteEntry() | AskRoom():
            return Outcome(job, Done())
        case Upload():
            return Outcome(job, UploadDone(f"@{job.source.id}"))
        case Put():
            return Outcome(job, PutDone(job.session or BEGUN))
        case Commit():
            return Outcome(job, UploadDone(f"entry of {job.source.id}", "space"))
        case Send() | SendCaption():
            return Outcome(job, SendDone(None, "copies", f"copy {job.row.id}"))


def work(desk: Desk, jobs: list[Job]) -> list[Job]:
    """Let everything succeed until there is no more to do; return all the jobs."""
    done: list[Job] = []
    while jobs := jobs or desk.tick() or desk.tick() or desk.tick():  # some give no job, and want another
        done += jobs
        jobs = desk.tick(*map(success, jobs))
    return done


def work_until(desk: Desk, kind: type[Kind]) -> Kind:
    """Let everything succeed until there is a job of this kind, alone; return it."""
    jobs: list[Job] = []
    while True:
        jobs = desk.tick(*map(success, jobs))
        if jobs and isinstance(jobs[0], kind):
            (job,) = jobs
            assert isinstance(job, kind)
            return job


def of(jobs: list[Job], kind: type[Job]) -> int:
    """Count the jobs of a kind."""
    return sum(isinstance(job, kind) for job in jobs)


def test_one_upload_for_all_conversations(desk: Desk) -> None:
    """Begun, five parts put, committed, and sent to each."""
    rows = desk.drop("a.iso", "cidA", "cidB", size=SIZE)
    jobs = work(desk, [])
    assert [of(jobs, kind) for kind in (Begin, Put, Commit, Send)] == [1, 5, 1, 2]
    assert [desk.state(row) for row in rows] == ["sent", "sent"]


def test_rows_of_one_content_share_its_upload_after_a_crash(desk: Desk) -> None:
    """They are taken up one at a time; the second waits for the upload of the first, and is not lost."""
    rows = desk.drop("a.iso", "cidA", "cidB", size=SIZE)
    (begin,) = desk.tick()
    assert isinstance(begin, Begin)
    desk.restart()
    jobs = work(desk, [])
    assert [desk.state(row) for row in rows] == ["sent", "sent"]
    assert of(jobs, Commit) == 1


def test_a_crash_costs_no_finished_part(desk: Desk) -> None:
    """What the store has is not put again, and DingTalk's key goes on."""
    desk.drop("a.iso", size=SIZE)
    (begin,) = desk.tick()
    puts = desk.tick(success(begin))
    desk.tick(success(puts[0]), success(puts[2]))
    desk.restart()
    jobs = work(desk, [])
    assert (of(jobs, Begin), of(jobs, Put)) == (0, 3)


@pytest.mark.parametrize(
    ("verdict", "session", "puts"),
    [(NotReached(CAUSE, Scope.ROW), 0, 4), (MediaLost(CAUSE), 1, 5)],
    ids=["not reached", "lost"],
)
def test_what_fails_goes_on_unless_it_was_lost(
    desk: Desk, verdict: NotReached | MediaLost, session: int, puts: int
) -> None:
    """Parts that come through after one has failed are finished all the same."""
    desk.drop("a.iso", size=SIZE)
    (begin,) = desk.tick()
    first, second, third = desk.tick(success(begin))
    assert desk.tick(Outcome(first, verdict)) == []
    assert desk.tick(success(second), Outcome(third, NotReached(CAUSE))) == []
    desk.now += 60.0
    jobs = work(desk, [])
    assert (of(jobs, Begin), of(jobs, Put)) == (session, puts)


def test_a_changed_file_takes_its_parts_along(desk: Desk) -> None:
    """The same content, settled again, begins anew: nobody knows what the parts hold."""
    (row,) = desk.drop("a.iso", content="same", size=SIZE)
    (begin,) = desk.tick()
    first, *rest = desk.tick(success(begin))
    desk.tick(Outcome(first, Vanished(CAUSE)), *map(success, rest))
    assert desk.state(row) == "gone"
    desk.drop("b.iso", content="same", size=SIZE)
    jobs = work(desk, [])
    assert (of(jobs, Begin), of(jobs, Put)) == (1, 5)


def test_a_refused_upload_begins_anew_when_a_person_asks(desk: Desk) -> None:
    """What DingTalk refused with a code that nobody knows may be the upload itself."""
    (row,) = desk.drop("a.iso", size=SIZE)
    commit = work_until(desk, Commit)
    desk.tick(Outcome(commit, Rejected(CAUSE)))
    assert desk.state(row) == "failed"
    commands.retry_all(desk.store, desk.now)
    desk.loop.poke()
    jobs = work(desk, [])
    assert (of(jobs, Begin), desk.state(row)) == (1, "sent")


def test_a_robots_pause_does_not_hold_the_drive(desk: Desk) -> None:
    """Whoever may not send by the robot may still send an entry to the same conversation."""
    (small,) = desk.drop("a.pdf")
    (upload,) = desk.tick()
    desk.drop("b.pdf")
    jobs = desk.tick(Outcome(upload, UploadDone("@a")))
    send = next(job for job in jobs if isinstance(job, Send))
    desk.tick(
        *(success(job) for job in jobs if job is not send), Outcome(send, Misconfigured(CAUSE, Scope.API))
    )
    (large,) = desk.drop("a.iso", size=SIZE)
    work(desk, [])
    assert (desk.state(small), desk.state(large)) == ("uploaded", "sent")


def test_an_upload_that_alone_gets_no_answer_is_given_up(tmp_path: Path, ledger_url: str) -> None:
    """Others come through meanwhile, each in one piece: it is no outage, and every try costs a call."""
    code = PayloadPolicy(APP, MEDIA_LIMIT, space="1", large="drive")
    desk = Desk(tmp_path, ledger_url, Settings(APP, folders={1: FolderPolicy(code)}, give_up_after=60.0))
    (row,) = desk.drop("a.iso", size=MEDIA_LIMIT + 1)
    for number in range(60):
        desk.now += 3600.0
        desk.drop(f"{number}.iso", size=MEDIA_LIMIT + 1)
        jobs = desk.tick()
        while jobs:
            jobs = desk.tick(*(unanswered(job, row) for job in jobs))
    assert desk.state(row) == "failed"
    desk.store.close()


def unanswered(job: Job, row: int) -> Outcome:
    """Return what comes of a job: no answer to the commit of one row, success for all others."""
    if isinstance(job, Commit) and job.source.id == row:
        return Outcome(job, NoAnswer(CAUSE, Scope.API))
    return success(job)


def test_notices_follow_their_own_folders_settings(desk: Desk) -> None:
    """They share one key in the ledger; a folder that sends files by now does so."""
    notices = PayloadPolicy(APP, MEDIA_LIMIT, large="notice")
    desk.settings = replace(desk.settings, folders={1: FolderPolicy(notices), None: FolderPolicy(notices)})
    first = desk.drop("a.iso", size=SIZE)[0]
    second = desk.drop("b.iso", size=SIZE)[0]
    change(desk.store, "UPDATE deliveries SET folder_id = NULL WHERE id = :id", id=second)
    change(desk.store, "UPDATE versions SET folder_id = NULL WHERE name = :name", name=b"b.iso")
    drive = PayloadPolicy(APP, MEDIA_LIMIT, space="send", large="drive")
    desk.settings = replace(desk.settings, folders={1: FolderPolicy(notices), None: FolderPolicy(drive)})
    desk.restart()
    work(desk, [])
    assert (desk.state(first), desk.state(second)) == ("skipped", "sent")


def test_a_stop_leaves_nothing_in_hand(desk: Desk) -> None:
    """What was claimed and has no step out waits for the next start, without a crash held against it."""
    (row,) = desk.drop("a.iso", size=SIZE)
    (begin,) = desk.tick()
    desk.loop.tick(desk.now, [success(begin)], claim=False)
    desk.loop.abandon(desk.now)
    assert desk.state(row) == "pending"
    desk.restart()
    assert of(work(desk, []), Begin) == 0


def test_an_upload_waits_in_a_paused_folder_and_goes_on_from_its_parts(desk: Desk) -> None:
    """A person pauses the folder in the middle of a film: the parts on their way arrive, no other begins."""
    (row,) = desk.drop("a.iso", size=SIZE)
    (begin,) = desk.tick()
    puts = desk.tick(success(begin))
    pause_folder(desk.store, b"/share", "share", [1], FolderPause(0, desk.now, None, "admin"))
    desk.loop.poke()
    assert desk.tick(success(puts[0])) == []
    assert desk.state(row) == "uploading"
    assert desk.tick(success(puts[1]), success(puts[2])) == []
    assert desk.state(row) == "pending"
    with desk.store.writing() as connection:
        resume_folder(connection, [1])
    desk.loop.poke()
    jobs = work(desk, [])
    assert [of(jobs, kind) for kind in (Begin, Put, Commit, Send)] == [0, 2, 1, 1]
    assert desk.heard.count(Log.FOLDER_RESUMED) == 1


def test_a_caption_in_the_chat_is_followed_by_its_file(tmp_path: Path, ledger_url: str) -> None:
    """Its folder is paused between the two; another file after the caption would be taken for this one."""
    policy = FolderPolicy(PayloadPolicy(APP, MEDIA_LIMIT), Wording(folder="share", caption="{name}"))
    desk = Desk(tmp_path, ledger_url, Settings(APP, folders={1: policy}))
    first, second = (*desk.drop("a.txt"), *desk.drop("b.txt"))
    job = work_until_caption(desk)
    pause_folder(desk.store, b"/share", "share", [1], FolderPause(0, desk.now, None, "admin"))
    desk.loop.poke()
    jobs = [*desk.tick(success(job)), *desk.tick()]
    assert of(jobs, Send) == 1
    work(desk, jobs)
    assert (desk.state(first), desk.state(second)) == ("sent", "uploaded")
    assert desk.heard.count(Log.FOLDER_PAUSED) == 1
    desk.store.close()


def work_until_caption(desk: Desk) -> SendCaption:
    """Let everything succeed until a caption is to be sent."""
    jobs: list[Job] = []
    while not (captions := [job for job in jobs if isinstance(job, SendCaption)]):
        jobs = desk.tick(*map(success, jobs))
    rest = [job for job in jobs if not isinstance(job, SendCaption)]
    if rest:
        assert not any(isinstance(job, Send) for job in desk.tick(*map(success, rest)))
    return captions[0]


def test_what_the_drive_may_not_send_holds_nobody_back(desk: Desk) -> None:
    """While the permission for it is missing, small files of the same conversation go on."""
    desk.drop("a.iso", size=SIZE)
    send = work_until(desk, Send)
    desk.tick(Outcome(send, Misconfigured(CAUSE, Scope.API)))
    desk.now += 30.0
    (small,) = desk.drop("b.txt")
    (upload,) = [job for job in desk.tick() if not isinstance(job, AskRoom)]
    assert isinstance(upload, Upload)
    (sent,) = desk.tick(Outcome(upload, UploadDone("@b")))
    assert isinstance(sent, Send)
    assert sent.row.id == small


# --- One entry for one name ----------------------------------------------------------------------


@pytest.mark.parametrize("crash", [False, True], ids=["lost answer", "crash"])
def test_no_entry_is_sent_that_may_hold_other_bytes(desk: Desk, *, crash: bool) -> None:
    """A commit of which nobody knows what came of it counts as if it had taken the name."""
    (row,) = desk.drop("a/plan.iso", "cidA", size=SIZE)
    send = work_until(desk, Send)
    desk.tick(Outcome(send, Misconfigured(CAUSE, Scope.CONVERSATION)))
    desk.drop("b/plan.iso", "cidB", size=SIZE)
    commit = work_until(desk, Commit)
    if crash:
        desk.restart()
    else:
        desk.tick(Outcome(commit, NoAnswer(CAUSE)))
    desk.now += 3600.0
    holds = commit.source.digest
    for job in work(desk, []):
        if isinstance(job, Commit):
            holds = job.source.digest
        elif isinstance(job, Send):
            assert job.row.digest == holds
    assert desk.state(row) == "sent"
