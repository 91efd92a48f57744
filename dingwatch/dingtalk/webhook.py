"""The custom webhook robot 自定义机器人 (KB:0717): texts and markdown to one group, and no files."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

from dingwatch.dingtalk.apis import API_WEBHOOK, Host
from dingwatch.dingtalk.channel import JSON, Call, Channel, json_body
from dingwatch.model import NoAnswer, NotReached


@dataclass(frozen=True, slots=True)
class Webhook:
    """A robot's address, token and, where its security setting is a signature, secret (`SEC…`)."""

    access_token: str = field(repr=False)
    secret: str | None = field(repr=False, default=None)
    url: str = "https://oapi.dingtalk.com/robot/send"

    @classmethod
    def at(cls, address: str, secret: str | None = None) -> Self:
        """Take an address apart as DingTalk shows it: `https://…/robot/send?access_token=…`.

        Raises:
            ValueError: for an address without a token; it is not repeated in the message.
        """
        parts = urlsplit(address.strip())
        tokens = parse_qs(parts.query).get("access_token", [])
        if parts.scheme not in {"https", "http"} or not parts.netloc or len(tokens) != 1:
            raise ValueError("no webhook address: it holds one access_token")
        return cls(tokens[0], secret, urlunsplit((parts.scheme, parts.netloc, parts.path, "", "")))


def signature(timestamp: int, secret: str) -> str:
    """Return the `sign` for a timestamp in milliseconds, not yet URL-encoded."""
    digest = hmac.digest(secret.encode(), f"{timestamp}\n{secret}".encode(), hashlib.sha256)
    return base64.b64encode(digest).decode()


class WebhookRobot:
    """Sends notices through a webhook. Its calls count against a quota of their own, Webhook & Stream."""

    def __init__(self, channel: Channel, webhook: Webhook) -> None:
        self._channel, self._webhook = channel, webhook

    def text(self, content: str, *, uuid: str | None = None) -> None:
        """Send a text; `uuid` as below."""
        self._send({"msgtype": "text", "text": {"content": content}}, uuid)

    def markdown(self, title: str, text: str, *, uuid: str | None = None) -> None:
        """Send markdown; the title stands in the list of conversations, not in the message.

        `uuid` makes it the same message however often it is sent: DingTalk documents `msgUuid` for
        retries. One is made up when none is given, and the call repeated for some seconds under it.

        Raises:
            Failure: NoAnswer means that it may have arrived; sent again with the same uuid it arrives once.
        """
        self._send({"msgtype": "markdown", "markdown": {"title": title, "text": text}}, uuid)

    def _send(self, message: dict[str, object], uuid: str | None) -> None:
        body = message | {"msgUuid": uuid or secrets.token_hex(16)}
        self._channel.repeat(lambda: self._once(body), NotReached, NoAnswer)

    def _once(self, body: dict[str, object]) -> None:
        query = {"access_token": self._webhook.access_token}
        hidden = [self._webhook.access_token]
        if secret := self._webhook.secret:
            # Signed for each try: a timestamp is good for an hour, but a try may come late.
            timestamp = int(self._channel.clock() * 1000)
            query |= {"timestamp": str(timestamp), "sign": signature(timestamp, secret)}
            hidden += [secret, query["sign"]]
        url = f"{self._webhook.url}?{urlencode(query)}"
        call = Call(API_WEBHOOK, "POST", url, JSON, json_body(body), secrets=tuple(hidden))
        self._channel.ask(Host.OAPI, call)
