"""Sends stored bytes to whoever asks, always as an attachment."""

import asyncio
import contextlib
from collections.abc import Iterator
from urllib.parse import quote

from aiohttp import web

_CONTROL_CHARACTERS = dict.fromkeys([*range(32), 127], "_")


async def file_response(
    request: web.Request, blocks: Iterator[bytes], size: int, name: str, content_type: str
) -> web.StreamResponse:
    """Streams `size` bytes under this file name."""
    response = web.StreamResponse(
        headers={
            "Content-Type": content_type,
            "Content-Disposition": disposition(name),
            # What was uploaded is hostile until proved otherwise: never shown as a page of this host.
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "Cache-Control": "private, no-cache",
        }
    )
    response.content_length = size
    await response.prepare(request)
    with contextlib.suppress(ConnectionResetError):  # whoever asked may go away in the middle
        while block := await asyncio.to_thread(next, blocks, b""):
            await response.write(block)
        await response.write_eof()
    return response


def disposition(name: str) -> str:
    """Content-Disposition for any name: plain ASCII for old clients, RFC 5987 for the real one."""
    name = name.translate(_CONTROL_CHARACTERS).replace("/", "_").replace("\\", "_")
    plain = "".join(letter if " " <= letter <= "~" and letter not in '"%' else "_" for letter in name)
    exact = quote(name.encode("utf-8", "replace"), safe="")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{exact}"
