"""What every command needs: the language, the configuration, the ledger, and the daemon's ear."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

import click
from rich.console import Console
from sqlalchemy import make_url

from dingwatch import host
from dingwatch.config import Config, ConfigError, find, load
from dingwatch.ledger import LedgerError, Store
from dingwatch.ledger.report import Scope, folder_ids
from dingwatch.service import ledger_url
from dingwatch.texts import Advice, Cli, Language, Text, spoken

EXIT_CONFIG: Final = 78
"""EX_CONFIG: systemd is told not to restart on it."""
ASK_SECONDS: Final = 1.0


def locale() -> str:
    """Return the locale's name that messages go by, as gettext chooses it."""
    return next((os.environ[n] for n in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(n)), "")


def own_language() -> Language:
    """Return the language before a configuration is known."""
    return spoken("auto", locale())


@dataclass(slots=True)
class Session:
    """One call of a command; the configuration is read when it is asked for."""

    path: Path | None
    language: Language
    secret_needed: bool = True
    """Whether it talks to DingTalk: as a systemd credential the secret is there only for the service."""
    _config: Config | None = None

    def say(self, text: Text, **values: object) -> str:
        """Return a sentence in the user's language."""
        return text.said(self.language, **values)

    def advice(self, name: str) -> str:
        """Return the advice that a cause names."""
        return Advice[name].said(self.language) if name else ""

    @property
    def config(self) -> Config:
        """The configuration; a bad one ends the command with every problem and exit code 78."""
        if self._config is None:
            try:
                self._config = load(
                    find(self.path, os.environ), environ=os.environ, secret_needed=self.secret_needed
                )
            except ConfigError as error:
                self._refuse(error)
            self.language = self._config.language
        return self._config

    def _refuse(self, error: ConfigError) -> NoReturn:
        click.echo(self.say(Cli.CONFIG_BAD, count=len(error.problems)), err=True)
        for problem in error.problems:
            place = self.say(Cli.CONFIG_LINE, line=problem.line) if problem.line is not None else ""
            click.echo(f"  {problem.key}{place}: {problem.text}", err=True)
        sys.exit(EXIT_CONFIG)

    def fail_config(self, text: Text, **values: object) -> NoReturn:
        """End the command with one sentence about the configuration and exit code 78."""
        click.echo(self.say(text, **values), err=True)
        sys.exit(EXIT_CONFIG)

    def fail(self, text: Text, **values: object) -> NoReturn:
        """End the command with one sentence and exit code 1."""
        click.echo(self.say(text, **values), err=True)
        sys.exit(1)

    @property
    def ledger_exists(self) -> bool:
        """Whether there is a ledger to be read; a command that only shows makes none."""
        url = make_url(ledger_url(self.config))
        return url.get_backend_name() != "sqlite" or Path(url.database or "").exists()

    @contextmanager
    def store(self) -> Iterator[Store]:
        """Open the ledger as its directory's owner; one that cannot be used ends the command."""
        host.become_owner_of(self.config.state_dir)
        try:
            self.config.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            store = Store.open(ledger_url(self.config))
        except (LedgerError, OSError) as error:
            self._ledger_failed(error)
        try:
            yield store
        except LedgerError as error:
            self._ledger_failed(error)
        finally:
            store.close()

    def _ledger_failed(self, error: LedgerError | OSError) -> NoReturn:
        cause = error.cause if isinstance(error, LedgerError) else None
        self.fail(
            Cli.LEDGER_FAILED,
            path=self.config.state_dir,
            reason=cause.message if cause else getattr(error, "strerror", None) or type(error).__name__,
            advice=self.advice(cause.advice if cause else "LEDGER_UNWRITABLE"),
        )

    def scope(self, store: Store) -> Scope:
        """Return what the configuration maps, in the ledger's numbers."""
        with store.reading() as connection:
            known = folder_ids(connection)
        by_root: dict[bytes, list[int]] = {}
        for (root, _), number in known.items():
            by_root.setdefault(root, []).append(number)
        ids = {
            folder.name: known.get((folder.root, folder.name), by_root.get(folder.root, [-1])[0])
            for folder in self.config.folders
        }
        pairs = {(ids[f.name], c) for f in self.config.folders for c in f.conversation_ids}
        return Scope(frozenset(pairs), {number: name for name, number in ids.items()})

    def ask(self, request: str) -> str | None:
        """Ask the running daemon; None where none runs."""
        try:
            return host.ask(self.config.state_dir, request, ASK_SECONDS)
        except host.NoDaemon:
            return None

    def poke(self) -> None:
        """Have the running daemon look at what was written."""
        self.ask("wake")


def console() -> Console:
    """Return the console that tables are printed on; piped, nothing is cut or coloured."""
    wide = None if sys.stdout.isatty() else 240
    return Console(width=wide, highlight=False, soft_wrap=False)


def print_line(text: str) -> None:
    """Print a line that another program may wait for."""
    click.echo(text)
    sys.stdout.flush()
