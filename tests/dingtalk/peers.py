"""A server that can be as nasty as a wire, and what a client is given in these tests."""

import json
import select
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from dingwatch.dingtalk import Account, Client, SampleFile, Timeouts
from dingwatch.model import Failure, Verdict

# Made for these tests alone, for the name localhost; it opens nothing.
CERTIFICATE = Path(__file__).with_name("localhost.pem")
TOKEN = "token-of-the-test-0123456789"
SECRET = "secret-of-the-test-0123456789"
HOOK = "hook-token-0123456789"
SIGNING_SECRET = "SEC-secret+of/the=test"
SIGNATURE = "OSS key:signature="


class Clock:
    """Seconds that pass only when told, or by `step` with each look."""

    def __init__(self, step: float = 0.0) -> None:
        self.now = 1795485600.0
        self.step = step

    def __call__(self) -> float:
        """What the client asks."""
        self.now += self.step
        return self.now


class Wire:
    """One accepted connection, seen from the server."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._buffer = b""

    @property
    def arrived(self) -> int:
        """How many bytes of what follows came together with the head that was read last."""
        return len(self._buffer)

    def head(self) -> bytes:
        """Read one request's head; empty when the client has closed."""
        while b"\r\n\r\n" not in self._buffer:
            block = self.sock.recv(65536)
            if not block:
                return b""
            self._buffer += block
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        return head

    def body(self, head: bytes) -> bytes:
        """Read the body that a head announces."""
        lengths = [
            int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
        ]
        length = lengths[0] if lengths else 0
        while len(self._buffer) < length:
            block = self.sock.recv(1 << 20)
            if not block:
                raise ConnectionError("the client hung up within its body")
            self._buffer += block
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return body

    def answer(self, document: object, status: str = "200 OK", headers: str = "") -> None:
        """Answer with JSON."""
        self.answer_bytes(json.dumps(document).encode(), status, headers)

    def answer_bytes(self, body: bytes, status: str = "200 OK", headers: str = "") -> None:
        """Answer with bytes."""
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
        self.sock.sendall(head.encode() + body)

    def hang_up(self) -> None:
        """Close without an answer, and forget what else came: it is no request."""
        self._buffer = b""
        self.sock.close()


React = Callable[[Wire, bytes, bytes], None]


class Server:
    """Answers token calls by itself and gives every other request to `react`."""

    def __init__(self, react: React, *, tls: bool = False) -> None:
        self._react = react
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if tls else None
        if self._context is not None:
            self._context.load_cert_chain(CERTIFICATE)
        self.url = f"{'https' if tls else 'http'}://localhost:{self._listener.getsockname()[1]}"
        self.requests: list[bytes] = []
        self.connections = 0
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._threads.append(threading.Thread(target=self._talk, args=(sock,)))
            self._threads[-1].start()

    def _talk(self, sock: socket.socket) -> None:
        with sock, suppress(OSError):
            if self._context is not None:
                sock = self._context.wrap_socket(sock, server_side=True)
            with sock:
                self._sockets.append(sock)
                wire = Wire(sock)
                while head := wire.head():
                    self.one(wire, head)

    def one(self, wire: Wire, head: bytes) -> None:
        """Answer one request, of which the head was read."""
        if b"oauth2/accessToken" in head:
            wire.body(head)
            wire.answer({"accessToken": TOKEN, "expireIn": 7200})
        elif b"/gettoken" in head:
            wire.answer({"errcode": 0, "access_token": TOKEN, "expires_in": 7200})
        else:
            self.requests.append(head)
            self._react(wire, head, wire.body(head))

    def close(self) -> None:
        """Close all that is open and wait for the threads."""
        for sock in (self._listener, *self._sockets):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for thread in self._threads:
            thread.join(20)


class Tunnel(Server):
    """A proxy that connects its clients with any host and port that they name."""

    def one(self, wire: Wire, head: bytes) -> None:
        """Pass on whatever comes from either end."""
        self.requests.append(head)
        host, _, port = head.split()[1].partition(b":")
        with socket.create_connection((host.decode(), int(port))) as other:
            wire.answer_bytes(b"")
            ends = {wire.sock: other, other: wire.sock}
            while True:
                for end in select.select(list(ends), [], [])[0]:
                    if not (block := end.recv(65536)):
                        return
                    ends[end].sendall(block)


class Calls:
    """What a client is given: it remembers which API passed the gate and was counted, and never waits."""

    def __init__(self) -> None:
        self.gated: list[str] = []
        self.counted: list[str] = []
        self.slept: list[float] = []
        self.clock = Clock()
        self.refusal: Verdict | None = None

    def gate(self, api: str) -> None:
        """Let the call pass, or raise the refusal."""
        self.gated.append(api)
        if self.refusal is not None:
            raise Failure(self.refusal)

    def sleep(self, seconds: float) -> None:
        """Take note instead of waiting."""
        self.slept.append(seconds)

    def client(
        self,
        url: str,
        *,
        client_id: str = "dingtest",
        client_secret: str = SECRET,
        timeouts: Timeouts | None = None,
        monotonic: Callable[[], float] | None = None,
    ) -> Client:
        """Return a client of one address."""
        account = Account(client_id, client_secret, client_id, url, url)
        return Client(
            account,
            gate=self.gate,
            count=self.counted.append,
            sleep=self.sleep,
            clock=self.clock,
            timeouts=timeouts,
            monotonic=monotonic or Clock(),
        )


def send(client: Client, *, renew: bool = True, name: str = "报告 2024.pdf") -> str:
    """Send a file that was uploaded before."""
    return client.groups.send(
        conversation_id="cid6KeBB+/o=", message=SampleFile("@lAzP", name, "pdf"), renew=renew
    )
