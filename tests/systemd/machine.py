"""A machine of its own for tests of the service under systemd: the host's systemd, booted in namespaces."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support import eventually

BOOT: Final = Path(__file__).with_name("boot.sh")
NAMESPACES: Final = ("-m", "-r", "-w", "-p", "-n", "-u", "-i", "-C")
NEEDED: Final = ("unshare", "nsenter", "ip", "chroot", "systemctl", "systemd-run")
"""Programs without which no machine boots."""


def missing() -> str:
    """Return why no machine can boot here; nothing if it can."""
    if os.geteuid() != 0:
        return "a machine of its own needs root"
    absent = [one for one in NEEDED if shutil.which(one) is None]
    if absent:
        return f"not installed: {', '.join(absent)}"
    if subprocess.run(
        ["/usr/bin/python3", "-c", "import ensurepip"], check=False, capture_output=True
    ).returncode:
        return "Debian's python3-venv is not installed"
    return ""


@dataclass(frozen=True)
class Setup:
    """What a machine is made of."""

    source: Path
    """The directory from which dingwatch is installed."""
    install: str
    """The commands that install it there."""
    below: Path = Path("/")
    """The root directory of the system that the machine sees a copy of: this host's."""


class Machine:
    """A booted machine. It has no network but loopback, and sees a copy of a system's files."""

    def __init__(self, directory: Path, setup: Setup) -> None:
        """Name the empty directory that it lives in, and what it is made of."""
        self._directory = directory
        self._setup = setup

    def boot(self) -> None:
        """Install dingwatch, boot, and wait until systemd runs."""
        with (self._directory / "console").open("wb") as console:
            apart = ("unshare", "--mount", "--propagation", "private", "--uts", "--ipc")
            self._outer = subprocess.Popen(
                [
                    *apart,
                    str(BOOT),
                    str(self._mount_point()),
                    str(self._setup.source),
                    self._setup.install,
                    str(self._setup.below),
                ],
                stdout=console,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )
        eventually(self._has_booted, patience=300)

    def _mount_point(self) -> Path:
        point = self._directory / "machine"
        point.mkdir()
        return point

    def _has_booted(self) -> bool:
        assert self._outer.poll() is None, (self._directory / "console").read_text("utf-8", "replace")
        # boot.sh takes the place of unshare, and another unshare its own: the only child is process 1.
        outer = f"/proc/{self._outer.pid}/task/{self._outer.pid}/children"
        with suppress(FileNotFoundError, ProcessLookupError):  # one that ends meanwhile
            children = Path(outer).read_text("ascii").split()
            if len(children) == 1 and "systemd" in Path(f"/proc/{children[0]}/comm").read_text("ascii"):
                self._init = int(children[0])
                return self._runs()
        return False

    def _runs(self) -> bool:
        return self.try_run("systemctl", "is-system-running").stdout.strip() in {"running", "degraded"}

    def try_run(
        self, *command: str, stdin: str | None = None, patience: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in the machine, as root; return what it printed and its exit code."""
        inside = ["nsenter", "-t", str(self._init), *NAMESPACES, "env", "-i", "LANG=C.UTF-8", "HOME=/root"]
        path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return subprocess.run(
            [*inside, path, *command],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=patience,
        )

    def run(self, *command: str, stdin: str | None = None, patience: float = 120) -> str:
        """Run a program in the machine and return its output; it must succeed."""
        done = self.try_run(*command, stdin=stdin, patience=patience)
        assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def write(self, path: str, content: str, mode: str = "0644") -> None:
        """Write a file, and the directories above it."""
        self.run("install", "-D", "-m", mode, "/dev/stdin", path, stdin=content)

    def show(self, unit: str, name: str) -> str:
        """Return a property of a unit."""
        return self.run("systemctl", "show", unit, "--property", name, "--value").strip()

    def journal(self, unit: str, *options: str) -> str:
        """Return the lines of a unit in the journal."""
        self.run("journalctl", "--sync")
        return self.run("journalctl", "-u", unit, "--output=cat", "--no-pager", *options)

    def close(self) -> None:
        """End every process of the machine; its files go with it."""
        if self._outer.poll() is None:
            # unshare waits for process 1, and ends it with itself (--kill-child).
            self._outer.send_signal(signal.SIGKILL)
        self._outer.wait()
