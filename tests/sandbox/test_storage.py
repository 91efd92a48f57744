from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from dingwatch.sandbox import Guesses, Sandbox, Settings
from tests.sandbox.drives import PART, Drive

if TYPE_CHECKING:
    from tests.sandbox.conftest import Clock, Peer


@pytest.fixture
def drive(peer: Peer) -> Drive:
    """A space of the operator."""
    return Drive(peer, scene="test")


def test_a_file_in_one_piece(drive: Drive, sandbox: Sandbox, clock: Clock) -> None:
    """Info, PUT and commit make an entry with the bytes that were PUT; three calls, two of them billed."""
    billed = sandbox.billed()
    info = drive.info(name="大.zip", size=9)
    assert info.keys() == {"uploadKey", "storageDriver", "protocol", "headerSignatureInfo"}
    assert info["headerSignatureInfo"].keys() >= {"resourceUrls", "headers", "expirationSeconds", "region"}
    assert info["headerSignatureInfo"]["expirationSeconds"] == 900
    answer = drive.put(info["headerSignatureInfo"], b"big bytes")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["etag"] == f'"{hashlib.md5(b"big bytes").hexdigest().upper()}"'  # noqa: S324
    dentry = drive.commit(info["uploadKey"], "大.zip", size=9).json()["dentry"]
    assert sandbox.billed() - billed == 2
    (entry,) = sandbox.entries(drive.space_id)
    assert (entry.id, entry.uuid) == (dentry["id"], dentry["uuid"])
    assert (entry.name, entry.size, entry.version, entry.created_at) == ("大.zip", 9, 1, clock.now)
    assert entry.sha256 == hashlib.sha256(b"big bytes").hexdigest()
    assert sandbox.entry_content(entry) == b"big bytes"
    assert dentry == {
        "id": entry.id,
        "spaceId": drive.space_id,
        "parentId": "0",
        "type": "FILE",
        "name": "大.zip",
        "size": 9,
        "path": "/大.zip",
        "version": 1,
        "status": "NORMAL",
        "extension": "zip",
        "creatorId": drive.union_id,
        "modifierId": drive.union_id,
        "createTime": "2026-11-24T02:00:00Z",
        "modifiedTime": "2026-11-24T02:00:00Z",
        "uuid": entry.uuid,
        "partitionType": "PUBLIC_OSS_PARTITION",
        "storageDriver": "DINGTALK",
        "properties": {"readOnly": False},
    }


def test_version_2(drive: Drive, peer: Peer, sandbox: Sandbox) -> None:
    """Storage v2 names the folder by its dentryUuid, which is asked for by id; 0 is the root."""
    query = {"spaceId": drive.space_id, "operatorId": drive.union_id}
    found = peer.call("GET", "/v2.0/doc/dentries/0/queryDentryUuid", **query).json()
    assert (found["dentryId"], found["spaceId"]) == ("0", drive.space_id)
    root = f"/v2.0/storage/spaces/files/{found['dentryUuid']}"
    info = drive.post(f"{root}/uploadInfos/query", {"protocol": "HEADER_SIGNATURE"}).json()
    drive.put(info["headerSignatureInfo"], b"two")
    body = {"uploadKey": info["uploadKey"], "name": "v2.txt", "option": {"size": 3}}
    dentry = drive.post(f"{root}/commit", body).json()["dentry"]
    (entry,) = sandbox.entries(drive.space_id)
    assert (dentry["id"], entry.name, entry.parent_id) == (entry.id, "v2.txt", "0")
    unknown = drive.post("/v2.0/storage/spaces/files/none/commit", body)
    assert (unknown.status_code, unknown.json()["code"]) == (400, "paramError.parentDentryUuid")


def test_a_file_in_parts(drive: Drive, sandbox: Sandbox) -> None:
    """Parts come in any order, one of them twice, and are put together by their numbers."""
    key = drive.begin_parts()
    infos = drive.part_infos(key, 1, 2, 3)
    contents = {1: b"a" * PART, 2: b"b" * PART, 3: b"the end"}
    for number, content in ((3, b"the end"), (2, b"x" * PART), (1, contents[1]), (2, contents[2])):
        assert drive.put(infos[number], content).status_code == 200
    dentry = drive.commit(key, "parts.bin", size=2 * PART + 7).json()["dentry"]
    (entry,) = sandbox.entries(drive.space_id)
    assert sandbox.entry_content(entry) == b"".join(contents.values())
    assert (dentry["size"], entry.sha256) == (
        2 * PART + 7,
        hashlib.sha256(b"".join(contents.values())).hexdigest(),
    )


def test_part_queries(drive: Drive) -> None:
    """At most 30 parts a query, numbers from 1 to 10000, and only of an upload in parts."""
    key = drive.begin_parts()
    assert list(drive.part_infos(key, *range(1, 31))) == list(range(1, 31))
    query = "/v1.0/storage/spaces/files/multiPartUploadInfos/query"
    for numbers in ([], list(range(1, 32)), [0], [10001], ["1"], [True], None):
        answer = drive.post(query, {"uploadKey": key, "partNumbers": numbers})
        assert (answer.status_code, answer.json()["code"]) == (400, "paramError.partNumbers")
    for wrong in ("never", drive.info()["uploadKey"], None):
        answer = drive.post(query, {"uploadKey": wrong, "partNumbers": [1]})
        assert answer.json()["code"] == "paramError.uploadKey"


def test_small_parts(drive: Drive) -> None:
    """Only the last part may be smaller than 100 KB."""
    key = drive.begin_parts()
    infos = drive.part_infos(key, 1, 2)
    drive.put(infos[1], b"a" * (PART - 1))
    drive.put(infos[2], b"b")
    assert drive.commit(key, "a.bin").json()["code"] == "dentryUploadError"


def test_a_missing_part_shows_in_the_size(drive: Drive, sandbox: Sandbox) -> None:
    """Without a part the commit is refused when it gives the size, and else makes a torn file."""
    key = drive.begin_parts()
    drive.put(drive.part_infos(key, 1)[1], b"a" * PART)
    refused = drive.commit(key, "a.bin", size=2 * PART)
    assert (refused.status_code, refused.json()["code"]) == (400, "dentryUploadError")
    assert sandbox.entries(drive.space_id) == ()
    assert drive.commit(key, "a.bin").json()["dentry"]["size"] == PART


def test_keys_need_escaping(drive: Drive) -> None:
    """Every key, be it of a message, a medium or an upload, holds the letters that an address must escape."""
    peer = drive.peer
    media_id = peer.media_id()
    for key in (media_id, peer.send(media_id).json()["processQueryKey"], drive.info()["uploadKey"]):
        assert {*"+/="} <= {*key}
    answer = peer.get("/media/downloadFile", access_token=peer.legacy_token(), media_id=media_id)
    assert answer.content == b"%PDF-1.7"


@pytest.mark.parametrize(
    ("strategy", "names", "version", "newest"),
    [
        (None, ["a.txt", "a(1).txt"], 1, b"new"),
        ("AUTO_RENAME", ["a.txt", "a(1).txt"], 1, b"new"),
        ("OVERWRITE", ["a.txt"], 2, b"new"),
        ("RETURN_DENTRY_IF_EXISTS", ["a.txt"], 1, b"old"),
    ],
)
def test_conflicts(
    drive: Drive, sandbox: Sandbox, strategy: str | None, names: list[str], version: int, newest: bytes
) -> None:
    """A taken name is numbered, overwritten, or answered with what is there, which may be other bytes."""
    first = drive.store("a.txt", b"old")
    second = drive.store("a.txt", b"new", conflictStrategy=strategy)
    entries = sandbox.entries(drive.space_id)
    assert [each.name for each in entries] == names
    (entry,) = (each for each in entries if each.id == second["id"])
    assert (entry.version, sandbox.entry_content(entry)) == (version, newest)
    assert (second["id"] == first["id"]) == (len(names) == 1)


def test_conflict_refused(drive: Drive, sandbox: Sandbox) -> None:
    """RETURN_ERROR_IF_EXISTS refuses a taken name and keeps what is there."""
    drive.store("a.txt", b"old")
    info = drive.info()
    drive.put(info["headerSignatureInfo"], b"new")
    refused = drive.commit(info["uploadKey"], "a.txt", conflictStrategy="RETURN_ERROR_IF_EXISTS")
    assert (refused.status_code, refused.json()["code"]) == (400, "dentryNameConflict")
    assert [sandbox.entry_content(each) for each in sandbox.entries(drive.space_id)] == [b"old"]


def test_a_commit_can_be_repeated(drive: Drive, sandbox: Sandbox) -> None:
    """The same commit again, with RETURN_DENTRY_IF_EXISTS, answers with the same entry."""
    info = drive.info()
    drive.put(info["headerSignatureInfo"], b"x")
    ids = {
        drive.commit(info["uploadKey"], "a.txt", conflictStrategy="RETURN_DENTRY_IF_EXISTS").json()["dentry"][
            "id"
        ]
        for _ in range(2)
    }
    assert ids == {each.id for each in sandbox.entries(drive.space_id)}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"uploadKey": "never"}, "paramError.uploadKey"),
        ({"uploadKey": None}, "paramError.uploadKey"),
        ({"name": None}, "paramError.name"),
        ({"name": "a|b.txt"}, "dentryNameIllegal"),
        ({"name": "a\tb.txt"}, "dentryNameIllegal"),
        ({"name": "a.txt."}, "dentryNameIllegal"),
        ({"name": "README"}, "dentryNameIllegal"),
        ({"name": "  "}, "dentryNameIllegal"),
        ({"parentId": 0}, "paramError.parentId"),
        ({"parentId": "77"}, "dentryNotExist"),
        ({"option": {"conflictStrategy": "MERGE"}}, "paramError.conflictStrategy"),
        ({"option": {"size": 4}}, "dentryUploadError"),
        ({"option": {"size": "3"}}, "paramError.size"),
    ],
)
def test_wrong_commits(drive: Drive, sandbox: Sandbox, changes: dict[str, object], code: str) -> None:
    """Each wrong field has its own code, and nothing is made."""
    info = drive.info()
    drive.put(info["headerSignatureInfo"], b"abc")
    body = {"uploadKey": info["uploadKey"], "name": "a.txt", "parentId": "0", **changes}
    answer = drive.post(drive.path("files/commit"), body)
    assert answer.json()["code"] == code
    assert answer.status_code == (404 if code == "dentryNotExist" else 400)
    assert sandbox.entries(drive.space_id) == ()


def test_names(drive: Drive, peer_of: Callable[[Settings], Peer]) -> None:
    """Blanks around a name vanish silently; that a name needs an extension is a guess to be changed."""
    assert drive.store(" 报告 (1).pdf ", b"x")["name"] == "报告 (1).pdf"
    lax = Drive(peer_of(Settings(guesses=Guesses(entries_need_extension=False))))
    assert lax.store("README", b"x")["extension"] == ""


def test_a_commit_needs_bytes(drive: Drive) -> None:
    """A commit before the PUT is a dentryUploadError, and a key belongs to one space."""
    key = drive.info()["uploadKey"]
    assert drive.commit(key, "a.txt").json()["code"] == "dentryUploadError"
    elsewhere = Drive(drive.peer, scene="elsewhere")
    assert elsewhere.commit(key, "a.txt").json()["code"] == "paramError.uploadKey"


def test_digest_of_the_check(drive: Drive) -> None:
    """The md5 of preCheckParam is compared with the bytes."""
    info = drive.info(md5="0" * 32)
    drive.put(info["headerSignatureInfo"], b"x")
    assert drive.commit(info["uploadKey"], "a.txt").json()["code"] == "dentryUploadError"


def test_checks_before_the_upload(drive: Drive, peer: Peer) -> None:
    """A name or size that cannot end well is refused before any byte is sent, and so is another protocol."""
    assert drive.info(name="a*.txt")["code"] == "dentryNameIllegal"
    small = Drive(peer, scene="small", quota=10)
    assert small.info(size=11)["code"] == "spaceQuotaInsufficient"
    answer = drive.post(drive.path("files/uploadInfos/query"), {"protocol": "FTP"})
    assert (answer.status_code, answer.json()["code"]) == (400, "paramError.protocol")


def test_quotas(peer_of: Callable[[Settings], Peer]) -> None:
    """A full space and a full organisation refuse, each with its own code; deleting makes room."""
    peer = peer_of(Settings(org_quota=15))
    small, large = Drive(peer, scene="a", quota=10), Drive(peer, scene="b")
    first = small.store("a.txt", b"x" * 8)
    info = small.info()
    small.put(info["headerSignatureInfo"], b"y" * 3)
    assert small.commit(info["uploadKey"], "b.txt").json()["code"] == "spaceQuotaInsufficient"
    assert large.info(size=8)["code"] == "orgQuotaInsufficient"
    deleted = peer.call("DELETE", small.path(f"dentries/{first['id']}"), unionId=small.union_id)
    assert deleted.json() == {"async": False}
    assert small.commit(info["uploadKey"], "b.txt").json()["dentry"]["size"] == 3
