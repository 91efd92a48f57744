"""The text of sidecars: what happened to a file, and what the person who has dropped it can do. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from dingwatch import names
from dingwatch.feedback.settings import Settings
from dingwatch.ledger.feedback import HELD, Unsent
from dingwatch.lifecycle import State
from dingwatch.texts import Feedback, Language

MOST_LISTED: Final = 1000
"""Files that a list names; of more, it says how many."""
_MOST_FACTS: Final = 10
"""Deliveries and codes in the line for the admin."""

_REASONS: Final[Mapping[str, str]] = {
    "EMPTY": "EMPTY",
    "TOO_BIG": "TOO_BIG",
    "UNSUPPORTED": "KIND",
    "TYPE_REFUSED": "KIND",
    "CONTENT": "CONTENT",
    "FILE_FORBIDDEN": "FORBIDDEN",
    "TOUCHED": "TOUCHED",
    "DISCARDED": "DISCARDED",
    "GATE": "GATE",
}
"""Reasons that people in the folder can do something about, by the advice to the admin."""


def _reason(one: Unsent) -> str:
    """Return by what name `texts.Feedback` has why it was not sent, and what to do."""
    if one.state == State.UNCERTAIN:
        return "UNCERTAIN"
    return _REASONS.get(one.cause.advice, "MANY" if one.state == HELD else "OTHER")


def describe_one(same: Sequence[Unsent], settings: Settings) -> bytes:
    """Return the content of the sidecar of one file, of which these deliveries were not sent."""
    language = settings.language
    reasons = dict.fromkeys(map(_reason, same))
    lines = [_headline(same, settings), ""]
    for reason in reasons:
        lines += _explain(reason, language)
    lines += ["", Feedback.ENDS.render(language), ""]
    facts = [_fact(one, settings) for one in same[:_MOST_FACTS]]
    return _encode([*lines, _last_line(facts, language)])


def _headline(same: Sequence[Unsent], settings: Settings) -> str:
    name = names.displayed_name(same[0].path.rpartition(b"/")[2])
    states = {one.state for one in same}
    text = Feedback.FAILED
    if states == {HELD}:
        text = Feedback.WAITS
    elif states == {State.UNCERTAIN}:
        text = Feedback.PERHAPS
    elif all(one.recipient in settings.recipient_names for one in same):
        # Others may have it, so people want to know who has not; an ID would tell them nothing.
        without = [settings.recipient_names[one.recipient] for one in same]
        shown = _enumerate(without, settings.language)
        return Feedback.FAILED_TO.render(settings.language, name=name, names=shown)
    return text.render(settings.language, name=name)


def _enumerate(words: Sequence[str], language: Language) -> str:
    return ("、" if language is Language.ZH else ", ").join(words)


def _explain(reason: str, language: Language) -> Iterator[str]:
    yield Feedback.HAPPENED.render(language, why=Feedback[f"WHY_{reason}"].render(language))
    yield Feedback.TO_DO.render(language, what=Feedback[f"DO_{reason}"].render(language))


def _fact(one: Unsent, settings: Settings) -> str:
    who = settings.recipient_names.get(one.recipient, one.recipient)
    return " ".join(filter(None, (f"#{one.delivery}", who, one.state, one.cause.code, one.cause.message)))


def describe_all(files: Sequence[Sequence[Unsent]], total: int, settings: Settings) -> bytes:
    """Return the content of the list of all files of a folder; `files` has some of them, if not all."""
    language = settings.language
    by_reason: dict[str, list[str]] = defaultdict(list)
    for same in files[:MOST_LISTED]:
        by_reason[_reason(same[0])].append(_display(same[0].path))
    lines = [Feedback.ALL.render(language, count=total)]
    for reason, listed in by_reason.items():
        lines += ["", *_explain(reason, language), *(f"  {path}" for path in sorted(listed))]
    rest = total - min(len(files), MOST_LISTED)
    if rest > 0:
        lines += ["", Feedback.MORE.render(language, count=rest)]
    lines += ["", Feedback.ALL_ENDS.render(language), ""]
    counted = Counter(f"{one.state} {one.cause.code}" for same in files for one in same)
    facts = [f"{number} × {fact}" for fact, number in counted.most_common(_MOST_FACTS)]
    return _encode([*lines, _last_line(facts, language)])


def _display(path: bytes) -> str:
    return "/".join(map(names.displayed_name, path.split(b"/")))


def _last_line(facts: Sequence[str], language: Language) -> str:
    return Feedback.FOR_THE_ADMIN.render(language, facts="; ".join(facts))


def _encode(lines: Sequence[str]) -> bytes:
    r"""Return a text as Windows' editors show it rightly, the old ones too: with a BOM, and \r\n."""
    printable = (
        "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line) for line in lines
    )
    return "".join(f"{line}\r\n" for line in printable).encode("utf-8-sig", "replace")
