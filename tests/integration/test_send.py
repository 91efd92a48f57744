"""`send` waits as long as it makes sense, and says how every delivery ended."""

from pathlib import Path

import pytest

from dingwatch.cli.send import reason_to_give_up
from dingwatch.dingtalk import API_SEND, API_UPLOAD
from dingwatch.model import Cause, Pause, Scope
from dingwatch.sandbox import Fault, FaultKind, Sandbox
from tests.integration.conftest import Machine
from tests.support import PATIENCE, eventually, names

REFUSED = Cause("forbidden", "no robot", "ROBOT_IN_GROUP", "r1")


def pause(*, until: float = 100.0, by_token: bool = False, fixed: bool = False, advice: str = "") -> Pause:
    """Return a pause of a group."""
    cause = Cause(REFUSED.code, REFUSED.message, advice or REFUSED.advice, REFUSED.request_id)
    return Pause(Scope.CONVERSATION, "cid", until, cause, 1, 0.0, by_token, fixed)


@pytest.mark.parametrize(
    ("blocking", "cause", "over", "reason"),
    [
        ([pause()], None, False, "forbidden no robot"),
        ([pause(until=5.0)], None, False, None),  # its probe is under way
        ([pause(by_token=True)], None, False, None),
        ([pause(fixed=True)], None, False, None),  # throttled
        ([pause(fixed=True, advice="QUOTA")], None, False, "forbidden no robot"),
        ([], Cause("EACCES", "denied", "FILE_FORBIDDEN"), False, "EACCES denied"),
        ([], Cause("no_answer", "", "NO_ANSWER"), False, None),
        ([pause(by_token=True)], None, True, "forbidden no robot"),
        ([], Cause("no_answer", "", "NO_ANSWER"), True, "no_answer"),
        ([], None, True, ""),
    ],
)
def test_what_a_person_must_end_is_not_waited_for(
    blocking: list[Pause], cause: Cause | None, *, over: bool, reason: str | None
) -> None:
    """Outages and throttling are waited for, as long as there is time; the rest is given up at once."""
    found = reason_to_give_up(blocking, cause, 10.0, over=over)
    assert (found.message if found else None) == reason
    assert found is None or (found.code == "gave_up" and found.advice)


@pytest.mark.parametrize("with_service", [True, False])
def test_a_send_that_is_refused_ends_and_can_be_repeated(
    machine: Machine, tmp_path: Path, sandbox: Sandbox, *, with_service: bool
) -> None:
    """It exits 1 with the reason, and the file is failed, so that a second run does not send it twice."""
    sandbox.inject(Fault(API_SEND, FaultKind.NO_PERMISSION, times=None))
    (tmp_path / "a.txt").write_text("a")
    if with_service:
        machine.start()
    done = machine.do("send", str(tmp_path / "a.txt"), "--to", "share")
    assert (done.returncode, "gave_up" in done.stdout) == (1, True), done.stdout + done.stderr
    (row,) = machine.history()
    assert (row["state"], row["error"]["code"]) == ("failed", "gave_up")
    assert "AccessTokenPermissionDenied" in row["error"]["message"]
    sandbox.clear_faults()
    done = machine.do("send", str(tmp_path / "a.txt"), "--to", "share")
    assert done.returncode == 0, done.stdout + done.stderr
    assert names(sandbox) == ["a.txt"]


@pytest.mark.parametrize("with_service", [True, False])
def test_a_send_that_takes_too_long_gives_up(
    machine: Machine, tmp_path: Path, sandbox: Sandbox, *, with_service: bool
) -> None:
    """After the time nothing more is sent, whether the service delivers or the command."""
    sandbox.inject(Fault(API_UPLOAD, FaultKind.ERROR, times=None))
    (tmp_path / "a.txt").write_text("a")
    if with_service:
        machine.start()
    done = machine.do("send", str(tmp_path / "a.txt"), "--to", "share", "--timeout", "1500ms")
    assert (done.returncode, "gave_up" in done.stdout) == (1, True), done.stdout + done.stderr
    assert machine.status()["totals"]["failed"] == 1
    sandbox.clear_faults()
    (tmp_path / "b.txt").write_text("b")
    assert machine.do("send", str(tmp_path / "b.txt"), "--to", "share", "--timeout", "1m").returncode == 0
    assert names(sandbox) == ["b.txt"]


def test_a_message_on_its_way_is_waited_for(machine: Machine, tmp_path: Path, sandbox: Sandbox) -> None:
    """The time is over while DingTalk still works on the message: it is sent, not given up."""
    sandbox.inject(Fault(API_SEND, FaultKind.SLOW_ANSWER, seconds=6.0))
    (tmp_path / "a.txt").write_text("a")
    machine.start()
    done = machine.do("send", str(tmp_path / "a.txt"), "--to", "share", "--timeout", "4s")
    assert (done.returncode, machine.status()["totals"]["sent"]) == (0, 1), done.stdout + done.stderr


def test_a_doubt_stays_a_doubt(machine: Machine, tmp_path: Path, sandbox: Sandbox) -> None:
    """A lost answer is told as uncertain and not as failed, though the service will resend it later."""
    sandbox.inject(Fault(API_SEND, FaultKind.CUT_AFTER))
    (tmp_path / "a.txt").write_text("a")
    machine.start()
    done = machine.do("send", str(tmp_path / "a.txt"), "--to", "share", "--timeout", "5s")
    assert (done.returncode, "uncertain" in done.stdout) == (1, True), done.stdout + done.stderr
    assert machine.status()["totals"]["uncertain"] == 1


def test_a_file_that_is_not_there_promises_nothing(machine: Machine, tmp_path: Path) -> None:
    """Nobody watches for it: to put it back sends nothing."""
    for path in (tmp_path / "none.txt", tmp_path / "none" / "a.txt"):
        done = machine.call("send", str(path), "--to", "share")
        assert (done.exit_code, str(path) in done.stderr) == (1, True)
        assert "put it back" not in done.stderr
        assert "automatically" not in done.stderr


def test_a_file_that_vanishes_on_its_way_promises_nothing(
    machine: Machine, tmp_path: Path, sandbox: Sandbox
) -> None:
    """`history` does not say that it is sent once it is put back, either: it lies in no watched folder."""
    sandbox.inject(Fault(API_UPLOAD, FaultKind.ERROR, times=None))
    path = tmp_path / "a.txt"
    path.write_text("a")
    sending = machine.launch("send", str(path), "--to", "share")
    eventually(lambda: any(row["attempts"] for row in machine.history()))
    path.unlink()
    assert sending.wait(PATIENCE) == 1
    (row,) = machine.history()
    assert (row["state"], row["error"]["code"]) == ("gone", "absent")
    assert "run dingwatch send again" in row["error"]["advice"]


@pytest.mark.parametrize("duration", ["5", "1h30m", "soon", ""])
def test_a_timeout_is_a_duration(machine: Machine, tmp_path: Path, duration: str) -> None:
    """It is written as durations in the config are, and a mistake is a usage error."""
    (tmp_path / "a.txt").write_text("a")
    done = machine.call("send", str(tmp_path / "a.txt"), "--to", "share", "--timeout", duration)
    assert (done.exit_code, "500ms" in done.stderr) == (2, True)
