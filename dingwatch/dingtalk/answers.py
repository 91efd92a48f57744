"""Read members of successful answers. An answer that lacks one it must have counts as no answer.

What passes here is kept in the ledger, put into the next request or shown to people. Once a gateway, a proxy
or a defect puts something odd there (half of an emoji, a number of 400 digits), none of these must break.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from dingwatch.model import Cause, Failure, NoAnswer, Scope

LONGEST: Final = 4096
"""Characters of an id, a key or a token; DingTalk's are below 300."""
LONGEST_LABEL: Final = 300
"""Characters of a name or a reason that is shown to people."""
LARGEST_WHOLE: Final = 2**63 - 1
"""The largest number that the ledger can hold."""
_ADDRESS: Final = re.compile(r"https?://[!#-;=?-\[\]_a-z~%@&'()*+,$]{4,4096}", re.IGNORECASE)
"""An address without what could act in a terminal or a page."""
SHORTEST_LIFE: Final = 1.0
LONGEST_LIFE: Final = 366 * 86400.0
"""Seconds; DingTalk says 7,200. A token that lives 0.1 ms would be asked for again before each call."""


def text(answer: Mapping[str, Any], name: str) -> str:
    """Return an id or a key that must be there, to be used verbatim."""
    value = answer.get(name)
    if not isinstance(value, str) or not _usable(value):
        raise without(name)
    return value


def receipt(answer: Mapping[str, Any], name: str) -> str:
    """Return the key of a message that was sent; empty if it is a text that cannot be kept.

    An odd key is no doubt about the message: as no answer it would have the file sent a second time.
    """
    value = answer.get(name)
    if not isinstance(value, str) or not value:
        raise without(name)
    return value if _usable(value) else ""


def optional_text(answer: Mapping[str, Any], name: str) -> str:
    """Return an id or a key; empty if the answer has none that can be used."""
    value = answer.get(name)
    return value if isinstance(value, str) and _usable(value) else ""


def label(answer: Mapping[str, Any], name: str) -> str:
    """Return a text for people, without what a terminal or the ledger cannot take."""
    return printable(answer.get(name), LONGEST_LABEL)


def url(answer: Mapping[str, Any], name: str) -> str:
    """Return a web address, which people are to open."""
    value = answer.get(name)
    if not isinstance(value, str) or not _ADDRESS.fullmatch(value):
        raise without(name)
    return value


def token(answer: Mapping[str, Any], name: str) -> str:
    """Return a token, which must fit into an HTTP header."""
    value = text(answer, name)
    if not value.isascii():
        raise without(name)
    return value


def life(answer: Mapping[str, Any], name: str) -> float:
    """Return a token's life in seconds."""
    value = answer.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise without(name)
    if not SHORTEST_LIFE <= value <= LONGEST_LIFE:
        raise without(name)
    return float(value)


def members(answer: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return an object that must be there."""
    value = answer.get(name)
    if not isinstance(value, dict):
        raise without(name)
    return value


def objects(answer: Mapping[str, Any], name: str) -> tuple[Mapping[str, Any], ...]:
    """Return a list's objects; empty if the answer has none."""
    value = answer.get(name)
    return tuple(one for one in value if isinstance(one, dict)) if isinstance(value, list) else ()


def whole(answer: Mapping[str, Any], name: str) -> int | None:
    """Return a whole number from zero on; None if the answer has none."""
    value = answer.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= LARGEST_WHOLE else None


def texts(answer: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Return the ids of a list; empty if the answer has none."""
    value = answer.get(name)
    listed = value if isinstance(value, list) else ()
    return tuple(one for one in listed if isinstance(one, str) and _usable(one))


def labels(answer: Mapping[str, Any], name: str) -> Mapping[str, str]:
    """Return an object's members as texts for people, by ids; empty if the answer has none."""
    value = answer.get(name)
    if not isinstance(value, dict):
        return {}
    return {key: printable(one, LONGEST_LABEL) for key, one in value.items() if _usable(key)}


def printable(value: object, longest: int) -> str:
    """Return a text or a number as one line of at most so many characters; empty for anything else."""
    shown = str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
    return "".join(c if c.isprintable() else " " for c in shown[:longest])


def _usable(value: str) -> bool:
    # Half of a surrogate pair, which has no UTF-8, is not printable either.
    return len(value) <= LONGEST and value.isprintable() and not value.isspace() and value != ""


def without(name: str) -> Failure:
    """Return the failure for an answer that lacks a member."""
    # DingTalk has answered, so the call may be billed, and the next answer may make as little sense.
    return Failure(NoAnswer(Cause("no_answer", f"no {name}", "NO_ANSWER"), Scope.API, billed=True))
