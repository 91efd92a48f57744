import os
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dingwatch import file_writes, files
from dingwatch.file_writes import UNFINISHED, NameTakenError, Removal
from dingwatch.files import Root
from dingwatch.model import Failure


@pytest.fixture
def root(share: Path) -> Iterator[Root]:
    """An opened folder's root."""
    with closing(files.open_root(os.fsencode(share))) as opened:
        yield opened


def mode_of(path: Path) -> int:
    """Return the permissions of a file or directory."""
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_can_be_read_by_all_and_has_its_directorys_group(root: Root, share: Path) -> None:
    """Whatever the umask and the service's own group are."""
    inner = share / "sub"
    inner.mkdir()
    if os.geteuid() == 0:
        os.chown(inner, -1, 12345)
    before = os.umask(0o077)
    try:
        file_writes.create(root, b"sub/a.txt", b"hello")
    finally:
        os.umask(before)
    made = inner / "a.txt"
    assert (made.read_bytes(), mode_of(made)) == (b"hello", 0o644)
    assert made.stat().st_gid == inner.stat().st_gid


@pytest.mark.parametrize("kind", ["file", "link", "dangling link", "directory"])
def test_nothing_is_replaced_by_a_new_file(root: Root, share: Path, kind: str) -> None:
    """A name that is taken stays as it is, and nothing is written through a link."""
    target = share / "elsewhere"
    made = share / "a.txt"
    match kind:
        case "file":
            made.write_bytes(b"theirs")
        case "link":
            target.write_bytes(b"theirs")
            made.symlink_to(target)
        case "dangling link":
            made.symlink_to(target)
        case _:
            made.mkdir()
    with pytest.raises(NameTakenError):
        file_writes.create(root, b"a.txt", b"ours")
    assert target.exists() == (kind == "link")
    assert not made.is_file() or made.read_bytes() == b"theirs"


def test_nothing_is_made_through_a_directory_that_is_a_link(root: Root, share: Path, tmp_path: Path) -> None:
    """A directory on the way that was replaced by a link leads out of the folder."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (share / "sub").symlink_to(outside)
    (share / "a.txt").write_bytes(b"x")
    with pytest.raises(Failure):
        file_writes.create(root, b"sub/a.txt", b"hello")
    with pytest.raises(Failure):
        file_writes.make_directories(root, b"sub/2026-11")
    with pytest.raises(Failure):
        file_writes.rename(root, b"a.txt", b"sub/a.txt")
    (outside / "b.txt").write_bytes(b"y")
    assert file_writes.remove(root, b"sub/b.txt", b"y") is Removal.ABSENT
    assert [one.name for one in outside.iterdir()] == ["b.txt"]
    assert (share / "a.txt").exists()


@pytest.mark.parametrize(
    ("found", "unfinished", "outcome"),
    [
        (b"hello", False, Removal.REMOVED),
        (b"hello world", False, Removal.EDITED),
        (b"hell", False, Removal.EDITED),
        (b"hell", True, Removal.REMOVED),
        (b"", True, Removal.REMOVED),
        (b"hallo", True, Removal.EDITED),
        (None, False, Removal.ABSENT),
    ],
)
def test_a_file_is_removed_while_it_is_what_was_written(
    root: Root, share: Path, *, found: bytes | None, unfinished: bool, outcome: Removal
) -> None:
    """What somebody has edited is left; only a run that was interrupted wrote the beginning."""
    made = share / "a.txt"
    if found is not None:
        made.write_bytes(found)
    assert file_writes.remove(root, b"a.txt", b"hello", unfinished=unfinished) is outcome
    assert made.exists() == (outcome is Removal.EDITED)


def test_a_link_in_the_place_of_a_file_is_left(root: Root, share: Path) -> None:
    """Even where it leads to the same content."""
    (share / "b.txt").write_bytes(b"hello")
    (share / "a.txt").symlink_to(share / "b.txt")
    assert file_writes.remove(root, b"a.txt", b"hello") is Removal.EDITED
    assert (share / "a.txt").is_symlink()
    assert (share / "b.txt").exists()


def test_new_directories_are_like_the_ones_that_they_lie_in(root: Root, share: Path) -> None:
    """With its mode, the bit for the group too, and its group, whatever the umask is."""
    share.chmod(0o2770)
    if os.geteuid() == 0:
        os.chown(share, -1, 12345)
        share.chmod(0o2770)
    before = os.umask(0o077)
    try:
        file_writes.make_directories(root, "已发送/2026-11".encode())
        file_writes.make_directories(root, "已发送/2026-11/sub".encode())
    finally:
        os.umask(before)
    for path in ("已发送", "已发送/2026-11", "已发送/2026-11/sub"):
        assert (mode_of(share / path), (share / path).stat().st_gid) == (0o2770, share.stat().st_gid)
    assert [one.name for one in share.iterdir()] == ["已发送"]


def test_a_directory_that_a_killed_run_has_left_is_finished(root: Root, share: Path) -> None:
    """Its mode was not set yet."""
    share.chmod(0o775)
    (share / os.fsdecode(UNFINISHED)).mkdir(0o700)
    file_writes.make_directories(root, b"Sent")
    assert mode_of(share / "Sent") == 0o775
    assert [one.name for one in share.iterdir()] == ["Sent"]


def test_a_file_in_the_place_of_a_directory_is_a_failure(root: Root, share: Path) -> None:
    """People may have called a file `Sent`."""
    (share / "Sent").write_bytes(b"theirs")
    with pytest.raises(Failure):
        file_writes.make_directories(root, b"Sent/2026-11")
    assert (share / "Sent").read_bytes() == b"theirs"


def test_a_move_replaces_nothing(root: Root, share: Path) -> None:
    """Neither a file nor a link; with a free name it moves."""
    (share / "a").write_bytes(b"ours")
    (share / "b").write_bytes(b"theirs")
    (share / "c").symlink_to("nowhere")
    for taken in (b"b", b"c"):
        with pytest.raises(NameTakenError):
            file_writes.rename(root, b"a", taken)
    file_writes.rename(root, b"a", b"d")
    assert ((share / "b").read_bytes(), (share / "d").read_bytes()) == (b"theirs", b"ours")
    assert (share / "c").is_symlink()


def test_a_move_by_two_names_that_was_interrupted_is_finished(root: Root, share: Path) -> None:
    """The file has both names, and keeps the new one."""
    (share / "a").write_bytes(b"ours")
    os.link(share / "a", share / "b")
    file_writes.rename(root, b"a", b"b")
    assert [one.name for one in share.iterdir()] == ["b"]


def test_names_in_a_directory(root: Root, share: Path) -> None:
    """None where there is no such directory."""
    (share / "sub").mkdir()
    (share / "sub" / "a").touch()
    assert file_writes.list_names(root, b"sub") == {b"a"}
    assert file_writes.list_names(root, b".") == {b"sub"}
    assert file_writes.list_names(root, b"Sent/2026-11") == frozenset()


def test_a_look_at_what_a_folder_allows_leaves_nothing(root: Root, share: Path) -> None:
    """Also where a look that was killed has left its file."""
    (share / f".dingwatch-check-{os.getpid()}a").touch()
    file_writes.require_writable(root)
    file_writes.require_movable(root, b"Sent")
    assert not list(share.iterdir())


def test_a_look_reaches_into_the_directory_of_what_was_sent(root: Root, share: Path) -> None:
    """As far as it is there; a link on the way is none."""
    (share / "Sent").mkdir()
    file_writes.require_movable(root, b"Sent/2026-11")
    assert [one.name for one in share.rglob("*")] == ["Sent"]
    (share / "Sent" / "2026-11").symlink_to(share)
    with pytest.raises(Failure) as refused:
        file_writes.require_movable(root, b"Sent/2026-11")
    assert refused.value.verdict.cause.code == "absent"
    assert sorted(one.name for one in share.rglob("*")) == ["2026-11", "Sent"]
