import subprocess

import pytest

from dingwatch import names
from dingwatch.model import (
    Form,
)
from tests.support import plain_payload


def test_only_control_and_bidi_characters_are_replaced() -> None:
    """Nobody can hide an extension behind a right-to-left override; all else is the file's own."""
    assert names.displayed_name("a\u202egpj.exe".encode()) == "a_gpj.exe"
    assert names.displayed_name(b"a\nb\tc.txt") == "a_b_c.txt"
    assert names.displayed_name("合同 终稿.pdf".encode("gbk")) == "合同 终稿.pdf"
    assert names.displayed_name(b"\xff\xff.pdf") == "\ufffd\ufffd.pdf"
    assert names.displayed_name('报告 "终" ①.pdf'.encode()) == '报告 "终" ①.pdf'


@pytest.mark.parametrize("name", ["files-01", "节点一", "a b", "-x", "--all", "it's", "`a`;$b", "a　b", "*"])
def test_a_name_is_one_word_to_a_shell(name: str) -> None:
    """People copy the command that a message names, and an option it must not become."""
    word = names.shell_word(name)
    command = f'set -- {word}; [ "$1" != -- ] || shift; printf %s "$1"'
    assert subprocess.run(["/bin/sh", "-c", command], capture_output=True, check=True).stdout == name.encode()
    assert word.startswith("-- ") == name.startswith("-")
    assert names.shell_word("节点一") == "节点一"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.PDF", "pdf"),
        ("a.tar.gz", "gz"),
        ("Makefile", ""),
        (".bashrc", ""),
        ("a.", ""),
        ("a.b c", ""),
        ("报告.文档", "文档"),
    ],
)
def test_extensions(name: str, kind: str) -> None:
    """An extension is what follows the last dot of a name that has something before it."""
    assert names.extension(name) == kind


def test_a_refused_kind_goes_zipped_under_its_full_name() -> None:
    """`a.html` goes as `a.html.zip`, and so does what has no extension."""
    archive = plain_payload(b"a.html", "d1", "app", {"html"})
    assert (archive.form, archive.name, archive.key.extension) == (Form.ZIP, "a.html.zip", "zip")
    assert plain_payload(b"Makefile", "d1", "app", ()).name == "Makefile.zip"


def test_one_content_is_one_upload_whatever_its_name() -> None:
    """Files of the same bytes and extension share an upload; archives differ by the name inside."""
    assert plain_payload(b"a.pdf", "d1", "app", ()).key == plain_payload(b"b.PDF", "d1", "app", ()).key
    assert plain_payload(b"a.pdf", "d1", "app", ()).key != plain_payload(b"a.doc", "d1", "app", ()).key
    assert (
        plain_payload(b"a.htm", "d1", "app", {"htm"}).key != plain_payload(b"b.htm", "d1", "app", {"htm"}).key
    )
