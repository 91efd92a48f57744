"""Lengths of time, as people say them."""

from __future__ import annotations

from typing import Final

from dingwatch.texts.language import Language, Text


class Spans(Text):
    """Units of time."""

    SECONDS = ("{count} 秒", "{count} s")
    MINUTES = ("{count} 分", "{count} min")
    HOURS = ("{count} 小时", "{count} h")
    DAYS = ("{count} 天", "{count} d")


_UNITS: Final = ((86400, Spans.DAYS), (3600, Spans.HOURS), (60, Spans.MINUTES), (1, Spans.SECONDS))


def describe_span(seconds: float, language: Language) -> str:
    """Return a length of time in its two largest units, such as `2 h 5 min`."""
    if 0 < seconds < 9.95:  # noqa: PLR2004 (which is shown as 10)
        return Spans.SECONDS.render(language, count=f"{seconds:.1f}".removesuffix(".0"))
    left = round(seconds)
    said: list[str] = []
    for length, unit in _UNITS:
        if left >= length or said:
            count, left = divmod(left, length)
            said.append(unit.render(language, count=count) if count else "")
        if len(said) == 2:  # noqa: PLR2004
            break
    return " ".join(filter(None, said)) or Spans.SECONDS.render(language, count=0)
