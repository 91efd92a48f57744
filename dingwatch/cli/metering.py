"""The calls that a command makes itself: added to the month's, and warned of as the service does."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import closing, suppress

import click

from dingwatch import quota
from dingwatch.cli.context import Session
from dingwatch.config import ConfigError
from dingwatch.dingtalk import BILLED
from dingwatch.ledger import LedgerError, Store, calls
from dingwatch.service import ledger_url


class Meter:
    """Counts calls; `write` adds them to the month's, where there is a ledger to add them to."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._made: Counter[str] = Counter()

    def count(self, api: str) -> None:
        """Note one request."""
        self._made[api] += 1

    def write(self) -> None:
        """Add what was counted; a command's result is worth more than its own calls, so nothing is raised."""
        session, now = self._session, time.time()
        with suppress(ConfigError):  # one that cannot be used has no ledger to add them to
            session.loaded()
            self._add(session, now)

    def _add(self, session: Session, now: float) -> None:
        if not session.ledger_served or not session.ledger_exists:
            return
        with (
            suppress(LedgerError),
            closing(Store.open(ledger_url(session.config))) as store,
            store.writing() as connection,
        ):
            before = calls.used(connection, quota.month(now), BILLED)
            calls.count(store, connection, quota.day(now), self._made)
            self._warn(before, before + sum(self._made[api] for api in BILLED), now)

    def _warn(self, before: int, after: int, now: float) -> None:
        limit = self._session.config.dingtalk.monthly_calls
        if quota.crossed(before, after, limit) is not None:
            text, values = quota.told(quota.use(after, limit, now))
            click.echo(self._session.say(text, **values), err=True)
