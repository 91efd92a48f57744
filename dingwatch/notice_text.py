"""The texts about a file that people read in DingTalk: the notice in its place, and the caption before it.

Pure functions. Both are markdown in which nothing of a file's name means anything. The escapes are those of
CommonMark; that DingTalk honours them is unverified [?], so that only what would mean something is escaped,
and a link is broken up for a reader that knows no escapes, too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from string import Formatter
from typing import Final

from dingwatch.names import displayed_name
from dingwatch.texts import Language, Notices

LONGEST_TITLE: Final = 200
LONGEST_NAME: Final = 600
LONGEST_PATH: Final = 900
LONGEST_CAPTION: Final = 1600
LONGEST_NOTICE: Final = 1000
"""Bytes in a request, so that all of a message fits the 2,048 of one to a chat (KB:1488) as well."""

_SEPARATORS: Final = " \t·•|,，、;；-–—/~"
_BRACKETS: Final = frozenset({"()", "（）", "[]", "【】"})


@dataclass(frozen=True, slots=True)
class Wording:
    """How a folder's notices and captions are worded."""

    language: Language = Language.EN
    folder: str = ""
    location: str | None = None
    """The folder's location as people write it."""
    caption: str | None = None
    """The template of the caption before each file; None: there is none."""
    notice: str | None = None
    """The template of notices; None: our own words."""


@dataclass(frozen=True, slots=True)
class Message:
    """Markdown; the title, which is plain, stands in the list of conversations alone."""

    title: str
    text: str


def notice(wording: Wording, path: bytes, size: int, *, changed: bool = False) -> Message:
    """Return the notice that goes instead of a file: its name, its size, and where people find it.

    `path` is the file's within its folder. `changed`: the recipient was told of an earlier version of it.
    """
    shown = displayed_name(path)
    name = shown.rpartition("/")[2]
    said = [_describe(wording, shown, size, changed=changed)]
    if wording.location:
        path_shown = code(_cut(join_location(wording.location, shown), LONGEST_PATH))
        said.append(Notices.PLACE.render(wording.language, place=path_shown))
    return Message(_cut(name, LONGEST_TITLE), "\n\n".join(said))


def _describe(wording: Wording, path: str, size: int, *, changed: bool) -> str:
    """Return the words of a notice: the folder's own, unless it has none or they come out empty."""
    if wording.notice is not None:
        # Long names are cut more than elsewhere: a custom robot refuses a notice whose keyword was cut away.
        values = _values(wording, path, size, changed=changed, longest=LONGEST_NOTICE // 3)
        if text := _cut(fill(wording.notice, values), LONGEST_NOTICE, written=str):
            return text
    name = fit(path.rpartition("/")[2], LONGEST_NAME)
    return Notices.FILE.render(wording.language, name=name, size=human_size(size))


def caption(wording: Wording, path: bytes, size: int, *, changed: bool) -> Message | None:
    """Return the caption that goes before a file; None where the folder's template comes out empty.

    `changed`: the recipient was sent an earlier version of the path.
    """
    if wording.caption is None:
        return None
    shown = displayed_name(path)
    values = _values(wording, shown, size, changed=changed, longest=LONGEST_PATH)
    text = _cut(fill(wording.caption, values), LONGEST_CAPTION, written=str)
    return Message(_cut(shown.rpartition("/")[2], LONGEST_TITLE), text) if text else None


def _values(wording: Wording, path: str, size: int, *, changed: bool, longest: int) -> dict[str, str]:
    """Return the values of a template's fields; name and path take at most `longest` bytes."""
    return {
        "name": fit(path.rpartition("/")[2], min(LONGEST_NAME, longest)),
        "size": human_size(size),
        "folder": escape(wording.folder),
        "path": fit(path, longest),
        "change": Notices.CHANGED.render(wording.language) if changed else "",
    }


# --- Several files -------------------------------------------------------------------------------

MOST_NAMES: Final = 20
"""Names that a message about several files lists."""


def caption_of_several(wording: Wording, paths: Sequence[bytes]) -> Message:
    """Return the caption before an archive of several files: how many there are, and the first names."""
    shown = [displayed_name(path) for path in paths]
    lines = [fit(path, LONGEST_CAPTION // (2 * MOST_NAMES)) for path in shown[:MOST_NAMES]]
    return _list(wording, lines, len(paths), LONGEST_CAPTION)


def notice_of_several(wording: Wording, files: Sequence[tuple[bytes, int]]) -> Message:
    """Return the notice that goes instead of several files, each with its path and its size in bytes.

    A folder's own words stand for each of them.
    """
    lines = [_describe_one(wording, displayed_name(path), size) for path, size in files[:MOST_NAMES]]
    made = _list(wording, lines, len(files), LONGEST_NOTICE)
    if not wording.location:
        return made
    place = code(_cut(wording.location, LONGEST_PATH // 2))
    return Message(made.title, f"{made.text}\n\n{Notices.PLACE.render(wording.language, place=place)}")


def _describe_one(wording: Wording, path: str, size: int) -> str:
    longest = LONGEST_NOTICE // 10
    if wording.notice is not None:
        values = _values(wording, path, size, changed=False, longest=longest)
        if text := _cut(fill(wording.notice, values), LONGEST_NOTICE // 3, written=str):
            return text
    return Notices.ENTRY.render(wording.language, name=fit(path, longest), size=human_size(size))


def _list(wording: Wording, lines: Sequence[str], count: int, longest: int) -> Message:
    """Return a message that lists as many lines as fit, and says how many files there are in all."""
    head = Notices.FILES.render(wording.language, count=count)
    kept = list(lines)
    while True:
        left = count - len(kept)
        more = [Notices.MORE.render(wording.language, count=left)] if left else []
        text = "\n".join([head, "", *(f"- {line}" for line in (*kept, *more))])
        if len(kept) <= 1 or len(json.dumps(text, ensure_ascii=False).encode()) <= longest:
            return Message(_cut(head.rstrip(":："), LONGEST_TITLE), text)
        kept.pop()


def join_location(location: str, path: str) -> str:
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


def fill(template: str, values: Mapping[str, str]) -> str:
    """Fill a template in; an empty value takes its separator with it: `{name} · {change}` becomes `a.pdf`."""
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
            before, after = _close_gap(before, after, first=not said)
            if i + 1 < len(pieces):
                pieces[i + 1] = (after, pieces[i + 1][1])
    return (said + before).strip()


def _close_gap(before: str, after: str, *, first: bool) -> tuple[str, str]:
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


def escape(text: str) -> str:
    """Return a text of one line as markdown that shows it and nothing else."""
    return _NUMBERED.sub(r"\1\\", _ACTIVE.sub(r"\\\g<0>", text))


def code(text: str) -> str:
    """Return a path as code, which may be copied as it is, unless something in it would end that."""
    plain = text.replace("\\", "/")
    return f"`{text}`" if escape(plain) == plain else escape(text)


def fit(text: str, longest: int) -> str:
    """Return a text of one line as markdown, cut so that it takes at most so many bytes in a request."""
    return escape(_cut(text, longest))


def _cut(text: str, longest: int, *, written: Callable[[str], str] = escape) -> str:
    """Cut a text in its middle, so that it takes at most so many bytes in a request when it is `written`.

    The middle, because the end of a name tells versions apart and its extension.
    """
    kept, shown = len(text), text
    while len(json.dumps(written(shown), ensure_ascii=False).encode()) > longest:
        kept = kept * 9 // 10
        shown = f"{text[: kept // 2]}…{text[len(text) - kept // 2 :]}"
    return shown
