import json
import os
import select
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from click.testing import CliRunner

from dingwatch.cli.app import cli
from dingwatch.dingtalk import API_ROBOTS
from dingwatch.ledger import report
from dingwatch.sandbox import Fault, FaultKind, Sandbox
from tests.fork_server import ForkedCommand
from tests.integration.conftest import DINGWATCH, ENGLISH, Machine
from tests.support import PATIENCE, eventually, sent, sha256


def run_once(machine: Machine) -> None:
    """Have the service run until it has written its first looks, and end."""
    machine.stop(machine.start())


# --- What cannot be done says so in one line -----------------------------------------------------


@pytest.mark.parametrize(
    "words", [("status",), ("history",), ("history", "--state", "baseline"), ("retry", "--all")]
)
def test_a_command_without_a_ledger_makes_none(
    machine: Machine, tmp_path: Path, words: tuple[str, ...]
) -> None:
    """Zeros and empty lists need no file, and nothing else is left behind either."""
    done = machine.call(*words)
    assert done.exit_code == 0, done.output
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("number", ["7", "0", str(2**63), str(10**40)])
def test_an_id_that_cannot_be_is_unknown(machine: Machine, tmp_path: Path, number: str) -> None:
    """With a ledger and without one, and however large it is."""
    assert machine.call("retry", number).exit_code == 1
    assert not (tmp_path / "state").exists()
    run_once(machine)
    done = machine.call("retry", number)
    assert (done.exit_code, number in done.stderr) == (1, True)


def test_any_number_of_lines_may_be_asked_for(machine: Machine) -> None:
    """More than SQLite can count to means all; the help shows no such number."""
    run_once(machine)
    assert machine.call("history", "--limit", str(10**40)).exit_code == 0
    assert "922337" not in machine.call("history", "--help").stdout


def test_headings_are_in_the_language_of_the_config(machine: Machine) -> None:
    """Whatever the locale is: an admin logs in with another one than the service has."""
    machine.settings["language"] = "zh"
    machine.write()
    for words in (("history",), ("status",)):
        printed = machine.call(*words).stdout
        assert ("文件夹" in printed, "folder" in printed) == (True, False), printed


def test_folders_that_the_service_has_not_seen_yet_disturb_nothing(machine: Machine, tmp_path: Path) -> None:
    """A config may be ahead of the ledger by several folders until the service starts again."""
    machine.stop(machine.start())
    conversation = machine.settings["folders"][0]["conversation_id"]
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        machine.settings["folders"].append({"path": str(tmp_path / name), "conversation_id": conversation})
    machine.write()
    for words in (("history", "--folder", "one"), ("status",), ("retry", "--folder", "two", "--baseline")):
        done = machine.call(*words)
        assert done.exit_code == 0, done.output
    assert machine.call("retry", "99").exit_code == 1
    assert machine.call("history", "--folder", "three").exit_code == 1


def test_a_ledger_that_is_no_ledger_is_one_line(machine: Machine, tmp_path: Path) -> None:
    """A file that SQLite does not take is named, with advice and without a traceback."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "ledger.db").write_bytes(b"this is no database, and long enough to see it" * 100)
    for command in ("status", "history"):
        done = machine.do(command)
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
        assert str(tmp_path / "state") in done.stderr
    assert machine.do("check", "--offline").stdout.count("FAIL") == 1


def test_a_share_on_the_ledger_of_one_host_is_a_folder_like_others(
    machine: Machine, share: Path, sandbox: Sandbox
) -> None:
    """Nobody is there to share it with; it is only not locked."""
    machine.set_folder(shared="north")
    assert machine.call("check", "--offline").exit_code == 0
    machine.start()
    (share / "a.pdf").write_text("content")
    eventually(sent(sandbox, 1))


def test_a_bad_config_is_told_in_its_own_language(machine: Machine) -> None:
    """The sentences around the problems are in the language of the problems, which the file itself sets."""
    machine.settings |= {"language": "zh", "nod": "east"}
    machine.write()
    for words in (("check", "--offline"), ("status",)):
        done = machine.call(*words)
        assert "第 " in done.output, done.output
        assert not {"line", "config:", "has"} & set(done.output.replace("(", " ").split()), done.output


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_somebody_else_is_told_so(machine: Machine) -> None:
    """A state directory that is another user's is one line, not a traceback."""
    with TemporaryDirectory() as made:
        os.chmod(made, 0o711)  # noqa: S103 (somebody else must be able to pass through)
        machine.path, machine.settings["state_dir"] = Path(made) / "config.yaml", f"{made}/state"
        machine.settings["dingtalk"].pop("client_secret")
        machine.write()
        machine.path.chmod(0o644)
        Path(made, "state").mkdir(mode=0o700)
        assert machine.call("status").exit_code == 0  # imports what somebody else may not be able to read
        os.seteuid(65534)
        try:
            done = machine.call("status")
        finally:
            os.seteuid(0)
    assert done.exit_code == 1, done.output
    assert "permission denied" in done.stderr


# --- status and history --------------------------------------------------------------------------


def test_hostile_names_are_only_names(machine: Machine, share: Path) -> None:
    """Markup, escapes and line breaks in names neither end a command nor reach the terminal."""
    machine.set_folder(name="[/red] folder", existing="send")
    (share / "[bold]\x1b[31m\nname.txt").write_text("x")
    process = machine.start()
    eventually(lambda: machine.status()["totals"]["sent"] == 1)
    machine.stop(process)
    shown = machine.call("history").output
    assert "[/red] folder" in machine.call("status").output
    assert "[bold]" in shown
    assert "\x1b" not in shown
    assert len(shown.splitlines()) == 2


def test_a_piped_table_cuts_and_wraps_nothing(machine: Machine, share: Path) -> None:
    """One line each, with its whole path, id and conversation, however long they are."""
    deep = share / ("long" * 50) / ("name" * 50)
    deep.mkdir(parents=True)
    (deep / "file.txt").write_text("x")
    machine.set_folder(existing="send")
    process = machine.start()
    eventually(lambda: machine.status()["totals"]["sent"] == 1)
    machine.stop(process)
    (line,) = machine.history()
    _, shown = machine.do("history").stdout.splitlines()
    assert shown.split()[0] == str(line["id"])
    assert str(deep / "file.txt").removeprefix(f"{share}/") in shown
    assert line["conversation_id"] in shown


def test_a_long_name_moves_no_other_line_in_a_pipe(machine: Machine, share: Path) -> None:
    """One name of 200 characters does not pad all lines to its width; sizes are shown."""
    (share / ("long" * 50)).write_text("old")
    (share / "short.txt").write_text("x" * 1500)
    run_once(machine)
    shown = machine.call("history", "--state", "baseline").stdout
    (line,) = [line for line in shown.splitlines() if "short.txt" in line]
    assert len(line) < 100
    assert " 1.5 KB " in line
    assert [line for line in machine.call("status").stdout.splitlines() if line != line.rstrip()] == []


def test_a_long_table_is_printed_as_it_is_read(
    machine: Machine, share: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has one heading and every line once, whatever pages it is read in."""
    for number in range(10):
        (share / f"{number}{'x' * number}.txt").write_text("old")
    run_once(machine)
    whole = machine.call("history", "--state", "baseline").stdout.splitlines()
    monkeypatch.setattr(report, "BASELINE_PAGE", 3)
    pages = machine.call("history", "--state", "baseline").stdout.splitlines()
    assert [line.split() for line in pages] == [line.split() for line in whole]
    assert len(pages) == 11


def test_a_pause_tells_what_is_wrong_and_what_to_do(machine: Machine, share: Path, sandbox: Sandbox) -> None:
    """`status` has scope, end and a reason with advice; the other keys are the contract's."""
    outside = next(one.id for one in sandbox.conversations if not one.robot_inside)
    machine.set_folder(conversation_id=outside)
    machine.start()
    (share / "a.txt").write_text("a")
    eventually(lambda: machine.status()["pauses"])
    (pause,) = machine.status()["pauses"]
    assert set(pause) == {"scope", "until", "reason"}
    assert pause["scope"] == "conversation"
    assert outside in pause["reason"]
    assert "paused: conversation" in machine.do("status").stdout


def test_retry_probes_a_pause_at_once(machine: Machine, share: Path, sandbox: Sandbox) -> None:
    """Nobody who has mended the cause waits for the next try."""
    sandbox.inject(
        Fault(
            api="robot/groupMessages/send",
            kind=FaultKind.ERROR,
            times=1,
            status=400,
            code="invalidParameter.robotCode.notExsit",
        )
    )
    machine.start()
    (share / "a.txt").write_text("a")
    eventually(lambda: machine.status()["pauses"])
    assert machine.do("retry", "--all").returncode == 0
    eventually(lambda: machine.status()["totals"]["sent"] == 1)
    assert machine.status()["pauses"] == []


def test_what_a_folder_left_behind_is_told(
    machine: Machine, tmp_path: Path, share: Path, sandbox: Sandbox
) -> None:
    """A folder that left the config keeps its name in `history`, and `status` tells that something waits."""
    sandbox.inject(Fault(api="media/upload", kind=FaultKind.ERROR, times=None))
    process = machine.start()
    (share / "a.txt").write_text("a")
    eventually(machine.history)
    machine.stop(process)
    (tmp_path / "other").mkdir()
    machine.set_folder(path=str(tmp_path / "other"))
    (line,) = machine.history("--folder", "share", "--state", "failed")
    assert (line["folder"], line["error"]["code"]) == ("share", "unmapped")
    assert "1 file not sent, because" in machine.do("status").stdout


# --- retry ---------------------------------------------------------------------------------------


def test_a_baseline_is_sent_as_far_as_it_is_still_there(
    machine: Machine, share: Path, sandbox: Sandbox
) -> None:
    """One file that is gone does not keep the others; what is left out is named."""
    for name in ("kept.txt", "gone.txt"):
        (share / name).write_text(name)
    run_once(machine)
    (share / "gone.txt").unlink()
    done = machine.do("retry", "--folder", "share", "--baseline")
    assert (done.returncode, "gone.txt" in done.stderr) == (0, True), done.stderr
    machine.start()
    eventually(
        lambda: [m.sha256 for m in sandbox.messages(sandbox.conversations[0].id)] == [sha256(b"kept.txt")]
    )


def test_baselines_by_id_are_all_sent_or_none(machine: Machine, share: Path) -> None:
    """A baseline that is gone, asked for by its id, keeps the others where they are."""
    for name in ("kept.txt", "gone.txt"):
        (share / name).write_text(name)
    run_once(machine)
    (share / "gone.txt").unlink()
    lines = machine.history("--state", "baseline")
    done = machine.do("retry", *(str(line["id"]) for line in lines))
    assert (done.returncode, "gone.txt" in done.stderr) == (1, True)
    assert machine.history() == []
    kept = next(line["id"] for line in lines if line["path"] == "kept.txt")
    assert machine.do("retry", str(kept)).returncode == 0
    assert [line["path"] for line in machine.history()] == ["kept.txt"]


# --- send ----------------------------------------------------------------------------------------


def test_send_that_is_interrupted_keeps_the_file(machine: Machine, tmp_path: Path, sandbox: Sandbox) -> None:
    """After a ^C the row is still there, and the service sends it."""
    sandbox.inject(Fault(api="media/upload", kind=FaultKind.ERROR, times=None))
    (tmp_path / "a.txt").write_text("a")
    machine.start()
    sending = machine.launch("send", str(tmp_path / "a.txt"), "--to", "share")
    eventually(lambda: any(row["attempts"] for row in machine.history()))
    sending.send_signal(signal.SIGINT)
    _, said = sending.communicate(timeout=PATIENCE)
    assert (sending.returncode, "stay in the ledger" in said) == (1, True), said
    sandbox.clear_faults()
    machine.do("retry", "--all")
    eventually(lambda: machine.status()["totals"]["sent"] == 1)


def test_send_tells_what_it_waits_for(machine: Machine, tmp_path: Path, sandbox: Sandbox) -> None:
    """With a running service, a pause that holds the file is told, with its advice."""
    outside = next(one.id for one in sandbox.conversations if not one.robot_inside)
    (tmp_path / "a.txt").write_text("a")
    machine.start()
    sending = machine.launch("send", str(tmp_path / "a.txt"), "--to", outside)
    assert sending.stderr is not None
    assert select.select([sending.stderr], [], [], PATIENCE)[0]
    assert outside in sending.stderr.readline()


# --- check ---------------------------------------------------------------------------------------


def test_a_problem_of_the_whole_file_has_no_empty_key(machine: Machine) -> None:
    """What is wrong with no one key is told by its line, or by the sentence alone."""
    machine.path.write_text("folders: [", encoding="utf-8")
    assert "\n  (line 1): " in machine.call("status").output
    machine.path.write_text("", encoding="utf-8")
    assert "\n  The file has no keys" in machine.call("status").output


def test_check_reports_a_bad_config_and_exits_1(machine: Machine) -> None:
    """Every problem is a failed line with key and line; 78 is for those that cannot go on."""
    machine.path.write_text("langauge: zh\ndingtalk: {client_id: 5}\n", encoding="utf-8")
    done = machine.call("check")
    assert done.exit_code == 1
    assert "langauge (line 1)" in done.stdout
    assert all(line.startswith("FAIL") for line in done.stdout.splitlines())
    assert machine.call("status").exit_code == 78


def test_check_warns_of_a_config_without_folders(machine: Machine) -> None:
    """It is no mistake, for `send` needs none, and hardly what somebody wants."""
    machine.settings["folders"] = []
    machine.write()
    checked = machine.call("check", "--offline")
    assert (checked.exit_code, checked.output.splitlines()[0]) == (0, "warn  the config is valid, 0 folders")


def test_check_tells_what_the_first_run_would_do(machine: Machine, share: Path) -> None:
    """Baselines or messages, the month's calls against the plan, and nothing once it has run."""
    for number in range(3):
        (share / f"{number}.txt").write_text("x")
    (share / ".hidden").write_text("x")
    assert "does not send 3 existing files" in machine.call("check", "--offline").output
    machine.settings["folders"][0]["existing"] = "send"
    machine.settings["dingtalk"]["monthly_calls"] = 5
    machine.write()
    done = machine.call("check", "--offline")
    assert done.exit_code == 0
    assert "sends 3 messages, about 6 API calls" in done.output
    assert any(line.startswith("warn") and "of 5 in" in line for line in done.output.splitlines())
    process = machine.start()
    eventually(lambda: machine.status()["totals"]["sent"] == 3)
    machine.stop(process)
    assert "only new files are sent" in machine.call("check", "--offline").output


def test_check_counts_its_own_calls(machine: Machine, sandbox: Sandbox) -> None:
    """Asking for robots costs a call of the month's, which the meter shows."""
    run_once(machine)
    assert machine.call("check").exit_code == 0
    assert machine.status()["api_calls"]["used"] == sandbox.calls()[API_ROBOTS] == 1


def test_check_does_not_call_an_unanswered_question_a_missing_robot(
    machine: Machine, sandbox: Sandbox
) -> None:
    """Where the app may not ask, it says so instead of sending the admin into the group's settings."""
    sandbox.inject(
        Fault(
            api=API_ROBOTS,
            kind=FaultKind.ERROR,
            times=None,
            status=403,
            code="Forbidden.AccessDenied.AccessTokenPermissionDenied",
        )
    )
    done = machine.call("check")
    assert done.exit_code == 1
    assert "cannot list the robots" in done.output


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_check_names_a_directory_that_cannot_be_read(machine: Machine, share: Path) -> None:
    """What lies in it would never be sent."""
    (share / "closed").mkdir(mode=0o000)
    done = machine.call("check", "--offline")
    assert (done.exit_code, "closed" in done.output) == (1, True)


# --- demo, sandbox and the rest ------------------------------------------------------------------


def until(
    process: subprocess.Popen[str], beginning: str, holding: str = "", stream: IO[str] | None = None
) -> list[str]:
    """Return the lines that a process says, up to one that begins like this and holds that."""
    heard = stream or process.stdout
    assert heard is not None
    lines: list[str] = []
    while not (lines and lines[-1].startswith(beginning) and holding in lines[-1]):
        lines.append(heard.readline())
        assert lines[-1], lines
    return lines


@contextmanager
def begin(*words: str, language: str = ENGLISH, **environ: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command beside the test; it is not left running, whatever the test finds."""
    surroundings = {**os.environ, "LC_ALL": language, **environ}
    if language == ENGLISH and not environ:
        process: subprocess.Popen[str] = ForkedCommand(list(words), surroundings)
    else:
        command = [*DINGWATCH, *words]
        pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(command, text=True, env=surroundings, **pipes)
    patience = threading.Timer(PATIENCE, process.kill)
    patience.start()
    try:
        yield process
    finally:
        patience.cancel()
        process.kill()
        process.communicate()


def test_the_demo_delivers_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """It prints folder, chat and status page, speaks the user's language, and its folder goes with it."""
    with begin("demo", language="zh_CN.UTF-8", TMPDIR=str(tmp_path)) as demo:
        lines = until(demo, "ready")
        share = Path(next(x for x in lines if x.startswith("folder: ")).removeprefix("folder: ").rstrip("\n"))
        assert share.is_dir()
        (share / "你好.txt").write_text("hello", encoding="utf-8")
        page = urlsplit(next(x for x in lines if x.startswith("page: ")).removeprefix("page: ").strip())
        assert page.hostname == "127.0.0.1"
        status = next(x for x in lines if x.startswith("status: ")).removeprefix("status: ").strip()
        with urlopen(status) as answer:  # noqa: S310 (the demo's own)
            assert "dingwatch" in answer.read().decode()
        until(demo, "", "你好.txt", demo.stderr)
        demo.send_signal(signal.SIGINT)
        assert demo.wait(PATIENCE) == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.shows_secret("the config is made to be copied, and its secret opens only the sandbox")
def test_the_sandbox_prints_a_config_that_works(machine: Machine, share: Path) -> None:
    """Its YAML block is what a config needs, and its conversations take files."""
    with begin("sandbox", "--port", "0") as running:
        lines = until(running, "conversation_id: ")
        block = "".join(lines[lines.index("dingtalk:\n") : -1])
        conversation = lines[-1].split()[1]
        machine.path.write_text(
            f"{block}state_dir: {machine.settings['state_dir']}\n"
            f"folders: [{{path: {share}, conversation_id: {conversation}}}]\n",
            encoding="utf-8",
        )
        assert machine.do("check").returncode == 0, machine.do("check").stdout
        running.terminate()
        assert running.wait(PATIENCE) == 0


@pytest.mark.shows_secret("the config is made to be copied, and its secret opens only the sandbox")
@pytest.mark.parametrize(("host", "warned"), [("", True), ("127.0.0.1", False)])
def test_the_sandbox_says_what_it_opens_to_the_network(host: str, *, warned: bool) -> None:
    """It has no password: who lets others reach it learns what they can do there."""
    with begin("sandbox", "--host", host, "--port", "0") as running:
        until(running, "conversation_id: ")
        running.terminate()
        _, said = running.communicate(timeout=PATIENCE)
    assert ("open to the network" in said and "without a password" in said) == warned


def test_the_config_may_be_named_before_the_command(machine: Machine, tmp_path: Path) -> None:
    """`dingwatch -c FILE status` is `dingwatch status -c FILE`; of two files, the one after it counts."""
    runner, path, other = CliRunner(), str(machine.path), str(tmp_path / "other.yaml")
    before = runner.invoke(cli, ["-c", path, "status", "--json"])
    assert (before.exit_code, json.loads(before.stdout)) == (0, machine.status())
    assert runner.invoke(cli, ["-c", other, "status", "-c", path]).exit_code == 0
    assert runner.invoke(cli, ["-c", path, "status", "-c", other]).exit_code == 78


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can hide /proc")
def test_a_machine_without_proc_is_told_so(machine: Machine) -> None:
    """One sentence, and no complaint about the ledger's disk."""
    hidden = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh"]
    done = subprocess.run([*hidden, *machine.command("run")], capture_output=True, text=True, check=False)
    if "unshare:" in done.stderr:
        pytest.skip(done.stderr)
    assert (done.returncode, done.stderr.count("\n")) == (78, 1), done.stderr
    assert "/proc" in done.stderr


LOST: tuple[str, ...] = ("full", "closed", "gone")
"""What becomes of what is printed: the disk is full, the stream is closed, or its reader has gone."""


@contextmanager
def lost_output(how: str) -> Iterator[IO[bytes]]:
    """Yield a stream that takes nothing."""
    if how == "gone":
        reader, writer = os.pipe()
        os.close(reader)
        with os.fdopen(writer, "wb", closefd=True) as stream:
            yield stream
    else:
        with Path("/dev/full" if how == "full" else os.devnull).open("wb") as stream:
            yield stream


def without_output(machine: Machine, how: str, *words: str) -> list[str]:
    """Return a command line that closes stdin, and stdout as well if that is how the output is lost."""
    close = "<&- >&-" if how == "closed" else "<&-"
    return ["/bin/sh", "-c", f'exec "$@" {close}', "sh", *machine.command(*words)]


@pytest.mark.parametrize("how", LOST)
@pytest.mark.parametrize("words", [("status",), ("--help",)])
def test_a_command_whose_output_is_lost_says_so_in_one_line(
    machine: Machine, how: str, words: tuple[str, ...]
) -> None:
    """It ends with exit code 1 and without a traceback; with stderr lost too, nothing is left to say."""
    command = without_output(machine, how, *words)
    with lost_output(how) as stream:
        done = subprocess.run(command, stdout=stream, stderr=subprocess.PIPE, text=True, check=False)
        silent = subprocess.run(command, stdout=stream, stderr=stream, check=False)
    assert (done.returncode, done.stderr.count("\n"), silent.returncode) == (1, 1, 1), done.stderr
    assert "cannot write to standard output" in done.stderr


@pytest.mark.parametrize("how", LOST)
def test_the_service_needs_no_output(machine: Machine, share: Path, sandbox: Sandbox, how: str) -> None:
    """It goes on, sends, and says in its log that nobody reads; SIGHUP has it read the config again."""
    with lost_output(how) as stream:
        process = subprocess.Popen(
            without_output(machine, how, "run"), stdout=stream, stderr=subprocess.PIPE, text=True
        )
    machine.running.append(process)
    eventually(lambda: machine.status()["folders"][0]["watch"] == "inotify")
    process.send_signal(signal.SIGHUP)
    (share / "a.txt").write_bytes(b"a")
    eventually(sent(sandbox, 1))
    assert machine.call("reload").exit_code == 0  # it comes after that of the signal
    process.terminate()
    log = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == 0, log
    assert (
        log.count("cannot write to standard output"),
        log.count("config reloaded: nothing has changed"),
    ) == (1, 2)
    assert "ledger" not in log


def test_help_is_in_the_language_of_the_locale() -> None:
    """Before a config is known, LC_ALL goes before LC_MESSAGES and LANG."""
    helped = {}
    for language in ("zh_CN.UTF-8", "en_GB.UTF-8", ""):
        with begin("--help", language=language, LANG="zh_CN.UTF-8", LC_MESSAGES="") as process:
            helped[language] = process.communicate(timeout=PATIENCE)[0]
    assert "钉钉" in helped["zh_CN.UTF-8"]
    assert "钉钉" not in helped["en_GB.UTF-8"]
    assert "钉钉" in helped[""]


def test_a_terminal_without_chinese_ends_no_command(machine: Machine) -> None:
    """Where an encoding has no such character it is escaped; `--json` stays JSON."""
    machine.set_folder(name="财务")
    run_once(machine)
    done = subprocess.run(
        machine.command("status"),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert (done.returncode, "\\u8d22" in done.stdout) == (0, True), done.stderr
    assert json.loads(machine.do("status", "--json").stdout)["folders"][0]["name"] == "财务"
