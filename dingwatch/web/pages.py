"""The pages in HTML. Imported when a page is asked for: most services never load Jinja2.

Every expression of a template passes `markup.plain` and is escaped, and a name that is not there is an error.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from dingwatch.texts import FolderPage, Language, Page, Text
from dingwatch.web import views
from dingwatch.web.charts import draw_bars, draw_quota
from dingwatch.web.markup import BoldCount, Count, Writer, bold, code, plain
from dingwatch.web.reader import Choice, Reader, Search
from dingwatch.web.static_files import static_files
from dingwatch.web.views import Json

Html = str
_TEMPLATES: Final = Path(__file__).parent / "templates"
_LAYOUTS: Final = {
    "ledger": ("log",),
    "fresh": ("first", "folders", "log"),
    "full": ("needs", "numbers", "folders", "nodes", "now", "find", "pauses_and_quota", "log"),
}
"""The templates below the first sentence, for each layout."""
_TEMPLATES_OF: Final = {
    "hero": ("nav", "hero", "numbers"),
    "needs": ("needs",),
    "folders": ("folders",),
    "nodes": ("nodes",),
    "now": ("now",),
    "find": ("results",),
    "pauses": ("pauses_and_quota",),
    "quota": ("pauses_and_quota",),
    "log": ("log",),
}
"""The templates of what an event names as changed."""
ALL: Final = "all"
"""Asks for everything below the header."""
FIND: Final = "find"


NOTHING_FOUND: Final[Json] = {"rows": (), "next": None}


# --- The status page -------------------------------------------------------------------------------


def status_page(reader: Reader, status: Json, history: Json, search: Search, choice: Choice) -> Html:
    """Return the whole page."""
    return _render("status.html", reader, _status_values(reader, status, history, search, choice))


def status_parts(reader: Reader, status: Json, history: Json, search: Search, parts: Iterable[str]) -> Html:
    """Return parts of the page, each an element with an id; those that it does not have now are left out."""
    values = _status_values(reader, status, history, search, Choice())
    asked = list(parts)
    if ALL in asked:
        return _render("all.html", reader, values)
    templates = dict.fromkeys(name for part in asked for name in _TEMPLATES_OF.get(part, ()))
    there = {"nav", "hero", *values["layout"]} | ({"results"} if "find" in values["layout"] else set())
    return "".join(_render(f"parts/{name}.html", reader, values) for name in templates if name in there)


def results_part(reader: Reader, now: str, history: Json, search: Search) -> Html:
    """Return what was found in the history; this takes no status."""
    values = {"w": Writer(reader.language, now), **_find_values(reader, history, search)}
    return _render("parts/results.html", reader, values)


def _status_values(
    reader: Reader, status: Json, history: Json, search: Search, choice: Choice
) -> dict[str, Any]:
    status = views.with_optional_keys(status)
    w = Writer(reader.language, status["now"])
    level = views.level_of(status)
    layout = views.layout_of(level)
    calls = status["calls"]
    by_state = {state: w.page(f"STATE_{state.upper()}") for state in views.STATES}
    return {
        "w": w,
        "status": status,
        "level": level,
        "layout_name": layout,
        "layout": _LAYOUTS[layout],
        "sections": views.parts_of(level, status),
        "needs": views.needs_of(status),
        "lost_count": views.count_lost(status),
        "pauses": views.pauses_of(status),
        "folders": views.folders_of(status, choice.words, choice.state),
        "folder_words": choice.words,
        "show": choice.state,
        "state_names": {"all": w.page("ALL"), **by_state},
        "sent_today": lambda hours: views.sent_today(hours, w.hours_today),
        "rate": sum(one["rate"] or 0 for one in status["uploads"]),
        "settling_count": _count_settling(status),
        "runs_out": date.fromisoformat(calls["runs_out_on"]) if calls["runs_out_on"] else None,
        "chart": draw_quota(calls["by_day"], calls["days"], calls["limit"], calls["forecast"]),
        "words": _words(w),
        **_find_values(reader, history, search),
    }


def _count_settling(status: Json) -> int:
    """Return how many files settle; the API lists some of them, and counts all."""
    listed = len(status["settling"])
    if listed <= views.MOST_FILES:
        return listed
    return max(listed, sum(one["settling"] or 0 for one in status["folders"]))


def _find_values(reader: Reader, history: Json, search: Search) -> dict[str, Any]:
    given = {"q": search.q, "from": search.since, "to": search.until, "folder": search.folder}
    asked = {"lang": str(reader.language)} if reader.has_asked else {}
    older = (
        {name: value for name, value in given.items() if value} | asked | {"before": history["next"] or ""}
    )
    return {
        "history": history,
        "search": search,
        "older_link": f"/?{urlencode(older)}#find",
        "history_link": lambda folder: f"/?{urlencode({'folder': folder, **asked})}#find",
    }


def _words(w: Writer) -> str:
    """Return what the script says, as JSON; `{x}` stands for what it fills in."""
    blank = Markup("{x}")
    spans = (Page.SECONDS, Page.MINUTES, Page.HOURS, Page.DAYS)
    said = {
        "units": [str(w.text(unit, count=blank)) for unit in spans],
        "ago": str(w.text(Page.AGO, span=blank)),
        "in": str(w.text(Page.IN, span=blank)),
        "now": str(w.text(Page.JUST_NOW)),
        "sure": str(w.text(Page.SURE)),
        "done": str(w.text(Page.DONE)),
        "not_done": str(w.text(Page.NOT_DONE, reason=blank)),
        "lost": str(w.text(Page.LOST)),
        "live": str(w.text(Page.LIVE)),
        "offline": str(w.text(Page.OFFLINE)),
        "rest": str(w.text(Page.SHOW_REST, count=blank)),
        "eta": str(w.text(Page.ETA, span=blank)),
    }
    return json.dumps(said, ensure_ascii=False)


# --- Other pages -----------------------------------------------------------------------------------


def file_page(reader: Reader, now: str, file: Json, *, is_part: bool) -> Html:
    """Return the story of a file: a page, or the part of one that its row opens."""
    values = {"w": Writer(reader.language, now), "file": views.with_optional_story(file)}
    return _render("parts/story.html" if is_part else "file.html", reader, values)


def confirm_page(reader: Reader, status: Json, address: str) -> Html:
    """Return the page that asks before an action, given by its address below /api/v1/."""
    found = views.find_need(views.with_optional_keys(status), address)
    need, deed = found or (None, None)
    question = None if deed is None else views.SURE.get(deed.verb, deed.label)
    values = {"need": need, "deed": deed, "question": question}
    return _render("confirm.html", reader, {"w": Writer(reader.language, status["now"]), **values})


def folder_page(reader: Reader, folder: Json, *, is_part: bool) -> Html:
    """Return the page of one folder, or its changing part."""
    w = Writer(reader.language, folder["now"])
    separator = w.page("SEPARATOR")
    values = {
        "w": w,
        "folder": folder,
        "office": views.office_of(folder, [w.day_of(one["at"]) for one in folder["rows"]], w.today),
        "yesterday": w.today - timedelta(days=1),
        "recipients": separator.join(bold(name) for name in folder["to"]),
        "part_name": lambda state: w.text(FolderPage[state.upper()]).lower(),
        "words": _words(w),
    }
    return _render("parts/office.html" if is_part else "folder.html", reader, values)


def login_page(reader: Reader, now: str, error: str = "") -> Html:
    """Return the page that asks for the token."""
    return _render("login.html", reader, {"w": Writer(reader.language, now), "error": error})


def error_page(reader: Reader, now: str, message: str) -> Html:
    """Return the page for a person whose request was refused."""
    return _render("error.html", reader, {"w": Writer(reader.language, now), "message": message})


# --- Templates -------------------------------------------------------------------------------------


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=plain,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.globals |= {
        "bold": bold,
        "bold_count": BoldCount,
        "code": code,
        "deeds_of": views.deeds_of,
        "draw_bars": draw_bars,
        "file_kind": views.file_kind,
        "file_state": views.file_state,
        "most_files": views.MOST_FILES,
        "most_rows": views.MOST_ROWS,
        "number": Count,
        "percent": views.percent,
        "office_icon": views.office_icon,
        "office_note": views.office_note,
        "office_state": views.office_state,
        "recipient_name": views.recipient_name,
        "state_look": views.state_look,
    }
    return made


def _render(template: str, reader: Reader, values: Mapping[str, Any]) -> Html:
    w: Writer = values["w"]
    files = static_files()
    language = Markup('<input type="hidden" name="lang" value="{}">').format(reader.language)

    def either(text: Text | str) -> object:
        return w.text(text) if isinstance(text, Text) else text

    return (
        _environment()
        .get_template(template)
        .render(
            values,
            t=w.page,
            f=lambda name, /, **filled: w.text(FolderPage[name], **filled),
            text=w.text,
            either=either,
            act_link=reader.act_link,
            happened=lambda event: either(views.event_name(event)),
            sentence=lambda reason: _end_sentence(w, reason),
            word=reader.sentences.word,
            language_query=reader.query,
            keep_language=language if reader.has_asked else "",
            other_language_link=f"?lang={Language.EN if reader.language is Language.ZH else Language.ZH}",
            style_file=files["style.css"].address,
            script_file=files["app.js"].address,
            icon_file=files["icon.svg"].address,
        )
    )


def _end_sentence(w: Writer, reason: str) -> Markup:
    """Return a reason with a full stop, if it has none; another sentence follows."""
    ended = Markup("{}").format(plain(reason.rstrip()))
    if reason.rstrip().endswith(("。", ".", "！", "!", "？", "?")):
        return ended + ("" if w.language is Language.ZH else " ")
    return ended + w.page("STOP") if reason else ended
