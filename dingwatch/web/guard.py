"""Admit or refuse a request by its host name, origin, token or login cookie. Pure.

A page of another site can have a browser on this network send requests here. By DNS rebinding it can even
read the answers, because to the browser both are one site. So the name by which we are called is checked, and
what changes something must come from our own pages, or from a script.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit

from dingwatch.config.values import Http, TcpAddress
from dingwatch.service.actions import RefusedError
from dingwatch.texts import Web

COOKIE: Final = "dingwatch"
LOGIN_SECONDS: Final = 30 * 86400
"""How long a login lasts."""
FORBIDDEN: Final = 403
UNAUTHORISED: Final = 401
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_ANY: Final = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 (nothing listens here)
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Gatekeeper:
    """Decides which requests to `http.listen` are answered; those on the control socket need none.

    `current` returns the settings: a reload may change the token and the hosts.
    """

    current: Callable[[], Http]

    @property
    def http(self) -> Http:
        """The settings in force."""
        return self.current()

    @property
    def needs_token(self) -> bool:
        """Whether a token must be sent."""
        return self.http.token is not None

    def check_host(self, host: str, reached: str | None) -> None:
        """Refuse a name by which we are not called; `reached` is the address that the client has reached.

        Raises:
            RefusedError: the Host header names somebody else.
        """
        name, http = _name_of(host), self.http
        listen = http.listen
        allowed = {*_LOCAL, *map(_name_of, http.hosts)}
        if isinstance(listen, TcpAddress):
            allowed.add(_plain(listen.host))
            # No site can have its name resolved to what is a number itself.
            if listen.host in _ANY and reached is not None:
                allowed.add(_plain(reached))
        if name not in allowed - {""}:
            raise RefusedError(FORBIDDEN, "host", Web.BAD_HOST, host=host[:200])

    def check_token(self, headers: Mapping[str, str], cookie: str, now: float) -> None:
        """Refuse a request without the token, or a login that was made with it.

        Raises:
            RefusedError: neither is there, or it is wrong.
        """
        token = self.http.token
        if token is None:
            return
        kind, _, given = headers.get("Authorization", "").partition(" ")
        if kind.lower() == "bearer":
            if self.is_token(given.strip()):
                return
            raise RefusedError(UNAUTHORISED, "wrong_token", Web.WRONG_TOKEN)
        if not self._is_login(cookie, now):
            raise RefusedError(UNAUTHORISED, "no_token", Web.NO_TOKEN)

    def is_token(self, given: str) -> bool:
        """Compare with the token, in a time that tells nothing of it."""
        token = self.http.token
        return bool(token) and hmac.compare_digest(_digest(given), _digest(token or ""))

    def make_login(self, now: float) -> str:
        """Return the cookie of a login: until when it is good, signed with the token.

        It outlives a restart, ends with a changed token, and does not hold the token.
        """
        until = str(int(now) + LOGIN_SECONDS)
        return f"{until}.{self._sign(until)}"

    def _is_login(self, cookie: str, now: float) -> bool:
        until, _, signature = cookie.partition(".")
        signed = hmac.compare_digest(_digest(signature), _digest(self._sign(until)))
        return signed and until.isascii() and until.isdigit() and now < int(until[:12])

    def _sign(self, until: str) -> str:
        key = (self.http.token or "").encode("utf-8", "surrogateescape")
        return hmac.new(key, f"dingwatch login {until}".encode("utf-8", "surrogatepass"), sha256).hexdigest()


def check_site(headers: Mapping[str, str]) -> None:
    """Refuse what the page of another site has a browser send; a script sends neither header.

    Raises:
        RefusedError: it comes from elsewhere.
    """
    site, origin = headers.get("Sec-Fetch-Site"), headers.get("Origin")
    foreign = site is not None and site.lower() not in {"same-origin", "none"}
    if foreign or (origin is not None and not _same_origin(origin, headers.get("Host", ""))):
        raise RefusedError(FORBIDDEN, "foreign", Web.FOREIGN)


def _same_origin(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
        default = _DEFAULT_PORTS[parts.scheme]
        here = urlsplit(f"//{host}")
        return bool(parts.hostname) and (parts.hostname, parts.port or default) == (
            here.hostname,
            here.port or default,
        )
    except (ValueError, KeyError):  # `null`, of a page without an origin
        return False


def _name_of(host: str) -> str:
    """Return the name in a Host header, without its port; empty where it makes no sense."""
    if any(c in host for c in "/\\@?#, \t"):
        return ""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port
        return _plain((parts.hostname or "").rstrip("."))
    except ValueError:
        return ""


def _plain(host: str) -> str:
    """Return an address in its usual form, and a name in lower case."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host.lower()
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _digest(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogateescape")).digest()
