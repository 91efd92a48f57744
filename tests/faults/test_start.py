"""The start, and every command, while one share of several hangs: a FUSE mount that is stopped."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from dingwatch import files
from dingwatch.config import links
from dingwatch.config.links import real_paths
from dingwatch.sandbox import Fault, FaultKind, Sandbox
from tests.faults.conftest import Confined
from tests.support import eventually, names


@pytest.fixture
def two_folders(confined: Confined, share: Path, tmp_path: Path, server: subprocess.Popen[bytes]) -> Confined:
    """A machine with a folder on a share that hangs, written as a link to it, and one on a local disk."""
    confined.constants["dingwatch.intake.folder.NETWORK_QUIET"] = 0.5
    first = confined.settings["folders"][0]
    (tmp_path / "link").symlink_to(share)
    (tmp_path / "local").mkdir()
    confined.settings["folders"] = [
        {**first, "name": "share", "path": str(tmp_path / "link")},
        {**first, "name": "local", "path": str(tmp_path / "local")},
    ]
    confined.write()
    server.send_signal(signal.SIGSTOP)
    return confined


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands in this process soon give up on a link that does not answer."""
    monkeypatch.setattr(links, "SECONDS", 0.2)
    monkeypatch.setattr(files, "ANSWER_SECONDS", 0.2)


def test_what_lies_beyond_stays_as_written(
    share: Path, tmp_path: Path, server: subprocess.Popen[bytes]
) -> None:
    """Links are resolved as far as they can be; other paths do not wait for the one that hangs."""
    (tmp_path / "link").symlink_to(share)
    (tmp_path / "other").symlink_to("local")
    server.send_signal(signal.SIGSTOP)
    paths = [os.fsencode(tmp_path / "link" / "deep" / "..."), os.fsencode(tmp_path / "other")]
    assert real_paths(paths) == [os.fsencode(share / "deep" / "..."), os.fsencode(tmp_path / "local")]


def test_a_share_that_hangs_at_the_start_holds_up_no_other_folder(
    two_folders: Confined, share: Path, tmp_path: Path, sandbox: Sandbox, server: subprocess.Popen[bytes]
) -> None:
    """The other folder's files arrive; when the share answers again, so do its own, under the name it had."""
    service = two_folders.launch("run")
    eventually(lambda: two_folders.status()["folders"][1]["watch"] == "inotify")
    (tmp_path / "local" / "a.txt").write_text("a")
    eventually(lambda: names(sandbox) == ["a.txt"])
    server.send_signal(signal.SIGCONT)
    eventually(lambda: two_folders.status()["folders"][0]["watch"] == "poll")
    (share / "b.txt").write_text("b")
    eventually(lambda: names(sandbox) == ["a.txt", "b.txt"])
    assert two_folders.stop(service) == 0


@pytest.mark.sweep
def test_a_share_that_hangs_with_files_waiting_holds_up_no_other_folder(
    two_folders: Confined, share: Path, tmp_path: Path, sandbox: Sandbox, server: subprocess.Popen[bytes]
) -> None:
    """What waits there is looked at once more before it is sent; that look keeps nobody else waiting."""
    server.send_signal(signal.SIGCONT)
    sandbox.inject(
        Fault("robot/groupMessages/send", FaultKind.ERROR, code="bot.stopped", status=400, times=None)
    )
    service = two_folders.start()
    (share / "a.txt").write_text("a")
    eventually(lambda: [line["state"] for line in two_folders.history()] == ["uploaded"])
    assert two_folders.stop(service) == 0
    sandbox.clear_faults()
    server.send_signal(signal.SIGSTOP)
    two_folders.launch("run")
    (tmp_path / "local" / "b.txt").write_text("b")
    eventually(lambda: "b.txt" in names(sandbox))


def test_a_share_that_hangs_holds_up_no_reload(
    two_folders: Confined, share: Path, tmp_path: Path, sandbox: Sandbox, server: subprocess.Popen[bytes]
) -> None:
    """A folder is added and the settings of the hanging one change; it goes on by them when it answers."""
    server.send_signal(signal.SIGCONT)
    service = two_folders.start()
    server.send_signal(signal.SIGSTOP)
    (tmp_path / "new").mkdir()
    first = two_folders.settings["folders"][0]
    two_folders.settings["folders"].append({**first, "name": "new", "path": str(tmp_path / "new")})
    two_folders.set_folder(settle="200ms", poll_interval="400ms")
    done = two_folders.call("reload")
    assert done.exit_code == 0, done.output
    assert "folder added: new" in done.output
    assert "folder changed: share: settle, poll_interval" in done.output
    (tmp_path / "new" / "a.txt").write_text("a")
    eventually(lambda: names(sandbox) == ["a.txt"])
    server.send_signal(signal.SIGCONT)
    (share / "b.txt").write_text("b")
    eventually(lambda: names(sandbox) == ["a.txt", "b.txt"])
    assert two_folders.stop(service) == 0


def test_commands_answer(two_folders: Confined, tmp_path: Path, share: Path) -> None:
    """What somebody types to find out says it: which folder hangs, and that the other one is fine."""
    assert [one["name"] for one in two_folders.status()["folders"]] == ["share", "local"]
    assert two_folders.history() == []
    checked = two_folders.call("check", "--offline")
    assert checked.exit_code == 1
    assert f"share: {tmp_path / 'link'} cannot be watched (hangs)" in checked.output
    assert "local: " in checked.output
    assert "(hangs)" in two_folders.call("why", str(share / "a.txt")).output
    assert "is in no watched folder" in two_folders.call("why", "a.txt").output
