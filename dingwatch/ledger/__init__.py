"""The ledger: versions, deliveries, uploads, history, pauses and calls, in SQL."""

from dingwatch.ledger.store import LedgerError, Outage, Store, sqlite_url

__all__ = ["LedgerError", "Outage", "Store", "sqlite_url"]
