"""Runs a program on a file that is open: what it says decides whether the file may leave (`before_send`)."""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess  # the program is the admin's own, and no shell reads its arguments
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Final

from dingwatch.delivery import Screening
from dingwatch.model import Cause, Failure, NotReached, ScreenedOut, ScreeningFailed

LONGEST_OUTPUT: Final = 4096
"""Bytes of a program's output that are kept; the rest is read and dropped, so that it never has to wait."""
LONGEST_REASON: Final = 200
"""Characters of its first line that people are shown."""
SHORTEST_LOOK: Final = 0.001
LONGEST_LOOK: Final = 0.05
"""Seconds between two looks at a program that is silent: whether it has ended, and whether it must."""
MOST_READS: Final = 8
"""Reads of what is left in the pipes when a program has ended."""
REFUSED: Final = 1
"""The exit code by which a program refuses a file."""
FIELD: Final = re.compile(rb"\{(fd|name|size)\}")
INHERITED: Final = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "LC_MESSAGES", "TZ", "HOME", "USER", "LOGNAME")
"""All that a program is given of the environment, which may hold the app's secret, a proxy's password and the
addresses of systemd's credentials."""


@dataclass(slots=True)
class _Output:
    """The beginning of what a program has written."""

    pipe: IO[bytes]
    kept: bytearray = field(default_factory=bytearray)

    def read(self) -> bool:
        """Read what is there; return whether there may be more."""
        block = os.read(self.pipe.fileno(), 1 << 16)
        self.kept += block[: LONGEST_OUTPUT - len(self.kept)]
        return bool(block)


@dataclass(frozen=True, slots=True)
class ProgramRunner:
    """Runs programs, each in a process group that does not outlive it; ends all of them when `stopping`."""

    stopping: threading.Event

    def screen(self, screening: Screening, descriptor: int, name: bytes, size: int) -> None:
        """Return when the program passes the file (exit code 0).

        It gets the file open for reading, as its standard input: `{fd}` is 0. (dash can name no descriptor of
        two digits, and a service has dozens.) Of what else the service has open, it gets nothing.

        Raises:
            Failure: ScreenedOut for exit code 1; ScreeningFailed for any other, a signal, a time-out, or a
                program that cannot be started; NotReached(`stopped`) when the service stops.
        """
        values = {b"fd": b"0", b"name": name, b"size": str(size).encode()}
        command = [_fill(os.fsencode(word), values) for word in screening.program]
        try:
            process = subprocess.Popen(  # noqa: S603 (as the admin wrote it; no shell)
                command,
                stdin=descriptor,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd="/",
                env={key: value for key in INHERITED if (value := os.environ.get(key)) is not None},
                start_new_session=True,
            )
        except OSError as error:
            raise Failure(_missing(screening, error)) from None
        with process:
            outputs = [_Output(pipe) for pipe in (process.stdout, process.stderr) if pipe is not None]
            try:
                in_time = self._wait(process, outputs, time.monotonic() + screening.patience)
            finally:
                _kill_group(process)  # also what it has left behind: it would hold the file open
        if self.stopping.is_set() and process.returncode not in {0, REFUSED}:
            raise Failure(NotReached(Cause("stopped", "", "STOPPED")))
        if not in_time:
            raise Failure(ScreeningFailed(Cause("gate_timeout", f"{screening.patience:g} s", "GATE_FAILED")))
        _judge(process.returncode, _first_line(outputs))

    def _wait(self, process: subprocess.Popen[bytes], outputs: list[_Output], until: float) -> bool:
        """Wait until a program has ended; return whether it did so in time, and before a stop."""
        look, reads = SHORTEST_LOOK, 0
        with selectors.DefaultSelector() as selector:
            for output in outputs:
                selector.register(output.pipe, selectors.EVENT_READ, output)
            while True:
                ended = _has_ended(process)
                ready = selector.select(0.0 if ended else look) if selector.get_map() else []
                for key, _ in ready:
                    if not key.data.read():
                        selector.unregister(key.fileobj)
                if ended:
                    reads += 1
                    if not ready or reads > MOST_READS:
                        return True  # a child that it has left behind may hold its output open for ever
                elif time.monotonic() >= until or self.stopping.is_set():
                    return False
                elif not selector.get_map():
                    self.stopping.wait(look)
                look = SHORTEST_LOOK if ready else min(look * 2, LONGEST_LOOK)


def _fill(word: bytes, values: Mapping[bytes, bytes]) -> bytes:
    """Return an argument with its fields filled in; a file's name may look like a field."""
    return FIELD.sub(lambda found: values[found[1]], word)


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Return whether a program has ended, without reaping it: its number must stay its own until the kill."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _missing(screening: Screening, error: OSError) -> ScreeningFailed:
    why = error.strerror or type(error).__name__
    return ScreeningFailed(Cause("gate_missing", f"{screening.program[0]}: {why}", "GATE_MISSING"))


def _judge(code: int, line: str) -> None:
    if code == 0:
        return
    if code == REFUSED:
        raise Failure(ScreenedOut(Cause("gate", line, "GATE")))
    ended = f"exit {code}" if code > 0 else signal.Signals(-code).name
    raise Failure(ScreeningFailed(Cause("gate_failed", f"{ended}: {line}" if line else ended, "GATE_FAILED")))


def _first_line(outputs: list[_Output]) -> str:
    """Return the first line of a program's standard output, else of its errors; without what acts."""
    for output in outputs:
        text = output.kept.decode("utf-8", "backslashreplace")
        line = next((one.strip() for one in text.splitlines() if one.strip()), "")
        if line:
            shown = "".join(map(_write_out, line[: LONGEST_REASON + 1]))
            return shown if len(shown) <= LONGEST_REASON else shown[: LONGEST_REASON - 1] + "…"
    return ""


def _write_out(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()
