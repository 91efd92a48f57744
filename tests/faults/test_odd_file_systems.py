"""Mounted file systems whose inode numbers, ctimes and names behave otherwise than those of a local disk."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from dingwatch import intake
from dingwatch.texts import Log
from tests.faults.conftest import unmount
from tests.ledger import execute
from tests.reality.stage import CONTROL, Spot, message_of, stage
from tests.support import Heard, eventually, running

SERVER: Final = Path(__file__).with_name("odd_file_system.py")
Mount = Callable[[Spot, str], None]


@pytest.fixture
def mount_odd() -> Iterator[Mount]:
    """Mount an odd file system over a spot's folder; what lies in it lies beside it, too."""
    with ExitStack() as stack:

        def mount(spot: Spot, oddity: str) -> None:
            server = subprocess.Popen(
                [sys.executable, str(SERVER), str(spot.beside), str(spot.folder), oddity]
            )
            stack.callback(server.wait)
            stack.callback(server.terminate)
            stack.callback(unmount, spot.folder, check=False)
            eventually(lambda: spot.folder.is_mount() or server.poll() is not None)
            if server.poll() is not None:
                pytest.skip("FUSE is not available here")

        yield mount


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short quiet period of network file systems."""
    monkeypatch.setattr(intake.folder, "NETWORK_QUIET", 1.0)


STEADY_NAMES = ("renumbered", "numbered_root", "read_moves_ctime")


def test_inodes_and_ctimes_that_change_by_themselves_hold_nothing_back(
    tmp_path: Path, mount_odd: Mount
) -> None:
    """A file is sent once where its inode or ctime, or the root's inode, is another at every look."""
    heard = Heard()
    with stage(tmp_path, STEADY_NAMES, rescan=1.0) as scene:
        for name, spot in scene.spots.items():
            mount_odd(spot, name)
            (spot.folder / "sub").mkdir()
        with running(scene.setting, heard):
            for name, spot in scene.spots.items():
                (spot.folder / "sub" / f"{name}.txt").write_bytes(name.encode())
            arrived = [spot.quiet_passed() for spot in scene.spots.values()]
            eventually(lambda: all(one() for one in arrived))
            eventually(lambda: all(spot.messages() for spot in scene.spots.values()))
        for name, spot in scene.spots.items():
            assert spot.sent() == [message_of(f"{name}.txt", name.encode())]
    assert heard.count(Log.FOLDER_DOWN) == 0


def test_a_rename_in_case_only_is_no_new_file(tmp_path: Path, mount_odd: Mount) -> None:
    """Of a file, a directory, and a file that was there before, on a file system that ignores case."""
    with stage(tmp_path, ["any_case"]) as scene:
        spot = scene.spots["any_case"]
        (spot.beside / "OLD.txt").write_bytes(b"old")
        mount_odd(spot, "any_case")
        (spot.folder / "Scans").mkdir()
        with running(scene.setting):
            (spot.folder / "REPORT.PDF").write_bytes(b"report")
            (spot.folder / "Scans" / "a.txt").write_bytes(b"scan")
            eventually(spot.count(2))
            (spot.folder / "REPORT.PDF").rename(spot.folder / "report.pdf")
            (spot.folder / "OLD.txt").rename(spot.folder / "old.txt")
            (spot.folder / "Scans").rename(spot.folder / "scans")
            eventually(spot.quiet_passed())
        known = execute(scene.setting, "SELECT directory, name FROM versions")
    found = sorted(one for one in known if not one[1].startswith(CONTROL.encode()))
    assert found == [(b"", b"old.txt"), (b"", b"report.pdf"), (b"scans", b"a.txt")]
    assert sorted(spot.sent()) == [message_of("REPORT.PDF", b"report"), message_of("a.txt", b"scan")]
