"""Keys that the config may have already, of things that this version does not do yet.

They are checked like all others, so that a file written for a later version loads in this one; `check` and
the service's start name those that ask for something.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from dingwatch.config import checks
from dingwatch.config.checks import Between, Span
from dingwatch.config.document import Document
from dingwatch.config.findings import Finding, KeyPath
from dingwatch.config.schema import AGES, Location, Shape, Word, Words, validate_as
from dingwatch.texts import Problems

_TIME_OF_DAY: Final = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")


def _check_time_of_day(text: str) -> str:
    if not _TIME_OF_DAY.fullmatch(text):
        raise checks.make_error(Problems.TIME_OF_DAY)
    return text


def _check_program(words: tuple[str, ...]) -> tuple[str, ...]:
    if not words:
        raise checks.make_error(Problems.EMPTY)
    return words


def _check_http_address(text: str) -> str:
    """Refuse what is no web address; unlike DingTalk's own, it may have a query."""
    try:
        parts = urlsplit(text)
    except ValueError:
        raise checks.make_error(Problems.URL) from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise checks.make_error(Problems.URL)
    return text


class LogShape(Shape):
    """The section `log`."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"


class HttpShape(Shape):
    """The section `http`."""

    listen: Word | None = None
    token_file: Location | None = None
    hosts: Words = ()


class AlertsShape(Shape):
    """The section `alerts`."""

    to: Annotated[tuple[Word, ...], BeforeValidator(checks.wrap)] = ()  # no sentence may quote an address
    after: Annotated[float, BeforeValidator(Span("1ms", AGES))] = 300.0
    heartbeat_url: Annotated[str, AfterValidator(_check_http_address)] | None = None
    daily: Annotated[str, AfterValidator(_check_time_of_day)] | None = None


class BundleShape(Shape):
    """The key `bundle` of a folder."""

    wait: Annotated[float, BeforeValidator(Span("1ms", "1d"))] = 30.0
    least: Annotated[int, AfterValidator(Between(1, 10**6))] = Field(default=5, alias="from")


Program = Annotated[tuple[Word, ...], BeforeValidator(checks.check_list), AfterValidator(_check_program)]


class LaterFolderShape(Shape):
    """Keys of a folder."""

    recipients: Word | None = None
    feedback: Literal["none", "sidecar"] = "none"
    after_send: Literal["keep", "move"] = "keep"
    bundle: BundleShape | None = None
    before_send: Program | None = None
    before_send_timeout: Annotated[float, BeforeValidator(Span("1ms", "1d"))] = 60.0
    drive_keep: Annotated[float, BeforeValidator(Span("1ms", AGES))] | None = None


class LaterShape(Shape):
    """The keys of the whole file."""

    node: Word | None = None
    log: LogShape = LogShape()
    http: HttpShape = HttpShape()
    alerts: AlertsShape = AlertsShape()
    aliases: Mapping[Word, Word] = Field(default_factory=dict)
    folder_defaults: LaterFolderShape = LaterFolderShape()
    folders: Sequence[LaterFolderShape] = ()


_SECTIONS: Final[Mapping[str, type[Shape]]] = {
    "": LaterShape,
    "log": LogShape,
    "http": HttpShape,
    "alerts": AlertsShape,
    "folders[]": LaterFolderShape,
    "bundle": BundleShape,
}
KEYS: Final[Mapping[str, frozenset[str]]] = {
    name: frozenset(field.alias or key for key, field in shape.model_fields.items())
    for name, shape in _SECTIONS.items()
}
"""Every mapping with such keys, and the keys; `folder_defaults` has those of a folder."""
_OF_ALL: Final = KEYS[""] - {"folders", "folder_defaults"}


@dataclass(frozen=True, slots=True)
class Parts:
    """A document in two: the keys that this version knows, and those of later ones alone."""

    known: dict[str, Any]
    later: dict[str, Any]


def split(tree: Mapping[str, Any]) -> Parts:
    """Return a document's values without the keys of later versions, and with these alone."""
    known = {key: value for key, value in tree.items() if key not in _OF_ALL}
    later = {key: value for key, value in tree.items() if key in _OF_ALL}
    folders, defaults = tree.get("folders"), tree.get("folder_defaults")
    if isinstance(folders, list):
        parts = [_split(folder) for folder in folders]
        known["folders"], later["folders"] = [one for one, _ in parts], [one for _, one in parts]
    if isinstance(defaults, dict):
        known["folder_defaults"], later["folder_defaults"] = _split(defaults)
    return Parts(known, later)


def _split(folder: object) -> tuple[object, dict[str, Any]]:
    if not isinstance(folder, dict):
        return folder, {}
    theirs = KEYS["folders[]"]
    return (
        {key: value for key, value in folder.items() if key not in theirs},
        {key: value for key, value in folder.items() if key in theirs},
    )


def validate_later(document: Document, tree: Mapping[str, Any]) -> tuple[LaterShape, list[Finding]]:
    """Return the keys of later versions, and what is wrong with them."""
    return validate_as(LaterShape, tree, document, KEYS)


def list_requested(shape: LaterShape, document: Document) -> list[KeyPath]:
    """Return the keys that ask for something that this version does not do."""
    found: list[KeyPath] = [(key,) for key in _changed(shape) if key in _OF_ALL]
    for index, folder in enumerate(shape.folders):
        found += [document.origin(("folders", index, key)) for key in _changed(folder)]
    return list(dict.fromkeys(found))


def _changed(shape: Shape) -> list[str]:
    fields = type(shape).model_fields
    return [key for key, value in shape if value != fields[key].get_default(call_default_factory=True)]


_ID_KEYS: Final = ("conversation_id", "user_ids", "chat_id")


def find_needed(tree: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield keys of later versions without which nobody could say what is sent, and to whom."""
    folders, aliases = tree.get("folders"), tree.get("aliases")
    known = set(aliases) if isinstance(aliases, dict) else set()
    for index, folder in enumerate(folders if isinstance(folders, list) else ()):
        if not isinstance(folder, dict):
            continue
        path = folder.get("path")
        if isinstance(path, str) and "*" in path.split("/"):
            yield Finding(("folders", index, "path"), Problems.LATER_WILDCARD)
        if folder.get("recipients") is not None:
            yield Finding(("folders", index, "recipients"), Problems.LATER_RECIPIENTS)
        for key in _ID_KEYS:
            value = folder.get(key)
            for number, one in enumerate(value if isinstance(value, list) else [value]):
                if isinstance(one, str) and one in known:
                    place: KeyPath = ("folders", index, key)
                    yield Finding(
                        (*place, number) if isinstance(value, list) else place, Problems.LATER_ALIAS
                    )
