"""Questions on a terminal, and answers that may as well come through a pipe, one a line."""

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
    """Asks a person. The end of the answers, or ^C, is a `click.Abort`."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def say(self, text: Text, **values: object) -> None:
        """Say a sentence."""
        self.show(self.session.say(text, **values))

    def show(self, line: str) -> None:
        """Show a line that is put together already."""
        click.echo(line)

    def ask(self, text: Text, **values: object) -> str:
        """Return an answer that is not blank, and that the config could hold."""
        return self._answer(self.session.say(text, **values), hidden=False)

    def ask_secret(self, text: Text) -> str:
        """Return an answer that is not seen on a terminal; a pipe shows none anyway."""
        return self._answer(self.session.say(text), hidden=sys.stdin.isatty())

    def _answer(self, question: str, *, hidden: bool) -> str:
        while True:
            answer = str(click.prompt(question, hide_input=hidden)).strip()
            if any(unicodedata.category(letter) in {"Cc", "Cs"} for letter in answer):
                self.say(Problems.CONTROL)
            elif answer:
                return answer

    def agreed(self, text: Text, *, default: bool = True, **values: object) -> bool:
        """Return whether the person said yes."""
        question = f"{self.session.say(text, **values)} [{'Y/n' if default else 'y/N'}]"
        while True:
            answer = str(click.prompt(question, default="y" if default else "n", show_default=False))
            if (word := answer.strip().lower()) in _ANSWERS:
                return _ANSWERS[word]
            self.say(Setup.YES_OR_NO)

    def chosen(self, heading: Text, *options: Text) -> int:
        """Return the index of one of several options."""
        self.say(heading)
        for number, option in enumerate(options, 1):
            self.show(f"  {number}. {self.session.say(option)}")
        while True:
            answer = click.prompt(self.session.say(Setup.WAY), default="1")
            if answer.isascii() and answer.isdigit() and 1 <= int(answer[:3]) <= len(options):
                return int(answer) - 1
            self.say(Setup.NUMBER, most=len(options))
