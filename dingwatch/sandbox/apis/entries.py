"""Files and folders of the drive: ask, list, download, delete (KB:0660, KB:0670, KB:0672, KB:0678)."""

from dingwatch.sandbox import refusals
from dingwatch.sandbox.answers import Family, Json, Refusal
from dingwatch.sandbox.drive import ROOT
from dingwatch.sandbox.drive_calls import (
    entry_json,
    name_of,
    number_of,
    operator,
    option_of,
    param_error,
    space_for,
)
from dingwatch.sandbox.gateway import Api, Call
from dingwatch.sandbox.model import Entry
from dingwatch.sandbox.storage_host import signed_address

_RESULTS_LIMIT = 50
_OFFICE = frozenset({"doc", "docx", "xls", "xlsx", "ppt", "pptx"})
# KB:0670 names documents and some pictures; what else can be opened is unverified [?].
_OPENED = {
    "PREVIEW": _OFFICE | {"pdf", "jpg", "jpeg", "png", "gif", "bmp", "tif", "tiff", "txt", "mp4", "mp3"},
    "EDIT": _OFFICE,
}


async def get(call: Call) -> Json:
    """POST /v1.0/storage/spaces/{spaceId}/dentries/{dentryId}/query?unionId=."""
    return {"dentry": entry_json(call, _entry(call))}


async def listing(call: Call) -> Json:
    """GET /v1.0/storage/spaces/{spaceId}/dentries?unionId=&parentId=&maxResults=&nextToken=."""
    space = space_for(call, operator(call))
    parent_id = call.query("parentId") or ROOT
    found = call.world.drive.entries(space.id, call.world.drive.entry(space.id, parent_id).id)
    start = _number(call, "nextToken", 0)
    limit = _number(call, "maxResults", _RESULTS_LIMIT)
    if not 0 < limit <= _RESULTS_LIMIT:
        raise param_error("maxResults")
    page = found[start : start + limit]
    answer: dict[str, object] = {"dentries": [entry_json(call, each) for each in page]}
    if start + limit < len(found):
        answer["nextToken"] = str(start + limit)
    return answer


async def add_folder(call: Call) -> Json:
    """POST /v1.0/storage/spaces/{spaceId}/dentries/{parentId}/folders?unionId= {name}."""
    union_id = operator(call)
    parent = _entry(call)
    if not parent.is_folder:
        raise param_error("parentId")
    name = name_of(call, call.json.get("name"), of_folder=True)
    return {"dentry": entry_json(call, call.world.drive.add_folder(parent, name, union_id, call.now))}


async def delete(call: Call) -> Json:
    """DELETE /v1.0/storage/spaces/{spaceId}/dentries/{dentryId}?unionId=&toRecycleBin=."""
    entry = _entry(call)
    if entry.id == ROOT:
        raise param_error("dentryId")
    if call.query("toRecycleBin") == "true":  # none of the spaces here has one (KB:0660)
        raise Refusal("recycleBinNotSupportForSpace", "空间不支持回收站")
    call.world.drive.remove(entry)
    return {"async": False}


async def open_address(call: Call) -> Json:
    """POST /v1.0/storage/spaces/{spaceId}/dentries/{dentryId}/openInfos/query?unionId= (KB:0670).

    The real address is opened in DingTalk; this one leads to a page that does not exist.
    """
    entry = _entry(call)
    option = option_of(call)
    kind = option.get("type", "PREVIEW")
    if entry.is_folder:
        raise Refusal("folderNotSupport", "不支持文件夹")
    if kind not in ("PREVIEW", "EDIT"):
        raise param_error("type")
    extension = entry.name.rpartition(".")[2].lower()
    if extension not in _OPENED[str(kind)]:
        code = "dentryPreviewNotSupport" if kind == "PREVIEW" else "dentryEditNotSupport"
        raise Refusal(code, "文件不支持预览" if kind == "PREVIEW" else "文件不支持编辑")
    call.world.drive.content(entry.space_id, entry.id, number_of(option, "version"))
    login = "&checkLogin=true" if option.get("checkLogin") is True else ""
    url = f"{call.request.scheme}://{call.request.host}/sandbox/open?spaceId={entry.space_id}&dentryId={entry.id}&type={kind}{login}"
    return {"url": url, "hasWaterMark": option.get("waterMark") is True}


async def download_address(call: Call) -> Json:
    """POST /v1.0/storage/spaces/{spaceId}/dentries/{dentryId}/downloadInfos/query?unionId= (KB:0678)."""
    entry = _entry(call)
    version = number_of(option_of(call), "version")
    content = call.world.drive.content(entry.space_id, entry.id, version)
    info = signed_address(call, "GET", f"/storage-host/{content.key}")
    return {"protocol": "HEADER_SIGNATURE", "headerSignatureInfo": info}


async def uuid(call: Call) -> Json:
    """GET /v2.0/doc/dentries/{dentryId}/queryDentryUuid?spaceId=&operatorId= (KB:0672). Id 0 is the root."""
    union_id = operator(call, "operatorId")
    space_id = call.query("spaceId")
    if not space_id:
        raise refusals.missing_field("spaceId")
    space = space_for(call, union_id, space_id)
    entry = call.world.drive.entry(space.id, call.request.match_info["dentry_id"])
    return {"dentryUuid": entry.uuid, "dentryId": entry.id, "spaceId": space.id}


def _entry(call: Call) -> Entry:
    space = space_for(call, operator(call))
    return call.world.drive.entry(space.id, call.request.match_info["dentry_id"])


def _number(call: Call, name: str, default: int) -> int:
    text = call.query(name)
    if text and not text.isdecimal():
        raise param_error(name)
    return int(text or default)


_ENTRIES = "/v1.0/storage/spaces/{space_id}/dentries"
_ENTRY = f"{_ENTRIES}/{{dentry_id}}"
_READ, _WRITE = "Storage.File.Read", "Storage.File.Write"
APIS = (
    Api("storage/dentries/get", Family.NEW, "POST", f"{_ENTRY}/query", get, scope=_READ),
    Api("storage/dentries", Family.NEW, "GET", _ENTRIES, listing, scope=_READ),
    Api("storage/folders", Family.NEW, "POST", f"{_ENTRY}/folders", add_folder, scope=_WRITE),
    Api("storage/dentries/delete", Family.NEW, "DELETE", _ENTRY, delete, scope=_WRITE),
    Api("storage/openInfos", Family.NEW, "POST", f"{_ENTRY}/openInfos/query", open_address, scope=_READ),
    Api(
        "storage/downloadInfos",
        Family.NEW,
        "POST",
        f"{_ENTRY}/downloadInfos/query",
        download_address,
        scope="Storage.DownloadInfo.Read",
    ),
    Api(
        "doc/queryDentryUuid",
        Family.NEW,
        "GET",
        "/v2.0/doc/dentries/{dentry_id}/queryDentryUuid",
        uuid,
        scope="Document.WorkspaceDocument.Read",
    ),
)
