"""The limits on connections that aiohttp does not have: whose they are, how many, and how slow.

A client may send half a request, read nothing, or open a thousand connections. None of that may keep
another client waiting, or take memory without end.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, cast

MOST_CONNECTIONS: Final = 256
PATIENCE: Final = 5.0
"""Seconds: until a request has arrived, until the next one begins, and in which an answer moves on."""


class Crowd:
    """The connections of one socket, the one that has been silent longest first."""

    def __init__(self, most: int, patience: float, admits: Callable[[socket.socket], bool]) -> None:
        self.most = most
        self.patience = patience
        self.admits = admits
        self._connections: dict[Connection, None] = {}

    def enter(self, connection: Connection) -> None:
        """Count a connection; where there are too many, cut the one that has been silent longest."""
        self._connections[connection] = None
        if len(self._connections) > self.most:
            silent = next((one for one in self._connections if not one.is_busy), connection)
            silent.cut()

    def refresh(self, connection: Connection) -> None:
        """Note that a connection is used."""
        if connection in self._connections:
            del self._connections[connection]
            self._connections[connection] = None

    def close(self) -> None:
        """Cut the connections that answer nothing."""
        for one in list(self._connections):
            if not one.is_busy:
                one.cut()

    def leave(self, connection: Connection) -> None:
        """Count a connection no more."""
        self._connections.pop(connection, None)


class Connection(asyncio.Protocol):
    """Stands between a transport and aiohttp's handler of its requests."""

    def __init__(self, handler: asyncio.Protocol, crowd: Crowd) -> None:
        self._handler = handler
        self._crowd = crowd
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._unsent = 0
        self._paused = False
        self.is_busy = False
        """Whether a request is being answered."""

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Let a request take its time, unless the client does not take the answer."""
        self.is_busy = True
        self._crowd.refresh(self)
        self._arm()
        try:
            yield
        finally:
            self.is_busy = False
            self._arm()

    def cut(self) -> None:
        """Close the connection without a word."""
        if self._transport is not None:
            self._transport.abort()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None and (self._paused or not self.is_busy):
            self._unsent = self._transport.get_write_buffer_size()
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._crowd.patience, self._run_out)

    def _run_out(self) -> None:
        """Cut the connection, unless the client goes on taking an answer, however slowly."""
        if self._transport is not None and 0 < self._transport.get_write_buffer_size() < self._unsent:
            self._arm()
        else:
            self.cut()

    # --- What asyncio calls ----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let a connection in, or cut it."""
        made = cast("asyncio.Transport", transport)
        if not self._crowd.admits(made.get_extra_info("socket")):
            made.abort()
            return
        self._transport = made
        self._handler.connection_made(made)
        self._arm()
        self._crowd.enter(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._crowd.leave(self)
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport = None
            self._handler.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Hand on what came."""
        if self._transport is not None:
            self._handler.data_received(data)

    def eof_received(self) -> bool | None:
        """Hand on that nothing more will come."""
        return self._handler.eof_received() if self._transport is not None else None

    def pause_writing(self) -> None:
        """Have the handler wait: the client does not take what was written."""
        self._paused = True
        self._arm()
        self._handler.pause_writing()

    def resume_writing(self) -> None:
        """Have the handler go on."""
        self._paused = False
        self._arm()
        self._handler.resume_writing()
