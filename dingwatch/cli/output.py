"""How commands print: times, and names that no terminal obeys."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from dingwatch import names
from dingwatch.service.sentences import iso_time, local_time, of_unwatched_file, printable

__all__ = ["iso_time", "local_time", "of_unwatched_file", "print_line", "printable", "readable_path"]


def print_line(text: str) -> None:
    """Print a line and flush it: the program that started us may be waiting for it."""
    click.echo(text)
    sys.stdout.flush()


def readable_path(path: Path) -> str:
    """Return a path as people are shown it, whatever bytes are in it."""
    return names.readable(path)
