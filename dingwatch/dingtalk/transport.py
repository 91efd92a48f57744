"""One request, one answer: a pooled session whose proxies are read once, with every cost bounded.

requests' adapter is driven directly: looking up the environment, cookies and redirects for each call
is half of what `Session.request` costs, and none of it is wanted here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from dingwatch.dingtalk.errors import verdict_of_exception
from dingwatch.model import Cause, Failure, NoAnswer, Scope

LARGEST_ANSWER: Final = 1 << 20
BLOCK: Final = 1 << 16
IDLE_SECONDS: Final = 20.0
"""A connection that was unused for longer is not used again: its end may have been closed unseen, and a
send that breaks on a stale connection would be a doubt for nothing."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: for a connection, for silence while an answer is waited for, and for a whole answer."""

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


class Multipart:
    """A multipart body around one buffer, which is not copied: head, buffer, tail."""

    def __init__(self, field: str, name: str, content: bytes, boundary: str) -> None:
        # A raw UTF-8 filename: what DingTalk's own clients send (API sheet 12). Quotes and line ends are
        # escaped as browsers do, so that no name can end the header.
        shown = name.translate({0x22: "%22", 0x0A: "%0A", 0x0D: "%0D", 0x00: "_"})
        head = (
            f"--{boundary}\r\n"
            f'Content-Disposition: form-data; name="{field}"; filename="{shown}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        self._parts = (head.encode("utf-8", "replace"), content, f"\r\n--{boundary}--\r\n".encode())

    def __len__(self) -> int:
        return sum(len(part) for part in self._parts)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._parts)


class Transport:
    """Makes requests. Opens nothing before the first; safe to use from several threads."""

    def __init__(self, *, pool: int, clock: Callable[[], float], timeouts: Timeouts) -> None:
        self._adapter = HTTPAdapter(pool_connections=4, pool_maxsize=pool, max_retries=0)
        self._clock = clock
        self._timeouts = timeouts
        self._proxies: dict[str, Mapping[str, str]] = {}
        self._verify: str | bool = (
            os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
        )
        self._used_at = 0.0

    def close(self) -> None:
        """Close all connections."""
        self._adapter.close()

    def exchange(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | Multipart | None,
        *,
        silence: float,
    ) -> Answer:
        """Make one request and read its whole answer; `silence` is the longest wait for a next byte.

        Raises:
            Failure: NotReached or NoAnswer; nothing of the URL is in it.
        """
        prepared = requests.Request(method, url, headers=dict(headers), data=body).prepare()
        try:
            self._forget_stale()
            response = self._adapter.send(
                prepared,
                stream=True,
                timeout=(self._timeouts.connect, silence),
                verify=self._verify,
                proxies=self._proxies_for(url),
            )
            with response:
                return Answer(response.status_code, response.headers, self._read(response))
        except (requests.RequestException, HTTPError, OSError) as error:
            raise Failure(verdict_of_exception(error)) from None

    def _forget_stale(self) -> None:
        now = self._clock()
        if now - self._used_at > IDLE_SECONDS:
            self._adapter.poolmanager.clear()
        self._used_at = now

    def _proxies_for(self, url: str) -> Mapping[str, str]:
        host = urlsplit(url).netloc
        if host not in self._proxies:
            self._proxies[host] = requests.utils.get_environ_proxies(url)
        return self._proxies[host]

    def _read(self, response: requests.Response) -> bytes:
        """Read an answer that may be endless, huge or slow, at a bounded cost."""
        until = self._clock() + self._timeouts.answer
        body = bytearray()
        while block := response.raw.read1(BLOCK, decode_content=True):
            body += block
            if len(body) > LARGEST_ANSWER or self._clock() > until:
                raise Failure(NoAnswer(Cause("no_answer", "endless", "NO_ANSWER"), Scope.API))
        return bytes(body)
