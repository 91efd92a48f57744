"""A share that hangs while delivery reads from it: a real FUSE file system, whose process is stopped."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dingwatch import files
from dingwatch.delivery import Reader
from dingwatch.ledger.delivery import Delivery
from dingwatch.model import Failure, FolderDown, Vanished
from tests.support import plain_payload, row, sha256

SIZE = 8 << 20
"""More than any file system reads ahead."""
CONTENT = os.urandom(SIZE)


@pytest.fixture
def reader(share: Path, tmp_path: Path, server: subprocess.Popen[bytes]) -> Iterator[Reader]:
    """A reader of that folder (1) and of another (2) that does not wait for long."""
    (tmp_path / "other").mkdir()
    roots = {1: os.fsencode(share), 2: os.fsencode(tmp_path / "other")}
    made = Reader(roots, patience=0.3, piece_patience=0.3)
    yield made
    server.send_signal(signal.SIGCONT)
    made.close()


def put(reader: Reader, folder: int) -> Delivery:
    """Put a file into a folder; return its row."""
    root_path = reader.roots[folder]
    Path(os.fsdecode(root_path), "a.iso").write_bytes(CONTENT)
    with closing(files.open_root(root_path)) as root:
        fingerprint = files.observe(root, b"a.iso")
    digest = sha256(CONTENT)
    return row(b"a.iso", fingerprint, digest, plain_payload(b"a.iso", digest, "app"), folder)


def test_a_share_that_hangs_holds_up_no_other(reader: Reader, server: subprocess.Popen[bytes]) -> None:
    """Whatever is asked of it ends as the folder's trouble, and other folders are read meanwhile."""
    here, there = put(reader, 1), put(reader, 2)
    server.send_signal(signal.SIGSTOP)
    for ask in (reader.content, reader.require_unchanged):
        with pytest.raises(Failure) as caught:
            ask(here)
        assert isinstance(caught.value.verdict, FolderDown)
    assert reader.content(there) == CONTENT
    reader.require_unchanged(there)


def test_a_share_that_hangs_in_the_middle_of_a_file(reader: Reader, server: subprocess.Popen[bytes]) -> None:
    """The piece that does not come ends the reading; so it does when the share comes back."""
    here = put(reader, 1)

    def hang() -> None:
        with Path(os.fsdecode(reader.roots[1]), "a.iso").open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        server.send_signal(signal.SIGSTOP)

    with pytest.raises(Failure) as caught:
        read(reader, here, hang)
    assert isinstance(caught.value.verdict, FolderDown)
    server.send_signal(signal.SIGCONT)
    assert read(reader, here, lambda: None) == CONTENT


def read(reader: Reader, one: Delivery, meanwhile: Callable[[], object]) -> bytes:
    """Read a file; something happens after its first piece."""
    with reader.reading(one) as pieces:
        first = next(pieces(0, SIZE))
        meanwhile()
        return first + b"".join(pieces(len(first), SIZE - len(first)))


def test_a_change_while_a_file_is_held_is_seen_at_its_end(reader: Reader) -> None:
    """Also where all that was read is what it was before."""
    there = put(reader, 2)
    with pytest.raises(Failure) as caught:
        read(reader, there, lambda: os.utime(Path(os.fsdecode(reader.roots[2]), "a.iso")))
    assert isinstance(caught.value.verdict, Vanished)
    with pytest.raises(Failure) as caught:
        reader.require_unchanged(there)
    assert isinstance(caught.value.verdict, Vanished)
