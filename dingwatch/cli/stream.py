"""Stream mode: hears who mentions the robot, through DingTalk's own package `dingtalk-stream`.

The package opens connections, reads frames and answers them. Its `start` is left alone: it goes on for ever,
swallows a cancellation (0.24.3), and waits ten seconds after each failure. Here one message is enough.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import os
import sys
import time
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote_plus

from dingwatch.dingtalk import Account

_TOPIC: Final = "/v1.0/im/bot/messages/get"
_GROUP: Final = "2"
_LONGEST: Final = 300
"""Characters of a complaint that are shown."""
_REST: Final = 1.0
"""Seconds before a connection that was ended is opened anew."""
INSTALL: Final = f"{sys.executable} -m pip install dingtalk-stream~=0.24.3"


class Missing(Exception):  # noqa: N818 (it says what is)
    """The package is not installed."""


class NotOpened(Exception):  # noqa: N818 (it says what is)
    """No connection came about; its text says why, without a secret."""


@dataclass(frozen=True, slots=True)
class Mention:
    """What somebody said to the robot, and where; `group` False: to it alone."""

    conversation_id: str
    title: str
    person: str
    group: bool


class _Kept(logging.Handler):
    """Keeps the package's last complaint, which it only logs; the rest, tickets too, goes nowhere."""

    complaint = ""

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR:
            self.complaint = record.getMessage()


def first_mention(account: Account, seconds: float) -> Mention:
    """Wait for somebody to write to the robot.

    Raises:
        Missing: when the package is not installed.
        NotOpened: when no connection comes about.
        TimeoutError: when nobody wrote within so many seconds.
    """
    # The package reads it once, when it is imported.
    os.environ["DINGTALK_OPENAPI_ENDPOINT"] = account.api_url
    log, kept = logging.getLogger("dingtalk_stream"), _Kept()
    log.handlers, log.propagate = [kept], False
    importlib.invalidate_caches()  # it may have been installed a moment ago
    try:
        package = importlib.import_module("dingtalk_stream")
        sockets = importlib.import_module("websockets")
    except ImportError:
        raise Missing from None
    heard: list[Mention] = []
    client = _client(package, account, heard)
    until = time.monotonic() + seconds
    while True:
        try:
            asyncio.run(_listen(client, sockets, _opened(client, kept, account), heard, until))
        except TimeoutError:
            raise
        except (sockets.WebSocketException, OSError, ValueError) as error:
            raise NotOpened(type(error).__name__) from None  # its own text may hold the ticket
        if heard:
            return heard[0]
        time.sleep(_REST)


def _opened(client: Any, kept: _Kept, account: Account) -> str:  # noqa: ANN401 (it has no types)
    """Return the address of a new connection, good once."""
    opened = client.open_connection()
    if not opened or not {"endpoint", "ticket"} <= opened.keys():
        raise NotOpened(kept.complaint.replace(account.client_secret, "***")[:_LONGEST])
    return f"{opened['endpoint']}?ticket={quote_plus(opened['ticket'])}"


def _client(package: Any, account: Account, heard: list[Mention]) -> Any:  # noqa: ANN401 (it has no types)
    async def process(message: Any) -> tuple[int, str]:  # noqa: ANN401 (as above)
        heard.append(_mention(message.data))
        return package.AckMessage.STATUS_OK, "OK"

    handler = package.CallbackHandler()
    handler.process = process
    client = package.DingTalkStreamClient(package.Credential(account.client_id, account.client_secret))
    client.register_callback_handler(_TOPIC, handler)
    return client


async def _listen(client: Any, sockets: Any, address: str, heard: list[Mention], until: float) -> None:  # noqa: ANN401
    """Answer frames until something was heard, or the other side wants a new connection."""
    async with asyncio.timeout(until - time.monotonic()), sockets.connect(address) as socket:
        client.websocket = socket
        async for frame in socket:
            asked = await client.route_message(json.loads(frame))
            if heard or asked == client.TAG_DISCONNECT:
                return


def _mention(said: Any) -> Mention:  # noqa: ANN401 (whatever came)
    return Mention(
        str(said.get("conversationId") or ""),
        str(said.get("conversationTitle") or ""),
        str(said.get("senderNick") or said.get("senderStaffId") or ""),
        str(said.get("conversationType")) == _GROUP,
    )
