"""The values that leave the sandbox: conversations, messages, uploads. All frozen, no behaviour."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Conversation:
    """A group (`cid…`) or, on the page only, the chat of the robot with one person.

    Attributes:
        id: the openConversationId. Treat it as opaque: it may hold `+`, `/` and `=`.
        name: as shown on the page.
        robot_inside: whether the robot is a member, so that it may send here.
    """

    id: str
    name: str
    robot_inside: bool = True


@dataclass(frozen=True, slots=True)
class Message:
    """One message in one conversation, as its members would see it.

    Attributes:
        id: the sandbox's own number for it, safe in a URL.
        conversation_id: where it was sent.
        at: wall-clock seconds when it was accepted.
        msg_key: `sampleFile`, `sampleText`, …
        file_name: the name shown (msgParam.fileName), or None when it carries no file.
        file_type: msgParam.fileType verbatim, or None.
        media_id: what it shows, or None.
        size: bytes of the file, or None when unknown.
        sha256: hexadecimal digest of the file, or None when unknown.
        text: what a text-like message says, else empty.
        process_query_key: the key that the answer to the send carried.
        recalled: whether the robot took it back.
    """

    id: str
    conversation_id: str
    at: float
    msg_key: str
    file_name: str | None
    file_type: str | None
    media_id: str | None
    size: int | None
    sha256: str | None
    text: str
    process_query_key: str
    recalled: bool = False


@dataclass(frozen=True, slots=True)
class Upload:
    """One accepted `media/upload`.

    Attributes:
        media_id: the id in the answer, with its leading `@`.
        name: the file name in the multipart part, verbatim.
        size: bytes.
        sha256: hexadecimal digest of the bytes as uploaded.
        at: wall-clock seconds when it was accepted.
    """

    media_id: str
    name: str
    size: int
    sha256: str
    at: float
