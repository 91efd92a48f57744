"""The unix socket by which commands ask the running daemon, so that it looks into its ledger at once."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import stat
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

SOCKET: Final = "dingwatch.sock"
_LONGEST_REQUEST: Final = 64 * 1024
_MOST_CALLERS: Final = 64
_BREATH: Final = 0.1
_CHUNK: Final = 4096


class NotRunningError(Exception):
    """No daemon answers on the control socket."""


@contextlib.contextmanager
def _address(state_dir: Path) -> Iterator[tuple[str, int]]:
    """Yield the socket's address and a descriptor of its directory.

    An address has room for 107 bytes and a state directory may be longer; through its descriptor any is
    short.
    """
    directory = os.open(state_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{SOCKET}", directory
    finally:
        os.close(directory)


@dataclass(slots=True)
class _Caller:
    """One connection: what it has said so far, and when patience with it ends (monotonic)."""

    connection: socket.socket
    until: float
    heard: bytearray = field(default_factory=bytearray)


class ControlServer:
    """The unix stream socket by which commands poke the running daemon: one line in, one line out.

    A caller has `patience` seconds for a request; the others do not wait for it meanwhile.
    `on_request` runs in the server's thread and must be quick. When it raises, the socket closes and the
    exception goes to `threading.excepthook`.
    """

    def __init__(self, state_dir: Path, on_request: Callable[[str], str], *, patience: float = 5.0) -> None:
        self._state_dir = state_dir
        self._on_request = on_request
        self._patience = patience
        self._thread: threading.Thread | None = None
        self._stopper: socket.socket | None = None

    def start(self) -> None:
        """Listen, from now on; `OSError` when another daemon listens there."""
        listener = _listen(self._state_dir)
        # Closing one end wakes the thread that selects on the other.
        self._stopper, stopped = socket.socketpair()
        serving = _Serving(listener, stopped, self._on_request, self._patience)
        self._thread = threading.Thread(target=serving.run, name="control", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close, and take the socket away; harmless when it is not open."""
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
        os.fchmod(listener.fileno(), 0o600)  # before it has a name: there is no moment when others may
        _sweep(address, directory)
        listener.bind(address)
        listener.listen(_MOST_CALLERS)
        listener.settimeout(0.0)
        undo.pop_all()
        return listener


def _sweep(address: str, directory: int) -> None:
    """Remove the socket of a daemon that died; one that still answers makes `bind` fail."""
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
            return  # it lives and has its hands full


class _Serving:
    """The loop of the server's thread: it ends when the other end of `stopped` is closed."""

    def __init__(
        self,
        listener: socket.socket,
        stopped: socket.socket,
        on_request: Callable[[str], str],
        patience: float,
    ) -> None:
        self._listener = listener
        self._stopped = stopped
        self._on_request = on_request
        self._patience = patience
        self._selector = selectors.DefaultSelector()
        self._callers: list[_Caller] = []

    def run(self) -> None:
        with self._selector, self._listener, self._stopped:
            self._selector.register(self._listener, selectors.EVENT_READ)
            self._selector.register(self._stopped, selectors.EVENT_READ)
            try:
                while self._turn():
                    pass
            finally:
                for caller in tuple(self._callers):
                    self._dismiss(caller)

    def _turn(self) -> bool:
        """Wait for something to happen, and say whether to go on."""
        nearest = min((caller.until for caller in self._callers), default=None)
        wait = None if nearest is None else max(nearest - time.monotonic(), 0.0)
        for key, _ in self._selector.select(wait):
            if key.fileobj is self._stopped:
                return False
            if key.fileobj is self._listener:
                self._accept()
            else:
                self._read(key.data)
        now = time.monotonic()
        for caller in [caller for caller in self._callers if caller.until <= now]:
            self._dismiss(caller)
        return True

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, ConnectionError):  # it has hung up already
            return
        except OSError:  # no descriptor is free: it stays in the queue, and must not make this loop spin
            time.sleep(_BREATH)
            return
        connection.settimeout(0.0)
        caller = _Caller(connection, time.monotonic() + self._patience)
        self._callers.append(caller)
        self._selector.register(connection, selectors.EVENT_READ, caller)
        if len(self._callers) > _MOST_CALLERS:
            self._dismiss(self._callers[0])  # the one that has been silent for longest

    def _read(self, caller: _Caller) -> None:
        if caller not in self._callers:
            return  # dismissed earlier in this turn
        try:
            chunk = caller.connection.recv(_CHUNK)
        except OSError:
            chunk = b""
        caller.heard += chunk
        while b"\n" in caller.heard:
            line, _, caller.heard = caller.heard.partition(b"\n")
            if not self._answer(caller, line.decode("utf-8", "replace")):
                chunk = b""
                break
        if not chunk or len(caller.heard) > _LONGEST_REQUEST:
            self._dismiss(caller)

    def _answer(self, caller: _Caller, request: str) -> bool:
        """Answer, and say whether the caller took it; nobody waits for one that does not listen."""
        answer = f"{self._on_request(request)}\n".encode()
        caller.until = time.monotonic() + self._patience
        try:
            return caller.connection.send(answer) == len(answer)
        except OSError:
            return False

    def _dismiss(self, caller: _Caller) -> None:
        self._selector.unregister(caller.connection)
        self._callers.remove(caller)
        caller.connection.close()


def ask(state_dir: Path, request: str, timeout: float) -> str:
    """Return the running daemon's answer to a one-line request.

    Raises `NotRunningError` when there is none or it does not answer within `timeout` seconds, and
    `PermissionError` when the socket is another user's.
    """
    until = time.monotonic() + timeout
    try:
        with _address(state_dir) as (address, _), socket.socket(socket.AF_UNIX) as connection:
            # With Python's own timeout a full queue would be refused at once; the kernel's lets it wait.
            seconds, rest = divmod(timeout, 1.0)
            limit = struct.pack("ll", int(seconds), max(int(rest * 1e6), 1))  # zero would be for ever
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
            connection.connect(address)
            connection.settimeout(timeout)
            connection.sendall(f"{request}\n".encode())
            return _line(connection, until)
    except PermissionError:
        raise
    except OSError as error:
        raise NotRunningError(str(error)) from error


def _line(connection: socket.socket, until: float) -> str:
    heard = bytearray()
    while not heard.endswith(b"\n"):
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        chunk = connection.recv(_CHUNK)
        if not chunk:
            raise ConnectionResetError
        heard += chunk
    return heard.decode().removesuffix("\n")
