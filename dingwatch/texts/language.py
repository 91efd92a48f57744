"""The languages, and what a sentence is."""

from __future__ import annotations

from enum import Enum, StrEnum


class Language(StrEnum):
    """The languages that dingwatch speaks."""

    ZH = "zh"
    EN = "en"


def spoken(setting: str, locale: str) -> Language:
    """Choose by the config's `language`, or for `auto` by the locale's name (`zh_CN.UTF-8`)."""
    chosen = setting if setting != "auto" else locale
    return Language.ZH if chosen.lower().startswith("zh") else Language.EN


class Text(Enum):
    """A sentence in both languages."""

    def __init__(self, zh: str, en: str) -> None:
        self.zh = zh
        self.en = en

    def said(self, language: Language, **values: object) -> str:
        """Fill in the values and return the sentence in one language."""
        return (self.zh if language is Language.ZH else self.en).format(**values)
