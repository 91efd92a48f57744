"""What a command imports, and whom it asks: a monitor calls `status` every minute."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dingwatch.cli.app import COMMANDS
from dingwatch.host import control_socket
from dingwatch.sandbox import Fault, FaultKind, Sandbox
from tests.integration.conftest import ENGLISH, Machine
from tests.support import PATIENCE, eventually, sent

SLOW = {"aiohttp", "importlib.metadata", "pydantic", "requests", "rich", "sqlalchemy", "watchdog", "yaml"}
"""Each takes longer to import than `--version` takes as a whole, or nearly."""
ALL_COMMANDS = {f"dingwatch.cli.{module}" for module, _ in COMMANDS.values()}
REFUSED = Fault("robot/groupMessages/send", FaultKind.ERROR, code="bot.stopped", status=400, times=None)


def imported(report: str) -> set[str]:
    """Return the modules that Python reports with `-v`."""
    return set(re.findall(r"^import '([\w.]+)' #", report, re.MULTILINE))


def run(words: list[str], **environ: str) -> tuple[str, set[str]]:
    """Run a command; return what it prints and what it imports."""
    env = {**os.environ, "LC_ALL": ENGLISH, **environ}
    words = [words[0], "-v", *words[1:]]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=env, timeout=PATIENCE)
    return done.stdout, imported(done.stderr)


DINGWATCH = [sys.executable, "-m", "dingwatch"]
COMPLETE = {"_DINGWATCH_COMPLETE": "bash_complete", "COMP_WORDS": "dingwatch st", "COMP_CWORD": "1"}


@pytest.mark.parametrize(
    ("words", "environ", "expected"),
    [
        (["--version"], {}, "version"),
        (["--help"], {}, "Show the status of the service"),
        ([], COMPLETE, "status"),
    ],
    ids=["version", "help", "completion"],
)
def test_what_concerns_no_command_imports_none(
    words: list[str], environ: dict[str, str], expected: str
) -> None:
    """The version, the list of commands, and completion need no command's module, and of libraries click."""
    printed, modules = run([*DINGWATCH, *words], **environ)
    assert expected in printed
    assert modules & (ALL_COMMANDS | SLOW) == set()
    assert "dingwatch.cli.app" in modules


def test_the_help_of_a_command_imports_that_command_alone() -> None:
    """`dingwatch status --help` shows its options."""
    printed, modules = run([*DINGWATCH, "status", "--help"])
    assert "--json" in printed
    assert modules & ALL_COMMANDS == {"dingwatch.cli.status"}


@pytest.mark.parametrize("words", [("status",), ("status", "--json"), ("why", "{share}/a.txt")])
def test_a_running_service_answers_without_a_ledger(
    machine: Machine, share: Path, words: tuple[str, ...]
) -> None:
    """While the service runs with the config file as it is, a question needs neither SQL nor pydantic."""
    process = machine.start()
    words = tuple(word.format(share=share) for word in words)
    printed, modules = run(machine.command(*words))
    machine.stop(process)
    assert "share" in printed
    assert modules & (SLOW - {"rich", "yaml"}) == set()
    _, modules = run(machine.command(*words))
    assert {"sqlalchemy", "pydantic"} <= modules


def test_the_service_imports_what_it_needs(machine: Machine, tmp_path: Path) -> None:
    """Nothing of other commands, of what prints for people, or of the sandbox takes memory in the service."""
    report = tmp_path / "report"
    with report.open("w") as file:
        python, *words = machine.command("run")
        process = subprocess.Popen([python, "-v", *words], stdout=subprocess.PIPE, stderr=file, text=True)
        machine.running.append(process)
        assert process.stdout is not None
        assert process.stdout.readline().startswith("ready")
        mapped = Path(f"/proc/{process.pid}/maps").read_text(encoding="utf-8")
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    modules = imported(report.read_text(encoding="utf-8"))
    assert modules & ALL_COMMANDS == {"dingwatch.cli.run"}
    foreign = {
        "dingwatch.sandbox",
        "prometheus_client",
        "rich",
        "sqlalchemy.dialects.postgresql",
        "psycopg",
        "alembic",
    }
    assert modules & foreign == set()
    assert "sqlalchemy" in modules
    # The config file was checked in a child process, whose imports are reported like the service's own.
    assert "pydantic" in modules
    assert "pydantic_core" not in mapped


def test_the_service_answers_as_its_ledger_does(
    machine: Machine, share: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the service reads its ledger or leaves that to the command, every byte printed is the same."""
    (share / "old.txt").write_text("old")
    machine.settings["folders"][0]["exclude"] = ["*.iso"]
    machine.write()
    machine.start()
    (share / "报告 1.txt").write_text("a")
    (share / b"\xff.txt".decode("utf-8", "surrogateescape")).write_text("b")
    eventually(sent(sandbox, 2))
    eventually(lambda: machine.status()["totals"]["sent"] == 2)
    sandbox.inject(REFUSED)
    (share / "c.txt").write_text("c")
    eventually(lambda: machine.status()["pauses"])
    paths = ["old.txt", "报告 1.txt", "\\xff.txt", "c.txt", "d.iso", "nowhere.txt"]
    questions = [
        ("status",),
        ("status", "--json"),
        ("status", "--metrics"),
        *(("why", name) for name in paths),
        *(("why", f"{share}/{name}") for name in paths),
    ]
    answer = control_socket.ask

    def ask_about_no_ledger(*arguments: object) -> dict[str, object]:
        """Ask, and drop what the service has read in its ledger, as if it could not read it."""
        return {key: value for key, value in answer(*arguments).items() if key != "recorded"}  # type: ignore[arg-type]

    def both(words: tuple[str, ...]) -> list[tuple[str, int]]:
        """Return the output and the exit code of a command with the service's answer, and without."""
        done = []
        for one in (answer, ask_about_no_ledger):
            monkeypatch.setattr(control_socket, "ask", one)
            done.append(machine.call(*words))
        return [(one.output, one.exit_code) for one in done]

    assert "bot.stopped" in both(("status",))[0][0]
    for words in questions:
        # The pause is prolonged now and then, perhaps between the two.
        eventually(lambda words=words: len(set(both(words))) == 1)  # type: ignore[misc]


def test_a_reload_imports_no_ledger(machine: Machine) -> None:
    """The service does it; the command checks the file, asks, and prints what came of it."""
    machine.start()
    printed, modules = run(machine.command("reload"))
    assert printed == "nothing has changed\n"
    assert modules & {"sqlalchemy", "watchdog", "requests", "rich"} == set()


def test_the_list_of_commands_cuts_no_sentence() -> None:
    """A newcomer reads it first."""
    for words in (["--help"], ["ledger", "--help"]):
        printed, _ = run([*DINGWATCH, *words])
        assert "..." not in printed.partition("Commands:")[2], printed
