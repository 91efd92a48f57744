"""A command's own calls to DingTalk: counted against the quota, and explained when they fail."""

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
    """Counts the calls of a command; `write` adds them to the month's, where there is a ledger."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._counts: Counter[str] = Counter()

    def count(self, api: str) -> None:
        """Count one request."""
        self._counts[api] += 1

    def write(self) -> None:
        """Add the calls to the month's; a ledger that cannot be used is no failure of the command."""
        session, now = self._session, time.time()
        with suppress(ConfigError):  # `init` may have been told to write a config that does not load yet
            session.load_config()
            self._add(session, now)

    def _add(self, session: Session, now: float) -> None:
        if not session.ledger_supported or not session.ledger_exists:
            return
        with (
            suppress(LedgerError),
            closing(Store.open(ledger_url(session.config))) as store,
            store.writing() as connection,
        ):
            before = calls.total(connection, quota.month(now), BILLED)
            calls.count(store, connection, quota.day(now), self._counts)
            self._warn(before, before + sum(self._counts[api] for api in BILLED), now)

    def _warn(self, before: int, after: int, now: float) -> None:
        limit = self._session.config.dingtalk.monthly_calls
        if quota.crossed(before, after, limit) is not None:
            text, values = quota.describe(quota.use(after, limit, now))
            click.echo(self._session.render(text, **values), err=True)


def make_client(account: Account, count: Callable[[str], None]) -> Client:
    """Return a client without a pace limit, for the few calls of a command; `count` hears of each."""
    return Client(
        account,
        gate=lambda _: None,
        count=count,
        sleep=lambda seconds: time.sleep(float(seconds)),
        clock=time.time,
        monotonic=time.monotonic,
    )


@contextmanager
def open_client(session: Session) -> Iterator[Client]:
    """Yield a client of the configured app; its calls are added to the month's at the end."""
    meter = Meter(session)
    try:
        with make_client(account_of(session.config.dingtalk), meter.count) as client:
            yield client
    finally:
        meter.write()


_PERMISSION: Final = re.compile(r"\bqyapi_\w+|\b[A-Z]\w+(?:\.[A-Z]\w+){1,3}")
"""DingTalk's names of permissions: `qyapi_robot_sendmsg`, `Storage.File.Write`."""
_IP_ADDRESS: Final = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])")
_MAYBE_PROXY: Final = {"UNREACHABLE", "NO_ANSWER", "GATE_PAGE", "ADDRESS"}
"""Advice of failures that a proxy may cause."""


def describe_failure(session: Session, text: Text, verdict: Verdict, url: str, **values: object) -> str:
    """Return a sentence on a call to an address that failed, with its cause and what a person can do."""
    return session.render(text, verdict.cause, advice=advice(session, verdict.cause, url), **values)


def advice(session: Session, cause: Cause, url: str) -> str:
    """Return what a person can do about the cause of a failed call, as far as it can be known from here.

    It names the missing permission, the IP address to allow, or the proxy in between.
    """
    proxy = proxy_of(url)
    scopes = ", ".join(dict.fromkeys(_PERMISSION.findall(cause.message)))
    address = _IP_ADDRESS.search(cause.message)
    if cause.advice == "PERMISSION" and scopes:
        return session.render(Diagnosis.SCOPE, scopes=scopes)
    if cause.advice == "IP_LIST" and address:
        return session.render(Diagnosis.IP, address=address[0])
    if cause.advice == "CERTIFICATE":
        return _certificate(session, cause)
    if proxy is not None and cause.advice in _MAYBE_PROXY:
        login = "HTTP 407" in cause.message
        return session.render(Diagnosis.PROXY_LOGIN if login else Diagnosis.PROXY, proxy=proxy)
    if cause.advice == "GATE_PAGE":
        return session.render(Diagnosis.GATE_PAGE)
    return session.advice(cause.advice)


def _certificate(session: Session, cause: Cause) -> str:
    """Distinguish a wrong clock from a proxy that presents its own certificate, by OpenSSL's message."""
    if "expired" in cause.message or "not yet valid" in cause.message:
        return session.render(Diagnosis.EXPIRED)
    if "self-signed" in cause.message or "local issuer" in cause.message:
        return session.render(Diagnosis.INTERCEPTED)
    return session.advice(cause.advice)


def address_of(host: Host, api_url: str, oapi_url: str) -> str:
    """Return the address of a host."""
    return api_url if host is Host.API else oapi_url
