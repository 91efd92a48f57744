"""The control socket: a unix socket on which commands ask the running service, one line each way.

A request is the name of a question, and after a blank its arguments as JSON, if it has any. An answer is an
object of JSON. Nothing but this module knows that.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
import stat
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

SOCKET: Final = "dingwatch.sock"
_LONGEST_REQUEST: Final = 1 << 20
"""Bytes; a question may name a path in each of a thousand folders."""
_LONGEST_ANSWER: Final = 64 << 20
_MOST_CONNECTIONS: Final = 64
_NO_DESCRIPTOR_WAIT: Final = 0.1
_CHUNK: Final = 64 * 1024
_MOST_UNSENT: Final = 16 << 20
"""Bytes of answers that a connection may leave unread; those of ten thousand folders take less."""


Answer = Callable[[str, Mapping[str, Any]], Mapping[str, object]]
"""Returns the answer to a question with its arguments."""


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


@dataclass(slots=True)
class _Connection:
    """A command's connection: its unfinished request, the rest of its answers, and when it is closed.

    `until` (monotonic) moves on with each request, and with each piece of an answer that the command takes.
    """

    peer: socket.socket
    until: float
    received: bytearray = field(default_factory=bytearray)
    unsent: bytearray = field(default_factory=bytearray)


class ControlServer:
    """Answers requests of commands on the control socket, in a thread of its own.

    A connection that sends no request for `patience` seconds is closed; it delays no other.
    `answer` runs in the server's thread and must be quick. If it raises, the server ends, and the
    exception goes to `threading.excepthook`.
    """

    def __init__(self, state_dir: Path, answer: Answer, *, patience: float = 5.0) -> None:
        self._state_dir = state_dir
        self._answer = answer
        self._patience = patience
        self._thread: threading.Thread | None = None
        self._stopper: socket.socket | None = None

    def start(self) -> None:
        """Start to listen; raise OSError if another service listens there."""
        listener = _listen(self._state_dir)
        # Closing one end wakes the thread that selects on the other.
        self._stopper, stopped = socket.socketpair()
        loop = _ServerLoop(listener, stopped, self._answer, self._patience)
        self._thread = threading.Thread(target=loop.run, name="control", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop to listen, and remove the socket; do nothing if it is not open."""
        if self._thread is None or self._stopper is None:
            return
        self._stopper.close()
        self._thread.join()
        self._thread = None
        with contextlib.suppress(FileNotFoundError):
            (self._state_dir / SOCKET).unlink()


def _listen(state_dir: Path) -> socket.socket:
    with contextlib.ExitStack() as undo, _address(state_dir) as (address, directory):
        listener = undo.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        # `bind` creates the file with this mode, so other users cannot connect at any moment.
        os.fchmod(listener.fileno(), 0o600)
        _remove_stale(address, directory)
        listener.bind(address)
        listener.listen(_MOST_CONNECTIONS)
        listener.settimeout(0.0)
        undo.pop_all()
        return listener


def _remove_stale(address: str, directory: int) -> None:
    """Remove the socket that a killed service left behind; if one still listens, let `bind` fail."""
    try:
        is_socket = stat.S_ISSOCK(os.stat(SOCKET, dir_fd=directory, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.0)
        try:
            probe.connect(address)
        except ConnectionRefusedError:
            if is_socket:
                os.unlink(SOCKET, dir_fd=directory)
        except BlockingIOError:
            return  # its queue is full, so it lives


class _ServerLoop:
    """The loop of the server's thread: it ends when the other end of `stopped` is closed."""

    def __init__(
        self,
        listener: socket.socket,
        stopped: socket.socket,
        answer: Answer,
        patience: float,
    ) -> None:
        self._listener = listener
        self._stopped = stopped
        self._answer = answer
        self._patience = patience
        self._selector = selectors.DefaultSelector()
        self._connections: list[_Connection] = []

    def run(self) -> None:
        with self._selector, self._listener, self._stopped:
            self._selector.register(self._listener, selectors.EVENT_READ)
            self._selector.register(self._stopped, selectors.EVENT_READ)
            try:
                while self._turn():
                    pass
            finally:
                for connection in tuple(self._connections):
                    self._dismiss(connection)

    def _turn(self) -> bool:
        """Wait for an event and handle it; return whether to go on."""
        nearest = min((connection.until for connection in self._connections), default=None)
        wait = None if nearest is None else max(nearest - time.monotonic(), 0.0)
        for key, events in self._selector.select(wait):
            if key.fileobj is self._stopped:
                return False
            if key.fileobj is self._listener:
                self._accept()
            else:
                self._serve(key.data, events)
        now = time.monotonic()
        for connection in [connection for connection in self._connections if connection.until <= now]:
            self._dismiss(connection)
        return True

    def _accept(self) -> None:
        try:
            accepted, _ = self._listener.accept()
        except (BlockingIOError, ConnectionError):  # the command has gone already
            return
        except OSError:
            # No descriptor is free. The connection stays in the queue, and `select` reports it again at once:
            # without a wait this loop would take a whole CPU.
            time.sleep(_NO_DESCRIPTOR_WAIT)
            return
        accepted.settimeout(0.0)
        connection = _Connection(accepted, time.monotonic() + self._patience)
        self._connections.append(connection)
        self._selector.register(accepted, selectors.EVENT_READ, connection)
        if len(self._connections) > _MOST_CONNECTIONS:
            self._dismiss(self._connections[0])  # the one that has been silent longest

    def _serve(self, connection: _Connection, events: int) -> None:
        if events & selectors.EVENT_WRITE and connection in self._connections:
            self._send(connection)
        if events & selectors.EVENT_READ and connection in self._connections:  # else dismissed in this turn
            self._read(connection)

    def _read(self, connection: _Connection) -> None:
        try:
            chunk = connection.peer.recv(_CHUNK)
        except OSError:
            chunk = b""
        connection.received += chunk
        while b"\n" in connection.received:
            line, _, connection.received = connection.received.partition(b"\n")
            connection.unsent += f"{json.dumps(self._answer(*_parse(line)))}\n".encode()
            if len(connection.unsent) > _MOST_UNSENT:
                break
        too_much = len(connection.received) > _LONGEST_REQUEST or len(connection.unsent) > _MOST_UNSENT
        if not chunk or too_much:
            self._dismiss(connection)
        elif connection.unsent:
            self._send(connection)

    def _send(self, connection: _Connection) -> None:
        """Send as much of the answers as the command takes now; a command that has gone is dismissed.

        The answer of a service with many folders is larger than the kernel's buffer. Nobody waits for a
        command to read it: the rest goes when there is room.
        """
        try:
            count = connection.peer.send(connection.unsent)
        except BlockingIOError:
            count = 0
        except OSError:
            self._dismiss(connection)
            return
        del connection.unsent[:count]
        if count:
            connection.until = time.monotonic() + self._patience
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if connection.unsent else 0)
        self._selector.modify(connection.peer, wanted, connection)

    def _dismiss(self, connection: _Connection) -> None:
        self._selector.unregister(connection.peer)
        self._connections.remove(connection)
        connection.peer.close()


def _parse(request: bytearray) -> tuple[str, dict[str, Any]]:
    """Return a question and its arguments; those of another version may be no JSON."""
    question, _, written = request.decode("utf-8", "replace").partition(" ")
    return question, _load_object(written)


def _load_object(written: str) -> dict[str, Any]:
    """Return an object of JSON; an empty one for anything else."""
    try:
        found = json.loads(written)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def ask(state_dir: Path, question: str, arguments: Mapping[str, object], timeout: float) -> dict[str, Any]:
    """Return the running service's answer to a question; empty if its version answers otherwise.

    Raises `NotRunningError` if none runs or it does not answer within `timeout` seconds, and
    `PermissionError` if the socket is another user's.
    """
    request = f"{question} {json.dumps(arguments)}" if arguments else question
    return _load_object(_exchange(state_dir, request, timeout))


def _exchange(state_dir: Path, request: str, timeout: float) -> str:
    """Send a line and return the line that comes back."""
    until = time.monotonic() + timeout
    try:
        with _address(state_dir) as (address, _), socket.socket(socket.AF_UNIX) as connection:
            # While the queue is full, connect() with Python's own timeout fails at once; with SO_SNDTIMEO the
            # kernel waits for a place in it.
            seconds, rest = divmod(timeout, 1.0)
            limit = struct.pack("ll", int(seconds), max(int(rest * 1e6), 1))  # zero would mean no limit
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
            connection.connect(address)
            connection.settimeout(timeout)
            connection.sendall(f"{request}\n".encode())
            return _read_line(connection, until)
    except PermissionError:
        raise
    except OSError as error:
        raise NotRunningError(str(error)) from error


def _read_line(connection: socket.socket, until: float) -> str:
    received = bytearray()
    while not received.endswith(b"\n"):
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        chunk = connection.recv(_CHUNK)
        if not chunk:
            raise ConnectionResetError
        received += chunk
        if len(received) > _LONGEST_ANSWER:
            raise ConnectionAbortedError
    return received.decode("utf-8", "replace").removesuffix("\n")
