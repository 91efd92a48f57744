"""The parameters of requests: read, or refused with a sentence that says what is expected."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import date, datetime, timedelta
from typing import Final

from aiohttp import web

from dingwatch.config.durations import parse_duration
from dingwatch.ledger.commands import LARGEST_ID
from dingwatch.ledger.report import HistoryQuery
from dingwatch.lifecycle import BASELINE, State
from dingwatch.model import Scope
from dingwatch.service.actions import RefusedError
from dingwatch.texts import Text, Web
from dingwatch.web.reader import Choice, Search, WantedPage

BAD: Final = 400
MOST_LINES: Final = 1000
_LINES: Final = 50
_LATEST: Final = 10
"""Lines of the history on a page that is asked for nothing."""
_LONGEST_WORDS: Final = 200
_LANGUAGE: Final = "lang"
_SEARCH: Final = ("q", "from", "to", "folder", "before")
_HISTORY: Final = (*_SEARCH, "limit", "state", "recipient")
_DEED: Final = re.compile(
    r"deliveries/\d{1,19}/resend(?:\?alike=1)?|folders/\d{1,19}/(?:release|discard)", re.ASCII
)
_PAGE: Final = re.compile(r"(\d{1,12}(?:\.\d{1,12})?)_(\d{1,19})", re.ASCII)
_BYTE: Final = re.compile(rb"\\x([0-9a-f]{2})")
_STATES: Final = (*map(str, State), BASELINE)
_SCOPES: Final = (Scope.APP, Scope.API, Scope.CONVERSATION, Scope.FOLDER)


def require_known(request: web.Request, known: Collection[str]) -> None:
    """Refuse parameters that there are not: a mistyped one would be answered as if it were not there."""
    for name in request.query:
        if name not in known and name != _LANGUAGE:
            names = ", ".join((*known, _LANGUAGE))
            raise RefusedError(BAD, "unknown_parameter", Web.UNKNOWN_PARAMETER, name=name[:100], names=names)


def history_query(request: web.Request) -> HistoryQuery:
    """Return what of the history is asked for."""
    require_known(request, _HISTORY)
    return _history_query({name: value for name, value in request.query.items() if value})


def wanted_page(request: web.Request) -> WantedPage:
    """Return what of the status page is asked for: files, and folders where no script narrows them."""
    require_known(request, (*_SEARCH, "f", "show", "sort"))
    given = {name: value for name, value in request.query.items() if value}
    search = Search(
        q=given.get("q", ""),
        since=given.get("from", ""),
        until=given.get("to", ""),
        folder=given.get("folder", ""),
        before=given.get("before", ""),
    )
    asked: dict[str, str] = {name: given[name] for name in _SEARCH if name in given}
    asked |= {"limit": str(_LINES if search.is_narrow else _LATEST)}
    return WantedPage(
        _history_query(asked), search, Choice(given.get("f", "")[:_LONGEST_WORDS], given.get("show", "all"))
    )


def wanted_deed(request: web.Request) -> str:
    """Return which action is to be confirmed: its address below /api/v1/."""
    require_known(request, ("do",))
    address = request.query.get("do", "")
    if not _DEED.fullmatch(address):
        raise _refuse("do", address, Web.A_DEED)
    return address


def _history_query(given: Mapping[str, str]) -> HistoryQuery:
    limit, state = given.get("limit", str(_LINES)), given.get("state")
    if not (limit.isascii() and limit.isdigit() and len(limit) <= len(str(MOST_LINES))) or not (
        1 <= int(limit) <= MOST_LINES
    ):
        raise _refuse("limit", limit, Web.A_LIMIT, most=MOST_LINES)
    if state is not None and state not in _STATES:
        raise _refuse("state", state, Web.A_STATE, states=", ".join(_STATES))
    return HistoryQuery(
        folder=given.get("folder"),
        state=state,
        limit=int(limit),
        before=_page(given.get("before")),
        since=_time("from", given.get("from"), end=False),
        until=_time("to", given.get("to"), end=True),
        recipient=given.get("recipient"),
        search=given.get("q", ""),
    )


def _page(value: str | None) -> tuple[float, int] | None:
    if value is None:
        return None
    found = _PAGE.fullmatch(value)
    if found is None:
        raise _refuse("before", value, Web.A_PAGE)
    return float(found[1]), int(found[2])


def _time(name: str, value: str | None, *, end: bool) -> float | None:
    """Return an instant; a day means its beginning, or with `end` its end, in the machine's time zone."""
    if value is None:
        return None
    try:
        if "T" in value.upper() or ":" in value:
            # The + of a time zone that nobody has escaped arrives as a blank.
            return datetime.fromisoformat(value.upper().replace(" ", "+")).astimezone().timestamp()
        day = date.fromisoformat(value) + timedelta(days=int(end))
        return datetime(day.year, day.month, day.day).astimezone().timestamp()
    except (ValueError, OverflowError):
        raise _refuse(name, value, Web.A_TIME) from None


def wanted_path(request: web.Request) -> tuple[bytes, str | None]:
    r"""Return the path that `why` asks for, with `\xNN` for bytes that are no UTF-8, and its folder."""
    require_known(request, ("path", "folder"))
    path = request.query.get("path", "")
    if not path:
        raise RefusedError(BAD, "missing", Web.MISSING, name="path")
    try:
        written = path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise RefusedError(BAD, "bad_path", Web.BAD_PATH) from None
    if b"\0" in written:
        raise RefusedError(BAD, "bad_path", Web.BAD_PATH)
    found = _BYTE.sub(lambda byte: bytes.fromhex(byte[1].decode()), written)
    return found, request.query.get("folder") or None


def wanted_id(request: web.Request) -> int:
    """Return the id in the address."""
    value = request.match_info["id"]
    if not (value.isascii() and value.isdigit() and 0 < int(value[:20]) <= LARGEST_ID and len(value) < 20):  # noqa: PLR2004 (digits of LARGEST_ID)
        raise _refuse("ID", value, Web.AN_ID)
    return int(value)


def wants_alike(request: web.Request) -> bool:
    """Return whether an action is for all deliveries that wait for the same reason as this one."""
    value = request.query.get("alike", "")
    if value not in {"", "0", "1"}:
        raise _refuse("alike", value, Web.A_FLAG)
    return value == "1"


def wanted_duration(value: str) -> float | None:
    """Return for how many seconds something is wanted; None if no time was given."""
    if not value:
        return None
    try:
        seconds = parse_duration(value)
    except ValueError:
        seconds = 0.0
    if seconds <= 0.0:
        raise _refuse("for", value, Web.A_DURATION)
    return seconds


def wanted_pause(request: web.Request) -> tuple[Scope, str]:
    """Return the scope and the key of a pause in the address."""
    scope = request.match_info["scope"]
    if scope not in _SCOPES:
        raise _refuse("SCOPE", scope, Web.A_SCOPE)
    return Scope(scope), request.match_info["key"]


def _refuse(name: str, value: str, expected: Text, **values: object) -> RefusedError:
    return RefusedError(
        BAD, "bad_parameter", Web.BAD_PARAMETER, name=name, value=value[:100], expected=(expected, values)
    )
