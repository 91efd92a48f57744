"""The drive 钉盘: spaces, uploads in one piece or in parts, entries, and their bytes back.

An upload is: addresses from DingTalk, bytes to the store behind them (no token goes there), commit. All
calls need the rights of a person, the operator. DingTalk has a second version of two calls, which
takes the uuid of a folder where this one takes the ids of a space and a folder. KB:1601 (v1) is listed as
historical, but KB:0674 (v2) tells those who have a space id to use v1, as dingwatch does. Whether new apps
still get v1 is unverified.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import cycle
from typing import Any, Final
from urllib.parse import quote, urlsplit

from dingwatch.dingtalk import answers
from dingwatch.dingtalk.apis import (
    API_COMMIT,
    API_DELETE_ENTRY,
    API_DOWNLOAD_INFO,
    API_GET,
    API_OPEN_INFO,
    API_ORGANISATION,
    API_PART_ADDRESSES,
    API_PARTS_BEGIN,
    API_PUT,
    API_SPACE,
    API_UPLOAD_INFO,
)
from dingwatch.dingtalk.channel import Call
from dingwatch.dingtalk.session import Session
from dingwatch.dingtalk.signed import SignedAddress, parse_address
from dingwatch.dingtalk.transport import Sink
from dingwatch.dingtalk.wire import Content, LengthError
from dingwatch.model import (
    Cause,
    Failure,
    NoAnswer,
    NotReached,
    Scope,
    StoreFailed,
    StoreUnreached,
    Throttled,
    Vanished,
    Verdict,
)

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

    The cut depends on its arguments alone, so a part that was put before a restart is still the same part.

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


GONE: Final = frozenset({"dentryNotExist", "spaceNotExist", "paramError.dentryId", "paramError.spaceId"})
"""Codes for an entry that is not there (KB:0642, KB:0660)."""
ROOT = "0"
"""The id of a space's root (KB:1601)."""


@dataclass(frozen=True, slots=True)
class SpaceFolder:
    """A folder by the id of its space and its own."""

    space_id: str
    folder_id: str = ROOT


@dataclass(frozen=True, slots=True)
class Space:
    """A space of the drive; sizes in bytes, None if DingTalk does not say."""

    id: str
    name: str
    used: int | None
    quota: int | None
    corp_id: str = ""
    """The organisation's id, for questions about its storage; empty if DingTalk does not say."""


@dataclass(frozen=True, slots=True)
class Room:
    """How many bytes of an organisation's storage are in use, and how many there are."""

    used: int
    limit: int


@dataclass(frozen=True, slots=True)
class SignedUpload:
    """An upload in one piece: its key for the commit, and the address for its bytes."""

    upload_key: str
    address: SignedAddress


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in the drive; `size` in bytes, None if DingTalk does not say."""

    space_id: str
    id: str
    name: str
    size: int | None
    version: int | None


class Conflict(StrEnum):
    """How a commit treats a name that the folder has already (KB:0675).

    Whether OVERWRITE keeps the entry's id and counts its version up is unverified. The two strategies that
    DingTalk has besides return the older entry, or refuse: neither sends the bytes that were uploaded.
    """

    RENAME = "AUTO_RENAME"
    OVERWRITE = "OVERWRITE"


class Storage:
    """The drive, with the rights of one operator (a unionId)."""

    def __init__(self, session: Session, operator: str) -> None:
        self._session = session
        self._channel = session.channel
        self._as_operator = {"unionId": operator}

    # --- Where ---------------------------------------------------------------------------------

    def space(self, *, scene: str, scene_id: str, name: str | None = None) -> Space:
        """Return a scene's space; DingTalk makes it if there is none (KB:0652). Repeated for some seconds.

        It belongs to the operator and takes from the organisation's storage; DingTalk's apps do not show it.
        """
        option: dict[str, object] = {"scene": scene, "sceneId": scene_id, "ownerType": "USER"}
        if name is not None:
            option["name"] = name
        answer = self._session.ask("/v1.0/storage/spaces", API_SPACE, {"option": option}, self._as_operator)
        space = answers.members(answer, "space")
        return Space(
            answers.text(space, "id"),
            answers.label(space, "name"),
            answers.whole(space, "usedQuota"),
            answers.whole(space, "quota"),
            answers.optional_text(space, "corpId"),
        )

    def room(self, corp_id: str) -> Room:
        """Return the room in an organisation's storage (KB:0650, permission Storage.Org.Read); repeated.

        It comes in partitions, the public one and those of an own store; they are added up. That no partition
        has a `max` is possible by KB:0651, and taken for an answer that makes no sense.
        """
        path = f"/v1.0/storage/orgs/{_quote(corp_id)}"
        answer = self._session.get(path, API_ORGANISATION, self._as_operator)
        listed = answers.objects(answers.members(answer, "org"), "partitions")
        quotas = [one["quota"] for one in listed if isinstance(one.get("quota"), dict)]
        limits = [limit for one in quotas if (limit := answers.whole(one, "max")) is not None]
        if not limits:
            raise answers.without("max")
        return Room(sum(answers.whole(one, "used") or 0 for one in quotas), sum(limits))

    # --- Bytes there -----------------------------------------------------------------------------

    def begin_whole(self, folder: SpaceFolder, size: int | None = None) -> SignedUpload:
        """Begin an upload in one piece, of less than 5 GB (KB:1601); repeated for some seconds.

        DingTalk refuses at once what the space has no room for, if it is told the `size` in bytes.
        """
        option = _option(folder, size) | {"preferIntranet": False}
        body = {"protocol": "HEADER_SIGNATURE", "multipart": False, "option": option}
        path = f"{_path(folder)}/uploadInfos/query"
        answer = self._session.ask(path, API_UPLOAD_INFO, body, self._as_operator)
        return SignedUpload(answers.text(answer, "uploadKey"), self._address(answer))

    def begin_parts(self, folder: SpaceFolder, size: int | None = None) -> str:
        """Begin an upload in parts and return its key (KB:0676); repeated for some seconds.

        How long a key lives is unverified; DingTalk refuses a dead one with a MediaLost, also at the commit.
        """
        path = f"{_path(folder)}/multiPartUploadInfos/init"
        body = {"option": _option(folder, size)}
        answer = self._session.ask(path, API_PARTS_BEGIN, body, self._as_operator)
        return answers.text(answer, "uploadKey")

    def part_addresses(self, upload_key: str, numbers: Sequence[int]) -> Mapping[int, SignedAddress]:
        """Return the addresses for parts (KB:0677), at most 30 at a time; repeated for some seconds.

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
        listed = {
            answers.whole(one, "partNumber"): one
            for one in answers.objects(answer, "multipartHeaderSignatureInfos")
        }
        if not set(numbers) <= set(listed):
            raise answers.without("partNumber")
        return {number: self._address(listed[number]) for number in numbers}

    def put(self, address: SignedAddress, content: Content) -> None:
        """Put the bytes of a file or a part into the store; repeated for some seconds.

        They go with the signed headers and no others: the store is not DingTalk's and must not see the token,
        and a Content-Type would break the signature (KB:0680).

        Raises:
            Failure: SignatureExpired asks for a new address, MediaLost for a new upload; Vanished means that
                the content has another size than announced; NotReached and NoAnswer concern the store alone.
            Exception: of the content's source, as it is.
        """
        urls = cycle(address.urls)  # each try takes the next one: the first may be the one out of reach

        def once() -> None:
            self._channel.put(self._store_call("PUT", next(urls), address, content))

        try:
            self._channel.repeat(once, NotReached, NoAnswer)
        except LengthError:
            raise Failure(Vanished(Cause("changed", "", "FILE_CHANGED"))) from None
        except Failure as failure:
            verdict = _at_store(failure.verdict, address)
            if verdict is failure.verdict:
                raise
        else:
            return
        raise Failure(verdict)

    def commit(
        self,
        folder: SpaceFolder,
        *,
        upload_key: str,
        name: str,
        size: int,
        conflict: Conflict = Conflict.RENAME,
    ) -> Entry:
        """Make an entry of an upload, whose bytes must be `size` (KB:0675).

        Not repeated after a lost answer, because that could make a second entry. For the rules of names see
        the API sheet, section 4; DingTalk silently strips blanks at their ends.
        """
        body = {
            "uploadKey": upload_key,
            "name": name,
            "parentId": folder.folder_id,
            "option": {"size": size, "conflictStrategy": conflict.value},
        }

        def once() -> Mapping[str, Any]:
            return self._session.post(f"{_path(folder)}/commit", API_COMMIT, body, self._as_operator)

        answer = self._channel.repeat(once, NotReached)
        return _entry(answers.members(answer, "dentry"), folder)

    # --- Bytes back ------------------------------------------------------------------------------

    def download_address(self, space_id: str, entry_id: str) -> SignedAddress:
        """Return an address of an entry's bytes for some minutes (KB:0678); repeated for some seconds."""
        option = {"preferIntranet": False}
        path = f"/v1.0/storage/spaces/{_quote(space_id)}/dentries/{_quote(entry_id)}/downloadInfos/query"
        answer = self._session.ask(path, API_DOWNLOAD_INFO, {"option": option}, self._as_operator)
        return self._address(answer)

    def open_address(self, space_id: str, entry_id: str) -> str:
        """Return an address at which an entry is shown in a browser or DingTalk (KB:0670); repeated.

        Whoever opens it must be signed in to DingTalk (`checkLogin`), and may see the entry by the rights in
        its space. DingTalk names no time after which it ends, and not every kind of file can be shown.
        """
        option = {"type": "PREVIEW", "checkLogin": True}
        path = f"/v1.0/storage/spaces/{_quote(space_id)}/dentries/{_quote(entry_id)}/openInfos/query"
        answer = self._session.ask(path, API_OPEN_INFO, {"option": option}, self._as_operator)
        return answers.url(answer, "url")

    def delete(self, space_id: str, entry_id: str) -> None:
        """Delete an entry for good (KB:0660); repeated for some seconds, also after a lost answer.

        Only spaces of the visible drive have a recycle bin. An entry that is gone already is no failure.
        DingTalk may go on with it after the answer (`async`), and names a task then.
        """
        path = f"/v1.0/storage/spaces/{_quote(space_id)}/dentries/{_quote(entry_id)}"
        query = {**self._as_operator, "toRecycleBin": "false"}
        try:
            self._session.delete(path, API_DELETE_ENTRY, query)
        except Failure as failure:
            if failure.verdict.cause.code not in GONE:
                raise

    def download(self, address: SignedAddress, into: Sink, *, limit: int) -> int:
        """Write an entry's bytes into `into`, at most `limit`, and return how many there were.

        Repeated if the store was not reached, since nothing was written then. After another failure the
        bytes written so far stay in `into`. If the store sends no length, a cut download looks complete:
        compare the digest.
        """
        urls = cycle(address.urls)

        def once() -> int:
            call = self._store_call("GET", next(urls), address, None)
            return self._channel.receive_stored(call, into, limit=limit)

        return self._channel.repeat(once, NotReached)

    def _address(self, answer: Mapping[str, Any]) -> SignedAddress:
        return parse_address(answer, self._channel.clock(), self._session.account.api_url)

    def _store_call(self, method: str, url: str, address: SignedAddress, content: Content | None) -> Call:
        return Call(
            API_PUT if content else API_GET,
            method,
            url,
            address.headers,
            content.body() if content else None,
            self._channel.timeouts.upload,
            address.secrets,
        )


def _at_store(verdict: Verdict, address: SignedAddress) -> Verdict:
    """Return what a failed PUT means: trouble with the store alone, after a call that DingTalk answered."""
    match verdict:
        case NotReached() if verdict.cause.code != "stopped":
            parts = urlsplit(address.url)
            return StoreUnreached(verdict.cause, Scope.API, address=f"{parts.scheme}://{parts.netloc}")
        # It does not end a penalty that DingTalk counts, and trying each second would bill a call each time.
        case NoAnswer() | Throttled():
            return StoreFailed(verdict.cause, Scope.API)
    return verdict


def _path(folder: SpaceFolder) -> str:
    return f"/v1.0/storage/spaces/{_quote(folder.space_id)}/files"


def _quote(identity: str) -> str:
    return quote(identity, safe="")


def _option(folder: SpaceFolder, size: int | None) -> dict[str, object]:
    option: dict[str, object] = {"storageDriver": "DINGTALK"}
    if size is not None:
        # Not the name: DingTalk would refuse one that the folder has already (`dentryNameConflict`, KB:1601),
        # whatever the commit's strategy is, and each new version of a file comes under the same name.
        option["preCheckParam"] = {"size": size, "parentId": folder.folder_id}
    return option


def _entry(dentry: Mapping[str, Any], folder: SpaceFolder) -> Entry:
    return Entry(
        answers.optional_text(dentry, "spaceId") or folder.space_id,
        answers.text(dentry, "id"),
        answers.label(dentry, "name"),
        answers.whole(dentry, "size"),
        answers.whole(dentry, "version"),
    )
