from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from click.testing import CliRunner, Result

from dingwatch.cli.app import cli
from dingwatch.sandbox import Sandbox
from tests.fork_server import ForkedCommand
from tests.support import HAS_FAILED, PATIENCE

Settings = dict[str, Any]
ENGLISH: Final = "en_GB.UTF-8"
DINGWATCH: Final = [sys.executable, "-m", "dingwatch"]


@dataclass
class Machine:
    """A config file, and the commands as they are typed."""

    path: Path
    settings: Settings
    running: list[subprocess.Popen[str]] = field(default_factory=list)
    constants: dict[str, float] = field(default_factory=dict)
    """Values of dingwatch's constants, by their full names, for commands that are launched from now on."""
    preload: dict[str, str] = field(default_factory=dict)
    """Variables that a forked command would not heed, as LD_PRELOAD: with them, commands are executed."""

    @property
    def state_dir(self) -> Path:
        """Return the state directory."""
        return Path(self.settings["state_dir"])

    def write(self) -> None:
        """Write the config file."""
        self.path.write_text(yaml.safe_dump(self.settings, allow_unicode=True), encoding="utf-8")
        self.path.chmod(0o600)

    def set_folder(self, **changes: object) -> None:
        """Change settings of the first folder, in the config file too."""
        self.settings["folders"][0] |= changes
        self.write()

    def command(self, *words: str) -> list[str]:
        """Return a command line."""
        variables = [f"{name}={value}" for name, value in self.preload.items()]
        prefix = ["/usr/bin/env", *variables] if variables else []
        return [*prefix, *DINGWATCH, words[0], "-c", str(self.path), *words[1:]]

    def do(self, *words: str, language: str = ENGLISH) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; in a process of its own where it must have one.

        `run` ends its process, and help is in the language in which the program is loaded.
        """
        if words[0] != "run" and language == ENGLISH:
            done = self.call(*words, LANG=language)
            return subprocess.CompletedProcess(words, done.exit_code, done.stdout, done.stderr)
        environ = {**os.environ, "LANG": language, "LC_ALL": language}
        command = self.command(*words)
        if language == ENGLISH and command[:3] == DINGWATCH:
            with ForkedCommand(command[3:], environ) as process:
                said = process.communicate(timeout=PATIENCE)
            return subprocess.CompletedProcess(words, process.returncode, *said)
        return subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, check=False, env=environ
        )

    def launch(self, *words: str) -> subprocess.Popen[str]:
        """Start a command, to run beside the test."""
        command = self.command(*words)
        if command[:3] == DINGWATCH:
            process: subprocess.Popen[str] = ForkedCommand(command[3:], constants=self.constants)
        else:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.running.append(process)
        return process

    def start(self) -> subprocess.Popen[str]:
        """Start the service and wait until it says that it is ready."""
        process = self.launch("run")
        assert process.stdout is not None
        until = time.monotonic() + PATIENCE
        while select.select([process.stdout], [], [], until - time.monotonic())[0]:
            line = process.stdout.readline()
            assert line, process.stderr.read() if process.stderr else ""
            if line.split(" ")[0].strip() == "ready":
                return process
        raise AssertionError("the service did not become ready")

    def stop(self, process: subprocess.Popen[str], number: int = signal.SIGTERM) -> int:
        """End the service with a signal; return its exit code."""
        process.send_signal(number)
        process.communicate(timeout=PATIENCE)
        return process.returncode

    def kill_left_over(self) -> None:
        """Let no process outlive its test."""
        for process in self.running:
            if process.poll() is None:
                process.kill()
            process.communicate()

    def show_left_over(self) -> None:
        """Print what the processes have logged, and where in the code a service is that still runs."""
        for process in self.running:
            if process.poll() is None:
                process.send_signal(signal.SIGABRT)
            try:
                said = process.communicate(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                continue
            print(process.args, process.returncode, *said, sep="\n")  # noqa: T201 (pytest shows it)

    def call(self, *words: str, **environ: str) -> Result:
        """Run a command to its end in this process, which saves the second in which Python starts."""
        language = {"LC_ALL": ENGLISH, **environ}
        return CliRunner().invoke(cli, [words[0], "-c", str(self.path), *words[1:]], env=language)

    def status(self) -> Settings:
        """Return what `status --json` says."""
        done = self.call("status", "--json")
        assert done.exit_code == 0, done.output
        answer: Settings = json.loads(done.stdout)
        return answer

    def history(self, *words: str) -> list[Settings]:
        """Return what `history --json` says."""
        return [json.loads(line) for line in self.call("history", "--json", *words).stdout.splitlines()]


def settings_for(tmp_path: Path, share: Path, sandbox: Sandbox) -> Settings:
    """Return a config with one folder, mapped to the sandbox's first conversation, and without any pace."""
    return {
        "language": "en",
        "dingtalk": {
            "client_id": sandbox.client_id,
            "client_secret": sandbox.client_secret,
            "api_url": sandbox.url,
            "oapi_url": sandbox.url,
        },
        "state_dir": str(tmp_path / "state"),
        "pace": {"per_api": None, "per_conversation": None},
        "folders": [
            {
                "path": str(share),
                "conversation_id": sandbox.conversations[0].id,
                "settle": "100ms",
                "poll_interval": "500ms",
            }
        ],
    }


@pytest.fixture
def machine(
    request: pytest.FixtureRequest, tmp_path: Path, share: Path, sandbox: Sandbox
) -> Iterator[Machine]:
    """A machine with one folder that is mapped to the sandbox's first conversation."""
    made = Machine(tmp_path / "config.yaml", settings_for(tmp_path, share, sandbox))
    made.write()
    yield made
    if request.node.stash.get(HAS_FAILED, False):
        made.show_left_over()
    made.kill_left_over()


Count = Callable[[], int]
