"""The sandbox's own paths, `/sandbox/…`: faults, what was received, downloads (docs/sandbox.md)."""

import json
import mimetypes
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict

from aiohttp import web

from dingwatch.sandbox.answers import Refusal
from dingwatch.sandbox.downloads import file_response
from dingwatch.sandbox.faults import fault_from_json, fault_to_json
from dingwatch.sandbox.guard import guarded
from dingwatch.sandbox.model import Conversation, Message
from dingwatch.sandbox.people import read, say
from dingwatch.sandbox.world import World

_DEFAULT_LIMIT = 200

# Shown inside the page as pictures. Everything else is bytes without a type.
_PICTURES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp"})

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Control:
    """The handlers, over one world."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[web.RouteDef]:
        """All of them, closed to foreign browser origins."""
        table: tuple[tuple[str, str, Handler], ...] = (
            ("POST", "/sandbox/faults", self.add_fault),
            ("GET", "/sandbox/faults", self.faults),
            ("DELETE", "/sandbox/faults", self.clear_faults),
            ("GET", "/sandbox/conversations", self.conversations),
            ("GET", "/sandbox/messages", self.messages),
            ("GET", "/sandbox/calls", self.calls),
            ("GET", "/sandbox/limits", self.limits),
            ("PUT", "/sandbox/limits", self.limit),
            ("PUT", "/sandbox/flow_control", self.flow_control),
            ("POST", "/sandbox/picks", self.pick),
            ("GET", "/sandbox/webhooks", self.webhooks),
            ("POST", "/sandbox/say", self.say),
            ("POST", "/sandbox/read", self.read),
            ("GET", "/sandbox/stream", self.stream),
            ("DELETE", "/sandbox/stream", self.disconnect),
            ("GET", "/sandbox/spaces", self.spaces),
            ("GET", "/sandbox/entries", self.entries),
            ("POST", "/sandbox/reset", self.reset),
            ("GET", "/sandbox/files/{message_id}", self.file),
        )
        allowed = self._world.settings.allowed_hosts
        return [web.route(method, path, guarded(handler, allowed)) for method, path, handler in table]

    async def add_fault(self, request: web.Request) -> web.Response:
        """Orders one fault."""
        try:
            self._world.faults.add(fault_from_json(await request.json()))
        except ValueError as error:
            return _json({"error": str(error)}, status=400)
        return _json({"faults": len(self._world.faults.pending())}, status=201)

    async def faults(self, _: web.Request) -> web.Response:
        """What is left on order."""
        return _json([fault_to_json(each) for each in self._world.faults.pending()])

    async def clear_faults(self, _: web.Request) -> web.Response:
        """Cancels all."""
        self._world.faults.clear()
        return _json({"faults": 0})

    async def conversations(self, _: web.Request) -> web.Response:
        """All conversations, each with its last message."""
        chat = self._world.chat
        rows = [self._conversation(each) for each in chat.conversations()]
        return _json({"epoch": chat.epoch, "conversations": rows})

    async def messages(self, request: web.Request) -> web.Response:
        """The newest messages of one conversation, oldest first."""
        try:
            limit = int(request.query.get("limit", _DEFAULT_LIMIT))
        except ValueError:
            limit = 0
        if limit < 1:
            return _json({"error": "limit: a positive number"}, status=400)
        found = self._world.chat.messages(request.query.get("conversation_id", ""), limit)
        return _json([asdict(each) for each in found])

    async def calls(self, _: web.Request) -> web.Response:
        """How many requests came, and how many the organisation would pay for."""
        meter = self._world.meter
        counted = {"calls": meter.calls(), "granted": meter.granted()}
        return _json({**counted, "billed": meter.billed(), "events": meter.events()})

    async def limits(self, _: web.Request) -> web.Response:
        """The limits that hold now."""
        return _json(asdict(self._world.meter.limits))

    async def limit(self, request: web.Request) -> web.Response:
        """Changes some of them; null takes one away."""
        try:
            self._world.limit(**await _object(request))
        except ValueError as error:
            return _json({"error": str(error)}, status=400)
        return await self.limits(request)

    async def flow_control(self, request: web.Request) -> web.Response:
        """Says who is flow-controlled: {"user_ids": […]}."""
        try:
            user_ids = (await _object(request))["user_ids"]
        except (KeyError, ValueError):
            user_ids = None
        if not isinstance(user_ids, list):
            return _json({"error": "user_ids: a list"}, status=400)
        self._world.flow.hold_back(frozenset(map(str, user_ids)))
        return _json({"user_ids": user_ids})

    async def pick(self, request: web.Request) -> web.Response:
        """A cid for send_to_conversation: {"conversation_id", "user_id"}."""
        try:
            body = await _object(request)
            where, who = str(body["conversation_id"]), str(body["user_id"])
        except (KeyError, ValueError):
            return _json({"error": "conversation_id and user_id are required"}, status=400)
        return _json({"cid": self._world.picks.add(where, who, self._world.clock())}, status=201)

    async def webhooks(self, _: web.Request) -> web.Response:
        """The custom robots, with what their addresses need."""
        return _json([asdict(each) for each in self._world.settings.webhooks])

    async def say(self, request: web.Request) -> web.Response:
        """A person writes: {"conversation_id", "text", "user_id"}; user_id may be left out."""
        try:
            body = await _object(request)
            texts = [str(body[name]) for name in ("conversation_id", "text")]
            said = say(self._world, texts[0], texts[1], str(body.get("user_id", "manager1234")))
        except KeyError as error:
            return _json({"error": f"{error.args[0]} is required"}, status=400)
        except ValueError as error:
            return _json({"error": str(error)}, status=400)
        return _json(asdict(said), status=201)

    async def read(self, request: web.Request) -> web.Response:
        """People read a conversation: {"conversation_id", "user_ids": […]}."""
        try:
            body = await _object(request)
            where, who = str(body["conversation_id"]), body["user_ids"]
            read(self._world, where, [str(each) for each in who] if isinstance(who, list) else [str(who)])
        except KeyError as error:
            return _json({"error": f"{error.args[0]} is required"}, status=400)
        except ValueError as error:
            return _json({"error": str(error)}, status=400)
        return _json({"conversation_id": where, "user_ids": who})

    async def stream(self, _: web.Request) -> web.Response:
        """How many Stream connections are open, and what their clients answered."""
        stream = self._world.stream
        return _json({"connections": stream.connections(), "acks": [asdict(each) for each in stream.acks()]})

    async def disconnect(self, _: web.Request) -> web.Response:
        """Asks all Stream clients to connect anew."""
        self._world.stream.disconnect(self._world.clock())
        return _json({"connections": 0})

    async def spaces(self, _: web.Request) -> web.Response:
        """The spaces of the drive."""
        return _json([asdict(each) for each in self._world.drive.spaces()])

    async def entries(self, request: web.Request) -> web.Response:
        """The files and folders of one space: ?space_id=."""
        found = self._world.drive.entries(request.query.get("space_id", ""))
        return _json([asdict(each) for each in found])

    async def reset(self, _: web.Request) -> web.Response:
        """Forgets everything."""
        self._world.reset()
        return _json({"epoch": self._world.chat.epoch})

    async def file(self, request: web.Request) -> web.StreamResponse:
        """Downloads the file of one message under the name it has in the chat."""
        message = self._world.chat.message(request.match_info["message_id"])
        found = self._file_of(message) if message else None
        if found is None:
            return _json({"error": "no such file"}, status=404)
        name, size, blocks = found
        guess = mimetypes.guess_type(f"x.{name.rpartition('.')[2].lower()}")[0] or ""
        content_type = guess if guess in _PICTURES else "application/octet-stream"
        return await file_response(request, blocks, size, name, content_type)

    def _file_of(self, message: Message) -> tuple[str, int, Iterator[bytes]] | None:
        """The shown name, the size and the bytes of a message's file, wherever it is."""
        if message.space_id is not None and message.entry_id is not None:
            try:
                content = self._world.drive.content(message.space_id, message.entry_id)
            except Refusal:  # deleted since
                return None
            return message.file_name or "", content.size, self._world.objects.blocks(content)
        upload = self._world.shelf.find(message.media_id) if message.media_id else None
        if upload is None:
            return None
        return message.file_name or upload.name, upload.size, self._world.shelf.blocks(upload.media_id)

    def _conversation(self, conversation: Conversation) -> dict[str, object]:
        last = self._world.chat.messages(conversation.id, 1)
        return {
            **asdict(conversation),
            "messages": self._world.chat.count(conversation.id),
            "last": asdict(last[0]) if last else None,
        }


async def _object(request: web.Request) -> dict[str, object]:
    """The body as a JSON object.

    Raises:
        ValueError: it is none.
    """
    document = await request.json()
    if not isinstance(document, dict):
        raise ValueError("a JSON object is wanted")  # noqa: TRY004 -- one sort of error for all bad input
    return document


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(
        status=status,
        # A lone surrogate in a name, legal in JSON, must not break the answer.
        body=json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"),
        content_type="application/json",
        charset="utf-8",
        headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"},
    )
