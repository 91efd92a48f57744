"""The reader of a page, and the query of its address."""

from __future__ import annotations

from dataclasses import dataclass

from dingwatch.ledger.report import HistoryQuery
from dingwatch.service.sentences import Sentences
from dingwatch.texts import Language


@dataclass(frozen=True, slots=True)
class Reader:
    """The reader of a page: the language, and whether the address asked for it."""

    sentences: Sentences
    has_asked: bool = False

    @property
    def language(self) -> Language:
        """The language of the page."""
        return self.sentences.language

    @property
    def query(self) -> str:
        """The part of an address that keeps the language."""
        return f"?lang={self.language}" if self.has_asked else ""

    def act_link(self, address: str) -> str:
        """Return the whole address of an action, which leads back to a page in the same language."""
        kept = f"{'&' if '?' in address else '?'}lang={self.language}" if self.has_asked else ""
        return f"/api/v1/{address}{kept}"


@dataclass(frozen=True, slots=True)
class Search:
    """The search in the history, as it stands in the form."""

    q: str = ""
    since: str = ""
    until: str = ""
    folder: str = ""
    before: str = ""

    @property
    def is_narrow(self) -> bool:
        """Whether not simply the latest files are shown."""
        return any((self.q, self.since, self.until, self.folder, self.before))


@dataclass(frozen=True, slots=True)
class Choice:
    """Which folders are shown where no script narrows them."""

    words: str = ""
    state: str = "all"


@dataclass(frozen=True, slots=True)
class WantedPage:
    """The query in the address of the status page."""

    query: HistoryQuery
    search: Search
    choice: Choice
