import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from dingwatch.dingtalk import Client
from dingwatch.sandbox import Sandbox
from tests.dingtalk.peers import Calls, React, Server


@pytest.fixture
def calls() -> Calls:
    """What clients are given."""
    return Calls()


@pytest.fixture
def client(sandbox: Sandbox, calls: Calls) -> Iterator[Client]:
    """A client of the sandbox."""
    with calls.client(sandbox.url, client_id=sandbox.client_id, client_secret=sandbox.client_secret) as made:
        yield made


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Start a server that reacts as told."""
    with ExitStack() as stack:

        def start(react: React, *, tls: bool = False, kind: type[Server] = Server) -> Server:
            server = kind(react, tls=tls)
            stack.callback(server.close)
            return server

        yield start


@pytest.fixture
def dead_url() -> str:
    """Return an address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"
