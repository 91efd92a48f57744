"""The ledger: versions, deliveries, uploads, history, pauses and calls, in SQL."""

from dingwatch.ledger.store import LedgerError, Store, sqlite_url

__all__ = ["LedgerError", "Store", "sqlite_url"]
