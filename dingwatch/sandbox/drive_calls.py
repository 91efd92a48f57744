"""What the drive's APIs have in common: the operator, rights, names, and how an entry is written as JSON."""

from datetime import UTC, datetime

from dingwatch.sandbox import refusals
from dingwatch.sandbox.answers import Json, Refusal
from dingwatch.sandbox.gateway import Call
from dingwatch.sandbox.model import Conversation, Entry, Space

_FORBIDDEN = frozenset('\t*"<>|/')


def operator(call: Call, parameter: str = "unionId") -> str:
    """The unionId of the person whose rights count, from the URL.

    Raises:
        Refusal: 400 MissingunionId; paramError.unionId for a stranger, which is unverified [?].
    """
    union_id = call.query(parameter)
    if not union_id:
        raise refusals.missing_field(parameter)
    if union_id not in call.world.settings.users.values():
        raise param_error(parameter)
    return union_id


def param_error(name: str) -> Refusal:
    """400 paramError.<name>."""
    return Refusal(f"paramError.{name}", f"参数错误:{name}")


def space_for(call: Call, union_id: str, space_id: str | None = None) -> Space:
    """The space of the path, where this person may do everything.

    Raises:
        Refusal: 404 spaceNotExist, 403 permissionDenied.
    """
    space = call.world.drive.space(call.request.match_info["space_id"] if space_id is None else space_id)
    check_rights(call, space, union_id)
    return space


def check_rights(call: Call, space: Space, union_id: str) -> None:
    """A USER space belongs to who made it, a group's space to its members.

    An APP space needs a grant for each person (KB:0681), and the API that gives one is not here.

    Raises:
        Refusal: 403 permissionDenied.
    """
    if space.conversation_id is not None:
        group = call.world.chat.group(space.conversation_id)
        allowed = group is not None and is_member(call, group, union_id)
    else:
        allowed = space.owner_type == "USER" and space.owner == union_id
    if not allowed:
        raise permission_denied()


def permission_denied() -> Refusal:
    """403: the operator lacks a right."""
    return Refusal("permissionDenied", "操作者没有权限", status=403)


def is_member(call: Call, group: Conversation, union_id: str) -> bool:
    """Whether a person is in a group."""
    users = call.world.settings.users
    members = users if group.members is None else group.members
    return any(users.get(user_id) == union_id for user_id in members)


def option_of(call: Call) -> dict[str, object]:
    """The `option` of a body; an empty one when there is none.

    Raises:
        Refusal: 400 paramError.option, Invalidbody.
    """
    option = (call.json if call.body else {}).get("option")
    if option is None:
        return {}
    if not isinstance(option, dict):
        raise param_error("option")
    return option


def number_of(option: dict[str, object], name: str) -> int | None:
    """A number of bytes or a version, or None.

    Raises:
        Refusal: 400 paramError.<name>.
    """
    value = option.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise param_error(name)
    return value


def name_of(call: Call, value: object, *, of_folder: bool = False) -> str:
    """A legal name, blanks at its ends taken off silently (KB:0674, KB:0675).

    Raises:
        Refusal: 400 paramError.name, dentryNameIllegal.
    """
    if not isinstance(value, str) or not value:
        raise param_error("name")
    name = value.strip()
    needs_extension = call.world.settings.guesses.entries_need_extension and not of_folder
    if not name or name.endswith(".") or _FORBIDDEN & set(name) or (needs_extension and "." not in name):
        raise Refusal("dentryNameIllegal", "文件名非法")
    return name


def entry_json(call: Call, entry: Entry) -> Json:
    """A dentry as storage answers it."""
    return {
        **_common(call, entry),
        "partitionType": "PUBLIC_OSS_PARTITION",
        "storageDriver": "DINGTALK",
        "properties": {"readOnly": False},
    }


def file_json(call: Call, entry: Entry, conversation_id: str) -> Json:
    """A file of a conversation as convFile answers it (KB:0642)."""
    return {**_common(call, entry), "conversationId": conversation_id}


def space_json(call: Call, space: Space) -> Json:
    """A space as storage answers it (KB:0652)."""
    return {
        "id": space.id,
        "corpId": call.world.settings.corp_id,
        "name": space.name,
        "scene": space.scene,
        "sceneId": space.scene_id,
        "ownerType": space.owner_type,
        "ownerId": space.owner,
        "creatorId": space.owner,
        "modifierId": space.owner,
        "quota": space.quota or 0,
        "usedQuota": call.world.drive.used(space.id),
        "status": "NORMAL",
        "createTime": time_text(space.created_at),
        "modifiedTime": time_text(space.created_at),
    }


def time_text(seconds: float) -> str:
    """`2022-01-01T10:00:00Z`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _common(call: Call, entry: Entry) -> dict[str, object]:
    return {
        "id": entry.id,
        "spaceId": entry.space_id,
        "parentId": entry.parent_id,
        "type": "FOLDER" if entry.is_folder else "FILE",
        "name": entry.name,
        "size": entry.size,
        "path": _path(call, entry),
        "version": entry.version,
        "status": "NORMAL",
        "extension": entry.name.rpartition(".")[2] if "." in entry.name else "",
        "creatorId": entry.creator,
        "modifierId": entry.creator,
        "createTime": time_text(entry.created_at),
        "modifiedTime": time_text(entry.modified_at),
        "uuid": entry.uuid,
    }


def _path(call: Call, entry: Entry) -> str:
    names = [entry.name]
    while entry.parent_id:
        entry = call.world.drive.entry(entry.space_id, entry.parent_id)
        names.insert(0, entry.name)
    return "/".join(names) or "/"
