"""The payload of a file: form, route, name and upload key of what goes out.

Pure functions of the file's name, size and digest and of its folder's settings.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final

from dingwatch.model import Form, Route, UploadKey
from dingwatch.names import displayed_name, extension

FILE: Final = "file"
IMAGE: Final = "image"
NOTICE: Final = "notice"
"""What an upload is to DingTalk; a notice is none: a message instead of the file."""
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
    """What becomes of a file over the media limit: `drive`, `notice` or `fail`."""
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
        return Payload(Form.PLAIN, shown, UploadKey(policy.app, NOTICE, "", ""))
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
