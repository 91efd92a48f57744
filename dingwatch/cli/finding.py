"""One line of what `check` finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dingwatch.cli.context import Session
from dingwatch.model import Verdict
from dingwatch.texts import Checks


class Mark(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    mark: Mark
    text: str


def failed_text(session: Session, text: Checks, verdict: Verdict, **values: object) -> str:
    """Say what did not work, why, and what a person can do."""
    cause = verdict.cause
    return session.say(text, reason=session.reason(cause), advice=session.advice(cause.advice), **values)
