from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from dingwatch.config.values import Config
from dingwatch.model import WatchKind
from dingwatch.sandbox import Sandbox
from dingwatch.service.daemon import Service
from tests.integration.conftest import Machine, settings_for
from tests.support import PATIENCE, Heard, config, eventually, folder, names, running


def arrive(sandbox: Sandbox, wanted: Collection[str], patience: float = PATIENCE) -> None:
    """Wait until these have arrived, and see that they and nothing else came, once each."""
    eventually(lambda: set(wanted) <= set(names(sandbox)), patience)
    assert Counter(names(sandbox)) == Counter(wanted)


@dataclass
class Watched:
    """A service that watches one folder, and what the conversation shows of it."""

    setting: Config
    sandbox: Sandbox
    heard: Heard = field(default_factory=Heard)
    service: Service = field(init=False)

    @contextmanager
    def running(self, **changes: Any) -> Iterator[Service]:  # noqa: ANN401 (settings of the folder)
        """Run the service, and see that nothing unexpected ended it."""
        one = replace(self.setting.folders[0], **changes)
        with running(replace(self.setting, folders=(one,)), self.heard) as self.service:
            yield self.service

    def arrives(self, *names: str, patience: float = PATIENCE) -> None:
        """Wait until these have arrived, and see that they and nothing else came, once each."""
        arrive(self.sandbox, names, patience)

    def kind(self) -> WatchKind:
        """Return how the folder is watched now."""
        ((kind, _),) = self.service.watching().values()
        return kind

    def becomes(self, kind: WatchKind) -> None:
        """Wait until it is watched in this way."""
        eventually(lambda: self.kind() is kind)


@pytest.fixture
def watched(tmp_path: Path, share: Path, sandbox: Sandbox) -> Watched:
    """A folder mapped to the first conversation, looked at often, scanned seldom."""
    one = folder(share, sandbox.conversations[0].id)
    return Watched(config(tmp_path / "state", sandbox, one), sandbox)


Mount = Callable[..., None]


@pytest.fixture
def mount() -> Iterator[Mount]:
    """Mount something somewhere; what is still mounted at the end is unmounted."""
    with ExitStack() as stack:

        def mounted(place: Path, *words: str) -> None:
            done = subprocess.run(
                [_tool("mount"), *words, str(place)], capture_output=True, text=True, check=False
            )
            if done.returncode:
                pytest.skip(f"mounting is not permitted here: {done.stderr.strip()}")
            stack.callback(unmount, place, check=False)

        yield mounted


def unmount(place: Path, *, check: bool = True) -> None:
    """Take away what is mounted there, also while it is in use."""
    subprocess.run([_tool("umount"), "--lazy", str(place)], capture_output=True, check=check)


def _tool(name: str) -> str:
    return shutil.which(name) or pytest.skip(f"there is no {name} here")


@pytest.fixture
def server(tmp_path: Path, share: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A file system at the shared folder; the process that serves it."""
    command = shutil.which("bindfs")
    if command is None or os.geteuid() != 0:
        pytest.skip("needs bindfs and root")
    (tmp_path / "behind").mkdir()
    with subprocess.Popen([command, "-f", tmp_path / "behind", share]) as process:
        eventually(share.is_mount)
        yield process
        process.send_signal(signal.SIGCONT)
        subprocess.run(["/usr/bin/env", "umount", "-l", share], check=True)
        process.kill()


class Confined(Machine):
    """A machine whose service runs behind a prefix: with fewer rights, or with a lower limit."""

    prefix: tuple[str, ...] = ()

    def command(self, *words: str) -> list[str]:
        """Return a command line."""
        return [*(self.prefix if words[0] == "run" else ()), *super().command(*words)]

    def behind(self, *prefix: str) -> None:
        """Run the service behind these words; skip the test where the system does not allow it."""
        allowed = subprocess.run([*prefix, "true"], capture_output=True, text=True, check=False)
        if allowed.returncode:
            pytest.skip(f"{prefix[0]} is not permitted here: {allowed.stderr.strip()}")
        self.prefix = prefix

    def limited(self, name: str, number: int) -> None:
        """Have the service live in a user namespace with a limit of its own."""
        set_it = f'echo {number} > /proc/sys/user/{name} && exec "$@"'
        self.behind(_tool("unshare"), "--user", "--map-root-user", "sh", "-c", set_it, "sh")

    def limit_is(self, process: subprocess.Popen[str], name: str, number: int) -> None:
        """Change that limit while the service runs."""
        words = ["--user", "--preserve-credentials", f"--target={process.pid}"]
        set_it = f"echo {number} > /proc/sys/user/{name}"
        subprocess.run([_tool("nsenter"), *words, "sh", "-c", set_it], check=True)

    def watch(self) -> str:
        """Return how `status` says that the folder is watched."""
        return str(self.status()["folders"][0]["watch"])

    def end(self, process: subprocess.Popen[str]) -> str:
        """End the service and return what it logged."""
        process.terminate()
        _, logged = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, logged
        return logged


@pytest.fixture
def confined(tmp_path: Path, share: Path, sandbox: Sandbox) -> Iterator[Confined]:
    """A machine with one folder, as a process of its own."""
    made = Confined(tmp_path / "config.yaml", settings_for(tmp_path, share, sandbox))
    made.set_folder(poll_interval="200ms")
    yield made
    made.kill_left_over()
