"""The storage host itself: PUT and GET with signed headers, no token, errors in XML (KB:0679, KB:0680).

Bodies are streamed to the disk a block at a time: a file of any size takes the same memory.
"""

import asyncio
import contextlib
import hashlib
import re

from aiohttp import web

from dingwatch.sandbox.answers import Family, Refusal, request_id
from dingwatch.sandbox.disk import Disk, Extent
from dingwatch.sandbox.gateway import Api, Call
from dingwatch.sandbox.objects import Content
from dingwatch.sandbox.signatures import SignedRequest

_BLOCK = 1024 * 1024
_GREATEST_PUT = 5 * 1024**3  # bytes (KB:0677, KB:1601)
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


async def put(call: Call) -> web.StreamResponse:
    """PUT of a whole file, or of a part with partNumber and uploadId; what was cut is not kept."""
    key = call.request.match_info["key"]
    number = call.query("partNumber")
    _check_signature(call)
    if not call.world.objects.expects(key, multipart=bool(number)):
        raise Refusal("NoSuchUpload", "The specified upload does not exist.", status=404)
    length = call.request.content_length
    if length is not None and length > _GREATEST_PUT:
        raise Refusal("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size.")
    sink = _Sink(call.world.disk)
    try:
        async for block in call.request.content.iter_any():
            await sink.take(block)
    except (web.RequestPayloadError, ConnectionError):
        raise Refusal("IncompleteBody", "The body was cut.") from None
    await sink.flush()
    await asyncio.to_thread(call.world.objects.put, key, int(number or 1), sink.extents)
    return web.Response(headers={"ETag": f'"{sink.md5}"', "x-oss-request-id": request_id()})


async def get(call: Call) -> web.StreamResponse:
    """GET of a file with the headers of downloadInfos; a Range answers 206 (KB:0679)."""
    _check_signature(call)
    content = call.world.objects.content(call.request.match_info["key"])
    if content is None:
        raise Refusal("NoSuchKey", "The specified key does not exist.", status=404)
    span = _span(call.request.headers.get("range"), content)
    start, length = span or (0, content.size)
    headers = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes"}
    if span:
        headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{content.size}"
    response = web.StreamResponse(status=206 if span else 200, headers=headers)
    response.content_length = length
    await response.prepare(call.request)
    blocks = call.world.objects.blocks(content, start, length)
    with contextlib.suppress(ConnectionResetError):  # whoever asked may go away in the middle
        while block := await asyncio.to_thread(next, blocks, b""):
            await response.write(block)
        await response.write_eof()
    return response


class _Sink:
    """Gathers what the network brings into larger blocks, and writes and digests them in a thread."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._block = bytearray()
        self._md5 = hashlib.md5(usedforsecurity=False)
        self.extents: list[Extent] = []

    @property
    def md5(self) -> str:
        """The ETag, which at OSS is the MD5 in upper-case hexadecimal."""
        return self._md5.hexdigest().upper()

    async def take(self, data: bytes) -> None:
        """More bytes."""
        self._block += data
        if len(self._block) >= _BLOCK:
            await self.flush()

    async def flush(self) -> None:
        """Everything is on the disk."""
        block, self._block = self._block, bytearray()
        await asyncio.to_thread(self._write, block)

    def _write(self, block: bytearray) -> None:
        self._md5.update(block)
        self.extents.append(self._disk.write(block))


def _check_signature(call: Call) -> None:
    headers = {name.lower(): value for name, value in call.request.headers.items()}
    call.world.signer.check(SignedRequest(call.request.method, call.request.raw_path, headers), call.now)


def _span(value: str | None, content: Content) -> tuple[int, int] | None:
    """First byte and length of a Range; None for a missing or unreadable one, which is ignored (RFC 9110).

    Raises:
        Refusal: 416 InvalidRange.
    """
    match = _RANGE.fullmatch(value or "")
    if not match or match[0] == "bytes=-":
        return None
    if match[1]:
        first, last = int(match[1]), min(int(match[2] or content.size), content.size - 1)
    else:
        first, last = max(0, content.size - int(match[2])), content.size - 1
    if first >= content.size or first > last:
        raise Refusal("InvalidRange", "The requested range cannot be satisfied.", status=416)
    return first, last - first + 1


_PATH = "/storage-host/{key}"
APIS = (
    Api(
        "storage-host/put",
        Family.STORAGE,
        "PUT",
        _PATH,
        put,
        needs_token=False,
        billed=False,
        limited=False,
        streams=True,
    ),
    Api(
        "storage-host/get",
        Family.STORAGE,
        "GET",
        _PATH,
        get,
        needs_token=False,
        billed=False,
        limited=False,
    ),
)
