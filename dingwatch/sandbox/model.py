"""The values that leave the sandbox: conversations, messages, uploads, spaces, entries. All frozen."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Conversation:
    """A group (`cid…`) or, on the page only, the chat of the robot with one person.

    Attributes:
        id: the openConversationId. Treat it as opaque: it may hold `+`, `/` and `=`.
        name: as shown on the page.
        robot_inside: whether the robot is a member, so that it may send here.
        chat_id: the legacy chatid of the group, `chat…`; empty: it has none.
        members: userids of the people in it; None: everyone of the organisation.
    """

    id: str
    name: str
    robot_inside: bool = True
    chat_id: str = ""
    members: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One message in one conversation, as its members would see it.

    Attributes:
        id: the sandbox's own number for it, safe in a URL.
        conversation_id: where it was sent.
        at: wall-clock seconds when it was accepted.
        msg_key: `sampleFile`, `sampleText`, …; `convFile` and `convFileLink` for a file of the drive.
        file_name: the name shown (msgParam.fileName), or None when it carries no file.
        file_type: msgParam.fileType verbatim, or None.
        media_id: what it shows, or None.
        size: bytes of the file, or None when unknown.
        sha256: hexadecimal digest of the file, or None when unknown.
        text: what a text-like message says, else empty.
        process_query_key: the key that the answer to the send carried; empty when it carried none.
        recalled: whether the robot took it back.
        sender: userid of the person shown as its sender; empty: the robot; `robot:` and a name: a custom one.
        space_id: the drive space that holds the file, or None.
        entry_id: the file there, or None.
    """

    id: str
    conversation_id: str
    at: float
    msg_key: str
    file_name: str | None = None
    file_type: str | None = None
    media_id: str | None = None
    size: int | None = None
    sha256: str | None = None
    text: str = ""
    process_query_key: str = ""
    recalled: bool = False
    sender: str = ""
    space_id: str | None = None
    entry_id: str | None = None


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


@dataclass(frozen=True, slots=True)
class Space:
    """One space of the organisation's drive.

    Attributes:
        id: the spaceId.
        name: as given when it was made; may be empty.
        scene: with `scene_id`, what makes the space the same one when it is asked for again (KB:0652).
        scene_id: see `scene`.
        owner_type: USER or APP.
        owner: unionId of the person who made it.
        quota: bytes it may hold, or None.
        created_at: wall-clock seconds.
        conversation_id: the group whose files it holds, or None.
    """

    id: str
    name: str
    scene: str
    scene_id: str
    owner_type: str
    owner: str
    quota: int | None
    created_at: float
    conversation_id: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One file or folder of a space: a dentry.

    Attributes:
        id: the dentryId; unique within the drive. `0` is the root of a space.
        space_id: where it is.
        parent_id: the folder it is in.
        uuid: the dentryUuid, by which storage v2 knows it.
        is_folder: whether it holds entries instead of bytes.
        name: as it ended up, perhaps renamed by the conflict strategy.
        size: bytes of the newest version; 0 for a folder.
        sha256: hexadecimal digest of the newest version; empty for a folder.
        version: 1 for the first content, one more for each that overwrote it.
        creator: unionId.
        created_at: wall-clock seconds.
        modified_at: wall-clock seconds of the newest version.
    """

    id: str
    space_id: str
    parent_id: str
    uuid: str
    is_folder: bool
    name: str
    size: int
    sha256: str
    version: int
    creator: str
    created_at: float
    modified_at: float
