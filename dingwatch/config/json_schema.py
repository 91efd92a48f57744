"""The JSON Schema of the configuration: for editors, which show what is wrong while the file is written.

It accepts all that `check` accepts, and refuses what is wrong within one value or one mapping. It is made of
the same shapes as the check; each validator has its counterpart here. Only `config schema` and `init` import
this module: the service needs none of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import AfterValidator, BeforeValidator
from pydantic.fields import FieldInfo

from dingwatch.config import aliases, checks, database, listen, ranges
from dingwatch.config.schema import ConfigShape, FolderDefaultsShape, FolderShape, Shape

Schema = dict[str, Any]
Describe = Callable[[str], str | None]
"""Returns what a key (`folders.settle`) is for."""

DIALECT: Final = "http://json-schema.org/draft-07/schema#"
"""The one that editors know best."""
_FREE: Final[Schema] = {"^x-": {}}
_TEXT: Final[Schema] = {"type": "string"}
_SET: Final[Schema] = {"not": {"type": "null"}}
_GIVEN: Final[Schema] = {"not": {"enum": [None, []]}}


# --- Validators ----------------------------------------------------------------------------------

_ANY_OF_LIST: Final = r"[,，、]"
_RARE: Final = r"[;；|]"
_EXTENSION: Final = r"!?\*?\.[\w.*?\[\]$!~-]+"


def _lists(separator: str) -> list[str]:
    """Return patterns for lists of gitignore patterns, as `checks.patterns_in` recognises them."""
    several = rf"(?:{separator}\s*)+"
    other = rf"[^\s{separator[1:]}"
    beside = rf"(?:\*\s*{several}{other}|{other}\s*(?<!\\){several}\*)"
    found = [
        rf"^\s*(?:{several})?{_EXTENSION}\s*{several}$|^\s*{several}{_EXTENSION}\s*$",
        rf"(?:^|(?<!\\){separator})\s*{_EXTENSION}\s*{several}{other}",
    ]
    if separator == _RARE:
        return [*found, beside]
    file = rf"^\s*(?:{several})?[^,，、]*\.[^\W\d]\w*\s*{several}"
    return [*found, rf"(?=.*\*.*(?<!\\){separator}.*\*).*{beside}", rf"(?={file}).*{beside}"]


_NO_PATTERN: Final = [
    "^#",
    r"^\s*$",
    r"^!?/*\s*$",
    r"\\$",
    r"\\\w",
    r"\w\\\*\.",
    r"^!?\.\.?/",
    r"(?=.*\*).*\{[^{}]*,[^{}]*\}",
    *_lists(_RARE),
    *_lists(_ANY_OF_LIST),
    rf"^\s*{_EXTENSION}(?:\s+{_EXTENSION})+\s*$",
]
"""Texts that are no gitignore pattern, or surely not the one that was meant."""

_FIELD: Final = "|".join(checks.FIELDS)
_ARGUMENT: Final = rf"\x00|\{{(?!(?:{'|'.join(checks.ARGUMENT_FIELDS)})\}})[a-z_]+\}}"
_LOOPBACK: Final = r"(?:[lL][oO][cC][aA][lL][hH][oO][sS][tT]|127(?:\.[0-9]{1,3}){3}|\[(?:0*:)*0*:0*1\])"
_HOST: Final = r"(?:[^/?#@:\s\[\]]+|\[[0-9A-Fa-f:.]+\])"
_HTTP: Final = "[hH][tT][tT][pP]"
_PORT: Final = f"(?::{ranges.whole(0, 65535, digits=5)}?)?"
_URL: Final = rf"^(?:{_HTTP}[sS]://{_HOST}|{_HTTP}://{_LOOPBACK}){_PORT}(?:/[^?# ]*)?$"
_WEBHOOK: Final = (
    rf"^(?:{_HTTP}[sS]://{_HOST}|{_HTTP}://{_LOOPBACK}){_PORT}(?:/[^?#\s]*)?"
    r"\?(?!(?:[^#]*&)?access_token=[^&#]+&(?:[^#]*&)?access_token=[^&#])(?:[^#\s]*&)?access_token=[^&#\s]+"
)

_BY_FUNCTION: Final[Mapping[object, Schema]] = {
    checks.check_text: {"pattern": r"\S"},
    checks.check_name: {"pattern": r"\S", "maxLength": checks.LONGEST_NAME},
    checks.check_path: {"pattern": "^[/~]"},
    checks.check_star: {"pattern": r"^[^*]*$|^[^*]*/\*(?:/(?!\.\.(?:/|$))[^*/]*)*$"},
    checks.check_url: {"pattern": _URL},
    checks.check_ledger: {"pattern": f"^(?:{database.PATTERN})$"},
    checks.check_conversation: {"pattern": r"\S", "not": {"pattern": "^(?:user:|chat:|webhook:|https?:)"}},
    checks.check_webhook: {"pattern": _WEBHOOK},
    checks.check_template: {
        "allOf": [{"pattern": r"\S"}, {"pattern": rf"^(?:[^{{}}]|\{{\{{|\}}\}}|\{{(?:{_FIELD}):?\}})*$"}]
    },
    checks.check_argument: {"not": {"pattern": _ARGUMENT}},
    checks.check_pattern: {"maxLength": 1000, "not": {"anyOf": [{"pattern": one} for one in _NO_PATTERN]}},
    checks.pace: {"type": "string", "pattern": r"^[1-9][0-9]{0,5}/[sm]$"},
    aliases.check_alias: {"pattern": r"^(?!cid|user:|chat:|webhook:|https?:)\S(?:.*\S)?$"},
    aliases.check_recipient: {"pattern": rf"^(?:{aliases.ID.pattern})$"},
    listen.check_listen: {
        "pattern": rf"^(?:unix:(?:/|~/)(?:.*[^/])?$|{listen.HOST}:{ranges.whole(0, 65535, digits=5)}$)",
        "maxLength": 255 + 6,
    },
    listen.check_host: {"pattern": f"^{listen.HOST}$"},
    checks.check_time_of_day: {"pattern": f"^(?:{checks.TIME_OF_DAY.pattern})$"},
    checks.check_heartbeat: {"pattern": rf"^{_HTTP}[sS]?://{_HOST}{_PORT}(?:[/?#]\S*)?$"},
    checks.check_alert_recipient: {
        "anyOf": [
            {"pattern": _WEBHOOK},
            {"pattern": r"^(?:cid.+|(?:user|chat):.+)$"},
            {
                "pattern": rf"^(?!cid|user:|chat:|webhook:|{_HTTP}[sS]?:)[^/=]*[^/=\s][^/=]*$"
            },  # one of aliases
        ]
    },
}
"""The schema of each validator of a single value."""
_OF_LISTS: Final[Mapping[object, Schema]] = {
    checks.check_conversations: {"minItems": 1, "uniqueItems": True},
    checks.check_unique: {"uniqueItems": True},
    checks.check_program: {
        "minItems": 1,
        "prefixItems": [{"pattern": r"^(?:/|[^/]*\S[^/]*$)"}],
    },
}
"""The keywords that validators of lists add."""


def _of_validator(validator: object) -> Schema:
    if isinstance(validator, checks.Span):
        return {"type": "string", "pattern": f"^(?:{ranges.durations(validator.least, validator.most)})$"}
    if isinstance(validator, checks.Between):
        return {"minimum": validator.least, "maximum": validator.most}
    return _BY_FUNCTION.get(validator, {})


def _schema_of(annotation: Any, validators: Sequence[object]) -> Schema:  # noqa: ANN401 (any type of a field)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        theirs = [one.func for one in arguments[1:] if isinstance(one, AfterValidator | BeforeValidator)]
        return _schema_of(arguments[0], [*theirs, *validators])
    if origin in {Union, UnionType}:
        return {"anyOf": [_schema_of(one, validators) for one in arguments]}
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin in {tuple, list} or (isinstance(origin, type) and issubclass(origin, list | tuple)):
        return _list_of(_schema_of(arguments[0], []), validators)
    if origin is dict:
        return {
            "type": "object",
            "propertyNames": _schema_of(arguments[0], []),
            "patternProperties": _FREE,
            "additionalProperties": _schema_of(arguments[1], []),
        }
    return _single(annotation, validators)


def _single(annotation: Any, validators: Sequence[object]) -> Schema:  # noqa: ANN401
    if annotation in {NoneType, None}:
        return {"type": "null"}
    kinds: Mapping[object, Schema] = {
        str: _TEXT, bool: {"type": "boolean"}, int: {"type": "integer"}, float: {}
    }  # fmt: skip
    parts = [_of_validator(one) for one in validators]
    parts = [kinds.get(annotation, {}), *(one for one in parts if one)]
    merged: Schema = {}
    for part in parts:
        if merged.keys() & part.keys() - {"type"}:
            return {"allOf": parts}
        merged |= part
    return merged


def _list_of(item: Schema, validators: Sequence[object]) -> Schema:
    found: Schema = {"type": "array", "items": item}
    for one in validators:
        found |= _OF_LISTS.get(one, {})
    if checks.wrap in validators:
        return {"anyOf": [item, found]}
    if checks.check_list in validators:
        return {"anyOf": [found, {"type": "null"}]} if "minItems" not in found else found
    return found


# --- Mappings ------------------------------------------------------------------------------------


def _properties(section: str, fields: Mapping[str, FieldInfo], describe: Describe) -> Schema:
    found: Schema = {}
    for name, field in fields.items():
        key = field.alias or name
        shape = field.annotation
        if isinstance(shape, type) and issubclass(shape, Shape):
            found[key] = _mapping(key, shape.model_fields, describe)
        else:
            theirs = [one.func for one in field.metadata if isinstance(one, AfterValidator | BeforeValidator)]
            found[key] = _schema_of(shape, theirs)
            if (bundle := _shape_in(shape)) is not None:
                found[key] = {"anyOf": [_mapping(key, bundle.model_fields, describe), {"type": "null"}]}
        if text := describe(f"{section}.{key}".lstrip(".")):
            found[key] = {"description": text, **found[key]}
    return found


def _shape_in(annotation: Any) -> type[Shape] | None:  # noqa: ANN401
    """Return the shape of a key that may also be null."""
    shapes = (one for one in get_args(annotation) if isinstance(one, type) and issubclass(one, Shape))
    return next(shapes, None)


def _mapping(section: str, fields: Mapping[str, FieldInfo], describe: Describe) -> Schema:
    return {
        "type": "object",
        "properties": _properties(section, fields, describe),
        "patternProperties": _FREE,
        "additionalProperties": False,
    }


def _both(one: str, other: str) -> Schema:
    return {"required": [one, other], "properties": {one: _GIVEN, other: _GIVEN}}


def _folder(describe: Describe) -> Schema:
    found = _mapping("folders", FolderShape.model_fields, describe)
    found["required"] = ["path"]
    found["properties"]["path"] = {"allOf": [found["properties"]["path"], _SET]}
    starred = {"properties": {"path": {"pattern": r"(?:^|/)\*(?:/|$)"}}}
    with_table = {"required": ["recipients"], "properties": {"recipients": _SET}}
    found["allOf"] = [
        *({"not": _both("recipients", key)} for key in checks.RECIPIENT_KEYS),
        {"if": with_table, "then": starred},
    ]
    return found


def _whole_folder() -> Schema:
    """Return what a folder needs that inherits nothing."""
    has_webhook = {"required": ["webhook"], "properties": {"webhook": _SET}}
    sends_notices = {"required": ["send_as"], "properties": {"send_as": {"const": "notice"}}}
    return {
        "anyOf": [
            *({"required": [key], "properties": {key: _GIVEN}} for key in checks.RECIPIENT_KEYS),
            {"required": ["recipients"], "properties": {"recipients": _SET}},
        ],
        "allOf": [
            {"if": has_webhook, "then": sends_notices},
            {
                "if": {"required": ["webhook_secret"], "properties": {"webhook_secret": _SET}},
                "then": has_webhook,
            },
        ],
    }


def make_schema(describe: Describe) -> Schema:
    """Return the schema of the whole file."""
    found = _mapping("", ConfigShape.model_fields, describe)
    properties = found["properties"]
    properties["folders"] = {"type": "array", "items": _folder(describe)}
    defaults = FolderDefaultsShape.model_fields
    keys = {name: field for name, field in defaults.items() if name not in {"path", "name"}}
    properties["folder_defaults"] = _mapping("folders", keys, describe)
    dingtalk = properties["dingtalk"]
    dingtalk["required"] = ["client_id"]
    dingtalk["properties"]["client_id"] = {"allOf": [dingtalk["properties"]["client_id"], _SET]}
    dingtalk["not"] = _both("client_secret", "client_secret_file")
    beyond = {
        "required": ["listen"],
        "properties": {"listen": {"type": "string", "not": {"pattern": f"^{_LOOPBACK}:"}}},
    }
    properties["http"]["if"] = beyond
    properties["http"]["then"] = {"required": ["token_file"], "properties": {"token_file": _SET}}
    bare = {"not": {"required": ["folder_defaults"]}}
    unnamed = {"not": {"required": ["aliases"], "properties": {"aliases": {"minProperties": 1}}}}
    cid = {"pattern": "^cid"}
    in_folder = {"properties": {"conversation_id": {**cid, "items": cid}}}
    an_id = {"pattern": rf"^(?:cid|user:|chat:).|^{_HTTP}[sS]?:"}
    told = {"properties": {"to": {**an_id, "items": an_id}}}
    return {
        "$schema": DIALECT,
        "title": "dingwatch",
        **found,
        "required": ["dingtalk", "folders"],
        "allOf": [
            {"if": bare, "then": {"properties": {"folders": {"items": _whole_folder()}}}},
            {
                "if": unnamed,
                "then": {
                    "properties": {
                        "folders": {"items": in_folder},
                        "folder_defaults": in_folder,
                        "alerts": told,
                    }
                },
            },
        ],
    }
