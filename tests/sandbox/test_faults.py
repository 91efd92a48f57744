from __future__ import annotations

import json
import socket
import time
from typing import TYPE_CHECKING

import pytest
import requests

from dingwatch.sandbox import Fault, FaultKind, Sandbox
from tests.sandbox.drives import Drive

if TYPE_CHECKING:
    from tests.sandbox.conftest import Peer

SEND = "robot/groupMessages/send"


@pytest.mark.parametrize(
    ("kind", "status", "code", "errcode"),
    [
        (FaultKind.THROTTLE, 403, "Forbidden.AccessDenied.QpsLimitForAppkeyAndApi", 90018),
        (FaultKind.QUOTA, 403, "Forbidden.AccessDenied.ApiCountLimitForOrg", 90020),
        (FaultKind.IP_NOT_ALLOWED, 403, "Forbidden.AccessDenied.IpNotInWhiteList", 60020),
        (FaultKind.NO_PERMISSION, 403, "Forbidden.AccessDenied.AccessTokenPermissionDenied", 60011),
        (FaultKind.TOKEN_DEAD, 400, "InvalidAuthentication", 40014),
        (FaultKind.ERROR, 500, "system.error", -1),
    ],
)
def test_refusing_kinds(
    peer: Peer, sandbox: Sandbox, kind: FaultKind, status: int, code: str, errcode: int
) -> None:
    """Each refusal has its code on either host, and no effect."""
    media_id = peer.media_id()
    sandbox.inject(Fault("media/upload", kind))
    sandbox.inject(Fault(SEND, kind))
    legacy = peer.upload()
    assert (legacy.status_code, legacy.json()["errcode"]) == (200, errcode)
    new = peer.send(media_id)
    assert (new.status_code, new.json()["code"]) == (status, code)
    assert new.json()["requestid"]
    assert sandbox.messages(sandbox.conversations[0].id) == ()
    assert len(sandbox.uploads()) == 1
    assert peer.send(media_id).status_code == 200


def test_permission_names_its_scopes(peer: Peer, sandbox: Sandbox) -> None:
    """A missing permission says which one."""
    sandbox.inject(Fault(SEND, FaultKind.NO_PERMISSION))
    answer = peer.send("@x").json()
    assert answer["accessdenieddetail"] == {"requiredScopes": ["qyapi_robot_sendmsg"]}


def test_topapi_wraps_throttling(peer: Peer, sandbox: Sandbox) -> None:
    """A throttled topapi is errcode 88 with the reason in sub_code."""
    sandbox.inject(Fault("topapi/v2/user/get", FaultKind.THROTTLE))
    answer = peer.post("/topapi/v2/user/get?access_token=x", {}).json()
    assert (answer["errcode"], answer["sub_code"]) == (88, "90018")


def test_own_error(peer: Peer, sandbox: Sandbox) -> None:
    """Code, status and message can be anything, and the kind's own can be changed."""
    sandbox.inject(Fault(SEND, FaultKind.ERROR, code="send.too.fast", status=400, message="太快"))
    sandbox.inject(Fault(SEND, FaultKind.THROTTLE, code="Forbidden.AccessDenied.QpmLimitForAppkeyAndApi"))
    sandbox.inject(Fault("media/upload", FaultKind.ERROR, code=40006, status=502))
    first = peer.send("@x")
    assert (first.status_code, first.json()["code"], first.json()["message"]) == (
        400,
        "send.too.fast",
        "太快",
    )
    assert peer.send("@x").json()["code"] == "Forbidden.AccessDenied.QpmLimitForAppkeyAndApi"
    assert (peer.upload().status_code, len(sandbox.faults())) == (502, 0)


def test_bans(peer: Peer, sandbox: Sandbox) -> None:
    """An IP ban answers with HTML or with the JSON of status 1111."""
    sandbox.inject(Fault("*", FaultKind.HTML))
    sandbox.inject(Fault("*", FaultKind.STATUS_1111))
    html, ban = peer.get("/gettoken"), peer.get("/gettoken")
    assert html.headers["content-type"].startswith("text/html")
    assert (html.status_code, ban.status_code) == (200, 200)
    assert ban.json()["status"] == 1111
    assert {"status", "wait", "source", "punish", "uuid"} == ban.json().keys()


@pytest.mark.parametrize(
    ("kind", "effects"),
    [(FaultKind.CUT_EARLY, 0), (FaultKind.CUT_BEFORE, 0), (FaultKind.CUT_AFTER, 1)],
)
def test_cuts(peer: Peer, sandbox: Sandbox, kind: FaultKind, effects: int) -> None:
    """A cut answers nothing at all; only after the effect is the message there."""
    media_id = peer.media_id()
    sandbox.inject(Fault(SEND, kind))
    with pytest.raises(requests.ConnectionError):
        peer.send(media_id)
    assert len(sandbox.messages(sandbox.conversations[0].id)) == effects
    assert sandbox.calls()[SEND] == 1


def test_a_cut_leaves_no_byte(peer: Peer, sandbox: Sandbox) -> None:
    """On the wire a cut is the end of the connection, without a status line."""
    sandbox.inject(Fault("gettoken", FaultKind.CUT_AFTER))
    assert peer.raw(b"GET /gettoken?appkey=a&appsecret=b HTTP/1.1\r\nHost: x\r\n\r\n") == b""


@pytest.mark.parametrize("kind", [FaultKind.SLOW, FaultKind.SLOW_ANSWER])
def test_slow_kinds_still_answer(peer: Peer, sandbox: Sandbox, kind: FaultKind) -> None:
    """A slow call has its effect and its usual answer."""
    media_id = peer.media_id()
    sandbox.inject(Fault(SEND, kind, seconds=0.001))
    assert peer.send(media_id).json().keys() == {"processQueryKey"}
    assert len(sandbox.messages(sandbox.conversations[0].id)) == 1


def test_a_refusal_may_take_its_time(peer: Peer, sandbox: Sandbox) -> None:
    """Other kinds happen after their `seconds` too."""
    sandbox.inject(Fault(SEND, FaultKind.THROTTLE, seconds=0.1))
    begun = time.monotonic()
    assert peer.send("@x").status_code == 403
    assert time.monotonic() - begun >= 0.1


def test_slow_answer_has_its_effect_first(peer: Peer, sandbox: Sandbox) -> None:
    """A message is there while its answer is still held back, and stays when the client gives up."""
    body = json.dumps(peer.group_body(msgKey="sampleText", msgParam='{"content":"x"}'))
    head = (
        f"POST /v1.0/{SEND} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"x-acs-dingtalk-access-token: {peer.new_token()}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    sandbox.inject(Fault(SEND, FaultKind.SLOW_ANSWER, seconds=3600))
    host, port = sandbox.url.removeprefix("http://").split(":")
    with (
        peer.session.get(sandbox.url + "/sandbox/events", stream=True, timeout=10) as events,
        socket.create_connection((host, int(port)), timeout=10) as connection,
    ):
        connection.sendall((head + body).encode())
        assert any(line == b"event: message" for line in events.iter_lines(chunk_size=1))
    assert len(sandbox.messages(sandbox.conversations[0].id)) == 1


def test_bodies_that_do_not_end(peer: Peer, sandbox: Sandbox) -> None:
    """Endless and huge bodies come as JSON by their type, and stop when the client goes away."""
    sandbox.inject(Fault("gettoken", FaultKind.ENDLESS))
    sandbox.inject(Fault("gettoken", FaultKind.HUGE))
    for length in (None, str(64 << 20)):
        with peer.session.get(sandbox.url + "/gettoken", stream=True, timeout=10) as answer:
            assert answer.headers["content-type"] == "application/json"
            assert answer.headers.get("content-length") == length
            assert answer.raw.read(65536) == b" " * 65536


@pytest.mark.parametrize("value", [None, 7, 10**400, "", "\ud800", "a\x00b", [], {"deep": [{}]}, True])
def test_a_replaced_field(peer: Peer, sandbox: Sandbox, value: object) -> None:
    """The call has its effect, and one field of its answer holds what the fault wants; the rest stays."""
    sandbox.inject(Fault("media/upload", FaultKind.REPLACE, field="media_id", value=value))
    answer = peer.upload()
    assert answer.json()["media_id"] == value
    assert answer.json().keys() == {"errcode", "errmsg", "type", "media_id", "created_at"}
    assert len(sandbox.uploads()) == 1
    assert peer.upload().json()["media_id"] == sandbox.uploads()[1].media_id


def test_fields_within(peer: Peer, sandbox: Sandbox) -> None:
    """A field may lie within objects and lists, be new, or be the whole answer, also that of a refusal."""
    drive = Drive(peer)
    sandbox.inject(
        Fault("storage/uploadInfos", FaultKind.REPLACE, field="headerSignatureInfo.resourceUrls.0", value=7)
    )
    info = drive.info()["headerSignatureInfo"]
    assert (info["resourceUrls"][0], info["expirationSeconds"]) == (7, 900)
    faults: tuple[tuple[str, object, object], ...] = (
        ("status", 1111, {"errcode": 40035, "errmsg": "缺少参数 corpid or appkey", "status": 1111}),
        ("errcode", "0", {"errcode": "0", "errmsg": "缺少参数 corpid or appkey"}),
        ("", [], []),
    )
    for field, value, expected in faults:
        sandbox.inject(Fault("gettoken", FaultKind.REPLACE, field=field, value=value, status=502))
        answer = peer.get("/gettoken")
        assert (answer.status_code, answer.json()) == (502, expected)


def test_a_removed_field(peer: Peer, sandbox: Sandbox) -> None:
    """A field, or a member of a list, can be missing from the answer."""
    sandbox.inject(Fault(SEND, FaultKind.REMOVE, field="processQueryKey"))
    assert peer.send(peer.media_id()).json() == {}
    assert len(sandbox.messages(sandbox.conversations[0].id)) == 1
    robots = "robot/groups/robots/query"
    sandbox.inject(Fault(robots, FaultKind.REMOVE, field="chatbotInstanceVOList.0"))
    answer = peer.call("POST", f"/v1.0/{robots}", {"openConversationId": sandbox.conversations[0].id})
    assert answer.json() == {"chatbotInstanceVOList": []}


def test_a_field_that_is_not_there(peer: Peer, sandbox: Sandbox) -> None:
    """An order for a field that the answer cannot have is shown to whoever wrote it; a file is left alone."""
    sandbox.inject(Fault("gettoken", FaultKind.REPLACE, field="token.value", value=1))
    sandbox.inject(Fault("gettoken", FaultKind.REMOVE, field="token"))
    for field in ("token.value", "token"):
        answer = peer.get("/gettoken")
        assert (answer.status_code, answer.text) == (500, f"the answer of gettoken has no {field}")
    media_id = peer.media_id()
    sandbox.inject(Fault("media/get", FaultKind.REPLACE, field="errcode", value=1))
    content = peer.get("/media/get", access_token=peer.legacy_token(), media_id=media_id).content
    assert content == b"%PDF-1.7"


def test_script(peer: Peer, sandbox: Sandbox) -> None:
    """Faults are taken in order, each `times` often, `after` calls that pass."""
    sandbox.inject(Fault("gettoken", FaultKind.ERROR, code=1, times=2, after=1))
    sandbox.inject(Fault("gettoken", FaultKind.ERROR, code=2))
    sandbox.inject(Fault("media/upload", FaultKind.ERROR, code=3, times=None))

    def codes(path: str) -> list[int]:
        return [peer.get(path).json()["errcode"] for _ in range(3)]

    # The first call passes the first fault's `after` and so meets the second.
    assert codes("/gettoken") == [2, 1, 1]
    assert codes("/gettoken") == [40035, 40035, 40035]
    assert [peer.upload().json()["errcode"] for _ in range(3)] == [3, 3, 3]
    sandbox.clear_faults()
    assert peer.upload().json()["errcode"] == 0


def test_dead_token(peer: Peer, sandbox: Sandbox) -> None:
    """Token death ends every token for good; the next token call gives another."""
    token = peer.new_token()
    sandbox.inject(Fault(SEND, FaultKind.TOKEN_DEAD))
    for _ in range(2):
        answer = peer.post("/v1.0/robot/groupMessages/send", peer.group_body(), token)
        assert answer.json()["code"] == "InvalidAuthentication"
    assert peer.new_token() != token


@pytest.mark.parametrize(
    "wrong",
    [
        {"times": 0},
        {"after": -1},
        {"seconds": -1.0},
        {"seconds": float("nan")},
        {"status": 99},
        {"field": "errcode"},
        {"value": 1},
        {"kind": FaultKind.REMOVE},
        {"kind": FaultKind.REPLACE, "value": {1, 2}},
    ],
)
def test_impossible_faults(wrong: dict[str, object]) -> None:
    """A fault that makes no sense is refused when it is made."""
    with pytest.raises(ValueError, match="must"):
        Fault(**{"api": "gettoken", "kind": FaultKind.ERROR, **wrong})  # type: ignore[arg-type]
