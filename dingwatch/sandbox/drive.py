"""The organisation's drive: spaces, and the files and folders in them (KB:0652, KB:0674 to 0681).

What breaks a rule is refused with DingTalk's own code. Ids are long numbers, as the real ones are.
"""

import secrets
import threading
from dataclasses import dataclass, replace

from dingwatch.sandbox.answers import Refusal
from dingwatch.sandbox.model import Entry, Space
from dingwatch.sandbox.objects import Content

ROOT = "0"

STRATEGIES = frozenset({"AUTO_RENAME", "OVERWRITE", "RETURN_DENTRY_IF_EXISTS", "RETURN_ERROR_IF_EXISTS"})


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload that was asked for: what its uploadKey stands for.

    Attributes:
        space_id: where it may be committed.
        object_key: the object to PUT.
        multipart: the uploadId of its parts; empty when it is PUT whole.
        md5: what preCheckParam promised, or None.
    """

    space_id: str
    object_key: str
    multipart: str
    md5: str | None


@dataclass(frozen=True, slots=True)
class Draft:
    """A file about to be committed."""

    space_id: str
    parent_id: str
    name: str
    content: Content
    creator: str
    at: float


@dataclass(frozen=True, slots=True)
class _Node:
    entry: Entry
    versions: tuple[Content, ...] = ()  # versions[n - 1] is version n


class Drive:
    """All spaces and entries. Safe for use from several threads."""

    def __init__(self, org_quota: int | None) -> None:
        self._org_quota = org_quota
        self._lock = threading.RLock()
        self.reset()

    def reset(self) -> None:
        """Forgets everything."""
        with self._lock:
            self._spaces: dict[str, Space] = {}
            self._nodes: dict[tuple[str, str], _Node] = {}  # by space id and entry id
            self._uploads: dict[str, Upload] = {}

    def add_space(self, wanted: Space) -> Space:
        """The space of this scene and scene id: the one there is, or a new one under an id of its own."""
        with self._lock:
            for space in self._spaces.values():
                if space.conversation_id == wanted.conversation_id and _scene(space) == _scene(wanted):
                    return space
            space = replace(wanted, id=_number())
            self._spaces[space.id] = space
            root = _folder(space, ROOT, "", "", space.owner, space.created_at)
            self._nodes[space.id, ROOT] = _Node(root)
            return space

    def space(self, space_id: str) -> Space:
        """One space.

        Raises:
            Refusal: 404 spaceNotExist.
        """
        found = self._spaces.get(space_id)
        if found is None:
            raise Refusal("spaceNotExist", "空间不存在", status=404)
        return found

    def spaces(self) -> tuple[Space, ...]:
        """All of them, in the order they were made."""
        with self._lock:
            return tuple(self._spaces.values())

    def used(self, space_id: str) -> int:
        """Bytes of the newest versions in one space."""
        return sum(entry.size for entry in self.entries(space_id))

    def entry(self, space_id: str, entry_id: str) -> Entry:
        """One file or folder.

        Raises:
            Refusal: 404 spaceNotExist, dentryNotExist.
        """
        return self._node(space_id, entry_id).entry

    def by_uuid(self, uuid: str) -> Entry:
        """The file or folder with this dentryUuid.

        Raises:
            Refusal: 400 paramError.parentDentryUuid.
        """
        with self._lock:
            for node in self._nodes.values():
                if node.entry.uuid == uuid:
                    return node.entry
        raise Refusal("paramError.parentDentryUuid", "参数错误:parentDentryUuid")

    def entries(self, space_id: str, parent_id: str | None = None) -> tuple[Entry, ...]:
        """What is in a space, or in one folder of it, in the order it came. The root is not listed."""
        with self._lock:
            found = [node.entry for node in self._nodes.values() if node.entry.space_id == space_id]
        return tuple(each for each in found if each.id != ROOT and parent_id in (None, each.parent_id))

    def content(self, space_id: str, entry_id: str, version: int | None = None) -> Content:
        """The bytes of one version of a file; None: of the newest.

        Raises:
            Refusal: 404 spaceNotExist, dentryNotExist; 400 folderNotSupport, paramError.version.
        """
        node = self._node(space_id, entry_id)
        if node.entry.is_folder:
            raise Refusal("folderNotSupport", "不支持文件夹")
        number = node.entry.version if version is None else version
        if not 0 < number <= len(node.versions):
            raise Refusal("paramError.version", "参数错误:version")
        return node.versions[number - 1]

    def begin(self, upload_key: str, upload: Upload) -> None:
        """Remembers what an uploadKey stands for."""
        with self._lock:
            self._uploads[upload_key] = upload

    def upload(self, upload_key: object) -> Upload:
        """What an uploadKey stands for. It stays good after a commit, so that a commit can be repeated [?].

        Raises:
            Refusal: 400 paramError.uploadKey.
        """
        found = self._uploads.get(upload_key) if isinstance(upload_key, str) else None
        if found is None:
            raise Refusal("paramError.uploadKey", "参数错误:uploadKey")
        return found

    def add_folder(self, parent: Entry, name: str, creator: str, now: float) -> Entry:
        """Makes a folder.

        Raises:
            Refusal: 400 dentryNameConflict.
        """
        with self._lock:
            if self._named(parent.space_id, parent.id, name):
                raise Refusal("dentryNameConflict", "文件名冲突")
            made = _folder(self.space(parent.space_id), _number(), parent.id, name, creator, now)
            self._nodes[made.space_id, made.id] = _Node(made)
            return made

    def check_room(self, space_id: str, size: int) -> None:
        """Whether so many bytes more have room.

        Raises:
            Refusal: 400 spaceQuotaInsufficient, orgQuotaInsufficient.
        """
        space = self.space(space_id)
        if space.quota is not None and self.used(space_id) + size > space.quota:
            raise Refusal("spaceQuotaInsufficient", "空间容量不足")
        if self._org_quota is not None and sum(map(self.used, self._spaces)) + size > self._org_quota:
            raise Refusal("orgQuotaInsufficient", "企业容量不足")

    def commit(self, draft: Draft, strategy: str) -> Entry:
        """Makes a file of bytes that were PUT, under a name that may be taken (KB:0675).

        Raises:
            Refusal: 404 dentryNotExist for the folder; 400 dentryNameConflict, *QuotaInsufficient.
        """
        with self._lock:
            self._node(draft.space_id, draft.parent_id)
            there = self._named(draft.space_id, draft.parent_id, draft.name)
            if there and strategy == "RETURN_DENTRY_IF_EXISTS":
                return there.entry  # whatever bytes it holds: this is the trap of this strategy
            if there and (strategy == "RETURN_ERROR_IF_EXISTS" or there.entry.is_folder):
                raise Refusal("dentryNameConflict", "文件名冲突")
            self.check_room(draft.space_id, draft.content.size)
            if there and strategy == "OVERWRITE":
                return self._overwrite(there, draft)
            return self._add(replace(draft, name=self._free_name(draft)) if there else draft)

    def copy(self, space: Space, draft: Draft) -> Entry:
        """Puts a file into a conversation's space. The same name twice is no conflict there [?]."""
        with self._lock:
            return self._add(replace(draft, space_id=space.id, parent_id=ROOT))

    def remove(self, entry: Entry) -> None:
        """Deletes a file, or a folder with all that is in it."""
        with self._lock:
            for inside in self.entries(entry.space_id, entry.id):
                self.remove(inside)
            self._nodes.pop((entry.space_id, entry.id), None)

    def _node(self, space_id: str, entry_id: str) -> _Node:
        self.space(space_id)
        found = self._nodes.get((space_id, entry_id))
        if found is None:
            raise Refusal("dentryNotExist", "文件不存在", status=404)
        return found

    def _named(self, space_id: str, parent_id: str, name: str) -> _Node | None:
        for entry in self.entries(space_id, parent_id):
            if entry.name == name:
                return self._nodes[space_id, entry.id]
        return None

    def _free_name(self, draft: Draft) -> str:
        """`a(1).pdf`. How the real one numbers is unverified [?]."""
        stem, dot, extension = draft.name.rpartition(".")
        if not dot:
            stem, extension = draft.name, ""
        number = 1
        while self._named(draft.space_id, draft.parent_id, f"{stem}({number}){dot}{extension}"):
            number += 1
        return f"{stem}({number}){dot}{extension}"

    def _overwrite(self, node: _Node, draft: Draft) -> Entry:
        entry = replace(
            node.entry,
            size=draft.content.size,
            sha256=draft.content.sha256,
            version=node.entry.version + 1,
            modified_at=draft.at,
        )
        self._nodes[entry.space_id, entry.id] = _Node(entry, (*node.versions, draft.content))
        return entry

    def _add(self, draft: Draft) -> Entry:
        entry = Entry(
            id=_number(),
            space_id=draft.space_id,
            parent_id=draft.parent_id,
            uuid=secrets.token_urlsafe(18),
            is_folder=False,
            name=draft.name,
            size=draft.content.size,
            sha256=draft.content.sha256,
            version=1,
            creator=draft.creator,
            created_at=draft.at,
            modified_at=draft.at,
        )
        self._nodes[entry.space_id, entry.id] = _Node(entry, (draft.content,))
        return entry


def _folder(space: Space, entry_id: str, parent_id: str, name: str, creator: str, now: float) -> Entry:
    uuid = secrets.token_urlsafe(18)
    return Entry(entry_id, space.id, parent_id, uuid, True, name, 0, "", 1, creator, now, now)  # noqa: FBT003


def _scene(space: Space) -> tuple[str, str]:
    return space.scene, space.scene_id


def _number() -> str:
    return str(10**10 + secrets.randbelow(9 * 10**10))
