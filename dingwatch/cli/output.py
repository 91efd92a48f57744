"""How commands print: times, and names that no terminal obeys."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import click

from dingwatch.model import Cause


def printable(text: str) -> str:
    """Replace control characters: a file's name may hold escape sequences that move the cursor."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def local_time(at: float) -> str:
    """Return a time for people: in the machine's time zone, to the second."""
    return datetime.fromtimestamp(at, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def iso_time(at: float) -> str:
    """Return a time for programs: ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def print_line(text: str) -> None:
    """Print a line and flush it: the program that started us may be waiting for it."""
    click.echo(text)
    sys.stdout.flush()


_OF_WATCHED_FILES: Final = frozenset({"FILE_GONE", "FILE_CHANGED", "FOLDER_DOWN"})
"""Advice that promises that a file is sent by itself later, which holds in watched folders alone."""


def of_unwatched_file(cause: Cause) -> Cause:
    """Return the cause of a delivery of `send` with advice that suits a file which nobody watches."""
    return replace(cause, advice="SEND_AGAIN") if cause.advice in _OF_WATCHED_FILES else cause
