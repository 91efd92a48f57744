"""The delivery loop with persons, lines and pictures: what goes together, what waits, what is learnt."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dingwatch.delivery import (
    FolderPolicy,
    Outcome,
    Send,
    SendCaption,
    SendDone,
    Settings,
    Upload,
    UploadDone,
)
from dingwatch.delivery.jobs import Done, Job
from dingwatch.dingtalk import MEDIA_LIMIT
from dingwatch.ledger.folders import MappedFolder, bind
from dingwatch.model import (
    Cause,
    Misconfigured,
    NoAnswer,
    NotReached,
    Rejected,
    Scope,
    Throttled,
    TokenRejected,
    TypeRefused,
    Verdict,
)
from dingwatch.notice_text import Wording
from dingwatch.pace import Limit
from dingwatch.payload import PayloadPolicy
from tests.integration.test_delivery import APP, CAUSE, Desk, only

PERSONS = ("user:a", "user:b", "user:c")
REFUSED = Misconfigured(Cause("staffId.notExisted", "", "CONVERSATION"), Scope.CONVERSATION)


def desk_of(path: Path, ledger: Path | str, *recipients: str, settings: Settings | None = None) -> Desk:
    """Return a desk whose folder is mapped to these recipients."""
    desk = Desk(path, ledger, settings)
    with desk.store.writing() as connection:
        (desk.mark,) = bind(connection, [MappedFolder(b"/share", "share", recipients)])
    return desk


def settings_of(desk: Desk, send_as: str = "file", wording: Wording | None = None) -> Settings:
    """Return settings with one policy for the desk's folder."""
    policy = FolderPolicy(PayloadPolicy(APP, MEDIA_LIMIT, send_as=send_as), wording or Wording())
    return Settings(APP, folders={desk.mark.id: policy})


@pytest.fixture
def desk(tmp_path: Path, ledger_url: str) -> Iterator[Desk]:
    """A desk with three persons and a group."""
    made = desk_of(tmp_path, ledger_url, *PERSONS, "cidA")
    yield made
    made.store.close()


@pytest.fixture
def saying(tmp_path: Path, ledger_url: str) -> Iterator[Desk]:
    """A desk whose folder has a line before each file."""
    made = desk_of(tmp_path, ledger_url, *PERSONS, "cidA")
    made.settings = settings_of(made, wording=Wording(caption="{name} {change}"))
    made.restart()
    yield made
    made.store.close()


def sends(jobs: list[Job]) -> list[tuple[str, ...]]:
    """Return whom the messages among these jobs are for."""
    return [tuple(r.recipient for r in job.rows) for job in jobs if isinstance(job, Send | SendCaption)]


def announce(jobs: list[Job]) -> SendCaption:
    """Return the only job, which is a line."""
    (job,) = jobs
    assert isinstance(job, SendCaption)
    return job


# --- Persons -------------------------------------------------------------------------------------


def test_persons_of_one_version_go_together(desk: Desk) -> None:
    """One call for all of them, and each row has its outcome."""
    rows = desk.drop("a.pdf", *PERSONS)
    (job,) = desk.upload()
    assert sends([job]) == [PERSONS]
    assert [desk.state(row) for row in rows] == ["sending"] * 3
    invalid = Rejected(Cause("invalid_user", "b", "PERSON"))
    flow = Throttled(Cause("flow_controlled", "c", "FLOW_CONTROLLED"))
    assert desk.tick(Outcome(job, SendDone("key", missed=((rows[1], invalid), (rows[2], flow))))) == []
    assert [desk.state(row) for row in rows] == ["sent", "failed", "uploaded"]
    desk.now += 61.0
    assert sends(desk.tick()) == [("user:c",)]


def test_who_is_flow_controlled_for_long_is_asked_less_and_less(desk: Desk) -> None:
    """Each try waits as long again as the file has waited: no call a minute for days."""
    (row,) = desk.drop("a.pdf", "user:c")
    (job,) = desk.upload()
    flow = Throttled(Cause("flow_controlled", "c", "FLOW_CONTROLLED"))
    tries, end = 1, desk.now + 86400.0
    while desk.now < end:
        assert isinstance(job, Send)
        plan = desk.loop.tick(desk.now, [Outcome(job, SendDone(None, missed=((row, flow),)))])
        assert plan.next_at is not None
        desk.now = plan.next_at
        job = only(desk.tick(), Send)
        tries += 1
    assert tries < 16


def test_files_of_other_versions_do_not_go_together(desk: Desk) -> None:
    """A person who has an earlier file to come gets that first, in a call of its own."""
    earlier = desk.drop("first.pdf", "user:b")
    desk.drop("a.pdf", *PERSONS)
    jobs = desk.tick()
    jobs = desk.tick(
        *(Outcome(job, UploadDone(f"@{job.source.id}")) for job in jobs if isinstance(job, Upload))
    )
    assert sorted(sends(jobs)) == [("user:a", "user:c"), ("user:b",)]
    (first,) = [job for job in jobs if isinstance(job, Send) and job.row.id == earlier[0]]
    assert sends(desk.tick(Outcome(first, SendDone("key")))) == [("user:b",)]


def test_a_call_for_several_persons_without_an_answer_pauses_all_of_them(desk: Desk) -> None:
    """Nobody knows for which of them DingTalk has failed: none gets another file at once."""
    rows = desk.drop("a.pdf", *PERSONS)
    (job,) = desk.upload()
    desk.drop("b.pdf", *PERSONS)
    desk.upload()
    desk.tick(Outcome(job, NoAnswer(CAUSE, Scope.CONVERSATION)))
    assert [desk.state(row) for row in rows] == ["uncertain"] * 3
    assert [scope for scope, _ in desk.pauses()] == ["conversation"] * 3
    assert sends(desk.tick()) == []


def test_a_call_refused_for_one_person_is_parted(desk: Desk) -> None:
    """Each goes alone then; only the one who is meant is paused, and stays alone when it is tried again."""
    rows = desk.drop("a.pdf", *PERSONS)
    (job,) = desk.upload()
    jobs = desk.tick(Outcome(job, REFUSED))
    assert sends(jobs) == [("user:a",), ("user:b",), ("user:c",)]
    assert desk.pauses() == []
    results: list[SendDone | Verdict] = [SendDone("k"), REFUSED, SendDone("k")]
    desk.tick(*(Outcome(job, result) for job, result in zip(jobs, results, strict=True)))
    assert [desk.state(row) for row in rows] == ["sent", "uploaded", "sent"]
    assert [scope for scope, _ in desk.pauses()] == ["conversation"]


def test_a_lost_answer_is_everybodys_doubt(desk: Desk) -> None:
    """Whom it reached is not known."""
    rows = desk.drop("a.pdf", *PERSONS)
    (job,) = desk.upload()
    desk.tick(Outcome(job, NoAnswer(CAUSE, Scope.API)))
    assert [desk.state(row) for row in rows] == ["uncertain"] * 3


def test_the_pace_of_each_person_is_kept(tmp_path: Path, ledger_url: str) -> None:
    """Who has no slot now is left out of the call, and gets one later."""
    settings = Settings(APP, per_conversation=Limit(1, 60.0, spaced=False))
    desk = desk_of(tmp_path, ledger_url, *PERSONS, settings=settings)
    desk.drop("first.pdf", "user:b")
    (first,) = desk.upload()
    desk.tick(Outcome(first, SendDone("key")))
    desk.drop("a.pdf", *PERSONS)
    assert sends(desk.upload()) == [("user:a", "user:c")]
    desk.now += 60.1
    assert sends(desk.tick()) == [("user:b",)]
    desk.store.close()


# --- The line before a file ----------------------------------------------------------------------


def test_a_line_goes_first_and_its_file_next(saying: Desk) -> None:
    """Nothing else is sent there between the two, and what settled earlier waits."""
    late = saying.drop("late.pdf")
    row = saying.drop("a.pdf")
    first, second = saying.tick()
    assert saying.tick(Outcome(second, UploadDone("@a"))) == []
    saying.now += 5.1
    line = announce(saying.tick())
    assert (line.row.id, line.caption.text, saying.state(row[0])) == (row[0], "a.pdf", "uploaded")
    assert saying.tick(Outcome(first, UploadDone("@l"))) == []
    file = only(saying.tick(Outcome(line, SendDone("key"))), Send)
    assert isinstance(file, Send)
    assert file.row.id == row[0]
    assert announce(saying.tick(Outcome(file, SendDone("key")))).row.id == late[0]


def test_after_a_crash_a_line_is_not_sent_again_and_its_file_is_next(saying: Desk) -> None:
    """That it was about to leave is on disk before it leaves."""
    saying.drop("b.pdf")
    rows = saying.drop("a.pdf")
    _, second = saying.tick()
    saying.tick(Outcome(second, UploadDone("@a")))
    saying.now += 5.1
    announce(saying.tick())
    saying.restart()
    jobs = saying.tick()
    assert [job.row.id for job in jobs if isinstance(job, Send | SendCaption)] in ([rows[0]], [])
    while not any(isinstance(job, Send) for job in jobs):
        jobs = saying.tick(*(Outcome(job, UploadDone("@b")) for job in jobs if isinstance(job, Upload)))
    (file,) = [job for job in jobs if isinstance(job, Send | SendCaption)]
    assert isinstance(file, Send)
    assert file.row.id == rows[0]


@pytest.mark.parametrize(
    ("verdict", "again"),
    [
        (NotReached(CAUSE, Scope.API), True),
        (Throttled(CAUSE, Scope.CONVERSATION, 1.0), True),
        (Throttled(CAUSE, Scope.ROW, 1.0), True),
        (TokenRejected(CAUSE, Scope.APP), True),
        (Misconfigured(CAUSE, Scope.CONVERSATION), True),
        (NoAnswer(CAUSE, Scope.CONVERSATION), False),
        (Rejected(CAUSE), False),
    ],
)
def test_only_a_line_that_certainly_was_not_sent_goes_again(
    saying: Desk, verdict: Verdict, *, again: bool
) -> None:
    """At most once for a delivery; its file follows either way."""
    saying.drop("a.pdf")
    (line,) = saying.upload()
    jobs = saying.tick(Outcome(announce([line]), verdict))
    for _ in range(8):
        if any(isinstance(job, Send | SendCaption) for job in jobs):
            break
        saying.now += 61.0
        jobs = saying.tick(*(Outcome(job, Done()) for job in jobs))
    (job,) = [job for job in jobs if isinstance(job, Send | SendCaption)]
    assert isinstance(job, SendCaption) is again


def test_lines_count_against_the_pace_of_the_next_process(saying: Desk) -> None:
    """A line is a message: after it and its file, two slots are taken."""
    limit = Limit(3, 60.0, spaced=False)
    saying.settings = replace(saying.settings, per_conversation=limit)
    saying.restart()
    saying.drop("a.pdf")
    (line,) = saying.upload()
    (file,) = saying.tick(Outcome(line, SendDone("key")))
    saying.tick(Outcome(file, SendDone("key")))
    saying.restart()
    saying.drop("b.pdf")
    (line,) = saying.upload()
    assert saying.tick(Outcome(announce([line]), SendDone("key"))) == []
    saying.now += 60.1
    assert isinstance(only(saying.tick(), Send), Send)


def test_a_stop_gives_a_line_up_as_perhaps_sent(saying: Desk) -> None:
    """The next life sends the file alone."""
    saying.drop("a.pdf")
    saying.upload()
    saying.loop.abandon(saying.now)
    saying.restart()
    saying.now += 60.0
    assert isinstance(only(saying.tick(), Send), Send)


def test_persons_get_the_same_line_together(saying: Desk) -> None:
    """Whom it is said otherwise, as to who had an earlier version, gets a call of its own."""
    saying.drop("a.pdf", "user:b", content="one")
    (line,) = saying.upload()
    (file,) = saying.tick(Outcome(line, SendDone("key")))
    saying.tick(Outcome(file, SendDone("key")))
    saying.drop("a.pdf", *PERSONS, content="two")
    lines = [job for job in saying.upload() if isinstance(job, SendCaption)]
    assert {(job.caption.text, *(r.recipient for r in job.rows)) for job in lines} == {
        ("a.pdf", "user:a", "user:c"),
        ("a.pdf new version", "user:b"),
    }


def test_no_line_goes_before_a_notice(tmp_path: Path, ledger_url: str) -> None:
    """The notice says all of it."""
    desk = desk_of(tmp_path, ledger_url, "cidA")
    desk.settings = settings_of(desk, "notice", Wording(caption="{name}"))
    desk.restart()
    (row,) = desk.drop("a.pdf")
    jobs = desk.tick() + desk.tick() + desk.tick()
    job = only(jobs, Send)
    assert isinstance(job, Send)
    assert job.notice is not None
    assert desk.tick(Outcome(job, SendDone("key"))) == []
    assert desk.state(row) == "skipped"
    desk.store.close()


# --- Custom robots, chats, pictures --------------------------------------------------------------


@pytest.mark.parametrize("verdict", [NoAnswer(CAUSE, Scope.API), NotReached(CAUSE, Scope.APP)])
def test_a_custom_robots_trouble_is_its_own(tmp_path: Path, ledger_url: str, verdict: Verdict) -> None:
    """A lost answer is no doubt, and neither it nor an address out of reach pauses anything else."""
    settings = Settings(APP)
    desk = desk_of(tmp_path, ledger_url, "webhook:abc", settings=settings)
    desk.settings = settings_of(desk, "notice")
    desk.restart()
    (row,) = desk.drop("a.pdf", "webhook:abc")
    (job,) = desk.tick() + desk.tick() + desk.tick()
    desk.tick(Outcome(job, verdict))
    assert desk.state(row) == "uploaded"
    assert [scope for scope, _ in desk.pauses()] == ["conversation"]
    desk.store.close()


def test_what_is_given_to_a_chat_and_a_group_has_two_uploads(desk: Desk) -> None:
    """Only the chat shows the name of the upload; by `send` no folder says so beforehand."""
    desk.mark = replace(desk.mark, id=None)  # type: ignore[arg-type]  # as `send` does
    desk.drop("a.pdf", "cidA", "chat:x")
    uploads = [job for _ in range(3) for job in desk.tick() if isinstance(job, Upload)]
    assert sorted((job.source.recipient, job.payload.key.name) for job in uploads) == [
        ("chat:x", "a.pdf"),
        ("cidA", ""),
    ]


def test_what_is_no_picture_to_dingtalk_goes_as_a_file(tmp_path: Path, ledger_url: str) -> None:
    """A kind costs one refused call, and a size one; both are still known after a restart."""
    desk = desk_of(tmp_path, ledger_url, "cidA")
    desk.settings = settings_of(desk, "image")
    desk.restart()

    def kind_of(name: str, size: int, *refusals: Verdict) -> list[str]:
        desk.drop(name, size=size)
        jobs, kinds = [], []
        for _ in range(4):
            jobs += [job for job in desk.tick() if isinstance(job, Upload)]
        for refusal in refusals:
            kinds.append(jobs[0].payload.key.type)
            jobs = [job for job in desk.tick(Outcome(jobs[0], refusal)) if isinstance(job, Upload)]
            jobs += [job for job in desk.tick() if isinstance(job, Upload)]
        kinds.append(jobs[0].payload.key.type)
        (send,) = [j for j in desk.tick(Outcome(jobs[0], UploadDone(f"@{name}"))) if isinstance(j, Send)]
        desk.tick(Outcome(send, SendDone("key")))
        return kinds

    assert kind_of("a.png", 10) == ["image"]
    assert kind_of("a.bmp", 10, TypeRefused(Cause("40005", "", "TYPE_REFUSED"))) == ["image", "file"]
    assert kind_of("b.bmp", 10) == ["file"]
    assert kind_of("b.png", 500, Rejected(Cause("40006", "", "TOO_BIG"))) == ["image", "file"]
    desk.restart()
    assert [kind_of(*one) for one in (("c.bmp", 10), ("c.png", 500), ("d.png", 499))] == [
        ["file"],
        ["file"],
        ["image"],
    ]
    desk.store.close()
