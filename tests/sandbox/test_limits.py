from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dingwatch.sandbox import Sandbox, Settings

if TYPE_CHECKING:
    from tests.sandbox.conftest import Clock, Peer


def test_calls_are_counted(peer: Peer, sandbox: Sandbox) -> None:
    """Requests are counted by API; token calls are not billed."""
    peer.send(peer.media_id())
    assert sandbox.calls() == {
        "gettoken": 1,
        "media/upload": 1,
        "oauth2/accessToken": 1,
        "robot/groupMessages/send": 1,
    }
    assert sandbox.billed() == 2


def test_qps(peer_of: Callable[[Settings], Peer], clock: Clock) -> None:
    """More than `qps` calls in any second are refused, per API and unbilled; a second later there is room."""
    peer = peer_of(Settings(qps=2))
    token = peer.new_token()

    def legacy() -> int:
        answer = peer.get("/media/downloadFile", access_token=token, media_id="@x")
        return int(answer.json()["errcode"])

    def new() -> str:
        return str(peer.post("/v1.0/robot/groupMessages/query", {}, token).json()["code"])

    assert [legacy() for _ in range(3)] == [40004, 40004, 90018]
    throttled = "Forbidden.AccessDenied.QpsLimitForAppkeyAndApi"
    assert [new() for _ in range(3)] == ["miss.openConversationId"] * 2 + [throttled]
    assert peer.sandbox.billed() == 4
    clock.now += 0.999
    assert legacy() == 90018
    clock.now += 0.001
    assert legacy() == 40004


def test_monthly_quota(peer_of: Callable[[Settings], Peer], clock: Clock) -> None:
    """The month's calls end with ApiCountLimitForOrg and 90020, and begin anew with China's next month."""
    peer = peer_of(Settings(monthly_calls=2))
    media_id = peer.media_id()
    assert peer.send(media_id).status_code == 200
    refused = peer.send(media_id)
    assert (refused.status_code, refused.json()["code"]) == (
        403,
        "Forbidden.AccessDenied.ApiCountLimitForOrg",
    )
    assert peer.upload().json()["errcode"] == 90020
    assert peer.sandbox.billed() == 2
    clock.now = 1796054400 - 1  # 2026-11-30 23:59:59 in Shanghai
    assert peer.upload().json()["errcode"] == 90020
    clock.now += 1
    assert peer.upload().json()["errcode"] == 0
