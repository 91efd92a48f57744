import pytest

from dingwatch import filters


@pytest.mark.parametrize(
    "name",
    [".hidden", "~$报告.docx", "a~", "A.TMP", "x.crdownload", "Thumbs.DB", "@eaDir/x.jpg", "sub/.git/config",
     "#recycle/a.pdf", "$RECYCLE.BIN/a.pdf", "System Volume Information/x", "__macosx/a"],
)  # fmt: skip
def test_built_in_excludes_hold_in_any_case_and_at_any_depth(name: str) -> None:
    """Temporary, hidden and system files are never sent."""
    assert not filters.path_filter((), (), recursive=True).accepts(name.encode())


@pytest.mark.parametrize(
    "name", ["报告 2024.pdf", "a.b", "sub dir/中文/x.docx", "template.doc", "partial.pdf"]
)
def test_ordinary_files_pass(name: str) -> None:
    """What only resembles a built-in pattern is sent."""
    assert filters.path_filter((), (), recursive=True).accepts(name.encode())


def test_a_negated_pattern_takes_a_built_in_one_out() -> None:
    """`!*.tmp` lets temporary files pass in any case, and nothing else."""
    chosen = filters.path_filter((), ("!*.tmp",), recursive=True)
    assert chosen.accepts(b"a.tmp")
    assert chosen.accepts(b"A.TMP")
    assert not chosen.accepts(b"a.part")


def test_include_narrows_and_exclude_wins() -> None:
    """A file must match `include`, and must not match `exclude`."""
    chosen = filters.path_filter(("*.pdf",), ("draft*",), recursive=True)
    assert chosen.accepts(b"sub/a.pdf")
    assert not chosen.accepts(b"a.docx")
    assert not chosen.accepts(b"draft-1.pdf")


def test_a_flat_folder_takes_nothing_from_below() -> None:
    """With `recursive: false` only files right beneath the root count."""
    flat = filters.path_filter((), (), recursive=False)
    assert flat.accepts(b"a.pdf")
    assert not flat.accepts(b"sub/a.pdf")
    assert flat.prunes(b"sub")


def test_names_that_are_no_utf8_pass_a_filter() -> None:
    """GBK bytes are matched, not refused."""
    assert filters.path_filter(("*.txt",), (), recursive=True).accepts("报告.txt".encode("gbk"))
