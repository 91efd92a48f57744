"""media/upload and media/downloadFile, on the legacy host: HTTP 200 whatever happens (KB:0646, KB:0644)."""

import asyncio
import mimetypes

from aiohttp import web

from dingwatch.sandbox.answers import Family, Json, Refusal
from dingwatch.sandbox.downloads import file_response
from dingwatch.sandbox.gateway import Api, Call
from dingwatch.sandbox.model import Upload
from dingwatch.sandbox.multipart import Part
from dingwatch.sandbox.settings import MediaRules

# Larger contents are hashed and written in a thread, so that other calls go on meanwhile.
_INLINE = 256 * 1024


async def upload(call: Call) -> Json:
    """POST /media/upload?access_token=&type=, multipart part `media` (KB:0646).

    The order of the checks is assumed: token (at the gate), type, multipart, part, empty, extension, size.
    """
    rules = call.world.settings.media
    kind = _kind(call, rules)
    part = _media_part(call)
    name = part.filename or ""
    if not rules.takes(kind, extension_of(name)):
        raise Refusal(40005, "不合法的文件类型")
    if len(part.content) > rules.limits[kind]:
        raise _too_large(call)
    stored = await _store(call, part, kind)
    return {"type": kind, "media_id": stored.media_id, "created_at": int(stored.at * 1000)}


async def download(call: Call) -> web.StreamResponse:
    """GET /media/downloadFile?access_token=&media_id=, once /media/get: the bytes, never a link.

    No longer in the documentation; whether it still works at DingTalk is unverified [?].
    """
    found = call.world.shelf.find(call.query("media_id"))
    if found is None:
        raise Refusal(40004, "invalid media_id")
    extension = extension_of(found.name)
    content_type = mimetypes.guess_type(f"x.{extension}")[0] or "application/octet-stream"
    return await file_response(
        call.request,
        call.world.shelf.blocks(found.media_id),
        found.size,
        f"{found.media_id}.{extension}",
        content_type,
    )


def extension_of(name: str) -> str:
    """What stands behind the last dot, in lower case; empty when there is none."""
    stem, dot, extension = name.rpartition(".")
    return extension.lower() if dot and stem else ""


def _kind(call: Call, rules: MediaRules) -> str:
    kind = call.field("type")
    if kind not in rules.limits:
        raise Refusal(40004, "不合法的媒体文件类型")
    return kind


def _media_part(call: Call) -> Part:
    if call.parts is None:
        raise Refusal(43008, "参数需要multipart类型")
    if call.overlong:
        raise _too_large(call)
    for part in call.parts:
        # Without a name there is no file; and one that only stands in filename* is not seen.
        if part.name == "media" and part.filename:
            if not part.content:
                raise Refusal(44001, "多媒体文件为空")
            return part
    raise Refusal(41005, "缺少多媒体文件数据")


def _too_large(call: Call) -> Refusal:
    """An over-long body is refused in the same words; whether a gateway answers 413 instead is open [?]."""
    return Refusal(call.world.settings.guesses.oversize_errcode, "不合法的文件大小")


async def _store(call: Call, part: Part, kind: str) -> Upload:
    put = call.world.shelf.put
    arguments = (part.filename or "", part.content, kind, call.now)
    if len(part.content) <= _INLINE:
        return put(*arguments)
    return await asyncio.to_thread(put, *arguments)


APIS = (
    Api("media/upload", Family.LEGACY, "POST", "/media/upload", upload),
    Api("media/downloadFile", Family.LEGACY, "GET", "/media/downloadFile", download),
    Api("media/get", Family.LEGACY, "GET", "/media/get", download),
)
