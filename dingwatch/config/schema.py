"""The schema: all keys, what each may hold, and its default.

No key is required here, because pydantic would then report the missing key alone and none of the other
mistakes in its section. `checks.find_missing` reports missing keys.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from dingwatch.config import checks
from dingwatch.config.aliases import check_alias, check_recipient
from dingwatch.config.checks import Between, Span, pace
from dingwatch.config.document import Document
from dingwatch.config.findings import Finding, KeyPath, shorten
from dingwatch.config.listen import check_host, check_listen
from dingwatch.config.values import LogFormat
from dingwatch.pace import Limit
from dingwatch.texts import Problems

AGES: Final = "36500d"
"""The longest time for which anything is kept."""


Word = Annotated[str, AfterValidator(checks.check_text)]
Name = Annotated[str, AfterValidator(checks.check_name)]
Location = Annotated[str, AfterValidator(checks.check_text), AfterValidator(checks.check_path)]
FolderPath = Annotated[Location, AfterValidator(checks.check_star)]
Url = Annotated[str, AfterValidator(checks.check_url)]
Conversation = Annotated[str, AfterValidator(checks.check_conversation)]
Conversations = Annotated[
    tuple[Conversation, ...], BeforeValidator(checks.wrap), AfterValidator(checks.check_conversations)
]
Words = Annotated[tuple[Word, ...], BeforeValidator(checks.wrap), AfterValidator(checks.check_unique)]
Hosts = Annotated[tuple[Annotated[str, AfterValidator(check_host)], ...], BeforeValidator(checks.wrap)]
Patterns = Annotated[
    tuple[Annotated[str, AfterValidator(checks.check_pattern)], ...], BeforeValidator(checks.check_list)
]
Program = Annotated[
    tuple[Annotated[str, AfterValidator(checks.check_argument)], ...],
    BeforeValidator(checks.check_list),
    AfterValidator(checks.check_program),
]
Aliases = dict[Annotated[str, AfterValidator(check_alias)], Annotated[str, AfterValidator(check_recipient)]]
Rate = Annotated[Limit, BeforeValidator(pace)]


AnyShape = TypeVar("AnyShape", bound="Shape")


class Shape(BaseModel):
    """One mapping of the file."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


class DingTalkShape(Shape):
    """The section `dingtalk`."""

    client_id: Word | None = None
    client_secret: Word | None = None
    client_secret_file: Location | None = None
    robot_code: Word | None = None
    operator_union_id: Word | None = None
    api_url: Url = "https://api.dingtalk.com"
    oapi_url: Url = "https://oapi.dingtalk.com"
    monthly_calls: Annotated[int, AfterValidator(Between(1, 10**9))] | None = 5000


class DeliveryShape(Shape):
    """The section `delivery`."""

    workers: Annotated[int, AfterValidator(Between(1, 64))] = 4
    give_up_after: Annotated[float, BeforeValidator(Span("1ms", AGES))] = 3 * 86400.0
    on_uncertain: Literal["resend", "hold"] = "resend"


class PaceShape(Shape):
    """The section `pace`."""

    per_api: Rate | None = Limit(20, 1.0, spaced=True)
    per_conversation: Rate | None = Limit(20, 60.0, spaced=False)


class LogShape(Shape):
    """The section `log`."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: LogFormat = "text"


class HttpShape(Shape):
    """The section `http`."""

    listen: Annotated[str, AfterValidator(check_listen)] | None = None
    token_file: Location | None = None
    hosts: Hosts = ()


class AlertsShape(Shape):
    """The section `alerts`."""

    to: Annotated[
        tuple[Annotated[str, AfterValidator(checks.check_alert_recipient)], ...], BeforeValidator(checks.wrap)
    ] = ()
    after: Annotated[float, BeforeValidator(Span("1ms", AGES))] = 300.0
    heartbeat_url: Annotated[str, AfterValidator(checks.check_heartbeat)] | None = None
    daily: Annotated[str, AfterValidator(checks.check_time_of_day)] | None = None


class BundleShape(Shape):
    """The key `bundle` of a folder."""

    wait: Annotated[float, BeforeValidator(Span("1ms", "1d"))] = 30.0
    least: Annotated[int, AfterValidator(Between(1, 10**6))] = Field(default=5, alias="from")


class FolderShape(Shape):
    """One of `folders`."""

    path: FolderPath | None = None
    conversation_id: Conversations | None = None
    recipients: Word | None = None
    user_ids: Words = ()
    chat_id: Words = ()
    webhook: Annotated[str, AfterValidator(checks.check_webhook)] | None = None
    webhook_secret: Word | None = None
    name: Name | None = None
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
    notice_text: Annotated[str, AfterValidator(checks.check_template)] | None = None
    message: Annotated[str, AfterValidator(checks.check_template)] | None = None
    bundle: BundleShape | None = None
    hold_over: Annotated[int, AfterValidator(Between(0, 10**9))] | None = 1000
    watch: Literal["auto", "inotify", "poll"] = "auto"
    poll_interval: Annotated[float, BeforeValidator(Span("10ms", "1h"))] = 5.0
    rescan: Annotated[float, BeforeValidator(Span("100ms", "7d"))] = 600.0
    before_send: Program | None = None
    before_send_timeout: Annotated[float, BeforeValidator(Span("1ms", "1d"))] = 60.0
    drive_keep: Annotated[float, BeforeValidator(Span("1ms", AGES))] | None = None
    exclusive: bool = True
    shared: Name | None = None
    feedback: Literal["none", "sidecar"] = "none"
    after_send: Literal["keep", "move"] = "keep"


def _refuse_default(_: object) -> None:
    raise checks.make_error(Problems.NOT_A_DEFAULT)


class FolderDefaultsShape(FolderShape):
    """The section `folder_defaults`."""

    path: Annotated[None, BeforeValidator(_refuse_default)] = None
    name: Annotated[None, BeforeValidator(_refuse_default)] = None


class ConfigShape(Shape):
    """The whole file."""

    language: Literal["auto", "zh", "en"] = "auto"
    dingtalk: DingTalkShape = DingTalkShape()
    state_dir: Location | None = None
    ledger: Annotated[str, AfterValidator(checks.check_ledger)] | None = None
    node: Name | None = None
    keep: Annotated[float, BeforeValidator(Span("1ms", AGES))] = 400 * 86400.0
    delivery: DeliveryShape = DeliveryShape()
    pace: PaceShape = PaceShape()
    log: LogShape = LogShape()
    http: HttpShape = HttpShape()
    alerts: AlertsShape = AlertsShape()
    aliases: Aliases = {}
    folder_defaults: FolderDefaultsShape = FolderDefaultsShape()
    folders: list[FolderShape] = []


SECTIONS: Final[Mapping[str, type[Shape]]] = {
    "": ConfigShape,
    "dingtalk": DingTalkShape,
    "delivery": DeliveryShape,
    "pace": PaceShape,
    "log": LogShape,
    "http": HttpShape,
    "alerts": AlertsShape,
    "folders[]": FolderShape,
    "bundle": BundleShape,
}
"""Every mapping of the file, with the keys that it may have; `folder_defaults` has those of a folder."""


KEYS: Final[Mapping[str, frozenset[str]]] = {
    name: frozenset(field.alias or key for key, field in shape.model_fields.items())
    for name, shape in SECTIONS.items()
}
"""The keys of every mapping of the file."""


def validate_as(
    shape: type[AnyShape], tree: Mapping[str, Any], document: Document, keys: Mapping[str, frozenset[str]]
) -> tuple[AnyShape, list[Finding]]:
    """Return a tree's valid values, with defaults for the others, and what is wrong with those.

    `keys` are those that an unknown key may have been meant for.
    """
    try:
        return shape.model_validate(tree), []
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False)
    # On any error pydantic returns nothing at all. Without the bad values it returns the others, which the
    # checks of several values need: they report their problems in the same run.
    rest = copy.deepcopy(dict(tree))
    for each in errors:
        _cut(rest, each["loc"])
    return shape.model_validate(rest), [_finding(each, document, keys) for each in errors]


_OF_KEY: Final = "[key]"
"""How pydantic ends the path to a key that is wrong itself."""


def _cut(tree: dict[str, Any], key_path: KeyPath) -> None:
    """Remove the key of an invalid value; a folder that is no mapping becomes an empty one."""
    *way, last = key_path if key_path[-1] != _OF_KEY else key_path[:-1]
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
    "dict_type": Problems.NOT_MAPPING,
    "model_type": Problems.NOT_MAPPING,
}
"""Pydantic's error types for values of the wrong type; `_finding` has the two that need more."""


def _finding(error: ErrorDetails, document: Document, keys: Mapping[str, frozenset[str]]) -> Finding:
    place, kind, context = error["loc"], error["type"], error.get("ctx", {})
    key_path = document.origin(place[:-1] if place[-1] == _OF_KEY else place)
    if key_path not in document.lines and isinstance(key_path[-1], int):
        key_path = key_path[:-1]  # `conversation_id: X` without a list: pydantic names the item in our tuple
    if kind in Problems.__members__:
        values = {name: value for name, value in context.items() if name != "sentence"}
        return Finding(key_path, Problems[kind], values)
    if kind == "extra_forbidden":
        return Finding(key_path, Problems.UNKNOWN, {"nearest": _nearest(key_path, keys)})
    if kind == "literal_error":
        choices = str(context["expected"]).replace(" or ", ", ").replace("'", "")
        return Finding(key_path, Problems.CHOICE, {"choices": choices})
    if kind == "string_type":
        return _explain_non_text(key_path, document)
    return Finding(key_path, _explain_kind(kind, key_path, document))


def _explain_kind(kind: str, key_path: KeyPath, document: Document) -> Problems:
    if key_path == ("folders",):
        return Problems.NO_LIST_OF_FOLDERS
    if kind == "model_type" and "：" in document.written.get(key_path, ""):
        return Problems.WIDE_COLON  # `- path：/srv/x` is a text to YAML
    return _KINDS.get(kind, Problems.WRONG)


def _explain_non_text(key_path: KeyPath, document: Document) -> Finding:
    """Explain why YAML reads a value as something other than text; never quote a secret."""
    written = document.written.get(key_path)
    if written is None:
        return Finding(key_path, Problems.NOT_TEXT)
    if "client_secret" in key_path:
        return Finding(key_path, Problems.SECRET_NOT_TEXT)
    if written in {"", "~", "null"}:
        return Finding(key_path, Problems.NOTHING)
    return Finding(key_path, Problems.NUMBER_FOR_TEXT, {"written": shorten(written)})


def _nearest(key_path: KeyPath, keys: Mapping[str, frozenset[str]]) -> str:
    """Return the key that was most likely meant."""
    section = str(key_path[0]) if len(key_path) > 1 else ""
    section = "folders[]" if section in {"folders", "folder_defaults"} else section
    section = "bundle" if "bundle" in key_path[:-1] else section
    key, known = str(key_path[-1])[:60], sorted(keys[section])
    close = difflib.get_close_matches(key, known, 1)
    # `workers` at the top level was meant for `delivery`.
    elsewhere = [f"{name}.{key}".lstrip(".") for name, theirs in keys.items() if key in theirs]
    return (close or elsewhere or difflib.get_close_matches(key, known, 1, 0.0))[0]
