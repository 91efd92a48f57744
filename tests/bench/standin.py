"""A stand-in for DingTalk that costs next to nothing, so that a benchmark measures the client.

Run as a program: prints its port, serves on loopback until its standard input ends. It knows the calls
that a file needs, takes any conversation, checks the token, and remembers what came and when. Bytes that are
put into its store are counted and thrown away. The sandbox is the faithful stand-in; this one only has to be
fast.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final
from urllib.parse import parse_qs

TOKEN: Final = "bench-token"
TOKEN_ANSWER: Final = {
    "errcode": 0, "access_token": TOKEN, "expires_in": 7200, "accessToken": TOKEN, "expireIn": 7200
}  # fmt: skip
"""Of both hosts: each client reads its own members."""
LIFETIME: Final = 3600.0
"""Seconds after which it ends whatever happens."""
Json = dict[str, Any]


@dataclass
class World:
    """What has come in. `delay` seconds pass between a request and its answer."""

    delay: float
    digests: dict[str, str] = field(default_factory=dict)
    messages: list[Json] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    puts: list[Json] = field(default_factory=list)
    """Bodies that were put into the store: size, and when the first and the last byte came."""
    entry: tuple[str, int] = ("", 0)
    """Name and size of the drive's latest entry."""

    def answer(self, path: str, query: str, head: bytes, body: bytes) -> Json | list[Json]:
        """Do what a request asks for."""
        if path.startswith("/bench/"):
            return self._report(path.removeprefix("/bench/"), parse_qs(query))
        self.calls[path] += 1
        if path.startswith(("/v1.0/storage/", "/v1.0/convFile/")):
            return self._drive(path, head, json.loads(body))
        match path:
            case "/gettoken" | "/v1.0/oauth2/accessToken":
                return TOKEN_ANSWER
            case "/media/upload" if parse_qs(query).get("access_token") == [TOKEN]:
                return self._upload(body)
            case "/v1.0/robot/groupMessages/send" if TOKEN.encode() in head:
                return self._send(json.loads(body))
        return {"errcode": 40014, "errmsg": path, "code": "InvalidAuthentication", "message": path}

    def _report(self, what: str, query: dict[str, list[str]]) -> Json | list[Json]:
        """Return what came in: calls, bodies put into the store, or messages."""
        if what == "calls":
            return dict(self.calls)
        if what == "puts":
            return self.puts
        wanted = query.get("conversation", [])
        return [one for one in self.messages if not wanted or one["conversation"] in wanted]

    def _upload(self, body: bytes) -> Json:
        """Take the one part that holds a file; it stands first or follows form fields."""
        boundary = body[: body.index(b"\r\n")]
        part = next(part for part in body.split(boundary) if b'name="media"' in part[:300])
        content = part[part.index(b"\r\n\r\n") + 4 : -2]
        media_id = f"@bench{len(self.digests)}"
        self.digests[media_id] = sha256(content).hexdigest()
        return {"errcode": 0, "errmsg": "ok", "type": "file", "media_id": media_id, "created_at": 0}

    def _send(self, body: Json) -> Json:
        parameters = json.loads(body["msgParam"])
        self.messages.append(
            {
                "conversation": body["openConversationId"],
                "name": parameters["fileName"],
                "sha256": self.digests[parameters["mediaId"]],
                "at": time.monotonic(),
            }
        )
        return {"processQueryKey": f"key{len(self.messages)}"}

    def _drive(self, path: str, head: bytes, body: Json) -> Json:
        """Take one file in parts: one space, one upload session, one entry; its parts need no signature."""
        match path.rsplit("/", 2)[1:]:
            case ["storage", "spaces"]:
                return {"space": {"id": "space", "name": ""}}
            case [_, "init"]:
                return {"uploadKey": "session"}
            case [_, "query"]:
                store = {
                    "resourceUrls": [f"http://{_header(head, 'host')}/store"],
                    "headers": {"X-Bench": "1"},
                }
                return {
                    "multipartHeaderSignatureInfos": [
                        {"partNumber": number, "headerSignatureInfo": store} for number in body["partNumbers"]
                    ]
                }
            case [_, "commit"]:
                self.entry = body["name"], body["option"]["size"]
                return {"dentry": {"spaceId": "space", "id": "entry", "name": body["name"]}}
        conversation, (name, size) = body["openConversationId"], self.entry
        self.messages.append(
            {"conversation": conversation, "name": name, "size": size, "at": time.monotonic()}
        )
        return {"file": {"id": "copy", "spaceId": "copies", "conversationId": conversation, "name": name}}


class Wire(asyncio.Protocol):
    """HTTP/1.1 with Content-Length, one request at a time, connections kept open."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._buffer = b""
        self._put: Json = {}
        self._left = 0  # bytes of a body for the store that are still to come

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep where answers go."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole."""
        if self._left:
            data = self._throw_away(data)
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            if head.startswith(b"PUT "):
                rest, self._buffer = self._buffer[end + 4 :], b""
                self._left = _length(head)
                self._put = {"size": self._left, "began": time.monotonic()}
                self._buffer = self._throw_away(rest)
                continue
            whole = end + 4 + _length(head)
            if len(self._buffer) < whole:
                return
            body, self._buffer = self._buffer[end + 4 : whole], self._buffer[whole:]
            self._reply(head, body)

    def _throw_away(self, data: bytes) -> bytes:
        """Count bytes of a body for the store, answer after the last, and return what follows it."""
        mine = min(self._left, len(data))
        self._left -= mine
        if not self._left:
            self._world.puts.append({**self._put, "ended": time.monotonic()})
            self._write({})
        return data[mine:]

    def _reply(self, head: bytes, body: bytes) -> None:
        path, _, query = head.split(b" ", 2)[1].decode().partition("?")
        self._write(self._world.answer(path, query, head, body))

    def _write(self, answer_as_json: Json | list[Json]) -> None:
        payload = json.dumps(answer_as_json).encode()
        lines = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(payload)}\r\n\r\n"
        answer = lines.encode() + payload
        if self._world.delay:
            asyncio.get_running_loop().call_later(self._world.delay, self._transport.write, answer)
        else:
            self._transport.write(answer)


def _length(head: bytes) -> int:
    return int(_header(head, "content-length") or 0)


def _header(head: bytes, name: str) -> str:
    """Return the value of a header in lower case; empty if it is not there."""
    rest = head.lower().partition(f"\r\n{name}:".encode())[2]
    return rest.partition(b"\r\n")[0].decode().strip()


async def _serve(delay: float) -> None:
    world, loop, over = World(delay), asyncio.get_running_loop(), asyncio.Event()
    server = await loop.create_server(lambda: Wire(world), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 (what the parent waits for)

    def wait_for_end() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(over.set)

    threading.Thread(target=wait_for_end, daemon=True).start()
    async with asyncio.timeout(LIFETIME):
        await over.wait()


if __name__ == "__main__":
    asyncio.run(_serve(float(sys.argv[1])))
