"""Writes the man page from the help texts, in the language of the environment.

`LC_ALL=C.UTF-8 python -m tests.manpage > docs/man/dingwatch.1`, and with `LC_ALL=zh_CN.UTF-8`
`> docs/man/zh_CN/dingwatch.1`.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from typing import Final

import click

from dingwatch import __version__
from dingwatch.cli.app import LazyCommand, cli
from dingwatch.texts import Cli, Manual, Text, environment_language

LANGUAGE: Final = environment_language(os.environ)
_BREAKABLE: Final = re.compile(r"[，。；：、）|](?=[^\s\])，。；：、）])")
"""What a line may end with though no space follows."""


def say(text: Text) -> str:
    """Return a sentence as roff has it."""
    return escape(text.render(LANGUAGE))


def escape(text: str) -> str:
    """Return text in which roff interprets nothing."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("\n", " ")
    # roff would break lines at spaces alone, which Chinese sentences and lists of choices do not have.
    escaped = _BREAKABLE.sub(r"\g<0>\:", escaped)
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


def page() -> str:
    """Return the whole page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield f'.TH DINGWATCH 1 "" "dingwatch {__version__}" "dingwatch"'
    yield from (".nh", ".ad l")  # adjusted lines of Chinese have wide gaps where there happens to be a space
    yield f".SH {say(Manual.NAME)}"
    yield f"dingwatch \\- {say(Manual.TITLE)}"
    yield f".SH {say(Manual.SYNOPSIS)}"
    yield ".B dingwatch"
    yield escape(f"{cli.options_metavar} {cli.subcommand_metavar}")
    yield f".SH {say(Manual.DESCRIPTION)}"
    yield say(Cli.HELP)
    yield f".SH {say(Manual.COMMANDS)}"
    yield say(Manual.HELP_OF)
    for name, command in cli.commands.items():
        if isinstance(command, LazyCommand):
            yield from _command(name, command.load())
    yield f".SH {say(Manual.FILES)}"
    yield from _item("~/.config/dingwatch/config.yaml", say(Manual.OF_CONFIG))
    yield from _item("/etc/dingwatch/config.yaml", "")
    yield from _item("/var/lib/dingwatch", say(Manual.OF_STATE))
    yield f".SH {say(Manual.ENVIRONMENT)}"
    yield from _item("DINGWATCH_CONFIG", say(Manual.OF_VARIABLE))
    yield from _item("DINGWATCH_CLIENT_SECRET", say(Manual.OF_SECRET))
    yield from _item("LC_ALL, LC_MESSAGES, LANG", say(Manual.OF_LOCALE))
    yield f".SH {say(Manual.EXIT)}"
    for code in (0, 1, 2, 70, 78):
        yield from _item(str(code), say(Manual[f"EXIT_{code}"]))
    yield f".SH {say(Manual.SEE_ALSO)}"
    yield ".BR systemctl (1),"
    yield ".BR journalctl (1)"


def _command(name: str, command: click.Command) -> Iterator[str]:
    """Yield a command, or the commands that it has."""
    if isinstance(command, click.Group):
        for inner, one in command.commands.items():
            yield from _command(f"{name} {inner}", one)
        return
    context = click.Context(command, info_name=name)
    usage = " ".join(command.collect_usage_pieces(context))
    yield f".SS {escape(f'{name} {usage}')}"
    yield escape(command.help or "")
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record is not None and record[1] and parameter.name != "path":
            yield from _item(record[0], escape(record[1]))


def _item(term: str, text: str) -> Iterator[str]:
    yield ".TP"
    yield f".B {escape(term)}"
    if text:
        yield text


if __name__ == "__main__":
    sys.stdout.write(page())
