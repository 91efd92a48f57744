"""Signed addresses of the drive's store: for some minutes whoever holds one needs no token."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from dingwatch.dingtalk import answers
from dingwatch.model import TokenRejected

LIFE: Final = 900
"""Seconds that a signature is good for where the answer does not say: those of the documents' examples."""
LONGEST_LIFE: Final = 86400
"""Seconds; an answer that says more is not believed."""
MOST_HEADERS: Final = 32
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HOST: Final = re.compile(r"(?!.{254})[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*")
_FRAMING: Final = frozenset({"connection", "content-length", "expect", "trailer", "transfer-encoding"})
"""Headers that say where a request ends; no signature may change them."""


class SignatureExpired(TokenRejected):
    """The signature of an address has expired: the same request goes to a new address."""


@dataclass(frozen=True, slots=True)
class SignedAddress:
    """The URLs to upload or download an entry's bytes, and the headers for it, all of them and no others.

    `urls` are alternatives, the best first (KB:0677); `expires_at` is by the wall clock.
    """

    urls: tuple[str, ...] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    expires_at: float
    region: str = ""

    @property
    def url(self) -> str:
        """The best URL. A browser cannot open it, because it lacks the headers."""
        return self.urls[0]

    @property
    def secrets(self) -> tuple[str, ...]:
        """Its parts that no message may repeat."""
        return (*self.headers.values(), *self.urls)


def parse_address(answer: Mapping[str, Any], now: float, api_url: str) -> SignedAddress:
    """Read a `headerSignatureInfo` (KB:0674, KB:0677, KB:0678) that came from `api_url` at `now`.

    `internalResourceUrls` is left out, as the documents say. Which schemes DingTalk sends is unverified;
    without encryption the file's bytes go only to this machine, or to the host that was itself asked so. An
    answer without a URL that may be used counts as no answer.
    """
    signature = answers.members(answer, "headerSignatureInfo")
    urls = tuple(url for url in answers.texts(signature, "resourceUrls") if _is_safe(url, api_url))
    if not urls:
        raise answers.without("https resourceUrls")
    seconds = answers.whole(signature, "expirationSeconds") or LIFE
    return SignedAddress(
        urls=urls,
        headers=_headers(signature),
        expires_at=now + (seconds if seconds <= LONGEST_LIFE else LIFE),
        region=answers.label(signature, "region"),
    )


def _is_safe(url: str, api_url: str) -> bool:
    """Return whether bytes may go to a URL: it is whole, and encrypted or close by."""
    try:
        parts, api = urlsplit(url), urlsplit(api_url)
        parts.port  # noqa: B018 (raises ValueError if it is no number)
    except ValueError:
        return False
    if " " in url or "@" in parts.netloc or not _has_host(parts):
        return False
    near = _is_loopback(parts.hostname) or (api.scheme == "http" and parts.hostname == api.hostname)
    return parts.scheme == "https" or (parts.scheme == "http" and near)


def _has_host(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    return _as_address(host) is not None or _HOST.fullmatch(host) is not None


def _is_loopback(host: str | None) -> bool:
    """Return whether a host's name is this machine's own."""
    address = _as_address(host or "")
    return host == "localhost" or (address is not None and address.is_loopback)


def _as_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _headers(signature: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the signed headers; those that no request can carry make the answer none."""
    headers = signature.get("headers")
    if headers is None:
        return {}
    if not isinstance(headers, dict) or len(headers) > MOST_HEADERS:
        raise answers.without("headers")
    if not all(_fits(name, value) for name, value in headers.items()):
        raise answers.without("headers")
    return headers


def _fits(name: str, value: object) -> bool:
    """Return whether a request can carry a header, and stays one request."""
    if not isinstance(value, str) or len(value) > answers.LONGEST:
        return False
    named = _HEADER_NAME.fullmatch(name) is not None and name.lower() not in _FRAMING
    return named and value.isascii() and value.isprintable()
