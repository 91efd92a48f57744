"""A proxy before a PostgreSQL server that makes it slow, and cuts connections inside a COMMIT.

It reads as much of the protocol as that takes: the frames of what a client sends, to find the statement
COMMIT. What it knows nothing of (TLS) must not go through it.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Literal

from tests.nodes.network import inside

When = Literal["before", "after"]
"""Whether the server never sees the COMMIT, or the client never its answer."""
_BLOCK: Final = 1 << 16
_REQUESTS: Final = {80877103, 80877104}  # may TLS, or GSSAPI, be spoken? answered with one byte


@dataclass
class Cut:
    """Which COMMIT is cut: the `at`-th from now on, and then each `every`-th (0: no other)."""

    when: When
    at: int = 1
    every: int = 0
    seen: int = 0
    made: int = 0
    turn: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> bool:
        """Return whether this COMMIT is one of them."""
        with self.turn:
            self.seen += 1
            late = self.seen - self.at
            if late == 0 or (self.every and late > 0 and late % self.every == 0):
                self.made += 1
                return True
            return False


class Proxy:
    """Listens on an address of a namespace, and passes on to the server's."""

    def __init__(self, namespace: str, address: str, server: str, port: int) -> None:
        self.server = server
        self.delay = 0.0
        """Seconds before each block goes on, in both directions."""
        self.cut: Cut | None = None
        self._port = port
        self._namespace = namespace
        self._open: set[socket.socket] = set()
        with inside(namespace):
            self._listener = socket.create_server((address, port))
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """End, with all connections."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in list(self._open):
            self._end(one)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self._open.add(client)
        try:
            with inside(self._namespace):
                server = socket.create_connection((self.server, self._port), timeout=5)
        except OSError:
            self._end(client)
            return
        server.settimeout(None)
        self._open.add(server)
        for one in (client, server):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link = _Link(self, client, server)
        back = threading.Thread(target=link.run, args=(link.pass_answers,), daemon=True)
        back.start()
        link.run(link.pass_requests)
        back.join()
        self._end(client)
        self._end(server)

    def _end(self, one: socket.socket) -> None:
        self._open.discard(one)
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()


@dataclass
class _Link:
    """One connection, client to server."""

    proxy: Proxy
    client: socket.socket
    server: socket.socket
    deaf: threading.Event = field(default_factory=threading.Event)
    """Set when the answer to a COMMIT is not to reach the client."""
    started: bool = False

    def run(self, direction: Callable[[], None]) -> None:
        """Pass on in one direction to its end, which ends the other."""
        with suppress(OSError):
            direction()
        for one in (self.client, self.server):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def pass_answers(self) -> None:
        """Pass on what the server says; once it has answered a COMMIT that is cut, nothing more."""
        while block := self.server.recv(_BLOCK):
            if self.deaf.is_set():
                return
            self._wait()
            self.client.sendall(block)

    def pass_requests(self) -> None:
        """Pass on what the client says, message by message."""
        left = b""
        while block := self.client.recv(_BLOCK):
            left += block
            while message := self._first(left):
                left = left[len(message) :]
                if not self._pass(message):
                    return

    def _pass(self, message: bytes) -> bool:
        """Pass a message on; return whether the connection goes on."""
        cut = self.proxy.cut if _commits(message) else None
        taken = cut is not None and cut.take()
        if taken and cut is not None and cut.when == "before":
            return False
        if taken:
            self.deaf.set()  # the answer ends the connection
        self._wait()
        self.server.sendall(message)
        return True

    def _first(self, data: bytes) -> bytes:
        """Return the first message, or nothing while it is not whole."""
        head = 1 if self.started else 0
        if len(data) < head + 4:
            return b""
        (length,) = struct.unpack_from("!i", data, head)
        if len(data) < head + length:
            return b""
        if not self.started:
            (code,) = struct.unpack_from("!i", data, 4)
            self.started = code not in _REQUESTS
        return data[: head + length]

    def _wait(self) -> None:
        if self.proxy.delay:
            time.sleep(self.proxy.delay)


def _commits(message: bytes) -> bool:
    return message[:1] == b"Q" and message[5:11].upper() == b"COMMIT"
