"""Folders that a person pauses: only the same person's word, or its time, lets their files go."""

import signal
import time
from pathlib import Path

import pytest

from dingwatch.sandbox import Fault, FaultKind, Sandbox
from tests.integration.conftest import Machine
from tests.ledger import execute, states
from tests.support import config as config_of
from tests.support import eventually, names, running, sent
from tests.support import folder as folder_of

SEND = "robot/groupMessages/send"


def say(machine: Machine, *words: str) -> str:
    """Run a command that succeeds; return what it prints."""
    done = machine.call(*words)
    assert done.exit_code == 0, done.output
    return done.output


def add_folder(machine: Machine, path: Path, sandbox: Sandbox, conversation: int = 0) -> None:
    """Map another folder to a conversation."""
    path.mkdir()
    machine.settings["folders"].append(
        machine.settings["folders"][0]
        | {"path": str(path), "conversation_id": sandbox.conversations[conversation].id}
    )
    machine.write()


def test_a_paused_folder_queues_its_files_until_it_is_resumed(
    machine: Machine, share: Path, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Others go on, also those of the same group; status and why say what is paused, by whom and why."""
    add_folder(machine, tmp_path / "other", sandbox)
    machine.start()
    say(machine, "pause", "share", "--reason", "audit of the month")
    (share / "a.txt").write_text("a")
    eventually(lambda: states(machine) == {"pending": 1})
    (tmp_path / "other" / "b.txt").write_text("b")
    eventually(sent(sandbox, 1))
    assert names(sandbox) == ["b.txt"]

    status = machine.status()
    assert [bool(one["paused"]) for one in status["folders"]] == [True, False]
    assert status["folders"][0]["paused"]["reason"] == "audit of the month"
    (pause,) = status["pauses"]
    assert (pause["scope"], pause["until"]) == ("folder", None)
    assert "dingwatch resume 'share'" in pause["reason"]
    assert "audit of the month" in say(machine, "status")
    assert "audit of the month" in say(machine, "why", str(share / "a.txt"))
    assert 'dingwatch_pauses{code="by_hand",scope="folder"} 1.0' in say(machine, "status", "--metrics")

    assert say(machine, "resume", "share") == "folder share is resumed\n"
    eventually(sent(sandbox, 2))
    assert names(sandbox) == ["b.txt", "a.txt"]
    assert machine.status()["pauses"] == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_neither_a_restart_nor_a_retry_nor_resume_alone_ends_it(
    machine: Machine, share: Path, sandbox: Sandbox, number: int
) -> None:
    """An automatic pause is probed after each of these."""
    process = machine.start()
    (share / "before.txt").write_text("before")
    eventually(sent(sandbox, 1))
    say(machine, "pause", "share")
    (share / "a.txt").write_text("a")
    eventually(lambda: states(machine) == {"sent": 1, "pending": 1})
    machine.stop(process, number)
    machine.start()
    (share / "b.txt").write_text("b")
    eventually(lambda: states(machine) == {"sent": 1, "pending": 2})
    assert "still paused by hand: share" in say(machine, "resume")
    say(machine, "retry", "--all")
    (share / "c.txt").write_text("c")
    eventually(lambda: states(machine) == {"sent": 1, "pending": 3})
    assert names(sandbox) == ["before.txt"]
    say(machine, "resume", "share")
    eventually(sent(sandbox, 4))


def test_what_a_crash_interrupted_waits_in_a_paused_folder(
    machine: Machine, share: Path, sandbox: Sandbox, tmp_path: Path
) -> None:
    """It would go first and alone otherwise; now it holds nobody up."""
    add_folder(machine, tmp_path / "other", sandbox)
    process = machine.start()
    sandbox.inject(Fault("media/upload", FaultKind.SLOW, seconds=60.0))
    (share / "a.txt").write_text("a")
    eventually(lambda: states(machine) == {"uploading": 1})
    machine.stop(process, signal.SIGKILL)
    sandbox.clear_faults()
    say(machine, "pause", "share")
    machine.start()
    (tmp_path / "other" / "b.txt").write_text("b")
    eventually(sent(sandbox, 1))
    eventually(lambda: states(machine) == {"sent": 1, "pending": 1})
    assert names(sandbox) == ["b.txt"]
    say(machine, "resume", "share")
    eventually(sent(sandbox, 2))


def test_what_is_on_its_way_arrives(machine: Machine, share: Path, sandbox: Sandbox) -> None:
    """A message that has been claimed is sent, and the next file waits."""
    machine.start()
    sandbox.inject(Fault(SEND, FaultKind.SLOW, seconds=1.0))
    (share / "a.txt").write_text("a")
    eventually(lambda: states(machine) == {"sending": 1})
    say(machine, "pause", "share")
    (share / "b.txt").write_text("b")
    eventually(lambda: states(machine) == {"sent": 1, "pending": 1})
    assert names(sandbox) == ["a.txt"]


def test_an_uploaded_file_of_a_paused_folder_holds_up_no_other(
    machine: Machine, share: Path, sandbox: Sandbox, tmp_path: Path
) -> None:
    """What is uploaded ahead of a group's turn counts for nothing while its folder is paused."""
    add_folder(machine, tmp_path / "other", sandbox)
    machine.settings["pace"] = {"per_api": None, "per_conversation": "1/m"}
    machine.write()
    machine.start()
    # One message a minute: the first goes, two more are uploaded ahead, and the pause is for these.
    for number in range(4):
        (share / f"{number}.txt").write_text(str(number))
    eventually(lambda: states(machine)["uploaded"] >= 1 and states(machine)["sent"] == 1)
    say(machine, "pause", "share")
    (tmp_path / "other" / "b.txt").write_text("b")
    uploaded = "SELECT count(*) FROM deliveries WHERE folder_id = 2 AND state = 'uploaded'"
    eventually(lambda: execute(machine, uploaded) == [(1,)])


def test_a_pause_ends_with_its_time(machine: Machine, share: Path, sandbox: Sandbox) -> None:
    """`--for` says how long; the file goes then, and nobody has to come back."""
    machine.start()
    assert " until " in say(machine, "pause", "share", "--for", "2s")
    (share / "a.txt").write_text("a")
    eventually(lambda: states(machine)["pending"] == 1 or states(machine)["sent"] == 1)
    eventually(sent(sandbox, 1))
    eventually(lambda: execute(machine, "SELECT count(*) FROM folder_pauses") == [(0,)])
    assert machine.status()["folders"][0]["paused"] is None


def test_a_clock_that_is_set_back_cuts_no_pause_by_hand(
    tmp_path: Path, share: Path, sandbox: Sandbox
) -> None:
    """It has no length of its own, as an automatic one has."""
    setting = config_of(tmp_path / "state", sandbox, folder_of(share, sandbox.conversations[0].id))
    with running(setting):
        pass
    until = time.time() + 86400.0
    pause = f"INSERT INTO folder_pauses VALUES (1, 0, {until}, 'root', '')"  # noqa: S608 (numbers alone)
    with running(setting) as service:
        execute(setting, pause)
        service._wake()
        (share / "a.txt").write_text("a")
        eventually(lambda: states(setting) == {"pending": 1})
        loop = service._delivery.loop
        loop._latest = time.time() + 7200.0
        service._wake()
        eventually(lambda: loop._latest < time.time() + 60.0)
        assert execute(setting, "SELECT until FROM folder_pauses") == [(until,)]
        assert states(setting) == {"pending": 1}


def test_send_is_not_held_by_the_pause_of_a_folder(machine: Machine, share: Path, sandbox: Sandbox) -> None:
    """It is given files by a person, and belongs to no folder."""
    machine.start()
    say(machine, "pause", "share")
    (share / "a.txt").write_text("a")
    eventually(lambda: states(machine) == {"pending": 1})
    letter = share.parent / "letter.txt"
    letter.write_text("letter")
    say(machine, "send", str(letter), "--to", "share")
    assert names(sandbox) == ["letter.txt"]


def test_a_folder_is_paused_before_its_first_start(machine: Machine, share: Path, sandbox: Sandbox) -> None:
    """The ledger does not know it yet."""
    say(machine, "pause", "share")
    machine.start()
    (share / "a.txt").write_text("a")
    eventually(lambda: states(machine) == {"pending": 1})
    assert "resumed" in say(machine, "resume", "share")
    eventually(sent(sandbox, 1))


def test_without_a_service_the_ledger_keeps_the_pause(machine: Machine) -> None:
    """The next start finds it; so does a resume before it."""
    machine.stop(machine.start())
    say(machine, "pause", "share")
    assert machine.status()["folders"][0]["paused"] is not None
    assert "when the service starts" in say(machine, "resume", "share")
    assert "not paused" in say(machine, "resume", "share")
    assert machine.status()["folders"][0]["paused"] is None


@pytest.mark.parametrize("words", [("pause", "nowhere"), ("resume", "nowhere")])
def test_an_unknown_folder_is_named_with_those_that_there_are(
    machine: Machine, words: tuple[str, str]
) -> None:
    """Nothing is changed."""
    done = machine.call(*words)
    assert done.exit_code == 1
    assert "nowhere" in done.stderr
    assert "share" in done.stderr
    assert not machine.state_dir.exists()


@pytest.mark.parametrize("duration", ["0s", "soon", "-1h"])
def test_a_pause_lasts_for_some_time(machine: Machine, duration: str) -> None:
    """What is no duration is refused."""
    assert machine.call("pause", "share", "--for", duration).exit_code == 2


def test_a_flood_during_a_pause_is_on_hold_besides(machine: Machine, share: Path, sandbox: Sandbox) -> None:
    """Both have to be ended, in any order, and status shows both."""
    machine.set_folder(hold_over=2)
    machine.start()
    say(machine, "pause", "share")
    for number in range(4):
        (share / f"{number}.txt").write_text(str(number))
    eventually(lambda: len(machine.status()["pauses"]) == 2)
    say(machine, "resume", "share")
    eventually(lambda: len(machine.status()["pauses"]) == 1)
    say(machine, "pause", "share")
    say(machine, "release", "share")
    eventually(lambda: len(machine.status()["pauses"]) == 1)
    assert states(machine) == {"pending": 4}
    assert names(sandbox) == []
    say(machine, "resume", "share")
    eventually(sent(sandbox, 4))


def test_a_pause_follows_the_link_in_a_folders_path(
    machine: Machine, share: Path, sandbox: Sandbox, tmp_path: Path
) -> None:
    """The folder is the same when its link is switched, and so is the pause; resume ends it for both."""
    link, second = tmp_path / "link", tmp_path / "second"
    second.mkdir()
    link.symlink_to(share)
    machine.set_folder(path=str(link), name="share")
    machine.start()
    say(machine, "pause", "share")
    (share / "a.txt").write_text("a")
    eventually(lambda: states(machine) == {"pending": 1})
    link.unlink()
    link.symlink_to(second)
    eventually(lambda: execute(machine, "SELECT count(*) FROM folders") == [(2,)])
    (second / "b.txt").write_text("b")
    eventually(lambda: states(machine) == {"pending": 2})
    assert names(sandbox) == []
    say(machine, "resume", "share")
    eventually(sent(sandbox, 2))
    assert execute(machine, "SELECT count(*) FROM folder_pauses") == [(0,)]
