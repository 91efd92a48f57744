import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from dingwatch.notice_text import (
    LONGEST_CAPTION,
    LONGEST_NAME,
    LONGEST_NOTICE,
    Message,
    Wording,
    caption,
    caption_of_several,
    escape,
    fill,
    human_size,
    join_location,
    notice,
    notice_of_several,
)
from dingwatch.texts import Language

SHARE = Wording(Language.ZH, "财务", r"\\nas\财务", "{name} · {size} · 来自 {folder} · {change}")
HOSTILE = [
    "**bold** _em_ ~~gone~~ `code`.pdf",
    "[click](evil.example).pdf",
    "![x](x.png)[y][z]",
    "# head.pdf",
    "> quote",
    "1. list",
    "- list",
    "---",
    "<img src=x onerror=alert(1)>.pdf",
    "&lt;b&gt;.pdf",
    r"back\slash\.pdf",
    "``` fence",
    "snake_case_name (2).pdf",
]


def tokens(markdown: str) -> list[Token]:
    """Return what a reader of markdown makes of a text, piece by piece."""
    parsed = MarkdownIt("gfm-like", {"linkify": False, "html": True}).parse(markdown)
    return [piece for token in parsed for piece in (token.children or [token])]


def render(markdown: str) -> str:
    """Return what people see of a text that is plain; fail when it is more than words."""
    pieces = tokens(markdown)
    kinds = {piece.type for piece in pieces}
    assert kinds <= {"paragraph_open", "paragraph_close", "text", "text_special", "softbreak", "code_inline"}
    return "".join(piece.content for piece in pieces)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_shown_as_it_is(name: str) -> None:
    """Nothing of a file's name is taken for markdown, at the beginning of a line or within it."""
    assert render(escape(name)) == name
    assert render(f"来自 {escape(name)} 的文件") == f"来自 {name} 的文件"


@given(st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=30))
def test_no_name_means_anything(name: str) -> None:
    """Whatever the name is, people see it and nothing else."""
    assert render(escape(name)) == name


@pytest.mark.parametrize("name", HOSTILE)
def test_a_link_is_broken_up_for_readers_without_escapes(name: str) -> None:
    """That DingTalk knows escapes is unverified; a link must not come about either way."""
    assert "](" not in escape(name)
    assert "](" not in notice(SHARE, name.encode(), 1).text


def test_usual_names_are_not_touched() -> None:
    """Where escapes are not known, the names of every day still look as they are."""
    for name in ("报告_2024-终稿 (2).xlsx", "a.b+c,d=e@f&g.tar.gz", "1.pdf"):
        assert escape(name) == name


def test_a_notice_names_the_file_its_size_and_its_place() -> None:
    """The place is written as the location is, to be copied as it stands."""
    made = notice(SHARE, "2024/报告.xlsx".encode(), 25_300_000)
    assert made == Message(
        "报告.xlsx", "新文件：报告.xlsx（25.3 MB）\n\n位置：`\\\\nas\\财务\\2024\\报告.xlsx`"
    )
    assert render(made.text) == "新文件：报告.xlsx（25.3 MB）位置：\\\\nas\\财务\\2024\\报告.xlsx"
    assert notice(Wording(Language.EN), b"a.pdf", 5).text == "New file: a.pdf (5 B)"


def test_a_hostile_path_does_not_break_out_of_its_place() -> None:
    """What cannot stand as code is escaped instead."""
    made = notice(SHARE, b"`x`/[a](http:/evil)/**b**.pdf", 1)
    assert render(made.text).endswith("位置：\\\\nas\\财务\\`x`\\[a](http:\\evil)\\**b**.pdf")


@pytest.mark.parametrize(
    ("location", "where"),
    [
        (r"\\nas\财务", r"\\nas\财务\a\b.pdf"),
        ("\\\\nas\\财务\\", r"\\nas\财务\a\b.pdf"),
        ("/srv/share", "/srv/share/a/b.pdf"),
        ("smb://nas/share/", "smb://nas/share/a/b.pdf"),
        ("Z:\\", r"Z:\a\b.pdf"),
    ],
)
def test_a_place_is_written_in_the_style_of_its_location(location: str, where: str) -> None:
    """Backslashes where people use them, else slashes; one between the two."""
    assert join_location(location, "a/b.pdf") == where


@pytest.mark.parametrize("name", ["长" * 85, "_" * 255, "\\" * 255, "[" * 255, '"' * 255])
def test_a_notice_of_the_longest_names_fits_an_old_message(name: str) -> None:
    """A message to a chat has 2,048 bytes; what is too long loses its middle."""
    made = notice(SHARE, "/".join([name] * 16).encode(), 1 << 40)
    assert len(f"{made.title}{made.text}".encode()) < 1900
    assert len(escape(name).encode()) <= LONGEST_NAME or "…" in made.text


def test_a_line_says_that_a_version_is_new() -> None:
    """`{change}` is empty for the first version, and its separator goes with it."""
    first, second = (caption(SHARE, b"d/a.pdf", 1500, changed=changed) for changed in (False, True))
    assert first == Message("a.pdf", "a.pdf · 1.5 KB · 来自 财务")
    assert second == Message("a.pdf", "a.pdf · 1.5 KB · 来自 财务 · 新版本")


def test_the_longest_line_fits_an_old_message() -> None:
    """However much a template repeats, a chat takes what comes of it."""
    made = caption(Wording(caption="{path} " * 20), ("长" * 80 + "/").encode() * 12, 1, changed=False)
    assert made is not None
    assert len(f"{made.title}{made.text}".encode()) < 1900


def test_there_is_no_line_without_a_template_or_with_nothing_to_say() -> None:
    """Both cost no call."""
    assert caption(Wording(), b"a.pdf", 1, changed=True) is None
    assert caption(Wording(caption="{change}"), b"a.pdf", 1, changed=False) is None


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{change} · {name}", "N~"),
        ("{name}（{change}）{size}", "N~S"),
        ("{name} {change}, {size}", "N~, S"),
        ("{name} · {change} · {size}", "N~ · S"),
        ("{name}({change})", "N~"),
        ("{{{name}}} {change} {size}", "{N~} S"),
        ("New: {change} {name}", "New: N~"),
        ("{change}", ""),
        ("{name}{change}", "N~"),
    ],
)
def test_what_separates_an_empty_value_goes_with_it(template: str, text: str) -> None:
    """Separators and brackets of a value that is empty are not left over; a value keeps its own."""
    assert fill(template, {"name": "N~", "size": "S", "change": ""}) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 KB"),
        (1500, "1.5 KB"),
        (99_949, "99.9 KB"),
        (999_999, "1 MB"),
        (25_300_000, "25.3 MB"),
        (2 << 30, "2.1 GB"),
        (5 * 10**15, "5000 TB"),
    ],
)
def test_sizes_are_said_as_people_say_them(size: int, text: str) -> None:
    """Powers of ten, and at most three digits."""
    assert human_size(size) == text


def test_a_notice_has_the_words_of_its_folder() -> None:
    """`notice_text` replaces our own words, unless it is empty; the location still follows."""
    wording = Wording(
        Language.ZH, "财务", r"\\nas\财务", notice="【通知】{name} · {size} · {folder} · {change}"
    )
    assert (
        notice(wording, b"a/b.pdf", 5).text == "【通知】b.pdf · 5 B · 财务\n\n位置：`\\\\nas\\财务\\a\\b.pdf`"
    )
    assert "财务 · 新版本" in notice(wording, b"a/b.pdf", 5, changed=True).text
    assert notice(Wording(notice="{change}"), b"a.pdf", 5).text == "New file: a.pdf (5 B)"


@given(st.binary(min_size=1, max_size=255).filter(lambda name: b"/" not in name and b"\0" not in name))
def test_no_name_is_so_long_that_the_keyword_is_cut(name: bytes) -> None:
    """A custom robot refuses a notice without its keyword."""
    made = notice(Wording(Language.ZH, "f", notice="{name} {path} 通知"), b"/".join([name] * 4), 5)
    assert made.text.endswith("通知")
    assert len(made.text.encode()) <= LONGEST_NOTICE


# --- Several files -------------------------------------------------------------------------------


def _size_of(text: str) -> int:
    return len(json.dumps(text, ensure_ascii=False).encode())


@pytest.mark.parametrize("language", list(Language))
def test_a_caption_of_several_files(language: Language) -> None:
    """It says how many there are, and names the first twenty, whatever they are called."""
    names = [f"sub/[{number}](x) *{'长' * 80}*.pdf".encode() for number in range(30)]
    made = caption_of_several(Wording(language, "share", caption="{name}"), names)
    assert "30" in made.text
    assert "30" in made.title
    assert sum(line.startswith("- ") for line in made.text.splitlines()) == 21
    assert "10" in made.text.splitlines()[-1]
    assert _size_of(made.text) <= LONGEST_CAPTION
    assert "](x)" not in made.text


def test_a_notice_of_several_files_lists_names_and_sizes() -> None:
    """And says where they lie."""
    wording = Wording(Language.EN, "share", location=r"\\nas\share")
    made = notice_of_several(wording, [(b"a.pdf", 1500), (b"sub/b.pdf", 20)])
    assert made.text.splitlines() == [
        *("2 new files:", "", "- a.pdf (1.5 KB)", "- sub/b.pdf (20 B)", "", r"Location: `\\nas\share`"),
    ]


def test_a_folders_own_words_stand_for_each_of_several_files() -> None:
    """A custom robot's keyword is in them; so many lines are left out as do not fit."""
    wording = Wording(Language.EN, "share", notice="通知：{name}，{size} {change}")
    made = notice_of_several(wording, [(f"{'n' * 90}{number}.pdf".encode(), 5) for number in range(40)])
    lines = [line for line in made.text.splitlines() if line.startswith("- 通知：")]
    assert 1 <= len(lines) <= 20
    assert f"{40 - len(lines)} more" in made.text
    assert _size_of(made.text) <= LONGEST_NOTICE


def test_one_long_line_is_kept() -> None:
    """A message without any name would tell nothing."""
    wording = Wording(Language.EN, "share", notice="x" * 5000 + "{name}")
    assert "- x" in notice_of_several(wording, [(b"a", 1), (b"b", 2)]).text
