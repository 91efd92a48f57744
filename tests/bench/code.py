"""The code that is measured: this tree, or another commit in a work tree of its own."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Code:
    """One state of the code: its tree, the Python that runs it, and the commit that names it."""

    tree: Path
    python: str
    commit: str

    def dingwatch(self, *arguments: str) -> list[str]:
        """Return a command line of `dingwatch`; it must run in `tree`, whose package comes first there."""
        return [self.python, "-m", "dingwatch", *arguments]


def this_tree() -> Code:
    """Return the code that lies here; `-dirty` in its name says that it has changes beyond the commit."""
    return Code(ROOT, sys.executable, _git("describe", "--always", "--dirty", "--exclude", "*"))


@contextmanager
def checked_out(revision: str) -> Iterator[Code]:
    """Check a revision out into a temporary work tree, which is removed with the block.

    It runs in this virtual environment, or in its own if it depends on other libraries.
    """
    commit = _git("rev-parse", "--short", f"{revision}^{{commit}}")
    with tempfile.TemporaryDirectory() as made:
        tree = Path(made) / commit
        _git("worktree", "add", "--quiet", "--detach", str(tree), commit)
        try:
            code = Code(tree, _python_for(tree), commit)
            _require_own_package(code)
            # Without this, only the first start would compile, and the first round would be slow.
            _run([code.python, "-m", "compileall", "-q", "dingwatch", "tests/bench"], tree)
            yield code
        finally:
            _git("worktree", "remove", "--force", str(tree))


def _python_for(tree: Path) -> str:
    if _dependencies(tree) == _dependencies(ROOT):
        return sys.executable
    own = tree / ".venv"
    venv.create(own, with_pip=True)
    python = str(own / "bin" / "python")
    _run([python, "-m", "pip", "install", "-q", "-e", "."], tree)
    return python


def _dependencies(tree: Path) -> list[str]:
    project = tomllib.loads((tree / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return sorted(project["dependencies"])


def _require_own_package(code: Code) -> None:
    """Fail if Python would import the package from elsewhere: both sides would measure the same code."""
    where = _run([code.python, "-c", "import dingwatch; print(dingwatch.__file__)"], code.tree)
    if not Path(where).resolve().is_relative_to(code.tree.resolve()):
        raise RuntimeError(f"{code.commit} would be measured with the package in {where}")


def _git(*arguments: str) -> str:
    return _run(["/usr/bin/env", "git", *arguments], ROOT)


def _run(command: list[str], tree: Path) -> str:
    done = subprocess.run(command, cwd=tree, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip()
