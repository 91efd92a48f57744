"""The driver of PostgreSQL, which comes with an extra: an installation for one host has none."""

from __future__ import annotations

from dingwatch.model import Cause, LedgerError


def require_driver() -> None:
    """Import the driver.

    Raises:
        LedgerError: it is not installed, or lacks the library of PostgreSQL that it needs.
    """
    try:
        import psycopg  # noqa: F401, PLC0415 (5 MB, of no use with SQLite)
    except ImportError as error:
        # psycopg lists each attempt to find libpq in a line of its own.
        raise LedgerError(Cause("no_driver", " ".join(str(error).split()), "LEDGER_DRIVER")) from error
