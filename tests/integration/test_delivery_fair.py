"""The delivery loop with many that wait: whose turn it is, and how much is uploaded ahead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dingwatch.delivery import Commit, FolderPolicy, Job, Outcome, Put, Send, Settings, Upload
from dingwatch.delivery.drives import THREADS, parts_for
from dingwatch.delivery.jobs import DriveJob
from dingwatch.dingtalk import MEDIA_LIMIT, REFUSED_EXTENSIONS
from dingwatch.ledger import versions
from dingwatch.ledger.folders import MappedFolder, bind
from dingwatch.ledger.versions import NewVersion
from dingwatch.model import Fingerprint, Misconfigured, Scope, Throttled
from dingwatch.pace import Limit
from dingwatch.payload import PayloadPolicy, choose_payload
from tests.integration.test_delivery import APP, CAUSE, Desk
from tests.integration.test_delivery_drive import success
from tests.ledger import change

FILM = 300 << 20
CODE = PayloadPolicy(APP, MEDIA_LIMIT, space="1", large="drive")


class Office(Desk):
    """A desk with the folders `a` to cidA, `b` to cidB, `c` to cidA too, and `all` to both."""

    def __init__(self, path: Path, ledger: Path | str, settings: Settings | None = None) -> None:
        mapped = (("a", "cidA"), ("b", "cidB"), ("c", "cidA"), ("all", "cidA", "cidB"))
        policies: dict[int | None, FolderPolicy] = {number: FolderPolicy(CODE) for number in range(1, 9)}
        super().__init__(path, ledger, replace(settings or Settings(APP), folders=policies))
        with self.store.writing() as connection:
            folders = [MappedFolder(f"/{name}".encode(), name, tuple(to)) for name, *to in mapped]
            marks = bind(connection, folders)
        self.ids = {one.name: mark.id for one, mark in zip(folders, marks, strict=True)}
        self.to = {name: to for name, *to in mapped}

    def put(self, folder: str, count: int = 1, size: int = 5) -> list[int]:
        """Write down so many settled files of a folder; return the ids of their deliveries."""
        made = []
        for _ in range(count):
            self.number += 1
            name, digest = f"{folder}{self.number}.pdf".encode(), f"{self.number:064}"
            made.append(
                NewVersion(
                    folder=self.ids[folder],
                    path=name,
                    fingerprint=Fingerprint(size, self.number, 1, self.number, 1),
                    digest=digest,
                    noticed_at=self.now,
                    settled_at=self.now + self.number / 1000,
                    payload=choose_payload(name, size, digest, CODE, REFUSED_EXTENSIONS),
                    recipients=tuple(self.to[folder]),
                )
            )
        with self.store.writing() as connection:
            ids = versions.add(self.store, connection, made, self.now)
        self.now += 1.0 + self.number / 1000
        self.loop.poke()
        return ids

    def folder(self, job: Job) -> str:
        """Return the name of the folder whose file a job is for."""
        assert isinstance(job, Upload | Put | Send | DriveJob)
        row = job.row if isinstance(job, Send) else job.source
        return {number: name for name, number in self.ids.items()}[row.folder or 0]

    def upload_all(self) -> Counter[str]:
        """Let uploads succeed until there is none, and no send end; count the uploads by folder."""
        made: Counter[str] = Counter()
        jobs = self.tick()
        while jobs:
            uploads = [job for job in jobs if isinstance(job, Upload)]
            made.update(map(self.folder, uploads))
            jobs = self.tick(*map(success, uploads))
        return made


@pytest.fixture
def office(tmp_path: Path, ledger_url: str) -> Iterator[Office]:
    """Four folders, and nothing in them."""
    made = Office(tmp_path, ledger_url)
    yield made
    made.store.close()


def uploads(office: Office, jobs: list[Job]) -> list[str]:
    """Return the folders of the uploads among jobs."""
    return [office.folder(job) for job in jobs if isinstance(job, Upload | DriveJob)]


# --- Turns -----------------------------------------------------------------------------------------


def test_anothers_first_file_waits_for_one_upload_at_most(office: Office) -> None:
    """However many wait for one recipient, the next one free takes the other's file."""
    office.put("a", 1000)
    office.put("b")
    first = office.tick()
    assert uploads(office, first) == ["a", "b", "a"]


def test_a_newcomer_gets_the_next_worker(office: Office) -> None:
    """All workers are busy with a backlog when the single file comes; recipients then alternate."""
    office.put("a", 1000)
    busy = office.tick()
    office.put("b", 5)
    after = office.tick(success(busy[0]))
    assert uploads(office, after)[:1] == ["b"]


def test_the_folders_of_one_recipient_take_turns(office: Office) -> None:
    """A folder with a backlog does not hold back another that goes to the same conversation."""
    office.put("a", 100)
    office.put("c", 2)
    order: list[str] = []
    jobs = office.tick()
    while len(order) < 6:
        order += uploads(office, jobs)
        jobs = office.tick(*(success(job) for job in jobs))
    assert sorted(order[:4]) == ["a", "a", "c", "c"]


def test_slow_uploads_of_one_folder_leave_a_worker(office: Office) -> None:
    """Three are out and more wait: the fourth worker takes another folder's file, and only that."""
    office.put("a", 10)
    slow = office.tick()
    assert uploads(office, slow) == ["a", "a", "a"]
    office.put("c")
    assert uploads(office, office.tick()) == ["c"]
    office.put("b")
    assert office.tick() == [], "four workers are busy"


def test_a_message_goes_though_every_worker_uploads(office: Office) -> None:
    """What is ready must not wait for slow uploads."""
    office.put("c")
    (upload,) = office.tick()
    (send,) = office.tick(success(upload))
    office.tick(Outcome(send, Throttled(CAUSE, Scope.ROW, 30.0)))
    office.put("a", 10)
    assert uploads(office, office.tick()) == ["a", "a", "a"]
    office.put("b")
    assert uploads(office, office.tick()) == ["b"]
    office.now += 31.0
    (again,) = office.tick()
    assert isinstance(again, Send)


def test_the_parts_of_large_files_take_turns(office: Office) -> None:
    """Two films of one folder are on their way: another folder's file has a thread of its own at once."""
    office.put("a", 2, FILM)
    out: list[Job] = []
    jobs = office.tick()
    while len(out) < THREADS - 1:
        out = [*[job for job in out if job not in jobs], *[job for job in jobs if isinstance(job, Put)]]
        jobs = office.tick(*(success(job) for job in jobs if not isinstance(job, Put)))
    office.put("b", 1, 22 << 20)
    (urgent,) = [job for job in office.tick() if office.folder(job) == "b"]
    (commit,) = [job for job in office.tick(success(urgent)) if office.folder(job) == "b"]
    assert isinstance(commit, Commit)


def test_films_of_several_folders_get_as_many_parts(office: Office) -> None:
    """Nobody is first because his film is, or because he has more of them."""
    office.put("a", 5, FILM)
    office.put("b", 1, FILM)
    parts: Counter[str] = Counter()
    jobs = office.tick()
    while parts["b"] < len(parts_for(FILM)):
        parts.update(office.folder(job) for job in jobs if isinstance(job, Put))
        jobs = office.tick(*map(success, jobs))
    assert abs(parts["a"] - parts["b"]) <= THREADS


def test_messages_take_turns(tmp_path: Path, ledger_url: str) -> None:
    """Where all messages together have one pace, a backlog of one recipient does not take every slot."""
    office = Office(tmp_path, ledger_url, Settings(APP, per_api=Limit(1, 1.0, spaced=True)))
    office.put("a", 30)
    office.put("b", 3)
    sent: list[str] = []
    jobs: list[Job] = []
    for _ in range(60):
        sent += [job.row.recipient for job in jobs if isinstance(job, Send)]
        office.now += 1.1
        jobs = office.tick(*map(success, jobs))
    assert sent[:6].count("cidB") == 3
    office.store.close()


# --- How much is uploaded ahead ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pace", "ahead"),
    [
        (None, 40),
        (Limit(20, 60.0, spaced=False), 40),
        (Limit(30, 60.0, spaced=False), 60),
        (Limit(1, 3600.0, spaced=False), 1),
        (Limit(100, 1.0, spaced=True), 400),
    ],
)
def test_no_more_is_uploaded_than_can_soon_be_sent(
    tmp_path: Path, ledger_url: str, pace: Limit | None, ahead: int
) -> None:
    """What two minutes at the recipient's pace allow, and at least one."""
    office = Office(tmp_path, ledger_url, Settings(APP, per_conversation=pace))
    office.put("a", 500)
    assert office.upload_all() == {"a": ahead}
    office.store.close()


def test_nothing_is_uploaded_for_a_paused_recipient(office: Office) -> None:
    """Also where the pause is that of the API; when it is over, one file to probe with."""
    office.put("a")
    (upload,) = office.tick()
    (send,) = office.tick(success(upload))
    office.put("a", 10)
    assert office.tick(Outcome(send, Misconfigured(CAUSE, Scope.API))) == []
    office.now += 61.0
    (probe,) = office.tick()
    assert isinstance(probe, Send)
    assert office.tick() == []


def test_a_paused_recipient_blocks_nobody(office: Office) -> None:
    """A content that both wait for is uploaded in the other's turn."""
    office.put("b")
    (upload,) = office.tick()
    (send,) = office.tick(success(upload))
    office.tick(Outcome(send, Misconfigured(CAUSE, Scope.CONVERSATION)))
    rows = office.put("all", 60)
    jobs = office.tick()
    while jobs:
        jobs = office.tick(*map(success, jobs))
    assert Counter(map(office.state, rows)) == {"sent": 60, "pending": 60}


def test_what_is_next_is_uploaded_although_much_is_uploaded_ahead(office: Office) -> None:
    """Shared contents were uploaded in another's turns; the file that settled before them all is not late."""
    office.put("b")
    (upload,) = office.tick()
    (send,) = office.tick(success(upload))
    (early,) = office.put("b")
    rows = office.put("all", 60)
    change(office.store, "UPDATE deliveries SET due = :due WHERE id = :id", due=office.now + 50, id=early)
    jobs = office.tick()
    while jobs:
        jobs = office.tick(*(success(job) for job in jobs if job is not send and not _is_to_b(job)))
    waiting = Counter(office.state(row) for row in rows)
    assert waiting["uploaded"] > 40
    office.now += 60.0
    assert uploads(office, office.tick()) == ["b"]


def _is_to_b(job: Job) -> bool:
    return isinstance(job, Send) and job.row.recipient == "cidB"
