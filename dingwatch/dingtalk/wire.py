"""Connections with the bounds that urllib3 lacks, and bodies that record whether they were sent.

* urllib3's read timeout starts anew with each byte, so a trickle of headers may last for ever: here a
  whole answer, head included, has one deadline and one largest size.
* A connection that rested for long may have been dropped by a firewall unseen; a send that breaks on it
  would be a doubt for nothing. It is opened anew before it is used, as urllib3 does for those whose end
  was seen (`is_connection_dropped`). What remains is the instant between that look and the first byte.
"""

from __future__ import annotations

import http.client
import io
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.response import HTTPResponse

SLICE: Final = 1 << 16
LARGEST_ANSWER: Final = 1 << 20
"""Bytes of an answer on the wire, head and framing included; DingTalk's are below 10 KB."""
REST: Final = 20.0
"""Seconds that a connection may rest and be used again. DingTalk's own keep-alive is unverified [?]."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of a connection: the clocks (seconds, of the wall and monotonic), and `answer` seconds."""

    clock: Callable[[], float]
    monotonic: Callable[[], float]
    answer: float


@dataclass(frozen=True, slots=True)
class Bound:
    """The size of one answer: bytes on the wire, and seconds beyond its longest silence."""

    size: int
    seconds: float


_BOUND: Final[ContextVar[Bound | None]] = ContextVar("bound", default=None)
"""The bound of the answer that this thread waits for, where it is not the usual one."""


class LocalError(Exception):
    """Carries what a body's source or a download's sink raised past all that judges the wire.

    A file that cannot be read raises OSError, as a broken connection does, and is no fault of DingTalk's.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


class Body:
    """The body of a request, in pieces. `sent` once any of it was handed to a connection.

    Only a request that has not sent is certain to have had no effect: its head alone announces a body
    that never came. Once it has sent, what the kernel or a proxy still passes on cannot be known.
    Pieces are small, because one write has one timeout: a slow line that moves is not a broken one.
    """

    def __init__(self, head: bytes, content: bytes | memoryview = b"", tail: bytes = b"") -> None:
        self._head, self._content, self._tail = head, memoryview(content).cast("B"), tail
        self.sent = False

    def __len__(self) -> int:
        return len(self._head) + len(self._content) + len(self._tail)

    def __iter__(self) -> Iterator[bytes | memoryview]:
        self.sent = True
        if len(self) <= SLICE:  # one write is cheaper than three, and so small a copy costs nothing
            yield b"".join((self._head, self._content, self._tail))
            return
        yield self._head
        for start in range(0, len(self._content), SLICE):
            yield self._content[start : start + SLICE]
        yield self._tail


class Stream:
    """A body that is read from elsewhere while it is sent, in pieces; of known length in bytes.

    What reading it raises, and `LengthError` when there is not exactly that much, comes out as `LocalError`.
    """

    def __init__(self, pieces: Iterable[bytes | memoryview], length: int) -> None:
        self._pieces, self._length = pieces, length
        self.sent = False

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes | memoryview]:
        self.sent = True
        left = self._length
        for piece in self._read():
            left -= len(piece)
            if left < 0:
                break
            for start in range(0, len(piece), SLICE):
                yield piece[start : start + SLICE]
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
    """The source of a body had more or fewer bytes than were announced: the file changed meanwhile."""

    def __init__(self, announced: int) -> None:
        super().__init__(f"not the {announced} bytes that were announced")


class _Answering:
    """Stands in for the socket where http.client asks it for a file to read the answer from."""

    def __init__(self, sock: socket.socket, limits: Limits, silence: float) -> None:
        self._sock, self._limits, self._silence = sock, limits, silence

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Bounded(self._sock, self._limits, self._silence))


class _Bounded(io.RawIOBase):
    """Reads one answer: until its deadline, and so many bytes."""

    def __init__(self, sock: socket.socket, limits: Limits, silence: float) -> None:
        # The socket's own file keeps its descriptor open after http.client has closed the socket.
        self._sock, self._raw = sock, sock.makefile("rb", buffering=0)
        self._monotonic, self._silence = limits.monotonic, silence
        bound = _BOUND.get() or Bound(LARGEST_ANSWER, limits.answer)
        self._until = limits.monotonic() + silence + bound.seconds
        self._left = bound.size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:  # noqa: ANN401 (whatever can be written to)
        seconds = self._until - self._monotonic()
        if seconds <= 0 or self._left <= 0:
            raise TimeoutError("endless")
        if seconds < self._silence:
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

    @property
    def is_connected(self) -> bool:
        """Whether it may be used again; urllib3 asks before it does."""
        if self._rests_since is not None and not 0 <= self.limits.clock() - self._rests_since <= REST:
            return False  # by the wall clock: a machine that slept does not know how long
        return super().is_connected

    def response_class(self, sock: socket.socket, **more: Any) -> http.client.HTTPResponse:  # type: ignore[override]  # noqa: ANN401 (http.client's)
        """Make the object that reads the answer; http.client names the class to call here."""
        silence = self.timeout if isinstance(self.timeout, int | float) else self.limits.answer
        return http.client.HTTPResponse(_Answering(sock, self.limits, silence), **more)  # type: ignore[arg-type]

    def getresponse(self) -> HTTPResponse:  # type: ignore[override] # (urllib3 does so too)
        response = super().getresponse()
        self._rests_since = self.limits.clock()
        return response


class _SafeConnection(_Connection, HTTPSConnection):
    pass


class Adapter(HTTPAdapter):
    """requests' adapter, whose connections are bounded. It never repeats a request and follows nothing."""

    def __init__(self, limits: Limits, *, pool: int) -> None:
        # Both hosts, and those of the drive's store (KB:0680), of which one organisation uses few.
        super().__init__(pool_connections=8, pool_maxsize=pool, max_retries=0)
        bound = {"limits": limits}
        self._plain = type("BoundConnection", (_Connection,), bound)
        self._safe = type("BoundSafeConnection", (_SafeConnection,), bound)

    def send(self, *args: Any, bound: Bound | None = None, **more: Any) -> Any:  # noqa: ANN401
        """Make a request whose answer may be as large and take as long as `bound` says."""
        usual = _BOUND.set(bound)
        try:
            return super().send(*args, **more)
        finally:
            _BOUND.reset(usual)

    # (The types are Any, for requests' own differ from one release to the next.)
    def get_connection_with_tls_context(self, *args: Any, **more: Any) -> Any:  # noqa: ANN401
        """Return the pool for a request, told which connections to make."""
        pool: Any = super().get_connection_with_tls_context(*args, **more)
        pool.ConnectionCls = self._safe if pool.scheme == "https" else self._plain
        return pool


PIECE: Final = 1 << 18
"""Bytes that are read at a time, and held at a time for each request in flight."""


@dataclass(frozen=True, slots=True)
class Content:
    """`size` bytes; `pieces` begins to read them, from their first byte, each time it is called."""

    size: int
    pieces: Callable[[], Iterable[bytes | memoryview]]

    @classmethod
    def of(cls, buffer: bytes | memoryview) -> Content:
        """Return a buffer as content; it is not copied."""
        return cls(len(memoryview(buffer).cast("B")), lambda: (buffer,))

    @classmethod
    def of_descriptor(cls, descriptor: int, size: int, offset: int = 0) -> Content:
        """Return so many bytes of an open file from an offset on; the file's own position stays.

        A file that is shorter is found when it is read; so is an OSError, which comes through as it is.
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
