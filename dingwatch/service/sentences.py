"""Sentences and values as commands and the HTTP API show them: in one language, with nothing that acts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from dingwatch.model import Cause, FolderPause, Pause
from dingwatch.texts import Advice, Cli, Language, Text, describe_word, system_words


def printable(text: str) -> str:
    """Replace control characters: a file's name may hold escape sequences that move the cursor."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def local_time(at: float) -> str:
    """Return a time for people: in the machine's time zone, to the second."""
    return datetime.fromtimestamp(at, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def iso_time(at: float) -> str:
    """Return a time for programs: ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_OF_WATCHED_FILES: Final = frozenset({"FILE_GONE", "FILE_CHANGED", "FOLDER_DOWN"})
"""Advice that promises that a file is sent by itself later, which holds in watched folders alone."""


def of_unwatched_file(cause: Cause) -> Cause:
    """Return the cause of a delivery of `send` with advice that suits a file which nobody watches."""
    return replace(cause, advice="SEND_AGAIN") if cause.advice in _OF_WATCHED_FILES else cause


class Sentences:
    """Renders texts and causes in one language."""

    __slots__ = ()
    language: Language

    @property
    def recipient_names(self) -> Mapping[str, str]:
        """The aliases by the recipients that they name."""
        return {}

    def name_of(self, recipient: str) -> str:
        """Return a recipient as people are shown it: by its alias, if the configuration has one."""
        return self.recipient_names.get(recipient, recipient)

    def render(self, text: Text, cause: Cause | None = None, /, **values: object) -> str:
        """Return a sentence in the user's language; a cause fills in its {reason} and {advice}."""
        if cause is not None:
            values = {"reason": self.reason(cause), "advice": self.advice(cause.advice), **values}
        if "conversation" in values:
            values["conversation"] = self.name_of(str(values["conversation"]))
        # A file may be named with escape sequences, which would rewrite the very line that reports it.
        safe = {name: self._safe(value) for name, value in values.items()}
        if "scope" in safe:
            safe["scope"] = self.word(str(safe["scope"]))
        said = text.render(self.language, **safe)
        return said.rstrip() if safe.get("advice") == "" else said  # where advice would have followed

    def _safe(self, value: object) -> object:
        return printable(system_words(value, self.language)) if isinstance(value, str) else value

    def reason(self, cause: Cause) -> str:
        """Return a cause in DingTalk's own words, with the request id that its support asks for."""
        request = f" ({self.word('request id')} {cause.request_id})" if cause.request_id else ""
        return f"{cause.code} {system_words(cause.message, self.language)}".strip() + request

    def word(self, word: str) -> str:
        """Return a word of the ledger in the user's language."""
        return describe_word(word, self.language)

    def advice(self, name: str) -> str:
        """Return the advice that a cause names."""
        return Advice[name].render(self.language) if name else ""

    def pause_reason(self, pause: Pause) -> str:
        """Return why something is paused, what is, and what a person can do."""
        cause, advice = self.reason(pause.cause), self.advice(pause.cause.advice)
        return self.render(Cli.PAUSE_REASON, cause=cause, key=self.name_of(pause.key), advice=advice).strip()

    def describe_folder_pause(self, name: str, pause: FolderPause) -> str:
        """Return the line that tells people of a folder that one of them has paused."""
        at = pause.until
        until = (
            self.render(Cli.UNTIL_RESUMED) if at is None else self.render(Cli.UNTIL_TIME, at=local_time(at))
        )
        why = self.render(Cli.PAUSED_BECAUSE, reason=pause.reason) if pause.reason else ""
        values = {"name": name, "by": pause.by, "since": local_time(pause.since)}
        return self.render(Cli.FOLDER_IS_PAUSED, **values, until=until, why=why)

    def describe(self, cause: Cause) -> dict[str, str]:
        """Return a cause as JSON."""
        return {"code": cause.code, "message": cause.message, "advice": self.advice(cause.advice)}


class ClientSentences(Sentences):
    """Renders for a client of the HTTP API, in the language that it asks for."""

    __slots__ = ("_recipient_names", "language")

    def __init__(self, language: Language, recipient_names: Mapping[str, str] | None = None) -> None:
        self.language = language
        self._recipient_names = recipient_names or {}

    @property
    def recipient_names(self) -> Mapping[str, str]:
        """The aliases of the configuration in force."""
        return self._recipient_names
