"""The custom webhook robot: what goes out, signed anew for each try, and what may come back."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from dingwatch.dingtalk import API_WEBHOOK, BILLED, Client, Webhook, WebhookRobot
from dingwatch.dingtalk.webhook import signature
from dingwatch.model import Misconfigured, NoAnswer, NotReached, Rejected, Scope, Throttled, Verdict
from tests.dingtalk.peers import HOOK, SIGNING_SECRET, Calls, Server, Wire
from tests.dingtalk.verdicts import verdict

Serve = Callable[..., Server]
OK = {"errcode": "0", "errmsg": "ok"}


@pytest.fixture
def client(calls: Calls) -> Iterator[Client]:
    """A client whose own hosts nobody asks here."""
    with calls.client("http://127.0.0.1:9") as made:
        yield made


def robot(client: Client, server: Server, secret: str | None = SIGNING_SECRET) -> WebhookRobot:
    """Return a robot at a server."""
    return client.webhook(Webhook.at(f"{server.url}/robot/send?access_token={HOOK}", secret))


def query_of(head: bytes) -> dict[str, list[str]]:
    """Return a request's query."""
    return parse_qs(urlsplit(head.decode().split(" ")[1]).query)


def test_a_notice_goes_out_signed(serve: Serve, calls: Calls, client: Client) -> None:
    """Its token, timestamp in milliseconds and signature stand in the address, its key in the body."""
    seen: list[tuple[bytes, bytes]] = []

    def react(wire: Wire, head: bytes, body: bytes) -> None:
        seen.append((head, body))
        wire.answer(OK)

    robot(client, serve(react)).markdown("标题", "<b>文件</b>", uuid="u1")
    [(head, body)] = seen
    assert head.startswith(b"POST /robot/send?access_token=")
    query = query_of(head)
    timestamp = str(int(calls.clock.now * 1000))
    digest = hmac.new(
        SIGNING_SECRET.encode(), f"{timestamp}\n{SIGNING_SECRET}".encode(), hashlib.sha256
    ).digest()
    assert query == {
        "access_token": [HOOK],
        "timestamp": [timestamp],
        "sign": [base64.b64encode(digest).decode()],
    }
    markdown = {"title": "标题", "text": "<b>文件</b>"}
    assert json.loads(body) == {"msgtype": "markdown", "markdown": markdown, "msgUuid": "u1"}
    assert b"\\u" not in body
    assert b"x-acs-dingtalk-access-token" not in head
    assert calls.gated == calls.counted == [API_WEBHOOK]
    assert API_WEBHOOK not in BILLED


def test_a_signature_is_what_the_document_computes() -> None:
    """What openssl makes of the same two lines: `openssl dgst -sha256 -hmac … -binary | base64`."""
    assert signature(1577262236757, "this is secret") == "hmPWwU+7lVdm3ZZz0r9tSfx0L4Q26jWOZr9+Gs6EZQM="


def test_a_robot_without_a_secret_signs_nothing(serve: Serve, client: Client) -> None:
    """Its security setting is a keyword or an address."""
    server = serve(lambda wire, *_: wire.answer(OK))
    robot(client, server, None).markdown("t", "x")
    assert query_of(server.requests[0]) == {"access_token": [HOOK]}


def test_a_lost_answer_is_asked_for_again_as_the_same_message(
    serve: Serve, calls: Calls, client: Client
) -> None:
    """DingTalk documents msgUuid for this; the signature is of the moment of each try."""
    seen: list[tuple[bytes, bytes]] = []

    def react(wire: Wire, head: bytes, body: bytes) -> None:
        seen.append((head, body))
        calls.clock.now += 1
        if len(seen) < 3:
            wire.hang_up()
        else:
            wire.answer(OK)

    robot(client, serve(react)).markdown("t", "x")
    assert len({json.loads(body)["msgUuid"] for _, body in seen}) == 1
    assert len({query_of(head)["timestamp"][0] for head, _ in seen}) == 3


def test_two_notices_are_two(serve: Serve, client: Client) -> None:
    """Each has a key of its own unless it is given one."""
    bodies: list[bytes] = []

    def react(wire: Wire, _head: bytes, body: bytes) -> None:
        bodies.append(body)
        wire.answer(OK)

    made = robot(client, serve(react))
    made.markdown("t", "x")
    made.markdown("t", "x")
    assert len({json.loads(body)["msgUuid"] for body in bodies}) == 2


@pytest.mark.parametrize(
    ("code", "kind", "advice", "requests"),
    [
        (310000, Misconfigured, "WEBHOOK", 1),
        (300005, Misconfigured, "WEBHOOK", 1),
        (400101, Misconfigured, "WEBHOOK", 1),
        (400013, Misconfigured, "WEBHOOK", 1),
        (400102, Misconfigured, "WEBHOOK", 1),
        (400106, Misconfigured, "WEBHOOK", 1),
        (400105, Rejected, "REPORT_BUG", 1),
        (430102, Rejected, "CONTENT", 1),
        (40035, Rejected, "REPORT_BUG", 1),
        (43004, Rejected, "REPORT_BUG", 1),
        (-1, NoAnswer, "DINGTALK_BUSY", 3),
    ],
)
def test_what_a_webhook_refuses_is_understood(
    serve: Serve, client: Client, code: int, kind: type[Verdict], advice: str, requests: int
) -> None:
    """Its own settings are for a person; what is said may repeat the address."""
    told = f"sign not match, access_token={HOOK} secret={quote(SIGNING_SECRET, safe='')}"
    server = serve(lambda wire, *_: wire.answer({"errcode": code, "errmsg": told}))
    found = verdict(lambda: robot(client, server).markdown("t", "x"))
    assert (type(found), found.cause.advice) == (kind, advice)
    assert len(server.requests) == requests
    assert "***" in found.cause.message


@pytest.mark.parametrize("code", [410100, 130101, 660026])
def test_a_webhook_that_is_too_fast_waits_ten_minutes(serve: Serve, client: Client, code: int) -> None:
    """Twenty a minute, and whoever sends more is limited for that long; others are not held up."""
    server = serve(lambda wire, *_: wire.answer({"errcode": code, "errmsg": "too fast"}))
    found = verdict(lambda: robot(client, server).markdown("t", "x"))
    assert isinstance(found, Throttled)
    assert (found.scope, found.retry_after) == (Scope.CONVERSATION, 600.0)


def test_nobody_there_is_told_without_the_address(client: Client, dead_url: str) -> None:
    """The libraries' own words hold it."""
    made = client.webhook(Webhook(HOOK, SIGNING_SECRET, f"{dead_url}/robot/send"))
    assert type(verdict(lambda: made.markdown("t", "x"))) is NotReached


@pytest.mark.parametrize(
    "address",
    [
        "",
        "https://oapi.dingtalk.com/robot/send",
        "https://oapi.dingtalk.com/robot/send?access_token=",
        f"oapi.dingtalk.com/robot/send?access_token={HOOK}",
        f"https:///robot/send?access_token={HOOK}",
        f"https://a/b?access_token={HOOK}&access_token=x",
        f"https://somebody@oapi.dingtalk.com/robot/send?access_token={HOOK}",
        f"https://oapi.dingtalk.com@evil.example/robot/send?access_token={HOOK}",
        f"https://[{HOOK}/robot/send?access_token={HOOK}",
    ],
)
def test_an_address_that_is_none_is_refused_without_being_told(address: str) -> None:
    """Half of a secret may stand in it."""
    with pytest.raises(ValueError, match="no webhook address") as caught:
        Webhook.at(address, SIGNING_SECRET)
    assert HOOK not in str(caught.value)


def test_an_address_is_taken_apart() -> None:
    """As DingTalk shows it to be copied; nothing of it is shown again."""
    made = Webhook.at(f" https://oapi.dingtalk.com/robot/send?access_token={HOOK}\n", SIGNING_SECRET)
    assert made == Webhook(HOOK, SIGNING_SECRET)
    assert HOOK not in repr(made)
    assert SIGNING_SECRET not in repr(made)
