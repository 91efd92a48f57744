"""One request, one answer, over pooled connections, with bounds on time and size.

requests knows proxies and certificates as admins do, so its adapter chooses the pool of connections for a
host, once. Each request goes straight to that pool: requests would prepare it from the environment, cookies
and redirects, and none of that is wanted here. Both calls of a 4 KiB file take 0.8 ms of CPU together, and
1.2 ms through the adapter's own `send` (1,500 pairs against a server on the same machine, Python 3.11).
"""

from __future__ import annotations

import http.client
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import requests
from urllib3 import BaseHTTPResponse, Timeout
from urllib3.exceptions import HTTPError

from dingwatch import __version__
from dingwatch.dingtalk import trust
from dingwatch.dingtalk.errors import verdict_of_exception
from dingwatch.dingtalk.trust import TrustStore
from dingwatch.dingtalk.wire import (
    LARGEST_ANSWER,
    MOST_HOSTS,
    Adapter,
    Body,
    Bound,
    Limits,
    LocalError,
    Route,
    Stream,
    connect_seconds,
    origin_of,
)
from dingwatch.model import Cause, Failure, Misconfigured, Scope

USER_AGENT: Final = f"dingwatch/{__version__}"
BLOCK: Final = 1 << 16
SLOWEST: Final = 1 << 16
"""Bytes per second below which a download is given up."""
# The libraries raise ValueError too: for a negative chunk size, for instance.
_RAISED: Final = (requests.RequestException, HTTPError, OSError, http.client.HTTPException, ValueError)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Timeouts in seconds.

    `connect` bounds a new connection, and each 64 KiB that are written; `read` the silence before and within
    an answer, `upload` the same for uploads; `answer` the whole answer, beyond that silence.
    """

    connect: float = 10.0
    read: float = 30.0
    upload: float = 120.0
    answer: float = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Sink(Protocol):
    """A buffered binary file, or anything else that a download can be written into."""

    def write(self, block: bytes, /) -> object:
        """Write all of a block."""


def multipart(
    field: str,
    name: str,
    content: bytes | memoryview,
    boundary: str,
    fields: Mapping[str, str] | None = None,
) -> Body:
    """Return a multipart body of form fields and one buffer, which is not copied.

    The filename is raw UTF-8, as DingTalk's own clients send it (API sheet 12); DingTalk may not read
    `filename*`. Characters that could end the header or name a directory are replaced.
    """
    head = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{one}"\r\n\r\n{value}\r\n'
        for one, value in (fields or {}).items()
    )
    head += (
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="{field}"; filename="{name.translate(_HARMLESS)}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return Body(head.encode("utf-8", "replace"), content, f"\r\n--{boundary}--\r\n".encode())


# Only control characters: a full-width space or the joiner inside an emoji is part of a name.
_CONTROL: Final = (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)
_HARMLESS: Final = dict.fromkeys(_CONTROL, "_") | str.maketrans(
    {'"': "%22", "\n": "%0A", "\r": "%0D", "/": "_", "\\": "_"}
)


def _without_address(record: logging.LogRecord) -> bool:
    """Return whether a line of urllib3's may be logged: they hold addresses, and oapi's hold the token."""
    return record.levelno >= logging.ERROR


class Transport:
    """Makes requests. Opens nothing before the first; safe to use from several threads.

    Attributes:
        trust: whose certificates it believes.
    """

    def __init__(
        self,
        *,
        pool: int,
        clock: Callable[[], float],
        timeouts: Timeouts,
        monotonic: Callable[[], float],
    ) -> None:
        self.trust = trust.choose_store(os.environ)
        self._adapter = Adapter(
            Limits(clock, monotonic, timeouts.answer),
            pool=pool,
            make_context=trust.system_context if self.trust is TrustStore.SYSTEM else None,
        )
        self._connect, self._answer = timeouts.connect, timeouts.answer
        self._routes: dict[str, Route] = {}
        self._verify: str | bool = trust.bundle(os.environ) or True
        for name in ("urllib3.connection", "urllib3.connectionpool", "urllib3.util.retry"):
            logging.getLogger(name).addFilter(_without_address)

    def close(self) -> None:
        """Close all connections."""
        self._adapter.close()

    def exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: Body | Stream | None, *, silence: float
    ) -> Answer:
        """Make one request and read its whole answer; `silence` is the longest wait for the next byte.

        Raises:
            Failure: NotReached, NoAnswer, or Misconfigured for a malformed address; neither it nor its
                context holds the address.
            LocalError: with what the body's source raised.
        """
        response = self._open(method, url, headers, body, silence)
        with response:
            return _whole(response)

    def receive(
        self,
        url: str,
        headers: Mapping[str, str],
        into: Sink,
        wanted: Callable[[int, Mapping[str, str]], bool],
        *,
        limit: int,
        silence: float,
    ) -> int | Answer:
        """Download up to `limit` bytes into a sink; return how many there were.

        If its status and headers are not `wanted`, the answer is returned whole instead.

        Raises:
            Failure: NotReached, NoAnswer, Misconfigured as above; NoAnswer also if there is more.
            LocalError: with what the sink raised.
        """
        # Framing takes little: an eighth covers chunks of a few dozen bytes.
        bound = Bound(limit + limit // 8 + LARGEST_ANSWER, self._answer + limit / SLOWEST)
        response = self._open("GET", url, headers, None, silence, bound)
        with response:
            if not wanted(response.status, response.headers):
                return _whole(response)
            return _copy(response, into, limit)

    def _open(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: Body | Stream | None,
        silence: float,
        bound: Bound | None = None,
    ) -> BaseHTTPResponse:
        try:
            return self._route(url).open(
                method,
                url,
                {"User-Agent": USER_AGENT, **headers},
                body or None,
                timeout=Timeout(connect=connect_seconds(self._connect), read=silence),
                bound=bound,
            )
        except _RAISED as error:
            verdict = verdict_of_exception(error, sent=body.sent if body else None)
        raise Failure(verdict)  # outside the handler: as __context__ the exception would show the address

    def _route(self, url: str) -> Route:
        """Return how to reach an address's host; the environment's proxies are read for its first request."""
        origin = origin_of(url)
        if (route := self._routes.get(origin)) is not None:
            return route
        prepared = requests.Request("GET", url).prepare()  # raises for a malformed address
        proxies = _environment_proxies(url)
        # requests would ask for a package that makes connections of its own, without our limits.
        if (proxy := requests.utils.select_proxy(url, proxies)) and proxy.lower().startswith("socks"):
            raise Failure(Misconfigured(Cause("socks_proxy", "", "SOCKS"), Scope.APP))
        if len(self._routes) >= MOST_HOSTS:
            self._routes.clear()  # the adapter still has the pools of those used last
        route = self._routes[origin] = self._adapter.route(prepared, verify=self._verify, proxies=proxies)
        return route


def _whole(response: BaseHTTPResponse) -> Answer:
    """Read a whole answer; the wire is bounded already, this bounds what it unpacks to."""
    body = bytearray()
    while block := _next(response):
        body += block
        if len(body) > LARGEST_ANSWER:
            raise _endless()
    return Answer(response.status, response.headers, bytes(body))


def _copy(response: BaseHTTPResponse, into: Sink, limit: int) -> int:
    """Write an answer's body into a sink, up to `limit` bytes; return how many there were."""
    size = 0
    while block := _next(response):
        size += len(block)
        if size > limit:
            raise _endless()
        try:
            into.write(block)
        except Exception as error:  # noqa: BLE001 (whatever a sink may raise)
            raise LocalError(error) from None
    return size


def _next(response: BaseHTTPResponse) -> bytes:
    try:
        return bytes(response.read(BLOCK, decode_content=True))
    except _RAISED as error:
        verdict = verdict_of_exception(error, sent=True)
    raise Failure(verdict)  # as above


def _endless() -> Failure:
    return Failure(verdict_of_exception(TimeoutError("endless"), sent=True))


def proxy_of(url: str) -> str | None:
    """Return `host:port` of the proxy that the environment names for an address, without its credentials.

    None if requests go directly; `$NO_PROXY` counts.
    """
    proxy = requests.utils.select_proxy(url, _environment_proxies(url))
    if not proxy:
        return None
    # By hand: urlsplit refuses `http://[::1`, and the host of `http://me:pass/word@host` is `me:pass` to it.
    return proxy.rpartition("@")[2].rpartition("//")[2].partition("/")[0]


def _environment_proxies(url: str) -> dict[str, str]:
    """Return the proxies for an address; none where `$NO_PROXY` excepts it.

    `docker run --env-file` takes the quotes of `HTTPS_PROXY="http://proxy:3128"` for a part of the value.
    """
    excepted = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    found = requests.utils.get_environ_proxies(url, no_proxy=_unquote(excepted) or None)
    return {scheme: _unquote(proxy) for scheme, proxy in found.items()}


def _unquote(value: str) -> str:
    return value.strip().strip("'\"").strip()
