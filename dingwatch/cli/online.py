"""The calls that a command makes itself: counted, and explained when they fail."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Final

import click

from dingwatch import quota
from dingwatch.cli.context import Session
from dingwatch.config import ConfigError
from dingwatch.dingtalk import BILLED, Account, Client, Host, proxy_of
from dingwatch.ledger import LedgerError, Store, calls
from dingwatch.model import Cause, Verdict
from dingwatch.service import account_of, ledger_url
from dingwatch.texts import Diagnosis, Text


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
            before = calls.total(connection, quota.month(now), BILLED)
            calls.count(store, connection, quota.day(now), self._made)
            self._warn(before, before + sum(self._made[api] for api in BILLED), now)

    def _warn(self, before: int, after: int, now: float) -> None:
        limit = self._session.config.dingtalk.monthly_calls
        if quota.crossed(before, after, limit) is not None:
            text, values = quota.told(quota.use(after, limit, now))
            click.echo(self._session.say(text, **values), err=True)


def connected(account: Account, count: Callable[[str], None]) -> Client:
    """Return a client that keeps to no pace and notes its calls by `count`: a person asked for a few."""
    return Client(
        account,
        gate=lambda _: None,
        count=count,
        sleep=lambda seconds: time.sleep(float(seconds)),
        clock=time.time,
        monotonic=time.monotonic,
    )


@contextmanager
def calling(session: Session) -> Iterator[Client]:
    """Yield a client of the configuration's app; its calls are added to the month's."""
    meter = Meter(session)
    try:
        with connected(account_of(session.config.dingtalk), meter.count) as client:
            yield client
    finally:
        meter.write()


# As DingTalk names its permissions: `qyapi_robot_sendmsg`, `Storage.File.Write`.
_SCOPE: Final = re.compile(r"\bqyapi_\w+|\b[A-Z]\w+(?:\.[A-Z]\w+){1,3}")
_ADDRESS: Final = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])")
_UNHEARD: Final = {"UNREACHABLE", "NO_ANSWER", "GATE_PAGE", "ADDRESS"}
"""Advice of failures that a proxy may be behind."""


def describe_failure(session: Session, text: Text, verdict: Verdict, url: str, **values: object) -> str:
    """Say what did not work with a call to an address, why, and what a person can do."""
    cause = verdict.cause
    return session.say(text, reason=session.reason(cause), advice=advice(session, cause, url), **values)


def advice(session: Session, cause: Cause, url: str) -> str:
    """Return what a person can do about a cause that a call to this address had."""
    proxy = proxy_of(url)
    scopes = ", ".join(dict.fromkeys(_SCOPE.findall(cause.message)))
    address = _ADDRESS.search(cause.message)
    if cause.advice == "PERMISSION" and scopes:
        return session.say(Diagnosis.SCOPE, scopes=scopes)
    if cause.advice == "IP_LIST" and address:
        return session.say(Diagnosis.IP, address=address[0])
    if cause.advice == "CERTIFICATE":
        return _certificate(session, cause)
    if proxy is not None and cause.advice in _UNHEARD:
        login = "HTTP 407" in cause.message
        return session.say(Diagnosis.PROXY_LOGIN if login else Diagnosis.PROXY, proxy=proxy)
    if cause.advice == "GATE_PAGE":
        return session.say(Diagnosis.GATE_PAGE)
    return session.advice(cause.advice)


def _certificate(session: Session, cause: Cause) -> str:
    """Tell a wrong clock from a proxy that shows a certificate of its own, by OpenSSL's words."""
    if "expired" in cause.message or "not yet valid" in cause.message:
        return session.say(Diagnosis.EXPIRED)
    if "self-signed" in cause.message or "local issuer" in cause.message:
        return session.say(Diagnosis.INTERCEPTED)
    return session.advice(cause.advice)


def address_of(host: Host, api_url: str, oapi_url: str) -> str:
    """Return the address of a host."""
    return api_url if host is Host.API else oapi_url
