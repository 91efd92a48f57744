"""The session that every command shares (language, configuration, ledger, running service) and `-c`."""

from __future__ import annotations

import errno
import functools
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, Final, NoReturn, ParamSpec, TypeVar

import click
from sqlalchemy import make_url

from dingwatch.cli.full_disk import disk_of, is_full, wait_for_room, write_error
from dingwatch.cli.options import chosen_config, config_option
from dingwatch.cli.output import local_time, printable
from dingwatch.cli.running import InForce, ShownFolder, not_loaded, of_file, of_service
from dingwatch.config import Config, ConfigError, Problem, find, load
from dingwatch.host.control_socket import NotRunningError, ask
from dingwatch.host.owner import become_owner_of
from dingwatch.ledger import LedgerError, Store, report
from dingwatch.ledger.folders import MappedFolder
from dingwatch.ledger.report import Scope
from dingwatch.model import Cause, Pause
from dingwatch.service.ledgers import ledger_url, require_present, sqlite_file
from dingwatch.texts import (
    Advice,
    Cli,
    Click,
    Language,
    Text,
    describe_word,
    environment_language,
    system_words,
)

P = ParamSpec("P")
T = TypeVar("T")
EXIT_CONFIG: Final = 78
"""EX_CONFIG: the systemd unit does not restart the service on it."""
ASK_SECONDS: Final = 3.0
"""The service answers within milliseconds; this allows for a machine under load."""


@dataclass(slots=True)
class Session:
    """One call of a command. The configuration is read when it is first needed."""

    path: Path | None
    language: Language
    secret_needed: bool = True
    """Whether the command talks to DingTalk: a systemd credential is readable by the service alone."""
    _config: Config | None = None
    _in_force: InForce | None = None

    # --- Sentences ---------------------------------------------------------------------------------

    def render(self, text: Text, cause: Cause | None = None, /, **values: object) -> str:
        """Return a sentence in the user's language; a cause fills in its {reason} and {advice}."""
        if cause is not None:
            values = {"reason": self.reason(cause), "advice": self.advice(cause.advice), **values}
        # A file may be named with escape sequences, which would rewrite the very line that reports it.
        safe = {name: self._safe(value) for name, value in values.items()}
        if "scope" in safe:
            safe["scope"] = self.word(str(safe["scope"]))
        return text.render(self.language, **safe)

    def _safe(self, value: object) -> object:
        return printable(system_words(value, self.language)) if isinstance(value, str) else value

    def reason(self, cause: Cause) -> str:
        """Return a cause in DingTalk's own words, with the request id that its support asks for."""
        request = f" ({self.word('request id')} {cause.request_id})" if cause.request_id else ""
        return f"{cause.code} {system_words(cause.message, self.language)}".strip() + request

    def word(self, word: str) -> str:
        """Return a word of the ledger in the user's language."""
        return describe_word(word, self.language)

    def advice(self, name: str) -> str:
        """Return the advice that a cause names."""
        return Advice[name].render(self.language) if name else ""

    def pause_reason(self, pause: Pause) -> str:
        """Return why something is paused, what is, and what a person can do."""
        cause, advice = self.reason(pause.cause), self.advice(pause.cause.advice)
        return self.render(Cli.PAUSE_REASON, cause=cause, key=pause.key, advice=advice).strip()

    def describe_pause(self, pause: Pause, now: float) -> str:
        """Return the line that tells people of a pause."""
        until = local_time(pause.until) if pause.until > now else self.render(Cli.AT_ONCE)
        return self.render(Cli.PAUSE, scope=pause.scope, until=until, reason=self.pause_reason(pause))

    def fail(
        self, text: Text, cause: Cause | None = None, /, *, exit_code: int = 1, **values: object
    ) -> NoReturn:
        """Print one sentence to stderr and end the command."""
        click.echo(self.render(text, cause, **values), err=True)
        sys.exit(exit_code)

    # --- The configuration -------------------------------------------------------------------------

    @property
    def config(self) -> Config:
        """The configuration; a bad one ends the command with every problem and exit code 78."""
        try:
            return self.load_config()
        except ConfigError as error:
            click.echo(self.render(Cli.CONFIG_BAD, count=len(error.problems)), err=True)
            for line in self.describe_problems(error):
                click.echo(f"  {line}", err=True)
            sys.exit(EXIT_CONFIG)

    def load_config(self) -> Config:
        """Return the configuration, and as root become the owner of `state_dir`.

        After `sudo dingwatch retry`, files in `state_dir` that root owns would stop the service.

        Raises:
            ConfigError: with every problem in it.
        """
        if self._config is None:
            try:
                self._config = load(
                    find(self.path, os.environ), environ=os.environ, secret_needed=self.secret_needed
                )
            except ConfigError as error:
                self.language = error.language or self.language  # the sentences around the problems, too
                raise
            self.language = self._config.language
            become_owner_of(self._config.state_dir)
        return self._config

    def describe_problems(self, error: ConfigError) -> list[str]:
        """Return one line for each problem of a configuration, with key and line where it has them."""
        return [f"{where}: {one.text}" if (where := self._where(one)) else one.text for one in error.problems]

    def _where(self, problem: Problem) -> str:
        line = "" if problem.line is None else self.render(Cli.CONFIG_LINE, line=problem.line)
        return f"{problem.key}{line}".strip()

    def require_folder(self, name: str) -> None:
        """End the command unless the configuration has a folder of this name."""
        if name not in self.folder_names:
            self.fail(Cli.NO_FOLDER, name=name, names=", ".join(self.folder_names))

    @property
    def folder_names(self) -> list[str]:
        """The names of the folders that the running service has, and of those in the config file."""
        return list(dict.fromkeys(folder.name for folder in self.folders))

    @property
    def in_force(self) -> InForce:
        """What the running service works with; without one, what the config file says."""
        if self._in_force is None:
            told = self.ask_object("config")
            # A service of an older version does not know the question, and answers with nothing.
            self._in_force = of_service(told) if "folders" in told else of_file(self.config)
        return self._in_force

    @property
    def folders(self) -> list[ShownFolder]:
        """The folders in force, and those of the file that the running service has not loaded."""
        folders = self.in_force.folders
        return [*folders, *not_loaded(folders, of_file(self.config).folders)]

    # --- The ledger --------------------------------------------------------------------------------

    @property
    def ledger_supported(self) -> bool:
        """Whether this version can use the ledger that the configuration names."""
        return make_url(ledger_url(self.config)).get_backend_name() == "sqlite"

    def require_ledger(self) -> None:
        """End the command where the configuration names a ledger that is not supported yet."""
        if not self.ledger_supported:
            self.fail(Cli.NOT_YET, exit_code=EXIT_CONFIG, command="ledger: postgresql")

    @property
    def ledger_exists(self) -> bool:
        """Whether there is a ledger to read; a command that only shows things creates none."""
        self.require_ledger()
        if self.config.state_dir.exists():
            _require_access(self.config.state_dir, os.X_OK)
        return require_present(self.config)

    @contextmanager
    def store(self, *, writes: bool = False) -> Iterator[Store]:
        """Open the ledger; one that cannot be used ends the command, after some seconds if its disk is full.

        `writes` says that the command is going to write: then it must be possible before the command begins.
        The command writes through `write`, which waits for the room that its own transaction needs.
        """
        self.require_ledger()
        path = sqlite_file(self.config)
        if path is not None and path.exists():
            _require_access(path, os.R_OK)
        try:
            # `send` may run before the service ever has.
            self.config.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            require_present(self.config)
            store = wait_for_room(partial(self._open, writes=writes), self._ledger_file)
        except (LedgerError, OSError) as error:
            self.fail_ledger(error)
        try:
            yield store
        except LedgerError as error:
            self.fail_ledger(error)
        finally:
            store.close()

    def write(self, transaction: Callable[[], T]) -> T:
        """Carry out one transaction, again and again for some seconds while the ledger's disk is full.

        The log of a full disk may have room for the small write with which a command begins, and none for a
        thousand rows.

        Raises:
            LedgerError: it could not be carried out; nothing of it was written.
        """
        return wait_for_room(transaction, self._ledger_file)

    def _open(self, *, writes: bool) -> Store:
        store = Store.open(ledger_url(self.config))
        if writes:
            try:
                store.require_writable()
            except BaseException:
                store.close()
                raise
        return store

    @property
    def _ledger_file(self) -> Path:
        return sqlite_file(self.config) or self.config.state_dir

    def ledger_write_error(self) -> Cause | None:
        """Return why nothing can be written to the ledger, as far as its disk tells."""
        return write_error(self._ledger_file)

    def fail_ledger(self, error: LedgerError | OSError, exit_code: int = 1) -> NoReturn:
        """End the command because the ledger cannot be used."""
        path = self.config.state_dir
        if is_full(error, self._ledger_file):
            disk = disk_of(self._ledger_file)
            self.fail(Cli.LEDGER_DISK_FULL, exit_code=exit_code, path=self._ledger_file, disk=disk)
        if isinstance(error, LedgerError):
            self.fail(Cli.LEDGER_FAILED, error.cause, exit_code=exit_code, path=path)
        reason = error.strerror or type(error).__name__
        advice = self.advice("LEDGER_UNWRITABLE")
        self.fail(Cli.LEDGER_FAILED, exit_code=exit_code, path=path, reason=reason, advice=advice)

    def scope(self, store: Store, in_force: InForce | None = None) -> Scope:
        """Return what a configuration maps, in the ledger's numbers: the one in force, or another."""
        folders = (in_force or self.in_force).folders
        mapped = [MappedFolder(one.root, one.name, one.recipients, os.fsencode(one.path)) for one in folders]
        with store.reading() as connection:
            return report.scope(connection, mapped)

    # --- The running service -----------------------------------------------------------------------

    def ask(self, request: str) -> str | None:
        """Return the running service's answer; None where none runs."""
        try:
            return ask(self.config.state_dir, request, ASK_SECONDS)
        except (NotRunningError, PermissionError):
            # The socket and the ledger have one owner: whoever may not connect has no ledger to show either.
            return None

    def ask_object(self, request: str) -> dict[str, Any]:
        """Return the running service's answer; empty where none runs, or its version answers otherwise."""
        try:
            answer = json.loads(self.ask(request) or "{}")
        except (ValueError, RecursionError):
            return {}
        return answer if isinstance(answer, dict) else {}

    def poke(self) -> bool:
        """Have the running service look at what was written; return whether one runs."""
        return self.ask("wake") is not None


def _require_access(path: Path, mode: int) -> None:
    """Raise PermissionError where the user of this command has no such access."""
    if not os.access(path, mode, effective_ids=True):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


# --- Commands and options --------------------------------------------------------------------------


def option(text: Text, *names: str, **settings: Any) -> Callable[[Callable[P, Any]], Callable[P, Any]]:  # noqa: ANN401
    """Return click's option of these names, with its help in the language of the environment."""
    return click.option(*names, help=text.render(environment_language(os.environ)), **settings)


def command(
    *, secret_needed: bool = False
) -> Callable[[Callable[Concatenate[Session, P], int | None]], click.Command]:
    """Make a command of a function that takes a session and its options and returns the exit code.

    `dingwatch.cli.app` names the module that a command is in, and has its help.
    """

    def decorate(function: Callable[Concatenate[Session, P], int | None]) -> click.Command:
        metavar = Click.OPTIONS_METAVAR.render(environment_language(os.environ))

        @click.command(function.__name__, options_metavar=metavar)
        @config_option()
        @functools.wraps(function)
        def run(path: Path | None, **options: Any) -> None:  # noqa: ANN401 (click passes what was declared)
            language = environment_language(os.environ)
            session = Session(chosen_config(path), language, secret_needed=secret_needed)
            if not os.path.isdir("/proc/self/fd"):  # files are opened safely through it
                session.fail(Cli.NO_PROC, exit_code=EXIT_CONFIG)
            try:
                code = function(session, **options)  # type: ignore[call-arg]
            except PermissionError as error:
                session.fail(Cli.FORBIDDEN, path=error.filename or session.config.state_dir)
            except LedgerError as error:
                session.fail_ledger(error)
            sys.exit(code or 0)

        return run

    return decorate
