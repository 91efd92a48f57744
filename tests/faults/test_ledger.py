"""The ledger's disk and file in trouble while the service works: nothing lost, nothing twice unmarked."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from dingwatch.config.values import LEDGER_FILE
from dingwatch.ledger import integrity
from dingwatch.sandbox import Sandbox
from dingwatch.texts import Log
from tests.faults.conftest import Confined, Mount, Watched
from tests.support import eventually, names, read_until

CYCLES = 4
BATCH = 8
CONTENT = b"x" * 2000


def fill(disk: Path) -> None:
    """Write until nothing fits any more, to the last byte."""
    with suppress(OSError), (disk / "ballast").open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 10, 1):
            with suppress(OSError):
                while file.write(b"x" * size) == size:
                    pass


def drop(share: Path, first: int) -> set[str]:
    """Drop a batch of files, each with a content of its own."""
    dropped = {f"{number}.txt" for number in range(first, first + BATCH)}
    for name in dropped:
        (share / name).write_bytes(name.encode() + CONTENT)
    return dropped


@pytest.fixture
def disk(tmp_path: Path, mount: Mount) -> Path:
    """A state directory on a small disk of its own; SQLite lets its log grow to 4 MB."""
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    mount(state, "-t", "tmpfs", "-o", "size=16m", "none")
    return state


def full_or_done(watched: Watched, before: int, wanted: set[str]) -> Callable[[], bool]:
    """Return a condition: the ledger was down, or its log had room in itself and all of it went out."""
    return lambda: watched.heard.count(Log.LEDGER_DOWN) > before or wanted <= set(names(watched.sandbox))


@pytest.mark.sweep
def test_a_disk_that_fills_up_again_and_again(watched: Watched, share: Path, disk: Path) -> None:
    """Filled in the middle of the work and freed, over and over: each file arrives once."""
    wanted: set[str] = set()
    with watched.running():
        eventually(lambda: integrity.backups(disk / LEDGER_FILE))
        for cycle in range(CYCLES):
            wanted |= drop(share, cycle * 2 * BATCH)
            before = watched.heard.count(Log.LEDGER_DOWN)
            fill(disk)
            wanted |= drop(share, (cycle * 2 + 1) * BATCH)
            eventually(full_or_done(watched, before, wanted))
            (disk / "ballast").unlink()
            watched.arrives(*wanted, patience=60.0)


def marked(confined: Confined) -> int:
    """Return how many messages the history marks as perhaps sent twice."""
    return sum(bool(line["uncertain_resent"]) for line in confined.history("--limit", "1000"))


@pytest.mark.sweep
@pytest.mark.parametrize("room", ["none until the next start", "before the next start"])
def test_killed_while_the_disk_is_full(
    confined: Confined, share: Path, sandbox: Sandbox, disk: Path, room: str
) -> None:
    """What it could not write down is done after the next start; what comes twice is marked."""
    process = confined.start()
    wanted = drop(share, 0)
    eventually(lambda: sandbox.messages(sandbox.conversations[0].id))
    fill(disk)
    wanted |= drop(share, BATCH)
    read_until(process, "SQLITE_FULL")
    process.kill()
    process.communicate()
    if room == "none until the next start":
        # The ledger's log may have room left: then the service starts, and is killed once more.
        start = confined.launch("run")
        assert start.stdout is not None
        if start.stdout.readline():
            confined.stop(start, signal.SIGKILL)
        else:
            told = start.communicate()[1]
            assert (start.returncode, told.count("\n")) == (1, 1), told
    (disk / "ballast").unlink()
    process = confined.start()
    eventually(lambda: set(names(sandbox)) == wanted, 90.0)
    eventually(lambda: confined.status()["totals"]["sent"] == len(wanted), 90.0)
    assert len(names(sandbox)) - len(wanted) <= marked(confined)
    confined.end(process)


@pytest.mark.sweep
def test_a_ledger_that_another_program_locks(watched: Watched, share: Path) -> None:
    """A backup tool that holds the ledger for long holds back the work, and nothing else."""
    with watched.running():
        wanted = drop(share, 0)
        watched.arrives(*wanted)
        with closing(sqlite3.connect(watched.setting.state_dir / LEDGER_FILE, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            wanted |= drop(share, BATCH)
            eventually(lambda: watched.heard.count(Log.LEDGER_DOWN), 60.0)
            other.execute("ROLLBACK")
        watched.arrives(*wanted)
        wanted |= drop(share, 2 * BATCH)
        watched.arrives(*wanted)


@pytest.mark.sweep
def test_a_ledger_overwritten_while_it_is_used(confined: Confined, share: Path, sandbox: Sandbox) -> None:
    """Nonsense is never taken for an empty ledger: the service refuses until it is restored."""
    state = Path(confined.settings["state_dir"])
    process = confined.start()
    wanted = drop(share, 0)
    eventually(lambda: len(sandbox.messages(sandbox.conversations[0].id)) == len(wanted))
    eventually(lambda: confined.status()["totals"]["sent"] == len(wanted))
    confined.end(process)
    for backup in integrity.backups(state / LEDGER_FILE):
        backup.unlink()
    process = confined.start()  # a new start makes the day's backup anew, with all that was sent
    eventually(lambda: integrity.backups(state / LEDGER_FILE))
    (backup,) = integrity.backups(state / LEDGER_FILE)
    with (state / LEDGER_FILE).open("r+b") as file:
        file.write(os.urandom(1 << 15))
    drop(share, BATCH)
    read_until(process, "ledger")
    process.kill()
    process.communicate()
    refused = confined.do("run")
    assert refused.returncode != 0
    assert "Traceback" not in refused.stderr
    assert "backups" in refused.stderr
    for name in (LEDGER_FILE, f"{LEDGER_FILE}-wal", f"{LEDGER_FILE}-shm"):
        (state / name).unlink(missing_ok=True)
    backup.rename(state / LEDGER_FILE)
    process = confined.start()
    both = wanted | {f"{number}.txt" for number in range(BATCH, 2 * BATCH)}
    eventually(lambda: set(names(sandbox)) == both, 60.0)
    assert all(names(sandbox).count(name) == 1 for name in wanted)
    confined.end(process)


def test_a_scan_without_a_ledger_is_made_later(watched: Watched, share: Path) -> None:
    """A scan that cannot ask the ledger ends nothing: it is made again when the ledger is back."""
    path = watched.setting.state_dir / LEDGER_FILE
    away = path.with_name("away.db")
    with watched.running(watch="poll", poll_interval=0.05):
        wanted = drop(share, 0)
        watched.arrives(*wanted)
        path.rename(away)
        wanted |= drop(share, BATCH)
        eventually(lambda: watched.heard.count(Log.LEDGER_DOWN))
        (share / "later.txt").write_text("later")
        with pytest.raises(AssertionError):
            eventually(watched.service.ended.is_set, 1.0)
        away.rename(path)
        watched.arrives(*wanted, "later.txt")
