from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import requests

from dingwatch.sandbox import Limits, Sandbox, Settings

if TYPE_CHECKING:
    from tests.sandbox.conftest import Clock, Peer

SEND = "/v1.0/robot/oToMessages/batchSend"
STATUS = "/v1.0/robot/oToMessages/readStatus"
RECALL = "/v1.0/robot/otoMessages/batchRecall"
BOTH = ["manager1234", "user2345"]


def send(peer: Peer, *user_ids: str) -> requests.Response:
    """One text to these people."""
    body = {"robotCode": peer.sandbox.robot_code, "userIds": user_ids}
    return peer.call("POST", SEND, {**body, "msgKey": "sampleText", "msgParam": '{"content":"hi"}'})


def test_flow_controlled_by_hand(peer: Peer, sandbox: Sandbox) -> None:
    """A flow-controlled person is named in a 200 and gets nothing; the others get theirs."""
    sandbox.flow_control("user2345")
    answer = send(peer, "nobody", *BOTH)
    assert answer.status_code == 200
    assert answer.json()["flowControlledStaffIdList"] == ["user2345"]
    assert answer.json()["invalidStaffIdList"] == ["nobody"]
    assert [len(sandbox.person_messages(each)) for each in BOTH] == [1, 0]
    sandbox.flow_control()
    assert send(peer, "user2345").json()["flowControlledStaffIdList"] == []
    assert [each.text for each in sandbox.person_messages("user2345")] == ["hi"]


def test_flow_controlled_by_count(peer_of: Callable[[Settings], Peer], clock: Clock) -> None:
    """More messages a minute to one person than allowed are held back, each person counted by himself."""
    peer = peer_of(Settings(limits=Limits(person_per_minute=1)))
    assert send(peer, BOTH[0]).json()["flowControlledStaffIdList"] == []
    assert send(peer, *BOTH).json()["flowControlledStaffIdList"] == [BOTH[0]]
    clock.now += 60
    assert send(peer, *BOTH).json()["flowControlledStaffIdList"] == []
    assert [len(peer.sandbox.person_messages(each)) for each in BOTH] == [2, 2]


def test_read_status(peer: Peer, sandbox: Sandbox, clock: Clock) -> None:
    """A key tells for 24 hours who got the message and that nobody read it."""
    query = {"robotCode": sandbox.robot_code, "processQueryKey": send(peer, *BOTH).json()["processQueryKey"]}
    assert peer.call("GET", STATUS, **query).json()["code"] == "processQueryKey.expireTime"  # not there yet
    answer = peer.call("GET", STATUS, **query).json()
    assert answer["sendStatus"] == "SUCCESS"
    assert [(each["userId"], each["readStatus"]) for each in answer["messageReadInfoList"]] == [
        ("manager1234", "UNREAD"),
        ("user2345", "UNREAD"),
    ]
    clock.now += 24 * 3600
    assert peer.call("GET", STATUS, **query).status_code == 200
    clock.now += 1
    assert peer.call("GET", STATUS, **query).json()["code"] == "processQueryKey.expireTime"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"robotCode": ""}, "MissingrobotCode"),
        ({"processQueryKey": ""}, "MissingprocessQueryKey"),
        ({"robotCode": "other"}, "invalidParameter.robotCode.notExsit"),
        ({}, "processQueryKey.expireTime"),
    ],
)
def test_wrong_read_status(peer: Peer, sandbox: Sandbox, changes: dict[str, str], code: str) -> None:
    """Each wrong parameter has its own code."""
    query = {"robotCode": sandbox.robot_code, "processQueryKey": "never", **changes}
    answer = peer.call("GET", STATUS, **query)
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_recall(peer: Peer, sandbox: Sandbox, clock: Clock) -> None:
    """A recall takes a message back from all who got it, within 24 hours; the rest is listed as failed."""
    keys = [send(peer, *BOTH).json()["processQueryKey"] for _ in range(2)]
    body = {"robotCode": sandbox.robot_code, "processQueryKeys": [keys[0], "never"]}
    answer = peer.call("POST", RECALL, body).json()
    assert answer["successResult"] == [keys[0]]
    assert answer["failedResult"].keys() == {"never"}
    assert [each.recalled for each in sandbox.person_messages("user2345")] == [True, False]
    query = {"robotCode": sandbox.robot_code, "processQueryKey": keys[0]}
    answers = [peer.call("GET", STATUS, **query).json() for _ in range(2)]
    assert answers[1]["sendStatus"] == "RECALLED"
    clock.now += 24 * 3600 + 1
    late = peer.call("POST", RECALL, {**body, "processQueryKeys": [keys[1]]}).json()
    assert (late["successResult"], list(late["failedResult"])) == ([], [keys[1]])


def test_recalls_stay_apart(peer: Peer, sandbox: Sandbox) -> None:
    """The recall of persons takes back no group's message, nor more than 20 at once."""
    key = peer.send(peer.media_id()).json()["processQueryKey"]
    body = {"robotCode": sandbox.robot_code, "processQueryKeys": [key]}
    assert list(peer.call("POST", RECALL, body).json()["failedResult"]) == [key]
    assert not sandbox.messages(sandbox.conversations[0].id)[0].recalled
    many = peer.call("POST", RECALL, {**body, "processQueryKeys": ["k"] * 21})
    assert (many.status_code, many.json()["code"]) == (400, "invalidParameter.param.invalid")
