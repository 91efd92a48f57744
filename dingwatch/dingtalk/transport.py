"""One request, one answer: pooled connections whose proxies are read once, with every cost bounded.

requests' adapter is driven directly: looking up the environment, cookies and redirects for each call
is half of what `Session.request` costs, and none of it is wanted here. Both calls of a 4 KiB file take
1.2 ms of CPU together (measured: 800 pairs against a server on the same machine, Python 3.11).
"""

from __future__ import annotations

import http.client
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError

from dingwatch.dingtalk.errors import verdict_of_exception
from dingwatch.dingtalk.wire import LARGEST_ANSWER, Adapter, Body, Bound, Limits, LocalError, Stream
from dingwatch.model import Failure

BLOCK: Final = 1 << 16
SLOWEST: Final = 1 << 16
"""Bytes a second below which a download is given up."""
# What a library may raise for an answer that is nonsense: a negative chunk size is a ValueError.
_RAISED: Final = (requests.RequestException, HTTPError, OSError, http.client.HTTPException, ValueError)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds.

    `connect` is for a connection, and for each 64 KiB that are written; `read` is the longest silence
    before and within an answer, `upload` the same for an upload; `answer` is what a whole answer may take
    beyond that silence.
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
    """The destination of a download: a buffered binary file, or the like."""

    def write(self, block: bytes, /) -> object:
        """Take all of a block."""


def multipart(field: str, name: str, content: bytes | memoryview, boundary: str) -> Body:
    """Return a multipart body around one buffer, which is not copied.

    The filename is raw UTF-8, as DingTalk's own clients send it (API sheet 12): a `filename*` alone may
    not be read. What could end the header or name a directory is made harmless.
    """
    head = (
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
    """Keep urllib3's own lines out of the log: they hold addresses, and those of oapi hold the token."""
    return record.levelno >= logging.ERROR


class Transport:
    """Makes requests. Opens nothing before the first; safe to use from several threads."""

    def __init__(
        self,
        *,
        pool: int,
        clock: Callable[[], float],
        timeouts: Timeouts,
        monotonic: Callable[[], float],
    ) -> None:
        self._adapter = Adapter(Limits(clock, monotonic, timeouts.answer), pool=pool)
        self._connect, self._answer = timeouts.connect, timeouts.answer
        self._proxies: dict[str, dict[str, str]] = {}
        self._verify: str | bool = (
            os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
        )
        for name in ("urllib3.connection", "urllib3.connectionpool", "urllib3.util.retry"):
            logging.getLogger(name).addFilter(_without_address)

    def close(self) -> None:
        """Close all connections."""
        self._adapter.close()

    def exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: Body | Stream | None, *, silence: float
    ) -> Answer:
        """Make one request and read its whole answer; `silence` is the longest wait for a next byte.

        Raises:
            Failure: NotReached, NoAnswer, or Misconfigured for an address that is none; nothing of the
                address is in it, nor in an exception behind it.
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
        """Get what lies at an address and write it, up to `limit` bytes; return how many there were.

        An answer whose status and headers are not `wanted` is returned whole instead.

        Raises:
            Failure: NotReached, NoAnswer, Misconfigured as above; NoAnswer too when there is more.
            LocalError: with what the sink raised.
        """
        # Framing takes little: an eighth covers chunks of a few dozen bytes.
        bound = Bound(limit + limit // 8 + LARGEST_ANSWER, self._answer + limit / SLOWEST)
        response = self._open("GET", url, headers, None, silence, bound)
        with response:
            if not wanted(response.status_code, response.headers):
                return _whole(response)
            return _copied(response, into, limit)

    def _open(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: Body | Stream | None,
        silence: float,
        bound: Bound | None = None,
    ) -> requests.Response:
        try:
            # (Of an empty body requests would say that it is chunked.)
            prepared = requests.Request(method, url, headers=headers, data=body or None).prepare()
            response: requests.Response = self._adapter.send(
                prepared,
                stream=True,
                timeout=(self._connect, silence),
                verify=self._verify,
                proxies=self._proxies_for(url),
                bound=bound,
            )
        except _RAISED as error:
            verdict = verdict_of_exception(error, sent=body.sent if body else None)
        else:
            return response
        raise Failure(verdict)  # not within the handler: what would stand behind it holds the address

    def _proxies_for(self, url: str) -> dict[str, str]:
        host = urlsplit(url).netloc
        if host not in self._proxies:
            self._proxies[host] = dict(requests.utils.get_environ_proxies(url))
        return self._proxies[host]


def _whole(response: requests.Response) -> Answer:
    """Read an answer whose wire is bounded already; what it unpacks to is bounded here."""
    body = bytearray()
    while block := _next(response):
        body += block
        if len(body) > LARGEST_ANSWER:
            raise _endless()
    return Answer(response.status_code, response.headers, bytes(body))


def _copied(response: requests.Response, into: Sink, limit: int) -> int:
    """Write an answer's body, up to `limit` bytes."""
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


def _next(response: requests.Response) -> bytes:
    try:
        return bytes(response.raw.read(BLOCK, decode_content=True))
    except _RAISED as error:
        verdict = verdict_of_exception(error, sent=True)
    raise Failure(verdict)  # as above


def _endless() -> Failure:
    return Failure(verdict_of_exception(TimeoutError("endless"), sent=True))


def proxy_of(url: str) -> str | None:
    """Return `host:port` of the proxy that the environment names for an address, without its credentials.

    None where requests go straight; `$NO_PROXY` counts, as it does for every call.
    """
    proxy = requests.utils.select_proxy(url, requests.utils.get_environ_proxies(url))
    if not proxy:
        return None
    return urlsplit(proxy if "//" in proxy else f"//{proxy}").netloc.rpartition("@")[2]
