"""Questions on a terminal, and answers that may as well come through a pipe, one a line."""

from __future__ import annotations

import sys

import click

from dingwatch.cli.context import Session
from dingwatch.texts import Setup, Text


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
        """Return an answer that is not blank."""
        while True:
            answer = str(click.prompt(self.session.say(text, **values))).strip()
            if answer:
                return answer

    def ask_secret(self, text: Text) -> str:
        """Return an answer that is not seen on a terminal; a pipe shows none anyway."""
        question = self.session.say(text)
        while True:
            answer = str(click.prompt(question, hide_input=sys.stdin.isatty())).strip()
            if answer:
                return answer

    def agreed(self, text: Text, *, default: bool = True, **values: object) -> bool:
        """Return whether the person said yes."""
        return click.confirm(self.session.say(text, **values), default=default)

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
