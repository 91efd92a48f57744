"""A proxy before PostgreSQL that cuts connections inside a COMMIT: it may have taken place, or not."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

PORT: Final = ".s.PGSQL.5432"
BLOCK: Final = 1 << 16


class CommitProxy:
    """Passes everything on, between a socket of its own and the server's, until it is told to cut."""

    def __init__(self, directory: Path, server: Path) -> None:
        """Listen in a directory; `server` is the one with the server's socket."""
        self._server = server / PORT
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(directory / PORT))
        self._listener.listen()
        self._lock = threading.Lock()
        self._left = 0
        self._each = 1
        self._seen = 0
        self._reaches = False
        self.cuts = 0
        """How many connections were cut."""
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, times: int, *, reaches: bool, each: int = 1) -> None:
        """Cut so many connections at every `each`th COMMIT; `reaches` says whether the server gets it."""
        with self._lock:
            self._left, self._reaches, self._each, self._seen = times, reaches, each, 0

    def close(self) -> None:
        """Take no further connections."""
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX)
        with client, server, suppress(OSError):
            server.connect(str(self._server))
            answers = threading.Thread(target=_copy, args=(server, client), daemon=True)
            answers.start()
            while block := client.recv(BLOCK):
                if b"COMMIT" in block and self._takes():
                    client.shutdown(socket.SHUT_RDWR)
                    if self._reaches:
                        server.sendall(block)
                        answers.join(5.0)
                    server.shutdown(socket.SHUT_RDWR)  # or it keeps the lock until it is taken for idle
                    return
                server.sendall(block)

    def _takes(self) -> bool:
        with self._lock:
            self._seen += 1
            if self._left <= 0 or (self._seen - 1) % self._each:
                return False
            self._left -= 1
            self.cuts += 1
            return True


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while block := source.recv(BLOCK):
            with suppress(BrokenPipeError):  # the client is cut off, and the server goes on
                target.sendall(block)
