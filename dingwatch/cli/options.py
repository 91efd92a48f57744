"""The option `-c`, which may stand before the command or after it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from dingwatch.texts import Cli, environment_language


def config_option() -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return click's option `-c FILE`."""
    # An unreadable file is a bad configuration (exit 78), not a misuse of the option (exit 2).
    kind = click.Path(path_type=Path, readable=False)
    text = Cli.OPT_CONFIG.render(environment_language(os.environ))
    return click.option("-c", "--config", "path", type=kind, help=text)


def chosen_config(path: Path | None) -> Path | None:
    """Return the file that was named: after the command, else before it."""
    parent = click.get_current_context().parent
    return path or (parent.params.get("path") if parent is not None else None)
