"""A folder's path that contains a link is followed, while the service runs and at its start."""

import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from dingwatch import files
from dingwatch.config.values import Config
from dingwatch.dingtalk import API_UPLOAD
from dingwatch.ledger import Store, links, sqlite_url
from dingwatch.ledger.folders import LookMark, MappedFolder, RootMark, bind, save_looks
from dingwatch.model import Failure
from dingwatch.sandbox import Fault, FaultKind, Sandbox
from dingwatch.texts import Log
from tests.integration.conftest import Machine
from tests.support import Heard, config, eventually, folder, names, running, sent


@pytest.fixture
def months(tmp_path: Path) -> Path:
    """Two directories, and a link to the first."""
    (tmp_path / "10").mkdir()
    (tmp_path / "11").mkdir()
    (tmp_path / "11" / "sub").mkdir()
    (tmp_path / "11" / "sub" / "old.txt").write_text("prepared")
    (tmp_path / "now").symlink_to("10")
    return tmp_path


@pytest.fixture
def linked(months: Path, sandbox: Sandbox) -> Config:
    """A folder whose path is the link."""
    return relink(months, sandbox)


def relink(months: Path, sandbox: Sandbox) -> Config:
    """Return the configuration as it is loaded now."""
    made = folder(months / "now", sandbox.conversations[0].id, name="now")
    return config(months / "state", sandbox, made)


def switch(link: Path, target: str) -> None:
    """Let a link lead elsewhere in one step, as `ln -sfn` does not and a careful script does."""
    tick = link.lstat().st_ctime_ns
    while True:
        new = link.with_name("new")
        new.symlink_to(target)
        new.rename(link)
        if link.lstat().st_ctime_ns > tick:
            return


def drop(path: Path, link: Path | None = None) -> None:
    """Write a file that is newer than the link: the kernel's clock for files ticks every few milliseconds."""
    path.write_text(path.name)
    while path.stat().st_ctime_ns <= (link or path.parents[1] / "now").lstat().st_ctime_ns:
        path.write_text(path.name)


def switched(heard: Heard) -> list[tuple[object, object]]:
    """Return from where to where the log says that links were switched."""
    return [(values["before"], values["root"]) for text, values in heard.said if text is Log.SWITCHED]


def rows(months: Path) -> list[tuple[str, bool]]:
    """Return the (name, baseline) of all versions."""
    with closing(sqlite3.connect(months / "state" / "ledger.db")) as connection:
        found = connection.execute("SELECT name, baseline FROM versions ORDER BY id").fetchall()
    return [(os.fsdecode(name), bool(baseline)) for name, baseline in found]


def test_a_link_is_followed_component_by_component(tmp_path: Path) -> None:
    """It leads somewhere, by links of which the newest was made at a known time, or nothing is there."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "inner").symlink_to("a")
    (tmp_path / "outer").symlink_to("inner/b")
    path = os.fsencode(tmp_path / "outer")
    made = max((tmp_path / name).lstat().st_ctime_ns / 1e9 for name in ("inner", "outer"))
    assert files.follow(path) == (os.fsencode(tmp_path / "a" / "b"), made)
    assert files.follow(os.fsencode(tmp_path / "a")) == (os.fsencode(tmp_path / "a"), None)
    for missing in ("nothing", "outer/nothing"):
        with pytest.raises(Failure, match="ENOENT"):
            files.follow(os.fsencode(tmp_path / missing))


def test_a_link_that_is_switched_is_followed(months: Path, linked: Config, sandbox: Sandbox) -> None:
    """What came after the switch is sent, what was there before it is not, and one line says so."""
    heard = Heard()
    with running(linked, heard):
        (months / "10" / "a.txt").write_text("a")
        eventually(sent(sandbox, 1))
        switch(months / "now", "11")
        drop(months / "11" / "b.txt")
        eventually(sent(sandbox, 2))
        (months / "now" / "sub" / "c.txt").write_text("c")
        eventually(sent(sandbox, 3))
    assert names(sandbox) == ["a.txt", "b.txt", "c.txt"]
    assert ("old.txt", True) in rows(months)
    assert switched(heard) == [(str(months / "10"), str(months / "11"))]
    with running(relink(months, sandbox), heard):
        (months / "now" / "d.txt").write_text("d")
        eventually(sent(sandbox, 4))
    assert len(switched(heard)) == 1


def test_a_former_target_is_watched_until_it_is_done(months: Path, linked: Config, sandbox: Sandbox) -> None:
    """What settles there, and what waits for DingTalk, is sent from there; then it is left alone."""
    with running(linked) as service:
        sandbox.inject(Fault(API_UPLOAD, FaultKind.ERROR, times=3))
        (months / "10" / "a.txt").write_text("a")
        switch(months / "now", "11")
        drop(months / "11" / "b.txt")
        eventually(sent(sandbox, 2))
        eventually(lambda: len(service.watching()) == 1)
        (months / "10" / "late.txt").write_text("late")
        drop(months / "11" / "c.txt")
        eventually(sent(sandbox, 3))
    assert sorted(names(sandbox)) == ["a.txt", "b.txt", "c.txt"]


def test_a_link_that_was_switched_while_nothing_ran(months: Path, linked: Config, sandbox: Sandbox) -> None:
    """The start tells it: the former target is scanned once more, the new one by the link's own time."""
    heard = Heard()
    with running(linked, heard):
        pass
    (months / "10" / "a.txt").write_text("a")
    switch(months / "now", "11")
    drop(months / "11" / "b.txt")
    with running(relink(months, sandbox), heard) as service:
        eventually(sent(sandbox, 2))
        eventually(lambda: len(service.watching()) == 1)
    assert sorted(names(sandbox)) == ["a.txt", "b.txt"]
    assert switched(heard) == [(str(months / "10"), str(months / "11"))]


def test_a_link_that_is_switched_back(months: Path, linked: Config, sandbox: Sandbox) -> None:
    """What came to the first target meanwhile is older than the link; what comes later is sent."""
    heard = Heard()
    with running(linked, heard) as service:
        switch(months / "now", "11")
        eventually(lambda: len(switched(heard)) == 1 and len(service.watching()) == 1)
        (months / "10" / "meanwhile.txt").write_text("meanwhile")
        switch(months / "now", "10")
        eventually(lambda: len(switched(heard)) == 2)
        drop(months / "10" / "a.txt")
        eventually(sent(sandbox, 1))
    assert names(sandbox) == ["a.txt"]
    assert ("meanwhile.txt", True) in rows(months)


def test_a_target_within_the_former_one_is_watched_once(
    months: Path, linked: Config, sandbox: Sandbox
) -> None:
    """While both are watched, what comes to the inner one is sent for one of them alone."""
    (months / "10" / "inner").mkdir()
    heard = Heard()
    with running(linked, heard) as service:
        sandbox.inject(Fault(API_UPLOAD, FaultKind.ERROR, times=3))
        (months / "10" / "a.txt").write_text("a")
        switch(months / "now", "10/inner")
        eventually(lambda: len(switched(heard)) == 1)
        drop(months / "10" / "inner" / "b.txt", months / "now")
        eventually(sent(sandbox, 2))
        eventually(lambda: len(service.watching()) == 1)
    assert sorted(names(sandbox)) == ["a.txt", "b.txt"]


def test_a_link_into_the_state_directory_is_not_followed(
    months: Path, linked: Config, sandbox: Sandbox
) -> None:
    """The ledger is not sent: the folder is down until the link is corrected."""
    heard = Heard()
    with running(linked, heard) as service:
        switch(months / "now", "state")
        eventually(lambda: set(service.watching().values()) == {("down", 0)})
        switch(months / "now", "11")
        eventually(lambda: ("inotify", 0) in service.watching().values())
    assert [values["code"] for text, values in heard.said if text is Log.FOLDER_DOWN] == ["overlap"]
    assert names(sandbox) == []


def test_the_commands_count_former_targets(machine: Machine, months: Path) -> None:
    """`status` and `history` of the folder show them, with and without a service."""
    machine.set_folder(path=str(months / "now"), name="now")
    service = machine.start()
    (months / "10" / "a.txt").write_text("a")
    eventually(lambda: machine.status()["folders"][0]["counts"]["sent"] == 1)
    switch(months / "now", "11")
    drop(months / "11" / "b.txt")
    eventually(lambda: machine.status()["folders"][0]["counts"]["sent"] == 2)
    shown = [(one["folder"], one["path"], one["state"]) for one in machine.history("--folder", "now")]
    assert sorted(shown) == [("now", "a.txt", "sent"), ("now", "b.txt", "sent")]
    assert machine.status()["folders"][0]["watch"] == "inotify"
    machine.stop(service)
    (months / "12").mkdir()
    switch(months / "now", "12")
    assert machine.status()["folders"][0]["counts"]["sent"] == 2


@pytest.mark.parametrize("live", [True, False], ids=["live", "stopped"])
def test_a_root_that_is_moved_and_put_back(tmp_path: Path, sandbox: Sandbox, *, live: bool) -> None:
    """A link takes its place, and then it the link's: no file is sent twice, none becomes baseline."""
    share, disk = tmp_path / "share", tmp_path / "disk"
    share.mkdir()
    (share / "old.txt").write_text("old")

    def now() -> Config:
        return config(tmp_path / "state", sandbox, folder(share, sandbox.conversations[0].id, name="share"))

    def move(source: Path, target: Path) -> None:
        (source / "waits.txt").write_text(f"before {target}")
        source.rename(target)

    def put_away() -> None:
        move(share, disk)
        share.symlink_to("disk")

    def put_back() -> None:
        share.unlink()
        move(disk, share)

    with running(now()):
        (share / "a.txt").write_text("a")
        eventually(sent(sandbox, 1))
        if live:
            put_away()
            eventually(sent(sandbox, 2))
            put_back()
            eventually(sent(sandbox, 3))
    if not live:
        put_away()
        with running(now()):
            eventually(sent(sandbox, 2))
        put_back()
        with running(now()):
            eventually(sent(sandbox, 3))
    assert names(sandbox) == ["a.txt", "waits.txt", "waits.txt"]
    assert [name for name, is_baseline in rows(tmp_path) if is_baseline] == ["old.txt"]


def test_a_target_that_was_made_anew(months: Path, linked: Config, sandbox: Sandbox) -> None:
    """A link leads to a known path with another directory: what is older than the link is not new."""
    heard = Heard()
    (months / "10" / "first.txt").write_text("first")
    with running(linked, heard) as service:
        switch(months / "now", "11")
        eventually(lambda: len(switched(heard)) == 1 and len(service.watching()) == 1)
        (months / "other").mkdir()
        (months / "other" / "prepared.txt").write_text("prepared")
        (months / "10").rename(months / "09")
        (months / "other").rename(months / "10")
        switch(months / "now", "10")
        eventually(lambda: len(switched(heard)) == 2)
        drop(months / "10" / "a.txt")
        eventually(sent(sandbox, 1))
    assert names(sandbox) == ["a.txt"]
    assert ("prepared.txt", True) in rows(months)


@pytest.mark.parametrize("live", [True, False], ids=["live", "stopped"])
def test_no_last_look_is_in_the_future(tmp_path: Path, *, live: bool) -> None:
    """The clock was set back, and a directory put in the link's place: what comes there is new."""
    former = MappedFolder(b"/10", "now", ("cidA",), path=b"/now", linked_at=50.0)
    present = replace(former, root=b"/now", linked_at=None)
    ledger = sqlite_url(tmp_path / "ledger.db")
    with closing(Store.open(ledger)) as store, store.writing() as connection:
        marks = bind(connection, [former])
        links.note_paths(connection, [former], marks, 100.0)
        root = RootMark(1, 2, seen_at=90_000.0)
        save_looks(connection, {marks[0].id: LookMark(root=root)})
        if live:
            mark = links.switch(connection, marks[0].id, present.root, None, 1000.0)
        else:
            ((mark, _),) = links.note_paths(connection, [present], bind(connection, [present]), 1000.0)
    assert mark.look.began == 1000.0 - links.MISSED
