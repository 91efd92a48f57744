"""Any text in the place of a configuration: values or problems come out, and never the secret."""

import subprocess
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from hypothesis import strategies as st

from dingwatch.config.assembly import load
from dingwatch.config.document import LARGEST
from dingwatch.config.values import Config, ConfigError
from dingwatch.texts import Language
from tests.fuzz.budget import HANGS, a_few, for_a_while

SECRET: Final = "k9-Zq7_vX2mB4nL8wR5tY1uP3sD6fG0h"
EXAMPLE: Final = (
    (Path(__file__).parents[2] / "config.example.yaml")
    .read_text(encoding="utf-8")
    .replace('"********"', SECRET)
)
LINES: Final = [line for line in EXAMPLE.splitlines() if line.strip() and not line.lstrip().startswith("#")]

PIECES: Final = st.sampled_from(
    [
        *"\t\n\r\0\x1b\x7f\x85\u2028\u202e\ufeff\ud800财😀 '\"#&*!|>%@`[]{},:?-~\\",
        *(
            "---\n",
            "...\n",
            "<<: *a",
            "&a ",
            "*a ",
            "!!int ",
            "!!binary ",
            "!!python/object:os.system ",
            "!x ",
            "? ",
        ),
        *("9" * 30, "-1", "0x1F", "1_000", "1e999", ".inf", ".nan", "2026-11-24", "yes", "null", "0o7"),
        *(
            "2s",
            "20MiB",
            "20/s",
            "cid",
            "/",
            "~",
            "~root/",
            "..",
            "\\UFFFFFFFF",
            "%YAML 1.9\n",
            "|+9\n  ",
            ">-\n ",
        ),
        *("**/" * 30, "[!", "(?:" * 30, "http://[::1", "https://u:p@h/", "[" * 20, "{a: " * 20, "- " * 20),
    ]
)
KINDS: Final = ["delete", "double", "swap", "indent", "insert", "replace", "join", "value", "cut"]


@dataclass(frozen=True)
class Change:
    """One thing done to the lines: where, with which other line, at which column, with which piece."""

    kind: str
    line: int
    other: int
    column: int
    piece: str

    def __call__(self, lines: list[str]) -> list[str]:
        """Return the lines changed."""
        if not lines:
            return lines
        at, other = self.line % len(lines), self.other % len(lines)
        line = lines[at]
        column = self.column % (len(line) + 1)
        key = line.partition(":")[0]
        changed = {
            "delete": [],
            "double": [line, line],
            "swap": [lines[other]],
            "indent": [" " * (self.column % 9) + line.lstrip()],
            "insert": [line[:column] + self.piece + line[column:]],
            "replace": [line[:column] + self.piece + line[column + len(self.piece) :]],
            "join": [line + self.piece + lines[other].lstrip()],
            "value": [f"{key}: {self.piece}"],
            "cut": [line[:column]],
        }[self.kind]
        return [*lines[:at], *changed, *lines[at + 1 :]]


NUMBER: Final = st.integers(0, 1000)
CHANGES: Final = st.lists(
    st.builds(Change, st.sampled_from(KINDS), NUMBER, NUMBER, NUMBER, PIECES), min_size=1, max_size=8
)


def changed(changes: list[Change]) -> bytes:
    """Return the example after some changes."""
    lines = LINES
    for change in changes:
        lines = change(lines)
    return "\n".join(lines).encode("utf-8", "surrogatepass")


TEXTS: Final = (
    CHANGES.map(changed)
    | st.binary(max_size=400)
    | st.lists(PIECES, max_size=60).map(lambda pieces: "".join(pieces).encode("utf-8", "surrogatepass"))
    | st.binary(max_size=8).map(lambda some: EXAMPLE.encode() + some)
)


def outcome(path: Path, language: Language) -> Config | ConfigError:
    """Return the values or the problems of a file; anything else that comes out is a failure."""
    try:
        return load(path, environ={"HOME": "/nowhere"}, language=language)
    except ConfigError as error:
        return error


@pytest.fixture
def check(tmp_path: Path) -> Callable[[bytes], None]:
    """Return what must be true of any text."""
    path = tmp_path / "config.yaml"
    path.touch(mode=0o600)

    def checked(text: bytes) -> None:
        path.write_bytes(text)
        zh, en = outcome(path, Language.ZH), outcome(path, Language.EN)
        if isinstance(zh, Config) or isinstance(en, Config):
            assert type(zh) is type(en)
            assert SECRET not in repr(zh)
            return
        assert [(one.key, one.line) for one in zh.problems] == [(one.key, one.line) for one in en.problems]
        assert zh.problems
        for one, other in zip(zh.problems, en.problems, strict=True):
            assert one.text != other.text
            assert (one.key + one.text + other.text).isprintable()
        told = "".join(traceback.format_exception(zh) + traceback.format_exception(en))
        assert SECRET not in told + repr((zh.problems, en.problems))

    return checked


def test_the_example_is_one_of_the_texts(check: Callable[[bytes], None], tmp_path: Path) -> None:
    """What is changed below is a whole configuration to begin with."""
    check("\n".join(LINES).encode())
    assert isinstance(outcome(tmp_path / "config.yaml", Language.EN), Config)


def test_a_few_texts(check: Callable[[bytes], None]) -> None:
    """A text is a configuration or a list of problems, the same in both languages."""
    a_few(check, TEXTS, 60)


@pytest.mark.sweep
def test_many_texts(check: Callable[[bytes], None]) -> None:
    """Nothing else comes out, however the example was damaged."""
    for_a_while(check, TEXTS)


HEAD: Final = f"state_dir: /nowhere/at-all\ndingtalk:\n  client_id: dingabc\n  client_secret: {SECRET}\n"
FOLDER: Final = "folders:\n  - path: /srv/a\n    conversation_id: "
LARGE: Final = {
    "folders": HEAD
    + "folders:\n"
    + "".join(f"  - {{path: /a{n}, conversation_id: cid}}\n" for n in range(1000)),
    "folders in one place": HEAD + "folders:\n" + "  - {path: /a, conversation_id: cid}\n" * 300,
    "conversations": HEAD + FOLDER + "[" + ",".join(f"cid{n}" for n in range(100_000)) + "]\n",
    "patterns": HEAD + FOLDER + "cid\n    exclude:\n" + "    - '**/a/**/*b*'\n" * 45_000,
    "unknown keys": HEAD + FOLDER + "cid\n" + "".join(f"key{n}: x\n" for n in range(10_000)),
    "a long key": HEAD + FOLDER + "cid\n" + "k" * 1_000_000 + ": x\n",
    "a long pattern": HEAD + FOLDER + "cid\n    exclude: ['" + "*a" * 490_000 + "']\n",
    "a long number": HEAD + FOLDER + "cid\nkeep: " + "9" * 1_000_000 + "d\n",
    "a long path": HEAD + "folders:\n  - conversation_id: cid\n    path: " + "/.." * 340_000 + "\n",
    "one double key": HEAD + FOLDER + "cid\n" + "keep: 1d\n" * 110_000,
    "open quotes": HEAD + FOLDER + "cid\n" + "'\n" * 500_000,
    "anchors": HEAD + "".join(f"a{n}: &a{n} x\n" for n in range(10_000)),
    "blanks": HEAD + FOLDER + "cid\n" + " " * 1_000_000,
}


@pytest.mark.sweep
@pytest.mark.parametrize("what", LARGE)
def test_a_large_text_ends(tmp_path: Path, what: str) -> None:
    """A file full of one thing is read or refused, and does not keep the machine busy."""
    text = LARGE[what].encode()
    assert len(text) <= LARGEST
    path = tmp_path / "config.yaml"
    path.write_bytes(text)
    path.chmod(0o600)
    command = [sys.executable, "-m", "dingwatch", "history", "-c", str(path)]
    # In a process of its own, which can be ended wherever it is.
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=HANGS)
    assert (done.returncode in {0, 78}, "Traceback" in done.stderr) == (True, False), done.stderr[-2000:]
    assert SECRET not in done.stdout + done.stderr
