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
    """A robot's URL and token, and its secret (`SEC…`) if its security setting is a signature."""

    access_token: str = field(repr=False)
    secret: str | None = field(repr=False, default=None)
    url: str = "https://oapi.dingtalk.com/robot/send"

    @classmethod
    def at(cls, address: str, secret: str | None = None) -> Self:
        """Parse an address as DingTalk shows it: `https://…/robot/send?access_token=…`.

        Raises:
            ValueError: for an address without one token; its message does not repeat the address.
        """
        try:
            parts = urlsplit(address.strip())
            tokens = parse_qs(parts.query).get("access_token", [])
        except ValueError:
            raise ValueError("no webhook address: it cannot be read") from None
        plain = parts.hostname and "@" not in parts.netloc
        if parts.scheme not in {"https", "http"} or not plain or len(tokens) != 1:
            raise ValueError("no webhook address: it holds one access_token, and no user name")
        return cls(tokens[0], secret, urlunsplit((parts.scheme, parts.netloc, parts.path, "", "")))


def signature(timestamp: int, secret: str) -> str:
    """Return the `sign` for a timestamp in milliseconds, not yet URL-encoded."""
    digest = hmac.digest(secret.encode(), f"{timestamp}\n{secret}".encode(), hashlib.sha256)
    return base64.b64encode(digest).decode()


class WebhookRobot:
    """Sends markdown through a webhook. Its calls have a quota of their own, Webhook & Stream."""

    def __init__(self, channel: Channel, webhook: Webhook) -> None:
        self._channel, self._webhook = channel, webhook

    def markdown(self, title: str, text: str, *, uuid: str | None = None) -> None:
        """Send markdown; the list of conversations shows the title, the message does not.

        DingTalk documents `msgUuid` for retries: a message that is sent again under its uuid arrives once. So
        the call is repeated for some seconds, under a random uuid if none is given.

        Raises:
            Failure: NoAnswer means that it may have arrived.
        """
        body: dict[str, object] = {
            "msgtype": "markdown",
            "markdown": {"title": title, "text": text},
            "msgUuid": uuid or secrets.token_hex(16),
        }
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
