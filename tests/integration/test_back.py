"""What was sent, back: addresses, bytes and messages, by commands against the sandbox over HTTP."""

import errno
import fcntl
import json
import os
import random
import resource
import shlex
import shutil
import stat
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from click.testing import Result

from dingwatch.cli import verified_download
from dingwatch.config.values import LEDGER_FILE
from dingwatch.dingtalk import (
    MEDIA_LIMIT,
    Account,
    Client,
    Conflict,
    Content,
    Entry,
    SampleFile,
    SampleMarkdown,
    SpaceFolder,
    connect,
)
from dingwatch.files import fingerprint_of
from dingwatch.ledger import Store, sqlite_url, transitions, versions
from dingwatch.ledger.transitions import Change
from dingwatch.ledger.uploads import UploadDone, claim_upload, record_upload
from dingwatch.ledger.versions import NewVersion
from dingwatch.lifecycle import Event
from dingwatch.model import Form, UploadKey
from dingwatch.payload import DRIVE, NOTICE, Payload
from dingwatch.sandbox import Fault, FaultKind, Sandbox
from tests.integration.conftest import Machine
from tests.support import sha256

CONTENT = random.Random(4).randbytes(300_000)  # noqa: S311 (a test's bytes)
CLAIMED = (Event.CLAIM, Event.UPLOAD_OK, Event.CLAIM)
"""What leads to a send."""


@dataclass
class Past:
    """Deliveries that have been made: at DingTalk by calls, in the ledger by its own functions."""

    machine: Machine
    sandbox: Sandbox
    client: Client
    store: Store
    home: Path

    @property
    def conversation(self) -> str:
        """The conversation that all goes to."""
        return self.sandbox.conversations[0].id

    @property
    def operator(self) -> str:
        """Whose drive it is."""
        return self.sandbox.settings.operator_union_id

    def write(
        self, name: str, key: UploadKey, *recipients: str, event: Event = Event.SEND_OK, **columns: object
    ) -> list[int]:
        """Write down a file's deliveries, each with how its send ended; return their ids."""
        path, now = self.home / name, time.time()
        path.write_bytes(CONTENT)
        new = NewVersion(
            folder=None,
            path=os.fsencode(path),
            fingerprint=fingerprint_of(path.stat()),
            digest=sha256(CONTENT),
            noticed_at=now,
            settled_at=now,
            payload=Payload(Form.PLAIN, name, key),
            recipients=recipients or (self.conversation,),
        )
        ended = {"sent_at": now, **columns} if event is Event.SEND_OK else columns
        with self.store.writing() as connection:
            ids = versions.add(self.store, connection, [new], now)
            changes = [Change(i, one) for i in ids for one in CLAIMED]
            transitions.apply(connection, now, [*changes, *(Change(i, event, columns=ended) for i in ids)])
        return ids

    def had(self, key: UploadKey, media_id: str, space_id: str | None) -> None:
        """Write down what DingTalk has of an upload."""
        with self.store.writing() as connection:
            claim_upload(connection, key.id, 1, "")
            record_upload(connection, key.id, UploadDone(media_id, space_id), time.time(), 1, entry=True)

    def store_entry(self, space_id: str, name: str, content: bytes) -> Entry:
        """Put a file into the drive, whatever is there under its name."""
        storage, folder = self.client.storage(self.operator), SpaceFolder(space_id)
        begun = storage.begin_whole(folder)
        storage.put(begun.address, Content.of(content))
        return storage.commit(
            folder,
            upload_key=begun.upload_key,
            name=name,
            size=len(content),
            conflict=Conflict.OVERWRITE,
        )

    def by_drive(self, name: str = "设计图.psd", *, event: Event = Event.SEND_OK) -> tuple[int, Entry]:
        """Have a file sent by the drive; return the delivery's id, and the entry of its upload."""
        space = self.client.storage(self.operator).space(scene="dingwatch", scene_id="test")
        entry = self.store_entry(space.id, name, CONTENT)
        chat = self.client.conversation_files(self.operator)
        copy = chat.send(conversation_id=self.conversation, space_id=space.id, entry_id=entry.id)
        key = UploadKey(self.sandbox.client_id, f"{DRIVE}test", sha256(CONTENT), "psd", name)
        columns = {"space_id": copy.space_id, "entry_id": copy.id} if event is Event.SEND_OK else {}
        (number,) = self.write(name, key, event=event, **columns)
        self.had(key, entry.id, entry.space_id)
        return number, entry

    def by_robot(self, *user_ids: str) -> list[int]:
        """Have a file sent to persons, in one message; return the deliveries' ids."""
        media_id = self.client.media.upload(name="a.pdf", content=CONTENT)
        done = self.client.persons.send(user_ids=user_ids, message=SampleFile(media_id, "a.pdf", "pdf"))
        key = UploadKey(self.sandbox.client_id, "file", sha256(CONTENT), "pdf")
        words = [f"user:{user_id}" for user_id in user_ids]
        ids = self.write("a.pdf", key, *words, process_query_key=done.process_query_key)
        self.had(key, media_id, None)
        return ids

    def send(self, name: str = "报告.pdf", content: bytes = CONTENT) -> int:
        """Send a file by the command; return the delivery's id."""
        (self.home / name).write_bytes(content)
        done = self.machine.call("send", str(self.home / name), "--to", self.conversation)
        assert done.exit_code == 0, done.output
        return int(str(self.history()["id"]))

    def history(self) -> dict[str, object]:
        """Return the newest line of `history`."""
        line: dict[str, object] = json.loads(self.machine.call("history", "--json", "--limit", "1").stdout)
        return line

    def delete(self, space_id: str, entry_id: str) -> None:
        """Delete an entry, as a person does."""
        answer = requests.delete(
            f"{self.sandbox.url}/v1.0/storage/spaces/{space_id}/dentries/{entry_id}",
            params={"unionId": self.operator},
            headers={"x-acs-dingtalk-access-token": self._token()},
            timeout=10,
        )
        assert answer.status_code == 200, answer.text

    def _token(self) -> str:
        credentials = {"appKey": self.sandbox.client_id, "appSecret": self.sandbox.client_secret}
        url = f"{self.sandbox.url}/v1.0/oauth2/accessToken"
        return str(requests.post(url, json=credentials, timeout=10).json()["accessToken"])

    def copy_of(self, number: int) -> tuple[str, str]:
        """Return space and id of the conversation's own copy, as the ledger has it."""
        with self.store.reading() as connection:
            row = connection.exec_driver_sql(
                "SELECT space_id, entry_id FROM deliveries WHERE id = ?", (number,)
            )
            space_id, entry_id = row.one()
        return space_id, entry_id

    def used(self) -> int:
        """Return how many calls the month has seen, as `status` shows it."""
        return int(json.loads(self.machine.call("status", "--json").stdout)["api_calls"]["used"])


@pytest.fixture
def past(machine: Machine, sandbox: Sandbox, tmp_path: Path, blank_ledger: Path) -> Iterator[Past]:
    """A machine with an operator, and with a ledger in which nothing stands yet."""
    machine.settings["dingtalk"]["operator_union_id"] = sandbox.settings.operator_union_id
    machine.write()
    home = tmp_path / "home"
    home.mkdir()
    path = tmp_path / "state" / LEDGER_FILE
    path.parent.mkdir(mode=0o700)
    shutil.copy(blank_ledger, path)
    store = Store.open(sqlite_url(path))
    robot = sandbox.robot_code
    account = Account(sandbox.client_id, sandbox.client_secret, robot, sandbox.url, sandbox.url)
    with connect(account, time) as client:
        yield Past(machine, sandbox, client, store, home)
    store.close()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Where a fetched file goes; its directory holds nothing else."""
    made = tmp_path / "out"
    made.mkdir()
    return made / "back.bin"


def failed(done: Result, *words: str) -> bool:
    """Return whether a command failed with one sentence on standard error that has these words."""
    lines = done.stderr.splitlines()
    return (done.exit_code, done.stdout, len(lines)) == (1, "", 1) and all(word in lines[0] for word in words)


# --- link ----------------------------------------------------------------------------------------


def test_a_link_is_a_line_for_a_shell(past: Past, tmp_path: Path) -> None:
    """What is printed can be run as it stands: curl writes the file that was sent."""
    number, _ = past.by_drive("it's; $(touch x) 图.psd")
    done = past.machine.call("link", str(number))
    assert done.exit_code == 0, done.stderr
    comment, line = done.stdout.splitlines()
    assert comment.startswith("# ")
    assert shlex.split(line)[0] == "curl"
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("no curl here")
    ran = subprocess.run(["/bin/sh"], input=done.stdout.encode(), cwd=tmp_path, check=False)
    assert ran.returncode == 0
    assert (tmp_path / "it's; $(touch x) 图.psd").read_bytes() == CONTENT
    assert not (tmp_path / "x").exists()


def test_a_link_says_all_that_opens_it(past: Past) -> None:
    """With its headers the address gives the bytes, without them nothing; its end is an instant to come."""
    number, _ = past.by_drive()
    done = past.machine.call("link", str(number), "--json")
    shown = json.loads(done.stdout)
    assert (shown["id"], shown["size"], shown["sha256"]) == (number, len(CONTENT), sha256(CONTENT))
    assert shown["path"].endswith("设计图.psd")
    assert requests.get(shown["url"], headers=shown["headers"], timeout=10).content == CONTENT
    assert requests.get(shown["url"], timeout=10).status_code == 403
    assert shown["expires_at"] > time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())


def test_a_link_is_that_of_the_conversations_copy(past: Past) -> None:
    """What lies in the folder's own space may be replaced by a newer version; the copy is not."""
    number, entry = past.by_drive()
    past.store_entry(entry.space_id, entry.name, b"newer")
    shown = json.loads(past.machine.call("link", str(number), "--json").stdout)
    assert requests.get(shown["url"], headers=shown["headers"], timeout=10).content == CONTENT


def test_where_the_copy_is_gone_the_uploads_entry_serves(past: Past) -> None:
    """A member may delete a file of the group; what dingwatch uploaded is still there."""
    number, _ = past.by_drive()
    past.delete(*past.copy_of(number))
    shown = json.loads(past.machine.call("link", str(number), "--json").stdout)
    assert requests.get(shown["url"], headers=shown["headers"], timeout=10).content == CONTENT


def test_a_persons_copy_is_not_the_operators(past: Past, out: Path) -> None:
    """What lies in another's chat the operator may not read; what dingwatch uploaded serves instead."""
    number, entry = past.by_drive()
    union_id = past.client.contacts.union_id("user2345")
    copy = past.client.conversation_files(past.operator).send_to_person(
        union_id=union_id, space_id=entry.space_id, entry_id=entry.id
    )
    with past.store.writing() as connection:
        columns = (copy.space_id, copy.id, number)
        connection.exec_driver_sql("UPDATE deliveries SET space_id = ?, entry_id = ? WHERE id = ?", columns)
    shown = json.loads(past.machine.call("link", str(number), "--json").stdout)
    assert requests.get(shown["url"], headers=shown["headers"], timeout=10).content == CONTENT
    assert past.machine.call("fetch", str(number), "-o", str(out)).exit_code == 0
    assert past.sandbox.calls()["storage/downloadInfos"] == 4


def test_what_went_as_media_has_no_link(past: Past) -> None:
    """The sentence names the command that gets it, and nothing was asked."""
    number = past.send()
    before = past.sandbox.calls()
    assert failed(past.machine.call("link", str(number)), "no link", f"dingwatch fetch {number}")
    assert past.sandbox.calls() == before


def test_a_link_that_is_refused_says_why(past: Past) -> None:
    """DingTalk's code and what a person can do, in one sentence."""
    number, _ = past.by_drive()
    refusal = Fault("storage/downloadInfos", FaultKind.ERROR, code="orgAuthLevelNotEnough", status=403)
    past.sandbox.inject(refusal)
    assert failed(past.machine.call("link", str(number)), "orgAuthLevelNotEnough", "certified")


def test_an_address_is_opened_by_people(past: Past) -> None:
    """It leads to the conversation's copy, names no expiry and asks who opens it to sign in."""
    number, _ = past.by_drive("report.pdf")
    done = past.machine.call("link", "--open", str(number))
    assert done.exit_code == 0, done.output
    comment, url = done.stdout.splitlines()
    assert comment.startswith("# ")
    assert "report.pdf" in comment
    assert "no expiry" in comment
    assert "type=PREVIEW&checkLogin=true" in url
    told = json.loads(past.machine.call("link", "--open", str(number), "--json").stdout)
    assert (told["id"], told["open_url"], told["expires_at"]) == (number, url, None)
    assert past.sandbox.calls()["storage/openInfos"] == 2


def test_what_cannot_be_opened_says_why(past: Past) -> None:
    """A kind of file without a preview, a missing permission, and what went as media."""
    number, _ = past.by_drive("disk.iso")
    done = past.machine.call("link", "--open", str(number))
    assert (done.exit_code, "dentryPreviewNotSupport" in done.stderr) == (1, True), done.output
    past.sandbox.inject(Fault("storage/openInfos", FaultKind.NO_PERMISSION))
    done = past.machine.call("link", "--open", str(number))
    assert "Storage.File.Read" in done.stderr
    (media,) = past.by_robot("user2345")
    done = past.machine.call("link", "--open", str(media))
    assert (done.exit_code, "not sent through the drive" in done.stderr) == (1, True), done.output


def test_without_an_operator_there_is_no_link(past: Past) -> None:
    """The sentence names the key of the config."""
    number, _ = past.by_drive()
    past.machine.settings["dingtalk"]["operator_union_id"] = None
    past.machine.write()
    for words in (("link", str(number)), ("fetch", str(number), "-o", "x")):
        assert failed(past.machine.call(*words), "operator_union_id")


def no_links(_source: object, _target: object) -> None:
    """Refuse, as FAT does."""
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


def arrive(target: Path, meanwhile: bytes | None = None) -> None:
    """Have a file arrive, while somebody else may write one there."""
    with verified_download.beside(target, force=False) as file:
        file.write(CONTENT)
        if meanwhile is not None:
            target.write_bytes(meanwhile)


# --- fetch ---------------------------------------------------------------------------------------


def test_media_comes_back_whole(past: Past, out: Path) -> None:
    """Byte by byte, as a file like any other, and said to be the one that was sent."""
    number = past.send()
    done = past.machine.call("fetch", str(number), "-o", str(out))
    assert (done.exit_code, "digest" in done.stdout, done.stderr) == (0, True, "")
    assert out.read_bytes() == CONTENT
    assert stat.S_IMODE(out.stat().st_mode) == 0o666 & ~umask()
    assert os.listdir(out.parent) == [out.name]


def umask() -> int:
    """Return this process's mask for new files."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def test_an_archive_comes_back_as_the_file_that_it_holds(past: Past, out: Path) -> None:
    """What went zipped is unpacked, and compared with the file's digest."""
    number = past.send("网页.html")
    (message,) = past.sandbox.messages(past.conversation)
    assert message.file_name == "网页.html.zip"
    done = past.machine.call("fetch", str(number), "-o", str(out))
    assert (done.exit_code, "unpacked" in done.stdout) == (0, True), done.stderr
    assert out.read_bytes() == CONTENT


def test_a_file_of_the_drive_comes_back(past: Past, out: Path) -> None:
    """Also one of which it is not known whether it arrived: it was uploaded."""
    sent, _ = past.by_drive()
    doubtful, _ = past.by_drive("b.psd", event=Event.DOUBT)
    for number in (sent, doubtful):
        done = past.machine.call("fetch", str(number), "-o", str(out), "--force")
        assert done.exit_code == 0, done.stderr
        assert out.read_bytes() == CONTENT
        out.unlink()


def test_what_the_service_sent_by_drive_comes_back(past: Past, out: Path) -> None:
    """A file over the media limit, sent by the command as it is: the ledger has all that both need."""
    content = CONTENT * (MEDIA_LIMIT // len(CONTENT) + 1)
    number = past.send("film.mp4", content)
    (message,) = past.sandbox.messages(past.conversation)
    assert past.copy_of(number) == (message.space_id, message.entry_id)
    shown = json.loads(past.machine.call("link", str(number), "--json").stdout)
    assert requests.get(shown["url"], headers=shown["headers"], timeout=10).content == content
    assert past.machine.call("fetch", str(number), "-o", str(out)).exit_code == 0
    assert out.read_bytes() == content


@pytest.mark.parametrize("changed", [CONTENT[:-1], CONTENT + b"x", CONTENT[:-1] + b"x", CONTENT * 10])
def test_a_copy_that_a_member_changed_is_not_taken(past: Past, out: Path, changed: bytes) -> None:
    """Shorter, longer or different: the entry of the upload gives the file that was sent."""
    number, entry = past.by_drive()
    space_id, _ = past.copy_of(number)
    past.store_entry(space_id, entry.name, changed)
    assert past.machine.call("fetch", str(number), "-o", str(out)).exit_code == 0
    assert out.read_bytes() == CONTENT


def test_bytes_that_are_not_those_that_were_sent_are_no_file(past: Past, out: Path) -> None:
    """Nothing is left of them, neither at the place nor beside it."""
    number, entry = past.by_drive()
    past.delete(*past.copy_of(number))
    past.store_entry(entry.space_id, entry.name, CONTENT[::-1])
    assert failed(past.machine.call("fetch", str(number), "-o", str(out)), str(number), "differs from what")
    assert os.listdir(out.parent) == []


@pytest.mark.parametrize("kind", [FaultKind.CUT_BEFORE, FaultKind.ERROR, FaultKind.NO_PERMISSION])
def test_a_download_that_fails_leaves_nothing(past: Past, out: Path, kind: FaultKind) -> None:
    """One sentence, exit 1, and no file."""
    number = past.send()
    past.sandbox.inject(Fault("media/downloadFile", kind, times=None))
    assert failed(past.machine.call("fetch", str(number), "-o", str(out)), f"{number} was not fetched")
    assert os.listdir(out.parent) == []


def test_what_a_killed_fetch_left_is_removed_by_the_next(past: Past, out: Path) -> None:
    """A file that another `fetch` still writes stays, and so does whatever has another name."""
    number = past.send()
    names = [".dingwatch-0123456789abcdef.part", ".dingwatch-live.part", "other.part"]
    for name in names:
        (out.parent / name).write_bytes(b"half")
    with (out.parent / names[1]).open("rb") as live:
        fcntl.flock(live, fcntl.LOCK_EX)
        assert past.machine.call("fetch", str(number), "-o", str(out)).exit_code == 0
    assert sorted(one.name for one in out.parent.iterdir()) == sorted([*names[1:], out.name])


def test_what_dingtalk_forgot_cannot_be_fetched(past: Past, out: Path) -> None:
    """A media id that is nobody's any more is said to be that."""
    number = past.send()
    (upload,) = past.sandbox.uploads()
    past.sandbox.forget(upload.media_id)
    assert failed(past.machine.call("fetch", str(number), "-o", str(out)), "no longer has")


def test_a_file_is_overwritten_only_when_asked_to(past: Past, out: Path) -> None:
    """Without `--force` it stays, and no call is made; with it the fetched one takes its place."""
    number = past.send()
    out.write_bytes(b"mine")
    before = past.sandbox.calls()
    assert failed(past.machine.call("fetch", str(number), "-o", str(out)), str(out), "--force")
    assert (out.read_bytes(), past.sandbox.calls()) == (b"mine", before)
    assert past.machine.call("fetch", str(number), "-o", str(out), "--force").exit_code == 0
    assert out.read_bytes() == CONTENT


@pytest.mark.parametrize("link", [os.link, no_links])
def test_a_file_that_appears_meanwhile_stays(
    out: Path, monkeypatch: pytest.MonkeyPatch, link: Callable[..., None]
) -> None:
    """It is seen at the last moment too, on file systems with hard links and without."""
    monkeypatch.setattr(os, "link", link)
    arrive(out)
    assert out.read_bytes() == CONTENT
    out.unlink()
    with pytest.raises(FileExistsError):
        arrive(out, meanwhile=b"mine")
    assert (out.read_bytes(), os.listdir(out.parent)) == (b"mine", [out.name])


def test_only_a_regular_file_is_overwritten(past: Past, out: Path) -> None:
    """A directory, a link and standard output are refused, whatever is asked."""
    number = past.send()
    out.symlink_to("elsewhere")
    for place in (str(out), str(out.parent), "-"):
        assert failed(past.machine.call("fetch", str(number), "-o", place, "--force"), place)
    assert os.readlink(out) == "elsewhere"


def test_a_place_that_cannot_be_written_is_said(past: Past, out: Path) -> None:
    """The sentence has the path and the reason; no call is made."""
    number = past.send()
    before = past.sandbox.calls()
    place = str(out.parent / "absent" / "a.pdf")
    assert failed(past.machine.call("fetch", str(number), "-o", place), place, "No such file")
    assert past.sandbox.calls() == before


def test_a_disk_that_fills_leaves_nothing(past: Past, out: Path) -> None:
    """The part that was written is gone, and the sentence says why."""
    number = past.send()
    most = len(CONTENT) - 1
    done = subprocess.run(
        past.machine.command("fetch", str(number), "-o", str(out)),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)),
    )
    assert (done.returncode, "File too large" in done.stderr, len(done.stderr.splitlines())) == (1, True, 1)
    assert os.listdir(out.parent) == []


def test_what_was_never_given_to_dingtalk_cannot_be_had_back(past: Past, out: Path) -> None:
    """An unknown id, a failed delivery and a notice each have their sentence."""
    key = UploadKey(past.sandbox.client_id, "file", sha256(CONTENT), "pdf")
    (bad,) = past.write("a.pdf", key, event=Event.REJECT)
    (told,) = past.write("b.psd", UploadKey(past.sandbox.client_id, NOTICE, "", ""), event=Event.DOUBT)
    for command in (("fetch", "-o", str(out)), ("link",)):
        name, *options = command
        assert failed(past.machine.call(name, "999", *options), "no delivery 999")
        assert failed(past.machine.call(name, str(2**70), *options), str(2**70))
        assert failed(past.machine.call(name, str(bad), *options), f"{bad} is failed")
        assert failed(past.machine.call(name, str(told), *options), "went as a notice")


# --- receipts ------------------------------------------------------------------------------------


def test_who_has_read_a_groups_message_is_listed_by_name(past: Past) -> None:
    """One billed call, said beforehand; DingTalk lists a group's readers alone, and names cost nothing."""
    number = past.send()
    past.machine.call("receipts", str(number))  # the sandbox has no data for the first question
    past.sandbox.read(past.conversation, "manager1234")
    before, billed = past.used(), past.sandbox.billed()
    done = past.machine.call("receipts", str(number))
    assert done.exit_code == 0, done.output
    assert "one billed API call" in done.stderr
    first, second, third = done.stdout.splitlines()
    assert "read by 1 person" in first
    assert second.split() == ["read", "王经理", "(manager1234)"]
    assert "only the readers" in third
    assert (past.used() - before, past.sandbox.billed() - billed) == (1, 1)


def test_receipts_are_json_for_programs(past: Past) -> None:
    """Where DingTalk does not say who has not read it, that is null, and not an empty list."""
    number = past.send()
    past.sandbox.read(past.conversation, "user2345")
    done = past.machine.call("receipts", str(number), "--json")
    told = json.loads(done.stdout)
    assert (told["id"], told["conversation_id"], told["status"]) == (number, past.conversation, "SUCCESS")
    assert told["read"] == [{"user_id": "user2345", "name": "李工"}]
    assert (told["unread"], told["more"]) == (None, False)
    assert past.history()["state"] == "sent"


def test_persons_are_told_apart_by_whether_they_have_read(past: Past) -> None:
    """Of a message to persons DingTalk names both, with their names in the same call."""
    first, _ = past.by_robot("manager1234", "user2345")
    past.sandbox.read("user:user2345", "user2345")
    done = past.machine.call("receipts", str(first))
    lines = [line.split() for line in done.stdout.splitlines()[1:]]
    assert lines == [["read", "李工", "(user2345)"], ["unread", "王经理", "(manager1234)"]]
    assert "topapi/v2/user/get" not in past.sandbox.calls()


def test_an_alias_names_a_reader(past: Past) -> None:
    """The config's own name comes before that of the address book, and needs no call."""
    past.machine.settings["aliases"] = {"值班": "user:user2345"}
    past.machine.write()
    number = past.send()
    past.sandbox.read(past.conversation, "user2345")
    assert "值班 (user2345)" in past.machine.call("receipts", str(number)).stdout
    assert "topapi/v2/user/get" not in past.sandbox.calls()


def test_without_the_permission_readers_are_shown_by_their_ids(past: Past) -> None:
    """The command says which permission is missing, asks for one name only, and does not fail."""
    number = past.send()
    past.sandbox.read(past.conversation, "user2345", "manager1234")
    past.sandbox.inject(Fault("topapi/v2/user/get", FaultKind.NO_PERMISSION, times=None))
    done = past.machine.call("receipts", str(number))
    assert done.exit_code == 0, done.output
    assert [line.split() for line in done.stdout.splitlines()[1:3]] == [
        ["read", "user2345"],
        ["read", "manager1234"],
    ]
    assert "qyapi_get_member" in done.stderr
    assert past.sandbox.calls()["topapi/v2/user/get"] == 1


def test_more_readers_than_a_page_cost_a_call_each(past: Past) -> None:
    """By default one page is asked for, and the command says that there are more."""
    number = past.send()
    everybody = {f"user{one}": f"union{one}" for one in range(450)}
    chat = past.sandbox._world.chat
    chat.read(past.conversation, everybody, 0.0)
    past.sandbox.inject(Fault("topapi/v2/user/get", FaultKind.NO_PERMISSION, times=None))
    done = past.machine.call("receipts", str(number))
    assert "read by 200 persons" in done.stdout
    assert "--all" in done.stdout
    before = past.sandbox.billed()
    told = json.loads(past.machine.call("receipts", str(number), "--all", "--json").stdout)
    assert (len(told["read"]), told["more"], past.sandbox.billed() - before) == (450, False, 3)


def test_what_has_no_receipts_says_why_and_costs_nothing(past: Past) -> None:
    """Other kinds, what was not sent, what is in doubt, recalled or too old: each has its sentence."""
    key = UploadKey(past.sandbox.client_id, "file", sha256(CONTENT), "pdf")
    (bad,) = past.write("a.pdf", key, event=Event.REJECT)
    (doubtful,) = past.write("b.pdf", key, event=Event.DOUBT)
    (legacy,) = past.write("c.pdf", key, "chat:chatd1", process_query_key="msg1")
    (robot,) = past.write("d.pdf", key, "webhook:w", process_query_key="msg1")
    drive, _ = past.by_drive()
    (old,) = past.by_robot("user2345")
    with past.store.writing() as connection:
        connection.exec_driver_sql("UPDATE deliveries SET sent_at = sent_at - 86401 WHERE id = ?", (old,))
    recalled = past.send()
    assert past.machine.call("recall", str(recalled)).exit_code == 0
    before = past.sandbox.calls()
    for number, word in {
        999: "no delivery 999",
        bad: f"{bad} is failed",
        doubtful: "was lost",
        legacy: "chat:chatd1",
        robot: "webhook:w",
        drive: "through the drive",
        old: "24 hours",
        recalled: "was recalled",
    }.items():
        assert failed(past.machine.call("receipts", str(number)), word)
    assert past.sandbox.calls() == before


def test_a_message_that_dingtalk_no_longer_knows_is_too_old(past: Past) -> None:
    """One question is enough for an old message; a message that was recalled in DingTalk is told so."""
    number = past.send()
    with past.store.writing() as connection:
        connection.exec_driver_sql("UPDATE deliveries SET sent_at = sent_at - 3600")
    before = past.sandbox.billed()
    done = past.machine.call("receipts", str(number))
    assert (done.exit_code, "too old" in done.stderr, past.sandbox.billed() - before) == (1, True, 1)
    (message,) = past.sandbox.messages(past.conversation)
    past.client.groups.recall(
        conversation_id=past.conversation, process_query_keys=[message.process_query_key]
    )
    done = past.machine.call("receipts", str(number))
    assert (done.exit_code, "was recalled" in done.stderr) == (1, True)


# --- recall --------------------------------------------------------------------------------------


def test_a_message_to_a_group_is_taken_back(past: Past) -> None:
    """The group shows it no more; the row stays `sent`, and `why` says what was done."""
    number = past.send()
    done = past.machine.call("recall", str(number))
    assert (done.exit_code, done.stdout.startswith(f"recalled {number}")) == (0, True), done.stderr
    assert [message.recalled for message in past.sandbox.messages(past.conversation)] == [True]
    assert past.history()["state"] == "sent"
    story = past.machine.call("why", str(past.home / "报告.pdf")).stdout
    assert story.splitlines()[-1].endswith(f"#{number} the message was recalled")


def test_a_message_is_recalled_when_its_call_has_ended(past: Past) -> None:
    """The history's time is that of the answer, however long it took."""
    number, asked = past.send(), time.time()
    past.sandbox.inject(Fault("robot/groupMessages/recall", FaultKind.SLOW, seconds=0.5))
    assert past.machine.call("recall", str(number)).exit_code == 0
    with past.store.reading() as connection:
        at = connection.exec_driver_sql("SELECT at FROM history WHERE event = 'recalled'").scalar_one()
    assert at >= asked + 0.5


def test_a_second_recall_says_that_it_was(past: Past) -> None:
    """Nothing is asked of DingTalk."""
    number = past.send()
    assert past.machine.call("recall", str(number)).exit_code == 0
    before = past.sandbox.calls()
    done = past.machine.call("recall", str(number))
    assert (done.exit_code, "already" in done.stdout) == (0, True)
    assert past.sandbox.calls() == before


def test_a_message_to_persons_is_taken_back_from_all(past: Past) -> None:
    """It is one message: each of them is named, and the others' rows know it too."""
    first, second = past.by_robot("manager1234", "user2345")
    done = past.machine.call("recall", str(second))
    assert done.exit_code == 0, done.stderr
    assert all(word in done.stdout for word in ("2 persons", "user:manager1234", "user:user2345"))
    for user in ("manager1234", "user2345"):
        assert [message.recalled for message in past.sandbox.person_messages(user)] == [True]
    assert "already" in past.machine.call("recall", str(first)).stdout


def test_a_notice_is_taken_back(past: Past) -> None:
    """Its row is `skipped`, for the file did not go; the message did, and need not stay."""
    told = SampleMarkdown("film.mp4", "film.mp4 is in the share")
    key = past.client.groups.send(conversation_id=past.conversation, message=told)
    upload = UploadKey(past.sandbox.client_id, NOTICE, "", "")
    (number,) = past.write("film.mp4", upload, event=Event.SKIP, process_query_key=key)
    assert past.machine.call("recall", str(number)).exit_code == 0
    assert [message.recalled for message in past.sandbox.messages(past.conversation)] == [True]
    assert past.history()["state"] == "skipped"


def test_an_old_message_to_a_person_costs_no_call(past: Past) -> None:
    """After a day DingTalk would refuse it."""
    (number,) = past.by_robot("user2345")
    with past.store.writing() as connection:
        connection.exec_driver_sql("UPDATE deliveries SET sent_at = sent_at - 86401")
    before = past.sandbox.calls()
    assert failed(past.machine.call("recall", str(number)), "24 hours")
    assert past.sandbox.calls() == before


@pytest.mark.parametrize("word", ["chat:chatd1", "webhook:w"])
def test_what_no_call_takes_back_is_left_to_a_person(past: Past, word: str) -> None:
    """What went by drive, by `chat/send` or by a webhook: the sentence says who can."""
    drive, _ = past.by_drive()
    key = UploadKey(past.sandbox.client_id, "file", sha256(CONTENT), "pdf")
    (legacy,) = past.write("a.pdf", key, word, process_query_key="msg1")
    before = past.sandbox.calls()
    assert failed(past.machine.call("recall", str(drive)), "through the drive", "owner")
    assert failed(past.machine.call("recall", str(legacy)), word, "owner")
    assert past.sandbox.calls() == before


def test_what_was_not_sent_cannot_be_taken_back(past: Past) -> None:
    """An unknown id, a failed delivery and a doubtful one change nothing."""
    key = UploadKey(past.sandbox.client_id, "file", sha256(CONTENT), "pdf")
    (bad,) = past.write("a.pdf", key, event=Event.REJECT)
    (doubtful,) = past.write("b.pdf", key, event=Event.DOUBT)
    (skipped,) = past.write("c.pdf", key, event=Event.SKIP)
    before = past.sandbox.calls()
    assert failed(past.machine.call("recall", "999"), "no delivery 999")
    assert failed(past.machine.call("recall", str(bad)), f"{bad} is failed")
    assert failed(past.machine.call("recall", str(skipped)), f"{skipped} is skipped")
    assert failed(past.machine.call("recall", str(doubtful)), "was lost")
    assert past.sandbox.calls() == before


def test_what_was_taken_as_sent_has_no_key(past: Past) -> None:
    """A person settled the doubt; the key was in the answer that was lost."""
    key = UploadKey(past.sandbox.client_id, "file", sha256(CONTENT), "pdf")
    (number,) = past.write("a.pdf", key, event=Event.DOUBT)
    assert past.machine.call("resolve", str(number), "--sent").exit_code == 0
    assert failed(past.machine.call("recall", str(number)), "was lost")


def test_dingtalks_refusal_to_take_back_is_told(past: Past) -> None:
    """A key that it does not take back is no success, and the history has no line of it."""
    number = past.send()
    (message,) = past.sandbox.messages(past.conversation)
    past.client.groups.recall(
        conversation_id=past.conversation, process_query_keys=[message.process_query_key]
    )
    assert failed(past.machine.call("recall", str(number)), "did not recall", "已经撤回")
    assert "recalled" not in past.machine.call("why", str(past.home / "报告.pdf")).stdout


def test_a_lost_answer_to_a_recall_is_a_doubt(past: Past) -> None:
    """It may have been taken back: that is what is said."""
    number = past.send()
    past.sandbox.inject(Fault("robot/groupMessages/recall", FaultKind.CUT_AFTER))
    assert failed(past.machine.call("recall", str(number)), "uncertain", "Look in the conversation")


# --- All of them ---------------------------------------------------------------------------------


def test_every_billed_call_is_counted(past: Past, out: Path) -> None:
    """What the commands ask, and what DingTalk bills, is the same number."""
    sent, (drive, _) = past.send(), past.by_drive()
    billed, used = past.sandbox.billed(), past.used()
    past.machine.call("link", str(drive))
    past.machine.call("fetch", str(drive), "-o", str(out))
    past.machine.call("fetch", str(sent), "-o", str(out), "--force")
    past.machine.call("recall", str(sent))
    assert (past.used() - used, past.sandbox.billed() - billed) == (4, 4)


@pytest.mark.parametrize("words", [("link", "1"), ("recall", "1"), ("fetch", "1", "-o", "x")])
def test_a_machine_without_a_ledger_gets_none(
    machine: Machine, tmp_path: Path, words: tuple[str, ...]
) -> None:
    """There is nothing to be had back, and nothing is made."""
    assert failed(machine.call(*words), "no delivery 1")
    assert not (tmp_path / "state").exists()


def test_they_speak_chinese_too(past: Past, out: Path) -> None:
    """The sentences are in the language of the config."""
    number = past.send()
    past.machine.settings["language"] = "zh"
    past.machine.write()
    assert "已取回" in past.machine.call("fetch", str(number), "-o", str(out)).stdout
    assert "已撤回" in past.machine.call("recall", str(number)).stdout


def test_an_archive_is_what_dingwatch_made(past: Past, out: Path) -> None:
    """Other bytes in its place, even an archive with more in it, are not taken for the file."""
    number = past.send("a.html")
    (upload,) = past.sandbox.uploads()
    for content in (b"no archive", two_entries(past.home)):
        forged = past.client.media.upload(name="a.zip", content=content)
        with past.store.writing() as connection:
            connection.exec_driver_sql("UPDATE uploads SET media_id = ?", (forged,))
        assert failed(past.machine.call("fetch", str(number), "-o", str(out)), "differs from what")
    assert (os.listdir(out.parent), upload.name) == ([], "a.html.zip")


def two_entries(home: Path) -> bytes:
    """Return an archive of two files."""
    with zipfile.ZipFile(home / "two.zip", "w") as archive:
        for name in "ab":
            archive.writestr(name, CONTENT)
    return (home / "two.zip").read_bytes()
