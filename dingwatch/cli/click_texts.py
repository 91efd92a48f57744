"""Has click speak Chinese where the environment does: it ships no translations, and calls gettext by name."""

from __future__ import annotations

import os
from typing import Final

import click
from click import core, decorators, exceptions, formatting, parser, termui, types

from dingwatch.texts import Click, Language, environment_language

_MODULES: Final = (core, decorators, exceptions, formatting, parser, termui, types)
_BY_ENGLISH: Final = {one.en: one.zh for one in Click}


def _gettext(message: str) -> str:
    return _BY_ENGLISH.get(message, message)


def _ngettext(singular: str, plural: str, number: int) -> str:
    return _gettext(singular if number == 1 else plural)


def translate_click() -> None:
    """Replace what click's modules have imported from gettext; do nothing in an English environment.

    gettext itself would need a compiled catalogue among the files of the package.
    """
    if environment_language(os.environ) is not Language.ZH:
        return
    for module in _MODULES:
        vars(module)["_"] = _gettext
        if "ngettext" in vars(module):
            vars(module)["ngettext"] = _ngettext
    for kind in (click.IntRange, type(click.INT)):
        kind.name = Click.NUMBER.zh
