"""The option `-c`, which may stand before the command or after it; and values of options."""

from __future__ import annotations

import io
import os
import re
import time
from collections.abc import Callable
from contextlib import redirect_stderr
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import click

from dingwatch.texts import Cli, Language, Problems, environment_language


def config_option() -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return click's decorator for the option `-c FILE`."""
    return click.option(*_CONFIG, **_config_settings())


def config_parameter() -> click.Option:
    """Return the option `-c FILE` itself."""
    return click.Option(_CONFIG, **_config_settings())


_CONFIG: Final = ("-c", "--config", "path")


def _config_settings() -> dict[str, Any]:
    # An unreadable file is a bad configuration (exit 78), not a misuse of the option (exit 2).
    kind = click.Path(path_type=Path, readable=False)
    text = Cli.OPT_CONFIG.render(environment_language(os.environ))
    return {"type": kind, "metavar": "FILE", "help": text}


def chosen_config(path: Path | None, context: click.Context | None = None) -> Path | None:
    """Return the file that was named: after the command, else before it."""
    parent = (context or click.get_current_context()).parent
    while path is None and parent is not None:
        path, parent = parent.params.get("path"), parent.parent
    return path


def complete_folders(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Return the folders' names that begin so, for a shell; none where the config cannot be read."""
    from dingwatch.cli.context import Session  # noqa: PLC0415 (which knows this module)

    chosen = chosen_config(context.params.get("path"), context)
    try:
        with redirect_stderr(io.StringIO()):  # what is wrong is told when the command runs
            names = Session(chosen, Language.EN, secret_needed=False).folder_names
    except (Exception, SystemExit):  # noqa: BLE001 (somebody is typing)
        return []
    return [name for name in names if name.startswith(incomplete)]


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


class _Node(click.ParamType):  # type: ignore[type-arg]  # generic in click 8.5
    """The name of a node, as the config may have it.

    An empty one comes from a variable of a script that is not set. It must not mean this host.
    """

    name = "node"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ANN401
        """Return the name."""
        if not value.strip():
            self.fail(Cli.NO_NODE_NAME.render(environment_language(os.environ)), param, ctx)
        return str(value)


NODE: Final = _Node()


class Span(NamedTuple):
    """The time that a person means by a day, a minute or a second: `start` is in it, `end` is not."""

    start: float
    end: float


_WRITTEN: Final = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)"
    r"(?:[T ](?P<minute>\d\d:\d\d)(?P<second>:\d\d)?(?P<fraction>\.\d{1,6})?(?P<zone>Z|[+-]\d\d:?\d\d)?)?"
)
_UNITS: Final = (
    ("fraction", timedelta(milliseconds=1)),
    ("second", timedelta(seconds=1)),
    ("minute", timedelta(minutes=1)),
    ("day", timedelta(days=1)),
)
"""The last unit written, and its length in seconds; `history` cuts off what comes after milliseconds."""


def parse_span(written: str) -> Span:
    """Return the time that an ISO date means (`2026-11-24`, `2026-11-24T08:30:00Z`); without a zone, here.

    Raises:
        ValueError: it is no date.
    """
    found = _WRITTEN.fullmatch(written)
    if found is None:
        raise ValueError(written)
    length = next(length for part, length in _UNITS if found[part])
    try:
        start = datetime.fromisoformat(written)
        return Span(start.astimezone().timestamp(), (start + length).astimezone().timestamp())
    except OverflowError:  # the year 1, in a zone in which it has not begun
        raise ValueError(written) from None


class _When(click.ParamType):  # type: ignore[type-arg]  # generic in click 8.5
    """An ISO date, or a duration before now."""

    name = "when"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Span:  # noqa: ANN401
        """Return the time that is meant."""
        from dingwatch.config.checks import seconds  # noqa: PLC0415 (slow, and `--help` needs none of it)

        try:
            at = time.time() - seconds(value)
        except ValueError:
            pass
        else:
            return Span(at, at)
        try:
            return parse_span(value)
        except ValueError:
            self.fail(Cli.WHEN.render(environment_language(os.environ)), param, ctx)


WHEN: Final = _When()
