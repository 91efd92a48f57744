from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dingwatch.sandbox import Fault, FaultKind, Sandbox

if TYPE_CHECKING:
    from tests.sandbox.conftest import Clock, Peer

TEXT = {"msgtype": "text", "text": {"content": "hello"}}


def post(peer: Peer, path: str, body: object) -> dict[str, Any]:
    """A call of the legacy host, which is HTTP 200 whatever happens."""
    answer = peer.post(f"{path}?access_token={peer.legacy_token()}", body)
    assert answer.status_code == 200
    document = answer.json()
    assert isinstance(document, dict)
    return document


def file_of(media_id: str) -> dict[str, object]:
    """The msg of a file."""
    return {"msgtype": "file", "file": {"media_id": media_id}}


def test_a_file_by_chat_id(peer: Peer, sandbox: Sandbox) -> None:
    """chat/send shows a file in the group of this chatid, under the name it was uploaded with."""
    group = sandbox.conversations[1]
    answer = post(
        peer, "/chat/send", {"chatid": group.chat_id, "msg": file_of(peer.media_id("报告.pdf", b"abc"))}
    )
    assert answer.keys() == {"errcode", "errmsg", "messageId"}
    assert (answer["errcode"], answer["messageId"][:3]) == (0, "msg")
    (message,) = sandbox.messages(group.id)
    assert (message.msg_key, message.file_name, message.file_type, message.size) == (
        "file",
        "报告.pdf",
        "pdf",
        3,
    )


def test_other_messages(peer: Peer, sandbox: Sandbox) -> None:
    """Text, markdown, link, card and image messages show what they say."""
    group = sandbox.conversations[0]
    media_id = peer.media_id("a.png")
    for message in (
        TEXT,
        {"msgtype": "markdown", "markdown": {"title": "标题", "text": "**x**"}},
        {"msgtype": "link", "link": {"title": "t", "text": "s", "messageUrl": "https://example.com"}},
        {"msgtype": "action_card", "action_card": {"title": "t", "markdown": "m"}},
        {"msgtype": "image", "image": {"media_id": media_id}},
    ):
        assert post(peer, "/chat/send", {"chatid": group.chat_id, "msg": message})["errcode"] == 0
    messages = sandbox.messages(group.id)
    assert [each.text for each in messages] == [
        "hello",
        "标题\n**x**",
        "t\ns\nhttps://example.com",
        "t\nm",
        "",
    ]
    assert (messages[-1].media_id, messages[-1].file_name) == (media_id, None)


@pytest.mark.parametrize(
    ("changes", "errcode"),
    [
        ({"chatid": None}, 49000),
        ({"chatid": "cid123=="}, 34001),
        ({"chatid": "chat000000000000"}, 34013),
        ({"msg": None}, 34014),
        ({"msg": "hello"}, 34014),
        ({"msg": {"msgtype": "oa"}}, 34004),
        ({"msg": {"msgtype": "text"}}, 34014),
        ({"msg": {"msgtype": "text", "text": {"content": "字" * 700}}}, 34016),
        ({"msg": {"msgtype": "image", "image": {}}}, 34008),
        ({"msg": {"msgtype": "link", "link": {"title": "t"}}}, 34009),
        ({"msg": {"msgtype": "file", "file": {}}}, 34010),
        ({"msg": {"msgtype": "voice", "voice": {"duration": "1"}}}, 34011),
        ({"msg": {"msgtype": "voice", "voice": {"media_id": "@x"}}}, 34005),
        ({"msg": {"msgtype": "file", "file": {"media_id": "@lAzPD-never"}}}, 40007),
    ],
)
def test_refusals(peer: Peer, sandbox: Sandbox, changes: dict[str, object], errcode: int) -> None:
    """Each wrong field has its own errcode, with HTTP 200, and nothing is shown."""
    group = sandbox.conversations[0]
    answer = post(peer, "/chat/send", {"chatid": group.chat_id, "msg": TEXT, **changes})
    assert answer["errcode"] == errcode
    assert answer["errmsg"]
    assert sandbox.messages(group.id) == ()


def test_flat_messages(peer: Peer, sandbox: Sandbox) -> None:
    """The members of msg may also lie beside the address, where an older SDK puts them."""
    group = sandbox.conversations[0]
    assert post(peer, "/chat/send", {"chatid": group.chat_id, **TEXT})["errcode"] == 0
    picked = {"sender": "manager1234", "cid": sandbox.pick(group.id, "manager1234")}
    assert post(peer, "/message/send_to_conversation", {**picked, **TEXT})["errcode"] == "0"
    assert [each.text for each in sandbox.messages(group.id)] == ["hello", "hello"]


def test_bodies(peer: Peer, sandbox: Sandbox) -> None:
    """A body that is no JSON object, or not declared as JSON, has its own errcode."""
    url = f"{sandbox.url}/chat/send?access_token={peer.legacy_token()}"
    as_json = {"content-type": "application/json"}
    assert peer.session.post(url, data=b"[]", headers=as_json, timeout=10).json()["errcode"] == 47001
    assert peer.session.post(url, data=b"{", headers=as_json, timeout=10).json()["errcode"] == 47001
    assert peer.session.post(url, data={"a": "b"}, timeout=10).json()["errcode"] == 43004


def test_a_picked_conversation(peer: Peer, sandbox: Sandbox, clock: Clock) -> None:
    """A picked cid is good for one message of the one who picked it, within a day."""
    group = sandbox.conversations[0]
    cid = sandbox.pick(group.id, "manager1234")
    body = {"sender": "manager1234", "cid": cid, "msg": file_of(peer.media_id("报告.pdf"))}
    path = "/message/send_to_conversation"
    assert post(peer, path, {**body, "sender": "user2345"})["errcode"] == 40016
    assert post(peer, path, {**body, "sender": "nobody"})["errcode"] == 40012
    assert post(peer, path, {**body, "msg": {}})["errcode"] == 34004
    assert post(peer, path, body) == {"errcode": "0", "errmsg": "ok", "receiver": "user2345"}
    (message,) = sandbox.messages(group.id)
    assert (message.file_name, message.sender) == ("报告.pdf", "manager1234")
    assert post(peer, path, body)["errcode"] == 40016
    late = sandbox.pick(group.id, "manager1234")
    clock.now += 24 * 3600
    assert post(peer, path, {**body, "cid": late})["errcode"] == 40016


def test_a_pick_over_http(peer: Peer, sandbox: Sandbox) -> None:
    """Another process makes the pick of a person over the control paths."""
    where = {"conversation_id": sandbox.conversations[0].id, "user_id": "manager1234"}
    answer = peer.post("/sandbox/picks", where)
    body = {"sender": "manager1234", "cid": answer.json()["cid"], "msg": TEXT}
    assert post(peer, "/message/send_to_conversation", body)["errcode"] == "0"
    assert peer.post("/sandbox/picks", {"user_id": "x"}).status_code == 400


def test_convert(peer: Peer, sandbox: Sandbox) -> None:
    """A chatid becomes the openConversationId; an unknown one is invalideChatId, as they spell it."""
    for group in sandbox.conversations:
        answer = peer.call("POST", f"/v1.0/im/chat/{group.chat_id}/convertToOpenConversationId")
        assert answer.json() == {"openConversationId": group.id}
    unknown = peer.call("POST", "/v1.0/im/chat/chat0/convertToOpenConversationId")
    assert (unknown.status_code, unknown.json()["code"]) == (400, "invalideChatId")
    sandbox.inject(
        Fault("im/chat/convertToOpenConversationId", FaultKind.ERROR, code="permession.checkFailed")
    )
    refused = peer.call("POST", f"/v1.0/im/chat/{group.chat_id}/convertToOpenConversationId")
    assert refused.json()["code"] == "permession.checkFailed"


def test_media_comes_back(peer: Peer, sandbox: Sandbox) -> None:
    """Both old paths give the bytes of a media id back, until the id is forgotten."""
    media_id = peer.media_id("a.pdf", b"bytes")
    query = {"access_token": peer.legacy_token(), "media_id": media_id}
    for path in ("/media/get", "/media/downloadFile"):
        assert peer.get(path, **query).content == b"bytes"
    sandbox.forget(media_id)
    assert peer.get("/media/get", **query).json() == {"errcode": 40004, "errmsg": "invalid media_id"}
    assert peer.send(media_id).status_code == 400
