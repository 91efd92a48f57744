"""Names: how a path is shown to people, and what a name says of its kind."""

from __future__ import annotations

import unicodedata
from typing import Final

_BIDI: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_LONGEST_EXTENSION: Final = 16


def readable(path: bytes) -> str:
    r"""Return a path for people and JSON; bytes that are not UTF-8 are shown as `\xNN`."""
    return path.decode("utf-8", "backslashreplace")


def displayed_name(name: bytes) -> str:
    """Return the name a conversation sees: the file's own, only control and bidi characters replaced.

    A name that is not UTF-8 most likely came from an old Windows or archive in Chinese.
    """
    try:
        text = name.decode("utf-8")
    except UnicodeDecodeError:
        text = name.decode("gb18030", "replace")
    if text.isprintable():  # as almost every name is
        return text
    return "".join("_" if unicodedata.category(c) in {"Cc", "Zl", "Zp"} or c in _BIDI else c for c in text)


def extension(name: str) -> str:
    """Return the lower-case extension without its dot; empty when there is none."""
    stem, dot, last = name.rpartition(".")
    plausible = dot and stem.strip(".") and last.isalnum() and len(last) <= _LONGEST_EXTENSION
    return last.lower() if plausible else ""
