"""The session that every command shares (language, configuration, ledger, running service) and `-c`."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Concatenate, Final, NoReturn, ParamSpec, TypeVar

import click

from dingwatch.cli.options import chosen_config, config_option
from dingwatch.cli.output import local_time, printable
from dingwatch.config.paths import find
from dingwatch.config.values import LEDGER_FILE, Config, ConfigError, Glance, Problem
from dingwatch.host import control_socket
from dingwatch.host.child import in_child
from dingwatch.host.control_socket import NotRunningError
from dingwatch.host.owner import become_owner_of
from dingwatch.model import Cause, LedgerError, Pause
from dingwatch.service.in_force import InForce, ShownFolder, not_loaded
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
    lives_on: bool = False
    """Whether this is the service, which should not keep for months what is needed to check a config file."""
    _config: Config | None = None
    _in_force: InForce | None = None
    _glance: Glance | None = None
    """Set when the running service has read the same file as it is now."""

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
                self._config = in_child(self._load) if self.lives_on else self._load()
            except ConfigError as error:
                self.language = error.language or self.language  # the sentences around the problems, too
                raise
            self.language = self._config.language
            become_owner_of(self._config.state_dir)
        return self._config

    def _load(self) -> Config:
        from dingwatch.config.assembly import load  # noqa: PLC0415 (slow, and not needed after a glance)

        return load(find(self.path, os.environ), environ=os.environ, secret_needed=self.secret_needed)

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
    def state_dir(self) -> Path:
        """The state directory; nothing else is read of a config file that the running service has read."""
        if self._config is None and self._glance is None:
            self._in_force = self._recognise()
        return self.config.state_dir if self._glance is None else self._glance.state_dir

    def _recognise(self) -> InForce | None:
        """Return what the running service works with, if that is what the config file says now."""
        from dingwatch.config.glance import take_glance  # noqa: PLC0415 (not needed by the service)

        try:
            glance = take_glance(find(self.path, os.environ), os.environ)
        except ConfigError:
            return None
        told = None if glance is None else _ask_in_force(glance.state_dir)
        if glance is None or told is None or told.digest != glance.digest:
            return None
        self._glance = glance
        self.language = glance.language
        become_owner_of(glance.state_dir)
        return told

    @property
    def in_force(self) -> InForce:
        """What the running service works with; without one, what the config file says."""
        state_dir = self.state_dir  # to find it, the service may have been asked already
        if self._in_force is None:
            self._in_force = _ask_in_force(state_dir) or self.in_file
        return self._in_force

    @property
    def folders(self) -> list[ShownFolder]:
        """The folders in force, and those of the file that the running service has not loaded."""
        folders = self.in_force.folders
        return [*folders, *not_loaded(folders, self.in_file.folders)]

    @property
    def in_file(self) -> InForce:
        """What the config file says, which is in force when a service starts."""
        if self._glance is not None:
            return replace(self.in_force, by_service=False)
        return InForce.of(self.config, by_service=False)

    # --- The ledger --------------------------------------------------------------------------------

    @property
    def ledger_supported(self) -> bool:
        """Whether this version can use the ledger that the configuration names."""
        return self.config.ledger_file is not None

    @property
    def ledger_path(self) -> Path:
        """The file of the ledger, as far as this version supports it."""
        return self.state_dir / LEDGER_FILE

    # --- The running service -----------------------------------------------------------------------

    def ask(self, question: str, **arguments: object) -> dict[str, Any] | None:
        """Return the running service's answer, empty if its version has none; None without a service."""
        return _ask(self.state_dir, question, arguments)

    def poke(self) -> bool:
        """Have the running service look at what was written; return whether one runs."""
        return self.ask("wake") is not None


def _ask(state_dir: Path, question: str, arguments: Mapping[str, object]) -> dict[str, Any] | None:
    try:
        return control_socket.ask(state_dir, question, arguments, ASK_SECONDS)
    except (NotRunningError, PermissionError):
        # The socket and the ledger have one owner: whoever may not connect has no ledger to show either.
        return None


def _ask_in_force(state_dir: Path) -> InForce | None:
    """Return what the running service works with; None without a service."""
    told = _ask(state_dir, "config", {}) or {}
    return InForce.load(told) if "folders" in told else None


# --- Commands and options --------------------------------------------------------------------------


def option(text: Text, *names: str, **settings: Any) -> Callable[[Callable[P, Any]], Callable[P, Any]]:  # noqa: ANN401
    """Return click's option of these names, with its help in the language of the environment."""
    return click.option(*names, help=text.render(environment_language(os.environ)), **settings)


def command(
    *, secret_needed: bool = False, lives_on: bool = False
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
            session = Session(chosen_config(path), language, secret_needed=secret_needed, lives_on=lives_on)
            if not os.path.isdir("/proc/self/fd"):  # files are opened safely through it
                session.fail(Cli.NO_PROC, exit_code=EXIT_CONFIG)
            try:
                code = function(session, **options)  # type: ignore[call-arg]
            except PermissionError as error:
                session.fail(Cli.FORBIDDEN, path=error.filename or session.state_dir)
            except LedgerError as error:
                from dingwatch.cli.ledger_access import fail_ledger  # noqa: PLC0415 (the command has opened it)

                fail_ledger(session, error)
            sys.exit(code or 0)

        return run

    return decorate
