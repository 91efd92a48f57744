"""What to do about a failure of DingTalk's, by all that can be known from here: its words, and the proxy."""

from __future__ import annotations

import re
from typing import Final

from dingwatch.cli.context import Session
from dingwatch.dingtalk import Host, proxy_of
from dingwatch.model import Cause, Verdict
from dingwatch.texts import Diagnosis, Text

# As DingTalk names its permissions: `qyapi_robot_sendmsg`, `Storage.File.Write`.
_SCOPE: Final = re.compile(r"\bqyapi_\w+|\b[A-Z]\w+(?:\.[A-Z]\w+){1,3}")
_ADDRESS: Final = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])")
_UNHEARD: Final = {"UNREACHABLE", "NO_ANSWER", "GATE_PAGE", "ADDRESS"}
"""Advice of failures that a proxy may be behind."""


def told(session: Session, text: Text, verdict: Verdict, url: str, **values: object) -> str:
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
