"""Stream mode against odd answers: of the gateway, and of the connection behind it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import product
from typing import Any, Final

import pytest

from dingwatch.cli.stream import ConnectError, first_mention
from dingwatch.dingtalk import Account
from dingwatch.sandbox import Fault, FaultKind, Sandbox
from tests.dingtalk.hostile import HOSTILE, as_json, nested, places, put, require_harmless

package = pytest.importorskip("dingtalk_stream", reason="needs the extra `stream`")
websockets = pytest.importorskip("websockets.asyncio.server", reason="needs the extra `stream`")

OPEN: Final = "gateway/connections/open"
SAID: Final = {
    "conversationId": "cid+/=",
    "conversationTitle": "财务",
    "senderNick": "曲大岳",
    "senderStaffId": "u1",
    "conversationType": "2",
}


def frame(data: object, headers: object = None) -> Mapping[str, object]:
    """Return a frame that brings a message to the robot."""
    topic = {"topic": "/v1.0/im/bot/messages/get", "messageId": "m", "contentType": "application/json"}
    return {
        "specVersion": "1.0",
        "type": "CALLBACK",
        "headers": topic if headers is None else headers,
        "data": json.dumps(data),
    }


async def read_all(socket: Any) -> None:  # noqa: ANN401 (the package has its own class)
    """Read until the other side closes: acknowledgements that nobody reads would hold up its goodbye."""
    async for _ in socket:
        pass


@contextmanager
def connection(frames: Sequence[str | bytes]) -> Iterator[str]:
    """Serve a connection that brings these frames; yield its address."""
    started, loop = threading.Event(), asyncio.new_event_loop()
    port = 0

    async def talk(socket: Any) -> None:  # noqa: ANN401 (the package has its own class)
        acks = asyncio.create_task(read_all(socket))
        for one in frames:
            await socket.send(one)
        await acks

    async def serve() -> None:
        nonlocal port
        async with websockets.serve(talk, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            started.set()
            await stop.wait()

    stop = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert started.wait(20)
    try:
        yield f"ws://127.0.0.1:{port}"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        loop.close()


@pytest.fixture
def account(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Account:
    """Return the sandbox's app; the package, once imported, keeps the address that it read then."""
    monkeypatch.setattr(package.DingTalkStreamClient, "OPEN_CONNECTION_API", f"{sandbox.url}/v1.0/{OPEN}")
    return Account(sandbox.client_id, sandbox.client_secret, sandbox.robot_code, sandbox.url, sandbox.url)


def test_odd_frames_are_passed_over(sandbox: Sandbox, account: Account) -> None:
    """Whatever comes before it, the mention is found; what is shown of it is harmless."""
    odd: list[str | bytes] = ["", "{", "[]", "5", "null", b"\x00\xff", "[" * 5000, '{"type": 5}']
    wrong = [at for at in places(frame(SAID)) if at not in UNREAD]
    odd += [as_json(put(frame(SAID), at, value)).decode() for at in wrong for value in ODD]
    strangers: list[Any] = [[], 5, None, "x", {"conversationId": 5}]
    strangers += [SAID | {"conversationId": value} for value in ("\ud800", "a\nb", "", " ")]
    odd += [as_json(frame(data)).decode() for data in strangers]
    strange = SAID | {"conversationTitle": "\ud800\x1b[31m", "senderNick": "x" * 5000}
    with connection([*odd, json.dumps(frame(strange))]) as address:
        sandbox.inject(Fault(OPEN, FaultKind.REPLACE, field="endpoint", value=address))
        mention = first_mention(account, 60)
    assert (mention.conversation_id, mention.person, mention.group) == ("cid+/=", "x" * 300, True)
    require_harmless(mention)


UNREAD: Final = [("specVersion",), ("headers", "messageId"), ("headers", "contentType")]
"""What may be odd in a message that is one all the same."""
ODD: Final[tuple[Any, ...]] = (None, 5, True, [], {"a": "\ud800"}, "x\ud800", nested(200))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *product(("endpoint", "ticket"), (None, 5, "", "\ud800", "a\nb", ["x"], {"a": "b"})),
        ("endpoint", "ws://evil.example/connect"),
        ("endpoint", "http://127.0.0.1/"),
        ("endpoint", "wss://[::1"),
        ("", []),
        ("", "x"),
        ("", 5),
        ("", HOSTILE["900 deep"]),
    ],
)
def test_an_odd_address_is_no_connection(
    sandbox: Sandbox, account: Account, field: str, value: object
) -> None:
    """The person is told that there is no connection, and chooses another way."""
    sandbox.inject(Fault(OPEN, FaultKind.REPLACE, times=None, field=field, value=value))
    with pytest.raises(ConnectError) as caught:
        first_mention(account, 60)
    assert str(caught.value).isprintable()
