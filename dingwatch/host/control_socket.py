"""The control socket: the unix socket in `state_dir` on which commands call the HTTP API of the service.

The client's side is here, and how the socket is bound; the server is in `web/`. Commands import this on every
start, so it uses nothing but the standard library's client.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
import struct
import time
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

SOCKET: Final = "dingwatch.sock"
QUESTIONS: Final = "/control/"
"""The path under which the service answers the questions of commands; nothing beyond this socket has it."""
LONGEST_QUESTION: Final = 1 << 20
"""Bytes; a question may name a path in each of a thousand folders."""
BACKLOG: Final = 64
_LONGEST_ANSWER: Final = 64 << 20
_CHUNK: Final = 64 * 1024
_CREDENTIALS: Final = "3i"  # struct ucred: pid, uid, gid


class NotRunningError(Exception):
    """No service answers on the control socket."""


@contextlib.contextmanager
def _address(state_dir: Path) -> Iterator[tuple[str, int]]:
    """Yield the socket's address and a descriptor of its directory.

    A unix address holds 107 bytes, and the path of a state directory may be longer: the address goes through
    the descriptor instead.
    """
    directory = os.open(state_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{SOCKET}", directory
    finally:
        os.close(directory)


# --- The server's side ---------------------------------------------------------------------------


def listen(state_dir: Path) -> socket.socket:
    """Return the listening socket; raise OSError if another service listens there."""
    with _address(state_dir) as (address, directory):
        return bind(address, SOCKET, directory, mode=0o600)


def bind(address: str, name: str, directory: int, *, mode: int) -> socket.socket:
    """Return a socket that listens at a unix address, which is `name` in a directory; raise OSError."""
    with contextlib.ExitStack() as undo:
        listener = undo.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        # `bind` creates the file with this mode, so other users cannot connect at any moment.
        os.fchmod(listener.fileno(), 0o600)
        _remove_stale(address, name, directory)
        listener.bind(address)
        os.chmod(name, mode, dir_fd=directory)  # the umask applied to the mode above
        listener.listen(BACKLOG)
        listener.settimeout(0.0)
        undo.pop_all()
        return listener


def _remove_stale(address: str, name: str, directory: int) -> None:
    """Remove the socket that a killed service left behind; if one still listens, let `bind` fail."""
    try:
        is_socket = stat.S_ISSOCK(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.0)
        try:
            probe.connect(address)
        except ConnectionRefusedError:
            if is_socket:
                os.unlink(name, dir_fd=directory)
        except BlockingIOError:
            return  # its queue is full, so it lives


def peer_uid(connection: socket.socket) -> int:
    """Return the user whose process is at the other end of a unix socket, as the kernel knows it."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize(_CREDENTIALS))
    uid: int = struct.unpack(_CREDENTIALS, credentials)[1]
    return uid


# --- The client's side ---------------------------------------------------------------------------


class _Connection(HTTPConnection):
    """A connection to the service in a state directory."""

    def __init__(self, state_dir: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._state_dir = state_dir
        self._seconds = timeout

    def connect(self) -> None:
        """Connect; where others wait to be accepted, wait for a place behind them."""
        with _address(self._state_dir) as (address, _):
            self.sock = socket.socket(socket.AF_UNIX)
            # While the queue is full, connect() with Python's own timeout fails at once; with SO_SNDTIMEO the
            # kernel waits for a place in it.
            seconds, rest = divmod(self._seconds, 1.0)
            limit = struct.pack("ll", int(seconds), max(int(rest * 1e6), 1))  # zero would mean no limit
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
            self.sock.connect(address)
            self.sock.settimeout(self._seconds)


def call(
    state_dir: Path, method: str, target: str, body: bytes | None = None, *, timeout: float
) -> tuple[int, bytes]:
    """Make a request to the running service; return the status and the body of its answer.

    Raises `NotRunningError` if none runs or it does not answer within `timeout` seconds, and
    `PermissionError` if the socket is another user's.
    """
    until = time.monotonic() + timeout
    connection = _Connection(state_dir, timeout)
    try:
        connection.request(method, target, body, {} if body is None else {"Content-Type": "application/json"})
        return _read(connection, until)
    except PermissionError:
        raise
    except (OSError, HTTPException) as error:
        raise NotRunningError(str(error)) from error
    finally:
        connection.close()


def _read(connection: HTTPConnection, until: float) -> tuple[int, bytes]:
    peer, body = connection.sock, bytearray()
    with connection.getresponse() as answer:
        while True:
            # The timeout of a socket begins anew with every piece, and all of them together have `until`.
            peer.settimeout(max(until - time.monotonic(), 1e-3))
            chunk = answer.read1(_CHUNK)
            if not chunk:
                break
            body += chunk
            if len(body) > _LONGEST_ANSWER:
                raise ConnectionAbortedError
        if answer.length:
            raise ConnectionResetError
        return answer.status, bytes(body)


def ask(state_dir: Path, question: str, arguments: Mapping[str, object], timeout: float) -> dict[str, Any]:
    """Return the running service's answer to a question; empty if its version answers otherwise.

    Raises what `call` raises.
    """
    target = QUESTIONS + quote(question, safe="")
    status, body = call(state_dir, "POST", target, json.dumps(arguments).encode(), timeout=timeout)
    return _load_object(body) if status == HTTPStatus.OK else {}


def _load_object(written: bytes) -> dict[str, Any]:
    """Return an object of JSON; an empty one for anything else."""
    try:
        found = json.loads(written)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
