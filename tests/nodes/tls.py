"""DingTalk's address on a host of its own: TLS before a sandbox, as the config wants it beyond loopback."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from asyncio import StreamReader, StreamWriter
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Final

from tests.nodes.network import inside

CERTIFICATE: Final = Path(__file__).with_name("dingtalk.pem")
"""For `ADDRESS`, and valid from 2020 on: clocks of nodes are wrong at times."""
ADDRESS: Final = "10.77.2.2"
PORT: Final = 443
_BLOCK: Final = 1 << 16


class Front:
    """Takes TLS connections on an address of a namespace, and passes what they say to a local port."""

    def __init__(self, namespace: str, port: int) -> None:
        self._port = port
        with inside(namespace):
            self._listener = socket.create_server((ADDRESS, PORT), backlog=256)
        self._loop: Future[asyncio.AbstractEventLoop] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._thread.start()
        self._loop.result()

    @property
    def url(self) -> str:
        """Where nodes find it."""
        return f"https://{ADDRESS}"

    def close(self) -> None:
        """End, with all connections."""
        loop = self._loop.result()
        loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    async def _run(self) -> None:
        self._over = asyncio.Event()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        server = await asyncio.start_server(self._serve, sock=self._listener, ssl=context)
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # clients are cut off all the time
        self._loop.set_result(asyncio.get_running_loop())
        await self._over.wait()
        server.close()

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(OSError):
            there = await asyncio.open_connection("127.0.0.1", self._port)
            await asyncio.gather(_pass(reader, there[1]), _pass(there[0], writer))


async def _pass(source: StreamReader, to: StreamWriter) -> None:
    """Pass on what one side says; when it hangs up, cut the other off."""
    with suppress(OSError):
        while block := await source.read(_BLOCK):
            to.write(block)
            await to.drain()
    to.transport.abort()
