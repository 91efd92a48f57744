import os
import threading
from pathlib import Path

import pytest

from dingwatch.delivery import Screening
from dingwatch.host.program import LONGEST_REASON, ProgramRunner
from dingwatch.model import Cause, Failure, ScreenedOut, ScreeningFailed, Verdict
from tests.support import PATIENCE, eventually


def run(path: Path, *program: str, name: bytes = b"a.txt", patience: float = PATIENCE) -> Verdict | None:
    """Run a program on a file; return why it did not pass."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        ProgramRunner(threading.Event()).screen(
            Screening(program, patience), descriptor, name, path.stat().st_size
        )
    except Failure as failure:
        return failure.verdict
    finally:
        os.close(descriptor)
    return None


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file."""
    made = tmp_path / "a.txt"
    made.write_text("content")
    return made


def test_the_file_is_standard_input_under_its_number(path: Path) -> None:
    """A program may read the file as it likes, and cannot write to it."""
    assert run(path, "grep", "-q", "content") is None
    assert run(path, "grep", "-q", "content", "/dev/fd/{fd}") is None
    assert run(path, "/bin/sh", "-c", "cat <&{fd} | grep -q content") is None
    assert run(path, "/bin/sh", "-c", "! echo x >&{fd}") is None


def test_arguments_are_words_and_not_parsed(path: Path, tmp_path: Path) -> None:
    """A name may have quotes, spaces, a field or bytes that are no UTF-8: it is still one argument."""
    out = tmp_path / "out"
    name = b"$(id) '{size}' \xff.txt"
    script = f'printf "%s|" "$@" > {out}'
    assert run(path, "/bin/sh", "-c", script, "-", "{name}", "n={size}", "{x y}", name=name) is None
    assert out.read_bytes() == name + b"|n=7|{x y}|"


@pytest.mark.parametrize(
    ("script", "verdict"),
    [
        ("exit 1", ScreenedOut(Cause("gate", "", "GATE"))),
        ("echo; echo ' no  '; echo more; exit 1", ScreenedOut(Cause("gate", "no", "GATE"))),
        ("echo why >&2; exit 1", ScreenedOut(Cause("gate", "why", "GATE"))),
        ("echo err >&2; echo out; exit 1", ScreenedOut(Cause("gate", "out", "GATE"))),
        (
            r"printf 'a\033[2J\342\200\256b\377'; exit 1",
            ScreenedOut(Cause("gate", r"a\x1b[2J\u202eb\xff", "GATE")),
        ),
        ("exit 2", ScreeningFailed(Cause("gate_failed", "exit 2", "GATE_FAILED"))),
        ("echo no db; exit 50", ScreeningFailed(Cause("gate_failed", "exit 50: no db", "GATE_FAILED"))),
        ("kill -SEGV $$", ScreeningFailed(Cause("gate_failed", "SIGSEGV", "GATE_FAILED"))),
    ],
)
def test_exit_codes(path: Path, script: str, verdict: Verdict) -> None:
    """1 refuses, all but 0 and 1 say nothing; the reason is the first line, with nothing that acts."""
    assert run(path, "/bin/sh", "-c", script) == verdict


def test_output_without_end_is_bounded(path: Path) -> None:
    """A program that writes for ever is killed at its time-out, one that writes much never has to wait."""
    verdict = run(path, "/bin/sh", "-c", "yes; exit 1", patience=0.3)
    assert verdict == ScreeningFailed(Cause("gate_timeout", "0.3 s", "GATE_FAILED"))
    verdict = run(path, "/bin/sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' x; exit 1")
    assert verdict is not None
    assert verdict.cause.message == "x" * (LONGEST_REASON - 1) + "…"


def test_what_a_program_leaves_behind_does_not_hold_it_up(path: Path, tmp_path: Path) -> None:
    """A child in the background, which has the output open, ends with the program."""
    pid = tmp_path / "pid"
    assert run(path, "/bin/sh", "-c", f"sleep 600 & echo $! > {pid}") is None
    stat = Path(f"/proc/{pid.read_text().strip()}/stat")
    eventually(lambda: not stat.exists() or stat.read_text().rpartition(") ")[2][0] == "Z", 60.0)


@pytest.mark.parametrize("program", ["/no/such/program", "no-such-program", "/etc/passwd", "/tmp"])  # noqa: S108
def test_a_program_that_cannot_be_started_says_so(path: Path, program: str) -> None:
    """Missing, or no program."""
    verdict = run(path, program)
    assert isinstance(verdict, ScreeningFailed)
    assert (verdict.cause.code, verdict.cause.advice) == ("gate_missing", "GATE_MISSING")
    assert verdict.cause.message.startswith(f"{program}: ")
