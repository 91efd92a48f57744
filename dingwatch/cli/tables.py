"""Tables on a terminal, by rich."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len
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


WIDEST: Final = 24
"""Columns that a cell is padded to in a pipe, where one long name would move all others apart."""


class PlainTable:
    """Prints rows for a pipe, where no line wraps: rich would need minutes for half a million of them.

    Each batch of rows has the widths of all that was printed so far, and nobody waits for the widest.
    """

    def __init__(self) -> None:
        self._widths: list[int] = []

    def print(self, rows: Sequence[Sequence[str]]) -> None:
        """Print some rows."""
        shown = [[printable(word) for word in row] for row in rows]
        for place, words in enumerate(zip(*shown, strict=True)):
            widest = max(min(cell_len(word), WIDEST) for word in words)
            self._widths[place : place + 1] = [max([widest, *self._widths[place : place + 1]])]
        for row in shown:
            # click would print UTF-8 on a terminal that does not know it.
            sys.stdout.write("  ".join(map(self._pad, row, self._widths)).rstrip() + "\n")
        sys.stdout.flush()

    @staticmethod
    def _pad(word: str, width: int) -> str:
        return word + " " * (width - cell_len(word))
