"""Bundles in the delivery loop: what shares a message, what leaves it, and what all its files do together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dingwatch.delivery import (
    FolderPolicy,
    MembersLost,
    Outcome,
    Send,
    SendCaption,
    SendDone,
    Settings,
    Upload,
    UploadArchive,
    UploadDone,
)
from dingwatch.delivery.jobs import Done, Job, Screen, Screening
from dingwatch.dingtalk import MEDIA_LIMIT, REFUSED_EXTENSIONS
from dingwatch.ledger import bundles, commands, folders, pruning, versions
from dingwatch.ledger.commands import NotApplicableError
from dingwatch.ledger.folders import MappedFolder, bind
from dingwatch.ledger.versions import NewVersion, Renewal
from dingwatch.model import (
    BundleRule,
    Cause,
    Fingerprint,
    FolderDown,
    MediaLost,
    Misconfigured,
    NoAnswer,
    NotReached,
    Rejected,
    Scope,
    ScreenedOut,
    ScreeningFailed,
    Throttled,
    TypeRefused,
    Vanished,
    Verdict,
)
from dingwatch.notice_text import Wording
from dingwatch.pace import Limit
from dingwatch.payload import PayloadPolicy, choose_payload
from dingwatch.texts import Log
from tests.integration.test_delivery import APP, CAUSE, Desk, only
from tests.ledger import change, on_sqlite, query

WAIT = 30.0
GONE = Cause("withdrawn", "", "FILE_GONE")
RULE = BundleRule(WAIT, 5)


class Bureau(Desk):
    """A desk whose folder bundles; `burst` drops files into it at one time."""

    def __init__(self, path: Path, ledger: Path | str, *recipients: str, **policy: Any) -> None:  # noqa: ANN401
        super().__init__(path, ledger)
        with self.store.writing() as connection:
            (self.mark,) = bind(connection, [MappedFolder(b"/share", "share", recipients)])
        self.recipients = recipients
        self.policy(**policy)
        self.restart()

    def policy(self, **changes: Any) -> None:  # noqa: ANN401 (any setting)
        """Have the folder treated by these settings."""
        payload = PayloadPolicy(APP, MEDIA_LIMIT, send_as=changes.pop("send_as", "file"))
        made = {"wording": Wording(folder="share"), "bundle": RULE, **changes}
        self.settings = Settings(APP, folders={self.mark.id: FolderPolicy(payload, **made)})

    def change(self, **changes: Any) -> None:  # noqa: ANN401 (any setting)
        """Change the folder's settings while the loop runs."""
        self.policy(**changes)
        self.loop.change_settings(self.settings)

    def burst(self, *names: str, size: int = 5) -> list[int]:
        """Write down files that settled just now, as intake does; return the ids of their deliveries."""
        new = []
        with self.store.writing() as connection:
            for name in names:
                self.number += 1
                digest = f"digest of {name} {self.number}"
                payload = choose_payload(
                    name.encode(),
                    size,
                    digest,
                    self.settings.folders[self.mark.id].payload,
                    REFUSED_EXTENSIONS,
                )
                until = bundles.join_burst(connection, self.mark.id, WAIT, self.now)
                new.append(
                    NewVersion(
                        folder=self.mark.id,
                        path=name.encode(),
                        fingerprint=Fingerprint(size, self.number, 1, self.number, 1),
                        digest=digest,
                        noticed_at=self.now,
                        settled_at=self.now + self.number / 1000,
                        payload=payload,
                        recipients=self.recipients,
                        gathers_until=until,
                    )
                )
            made = versions.add(self.store, connection, new, self.now)
        self.loop.poke()
        return made

    def column(self, name: str, rows: Sequence[int]) -> list[Any]:
        """Return a column of these deliveries."""
        listed = ", ".join(map(str, rows))
        found = query(self.store, f"SELECT {name} FROM deliveries WHERE id IN ({listed}) ORDER BY id")  # noqa: S608
        return [value for (value,) in found]

    def states(self, rows: Sequence[int]) -> set[str]:
        """Return the states of these deliveries."""
        return set(self.column("state", rows))

    def bundle(self, rows: Sequence[int]) -> object:
        """Return the only bundle of these deliveries."""
        (found,) = set(self.column("bundle_id", rows))
        return found

    def withdraw(self, row: int) -> None:
        """Have intake find that a delivery's file is gone."""
        (version,) = self.column("version_id", [row])
        with self.store.writing() as connection:
            versions.withdraw(connection, [version], GONE, self.now)
        self.loop.poke()

    def uploads(self) -> dict[str, str]:
        """Return the names of entries' contents that the ledger knows, with their states."""
        with self.store.reading() as connection:
            return {
                str(content): str(state)
                for content, state in connection.exec_driver_sql("SELECT content, state FROM uploads")
            }

    def packed(self, *outcomes: Outcome) -> UploadArchive:
        """Tick, and return the only job, which packs an archive."""
        job = only(self.tick(*outcomes), UploadArchive)
        assert isinstance(job, UploadArchive)
        return job

    def sent(self, *outcomes: Outcome) -> Send:
        """Tick, and return the only job, which is a message."""
        job = only(self.tick(*outcomes), Send)
        assert isinstance(job, Send)
        return job

    def uploaded(self, *, media: str = "@m") -> Send:
        """Let the burst pass and its archive be uploaded; return the message."""
        self.now += WAIT
        return self.sent(Outcome(self.packed(), UploadDone(media)))


def entries(job: UploadArchive) -> list[str]:
    """Return the entries of an archive."""
    return [entry for _, entry in job.members]


def paths(job: Send | SendCaption) -> list[str]:
    """Return the files of a message, once for each recipient."""
    return [row.path.decode() for row in job.rows]


NAMES = ("a.pdf", "b.pdf", "c.pdf", "d/e.pdf", "f.pdf")
Make = Callable[..., Bureau]


@pytest.fixture
def make(tmp_path: Path, ledger_url: str) -> Iterator[Make]:
    """Make a desk whose folder bundles, for these recipients."""
    made: list[Bureau] = []

    def make(*recipients: str, **policy: Any) -> Bureau:  # noqa: ANN401 (any setting)
        made.append(Bureau(tmp_path, ledger_url, *(recipients or ("cidA",)), **policy))
        return made[-1]

    yield make
    for one in made:
        one.store.close()


@pytest.fixture
def desk(make: Make) -> Bureau:
    """A desk whose folder bundles, for one group."""
    return make()


# --- What shares a message -----------------------------------------------------------------------


def test_a_burst_waits_and_goes_as_one(desk: Bureau) -> None:
    """Nothing goes before the wait is over; then all files go in one archive, which is sent once."""
    rows = desk.burst(*NAMES)
    assert desk.tick() == []
    desk.now += WAIT - 1.0
    late = desk.burst("late.pdf")
    assert desk.tick() == []
    desk.now += 1.0
    job = desk.packed()
    assert entries(job) == sorted([*NAMES, "late.pdf"])
    # Before the job is carried out, the ledger has what is in the archive.
    assert desk.states(rows + late) == {"uploading"}
    bundle = desk.bundle(rows + late)
    message = desk.sent(Outcome(job, UploadDone("@m")))
    assert (message.media_id, message.payload.key.extension) == ("@m", "zip")
    assert desk.states(rows + late) == {"sending"}
    assert desk.tick(Outcome(message, SendDone("key"))) == []
    assert (desk.states(rows + late), desk.bundle(rows + late)) == ({"sent"}, bundle)
    assert desk.heard.count(Log.SENT) == 1


def test_fewer_files_go_one_by_one(desk: Bureau) -> None:
    """Four files are no burst: each is uploaded alone, and none of them waits again."""
    rows = desk.burst(*NAMES[:4])
    desk.now += WAIT
    jobs = desk.tick()
    assert [type(job) for job in jobs] == [Upload] * 3
    assert desk.bundle(rows) is None


def test_the_next_burst_is_another(desk: Bureau) -> None:
    """A file that settles when the burst is over begins a burst of its own."""
    desk.burst(*NAMES)
    desk.now += WAIT
    desk.packed()
    next_ones = desk.burst("next.pdf")
    assert desk.column("due", next_ones) == [desk.now + WAIT]


def test_what_is_left_out_goes_by_itself(desk: Bureau) -> None:
    """A file that DingTalk has already is not packed: it costs no upload."""
    (known,) = desk.drop("known.pdf", content="known")
    message = desk.upload()[0]
    desk.tick(Outcome(message, SendDone("key")))
    rows = desk.burst(*NAMES, "copy.pdf")
    key = "(SELECT upload_key FROM deliveries WHERE id = :known)"
    same = f"UPDATE deliveries SET upload_key = {key} WHERE id = :copy"  # noqa: S608
    change(desk.store, same, known=known, copy=rows[-1])
    version = "(SELECT version_id FROM deliveries WHERE id = :copy)"
    change(desk.store, f"UPDATE versions SET sha256 = 'known' WHERE id = {version}", copy=rows[-1])  # noqa: S608
    desk.now += WAIT
    assert entries(desk.packed()) == sorted(NAMES)
    assert (desk.state(rows[-1]), desk.bundle(rows[-1:])) == ("uploaded", None)


def test_what_has_failed_alone_goes_alone(desk: Bureau) -> None:
    """A file that could not be read before would have all others packed once more."""
    rows = desk.burst(*NAMES, "bad.pdf")
    change(desk.store, "UPDATE deliveries SET failures = 1 WHERE id = :id", id=rows[-1])
    desk.now += WAIT
    packed = [job for job in desk.tick() if isinstance(job, UploadArchive)]
    assert [entries(job) for job in packed] == [sorted(NAMES)]


def test_large_archives_are_split(desk: Bureau) -> None:
    """No archive can become larger than the media limit, whatever its files contain; all files go."""
    names = [f"{number}.bin" for number in range(12)]
    rows = desk.burst(*names, size=MEDIA_LIMIT // 5)
    desk.now += WAIT
    jobs = desk.tick()
    packed = [job for job in jobs if isinstance(job, UploadArchive)]
    assert [len(job.members) for job in packed] == [4, 4, 4]
    assert sorted(entry for job in packed for entry in entries(job)) == sorted(names)
    assert len(set(desk.column("bundle_id", rows))) == 3


@on_sqlite
def test_a_thousand_files_are_the_most_in_one(desk: Bureau) -> None:
    """What is beyond goes into the next archive."""
    rows = desk.burst(*(f"{number}.txt" for number in range(1005)))
    desk.now += WAIT
    packed = [job for job in desk.tick() if isinstance(job, UploadArchive)]
    assert [len(job.members) for job in packed] == [1000, 5]
    assert len(set(desk.column("bundle_id", rows))) == 2


@pytest.mark.sweep
def test_billed_calls(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    """Print what small files that come together cost: alone two calls each, in bundles two for a thousand."""
    desk = make()
    table = ["| files | calls without `bundle` | calls with it |", "|---|---|---|"]
    for count in (20, 200, 2000):
        costs = []
        for rule in (None, RULE):
            desk.change(bundle=rule)
            desk.tick()
            desk.burst(*(f"{rule} {count} {number}.txt" for number in range(count)))
            desk.now += WAIT
            costs.append(_count_calls(desk))
        table.append(f"| {count:,} | {costs[0]:,} | {costs[1]:,} |")
        assert costs == [2 * count, 2 * -(-count // 1000)]
    with capsys.disabled():
        print("\n" + "\n".join(table))  # noqa: T201 (what the test is for)


def _count_calls(desk: Bureau) -> int:
    """Let everything be sent; return how many uploads and messages it took, each of which is billed."""
    calls, jobs = 0, desk.tick()
    while jobs:
        calls += len(jobs)
        results = [
            UploadDone(f"@{job.upload}") if isinstance(job, Upload) else SendDone("key") for job in jobs
        ]
        jobs = desk.tick(*(Outcome(job, result) for job, result in zip(jobs, results, strict=True)))
        desk.now += 0.01
    return calls


# --- Recipients ----------------------------------------------------------------------------------


def test_recipients_of_the_same_files_share_an_upload(make: Make) -> None:
    """Two groups: one archive, and one message for each."""
    desk = make("cidA", "cidB")
    desk.burst(*NAMES)
    desk.now += WAIT
    job = desk.packed()
    assert (len(job.rows), len(job.members)) == (10, 5)
    sends = desk.tick(Outcome(job, UploadDone("@m")))
    assert [job.recipients for job in sends if isinstance(job, Send)] == [("cidA",), ("cidB",)]


def test_persons_share_a_call(make: Make) -> None:
    """One call takes a bundle to several persons; whom it does not reach fails with all files."""
    desk = make("user:a", "user:b")
    rows = desk.burst(*NAMES)
    message = desk.uploaded()
    assert (message.recipients, len(message.rows)) == (("user:a", "user:b"), 10)
    invalid = Rejected(Cause("staffId.notExisted", "", "CONVERSATION"))
    missed = tuple((row.id, invalid) for row in message.rows if row.recipient == "user:b")
    desk.tick(Outcome(message, SendDone("key", missed=missed)))
    assert sorted(desk.column("state", rows)) == ["failed"] * 5 + ["sent"] * 5


def test_persons_are_written_to_one_by_one_when_a_call_is_refused(make: Make) -> None:
    """DingTalk does not say for whom it refused: each person gets the bundle in a call of their own."""
    desk = make("user:a", "user:b")
    desk.burst(*NAMES)
    refused = Misconfigured(Cause("staffId.notExisted", "", "CONVERSATION"), Scope.CONVERSATION)
    jobs = desk.tick(Outcome(desk.uploaded(), refused))
    assert [(job.recipients, len(job.rows)) for job in jobs if isinstance(job, Send)] == [
        (("user:a",), 5),
        (("user:b",), 5),
    ]


def test_a_paused_recipient_gets_the_same_bundle_later(make: Make) -> None:
    """Its files are bundled with the others', so that it shares their upload when its pause is over."""
    desk = make("cidA", "cidB")
    desk.drop("before.pdf", "cidA", "cidB")
    message = next(job for job in desk.upload() if isinstance(job, Send) and job.recipients == ("cidB",))
    refused = Misconfigured(Cause("robot", "", "UNKNOWN_CODE"), Scope.CONVERSATION)
    rows = desk.burst(*NAMES)
    desk.tick(Outcome(message, refused))
    desk.now += WAIT
    job = desk.packed()
    desk.tick(Outcome(job, UploadDone("@m")))
    assert len(set(desk.column("upload_key", rows))) == 1
    desk.now += 60.0
    jobs = desk.tick() + desk.tick()
    assert not any(isinstance(job, UploadArchive) for job in jobs)


def test_what_is_not_mapped_is_left_alone(make: Make) -> None:
    """A recipient that left the configuration keeps its files; they go together when it is back."""
    desk = make("cidA", "cidB")
    rows = desk.burst(*NAMES)
    with desk.store.writing() as connection:
        bind(connection, [MappedFolder(b"/share", "share", ("cidA",))])
    desk.now += WAIT
    job = desk.packed()
    assert {row.recipient for row in job.rows} == {"cidA"}
    message = desk.sent(Outcome(job, UploadDone("@m")))
    desk.tick(Outcome(message, SendDone("key")))
    with desk.store.writing() as connection:
        bind(connection, [MappedFolder(b"/share", "share", ("cidA", "cidB"))])
    other = [*desk.tick(), *desk.tick()]
    assert [job.recipients for job in other if isinstance(job, Send)] == [("cidB",)]
    assert None not in desk.column("bundle_id", rows)


# --- Files that leave ------------------------------------------------------------------------------


def test_a_file_removed_before_its_upload_is_not_packed(desk: Bureau) -> None:
    """It is gone, and the others go without it."""
    rows = desk.burst(*NAMES, "g.pdf")
    desk.fresh = dict.fromkeys(desk.fresh, False)
    desk.now += WAIT
    tokens = desk.tick()  # it waits for a token, with the bundle written down
    assert desk.bundle(rows) is not None
    desk.withdraw(rows[0])
    desk.fresh = dict.fromkeys(desk.fresh, True)
    job = desk.packed(*(Outcome(token, Done()) for token in tokens))
    assert entries(job) == sorted([*NAMES[1:], "g.pdf"])
    assert (desk.state(rows[0]), desk.column("bundle_id", rows[:1])) == ("gone", [None])


@pytest.mark.parametrize("when", ["uploading", "uploaded"])
def test_an_archive_with_a_removed_file_is_not_sent(make: Make, when: str) -> None:
    """Removed during the upload or after it, until the send is claimed: the rest is uploaded again."""
    desk = make("cidA", "cidB")
    desk.settings = replace(desk.settings, per_conversation=Limit(1, 60.0, spaced=False))
    desk.loop.change_settings(desk.settings)
    desk.drop("before.pdf", "cidA", "cidB")
    for message in desk.upload():
        desk.tick(Outcome(message, SendDone("key")))
    rows = desk.burst(*NAMES)
    desk.now += WAIT
    job = desk.packed()
    if when == "uploaded":
        assert desk.tick(Outcome(job, UploadDone("@old"))) == []  # the pace lets no message leave yet
    desk.withdraw(rows[0])
    if when == "uploading":
        assert desk.tick(Outcome(job, UploadDone("@old"))) == []
    old = job.payload.key.content
    desk.now += 60.0
    again = next(job for job in desk.tick() if isinstance(job, UploadArchive))
    assert entries(again) == sorted(NAMES[1:])
    assert old not in desk.uploads()
    sends = [job for job in desk.tick(Outcome(again, UploadDone("@new"))) if isinstance(job, Send)]
    assert [(job.media_id, sorted(paths(job))) for job in sends] == [("@new", sorted(NAMES[1:]))] * 2


def test_the_last_file_goes_alone(desk: Bureau) -> None:
    """An archive of one file would be of no use."""
    rows = desk.burst(*NAMES)
    desk.now += WAIT
    job = desk.packed()
    for row in rows[:4]:
        desk.withdraw(row)
    jobs = desk.tick(Outcome(job, UploadDone("@m")))
    jobs += desk.tick()
    upload = only(jobs, Upload)
    assert isinstance(upload, Upload)
    assert (upload.payload.name, desk.column("bundle_id", rows)) == ("f.pdf", [None] * 5)


def test_when_all_files_are_removed_nothing_is_sent(desk: Bureau) -> None:
    """The archive may be at DingTalk; no message follows."""
    rows = desk.burst(*NAMES)
    desk.now += WAIT
    job = desk.packed()
    for row in rows:
        desk.withdraw(row)
    assert desk.tick(Outcome(job, UploadDone("@m"))) + desk.tick() == []
    assert desk.states(rows) == {"gone"}


def test_a_renamed_file_goes_under_its_new_name(desk: Bureau) -> None:
    """The archive is packed again, because its entry would have the former name."""
    rows = desk.burst(*NAMES)
    desk.settings = replace(desk.settings, per_conversation=Limit(1, 60.0, spaced=False))
    desk.now += WAIT
    job = desk.packed()
    (version,) = desk.column("version_id", rows[:1])
    with desk.store.writing() as connection:
        moved = Renewal(version, b"z.pdf", Fingerprint(5, 1, 1, 1, 1), "moved")
        versions.renew(connection, [moved], desk.now)
    jobs = desk.tick(Outcome(job, UploadDone("@m"))) + desk.tick()
    again = only(jobs, UploadArchive)
    assert isinstance(again, UploadArchive)
    assert entries(again) == sorted([*NAMES[1:], "z.pdf"])


def test_a_replaced_file_drops_out(desk: Bureau) -> None:
    """A newer version supersedes it; the archive goes without, and the newer one joins the next burst."""
    rows = desk.burst(*NAMES)
    desk.now += WAIT
    job = desk.packed()
    (version,) = desk.column("version_id", rows[:1])
    with desk.store.writing() as connection:
        versions.withdraw(connection, [version], Cause("superseded", "", "SUPERSEDED"), desk.now)
    (newer,) = desk.burst(NAMES[0])
    jobs = desk.tick(Outcome(job, UploadDone("@m"))) + desk.tick()
    again = only(jobs, UploadArchive)
    assert isinstance(again, UploadArchive)
    assert entries(again) == sorted(NAMES[1:])
    assert desk.state(newer) == "pending"


def test_a_file_that_cannot_be_read_as_it_settled_drops_out(desk: Bureau) -> None:
    """Found while the archive is packed: nothing was uploaded, and the others are packed again."""
    rows = desk.burst(*NAMES)
    desk.now += WAIT
    job = desk.packed()
    gone = Vanished(Cause("changed", "", "FILE_CHANGED"))
    denied = Misconfigured(Cause("EACCES", "", "FILE_FORBIDDEN"))
    version, other = (job.members[i][0].version for i in (0, 1))
    again = desk.packed(Outcome(job, MembersLost(((version, gone), (other, denied)))))
    assert entries(again) == sorted(NAMES)[2:]
    assert [desk.state(row) for row in rows[:2]] == ["gone", "pending"]
    assert desk.column("bundle_id", rows[:2]) == [None, None]
    message = desk.sent(Outcome(again, UploadDone("@m")))
    desk.tick(Outcome(message, SendDone("key")))
    desk.now += 60.0
    alone = only(desk.tick(), Upload)  # it is tried again, alone
    assert not isinstance(alone, UploadArchive)


def test_nothing_leaves_a_message_that_is_being_sent(desk: Bureau) -> None:
    """The file may be with people already: it is sent with the others, though it was removed."""
    rows = desk.burst(*NAMES)
    message = desk.uploaded()
    desk.withdraw(rows[0])
    desk.tick(Outcome(message, SendDone("key")))
    assert desk.states(rows) == {"sent"}


# --- What they do together -------------------------------------------------------------------------


def test_a_doubt_is_everybodys(desk: Bureau) -> None:
    """A lost answer makes all files uncertain; they are sent once more in one message, and marked."""
    rows = desk.burst(*NAMES)
    desk.tick(Outcome(desk.uploaded(), NoAnswer(CAUSE)))
    assert desk.states(rows) == {"uncertain"}
    assert desk.heard.count(Log.DOUBTED) == 1
    desk.now += 31.0
    jobs = desk.tick()
    again = next(
        job for job in (*jobs, *desk.tick(*(Outcome(job, Done()) for job in jobs))) if isinstance(job, Send)
    )
    assert sorted(paths(again)) == sorted(NAMES)
    assert set(desk.column("uncertain_resent", rows)) == {1}
    desk.tick(Outcome(again, NoAnswer(CAUSE)))
    assert desk.states(rows) == {"uncertain"}  # the second doubt waits for a person


@pytest.mark.parametrize("sent", [True, False])
def test_resolving_one_resolves_the_message(desk: Bureau, *, sent: bool) -> None:
    """A person says of one file that it arrived, or did not: so it is with all files of the message."""
    desk.settings = replace(desk.settings, resend_uncertain=False)
    desk.restart()
    rows = desk.burst(*NAMES)
    desk.tick(Outcome(desk.uploaded(), NoAnswer(CAUSE)))
    assert commands.resolve(desk.store, rows[2], sent=sent, now=desk.now) == 4
    assert desk.states(rows) == {"sent" if sent else "uploaded"}
    with pytest.raises(NotApplicableError):
        commands.resolve(desk.store, rows[2], sent=sent, now=desk.now)


def test_retrying_one_retries_the_message(desk: Bureau) -> None:
    """The message failed with all its files, so it is sent with all of them again."""
    rows = desk.burst(*NAMES)
    desk.tick(Outcome(desk.uploaded(), Rejected(CAUSE)))
    assert desk.states(rows) == {"failed"}
    assert desk.heard.count(Log.FAILED) == 1
    assert commands.retry(desk.store, [rows[0]], [], desk.now) == 4
    assert desk.states(rows) == {"pending"}
    desk.loop.poke()
    jobs = desk.tick() + desk.tick()
    assert sorted(paths(next(job for job in jobs if isinstance(job, Send)))) == sorted(NAMES)


def test_a_file_removed_from_a_failed_message_is_not_retried(desk: Bureau) -> None:
    """It has left the message; the others are packed without it."""
    rows = desk.burst(*NAMES)
    desk.tick(Outcome(desk.uploaded(), Rejected(CAUSE)))
    desk.withdraw(rows[0])
    assert commands.retry(desk.store, [rows[1]], [], desk.now) == 3
    desk.loop.poke()
    assert entries(desk.packed()) == sorted(NAMES[1:])


@pytest.mark.parametrize(
    ("verdict", "state"),
    [
        (NotReached(CAUSE), "pending"),
        (NoAnswer(CAUSE), "pending"),
        (Throttled(CAUSE, retry_after=3.0), "pending"),
        (FolderDown(CAUSE, Scope.FOLDER), "pending"),
    ],
)
def test_a_failed_upload_is_tried_again_whole(desk: Bureau, verdict: Verdict, state: str) -> None:
    """All files wait for the same time, and go in the same archive."""
    chances = iter([0.1, 0.9] * 50)
    desk.loop._state.chance = lambda: next(chances)
    rows = desk.burst(*NAMES)
    desk.now += WAIT
    desk.tick(Outcome(desk.packed(), verdict))
    assert (desk.states(rows), len(set(desk.column("due", rows)))) == ({state}, 1)
    desk.now += 60.0
    assert entries(desk.packed()) == sorted(NAMES)


@pytest.mark.parametrize("verdict", [NotReached(CAUSE), Throttled(CAUSE, retry_after=3.0)])
def test_a_failed_message_is_tried_again_whole(desk: Bureau, verdict: Verdict) -> None:
    """Nothing left: the same message goes later, without another upload."""
    rows = desk.burst(*NAMES)
    desk.tick(Outcome(desk.uploaded(), verdict))
    assert desk.states(rows) == {"uploaded"}
    desk.now += 60.0
    assert sorted(paths(desk.sent())) == sorted(NAMES)


def test_a_lost_archive_is_uploaded_again_once(desk: Bureau) -> None:
    """DingTalk has forgotten the media: one more upload for all, and then it is given up."""
    rows = desk.burst(*NAMES)
    again = desk.packed(Outcome(desk.uploaded(), MediaLost(CAUSE)))
    assert entries(again) == sorted(NAMES)
    message = desk.sent(Outcome(again, UploadDone("@n")))
    desk.tick(Outcome(message, MediaLost(CAUSE)))
    assert desk.states(rows) == {"failed"}


def test_a_refused_archive_is_sent_file_by_file(desk: Bureau) -> None:
    """DingTalk does not say which file it does not like: each goes alone, and is judged alone."""
    rows = desk.burst(*NAMES)
    desk.now += WAIT
    jobs = desk.tick(Outcome(desk.packed(), Rejected(CAUSE)))
    assert [type(job) for job in jobs] == [Upload] * 3
    assert desk.bundle(rows) is None
    assert desk.heard.count(Log.BUNDLE_REFUSED) == 1


def test_where_archives_are_refused_there_are_no_bundles(desk: Bureau) -> None:
    """The type of all archives is refused: that is remembered, and costs no second call."""
    desk.burst(*NAMES)
    desk.now += WAIT
    jobs = desk.tick(Outcome(desk.packed(), TypeRefused(CAUSE)))
    while jobs:
        results = [UploadDone(f"@{id(job)}") if isinstance(job, Upload) else SendDone("key") for job in jobs]
        jobs = desk.tick(*(Outcome(job, result) for job, result in zip(jobs, results, strict=True)))
    desk.burst(*(f"new {name}" for name in NAMES[:3]), "new.txt", "newer.txt")
    desk.now += WAIT
    assert not any(isinstance(job, UploadArchive) for job in desk.tick())


# --- Crashes -------------------------------------------------------------------------------------


def test_after_a_crash_in_the_upload_the_same_bundle_goes(desk: Bureau) -> None:
    """What was in hand goes first, and together."""
    rows = desk.burst(*NAMES)
    desk.now += WAIT
    desk.packed()
    bundle = desk.bundle(rows)
    desk.restart()
    assert entries(desk.packed()) == sorted(NAMES)
    assert desk.bundle(rows) == bundle


def test_after_a_crash_in_the_message_all_are_uncertain(desk: Bureau) -> None:
    """It may have arrived: all its files are sent once more, in one message."""
    rows = desk.burst(*NAMES)
    desk.uploaded()
    desk.restart()
    assert desk.states(rows) == {"uncertain"}
    desk.now += 31.0
    jobs = desk.tick()
    again = next(
        job for job in (*jobs, *desk.tick(*(Outcome(job, Done()) for job in jobs))) if isinstance(job, Send)
    )
    assert sorted(paths(again)) == sorted(NAMES)


def test_a_restart_during_the_wait_changes_nothing(desk: Bureau) -> None:
    """The end of the burst is on disk."""
    desk.burst(*NAMES[:3])
    desk.now += 10.0
    desk.restart()
    desk.burst(*NAMES[3:])
    assert desk.tick() == []
    desk.now += WAIT - 10.0
    assert entries(desk.packed()) == sorted(NAMES)


def test_a_bundle_that_ends_the_process_is_taken_apart(desk: Bureau) -> None:
    """One of its files may be to blame, so each goes alone, one at a time; that one is given up."""
    rows = desk.burst(*NAMES)
    desk.now += WAIT
    for _ in range(3):
        desk.packed()
        desk.restart()
    assert desk.bundle(rows) is None
    first = only(desk.tick() + desk.tick(), Upload)
    assert isinstance(first, Upload)
    desk.restart()
    only(desk.tick(), Upload)
    desk.restart()
    assert desk.state(first.source.id) == "failed"
    assert sorted(desk.column("state", rows)) == ["failed"] + ["pending"] * 4


def test_the_pace_counts_a_bundle_once(make: Make) -> None:
    """Twenty files are one message, before and after a restart."""
    desk = make()
    desk.settings = replace(desk.settings, per_conversation=Limit(2, 600.0, spaced=False))
    desk.restart()
    desk.burst(*(f"{number}.pdf" for number in range(20)))
    desk.tick(Outcome(desk.uploaded(), SendDone("key")))
    desk.restart()
    desk.burst(*NAMES)
    assert sorted(paths(desk.uploaded(media="@n"))) == sorted(NAMES)


def test_what_is_uploaded_ahead_counts_a_bundle_once(desk: Bureau) -> None:
    """A bundle of a thousand files does not keep the next upload from beginning."""
    desk.settings = replace(desk.settings, per_conversation=Limit(3, 60.0, spaced=False))
    desk.loop.change_settings(desk.settings)
    desk.burst(*(f"{number}.pdf" for number in range(300)))
    desk.uploaded()
    (single,) = desk.drop("single.pdf")
    desk.now += 1.0
    only(desk.tick(), Upload)
    assert desk.state(single) == "uploading"


# --- Holds, pauses, clocks, configurations ---------------------------------------------------------


def test_a_flood_is_held_file_by_file(desk: Bureau) -> None:
    """`hold_over` counts files. What is released goes in bundles again."""
    rows = desk.burst(*NAMES, "g.pdf")
    with desk.store.writing() as connection:
        assert folders.hold_flood(connection, desk.mark.id, desk.now - 1.0, 5, desk.now + 1.0)
    desk.now += WAIT
    assert desk.tick() == []
    assert folders.release_flood(desk.store, desk.mark.id, desk.now) == 6
    desk.loop.poke()
    assert len(desk.packed().members) == 6
    assert desk.bundle(rows) is not None


def test_a_flood_takes_files_out_of_a_bundle_that_waits(desk: Bureau) -> None:
    """What was written down as a bundle and is not uploaded is held with the rest, and bundled anew."""
    rows = desk.burst(*NAMES)
    desk.fresh = dict.fromkeys(desk.fresh, False)
    desk.now += WAIT
    tokens = desk.tick()
    assert desk.bundle(rows) is not None
    with desk.store.writing() as connection:
        folders.hold_flood(connection, desk.mark.id, desk.now - 60.0, 4, desk.now)
    desk.fresh = dict.fromkeys(desk.fresh, True)
    assert desk.tick(*(Outcome(token, Done()) for token in tokens)) == []
    assert desk.bundle(rows) is None
    folders.release_flood(desk.store, desk.mark.id, desk.now)
    desk.loop.poke()
    assert entries(desk.packed()) == sorted(NAMES)


def test_a_discarded_burst_is_skipped(desk: Bureau) -> None:
    """Nothing of it is sent."""
    rows = desk.burst(*NAMES)
    with desk.store.writing() as connection:
        folders.hold_flood(connection, desk.mark.id, desk.now - 1.0, 4, desk.now + 1.0)
    folders.discard_flood(desk.store, desk.mark.id, desk.now)
    desk.now += WAIT
    assert desk.tick() == []
    assert desk.states(rows) == {"skipped"}


def test_bursts_of_a_paused_folder_go_as_one(desk: Bureau) -> None:
    """What came in three bursts while a person paused the folder costs two calls when it is resumed."""
    change(
        desk.store,
        "INSERT INTO folder_pauses(folder_id, since, until, paused_by, reason)"
        " VALUES (:folder, :since, :until, 'me', '')",
        folder=desk.mark.id,
        since=desk.now,
        until=desk.now + 1000.0,
    )
    for number in range(3):
        desk.burst(*(f"{number} {name}" for name in NAMES[:3]))
        desk.now += WAIT
        assert desk.tick() == []
    desk.now += 1000.0
    assert len(desk.packed().members) == 9


def test_a_clock_that_is_set_back_prolongs_no_wait(desk: Bureau) -> None:
    """What waited for the old time waits for no longer than the wait; so does what comes next."""
    desk.burst(*NAMES[:3])
    desk.tick()
    desk.now -= 3600.0
    desk.burst(*NAMES[3:])
    assert desk.tick() == []
    desk.now += WAIT
    assert entries(desk.packed()) == sorted(NAMES)


def test_without_bundles_what_waits_goes_at_once(desk: Bureau) -> None:
    """`bundle` was taken out of the configuration: each file goes alone, and none waits for the rest."""
    rows = desk.burst(*NAMES)
    desk.tick()
    desk.change(bundle=None)
    jobs = desk.tick()
    assert [type(job) for job in jobs] == [Upload] * 3
    assert desk.bundle(rows) is None


def test_what_was_held_goes_alone_when_nothing_is_bundled_any_more(desk: Bureau) -> None:
    """It was taken out of a bundle by a flood hold, and is released after `bundle` was removed."""
    rows = desk.burst(*NAMES)
    desk.fresh = dict.fromkeys(desk.fresh, False)
    desk.now += WAIT
    tokens = desk.tick()
    desk.change(bundle=None)
    desk.tick()
    with desk.store.writing() as connection:
        folders.hold_flood(connection, desk.mark.id, desk.now - 60.0, 4, desk.now)
    folders.release_flood(desk.store, desk.mark.id, desk.now)
    desk.loop.poke()
    desk.fresh = dict.fromkeys(desk.fresh, True)
    jobs = desk.tick(*(Outcome(token, Done()) for token in tokens))
    jobs += desk.tick()
    assert [type(job) for job in jobs] == [Upload] * 3
    assert desk.bundle(rows) is None


def test_a_shorter_wait_holds_for_what_waits(desk: Bureau) -> None:
    """A reload with another wait."""
    desk.burst(*NAMES)
    desk.tick()
    desk.change(bundle=BundleRule(5.0, 5))
    assert desk.tick() == []
    desk.now += 5.0
    assert entries(desk.packed()) == sorted(NAMES)


def test_a_bundle_that_is_begun_is_finished_without_bundles(desk: Bureau) -> None:
    """What was in flight at the reload goes on."""
    rows = desk.burst(*NAMES)
    desk.now += WAIT
    job = desk.packed()
    desk.change(bundle=None)
    message = desk.sent(Outcome(job, UploadDone("@m")))
    desk.tick(Outcome(message, SendDone("key")))
    assert desk.states(rows) == {"sent"}


def test_a_bundle_follows_settings_that_changed(desk: Bureau) -> None:
    """Files are to be noticed since: what was to be packed goes as notices."""
    rows = desk.burst(*NAMES)
    desk.fresh = dict.fromkeys(desk.fresh, False)
    desk.now += WAIT
    tokens = desk.tick()
    assert desk.bundle(rows) is not None
    desk.change(send_as="notice")
    desk.fresh = dict.fromkeys(desk.fresh, True)
    jobs = desk.tick(*(Outcome(token, Done()) for token in tokens))
    for _ in range(4):
        jobs += desk.tick()
    assert [job.notice is not None for job in jobs if isinstance(job, Send)] == [True]


# --- A program before sending ----------------------------------------------------------------------

PROGRAM = Screening(("true",), 60.0)
INFECTED = ScreenedOut(Cause("gate", "Eicar FOUND", "GATE"))


def screen(desk: Bureau, answer: Callable[[str], Done | Verdict], *outcomes: Outcome) -> list[Job]:
    """Tick, and let the program answer about each file until it is asked no more; return the other jobs."""
    others: list[Job] = []
    jobs = desk.tick(*outcomes)
    while asked := [job for job in jobs if isinstance(job, Screen)]:
        others += [job for job in jobs if not isinstance(job, Screen)]
        jobs = desk.tick(*(Outcome(job, answer(job.row.path.decode())) for job in asked))
    return others + jobs


def test_a_burst_is_screened_file_by_file_and_goes_as_one(make: Make) -> None:
    """What the program refuses is skipped; the others wait for each other, and go together."""
    desk = make("cidA", "cidB", screening=PROGRAM)
    rows = desk.burst(*NAMES, "g.pdf")
    desk.now += WAIT
    (job,) = screen(desk, lambda path: INFECTED if path == NAMES[0] else Done())
    assert isinstance(job, UploadArchive)
    assert (entries(job), len(job.rows)) == (sorted([*NAMES[1:], "g.pdf"]), 10)
    assert desk.states(rows) == {"uploading", "skipped"}


def test_a_program_that_fails_holds_no_other_file(make: Make) -> None:
    """Files that have passed do not wait for hours with one on which the program has failed."""
    desk = make(screening=PROGRAM)
    rows = desk.burst(*NAMES, "g.pdf")
    failed = ScreeningFailed(Cause("gate_failed", "2", "GATE_FAILED"))
    desk.now += WAIT
    (job,) = screen(desk, lambda path: failed if path == "g.pdf" else Done())
    assert isinstance(job, UploadArchive)
    assert entries(job) == sorted(NAMES)
    assert desk.column("state", rows)[-1] == "pending"


def test_an_uploaded_archive_is_screened_when_its_folder_gets_a_program(desk: Bureau) -> None:
    """It is not sent before all its files have passed; what is refused is not in it."""
    rows = desk.burst(*NAMES)
    desk.now += WAIT
    job = desk.packed()
    desk.change(screening=PROGRAM)
    uploaded = Outcome(job, UploadDone("@m"))
    again = only(screen(desk, lambda path: INFECTED if path == NAMES[0] else Done(), uploaded), UploadArchive)
    assert isinstance(again, UploadArchive)
    assert entries(again) == sorted(NAMES[1:])
    assert desk.state(rows[0]) == "skipped"


def test_files_without_a_verdict_leave_their_bundle(desk: Bureau) -> None:
    """Those that passed go without them; with a verdict, the others are a message of their own."""
    rows = desk.burst(*NAMES)
    desk.now += WAIT
    job, failed = desk.packed(), ScreeningFailed(Cause("gate_failed", "2", "GATE_FAILED"))
    desk.change(screening=PROGRAM)
    late = NAMES[:2]
    (again,) = screen(desk, lambda path: failed if path in late else Done(), Outcome(job, UploadDone("@m")))
    assert isinstance(again, UploadArchive)
    assert entries(again) == sorted(NAMES[2:])
    message = desk.sent(Outcome(again, UploadDone("@n")))
    assert desk.column("bundle_id", rows[:2]) == [None, None]
    screen(desk, lambda _: failed, Outcome(message, SendDone("key")))
    assert desk.states(rows[2:]) == {"sent"}
    for _ in range(9):
        desk.now += 60.0
        screen(desk, lambda _: Done())
    assert None not in desk.column("bundle_id", rows[2:])
    assert desk.bundle(rows[2:]) not in desk.column("bundle_id", rows[:2])


# --- Captions and notices --------------------------------------------------------------------------


def test_a_caption_names_the_files(make: Make) -> None:
    """Where `message` is set, one caption goes before the archive: a third call for all of them."""
    desk = make(wording=Wording(folder="share", caption="{name}"))
    rows = desk.burst(*(f"{number:02}.pdf" for number in range(25)))
    desk.now += WAIT
    caption = only(desk.tick(Outcome(desk.packed(), UploadDone("@m"))), SendCaption)
    assert isinstance(caption, SendCaption)
    text = caption.caption.text
    assert "25 new files" in text
    assert [f"{number:02}.pdf" in text for number in range(25)] == [True] * 20 + [False] * 5
    assert "5 more" in text
    message = desk.sent(Outcome(caption, SendDone("caption")))
    desk.tick(Outcome(message, SendDone("key")))
    assert desk.states(rows) == {"sent"}


def test_a_caption_that_was_not_sent_is_sent_again(make: Make) -> None:
    """Once for the whole bundle."""
    desk = make(wording=Wording(folder="share", caption="{name}"))
    desk.burst(*NAMES)
    desk.now += WAIT
    caption = only(desk.tick(Outcome(desk.packed(), UploadDone("@m"))), SendCaption)
    jobs = desk.tick(Outcome(caption, NotReached(CAUSE)))
    desk.now += 60.0
    again = only([*jobs, *desk.tick()], SendCaption)
    assert isinstance(again, SendCaption)
    assert isinstance(only(desk.tick(Outcome(again, SendDone("caption"))), Send), Send)


def test_a_burst_of_notices_is_one_notice(make: Make) -> None:
    """With `send_as: notice`, one message lists the files, without any upload."""
    desk = make("webhook:1", send_as="notice", wording=Wording(folder="share", location="/srv/share"))
    rows = desk.burst(*NAMES)
    assert desk.tick() == []
    desk.now += WAIT
    jobs = desk.tick() + desk.tick()
    (message,) = (job for job in jobs if isinstance(job, Send))
    assert message.notice is not None
    assert all(name in message.notice.text for name in NAMES)
    assert "/srv/share" in message.notice.text
    desk.tick(Outcome(message, SendDone(None)))
    assert desk.states(rows) == {"skipped"}
    assert desk.bundle(rows) is not None


def test_persons_whose_files_differ_get_notices_of_their_own(make: Make) -> None:
    """A call for both would tell one of them of a file that is not for them."""
    desk = make("user:a", "user:b", send_as="notice")
    rows = desk.burst(*NAMES, "g.pdf")
    gone = next(row for row in reversed(rows) if desk.column("conversation_id", [row]) == ["user:b"])
    change(desk.store, "UPDATE deliveries SET state = 'gone' WHERE id = :id", id=gone)
    desk.now += WAIT
    sends = [job for job in desk.tick() + desk.tick() if isinstance(job, Send)]
    assert sorted((job.recipients, len(job.rows)) for job in sends) == [(("user:a",), 6), (("user:b",), 5)]


def test_a_notice_lists_what_is_there(make: Make) -> None:
    """A file that was removed before the notice was claimed is not in it."""
    desk = make(send_as="notice")
    rows = desk.burst(*NAMES)
    desk.withdraw(rows[0])
    desk.burst("g.pdf")
    desk.now += WAIT
    (message,) = (job for job in desk.tick() + desk.tick() if isinstance(job, Send))
    assert sorted(paths(message)) == sorted([*NAMES[1:], "g.pdf"])


def test_pruned_bundles_are_forgotten(desk: Bureau) -> None:
    """Nothing refers to them any more."""
    rows = desk.burst(*NAMES)
    desk.tick(Outcome(desk.uploaded(), SendDone("key")))
    with desk.store.writing() as connection:
        ids = desk.column("version_id", rows)
        versions.mark_missing(connection, dict.fromkeys(ids, 1.0))
        pruning.prune(connection, desk.mark.id, desk.now, ids)
        assert connection.exec_driver_sql("SELECT count(*) FROM bundles").scalar() == 0
