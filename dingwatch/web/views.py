"""The contents of the pages, taken from the objects of the API. No markup; templates write that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final
from urllib.parse import quote

from dingwatch import names
from dingwatch.lifecycle import State
from dingwatch.texts import FolderPage, Happened, Page, Text

Json = Mapping[str, Any]
STATES: Final = ("needs", "waiting", "paused", "ok", "stopped")
"""The states of folders, in the order of the page."""
MANY: Final = 40
"""More folders than that have one line each, in groups."""
MOST_ROWS: Final = 24
"""Folders that are well and are shown at first, where there are many; the script shows the others."""
_FEW: Final = 4
"""Up to that many folders need no tools to find one."""
MOST_FILES: Final = 8
"""Uploads and settling files that are listed one by one."""
_WIDE: Final = 12
"""Characters of a recipient's name that fit its column."""
_KINDS: Final = {
    "word": "doc docx wps",
    "sheet": "xls xlsx et csv",
    "slides": "ppt pptx dps",
    "pdf": "pdf",
    "zip": "zip rar 7z",
    "image": "jpg jpeg png gif",
    "video": "mp4 mov",
}
_KIND_OF: Final = {extension: kind for kind, all_ in _KINDS.items() for extension in all_.split()}
_MARKS: Final = {"failed": "no", "uncertain": "what", "held": "pause", "folder_down": "off"}
_ALL: Final = {"retry": Page.RETRY_ALL, "confirm": Page.CONFIRM_ALL, "resend": Page.RESEND_ALL}
SURE: Final = {"resend": Page.SURE_RESEND, "release": Page.SURE_RELEASE, "discard": Page.SURE_DISCARD}
"""Actions that cannot be taken back, and what is asked before them."""
_LOOKS: Final = {"failed": "bad", "uncertain": "warn", "sent": "good"}
_DEEDS: Final = {
    State.FAILED: ("retry",),
    State.SKIPPED: ("retry",),
    State.GONE: ("retry",),
    State.UNCERTAIN: ("confirm", "resend"),
}
_BY_HAND: Final = "by_hand"
_HELD: Final = "held"


_OPTIONAL: Final[Mapping[str, Json]] = {
    "needs": dict.fromkeys(("id", "folder_id", "name", "path", "size", "folder", "to", "at", "request_id")),
    "folders": dict.fromkeys(("last_event_at", "last_scan_at", "poll_interval", "node")) | {"uncertain": 0},
    "uploads": dict.fromkeys(("folder", "to", "route", "rate")),
    "pauses": dict.fromkeys(("until", "code", "key")),
}
"""Keys that the API may leave out, where the page has a place for them."""


def with_optional_keys(status: Json) -> Json:
    """Return a status in which each key that the page shows is there."""
    lists = {name: [{**keys, **one} for one in status[name]] for name, keys in _OPTIONAL.items()}
    return {
        **status,
        **lists,
        "ledger": {"code": "", "path": "", "size": None, "rows": None, "backup_at": None} | status["ledger"],
        "ledger_error": status.get("ledger_error") or {"advice": ""},
        "drive": status.get("drive"),
        "nodes": status.get("nodes", ()),
        "calls": {"runs_out_on": None} | status["calls"],
    }


def with_optional_story(file: Json) -> Json:
    """Return a file in which each key that its story shows is there."""
    step = {"code": "", "message": "", "request_id": None}
    return {"reason": None, "sha256": None, **file, "story": [{**step, **one} for one in file["story"]]}


# --- The status page -------------------------------------------------------------------------------


def level_of(status: Json) -> str:
    """Return what the first sentence says: `ledger`, `attention`, `fresh` or `ok`."""
    if not status["ledger"]["ok"]:
        return "ledger"
    if status["needs"] or count_lost(status):
        return "attention"
    return "fresh" if _is_fresh(status) else "ok"


def count_lost(status: Json) -> int:
    """Return how many nodes are lost; each needs somebody, as `status --check` says too."""
    return sum(one["state"] == "lost" for one in status["nodes"])


def _is_fresh(status: Json) -> bool:
    """Return whether nothing has happened to any file since the installation."""
    if status["today"]["last_sent_at"] is not None or not status["folders"]:
        return False
    totals = status["totals"]
    return not any(totals[state] for state in map(str, State))


def layout_of(level: str) -> str:
    """Return which parts the page has: another layout is drawn as a whole."""
    return level if level in {"ledger", "fresh"} else "full"


def parts_of(level: str, status: Json) -> list[str]:
    """Return the parts that the page has below its first sentence, in its order."""
    match layout_of(level):
        case "ledger":
            return ["log"]
        case "fresh":
            return ["folders", "log"]
    needs = ["needs"] if status["needs"] else []
    return [*needs, "folders", "now", "find", "pauses", "quota", "log"]


@dataclass(frozen=True, slots=True)
class Deed:
    """A button: what it does, at which address, and whether it is asked about first."""

    verb: str
    address: str
    """The address below /api/v1/."""
    label: Text
    sure: bool
    main: bool


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that needs a person."""

    kind: str
    kind_label: Text
    mark: str
    title: str
    subject: str
    """Names the thing in the label of a button."""
    to: str
    deeds: tuple[Deed, ...]
    value: Json


def needs_of(status: Json) -> list[Need]:
    """Return what needs a person."""
    return [_need(one) for one in status["needs"]]


def _need(one: Json) -> Need:
    kind = one["kind"]
    subject = one.get("name") or one.get("path") or one.get("folder") or ""
    return Need(
        kind=kind,
        kind_label=Page[f"KIND_{kind.upper()}"],
        mark=_MARKS[kind],
        title=one.get("path") or subject if kind == "folder_down" else one.get("name") or "",
        subject=subject,
        to=recipient_name(one["to"]),
        deeds=tuple(_deed(one, verb, place) for place, verb in enumerate(one["actions"])),
        value=one,
    )


def _deed(need: Json, verb: str, place: int) -> Deed:
    of_delivery = verb in {"retry", "confirm", "resend"} and need["id"] is not None
    address = f"deliveries/{need['id']}" if of_delivery else f"folders/{need['folder_id']}"
    for_all = need["count"] > 1 and verb in _ALL
    label = _ALL[verb] if for_all else Page[verb.upper()]
    return Deed(
        verb=verb,
        address=f"{address}/{verb}{'?alike=1' if for_all else ''}",
        label=label,
        sure=verb in SURE,
        main=place == 0 and need["kind"] != "held",
    )


def find_need(status: Json, address: str) -> tuple[Need, Deed] | None:
    """Return what an action is about, by its address; None if it needs nobody any more."""
    return next(
        ((need, deed) for need in needs_of(status) for deed in need.deeds if deed.address == address), None
    )


def recipient_name(to: Json | str | None) -> str:
    """Return a recipient as people know it."""
    if to is None:
        return ""
    return to if isinstance(to, str) else str(to["name"])


@dataclass(frozen=True, slots=True)
class FolderRow:
    """A folder in the table."""

    value: Json
    state: str
    dot: str
    watch: Text
    is_paused: bool
    paused_until: str | None
    uncertain: int
    to_first: str
    to_first_is_id: bool
    to_second: str
    """The other group, where there are two; else empty."""
    to_title: str
    """All recipients, where the column does not show them."""


@dataclass(frozen=True, slots=True)
class Folders:
    """The folders of the page, by state."""

    groups: tuple[tuple[str, tuple[FolderRow, ...]], ...]
    count: int
    states: tuple[tuple[str, int], ...]
    """How many there are in each state, whatever is searched for."""

    @property
    def is_dense(self) -> bool:
        """Whether each has one line."""
        return self.count > MANY

    @property
    def has_tools(self) -> bool:
        """Whether there are so many that one has to be found."""
        return self.count > _FEW


def folders_of(status: Json, words: str = "", show: str = "all") -> Folders:
    """Return the folders by state; `words` and `show` narrow them where the browser runs no script."""
    rows = [_row(one) for one in status["folders"]]
    asked = words.lower().split()
    chosen = [one for one in rows if show in {"all", one.state} and _has_words(one, asked)]
    groups = [(state, tuple(one for one in chosen if one.state == state)) for state in STATES]
    numbers = [(state, sum(one.state == state for one in rows)) for state in STATES]
    return Folders(
        groups=tuple((state, found) for state, found in groups if found),
        count=len(rows),
        states=tuple((state, number) for state, number in numbers if number),
    )


def _has_words(row: FolderRow, words: Sequence[str]) -> bool:
    text = " ".join([row.value["name"], row.value["path"], *(one["name"] for one in row.value["to"])]).lower()
    return all(word in text for word in words)


def _row(one: Json) -> FolderRow:
    paused = one.get("paused") or {}
    until = one.get("paused_until") or paused.get("until")
    to = one["to"]
    first = to[0]["name"] if to else ""
    pair = len(to) == 2 and to[1]["kind"] == "group"  # noqa: PLR2004
    bad = one["watch"] == "down" or one["failed"]
    return FolderRow(
        value=one,
        state=one["state"] if one["state"] in STATES else "ok",
        dot="bad" if bad else one["state"],
        watch=Page[f"WATCH_{one['watch'].upper()}"],
        is_paused=bool(paused) or until is not None or one["state"] == "paused",
        paused_until=until,
        uncertain=one.get("uncertain") or 0,
        to_first=first,
        to_first_is_id=first.startswith("cid"),
        to_second=to[1]["name"] if pair else "",
        to_title="、".join(recipient["name"] for recipient in to)
        if len(to) > 1 or len(first) > _WIDE
        else "",
    )


def sent_today(hours: Sequence[Sequence[int]], begun: int) -> int:
    """Return how many files were sent today, of which so many hours have begun; `hours` end now."""
    return sum(sent for sent, _ in hours[-begun:])


@dataclass(frozen=True, slots=True)
class FileKind:
    """How a file is drawn: its kind by its extension, and the extension's first letters."""

    kind: str
    letters: str


def file_kind(name: str) -> FileKind:
    """Return how a file is drawn."""
    extension = names.extension(name)
    return FileKind(_KIND_OF.get(extension, "other"), extension[:4].upper())


def percent(done: float, size: float) -> int:
    """Return how much of a file is uploaded."""
    return int(done * 100 / (size or 1))


@dataclass(frozen=True, slots=True)
class PauseRow:
    """A pause, and the button that ends it."""

    value: Json
    scope: str
    name: str
    address: str
    """The address of the button below /api/v1/; empty where there is none."""
    label: Text


def pauses_of(status: Json) -> list[PauseRow]:
    """Return the pauses; what a flood hold holds is among what needs a person, not here."""
    by_id = {str(one["id"]): one for one in status["folders"]}
    return [_pause(one, by_id) for one in status["pauses"] if one.get("code") != _HELD]


def _pause(one: Json, folders: Mapping[str, Json]) -> PauseRow:
    key, name = str(one["key"]), str(one.get("name") or one["key"])
    folder = folders.get(key) if one["scope"] == "folder" else None
    if folder is not None:
        name = folder["name"]
    if one["code"] == _BY_HAND:
        address, label = f"folders/{key}/resume", Page.RESUME
    else:
        address, label = f"pauses/{one['scope']}/{quote(key, safe='')}/try", Page.TRY
    return PauseRow(one, one["scope"], name, address, label)


# --- Files -----------------------------------------------------------------------------------------


def file_state(file: Json) -> Text:
    """Return what the page calls the state of a delivery; a flood hold is none of the ledger's."""
    return Page.KIND_HELD if file["held"] else Page[f"FILE_{file['state'].upper()}"]


def state_look(state: str) -> str:
    """Return the colour of a state."""
    return _LOOKS.get(state, "")


def event_name(event: str) -> Text | str:
    """Return what the page calls an event of the ledger; one that it does not know as it is."""
    known = Happened.__members__.get(event.upper().replace(" ", "_"))
    return event if known is None else known


def deeds_of(file: Json) -> list[Deed]:
    """Return what can be done about a file, by its state."""
    try:
        verbs = _DEEDS.get(State(file["state"]), ())
    except ValueError:  # a baseline file
        return []
    address = f"deliveries/{file['id']}"
    return [
        Deed(verb, f"{address}/{verb}", Page[verb.upper()], sure=verb in SURE, main=place == 0)
        for place, verb in enumerate(verbs)
    ]


# --- The page of one folder ------------------------------------------------------------------------

_OPEN: Final = ("failed", "uncertain", "settling", "waiting", "sending")
"""States of files that have not arrived, the worst first."""
_ICONS: Final = {"sent": "ok", "sending": "up", "failed": "no", "uncertain": "what"}


@dataclass(frozen=True, slots=True)
class Day:
    """The files of one day."""

    day: date
    rows: tuple[Json, ...]


@dataclass(frozen=True, slots=True)
class Office:
    """The page of one folder."""

    level: str
    days: tuple[Day, ...]
    arrived: int
    open_count: int
    parts: tuple[tuple[str, int], ...]
    """Open files of today by state, the worst first."""


def office_of(folder: Json, days: Sequence[date], today: date) -> Office:
    """Return what the page of a folder says; `days` has the day of each of its rows."""
    rows = folder["rows"]
    mine = [one["state"] for one, day in zip(rows, days, strict=True) if day == today]
    counts = {state: mine.count(state) for state in _OPEN}
    open_count = sum(counts.values())
    if not rows:
        level = "fresh"
    elif not folder["running"]:
        level = "bad"
    else:
        level = "attention" if open_count > counts["sending"] else "ok"
    return Office(
        level=level,
        days=tuple(
            Day(one, tuple(row for row, day in zip(rows, days, strict=True) if day == one))
            for one in _in_order(days)
        ),
        arrived=len(mine) - open_count,
        open_count=open_count,
        parts=tuple((state, number) for state, number in counts.items() if number),
    )


def _in_order(days: Iterable[date]) -> list[date]:
    return sorted(set(days), reverse=True)


def office_state(state: str) -> Text:
    """Return what the page of a folder calls a state of a file."""
    return FolderPage[state.upper()]


def office_icon(state: str) -> str:
    """Return the icon of a file's state."""
    return _ICONS.get(state, "clock")


def office_note(row: Json, *, running: bool) -> list[Text | str]:
    """Return what is said below a file's state."""
    own = [row["note"]] if row.get("note") else []
    known = {
        "uncertain": FolderPage.NOTE_UNCERTAIN,
        "failed": FolderPage.NOTE_FAILED,
        **({} if running else {"waiting": FolderPage.NOTE_WAITING}),
    }
    return [*own, *([known[row["state"]]] if row["state"] in known else [])]
