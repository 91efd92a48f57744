"""The systemd unit that runs a service: which one it is, and where it may write."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

ASK_SECONDS: Final = 5.0
_PROPERTIES: Final = (
    *("Id", "LoadState", "ExecStart", "ProtectSystem", "ProtectHome", "ReadWritePaths", "ReadOnlyPaths"),
)
_SYSTEM: Final[Mapping[str, tuple[str, ...]]] = {
    "yes": ("/usr", "/boot", "/efi"),
    "full": ("/usr", "/boot", "/efi", "/etc"),
    "strict": ("/",),
}
"""Directories that `ProtectSystem=` makes read-only (systemd.exec(5))."""
_HOMES: Final = ("/home", "/root", "/run/user")
"""Directories that `ProtectHome=read-only` makes read-only."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit with the directories that are read-only for it, and those within them that are not."""

    name: str
    command: str
    """As `systemctl show` has it: the program, its words and when it ran."""
    read_only: tuple[str, ...]
    writable: tuple[str, ...]

    def may_write(self, path: str) -> bool:
        """Return whether the unit leaves a path writable; the longest path that holds it decides."""
        return _depth(path, self.writable) >= _depth(path, self.read_only)

    def runs_with(self, config: Path) -> bool:
        """Return whether its command names this config file."""
        wanted = {str(config), os.path.realpath(config)}
        return any(word.removeprefix("--config=") in wanted for word in self.command.split())


def _depth(path: str, holders: Iterable[str]) -> int:
    """Return how many parts the longest of the paths has that hold this one; -1 if none does."""
    whole = PurePosixPath(path)
    return max((len(PurePosixPath(one).parts) for one in holders if whole.is_relative_to(one)), default=-1)


def parse_units(shown: str) -> list[Unit]:
    """Return the units that `systemctl show` has printed; one that is not installed is left out."""
    found = []
    for block in shown.strip().split("\n\n"):
        told = dict(line.partition("=")[::2] for line in block.splitlines())
        if told.get("LoadState") != "loaded":
            continue
        read_only = [*_SYSTEM.get(told.get("ProtectSystem", ""), ()), *_paths(told.get("ReadOnlyPaths", ""))]
        if told.get("ProtectHome") == "read-only":
            read_only += _HOMES
        found.append(
            Unit(
                name=told.get("Id", ""),
                command=told.get("ExecStart", ""),
                read_only=tuple(read_only),
                writable=_paths(told.get("ReadWritePaths", "")),
            )
        )
    return found


def _paths(listed: str) -> tuple[str, ...]:
    """Return the paths of a list; each may begin with `-` (it may be absent) or `+` (in RootDirectory=)."""
    try:
        words = shlex.split(listed)
    except ValueError:  # a lone quote, from a systemd that quotes nothing
        words = listed.split()
    return tuple(one.lstrip("-+") for one in words)


def quote_path(path: str) -> str:
    """Return a path as a line of a unit file has it; `-` lets the unit start where the share is not there."""
    escaped = path.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    plain = not any(character.isspace() or character in "\"'\\" for character in path)
    return f"-{escaped}" if plain else f'"-{escaped}"'


def ask_systemd(words: Sequence[str], seconds: float) -> subprocess.CompletedProcess[bytes]:
    """Run one of systemd's programs, which answers in English.

    Raises:
        OSError, subprocess.TimeoutExpired: there is no answer.
    """
    environ = {**os.environ, "LC_ALL": "C.UTF-8"}
    return subprocess.run(words, capture_output=True, check=False, timeout=seconds, env=environ)  # noqa: S603 (our own words)


def show_units(names: Sequence[str]) -> list[Unit]:
    """Return the installed ones of some units; none where systemd does not run, or does not answer."""
    program = shutil.which("systemctl")
    if program is None or not names:
        return []
    words = [program, "show", "--no-pager", f"--property={','.join(_PROPERTIES)}", "--", *names]
    try:
        done = ask_systemd(words, ASK_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return parse_units(done.stdout.decode("utf-8", "surrogateescape")) if done.returncode == 0 else []


def unit_of_process(pid: int) -> str | None:
    """Return the name of the service unit of a process; None for one that was started by hand."""
    try:
        groups = Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8")
    except OSError:
        return None
    last = groups.rstrip().rpartition("/")[2]
    return last if last.endswith(".service") and not last.startswith("user@") else None


def likely_units(config: Path) -> list[str]:
    """Return the names of the units that may run with a config file: the one unit, or an instance."""
    return ["dingwatch.service", f"dingwatch@{config.stem}.service"]
