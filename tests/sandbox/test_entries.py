from __future__ import annotations

from dingwatch.sandbox import Sandbox
from tests.sandbox.drives import Drive


def test_folders(drive: Drive, sandbox: Sandbox) -> None:
    """A folder holds files; its name needs no extension, and is taken once."""
    folder = drive.post(drive.path("dentries/0/folders"), {"name": "2026"}).json()["dentry"]
    assert (folder["type"], folder["path"], folder["extension"]) == ("FOLDER", "/2026", "")
    again = drive.post(drive.path("dentries/0/folders"), {"name": "2026"})
    assert (again.status_code, again.json()["code"]) == (400, "dentryNameConflict")
    info = drive.info()
    drive.put(info["headerSignatureInfo"], b"x")
    body = {"uploadKey": info["uploadKey"], "name": "a.txt", "parentId": folder["id"]}
    dentry = drive.post(drive.path("files/commit"), body).json()["dentry"]
    assert (dentry["parentId"], dentry["path"]) == (folder["id"], "/2026/a.txt")
    download = drive.post(drive.path(f"dentries/{folder['id']}/downloadInfos/query"), {})
    assert download.json()["code"] == "folderNotSupport"
    delete = drive.peer.call("DELETE", drive.path(f"dentries/{folder['id']}"), unionId=drive.union_id)
    assert delete.status_code == 200
    assert sandbox.entries(drive.space_id) == ()


def test_one_entry(drive: Drive) -> None:
    """An entry is asked for by its id, and is the same as in the answer of the commit."""
    dentry = drive.store("a.txt", b"x")
    assert drive.post(drive.path(f"dentries/{dentry['id']}/query"), {}).json() == {"dentry": dentry}
    missing = drive.post(drive.path("dentries/77/query"), {})
    assert (missing.status_code, missing.json()["code"]) == (404, "dentryNotExist")


def test_listing(drive: Drive) -> None:
    """A folder's entries come page by page."""
    names = [f"{number}.txt" for number in range(3)]
    for name in names:
        drive.store(name, b"x")
    path = drive.path("dentries")
    first = drive.peer.call("GET", path, unionId=drive.union_id, maxResults="2").json()
    rest = drive.peer.call(
        "GET", path, unionId=drive.union_id, maxResults="2", nextToken=first["nextToken"]
    ).json()
    assert [each["name"] for each in first["dentries"] + rest["dentries"]] == names
    assert "nextToken" not in rest
    for wrong in ({"maxResults": "51"}, {"maxResults": "x"}, {"nextToken": "-1"}):
        answer = drive.peer.call("GET", path, unionId=drive.union_id, **wrong)
        assert answer.json()["code"] == f"paramError.{next(iter(wrong))}"


def test_the_root_stays(drive: Drive) -> None:
    """The root of a space cannot be deleted."""
    answer = drive.peer.call("DELETE", drive.path("dentries/0"), unionId=drive.union_id)
    assert answer.json()["code"] == "paramError.dentryId"


def test_an_address_for_people(drive: Drive) -> None:
    """What can be shown has an address; what cannot, and strangers, get DingTalk's codes."""
    dentry = drive.store("a.pdf", b"x")
    path = drive.path(f"dentries/{dentry['id']}/openInfos/query")
    answer = drive.post(path, {"option": {"type": "PREVIEW", "checkLogin": True}}).json()
    assert answer["hasWaterMark"] is False
    assert answer["url"].startswith("http")
    assert drive.post(path, {"option": {"type": "EDIT"}}).json()["code"] == "dentryEditNotSupport"
    assert drive.post(path, {"option": {"type": "SHOW"}}).json()["code"] == "paramError.type"
    archive = drive.store("a.zip", b"x")
    other = drive.path(f"dentries/{archive['id']}/openInfos/query")
    assert drive.post(other, {}).json()["code"] == "dentryPreviewNotSupport"
    missing = drive.post(drive.path("dentries/77/openInfos/query"), {})
    assert (missing.status_code, missing.json()["code"]) == (404, "dentryNotExist")
    stranger = drive.post(path, {}, unionId="sandboxUnionColleaguiE")
    assert (stranger.status_code, stranger.json()["code"]) == (403, "permissionDenied")


def test_what_is_deleted_is_gone(drive: Drive) -> None:
    """There is no recycle bin; a second time there is nothing to delete."""
    dentry = drive.store("a.txt", b"x")
    path = drive.path(f"dentries/{dentry['id']}")
    binned = drive.peer.call("DELETE", path, unionId=drive.union_id, toRecycleBin="true")
    assert (binned.status_code, binned.json()["code"]) == (400, "recycleBinNotSupportForSpace")
    assert drive.peer.call("DELETE", path, unionId=drive.union_id, toRecycleBin="false").json() == {
        "async": False
    }
    again = drive.peer.call("DELETE", path, unionId=drive.union_id)
    assert (again.status_code, again.json()["code"]) == (404, "dentryNotExist")
