"""What the pages show, without a browser: values, charts and markup."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from markupsafe import Markup, escape

from dingwatch.texts import Language, Page
from dingwatch.web import views
from dingwatch.web.charts import draw_bars, draw_quota
from dingwatch.web.markup import BoldCount, Count, Writer, plain

NOW = "2026-11-19T07:42:07Z"


@pytest.fixture(autouse=True)
def china(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have the machine stand in China."""
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("发货单 1119（签收联）.pdf", "发货单 1119（签收联）.pdf"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("a\x1b[2J\r\n", r"a\u001b[2J\u000d\u000a"),
        ("a\ufeff\u200b\u2066\u061c", r"a\ufeff\u200b\u2066\u061c"),
        ("half \ud83d", r"half \ud83d"),
        ("全角\u3000空格\u00a0", "全角\u3000空格\u00a0"),
    ],
)
def test_what_shows_nothing_is_written_out(text: str, shown: str) -> None:
    """A name is what its letters say; wide blanks are letters too."""
    assert plain(text) == shown


def test_markup_is_left_and_values_are_escaped() -> None:
    """What a sentence is filled with is text, however it looks, unless it is markup already."""
    writer = Writer(Language.EN, NOW)
    assert writer.text(Page.IN_FOLDER, name="<b>{0}\u202e</b>") == r"in &lt;b&gt;{0}\u202e&lt;/b&gt;"
    assert writer.text(Page.IN_FOLDER, name=Markup("<b>x</b>")) == "in <b>x</b>"


@pytest.mark.parametrize(
    ("count", "en", "zh"),
    [
        (0, "<b>0</b> files", "<b>0</b>"),
        (1, "<b>1</b> file", "<b>1</b>"),
        (1234, "<b>1,234</b> files", "<b>1,234</b>"),
    ],
)
def test_numbers(count: int, en: str, zh: str) -> None:
    """Thousands are set apart, and in English a noun follows its number."""
    writers = [Writer(language, NOW) for language in (Language.EN, Language.ZH)]
    said = [
        writer.text(Page.OLDEST, ago=BoldCount(count).__html_format__("file|files")) for writer in writers
    ]
    assert en in said[0]
    assert zh in writers[1].text(Page.FILES, count=BoldCount(count))
    assert escape(Count(count)) == f"{count:,}"


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 KB"),
        (6.3 * 2**20, "6.3 MB"),
        (38.4 * 2**20, "38 MB"),
        (1934 * 2**20, "1.9 GB"),
        (5 * 2**50, "5120 TB"),
    ],
)
def test_sizes(size: float, shown: str) -> None:
    """A number has at most three digits, and its unit stays with it."""
    assert Writer(Language.EN, NOW).size(size) == shown.replace(" ", "\u00a0")


@pytest.mark.parametrize(
    ("at", "zh", "en"),
    [
        ("2026-11-19T07:42:05Z", "刚刚", "just now"),
        ("2026-11-19T07:41:23Z", "44 秒前", "44 s ago"),
        ("2026-11-19T07:40:07Z", "2 分钟前", "2 min ago"),
        ("2026-11-18T08:00:00Z", "23 小时前", "23 h ago"),
        ("2026-11-07T07:42:07Z", "12 天前", "12 d ago"),
        ("2026-11-19T10:00:00Z", "2 小时后", "in 2 h"),
    ],
)
def test_times_ago(at: str, zh: str, en: str) -> None:
    """An instant is as long ago as its largest unit says."""
    said = [
        Writer(language, NOW).relative(at).replace("\u00a0", " ") for language in (Language.ZH, Language.EN)
    ]
    assert said == [zh, en]


def test_times_of_day() -> None:
    """Times are those of this machine, and another day's has its date."""
    writer = Writer(Language.ZH, NOW)
    assert ">15:40<" in writer.moment("2026-11-19T07:40:00Z")
    assert ">11-20 00:10<" in writer.moment("2026-11-19T16:10:00Z")
    assert 'title="2026/11/19 15:40:00"' in writer.ago("2026-11-19T07:40:00Z")
    assert (writer.hours_today, writer.today) == (16, date(2026, 11, 19))
    assert writer.month_day(date(2026, 11, 28)) == "11月28日"
    assert Writer(Language.EN, NOW).month_day(date(2026, 11, 28)) == "28 November"


def test_bars() -> None:
    """The highest hour fills the row, a single file does not, and what failed stands on what was sent."""
    hours = [[0, 0]] * 22 + [[1, 0], [20, 2]]
    bars = draw_bars(hours)
    assert (bars.sent, bars.failed) == (21, 2)
    assert bars.sent_path == "M112 24v-1M117 24v-20"
    assert bars.failed_path == "M117 4v-2"
    assert draw_bars([[0, 0]] * 23 + [[1, 0]]).sent_path == "M117 24v-4"
    assert draw_bars([[0, 0]] * 24).sent_path == ""


def test_the_chart_of_calls() -> None:
    """It goes from the first of the month to what is expected at its end, below the limit or above."""
    chart = draw_quota([10, 20], 31, 100, 90)
    assert chart.curve == "M0.0 90.7L3.3 72.2"
    assert chart.area == "M0 100L0.0 90.7L3.3 72.2L3.3 100z"
    assert chart.guess == "M3.3 72.2L100 16.7"
    assert chart.limit == "M0 7.4H100"
    assert [label.day for label in chart.labels] == [1, 10, 20, 31]
    assert draw_quota([10], 30, None, 300).limit == ""
    assert draw_quota([], 28, 0, 0).curve == "M0.0 100.0"


def need(changes: dict[str, Any]) -> dict[str, Any]:
    """Return something that needs a person."""
    made = {
        "kind": "failed",
        "id": 7,
        "folder_id": 1,
        "count": 1,
        "name": "a.txt",
        "to": "group",
        "actions": ["retry"],
    }
    return made | changes


@pytest.mark.parametrize(
    ("changes", "address", "sure"),
    [
        ({}, "deliveries/7/retry", False),
        ({"count": 37}, "deliveries/7/retry?alike=1", False),
        ({"kind": "uncertain", "actions": ["resend"]}, "deliveries/7/resend", True),
        ({"kind": "held", "id": None, "count": 9, "actions": ["release"]}, "folders/1/release", True),
        ({"kind": "folder_down", "id": None, "path": "/mnt", "actions": ["look"]}, "folders/1/look", False),
    ],
)
def test_buttons(changes: dict[str, Any], address: str, *, sure: bool) -> None:
    """Each leads to the call that does it, and asks where that cannot be taken back."""
    (found,) = views.needs_of({"needs": [need(changes)]})
    assert (found.deeds[0].address, found.deeds[0].sure) == (address, sure)


def test_two_recipients_are_named_and_more_are_counted() -> None:
    """The column of recipients has room for two groups."""

    def row(*kinds_and_names: tuple[str, str]) -> views.FolderRow:
        to = [{"kind": kind, "name": name} for kind, name in kinds_and_names]
        one = {"name": "a", "path": "/a", "to": to, "watch": "inotify", "state": "ok", "failed": 0}
        return views.folders_of({"folders": [one]}).groups[0][1][0]

    assert row(("group", "甲")).to_title == ""
    assert (
        row(("group", "甲"), ("group", "乙")).to_second,
        row(("group", "甲"), ("person", "乙")).to_second,
    ) == ("乙", "")
    assert row(("group", "cid6KeBB==")).to_first_is_id
    assert row(("group", "x" * 20)).to_title == "x" * 20


def test_kinds_of_files() -> None:
    """A file is drawn by its extension."""
    assert views.file_kind("A.XLSX") == views.FileKind("sheet", "XLSX")
    assert views.file_kind("x.torrent") == views.FileKind("other", "TORR")
    assert views.file_kind("Makefile") == views.FileKind("other", "")
