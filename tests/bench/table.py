"""Tables, printed as they stand in docs/performance.md."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence


def show(title: str, *rows: Sequence[str]) -> None:
    """Print a Markdown table; the first row is its heading."""
    widths = [max(_width(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [_line(row, widths) for row in rows]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    print("", f"**{title}**", "", lines[0], rule, *lines[1:], sep="\n", flush=True)  # noqa: T201 (the product)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = (cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True))
    return "| " + " | ".join(cells) + " |"


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
