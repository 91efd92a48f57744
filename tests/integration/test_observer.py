"""What the observer tells of real events, all roots sharing one thread."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dingwatch.watch import Hint, Observer, Overflow
from tests.support import eventually


class Told:
    """An observer of one folder, and what it has told."""

    def __init__(self, share: Path) -> None:
        self.hints: list[Hint | Overflow] = []
        self.observer = Observer(self.hints.append)
        self.observer.arm(1, os.fsencode(share), recursive=True)


@pytest.fixture(name="told")
def observe(share: Path) -> Iterator[Told]:
    """Observe the shared folder."""
    made = Told(share)
    yield made
    made.observer.stop()


def test_the_two_halves_of_a_move_belong_together(told: Told, share: Path) -> None:
    """Also after more files were moved out than first halves are kept."""
    for number in range(100):
        (share / f"{number}").touch()
        (share / f"{number}").rename(share.parent / f"out{number}")
    (share / "a").touch()
    (share / "a").rename(share / "b")
    eventually(lambda: Hint(1, b"b", must_read=True, source=b"a") in told.hints)


def test_a_file_that_is_moved_out_is_told_of_at_once(told: Told, share: Path) -> None:
    """Nobody waits for a second half that never comes."""
    (share / "a").touch()
    (share / "a").rename(share.parent / "out")
    eventually(lambda: Hint(1, b"a") in told.hints)


def test_a_file_is_told_of_by_its_directory_s_new_name(told: Told, share: Path) -> None:
    """The watches of a directory move with it, in the thread that reads the events."""
    (share / "d").mkdir()
    (share / "d" / "a").touch()
    eventually(lambda: Hint(1, b"d/a", must_read=True) in told.hints)
    (share / "d").rename(share / "e")
    eventually(lambda: Hint(1, b"e/a", must_read=True, source=b"d/a") in told.hints)
    (share / "e" / "b").touch()
    eventually(lambda: Hint(1, b"e/b", must_read=True) in told.hints)


def test_a_root_that_is_deleted_is_dead(told: Told, share: Path) -> None:
    """The kernel drops its watch, and no event comes of another directory of that name."""
    assert told.observer.alive(1)
    share.rmdir()
    eventually(lambda: not told.observer.alive(1))


def test_a_thousand_roots_need_two_threads(tmp_path: Path) -> None:
    """One reads the events of all of them, one hands them out."""
    hints: list[Hint | Overflow] = []
    observer = Observer(hints.append)
    before = threading.active_count()
    for number in range(1000):
        root = tmp_path / str(number)
        root.mkdir()
        observer.arm(number, os.fsencode(root), recursive=True)
    assert threading.active_count() == before + 2
    (tmp_path / "999" / "a").touch()
    eventually(lambda: Hint(999, b"a", must_read=True) in hints)
    observer.stop()


def test_a_warning_of_watchdog_s_does_not_wait_for_itself(told: Told) -> None:
    """It names watch groups in the midst of their work, which hold their locks then."""
    observer = told.observer._observer
    assert observer is not None
    (emitter,) = observer.emitters
    named: list[str] = []
    with emitter._inotify._lock:  # type: ignore[attr-defined]
        watches = observer._inotify_fd._watch_for_wd
        threading.Thread(target=lambda: named.append(repr(watches)), daemon=True).start()
        eventually(lambda: named, 10.0)
