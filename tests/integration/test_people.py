"""What people decide: doubts, floods, and the story of one path."""

import os
import re
from collections import Counter
from pathlib import Path

import pytest

from dingwatch.dingtalk import API_SEND
from dingwatch.sandbox import Fault, FaultKind, Sandbox
from tests.integration.conftest import Machine
from tests.ledger import execute, states
from tests.support import eventually


def drop(share: Path, count: int, prefix: str = "f") -> None:
    """Write some small files."""
    for number in range(count):
        (share / f"{prefix}{number:02}.txt").write_text(f"{prefix} {number}")


def doubtful(machine: Machine, share: Path, sandbox: Sandbox) -> int:
    """Have a send end in doubt, and return the delivery's id; the service is stopped then."""
    machine.settings["delivery"] = {"on_uncertain": "hold"}
    machine.write()
    process = machine.start()
    sandbox.inject(Fault(API_SEND, FaultKind.CUT_AFTER))
    (share / "a.pdf").write_bytes(b"a")
    eventually(lambda: states(machine)["uncertain"])
    machine.stop(process)
    number: int = machine.history()[0]["id"]
    return number


# --- Doubts --------------------------------------------------------------------------------------


def test_a_doubt_is_settled_as_sent(machine: Machine, share: Path, sandbox: Sandbox) -> None:
    """`resolve --sent` takes the person's word; it is sent no second time."""
    number = doubtful(machine, share, sandbox)
    done = machine.do("resolve", str(number), "--sent")
    assert (done.returncode, str(number) in done.stdout) == (0, True), done.stderr
    (line,) = machine.history()
    assert (line["state"], line["error"], line["sent_at"] is None) == ("sent", None, False)
    assert machine.do("resolve", str(number), "--sent").returncode == 1


def test_a_doubt_is_sent_once_more_on_a_persons_word(machine: Machine, share: Path, sandbox: Sandbox) -> None:
    """`resolve --resend` wakes the running service, and the row is marked."""
    number = doubtful(machine, share, sandbox)
    machine.start()
    assert machine.do("resolve", str(number), "--resend").returncode == 0
    eventually(lambda: states(machine)["sent"])
    (line,) = machine.history()
    assert (line["uncertain_resent"], line["attempts"]) == (True, 3)
    assert len(sandbox.messages(sandbox.conversations[0].id)) == 2


@pytest.mark.parametrize("words", [("7", "--sent"), (str(2**70), "--resend")])
def test_what_is_not_in_doubt_cannot_be_resolved(machine: Machine, words: tuple[str, ...]) -> None:
    """An unknown id or another state is an error, and nothing changes."""
    done = machine.do("resolve", *words)
    assert (done.returncode, words[0] in done.stderr, "Traceback" in done.stderr) == (1, True, False)


def test_resolve_wants_one_word(machine: Machine) -> None:
    """Neither or both are a usage error."""
    assert machine.do("resolve", "1").returncode == 2
    assert machine.do("resolve", "1", "--sent", "--resend").returncode == 2


# --- Floods --------------------------------------------------------------------------------------


@pytest.fixture
def flooded(machine: Machine, share: Path, sandbox: Sandbox) -> Machine:
    """A running service with ten files, of which at most three may go within an hour."""
    machine.set_folder(name="share", hold_over=3)
    machine.start()
    drop(share, 10)
    eventually(lambda: states(machine).total() == 10 and sandbox.calls is not None)
    eventually(lambda: machine.status()["totals"]["settling"] == 0)
    return machine


def test_a_flood_waits_for_a_persons_word(flooded: Machine, sandbox: Sandbox) -> None:
    """No more than `hold_over` go out; status says how many wait, and what to do."""
    assert len(sandbox.messages(sandbox.conversations[0].id)) <= 3
    (pause,) = flooded.status()["pauses"]
    assert (pause["scope"], pause["until"]) == ("folder", None)
    assert "dingwatch release" in pause["reason"]
    assert "dingwatch release" in flooded.do("status").stdout


def test_a_released_flood_goes_out_whole(flooded: Machine, share: Path, sandbox: Sandbox) -> None:
    """`release` sends everything, and what comes after counts from zero."""
    assert flooded.do("release", "share").returncode == 0
    eventually(lambda: states(flooded)["sent"] == 10)
    assert flooded.status()["pauses"] == []
    drop(share, 3, "later")
    eventually(lambda: states(flooded)["sent"] == 13)
    names = Counter(message.file_name for message in sandbox.messages(sandbox.conversations[0].id))
    assert set(names.values()) == {1}


def test_a_discarded_flood_is_skipped_with_its_reason(flooded: Machine) -> None:
    """`discard` gives it up; one of them can still be had by `retry`."""
    before = states(flooded)["sent"]
    assert flooded.do("discard", "share").returncode == 0
    assert states(flooded) == Counter(sent=before, skipped=10 - before)
    line = next(one for one in flooded.history() if one["state"] == "skipped")
    assert line["error"]["code"] == "discarded"
    assert flooded.do("retry", str(line["id"])).returncode == 0
    eventually(lambda: states(flooded)["sent"] == before + 1)


def test_a_folder_that_nobody_knows_is_not_released(machine: Machine) -> None:
    """The error names the folders that there are."""
    for command in ("release", "discard"):
        done = machine.do(command, "nowhere")
        assert (done.returncode, "share" in done.stderr) == (1, True)


# --- Notices -------------------------------------------------------------------------------------


def test_a_notice_that_was_wanted_needs_no_look(machine: Machine, share: Path) -> None:
    """`status` lists no trouble for it, and says how many there were; other skipped files it lists."""
    machine.set_folder(send_as="notice")
    process = machine.start()
    drop(share, 2)
    eventually(lambda: states(machine)["skipped"] == 2)
    machine.stop(process)
    said = machine.do("status").stdout
    assert "skipped 2" not in said
    assert "2 went as notices" in said
    assert machine.status()["totals"]["skipped"] == 2
    execute(machine, "UPDATE deliveries SET code = 'empty' WHERE id = (SELECT max(id) FROM deliveries)")
    assert "skipped 1" in machine.do("status").stdout


# --- Why -----------------------------------------------------------------------------------------


def test_why_tells_every_decision_in_order(machine: Machine, share: Path) -> None:
    """From settling to the send, by absolute path, by a path from here, and by one from the folder."""
    machine.start()
    (share / "a.pdf").write_bytes(b"a")
    eventually(lambda: states(machine)["sent"])
    done = machine.do("why", str(share / "a.pdf"))
    assert done.returncode == 0
    raw = machine.do("why", "--verbose", str(share / "a.pdf"))
    for said in (done.stdout, raw.stdout):
        found = [said.find(word) for word in ("settled", "uploading", "uploaded", "sending", "sent")]
        assert -1 not in found
        assert found == sorted(found)
    assert "send_ok → sent" in raw.stdout
    assert re.search(r"uploading took [0-9.]+ s: uploaded", done.stdout)
    assert re.search(r"sending took [0-9.]+ s: sent to cid\S+, [0-9.]+ s after", done.stdout)
    assert "send_ok" not in done.stdout
    assert machine.do("why", "a.pdf").stdout == done.stdout


def test_why_says_why_not(machine: Machine, share: Path) -> None:
    """A pattern, a link, an empty file, one that was there before, one that never was, one elsewhere."""
    (share / "old.pdf").write_bytes(b"old")
    process = machine.start()
    (share / "draft.tmp").write_bytes(b"draft")
    (share / "link.pdf").symlink_to(share / "old.pdf")
    (share / "empty.pdf").write_bytes(b"")
    said = {
        name: machine.do("why", str(share / name))
        for name in ("old.pdf", "draft.tmp", "link.pdf", "empty.pdf", "never.pdf")
    }
    assert "first watched" in said["old.pdf"].stdout
    assert "*.tmp" in said["draft.tmp"].stdout
    assert "not_regular" in said["link.pdf"].stdout
    assert "empty" in said["empty.pdf"].stdout
    assert (said["never.pdf"].returncode, "no such file" in said["never.pdf"].stdout) == (1, True)
    elsewhere = machine.do("why", "/etc/hostname")
    assert (elsewhere.returncode, str(share) in elsewhere.stderr) == (1, True)
    machine.stop(process)


def test_why_tells_one_reason_for_an_empty_file_that_is_excluded(machine: Machine, share: Path) -> None:
    """That it is empty is no matter: with content it would not be sent either."""
    (share / "a.tmp").touch()
    (share / "a.txt").touch()
    assert "empty" not in machine.call("why", str(share / "a.tmp")).stdout
    assert "empty" in machine.call("why", str(share / "a.txt")).stdout


def test_why_follows_a_file_that_was_moved_or_taken_away(machine: Machine, share: Path) -> None:
    """The old name tells the new one; a file that was sent is not asked for when it is gone."""
    machine.start()
    (share / "a.pdf").write_bytes(b"a")
    eventually(lambda: states(machine)["sent"])
    (share / "a.pdf").rename(share / "b.pdf")
    eventually(lambda: machine.history()[0]["path"] == "b.pdf")
    assert "→ b.pdf" in machine.do("why", "a.pdf").stdout
    assert "← a.pdf" in machine.do("why", "b.pdf").stdout
    (share / "b.pdf").unlink()
    said = machine.do("why", "./b.pdf").stdout
    assert "no longer exists" in said
    assert "put it back" not in said


def test_why_knows_what_send_was_given(machine: Machine, tmp_path: Path, sandbox: Sandbox) -> None:
    """It lies in no folder, and is known by its whole path; its number is the one that `history` shows."""
    given = tmp_path / "given.pdf"
    given.write_bytes(b"given")
    assert machine.do("send", str(given), "--to", sandbox.conversations[0].id).returncode == 0
    done = machine.do("why", str(given))
    assert (done.returncode, f"#{machine.history()[0]['id']} " in done.stdout) == (0, True)


@pytest.mark.parametrize("written", ["", "../elsewhere.pdf", "/nowhere/at/all"])
def test_why_refuses_what_lies_in_no_folder(machine: Machine, written: str) -> None:
    """The error names the folders that there are."""
    done = machine.do("why", written)
    assert (done.returncode, "share" in done.stderr, "Traceback" in done.stderr) == (1, True, False)


def test_why_obeys_no_name(machine: Machine, share: Path) -> None:
    """A name that would move the cursor or colour the terminal is shown without that."""
    machine.start()
    (share / "e\x1b[31mX.pdf").write_bytes(b"a")
    eventually(lambda: states(machine)["sent"])
    assert "\x1b" not in machine.do("why", str(share / "e\x1b[31mX.pdf")).stdout


def test_a_folder_that_the_service_does_not_watch_yet_ends_nothing(machine: Machine, tmp_path: Path) -> None:
    """`why` about it says so, and the running service goes on answering."""
    machine.start()
    later = tmp_path / "later"
    later.mkdir()
    (later / "x.pdf").write_bytes(b"x")
    machine.settings["folders"].append({"path": str(later), "conversation_id": "cidLater=="})
    machine.write()
    assert "reload" in machine.do("why", str(later / "x.pdf")).stdout
    assert machine.status()["folders"][0]["watch"] == "inotify"


def test_why_tells_what_a_file_waits_for(machine: Machine, share: Path) -> None:
    """A file that somebody writes is held back, and the running service says so."""
    machine.start()
    with (share / "slow.pdf").open("wb") as writer:
        writer.write(b"half")
        writer.flush()
        eventually(lambda: "being_written" in machine.do("why", str(share / "slow.pdf")).stdout)
        assert states(machine).total() == 0
    eventually(lambda: states(machine)["sent"])


def test_why_tells_of_the_pause_that_another_file_met(
    machine: Machine, share: Path, sandbox: Sandbox
) -> None:
    """A file that settled after its conversation was paused met no refusal itself; `why` names the pause."""
    process = machine.start()
    sandbox.inject(
        Fault(API_SEND, FaultKind.ERROR, times=None, status=400, code="resource.not.found", message="robot")
    )
    (share / "a.pdf").write_bytes(b"a")
    eventually(lambda: machine.status()["pauses"])
    (share / "b.pdf").write_bytes(b"b")
    eventually(lambda: states(machine).total() == 2)
    said = machine.do("why", str(share / "b.pdf")).stdout
    assert "paused: conversation" in said, said
    assert "not running" not in said
    machine.stop(process)
    assert "not running" in machine.do("why", str(share / "b.pdf")).stdout


def test_why_tells_that_a_file_waits_for_its_turn(machine: Machine, share: Path) -> None:
    """What the pace holds back has met no refusal: `why` says that it queues."""
    machine.settings["pace"] = {"per_conversation": "1/m"}
    machine.write()
    machine.start()
    drop(share, 2)
    eventually(lambda: states(machine) == {"sent": 1, "uploaded": 1})
    (waiting,) = [line["path"] for line in machine.history() if line["state"] == "uploaded"]
    (gone,) = [line["path"] for line in machine.history() if line["state"] == "sent"]
    assert "turn" in machine.do("why", str(share / waiting)).stdout
    assert "turn" not in machine.do("why", str(share / gone)).stdout


def test_a_failure_tells_dingtalks_own_words(machine: Machine, share: Path, sandbox: Sandbox) -> None:
    """`why` and `history` show code, message and the request id that DingTalk's support asks for."""
    machine.start()
    sandbox.inject(
        Fault(API_SEND, FaultKind.ERROR, status=400, code="resource.not.found", message="robot 不存在")
    )
    (share / "a.pdf").write_bytes(b"a")
    eventually(lambda: "resource.not.found" in machine.do("why", str(share / "a.pdf")).stdout)
    said = machine.do("why", str(share / "a.pdf")).stdout
    assert "robot 不存在" in said
    assert "request id" in said


def test_why_knows_names_that_are_no_text(machine: Machine, share: Path) -> None:
    """A name of GBK bytes is found by its bytes, and shown escaped."""
    machine.start()
    name = "合同.pdf".encode("gbk")
    (share / os.fsdecode(name)).write_bytes(b"a")
    eventually(lambda: states(machine)["sent"])
    (line,) = machine.history()
    assert "\\x" in line["path"]
    done = machine.do("why", str(share / os.fsdecode(name)))
    assert (done.returncode, line["path"] in done.stdout) == (0, True), done.stdout
    assert machine.do("why", line["path"]).stdout == done.stdout
