"""Names and sizes of archives of several files."""

import io
import random
import zipfile
from datetime import datetime

import pytest

from dingwatch.files import ArchiveWriter
from dingwatch.model import Failure, Rejected
from dingwatch.payload import (
    PayloadPolicy,
    archive_name,
    bundle_payload,
    choose_payload,
    entry_names,
    joins_bundle,
    packed_at_most,
)

NOON = datetime(2026, 11, 3, 12, 0, 7)  # noqa: DTZ001 (local time is meant)
LIMIT = 20 << 20


@pytest.mark.parametrize(
    ("folder", "stem"),
    [
        ("财务", "财务"),
        ('a/b\\c:d*e?f"g<h>i|j\tk', "a_b_c_d_e_f_g_h_i_j_k"),
        ("new\nline\u202e", "new_line_"),
        (" . ", "_"),
        ("x" * 300, "x" * 60),
    ],
)
def test_archives_are_named_by_folder_and_time(folder: str, stem: str) -> None:
    """What no archive's name may hold is replaced, and a long name is cut."""
    assert archive_name(folder, NOON) == f"{stem}-20261103-120007.zip"


def test_entries_are_paths_that_never_meet() -> None:
    """As people see them; of names that look alike, or differ in case alone, each later one has a number."""
    gbk = "合同.pdf".encode("gbk")
    paths = [
        "合同.pdf".encode(),
        gbk,
        b"sub/a.tar",
        b"SUB/A.TAR",
        b"a\\b",
        b"a_b",
        b"x\n.txt",
        b"sub/a (2).tar",
    ]
    assert entry_names(paths) == [
        *("合同.pdf", "合同 (2).pdf", "sub/a.tar", "SUB/A (2).TAR", "a_b", "a_b (2)", "x_.txt"),
        "sub/a (2) (2).tar",
    ]


def test_equal_members_are_one_upload() -> None:
    """The key depends on entries and contents, and on the name only where it is shown."""
    members = [("a.pdf", "1"), ("b.pdf", "2")]
    one = bundle_payload("x.zip", "app", members, named=False)
    assert one.key == bundle_payload("y.zip", "app", members, named=False).key
    assert one.key != bundle_payload("x.zip", "app", [("a.pdf", "1"), ("b.pdf", "3")], named=False).key
    assert one.key != bundle_payload("x.zip", "app", [("a.pdf", "1"), ("c.pdf", "2")], named=False).key
    named = bundle_payload("x.zip", "app", members, named=True)
    assert named.key != bundle_payload("y.zip", "app", members, named=True).key


@pytest.mark.parametrize(
    ("name", "size", "send_as", "joins"),
    [
        (b"a.txt", 1, "file", True),
        (b"no extension", 1, "file", True),
        (b"a.png", 1, "file", True),
        (b"a.png", 1, "image", False),
        (b"a.txt", 1, "image", True),
        (b"a.txt", 0, "file", False),
        (b"a.txt", LIMIT, "file", False),
        (b"a.txt", LIMIT + 1, "file", False),
        (b"a.txt", LIMIT + 1, "notice", True),
    ],
)
def test_what_goes_otherwise_joins_no_bundle(name: bytes, size: int, send_as: str, *, joins: bool) -> None:
    """Pictures that are shown, large and empty files; in a folder of notices everything is a notice."""
    policy = PayloadPolicy("app", LIMIT, send_as=send_as, large="notice")
    assert joins_bundle(choose_payload(name, size, "digest", policy, ()), size, policy) is joins


def test_the_same_files_make_the_same_archive() -> None:
    """Nothing of it depends on when it is packed; it is never larger than was reckoned."""
    contents = {"a.txt": b"a" * 100_000, "财务/b.bin": bytes(range(256)) * 1000, "c": b""}

    def pack() -> bytes:
        with ArchiveWriter(LIMIT) as writer:
            for name, content in contents.items():
                writer.add(name, content)
            return bytes(writer.finish())

    packed = pack()
    assert packed == pack()
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert {one.filename: archive.read(one) for one in archive.infolist()} == contents
        assert {one.date_time for one in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert len(packed) <= sum(packed_at_most(name, len(content)) for name, content in contents.items())


def test_what_cannot_be_made_smaller_is_reckoned_too() -> None:
    """Thousands of tiny files with long names, and noise."""
    noise = random.Random(1).randbytes(3_000_000)  # noqa: S311 (a test's bytes)
    files = {f"{'长' * 80}/{number}": noise[number : number + 1] for number in range(2000)} | {"noise": noise}
    with ArchiveWriter(LIMIT) as writer:
        for name, content in files.items():
            writer.add(name, content)
        packed = writer.finish()
    assert len(packed) <= sum(packed_at_most(name, len(one)) for name, one in files.items())


def test_an_archive_that_is_too_large_is_refused() -> None:
    """Nothing more is packed as soon as it is."""
    with ArchiveWriter(1000) as writer, pytest.raises(Failure) as caught:
        writer.add("a", random.Random(2).randbytes(2000))  # noqa: S311 (a test's bytes)
    assert isinstance(caught.value.verdict, Rejected)
