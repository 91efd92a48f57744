"""Completion in a shell, and the man page."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dingwatch.cli.app import LazyCommand, cli
from tests.fork_server import ForkedCommand
from tests.integration.conftest import Machine
from tests.support import PATIENCE

ROOT = Path(__file__).parents[2]
PAGES = {"C.UTF-8": "docs/man/dingwatch.1", "zh_CN.UTF-8": "docs/man/zh_CN/dingwatch.1"}


@pytest.mark.parametrize(
    ("shell", "says"),
    [("bash", "complete -o nosort -F"), ("zsh", "#compdef dingwatch"), ("fish", "complete --no-files")],
)
def test_the_script_is_the_shells(machine: Machine, shell: str, says: str) -> None:
    """It needs no config, and bash accepts its own."""
    machine.path.unlink()
    done = machine.call("completion", shell)
    assert (done.exit_code, says in done.stdout) == (0, True), done.output
    if shell == "bash":
        subprocess.run(["/usr/bin/env", "bash", "-n"], input=done.stdout, text=True, check=True)


def test_an_unknown_shell_names_those_that_are_known(machine: Machine) -> None:
    """As every choice does."""
    done = machine.call("completion", "tcsh")
    assert (done.exit_code, "fish" in done.stderr) == (2, True)


def completed(machine: Machine, *words: str) -> list[str]:
    """Return what a shell offers for the last of some words."""
    line = ["dingwatch", *words]
    environ = {
        **os.environ,
        "_DINGWATCH_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(line),
        "COMP_CWORD": str(len(line) - 1),
        "DINGWATCH_CONFIG": str(machine.path),
    }
    with ForkedCommand([], environ) as process:
        said, complained = process.communicate(timeout=PATIENCE)
    assert complained == ""
    return [one.split(",")[1] for one in said.split()]


def test_folders_and_states_are_completed(machine: Machine) -> None:
    """From the config; one that cannot be read offers nothing, and says nothing."""
    machine.set_folder(name="财务")
    assert completed(machine, "history", "--folder", "财") == ["财务"]
    assert completed(machine, "pause", "") == ["财务"]
    assert completed(machine, "history", "--state", "s") == ["sending", "sent", "skipped"]
    assert completed(machine, "ledger", "b") == ["backup"]
    machine.path.write_text("folders: [")
    assert completed(machine, "history", "--folder", "") == []


@pytest.mark.parametrize("locale", PAGES)
def test_the_man_page_is_written_from_the_help_texts(locale: str) -> None:
    """Each command and option is in it, in both languages."""
    environ = {**os.environ, "LC_ALL": locale}
    done = subprocess.run(
        [sys.executable, "-m", "tests.manpage"],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    written = (ROOT / PAGES[locale]).read_text(encoding="utf-8")
    assert written == done.stdout, f"LC_ALL={locale} python -m tests.manpage > {PAGES[locale]}"
    names = [name for name, one in cli.commands.items() if isinstance(one, LazyCommand)]
    assert [name for name in names if f".SS {name}".replace("-", "\\-") not in written] == []


@pytest.mark.parametrize("locale", PAGES)
def test_the_man_page_has_no_warnings(locale: str) -> None:
    """Neither groff's, nor an escape that would be seen."""
    groff = shutil.which("groff")
    if groff is None:
        pytest.skip("needs groff")
    done = subprocess.run(
        [groff, "-k", "-Tutf8", "-man", "-ww", "-rLL=100n", ROOT / PAGES[locale]],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    assert done.stderr == ""
    seen = re.sub(".\b", "", done.stdout)  # bold is a letter printed twice
    assert "--since" in seen
    assert "\\" not in seen
