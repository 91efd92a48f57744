"""The delivery loop when billed calls lead nowhere: how many it makes in a day, and when it goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dingwatch.delivery import (
    Begin,
    Commit,
    FolderPolicy,
    Job,
    Outcome,
    ProbeStore,
    Put,
    Send,
    Settings,
    Upload,
)
from dingwatch.delivery.drives import WHOLE
from dingwatch.dingtalk import API_PUT, MEDIA_LIMIT, SignatureExpired
from dingwatch.model import (
    Cause,
    MediaLost,
    NoAnswer,
    NotReached,
    Scope,
    StoreFailed,
    StoreUnreached,
    Verdict,
)
from dingwatch.payload import PayloadPolicy
from tests.integration.test_delivery import APP, CAUSE, Desk
from tests.integration.test_delivery_drive import success
from tests.ledger import on_sqlite

HOUR = 3600.0
DAY = 24 * HOUR
STORE = "https://store.example"
LARGE = MEDIA_LIMIT + 1
CLOSED = StoreUnreached(CAUSE, Scope.API, address=STORE, billed=True)
FAILED = StoreFailed(CAUSE, Scope.API, billed=True)
SENSELESS = NoAnswer(Cause("no_answer", "no media_id", "NO_ANSWER"), Scope.API, billed=True)
OUTAGE = NoAnswer(Cause("-1", "", "DINGTALK_BUSY"), Scope.API)
PERSONS = 12
"""Waits of 1 min, doubled up to 6 h, that end within a day: at 0, 1, 3, 7 … 511 min, 14:31 and 20:31."""


class Office(Desk):
    """A desk whose clock is moved to whenever the loop wants to be called."""

    def __init__(self, path: Path, ledger: Path | str) -> None:
        code = PayloadPolicy(APP, MEDIA_LIMIT, space="1", large="drive")
        super().__init__(path, ledger, Settings(APP, folders={1: FolderPolicy(code)}))
        self.answers: dict[type[Job], Verdict] = {}
        self.jobs: list[Job] = []

    def carry_out(self, job: Job) -> Outcome:
        """Return what comes of a job."""
        self.jobs.append(job)
        verdict = self.answers.get(type(job))
        return success(job) if verdict is None else Outcome(job, verdict)

    def live(self, seconds: float) -> list[Job]:
        """Let time pass; return the jobs that were carried out in it."""
        end, self.jobs, outcomes = self.now + seconds, [], list[Outcome]()
        while True:
            plan = self.loop.tick(self.now, outcomes)
            outcomes = [self.carry_out(job) for job in plan.jobs]
            if outcomes:
                continue
            if plan.next_at is None or plan.next_at > end:
                self.now = end
                return self.jobs
            self.now = max(plan.next_at, self.now)


@pytest.fixture
def office(tmp_path: Path, ledger_url: str) -> Iterator[Office]:
    """An office whose folder sends large files by the drive."""
    made = Office(tmp_path, ledger_url)
    yield made
    made.store.close()


def billed(jobs: list[Job]) -> int:
    """Count the billed calls: a part of a file asks for an address, as a file in one piece does."""
    return sum(isinstance(job, Upload | Begin | Put | Commit | Send) for job in jobs)


@on_sqlite  # a day of ticks
@pytest.mark.parametrize("size", [LARGE, WHOLE + 1], ids=["in one piece", "in parts"])
def test_a_closed_store_is_asked_for_free(office: Office, size: int) -> None:
    """A firewall blocks its host: the connection is tried every five minutes, a file as for a person."""
    office.answers = {Put: CLOSED, ProbeStore: NotReached(CAUSE, Scope.API)}
    (row,) = office.drop("a.iso", size=size)
    jobs = office.live(DAY)
    assert billed(jobs) <= PERSONS + 3, "three parts are out at first"
    assert 280 <= sum(isinstance(job, ProbeStore) for job in jobs) <= 400
    assert office.state(row) == "pending"


def test_a_store_that_opens_gets_the_file_soon(office: Office) -> None:
    """The next free probe finds it out, and the file goes with the first call after it."""
    office.answers = {Put: CLOSED, ProbeStore: NotReached(CAUSE, Scope.API)}
    (row,) = office.drop("a.iso", size=LARGE)
    office.live(HOUR)
    office.answers = {}
    jobs = office.live(361.0)
    assert (office.state(row), billed(jobs), office.pauses()) == ("sent", 3, [])


def test_a_store_that_takes_connections_alone_is_left_to_a_person(office: Office) -> None:
    """The free probe says that all is well, and is not believed a second time."""
    office.answers = {Put: CLOSED}
    office.drop("a.iso", size=LARGE)
    first, second = office.live(DAY), office.live(DAY)
    assert PERSONS - 1 <= billed(first) <= PERSONS + 1
    assert billed(second) <= 5
    assert sum(isinstance(job, ProbeStore) for job in first) == 1


CASES: dict[str, tuple[type[Job], Verdict, int, int]] = {
    "the store answers with an error": (Put, FAILED, LARGE, PERSONS),
    "the signature is never right": (Put, SignatureExpired(CAUSE, billed=True), LARGE, PERSONS),
    "the commit has always lost the upload": (Commit, MediaLost(CAUSE), LARGE, 2 * PERSONS + 2),
    "the commit's answer makes no sense": (Commit, SENSELESS, LARGE, PERSONS + 1),
    "the session's answer makes no sense": (Begin, SENSELESS, WHOLE + 1, PERSONS),
    "the upload's answer makes no sense": (Upload, SENSELESS, 5, PERSONS),
    "a share that ends while it is read": (Put, NotReached(CAUSE, billed=True), LARGE, PERSONS),
}
"""A job, what comes of it each time, the file's size, and the most billed calls of the first day."""


@pytest.mark.parametrize("case", CASES)
def test_no_billed_call_is_repeated_without_end(office: Office, case: str) -> None:
    """What fails after a billed call backs off as what only a person can end: 1 min doubled, at most 6 h."""
    kind, verdict, size, most = CASES[case]
    office.answers = {kind: verdict}
    office.drop("a.iso", size=size)
    assert billed(office.live(0.5 * HOUR)) <= (most * 5 + PERSONS - 1) // PERSONS + 1, "half an hour"
    assert billed(office.live(DAY)) <= most, "a day"
    assert billed(office.live(DAY)) <= most // 2, "another"


def test_an_outage_of_dingtalks_own_is_asked_after_soon(office: Office) -> None:
    """Each try is billed, though the token call works: every five minutes for an hour, then once an hour."""
    office.answers = {Upload: OUTAGE}
    office.drop("a.pdf")
    assert 10 <= billed(office.live(HOUR)) <= 24
    assert 18 <= billed(office.live(DAY)) <= 32


def test_a_message_whose_answer_makes_no_sense_is_not_sent_again_and_again(office: Office) -> None:
    """Hundreds wait: the API is tried as rarely as what a person must end."""
    office.answers = {Send: SENSELESS}
    for number in range(60):
        office.drop(f"{number}.pdf")
    sends = [job for job in office.live(DAY) if isinstance(job, Send)]
    assert len(sends) <= PERSONS


def test_a_failed_store_pauses_the_store_and_not_dingtalk(office: Office) -> None:
    """A file in one piece and the parts of another share the host; media uploads go on."""
    office.answers = {Put: FAILED}
    office.drop("a.iso", size=LARGE)
    office.live(1.0)
    office.drop("b.iso", size=WHOLE + 1)
    (small,) = office.drop("c.pdf")
    jobs = office.live(30.0)
    assert not any(isinstance(job, Put) for job in jobs)
    assert office.state(small) == "sent"
    with office.store.reading() as connection:
        keys = connection.exec_driver_sql("SELECT key FROM pauses").scalars().all()
    assert keys == [API_PUT]
