"""Two hosts on one ledger: each row is claimed once, and no outcome is entered into another's claim."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any, Final, TypeVar

import pytest
from sqlalchemy import create_engine, insert, select, text, update

from dingwatch.delivery import (
    Begin,
    Commit,
    DeliveryLoop,
    FolderPolicy,
    Job,
    Outcome,
    Put,
    PutDone,
    Send,
    SendCaption,
    SendDone,
    Settings,
    Upload,
    UploadDone,
)
from dingwatch.delivery.claims import claim
from dingwatch.delivery.drives import WHOLE
from dingwatch.delivery.limits import RateLimits
from dingwatch.delivery.state import LoopState, TickContext
from dingwatch.dingtalk import MEDIA_LIMIT, REFUSED_EXTENSIONS
from dingwatch.ledger import LedgerError, Outage, Store, commands, fencing, transitions, versions
from dingwatch.ledger.bundles import form_bundle
from dingwatch.ledger.delivery import Delivery, find_deliveries, recover
from dingwatch.ledger.folders import MappedFolder, bind
from dingwatch.ledger.schema import deliveries, history, in_flight, numbers, parts, uploads
from dingwatch.ledger.transitions import Change
from dingwatch.ledger.uploads import UploadSession
from dingwatch.ledger.versions import NewVersion
from dingwatch.lifecycle import Event, State
from dingwatch.model import (
    Cause,
    Fingerprint,
    Form,
    MediaLost,
    NoAnswer,
    NotReached,
    Rejected,
    StoreUnreached,
    TokenRejected,
    TypeRefused,
    UploadKey,
    Vanished,
)
from dingwatch.notice_text import Wording
from dingwatch.payload import Payload, PayloadPolicy, choose_payload
from dingwatch.texts import Log
from tests.support import Heard, eventually

APP: Final = "app1"
NODE: Final = "nas-1"
CAUSE: Final = Cause("code", "message", "UNKNOWN_CODE")
SESSION: Final = UploadSession("space", "key")
DRIVE: Final = PayloadPolicy(APP, MEDIA_LIMIT, space="1", large="drive")
Kind = TypeVar("Kind", bound=Job)


class Host:
    """A delivery loop with a connection of its own to the ledger."""

    def __init__(self, url: str, settings: Settings) -> None:
        self.store = Store.open(url, NODE)
        self.heard = Heard()
        self.settings = settings
        self.loop = DeliveryLoop(
            self.store,
            settings,
            token_fresh=lambda _: True,
            chance=lambda: 0.5,
            log=self.heard,
            outage=Outage(self.heard),
        )
        self.now = 1_000_000.0

    def tick(self, *outcomes: Outcome) -> list[Job]:
        """Tick once, some time later."""
        self.now += 0.1
        return self.loop.tick(self.now, outcomes).jobs

    def work_until(self, kind: type[Kind]) -> Kind:
        """Let everything succeed until there is a job of this kind; return it."""
        jobs: list[Job] = []
        for _ in range(20):
            jobs = self.tick(*map(success, jobs))
            for job in jobs:
                if isinstance(job, kind):
                    return job
        raise AssertionError(f"no {kind}; the last were {jobs}")


class Hosts:
    """Two hosts with one folder on a ledger."""

    def __init__(self, url: str, settings: Settings) -> None:
        self.url = url
        # Of one name, so that both have the folder: B stands in for A while that is frozen.
        self.a, self.b = Host(url, settings), Host(url, settings)
        self.number = 0
        for host in (self.a, self.b):
            with host.store.writing() as connection:
                (self.folder,) = bind(connection, [MappedFolder(b"/share", "share", ("cidA", "cidB"))])

    def close(self) -> None:
        """Close the ledger."""
        self.a.store.close()
        self.b.store.close()

    def drop(self, name: str, *recipients: str, size: int = 5, content: str = "") -> list[int]:
        """Write down a settled file; return the ids of its deliveries."""
        self.number += 1
        digest = content or f"digest{self.number}"
        policy = self.a.settings.of_folder(self.folder.id).payload
        now = 999_000.0 + self.number / 1000
        new = NewVersion(
            folder=self.folder.id,
            path=name.encode(),
            fingerprint=Fingerprint(size, self.number, 1, self.number, 1),
            digest=digest,
            noticed_at=now,
            settled_at=now,
            payload=choose_payload(name.encode(), size, digest, policy, REFUSED_EXTENSIONS),
            recipients=recipients or ("cidA",),
        )
        with self.a.store.writing() as connection:
            return versions.add(self.a.store, connection, [new], now)

    def take_over(self) -> None:
        """Take over what host A has in hand, as when its lease is over."""
        self.b.now = max(self.a.now, self.b.now) + 60.0
        with self.b.store.writing() as connection:
            recover(connection, self.b.now)

    def row(self, delivery: int) -> Delivery:
        """Return a delivery as the ledger has it."""
        with self.b.store.reading() as connection:
            return find_deliveries(connection, [delivery])[delivery]

    def values(self, query: Any) -> list[Any]:  # noqa: ANN401 (any query)
        """Return the rows of a query, as tuples, or the values of one that has a single column."""
        with self.b.store.reading() as connection:
            rows = connection.execute(query).all()
        return [row[0] if len(row) == 1 else tuple(row) for row in rows]

    def events(self, delivery: int) -> list[str]:
        """Return what happened to a delivery."""
        of = select(history.c.event).where(history.c.delivery_id == delivery).order_by(history.c.id)
        return self.values(of)

    def resend(self, delivery: int) -> None:
        """Have an uncertain delivery sent once more."""
        commands.resolve(self.b.store, delivery, sent=False, now=self.b.now)


def success(job: Job) -> Outcome:
    """Return the outcome of a job that worked."""
    match job:
        case Begin():
            return Outcome(job, SESSION)
        case Put():
            return Outcome(job, PutDone(job.session or SESSION))
        case Commit():
            return Outcome(job, UploadDone(f"entry{job.claim}", "space"))
        case Upload():
            return Outcome(job, UploadDone(f"@{job.claim}"))
        case Send() | SendCaption():
            return Outcome(job, SendDone(f"key{job.claim}"))
    raise AssertionError(job)


@contextmanager
def hosts_with(url: str, policy: FolderPolicy | None = None, **settings: Any) -> Iterator[Hosts]:  # noqa: ANN401
    """Open two hosts whose folder has a policy."""
    folders: dict[int | None, FolderPolicy] = {1: policy} if policy is not None else {}
    made = Hosts(url, Settings(APP, folders=folders, **settings))
    assert made.folder.id == 1
    with closing(made):
        yield made


@pytest.fixture
def hosts(ledger_url: str) -> Iterator[Hosts]:
    """Two hosts whose folder sets nothing."""
    with hosts_with(ledger_url) as made:
        yield made


def sending(hosts: Hosts) -> tuple[int, Send]:
    """Have host A send a file; return the delivery and the job."""
    (row,) = hosts.drop("a.pdf")
    return row, hosts.a.work_until(Send)


def sending_elsewhere(hosts: Hosts) -> tuple[int, Send, Send]:
    """Have both hosts send a file: A, which is frozen then, and B, which has taken it over."""
    row, frozen = sending(hosts)
    hosts.take_over()
    hosts.resend(row)
    return row, frozen, hosts.b.work_until(Send)


# --- Claims at the same time ---------------------------------------------------------------------


def deliver(host: Host, out: list[Job], is_done: Callable[[], bool]) -> None:
    """Deliver until nothing is left, in a thread of its own."""
    outcomes: list[Outcome] = []
    while not is_done():
        jobs = host.tick(*outcomes)
        out += jobs
        outcomes = [success(job) for job in jobs]


def test_of_two_hosts_one_claims_each_file(hosts: Hosts) -> None:
    """However they interleave, a file has one upload, one message, and one line for each claim."""
    rows = [row for number in range(15) for row in hosts.drop(f"{number}.pdf", "cidA", "cidB")]

    def is_done() -> bool:
        states = hosts.values(select(deliveries.c.state).distinct())
        return states == [State.SENT]

    out: tuple[list[Job], list[Job]] = ([], [])
    threads = [
        threading.Thread(target=deliver, args=(host, jobs, is_done))
        for host, jobs in zip((hosts.a, hosts.b), out, strict=True)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    jobs = [*out[0], *out[1]]
    assert Counter(row.id for job in jobs if isinstance(job, Upload) for row in job.rows) == Counter(rows)
    assert Counter(row.id for job in jobs if isinstance(job, Send) for row in job.rows) == Counter(rows)
    for row in rows:
        assert hosts.events(row)[1:] == ["claim", "upload_ok", "claim", "send_ok"]
    assert hosts.values(select(in_flight.c.recipient)) == []
    claims = Counter(job.claim for job in jobs if isinstance(job, Upload | Send))
    assert set(claims.values()) == {1}


WAITING: Final = text("SELECT count(*) FROM pg_locks WHERE NOT granted")


def test_a_claim_that_changes_no_row_gives_no_job(postgres_url: str) -> None:
    """Both have read that a file waits, and no lock keeps them apart: the later UPDATE finds it claimed."""
    engine = create_engine(postgres_url)
    with hosts_with(postgres_url) as hosts, engine.connect() as one, engine.connect() as other:
        (row,) = hosts.drop("a.pdf")
        with hosts.a.store.reading() as reading:
            options = reading.get_execution_options()
        begun = [
            connection.execution_options(node=options.get("node", "")).begin() for connection in (one, other)
        ]
        first, second = (
            TickContext(connection, host.now, loop_state(host), [])
            for connection, host in ((one, hosts.a), (other, hosts.b))
        )
        second.state.claims = range(1000, 1001)  # so that it waits for nothing before it claims
        claim(first)
        thread = threading.Thread(target=claim, args=(second,))
        thread.start()
        eventually(lambda: hosts.values(WAITING) != [0])
        begun[0].commit()
        thread.join()
        begun[1].commit()
        assert ([type(job) for job in first.jobs], second.jobs) == ([Upload], [])
        assert hosts.events(row)[1:] == ["claim"]
    engine.dispose()


def loop_state(host: Host) -> LoopState:
    """Return the state of a loop that has just begun."""
    return LoopState(host.store, host.settings, lambda _: True, lambda: 0.5, RateLimits(None, None))


def test_a_job_has_those_of_its_rows_that_were_claimed(hosts: Hosts) -> None:
    """Of two recipients of one content, the other host has claimed one."""
    taken, left = hosts.drop("a.pdf", "cidA", "cidB")
    rows = [hosts.row(taken), hosts.row(left)]
    with hosts.b.store.writing() as connection:
        connection.execute(update(deliveries).where(deliveries.c.id == taken).values(state="uploading"))
        tick = TickContext(connection, hosts.b.now, loop_state(hosts.b), [])
        claimed = tick.claim_upload(rows)
    assert [row.id for row in claimed] == [left]
    assert hosts.row(left).claim == claimed[0].claim


@pytest.mark.parametrize("whole", [True, False])
def test_a_bundle_is_claimed_whole_or_not_at_all(hosts: Hosts, *, whole: bool) -> None:
    """One of its files is claimed elsewhere, so the other stays, and its upload is free."""
    ids = hosts.drop("a.pdf") + hosts.drop("b.pdf")
    with hosts.b.store.writing() as connection:
        rows = [hosts.row(one) for one in ids]
        made = Payload(Form.PLAIN, "share.zip", UploadKey(APP, "file", "archive", "zip"))
        number = form_bundle(hosts.b.store, connection, rows, made, hosts.b.now)
        rows = [replace(row, bundle=number, upload_key=made.key.id) for row in rows]
        connection.execute(update(deliveries).where(deliveries.c.id == ids[0]).values(state="uploading"))
        tick = TickContext(connection, hosts.b.now, loop_state(hosts.b), [])
        assert tick.claim_upload(rows, whole=whole) == ()
        assert connection.scalars(select(uploads.c.state).where(uploads.c.key == made.key.id)).one() == "none"
    assert hosts.row(ids[1]).state is State.PENDING


# --- One message to a recipient --------------------------------------------------------------------


def test_the_database_refuses_a_second_message_to_a_recipient(hosts: Hosts) -> None:
    """Whatever a program does, its key is the recipient."""
    _, job = sending(hosts)
    assert hosts.values(select(in_flight.c.recipient, in_flight.c.claim)) == [("cidA", job.claim)]
    second = insert(in_flight).values(recipient="cidA", claim=job.claim + 1, node="nas-2")
    with pytest.raises(LedgerError), hosts.b.store.writing() as connection:
        connection.execute(second)


def test_one_message_at_a_time_goes_to_a_recipient_from_all_hosts(hosts: Hosts) -> None:
    """The second file is uploaded, and waits until what became of the first message is known."""
    _, job = sending(hosts)
    (second,) = hosts.drop("b.pdf")
    hosts.b.tick(*map(success, hosts.b.tick()))
    assert hosts.row(second).state is State.UPLOADED
    hosts.a.tick(success(job))
    sent = hosts.row(second).state is State.SENDING  # by A, in the same tick
    assert sent or isinstance(hosts.b.tick()[0], Send)


@pytest.mark.parametrize("result", [SendDone("key"), Rejected(CAUSE), NotReached(CAUSE), NoAnswer(CAUSE)])
def test_every_outcome_lets_other_messages_go(hosts: Hosts, result: Any) -> None:  # noqa: ANN401
    """As soon as it is known, whatever it is."""
    _, job = sending(hosts)
    hosts.a.loop.tick(hosts.a.now, [Outcome(job, result)], claim=False)
    assert hosts.values(select(in_flight.c.recipient)) == []


def test_a_stop_lets_other_messages_go(hosts: Hosts) -> None:
    """What it gives up is in doubt, and the recipient is free."""
    row, _ = sending(hosts)
    hosts.a.loop.abandon(hosts.a.now)
    assert (hosts.row(row).state, hosts.values(select(in_flight.c.recipient))) == (State.UNCERTAIN, [])


def test_a_caption_is_the_message_on_its_way(ledger_url: str) -> None:
    """Its row stays uploaded, and is claimed all the same."""
    with captioned(ledger_url) as hosts:
        row, job = captioning(hosts)
        assert hosts.row(row).claim == job.claim
        assert hosts.values(select(in_flight.c.claim)) == [job.claim]
        assert hosts.b.tick() == []
        hosts.a.loop.tick(hosts.a.now, [success(job)], claim=False)
        assert hosts.values(select(in_flight.c.recipient)) == []


def test_a_frozen_host_frees_no_recipient_of_another(hosts: Hosts) -> None:
    """Its outcome is of a message that was given up long since."""
    _, frozen, job = sending_elsewhere(hosts)
    hosts.a.tick(success(frozen))
    assert hosts.values(select(in_flight.c.claim)) == [job.claim]


# --- Late outcomes of sends ------------------------------------------------------------------------


def test_a_late_answer_resolves_a_doubt(hosts: Hosts) -> None:
    """The message has arrived: it is confirmed with all that DingTalk said, and not sent again."""
    row, frozen = sending(hosts)
    hosts.take_over()
    assert hosts.row(row).state is State.UNCERTAIN
    hosts.a.tick(success(frozen))
    assert hosts.events(row)[-2:] == ["crash", "confirm"]
    found = select(deliveries.c.state, deliveries.c.process_query_key, deliveries.c.code)
    assert hosts.values(found) == [("sent", f"key{frozen.claim}", None)]
    assert hosts.values(select(deliveries.c.sent_at.is_not(None))) == [True]
    assert hosts.a.heard.count(Log.SENT) == 1


def test_a_late_answer_keeps_a_message_from_being_sent_again(hosts: Hosts) -> None:
    """It was queued again already, and is not marked as sent twice."""
    row, frozen = sending(hosts)
    hosts.take_over()
    hosts.resend(row)
    hosts.a.tick(success(frozen))
    assert hosts.events(row)[-2:] == ["requeue", "confirm"]
    assert hosts.values(select(deliveries.c.state, deliveries.c.uncertain_resent)) == [("sent", False)]
    assert hosts.b.tick() == []


def test_a_late_answer_is_not_entered_into_the_claim_of_another_host(hosts: Hosts) -> None:
    """That message is on its way, and its own answer says what became of it; the row is marked."""
    row, frozen, job = sending_elsewhere(hosts)
    hosts.a.tick(success(frozen))
    assert (hosts.row(row).state, hosts.row(row).claim) == (State.SENDING, job.claim)
    hosts.b.tick(success(job))
    assert hosts.events(row)[-3:] == ["claim", "arrived", "send_ok"]
    found = select(deliveries.c.state, deliveries.c.process_query_key, deliveries.c.uncertain_resent)
    assert hosts.values(found) == [("sent", f"key{job.claim}", True)]


@pytest.mark.parametrize("result", [NotReached(CAUSE), NoAnswer(CAUSE)])
def test_what_has_arrived_is_not_sent_a_third_time(hosts: Hosts, result: Any) -> None:  # noqa: ANN401
    """The message of the other host fails, and the late answer to the first one settles it."""
    row, frozen, job = sending_elsewhere(hosts)
    hosts.a.tick(success(frozen))
    hosts.b.tick(Outcome(job, result))
    assert (hosts.row(row).state, hosts.events(row)[-1]) == (State.SENT, "confirm")


@pytest.mark.parametrize("result", [NotReached(CAUSE), NoAnswer(CAUSE), Rejected(CAUSE), MediaLost(CAUSE)])
def test_a_late_failure_changes_no_other_claim(hosts: Hosts, result: Any) -> None:  # noqa: ANN401
    """Nor the upload that the other host sends."""
    row, frozen, job = sending_elsewhere(hosts)
    before, media = hosts.events(row), hosts.row(row).remote_id
    hosts.a.tick(Outcome(frozen, result))
    assert (hosts.events(row), hosts.row(row).remote_id) == (before, media)
    hosts.b.tick(success(job))
    assert hosts.row(row).state is State.SENT


def test_a_late_answer_to_a_notice_ends_as_a_notice(ledger_url: str) -> None:
    """The file itself was not sent, so its row is not."""
    policy = FolderPolicy(PayloadPolicy(APP, 3, large="notice"))
    with hosts_with(ledger_url, policy) as hosts:
        row, frozen = sending(hosts)
        assert frozen.notice is not None
        hosts.take_over()
        hosts.a.tick(success(frozen))
        assert hosts.row(row).state is State.SKIPPED
        assert hosts.events(row)[-2:] == ["requeue", "skip"]
        assert hosts.values(select(deliveries.c.code)) == ["noticed"]


# --- Late outcomes of uploads ------------------------------------------------------------------------


def uploading(hosts: Hosts) -> tuple[int, Upload]:
    """Have host A upload a file, and be frozen until it is taken over."""
    (row,) = hosts.drop("a.pdf")
    job = hosts.a.work_until(Upload)
    hosts.take_over()
    return row, job


def uploads_now(hosts: Hosts) -> list[Any]:
    """Return the state of all uploads."""
    return hosts.values(select(uploads.c.state, uploads.c.remote_id))


def test_a_late_upload_is_not_made_again(hosts: Hosts) -> None:
    """DingTalk has the content, and the row that waits for it goes on with that."""
    row, frozen = uploading(hosts)
    hosts.a.loop.tick(hosts.a.now, [success(frozen)], claim=False)
    assert (hosts.row(row).state, uploads_now(hosts)) == (State.PENDING, [("have", f"@{frozen.claim}")])
    assert hosts.b.work_until(Send).media_id == f"@{frozen.claim}"


def test_a_late_upload_ends_no_other_claim(hosts: Hosts) -> None:
    """The other host's upload goes on, and its media id replaces the late one."""
    row, frozen = uploading(hosts)
    job = hosts.b.work_until(Upload)
    hosts.a.tick(success(frozen))
    assert (hosts.row(row).state, hosts.row(row).claim) == (State.UPLOADING, job.claim)
    hosts.b.tick(success(job))
    assert uploads_now(hosts) == [("have", f"@{job.claim}")]


def test_a_late_upload_replaces_no_newer_one(hosts: Hosts) -> None:
    """The media id that is there was given out later."""
    _, frozen = uploading(hosts)
    job = hosts.b.work_until(Upload)
    hosts.b.tick(success(job))
    hosts.a.tick(success(frozen))
    assert uploads_now(hosts) == [("have", f"@{job.claim}")]


@pytest.mark.parametrize("result", [NotReached(CAUSE), Rejected(CAUSE), Vanished(CAUSE), TypeRefused(CAUSE)])
def test_a_late_failure_of_an_upload_ends_no_other(hosts: Hosts, result: Any) -> None:  # noqa: ANN401
    """The upload stays claimed, so that nobody makes it a third time."""
    row, frozen = uploading(hosts)
    hosts.b.work_until(Upload)
    before = hosts.events(row)
    hosts.a.loop.tick(hosts.a.now, [Outcome(frozen, result)], claim=False)
    assert (hosts.events(row), uploads_now(hosts)) == (before, [("busy", None)])


def test_an_upload_that_was_withdrawn_and_came_back_is_fenced_too(hosts: Hosts) -> None:
    """On one host as well: the row is uploading again, but by another claim."""
    (row,) = hosts.drop("a.pdf")
    first = hosts.a.work_until(Upload)
    with hosts.a.store.writing() as connection:
        for event in (Event.VANISH, Event.SEEN, Event.CLAIM):
            columns = {"claim": first.claim + 1} if event is Event.CLAIM else {}
            transitions.apply(connection, hosts.a.now, [Change(row, event, columns=columns)])
    hosts.a.loop.tick(hosts.a.now, [Outcome(first, Rejected(CAUSE))], claim=False)
    assert hosts.row(row).state is State.UPLOADING


# --- Late steps of uploads to the drive --------------------------------------------------------------


@contextmanager
def with_drive(url: str) -> Iterator[Hosts]:
    """Open two hosts whose folder sends large files by the drive."""
    with hosts_with(url, FolderPolicy(DRIVE)) as hosts:
        yield hosts


def test_a_late_part_is_not_entered_into_another_claim(ledger_url: str) -> None:
    """Nor does the frozen host go on with the upload."""
    with with_drive(ledger_url) as hosts:
        hosts.drop("a.iso", size=WHOLE + 1)
        frozen = hosts.a.work_until(Put)
        hosts.take_over()
        job = hosts.b.work_until(Put)
        assert job.claim > frozen.claim
        assert hosts.a.tick(success(frozen)) == []
        assert hosts.values(select(parts.c.number)) == []
        hosts.b.tick(success(job))
        assert hosts.values(select(parts.c.number)) == [job.part.number]


def test_a_late_session_replaces_no_other(ledger_url: str) -> None:
    """The parts that the other host has put belong to its own."""
    with with_drive(ledger_url) as hosts:
        hosts.drop("a.iso", size=WHOLE + 1)
        frozen = hosts.a.work_until(Begin)
        hosts.take_over()
        put = hosts.b.work_until(Put)
        hosts.b.tick(success(put))
        hosts.a.tick(Outcome(frozen, UploadSession("space", "late")))
        assert hosts.values(select(uploads.c.session_key)) == [SESSION.key]
        assert hosts.values(select(parts.c.number)) == [put.part.number]


@pytest.mark.parametrize("result", [Rejected(CAUSE), Vanished(CAUSE), StoreUnreached(CAUSE)])
def test_a_late_failure_of_a_step_ends_no_other_session(ledger_url: str, result: Any) -> None:  # noqa: ANN401
    """The parts stay, and the upload stays claimed."""
    with with_drive(ledger_url) as hosts:
        (row,) = hosts.drop("a.iso", size=WHOLE + 1)
        frozen = hosts.a.work_until(Put)
        hosts.take_over()
        hosts.b.tick(success(hosts.b.work_until(Put)))
        hosts.a.loop.tick(hosts.a.now, [Outcome(frozen, result)], claim=False)
        assert hosts.values(select(uploads.c.state, uploads.c.session_key)) == [("busy", SESSION.key)]
        assert len(hosts.values(select(parts.c.number))) == 1
        assert hosts.row(row).state is State.UPLOADING


def test_a_late_commit_is_kept(ledger_url: str) -> None:
    """The entry holds the content, and nothing was put under its name since."""
    with with_drive(ledger_url) as hosts:
        hosts.drop("a.iso", size=WHOLE + 1)
        frozen = hosts.a.work_until(Commit)
        hosts.take_over()
        hosts.a.loop.tick(hosts.a.now, [success(frozen)], claim=False)
        assert uploads_now(hosts) == [("have", f"entry{frozen.claim}")]
        assert hosts.values(select(parts.c.number)) == []


def test_a_late_commit_is_forgotten_if_another_has_replaced_its_entry(ledger_url: str) -> None:
    """Else the new content would be sent under both, and the old one never."""
    with with_drive(ledger_url) as hosts:
        hosts.drop("a.iso", size=WHOLE + 1, content="old")
        frozen = hosts.a.work_until(Commit)
        hosts.take_over()
        hosts.drop("a.iso", size=WHOLE + 1, content="new")
        job = hosts.b.work_until(Commit)
        hosts.b.tick(success(job))
        hosts.a.loop.tick(hosts.a.now, [success(frozen)], claim=False)
        assert sorted(uploads_now(hosts), key=str) == [("have", f"entry{job.claim}"), ("none", None)]


def test_a_late_commit_leaves_the_same_upload_to_who_has_claimed_it(ledger_url: str) -> None:
    """It is committed once more, and no other content of its name meanwhile."""
    with with_drive(ledger_url) as hosts:
        hosts.drop("a.iso", size=WHOLE + 1)
        frozen = hosts.a.work_until(Commit)
        hosts.take_over()
        job = hosts.b.work_until(Commit)
        hosts.a.tick(success(frozen))
        assert uploads_now(hosts) == [("busy", None)]
        hosts.b.tick(success(job))
        assert uploads_now(hosts) == [("have", f"entry{job.claim}")]


# --- Late captions ---------------------------------------------------------------------------------


@contextmanager
def captioned(url: str) -> Iterator[Hosts]:
    """Open two hosts whose folder has a caption before each file."""
    policy = FolderPolicy(PayloadPolicy(APP, MEDIA_LIMIT), Wording(caption="{name}"))
    with hosts_with(url, policy) as hosts:
        yield hosts


def captioning(hosts: Hosts) -> tuple[int, SendCaption]:
    """Have host A send the caption of a file."""
    (row,) = hosts.drop("a.pdf")
    return row, hosts.a.work_until(SendCaption)


@pytest.mark.parametrize("result", [SendDone("late"), NotReached(CAUSE), TokenRejected(CAUSE)])
def test_a_late_caption_changes_nothing_of_its_file(ledger_url: str, result: Any) -> None:  # noqa: ANN401
    """The file is on its way without it by now, and a caption would only come after it."""
    with captioned(ledger_url) as hosts:
        row, frozen = captioning(hosts)
        hosts.take_over()
        job = hosts.b.work_until(Send)
        hosts.a.loop.tick(hosts.a.now, [Outcome(frozen, result)], claim=False)
        now = hosts.row(row)
        assert (now.state, now.claim, now.failures) == (State.SENDING, job.claim, 0)
        assert now.caption_sent_at is not None
        assert hosts.values(select(in_flight.c.claim)) == [job.claim]


# --- Numbers ---------------------------------------------------------------------------------------


def test_no_number_of_a_claim_is_given_out_twice(hosts: Hosts) -> None:
    """Not even if the commit in which it was drawn has failed, for it may have taken place."""
    drawn: list[int] = []
    for host in (hosts.a, hosts.b, hosts.a):
        with host.store.writing() as connection:
            drawn += fencing.draw(host.store, connection)
    assert len(set(drawn)) == len(drawn)
    assert hosts.values(select(numbers.c.value).where(numbers.c.name == "claim")) == [max(drawn)]
