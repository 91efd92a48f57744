"""Two services watch one share that each sees by a file system of its own: a local disk, and a FUSE mount.

The mount shows other devices and inodes, and most of them coarser times. Whatever either shows, each file is
sent once, and nothing is taken for gone that one of them does not show.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, LiteralString

import psycopg
import pytest

from dingwatch import delivery, files, intake
from dingwatch.config.values import Alerts, Config
from dingwatch.delivery import Reader
from dingwatch.model import WatchKind
from dingwatch.sandbox import Fault, FaultKind, Sandbox
from dingwatch.service.daemon import Service
from tests import support
from tests.faults.conftest import unmount
from tests.faults.test_odd_file_systems import SERVER
from tests.support import Heard, eventually, folder, names, running

VIEWS: Final = ("bindfs", "cifs_times", "whole_seconds", "even_seconds")


@dataclass
class Site:
    """A share on the disk of the node east, which the node west sees by a mount."""

    near: Path
    far: Path
    sandbox: Sandbox
    ledger: str
    states: Path
    view: str
    heard: Heard = field(default_factory=Heard)
    server: subprocess.Popen[bytes] | None = None
    _stack: ExitStack = field(default_factory=ExitStack)

    def config(self, name: str, **changes: Any) -> Config:  # noqa: ANN401 (settings of the folder)
        """Return the configuration of a node."""
        root = {"east": self.near, "west": self.far}[name]
        group = self.sandbox.conversations[0].id
        one = folder(root, group, name="office", shared="office", **changes)
        return replace(support.config(self.states / name, self.sandbox, one), ledger=self.ledger, node=name)

    def mount(self) -> None:
        """Mount the share for the node west."""
        command = [sys.executable, str(SERVER), str(self.near), str(self.far), self.view]
        if self.view == "bindfs":
            command = [
                shutil.which("bindfs") or pytest.skip("needs bindfs"),
                "-f",
                str(self.near),
                str(self.far),
            ]
        server = self.server = subprocess.Popen(command)
        self._stack.callback(server.wait)
        self._stack.callback(server.kill)
        self._stack.callback(unmount, self.far, check=False)
        self._stack.callback(server.send_signal, signal.SIGCONT)
        eventually(lambda: self.far.is_mount() or server.poll() is not None)
        if server.poll() is not None:
            pytest.skip("FUSE is not available here")

    def close(self) -> None:
        """Unmount the share."""
        self._stack.close()

    def ask(self, query: LiteralString) -> list[tuple[Any, ...]]:
        """Run a statement on the ledger and return its rows."""
        with closing(psycopg.connect(self.ledger.replace("+psycopg", ""), autocommit=True)) as connection:
            return connection.execute(query).fetchall()

    def both_know(self) -> bool:
        """Return whether each node has seen all files that lie in the share as the ledger has them."""
        lying = sorted(
            os.fsencode(one.relative_to(self.near)) for one in self.near.rglob("*") if one.is_file()
        )
        known = self.ask(
            "SELECT f.node, v.directory, v.name FROM fingerprints f JOIN versions v ON v.id = f.version_id"
            " WHERE f.missing_since IS NULL AND v.missing_since IS NULL"
        )
        seen = {"east": set[bytes](), "west": set[bytes]()}
        for node, directory, name in known:
            seen[node].add(b"/".join(filter(None, (directory, name))))
        return all(sorted(one) == lying for one in seen.values())

    def sees_time(self, node: str, path: Path) -> bool:
        """Return whether a node has recorded the mtime that it sees of a file in the root."""
        known = self.ask(
            "SELECT f.node, v.name, f.mtime_ns FROM fingerprints f JOIN versions v ON v.id = f.version_id"
        )
        return (node, os.fsencode(path.name), path.stat().st_mtime_ns) in known

    def failed_reads(self) -> int:
        """Return how many claims have come to nothing."""
        ((found,),) = self.ask("SELECT count(*) FROM history WHERE event = 'retry'")
        return int(found)

    def arrived(self, *expected: str) -> Callable[[], bool]:
        """Return the condition that these have arrived, or more."""
        return lambda: len(names(self.sandbox)) >= len(expected)

    def require(self, *expected: str) -> None:
        """Wait until these have arrived and both nodes know all, and see that each came once."""
        eventually(lambda: len(names(self.sandbox)) >= len(expected))
        eventually(self.both_know)
        eventually(lambda: self.ask("SELECT state FROM deliveries WHERE state <> 'sent'") == [])
        assert sorted(names(self.sandbox)) == sorted(expected)


@pytest.fixture(params=VIEWS)
def site(
    request: pytest.FixtureRequest, tmp_path: Path, share: Path, sandbox: Sandbox, postgres_url: str
) -> Iterator[Site]:
    """A share that is mounted once more for another node."""
    far = tmp_path / "mount"
    far.mkdir()
    made = Site(share, far, sandbox, postgres_url, tmp_path, request.param)
    try:
        made.mount()
        yield made
    finally:
        made.close()


any_view = pytest.mark.parametrize("site", ["bindfs"], indirect=True)
"""Marks a test for which it does not matter how the mount shows times."""


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short quiet period of network file systems."""
    monkeypatch.setattr(intake.folder, "NETWORK_QUIET", 0.5)


def kind(service: Service) -> WatchKind:
    """Return how a service watches its only folder."""
    ((found, _),) = service.watching().values()
    return found


def test_a_file_dropped_through_either_view_is_sent_once(site: Site) -> None:
    """Also when it is renamed, moved with its directory or overwritten through one of them."""
    for number in range(3):
        (site.near / f"old {number}.pdf").write_text(str(number))
    with running(site.config("east"), site.heard) as east, running(site.config("west"), site.heard) as west:
        assert (kind(east), kind(west)) == (WatchKind.INOTIFY, WatchKind.POLL)
        eventually(site.both_know)
        expected = []
        for number in range(5):
            (site.near / f"near {number}.pdf").write_text(f"near {number}")
            (site.far / f"far {number}.pdf").write_text(f"far {number}")
            expected += [f"near {number}.pdf", f"far {number}.pdf"]
        site.require(*expected)
        (site.near / "near 0.pdf").rename(site.near / "renamed near.pdf")
        (site.far / "near 1.pdf").rename(site.far / "renamed far.pdf")
        (site.near / "old 0.pdf").rename(site.near / "old renamed near.pdf")
        (site.far / "old 1.pdf").rename(site.far / "old renamed far.pdf")
        site.require(*expected)
        (site.near / "one").mkdir()
        (site.far / "two").mkdir()
        for number in range(3):
            (site.near / "one" / f"{number}.pdf").write_text(f"one {number}")
            (site.far / "two" / f"{number}.pdf").write_text(f"two {number}")
            expected += [f"{number}.pdf"] * 2
        site.require(*expected)
        (site.far / "one").rename(site.far / "one renamed")
        (site.near / "two").rename(site.near / "two renamed")
        site.require(*expected)
        (site.far / "far 2.pdf").write_text("longer content")
        (site.near / "near 2.pdf").write_text("longer content too")
        expected += ["far 2.pdf", "near 2.pdf"]
        site.require(*expected)
    renamed = [f"{directory}/{number}.pdf" for directory in ("one", "two") for number in range(3)]
    moved = [path for (path,) in site.ask("SELECT message FROM history WHERE event = 'moved'")]
    assert sorted(moved) == sorted(["near 0.pdf", "near 1.pdf", "old 0.pdf", "old 1.pdf", *renamed])


@pytest.mark.parametrize("order", [("east", "west"), ("west", "east")])
def test_the_second_node_adopts_what_the_first_has_seen(site: Site, order: tuple[str, str]) -> None:
    """It sends and reads nothing of that, whichever of the two sees the finer times."""
    first, second = order
    for number in range(3):
        (site.near / f"old {number}.pdf").write_text(str(number))
    sent = [f"{number}.pdf" for number in range(3)]
    with running(site.config(first)):
        for name in sent:
            (site.near / name).write_text(name)
        eventually(site.arrived(*sent))
        eventually(lambda: site.ask("SELECT state FROM deliveries WHERE state <> 'sent'") == [])
        seen = site.ask("SELECT name, size, sha256, baseline FROM versions ORDER BY id")
        with running(site.config(second)):
            site.require(*sent)
    with running(site.config(second)):
        (site.near / "last.pdf").write_text("last")
        eventually(site.arrived(*sent, "last.pdf"))
    assert sorted(names(site.sandbox)) == sorted([*sent, "last.pdf"])
    assert site.ask("SELECT name, size, sha256, baseline FROM versions ORDER BY id")[:-1] == seen
    assert site.ask("SELECT event FROM history WHERE delivery_id IS NULL AND event <> 'queued'") == []


def test_a_time_that_only_one_view_shows_sends_nothing_again(site: Site) -> None:
    """A file that is touched within what the other view rounds away is read and known by one node alone."""
    with running(site.config("east", rescan=0.5)), running(site.config("west", rescan=0.5)):
        for name in ("near.pdf", "far.pdf", "hour.pdf"):
            path = site.near / name
            path.write_text(name)
            os.utime(path, ns=(1, 10**18 + 350))
        site.require("near.pdf", "far.pdf", "hour.pdf")
        os.utime(site.near / "near.pdf", ns=(1, 10**18 + 355))
        os.utime(site.far / "far.pdf", ns=(1, 10**18 + 355))
        os.utime(site.near / "hour.pdf", ns=(1, 10**18 + 3600 * 10**9 + 305))
        for name in ("near.pdf", "far.pdf", "hour.pdf"):
            eventually(partial(site.sees_time, "east", site.near / name))
            eventually(partial(site.sees_time, "west", site.far / name))
        (site.near / "last.pdf").write_text("last")
        site.require("near.pdf", "far.pdf", "hour.pdf", "last.pdf")
    touched = site.ask(
        "SELECT v.name FROM history h JOIN versions v ON v.id = h.version_id WHERE event = 'touched'"
    )
    assert touched.count((b"hour.pdf",)) == 1


def test_a_removed_file_is_missed_by_both(site: Site) -> None:
    """Through whichever view it was removed; its content under another name is a new file then."""
    with running(site.config("east")), running(site.config("west")):
        for name in ("near.pdf", "far.pdf"):
            (site.near / name).write_text(name)
        site.require("near.pdf", "far.pdf")
        (site.near / "near.pdf").unlink()
        (site.far / "far.pdf").unlink()
        eventually(lambda: site.ask("SELECT count(*) FROM versions WHERE missing_since IS NULL") == [(0,)])
        (site.near / "new near.pdf").write_text("near.pdf")
        (site.far / "new far.pdf").write_text("far.pdf")
        site.require("near.pdf", "far.pdf", "new near.pdf", "new far.pdf")


@any_view
def test_a_file_that_is_removed_before_it_is_sent_is_withdrawn(site: Site) -> None:
    """Through whichever view it is removed."""
    group = site.sandbox.conversations[0].id
    site.sandbox.inject(Fault("robot/groupMessages/send", FaultKind.NO_PERMISSION, times=None))
    with running(site.config("east")), running(site.config("west")):
        for name in ("near.pdf", "far.pdf"):
            (site.near / name).write_text(name)
        eventually(site.both_know)
        (site.near / "near.pdf").unlink()
        (site.far / "far.pdf").unlink()
        eventually(lambda: site.ask("SELECT state, code FROM deliveries") == [("gone", "withdrawn")] * 2)
    assert site.sandbox.messages(group) == ()


@any_view
def test_a_share_that_is_mounted_while_it_is_being_opened_is_polled(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is mounted a moment before the root is opened counts: no event tells what other hosts write."""
    unmount(site.far)
    open_root = files.open_root
    opened: list[bytes] = []

    def mount_first(path: bytes, **more: Any) -> files.Root:  # noqa: ANN401 (passed on)
        if path == os.fsencode(site.far) and not opened:
            opened.append(path)
            site.mount()
        return open_root(path, **more)

    monkeypatch.setattr(files, "open_root", mount_first)
    with running(site.config("west")) as west:
        assert opened
        assert kind(west) is WatchKind.POLL


@any_view
@pytest.mark.parametrize("unmounted", [True, False], ids=["unmounted", "dead"])
def test_the_other_node_sends_what_a_mount_that_died_does_not_show(site: Site, *, unmounted: bool) -> None:
    """Nothing is taken for gone meanwhile; mounted again, the share is watched by both."""
    sent = [f"{number}.pdf" for number in range(30)]
    more = {"rescan": 1.0}
    assert site.server is not None
    with (
        running(site.config("east", **more), site.heard),
        running(site.config("west", **more), site.heard) as west,
    ):
        for name in sent[:10]:
            (site.near / name).write_text(name)
        site.require(*sent[:10])
        site.server.kill()
        site.server.wait()
        if unmounted:
            unmount(site.far)
        for name in sent[10:20]:
            (site.near / name).write_text(name)
        eventually(site.arrived(*sent[:20]))
        eventually(lambda: kind(west) is WatchKind.DOWN)
        failed = site.failed_reads()
        for name in sent[20:]:
            (site.near / name).write_text(name)
        eventually(site.arrived(*sent))
        assert site.failed_reads() == failed, "the node without the share claims nothing of it"
        if not unmounted:
            unmount(site.far)
        site.mount()
        eventually(lambda: kind(west) is WatchKind.POLL)
        (site.far / "last.pdf").write_text("last")
        site.require(*sent, "last.pdf")
    assert site.ask("SELECT event FROM history WHERE event IN ('vanish', 'seen', 'returned')") == []


@any_view
def test_a_file_that_a_dead_mount_showed_last_can_be_taken_back(site: Site) -> None:
    """The node with the mount cannot tell any more whether it is there."""
    site.sandbox.inject(Fault("robot/groupMessages/send", FaultKind.NO_PERMISSION, times=None))
    assert site.server is not None
    often = Alerts(after=0.2)  # so often do the nodes tell each other what is down
    east, west = (replace(site.config(name), alerts=often) for name in ("east", "west"))
    with running(east), running(west):
        (site.near / "near.pdf").write_text("near")
        eventually(site.both_know)
        site.ask("UPDATE fingerprints SET seen_at = seen_at + 100 WHERE node = 'west' RETURNING 1")
        site.server.kill()
        eventually(lambda: site.ask("SELECT node FROM folders_down") == [("west",)])
        (site.near / "near.pdf").unlink()
        eventually(lambda: site.ask("SELECT state, code FROM deliveries") == [("gone", "withdrawn")])


@any_view
def test_the_other_node_sends_what_lies_in_a_mount_that_hangs(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the node with the mount has begun to read is sent when it gives that up, and nothing is gone."""
    monkeypatch.setattr(intake.folder, "HUNG", 1.0)
    monkeypatch.setattr(delivery, "Reader", partial(Reader, patience=1.0))
    sent = [f"{number}.pdf" for number in range(20)]
    assert site.server is not None
    with running(site.config("east"), site.heard), running(site.config("west"), site.heard) as west:
        for name in sent[:5]:
            (site.near / name).write_text(name)
        site.require(*sent[:5])
        site.server.send_signal(signal.SIGSTOP)
        for name in sent[5:10]:
            (site.near / name).write_text(name)
        eventually(lambda: kind(west) is WatchKind.DOWN)
        eventually(site.arrived(*sent[:10]))
        failed = site.failed_reads()
        for name in sent[10:]:
            (site.near / name).write_text(name)
        eventually(site.arrived(*sent))
        assert site.failed_reads() == failed, "the node whose mount hangs claims nothing of it"
        site.server.send_signal(signal.SIGCONT)
        eventually(lambda: kind(west) is WatchKind.POLL)
        (site.far / "last.pdf").write_text("last")
        site.require(*sent, "last.pdf")


def test_feedback_through_either_view_comes_once(site: Site) -> None:
    """A note is written and taken away, a file that was sent is moved away, by whichever node."""
    changes = {"feedback": "sidecar", "after_send": "move", "unsupported": "skip"}

    def lie_there() -> list[str]:
        return sorted(path.name for path in site.near.rglob("*") if path.is_file())

    sent = [f"{view} {number}.pdf" for view in ("near", "far") for number in range(5)]
    with running(site.config("west", **changes)), running(site.config("east", **changes)):
        for root, name in ((site.near, "near"), (site.far, "far")):
            (root / f"{name} report").write_text("a name without extension")
            for number in range(5):
                (root / f"{name} {number}.pdf").write_text(f"{name} {number}")
        eventually(site.arrived(*sent))
        notes = [f"{name} report.not-sent.txt" for name in ("near", "far")]
        eventually(lambda: lie_there() == sorted([*sent, "near report", "far report", *notes]))
        eventually(lambda: not list(site.near.glob("*.pdf")))
        for root, name in ((site.far, "near"), (site.near, "far")):
            (root / f"{name} report").unlink()
        eventually(lambda: lie_there() == sorted(sent))
        (site.near / "near 0.pdf").write_text("near 0")  # a new file, for dingwatch took the other away
        eventually(site.arrived(*sent, "near 0.pdf"))
    assert sorted(names(site.sandbox)) == sorted([*sent, "near 0.pdf"])


@pytest.mark.parametrize("site", ["whole_seconds"], indirect=True)
def test_a_share_that_is_mounted_in_another_way_shows_the_same_files(site: Site) -> None:
    """Its times are finer or coarser than before: nothing is sent, of old files neither."""
    for number in range(3):
        (site.near / f"old {number}.pdf").write_text(str(number))
    sent: list[str] = []
    with running(site.config("east")):
        for view in ("whole_seconds", "bindfs", "even_seconds"):
            if view != site.view:
                unmount(site.far)
                site.view = view
                site.mount()
            with running(site.config("west")):
                (site.near / f"{view}.pdf").write_text(view)
                sent.append(f"{view}.pdf")
                site.require(*sent)
                for path in site.far.iterdir():
                    eventually(partial(site.sees_time, "west", path))
    assert site.ask("SELECT event FROM history WHERE delivery_id IS NULL") == []
    assert site.ask("SELECT count(*) FROM versions WHERE baseline") == [(3,)]
