"""A problem before its language is known, which may itself stand in the file that is being read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from dingwatch.config.values import Problem
from dingwatch.texts import Language, Problems

Place = tuple[str | int, ...]
"""The way from the root of the document to a value: `("folders", 1, "settle")`."""

_LONGEST_SHOWN = 60
_LONGEST_KEY = 24


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, as a sentence to be filled in; `line` only where no place has one."""

    place: Place
    text: Problems
    values: Mapping[str, object] = field(default_factory=dict)
    line: int | None = None


class Unusable(Exception):  # noqa: N818 - it is told as a problem, not as an error of ours
    """Nothing more can be found out about this file."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.text.name)
        self.finding = finding


def shorten(written: str) -> str:
    """Return a written value short and printable enough for a sentence."""
    clean = "".join(c if c.isprintable() else "?" for c in written)
    return clean if len(clean) <= _LONGEST_SHOWN else f"{clean[:_LONGEST_SHOWN]}…"


def key_of(place: Place) -> str:
    """Return a place as people write it: `folders[1].settle`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{_key(part)}" for part in place)
    return "".join(parts).removeprefix(".")


def _key(written: str) -> str:
    """Cut a key where no key goes on: behind a forgotten colon, or in its place, there may be a secret."""
    plain = re.match(r"[\w<-]*", written)
    kept = plain[0] if plain else ""
    kept = kept if len(kept) <= _LONGEST_KEY else kept[:4]
    return kept if kept == written else f"{kept}…"


def line_of(place: Place, lines: Mapping[Place, int]) -> int | None:
    """Return the line of a place, or of the nearest thing around it that has one."""
    around = (place[:length] for length in range(len(place), -1, -1))
    return next((lines[part] for part in around if part in lines), None)


def problems(
    findings: Iterable[Finding], lines: Mapping[Place, int], language: Language, secrets: Iterable[str]
) -> tuple[Problem, ...]:
    """Describe all findings in one language, in the order of their lines, without any secret."""
    said = {_problem(finding, lines, language, tuple(secrets)): None for finding in findings}
    return tuple(sorted(said, key=lambda problem: problem.line or 0))


def _problem(
    finding: Finding, lines: Mapping[Place, int], language: Language, secrets: tuple[str, ...]
) -> Problem:
    key, text = key_of(finding.place), finding.text.render(language, **finding.values)
    for secret in secrets:
        key, text = key.replace(secret, "***"), text.replace(secret, "***")
    return Problem(key, finding.line or line_of(finding.place, lines), text)
