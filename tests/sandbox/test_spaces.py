from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dingwatch.sandbox import Fault, FaultKind, Sandbox
from tests.sandbox.drives import Drive

if TYPE_CHECKING:
    from tests.sandbox.conftest import Clock, Peer

SPACES = "/v1.0/storage/spaces"


def test_a_space_by_scene(peer: Peer, sandbox: Sandbox, clock: Clock) -> None:
    """A scene and its id make a space once: asked again it is the same one, whatever else is asked."""
    first = Drive(peer, name="财务", scene="dingwatch", sceneId="a1", quota=10**9)
    again = Drive(peer, name="other", scene="dingwatch", sceneId="a1")
    other = Drive(peer, scene="dingwatch", sceneId="a2")
    assert first.space_id == again.space_id != other.space_id
    assert len(sandbox.spaces()) == 2
    space = first.space
    assert (space.name, space.scene, space.scene_id, space.quota) == ("财务", "dingwatch", "a1", 10**9)
    assert (space.owner, space.owner_type, space.created_at) == (first.union_id, "USER", clock.now)
    assert first.space_id.isdigit()


def test_a_space_is_answered(peer: Peer, sandbox: Sandbox) -> None:
    """The answer, when it is made and when it is asked for, has the documented fields and what is used."""
    drive = Drive(peer, scene="s", quota=100)
    drive.store("a.bin", b"12345")
    answer = peer.call("GET", f"{SPACES}/{drive.space_id}", unionId=drive.union_id).json()["space"]
    assert answer == {
        "id": drive.space_id,
        "corpId": sandbox.settings.corp_id,
        "name": "",
        "scene": "s",
        "sceneId": "0",
        "ownerType": "USER",
        "ownerId": drive.union_id,
        "creatorId": drive.union_id,
        "modifierId": drive.union_id,
        "quota": 100,
        "usedQuota": 5,
        "status": "NORMAL",
        "createTime": "2026-11-24T02:00:00Z",
        "modifiedTime": "2026-11-24T02:00:00Z",
    }


@pytest.mark.parametrize(
    ("option", "code"),
    [
        ({"ownerType": "TEAM"}, "paramError.ownerType"),
        ({"quota": "big"}, "paramError.quota"),
        ({"scene": 7}, "paramError.scene"),
        ([], "paramError.option"),
    ],
)
def test_wrong_spaces(peer: Peer, sandbox: Sandbox, option: object, code: str) -> None:
    """A wrong option makes no space."""
    query = {"unionId": sandbox.settings.operator_union_id}
    answer = peer.call("POST", SPACES, {"option": option}, **query)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert sandbox.spaces() == ()


def test_operators(peer: Peer) -> None:
    """Without unionId, or with that of a stranger, nothing is done; a colleague has no rights in my space."""
    drive = Drive(peer)
    path = f"{SPACES}/{drive.space_id}"
    assert peer.call("GET", path).json()["code"] == "MissingunionId"
    assert peer.call("GET", path, unionId="nobody").json()["code"] == "paramError.unionId"
    colleague = peer.call("GET", path, unionId="sandboxUnionColleaguiE")
    assert (colleague.status_code, colleague.json()["code"]) == (403, "permissionDenied")
    nowhere = peer.call("GET", f"{SPACES}/123", unionId=drive.union_id)
    assert (nowhere.status_code, nowhere.json()["code"]) == (404, "spaceNotExist")


def test_app_spaces_need_a_grant(peer: Peer) -> None:
    """In a space of the app nobody may do anything without a grant, not even who made it."""
    drive = Drive(peer, ownerType="APP", sceneId="app")
    assert drive.info()["code"] == "permissionDenied"


def test_faults_by_name(peer: Peer, sandbox: Sandbox) -> None:
    """A missing permission names the scope of the API."""
    sandbox.inject(Fault("storage/spaces", FaultKind.NO_PERMISSION))
    query = {"unionId": sandbox.settings.operator_union_id}
    answer = peer.call("POST", SPACES, {}, **query).json()
    assert answer["accessdenieddetail"] == {"requiredScopes": ["Storage.Space.Write"]}


def test_the_organisations_room(drive: Drive, sandbox: Sandbox) -> None:
    """The organisation's storage: what all spaces use, and 100 GB where nothing else is set."""
    drive.store("a.txt", b"12345")
    path = f"/v1.0/storage/orgs/{sandbox.settings.corp_id}"
    org = drive.peer.call("GET", path, unionId=drive.union_id).json()["org"]
    (partition,) = org["partitions"]
    assert org["corpId"] == sandbox.settings.corp_id
    assert (partition["quota"]["used"], partition["quota"]["max"]) == (5, 100 * 10**9)
    other = drive.peer.call("GET", "/v1.0/storage/orgs/dingother", unionId=drive.union_id)
    assert (other.status_code, other.json()["code"]) == (400, "paramError.corpId")
    assert drive.peer.call("GET", path).json()["code"] == "MissingunionId"
