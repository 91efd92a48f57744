"""`dingwatch completion`: the script with which a shell completes commands, options, folders and states."""

from __future__ import annotations

import click
from click.shell_completion import ShellComplete, get_completion_class

from dingwatch.cli.context import Session, command
from dingwatch.cli.output import print_line

SHELLS = ("bash", "zsh", "fish")


@command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(session: Session, *, shell: str) -> None:
    """Print the script."""
    from dingwatch.cli.app import cli  # noqa: PLC0415 (which knows this module)

    kind = get_completion_class(shell)
    assert kind is not None, session  # noqa: S101 (click has all of them)
    # Bash's own method would start a bash to ask for its version, and print it.
    print_line(ShellComplete.source(kind(cli, {}, "dingwatch", "_DINGWATCH_COMPLETE")))
