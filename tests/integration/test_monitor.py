"""`status --check` for a monitor, and `status --watch` for a person."""

import fcntl
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import termios
from pathlib import Path

import pytest

from dingwatch.cli import context
from dingwatch.sandbox import Fault, FaultKind, Sandbox
from tests.integration.conftest import Machine
from tests.ledger import execute
from tests.support import PATIENCE, eventually, sent, take_interrupts


def check(machine: Machine, **environ: str) -> tuple[int, str]:
    """Return the exit code and the line."""
    done = machine.call("status", "--check", **environ)
    assert done.stderr == ""
    assert done.stdout.endswith("\n")
    assert done.stdout.count("\n") == 1
    return done.exit_code, done.stdout


def deliver(machine: Machine, share: Path, sandbox: Sandbox) -> int:
    """Have a file sent, and the service stopped; return the delivery's id."""
    process = machine.start()
    (share / "a.txt").write_text("a")
    eventually(sent(sandbox, 1))
    eventually(lambda: machine.status()["totals"]["sent"] == 1)
    machine.stop(process)
    number: int = machine.history()[0]["id"]
    return number


def test_a_service_that_is_well_is_zero(machine: Machine, share: Path, sandbox: Sandbox) -> None:
    """The line says what is watched, and how many calls are used."""
    deliver(machine, share, sandbox)
    code, line = check(machine)
    assert (code, line.startswith("CRITICAL: "), "not running" in line) == (2, True, True)
    machine.start()
    code, line = check(machine)
    assert (code, line.startswith("OK: watching 1 folder, 0 waiting; ")) == (0, True), line


@pytest.mark.parametrize(
    ("change", "code", "told"),
    [
        ("state = 'failed', code = '40038', message = '', advice = ''", 2, "1 failed"),
        ("state = 'uncertain', doubts = 2", 2, "1 uncertain"),
        ("state = 'pending', due = 1e15", 2, "1 on hold (share)"),
        ("state = 'skipped', code = 'empty'", 0, "OK"),
        ("state = 'gone'", 0, "OK"),
    ],
)
def test_what_needs_a_person_is_two(
    machine: Machine, share: Path, sandbox: Sandbox, change: str, code: int, told: str
) -> None:
    """What was skipped, or whose owner took it back, needs nobody."""
    machine.settings["delivery"] = {"on_uncertain": "hold"}
    machine.write()
    deliver(machine, share, sandbox)
    execute(machine, f"UPDATE deliveries SET {change}")  # noqa: S608
    machine.start()
    assert (check(machine)[0], told in check(machine)[1]) == (code, True), check(machine)


def test_a_folder_that_is_down_is_two(machine: Machine, tmp_path: Path) -> None:
    """It is named."""
    absent = tmp_path / "absent"
    conversation = machine.settings["folders"][0]["conversation_id"]
    machine.settings["folders"].append({"path": str(absent), "conversation_id": conversation})
    machine.write()
    machine.start()
    code, line = check(machine)
    assert (code, "cannot be watched: absent;" in line) == (2, True), line


def test_what_should_be_looked_at_soon_is_one(machine: Machine, share: Path, sandbox: Sandbox) -> None:
    """A long wait and a quota of which 80 % are used; together they are still one line."""
    machine.settings["dingtalk"]["monthly_calls"] = 2
    machine.set_folder(conversation_id=next(one.id for one in sandbox.conversations if not one.robot_inside))
    machine.start()
    (share / "a.txt").write_text("a")
    eventually(lambda: machine.status()["pauses"] and machine.status()["api_calls"]["used"] >= 2)
    code, line = check(machine)
    assert (code, "of the month's 2 calls" in line, "waited" in line) == (1, True, False), line
    execute(machine, "UPDATE deliveries SET settled_at = settled_at - 1000")
    code, line = check(machine)
    assert (code, "; the oldest file has waited for 16 min" in line or "for 16 min" in line) == (1, True), (
        line
    )
    code, line = check(machine, LC_ALL="zh_CN.UTF-8")
    assert code == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount what makes no events")
def test_a_folder_that_is_polled_against_its_wish_is_one(machine: Machine) -> None:
    """`watch: auto` leaves it to dingwatch, `inotify` does not."""
    mount = machine.path.parent / "network"
    behind = machine.path.parent / "behind"
    command = shutil.which("bindfs")
    if command is None:
        pytest.skip("needs bindfs")
    mount.mkdir()
    behind.mkdir()
    subprocess.run([command, behind, mount], check=True)
    try:
        machine.set_folder(path=str(mount), watch="inotify")
        process = machine.start()
        watched = machine.status()["folders"][0]["watch"]
        code, line = check(machine)
        machine.stop(process)
    finally:
        subprocess.run(["/usr/bin/env", "umount", "-l", mount], check=True)
    assert (code, "polled" in line) == ((1, True) if watched == "poll" else (0, False)), line


def test_what_nobody_can_tell_is_three(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that does not answer, and a config that is none; each with its reason in the line."""
    monkeypatch.setattr(context, "ASK_SECONDS", 0.2)
    process = machine.start()
    process.send_signal(signal.SIGSTOP)
    eventually(lambda: ") T " in Path(f"/proc/{process.pid}/stat").read_text())
    try:
        code, line = check(machine)
    finally:
        process.send_signal(signal.SIGCONT)
    assert (code, line.startswith("UNKNOWN: "), "does not answer" in line) == (3, True, True), line
    machine.stop(process)
    machine.set_folder(settle="soon")
    code, line = check(machine)
    assert (code, "folders[0].settle" in line) == (3, True), line


def test_only_one_format_at_a_time(machine: Machine) -> None:
    """Else a monitor would get JSON."""
    assert machine.call("status", "--check", "--json").exit_code == 2


# --- status --watch ------------------------------------------------------------------------------


def test_a_live_view_needs_a_terminal(machine: Machine) -> None:
    """Piped, it says what to use instead."""
    done = machine.call("status", "--watch")
    assert (done.exit_code, done.stdout, "--json" in done.stderr) == (1, "", True)


def test_a_live_view_shows_what_goes_on_until_it_is_ended(
    machine: Machine, share: Path, sandbox: Sandbox
) -> None:
    """What was sent, what is uploaded, and what somebody still writes; ^C ends it well."""
    take_interrupts()
    deliver(machine, share, sandbox)
    machine.start()
    sandbox.inject(Fault(api="media/upload", kind=FaultKind.SLOW, seconds=60.0))
    (share / "slow upload.pdf").write_bytes(b"slow")
    eventually(lambda: machine.status()["totals"]["uploading"])
    with (share / "being written.pdf").open("wb") as writer:
        writer.write(b"half")
        writer.flush()
        screen, process = on_terminal(machine.command("status", "--watch"))
        shown = b""
        for name in (
            b"a.txt",
            b"slow upload.pdf",
            b"being written.pdf",
            b"settling: 1",
            b"a program is writing it",
        ):
            while name not in shown:
                assert select.select([screen], [], [], PATIENCE)[0], shown
                shown += os.read(screen, 65536)
        process.send_signal(signal.SIGINT)
        while select.select([screen], [], [], 0.1)[0]:  # else it waits for somebody to read
            try:
                os.read(screen, 65536)
            except OSError:
                break
        assert process.wait(PATIENCE) == 0
    os.close(screen)


def test_a_live_view_goes_on_beside_a_broken_config(machine: Machine) -> None:
    """A line says so as long as the service runs; then the view ends, and why stays on the terminal."""
    service = machine.start()
    screen, process = on_terminal(machine.command("status", "--watch"))
    read_until(screen, b"process")
    machine.set_folder(settle="soon")
    read_until(screen, b"the config file has 1 problem")
    machine.stop(service)
    # The alternate screen is left, and what is printed after that stays.
    assert b"folders[0].settle" in read_until(screen, b"\x1b[?1049l", b"folders[0].settle")
    assert process.wait(PATIENCE) == 78
    os.close(screen)


def read_until(screen: int, *expected: bytes) -> bytes:
    """Read from a terminal until all of that came, in this order; return what came after the first."""
    shown = b""
    for one in expected:
        while one not in shown:
            assert select.select([screen], [], [], PATIENCE)[0], shown
            shown += os.read(screen, 65536)
        shown = shown[shown.index(one) :]
    return shown


def on_terminal(words: list[str]) -> tuple[int, subprocess.Popen[bytes]]:
    """Start a command on a terminal of 120 columns and 40 lines; return the terminal's other end."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    environ = {**os.environ, "LC_ALL": "en_GB.UTF-8", "TERM": "xterm"}
    process = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, env=environ)
    os.close(theirs)
    return ours, process
