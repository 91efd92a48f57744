"""The ledger: versions, deliveries, uploads, history, pauses and calls, in SQL."""

from dingwatch.ledger.sqlite import sqlite_url
from dingwatch.ledger.store import Outage, Store
from dingwatch.model import LedgerError

__all__ = ["LedgerError", "Outage", "Store", "sqlite_url"]
