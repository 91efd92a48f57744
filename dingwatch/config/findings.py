"""Problems found before the language is known: the file that is being read may itself set it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from dingwatch.config.values import Problem
from dingwatch.texts import Language, Problems, system_words

KeyPath = tuple[str | int, ...]
"""The keys from the root of the document to a value: `("folders", 1, "settle")`."""

_LONGEST_SHOWN = 60
_LONGEST_KEY = 24


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem as a sentence to be filled in; `line` is set only if the key path does not give it."""

    key_path: KeyPath
    text: Problems
    values: Mapping[str, object] = field(default_factory=dict)
    line: int | None = None


class UnusableError(Exception):
    """The file cannot be read any further; holds the one finding to report."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.text.name)
        self.finding = finding


def shorten(written: str) -> str:
    """Return a written value short and printable enough for a sentence."""
    clean = "".join(c if c.isprintable() else "?" for c in written)
    return clean if len(clean) <= _LONGEST_SHOWN else f"{clean[:_LONGEST_SHOWN]}…"


def key_of(key_path: KeyPath) -> str:
    """Return a key path as people write it: `folders[1].settle`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{_key(part)}" for part in key_path)
    return "".join(parts).removeprefix(".")


def _key(written: str) -> str:
    """Cut a key after its first word characters.

    In `client_secret SECRET` the colon is forgotten, and the whole line is the key.
    """
    plain = re.match(r"[\w<-]*", written)
    kept = plain[0] if plain else ""
    kept = kept if len(kept) <= _LONGEST_KEY else kept[:4]
    return kept if kept == written else f"{kept}…"


def line_of(key_path: KeyPath, lines: Mapping[KeyPath, int]) -> int | None:
    """Return the line of a value, or of the innermost mapping or list around it that has one."""
    around = (key_path[:length] for length in range(len(key_path), -1, -1))
    return next((lines[part] for part in around if part in lines), None)


def render_problems(
    findings: Iterable[Finding],
    lines: Mapping[KeyPath, int],
    language: Language,
    secrets: Iterable[str],
    names: Mapping[str, str] | None = None,
) -> tuple[Problem, ...]:
    """Return the findings as problems in one language, ordered by line.

    `secrets` are replaced by stars, and recipients under the value `conversation` by their `names`.
    """
    named = [_name_recipient(finding, names or {}) for finding in findings]
    unique = {_problem(finding, lines, language, tuple(secrets)): None for finding in named}
    return tuple(sorted(unique, key=lambda problem: problem.line or 0))


def _name_recipient(finding: Finding, names: Mapping[str, str]) -> Finding:
    recipient = str(finding.values.get("conversation", ""))
    if recipient not in names:
        return finding
    return replace(finding, values={**finding.values, "conversation": shorten(names[recipient])})


def _problem(
    finding: Finding, lines: Mapping[KeyPath, int], language: Language, secrets: tuple[str, ...]
) -> Problem:
    # A secret pasted under a wrong key would otherwise be quoted in the problem about that key.
    shown = {name: _render(value, language, secrets) for name, value in finding.values.items()}
    key, text = _hide(key_of(finding.key_path), secrets), finding.text.render(language, **shown)
    return Problem(key, finding.line or line_of(finding.key_path, lines), text)


def _render(value: object, language: Language, secrets: tuple[str, ...]) -> object:
    if isinstance(value, Path):
        return _hide(str(value), secrets)
    return _hide(system_words(value, language), secrets) if isinstance(value, str) else value


def _hide(text: str, secrets: tuple[str, ...]) -> str:
    """Replace secrets by stars; not in what dingwatch says itself, which may show how an address begins."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text
