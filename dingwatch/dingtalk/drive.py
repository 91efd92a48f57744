"""The drive 钉盘: spaces, uploads in one piece or in parts, entries, and their bytes back.

An upload is: addresses from DingTalk, bytes to the store behind them (no token goes there), commit. All
calls need the rights of a person, the operator. DingTalk keeps two versions of two calls: v1 takes the id
of a space and a folder, v2 the uuid of a folder; KB:1601 (v1) is listed as historical, KB:0674 (v2) says to
use v1 for who has a space id. Whether v1 is still granted to new apps is unverified.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import cycle
from typing import Any, Final
from urllib.parse import quote

from dingwatch.dingtalk import answers
from dingwatch.dingtalk.apis import (
    API_COMMIT,
    API_COMMIT_V2,
    API_DENTRY_UUID,
    API_DOWNLOAD_INFO,
    API_GET,
    API_PART_ADDRESSES,
    API_PARTS_BEGIN,
    API_PUT,
    API_SPACE,
    API_UPLOAD_INFO,
    API_UPLOAD_INFO_V2,
)
from dingwatch.dingtalk.channel import Call
from dingwatch.dingtalk.session import Session
from dingwatch.dingtalk.signed import SignedAddress, signed_address
from dingwatch.dingtalk.transport import Sink
from dingwatch.dingtalk.wire import Content, LengthError
from dingwatch.model import Cause, Failure, NoAnswer, NotReached, Vanished

MOST_PARTS: Final = 10_000
MOST_ADDRESSES: Final = 30
"""Part addresses that one query may ask for (KB:0677)."""
SMALLEST_PART: Final = 100 * 1024
"""Bytes; the last part may be smaller. KB:0677 says 100 KB; whether that is 10^3 or 2^10 is unverified."""
LARGEST_PART: Final = 5 * 10**9
"""Bytes; KB:0677 says 5 GB, and the same for a file in one piece (KB:1601). The smaller reading is kept."""
USUAL_PART: Final = 16 << 20
"""Bytes: two parts' addresses in each 32 MiB, so that 2 GiB take five queries; lost with a broken line."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its number, from 1 on, and where it lies in the file, in bytes."""

    number: int
    offset: int
    size: int


def parts_of(size: int, part_size: int | None = None) -> tuple[Part, ...]:
    """Cut `size` bytes into parts of `part_size`, or of a size at which there are not too many.

    The cut is a function of its arguments alone: what a restart finds finished is still the same part.

    Raises:
        ValueError: for no bytes, a part size that is not allowed, or one that makes too many parts.
    """
    each = part_size or part_size_for(size)
    count = -(-size // each) if each > 0 else 0
    if not (1 <= count <= MOST_PARTS and SMALLEST_PART <= each <= LARGEST_PART):
        raise ValueError(f"{size} bytes in parts of {each}")
    return tuple(Part(number + 1, number * each, min(each, size - number * each)) for number in range(count))


def part_size_for(size: int) -> int:
    """Return the usual part size, or as many whole MiB as keep within the number of parts."""
    least = -(-size // MOST_PARTS)
    return max(USUAL_PART, -(-least // (1 << 20)) << 20)


ROOT = "0"
"""The id of a space's root (KB:1601)."""


@dataclass(frozen=True, slots=True)
class SpaceFolder:
    """A folder by the id of its space and its own (v1)."""

    space_id: str
    folder_id: str = ROOT


@dataclass(frozen=True, slots=True)
class FolderUuid:
    """A folder, or a space's root, by its dentryUuid (v2)."""

    uuid: str


Folder = SpaceFolder | FolderUuid


@dataclass(frozen=True, slots=True)
class Space:
    """A space of the drive; sizes in bytes, None where DingTalk does not say."""

    id: str
    name: str
    used: int | None
    quota: int | None


@dataclass(frozen=True, slots=True)
class SignedUpload:
    """An upload in one piece: its key for the commit, and where its bytes go."""

    upload_key: str
    address: SignedAddress


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in the drive; `size` in bytes, None where DingTalk does not say."""

    space_id: str
    id: str
    name: str
    size: int | None
    version: int | None
    uuid: str


class Conflict(StrEnum):
    """What a commit does when the folder has the name already (KB:0675).

    With RETURN_EXISTING the entry that is returned may hold older bytes than those of the upload. Whether
    OVERWRITE keeps the entry's id and counts its version up is unverified.
    """

    RENAME = "AUTO_RENAME"
    OVERWRITE = "OVERWRITE"
    RETURN_EXISTING = "RETURN_DENTRY_IF_EXISTS"
    REFUSE = "RETURN_ERROR_IF_EXISTS"


@dataclass(frozen=True, slots=True)
class PreCheck:
    """What DingTalk is to check before an upload; what is None it does not look at.

    With a name it refuses one that the folder has already (`dentryNameConflict`, KB:1601), whatever the
    commit's strategy would be: leave it out where a name may come again. `md5` is in hex.
    """

    size: int | None = None
    name: str | None = None
    md5: str | None = None

    def members(self, folder: Folder) -> dict[str, object]:
        """Return what is asked; only v1 knows digests and a folder's id."""
        asked: dict[str, object] = {"size": self.size, "name": self.name}
        if isinstance(folder, SpaceFolder):
            asked |= {"md5": self.md5, "parentId": folder.folder_id}
        return {name: value for name, value in asked.items() if value is not None}


class Storage:
    """The drive, with the rights of one operator (a unionId)."""

    def __init__(self, session: Session, operator: str) -> None:
        self._session = session
        self._channel = session.channel
        self._as_operator = {"unionId": operator}
        self._operator = operator

    # --- Where ---------------------------------------------------------------------------------

    def space(self, *, scene: str, scene_id: str, name: str | None = None) -> Space:
        """Return the space of a scene, made if there is none (KB:0652); repeated for some seconds.

        It belongs to the operator and uses the organisation's quota; no client shows it.
        """
        option: dict[str, object] = {"scene": scene, "sceneId": scene_id, "ownerType": "USER"}
        if name is not None:
            option["name"] = name
        answer = self._session.ask("/v1.0/storage/spaces", API_SPACE, {"option": option}, self._as_operator)
        space = answers.members(answer, "space")
        return Space(
            answers.text(space, "id"),
            str(space.get("name") or ""),
            answers.whole(space, "usedQuota"),
            answers.whole(space, "quota"),
        )

    def uuid_of(self, space_id: str, entry_id: str) -> str:
        """Return the dentryUuid of a file or folder (KB:0672), for v2; repeated for some seconds."""
        path = f"/v2.0/doc/dentries/{_quoted(entry_id)}/queryDentryUuid"
        query = {"spaceId": space_id, "operatorId": self._operator}
        return answers.text(self._session.get(path, API_DENTRY_UUID, query), "dentryUuid")

    # --- Bytes there -----------------------------------------------------------------------------

    def begin_whole(self, folder: Folder, check: PreCheck | None = None) -> SignedUpload:
        """Begin an upload in one piece, of less than 5 GB (KB:0674, KB:1601); repeated for some seconds."""
        option = _option(folder, check) | {"preferIntranet": False}
        body: dict[str, object] = {"protocol": "HEADER_SIGNATURE", "option": option}
        if isinstance(folder, SpaceFolder):
            body["multipart"] = False
        api = API_UPLOAD_INFO if isinstance(folder, SpaceFolder) else API_UPLOAD_INFO_V2
        answer = self._session.ask(f"{_path(folder)}/uploadInfos/query", api, body, self._as_operator)
        address = signed_address(answer, self._channel.clock())
        return SignedUpload(answers.text(answer, "uploadKey"), address)

    def begin_parts(self, folder: SpaceFolder, check: PreCheck | None = None) -> str:
        """Begin an upload in parts and return its key (KB:0676; only v1 has it); repeated for some seconds.

        How long a key is good for is unverified; a dead one is a MediaLost, here and at the commit.
        """
        path = f"{_path(folder)}/multiPartUploadInfos/init"
        body = {"option": _option(folder, check)}
        answer = self._session.ask(path, API_PARTS_BEGIN, body, self._as_operator)
        return answers.text(answer, "uploadKey")

    def part_addresses(self, upload_key: str, numbers: Sequence[int]) -> Mapping[int, SignedAddress]:
        """Return where parts go (KB:0677), at most 30 at a time; repeated for some seconds.

        Raises:
            ValueError: for more than 30.
            Failure: NoAnswer too when one is missing.
        """
        if len(numbers) > MOST_ADDRESSES:
            raise ValueError(f"{len(numbers)} part addresses at once")
        body = {
            "uploadKey": upload_key,
            "partNumbers": list(numbers),
            "option": {"preferIntranet": False},
        }
        path = "/v1.0/storage/spaces/files/multiPartUploadInfos/query"
        answer = self._session.ask(path, API_PART_ADDRESSES, body, self._as_operator)
        now, listed = self._channel.clock(), answer.get("multipartHeaderSignatureInfos")
        addresses = {
            int(answers.number(one, "partNumber")): signed_address(one, now)
            for one in (listed if isinstance(listed, list) else ())
            if isinstance(one, dict)
        }
        if not set(numbers) <= set(addresses):
            raise answers.without("partNumber")
        return addresses

    def put(self, address: SignedAddress, content: Content) -> None:
        """Hand the bytes of a file or a part to the store; repeated for some seconds, they are the same.

        Only the signed headers go with them: a token would be none of the store's business, and a
        Content-Type would break the signature (KB:0680).

        Raises:
            Failure: SignatureExpired asks for a new address; MediaLost for a new upload; Vanished when
                the content has not the size it said; NotReached and NoAnswer concern the store alone.
            Exception: what reading the content raises comes through as it is.
        """
        urls = cycle(address.urls)

        def once() -> None:
            self._channel.put(self._stored("PUT", next(urls), address, content))

        try:
            self._channel.repeat(once, NotReached, NoAnswer)
        except LengthError:
            raise Failure(Vanished(Cause("changed", "", "FILE_CHANGED"))) from None

    def commit(
        self,
        folder: Folder,
        *,
        upload_key: str,
        name: str,
        size: int,
        conflict: Conflict = Conflict.RENAME,
    ) -> Entry:
        """Make an entry of an upload, whose bytes must be `size` (KB:0675).

        Repeated after a lost answer only with RETURN_EXISTING: with others there could be two entries.
        The name's own rules are in the API sheet, section 4; a blank at its ends is lost silently.
        """
        body: dict[str, object] = {
            "uploadKey": upload_key,
            "name": name,
            "option": {"size": size, "conflictStrategy": conflict.value},
        }
        if isinstance(folder, SpaceFolder):
            body["parentId"] = folder.folder_id
        api = API_COMMIT if isinstance(folder, SpaceFolder) else API_COMMIT_V2

        def once() -> Mapping[str, Any]:
            return self._session.post(f"{_path(folder)}/commit", api, body, self._as_operator)

        doubtful = (NoAnswer,) if conflict is Conflict.RETURN_EXISTING else ()
        answer = self._channel.repeat(once, NotReached, *doubtful)
        return _entry(answers.members(answer, "dentry"), folder)

    # --- Bytes back ------------------------------------------------------------------------------

    def download_address(self, space_id: str, entry_id: str, version: int | None = None) -> SignedAddress:
        """Return where an entry's bytes are for some minutes (KB:0678); repeated for some seconds."""
        option: dict[str, object] = {"preferIntranet": False}
        if version is not None:
            option["version"] = version
        path = f"/v1.0/storage/spaces/{_quoted(space_id)}/dentries/{_quoted(entry_id)}/downloadInfos/query"
        answer = self._session.ask(path, API_DOWNLOAD_INFO, {"option": option}, self._as_operator)
        return signed_address(answer, self._channel.clock())

    def download(self, address: SignedAddress, into: Sink, *, limit: int) -> int:
        """Write an entry's bytes into `into`, at most `limit`, and return how many there were.

        Repeated when the store was not reached, for then nothing was written. What was written before a
        failure stays written. Where the store does not say how much there is, an early end goes unseen:
        compare the digest.
        """
        urls = cycle(address.urls)

        def once() -> int:
            call = self._stored("GET", next(urls), address, None)
            return self._channel.receive_stored(call, into, limit=limit)

        return self._channel.repeat(once, NotReached)

    def _stored(self, method: str, url: str, address: SignedAddress, content: Content | None) -> Call:
        return Call(
            API_PUT if content else API_GET,
            method,
            url,
            address.headers,
            content.body() if content else None,
            self._channel.timeouts.upload,
            address.secrets,
        )


def _path(folder: Folder) -> str:
    if isinstance(folder, FolderUuid):
        return f"/v2.0/storage/spaces/files/{_quoted(folder.uuid)}"
    return f"/v1.0/storage/spaces/{_quoted(folder.space_id)}/files"


def _quoted(identity: str) -> str:
    return quote(identity, safe="")


def _option(folder: Folder, check: PreCheck | None) -> dict[str, object]:
    option: dict[str, object] = {"storageDriver": "DINGTALK"}
    if check is not None:
        option["preCheckParam"] = check.members(folder)
    return option


def _entry(dentry: Mapping[str, Any], folder: Folder) -> Entry:
    space_id = dentry.get("spaceId") or (folder.space_id if isinstance(folder, SpaceFolder) else None)
    return Entry(
        answers.text({"spaceId": space_id}, "spaceId"),
        answers.text(dentry, "id"),
        answers.text(dentry, "name"),
        answers.whole(dentry, "size"),
        answers.whole(dentry, "version"),
        str(dentry.get("uuid") or ""),
    )
