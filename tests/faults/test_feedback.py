"""Feedback in folders that cannot be written to, or that cannot rename without replacing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from dingwatch.feedback import Executor
from dingwatch.feedback.jobs import Arrived, MoveFiles, Over, Refused, Result
from dingwatch.ledger.moves import Move, Phase
from dingwatch.model import Fingerprint
from dingwatch.texts import Log
from tests.faults.conftest import Confined, Mount, Watched, unmount
from tests.support import eventually, sent

SERVER: Final = Path(__file__).with_name("odd_file_system.py")


def test_a_folder_that_cannot_be_written_to_is_sent_from_all_the_same(
    watched: Watched, confined: Confined, share: Path, mount: Mount
) -> None:
    """That is logged once, and `check` says so; once it can be written to, a restart moves what was sent."""
    mount(share, "-t", "tmpfs", "none")
    (share / "a.pdf").write_text("a")
    (share / "b.pdf").write_text("b")
    (share / "no extension").write_text("c")
    mount(share, "-o", "remount,ro")
    settings = {"existing": "send", "after_send": "move", "feedback": "sidecar", "unsupported": "skip"}
    with watched.running(**settings):
        eventually(sent(watched.sandbox, 2))
        eventually(lambda: watched.heard.count(Log.NO_FEEDBACK) == 1)
    confined.set_folder(after_send="move", feedback="sidecar")
    done = confined.call("check", "--offline")
    assert (done.exit_code, "cannot write to" in done.output) == (1, True)
    assert "ReadWritePaths=" in done.output
    assert {one.name for one in share.iterdir()} == {"a.pdf", "b.pdf", "no extension"}
    mount(share, "-o", "remount,rw")
    with watched.running(**settings):
        eventually(lambda: len(list(share.glob("Sent/*/*.pdf"))) == 2)
        eventually((share / "no extension.not-sent.txt").exists)
    assert confined.call("check", "--offline").exit_code == 0
    assert watched.heard.count(Log.NO_FEEDBACK) == 1


@pytest.fixture
def odd(tmp_path: Path, share: Path) -> Iterator[Callable[[str], Path]]:
    """Mount an odd file system over the shared folder; return the directory below."""
    with ExitStack() as stack:

        def mounted(oddity: str) -> Path:
            below = tmp_path / "below"
            below.mkdir()
            server = subprocess.Popen([sys.executable, str(SERVER), str(below), str(share), oddity])
            stack.callback(server.wait)
            stack.callback(server.terminate)
            stack.callback(unmount, share, check=False)
            eventually(lambda: share.is_mount() or server.poll() is not None)
            if server.poll() is not None:
                pytest.skip("FUSE is not available here")
            return below

        yield mounted


def planned(share: Path) -> Move:
    """Return the move of a file as it is written down."""
    seen = (share / "a.pdf").stat()
    before = Fingerprint(seen.st_size, seen.st_mtime_ns, 0, seen.st_ino, seen.st_dev)
    return Move(1, 1, Phase.AWAY, b"a.pdf", b"Sent/2026-11/a.pdf", before)


def carry_on(share: Path, *moves: Move, verify: tuple[Move, ...] = ()) -> Result:
    """Carry on with moves; return what comes of it."""
    (result,) = Executor()(MoveFiles(1, os.fsencode(share), moves, verify, (), 0.0)).results
    return result


@pytest.mark.parametrize("oddity", ["renumbered", "read_moves_ctime"])
def test_a_file_is_moved_by_two_names_where_a_rename_might_replace(
    share: Path, odd: Callable[[str], Path], oddity: str
) -> None:
    """The file system knows no flags for a rename, and another inode at every look proves nothing."""
    below = odd(oddity)
    (share / "a.pdf").write_text("content")
    move = planned(share)
    result = carry_on(share, move)
    assert isinstance(result, Arrived)
    assert result.same
    assert [str(one.relative_to(below)) for one in below.rglob("*.pdf")] == ["Sent/2026-11/a.pdf"]
    assert isinstance(carry_on(share, verify=(replace(move, phase=Phase.THERE),)), Over)
    assert isinstance(carry_on(share, move), Arrived)  # after a kill before that was written down


def test_a_file_stays_where_nothing_can_move_it_for_certain(
    share: Path, odd: Callable[[str], Path], confined: Confined
) -> None:
    """Without hard links either, a rename might replace a file that somebody makes at this moment."""
    below = odd("no_links")
    (share / "a.pdf").write_text("content")
    assert isinstance(carry_on(share, planned(share)), Refused)
    assert (below / "a.pdf").read_text() == "content"
    confined.set_folder(after_send="move")
    done = confined.call("check", "--offline")
    assert (done.exit_code, "without replacing another" in done.output) == (1, True)
    confined.set_folder(after_send="keep", feedback="sidecar")
    done = confined.call("check", "--offline")
    assert (done.exit_code, "can be written to" in done.output) == (0, True)
    assert [one.name for one in below.iterdir() if one.is_file()] == ["a.pdf"]
