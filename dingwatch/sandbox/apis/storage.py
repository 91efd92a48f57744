"""Files of the drive, upwards: where to PUT, whole or in parts, and the commit (KB:1601, KB:0674 to 0677).

Version 1 names the folder by space and dentryId, version 2 by its dentryUuid; the rest is the same.
"""

import asyncio
import secrets

from dingwatch.sandbox.answers import Family, Json, Refusal
from dingwatch.sandbox.drive import ROOT, STRATEGIES, Draft, Upload
from dingwatch.sandbox.drive_calls import (
    check_rights,
    entry_json,
    name_of,
    number_of,
    operator,
    option_of,
    param_error,
    space_for,
)
from dingwatch.sandbox.gateway import Api, Call
from dingwatch.sandbox.keys import opaque_key
from dingwatch.sandbox.storage_host import signed_address

_PARTS_A_QUERY = 30  # KB:0677
_GREATEST_PART = 10000
_SMALLEST_PART = 100 * 1024  # bytes, for every part but the last (KB:0677)
_PROTOCOL = "HEADER_SIGNATURE"


async def upload_address(call: Call) -> Json:
    """POST /v1.0/storage/spaces/{spaceId}/files/uploadInfos/query?unionId= (KB:1601)."""
    space = space_for(call, operator(call))
    return _single(call, space.id, multipart=call.json.get("multipart") is True)


async def upload_address_v2(call: Call) -> Json:
    """POST /v2.0/storage/spaces/files/{parentDentryUuid}/uploadInfos/query?unionId= (KB:0674)."""
    space_id, _ = _folder_by_uuid(call)
    return _single(call, space_id, multipart=False)


async def init_multipart(call: Call) -> Json:
    """POST /v1.0/storage/spaces/{spaceId}/files/multiPartUploadInfos/init?unionId= (KB:0676)."""
    space = space_for(call, operator(call))
    upload_key, _ = _begin(call, space.id, multipart=True)
    return {"uploadKey": upload_key, "storageDriver": "DINGTALK"}


async def multipart_infos(call: Call) -> Json:
    """POST /v1.0/storage/spaces/files/multiPartUploadInfos/query?unionId= (KB:0677): ≤ 30 parts a query."""
    union_id = operator(call)
    upload = call.world.drive.upload(call.json.get("uploadKey"))
    space_for(call, union_id, upload.space_id)
    if not upload.multipart:
        raise param_error("uploadKey")
    infos = [
        {"partNumber": number, "headerSignatureInfo": signed_address(call, "PUT", _part_path(upload, number))}
        for number in _part_numbers(call)
    ]
    return {"multipartHeaderSignatureInfos": infos}


async def commit(call: Call) -> Json:
    """POST /v1.0/storage/spaces/{spaceId}/files/commit?unionId= (v1 of KB:0675; SDK storage_1_0)."""
    union_id = operator(call)
    space = space_for(call, union_id)
    parent_id = call.json.get("parentId", ROOT)
    if not isinstance(parent_id, str):
        raise param_error("parentId")
    return await _commit(call, space.id, parent_id, union_id)


async def commit_v2(call: Call) -> Json:
    """POST /v2.0/storage/spaces/files/{parentDentryUuid}/commit?unionId= (KB:0675)."""
    space_id, parent_id = _folder_by_uuid(call)
    return await _commit(call, space_id, parent_id, operator(call))


def _folder_by_uuid(call: Call) -> tuple[str, str]:
    """The space and the id of the folder in the path."""
    union_id = operator(call)
    folder = call.world.drive.by_uuid(call.request.match_info["parent_uuid"])
    check_rights(call, call.world.drive.space(folder.space_id), union_id)
    if not folder.is_folder:
        raise param_error("parentDentryUuid")
    return folder.space_id, folder.id


def _single(call: Call, space_id: str, *, multipart: bool) -> Json:
    if call.json.get("protocol") != _PROTOCOL:
        raise param_error("protocol")
    upload_key, upload = _begin(call, space_id, multipart=multipart)
    answer: dict[str, object] = {
        "uploadKey": upload_key,
        "storageDriver": "DINGTALK",
        "protocol": _PROTOCOL,
    }
    if not multipart:  # with `multipart: true` the addresses come part by part [?]
        answer["headerSignatureInfo"] = signed_address(call, "PUT", _path(upload))
    return answer


def _begin(call: Call, space_id: str, *, multipart: bool) -> tuple[str, Upload]:
    """Makes an upload, when its preCheckParam allows it. A name that is taken is judged at the commit [?]."""
    check = option_of(call).get("preCheckParam", {})
    if not isinstance(check, dict):
        raise param_error("preCheckParam")
    if check.get("name") is not None:
        name_of(call, check["name"])
    call.world.drive.check_room(space_id, number_of(check, "size") or 0)
    md5 = check.get("md5")
    upload = Upload(
        space_id,
        object_key=secrets.token_hex(20),
        multipart=secrets.token_hex(16).upper() if multipart else "",
        md5=md5.lower() if isinstance(md5, str) else None,
    )
    upload_key = f"hwHP{opaque_key(30)}"
    call.world.objects.begin(upload.object_key, multipart=multipart)
    call.world.drive.begin(upload_key, upload)
    return upload_key, upload


def _path(upload: Upload) -> str:
    return f"/storage-host/{upload.object_key}"


def _part_path(upload: Upload, number: int) -> str:
    return f"{_path(upload)}?partNumber={number}&uploadId={upload.multipart}"


def _part_numbers(call: Call) -> list[int]:
    numbers = call.json.get("partNumbers")
    if not isinstance(numbers, list) or not 0 < len(numbers) <= _PARTS_A_QUERY:
        raise param_error("partNumbers")
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int) or not 0 < number <= _GREATEST_PART:
            raise param_error("partNumbers")
    return numbers


async def _commit(call: Call, space_id: str, parent_id: str, union_id: str) -> Json:
    upload = call.world.drive.upload(call.json.get("uploadKey"))
    if upload.space_id != space_id:
        raise param_error("uploadKey")
    name = name_of(call, call.json.get("name"))
    option = option_of(call)
    strategy = option.get("conflictStrategy") or "AUTO_RENAME"
    if strategy not in STRATEGIES:
        raise param_error("conflictStrategy")
    _check_arrived(call, upload, number_of(option, "size"))
    content = await asyncio.to_thread(call.world.objects.assemble, upload.object_key)
    if upload.md5 is not None and upload.md5 != await asyncio.to_thread(call.world.objects.md5, content):
        raise Refusal("dentryUploadError", "文件上传错误:md5不一致")
    draft = Draft(space_id, parent_id, name, content, union_id, call.now)
    return {"dentry": entry_json(call, call.world.drive.commit(draft, str(strategy)))}


def _check_arrived(call: Call, upload: Upload, size: int | None) -> None:
    """What was PUT is there and has the right size. A missing part shows only in the size, as at OSS [?]."""
    sizes = call.world.objects.part_sizes(upload.object_key)
    if not sizes:
        raise Refusal("dentryUploadError", "文件上传错误:文件未上传")
    if any(each < _SMALLEST_PART for each in list(sizes.values())[:-1]):
        raise Refusal("dentryUploadError", "文件上传错误:分片过小")
    if size is not None and size != sum(sizes.values()):
        raise Refusal(call.world.settings.guesses.commit_size_code, "文件大小与实际不一致")


_READ = "Storage.UploadInfo.Read"
_WRITE = "Storage.File.Write"
APIS = (
    Api(
        "storage/uploadInfos",
        Family.NEW,
        "POST",
        "/v1.0/storage/spaces/{space_id}/files/uploadInfos/query",
        upload_address,
        scope=_READ,
    ),
    Api(
        "storage/v2/uploadInfos",
        Family.NEW,
        "POST",
        "/v2.0/storage/spaces/files/{parent_uuid}/uploadInfos/query",
        upload_address_v2,
        scope=_READ,
    ),
    Api(
        "storage/multiPartUploadInfos/init",
        Family.NEW,
        "POST",
        "/v1.0/storage/spaces/{space_id}/files/multiPartUploadInfos/init",
        init_multipart,
        scope=_READ,
    ),
    Api(
        "storage/multiPartUploadInfos",
        Family.NEW,
        "POST",
        "/v1.0/storage/spaces/files/multiPartUploadInfos/query",
        multipart_infos,
        scope=_READ,
    ),
    Api(
        "storage/commit",
        Family.NEW,
        "POST",
        "/v1.0/storage/spaces/{space_id}/files/commit",
        commit,
        scope=_WRITE,
    ),
    Api(
        "storage/v2/commit",
        Family.NEW,
        "POST",
        "/v2.0/storage/spaces/files/{parent_uuid}/commit",
        commit_v2,
        scope=_WRITE,
    ),
)
