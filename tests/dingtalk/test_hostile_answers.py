"""Every field of every answer, with every odd value: a value that can be kept comes out, or a verdict."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import product
from typing import Any, Final

import pytest

from dingwatch.dingtalk import (
    API_TOKEN,
    API_UPLOAD,
    API_WEBHOOK,
    Client,
    Host,
    SampleMarkdown,
    SignedAddress,
    Webhook,
)
from dingwatch.model import Failure, NoAnswer
from tests.dingtalk.catalogue import CASES, SIGNED
from tests.dingtalk.hostile import HOSTILE, WORST, Path, as_json, places, put, require_harmless
from tests.dingtalk.peers import TOKEN, Calls, Server, Wire
from tests.dingtalk.verdicts import verdict

Call = Callable[[Client], object]


def send_by_webhook(client: Client) -> None:
    """Send by a custom robot at the client's own address."""
    address = f"{client._session.account.oapi_url}/robot/send?access_token={TOKEN}"
    client.webhook(Webhook.at(address)).markdown("t", "x")


OTHERS: Final[Mapping[str, tuple[Call, dict[str, Any]]]] = {
    API_TOKEN[Host.API]: (
        lambda client: client.fetch_token(Host.API, force=True),
        {"accessToken": TOKEN, "expireIn": 7200},
    ),
    API_TOKEN[Host.OAPI]: (
        lambda client: client.fetch_token(Host.OAPI, force=True),
        {"errcode": 0, "errmsg": "ok", "access_token": TOKEN, "expires_in": 7200},
    ),
    API_UPLOAD: (
        lambda client: client.media.upload(name="a.pdf", content=b"%PDF"),
        {"errcode": 0, "errmsg": "ok", "media_id": "@lAzP", "type": "file", "created_at": 1},
    ),
    API_WEBHOOK: (send_by_webhook, {"errcode": 0, "errmsg": "ok"}),
}
ANSWERS: Final[Mapping[str, tuple[Call, dict[str, Any]]]] = {
    **{str(case): (case.call, case.good) for case in CASES},
    **OTHERS,
}
REFUSAL: Final = {
    "code": "Forbidden.AccessDenied.AccessTokenPermissionDenied",
    "message": "no permission",
    "requestid": "r",
    "accessdenieddetail": {"requiredScopes": ["a"]},
    "errcode": 88,
    "errmsg": "ding talk error[subcode=60011,submsg=x]",
    "sub_code": "60011",
    "sub_msg": "x",
    "request_id": "q",
    "status": 1,
}


class Peer(Server):
    """Answers every request, token calls too once it is told, with the same bytes."""

    told: bytes | None = None
    head = "200 OK"

    def one(self, wire: Wire, head: bytes) -> None:
        """Answer one request."""
        if self.told is None:
            super().one(wire, head)
            return
        wire.body(head)
        if (b"oauth2/accessToken" in head or b"/gettoken" in head) and b"oken" not in self.told:
            wire.answer({"errcode": 0, "access_token": TOKEN, "accessToken": TOKEN} | LIVES)
            return
        wire.answer_bytes(self.told, self.head)


LIVES: Final = {"expires_in": 7200, "expireIn": 7200}


@pytest.fixture
def peer() -> Iterator[Peer]:
    """A peer that has not been told anything yet."""
    server = Peer(lambda wire, *_: wire.answer({}))
    yield server
    server.close()


def outcome(client: Client, call: Call) -> object:
    """Make a call; require that what comes out of it is harmless, and return it."""
    try:
        value = call(client)
    except Failure as failure:
        require_harmless(failure.verdict)
        return failure
    require_harmless(value)
    return value


@pytest.mark.parametrize("name", ANSWERS)
def test_no_field_brings_more_than_its_value(peer: Peer, calls: Calls, name: str) -> None:
    """Whatever stands in a field of a good answer, nothing else than a verdict is raised."""
    try_all(peer, calls, name, WORST)


@pytest.mark.sweep
@pytest.mark.parametrize("name", ANSWERS)
def test_no_field_brings_more_with_any_value(peer: Peer, calls: Calls, name: str) -> None:
    """The same with every value."""
    try_all(peer, calls, name, HOSTILE.values())


def try_all(peer: Peer, calls: Calls, name: str, values: Iterable[object]) -> None:
    """Put each value in each place of an answer, and require that what comes out is harmless."""
    call, good = ANSWERS[name]
    with calls.client(peer.url) as client:
        for host in Host:
            client.fetch_token(host)
        for place, value in product(places(good), values):
            peer.told = as_json(put(good, place, value))
            outcome(client, call)


@pytest.mark.parametrize("status", ["200 OK", "403 Forbidden"])
def test_no_refusal_says_more_than_a_line(peer: Peer, calls: Calls, status: str) -> None:
    """Codes, texts and ids of refusals come bounded and printable too."""
    peer.head = status
    with calls.client(peer.url) as client:
        for host in Host:
            client.fetch_token(host)
        for call, _ in (ANSWERS[API_UPLOAD], OTHERS[API_WEBHOOK], (send_to_group, {})):
            for place, value in product(places(REFUSAL), WORST):
                peer.told = as_json(put(REFUSAL, place, value))
                outcome(client, call)


def send_to_group(client: Client) -> str:
    """Send to a group."""
    return client.groups.send(conversation_id="cid", message=SampleMarkdown("t", "x"))


# --- What is no answer, and what is one ------------------------------------------------------------

ID_ODDITIES: Final = ("a surrogate", "a surrogate inside", "nul", "a newline", "blank", "5,000 letters")


@pytest.mark.parametrize("value", ID_ODDITIES)
@pytest.mark.parametrize(
    ("name", "place"),
    [
        (API_UPLOAD, ("media_id",)),
        (next(str(one) for one in CASES if "begin_parts" in one.call.__code__.co_names), ("uploadKey",)),
        (next(str(one) for one in CASES if "commit" in one.call.__code__.co_names), ("dentry", "id")),
        (next(str(one) for one in CASES if "union_id" in one.call.__code__.co_names), ("result", "unionid")),
    ],
)
def test_an_id_that_cannot_be_kept_is_no_answer(
    peer: Peer, calls: Calls, name: str, place: Path, value: str
) -> None:
    """The ledger has no place for half of an emoji, and no request can carry a newline."""
    call, good = ANSWERS[name]
    peer.told = as_json(put(good, place, HOSTILE[value]))
    with calls.client(peer.url) as client:
        assert type(verdict(lambda: call(client))) is NoAnswer


@pytest.mark.parametrize("value", ID_ODDITIES)
def test_an_odd_key_is_no_doubt_about_the_message(peer: Peer, calls: Calls, value: str) -> None:
    """DingTalk took the message and gave it a key: with a doubt it would be sent twice."""
    peer.told = as_json({"processQueryKey": HOSTILE[value]})
    with calls.client(peer.url) as client:
        assert send_to_group(client) == ""


@pytest.mark.parametrize("value", ["null", "true", "zero", "400 digits", "empty", "a list", "an object"])
def test_what_is_no_key_is_no_answer(peer: Peer, calls: Calls, value: str) -> None:
    """An answer without a key may be a gateway's; it says nothing about the message."""
    peer.told = as_json({"processQueryKey": HOSTILE[value]})
    with calls.client(peer.url) as client:
        assert type(verdict(lambda: send_to_group(client))) is NoAnswer


@pytest.mark.parametrize("host", list(Host))
@pytest.mark.parametrize("life", [1e-4, 0.5, 0, -1, -7200, 10**10, 10**400, 1e308, math.inf, True, "7200"])
def test_a_life_that_makes_no_sense_is_no_token(peer: Peer, calls: Calls, host: Host, life: object) -> None:
    """A token that lives 0.1 ms would be fetched again before every call."""
    document = {
        "accessToken": TOKEN,
        "expireIn": life,
        "errcode": 0,
        "access_token": TOKEN,
        "expires_in": life,
    }
    peer.told = as_json(document)
    with calls.client(peer.url) as client:
        assert type(verdict(lambda: client.fetch_token(host))) is NoAnswer
        assert not client.token_fresh(host)


@pytest.mark.parametrize(
    "date",
    [
        "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
        "Mon, 01 Jan 2026 00:00:00 +99999999999",
        "Mon, 99 Jan 2026 99:99:99 GMT",
        "x",
        "",
    ],
)
def test_a_date_that_makes_no_sense_is_none(peer: Peer, calls: Calls, date: str) -> None:
    """This machine's clock is compared with it."""
    peer.told = b"{}"
    peer.head = f"200 OK\r\nDate: {date}"
    with calls.client(peer.url) as client:
        outcome(client, send_to_group)
        assert client.clock_ahead is None


# --- Signed addresses ------------------------------------------------------------------------------

Address = Callable[[dict[str, Any]], SignedAddress]


@pytest.fixture
def address(serve: Callable[..., Server], calls: Calls) -> Address:
    """Ask for the address of an entry's bytes, with this signature in the answer."""

    def ask(signature: dict[str, Any]) -> SignedAddress:
        answer = {"headerSignatureInfo": SIGNED | signature}
        server = serve(lambda wire, *_: wire.answer(answer))
        with calls.client(server.url) as client:
            return client.storage("op").download_address("1", "2")

    return ask


@pytest.mark.parametrize(
    "url",
    [
        "http://zjk.trans.dingtalk.com/a",
        "http://10.0.0.1/a",
        "http://localhost.evil.example/a",
        "http://127.0.0.1.evil.example/a",
        "ftp://zjk.trans.dingtalk.com/a",
        "file:///etc/passwd",
        "//zjk.trans.dingtalk.com/a",
        "https://user:password@zjk.trans.dingtalk.com/a",
        "https://oapi.dingtalk.com@evil.example/a",
        "https://zjk.trans.dingtalk.com:99999999/a",
        "https://[::1/a",
        "https:///a",
        "https://",
        "https://zjk..dingtalk.com/a",
        f"https://{'x' * 64}.dingtalk.com/a",
        "https://zjk.trans.dingtalk.com/a b",
        "https://zjk.trans.dingtalk.com/a\r\nX: y",
        "https://zjk.trans.dingtalk.com/\ud800",
    ],
)
def test_bytes_go_to_no_such_address(address: Address, url: str) -> None:
    """A file leaves the house encrypted, to the host that the address names, or not at all."""
    assert type(verdict(lambda: address({"resourceUrls": [url]}))) is NoAnswer
    assert address({"resourceUrls": [url, "https://a.example/b"]}).urls == ("https://a.example/b",)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/a", "http://[::1]:9/a", "http://localhost/a"])
def test_this_machine_itself_needs_no_encryption(address: Address, url: str) -> None:
    """The sandbox's store lies there."""
    assert address({"resourceUrls": [url]}).urls == (url,)


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "a\r\nX: y"},
        {"Authorization": "\ud800"},
        {"Authorization": "中"},
        {"Authorization": 5},
        {"Authorization": None},
        {"A b": "c"},
        {"A:": "c"},
        {"": "c"},
        {"Content-Length": "5"},
        {"transfer-encoding": "chunked"},
        {"Authorization": "x" * 5000},
        {f"x-{number}": "y" for number in range(100)},
        ["Authorization"],
        "Authorization",
        5,
    ],
)
def test_headers_that_no_request_carries_are_no_signature(address: Address, headers: object) -> None:
    """They would break the request, or make two of one."""
    assert type(verdict(lambda: address({"headers": headers}))) is NoAnswer


@pytest.mark.parametrize("seconds", [0, -5, True, 10**400, 10**9, "900", 1.5, None])
def test_a_signature_without_a_sensible_life_has_the_usual_one(
    address: Address, calls: Calls, seconds: object
) -> None:
    """Its end is shown to people, and added to a clock."""
    assert address({"expirationSeconds": seconds}).expires_at == calls.clock.now + 900
