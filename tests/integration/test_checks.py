"""The checks of many roots: those on one device in one job, of which one that hangs holds up no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from dingwatch.intake.folder import HUNG, TOGETHER
from dingwatch.intake.jobs import Check
from dingwatch.model import WatchKind
from dingwatch.texts import Log
from dingwatch.watch import mounts
from tests.integration.test_intake import Watcher


@pytest.fixture
def watcher(tmp_path: Path, blank_ledger: Path) -> Watcher:
    """Give a loop that watches three folders, which have been armed at different instants."""
    made = Watcher(tmp_path, blank_ledger)
    (tmp_path / "second").mkdir()
    made.watch(made.share, tmp_path / "second", tmp_path / "third")
    made.go(1.0)
    (tmp_path / "third").mkdir()
    made.go(13.0)
    assert kinds(made) == [WatchKind.POLL] * 3
    return made


def kinds(watcher: Watcher) -> list[WatchKind]:
    """Return how the folders are watched."""
    return [kind for kind, _ in watcher.loop.watching().values()]


def checks(watcher: Watcher) -> list[Check]:
    """Tick once, and return the checks that go out."""
    return [job for job in watcher.step() if isinstance(job, Check)]


def test_the_roots_on_one_device_are_checked_by_one_job(watcher: Watcher) -> None:
    """A thousand folders are one job, and one answer, every few seconds."""
    watcher.jobs.clear()
    watcher.go(100.0)
    done = [job for job in watcher.jobs if isinstance(job, Check)]
    assert len(done) == 20
    assert {len(job.folders) for job in done} == {3}


def test_what_is_wrong_with_one_root_is_no_matter_of_the_others(watcher: Watcher) -> None:
    """The folder whose root is gone is down, and comes back; the others stay as they are."""
    (watcher.path / "second").rename(watcher.path / "away")
    watcher.go(5.0)
    assert kinds(watcher) == [WatchKind.POLL, WatchKind.DOWN, WatchKind.POLL]
    (watcher.path / "away").rename(watcher.path / "second")
    watcher.go(10.0)
    assert kinds(watcher) == [WatchKind.POLL] * 3
    assert watcher.heard.count(Log.FOLDER_DOWN) == 2  # once at the start, when the third was not there


def test_a_root_that_hangs_holds_up_no_other_that_is_checked_with_it(watcher: Watcher) -> None:
    """What does not come back soon is asked once more of each root alone; only what hangs is down."""
    watcher.now += 5.0
    (together,) = checks(watcher)
    hanging = together.folders[0]
    watcher.now += TOGETHER
    alone = checks(watcher)
    assert sorted(job.folders for job in alone) == sorted((one,) for one in together.folders)
    for job in alone:
        if job.folders != (hanging,):
            watcher.inputs.append(watcher.execute(job))
    assert checks(watcher) == []
    watcher.now += HUNG
    (next_one,) = checks(watcher)
    assert set(next_one.folders) == set(together.folders) - {hanging}
    down = [kind is WatchKind.DOWN for kind, _ in watcher.loop.watching().values()]
    assert dict(zip(watcher.loop.watching(), down, strict=True))[hanging]
    assert sum(down) == 1
    watcher.inputs += [watcher.execute(together), watcher.execute(next_one)]
    watcher.go(10.0)
    assert kinds(watcher) == [WatchKind.POLL] * 3


def test_the_table_of_mounts_is_the_same_as_long_as_nothing_changes() -> None:
    """So a check need not compare its roots with it every time."""
    assert any(mounts() is mounts() for _ in range(20))  # other tests mount something meanwhile
