"""Which keys there are, what each may hold, and its default. The one place that knows them all.

Nothing is required in here: a missing key is found in the document (`checks`), so that one mistake does
not hide the others.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from dingwatch.config import checks
from dingwatch.config.checks import Between, Span, pace
from dingwatch.config.document import Document
from dingwatch.config.findings import Finding, Place, shorten
from dingwatch.pace import Limit
from dingwatch.texts import Problems

_AGES: Final = "36500d"


Word = Annotated[str, AfterValidator(checks.filled)]
Location = Annotated[str, AfterValidator(checks.filled), AfterValidator(checks.absolute)]
Url = Annotated[str, AfterValidator(checks.url)]
Conversation = Annotated[str, AfterValidator(checks.conversation)]
Conversations = Annotated[
    tuple[Conversation, ...], BeforeValidator(checks.one_or_more), AfterValidator(checks.distinct)
]
Words = Annotated[tuple[Word, ...], BeforeValidator(checks.one_or_more), AfterValidator(checks.once)]
Patterns = Annotated[
    tuple[Annotated[str, AfterValidator(checks.pattern)], ...], BeforeValidator(checks.listed)
]
Rate = Annotated[Limit, BeforeValidator(pace)]


class _Shape(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


class DingTalkShape(_Shape):
    """The section `dingtalk`."""

    client_id: Word | None = None
    client_secret: Word | None = None
    client_secret_file: Location | None = None
    robot_code: Word | None = None
    operator_union_id: Word | None = None
    api_url: Url = "https://api.dingtalk.com"
    oapi_url: Url = "https://oapi.dingtalk.com"
    monthly_calls: Annotated[int, AfterValidator(Between(1, 10**9))] | None = 5000


class DeliveryShape(_Shape):
    """The section `delivery`."""

    workers: Annotated[int, AfterValidator(Between(1, 64))] = 4
    give_up_after: Annotated[float, BeforeValidator(Span("1ms", _AGES))] = 3 * 86400.0
    on_uncertain: Literal["resend", "hold"] = "resend"


class PaceShape(_Shape):
    """The section `pace`."""

    per_api: Rate | None = Limit(20, 1.0, spaced=True)
    per_conversation: Rate | None = Limit(20, 60.0, spaced=False)


class FolderShape(_Shape):
    """One of `folders`."""

    path: Location | None = None
    conversation_id: Conversations | None = None
    user_ids: Words = ()
    chat_id: Words = ()
    webhook: Annotated[str, AfterValidator(checks.webhook)] | None = None
    webhook_secret: Word | None = None
    name: Word | None = None
    recursive: bool = True
    include: Patterns = ()
    exclude: Patterns = ()
    settle: Annotated[float, BeforeValidator(Span("1ms", "1h"))] = 2.0
    existing: Literal["skip", "send"] = "skip"
    on_change: Literal["send", "ignore"] = "send"
    unsupported: Literal["zip", "skip"] = "zip"
    large_files: Literal["drive", "notice", "fail"] = "drive"
    send_as: Literal["file", "image", "notice"] = "file"
    notice_location: Word | None = None
    message: Annotated[str, AfterValidator(checks.template)] | None = None
    hold_over: Annotated[int, AfterValidator(Between(0, 10**9))] | None = 1000
    watch: Literal["auto", "inotify", "poll"] = "auto"
    poll_interval: Annotated[float, BeforeValidator(Span("10ms", "1h"))] = 5.0
    rescan: Annotated[float, BeforeValidator(Span("100ms", "7d"))] = 600.0


class ConfigShape(_Shape):
    """The whole file."""

    language: Literal["auto", "zh", "en"] = "auto"
    dingtalk: DingTalkShape = DingTalkShape()
    state_dir: Location | None = None
    ledger: Annotated[str, AfterValidator(checks.ledger)] | None = None
    keep: Annotated[float, BeforeValidator(Span("1ms", _AGES))] = 400 * 86400.0
    delivery: DeliveryShape = DeliveryShape()
    pace: PaceShape = PaceShape()
    folders: list[FolderShape] = []


SECTIONS: Final[Mapping[str, type[_Shape]]] = {
    "": ConfigShape,
    "dingtalk": DingTalkShape,
    "delivery": DeliveryShape,
    "pace": PaceShape,
    "folders[]": FolderShape,
}
"""Every mapping of the file and the keys that it may have."""


def validate(document: Document) -> tuple[ConfigShape, list[Finding]]:
    """Return what is usable of the document, and what is wrong with the rest of it."""
    try:
        return ConfigShape.model_validate(document.tree), []
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False)
    rest = copy.deepcopy(document.tree)
    for each in errors:
        _cut(rest, each["loc"])
    return ConfigShape.model_validate(rest), [_finding(each, document) for each in errors]


def _cut(tree: dict[str, Any], place: Place) -> None:
    """Take the key out that holds this place; a folder that is no mapping becomes an empty one."""
    *way, last = place
    while isinstance(last, int) and way != ["folders"]:
        *way, last = way
    within: Any = tree
    for part in way:
        within = within[part]
    if isinstance(last, int):
        within[last] = {}
    else:
        within.pop(last, None)


_KINDS: Final = {
    "int_type": Problems.NOT_NUMBER,
    "bool_type": Problems.NOT_SWITCH,
    "list_type": Problems.NOT_LIST,
    "model_type": Problems.NOT_MAPPING,
}
"""What pydantic calls a value of the wrong kind; the two that need more are in `_finding`."""


def _finding(error: ErrorDetails, document: Document) -> Finding:
    place, kind, context = error["loc"], error["type"], error.get("ctx", {})
    if place not in document.lines and isinstance(place[-1], int):
        place = place[:-1]  # the one value that may stand for a list of one
    if kind in Problems.__members__:
        values = {name: value for name, value in context.items() if name != "sentence"}
        return Finding(place, Problems[kind], values)
    if kind == "extra_forbidden":
        return Finding(place, Problems.UNKNOWN, {"nearest": _nearest(place)})
    if kind == "literal_error":
        choices = str(context["expected"]).replace(" or ", ", ").replace("'", "")
        return Finding(place, Problems.CHOICE, {"choices": choices})
    if kind == "string_type":
        return _no_text(place, document)
    return Finding(place, _KINDS.get(kind, Problems.WRONG))


def _no_text(place: Place, document: Document) -> Finding:
    """Describe why something is no text for YAML although it may look like one; never quote a secret."""
    written = document.written.get(place)
    if written is None:
        return Finding(place, Problems.NOT_TEXT)
    if "client_secret" in place:
        return Finding(place, Problems.SECRET_NOT_TEXT)
    if written in {"", "~", "null"}:
        return Finding(place, Problems.NOTHING)
    return Finding(place, Problems.NUMBER_FOR_TEXT, {"written": shorten(written)})


def _nearest(place: Place) -> str:
    """Name the key that was most likely meant."""
    section = "folders[]" if place[0] == "folders" else str(place[0]) if len(place) > 1 else ""
    key, known = str(place[-1])[:60], list(SECTIONS[section].model_fields)
    close = difflib.get_close_matches(key, known, 1)
    elsewhere = [f"{name}.{key}".lstrip(".") for name, shape in SECTIONS.items() if key in shape.model_fields]
    return (close or elsewhere or difflib.get_close_matches(key, known, 1, 0.0))[0]
