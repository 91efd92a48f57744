"""Requests that make no sense, of whatever kind: an answer below 500, and a service that goes on."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import quote

import pytest
from hypothesis import strategies as st

from dingwatch.config.values import Http, TcpAddress
from dingwatch.host.control_socket import ask
from dingwatch.sandbox import Sandbox
from dingwatch.web import WebServer
from tests.fuzz.budget import a_few, for_a_while
from tests.support import PATIENCE, config, eventually, folder, running, sent

NOISE: Final = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        ["", "0", "-1", "1", "9" * 19, "9" * 30, "../..", "%", "\0", "a/b", "\u202e", "<b>", "'\"", "1e5"]
    ),
)
PAGES: Final = (
    "",
    "login",
    "healthz",
    "metrics",
    "confirm",
    "static/app.js",
    "api/v1/status",
    "api/v1/history",
    "api/v1/why",
)
PARAMETERS: Final = (
    "q",
    "from",
    "to",
    "before",
    "limit",
    "folder",
    "state",
    "recipient",
    "path",
    "lang",
    "alike",
    "do",
    "f",
    "show",
    "x",
)
ACTIONS: Final = (
    *(("deliveries", name) for name in ("retry", "confirm", "resend")),
    *(("folders", name) for name in ("pause", "resume", "release", "discard", "look")),
    *((f"pauses/{scope}", name) for scope in ("api", "folder", "x") for name in ("try", "resume")),
)
PARTS: Final = NOISE.map(lambda text: quote(text, safe=""))
SHOWN: Final = st.tuples(st.sampled_from(["GET", "GET", "HEAD", "POST"]), st.sampled_from(PAGES))
DONE: Final = st.builds(
    lambda action, part: ("POST", f"api/v1/{action[0]}/{part}/{action[1]}"), st.sampled_from(ACTIONS), PARTS
)
NOWHERE: Final = st.tuples(st.sampled_from(["GET", "PUT", "OPTIONS", "X"]), PARTS)
HEADERS: Final = st.dictionaries(
    st.sampled_from(["Accept", "Accept-Language", "Cookie", "Authorization", "Content-Type", "Range"]),
    st.one_of(NOISE, st.sampled_from(["text/html", "application/json", "Bearer x", "dingwatch=1.2"])),
    max_size=3,
)


@dataclass(frozen=True)
class Request:
    """A request with whatever a client may put into it."""

    address: tuple[str, str]
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes

    def write(self) -> bytes:
        """Return it as it goes over the wire."""
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in self.query)
        method, path = self.address
        lines = [
            f"{method} /{path}{'?' if query else ''}{query} HTTP/1.1",
            "Host: localhost",
            "Connection: close",
            f"Content-Length: {len(self.body)}",
            *(f"{name}: {printable(value)}" for name, value in self.headers.items()),
        ]
        return "\r\n".join([*lines, "", ""]).encode("utf-8", "replace") + self.body


def printable(value: str) -> str:
    """Return what may stand in one line."""
    return "".join(c for c in value if c.isprintable())


REQUESTS: Final = st.builds(
    Request,
    st.one_of(SHOWN, DONE, NOWHERE),
    st.lists(st.tuples(st.sampled_from(PARAMETERS), NOISE), max_size=2),
    HEADERS,
    st.one_of(
        st.binary(max_size=50),
        st.sampled_from([b"token=x", b'{"token": 1}', b"for=1h&reason=a", b"[" * 5000]),
    ),
)


def exchange(port: int, request: bytes) -> bytes:
    """Send bytes and return all that comes back."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        connection.sendall(request)
        while chunk := connection.recv(65536):
            received += chunk
    return received


@dataclass(frozen=True)
class Target:
    """A service with a past, and the port of its API."""

    port: int
    state_dir: Path

    def check(self, request: Request) -> None:
        """Require an answer that is no failure of ours."""
        answer = exchange(self.port, request.write())
        status = int(answer.split(b" ", 2)[1])
        assert 200 <= status < 500, answer[:500]

    def check_noise(self, noise: bytes) -> None:
        """Require that the service goes on, whatever it was sent."""
        exchange(self.port, noise + b"\r\n\r\n")
        assert ask(self.state_dir, "wake", {}, PATIENCE) == {"ledger": None}


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A service that has sent a file, and was one given that was there before."""
    made = tmp_path_factory.mktemp("http")
    share = made / "share"
    share.mkdir()
    (share / "old.txt").write_text("old")
    with Sandbox() as sandbox:
        one = config(made / "state", sandbox, folder(share, sandbox.conversations[0].id))
        with running(replace(one, http=Http(TcpAddress("127.0.0.1", 0)))) as service:
            (share / "a.txt").write_text("a")
            eventually(sent(sandbox, 1))
            assert isinstance(service.server, WebServer)
            assert service.server.port is not None
            port = service.server.port
            hello = b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n"
            eventually(lambda: b" 200 " in exchange(port, hello))
            yield Target(port, one.state_dir)


def test_requests_that_make_no_sense(target: Target) -> None:
    """Each is answered, and none with 500."""
    a_few(target.check, REQUESTS, 150)


def test_noise(target: Target) -> None:
    """What is no HTTP hurts nobody."""
    a_few(target.check_noise, st.binary(min_size=1, max_size=200))


@pytest.mark.sweep
def test_all_kinds_of_requests(target: Target) -> None:
    """Each is answered, and none with 500."""
    for_a_while(target.check, REQUESTS)
