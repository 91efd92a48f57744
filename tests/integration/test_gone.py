"""Half a million files that are gone at once: bounded work per transaction, and memory that stays flat."""

import shutil
from pathlib import Path

import pytest

from dingwatch.intake import candidates, loop, reconcile
from dingwatch.intake.jobs import Found, Scan, Scanned
from dingwatch.watch import Overflow
from tests.integration.test_intake import Watcher


def missing(watcher: Watcher) -> int:
    """Return how many versions are known to be missing."""
    with watcher.store.reading() as connection:
        query = "SELECT count(*) FROM versions WHERE missing_since IS NOT NULL"
        return int(connection.exec_driver_sql(query).scalar() or 0)


def found(inputs: list[object]) -> list[int]:
    """Return how many missing files each of some scans has found."""
    counts = [0]
    for one in inputs:
        if isinstance(one, Found):
            counts[-1] += len(one.missing)
        elif isinstance(one, Scanned):
            counts.append(0)
    return counts[:-1]


@pytest.fixture
def full(tmp_path: Path, ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> Watcher:
    """A folder of 70 old files in two directories, with limits that are small enough for them."""
    monkeypatch.setattr(reconcile, "BATCH", 5)
    monkeypatch.setattr(reconcile, "MISSED_AT_ONCE", 20)
    monkeypatch.setattr(loop, "GONE_AT_ONCE", 7)
    monkeypatch.setattr(loop, "MANY_GONE", 3)
    watcher = Watcher(tmp_path, ledger_url, poll_interval=600.0)
    for number in range(70):
        watcher.drop(f"{number % 2}/{number}.pdf")
    watcher.inputs.clear()
    watcher.go(20.0)
    return watcher


@pytest.mark.parametrize("whole", [True, False])
def test_many_files_that_are_gone_are_written_down_in_parts(full: Watcher, whole: bool) -> None:  # noqa: FBT001
    """No scan finds more than its share, no transaction writes more than its share, and all are found."""
    shutil.rmtree(full.share)
    full.share.mkdir()
    if not whole:
        (full.share / "0").mkdir()
        (full.share / "1").mkdir()
    scans: list[object] = []
    steps = []
    full.inputs.append(Overflow())
    while missing(full) < 70:
        before = missing(full)
        for job in full.step():
            full.inputs.append(full.execute(job))
        scans += [one for one in full.inputs if isinstance(one, Found | Scanned)]
        steps.append(missing(full) - before)
        if not full.inputs:
            full.now += 1.0
    assert found(scans)[:4] == [20, 20, 20, 10]
    assert max(steps) == 7
    assert full.rows() == []


def test_many_removals_are_not_all_followed_by_their_events(
    full: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is removed beyond so many files is found by a scan, and not kept in mind until then."""
    monkeypatch.setattr(candidates, "REMOVED_AT_ONCE", 20)
    for name in ("0", "1"):
        shutil.rmtree(full.share / name)
    for number in range(70):
        full.hint(f"{number % 2}/{number}.pdf")
    full.inputs += [full.execute(job) for job in full.step()]
    assert full.loop.watching()[full.id][1] == 20
    full.go(60.0)
    assert (missing(full), full.rows()) == (70, [])


def test_what_is_excluded_does_not_count_as_removed(full: Watcher, monkeypatch: pytest.MonkeyPatch) -> None:
    """No scan looks for what an editor removed beside many files that are followed."""
    monkeypatch.setattr(candidates, "REMOVED_AT_ONCE", 20)
    full.jobs.clear()
    for number in range(20):
        (full.share / f"0/{2 * number}.pdf").unlink()
        full.hint(f"0/{2 * number}.pdf")
    full.hint("0/letter.tmp")
    full.go(60.0)
    assert missing(full) == 20
    assert not any(isinstance(job, Scan) for job in full.jobs)
