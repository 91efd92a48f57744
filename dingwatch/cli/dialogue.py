"""Questions to a person at a terminal; the answers may also come through a pipe, one a line."""

from __future__ import annotations

import sys
import unicodedata
from typing import Final

import click

from dingwatch.cli.context import Session
from dingwatch.texts import Problems, Setup, Text

_ANSWERS: Final = {
    **dict.fromkeys(("y", "yes", "是", "好"), True),
    **dict.fromkeys(("n", "no", "否", "不"), False),
}


class Dialogue:
    """Asks a person. The end of the input, or ^C, raises `click.Abort`."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def echo(self, text: Text, **values: object) -> None:
        """Print a sentence."""
        self.print(self.session.render(text, **values))

    def print(self, line: str) -> None:
        """Print a line as it is."""
        click.echo(line)

    def ask(self, text: Text, **values: object) -> str:
        """Ask until the answer is not blank and could stand in the config; return it."""
        return self._answer(self.session.render(text, **values), hidden=False)

    def ask_secret(self, text: Text) -> str:
        """Ask without showing the answer on a terminal; return it."""
        return self._answer(self.session.render(text), hidden=sys.stdin.isatty())

    def _answer(self, question: str, *, hidden: bool) -> str:
        while True:
            answer = str(click.prompt(question, hide_input=hidden)).strip()
            # A pasted secret may bring a control character along, which YAML cannot hold.
            if any(unicodedata.category(letter) in {"Cc", "Cs"} for letter in answer):
                self.echo(Problems.CONTROL)
            elif answer:
                return answer

    def confirm(self, text: Text, *, default: bool = True, **values: object) -> bool:
        """Ask a yes-or-no question; return whether the answer was yes."""
        question = f"{self.session.render(text, **values)} [{'Y/n' if default else 'y/N'}]"
        while True:
            answer = str(click.prompt(question, default="y" if default else "n", show_default=False))
            if (word := answer.strip().lower()) in _ANSWERS:
                return _ANSWERS[word]
            self.echo(Setup.YES_OR_NO)

    def choose(self, heading: Text, *options: Text) -> int:
        """List options and ask for one; return its index."""
        self.echo(heading)
        for number, option in enumerate(options, 1):
            self.print(f"  {number}. {self.session.render(option)}")
        while True:
            answer = click.prompt(self.session.render(Setup.WAY), default="1")
            if answer.isascii() and answer.isdigit() and 1 <= int(answer[:3]) <= len(options):
                return int(answer) - 1
            self.echo(Setup.NUMBER, most=len(options))
