"""A service of many folders with a long past, and requests to its HTTP API."""

from __future__ import annotations

import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from statistics import median

from tests.bench.code import Code
from tests.bench.past import invent, spread
from tests.bench.world import CONVERSATIONS, Share, configure, daemon
from tests.bench.world import far as other_end


@contextmanager
def many_folders(code: Code, folders: int, deliveries: int) -> Iterator[tuple[Path, int]]:
    """Write the past of many folders; yield the config of a service, and the port that it will listen on."""
    with tempfile.TemporaryDirectory() as made, other_end() as other:
        target = Path(made)
        shares = [Share(target / f"部门{number:03}") for number in range(folders)]
        for share in shares:
            share.path.mkdir()
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        config = configure(target, other.url, shares, {"http": {"listen": f"127.0.0.1:{port}"}})
        with daemon(code, config):
            pass  # ready: the ledger is there
        ledger = target / "state" / "ledger.db"
        invent(ledger, deliveries, CONVERSATIONS[0])
        spread(ledger)
        yield config, port


def ask(port: int, path: str, **headers: str) -> tuple[float, bytes]:
    """Return the milliseconds until an answer was there, and its bytes as they came."""
    began = time.monotonic()
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    with closing(connection):
        connection.request(
            "GET", path, headers={name.replace("_", "-"): one for name, one in headers.items()}
        )
        answer = connection.getresponse()
        body = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{path}: {answer.status}")
    return (time.monotonic() - began) * 1000, body


def middle(times: int, measure: Callable[[], float]) -> float:
    """Return the median of several measurements."""
    return median(measure() for _ in range(times))
