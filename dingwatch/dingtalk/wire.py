"""Bounds on connections that urllib3 does not set, and bodies that know whether any of them was sent.

* urllib3's read timeout starts over with each byte, so a server that trickles headers holds a worker for
  ever. Here a whole answer, head included, has one deadline and one largest size.
* A firewall may drop an idle connection without telling either end. A send that breaks on it would be
  uncertain for nothing, so a connection that rested too long is reopened before it is used, as urllib3 does
  when it sees that the other end has closed (`is_connection_dropped`).
"""

from __future__ import annotations

import http.client
import io
import os
import re
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import requests
from requests.adapters import HTTPAdapter
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, Retry, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.response import HTTPResponse

SLICE: Final = 1 << 16
LARGEST_ANSWER: Final = 1 << 20
"""Bytes of an answer on the wire with head and framing; DingTalk's are below 10 KB."""
REST: Final = 20.0
"""Seconds that a connection may be idle and still be used. DingTalk's keep-alive is unverified [?]."""


MOST_HOSTS: Final = 8
"""Hosts to which connections are kept: DingTalk's two, and the few of the drive's store that one organisation
uses."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The clocks (wall and monotonic, in seconds) that bound a connection, and the seconds for an answer."""

    clock: Callable[[], float]
    monotonic: Callable[[], float]
    answer: float


@dataclass(frozen=True, slots=True)
class Bound:
    """The bounds of one answer: bytes on the wire, and seconds beyond its longest silence."""

    size: int
    seconds: float


_BOUND: Final[ContextVar[Bound | None]] = ContextVar("bound", default=None)
"""The bound of the answer that this thread waits for, if it is not the usual one."""


_NOTE: Final[ContextVar[Callable[[int], None] | None]] = ContextVar("note", default=None)
"""Told how many bytes of a body this thread has written."""


@dataclass(frozen=True, slots=True)
class Hurry:
    """Tighter bounds, in seconds: on a request as a whole, and on a new connection for it."""

    seconds: float
    connect: float


_HURRY: Final[ContextVar[Hurry | None]] = ContextVar("hurry", default=None)
"""The tighter bounds of the requests that this thread makes, if they have any."""
_UNTIL: Final[ContextVar[float | None]] = ContextVar("until", default=None)
"""When the request that this thread makes must be over, by the monotonic clock of its connection."""


@contextmanager
def hurrying(hurry: Hurry) -> Iterator[None]:
    """Bound each request that this thread makes meanwhile by `hurry`, besides the usual timeouts.

    A request that has not left when its time is over does not leave at all.
    """
    before = _HURRY.set(hurry)
    try:
        yield
    finally:
        _HURRY.reset(before)


def connect_seconds(usual: float) -> float:
    """Return how long a new connection of this thread may take."""
    hurry = _HURRY.get()
    return usual if hurry is None else min(usual, hurry.connect)


@contextmanager
def counting(note: Callable[[int], None]) -> Iterator[None]:
    """Have `note` told, while bodies of more than one piece are sent in this thread, how much of each is.

    A body that is sent again begins at 0 again.
    """
    before = _NOTE.set(note)
    try:
        yield
    finally:
        _NOTE.reset(before)


class LocalError(Exception):
    """Carries an exception of a body's source or a download's sink past the code that judges the wire.

    A file that cannot be read raises OSError, as a broken connection does, and is no fault of DingTalk's.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


class Body:
    """The body of a request, in pieces; `sent` once any of it was handed to a connection.

    While nothing is sent, the request had no effect for certain: DingTalk got a head that announces a body,
    and no body. Later nobody knows how much the kernel or a proxy still passed on.
    """

    def __init__(self, head: bytes, content: bytes | memoryview = b"", tail: bytes = b"") -> None:
        self._head, self._content, self._tail = head, memoryview(content).cast("B"), tail
        self.sent = False

    def __len__(self) -> int:
        return len(self._head) + len(self._content) + len(self._tail)

    def __iter__(self) -> Iterator[bytes | memoryview]:
        self.sent = True
        if len(self) <= SLICE:  # one piece, which goes out with the request's head in one write
            yield b"".join((self._head, self._content, self._tail))
            return
        note = _NOTE.get()
        yield self._head
        # Each write has a timeout of its own: on a slow line one write of 20 MB would look like a hang.
        for start in range(0, len(self._content), SLICE):
            yield self._content[start : start + SLICE]
            if note is not None:
                note(start + SLICE)
        yield self._tail


class Stream:
    """A body of known length in bytes that is read while it is sent.

    Reading may raise `LocalError`, also around a `LengthError` if the source is shorter or longer.
    """

    def __init__(self, pieces: Iterable[bytes | memoryview], length: int) -> None:
        self._pieces, self._length = pieces, length
        self.sent = False

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes | memoryview]:
        self.sent = True
        left, note = self._length, _NOTE.get()
        for piece in self._read():
            left -= len(piece)
            if left < 0:
                break
            for start in range(0, len(piece), SLICE):
                yield piece[start : start + SLICE]
            if note is not None:
                note(self._length - left)
        if left:
            raise LocalError(LengthError(self._length))

    def _read(self) -> Iterator[memoryview]:
        pieces = iter(self._pieces)
        while True:
            try:
                piece = next(pieces, None)
            except Exception as error:  # noqa: BLE001 (whatever a source may raise)
                raise LocalError(error) from None
            if piece is None:
                return
            yield memoryview(piece).cast("B")


class LengthError(Exception):
    """The source of a body is shorter or longer than announced: the file changed meanwhile."""

    def __init__(self, announced: int) -> None:
        super().__init__(f"not the {announced} bytes that were announced")


class _Answering:
    """Gives http.client a bounded file where it would make one of the socket."""

    def __init__(self, sock: socket.socket, limits: Limits, silence: float) -> None:
        self._sock, self._limits, self._silence = sock, limits, silence

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Bounded(self._sock, self._limits, self._silence))


class _Bounded(io.RawIOBase):
    """Reads one answer, up to its deadline and its largest size."""

    def __init__(self, sock: socket.socket, limits: Limits, silence: float) -> None:
        # The socket's own file keeps its descriptor open after http.client has closed the socket.
        self._sock, self._raw = sock, sock.makefile("rb", buffering=0)
        self._monotonic, self._silence = limits.monotonic, silence
        bound = _BOUND.get() or Bound(LARGEST_ANSWER, limits.answer)
        self._until = limits.monotonic() + silence + bound.seconds
        if (until := _UNTIL.get()) is not None:
            self._until = min(self._until, until)
        self._left = bound.size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:  # noqa: ANN401 (whatever can be written to)
        seconds = self._until - self._monotonic()
        if seconds <= 0 or self._left <= 0:
            raise TimeoutError("endless")
        if seconds < self._silence:  # near the deadline one more silence would overrun it
            self._sock.settimeout(seconds)
        count = self._raw.readinto(buffer) or 0
        self._left -= count
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Connection(HTTPConnection):
    limits: ClassVar[Limits]
    _rests_since: float | None = None
    _head: bytes | None = None
    """The head of a request, until the first piece of its body goes out with it; None when none is held."""

    @property
    def is_connected(self) -> bool:
        """Whether the connection may be used again; urllib3 asks before it does."""
        if self._rests_since is not None and not 0 <= self.limits.clock() - self._rests_since <= REST:
            return False  # by the wall clock, because a laptop's monotonic clock stops while it sleeps
        return super().is_connected

    def request(self, *args: Any, **more: Any) -> None:  # noqa: ANN401 (urllib3's)
        """Send a request; its head and the first piece of its body in one write, a call's dearest step."""
        # http.client would connect at the first write, when the body already counts as sent.
        if self.sock is None:
            self.connect()
        self._keep_time()  # looking up the host and shaking hands take as long as they take
        self._head = b""
        try:
            super().request(*args, **more)
            if self._head:  # no body came
                super().send(self._head)
        finally:
            self._head = None

    def _keep_time(self) -> None:
        """Raise TimeoutError if the request's time is over; else let nothing that is written overrun it."""
        if (until := _UNTIL.get()) is None:
            return
        seconds = until - self.limits.monotonic()
        if seconds <= 0:
            raise TimeoutError("late")
        if self.sock is not None:
            usual = self.sock.gettimeout()
            self.sock.settimeout(seconds if usual is None else min(seconds, usual))

    def send(self, data: Any) -> None:  # noqa: ANN401 (http.client's)
        """Write to the socket: http.client brings a request's head, then urllib3 each piece of its body."""
        if self._head == b"":
            self._head = data
            return
        whole, self._head = b"".join((self._head, data)) if self._head else data, None
        # Of a connection that is used again, urllib3 has just set the timeout anew.
        self._keep_time()
        super().send(whole)

    def response_class(self, sock: socket.socket, **more: Any) -> http.client.HTTPResponse:  # type: ignore[override]  # noqa: ANN401 (http.client's)
        """Return the object that reads the answer; http.client expects a class by this name."""
        silence = self.timeout if isinstance(self.timeout, int | float) else self.limits.answer
        return http.client.HTTPResponse(_Answering(sock, self.limits, silence), **more)  # type: ignore[arg-type]

    def getresponse(self) -> HTTPResponse:  # type: ignore[override] # (urllib3 does so too)
        response = super().getresponse()
        self._rests_since = self.limits.clock()
        return response


class _SafeConnection(_Connection, HTTPSConnection):
    make_context: ClassVar[Callable[[], ssl.SSLContext] | None]

    def connect(self) -> None:
        if (make := type(self).make_context) is not None:
            self.ssl_context = make()
        super().connect()


_ORIGIN: Final = re.compile(r"[^/?#]*//[^/?#]*")
_NEVER_AGAIN: Final = Retry(total=False)


def origin_of(url: str) -> str:
    """Return the scheme and host of an address; all of an address that has none."""
    found = _ORIGIN.match(url)
    return found[0] if found else url


@dataclass(frozen=True, slots=True)
class Route:
    """How to reach a host: its pool of connections, and whether a proxy relays each request."""

    pool: HTTPConnectionPool
    relayed: bool

    def open(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: Body | Stream | None,
        *,
        timeout: Timeout,
        bound: Bound | None = None,
    ) -> BaseHTTPResponse:
        """Make one request and return its response, of which the body is not read; also a redirect.

        The answer may be as large and take as long as `bound` says. Exceptions of the libraries come through,
        and may hold the address.
        """
        # A proxy that relays is told the whole address; the host itself, also in a tunnel, the path alone.
        target = url if self.relayed else "/" + url.removeprefix(origin_of(url)).removeprefix("/")
        framed = {**headers, "Content-Length": str(len(body))} if body else dict(headers)
        # urllib3 makes the object that reads the answer deep inside this call, and passes nothing on to it.
        usual = _BOUND.set(bound)
        hurry, limits = _HURRY.get(), getattr(self.pool.ConnectionCls, "limits", None)
        until = None if hurry is None or limits is None else limits.monotonic() + hurry.seconds
        former = _UNTIL.set(until)
        try:
            return self.pool.urlopen(
                method,
                target,
                body=body,  # type: ignore[arg-type] # (any iterable of bytes)
                headers=framed,
                retries=_NEVER_AGAIN,
                redirect=False,
                assert_same_host=False,
                timeout=timeout,
                preload_content=False,
                decode_content=False,
            )
        finally:
            _UNTIL.reset(former)
            _BOUND.reset(usual)


class Adapter(HTTPAdapter):
    """requests' adapter with bounded connections: what it knows of proxies and certificates.

    `make_context` makes the context of each TLS connection; without it requests verifies certificates.
    """

    def __init__(
        self, limits: Limits, *, pool: int, make_context: Callable[[], ssl.SSLContext] | None = None
    ) -> None:
        super().__init__(pool_connections=MOST_HOSTS, pool_maxsize=pool, max_retries=0)
        self._plain = type("BoundConnection", (_Connection,), {"limits": limits})
        own = {"limits": limits, "make_context": None if make_context is None else staticmethod(make_context)}
        self._safe = type("BoundSafeConnection", (_SafeConnection,), own)
        self._own_context = make_context is not None

    def route(
        self, request: requests.PreparedRequest, *, verify: str | bool, proxies: dict[str, str]
    ) -> Route:
        """Return how to reach a request's host.

        Raises:
            requests.RequestException: for a proxy with a malformed address.
            OSError: `verify` names neither a file nor a directory.
        """
        pool = self.get_connection_with_tls_context(request, verify, proxies)
        self.cert_verify(pool, request.url, verify, None)
        return Route(pool, relayed=pool.proxy is not None and pool.scheme == "http")

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:  # noqa: ANN401
        """Set what a pool's connections verify; certifi's list is not added to a context of one's own."""
        super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]
        if self._own_context:
            conn.ca_certs = conn.ca_cert_dir = None

    # (The types are Any, for requests' own differ from one release to the next.)
    def get_connection_with_tls_context(self, *args: Any, **more: Any) -> Any:  # noqa: ANN401
        """Return the pool for a request, with the class of its connections set."""
        pool: Any = super().get_connection_with_tls_context(*args, **more)
        pool.ConnectionCls = self._safe if pool.scheme == "https" else self._plain
        return pool


PIECE: Final = 1 << 18
"""Bytes that each request in flight reads, and holds in memory, at a time."""


@dataclass(frozen=True, slots=True)
class Content:
    """`size` bytes from a file or buffer; each call of `pieces` reads them from the start, for a new try."""

    size: int
    pieces: Callable[[], Iterable[bytes | memoryview]]

    @classmethod
    def of(cls, buffer: bytes | memoryview) -> Content:
        """Return a buffer as content; it is not copied."""
        return cls(len(memoryview(buffer).cast("B")), lambda: (buffer,))

    @classmethod
    def of_descriptor(cls, descriptor: int, size: int, offset: int = 0) -> Content:
        """Return `size` bytes of an open file from an offset on; the file's own position stays.

        Reading finds out whether the file is shorter, and raises OSError.
        """
        return cls(size, lambda: _pieces(descriptor, size, offset))

    def body(self) -> Stream:
        """Return a request's body, to be used once."""
        return Stream(self.pieces(), self.size)


def _pieces(descriptor: int, size: int, offset: int) -> Iterator[bytes]:
    end = offset + size
    while offset < end and (piece := os.pread(descriptor, min(PIECE, end - offset), offset)):
        offset += len(piece)
        yield piece
