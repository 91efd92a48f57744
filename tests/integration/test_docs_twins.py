"""Every page has its twin in the other language, and both tell the same to type, click and read."""

import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from dingwatch.config.assembly import load
from dingwatch.config.schema import SECTIONS
from dingwatch.dingtalk.codes import LEGACY, NEW, OF_API, STORE, Table, meaning_of
from dingwatch.texts import Language
from tests.error_tables import PAGES, fill, tables

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"
CHINESE: Final = DOCS / "zh"
PAIRS: Final = [
    (ROOT / "README.md", ROOT / "README.zh-CN.md"),
    *((DOCS / one.name, one) for one in sorted(CHINESE.glob("*.md"))),
]
BLOCK: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEADING: Final = re.compile(r"^(#+) (.+)$", re.MULTILINE)
LINK: Final = re.compile(r"\]\(([^)\s]+)\)")
TYPED: Final = re.compile(r"(?<![\w.])-{0,2}[a-z][a-z0-9_.-]*[a-z0-9]")
"""A word that a person types or reads as it stands, in the program's own words: lower-case and no path."""

pairs = pytest.mark.parametrize(("english", "chinese"), PAIRS, ids=[one.name for one, _ in PAIRS])


def prose(page: Path) -> str:
    """Return a page without its blocks of code."""
    return BLOCK.sub("", page.read_text(encoding="utf-8"))


def headings(page: Path) -> list[tuple[int, str]]:
    """Return the levels and anchors of a page's headings, as GitHub makes them."""
    found = HEADING.findall(prose(page))
    return [(len(level), re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")) for level, title in found]


def blocks(page: Path) -> list[tuple[str, str]]:
    """Return a page's blocks of code, without remarks, and without what a command prints."""
    shown = []
    for language, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        if language == "console":
            kept = "\n".join(line for line in text.splitlines() if line.startswith(("$ ", "# ", "    ")))
        else:
            kept = "" if language in {"", "text"} else text
        shown.append((language, re.sub(r"(?m)(^|[ \t]+)[#;]( .*|)$", "", kept).strip()))
    return shown


def typed(text: str) -> set[str]:
    """Return the commands, options, keys and states that stand in sentences."""
    words: set[str] = set()
    for span in re.findall(r"`([^`\n]+)`", text):
        words.update(TYPED.findall(span) if "/" not in span else ())
    return words


def rows(page: Path) -> list[set[str]]:
    """Return what each row of each table names."""
    return [typed(line) for line in prose(page).splitlines() if line.startswith("|")]


def targets(page: Path) -> Counter[str]:
    """Return where links lead: an English page stands for its twin, a place in a page for its order."""
    found: Counter[str] = Counter()
    for link in LINK.findall(prose(page)):
        if link.startswith(("https:", "http:")):
            found[link] += 1
            continue
        name, _, anchor = link.partition("#")
        there = (page.parent / name).resolve() if name else page
        assert there.exists(), (page.name, link)
        where = str(there.relative_to(ROOT)).replace("docs/zh/", "docs/").replace(".zh-CN", "")
        if anchor:
            anchors = [one for _, one in headings(there)]
            assert anchor in anchors, (page.name, link)
            where += f"#{anchors.index(anchor)}"
        found[where] += 1
    return found


def test_every_page_has_its_twin() -> None:
    """Each page in docs/ is there in English and in Chinese."""
    assert {one.name for one in CHINESE.glob("*.md")} == {one.name for one in DOCS.glob("*.md")}


@pairs
def test_twins_have_the_same_headings(english: Path, chinese: Path) -> None:
    """As many, at the same levels, in the same order."""
    assert [level for level, _ in headings(chinese)] == [level for level, _ in headings(english)]


@pairs
def test_twins_have_the_same_blocks(english: Path, chinese: Path) -> None:
    """What is to be typed is the same, apart from remarks and from what is printed."""
    assert blocks(chinese) == blocks(english)


@pairs
def test_twins_name_the_same_commands_and_keys(english: Path, chinese: Path) -> None:
    """No command, option, key or state stands in one language alone, or in another row of a table."""
    assert typed(prose(chinese)) == typed(prose(english))
    assert rows(chinese) == rows(english)


@pairs
def test_twins_link_to_the_same_places(english: Path, chinese: Path) -> None:
    """Links lead to the same pages, or their twins, and to the same headings there."""
    assert targets(chinese) == targets(english)


@pairs
def test_chinese_pages_lead_to_chinese_pages(english: Path, chinese: Path) -> None:
    """Apart from the link to its twin, a Chinese page leads to the English one of no other."""
    foreign = {twin.resolve() for twin, _ in PAIRS} - {english.resolve()}
    links = {(chinese.parent / one.partition("#")[0]).resolve() for one in LINK.findall(prose(chinese))}
    assert links & foreign == set()


@pairs
def test_twins_have_tables_of_the_same_size(english: Path, chinese: Path) -> None:
    """No row of a table, and no item of a list, is missing in one language."""
    shape = re.compile(r"^(\||- |\d+\. )", re.MULTILINE)
    assert shape.findall(prose(chinese)) == shape.findall(prose(english))


@pairs
def test_twins_lead_to_each_other(english: Path, chinese: Path) -> None:
    """Whoever opens the wrong one finds the right one."""
    for page, twin in ((english, chinese), (chinese, english)):
        links = {(page.parent / one.partition("#")[0]).resolve() for one in LINK.findall(prose(page))}
        assert twin.resolve() in links, page.name


@pairs
def test_chinese_pages_have_chinese_punctuation(english: Path, chinese: Path) -> None:  # noqa: ARG001
    """No half-width comma, colon, bracket or semicolon stands beside a Chinese character."""
    text = re.sub(r"`[^`\n]*`|\]\([^)\n]*\)", "", prose(chinese))
    assert re.findall(r".{0,9}(?:[一-鿿][,:;()!?]|[,:;(!?][一-鿿]).{0,9}", text) == []


def configs(page: Path) -> list[dict[str, Any]]:
    """Return the blocks of a page that are a config of dingwatch, or a part of one."""
    every = [
        yaml.safe_load(text)
        for language, text in BLOCK.findall(page.read_text("utf-8"))
        if language == "yaml"
    ]
    return [one for one in every if one.keys() <= SECTIONS[""].model_fields.keys()]


WITH_CONFIGS: Final = ("first-conversation.md", "operations.md", "recipes.md")


@pytest.mark.parametrize("name", WITH_CONFIGS)
def test_configs_that_are_shown_are_valid(name: str, tmp_path: Path) -> None:
    """Whoever copies a config, or a part of one, from these pages gets one that is accepted."""
    (tmp_path / "people.csv").write_text("财务,cidXXXXXXXX==\n", encoding="utf-8")
    shown = configs(DOCS / name)
    assert shown
    for one in shown:
        whole = {"folders": [{"path": "/srv/share/x", "conversation_id": "cidX"}]} | one
        whole["dingtalk"] = {"client_id": "dingx"} | one.get("dingtalk", {})
        file = tmp_path / "config.yaml"
        file.write_text(yaml.safe_dump(whole, allow_unicode=True), encoding="utf-8")
        assert load(file, environ={"HOME": "/root"}, secret_needed=False).folders or "*" in str(one)


@pairs
def test_commands_that_are_shown_can_be_parsed(english: Path, chinese: Path) -> None:  # noqa: ARG001
    """No quote is left open, and no `done` is missing, in what a person copies into a shell."""
    for language, text in BLOCK.findall(english.read_text(encoding="utf-8")):
        if language == "sh":
            done = subprocess.run(["/bin/sh", "-n"], input=text, capture_output=True, text=True, check=False)
            assert (done.returncode, done.stderr) == (0, ""), text


def test_every_line_of_the_hardening_is_explained() -> None:
    """docs/security.md says of each setting of the unit what it is for, with the value that it has."""
    unit = (
        (ROOT / "systemd/dingwatch.service")
        .read_text(encoding="utf-8")
        .partition("# --- What the service may do")
    )
    settings = re.findall(r"^[A-Z]\w+=.*$", unit[2].partition("[Install]")[0], re.MULTILINE)
    assert len(settings) > 20
    page = (DOCS / "security.md").read_text(encoding="utf-8")
    assert [one for one in settings if f"`{one}`" not in page] == []
    shown = re.findall(r"`((?:User|UMask|StateDirectoryMode|LimitCORE)=\w+)`", page)
    assert [one for one in shown if one not in unit[0]] == []


@pytest.mark.parametrize("language", list(PAGES))
def test_every_code_of_dingtalk_is_documented(language: Language) -> None:
    """The tables of dingtalk-errors.md are the program's: `python -m tests.error_tables` writes them."""
    text = PAGES[language].read_text(encoding="utf-8")
    assert fill(text, language) == text
    for name in tables(language):
        assert f"<!-- table: {name} -->" in text


@pytest.mark.parametrize("table", [LEGACY, NEW, STORE, *OF_API.values()])
def test_of_patterns_that_fit_the_longest_counts(table: Table) -> None:
    """So the page says; the program takes the first."""
    for code, _ in table:
        fitting = [
            (pattern, meaning)
            for pattern, meaning in table
            if pattern == code or (pattern.endswith("*") and code.startswith(pattern[:-1]))
        ]
        assert meaning_of(code, table) == max(fitting, key=lambda one: len(one[0]))[1], code
