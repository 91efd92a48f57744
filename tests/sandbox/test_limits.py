from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dingwatch.sandbox import Fault, FaultKind, Limits, Sandbox, Settings

if TYPE_CHECKING:
    from tests.sandbox.conftest import Clock, Peer


def used_up(used: int, allowed: int) -> str:
    """Return what DingTalk says when the month's calls are used up."""
    figures = f"调用量:{used}次,额度:{allowed}次"
    return f"您的企业本月api调用量已超过限制,{figures},请登录开发者后台-资源管理-查看用量明细"


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
    peer = peer_of(Settings(limits=Limits(qps=2)))
    token = peer.new_token()

    def legacy() -> int:
        answer = peer.get("/media/downloadFile", access_token=token, media_id="@x")
        return int(answer.json()["errcode"])

    def new() -> str:
        return str(peer.post("/v1.0/robot/groupMessages/query", {}, token).json()["code"])

    assert [legacy() for _ in range(3)] == [40004, 40004, 90018]
    throttled = "Forbidden.AccessDenied.QpsLimitForAppkeyAndApi"
    assert [new() for _ in range(3)] == ["MissingprocessQueryKey"] * 2 + [throttled]
    assert peer.sandbox.billed() == 4
    clock.now += 0.999
    assert legacy() == 90018
    clock.now += 0.001
    assert legacy() == 40004


def test_monthly_quota(peer_of: Callable[[Settings], Peer], clock: Clock) -> None:
    """The month's calls end with ApiCountLimitForOrg and 90020, and begin anew with China's next month."""
    peer = peer_of(Settings(limits=Limits(monthly_calls=2)))
    media_id = peer.media_id()
    assert peer.send(media_id).status_code == 200
    refused = peer.send(media_id)
    assert (refused.status_code, refused.json()["code"]) == (
        403,
        "Forbidden.AccessDenied.ApiCountLimitForOrg",
    )
    assert peer.upload().json() == {"errcode": 90020, "errmsg": used_up(3, 2)}
    assert refused.json()["message"] == used_up(3, 2)
    assert peer.sandbox.billed() == 2
    clock.now = 1796054400 - 1  # 2026-11-30 23:59:59 in Shanghai
    assert peer.upload().json()["errcode"] == 90020
    clock.now += 1
    assert peer.upload().json()["errcode"] == 0


def test_figures_of_an_ordered_exhaustion(peer: Peer, sandbox: Sandbox) -> None:
    """The fault names the standard plan's figures when no limit holds, and those of the limit otherwise."""
    sandbox.inject(Fault("media/upload", FaultKind.QUOTA, times=2))
    assert peer.upload().json()["errmsg"] == used_up(5001, 5000)
    sandbox.limit(monthly_calls=10)
    assert peer.upload().json()["errmsg"] == used_up(11, 10)


def test_qpm(peer_of: Callable[[Settings], Peer], clock: Clock) -> None:
    """More than `qpm` calls in a minute are refused with the code of the minute."""
    peer = peer_of(Settings(limits=Limits(qpm=1)))
    token = peer.new_token()
    assert peer.post("/v1.0/robot/groupMessages/query", {}, token).status_code == 400
    clock.now += 59.5
    answer = peer.post("/v1.0/robot/groupMessages/query", {}, token)
    assert (answer.status_code, answer.json()["code"]) == (
        403,
        "Forbidden.AccessDenied.QpmLimitForAppkeyAndApi",
    )
    clock.now += 0.5
    assert peer.post("/v1.0/robot/groupMessages/query", {}, token).status_code == 400


def test_pace_of_the_robot(peer_of: Callable[[Settings], Peer], clock: Clock) -> None:
    """Too many messages a minute to one group, or to all, have their own codes; refused ones do not count."""
    peer = peer_of(Settings(limits=Limits(conversation_per_minute=2, robot_per_minute=3)))
    media_id, group = peer.media_id(), peer.sandbox.conversations[1].id

    def code(**changes: str) -> str:
        return str(peer.send(media_id, **changes).json().get("code", "sent"))

    assert [code() for _ in range(3)] == ["sent", "sent", "send.too.fast"]
    assert [code(openConversationId=group) for _ in range(2)] == ["sent", "send.byToken.tooFast"]
    assert len(peer.sandbox.messages(peer.sandbox.conversations[0].id)) == 2
    clock.now += 60
    assert code() == "sent"


def test_limits_change(peer: Peer, sandbox: Sandbox) -> None:
    """Limits are set, read and taken away while the sandbox runs, from Python and over HTTP."""
    media_id = peer.media_id()
    sandbox.limit(monthly_calls=1)
    assert peer.send(media_id).json()["code"] == "Forbidden.AccessDenied.ApiCountLimitForOrg"
    changed = peer.session.put(
        sandbox.url + "/sandbox/limits",
        json={"monthly_calls": None, "conversation_per_minute": 1},
        timeout=10,
    )
    assert changed.json() == peer.get("/sandbox/limits").json()
    assert (sandbox.limits.monthly_calls, sandbox.limits.conversation_per_minute) == (None, 1)
    assert [peer.send(media_id).status_code for _ in range(2)] == [200, 400]
    wrongs: list[object] = [{"monthly": 1}, {"qps": "many"}, {"qps": -1}, []]
    for wrong in wrongs:
        answer = peer.session.put(sandbox.url + "/sandbox/limits", json=wrong, timeout=10)
        assert answer.status_code == 400
        assert answer.json()["error"]


def test_granted_calls(peer: Peer, sandbox: Sandbox) -> None:
    """Calls that a limit refused are received, but not granted."""
    media_id = peer.media_id()
    sandbox.limit(monthly_calls=0)
    peer.send(media_id)
    name = "robot/groupMessages/send"
    assert (sandbox.calls()[name], sandbox.granted().get(name)) == (1, None)
    assert peer.get("/sandbox/calls").json()["granted"] == sandbox.granted()
