"""Files of the drive in conversations: the way of everything over the media limit (KB:0640 to 0643).

The operator is shown as the sender [?]. The file is copied into the conversation's space, so that a later
version of the source changes nothing that was sent.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from dingwatch.sandbox.answers import Family, Json, Refusal
from dingwatch.sandbox.chat import person_chat
from dingwatch.sandbox.drive import Draft
from dingwatch.sandbox.drive_calls import (
    check_rights,
    file_json,
    is_member,
    operator,
    param_error,
    permission_denied,
    space_for,
    time_text,
)
from dingwatch.sandbox.gateway import Api, Call
from dingwatch.sandbox.model import Conversation, Entry, Message, Space


async def space(call: Call) -> Json:
    """POST /v1.0/convFile/conversations/spaces/query?unionId= {openConversationId} (KB:0640)."""
    found = _group_space(call, _group(call, operator(call)))
    created = time_text(found.created_at)
    where = {"spaceId": found.id, "corpId": call.world.settings.corp_id}
    return {"space": {**where, "createTime": created, "modifiedTime": created}}


async def send(call: Call) -> Json:
    """POST /v1.0/convFile/conversations/files/send?unionId= (KB:0642).

    Body: {spaceId, dentryId, openConversationId}.
    """
    union_id = operator(call)
    with _as_parameters(_MISSING):
        source = _source(call, union_id)
    group = _group(call, union_id)
    entry = _copied(call, source, _group_space(call, group), union_id)
    _post(call, entry, group.id, "convFile", union_id)
    return {"file": file_json(call, entry, group.id)}


async def send_link(call: Call) -> Json:
    """POST /v1.0/convFile/conversations/files/links/send?unionId=: a link, no copy (KB:0643)."""
    union_id = operator(call)
    with _as_parameters(_MISSING | _FOLDER):
        source = _source(call, union_id)
    group = _group(call, union_id)
    _post(call, source, group.id, "convFileLink", union_id)
    return {"file": file_json(call, source, group.id)}


async def send_by_app(call: Call) -> Json:
    """POST /v1.0/convFile/apps/conversations/files/send?unionId= {spaceId, dentryId} (KB:0641).

    The unionId is that of the one who receives. Whose rights on the source count is open [?]; here nobody's,
    except that what is in a group's space goes to nobody outside the group.
    """
    union_id = operator(call)
    with _as_parameters(_FOLDER):
        source = _readable(call, call.world.drive.entry(_text(call, "spaceId"), _text(call, "dentryId")))
    _check_receiver(call, source, union_id)
    receiver = _user_of(call, union_id)
    chat_id = person_chat(receiver)
    wanted = Space("", "", "conversation", chat_id, "APP", "", None, call.now, chat_id)
    entry = _copied(call, source, call.world.drive.add_space(wanted), source.creator)
    _post(call, entry, chat_id, "convFile", "")
    sent = file_json(call, entry, chat_id)
    return {"file": {name: value for name, value in sent.items() if name != "uuid"}}


# KB:0642 and KB:0643 list no 404 for the source, only wrong parameters; KB:0641 lists the 404s.
_MISSING = {"spaceNotExist": "spaceId", "dentryNotExist": "dentryId"}
# Only KB:0642 lists folderNotSupport. That the others take a folder for a wrong parameter is a guess [?].
_FOLDER = {"folderNotSupport": "dentryId"}


@contextmanager
def _as_parameters(names: Mapping[str, str]) -> Iterator[None]:
    """Refuse with paramError.<name> what the drive refuses with one of these codes."""
    try:
        yield
    except Refusal as refusal:
        name = names.get(str(refusal.code))
        if name is None:
            raise
        raise param_error(name) from None


def _check_receiver(call: Call, source: Entry, union_id: str) -> None:
    space = call.world.drive.space(source.space_id)
    if space.conversation_id is not None:
        try:
            check_rights(call, space, union_id)
        except Refusal as refusal:  # HTTP 400 here, and not the 403 of the other calls (KB:0641)
            raise Refusal(refusal.code, refusal.message) from None


def _source(call: Call, union_id: str) -> Entry:
    """The file to send, which the operator may copy."""
    space_id, dentry_id = _text(call, "spaceId"), _text(call, "dentryId")
    found = space_for(call, union_id, space_id)
    return _readable(call, call.world.drive.entry(found.id, dentry_id))


def _readable(call: Call, entry: Entry) -> Entry:
    call.world.drive.content(entry.space_id, entry.id)  # a folder is refused: folderNotSupport
    return entry


def _group(call: Call, union_id: str) -> Conversation:
    """The conversation, which the operator is in."""
    found = call.world.chat.group(_text(call, "openConversationId", "conversationId"))
    if found is None:
        raise Refusal("conversationNotExist", "会话不存在", status=404)
    if not is_member(call, found, union_id):
        raise permission_denied()
    return found


def _group_space(call: Call, group: Conversation) -> Space:
    wanted = Space("", group.name, "conversation", group.id, "USER", "", None, call.now, group.id)
    return call.world.drive.add_space(wanted)


def _copied(call: Call, source: Entry, target: Space, union_id: str) -> Entry:
    content = call.world.drive.content(source.space_id, source.id)
    call.world.drive.check_room(target.id, content.size)
    draft = Draft(target.id, "", source.name, content, union_id, call.now)
    return call.world.drive.copy(target, draft)


def _post(call: Call, entry: Entry, conversation_id: str, key: str, union_id: str) -> None:
    call.world.chat.post(
        Message(
            id="",
            conversation_id=conversation_id,
            at=call.now,
            msg_key=key,
            file_name=entry.name,
            file_type=entry.name.rpartition(".")[2] if "." in entry.name else None,
            size=entry.size,
            sha256=entry.sha256,
            sender=_user_of(call, union_id) if union_id else "",
            space_id=entry.space_id,
            entry_id=entry.id,
        )
    )


def _user_of(call: Call, union_id: str) -> str:
    users = call.world.settings.users
    return next(user_id for user_id, each in users.items() if each == union_id)


def _text(call: Call, field: str, name: str | None = None) -> str:
    value = call.json.get(field)
    if not isinstance(value, str) or not value:
        raise param_error(name or field)
    return value


_SEND = "ConvFile.File.Send"
APIS = (
    Api(
        "convFile/spaces",
        Family.NEW,
        "POST",
        "/v1.0/convFile/conversations/spaces/query",
        space,
        scope="ConvFile.Space.Read",
    ),
    Api("convFile/send", Family.NEW, "POST", "/v1.0/convFile/conversations/files/send", send, scope=_SEND),
    Api(
        "convFile/links/send",
        Family.NEW,
        "POST",
        "/v1.0/convFile/conversations/files/links/send",
        send_link,
        scope=_SEND,
    ),
    Api(
        "convFile/apps/send",
        Family.NEW,
        "POST",
        "/v1.0/convFile/apps/conversations/files/send",
        send_by_app,
        scope=_SEND,
    ),
)
