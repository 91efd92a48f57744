"""Explains YAML that cannot be parsed: what the admin most likely mistyped, and where.

PyYAML reports where it noticed, often a line or more below the mistake. Its own messages are never shown:
they quote the file, where a secret may stand.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import yaml

from dingwatch.config.findings import Finding
from dingwatch.texts import Problems

WIDE: Final = dict(zip("：，、；【】［］｛｝“”‘’＂＇＃－！＊", ":,,;[][]{}\"\"''\"'#-!*", strict=True))
"""Punctuation of a Chinese keyboard, and what YAML reads instead."""

Place = tuple[int, int]
"""A line and a column, counted from 1."""
_WIDE_COLON: Final = re.compile(r"^\s*(?:-\s+)?[\w.-]+(：)")
_CLOSERS: Final = frozenset("'\"]}")
_LINE_BREAK: Final = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
"""The line breaks by which PyYAML counts."""


def explain(error: yaml.MarkedYAMLError, text: str) -> Finding:
    """Return what is wrong with a text that PyYAML refused."""
    message = f"{error.context} {error.problem}"
    at = _place(error.problem_mark) or _place(error.context_mark) or (1, 1)
    start = _place(error.context_mark) or at
    lines = _LINE_BREAK.split(text)
    if "'\\t'" not in message:
        if (found := _find_wide(lines, start, at)) is not None:
            (line, column), wide = found
            return _finding(Problems.YAML_WIDE, (line, column), wide=wide, ascii=WIDE[wide])
        if "expected ',' or" in message and (place := _find_swallowing_tag(text)) is not None:
            return _finding(Problems.YAML_QUOTES, place)
    for part, sentence, choose in _MISTAKES:
        if part in message:
            return _refine(sentence, choose(lines, start, at), lines, start, at)
    return _finding(Problems.YAML_BROKEN, at)


def _refine(sentence: Problems, place: Place, lines: list[str], start: Place, at: Place) -> Finding:
    """Return the finding, with a more exact sentence where the characters around the place tell more."""
    if sentence is Problems.YAML_INDENT and lines[at[0] - 1][: at[1] - 1].rstrip()[-1:] in _CLOSERS:
        return _finding(Problems.YAML_AFTER_QUOTE, at)  # `'it's'`, `"a"b`, `{name} arrived`
    if sentence is Problems.YAML_UNCLOSED and start[0] == at[0]:
        return _finding(Problems.YAML_COMMA, at)  # `["*.pdf" "*.doc"]`
    return _finding(sentence, place)


def _finding(sentence: Problems, place: Place, **values: object) -> Finding:
    line, column = place
    return Finding((), sentence, {"column": column, **values}, line=line)


def _place(mark: yaml.error.Mark | None) -> Place | None:
    return None if mark is None else (mark.line + 1, mark.column + 1)


# --- Where the mistake is ------------------------------------------------------------------------


def _find_wide(lines: list[str], start: Place, at: Place) -> tuple[Place, str] | None:
    """Return a full-width character where PyYAML stopped, or a full-width colon on the way there.

    `client_id：x` is a text to YAML, which goes on in the next line: only the colon there is one too many.
    """
    line, column = at
    here = lines[line - 1][column - 1 : column] if line <= len(lines) else ""
    if here in WIDE and here:
        return at, here
    for number in range(min(start[0], line - 1), line + 1):
        found = _WIDE_COLON.match(lines[number - 1]) if 0 < number <= len(lines) else None
        if found:
            return (number, found.start(1) + 1), "："
    return None


def _find_swallowing_tag(text: str) -> Place | None:
    """Return where an unquoted pattern like `!*.tmp` begins: as a tag, it swallows the `]` after it."""
    try:
        for token in yaml.scan(text, Loader=yaml.SafeLoader):
            if isinstance(token, yaml.TagToken) and re.search(
                r"[^\w.:/-]", "".join(filter(None, token.value))[1:]
            ):
                return _place(token.start_mark)
    except (yaml.YAMLError, ValueError, OverflowError):
        return None
    return None


def _at(_lines: list[str], _start: Place, at: Place) -> Place:
    return at


def _from_start(_lines: list[str], start: Place, _at: Place) -> Place:
    return start


def _at_backslash(lines: list[str], _start: Place, at: Place) -> Place:
    line, column = at
    return line, lines[line - 1].rfind("\\", 0, column) + 1 or column


_Choose = Callable[[list[str], Place, Place], Place]
_MISTAKES: Final[tuple[tuple[str, Problems, _Choose], ...]] = (
    ("'\\t'", Problems.YAML_TAB, _at),
    ("escape", Problems.YAML_ESCAPE, _at_backslash),
    ("while scanning an alias", Problems.YAML_QUOTES, _from_start),
    ("undefined alias", Problems.YAML_QUOTES, _at),
    ("while scanning an anchor", Problems.YAML_QUOTES, _from_start),
    ("while scanning a block scalar", Problems.YAML_QUOTES, _from_start),
    ("cannot start any token", Problems.YAML_QUOTES, _at),
    ("tag", Problems.YAML_QUOTES, _from_start),
    ("mapping values are not allowed", Problems.YAML_COLON, _at),
    ("could not find expected ':'", Problems.YAML_NO_COLON, _from_start),
    ("unexpected end of stream", Problems.YAML_UNCLOSED, _from_start),
    ("expected ',' or", Problems.YAML_UNCLOSED, _from_start),
    ("expected a single document", Problems.YAML_DOCUMENTS, _at),
    ("sequence entries are not allowed", Problems.YAML_INDENT, _at),
    ("<block end>", Problems.YAML_INDENT, _at),
)
"""Parts of PyYAML's messages, what the admin most likely did, and where; the first that matches counts.

Should PyYAML reword its messages, the advice only becomes less specific (YAML_BROKEN).
"""
