import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection

from dingwatch import quota
from dingwatch.delivery import DeliveryLoop, FetchToken, Outcome, Send, SendDone, Settings, Upload, UploadDone
from dingwatch.delivery.jobs import Done, Job
from dingwatch.delivery.state import LoopState
from dingwatch.dingtalk import REFUSED_EXTENSIONS, Host
from dingwatch.ledger import (
    LedgerError,
    Outage,
    Store,
    clock,
    commands,
    folders,
    pauses,
    transitions,
    versions,
)
from dingwatch.ledger.delivery import find_deliveries
from dingwatch.ledger.folders import MappedFolder, bind
from dingwatch.ledger.transitions import Change
from dingwatch.ledger.versions import NewVersion
from dingwatch.lifecycle import Event, State
from dingwatch.model import (
    Cause,
    Fingerprint,
    FolderDown,
    Form,
    MediaLost,
    Misconfigured,
    NoAnswer,
    NotReached,
    QuotaExhausted,
    Rejected,
    Scope,
    Throttled,
    TokenRejected,
    TypeRefused,
    Vanished,
    Verdict,
)
from dingwatch.pace import Limit
from dingwatch.payload import choose_payload
from dingwatch.texts import Calls, Log
from tests.ledger import change, on_sqlite, open_ledger, query
from tests.support import Heard

APP = "app1"
CAUSE = Cause("code", "message", "UNKNOWN_CODE")


class Desk:
    """A ledger with one folder, a delivery loop over it, and a clock that stands still until it is moved."""

    def __init__(self, path: Path, ledger: Path | str, settings: Settings | None = None) -> None:
        self.path = path / "ledger.db"
        self.store = open_ledger(ledger, self.path)
        self.now = 1_000_000.0
        self.fresh = {Host.API: True, Host.OAPI: True}
        self.fresh_token: Callable[[Host], bool] = lambda host: self.fresh[host]
        self.heard = Heard()
        self.settings = settings or Settings(APP, workers=4)
        with self.store.writing() as connection:
            (self.mark,) = bind(connection, [MappedFolder(b"/share", "share", ("cidA", "cidB"))])
        self.number = 0
        self.restart()

    def restart(self) -> None:
        """Begin anew on the same ledger, as after a crash."""
        self.loop = DeliveryLoop(
            self.store,
            self.settings,
            token_fresh=self.fresh_token,
            chance=lambda: 0.5,
            log=self.heard,
            outage=Outage(self.heard),
        )
        self.loop.recover(self.now)

    def drop(
        self, name: str, *conversations: str, content: str | None = None, size: int = 5, watched: bool = True
    ) -> list[int]:
        """Write down a settled file, or one that `send` was given; return the ids of its deliveries."""
        self.number += 1
        digest = content or f"digest{self.number}"
        code = self.settings.of_folder(self.mark.id).payload
        rebuild_payload = choose_payload(name.encode(), size, digest, code, REFUSED_EXTENSIONS)
        new = NewVersion(
            folder=self.mark.id if watched else None,
            path=name.encode(),
            fingerprint=Fingerprint(size, self.number, 1, self.number, 1),
            digest=digest,
            noticed_at=self.now,
            settled_at=self.now + self.number / 1000,
            payload=rebuild_payload,
            recipients=conversations or ("cidA",),
        )
        with self.store.writing() as connection:
            made = versions.add(self.store, connection, [new], self.now)
        self.now += 0.01
        self.loop.poke()
        return made

    def tick(self, *outcomes: Outcome) -> list[Job]:
        """Tick once."""
        return self.loop.tick(self.now, outcomes).jobs

    def state(self, delivery: int) -> str:
        """Return a row's state."""
        ((found,),) = query(self.store, "SELECT state FROM deliveries WHERE id = :id", id=delivery)
        return str(found)

    def pauses(self) -> list[tuple[str, float]]:
        """Return (scope, seconds left) of every pause."""
        with self.store.reading() as connection:
            rows = connection.exec_driver_sql("SELECT scope, until FROM pauses").all()
        return [(str(scope), float(until) - self.now) for scope, until in rows]

    def upload(self) -> list[Job]:
        """Let uploads succeed until there is none; return the other jobs that came meanwhile."""
        others: list[Job] = []
        jobs = self.tick()
        while jobs:
            uploads = [job for job in jobs if isinstance(job, Upload)]
            others += [job for job in jobs if not isinstance(job, Upload)]
            jobs = self.tick(*(Outcome(job, UploadDone(f"@{job.source.id}")) for job in uploads))
            if not uploads:
                break
        return others


@pytest.fixture
def desk(tmp_path: Path, ledger_url: str) -> Iterator[Desk]:
    """A desk with default settings."""
    made = Desk(tmp_path, ledger_url)
    yield made
    made.store.close()


def only(jobs: list[Job], kind: type[Job]) -> Job:
    """Return the only job, which is of this kind."""
    (job,) = jobs
    assert isinstance(job, kind)
    return job


def test_a_file_is_uploaded_and_then_sent(desk: Desk) -> None:
    """Pending, uploading, uploaded, sending, sent: each claim is on disk before its job is out."""
    (row,) = desk.drop("a.pdf")
    upload = only(desk.tick(), Upload)
    assert desk.state(row) == "uploading"
    send = only(desk.tick(Outcome(upload, UploadDone("@m"))), Send)
    assert isinstance(send, Send)
    assert (desk.state(row), send.media_id) == ("sending", "@m")
    assert desk.tick(Outcome(send, SendDone("key"))) == []
    assert desk.state(row) == "sent"


def test_all_rows_of_a_content_go_with_one_upload(desk: Desk) -> None:
    """Two conversations and two names of one content cost one upload."""
    rows = desk.drop("a.pdf", "cidA", "cidB", content="same") + desk.drop("b.pdf", content="same")
    upload = only(desk.tick(), Upload)
    assert isinstance(upload, Upload)
    assert [row.id for row in upload.rows] == rows


def test_a_known_content_costs_no_upload(desk: Desk) -> None:
    """What DingTalk has is sent at once."""
    desk.drop("a.pdf", content="same")
    (send,) = desk.upload()
    desk.tick(Outcome(send, SendDone("key")))
    desk.drop("b.pdf", content="same")
    jobs = desk.tick() + desk.tick()
    assert isinstance(only(jobs, Send), Send)


def test_a_file_whose_content_is_just_being_uploaded_is_not_forgotten(desk: Desk) -> None:
    """It waits for that upload, and goes on by itself when it is done."""
    desk.drop("a.pdf", content="same")
    upload = only(desk.tick(), Upload)
    (twin,) = desk.drop("b.pdf", content="same")
    assert desk.tick() == []
    send = only(desk.tick(Outcome(upload, UploadDone("@m"))), Send)
    desk.tick(Outcome(send, SendDone("key")))
    desk.tick()
    assert desk.state(twin) == "sending"


def test_what_a_folders_pause_held_goes_on_when_it_ends(desk: Desk) -> None:
    """Nothing is asked of the ledger meanwhile, and nothing stays behind afterwards."""
    (row,) = desk.drop("a.pdf")
    upload = only(desk.tick(), Upload)
    down = FolderDown(Cause("ESTALE", "", "FOLDER_DOWN"), Scope.FOLDER)
    desk.tick(Outcome(upload, down))
    assert desk.pauses() == [("folder", 0.5)]
    assert desk.tick() == []
    desk.now += 1.0
    again = only(desk.tick(), Upload)
    assert desk.state(row) == "uploading"
    assert isinstance(only(desk.tick(Outcome(again, UploadDone("@m"))), Send), Send)


def test_one_conversation_gets_one_file_at_a_time_in_order(desk: Desk) -> None:
    """The earliest settled goes next; nothing overtakes within a conversation."""
    rows = desk.drop("a.pdf") + desk.drop("b.pdf") + desk.drop("c.pdf")
    order, jobs = [], desk.upload()
    while jobs:
        (send,) = jobs
        assert isinstance(send, Send)
        order.append(send.row.id)
        jobs = desk.tick(Outcome(send, SendDone("key")))
    assert order == rows


def test_a_later_file_waits_at_most_five_seconds_for_an_earlier_upload(desk: Desk) -> None:
    """Order is kept, but a slow upload does not hold the conversation for long."""
    desk.drop("slow.pdf")
    (fast,) = desk.drop("fast.pdf")
    slow_job, fast_job = desk.tick()
    assert desk.tick(Outcome(fast_job, UploadDone("@f"))) == []
    desk.now += 5.1
    send = only(desk.tick(), Send)
    assert isinstance(send, Send)
    assert send.row.id == fast
    assert slow_job not in desk.tick()


def test_a_refused_kind_is_sent_zipped_and_remembered(desk: Desk) -> None:
    """One refused call in all: the row goes zipped, and so does the next one."""
    (row,) = desk.drop("a.xyz")
    upload = only(desk.tick(), Upload)
    again = only(desk.tick(Outcome(upload, TypeRefused(Cause("40005", "", "TYPE_REFUSED")))), Upload)
    assert isinstance(again, Upload)
    assert (again.payload.name, desk.state(row)) == ("a.xyz.zip", "uploading")
    desk.restart()
    desk.drop("b.xyz")
    names, jobs = set(), desk.tick()
    while jobs:
        job = jobs.pop()
        assert isinstance(job, Upload | Send)
        names.add(job.payload.name)
        jobs += desk.tick(Outcome(job, UploadDone("@x") if isinstance(job, Upload) else SendDone("key")))
    assert names == {"a.xyz.zip", "b.xyz.zip"}


@pytest.mark.parametrize(
    ("size", "state"), [(20 * 1024 * 1024, "uploading"), (20 * 1024 * 1024 + 1, "failed"), (0, "skipped")]
)
def test_what_must_fail_costs_no_call(desk: Desk, size: int, state: str) -> None:
    """The limit is inclusive; over it, and empty, nothing is asked."""
    (row,) = desk.drop("a.pdf", size=size)
    desk.tick()
    assert desk.state(row) == state


def test_a_rejected_file_holds_back_no_other(desk: Desk) -> None:
    """Only what is wrong with the file itself fails it."""
    bad, good = desk.drop("a.pdf") + desk.drop("b.pdf")
    first, second = desk.tick()
    desk.tick(Outcome(first, Rejected(CAUSE)), Outcome(second, UploadDone("@b")))
    assert (desk.state(bad), desk.state(good)) == ("failed", "sending")
    assert desk.pauses() == []


def test_a_vanished_file_is_gone_and_its_twin_goes_on(desk: Desk) -> None:
    """A row that waited for another's file gets its own chance."""
    first, twin = desk.drop("a.pdf", content="same") + desk.drop("b.pdf", content="same")
    upload = only(desk.tick(), Upload)
    jobs = desk.tick(Outcome(upload, Vanished(Cause("absent", "", "FILE_GONE"))))
    again = only(jobs, Upload)
    assert isinstance(again, Upload)
    assert (desk.state(first), again.source.id) == ("gone", twin)


def outage() -> Verdict:
    """Return the verdict of a host that cannot be reached."""
    return NotReached(Cause("unreachable", "", "UNREACHABLE"), Scope.APP)


def test_an_outage_pauses_everything_and_is_probed_with_the_token_call(desk: Desk) -> None:
    """Nothing is claimed; at the pause's end only token calls go out, and their success ends it."""
    desk.drop("a.pdf")
    desk.drop("b.pdf")
    first, second = desk.tick()
    assert desk.tick(Outcome(first, outage()), Outcome(second, outage())) == []
    ((scope, left),) = desk.pauses()
    assert (scope, left) == ("app", 0.5)
    desk.now += 1.0
    probes = desk.tick()
    assert {job.host for job in probes if isinstance(job, FetchToken)} == set(Host)
    assert len(probes) == 2
    desk.tick(Outcome(probes[0], outage()))
    assert desk.pauses()[0][1] == 1.0
    desk.now += 1.1
    (second_probe,) = [job for job in desk.tick() if isinstance(job, FetchToken)]
    desk.tick(Outcome(probes[1], Done()))
    assert desk.pauses()
    (upload, *_) = desk.tick(Outcome(second_probe, Done()))
    assert isinstance(upload, Upload)
    assert desk.pauses() == []


def test_a_refused_conversation_costs_one_call_for_all_its_files(desk: Desk) -> None:
    """A robot that is not there pauses its conversation only; one probe goes at the end of the pause."""
    refused = Misconfigured(Cause("resource.not.found", "", "ROBOT_IN_GROUP"), Scope.CONVERSATION)
    rows = [row for number in range(3) for row in desk.drop(f"{number}.pdf", "cidA", "cidB")]
    jobs = desk.upload()
    while jobs:
        results = [
            Outcome(job, refused if job.row.recipient == "cidB" else SendDone("key"))
            for job in jobs
            if isinstance(job, Send)
        ]
        jobs = desk.tick(*results)
    assert [desk.state(row) for row in rows] == ["sent", "uploaded"] * 3
    desk.now += 61.0
    probe = only(desk.tick(), Send)
    assert isinstance(probe, Send)
    assert probe.row.recipient == "cidB"
    assert len(desk.tick(Outcome(probe, SendDone("key")))) == 1
    assert desk.pauses() == []


def test_a_throttled_api_waits_as_long_as_it_is_told(desk: Desk) -> None:
    """The server's own wait is honoured, by all rows of that API."""
    desk.drop("a.pdf")
    upload = only(desk.tick(), Upload)
    desk.drop("b.pdf")
    assert desk.tick(Outcome(upload, Throttled(CAUSE, Scope.API, 7.0))) == []
    assert desk.pauses() == [("api", 7.0)]
    desk.now += 6.9
    assert desk.tick() == []
    desk.now += 0.2
    assert len(desk.tick()) == 1


def lost() -> Verdict:
    """Return the verdict of an answer that never came."""
    return NoAnswer(Cause("no_answer", "", "NO_ANSWER"), Scope.API)


def doubted(desk: Desk) -> int:
    """Leave one row in doubt; return its id."""
    (row,) = desk.drop("a.pdf")
    (send,) = desk.upload()
    desk.tick(Outcome(send, lost()))
    assert desk.state(row) == "uncertain"
    return row


def test_a_doubt_is_resent_once_after_a_call_that_is_safe_to_repeat(desk: Desk) -> None:
    """Not before thirty seconds, not before DingTalk answers again, and a second doubt stays."""
    row = doubted(desk)
    desk.now += 29.0
    (token,) = desk.tick()
    assert isinstance(token, FetchToken)
    desk.now += 2.0
    assert desk.tick() == []
    assert desk.state(row) == "uncertain"
    send = next(job for job in desk.tick(Outcome(token, Done())) if isinstance(job, Send))
    desk.tick(Outcome(send, lost()))
    assert desk.state(row) == "uncertain"
    desk.now += 3600.0
    for _ in range(3):
        jobs = desk.tick()
        assert not [job for job in jobs if isinstance(job, Send)]
        desk.tick(*(Outcome(job, Done()) for job in jobs))
    assert desk.state(row) == "uncertain"


def test_files_that_wait_for_older_versions_hold_back_no_other(desk: Desk) -> None:
    """However many of them there are: a file that settled later goes meanwhile."""
    names = [f"{number}.pdf" for number in range(6)]
    for name in names:
        desk.drop(name)
    doubted = "UPDATE deliveries SET state = 'uncertain', doubts = 1, doubted_at = :now"
    change(desk.store, doubted, now=desk.now)
    for name in names:
        desk.drop(name)
    (row,) = desk.drop("other.pdf")
    desk.now += 1.0
    (send,) = desk.upload()
    assert isinstance(send, Send)
    assert send.row.id == row


def test_with_hold_a_doubt_is_left_to_a_person(tmp_path: Path, ledger_url: str) -> None:
    """`on_uncertain: hold` never sends twice by itself."""
    desk = Desk(tmp_path, ledger_url, Settings(APP, resend_uncertain=False))
    row = doubted(desk)
    desk.now += 3600.0
    assert not [job for job in desk.tick() if isinstance(job, Send)]
    assert desk.state(row) == "uncertain"
    desk.store.close()


def test_a_crash_leaves_sends_in_doubt_and_uploads_pending(desk: Desk) -> None:
    """Recovery follows the table, and what was in hand goes first, one at a time."""
    first, second, third = desk.drop("a.pdf") + desk.drop("b.pdf") + desk.drop("c.pdf")
    upload, other, _ = desk.tick()
    desk.tick(Outcome(upload, UploadDone("@a")))
    assert desk.state(first) == "sending"
    desk.restart()
    assert [desk.state(row) for row in (first, second, third)] == ["uncertain", "pending", "pending"]
    assert len(desk.tick()) == 1
    assert other not in desk.tick()


def test_a_file_that_brings_the_process_down_three_times_is_put_aside(desk: Desk) -> None:
    """No file can stop the service for good."""
    (row,) = desk.drop("poison.pdf")
    for _ in range(3):
        assert desk.state(row) == "pending"
        desk.tick()
        desk.restart()
    assert desk.state(row) == "failed"


def test_a_stop_gives_up_what_is_out_as_what_it_is(desk: Desk) -> None:
    """An upload is pending again, a send is in doubt, and neither counts as a crash."""
    first, second = desk.drop("a.pdf") + desk.drop("b.pdf")
    upload, _ = desk.tick()
    desk.tick(Outcome(upload, UploadDone("@a")))
    desk.loop.abandon(desk.now)
    assert (desk.state(first), desk.state(second)) == ("uncertain", "pending")
    assert desk.pauses() == []


def test_the_pace_is_kept_and_survives_a_restart(tmp_path: Path, ledger_url: str) -> None:
    """At most N sends in the window, also when the process was another one."""
    settings = Settings(APP, per_conversation=Limit(2, 60.0, spaced=False))
    desk = Desk(tmp_path, ledger_url, settings)
    for number in range(3):
        desk.drop(f"{number}.pdf")
    jobs = desk.upload()
    for _ in range(2):
        (send,) = jobs
        jobs = desk.tick(Outcome(send, SendDone("key")))
    assert jobs == []
    desk.restart()
    assert desk.tick() == []
    desk.now += 61.0
    assert len(desk.tick()) == 1
    desk.store.close()


def test_what_a_refusal_taught_survives_a_restart(tmp_path: Path, ledger_url: str) -> None:
    """A new process does not run into the limit that the last one has found."""
    desk = Desk(tmp_path, ledger_url, Settings(APP, per_api=Limit(20, 1.0, spaced=True)))
    for number in range(3):
        desk.drop(f"{number}.pdf")
    refused = []
    for _ in range(3):
        refused.append(Outcome(only(desk.tick(), Upload), Throttled(CAUSE, Scope.API, 1.0)))
        desk.now += 0.06
    assert desk.tick(*refused) == []
    desk.now += 1.5
    desk.restart()
    upload = only(desk.tick(), Upload)
    assert desk.tick(Outcome(upload, NotReached(CAUSE))) == []
    desk.now += 0.4
    assert desk.tick() == []
    desk.now += 0.2
    only(desk.tick(), Upload)
    desk.store.close()


def test_a_servers_wait_outlasts_a_restart_and_what_was_under_way(desk: Desk) -> None:
    """A penalty with an end is waited out: neither a restart, nor a call that began earlier, ends it."""
    desk.drop("a.pdf")
    desk.drop("b.pdf")
    first, second = desk.tick()
    desk.tick(Outcome(first, Throttled(CAUSE, Scope.API, 60.0)))
    assert isinstance(second, Upload)
    others = desk.tick(Outcome(second, UploadDone("@b")))
    assert not any(isinstance(job, Upload) for job in others)
    desk.now += 1.0
    desk.restart()
    assert not any(isinstance(job, Upload) for job in desk.tick())
    desk.now += 59.0
    assert any(isinstance(job, Upload) for job in desk.tick())


# --- The month's calls -----------------------------------------------------------------------------

USED_UP = QuotaExhausted(Cause("90020", "", "QUOTA"), Scope.APP)


def test_a_month_without_calls_is_waited_out_and_said_once(desk: Desk) -> None:
    """Neither a restart, nor a retry, nor what was under way ends it; nothing is lost; the 1st does."""
    ids = [*desk.drop("a.pdf"), *desk.drop("b.pdf")]
    first, second = desk.tick()
    assert isinstance(second, Upload)
    desk.tick(Outcome(first, USED_UP))
    assert desk.tick(Outcome(second, UploadDone("@b"))) == []
    desk.restart()
    assert desk.tick() == []
    commands.retry_all(desk.store, desk.now)
    desk.loop.poke()
    assert desk.tick() == []
    desk.now = quota.month_end(desk.now) - 1.0
    assert desk.tick() == []
    assert desk.heard.count(Log.OUT_OF_CALLS) == 1
    assert [desk.state(row) for row in ids] == ["pending", "uploaded"]
    desk.now += 1.0
    probe = only(desk.tick(), Send)
    assert len(desk.tick(Outcome(probe, SendDone("key")))) == 1
    assert desk.pauses() == []


def test_a_person_resumes_with_one_probe_and_is_answered(desk: Desk) -> None:
    """Where more calls were bought one request finds out; where not, it is said again."""
    desk.drop("a.pdf")
    desk.drop("b.pdf")
    for job in desk.tick():
        desk.tick(Outcome(job, USED_UP))
    for heard in (2, 3):
        with desk.store.writing() as connection:
            assert [pause.cause.code for pause in pauses.resume_pauses(connection)] == ["90020"]
        desk.loop.poke()
        probe = only(desk.tick(), Upload)
        assert desk.tick(Outcome(probe, USED_UP)) == []
        assert desk.heard.count(Log.OUT_OF_CALLS) == heard


def test_most_of_the_months_calls_are_told_once(tmp_path: Path, ledger_url: str) -> None:
    """At 80 and at 100 per cent, with what is left, and not again after a restart."""
    desk = Desk(tmp_path, ledger_url, Settings(APP, monthly_calls=10))
    for made, told in ((7, 0), (1, 1), (1, 1), (1, 2), (5, 2)):
        for _ in range(made):
            desk.loop.count("media/upload")
        desk.loop.count("gettoken")
        desk.now += 2.0
        desk.tick()
        warned = [values for text, values in desk.heard.said if isinstance(text, Calls)]
        assert len(warned) == told
        desk.restart()
    assert [(values["used"], values["left"]) for values in warned] == [(8, 2), (10, 0)]
    desk.store.close()


def test_no_send_is_claimed_without_a_token(desk: Desk) -> None:
    """Nothing waits in `sending`: the token is there before the claim."""
    (row,) = desk.drop("a.pdf")
    desk.fresh[Host.API] = False
    (token,) = desk.upload()
    assert isinstance(token, FetchToken)
    assert desk.state(row) == "uploaded"
    desk.fresh[Host.API] = True
    assert isinstance(only(desk.tick(Outcome(token, Done())), Send), Send)


def test_a_clock_set_back_makes_no_new_version_an_old_one(desk: Desk) -> None:
    """A version that settled "before" the one it replaces goes again when DingTalk lost its upload."""
    desk.drop("a.pdf", content="first")
    (first,) = desk.upload()
    desk.tick(Outcome(first, SendDone("key")))
    desk.now -= 100.0
    (row,) = desk.drop("a.pdf", content="second")
    (second,) = desk.upload()
    desk.tick(Outcome(second, MediaLost(Cause("40007", "", "MEDIA_LOST"))))
    assert desk.state(row) in {"pending", "uploading"}


def test_an_outcome_for_a_row_that_was_withdrawn_changes_only_the_upload(desk: Desk) -> None:
    """A newer version took its place while it was uploaded: the old one is not sent."""
    (row,) = desk.drop("a.pdf", content="same")
    upload = only(desk.tick(), Upload)
    assert isinstance(upload, Upload)
    with desk.store.writing() as connection:
        versions.withdraw(
            connection, [upload.source.version], Cause("superseded", "", "SUPERSEDED"), desk.now
        )
    assert desk.tick(Outcome(upload, UploadDone("@a"))) == []
    assert desk.state(row) == "gone"
    desk.drop("b.pdf", content="same")
    desk.tick()
    with desk.store.reading() as connection:
        assert connection.exec_driver_sql("SELECT state FROM uploads").scalar() == "have"


@on_sqlite
def test_a_ledger_that_cannot_be_written_stops_claims_and_keeps_outcomes(desk: Desk, tmp_path: Path) -> None:
    """Nothing is sent that cannot be recorded; what came back is written first when it can be again."""
    (row,) = desk.drop("a.pdf")
    desk.drop("b.pdf")
    upload, _ = desk.tick()
    with desk.store.reading() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout=0")
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert desk.tick(Outcome(upload, UploadDone("@a"))) == []
        assert desk.state(row) == "uploading"
        other.execute("ROLLBACK")
    send = next(job for job in desk.tick() if isinstance(job, Send))
    assert (send.row.id, send.media_id, desk.state(row)) == (row, "@a", "sending")
    assert (desk.heard.count(Log.LEDGER_DOWN), desk.heard.count(Log.LEDGER_BACK)) == (1, 1)


def test_history_tells_every_transition(desk: Desk) -> None:
    """Each change of a row has its line, in the same transaction."""
    (row,) = desk.drop("a.pdf")
    (send,) = desk.upload()
    desk.tick(Outcome(send, SendDone("key")))
    lines = query(desk.store, "SELECT after FROM history WHERE delivery_id = :id ORDER BY id", id=row)
    assert [after for (after,) in lines] == ["pending", "uploading", "uploaded", "sending", "sent"]


def test_a_ledger_of_a_newer_dingwatch_is_refused(ledger_url: str) -> None:
    """It is not guessed at, and nothing is written to it."""
    with closing(Store.open(ledger_url)) as store:
        change(store, "UPDATE numbers SET value = 99 WHERE name = 'schema'")
    with pytest.raises(LedgerError) as caught:
        Store.open(ledger_url)
    assert caught.value.cause.code == "newer_schema"


def test_the_ledger_refuses_a_state_that_the_table_does_not_know(desk: Desk) -> None:
    """The constraint is derived from the life cycle."""
    (row,) = desk.drop("a.pdf")
    with pytest.raises(LedgerError):
        change(desk.store, "UPDATE deliveries SET state = 'lost' WHERE id = :id", id=row)
    assert desk.state(row) == State.PENDING


def moved_while_sent(desk: Desk) -> tuple[int, Send]:
    """Have a file renamed while it is being sent; return its row and the send."""
    (row,) = desk.drop("a.pdf")
    (send,) = desk.upload()
    assert isinstance(send, Send)
    with desk.store.writing() as connection:
        moved = versions.Renewal(send.row.version, b"b.pdf", send.row.fingerprint, "moved")
        versions.renew(connection, [moved], desk.now)
    return row, send


def test_a_send_refused_after_a_move_is_not_left_in_hand(desk: Desk) -> None:
    """The file was renamed while it was being sent: the refusal still ends the claim."""
    row, send = moved_while_sent(desk)
    (again,) = desk.tick(Outcome(send, Rejected(CAUSE)))
    assert desk.state(row) == "sending"
    desk.tick(Outcome(again, Rejected(CAUSE)))
    assert desk.state(row) == "failed"


def test_a_file_renamed_to_a_name_that_only_an_archive_can_have_is_uploaded_anew(desk: Desk) -> None:
    """Uploaded as it is, then renamed to have no extension: what is called a .zip must be one."""
    _, row = desk.drop("a.pdf") + desk.drop("b.pdf")
    (send,) = desk.upload()
    assert isinstance(send, Send)
    with desk.store.writing() as connection:
        version = find_deliveries(connection, [row])[row]
        moved = versions.Renewal(version.version, b"b", version.fingerprint, "moved")
        versions.renew(connection, [moved], desk.now)
    upload = only([*desk.tick(Outcome(send, SendDone("key"))), *desk.tick(), *desk.tick()], Upload)
    assert isinstance(upload, Upload)
    (again,) = desk.tick(Outcome(upload, UploadDone("@archive")))
    assert isinstance(again, Send)
    assert (upload.payload.form, again.payload.name, again.media_id) == (Form.ZIP, "b.zip", "@archive")


def test_what_left_the_config_is_not_claimed_after_a_crash(desk: Desk) -> None:
    """A row that was in hand at a crash is taken up first, but only while its folder is mapped."""
    (row,) = desk.drop("a.pdf")
    desk.tick()
    desk.restart()
    with desk.store.writing() as connection:
        bind(connection, [])
    desk.restart()
    assert desk.tick() == []
    assert desk.state(row) == "pending"


def test_a_throttled_token_call_waits_as_long_as_it_is_told(desk: Desk) -> None:
    """The wait that DingTalk names is kept when the verdict becomes the whole app's."""
    desk.drop("a.pdf")
    desk.fresh[Host.OAPI] = False
    token = only(desk.tick(), FetchToken)
    assert desk.tick(Outcome(token, Throttled(CAUSE, Scope.API, 7.0))) == []
    assert desk.pauses() == [("app", 7.0)]


def test_what_is_refused_before_its_upload_holds_back_no_other(tmp_path: Path, ledger_url: str) -> None:
    """It takes no worker: the next file is claimed without anything else having to happen."""
    desk = Desk(tmp_path, ledger_url, Settings(APP, workers=1))
    desk.drop("a.pdf", size=20 * 1024 * 1024 + 1)
    (row,) = desk.drop("b.pdf")
    plan = desk.loop.tick(desk.now, [])
    assert plan.next_at == desk.now
    desk.tick()
    assert desk.state(row) == "uploading"
    desk.store.close()


def test_a_lost_media_id_does_not_take_the_next_one_with_it(desk: Desk) -> None:
    """Two sends find out that the same one is lost, the second after a new one has come: one upload more."""
    desk.drop("a.pdf", "cidA", "cidB")
    lost_media = MediaLost(Cause("miss.param.file", "", "MEDIA_LOST"))
    first, second = desk.upload()
    (upload,) = desk.tick(Outcome(first, lost_media))
    desk.tick(Outcome(upload, UploadDone("@new")))
    jobs = desk.tick(Outcome(second, lost_media)) + desk.tick()
    assert [type(job) for job in jobs] == [Send]


def test_a_refused_send_of_a_moved_file_is_not_forgotten(desk: Desk) -> None:
    """Intake has just written down where it is: nothing but this send's outcome wakes delivery."""
    row, send = moved_while_sent(desk)
    desk.loop.poke()
    desk.tick()
    desk.tick(Outcome(send, Rejected(CAUSE)))
    assert desk.state(row) == "sending"


@on_sqlite
def test_a_stop_keeps_an_outcome_that_could_not_be_written(desk: Desk, tmp_path: Path) -> None:
    """What is known to be sent is no doubt, and not sent again after the start."""
    (row,) = desk.drop("a.pdf")
    (send,) = desk.upload()
    with desk.store.reading() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout=0")
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        desk.tick(Outcome(send, SendDone("key")))
        other.execute("ROLLBACK")
    desk.loop.abandon(desk.now)
    assert desk.state(row) == "sent"


def test_after_a_crash_a_row_that_cannot_go_first_holds_back_no_other(desk: Desk) -> None:
    """It is passed over, and the next one is taken up without anything else having to happen."""
    first, second = desk.drop("a.pdf") + desk.drop("b.pdf")
    change(desk.store, "UPDATE deliveries SET crashes = 1")
    change(desk.store, "UPDATE deliveries SET state = 'uploaded' WHERE id = :id", id=first)
    desk.restart()
    plan = desk.loop.tick(desk.now, [])
    assert plan.next_at == desk.now
    desk.tick()
    assert desk.state(second) == "uploading"


def test_two_changes_of_a_row_in_one_batch_are_entered_one_after_the_other(desk: Desk) -> None:
    """The second applies to the state that the first has made, or not at all."""
    (row,) = desk.drop("a.pdf")
    with desk.store.writing() as connection:
        applied = transitions.apply(connection, desk.now, [Change(row, Event.SKIP), Change(row, Event.SKIP)])
    assert len(applied) == 1


def test_a_clock_set_back_lets_nobody_sleep_for_ever(desk: Desk) -> None:
    """What was due, and is not due any more by the clock as it is now, is waited for."""
    desk.drop("a.pdf")
    (upload,) = desk.tick()
    (row,) = desk.drop("b.pdf", content="digest1")
    desk.tick()
    desk.now -= 30.0
    desk.tick(Outcome(upload, Rejected(CAUSE)))
    assert desk.state(row) == "uploading"


EIGHT_HOURS = 8 * 3600.0


def test_a_clock_set_back_in_an_outage_prolongs_no_wait(desk: Desk) -> None:
    """Pause and row are tried again within the time that they were to wait, and no restart is needed."""
    (row,) = desk.drop("a.pdf")
    desk.tick(Outcome(only(desk.tick(), Upload), NotReached(CAUSE, Scope.APP)))
    ((_, length),) = desk.pauses()
    desk.now -= EIGHT_HOURS
    desk.tick()
    assert [left for _, left in desk.pauses()] == [pytest.approx(length)]
    desk.now += length
    probes = desk.tick()
    assert all(isinstance(probe, FetchToken) for probe in probes)
    desk.tick(*(Outcome(probe, Done()) for probe in probes))
    assert desk.state(row) == "uploading"


def test_a_row_that_waits_for_itself_is_not_kept_for_hours(desk: Desk) -> None:
    """What a refusal has a single file wait for is cut like a pause."""
    (row,) = desk.drop("a.pdf")
    (send,) = desk.upload()
    desk.tick(Outcome(send, Throttled(CAUSE, Scope.ROW, 100.0)))
    desk.now -= EIGHT_HOURS
    plan = desk.loop.tick(desk.now, ())
    assert plan.next_at == pytest.approx(desk.now + 100.0)
    desk.now += 100.0
    desk.tick()
    assert desk.state(row) == "sending"


def test_a_quota_pause_ends_with_the_month_that_the_clock_has_now(desk: Desk) -> None:
    """A clock that ran two months ahead keeps nothing waiting until the month that it named."""
    desk.drop("a.pdf")
    right = desk.now
    desk.now += 61 * 86400.0
    desk.tick(Outcome(only(desk.tick(), Upload), USED_UP))
    desk.now = right
    desk.tick()
    assert [left for _, left in desk.pauses()] == [pytest.approx(quota.month_end(right) - right)]


def test_a_flood_hold_stays_when_the_clock_is_set_back(desk: Desk) -> None:
    """It has no length, and only a person ends it; files of a future hour do not count to the last one."""
    desk.drop("a.pdf")
    desk.drop("b.pdf")
    with desk.store.writing() as connection:
        assert folders.hold_flood(connection, 1, desk.now - 3600.0, 1, desk.now)
    desk.tick()
    desk.now -= EIGHT_HOURS
    assert desk.tick() == []
    with desk.store.writing() as connection:
        assert folders.count_held(connection)[1] == 2
        assert not folders.hold_flood(connection, 1, desk.now - 3600.0, 1, desk.now)


def test_resume_frees_the_file_that_waits_too(desk: Desk) -> None:
    """A person does not want to wait for the backoff of the file that met the trouble."""
    (row,) = desk.drop("a.pdf")
    (send,) = desk.upload()
    desk.tick(Outcome(send, Throttled(CAUSE, Scope.ROW, 100.0)))
    with desk.store.writing() as connection:
        pauses.resume_pauses(connection)
        assert clock.free_waiting(connection, desk.now) == 1
    desk.loop.poke()
    desk.tick()
    assert desk.state(row) == "sending"


@pytest.mark.parametrize("doubted_first", [False, True])
@pytest.mark.parametrize(
    "refusal",
    [Throttled(CAUSE, Scope.ROW, 5.0), MediaLost(Cause("miss.param.file", "", "MEDIA_LOST"))],
    ids=["throttled", "media lost"],
)
def test_an_older_version_whose_send_was_refused_does_not_follow_a_newer(
    desk: Desk, refusal: Verdict, *, doubted_first: bool
) -> None:
    """The newer came while it was being sent; it is withdrawn then, as it would have been before."""
    (old,) = desk.drop("a.pdf")
    (send,) = desk.upload()
    if doubted_first:
        desk.tick(Outcome(send, lost()))
        desk.now += 31.0
        (token,) = desk.tick()
        (send,) = desk.tick(Outcome(token, Done()))
    (new,) = desk.drop("a.pdf")
    assert desk.upload() == []
    jobs = desk.tick(Outcome(send, refusal))
    sent = []
    for _ in range(20):
        desk.now += 1.0
        sent += [job.row.id for job in jobs if isinstance(job, Send)]
        done = [SendDone("key") if isinstance(job, Send) else UploadDone("@x") for job in jobs]
        jobs = desk.tick(*(Outcome(job, result) for job, result in zip(jobs, done, strict=True)))
    assert sent in ([new], [old, new])
    assert (desk.state(old), desk.state(new)) in (("gone", "sent"), ("sent", "sent"))


def test_an_older_version_that_a_person_retries_is_not_withdrawn_by_the_newer(desk: Desk) -> None:
    """It is wanted after the newer one, and a refusal for its rate changes nothing of that."""
    (old,) = desk.drop("a.pdf")
    (send,) = desk.upload()
    desk.tick(Outcome(send, Rejected(CAUSE)))
    desk.drop("a.pdf")
    (send,) = desk.upload()
    desk.tick(Outcome(send, SendDone("key")))
    desk.now += 1.0
    commands.retry(desk.store, [old], (), desk.now)
    desk.loop.poke()
    (send,) = desk.upload() or desk.tick()
    desk.tick(Outcome(send, Throttled(CAUSE, Scope.ROW, 5.0)))
    assert desk.state(old) == "uploaded"


def test_after_a_crash_one_goes_at_a_time_though_a_token_is_wanted_first(desk: Desk) -> None:
    """A new process has no token yet: to wait for it is no reason to let them all go together."""
    rows = [desk.drop(name)[0] for name in ("a.pdf", "b.pdf", "c.pdf")]
    assert len(desk.tick()) == 3
    desk.fresh = dict.fromkeys(Host, False)
    desk.restart()
    fetches = desk.tick()
    assert all(isinstance(fetch, FetchToken) for fetch in fetches)
    desk.fresh = dict.fromkeys(Host, True)
    (upload,) = desk.tick(*(Outcome(fetch, Done()) for fetch in fetches))
    assert [desk.state(row) for row in rows] == ["uploading", "pending", "pending"]
    assert isinstance(upload, Upload)


def test_the_token_for_the_message_is_fetched_beside_that_for_the_upload(desk: Desk) -> None:
    """After hours without a file both tokens have expired; the upload waits for its own alone."""
    desk.fresh = dict.fromkeys(Host, False)
    desk.restart()
    desk.drop("a.pdf")
    fetches = {fetch.host: fetch for fetch in desk.tick() if isinstance(fetch, FetchToken)}
    assert set(fetches) == set(Host)
    desk.fresh[Host.OAPI] = True
    (upload,) = desk.tick(Outcome(fetches[Host.OAPI], Done()))
    assert isinstance(upload, Upload)


def test_a_poke_during_a_tick_is_for_the_next_one(desk: Desk) -> None:
    """What was written meanwhile is looked for, though the tick has looked already."""
    desk.tick()
    (row,) = desk.drop("a.pdf")
    desk.loop.poke()
    reload = LoopState.reload

    def reload_and_poke(state: LoopState, connection: Connection) -> None:
        reload(state, connection)
        desk.loop.poke()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LoopState, "reload", reload_and_poke)
        desk.tick()
    assert desk.loop._must_reload
    assert desk.state(row) == "uploading"


@on_sqlite
def test_a_tick_that_writes_nothing_needs_no_write_lock(desk: Desk) -> None:
    """It goes through while another process holds the lock, whatever the rows are waiting for."""
    desk.drop("uploading.pdf")
    (held,) = desk.drop("held.pdf")
    (refused,) = desk.drop("refused.pdf", "cidB")
    uploads = [job for job in desk.tick() if isinstance(job, Upload)]
    assert len(uploads) == 3
    jobs = desk.tick(*(Outcome(job, UploadDone(f"@{job.source.id}")) for job in uploads[1:]))
    desk.now += 5.1
    sends = {job.row.id: job for job in (*jobs, *desk.tick()) if isinstance(job, Send)}
    desk.tick(
        Outcome(sends[held], Throttled(CAUSE, Scope.ROW, 60.0)),
        Outcome(sends[refused], Misconfigured(CAUSE, Scope.CONVERSATION)),
    )
    with closing(sqlite3.connect(desk.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        desk.loop.poke()
        plan = desk.loop.tick(desk.now, [])
    assert (plan.jobs, plan.next_at) == ([], desk.now + 60.0)
    assert desk.loop.in_hand == 1
    assert desk.heard.count(Log.LEDGER_DOWN) == 0


@on_sqlite
def test_a_tick_whose_reads_are_out_of_date_runs_again(desk: Desk) -> None:
    """A command writes between what a tick reads and what it writes: nothing is claimed twice."""
    (row,) = desk.drop("a.pdf")
    asked = 0

    def fresh(_: Host) -> bool:
        nonlocal asked
        asked += 1
        if asked == 1:
            with closing(sqlite3.connect(desk.path)) as other, other:
                other.execute("INSERT INTO calls VALUES ('2026-01-01', 'other', 1)")
        return True

    desk.fresh_token = fresh
    desk.restart()
    (job,) = desk.tick()
    assert isinstance(job, Upload)
    assert (asked, desk.loop.in_hand, desk.state(row)) == (4, 1, "uploading")
    assert desk.heard.count(Log.LEDGER_DOWN) == 0


def refuse_tokens(desk: Desk, times: int) -> Send:
    """Have a send's token refused so many times, each time after a new one came; return the send."""
    (send,) = desk.upload() or desk.tick()
    for _ in range(times):
        assert isinstance(send, Send)
        desk.fresh[Host.API] = False
        (fetch,) = desk.tick(Outcome(send, TokenRejected(CAUSE, Scope.APP)))
        desk.fresh[Host.API] = True
        (send,) = desk.tick(Outcome(fetch, Done()))
    assert isinstance(send, Send)
    return send


def test_one_token_after_another_refused_is_the_apps_trouble(desk: Desk) -> None:
    """No storm of calls: a person must look at the credentials."""
    desk.drop("a.pdf")
    send = refuse_tokens(desk, 3)
    assert desk.pauses() == []
    desk.tick(Outcome(send, TokenRejected(CAUSE, Scope.APP)))
    assert [scope for scope, _ in desk.pauses()] == ["app"]


def test_a_dead_token_says_nothing_of_a_row_that_was_refused_before(desk: Desk) -> None:
    """Its own failures had nothing to do with tokens, and a call that came through proves the token."""
    desk.drop("a.pdf")
    for _ in range(4):
        (send,) = desk.upload() or desk.tick()
        desk.tick(Outcome(send, NotReached(CAUSE, Scope.ROW)))
        desk.now += 600.0
    send = refuse_tokens(desk, 2)
    desk.tick(Outcome(send, SendDone("key")))
    desk.drop("b.pdf")
    refuse_tokens(desk, 3)
    assert desk.pauses() == []
