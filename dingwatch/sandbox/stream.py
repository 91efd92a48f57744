"""Stream mode: tickets, connections, callbacks (the protocol of the dingtalk-stream SDK).

A program asks for a ticket, opens a websocket with it, and is told there when somebody writes to the robot.
"""

import asyncio
import json
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass

TOPIC = "/v1.0/im/bot/messages/get"

_GRACE = 10.0  # seconds that a client has to go when it is asked to
_TICKET_LIFE = 90.0  # seconds; unverified [?]
_SESSION_LIFE = 5400.0  # seconds that a sessionWebhook lives, about

Frame = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Ack:
    """What a client answered to one frame.

    Attributes:
        message_id: of the frame.
        topic: of the frame.
        code: 200 when it was handled.
        data: as the client wrote it.
    """

    message_id: str
    topic: str
    code: int
    data: str


class Connection:
    """One websocket. `send` may be called from any thread; the rest lives in the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, topics: frozenset[str], base_url: str) -> None:
        self.id = secrets.token_hex(16)
        self.topics = topics
        self.base_url = base_url
        self._loop = loop
        self._frames: asyncio.Queue[Frame | None] = asyncio.Queue()

    def send(self, frame: Frame | None) -> None:
        """Puts a frame in line; None closes the connection after those before it."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._frames.put_nowait, frame)

    def close_later(self) -> None:
        """Closes the connection when the client has had its time to go by itself."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._loop.call_later, _GRACE, self._frames.put_nowait, None)

    async def next_frame(self) -> Frame | None:
        """What is to be written next; None: close."""
        return await self._frames.get()


class Stream:
    """All tickets, connections and answers of one app. Safe for use from several threads."""

    def __init__(self, client_id: str) -> None:
        self._client_id = client_id
        self._lock = threading.Lock()
        self._connections: dict[str, Connection] = {}
        self._clear()

    def _clear(self) -> None:
        self._tickets: dict[str, tuple[frozenset[str], float]] = {}  # topics, wall-clock second of the end
        self._sessions: dict[str, tuple[str, float]] = {}  # conversation, wall-clock second of the end
        self._sent: dict[str, str] = {}  # topic by message id
        self._acks: list[Ack] = []

    def reset(self) -> None:
        """Forgets tickets, sessions and answers; open connections stay."""
        with self._lock:
            self._clear()

    def issue(self, topics: frozenset[str], now: float) -> str:
        """A ticket for one connection."""
        ticket = secrets.token_urlsafe(24)
        with self._lock:
            self._tickets[ticket] = (topics, now + _TICKET_LIFE)
        return ticket

    def redeem(self, ticket: str, now: float) -> frozenset[str] | None:
        """The topics that a ticket stands for, once; None when it is no good."""
        with self._lock:
            topics, end = self._tickets.pop(ticket, (frozenset[str](), 0.0))
        return topics if end > now else None

    def join(self, connection: Connection) -> None:
        """A websocket was opened."""
        with self._lock:
            self._connections[connection.id] = connection

    def leave(self, connection: Connection) -> None:
        """A websocket was closed."""
        with self._lock:
            self._connections.pop(connection.id, None)

    def connections(self) -> int:
        """How many websockets are open."""
        with self._lock:
            return len(self._connections)

    def listener(self, topic: str) -> Connection | None:
        """The connection that is told of this topic: one of them, the youngest [?]."""
        with self._lock:
            return next((each for each in reversed(self._connections.values()) if topic in each.topics), None)

    def system(self, connection: Connection, topic: str, now: float) -> None:
        """Sends `ping` or `disconnect`."""
        data = {"opaque": secrets.token_hex(8)} if topic == "ping" else {"reason": "persistent connection"}
        connection.send(self._frame("SYSTEM", connection, topic, data, now))

    def call_back(self, connection: Connection, data: Mapping[str, object], now: float) -> str:
        """Tells of a message to the robot; gives back the messageId, under which the answer will be found."""
        frame = self._frame("CALLBACK", connection, TOPIC, data, now)
        connection.send(frame)
        headers = frame["headers"]
        assert isinstance(headers, dict)  # noqa: S101 -- made a line above
        return str(headers["messageId"])

    def disconnect(self, now: float) -> None:
        """Asks all clients to come back; they are cut off when they have answered, or in ten seconds."""
        with self._lock:
            open_ones = list(self._connections.values())
        for connection in open_ones:
            self.system(connection, "disconnect", now)
            connection.close_later()

    def answered(self, connection: Connection, text: str) -> None:
        """Keeps what a client wrote, when it is an answer to a frame."""
        try:
            answer = json.loads(text)
            message_id, code = str(answer["headers"]["messageId"]), int(answer["code"])
        except (ValueError, KeyError, TypeError):
            return  # what the original does with nonsense is unverified [?]
        with self._lock:
            topic = self._sent.get(message_id)
            if topic is not None:
                self._acks.append(Ack(message_id, topic, code, str(answer.get("data", ""))))
        if topic == "disconnect":
            connection.send(None)

    def acks(self) -> tuple[Ack, ...]:
        """All answers, in the order they came."""
        with self._lock:
            return tuple(self._acks)

    def open_session(self, conversation_id: str, now: float) -> tuple[str, float]:
        """A session in which the robot may answer by a plain webhook, and its end in wall-clock seconds."""
        session = secrets.token_hex(16)
        with self._lock:
            self._sessions[session] = (conversation_id, now + _SESSION_LIFE)
        return session, now + _SESSION_LIFE

    def session(self, session: str, now: float) -> str | None:
        """The conversation of a session that still lives."""
        with self._lock:
            conversation_id, end = self._sessions.get(session, ("", 0.0))
        return conversation_id if end > now else None

    def _frame(
        self, kind: str, connection: Connection, topic: str, data: Mapping[str, object], now: float
    ) -> Frame:
        message_id = f"{secrets.token_hex(8)}_{secrets.token_hex(4)}"
        with self._lock:
            self._sent[message_id] = topic
        headers = {
            "appId": self._client_id,
            "connectionId": connection.id,
            "contentType": "application/json",
            "messageId": message_id,
            "time": str(int(now * 1000)),
            "topic": topic,
        }
        text = json.dumps(data, ensure_ascii=False)
        return {"specVersion": "1.0", "type": kind, "headers": headers, "data": text}
