"""The source distribution and the wheel: whole, valid, and installable with pipx and uv."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

import dingwatch

PROJECT: Final = Path(__file__).parents[2]
TOOLS: Final = ("build", "twine", "pipx", "uv")
pytestmark = pytest.mark.sweep  # they fetch these tools, and each installation fetches all libraries


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that has the tools."""
    environment = tmp_path_factory.mktemp("tools")
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    subprocess.run([environment / "bin/pip", "install", "-q", *TOOLS], check=True)
    return environment / "bin"


@pytest.fixture(scope="module")
def built(tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the source distribution, and the wheel that was built from it."""
    made = tmp_path_factory.mktemp("dist")
    subprocess.run([tools / "python", "-m", "build", "--outdir", made, PROJECT], check=True)
    return made


def files(*directories: str) -> Iterator[str]:
    """Yield the paths of the project's files in some directories."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", *directories],  # noqa: S607 (whichever git there is)
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    yield from filter(None, listed.stdout.split("\0"))


def wheel(built: Path) -> Path:
    """Return the wheel."""
    (one,) = built.glob("*.whl")
    return one


def test_they_are_valid(tools: Path, built: Path) -> None:
    """The package index would take them, and show the README."""
    command = [str(tools / "twine"), "check", "--strict", *map(str, built.iterdir())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_wheel_has_all_of_the_package(built: Path) -> None:
    """The wheel has every file of the package, also what is no Python: the sandbox's page, `py.typed`."""
    with zipfile.ZipFile(wheel(built)) as packed:
        missing = set(files("dingwatch")) - set(packed.namelist())
    assert missing == set()


def test_the_source_has_what_builds_and_tests_it(built: Path) -> None:
    """The source distribution has tests, docs, units, and what makes the packages."""
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}
    missing = (
        set(files("dingwatch", "tests", "docs", "systemd", "packaging", "*.md", "config.example.yaml"))
        - names
    )
    assert missing == set()


def test_there_is_one_version(built: Path) -> None:
    """The version stands in one file; the names of the distributions have it from there."""
    names = {one.name for one in built.iterdir()}
    version = dingwatch.__version__
    assert names == {f"dingwatch-{version}-py3-none-any.whl", f"dingwatch-{version}.tar.gz"}
    stated = subprocess.run(
        ["git", "grep", "-lE", rf"version.*\b{re.escape(version)}\b", "--", "*.py", "*.toml", "packaging"],  # noqa: S607
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert stated.stdout.split() == ["dingwatch/__init__.py"]


@pytest.mark.parametrize("installer", ["pipx", "uv"])
def test_it_installs(tools: Path, built: Path, tmp_path: Path, installer: str) -> None:
    """`pipx install` and `uv tool install` bring a program that shows the sandbox's page."""
    programs = tmp_path / "bin"
    environ = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        "HOME": str(tmp_path),
        "PIPX_HOME": str(tmp_path / "pipx"),
        "PIPX_BIN_DIR": str(programs),
        "UV_TOOL_DIR": str(tmp_path / "uv"),
        "UV_TOOL_BIN_DIR": str(programs),
        "UV_LINK_MODE": "copy",
    }
    python = ("--python", str(Path(sys.executable).resolve()))
    words = {"pipx": ("pipx", "install"), "uv": ("uv", "tool", "install")}[installer]
    subprocess.run([tools / words[0], *words[1:], *python, wheel(built)], check=True, env=environ)
    program = programs / "dingwatch"
    printed = subprocess.run([program, "--version"], check=True, env=environ, capture_output=True, text=True)
    assert printed.stdout == f"dingwatch, version {dingwatch.__version__}\n"
    command = [str(program), "sandbox", "--port", "0"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as sandbox:
        assert sandbox.stdout is not None
        page = sandbox.stdout.readline().removeprefix("page: ").strip()
        with urllib.request.urlopen(page, timeout=60) as answer:  # noqa: S310 (on this host)
            assert "<html" in answer.read().decode()
        sandbox.terminate()
