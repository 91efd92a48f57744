"""A ledger that cannot be used for a while: said once when it begins, and once when it has ended."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from dingwatch.ledger.store import LedgerError
from dingwatch.texts import Log

RETRY_SECONDS: Final = 1.0
"""How long to wait before a ledger that could not be used is tried again."""


class Outage:
    """Shared by all that use the ledger, each in a thread of its own.

    It begins with the first that meets it, and ends when all that met it could work again.
    """

    def __init__(self, log: Callable[..., None]) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._met: set[object] = set()

    def began(self, who: object, error: LedgerError) -> None:
        """Someone cannot use the ledger."""
        with self._lock:
            if not self._met:
                cause = error.cause
                self._log(Log.LEDGER_DOWN, code=cause.code, message=cause.message, advice=cause.advice)
            self._met.add(who)

    def ended(self, who: object) -> None:
        """Someone used the ledger, as if nothing had been."""
        with self._lock:
            if self._met == {who}:
                self._log(Log.LEDGER_BACK)
            self._met.discard(who)

    def met_by(self, who: object) -> bool:
        """Say whether someone cannot use the ledger."""
        return who in self._met
