from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import requests

from dingwatch.sandbox import Sandbox, Settings
from tests.support import eventually

if TYPE_CHECKING:
    from tests.sandbox.conftest import Clock, Peer

OPEN = "/v1.0/gateway/connections/open"
TOPIC = "/v1.0/im/bot/messages/get"
LISTEN = [{"type": "CALLBACK", "topic": TOPIC}]


def open_connection(peer: Peer, **changes: object) -> requests.Response:
    """A ticket, asked for with correct credentials and changes; None takes a field out."""
    body = {
        "clientId": peer.sandbox.client_id,
        "clientSecret": peer.sandbox.client_secret,
        "subscriptions": LISTEN,
        "ua": "test",
        "localIp": "127.0.0.1",
        **changes,
    }
    return peer.post(OPEN, {key: value for key, value in body.items() if value is not None})


class Line:
    """A Stream client's websocket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def frame(self) -> dict[str, Any]:
        """The next frame."""
        frame = await asyncio.wait_for(self.socket.receive_json(), 10)
        assert isinstance(frame, dict)
        assert frame.keys() == {"specVersion", "type", "headers", "data"}
        return frame

    async def acknowledge(self, frame: dict[str, Any], data: str) -> None:
        """Answers a frame."""
        headers = {"messageId": frame["headers"]["messageId"], "contentType": "application/json"}
        await self.socket.send_json({"code": 200, "headers": headers, "message": "OK", "data": data})


def on_line(peer: Peer, use: Callable[[Line], Awaitable[None]], **changes: object) -> None:
    """Runs a Stream client that has connected and taken the first ping."""
    ticket = open_connection(peer, **changes).json()

    async def run() -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(ticket["endpoint"], params={"ticket": ticket["ticket"]}) as socket,
        ):
            line = Line(socket)
            assert (await line.frame())["headers"]["topic"] == "ping"
            await use(line)

    asyncio.run(run())


def test_a_mention_is_heard(peer: Peer, sandbox: Sandbox, clock: Clock) -> None:
    """Who mentions the robot in a group tells the app the conversation's id, and the app's answer is kept."""
    group = sandbox.conversations[1]

    async def use(line: Line) -> None:
        said = sandbox.say(group.id, "@robot hello")
        frame = await line.frame()
        assert (frame["specVersion"], frame["type"]) == ("1.0", "CALLBACK")
        assert frame["headers"]["messageId"] == said.callback_id
        assert frame["headers"]["topic"] == TOPIC
        assert frame["headers"]["time"] == str(int(clock.now * 1000))
        assert frame["headers"]["contentType"] == "application/json"
        data = json.loads(frame["data"])
        assert (data["conversationId"], data["conversationTitle"]) == (group.id, group.name)
        assert (data["conversationType"], data["robotCode"]) == ("2", sandbox.robot_code)
        assert (data["msgtype"], data["text"], data["senderStaffId"]) == (
            "text",
            {"content": " hello"},
            "manager1234",
        )
        await line.acknowledge(frame, '{"response":"OK"}')
        eventually(lambda: [each.message_id for each in sandbox.acks()] == [said.callback_id])

    on_line(peer, use)
    (ack,) = sandbox.acks()
    assert (ack.topic, ack.code, ack.data) == (TOPIC, 200, '{"response":"OK"}')
    (message,) = sandbox.messages(group.id)
    assert (message.text, message.sender) == ("@robot hello", "manager1234")
    assert (sandbox.events(), sandbox.billed()) == (1, 0)
    eventually(lambda: sandbox.stream_connections() == 0)


def test_what_is_not_heard(peer: Peer, sandbox: Sandbox) -> None:
    """Without a mention, outside the robot's groups, without a listener or without quota nobody is told."""
    inside, outside = sandbox.conversations[0].id, sandbox.conversations[3].id

    async def use(line: Line) -> None:
        for place, text in ((inside, "hello"), (inside, "@robotics"), (outside, "@robot")):
            assert sandbox.say(place, text).callback_id is None
        sandbox.limit(monthly_events=0)
        assert sandbox.say(inside, "@robot").callback_id is None
        sandbox.limit(monthly_events=None)
        sandbox.say(inside, "@DINGWATCH heard")
        assert json.loads((await line.frame())["data"])["text"] == {"content": " heard"}

    on_line(peer, use)
    eventually(lambda: sandbox.stream_connections() == 0)
    assert sandbox.say(inside, "@robot").callback_id is None
    assert len(sandbox.messages(inside)) == 5


def test_only_who_subscribed_is_told(peer: Peer, sandbox: Sandbox) -> None:
    """Events with `*` do not include callbacks."""

    async def use(_: Line) -> None:
        assert sandbox.stream_connections() == 1
        assert sandbox.say(sandbox.conversations[0].id, "@robot").callback_id is None

    on_line(peer, use, subscriptions=[{"type": "EVENT", "topic": "*"}])


def test_one_to_one(peer: Peer, sandbox: Sandbox) -> None:
    """Everything that a person writes to the robot alone is heard."""

    async def use(line: Line) -> None:
        sandbox.say("user:user2345", "hi", "user2345")
        data = json.loads((await line.frame())["data"])
        assert (data["conversationType"], data["senderStaffId"]) == ("1", "user2345")

    on_line(peer, use)


def test_answer_by_session(peer: Peer, sandbox: Sandbox, clock: Clock) -> None:
    """The sessionWebhook of a message takes text and markdown for an hour and a half."""
    group = sandbox.conversations[0].id
    text = {"msgtype": "text", "text": {"content": "收到"}}

    async def use(line: Line) -> None:
        sandbox.say(group, "@robot")
        url = json.loads((await line.frame())["data"])["sessionWebhook"]

        def answer(body: object) -> int:
            return int(peer.session.post(url, json=body, timeout=10).json()["errcode"])

        assert [answer(text), answer({"msgtype": "file"})] == [0, 400105]
        clock.now += 5400
        assert answer(text) == 300001

    on_line(peer, use)
    assert [(each.text, each.sender) for each in sandbox.messages(group)] == [
        ("@robot", "manager1234"),
        ("收到", ""),
    ]


def test_pings(peer_of: Callable[[Settings], Peer]) -> None:
    """A connection is pinged again and again, and a client echoes the data."""
    peer = peer_of(Settings(ping_seconds=0.01))

    async def use(line: Line) -> None:
        frame = await line.frame()
        assert (frame["type"], frame["headers"]["topic"]) == ("SYSTEM", "ping")
        await line.acknowledge(frame, frame["data"])
        eventually(lambda: [each.data for each in peer.sandbox.acks()] == [frame["data"]])

    on_line(peer, use)


def test_disconnect(peer: Peer, sandbox: Sandbox) -> None:
    """A client that shall come back is told so, and when it has answered its line is closed."""

    async def use(line: Line) -> None:
        sandbox.disconnect_streams()
        frame = await line.frame()
        assert (frame["type"], frame["headers"]["topic"]) == ("SYSTEM", "disconnect")
        await line.acknowledge(frame, frame["data"])
        # Sooner than a client that says nothing is cut off.
        assert (await asyncio.wait_for(line.socket.receive(), 5)).type is aiohttp.WSMsgType.CLOSE

    on_line(peer, use)


def test_nonsense_is_ignored(peer: Peer, sandbox: Sandbox) -> None:
    """A client's nonsense ends no connection and is no answer."""

    async def use(line: Line) -> None:
        for text in ("{", "[]", '{"code": 200}', '{"code": 200, "headers": {"messageId": "never"}}'):
            await line.socket.send_str(text)
        sandbox.say(sandbox.conversations[0].id, "@robot")
        assert (await line.frame())["type"] == "CALLBACK"

    on_line(peer, use)
    assert sandbox.acks() == ()


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"clientId": None}, 400, "MissingclientId"),
        ({"clientSecret": None}, 400, "MissingclientSecret"),
        ({"subscriptions": None}, 400, "Missingsubscriptions"),
        ({"subscriptions": "all"}, 400, "paramError.subscriptions"),
        ({"clientSecret": "wrong"}, 401, "authFailed"),
    ],
)
def test_wrong_openings(peer: Peer, changes: dict[str, object], status: int, code: str) -> None:
    """Wrong credentials and missing fields get no ticket."""
    answer = open_connection(peer, **changes)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_tickets(peer: Peer, sandbox: Sandbox, clock: Clock) -> None:
    """A ticket opens one connection, and none after a while."""
    answer = open_connection(peer).json()
    assert answer.keys() == {"endpoint", "ticket"}
    assert answer["endpoint"] == sandbox.url.replace("http", "ws") + "/connect"
    used = open_connection(peer).json()["ticket"]

    async def use() -> None:
        async with aiohttp.ClientSession() as session:
            async with session.ws_connect(answer["endpoint"], params={"ticket": used}):
                pass
            assert (await session.get(f"{sandbox.url}/connect", params={"ticket": used})).status == 401

    asyncio.run(use())
    clock.now += 90
    for ticket in ("never", answer["ticket"]):
        assert peer.get("/connect", ticket=ticket).status_code == 401


def test_words_over_http(peer: Peer, sandbox: Sandbox) -> None:
    """Another process makes people write, reads what clients answered, and ends connections."""
    group = sandbox.conversations[0].id

    async def use(line: Line) -> None:
        said = peer.post("/sandbox/say", {"conversation_id": group, "text": "@robot", "user_id": "user2345"})
        assert said.status_code == 201
        frame = await line.frame()
        assert said.json()["callback_id"] == frame["headers"]["messageId"]
        assert said.json()["message"]["sender"] == "user2345"
        assert peer.get("/sandbox/stream").json() == {"connections": 1, "acks": []}
        peer.session.delete(sandbox.url + "/sandbox/stream", timeout=10)
        assert (await line.frame())["headers"]["topic"] == "disconnect"

    on_line(peer, use)
    for body in (
        {"text": "x"},
        {"conversation_id": group, "text": "x", "user_id": "nobody"},
        {"conversation_id": "cid?", "text": "x"},
        {"conversation_id": "user:user2345", "text": "x"},
    ):
        answer = peer.post("/sandbox/say", body)
        assert answer.status_code == 400
        assert answer.json()["error"]


def test_a_stop_closes_connections(peer: Peer, sandbox: Sandbox) -> None:
    """A sandbox that stops does not wait for open connections."""

    async def use(line: Line) -> None:
        await asyncio.to_thread(sandbox.stop)
        assert (await line.socket.receive()).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)

    on_line(peer, use)
