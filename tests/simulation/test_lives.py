"""The two loops live through thousands of seeded stories. `DINGWATCH_SEED=123 pytest …` plays one again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
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


@contextmanager
def _in_memory(blank_ledger: Path) -> Iterator[Ledger]:
    """Open a copy of a ledger in memory-backed storage, where there is any."""
    shared = Path("/dev/shm")  # noqa: S108 (a directory of its own is made in it)
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as path:
        shutil.copy(blank_ledger, path)
        store = Ledger.open(sqlite_url(Path(path) / blank_ledger.name))
        store.hasten()
        yield store
        store.close()


@pytest.fixture
def ledger(blank_ledger: Path) -> Iterator[Ledger]:
    """A real ledger."""
    with _in_memory(blank_ledger) as store:
        yield store


@pytest.fixture
def reversed_ledger(blank_ledger: Path) -> Iterator[Ledger]:
    """A real ledger whose rows come the other way round wherever a query does not say how."""
    with _in_memory(blank_ledger) as store:
        store.reverse()
        yield store


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


def _live_twice(seeds: Iterable[int], ledger: Ledger, other: Ledger, patch: pytest.MonkeyPatch) -> None:
    """Live lives with either of two ledgers, and hold them to tell the same."""
    for seed in seeds:
        told = list(live(seed, ledger, patch).told)
        assert list(live(seed, other, patch).told) == told, f"DINGWATCH_SEED={seed}"


def test_some_lives_are_the_same_on_postgresql(
    ledger: Ledger, on_postgresql: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever database has the ledger, every decision of a life is the same."""
    _live_twice(_seeds(FEW_ON_BOTH), ledger, on_postgresql, monkeypatch)


@pytest.mark.sweep
def test_many_lives_are_the_same_on_postgresql(
    ledger: Ledger, on_postgresql: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same for more of them."""
    _live_twice(_seeds(MANY_ON_BOTH), ledger, on_postgresql, monkeypatch)


# 14 is a life in which two messages are sent once more at the same instant.
IN_EITHER_ORDER: Final = (*range(4), 14)
MANY_IN_EITHER_ORDER: Final = 600


def test_rows_have_an_order_where_it_matters(
    ledger: Ledger, reversed_ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No decision depends on the order in which a database happens to return rows."""
    _live_twice(IN_EITHER_ORDER, ledger, reversed_ledger, monkeypatch)


@pytest.mark.sweep
def test_rows_have_an_order_wherever_it_matters(
    ledger: Ledger, reversed_ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same for more lives."""
    _live_twice(_seeds(MANY_IN_EITHER_ORDER), ledger, reversed_ledger, monkeypatch)


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
