"""What every command needs: the language, the configuration, the ledger, and the daemon's ear."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NoReturn

import click
from rich.console import Console
from rich.text import Text as Markup
from sqlalchemy import make_url

from dingwatch import host
from dingwatch.config import Config, ConfigError, Problem, find, load
from dingwatch.ledger import LedgerError, Store, report
from dingwatch.ledger.folders import MappedFolder
from dingwatch.ledger.report import Scope
from dingwatch.lifecycle import State
from dingwatch.model import Cause
from dingwatch.service import ledger_url, require_present
from dingwatch.texts import Advice, Cli, Language, Text, choose_language, describe_word

EXIT_CONFIG: Final = 78
"""EX_CONFIG: systemd is told not to restart on it."""
ASK_SECONDS: Final = 3.0
"""The daemon answers within milliseconds; a machine under load gets the benefit of the doubt."""
UNCUT: Final = 100_000


def locale() -> str:
    """Return the locale's name that messages go by, as gettext chooses it."""
    return next((os.environ[n] for n in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(n)), "")


def own_language() -> Language:
    """Return the language before a configuration is known."""
    return choose_language("auto", locale())


@dataclass(slots=True)
class Session:
    """One call of a command; the configuration is read when it is asked for."""

    path: Path | None
    language: Language
    secret_needed: bool = True
    """Whether it talks to DingTalk: as a systemd credential the secret is there only for the service."""
    _config: Config | None = None

    def say(self, text: Text, **values: object) -> str:
        """Return a sentence in the user's language; what is filled in cannot move the cursor."""
        shown = {
            name: printable(value) if isinstance(value, str) else value for name, value in values.items()
        }
        if "scope" in shown:
            shown["scope"] = self.word(str(shown["scope"]))
        return text.render(self.language, **shown)

    def reason(self, cause: Cause) -> str:
        """Return a cause in DingTalk's own words, with the id of the request: its support asks for that."""
        request = f" ({self.word('request id')} {cause.request_id})" if cause.request_id else ""
        return f"{cause.code} {cause.message}".strip() + request

    def word(self, word: str) -> str:
        """Return a word of the ledger in the user's language."""
        return describe_word(word, self.language)

    def advice(self, name: str) -> str:
        """Return the advice that a cause names."""
        return Advice[name].render(self.language) if name else ""

    @property
    def config(self) -> Config:
        """The configuration; a bad one ends the command with every problem and exit code 78."""
        try:
            return self.loaded()
        except ConfigError as error:
            self._refuse(error)

    def loaded(self) -> Config:
        """Return the configuration; root becomes the owner of `state_dir`, whose files it must not own.

        Raises:
            ConfigError: with every problem in it.
        """
        if self._config is None:
            self._config = load(
                find(self.path, os.environ), environ=os.environ, secret_needed=self.secret_needed
            )
            self.language = self._config.language
            host.become_owner_of(self._config.state_dir)
        return self._config

    def problems(self, error: ConfigError) -> list[str]:
        """Return one line for each problem of a configuration, with key and line where it has them."""
        return [f"{where}: {one.text}" if (where := self._where(one)) else one.text for one in error.problems]

    def _where(self, problem: Problem) -> str:
        line = "" if problem.line is None else self.say(Cli.CONFIG_LINE, line=problem.line)
        return f"{problem.key}{line}".strip()

    def _refuse(self, error: ConfigError) -> NoReturn:
        click.echo(self.say(Cli.CONFIG_BAD, count=len(error.problems)), err=True)
        for line in self.problems(error):
            click.echo(f"  {line}", err=True)
        sys.exit(EXIT_CONFIG)

    @property
    def ledger_served(self) -> bool:
        """Whether this version can use the ledger that the configuration names."""
        return make_url(ledger_url(self.config)).get_backend_name() == "sqlite"

    def require_ledger(self) -> None:
        """End the command where the configuration names a ledger that is not served yet."""
        if not self.ledger_served:
            click.echo(self.say(Cli.NOT_YET, command="ledger: postgresql"), err=True)
            sys.exit(EXIT_CONFIG)

    def fail(self, text: Text, *, exit_code: int = 1, **values: object) -> NoReturn:
        """End the command with one sentence."""
        click.echo(self.say(text, **values), err=True)
        sys.exit(exit_code)

    @property
    def ledger_exists(self) -> bool:
        """Whether there is a ledger to be read; a command that only shows makes none."""
        self.require_ledger()
        return require_present(self.config)

    @contextmanager
    def store(self) -> Iterator[Store]:
        """Open the ledger; one that cannot be used ends the command."""
        self.require_ledger()
        try:
            self.config.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            require_present(self.config)
            store = Store.open(ledger_url(self.config))
        except (LedgerError, OSError) as error:
            self.ledger_failed(error)
        try:
            yield store
        except LedgerError as error:
            self.ledger_failed(error)
        finally:
            store.close()

    def ledger_failed(self, error: LedgerError | OSError, exit_code: int = 1) -> NoReturn:
        """End the command because the ledger cannot be used."""
        cause = error.cause if isinstance(error, LedgerError) else None
        self.fail(
            Cli.LEDGER_FAILED,
            exit_code=exit_code,
            path=self.config.state_dir,
            reason=self.reason(cause) if cause else getattr(error, "strerror", None) or type(error).__name__,
            advice=self.advice(cause.advice if cause else "LEDGER_UNWRITABLE"),
        )

    def scope(self, store: Store) -> Scope:
        """Return what the configuration maps, in the ledger's numbers."""
        mapped = [MappedFolder(f.root, f.name, f.recipients) for f in self.config.folders]
        with store.reading() as connection:
            return report.scope(connection, mapped)

    def ask(self, request: str) -> str | None:
        """Ask the running daemon; None where none runs."""
        try:
            return host.ask(self.config.state_dir, request, ASK_SECONDS)
        except (host.NotRunningError, PermissionError):  # who may not knock may not read the ledger either
            return None

    def poke(self) -> bool:
        """Have the running daemon look at what was written; return whether one runs."""
        return self.ask("wake") is not None


def printable(text: str) -> str:
    """Return a text with what a terminal would obey replaced: a file's name may be hostile."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def console() -> Console:
    """Return the console that tables are printed on; piped, nothing is cut, wrapped or coloured."""
    wide = None if sys.stdout.isatty() else UNCUT
    return Console(width=wide, highlight=False, markup=False, emoji=False)


def cell(text: str, style: str = "") -> Markup:
    """Return a table's cell: a hostile name must not move the cursor, and means nothing to rich."""
    return Markup(printable(text), style)


STYLES: Final[dict[str, str]] = {
    State.SENT: "green",
    State.FAILED: "bold red",
    State.UNCERTAIN: "yellow",
    State.SKIPPED: "yellow",
    State.GONE: "dim",
    report.BASELINE: "dim",
}
"""How states are shown on a terminal."""


def local(at: float) -> str:
    """Return an instant for people: in the machine's own time zone, to the second."""
    return datetime.fromtimestamp(at, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def print_line(text: str) -> None:
    """Print a line that another program may wait for."""
    click.echo(text)
    sys.stdout.flush()
