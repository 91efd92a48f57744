from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dingwatch.sandbox import Sandbox, Settings
from tests.sandbox.drives import Drive

if TYPE_CHECKING:
    from tests.sandbox.conftest import Peer

SEND = "/v1.0/convFile/conversations/files/send"
LINK = "/v1.0/convFile/conversations/files/links/send"
APP = "/v1.0/convFile/apps/conversations/files/send"
SPACE = "/v1.0/convFile/conversations/spaces/query"


def body_of(drive: Drive, dentry_id: str, conversation_id: str) -> dict[str, str]:
    """A correct body of files/send."""
    return {"spaceId": drive.space_id, "dentryId": dentry_id, "openConversationId": conversation_id}


def test_a_big_file_arrives(drive: Drive, sandbox: Sandbox) -> None:
    """A file of the drive becomes a message in the conversation, from the operator, under its own name."""
    group = sandbox.conversations[1]
    dentry = drive.store("录像.mp4", b"frames")
    answer = drive.post(SEND, body_of(drive, dentry["id"], group.id)).json()["file"]
    (message,) = sandbox.messages(group.id)
    assert (message.file_name, message.file_type, message.size) == ("录像.mp4", "mp4", 6)
    assert message.sha256 == hashlib.sha256(b"frames").hexdigest()
    assert (message.msg_key, message.sender, message.media_id) == ("convFile", "manager1234", None)
    assert (answer["id"], answer["spaceId"]) == (message.entry_id, message.space_id)
    assert (answer["name"], answer["size"], answer["conversationId"]) == ("录像.mp4", 6, group.id)
    assert answer["uuid"]
    assert message.space_id != drive.space_id
    download = drive.peer.get(f"/sandbox/files/{message.id}")
    assert (download.content, download.headers["content-length"]) == (b"frames", "6")


def test_what_was_sent_stays(drive: Drive, sandbox: Sandbox) -> None:
    """The conversation has its own copy: overwriting or deleting the source changes nothing there."""
    group = sandbox.conversations[0]
    dentry = drive.store("a.txt", b"old")
    drive.post(SEND, body_of(drive, dentry["id"], group.id))
    drive.store("a.txt", b"new", conflictStrategy="OVERWRITE")
    drive.post(SEND, body_of(drive, dentry["id"], group.id))
    drive.peer.call("DELETE", drive.path(f"dentries/{dentry['id']}"), unionId=drive.union_id)
    messages = sandbox.messages(group.id)
    assert [drive.peer.get(f"/sandbox/files/{each.id}").content for each in messages] == [b"old", b"new"]
    assert [each.file_name for each in messages] == ["a.txt", "a.txt"]


def test_a_link_is_no_copy(drive: Drive, sandbox: Sandbox) -> None:
    """A link shows the source, and nothing once the source is gone."""
    group = sandbox.conversations[0]
    dentry = drive.store("a.txt", b"x")
    answer = drive.post(LINK, body_of(drive, dentry["id"], group.id)).json()["file"]
    (message,) = sandbox.messages(group.id)
    assert (message.msg_key, message.entry_id, answer["id"]) == ("convFileLink", dentry["id"], dentry["id"])
    drive.peer.call("DELETE", drive.path(f"dentries/{dentry['id']}"), unionId=drive.union_id)
    assert drive.peer.get(f"/sandbox/files/{message.id}").status_code == 404


def test_to_one_person(drive: Drive, sandbox: Sandbox) -> None:
    """The app sends a file to the person whose unionId the URL has."""
    dentry = drive.store("a.txt", b"x")
    body = {"spaceId": drive.space_id, "dentryId": dentry["id"]}
    answer = drive.post(APP, body, unionId="sandboxUnionColleaguiE")
    assert answer.json()["file"]["name"] == "a.txt"
    assert "uuid" not in answer.json()["file"]
    (message,) = sandbox.messages("user:user2345")
    assert (message.file_name, message.sender) == ("a.txt", "")


def test_the_space_of_a_conversation(drive: Drive, sandbox: Sandbox) -> None:
    """A group has one space; its members may upload there, and that alone shows nothing in the chat."""
    group = sandbox.conversations[0]
    answers = [drive.post(SPACE, {"openConversationId": group.id}).json()["space"] for _ in range(2)]
    assert answers[0] == answers[1]
    assert answers[0].keys() == {"spaceId", "corpId", "createTime", "modifiedTime"}
    drive.space_id = answers[0]["spaceId"]
    drive.store("a.txt", b"x")
    assert [each.name for each in sandbox.entries(drive.space_id)] == ["a.txt"]
    assert sandbox.messages(group.id) == ()


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"spaceId": None}, 400, "paramError.spaceId"),
        ({"dentryId": 7}, 400, "paramError.dentryId"),
        ({"openConversationId": ""}, 400, "paramError.conversationId"),
        ({"spaceId": "77"}, 400, "paramError.spaceId"),
        ({"dentryId": "77"}, 400, "paramError.dentryId"),
        ({"openConversationId": "cidAAAA=="}, 404, "conversationNotExist"),
    ],
)
@pytest.mark.parametrize("path", [SEND, LINK])
def test_refusals(
    drive: Drive, sandbox: Sandbox, path: str, changes: dict[str, object], status: int, code: str
) -> None:
    """Each wrong field has its own code, and nothing is shown."""
    dentry = drive.store("a.txt", b"x")
    answer = drive.post(path, {**body_of(drive, dentry["id"], sandbox.conversations[0].id), **changes})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert sandbox.messages(sandbox.conversations[0].id) == ()


def test_folders(drive: Drive, sandbox: Sandbox) -> None:
    """A folder has a code of its own only where the documentation lists one."""
    group = sandbox.conversations[0]
    codes = [drive.post(path, body_of(drive, "0", group.id)).json()["code"] for path in (SEND, LINK, APP)]
    assert codes == ["folderNotSupport", "paramError.dentryId", "paramError.dentryId"]


def test_refusals_of_the_app(peer_of: Callable[[Settings], Peer]) -> None:
    """The app's own send has other codes: 404 for what is not there, and a permissionDenied that is 400."""
    first, second = Settings().conversations[:2]
    peer = peer_of(Settings(conversations=(replace(first, members=("manager1234",)), second)))
    drive = Drive(peer)
    colleague = "sandboxUnionColleaguiE"

    def refused(**changes: str) -> tuple[int, str]:
        body = {"spaceId": drive.space_id, "dentryId": "77", **changes}
        answer = drive.post(APP, body, unionId=colleague)
        return answer.status_code, answer.json()["code"]

    assert refused() == (404, "dentryNotExist")
    assert refused(spaceId="77") == (404, "spaceNotExist")
    drive.space_id = drive.post(SPACE, {"openConversationId": first.id}).json()["space"]["spaceId"]
    dentry_id = drive.store("a.txt", b"x")["id"]
    assert refused(dentryId=dentry_id) == (400, "permissionDenied")
    assert peer.sandbox.messages("user:user2345") == ()


def test_rights(peer_of: Callable[[Settings], Peer]) -> None:
    """The operator needs rights on the source and must be in the group."""
    groups = Settings().conversations
    peer = peer_of(Settings(conversations=(groups[0], replace(groups[1], members=("user2345",)))))
    drive = Drive(peer)
    dentry = drive.store("a.txt", b"x")
    outside = drive.post(SEND, body_of(drive, dentry["id"], groups[1].id))
    assert (outside.status_code, outside.json()["code"]) == (403, "permissionDenied")
    assert drive.post(SPACE, {"openConversationId": groups[1].id}).status_code == 403
    stranger = drive.post(SEND, body_of(drive, dentry["id"], groups[0].id), unionId="sandboxUnionColleaguiE")
    assert (stranger.status_code, stranger.json()["code"]) == (403, "permissionDenied")
