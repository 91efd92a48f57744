"""A command's own calls to DingTalk: counted against the quota, and explained when they fail."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Final

import click

from dingwatch import quota
from dingwatch.cli.context import Session
from dingwatch.cli.ledger_access import ledger_exists, ledger_url
from dingwatch.config.values import ConfigError
from dingwatch.dingtalk import BILLED, Account, Client, Host, proxy_of
from dingwatch.ledger import LedgerError, Store, calls
from dingwatch.model import Cause, Verdict
from dingwatch.service.folders import account_of
from dingwatch.texts import Diagnosis, Purpose, Text


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
        with suppress(LedgerError):
            if not ledger_exists(session):
                return
            with closing(Store.open(ledger_url(session), session.node)) as store:
                self._add_to(store, now)

    def _add_to(self, store: Store, now: float) -> None:
        with store.writing() as connection:
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


ROBOTS_PERMISSION: Final = "qyapi_chat_manage"
"""The permission to see which robots are in a group (KB:0726)."""
SPACE_PERMISSION: Final = "ConvFile.Space.Read"
"""The permission to see a group's file space (KB:0640)."""
_PERMISSION: Final = re.compile(r"\bqyapi_\w+|\b[A-Z]\w+(?:\.[A-Z]\w+){1,3}")
"""DingTalk's names of permissions: `qyapi_robot_sendmsg`, `Storage.File.Write`."""
_PURPOSES: Final[Mapping[str, Purpose]] = {
    "qyapi_robot_sendmsg": Purpose.SEND,
    ROBOTS_PERMISSION: Purpose.ROBOTS,
    "qyapi_chat_read": Purpose.CONVERT,
    "qyapi_get_member": Purpose.PERSONS,
    "Storage.DownloadInfo.Read": Purpose.FETCH,
    "Storage.File.Read": Purpose.OPEN,
    SPACE_PERMISSION: Purpose.OPERATOR,
    "Storage.": Purpose.DRIVE,
    "ConvFile.": Purpose.DRIVE,
}
"""Purposes of permissions, by their names or prefixes, the most specific first."""
_IP_ADDRESS: Final = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])")
_MAYBE_PROXY: Final = {"UNREACHABLE", "NO_ANSWER", "GATE_PAGE", "ADDRESS"}
"""Advice of failures that a proxy may cause."""


def describe_failure(
    session: Session, text: Text, verdict: Verdict, url: str, *, permission: str = "", **values: object
) -> str:
    """Return a sentence on a call to an address that failed, with its cause and what a person can do."""
    told = advice(session, verdict.cause, url, permission)
    return session.render(text, verdict.cause, advice=told, **values)


def advice(session: Session, cause: Cause, url: str, permission: str = "") -> str:
    """Return what a person can do about the cause of a failed call, as far as it can be known from here.

    It names the missing permission (`permission` if DingTalk does not say which), the IP address to allow, or
    the proxy in between.
    """
    proxy = proxy_of(url)
    scopes = tuple(dict.fromkeys(_PERMISSION.findall(cause.message))) or (permission,) * bool(permission)
    address = _IP_ADDRESS.search(cause.message)
    if cause.advice == "PERMISSION" and scopes:
        return _missing(session, scopes)
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


def _missing(session: Session, scopes: Sequence[str]) -> str:
    """Name permissions, what each is for, and where to request them."""
    purposes = (
        next((text for name, text in _PURPOSES.items() if scope.startswith(name)), None) for scope in scopes
    )
    known = [session.render(text) for text in dict.fromkeys(purposes) if text is not None]
    purpose = session.render(Purpose.FOR, purposes="; ".join(known)) if known else ""
    return session.render(Diagnosis.SCOPE, scopes=", ".join(scopes), purpose=purpose)


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
