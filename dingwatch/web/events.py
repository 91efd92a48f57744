"""Server-sent events: tells listeners which parts of the status have changed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from hashlib import sha256
from typing import Final

from aiohttp import web

from dingwatch.ledger.facts import Marks
from dingwatch.lifecycle import State
from dingwatch.model import LedgerError
from dingwatch.service.actions import RefusedError
from dingwatch.service.api import Api
from dingwatch.texts import Web

MOST_LISTENERS: Final = 100
INTERVAL: Final = 1.0
"""Seconds between two messages, at least."""
KEEP_ALIVE: Final = 15.0
"""Seconds; proxies close a connection on which nothing is said for a minute or less."""
_NEEDS: Final = frozenset({State.FAILED, State.UNCERTAIN, State.SKIPPED})
_BUSY: Final = 503

Run = Callable[..., Awaitable[object]]


_Seen = tuple[Marks, object, int]
"""The state at one moment, to be compared: the ledger, the folders, and how many lines were logged."""


class _Listener:
    """A client that waits for changes, and what has changed since it was last told."""

    def __init__(self) -> None:
        self.parts: set[str] = set()
        self.uploads: list[dict[str, int]] = []
        self.changed = asyncio.Event()

    def add(self, parts: set[str], uploads: list[dict[str, int]]) -> None:
        """Note that parts have changed, and how far uploads are."""
        self.parts |= parts
        self.uploads = uploads
        self.changed.set()

    def take(self) -> dict[str, object]:
        """Return what has changed, and forget it."""
        parts, self.parts = sorted(self.parts), set()
        self.changed.clear()
        return {"parts": parts, "uploads": self.uploads}


class Events:
    """Finds out what has changed, once for all listeners, and only while there are any."""

    def __init__(self, api: Api, run: Callable[[Callable[[], object]], Awaitable[object]]) -> None:
        self._api = api
        self._run = run
        self._listeners: set[_Listener] = set()
        self._noted = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._before: _Seen | None = None

    def note(self) -> None:
        """Note that something may have changed. Called from other threads, after every tick."""
        if self._listeners:
            with suppress(RuntimeError):  # the server has just ended
                self._loop.call_soon_threadsafe(self._noted.set)

    async def watch(self) -> None:
        """Send changes to all listeners, until cancelled."""
        uploads: list[dict[str, int]] = []
        while True:
            if not (self._listeners and (uploads or self._api.is_busy)):
                await self._noted.wait()  # while an upload proceeds, no tick comes that would note it
            parts = await self._find() if self._noted.is_set() else set()
            before, uploads = uploads, self._api.uploads()
            if parts or uploads != before:
                for one in self._listeners:
                    one.add(parts, uploads)
            await asyncio.sleep(INTERVAL)

    async def _find(self) -> set[str]:
        """Return the parts that have changed since the last call; none at the first."""
        self._noted.clear()
        try:
            found = await self._run(lambda: self._compare(self._before))
        except LedgerError:
            return {"hero"} if self._before is not None else set()
        assert isinstance(found, tuple)  # noqa: S101 (as `_compare` returns it)
        self._before, parts = found
        changed: set[str] = parts
        return changed

    def _compare(self, before: _Seen | None) -> tuple[_Seen, set[str]]:
        """Compare with another time; runs in a thread, for it reads the ledger."""
        marks, watching, logged = self._api.marks(), self._api.watching(), self._api.lines_logged()
        now = (marks, watching, logged)
        if before is None:
            return now, set()
        parts: set[str] = set()
        if marks.event != before[0].event:
            states = self._api.changes(before[0].event, marks.event)
            parts |= {"find", "folders", "hero", "now"}
            parts |= {"needs"} if any(_NEEDS & set(change) for change in states) else set()
        if watching != before[1]:
            parts |= {"folders", "hero", "needs", "now"}
        if marks.pauses != before[0].pauses:
            parts |= {"hero", "pauses"}
        if marks.by_hand != before[0].by_hand:
            parts |= {"folders", "hero", "pauses"}
        if marks.nodes != before[0].nodes:
            parts |= {"folders", "hero", "nodes"}
        if logged != before[2]:
            parts |= {"log"}
        if marks.held != before[0].held:
            parts |= {"folders", "hero", "needs"}
        if marks.calls != before[0].calls:
            parts |= {"quota"}
        return now, parts

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Send changes to one client until it leaves."""
        if len(self._listeners) >= MOST_LISTENERS:
            raise RefusedError(_BUSY, "too_many", Web.TOO_MANY, most=MOST_LISTENERS)
        listener = _Listener()
        self._listeners.add(listener)
        try:
            if len(self._listeners) == 1:
                self._before = None
                await self._find()
            answer = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
            await answer.prepare(request)
            await answer.write(b"retry: 3000\n\n")
            mark = await self._run(lambda: mark_of(self._api))
            await answer.write(f"event: alive\ndata: {json.dumps({'mark': mark})}\n\n".encode())
            while True:
                await answer.write(await _next_message(listener))
        except ConnectionError:  # it has left
            return answer
        finally:
            self._listeners.discard(listener)


def mark_of(api: Api) -> str:
    """Return what another time can be compared with: a page holds the one from before it was drawn.

    What changes until the page listens is in no event. Reads the ledger; empty where that cannot be.
    """
    try:
        return sha256(repr((api.marks(), api.watching())).encode()).hexdigest()[:16]
    except LedgerError:
        return ""


async def _next_message(listener: _Listener) -> bytes:
    try:
        async with asyncio.timeout(KEEP_ALIVE):
            await listener.changed.wait()
    except TimeoutError:
        return b"event: alive\ndata: {}\n\n"
    return f"data: {json.dumps(listener.take())}\n\n".encode()
