"""Names: how a path is shown to people, and what a name says of its kind."""

from __future__ import annotations

import re
import shlex
import unicodedata
from pathlib import PurePath
from typing import Final

_BIDI: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_SAFE: Final = re.compile(r"[\w@%+=:,./-]+")
_LONGEST_EXTENSION: Final = 16


def readable(path: bytes | PurePath) -> str:
    r"""Return a path for people and JSON; bytes that are not UTF-8 are shown as `\xNN`."""
    return bytes(path).decode("utf-8", "backslashreplace")


def shell_word(name: str) -> str:
    """Return a name as the argument of a command that people copy into a shell."""
    # Letters of any script are safe, and easier to read without quotes.
    quoted = name if _SAFE.fullmatch(name) else shlex.quote(name)
    return f"-- {quoted}" if name.startswith("-") else quoted


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


def cut(name: bytes, most: int) -> bytes:
    """Return the beginning of a name, no longer than so many bytes; no character of UTF-8 is cut in two."""
    if len(name) <= most:
        return name
    end = most
    while end and name[end] & 0xC0 == 0x80:  # noqa: PLR2004 (the second or a later byte of a character)
        end -= 1
    return name[: end or most]


def fold(name: bytes) -> str:
    """Return what two names share that are the same but for their case, or for Unicode's normal form."""
    return _fold(name.decode("utf-8", "surrogateescape"))


def contains(path: bytes, text: str) -> bool:
    r"""Return whether a person who sees a path would find a text in it, whatever the case of either.

    A path is seen as `readable` shows it, or as the conversation does. A Mac writes `é` as two characters.
    """
    wanted = _fold(text)
    return any(wanted in _fold(seen) for seen in (readable(path), displayed_name(path))) or (
        text.encode("utf-8", "surrogateescape") in path
    )


def _fold(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def has_one_form(character: str) -> bool:
    """Return whether a character is always the same bytes, apart from the case of ASCII letters."""
    forms = {character.casefold(), character.upper(), unicodedata.normalize("NFD", character)}
    # A byte that is not UTF-8 comes as half of a surrogate pair, and is in no text.
    return character.isascii() or (forms == {character} and unicodedata.category(character) != "Cs")


def extension(name: str) -> str:
    """Return the lower-case extension without its dot; empty when there is none."""
    stem, dot, last = name.rpartition(".")
    plausible = dot and stem.strip(".") and last.isalnum() and len(last) <= _LONGEST_EXTENSION
    return last.lower() if plausible else ""
