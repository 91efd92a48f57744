"""One install a root: who finds it locked waits, says so, and takes over."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dingwatch.sandbox import Sandbox
from dingwatch.texts import Log
from tests.integration.conftest import Machine
from tests.support import Heard, config, eventually, folder, names, running, sent

CHANGES: tuple[dict[str, Any], ...] = ({"exclusive": False}, {"shared": "finance"})
DOWN = (Log.FOLDER_DOWN, "in_use")


def downs(heard: Heard) -> list[tuple[object, object]]:
    """Return the reasons that the log gave for folders that are down."""
    return [(text, values["code"]) for text, values in heard.said if text is Log.FOLDER_DOWN]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Lock a directory as another install does."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def test_two_installs_send_a_file_once(tmp_path: Path, share: Path, sandbox: Sandbox) -> None:
    """The second one waits, says so once, and takes over when the first one has stopped."""
    cid, heard = sandbox.conversations[0].id, Heard()
    first = config(tmp_path / "one", sandbox, folder(share, cid))
    second = config(tmp_path / "two", sandbox, folder(share, cid))
    with running(first):
        with running(second, heard) as waiting:
            assert set(waiting.watching().values()) == {("down", 0)}
            (share / "a.txt").write_text("a")
            eventually(sent(sandbox, 1))
            assert downs(heard) == [DOWN]
        with running(second, heard) as waiting:
            assert set(waiting.watching().values()) == {("down", 0)}
    with running(second, heard) as waiting:
        assert set(waiting.watching().values()) == {("inotify", 0)}
        (share / "b.txt").write_text("b")
        eventually(sent(sandbox, 2))
    assert names(sandbox) == ["a.txt", "b.txt"]


def test_a_folder_is_taken_over_when_its_lock_is_free(tmp_path: Path, share: Path, sandbox: Sandbox) -> None:
    """Without a restart, within the interval of its checks."""
    setting = config(tmp_path / "state", sandbox, folder(share, sandbox.conversations[0].id))
    heard = Heard()
    with locked(share):
        service = running(setting, heard)
        started = service.__enter__()
        assert downs(heard) == [DOWN]
    try:
        eventually(lambda: set(started.watching().values()) == {("inotify", 0)})
        (share / "a.txt").write_text("a")
        eventually(sent(sandbox, 1))
    finally:
        service.__exit__(None, None, None)
    assert heard.count(Log.FOLDER_BACK) == 1


def test_folders_with_one_root_share_its_lock(tmp_path: Path, share: Path, sandbox: Sandbox) -> None:
    """One root for two conversations is locked once, and watched for both."""
    one, two = (c.id for c in sandbox.conversations[:2])
    both = folder(share, one, name="one"), folder(share, two, name="two")
    with running(config(tmp_path / "state", sandbox, *both)) as service:
        assert set(service.watching().values()) == {("inotify", 0)}
        (share / "a.txt").write_text("a")
        eventually(lambda: names(sandbox, 0) == names(sandbox, 1) == ["a.txt"])


def test_a_folder_that_is_not_exclusive_is_watched_all_the_same(
    tmp_path: Path, share: Path, sandbox: Sandbox
) -> None:
    """`exclusive: false` neither minds a lock nor takes one, and nor does a share of several hosts."""
    cid = sandbox.conversations[0].id
    for number, changes in enumerate(CHANGES):
        setting = config(tmp_path / str(number), sandbox, folder(share, cid, **changes))
        with locked(share), running(setting) as service:
            assert set(service.watching().values()) == {("inotify", 0)}
        with running(setting), locked(share):
            pass  # nobody had locked it


def test_a_root_that_was_replaced_is_locked_anew(tmp_path: Path, share: Path, sandbox: Sandbox) -> None:
    """The lock lies on the directory, not on its name: the former one is free, the new one is taken."""
    setting = config(tmp_path / "state", sandbox, folder(share, sandbox.conversations[0].id))
    heard = Heard()
    with running(setting, heard):
        share.rename(tmp_path / "former")
        share.mkdir()
        eventually(lambda: heard.count(Log.FOLDER_BACK) == 1)
        with locked(tmp_path / "former"):
            pass
        with pytest.raises(BlockingIOError), locked(share):
            pass


def test_check_names_who_holds_a_folder(machine: Machine, share: Path) -> None:
    """It names the process, is content with the lock of its own service, and leaves none behind."""
    with locked(share):
        found = machine.do("check", "--offline")
        assert found.returncode == 1
        assert f"(process {os.getpid()}, " in found.stdout
        assert "is watched by another dingwatch" in found.stdout
    service = machine.start()
    found = machine.do("check", "--offline")
    assert (found.returncode, "another dingwatch" in found.stdout) == (0, False), found.stdout
    machine.stop(service)
    with locked(share):
        pass
