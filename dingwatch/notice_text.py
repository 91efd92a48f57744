"""What is said about a file: the notice in its place, and the line before it.

Pure functions. Both are markdown in which nothing of a file's name means anything. The escapes are those of
CommonMark; that DingTalk honours them is unverified [?], so that only what would mean something is escaped,
and a link is broken up for a reader that knows no escapes, too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from string import Formatter
from typing import Final

from dingwatch.names import displayed_name
from dingwatch.texts import Language, Notices

LONGEST_TITLE: Final = 200
LONGEST_NAME: Final = 600
LONGEST_PATH: Final = 900
LONGEST_LINE: Final = 1600
"""Bytes in a request, so that all of a message fits the 2,048 of one to a chat (KB:1488) as well."""

_SEPARATORS: Final = " \t·•|,，、;；-–—/~"
_BRACKETS: Final = frozenset({"()", "（）", "[]", "【】"})


@dataclass(frozen=True, slots=True)
class Wording:
    """What a folder's settings have to say about its files."""

    language: Language = Language.EN
    folder: str = ""
    location: str | None = None
    """Where people find the folder, in their own notation."""
    template: str | None = None
    """The line before each file; None: there is none."""


@dataclass(frozen=True, slots=True)
class Message:
    """Markdown; the title, which is plain, stands in the list of conversations alone."""

    title: str
    text: str


def notice(wording: Wording, path: bytes, size: int) -> Message:
    """Return what goes instead of a file: its name, its size in bytes said shortly, and where people find it.

    `path` is the file's within its folder.
    """
    shown = displayed_name(path)
    name = shown.rpartition("/")[2]
    said = [Notices.FILE.render(wording.language, name=_fitted(name, LONGEST_NAME), size=human_size(size))]
    if wording.location:
        place = _code(_cut(joined(wording.location, shown), LONGEST_PATH))
        said.append(Notices.PLACE.render(wording.language, place=place))
    return Message(_cut(name, LONGEST_TITLE), "\n\n".join(said))


def line(wording: Wording, path: bytes, size: int, *, changed: bool) -> Message | None:
    """Return what goes before a file, by the folder's template; None when that has nothing to say.

    `changed` says that the recipient was sent an earlier version of the path.
    """
    if wording.template is None:
        return None
    shown = displayed_name(path)
    name = shown.rpartition("/")[2]
    values = {
        "name": _fitted(name, LONGEST_NAME),
        "size": human_size(size),
        "folder": escaped(wording.folder),
        "path": _fitted(shown, LONGEST_PATH),
        "change": Notices.CHANGED.render(wording.language) if changed else "",
    }
    text = _cut(filled(wording.template, values), LONGEST_LINE, written=str)
    return Message(_cut(name, LONGEST_TITLE), text) if text else None


def joined(location: str, path: str) -> str:
    r"""Return where a file lies, in the location's own notation: `\\nas\财务` has backslashes."""
    separator = "\\" if "\\" in location else "/"
    return location.rstrip(separator) + separator + path.replace("/", separator)


def human_size(size: int) -> str:
    """Return a size in bytes for people, in powers of ten as the config has them: `1.5 MB`."""
    value, unit = float(size), "B"
    for larger in ("KB", "MB", "GB", "TB"):
        if value < 999.5:  # noqa: PLR2004 (which would be shown as 1000)
            break
        value, unit = value / 1000, larger
    decimals = 1 if value < 99.95 else 0  # noqa: PLR2004 (which would be shown as 100.0)
    return f"{value:.{decimals}f}".removesuffix(".0") + f" {unit}"


# --- Templates -----------------------------------------------------------------------------------


def filled(template: str, values: Mapping[str, str]) -> str:
    """Fill a template in; what separates a value that is empty from the others goes with it."""
    pieces = [(text, name) for text, name, _, _ in Formatter().parse(template)]
    said, before = "", ""
    for i, (text, name) in enumerate(pieces):
        before += text
        value = values[name] if name else ""
        if value or not name:
            said += before + value
            before = ""
        else:
            after = pieces[i + 1][0] if i + 1 < len(pieces) else ""
            before, after = _closed(before, after, first=not said)
            if i + 1 < len(pieces):
                pieces[i + 1] = (after, pieces[i + 1][1])
    return (said + before).strip()


def _closed(before: str, after: str, *, first: bool) -> tuple[str, str]:
    """Close the gap that an empty value leaves between two texts; `first` when nothing stands before."""
    if before[-1:] + after[:1] in _BRACKETS:
        before, after = before[:-1], after[1:]
    if first and not before.strip(_SEPARATORS):
        return "", after.lstrip(_SEPARATORS)
    if not after.strip(_SEPARATORS) or after[0] in _SEPARATORS:
        before = before.rstrip(_SEPARATORS)
    return before, after


# --- Markdown ------------------------------------------------------------------------------------

_ACTIVE: Final = re.compile(
    r"""
      \\(?=[!-/:-@\[-`{-~]|$)          # a backslash that would escape what follows
    | [*`]                             # emphasis, code
    | (?<![^\W_])_ | _(?![^\W_])       # an underscore at the edge of a word
    | (?<=\])[(\[:] | \]$              # what makes a link of the brackets before it
    | ~(?=~) | (?<=~)~                 # struck out
    | <(?=[A-Za-z/!?]|$)               # HTML, and addresses
    | &(?=\#?\w+;)                     # a character by its name
    | ^[\#>] | ^[+=-](?=[\s=-]|$)      # a heading, a quotation, a list, a line
    """,
    re.VERBOSE,
)


_NUMBERED: Final = re.compile(r"^(\d{1,9})(?=[.)](?:\s|$))")


def escaped(text: str) -> str:
    """Return a text of one line as markdown that shows it and nothing else."""
    return _NUMBERED.sub(r"\1\\", _ACTIVE.sub(r"\\\g<0>", text))


def _code(text: str) -> str:
    """Return a path as code, which may be copied as it is, unless something in it would end that."""
    plain = text.replace("\\", "/")
    return f"`{text}`" if escaped(plain) == plain else escaped(text)


def _fitted(text: str, longest: int) -> str:
    return escaped(_cut(text, longest))


def _cut(text: str, longest: int, *, written: Callable[[str], str] = escaped) -> str:
    """Take out of a text's middle what is too much, for it to be so many bytes in a request as `written`."""
    kept, shown = len(text), text
    while len(json.dumps(written(shown), ensure_ascii=False).encode()) > longest:
        kept = kept * 9 // 10
        shown = f"{text[: kept // 2]}…{text[len(text) - kept // 2 :]}"
    return shown
