"""What commands say is true of the service that runs, whatever was written into the config since."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml

from dingwatch.sandbox import Fault, FaultKind, Sandbox
from tests.integration.conftest import Machine
from tests.support import PATIENCE, eventually, sent

REFUSED = Fault("robot/groupMessages/send", FaultKind.ERROR, code="bot.stopped", status=400, times=None)
NOBODY = 65534


def test_an_edited_config_contradicts_no_running_service(
    machine: Machine, share: Path, sandbox: Sandbox
) -> None:
    """The file's new conversation is shown when the service sends to it, and not before."""
    sandbox.inject(REFUSED)
    machine.start()
    (share / "a.txt").write_text("a")
    eventually(lambda: machine.status()["pauses"])
    old = sandbox.conversations[0].id
    machine.set_folder(conversation_id=sandbox.conversations[1].id, exclude=["*.txt"])
    assert machine.status()["folders"][0]["conversation_ids"] == [old]
    assert [(line["state"], line["conversation_id"]) for line in machine.history()] == [("uploaded", old)]
    said = machine.call("why", str(share / "a.txt")).stdout
    assert ("*.txt" in said, "no longer in the config" in said) == (False, False)
    assert "edited" in machine.call("status").stdout
    sandbox.clear_faults()
    machine.call("resume")
    eventually(sent(sandbox, 1))
    eventually(lambda: machine.history()[0]["state"] == "sent")


def test_a_folder_is_new_until_the_service_has_read_the_config(
    machine: Machine, tmp_path: Path, sandbox: Sandbox
) -> None:
    """A folder just added is not down, and one that left the file is watched until the restart."""
    process = machine.start()
    (tmp_path / "another").mkdir()
    conversation = sandbox.conversations[1].id
    first = machine.settings["folders"][0]
    machine.settings["folders"] = [{"path": str(tmp_path / "another"), "conversation_id": conversation}]
    machine.write()
    watch = {one["name"]: one["watch"] for one in machine.status()["folders"]}
    assert watch == {"share": "inotify", "another": "new"}
    machine.stop(process)
    machine.settings["folders"].append(first)
    machine.write()
    machine.start()
    watch = {one["name"]: one["watch"] for one in machine.status()["folders"]}
    assert watch == {"share": "inotify", "another": "inotify"}


@pytest.mark.parametrize("bad", ["a wrong key", "no YAML", "no state_dir", "no file"])
def test_questions_are_answered_beside_a_config_that_became_invalid(
    machine: Machine, share: Path, bad: str
) -> None:
    """The service knows all that they need; each problem, and how to go on, is told on stderr."""
    machine.settings["aliases"] = {"财务群": machine.settings["folders"][0]["conversation_id"]}
    machine.write()
    process = machine.start()
    (share / "a.txt").write_text("a")
    eventually(lambda: machine.status()["totals"]["sent"] == 1)
    good = machine.path.read_text(encoding="utf-8")
    if bad == "no file":
        machine.path.unlink()
    else:
        changed = {
            "a wrong key": f"langauge: en\n{good}",
            "no YAML": "folders: [",
            "no state_dir": good.replace("state_dir:", "state_dri:"),
        }
        machine.path.write_text(changed[bad], encoding="utf-8")
    shown = {
        ("status",): "running",
        ("history", "--recipient", "财务群"): "a.txt",
        ("history", "--folder", "share", "--csv"): "a.txt",
        ("why", "a.txt"): "sent to",
        ("resume",): "nothing is paused",
        ("pause", "share"): "paused by",
        ("resume", "share"): "resumed",
        ("release", "share"): "0 released",
        ("retry", "--all"): "0 queued",
        ("ledger", "verify"): "sound",
    }
    for words, expected in shown.items():
        done = machine.call(*words)
        assert (done.exit_code, expected in done.stdout) == (0, True), (words, done.output)
        assert "the config has 1 problem" in done.stderr, words
        assert "dingwatch reload" in done.stderr, words
    code = machine.call("status", "--check")
    assert (code.exit_code, code.stdout[:9], "1 problem" in code.stdout) == (1, "WARNING: ", True), (
        code.output
    )
    number = machine.history()[0]["id"]
    refused = machine.call("fetch", str(number), "-o", str(share.parent / "out"))
    assert (refused.exit_code, refused.stderr.count("problem")) == (78, 1), refused.output
    machine.stop(process)
    assert machine.call("history").exit_code == 78


def test_a_second_name_of_a_recipient_is_known_too(machine: Machine, share: Path) -> None:
    """One group may have a short name and a long one."""
    group = machine.settings["folders"][0]["conversation_id"]
    machine.settings["aliases"] = {"财务群": group, "财务部全体": group}
    machine.write()
    machine.start()
    (share / "a.txt").write_text("a")
    eventually(lambda: machine.status()["totals"]["sent"] == 1)
    for name in machine.settings["aliases"]:
        assert len(machine.history("--recipient", name)) == 1, name


@contextmanager
def somebody_else() -> Iterator[None]:
    """Be a user who has no rights in the state directory."""
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("mode", [0o700, 0o755])
def test_somebody_who_may_read_nothing_is_told_nothing_wrong(machine: Machine, mode: int) -> None:
    """No count is zero, and no folder down, of which nothing can be known."""
    with TemporaryDirectory() as made:
        os.chmod(made, 0o711)  # noqa: S103 (somebody else must be able to pass through)
        machine.path, machine.settings["state_dir"] = Path(made) / "config.yaml", f"{made}/state"
        machine.write()
        machine.status()  # imports what somebody else may not read; with a service it would not import it all
        process = machine.start()
        machine.path.chmod(0o644)
        machine.state_dir.chmod(mode)
        machine.settings["dingtalk"].pop("client_secret")
        machine.path.write_text(yaml.safe_dump(machine.settings), encoding="utf-8")
        with somebody_else():
            found = machine.status()
        machine.stop(process)
    assert found["daemon"] == {"running": None, "pid": None}
    (folder,) = found["folders"]
    assert (folder["watch"], set(folder["counts"].values())) == ("unknown", {None})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_service_that_cannot_be_asked_is_unknown(machine: Machine) -> None:
    """Somebody who may read the ledger but not ask the service is not told that nothing is watched."""
    with TemporaryDirectory() as made:
        os.chmod(made, 0o711)  # noqa: S103 (somebody else must be able to pass through)
        machine.path, machine.settings["state_dir"] = Path(made) / "config.yaml", f"{made}/state"
        machine.write()
        machine.call("status")  # imports what somebody else may not read
        process = machine.start()
        assert "is running" in machine.call("status").stdout
        machine.state_dir.chmod(0o755)
        with closing(sqlite3.connect(machine.state_dir / "ledger.db")) as connection:
            # As long as somebody has read it, its log and its index are there, which only its owner can make.
            connection.execute("SELECT * FROM folders")
            for file in (machine.path, *machine.state_dir.glob("l*")):
                file.chmod(0o666)
            with somebody_else():
                found, said = machine.status(), machine.call("status").stdout
        machine.stop(process)
    assert found["daemon"] == {"running": None, "pid": None}
    assert [one["watch"] for one in found["folders"]] == ["unknown"]
    assert "cannot be asked" in said


def test_a_service_whose_state_directory_is_removed_ends(
    machine: Machine, share: Path, sandbox: Sandbox
) -> None:
    """It says so in one line, sends nothing that it cannot record, and exits 1."""
    process = machine.start()
    # The service may create a file (a journal) between the last unlink and the rmdir of a plain rmtree.
    shutil.rmtree(machine.state_dir.rename(machine.state_dir.with_name("removed")))
    (share / "a.txt").write_text("a")
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert ("was removed" in said, "Traceback" in said) == (True, False)
    assert sandbox.messages(sandbox.conversations[0].id) == ()
    assert "there is no directory" in machine.call("status").stdout
    assert not machine.state_dir.exists()
