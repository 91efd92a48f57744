"""Directories that come, go and take each other's names while they are watched."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.reality.stage import Spot, idle, message_of, stage
from tests.support import eventually, running


def _moved_away(spot: Spot, directory: Path) -> None:
    directory.rename(spot.beside / "away")
    directory.mkdir()


def _replaced(spot: Spot, directory: Path) -> None:
    (spot.folder / "other").mkdir()
    eventually(spot.quiet_passed())
    (directory / "seen.pdf").unlink()
    (spot.folder / "other").rename(directory)


def _rotated(spot: Spot, directory: Path) -> None:
    for number in range(3):
        directory.rename(spot.folder / f"older {number}")
        directory.mkdir()


def _brought_back(spot: Spot, directory: Path) -> None:
    """Another one had its name meanwhile."""
    directory.rename(spot.beside / "first")
    directory.mkdir()
    eventually(spot.quiet_passed())
    directory.rename(spot.beside / "second")
    eventually(spot.quiet_passed())
    (spot.beside / "first").rename(directory)
    eventually(spot.quiet_passed())


def _brought_back_and_removed(spot: Spot, directory: Path) -> None:
    """Both that had the name are removed."""
    _brought_back(spot, directory)
    shutil.rmtree(directory)
    (spot.beside / "second").rmdir()
    directory.mkdir()


CHANGES = [_moved_away, _replaced, _rotated, _brought_back, _brought_back_and_removed]


@pytest.mark.parametrize("change", CHANGES)
def test_a_directory_takes_the_name_of_another(tmp_path: Path, change: Callable[[Spot, Path], None]) -> None:
    """Moved away, replaced or rotated: what is dropped in the new one is sent, and the service ends well."""
    with stage(tmp_path, ["spot"]) as scene:
        spot = scene.spots["spot"]
        directory = spot.folder / "scans"
        directory.mkdir()
        with running(scene.setting) as service:
            (directory / "seen.pdf").write_bytes(b"seen")
            eventually(spot.count(1))
            change(spot, directory)
            eventually(spot.quiet_passed())
            (directory / "new.pdf").write_bytes(b"new")
            eventually(spot.count(2))
            eventually(lambda: idle(service, scene.setting))
        assert spot.sent() == [message_of("seen.pdf", b"seen"), message_of("new.pdf", b"new")]
