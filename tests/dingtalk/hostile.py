"""Values that no answer should hold, and where in an answer they may stand."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import fields, is_dataclass
from typing import Any, Final

from dingwatch.dingtalk.answers import LARGEST_WHOLE, LONGEST

Path = tuple[str | int, ...]


def nested(depth: int) -> object:
    """Return a list in a list in a list."""
    value: object = "x"
    for _ in range(depth):
        value = [value]
    return value


HOSTILE: Final[Mapping[str, object]] = {
    "null": None,
    "true": True,
    "false": False,
    "zero": 0,
    "negative": -1,
    "a fraction": -0.5,
    "0.1 ms": 1e-4,
    "beyond 64 bits": 10**19,
    "400 digits": 10**400,
    "minus 400 digits": -(10**400),
    "1e308": 1e308,
    "nan": float("nan"),
    "infinite": float("inf"),
    "empty": "",
    "blank": " ",
    "a surrogate": "\ud800",
    "a surrogate inside": "a\udfffb",
    "nul": "a\0b",
    "a newline": "a\nb",
    "a header": "a\r\nX-Evil: y",
    "an escape": "\x1b[31mred",
    "backwards": "a\u202eb",
    "5,000 letters": "x" * 5000,
    "100,000 letters": "x" * 100_000,
    "a number as text": "7200",
    "Chinese": "中文",
    "a list": [],
    "an object": {},
    "a list of surrogates": ["\ud800", 10**400, None],
    "an object of surrogates": {"\ud800": "\ud800", "a": 10**400},
    "900 deep": nested(900),
}

WORST: Final = tuple(
    HOSTILE[name]
    for name in (
        *("null", "true", "negative", "400 digits", "nan", "a surrogate", "nul", "a header"),
        *("100,000 letters", "a list", "an object of surrogates", "900 deep"),
    )
)
"""One of each kind, for tests that must be quick."""


def places(document: object, at: Path = ()) -> Iterator[Path]:
    """Yield every place in a JSON document, its own included."""
    yield at
    items: Any = ()
    if isinstance(document, dict):
        items = document.items()
    elif isinstance(document, list):
        items = enumerate(document)
    for name, value in items:
        yield from places(value, (*at, name))


def put(document: object, at: Path, value: object) -> Any:  # noqa: ANN401 (any JSON)
    """Return a document with another value at a place."""
    if not at:
        return value
    changed: Any = deepcopy(document)
    holder = changed
    for name in at[:-1]:
        holder = holder[name]
    holder[at[-1]] = value
    return changed


def as_json(document: object) -> bytes:
    """Return a document as bytes; half of a surrogate pair goes out as its escape."""
    return json.dumps(document).encode()


def require_harmless(value: object) -> None:
    """Require that a value can be kept in the ledger, put into a request and shown to people."""
    match value:
        case str():
            assert value.isprintable(), value[:80]
            assert len(value) <= LONGEST
            value.encode()
        case bool() | None:
            pass
        case int() | float():
            assert -1 <= value <= LARGEST_WHOLE
        case Mapping():
            for name, one in value.items():
                require_harmless(name)
                require_harmless(one)
        case list() | tuple():
            for one in value:
                require_harmless(one)
        case _:
            assert is_dataclass(value), type(value)
            for field in fields(value):
                require_harmless(getattr(value, field.name))
