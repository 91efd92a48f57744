from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from dingwatch.sandbox import Sandbox, Settings

if TYPE_CHECKING:
    from tests.sandbox.conftest import Clock, Peer

TOKEN = "/v1.0/oauth2/accessToken"


def test_new_token_answer(peer: Peer, sandbox: Sandbox) -> None:
    """The new host's token call answers accessToken and expireIn, nothing else."""
    answer = peer.post(TOKEN, {"appKey": sandbox.client_id, "appSecret": sandbox.client_secret})
    assert answer.status_code == 200
    assert answer.json().keys() == {"accessToken", "expireIn"}
    assert answer.json()["expireIn"] == 7200
    assert answer.headers["x-acs-dingtalk-request-id"]


def test_legacy_token_answer(peer: Peer, sandbox: Sandbox) -> None:
    """Gettoken answers errcode, errmsg, access_token and expires_in."""
    answer = peer.get("/gettoken", appkey=sandbox.client_id, appsecret=sandbox.client_secret).json()
    token = answer.pop("access_token")
    assert token
    assert answer == {"errcode": 0, "errmsg": "ok", "expires_in": 7200}


def test_corp_token(peer: Peer, sandbox: Sandbox) -> None:
    """The unified token call takes the corpId in its path and answers in snake case."""
    body = {
        "client_id": sandbox.client_id,
        "client_secret": sandbox.client_secret,
        "grant_type": "client_credentials",
    }
    answer = peer.post(f"/v1.0/oauth2/{sandbox.settings.corp_id}/token", body).json()
    assert answer == {"access_token": peer.new_token(), "expires_in": 7200}
    wrong_corp = peer.post("/v1.0/oauth2/dingother/token", body)
    assert (wrong_corp.status_code, wrong_corp.json()["code"]) == (500, "unknownError")
    wrong_secret = peer.post("/v1.0/oauth2/x/token", {**body, "client_secret": "x"})
    assert (wrong_secret.status_code, wrong_secret.json()["code"]) == (400, "invalid.client")
    wrong_grant = peer.post("/v1.0/oauth2/x/token", {**body, "grant_type": "x"})
    assert wrong_grant.json()["code"] == "unsupported.grant.type"


def test_same_token_renewed(peer: Peer, clock: Clock) -> None:
    """Asked again within its life, a token is the same and lives on; after its end it is a new one."""
    first = peer.new_token()
    clock.now += 7000
    assert peer.new_token() == first
    clock.now += 7000  # past the first end, within the renewed life
    assert peer.new_token() == first
    clock.now += 7200
    assert peer.new_token() != first


def test_expired_token(peer: Peer, clock: Clock) -> None:
    """An expired token is 400 InvalidAuthentication on the new host and 40014 on the legacy one."""
    token, legacy = peer.new_token(), peer.legacy_token()
    clock.now += 7200
    answer = peer.post("/v1.0/robot/groupMessages/send", peer.group_body(), token)
    assert answer.status_code == 400
    assert answer.json().keys() == {"code", "message", "requestid"}
    assert answer.json()["code"] == "InvalidAuthentication"
    assert answer.json()["message"] == "不合法的access_token"
    assert answer.json()["requestid"] == answer.headers["x-acs-dingtalk-request-id"]
    assert peer.get("/media/downloadFile", access_token=legacy, media_id="@x").json() == {
        "errcode": 40014,
        "errmsg": "不合法的access_token",
    }


def test_killed_tokens(peer: Peer, sandbox: Sandbox) -> None:
    """A token that was killed is refused before its time, and the next one is another."""
    token = peer.new_token()
    sandbox.kill_tokens()
    answer = peer.post("/v1.0/robot/groupMessages/send", peer.group_body(), token)
    assert answer.json()["code"] == "InvalidAuthentication"
    assert peer.new_token() != token


def test_wrong_credentials(peer: Peer, sandbox: Sandbox) -> None:
    """Wrong credentials are 400 invalidClientIdOrSecret here and HTTP 200 with 40096 there."""
    answer = peer.post(TOKEN, {"appKey": sandbox.client_id, "appSecret": "wrong"})
    assert answer.status_code == 400
    assert answer.json()["code"] == "invalidClientIdOrSecret"
    assert answer.json()["message"] == "无效的clientId或者clientSecret"
    legacy = peer.get("/gettoken", appkey=sandbox.client_id, appsecret="wrong")
    assert legacy.status_code == 200
    assert legacy.json() == {"errcode": 40096, "errmsg": "不合法的appKey或appSecret"}


def test_gettoken_reads_the_url_only(peer: Peer, sandbox: Sandbox) -> None:
    """Credentials in a body are not seen by gettoken."""
    form = {"appkey": sandbox.client_id, "appsecret": sandbox.client_secret}
    answer = peer.session.post(sandbox.url + "/gettoken", data=form, timeout=10)
    assert answer.json() == {"errcode": 40035, "errmsg": "缺少参数 corpid or appkey"}


@pytest.mark.parametrize(
    ("body", "content_type", "code", "message"),
    [
        ("{}", "text/plain", "Missingbody", "body is mandatory for this action."),
        ("", "application/json", "Missingbody", "body is mandatory for this action."),
        ("{", "application/json", "Invalidbody", "Specified parameter body is not valid. JSON parsing error"),
        (
            "[]",
            "application/json",
            "Invalidbody",
            "Specified parameter body is not valid. JSON parsing error",
        ),
        ('{"appKey":"x"}', "application/json", "MissingappSecret", "appSecret is mandatory for this action."),
    ],
)
def test_bad_bodies(peer: Peer, body: str, content_type: str, code: str, message: str) -> None:
    """A body that is not JSON by its type or its text is refused by the new host's gateway."""
    headers = {"content-type": content_type}
    answer = peer.session.post(peer.sandbox.url + TOKEN, data=body, headers=headers, timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert answer.json()["message"] == message


def test_token_in_the_header_only(peer: Peer, sandbox: Sandbox) -> None:
    """On the new host a token in the URL or as Bearer is a missing token."""
    token = peer.new_token()
    answer = peer.session.post(
        sandbox.url + "/v1.0/robot/groupMessages/send",
        params={"access_token": token},
        headers={"Authorization": f"Bearer {token}"},
        json=peer.group_body(),
        timeout=10,
    )
    assert answer.status_code == 400
    assert answer.json()["code"] == "AuthenticationFailed.MissingParameter"
    assert answer.json()["message"] == "缺少参数：x-acs-dingtalk-access-token"


def test_legacy_header_is_ignored(peer: Peer, sandbox: Sandbox) -> None:
    """On the legacy host a token in the header is a missing token."""
    headers = {"x-acs-dingtalk-access-token": peer.legacy_token()}
    answer = peer.session.get(sandbox.url + "/media/downloadFile", headers=headers, timeout=10)
    assert answer.json()["errcode"] == 41001


def test_either_token_on_either_host(peer: Peer) -> None:
    """By default a token of one host works on the other."""
    answer = peer.post("/v1.0/robot/groupMessages/query", {}, peer.legacy_token())
    assert answer.json()["code"] == "MissingprocessQueryKey"
    assert peer.get("/media/downloadFile", access_token=peer.new_token()).json()["errcode"] == 40004


def test_strict_tokens(peer_of: Callable[[Settings], Peer]) -> None:
    """With strict_tokens a token works only on the host that gave it."""
    peer = peer_of(Settings(strict_tokens=True))
    answer = peer.post("/v1.0/robot/groupMessages/query", {}, peer.legacy_token())
    assert answer.json()["code"] == "InvalidAuthentication"
    assert peer.get("/media/downloadFile", access_token=peer.new_token()).json()["errcode"] == 40014
