"""The command line: the table of commands. Each is a function, with its options, in the module named here."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any, Final

import click

import dingwatch
from dingwatch.cli.click_texts import translate_click
from dingwatch.cli.options import config_option
from dingwatch.host.streams import OutputError, open_streams
from dingwatch.texts import Back, Cli, Click, Text, Upkeep, environment_language, system_words

translate_click()  # before the first option is made: it asks click for the name of its type

COMMANDS: Final[dict[str, tuple[str, Text]]] = {
    "check": ("check", Cli.CHECK),
    "completion": ("completion", Cli.COMPLETION),
    "config": ("config", Cli.CONFIG_COMMAND),
    "demo": ("demo", Cli.DEMO),
    "discard": ("decide", Cli.DISCARD),
    "doctor": ("doctor", Upkeep.DOCTOR),
    "drain": ("drain", Cli.DRAIN),
    "fetch": ("fetch", Back.FETCH),
    "folder-link": ("folder_link", Cli.FOLDER_LINK),
    "history": ("history", Cli.HISTORY),
    "init": ("init", Cli.INIT),
    "ledger": ("ledger", Upkeep.LEDGER),
    "link": ("fetch", Back.LINK),
    "pause": ("decide", Cli.PAUSE_COMMAND),
    "recall": ("fetch", Cli.RECALL),
    "receipts": ("receipts", Back.RECEIPTS_COMMAND),
    "release": ("decide", Cli.RELEASE),
    "reload": ("reload", Cli.RELOAD),
    "resolve": ("decide", Cli.RESOLVE),
    "resume": ("decide", Cli.RESUME),
    "retry": ("retry", Cli.RETRY),
    "run": ("run", Cli.RUN),
    "sandbox": ("demo", Cli.SANDBOX),
    "send": ("send", Cli.SEND),
    "status": ("status", Cli.STATUS),
    "undrain": ("drain", Cli.UNDRAIN),
    "why": ("why", Cli.WHY),
}
"""The module under `dingwatch.cli` that holds each command, and the command's help."""


class LazyCommand(click.Command):
    """A command whose module is imported when the command runs.

    A monitor that calls `status` every minute should not import the sandbox's web server each time, and
    `--help` and `--version` need no module at all.
    """

    def __init__(self, name: str, module: str, text: Text) -> None:
        # The list of commands shows it whole: click would cut it after a few words.
        help_text = text.render(environment_language(os.environ))
        super().__init__(name, help=help_text, short_help=help_text)
        self._module = f"dingwatch.cli.{module}"

    def load(self) -> click.Command:
        """Import the module and return the command in it."""
        module = importlib.import_module(self._module)
        command: click.Command = getattr(module, str(self.name).replace("-", "_"))
        command.help = self.help
        return command

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,  # noqa: ANN401 (click's own signature)
    ) -> click.Context:
        """Parse the arguments by the options of the command itself, which click then invokes."""
        return self.load().make_context(info_name, args, parent, **extra)


@click.group(
    help=Cli.HELP.render(environment_language(os.environ)),
    context_settings={"help_option_names": ["-h", "--help"]},
    options_metavar=Click.OPTIONS_METAVAR.render(environment_language(os.environ)),
    subcommand_metavar=Click.COMMAND_METAVAR.render(environment_language(os.environ)),
)
@config_option()
@click.version_option(dingwatch.__version__, prog_name="dingwatch")
def cli(path: Path | None) -> None:
    """Group all commands; the help shown is in texts/."""


for _name, (_module, _text) in COMMANDS.items():
    cli.add_command(LazyCommand(_name, _module, _text))


def main() -> None:
    """Run the command line."""
    open_streams()
    try:
        code = _run()
        sys.stdout.flush()
    except OutputError as failure:
        language = environment_language(os.environ)
        reason = system_words(str(failure), language)
        sys.stderr.write(f"{Cli.OUTPUT_FAILED.render(language, reason=reason)}\n")
        code = 1
    sys.exit(code)


def _run() -> int | str | None:
    """Run a command; return its exit code."""
    try:
        cli(prog_name="dingwatch")
    except SystemExit as ended:
        return ended.code
    except OutputError:
        raise
    except Exception as error:  # noqa: BLE001 (logged without secrets, which Python's own traceback may show)
        from dingwatch.service.log import EXIT_BUG, log_bug, log_to_stderr  # noqa: PLC0415 (rarely needed)

        log_to_stderr()
        log_bug(Cli.BUG.render(environment_language(os.environ)), error)
        return EXIT_BUG
    return 0
