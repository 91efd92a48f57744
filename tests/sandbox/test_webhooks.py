from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from dingwatch.sandbox import Fault, FaultKind, Limits, Sandbox, Settings, Webhook

if TYPE_CHECKING:
    from tests.sandbox.conftest import Clock, Peer

GROUP = Settings().conversations[0].id
TOKEN = "t"
TEXT = {"msgtype": "text", "text": {"content": "文件太大"}}


@pytest.fixture
def plain(peer_of: Callable[[Settings], Peer]) -> Peer:
    """A client of a sandbox whose custom robot has no security settings."""
    return peer_of(Settings(webhooks=(Webhook("t", GROUP),)))


def post(peer: Peer, body: object, token: str = TOKEN, **query: str) -> dict[str, Any]:
    """A call of a custom robot's address, which is HTTP 200 whatever happens."""
    url = peer.sandbox.url + "/robot/send"
    answer = peer.session.post(url, params={"access_token": token, **query}, json=body, timeout=10)
    assert answer.status_code == 200
    document = answer.json()
    assert isinstance(document, dict)
    return document


def signed(secret: str, seconds: float) -> dict[str, str]:
    """Timestamp and sign as the documentation computes them."""
    timestamp = str(int(seconds * 1000))
    digest = hmac.new(secret.encode(), f"{timestamp}\n{secret}".encode(), hashlib.sha256).digest()
    return {"timestamp": timestamp, "sign": base64.b64encode(digest).decode()}


def test_messages(plain: Peer) -> None:
    """Text, link, markdown and cards are shown, without token and from the custom robot."""
    for body in (
        TEXT,
        {"msgtype": "markdown", "markdown": {"title": "标题", "text": "**x**"}},
        {"msgtype": "link", "link": {"title": "t", "text": "s", "messageUrl": "https://example.com"}},
        {"msgtype": "actionCard", "actionCard": {"title": "t", "text": "m"}},
        {"msgtype": "feedCard", "feedCard": {"links": [{"title": "a"}, {"title": "b"}]}},
    ):
        assert post(plain, body) == {"errcode": 0, "errmsg": "ok"}
    messages = plain.sandbox.messages(GROUP)
    assert [each.text for each in messages] == [
        "文件太大",
        "标题\n**x**",
        "t\ns\nhttps://example.com",
        "t\nm",
        "a\nb",
    ]
    assert {each.sender for each in messages} == {"robot:通知"}
    assert plain.sandbox.billed() == 0


@pytest.mark.parametrize("kind", ["file", "image", "sampleFile", None])
def test_no_files(plain: Peer, kind: str | None) -> None:
    """A custom robot takes no file (400105)."""
    answer = post(plain, {"msgtype": kind, "file": {"mediaId": "@x"}})
    assert answer["errcode"] == 400105
    assert answer["errmsg"].startswith(
        f"错误描述: 不支持类型 msgType:{kind or ''} ;解决方案:请使用支持的类型;"
    )
    assert plain.sandbox.messages(GROUP) == ()


def test_addresses(plain: Peer) -> None:
    """A missing or unknown token, another Content-Type and broken JSON each have their errcode."""
    assert post(plain, TEXT, token="")["errcode"] == 400101
    assert post(plain, TEXT, token="never")["errcode"] == 300005
    assert post(plain, [])["errcode"] == 40035
    assert post(plain, {"msgtype": "text"})["errcode"] == 40035
    url = f"{plain.sandbox.url}/robot/send?access_token=t"
    assert plain.session.post(url, data={"a": "b"}, timeout=10).json()["errcode"] == 43004


def test_signature(peer: Peer, sandbox: Sandbox, clock: Clock) -> None:
    """A signing robot wants the signature of this secret and a timestamp of this hour."""
    webhook = sandbox.settings.webhooks[0]
    assert post(peer, TEXT, webhook.token, **signed(webhook.secret, clock.now - 3600))["errcode"] == 0
    for query, message in (
        ({}, "invalid timestamp"),
        (signed(webhook.secret, clock.now - 3601), "invalid timestamp"),
        (signed(webhook.secret, clock.now + 3601), "invalid timestamp"),
        (signed("another", clock.now), "sign not match"),
        ({"timestamp": signed("", clock.now)["timestamp"]}, "sign not match"),
    ):
        assert post(peer, TEXT, webhook.token, **query) == {"errcode": 310000, "errmsg": message}
    assert len(sandbox.messages(webhook.conversation_id)) == 1


def test_keywords_and_addresses(peer_of: Callable[[Settings], Peer]) -> None:
    """A message without a keyword, or from another address, is refused with 310000 and the reason."""
    words = Webhook("t", GROUP, keywords=("文件",))
    here, away = Webhook("h", GROUP, addresses=("127.0.0.1",)), Webhook("a", GROUP, addresses=("10.0.0.1",))
    peer = peer_of(Settings(webhooks=(words, here, away)))
    assert [post(peer, TEXT, token)["errcode"] for token in ("t", "h", "a")] == [0, 0, 310000]
    assert post(peer, TEXT, "a")["errmsg"] == "ip 127.0.0.1 not in whitelist"
    other = {"msgtype": "markdown", "markdown": {"title": "x", "text": "y"}}
    missing = "请联系群管理员查看此机器人的关键词，并在发送的信息中包含此关键词"
    assert post(peer, other) == {"errcode": 310000, "errmsg": f"错误描述:关键词不匹配;解决方案:{missing};"}


def test_long_bodies(plain: Peer) -> None:
    """A body of 20,000 bytes is taken, one of a byte more is not (460101): bytes count, not letters."""
    url = f"{plain.sandbox.url}/robot/send?access_token={TOKEN}"
    headers = {"Content-Type": "application/json"}
    frame = '{"msgtype": "text", "text": {"content": "件"}}'
    for size, errcode in ((20_000, 0), (20_001, 460101)):
        body = frame.encode() + b" " * (size - len(frame.encode()))
        answer = plain.session.post(url, data=body, headers=headers, timeout=10).json()
        assert answer["errcode"] == errcode
    assert answer["errmsg"] == "description: body 大小不合法;solution:请保持大小在 20000bytes 以内;"
    assert len(plain.sandbox.messages(GROUP)) == 1


def test_idempotency(plain: Peer) -> None:
    """The same msgUuid again is accepted and not shown again, also after a lost answer."""
    plain.sandbox.inject(Fault("robot/send", FaultKind.ERROR, code=-1))
    body = {**TEXT, "msgUuid": "u1"}
    assert [post(plain, body)["errcode"] for _ in range(3)] == [-1, 0, 0]
    assert post(plain, {**TEXT, "msgUuid": "u2"})["errcode"] == 0
    assert len(plain.sandbox.messages(GROUP)) == 2


def test_twenty_a_minute(peer_of: Callable[[Settings], Peer], clock: Clock) -> None:
    """One message too many within a minute is 130101, and everything of this robot for ten minutes 410100."""
    hooks = (Webhook("t", GROUP), Webhook("other", GROUP))
    peer = peer_of(Settings(webhooks=hooks, limits=Limits(webhook_per_minute=2)))
    assert [post(peer, TEXT)["errcode"] for _ in range(2)] == [0, 0]
    assert post(peer, TEXT) == {"errcode": 130101, "errmsg": "send too fast, exceed 2 times per minute"}
    assert post(peer, TEXT, "other")["errcode"] == 0
    clock.now += 599
    assert post(peer, TEXT) == {"errcode": 410100, "errmsg": "发送速度太快而限流"}
    clock.now += 1
    assert post(peer, TEXT)["errcode"] == 0


def test_own_quota(peer_of: Callable[[Settings], Peer]) -> None:
    """Webhooks have a monthly quota of their own, which the calls of the app do not use."""
    peer = peer_of(Settings(webhooks=(Webhook("t", GROUP),), limits=Limits(monthly_events=1)))
    peer.media_id()
    assert post(peer, TEXT)["errcode"] == 0
    assert post(peer, TEXT) == {"errcode": 90030, "errmsg": "webhook over limit"}
    assert (peer.sandbox.events(), peer.sandbox.billed()) == (1, 1)
