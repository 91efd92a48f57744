"""Stream mode: waits until somebody mentions the robot, by DingTalk's own package `dingtalk-stream`.

The package opens connections, reads frames and answers them. Its `start` is not used: it never returns,
swallows a cancellation (0.24.3), and waits ten seconds after each failure, while one message is enough here.
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
from urllib.parse import quote_plus, urlsplit

from dingwatch.config.checks import is_loopback
from dingwatch.dingtalk import Account, answers, system_store_for_all

_TOPIC: Final = "/v1.0/im/bot/messages/get"
_GROUP: Final = "2"
_LONGEST_REASON: Final = 300
"""Characters of the package's error message that are shown."""
_UNREADABLE: Final = (ValueError, TypeError, AttributeError, LookupError, RecursionError)
"""Exceptions of the package for malformed frames, which it reads without checking."""
_RECONNECT_SECONDS: Final = 1.0
"""Pause before a connection that the other side ended is opened again."""
INSTALL: Final = f"{sys.executable} -m pip install dingtalk-stream~=0.24.3"


class StreamMissingError(Exception):
    """The package is not installed."""


class ConnectError(Exception):
    """The connection failed; the message says why, without a secret."""


@dataclass(frozen=True, slots=True)
class Mention:
    """The sender and the conversation of a message; `group` is False for a chat with the robot alone."""

    conversation_id: str
    title: str
    person: str
    group: bool


class _LastError(logging.Handler):
    """Keeps the last error that the package logged, for it raises none; drops the rest, which has tickets."""

    message = ""

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR:
            self.message = record.getMessage()


def first_mention(account: Account, seconds: float) -> Mention:
    """Wait for somebody to write to the robot.

    Raises:
        StreamMissingError: the package is not installed.
        ConnectError: the connection failed.
        TimeoutError: nobody wrote within so many seconds.
    """
    # The package reads this variable once, when it is imported.
    os.environ["DINGTALK_OPENAPI_ENDPOINT"] = account.api_url
    logger, errors = logging.getLogger("dingtalk_stream"), _LastError()
    logger.handlers, logger.propagate = [errors], False
    # The person may have installed it a moment ago, in another terminal, as `init` told them to.
    importlib.invalidate_caches()
    try:
        package = importlib.import_module("dingtalk_stream")
        sockets = importlib.import_module("websockets")
    except ImportError:
        raise StreamMissingError from None
    mentions: list[Mention] = []
    client = _client(package, account, mentions)
    until = time.monotonic() + seconds
    while True:
        try:
            with system_store_for_all(os.environ):
                asyncio.run(_listen(client, sockets, _open(client, errors, account), mentions, until))
        except TimeoutError:
            raise
        except (sockets.WebSocketException, OSError, *_UNREADABLE) as error:
            raise ConnectError(type(error).__name__) from None  # its own text may hold the ticket
        if mentions:
            return mentions[0]
        time.sleep(_RECONNECT_SECONDS)


def _open(client: Any, log: _LastError, account: Account) -> str:  # noqa: ANN401 (it has no types)
    """Return the address of a new connection; its ticket is valid once."""
    opened = client.open_connection()
    opened = opened if isinstance(opened, dict) else {}
    endpoint, ticket = answers.optional_text(opened, "endpoint"), answers.optional_text(opened, "ticket")
    if not ticket or not _is_safe(endpoint):
        reason = log.message.replace(account.client_secret, "***")
        raise ConnectError(answers.printable(reason, _LONGEST_REASON))
    return f"{endpoint}?ticket={quote_plus(ticket)}"


def _is_safe(endpoint: str) -> bool:
    """Return whether the robot's messages may come from there: encrypted, or from this machine."""
    try:
        scheme = urlsplit(endpoint).scheme
        return scheme == "wss" or (scheme == "ws" and is_loopback(endpoint))
    except ValueError:
        return False


def _client(package: Any, account: Account, mentions: list[Mention]) -> Any:  # noqa: ANN401 (it has no types)
    async def process(message: Any) -> tuple[int, str]:  # noqa: ANN401 (as above)
        mentions.append(_mention(message.data))
        return package.AckMessage.STATUS_OK, "OK"

    handler = package.CallbackHandler()
    handler.process = process
    client = package.DingTalkStreamClient(package.Credential(account.client_id, account.client_secret))
    client.register_callback_handler(_TOPIC, handler)
    return client


async def _listen(client: Any, sockets: Any, address: str, mentions: list[Mention], until: float) -> None:  # noqa: ANN401
    """Answer frames until there is a mention, or until the other side asks for a new connection."""
    async with asyncio.timeout(until - time.monotonic()), sockets.connect(address) as socket:
        client.websocket = socket
        async for frame in socket:
            try:
                tag = await client.route_message(json.loads(frame))
            except _UNREADABLE:
                continue  # the next one may be the mention; nobody else needs this one
            if mentions or tag == client.TAG_DISCONNECT:
                return


def _mention(data: Any) -> Mention:  # noqa: ANN401 (decoded JSON)
    """Read a message; raise ValueError if it is none."""
    conversation = answers.optional_text(data, "conversationId") if isinstance(data, dict) else ""
    if not conversation:
        raise ValueError("a message without a conversation")
    return Mention(
        conversation,
        answers.label(data, "conversationTitle"),
        answers.label(data, "senderNick") or answers.label(data, "senderStaffId"),
        answers.label(data, "conversationType") == _GROUP,
    )
