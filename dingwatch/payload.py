"""The payload of a file: form, route, name and upload key of what goes out.

Pure functions of the file's name, size and digest and of its folder's settings.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from dingwatch.model import Form, Route, UploadKey
from dingwatch.names import displayed_name, extension

FILE: Final = "file"
IMAGE: Final = "image"
NOTICE: Final = "notice"
"""The type of an upload at DingTalk; a notice has none, for it is a message instead of the file."""
DRIVE: Final = "drive:"
"""The type of an entry of the drive is this and the name of its space: entries of two never meet."""

IMAGES: Final = frozenset({"jpg", "gif", "png", "bmp"})
"""Extensions that are shown inline (KB:0646); another name of one of them goes as a file."""
ZIP_MARGIN: Final = 1 << 14
"""Bytes; more than an archive adds to a file of the media limit that cannot be made smaller."""
_REFUSED_IN_DRIVE: Final = str.maketrans('\t*"<>|/\\', "________")
"""Characters of no entry's name (KB:0674, KB:0675), and what could be a way into another folder."""


@dataclass(frozen=True, slots=True)
class PayloadPolicy:
    """The settings that decide how the files of one folder go out; `media_limit` in bytes."""

    app: str
    media_limit: int
    space: str = ""
    """The name of the folder's own space in the drive."""
    send_as: str = FILE
    """`file`, `image` (pictures inline) or `notice` (a message instead of the file)."""
    large: str = "fail"
    """The treatment of a file over the media limit: `drive`, `notice` or `fail`."""
    named: bool = False
    """Whether a recipient is shown the upload's own name: to chats there is no other (KB:1488)."""


@dataclass(frozen=True, slots=True)
class Payload:
    """How a file goes out: its form, the name shown, and what its upload is known by."""

    form: Form
    name: str
    key: UploadKey

    @property
    def notice(self) -> bool:
        """Return whether a message goes instead of the file."""
        return self.key.type == NOTICE

    @property
    def route(self) -> Route:
        """Return how its bytes reach a conversation."""
        return Route.DRIVE if self.key.type.startswith(DRIVE) else Route.ROBOT


def choose_payload(
    name: bytes, size: int, digest: str, policy: PayloadPolicy, refused: Collection[str]
) -> Payload:
    """Choose how a file of `size` bytes goes out.

    `refused` is what DingTalk has refused: extensions that no upload may have, and `image_refusal`.

    A name without extension, or with a refused one, goes zipped as `name.ext.zip`. What is larger than
    the media limit, or might be once zipped, goes as the folder says large files do.
    """
    shown = displayed_name(name)
    kind = extension(shown)
    zipped = not kind or kind in refused
    large = size > policy.media_limit - (ZIP_MARGIN if zipped else 0)
    if policy.send_as == NOTICE or (large and policy.large == NOTICE):
        return notice_payload(shown, policy.app)
    if large and policy.large == "drive":
        return _entry(shown, digest, policy.app, DRIVE + policy.space)
    if zipped:
        payload = _zip(shown, digest, policy.app)
    elif policy.send_as == IMAGE and kind in IMAGES and not _is_refused_as_image(kind, size, refused):
        return Payload(Form.PLAIN, shown, UploadKey(policy.app, IMAGE, digest, kind))  # shows no name
    else:
        payload = Payload(Form.PLAIN, shown, UploadKey(policy.app, FILE, digest, kind))
    return _show_name(payload) if policy.named else payload


def carries_content(payload: Payload, size: int, media_limit: int) -> bool:
    """Return whether bytes of the file are uploaded: not for a notice, and not where it is too large."""
    return not payload.notice and (payload.route is Route.DRIVE or size <= media_limit)


def rebuild_payload(
    name: bytes, digest: str, app: str, form: Form, kind: str, *, named: bool = False
) -> Payload:
    """Return the payload of a file that was uploaded as a `kind`, whatever has been learnt or set since."""
    shown = displayed_name(name)
    if kind.startswith(DRIVE):
        return _entry(shown, digest, app, kind)
    if form is Form.ZIP:
        payload = _zip(shown, digest, app)
    else:
        payload = Payload(Form.PLAIN, shown, UploadKey(app, kind, digest, extension(shown)))
    return _show_name(payload) if named else payload


def _show_name(payload: Payload) -> Payload:
    return replace(payload, key=replace(payload.key, name=payload.name))


_IMAGE_OF: Final = f"{IMAGE}/"
_IMAGE_FROM: Final = f"{IMAGE}>="


def image_refusal(extension: str, size: int | None) -> str:
    """Return the word for what is not taken as an image: an extension, or so many bytes and more."""
    return f"{_IMAGE_OF}{extension}" if size is None else f"{_IMAGE_FROM}{size}"


def _is_refused_as_image(extension: str, size: int, refused: Collection[str]) -> bool:
    sizes = [int(word.removeprefix(_IMAGE_FROM)) for word in refused if word.startswith(_IMAGE_FROM)]
    return f"{_IMAGE_OF}{extension}" in refused or size >= min(sizes, default=size + 1)


def _entry(shown: str, digest: str, app: str, kind: str) -> Payload:
    entry = entry_name(shown)
    return Payload(Form.PLAIN, entry, UploadKey(app, kind, digest, extension(entry), entry))


def _zip(shown: str, digest: str, app: str) -> Payload:
    """The upload key's content of an archive is a hash of what the archive is made of."""
    made_of = hashlib.sha256(f"zip\0{shown}\0{digest}".encode()).hexdigest()
    return Payload(Form.ZIP, f"{shown}.zip", UploadKey(app, FILE, made_of, "zip"))


def entry_name(shown: str) -> str:
    """Return the name of a drive's entry: the file's own, as far as the drive's rules let it (KB:0675).

    An entry needs an extension; a name without one is given `.bin`.
    """
    name = shown.translate(_REFUSED_IN_DRIVE).strip().rstrip(".") or "_"
    return name if extension(name) else f"{name}.bin"


# --- Bundles -------------------------------------------------------------------------------------
# Several files of a folder in one archive and one message. Nothing of an archive but its name depends on
# when it is packed or for whom, so that all who are to get the same files share one upload.

MOST_IN_BUNDLE: Final = 1000
"""Files in one archive. More would keep the ledger for seconds, and a slow share for minutes."""
_ENTRY: Final = 160
"""Bytes; more than the headers of an entry and the end of an archive take besides the entry's names."""
_LONGEST_STEM: Final = 60
_REFUSED_IN_NAME: Final = str.maketrans('\t*"<>|/\\:?', "__________")
"""Characters that the drive and Windows refuse in names."""


def joins_bundle(payload: Payload, size: int, policy: PayloadPolicy) -> bool:
    """Return whether a file of `size` bytes may share a message with others of its folder.

    Left out is what goes otherwise: pictures that are shown, large files, and notices in a folder of files.
    """
    if payload.notice:
        return policy.send_as == NOTICE
    fits = 0 < size <= policy.media_limit - ZIP_MARGIN
    return fits and payload.route is Route.ROBOT and payload.key.type == FILE


def archive_name(folder: str, first: datetime) -> str:
    """Return the name of the archive of a folder's files, of which the first came at a (local) time."""
    stem = displayed_name(folder.encode("utf-8", "surrogateescape")).translate(_REFUSED_IN_NAME)
    stem = stem[:_LONGEST_STEM].strip(" .") or "_"
    return f"{stem}-{first:%Y%m%d-%H%M%S}.zip"


def entry_names(paths: Sequence[bytes]) -> list[str]:
    r"""Return the entries of these paths in an archive, in their order: the paths as people see them.

    No two are alike, even where case does not count: two names that are not UTF-8 may look the same, and
    Windows would unpack `a.pdf` over `A.pdf`. A `\` would be a way into another directory there.
    """
    taken: set[str] = set()
    return [_free_entry(path, taken) for path in paths]


def _free_entry(path: bytes, taken: set[str]) -> str:
    shown = "/".join(map(displayed_name, path.split(b"/"))).replace("\\", "_")
    kind = extension(shown.rpartition("/")[2])
    stem, end = (shown[: -len(kind) - 1], shown[-len(kind) - 1 :]) if kind else (shown, "")
    name, number = shown, 1
    while (folded := unicodedata.normalize("NFC", name).casefold()) in taken:
        number += 1
        name = f"{stem} ({number}){end}"
    taken.add(folded)
    return name


def packed_at_most(entry: str, size: int) -> int:
    """Return how many bytes an entry adds to an archive at most (zlib.h, deflateBound)."""
    return size + (size >> 12) + (size >> 14) + 2 * len(entry.encode()) + _ENTRY


def bundle_payload(name: str, app: str, members: Iterable[tuple[str, str]], *, named: bool) -> Payload:
    """Return the payload of an archive of these entries, each with its file's digest."""
    made_of = hashlib.sha256(b"bundle")
    for entry, digest in members:
        made_of.update(f"\0{entry}\0{digest}".encode())
    payload = Payload(Form.ZIP, name, UploadKey(app, FILE, made_of.hexdigest(), "zip"))
    return _show_name(payload) if named else payload


def notice_payload(name: str, app: str) -> Payload:
    """Return the payload of a notice."""
    return Payload(Form.PLAIN, name, UploadKey(app, NOTICE, "", ""))
