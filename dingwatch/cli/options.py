"""The option `-c`, which may stand before the command or after it; and values of options."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from dingwatch.texts import Cli, Problems, environment_language


def config_option() -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return click's option `-c FILE`."""
    # An unreadable file is a bad configuration (exit 78), not a misuse of the option (exit 2).
    kind = click.Path(path_type=Path, readable=False)
    text = Cli.OPT_CONFIG.render(environment_language(os.environ))
    return click.option("-c", "--config", "path", type=kind, metavar="FILE", help=text)


def chosen_config(path: Path | None) -> Path | None:
    """Return the file that was named: after the command, else before it."""
    parent = click.get_current_context().parent
    return path or (parent.params.get("path") if parent is not None else None)


class _Duration(click.ParamType):  # type: ignore[type-arg]  # generic in click 8.5
    """A duration as the config has it, in seconds: `500ms`, `2s`, `5m`."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401
        """Return the seconds; a default is a number already."""
        if isinstance(value, float):
            return value
        from dingwatch.config.checks import seconds  # noqa: PLC0415 (slow, and `--help` needs none of it)

        try:
            return seconds(value)
        except ValueError:
            self.fail(Problems.DURATION.render(environment_language(os.environ)), param, ctx)


DURATION: Final = _Duration()
