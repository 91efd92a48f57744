"""The languages, and what a sentence is."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, StrEnum


class Language(StrEnum):
    """The languages that dingwatch speaks."""

    ZH = "zh"
    EN = "en"


def choose_language(setting: str, locale: str) -> Language:
    """Choose by the config's `language`, or for `auto` by the locale's name (`zh_CN.UTF-8`)."""
    chosen = setting if setting != "auto" else locale
    return Language.ZH if chosen.lower().startswith("zh") else Language.EN


def locale_name(environ: Mapping[str, str]) -> str:
    """Return the locale that messages follow, as gettext chooses it."""
    return environ.get("LC_ALL") or environ.get("LC_MESSAGES") or environ.get("LANG") or ""


def environment_language(environ: Mapping[str, str]) -> Language:
    """Return the language to use before a configuration is known."""
    return choose_language("auto", locale_name(environ))


class Text(Enum):
    """A sentence in both languages."""

    def __init__(self, zh: str, en: str) -> None:
        self.zh = zh
        self.en = en

    def render(self, language: Language, **values: object) -> str:
        """Fill in the values and return the sentence in one language.

        A whole number takes its noun as a format: `{count:file|files}`.
        """
        shown = {name: _Number(one) if type(one) is int else one for name, one in values.items()}
        return (self.zh if language is Language.ZH else self.en).format(**shown)


class _Number(int):
    def __format__(self, nouns: str) -> str:
        one, bar, many = nouns.partition("|")
        return f"{int(self)} {one if self == 1 else many}" if bar else format(int(self), nouns)
