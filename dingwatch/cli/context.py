"""The session that every command shares (language, configuration, ledger, running service) and `-c`."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, Final, NoReturn, ParamSpec, TypeVar

import click

from dingwatch.cli.options import chosen_config, config_option, config_parameter
from dingwatch.cli.output import local_time
from dingwatch.config.database import describe_address
from dingwatch.config.paths import find
from dingwatch.config.values import LEDGER_FILE, Config, ConfigError, Glance, Problem
from dingwatch.host import control_socket
from dingwatch.host.child import in_child
from dingwatch.host.control_socket import NotRunningError
from dingwatch.host.owner import become_owner_of
from dingwatch.model import Cause, LedgerError, Pause
from dingwatch.service.in_force import InForce, ShownFolder, not_loaded
from dingwatch.service.sentences import Sentences
from dingwatch.texts import Cli, Click, Language, Reload, Text, environment_language

P = ParamSpec("P")
T = TypeVar("T")
EXIT_CONFIG: Final = 78
"""EX_CONFIG: the systemd unit does not restart the service on it."""
ASK_SECONDS: Final = 3.0
"""The service answers within milliseconds; this allows for a machine under load."""


@dataclass(slots=True)
class Session(Sentences):
    """One call of a command. The configuration is read when it is first needed."""

    path: Path | None
    language: Language
    secret_needed: bool = True
    """Whether the command talks to DingTalk: a systemd credential is readable by the service alone."""
    lives_on: bool = False
    """Whether this is the service, which should not keep for months what is needed to check a config file."""
    _file: Path | None = None
    _config: Config | None = None
    _refused: ConfigError | None = None
    """Why the config file cannot be used, once it was read."""
    _in_force: InForce | None = None
    _glance: Glance | None = None
    """Set when the running service has read the file: as it is now, or before it became invalid."""
    broken: ConfigError | None = None
    """The problems of the config file, where the running service has told what it works with."""

    # --- Sentences ---------------------------------------------------------------------------------

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

    @property
    def recipient_names(self) -> Mapping[str, str]:
        """The aliases by the recipients that they name, as far as the configuration has been asked for."""
        in_file: Mapping[str, str] = {} if self._config is None else self._config.recipient_names
        return in_file if self._in_force is None else {**in_file, **self._in_force.recipient_names}

    @property
    def aliases(self) -> Mapping[str, str]:
        """The recipients by the names that the configuration gives them, in force or in the file."""
        in_force = self.in_force  # first: an invalid file has no aliases of its own
        return {**self.in_file.aliases, **in_force.aliases}

    # --- The configuration -------------------------------------------------------------------------

    @property
    def file(self) -> Path:
        """The config file. It is looked for once: later, root may be a user who may not look into /root.

        Raises:
            ConfigError: there is none.
        """
        if self._file is None:
            self._file = find(self.path, os.environ)
        return self._file

    @property
    def config(self) -> Config:
        """The configuration; a bad one ends the command with every problem and exit code 78."""
        try:
            return self.load_config()
        except ConfigError as error:
            if self.broken is None:  # else it is printed already
                self.print_problems(error)
            sys.exit(EXIT_CONFIG)

    def print_problems(self, error: ConfigError) -> None:
        """Print each problem of a configuration to stderr."""
        click.echo(self.render(Cli.CONFIG_BAD, count=len(error.problems)), err=True)
        for line in self.describe_problems(error):
            click.echo(f"  {line}", err=True)

    def load_config(self) -> Config:
        """Return the configuration, and as root become the owner of `state_dir`.

        After `sudo dingwatch retry`, files in `state_dir` that root owns would stop the service.

        Raises:
            ConfigError: with every problem in it.
        """
        if self._refused is not None:
            raise self._refused  # a large file takes seconds to read
        if self._config is None:
            load = partial(_load, self.file, secret_needed=self.secret_needed)
            try:
                self._config = in_child(load) if self.lives_on else load()
            except ConfigError as error:
                self.language = error.language or self.language  # the sentences around the problems, too
                self._refused = error
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
    def state_dir(self) -> Path:
        """The state directory; nothing else is read of a config file that the running service has read."""
        if self._config is None and self._glance is None:
            self._in_force = self._recognise() or self._fall_back()
        return self.config.state_dir if self._glance is None else self._glance.state_dir

    def _recognise(self) -> InForce | None:
        """Return what the running service works with, if that is what the config file says now."""
        from dingwatch.config.glance import take_glance  # noqa: PLC0415 (not needed by the service)

        try:
            glance = take_glance(self.file, os.environ)
        except ConfigError:
            return None
        told = None if glance is None else _ask_in_force(glance.state_dir)
        if glance is None or told is None or told.digest != glance.digest:
            return None
        self._glance = glance
        self.language = glance.language
        become_owner_of(glance.state_dir)
        return told

    def _fall_back(self) -> InForce | None:
        """Return what a service works with that has read the config file before it became invalid.

        Somebody has mistyped a key and wants to know whether files are still being sent: they are. The file
        may no longer tell where the service is, so the services that run are asked which file is theirs.
        """
        try:
            self.load_config()
        except ConfigError as error:
            found = self.find_service_of_file()
            if found is None:
                return None
            state_dir, told = found
            self.broken = error
            self._glance = Glance(state_dir, told.language or self.language, told.digest)
            self.print_problems(error)
            self.language = self._glance.language
            click.echo(self.render(Reload.BROKEN), err=True)
            become_owner_of(state_dir)
            return told
        return None

    def find_service_of_file(self) -> tuple[Path, InForce] | None:
        """Return the state directory of the running service that reads this file, and what it works with."""
        from dingwatch.host.processes import list_state_dirs  # noqa: PLC0415 (rarely needed)

        try:
            file = os.path.realpath(self.file)
        except ConfigError:
            return None
        for state_dir in list_state_dirs():
            told = _ask_in_force(state_dir)
            if told is not None and told.file == file:
                return state_dir, told
        return None

    @property
    def in_force(self) -> InForce:
        """The running service's configuration; without a service, that of the config file."""
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
        """The config file's contents, which come into force when a service starts."""
        if self._glance is not None:
            return replace(self.in_force, by_service=False)
        return InForce.of(self.config, by_service=False)

    # --- The ledger --------------------------------------------------------------------------------

    @property
    def ledger_in_file(self) -> bool:
        """Whether the ledger is a file in the state directory, and not on a server that others share."""
        in_force = self.in_force
        return in_force.ledger_in_file if in_force.by_service else self.config.ledger_file is not None

    @property
    def ledger_path(self) -> Path:
        """The file of a ledger that is one."""
        return self.state_dir / LEDGER_FILE

    @property
    def ledger_address(self) -> str:
        """The URL of a ledger on a server, with the password as far as it is known.

        It may be in a systemd credential or in a variable that the service alone has, so the service is asked
        first. It tells its own user and root.
        """
        told = self.ask("ledger") if self.in_force.by_service else None
        return str(told["url"]) if told and told.get("url") else self.config.ledger or ""

    @property
    def ledger_place(self) -> str:
        """Where the ledger is, as people are told it."""
        return str(self.state_dir) if self.ledger_in_file else describe_address(self.ledger_address)

    @property
    def node(self) -> str:
        """The name of this host on a ledger that others share; empty where the ledger is a file."""
        return self.in_force.node

    # --- The running service -----------------------------------------------------------------------

    def ask(self, question: str, **arguments: object) -> dict[str, Any] | None:
        """Return the running service's answer, empty if its version has none; None without a service."""
        return ask(self.state_dir, question, arguments)

    def poke(self) -> bool:
        """Have the running service look at what was written; return whether one runs."""
        return self.ask("wake") is not None


def _load(file: Path, *, secret_needed: bool) -> Config:
    from dingwatch.config.assembly import load  # noqa: PLC0415 (slow, and not needed after a glance)

    return load(file, environ=os.environ, secret_needed=secret_needed)


def ask(state_dir: Path, question: str, arguments: Mapping[str, object]) -> dict[str, Any] | None:
    """Return the answer of the service that works on a state directory; None without one."""
    try:
        return control_socket.ask(state_dir, question, arguments, ASK_SECONDS)
    except (NotRunningError, PermissionError):
        # The socket and the ledger have one owner: whoever may not connect has no ledger to show either.
        return None


def _ask_in_force(state_dir: Path) -> InForce | None:
    """Return what the running service works with; None without a service."""
    told = ask(state_dir, "config", {}) or {}
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

        @click.command(function.__name__.replace("_", "-"), options_metavar=metavar)
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


def command_group(name: str, commands: Mapping[str, tuple[click.Command, Text]]) -> click.Group:
    """Return a command that has commands of its own, each with its help."""
    language = environment_language(os.environ)
    group = click.Group(
        name,
        params=[config_parameter()],
        options_metavar=Click.OPTIONS_METAVAR.render(language),
        subcommand_metavar=Click.COMMAND_METAVAR.render(language),
    )
    for word, (one, text) in commands.items():
        one.name = word
        one.help = one.short_help = text.render(language)
        group.add_command(one)
    return group
