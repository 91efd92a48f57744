"""Read members of successful answers. An answer that lacks one it must have counts as no answer."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from dingwatch.model import Cause, Failure, NoAnswer, Scope


def text(answer: Mapping[str, Any], name: str) -> str:
    """Return a text that must be there and not be empty."""
    value = answer.get(name)
    if not isinstance(value, str) or not value:
        raise without(name)
    return value


def token(answer: Mapping[str, Any], name: str) -> str:
    """Return a token, which must fit into an HTTP header."""
    value = text(answer, name)
    if not (value.isascii() and value.isprintable()):
        raise without(name)
    return value


def number(answer: Mapping[str, Any], name: str) -> float:
    """Return a number above zero."""
    value = answer.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= sys.float_info.max:
        raise without(name)
    return float(value)


def members(answer: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return an object that must be there."""
    value = answer.get(name)
    if not isinstance(value, dict):
        raise without(name)
    return value


def whole(answer: Mapping[str, Any], name: str) -> int | None:
    """Return a whole number; None if the answer has none."""
    value = answer.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def texts(answer: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Return a list as texts; empty if the answer has none."""
    value = answer.get(name)
    return tuple(map(str, value)) if isinstance(value, list) else ()


def pairs(answer: Mapping[str, Any], name: str) -> Mapping[str, str]:
    """Return an object's members as texts; empty if the answer has none."""
    value = answer.get(name)
    return {key: str(one) for key, one in value.items()} if isinstance(value, dict) else {}


def without(name: str) -> Failure:
    """Return the failure for an answer that lacks a member."""
    return Failure(NoAnswer(Cause("no_answer", f"no {name}", "NO_ANSWER"), Scope.API))
