"""Markup of single values: text that cannot act, numbers, sizes, and times as one language writes them."""

from __future__ import annotations

import re
from datetime import date, datetime
from functools import cache, lru_cache
from itertools import chain
from typing import Final

from markupsafe import Markup, escape

from dingwatch.texts import Language, Page, Text

_ACTING: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
"""Characters that show nothing, or turn the text around: `\u202egpj.exe` would be read as `exe.jpg`."""
_UNITS: Final = ("B", "KB", "MB", "GB", "TB")
_NEXT_UNIT: Final = 1000
"""From here on the next unit is used, so that no number has four digits."""
_NOW: Final = 5
"""Seconds that count as now."""
_SPANS: Final = ((60, 1, Page.SECONDS), (3600, 60, Page.MINUTES), (86400, 3600, Page.HOURS))
_DAY: Final = 86400
_DATE_AND_TIME: Final = {Language.ZH: "%Y/%m/%d %H:%M:%S", Language.EN: "%d/%m/%Y, %H:%M:%S"}
_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


def plain(value: object) -> object:
    r"""Return a value with characters that show nothing written out (`\u202e`); every value passes here."""
    if type(value) is str and not value.isprintable():
        return _ACTING.sub(lambda found: f"\\u{ord(found[0]):04x}", value)
    return value


class Count(int):
    """A number for people, `1,234`; a text gives it its noun as a format, `{count:file|files}`."""

    def __html__(self) -> str:
        return self.__html_format__("")

    def __html_format__(self, nouns: str) -> Markup:
        one, bar, many = nouns.partition("|")
        noun = f" {one if self == 1 else many}" if bar else ""
        return self.wrap(f"{int(self):,}") + noun

    def wrap(self, digits: str) -> Markup:
        """Return the number's digits as markup."""
        return escape(digits)


class BoldCount(Count):
    """A number that stands out in its sentence."""

    def wrap(self, digits: str) -> Markup:
        """Return the number's digits as markup."""
        return Markup("<b>") + digits + Markup("</b>")


def bold(value: object) -> Markup:
    """Return a value that stands out in its sentence."""
    return Markup("<b>{}</b>").format(plain(value))


def code(value: object) -> Markup:
    """Return a value as it is typed, such as a path."""
    return Markup("<code>{}</code>").format(plain(value))


@cache
def _template(text: Text, language: Language) -> Markup:
    """Return a sentence as markup: its own words are escaped, what is filled in later is as well."""
    return escape(text.zh if language is Language.ZH else text.en)


@lru_cache(8192, typed=True)
def _fill(text: Text, language: Language, *names_and_values: object) -> Markup:
    """Return a sentence with values filled in; a page of 300 folders says the same few things very often."""
    pairs = zip(names_and_values[::2], map(_prepare, names_and_values[1::2]), strict=True)
    return _template(text, language).format(**{str(name): value for name, value in pairs})


class Writer:
    """Writes sentences and times in one language, at one instant."""

    def __init__(self, language: Language, now: str) -> None:
        self.language = language
        self.now = now
        """ISO 8601: relative times count from here."""
        self._now = datetime.fromisoformat(now)

    def text(self, text: Text, /, **values: object) -> Markup:
        """Return a sentence; values are escaped unless they are markup."""
        return _fill(text, self.language, *chain.from_iterable(values.items()))

    def page(self, name: str, /, **values: object) -> Markup:
        """Return a sentence of the status page by its name."""
        return self.text(Page[name], **values)

    def size(self, size: float) -> Markup:
        """Return a number of bytes in its unit, which no line break parts from it."""
        unit = 0
        while size >= _NEXT_UNIT and unit < len(_UNITS) - 1:
            size /= 1024
            unit += 1
        digits = f"{size:.1f}" if unit and size < 10 else f"{size:.0f}"  # noqa: PLR2004 (one digit more)
        return escape(f"{digits}\u00a0{_UNITS[unit]}")

    def rate(self, rate: float) -> Markup:
        """Return a rate in bytes a second."""
        return self.size(rate) + "/s"

    def span(self, seconds: float) -> Markup:
        """Return a length of time in its largest unit."""
        for limit, step, unit in _SPANS:
            if seconds < limit:
                return self.text(unit, count=int(max(seconds, 0) // step))
        return self.text(Page.DAYS, count=int(seconds // _DAY))

    def seconds_since(self, at: str) -> float:
        """Return how long ago an instant was; negative for one that is to come."""
        return (self._now - datetime.fromisoformat(at)).total_seconds()

    def relative(self, at: str) -> Markup:
        """Return an instant as people say it: 3 minutes ago."""
        seconds = self.seconds_since(at)
        if abs(seconds) < _NOW:
            return self.text(Page.JUST_NOW)
        return (
            self.text(Page.IN, span=self.span(-seconds))
            if seconds < 0
            else self.text(Page.AGO, span=self.span(seconds))
        )

    def ago(self, at: str) -> Markup:
        """Return an instant relative to now, with the whole of it to hover over; the page keeps it true."""
        whole, said = escape(self._whole(at)), self.relative(at)
        return Markup(f'<time datetime="{escape(at)}" title="{whole}" data-rel>{said}</time>')  # noqa: S704 (each part is escaped; `format` takes four times as long, twice for each folder)

    def clock(self, at: str, *, seconds: bool = False) -> Markup:
        """Return the time of day of an instant."""
        return self._time(at, "%H:%M:%S" if seconds else "%H:%M")

    def moment(self, at: str) -> Markup:
        """Return the time of day of an instant, and its date if that is another day's."""
        same = _local(at).date() == _local(self.now).date()
        return self.clock(at) if same else self._time(at, "%m-%d %H:%M")

    def date_and_time(self, at: str) -> Markup:
        """Return an instant to the second, without its year."""
        return self._time(at, "%m-%d %H:%M:%S")

    def _time(self, at: str, form: str) -> Markup:
        return Markup('<time datetime="{}" title="{}">{}</time>').format(
            at, self._whole(at), _local(at).strftime(form)
        )

    def _whole(self, at: str) -> str:
        return _local(at).strftime(_DATE_AND_TIME[self.language])

    def month_day(self, day: date) -> Markup:
        """Return a day of the year."""
        month: int | str = day.month if self.language is Language.ZH else _MONTHS[day.month - 1]
        return self.text(Page.MONTH_DAY, month=month, day=day.day)

    def besides(self, count: int) -> int:
        """Return the number that names one thing and counts others: Chinese counts all, English the rest."""
        return count if self.language is Language.ZH else count - 1

    def day_of(self, at: str) -> date:
        """Return the day of an instant, on this machine's calendar."""
        return _local(at).date()

    @property
    def today(self) -> date:
        """The day that it is."""
        return _local(self.now).date()

    @property
    def hours_today(self) -> int:
        """How many hours of today have begun."""
        return _local(self.now).hour + 1


def _prepare(value: object) -> object:
    return Count(value) if type(value) is int else plain(value)


def _local(at: str) -> datetime:
    return datetime.fromisoformat(at).astimezone()
