"""Tells open pages what happens, by server-sent events."""

import asyncio
import json
from dataclasses import asdict

from aiohttp import web

from dingwatch.sandbox.chat import Happened
from dingwatch.sandbox.world import World

_SILENCE = 15.0  # seconds until a comment proves that the line is alive, to proxies and to phones
_BACKLOG = 2000  # events that a stalled page may be behind before it is let go; it then loads afresh


async def events(world: World, request: web.Request) -> web.StreamResponse:
    """GET /sandbox/events: `hello`, then `message`, `recall` and `reset` as they come."""
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/event-stream; charset=utf-8",
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",
        }
    )
    await response.prepare(request)
    ear = _Ear(asyncio.get_running_loop())
    world.chat.listen(ear.hear)
    try:
        await response.write(_event("hello", {"epoch": world.chat.epoch}))
        while not ear.overrun:
            await response.write(await ear.next_block())
    except ConnectionError:
        pass  # the page was closed
    finally:
        world.chat.ignore(ear.hear)
    return response


class _Ear:
    """One page's queue. `hear` is called from any thread; the rest lives in the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queue: asyncio.Queue[Happened] = asyncio.Queue()
        self.overrun = False
        self.hear = self._hear  # one bound method, so that it can be taken off the list again

    def _hear(self, happened: Happened) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._keep, happened)

    def _keep(self, happened: Happened) -> None:
        if self._queue.qsize() >= _BACKLOG:
            self.overrun = True
        else:
            self._queue.put_nowait(happened)

    async def next_block(self) -> bytes:
        """Everything that is waiting, in one write; or a comment after some silence."""
        try:
            block = _rendered(await asyncio.wait_for(self._queue.get(), _SILENCE))
        except TimeoutError:
            return b": still here\n\n"
        while not self._queue.empty():
            block += _rendered(self._queue.get_nowait())
        return block


def _rendered(happened: Happened) -> bytes:
    return _event(happened.kind, asdict(happened.message) if happened.message else {})


def _event(kind: str, body: object) -> bytes:
    # JSON without line breaks, so that one data line holds it.
    return f"event: {kind}\ndata: {json.dumps(body)}\n\n".encode()
