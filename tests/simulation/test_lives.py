"""The two loops live through thousands of seeded stories. `DINGWATCH_SEED=123 pytest …` plays one again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from dingwatch.ledger import sqlite_url
from tests.simulation.edges import Ledger
from tests.simulation.judge import Judge
from tests.simulation.life import Life, Wrong, on_stage
from tests.simulation.story import Story

FEW: Final = 30
MANY: Final = 3000
SHOWN: Final = 80
"""Last steps of a story that are shown when its life goes wrong."""


FEW_ON_BOTH: Final = 4
MANY_ON_BOTH: Final = 100


@pytest.fixture
def on_postgresql(postgres_url: str) -> Iterator[Ledger]:
    """A real ledger in PostgreSQL."""
    store = Ledger.open(postgres_url)
    yield store
    store.close()


@pytest.fixture
def ledger(blank_ledger: Path) -> Iterator[Ledger]:
    """A real ledger in memory-backed storage, where there is any."""
    shared = Path("/dev/shm")  # noqa: S108 (a directory of its own is made in it)
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as path:
        shutil.copy(blank_ledger, path)
        store = Ledger.open(sqlite_url(Path(path) / blank_ledger.name))
        store.hasten()
        yield store
        store.close()


def live(seed: int, ledger: Ledger, patch: pytest.MonkeyPatch) -> Life:
    """Live one life, and hold it to the promises; its story is told when it broke one."""
    life = Life(seed, ledger)
    on_stage(life, patch.setattr)
    story = Story(life)
    try:
        story.begin()
        life.run(lambda: story.over, 24 * 3600.0)
        life.rest()
        Judge(life).all()
        if life.rng.random() < 0.25:
            before = len(life.chat.received)
            life.again()
            Judge(life).all()
            if len(life.chat.received) != before:
                raise Wrong("a restart at rest sends something")  # noqa: TRY301 (told below)
    except Exception as error:
        lines = [f"{at:10.3f} {text}" for at, text in list(life.told)[-SHOWN:]]
        told = "\n".join([f"DINGWATCH_SEED={seed} {life.shape}", *lines, f"{type(error).__name__}: {error}"])
        raise AssertionError(told) from error
    return life


def _seeds(count: int) -> range:
    """Return the seeds to live, or the one that is asked for."""
    asked = os.environ.get("DINGWATCH_SEED")
    return range(int(asked), int(asked) + 1) if asked else range(count)


def test_some_lives_keep_every_promise(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever happens in a life, no file is lost, torn, or sent twice without a mark."""
    for seed in _seeds(FEW):
        live(seed, ledger, monkeypatch)


@pytest.mark.sweep
def test_thousands_of_lives_keep_every_promise(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for many more."""
    for seed in _seeds(MANY):
        live(seed, ledger, monkeypatch)


def test_some_lives_are_the_same_on_postgresql(
    ledger: Ledger, on_postgresql: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever database has the ledger, every decision of a life is the same."""
    for seed in _seeds(FEW_ON_BOTH):
        told = list(live(seed, ledger, monkeypatch).told)
        assert list(live(seed, on_postgresql, monkeypatch).told) == told, f"DINGWATCH_SEED={seed}"


@pytest.mark.sweep
def test_many_lives_are_the_same_on_postgresql(
    ledger: Ledger, on_postgresql: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same for more of them."""
    for seed in _seeds(MANY_ON_BOTH):
        told = list(live(seed, ledger, monkeypatch).told)
        assert list(live(seed, on_postgresql, monkeypatch).told) == told, f"DINGWATCH_SEED={seed}"


_TOLD: Final = """
import sys
from pathlib import Path
import pytest
from tests.simulation.edges import Ledger
from tests.simulation.test_lives import live
store = Ledger.open(sys.argv[1])
with pytest.MonkeyPatch.context() as patch:
    for seed in range(5):
        print(*live(seed, store, patch).told, sep="\\n")
store.close()
"""


def test_a_seed_is_a_life(blank_ledger: Path, tmp_path: Path) -> None:
    """Whatever order Python's hashes give to sets, the same seed tells the same story."""
    told = set()
    for salt in ("1", "2"):
        path = shutil.copy(blank_ledger, tmp_path / f"{salt}.db")
        command = [sys.executable, "-c", _TOLD, sqlite_url(Path(path))]
        done = subprocess.run(
            command, env={**os.environ, "PYTHONHASHSEED": salt}, capture_output=True, text=True, check=True
        )
        told.add(done.stdout)
    assert len(told) == 1
