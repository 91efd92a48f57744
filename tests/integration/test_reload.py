"""Another configuration without a restart, through the running service."""

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dingwatch.config.apart import load_apart
from dingwatch.config.values import Config, ConfigError, Folder
from dingwatch.sandbox import Fault, FaultKind, Sandbox
from dingwatch.service.daemon import Service, Source
from dingwatch.texts import Log
from tests.integration.conftest import Machine
from tests.ledger import execute, states
from tests.support import PATIENCE, Heard, eventually, names, sent
from tests.support import config as config_of
from tests.support import folder as folder_of

SEND = "robot/groupMessages/send"


def reload(machine: Machine) -> str:
    """Reload a good config; return what that prints."""
    done = machine.call("reload")
    assert done.exit_code == 0, done.output
    return done.output


def add_folder(machine: Machine, path: Path, sandbox: Sandbox, conversation: int = 0, **keys: object) -> None:
    """Map another folder to a conversation, in the config file."""
    path.mkdir(exist_ok=True)
    ids = {"path": str(path), "conversation_id": sandbox.conversations[conversation].id}
    machine.settings["folders"].append(machine.settings["folders"][0] | ids | keys)
    machine.write()


def log_of(process: subprocess.Popen[str]) -> str:
    """End the service; return its log."""
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, log
    return log


def test_a_folder_that_is_added_is_watched_when_reload_returns(
    machine: Machine, share: Path, sandbox: Sandbox, tmp_path: Path
) -> None:
    """What lies there by then is its baseline, what is dropped afterwards is sent."""
    machine.start()
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "old.txt").write_text("old")
    add_folder(machine, tmp_path / "new", sandbox, 1)
    assert reload(machine) == f"folder added: new ({tmp_path / 'new'})\n"
    (tmp_path / "new" / "a.txt").write_text("a")
    (share / "b.txt").write_text("b")
    eventually(lambda: sent(sandbox, 1)() and sent(sandbox, 1, 1)())
    assert (names(sandbox), names(sandbox, 1)) == (["b.txt"], ["a.txt"])
    assert [one["watch"] for one in machine.status()["folders"]] == ["inotify", "inotify"]
    assert len(machine.history("--state", "baseline")) == 1
    assert "edited" not in machine.call("status").output


def test_the_files_of_a_removed_folder_wait_until_it_comes_back(
    machine: Machine, share: Path, sandbox: Sandbox, tmp_path: Path
) -> None:
    """One is on its way and arrives, one waits and is unmapped; nothing else is noticed meanwhile."""
    add_folder(machine, tmp_path / "other", sandbox, 1)
    machine.settings["pace"]["per_conversation"] = "1/m"  # so the second message waits
    machine.write()
    process = machine.start()
    sandbox.inject(Fault(SEND, FaultKind.SLOW, seconds=2.0))
    (share / "a.txt").write_text("a")
    eventually(lambda: states(machine) == {"sending": 1})
    (share / "b.txt").write_text("b")
    eventually(lambda: sum(states(machine).values()) == 2)
    removed = machine.settings["folders"].pop(0)
    machine.write()
    assert reload(machine) == f"folder removed: share ({share})\n"
    eventually(lambda: states(machine)["sent"] == 1)
    (share / "c.txt").write_text("c")
    (tmp_path / "other" / "d.txt").write_text("d")
    eventually(sent(sandbox, 1, 1))
    assert (names(sandbox), names(sandbox, 1)) == (["a.txt"], ["d.txt"])
    failed = machine.history("--state", "failed")
    assert [(one["path"], one["error"]["code"]) for one in failed] == [("b.txt", "unmapped")]
    assert "1 file not sent" in machine.call("status").output

    machine.settings["folders"].insert(0, removed)
    machine.settings["pace"]["per_conversation"] = None
    machine.write()
    assert reload(machine) == f"folder added: share ({share})\nchanged: pace.per_conversation\n"
    eventually(sent(sandbox, 3))
    assert sorted(names(sandbox)) == ["a.txt", "b.txt", "c.txt"]
    assert "Traceback" not in log_of(process)


def test_other_recipients_get_what_settles_from_then_on(
    machine: Machine, share: Path, sandbox: Sandbox
) -> None:
    """A recipient that is added gets no file of before; one that was removed gets none of later."""
    machine.start()
    (share / "a.txt").write_text("a")
    eventually(sent(sandbox, 1))
    first, second = (one.id for one in sandbox.conversations[:2])
    machine.set_folder(conversation_id=[first, second])
    assert reload(machine) == "folder changed: share: conversation_id\n"
    (share / "b.txt").write_text("b")
    eventually(lambda: sent(sandbox, 2)() and sent(sandbox, 1, 1)())
    machine.set_folder(conversation_id=second)
    reload(machine)
    (share / "c.txt").write_text("c")
    eventually(sent(sandbox, 2, 1))
    assert (names(sandbox), names(sandbox, 1)) == (["a.txt", "b.txt"], ["b.txt", "c.txt"])


def test_a_bad_config_keeps_the_former_one(machine: Machine, share: Path, sandbox: Sandbox) -> None:
    """Every problem is named, and the service goes on."""
    machine.start()
    machine.set_folder(settle="soon", hold_over=-1)
    done = machine.call("reload")
    assert done.exit_code == 1
    assert "folders[0].settle" in done.stderr
    assert "folders[0].hold_over" in done.stderr
    assert "former" in done.stderr
    (share / "a.txt").write_text("a")
    eventually(sent(sandbox, 1))


def test_a_config_that_only_the_service_finds_bad_is_refused_by_it(
    machine: Machine, share: Path, sandbox: Sandbox
) -> None:
    """The secret is read by the service alone."""
    machine.start()
    machine.settings["dingtalk"].pop("client_secret")
    machine.settings["dingtalk"]["client_secret_file"] = str(share.parent / "nowhere")
    machine.write()
    done = machine.call("reload")
    assert done.exit_code == 1
    assert "client_secret_file" in done.stderr
    (share / "a.txt").write_text("a")
    eventually(sent(sandbox, 1))


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("client_id", lambda settings: settings["dingtalk"].update(client_id="other")),
        ("state_dir", lambda settings: settings.update(state_dir=settings["state_dir"] + "2")),
        ("node", lambda settings: settings.update(node="nas2")),
        ("http.listen", lambda settings: settings.update(http={"listen": "127.0.0.1:1"})),
        ("ledger", lambda settings: settings.update(ledger="postgresql+psycopg://nowhere/x")),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_what_needs_a_restart_is_refused_whole(
    machine: Machine, share: Path, sandbox: Sandbox, key: str, change: Callable[[dict[str, Any]], None]
) -> None:
    """The folder that is added in the same go is not watched either."""
    machine.start()
    change(machine.settings)
    add_folder(machine, share.parent / "new", sandbox, 1)
    done = machine.call("reload")
    assert done.exit_code == 1
    assert f"needs a restart: {key}" in done.stderr
    (share / "a.txt").write_text("a")
    eventually(sent(sandbox, 1))
    assert not (share.parent / "state2").exists()


class Listings:
    """Counts how often this process lists a directory, by Python's own audit events."""

    def __init__(self, directory: Path) -> None:
        self._directory = os.fspath(directory)
        self._watches = True
        self.count = 0
        sys.addaudithook(self._note)

    def _note(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._watches and event in {"os.scandir", "os.listdir"}:
            listed = arguments[0]
            path = os.readlink(f"/proc/self/fd/{listed}") if isinstance(listed, int) else listed
            self.count += os.fsdecode(path) == self._directory

    def stop(self) -> None:
        """Count no more; a hook cannot be taken out."""
        self._watches = False


def test_nothing_is_scanned_that_did_not_change(tmp_path: Path, share: Path, sandbox: Sandbox) -> None:
    """Neither by other recipients nor by a folder beside it; another filter asks for a scan."""
    first, second = (one.id for one in sandbox.conversations[:2])
    other = tmp_path / "other"
    other.mkdir()
    one = config_of(tmp_path / "state", sandbox, folder_of(share, first))
    current = [one]
    service = Service(one, log=Heard(), source=Source(tmp_path / "config.yaml", lambda: current[0]))
    listings = Listings(share)
    with service:
        assert service.ready.wait(PATIENCE)
        (share / "a.txt").write_text("a")
        eventually(sent(sandbox, 1))
        eventually(lambda: listings.count >= 2)  # the first look, and the scan that follows it
        before = listings.count
        changed = folder_of(share, first, second, settle=0.2, hold_over=100)
        current[0] = replace(one, folders=(changed, folder_of(other, second)), keep=86400.0)
        assert service.reload().done
        (share / "b.txt").write_text("b")
        eventually(sent(sandbox, 1, 1))
        assert listings.count == before
        current[0] = replace(current[0], folders=(replace(changed, exclude=("*.bak",)),))
        assert service.reload().done
        eventually(lambda: listings.count > before)
    listings.stop()
    assert service.failed is None


def test_a_filter_that_widens_makes_no_old_file_new(machine: Machine, share: Path, sandbox: Sandbox) -> None:
    """What it lets in of before follows `existing`; one that narrows lets go of what settles."""
    machine.set_folder(exclude=["*.log"])
    (share / "old.log").write_text("old")
    machine.start()
    (share / "a.txt").write_text("a")
    eventually(sent(sandbox, 1))
    machine.set_folder(exclude=[])
    reload(machine)
    (share / "new.log").write_text("new")
    eventually(sent(sandbox, 2))
    machine.set_folder(settle="1h")
    reload(machine)
    (share / "b.bak").write_text("b")
    eventually(lambda: machine.status()["folders"][0]["counts"]["settling"] == 1)
    machine.set_folder(exclude=["*.bak"], settle="100ms")
    reload(machine)
    eventually(lambda: machine.status()["folders"][0]["counts"]["settling"] == 0)
    (share / "c.txt").write_text("c")
    eventually(sent(sandbox, 3))
    assert names(sandbox) == ["a.txt", "new.log", "c.txt"]


@pytest.mark.parametrize(
    "change",
    [
        {"watch": "poll"},
        {"recursive": False},
        {"exclusive": False},
        {"poll_interval": "300ms", "rescan": "1s"},
        {"name": "renamed", "hold_over": 5, "existing": "send", "on_change": "ignore"},
    ],
    ids=",".join,
)
def test_a_folder_goes_on_by_its_other_settings(
    machine: Machine, share: Path, sandbox: Sandbox, change: dict[str, object]
) -> None:
    """It is watched afresh where it must be, and no old file is new by that."""
    (share / "old.txt").write_text("old")
    process = machine.start()
    machine.set_folder(**change)
    output = reload(machine)
    assert all(key in output for key in change)
    (share / "a.txt").write_text("a")
    eventually(sent(sandbox, 1))
    (folder,) = machine.status()["folders"]
    assert folder["watch"] == ("poll" if "watch" in change else "inotify")
    assert folder["name"] == change.get("name", "share")
    assert names(sandbox) == ["a.txt"]
    assert "Traceback" not in log_of(process)


def test_keys_of_no_folder_change_too(machine: Machine, share: Path, sandbox: Sandbox) -> None:
    """Language, pace, workers, what happens to doubts, and how long files are remembered."""
    process = machine.start()
    (share / "a.txt").write_text("a")
    eventually(sent(sandbox, 1))
    machine.settings |= {
        "language": "zh",
        "keep": "10d",
        "pace": {"per_api": "5/s", "per_conversation": "100/m"},
        "delivery": {"workers": 2, "give_up_after": "1d", "on_uncertain": "hold"},
    }
    machine.settings["dingtalk"]["monthly_calls"] = 100
    machine.write()
    output = machine.call("reload")
    assert output.exit_code == 0, output.output
    for key in ("language", "keep", "pace.per_api", "delivery.workers", "delivery.on_uncertain"):
        assert key in output.output
    (share / "b.txt").write_text("b")
    eventually(sent(sandbox, 2))
    sandbox.inject(Fault(SEND, FaultKind.CUT_AFTER, times=1))
    (share / "c.txt").write_text("c")
    eventually(lambda: states(machine)["uncertain"] == 1)
    assert machine.status()["api_calls"]["limit"] == 100
    assert "已发送：share/b.txt" in log_of(process)


def test_another_secret_is_used_at_once(machine: Machine, share: Path, sandbox: Sandbox) -> None:
    """Wrong credentials pause the app; the right ones are tried as soon as they are loaded."""
    right = machine.settings["dingtalk"]["client_secret"]
    machine.settings["dingtalk"]["client_secret"] = "wrong" * 8
    machine.write()
    machine.start()
    (share / "a.txt").write_text("a")
    eventually(lambda: bool(machine.status()["pauses"]))
    machine.settings["dingtalk"]["client_secret"] = right
    machine.write()
    output = reload(machine)
    assert output == "changed: dingtalk.client_secret\n"
    eventually(sent(sandbox, 1))
    assert right not in output


def test_sighup_reloads_and_logs_the_outcome(machine: Machine, sandbox: Sandbox, tmp_path: Path) -> None:
    """A good config is in force, a bad one and one that needs a restart are not."""
    process = machine.start()
    add_folder(machine, tmp_path / "new", sandbox, 1)
    process.send_signal(signal.SIGHUP)
    eventually(lambda: len(execute(machine, "SELECT 1 FROM folders")) == 2)
    eventually(lambda: machine.status()["folders"][1]["watch"] == "inotify")
    (tmp_path / "new" / "a.txt").write_text("a")
    eventually(sent(sandbox, 1, 1))
    lines = LogLines(process)
    machine.set_folder(settle="soon")
    process.send_signal(signal.SIGHUP)
    lines.wait_for("config not reloaded")
    machine.set_folder(settle="100ms")
    machine.settings["dingtalk"]["client_id"] = "other"
    machine.write()
    process.send_signal(signal.SIGHUP)
    lines.wait_for("needs a restart: client_id")
    assert any("config reloaded: folder added: new" in line for line in lines.seen)
    assert any("folders[0].settle" in line for line in lines.seen)
    assert machine.stop(process) == 0


class LogLines:
    """Reads the log of a service while it runs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        self._stream = process.stderr
        self.seen: list[str] = []

    def wait_for(self, text: str) -> None:
        """Read until a line with this text."""
        while select.select([self._stream], [], [], PATIENCE)[0]:
            self.seen.append(self._stream.readline())
            if text in self.seen[-1]:
                return
        raise AssertionError(text)


def test_without_a_service_there_is_nothing_to_reload(machine: Machine) -> None:
    """It says so in one line."""
    done = machine.call("reload")
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert "not running" in done.stderr


def test_without_a_service_a_bad_config_is_not_said_to_leave_one_running(machine: Machine) -> None:
    """Its problems are all that there is to say."""
    machine.set_folder(settle="soon")
    done = machine.call("reload")
    assert (done.exit_code, "folders[0].settle" in done.stderr, "goes on" in done.stderr) == (1, True, False)
    machine.set_folder(settle="1s")
    machine.start()
    machine.set_folder(settle="soon")
    done = machine.call("reload")
    assert (done.exit_code, "folders[0].settle" in done.stderr, "goes on" in done.stderr) == (1, True, True)


def test_several_reloads_at_once_come_one_after_the_other(
    machine: Machine, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Each reads what the file says by then; in the end all of it is in force."""
    process = machine.start()
    add_folder(machine, tmp_path / "new", sandbox, 1)
    outcomes: list[int] = []
    commands = [machine.launch("reload") for _ in range(3)]
    process.send_signal(signal.SIGHUP)
    for one in commands:
        one.communicate(timeout=PATIENCE)
        outcomes.append(one.returncode)
    assert outcomes == [0, 0, 0]
    (tmp_path / "new" / "a.txt").write_text("a")
    eventually(sent(sandbox, 1, 1))
    assert log_of(process).count("folder added: new") == 1


def test_a_ledger_that_cannot_be_written_keeps_the_former_config(
    machine: Machine, sandbox: Sandbox, tmp_path: Path
) -> None:
    """The folders cannot be bound, so nothing changes; the next try succeeds."""
    machine.start()
    add_folder(machine, tmp_path / "new", sandbox, 1)
    ledger = machine.state_dir / "ledger.db"
    aside = tmp_path / "aside"
    ledger.rename(aside)
    done = machine.call("reload")
    assert done.exit_code == 1
    assert "nothing was changed" in done.stderr
    aside.rename(ledger)
    eventually(lambda: machine.call("reload").exit_code == 0)
    (tmp_path / "new" / "a.txt").write_text("a")
    eventually(sent(sandbox, 1, 1))


class Told:
    """Reads what systemd is told."""

    def __init__(self, systemd: socket.socket) -> None:
        self._systemd = systemd

    def wait_for(self, line: str) -> list[str]:
        """Return the first message with this line."""
        while line not in (lines := self._systemd.recv(4096).decode().splitlines()):
            pass
        return lines


def test_systemd_is_told_of_a_reload(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RELOADING with the time by which it tells reloads apart, and READY when it is over."""
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(address))
        systemd.settimeout(PATIENCE)
        monkeypatch.setenv("NOTIFY_SOCKET", str(address))
        machine.start()
        told = Told(systemd)
        told.wait_for("READY=1")
        asked = time.monotonic_ns() // 1000
        monkeypatch.delenv("NOTIFY_SOCKET")
        machine.set_folder(settle="200ms")
        reload(machine)
        lines = told.wait_for("RELOADING=1")
        (instant,) = [int(line.partition("=")[2]) for line in lines if line.startswith("MONOTONIC_USEC=")]
        assert asked <= instant <= time.monotonic_ns() // 1000
        told.wait_for("READY=1")


# --- In the middle of something ------------------------------------------------------------------


@contextmanager
def reloading(setting: Config, tmp_path: Path) -> Iterator[tuple[Service, list[Config], Heard]]:
    """Run a service that reads from a list what its config is."""
    current, heard = [setting], Heard()
    service = Service(setting, log=heard, source=Source(tmp_path / "config.yaml", lambda: current[0]))
    with service:
        yield service, current, heard
    if service.failed is not None:
        raise service.failed


def test_another_filter_during_a_first_look_lets_no_old_file_through(
    tmp_path: Path, share: Path, sandbox: Sandbox
) -> None:
    """The look starts over by the new filter; what was dropped since its beginning is sent."""
    for number in range(6000):
        (share / f"{number}.{'log' if number % 2 else 'txt'}").touch()
        (share / f"{number}.{'log' if number % 2 else 'txt'}").write_text(str(number))
    one = config_of(tmp_path / "state", sandbox, folder_of(share, "cidA", exclude=("*.log",)))
    with reloading(one, tmp_path) as (service, current, _):
        current[0] = replace(one, folders=(folder_of(share, sandbox.conversations[0].id),))
        assert service.reload().done
        assert service.ready.wait(PATIENCE)
        (share / "new.log").write_text("new")
        eventually(sent(sandbox, 1))
        eventually(lambda: execute(one, "SELECT count(*) FROM versions WHERE baseline") == [(6000,)])
    assert states(one) == {"sent": 1}


def test_a_folder_that_leaves_during_its_first_look_begins_it_again(
    tmp_path: Path, share: Path, sandbox: Sandbox
) -> None:
    """What it had written down stays; what came while it was away is new, as the look's beginning is kept."""
    other = tmp_path / "other"
    other.mkdir()
    for number in range(6000):
        (share / f"{number}.txt").write_text(str(number))
    first = sandbox.conversations[0].id
    both = config_of(tmp_path / "state", sandbox, folder_of(other, "cidB"), folder_of(share, first))
    with reloading(both, tmp_path) as (service, current, _):
        for _ in range(3):
            current[0] = replace(both, folders=both.folders[:1])
            assert service.reload().done
            current[0] = both
            assert service.reload().done
        (share / "new.txt").write_text("new")
        eventually(sent(sandbox, 1))
        eventually(lambda: execute(both, "SELECT count(*) FROM versions WHERE baseline") == [(6000,)])
    assert names(sandbox) == ["new.txt"]


def test_reloads_while_files_arrive_lose_none(tmp_path: Path, share: Path, sandbox: Sandbox) -> None:
    """Settings change, a folder leaves and comes back, its watch is set afresh, all during a burst."""
    other = tmp_path / "other"
    other.mkdir()
    first, second = (one.id for one in sandbox.conversations[:2])
    one = config_of(tmp_path / "state", sandbox, folder_of(share, first), folder_of(other, second))
    with reloading(one, tmp_path) as (service, current, heard):
        assert service.ready.wait(PATIENCE)
        changes: list[tuple[Folder, ...]] = [
            (folder_of(share, first, watch="poll"), one.folders[1]),
            (folder_of(share, first, recursive=False, settle=0.3),),
            one.folders,
            (folder_of(share, first, exclude=("*.bak",), exclusive=False), one.folders[1]),
            one.folders,
        ]
        for number, folders in enumerate(changes):
            for name in range(20):
                (share / f"{number}-{name}.txt").write_text(f"{number}-{name}")
                (other / f"{number}-{name}.txt").write_text(f"other {number}-{name}")
            current[0] = replace(one, folders=folders)
            assert service.reload().done
        eventually(lambda: sent(sandbox, 100)() and sent(sandbox, 100, 1)())
    assert len(set(names(sandbox))) == len(names(sandbox)) == 100
    assert len(set(names(sandbox, 1))) == len(names(sandbox, 1)) == 100
    assert heard.count(Log.FOLDER_DOWN) == 0


def test_a_check_that_breaks_off_names_its_end(tmp_path: Path) -> None:
    """Another Python reads the config. Where it cannot start, memory is not blamed."""
    with pytest.raises(ConfigError) as caught:
        load_apart(tmp_path / "config.yaml", {**os.environ, "PYTHONIOENCODING": "none"})
    assert "exit code 1" in str(caught.value.problems)
