import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.dingtalk.peers import Calls, React, Server


@pytest.fixture
def calls() -> Calls:
    """What clients are given."""
    return Calls()


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
