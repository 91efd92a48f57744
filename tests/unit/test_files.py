import hashlib
import io
import os
import socket
import tracemalloc
import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from dingwatch import files
from dingwatch.files import Root
from dingwatch.model import Failure, FolderDown, Misconfigured, Rejected, Vanished, Verdict

SHA_OF_HELLO = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Root]:
    """An opened folder's root."""
    folder = tmp_path / "share"
    folder.mkdir()
    opened = files.open_root(os.fsencode(folder))
    yield opened
    opened.close()


def put(root: Root, name: str | bytes, content: bytes = b"hello") -> bytes:
    """Write a file beneath the root; return its path there."""
    path = os.path.join(root.path, os.fsencode(name))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    Path(os.fsdecode(path)).write_bytes(content)
    return os.fsencode(name)


def failure_of(root: Root, path: bytes) -> Verdict:
    """Return the verdict on looking at a path."""
    with pytest.raises(Failure) as caught:
        files.observe(root, path)
    return caught.value.verdict


@pytest.mark.parametrize("name", ["a.txt", "报告 1.pdf", "deep/er/x", b"\xb1\xa8.txt", "a\nb"])
def test_a_file_is_observed_and_read_under_any_name(root: Root, name: str | bytes) -> None:
    """Names need not be UTF-8, and may hold anything but a slash."""
    path = put(root, name)
    seen = files.observe(root, path)
    assert seen.size == 5
    assert files.digest(root, path, seen) == SHA_OF_HELLO
    assert files.read(root, path, seen, SHA_OF_HELLO) == b"hello"


def test_an_absent_file_has_vanished(root: Root) -> None:
    """A file that is not there is no failure of the folder."""
    verdict = failure_of(root, b"absent/x")
    assert isinstance(verdict, Vanished)
    assert verdict.cause.code == "absent"


def test_absence_is_not_believed_when_the_root_is_gone(root: Root) -> None:
    """An unmounted or replaced folder looks empty; that says nothing of its files."""
    os.rename(root.path, root.path + b".away")
    os.mkdir(root.path)
    assert isinstance(failure_of(root, b"a.txt"), FolderDown)


def test_a_root_that_was_only_numbered_anew_is_the_same(root: Root) -> None:
    """Where inodes prove nothing, the name by which the kernel holds it tells it from one in its place."""
    numbered = replace(root, identity=(root.identity[0], root.identity[1] + 10**6), ask_steady=lambda: False)
    numbered.verify()
    with pytest.raises(Failure):
        replace(numbered, ask_steady=lambda: True).verify()
    os.rename(root.path, root.path + b".away")
    os.mkdir(root.path)
    with pytest.raises(Failure):
        numbered.verify()


def test_a_file_whose_ctime_moves_is_read_where_that_proves_nothing(root: Root) -> None:
    """Elsewhere it has changed; its size and mtime must be those that settled in either case."""
    path = put(root, "a.txt")
    seen = files.observe(root, path)
    moved, odd = seen._replace(ctime_ns=seen.ctime_ns - 1, inode=1), replace(root, ask_steady=lambda: False)
    assert files.digest(odd, path, moved) == SHA_OF_HELLO
    for where, expected in ((root, moved), (odd, moved._replace(mtime_ns=1)), (odd, moved._replace(size=4))):
        with pytest.raises(Failure) as caught:
            files.digest(where, path, expected)
        assert caught.value.verdict == files.changed().verdict


def test_where_case_tells_every_name_that_is_found_is_listed(root: Root) -> None:
    """A directory that has shown this once is not looked at again for the case of a name."""
    exact: set[bytes] = set()
    for name in ("deep/Er/a.pdf", "deep/Er/A.PDF", "报告.pdf", "é.pdf", "e\u0301.pdf", "1"):
        assert files.is_listed(root, put(root, name), exact)
    assert exact == {b"", b"deep", b"deep/Er"}
    with pytest.raises(Failure) as caught:
        files.is_listed(root, b"absent/e\xcc\x81.pdf", exact)
    assert isinstance(caught.value.verdict, Vanished)


def test_links_are_never_followed(root: Root, tmp_path: Path) -> None:
    """Neither a link in the file's place nor one on the way to it leads out of the folder."""
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_bytes(b"hello")
    os.symlink(secret, os.path.join(root.path, b"way"))
    os.symlink(secret / "key", os.path.join(root.path, b"link"))
    assert isinstance(failure_of(root, b"way/key"), Vanished)
    assert isinstance(failure_of(root, b"link"), Vanished)
    seen = files.fingerprint_of(os.stat(secret / "key"))
    for path in (b"way/key", b"link"):
        with pytest.raises(Failure):
            files.read(root, path, seen, SHA_OF_HELLO)
        with pytest.raises(Failure):
            files.digest(root, path, seen)


def test_what_is_no_regular_file_is_never_opened(root: Root) -> None:
    """A FIFO or socket blocks nothing and is not sent."""
    os.mkfifo(os.path.join(root.path, b"fifo"))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.join(root.path, b"sock"))
        for name in (b"fifo", b"sock"):
            assert failure_of(root, name).cause.code == "not_regular"


def test_a_file_that_changed_since_it_settled_is_not_read(root: Root) -> None:
    """Size, mtime and content must be those that were hashed."""
    path = put(root, "a.txt")
    settled = files.observe(root, path)
    put(root, "a.txt", b"hello, longer")
    with pytest.raises(Failure) as caught:
        files.read(root, path, settled, SHA_OF_HELLO)
    assert caught.value.verdict.cause.code == "changed"


def test_other_content_under_the_same_size_and_mtime_is_not_sent(root: Root) -> None:
    """The digest decides, not what the file system says."""
    path = put(root, "a.txt")
    settled = files.observe(root, path)
    put(root, "a.txt", b"HELLO")
    os.utime(os.path.join(root.path, path), ns=(settled.mtime_ns, settled.mtime_ns))
    with pytest.raises(Failure) as caught:
        files.read(root, path, settled, SHA_OF_HELLO)
    assert caught.value.verdict.cause.code == "changed"


def test_a_changed_inode_is_still_the_same_version(root: Root) -> None:
    """A remount or a restore changes inode and ctime; size, mtime and content make the version."""
    path = put(root, "a.txt")
    settled = files.observe(root, path)
    put(root, "b.txt")
    os.utime(os.path.join(root.path, b"b.txt"), ns=(settled.mtime_ns, settled.mtime_ns))
    os.replace(os.path.join(root.path, b"b.txt"), os.path.join(root.path, path))
    assert files.read(root, path, settled, SHA_OF_HELLO) == b"hello"


def test_an_absent_root_is_a_folder_that_is_down(tmp_path: Path) -> None:
    """Opening what is not there says so with the folder's verdict."""
    with pytest.raises(Failure) as caught:
        files.open_root(os.fsencode(tmp_path / "absent"))
    assert isinstance(caught.value.verdict, FolderDown)


def packed(path: Path, name: str, limit: int, digest: str | None = None) -> bytes:
    """Pack a file, as it is or as it is said to be."""
    with closing(files.open_root(os.fsencode(path.parent))) as root:
        fingerprint = files.observe(root, os.fsencode(path.name))
        digest = digest or hashlib.sha256(path.read_bytes()).hexdigest()
        return bytes(files.zip_file(root, os.fsencode(path.name), fingerprint, digest, name, limit))


def test_an_archive_is_the_same_for_the_same_content(tmp_path: Path) -> None:
    """Archives are deterministic, so that one content is one upload; what they hold is the file."""
    content = os.urandom(1000) * 3000
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(content)
    os.utime(tmp_path / "b", (1, 1))
    made = packed(tmp_path / "a", "网页.html", 10_000_000)
    assert made == packed(tmp_path / "b", "网页.html", 10_000_000)
    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == {"网页.html": content}


def test_an_archive_over_the_limit_is_refused_before_it_is_made(tmp_path: Path) -> None:
    """What cannot be uploaded costs no call, and no memory beyond the limit."""
    (tmp_path / "a").write_bytes(os.urandom(16 << 20))
    tracemalloc.start()
    with pytest.raises(Failure) as caught:
        packed(tmp_path / "a", "a", 1 << 20, "0" * 64)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(caught.value.verdict, Rejected)
    assert peak < 8 << 20


def test_what_differs_from_what_settled_is_in_no_archive(tmp_path: Path) -> None:
    """The bytes that are packed are the bytes that were hashed."""
    (tmp_path / "a").write_bytes(b"other")
    with pytest.raises(Failure) as caught:
        packed(tmp_path / "a", "a", 1 << 20, "0" * 64)
    assert caught.value.verdict.cause.code == "changed"


def test_the_kinds_of_os_errors_have_one_meaning_each() -> None:
    """Permission waits for a person, a dead mount is the folder's, the rest is tried again."""
    assert isinstance(files.verdict_of(PermissionError(13, "no")), Misconfigured)
    assert isinstance(files.verdict_of(OSError(116, "stale")), FolderDown)
    assert files.verdict_of(OSError(16, "busy")).cause.code == "EBUSY"


@pytest.mark.parametrize("year", [1902, 1970, 2200, 2262, 2300, 2400])
def test_any_date_fits_the_ledger(tmp_path: Path, year: int) -> None:
    """A file may be dated as it likes: its times stay within 64 bits, and apart from those a second later."""
    seconds = round((year - 1970) * 365.2425 * 86400)
    found = []
    for at in (seconds, seconds + 1):
        (tmp_path / "a").touch()
        os.utime(tmp_path / "a", (at, at))
        found.append(files.fingerprint_of((tmp_path / "a").stat()).mtime_ns)
    assert all(-(1 << 63) <= one < 1 << 63 for one in found)
    assert found[0] != found[1]
