"""The files of a burst as one message, through the running service and the sandbox."""

from __future__ import annotations

import io
import os
import re
import signal
import zipfile
from pathlib import Path

from dingwatch.host.control_socket import call
from dingwatch.sandbox import Fault, FaultKind, Message, Sandbox
from tests.integration.conftest import Machine
from tests.support import eventually

ARCHIVE = re.compile(r"share-\d{8}-\d{6}\.zip")


def drop(share: Path, count: int, prefix: str = "file") -> dict[str, bytes]:
    """Put so many files into a folder and one below it; return their contents by their paths."""
    made = {f"{'sub/' * (i % 2)}{prefix}{i:04}.txt": f"{prefix} {i}".encode() * (i + 1) for i in range(count)}
    (share / "sub").mkdir(exist_ok=True)
    for path, content in made.items():
        (share / path).write_bytes(content)
    return made


def unpack(sandbox: Sandbox, message: Message) -> dict[str, bytes]:
    """Return the files in an archive that was received, by their entries."""
    assert message.media_id is not None
    with zipfile.ZipFile(io.BytesIO(sandbox.content(message.media_id))) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def received(sandbox: Sandbox, number: int = 0) -> list[Message]:
    """Return the messages of one of the sandbox's conversations."""
    return list(sandbox.messages(sandbox.conversations[number].id))


def settle(machine: Machine, **states: int) -> None:
    """Wait until so many deliveries are in these states."""

    def now() -> bool:
        totals = machine.status()["totals"]
        return all(totals[state] == count for state, count in states.items())

    eventually(now)


def test_a_burst_is_one_message(machine: Machine, share: Path, sandbox: Sandbox) -> None:
    """Twenty files arrive in one archive with their paths and bytes, for two billed calls."""
    machine.set_folder(bundle={"wait": "1s", "from": 5})
    service = machine.start()
    dropped = drop(share, 20)
    settle(machine, sent=20)
    (message,) = received(sandbox)
    assert ARCHIVE.fullmatch(str(message.file_name))
    assert unpack(sandbox, message) == dropped
    lines = machine.history()
    assert {line["path"] for line in lines} == dropped.keys()
    (bundle,) = {line["bundle"] for line in lines}
    assert isinstance(bundle, int)
    assert machine.stop(service) == 0
    assert machine.status()["api_calls"]["used"] == 2


def test_what_cannot_be_packed_goes_by_itself(machine: Machine, share: Path, sandbox: Sandbox) -> None:
    """A picture is shown, and a large file gets its notice; neither waits for the others or is counted."""
    machine.set_folder(bundle={"wait": "1h", "from": 2}, send_as="image", large_files="notice")
    service = machine.start()
    (share / "waits.txt").write_text("waits")
    (share / "photo.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"0" * 100)
    with (share / "film.mp4").open("wb") as film:
        film.truncate(21 * 1024 * 1024)
    settle(machine, sent=1, skipped=1, pending=1)
    assert {message.msg_key for message in received(sandbox)} == {"sampleImageMsg", "sampleMarkdown"}
    # The configuration is changed while a file waits: it goes at once, and alone.
    machine.set_folder(bundle=None)
    assert machine.call("reload").exit_code == 0
    settle(machine, sent=2, skipped=1)
    assert received(sandbox)[-1].file_name == "waits.txt"
    assert {line["bundle"] for line in machine.history()} == {None}
    assert machine.stop(service) == 0


def test_a_file_taken_back_is_not_in_the_archive(machine: Machine, share: Path, sandbox: Sandbox) -> None:
    """Removed before its message was claimed, even if it was uploaded: the others arrive without it."""
    machine.set_folder(bundle={"wait": "1s", "from": 3})
    sandbox.inject(Fault("media/upload", FaultKind.SLOW_ANSWER, seconds=3.0))
    service = machine.start()
    dropped = drop(share, 6)
    eventually(lambda: any(call.endswith("upload") for call in sandbox.calls()))
    taken_back = min(dropped)
    (share / taken_back).unlink()
    dropped.pop(taken_back)
    settle(machine, sent=5, gone=1)
    (message,) = received(sandbox)
    assert unpack(sandbox, message) == dropped
    states = {line["path"]: (line["state"], line["bundle"] is None) for line in machine.history()}
    assert states.pop(taken_back) == ("gone", True)
    assert set(states.values()) == {("sent", False)}
    assert machine.stop(service) == 0


def test_names_of_any_kind_arrive(machine: Machine, share: Path, sandbox: Sandbox) -> None:
    """Names that are not UTF-8, look alike, or differ in case alone have entries of their own."""
    machine.set_folder(bundle={"wait": "1s", "from": 3}, name="财务/月报: 1?")
    names = {"合同.txt".encode("gbk"): b"1", "合同.txt".encode(): b"2", b"A.TXT": b"3", b"a.txt": b"4"}
    service = machine.start()
    for name, content in names.items():
        Path(os.fsdecode(os.fsencode(share) + b"/" + name)).write_bytes(content)
    settle(machine, sent=4)
    (message,) = received(sandbox)
    assert re.fullmatch(r"财务_月报_ 1_-\d{8}-\d{6}\.zip", str(message.file_name))
    unpacked = unpack(sandbox, message)
    assert unpacked.keys() == {"合同.txt", "合同 (2).txt", "A.TXT", "a (2).txt"}
    assert sorted(unpacked.values()) == [b"1", b"2", b"3", b"4"]
    assert machine.stop(service) == 0


def test_one_stands_for_all(machine: Machine, share: Path, sandbox: Sandbox, tmp_path: Path) -> None:
    """`retry`, `recall` and the API act on the whole message and say so; `fetch` and `why` on a file."""
    machine.set_folder(bundle={"wait": "1s", "from": 5}, message="{name}")
    refusal = Fault("robot/groupMessages/send", FaultKind.ERROR, code="no.such.code", status=400, after=1)
    sandbox.inject(refusal)
    service = machine.start()
    dropped = drop(share, 25)
    settle(machine, failed=25)
    (caption,) = received(sandbox)
    assert "25 new files" in caption.text
    assert ("file0000.txt" in caption.text, "5 more" in caption.text) == (True, True)
    (any_one, *_) = lines = machine.history("--limit", "30")
    assert len({line["bundle"] for line in lines}) == 1
    retried = machine.call("retry", str(any_one["id"]))
    assert "25 queued again" in retried.stdout
    assert "shares one message with 24 other files" in retried.stdout
    settle(machine, sent=25)
    message = received(sandbox)[-1]
    assert unpack(sandbox, message) == dropped
    path = any_one["path"]
    fetched = machine.call("fetch", str(any_one["id"]), "-o", str(tmp_path / "back"))
    assert (fetched.exit_code, "out of the archive" in fetched.stdout) == (0, True), fetched.output
    assert (tmp_path / "back").read_bytes() == dropped[path]
    told = machine.call("why", str(share / path))
    assert (str(message.file_name) in told.stdout, told.stdout.count("put into")) == (True, 1), told.output
    recalled = machine.call("recall", str(any_one["id"]))
    assert "had 25 files, and is recalled with all of them" in recalled.stdout, recalled.output
    assert received(sandbox)[-1].recalled
    other = next(line for line in lines if line["id"] != any_one["id"])
    assert "already recalled" in machine.call("recall", str(other["id"])).stdout
    assert machine.stop(service) == 0


def test_a_doubt_is_settled_for_all(machine: Machine, share: Path, sandbox: Sandbox) -> None:
    """With `on_uncertain: hold` a lost answer leaves all files to a person, who decides for the message."""
    machine.settings["delivery"] = {"on_uncertain": "hold"}
    machine.set_folder(bundle={"wait": "1s", "from": 5})
    sandbox.inject(Fault("robot/groupMessages/send", FaultKind.CUT_AFTER, times=2))
    service = machine.start()
    drop(share, 6)
    settle(machine, uncertain=6)
    (any_one, *_) = machine.history()
    resolved = machine.call("resolve", str(any_one["id"]), "--sent")
    assert "shares one message with 5 other files" in resolved.stdout, resolved.output
    settle(machine, sent=6)
    drop(share, 5, "more")
    settle(machine, uncertain=5)
    number = next(line["id"] for line in machine.history() if line["state"] == "uncertain")
    status, _ = call(machine.state_dir, "POST", f"/api/v1/deliveries/{number}/resend", timeout=10.0)
    assert status == 204
    settle(machine, sent=11)
    assert len(received(sandbox)) == 3
    assert sum(line["uncertain_resent"] for line in machine.history()) == 5
    assert machine.stop(service) == 0


def test_a_restart_while_files_wait_loses_and_doubles_nothing(
    machine: Machine, share: Path, sandbox: Sandbox
) -> None:
    """Killed during the wait, the service goes on with what came before and what comes after."""
    machine.set_folder(bundle={"wait": "1h", "from": 5})
    service = machine.start()
    dropped = drop(share, 4)
    settle(machine, pending=4)
    machine.stop(service, signal.SIGKILL)
    dropped |= drop(share, 3, "more")
    service = machine.start()
    settle(machine, pending=7)
    machine.set_folder(bundle={"wait": "1s", "from": 5})
    assert machine.call("reload").exit_code == 0
    settle(machine, sent=7)
    (message,) = received(sandbox)
    assert unpack(sandbox, message) == dropped
    assert machine.stop(service) == 0


def test_a_burst_of_notices_is_one_notice(machine: Machine, share: Path, sandbox: Sandbox) -> None:
    """With `send_as: notice`, one message lists the files; hostile names are text."""
    machine.set_folder(bundle={"wait": "1s", "from": 3}, send_as="notice", notice_location="/srv/share")
    service = machine.start()
    dropped = drop(share, 24)
    (share / "[click](x.example).txt").write_text("x")
    settle(machine, skipped=25)
    (message,) = received(sandbox)
    assert ("25 new files" in message.text, "5 more" in message.text) == (True, True)
    assert sum(path in message.text for path in dropped) >= 19
    assert "[click](x" not in message.text
    assert {line["error"]["code"] for line in machine.history()} == {"noticed"}
    assert machine.stop(service) == 0
    assert machine.status()["api_calls"]["used"] == 1


def test_recipients_of_a_burst_share_one_upload(machine: Machine, share: Path, sandbox: Sandbox) -> None:
    """Two groups and a person: one upload, three messages, the same bytes."""
    groups = [one.id for one in sandbox.conversations[:2]]
    machine.set_folder(
        bundle={"wait": "1s", "from": 5},
        conversation_id=groups,
        user_ids=[next(iter(sandbox.settings.users))],
    )
    service = machine.start()
    dropped = drop(share, 10)
    settle(machine, sent=30)
    assert [unpack(sandbox, received(sandbox, number)[0]) for number in (0, 1)] == [dropped] * 2
    assert len({line["bundle"] for line in machine.history("--limit", "30")}) == 3
    assert machine.stop(service) == 0
    assert machine.status()["api_calls"]["used"] == 4
