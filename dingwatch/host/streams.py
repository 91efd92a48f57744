"""The standard streams, which may be closed, full, or lead to a reader that has gone.

A write to stdout that fails raises `OutputError`, which is no OSError: it says nothing of the disk that holds
the ledger. Writes to stderr never fail.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Any, Final, TextIO

_STDIN: Final = 0


class OutputError(Exception):
    """Output did not arrive; holds the system's error."""

    def __init__(self, error: OSError) -> None:
        super().__init__(error.strerror)
        self.error = error


class _Output(io.FileIO):
    """Stdout; after its first failure it takes everything, so that the interpreter's last flush is quiet."""

    failed = False

    def write(self, data: Any, /) -> int:  # noqa: ANN401 (any buffer)
        if self.failed:
            return memoryview(data).nbytes
        try:
            return super().write(data)
        except OSError as error:
            self.failed = True
            failure = OutputError(error)
        raise failure


class _Errors(io.FileIO):
    """Stderr, where nobody can be told of a failure."""

    def write(self, data: Any, /) -> int:  # noqa: ANN401 (any buffer)
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


def open_streams() -> None:
    """Replace the standard streams of this process by those that `OutputError` comes from."""
    # The ledger must not become descriptor 1, on which a library may print. A descriptor that may only be
    # read stands in for a closed stdout: a write to it fails as one to the closed stdout does.
    for descriptor, flags in ((_STDIN, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, flags)  # takes the lowest number that is free, which is this one
    if sys.stdin is None:
        sys.stdin = open(_STDIN, encoding="utf-8", closefd=False)  # noqa: SIM115 (for the whole process)
    sys.stdout = _text(_Output(1, "w", closefd=False), sys.stdout)
    sys.stderr = _text(_Errors(2, "w", closefd=False), sys.stderr)


def _text(raw: io.FileIO, before: TextIO | None) -> TextIO:
    # Without `backslashreplace`, `history` in the C locale would end at the first Chinese name.
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=before.encoding if before is not None else "utf-8",
        errors="backslashreplace",
        line_buffering=raw.isatty() or isinstance(raw, _Errors),
        write_through=bool(getattr(before, "write_through", False)),
    )
