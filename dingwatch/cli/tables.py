"""Tables on a terminal, by rich."""

from __future__ import annotations

import sys
from typing import Final

from rich.console import Console
from rich.text import Text as Markup

from dingwatch.cli.output import printable
from dingwatch.lifecycle import BASELINE, State

STYLES: Final[dict[str, str]] = {
    State.SENT: "green",
    State.FAILED: "bold red",
    State.UNCERTAIN: "yellow",
    State.SKIPPED: "yellow",
    State.GONE: "dim",
    BASELINE: "dim",
}
"""The colours of states on a terminal."""
_PIPED_WIDTH: Final = 100_000


def console() -> Console:
    """Return the console for tables; piped, it neither wraps nor colours."""
    # `dingwatch history | grep NAME` must find a long name whole, so a pipe gets lines of any length.
    width = None if sys.stdout.isatty() else _PIPED_WIDTH
    return Console(width=width, highlight=False, markup=False, emoji=False)


def cell(text: str, style: str = "") -> Markup:
    """Return a table's cell, in which rich interprets nothing."""
    return Markup(printable(text), style)
