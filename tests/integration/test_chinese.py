"""Where people read Chinese, no message of a library or of the system is English."""

import ast
import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from dingwatch.texts import Click, Language, System, system_words
from tests.integration.conftest import Machine

CHINESE = {**os.environ, "LC_ALL": "zh_CN.UTF-8"}
FOR_PROGRAMMERS = re.compile(
    r"Deprecat|deprecat|declar|Name '\{name\}'|Boolean option|decls|iterable|Windows|shell completion"
    r"|Bash|colour|editor|standard stream|start character|len_type|UUID|format"
    r"|^d$|any key|executable|action without|^Choice"
)
"""Messages of click about mistakes in a program, and of parts that dingwatch does not use."""


def messages_of_click() -> set[str]:
    """Return the messages that click looks translations up for."""
    calls = [
        node
        for path in Path(str(click.__file__)).parent.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"_", "ngettext"}
    ]
    words = [word for call in calls for word in call.args[: 1 if call.func.id == "_" else 2]]  # type: ignore[attr-defined]
    return {word.value for word in words if isinstance(word, ast.Constant) and isinstance(word.value, str)}


def test_every_message_of_click_is_translated() -> None:
    """A newer click with another message fails here; our own metavars and types are no messages of its."""
    ours = {one.en for one in Click}
    assert {one for one in messages_of_click() - ours if not FOR_PROGRAMMERS.search(one)} == set()


def test_the_systems_words_are_those_of_this_system() -> None:
    """The table is looked up by what Python says for an errno."""
    known = [one for one in System if one.name in vars(errno)]
    assert [one for one in known if os.strerror(getattr(errno, one.name)) != one.en] == []
    said = system_words("ProxyError: ConnectionRefusedError: Connection refused", Language.ZH)
    assert said == "ProxyError: ConnectionRefusedError: 连接被拒绝"


ENGLISH = re.compile(r"\b[A-Za-z][a-z]+ [a-z]{2,}\b")
"""Two words in a row."""
NAMES = re.compile(r"dingwatch \w+|'[^']*'|/\S+")
"""What stays as it is: commands, values, paths."""


@pytest.mark.parametrize(
    "words",
    [
        ("--help",),
        ("send", "--help"),
        ("nonsense",),
        ("history", "--limit", "x"),
        ("retry",),
        ("status", "-c", "/nowhere/config.yaml"),
    ],
)
def test_no_command_speaks_half_english(words: tuple[str, ...]) -> None:
    """Help, usage errors and a config that cannot be read."""
    done = subprocess.run(
        [sys.executable, "-m", "dingwatch", *words], capture_output=True, text=True, check=False, env=CHINESE
    )
    for line in (done.stdout + done.stderr).splitlines():
        assert not ENGLISH.search(NAMES.sub("", line)), line
    assert re.search(r"[一-鿿]", done.stdout + done.stderr)


def test_a_failure_of_the_system_is_told_in_chinese(machine: Machine) -> None:
    """What the system says of the output and of the ledger's directory is Chinese, too."""
    machine.settings["language"] = "zh"
    machine.write()
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            machine.command("status"),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env=CHINESE,
        )
    assert (
        done.stderr
        == "无法写标准输出（磁盘空间不足）；命令在此之前完成的操作有效。请换一个地方输出，或腾出磁盘空间。\n"
    )
    machine.state_dir.write_text("no directory")
    assert not ENGLISH.search(NAMES.sub("", machine.do("retry", "--all", language="zh_CN.UTF-8").stderr))
