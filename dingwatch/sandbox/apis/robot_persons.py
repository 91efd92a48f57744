"""The robot to persons: send, who has read it, recall (KB:0714, KB:0720, KB:0723)."""

from dingwatch.sandbox import refusals
from dingwatch.sandbox.answers import Family, Json, Refusal
from dingwatch.sandbox.chat import person_chat
from dingwatch.sandbox.gateway import Api, Call
from dingwatch.sandbox.model import Message
from dingwatch.sandbox.robot_messages import (
    SCOPE,
    check_robot,
    check_robot_code,
    composed,
    new_query_key,
    recall_all,
    recall_keys,
    require_fields,
    sent_under,
)

_LIFE = 24 * 3600  # seconds
_USERS_LIMIT = 20  # KB:0714; the text of the error says 100


async def batch_send(call: Call) -> Json:
    """POST /v1.0/robot/oToMessages/batchSend: 200 even when nobody could be reached."""
    require_fields(call, "robotCode", "userIds", "msgKey", "msgParam")
    check_robot(call)
    user_ids = _user_ids(call)
    write = composed(call)
    key = new_query_key()
    known = call.world.settings.users
    valid = [each for each in user_ids if each in known]
    free = [each for each in valid if call.world.flow.admits_person(each, call.now)]
    for user_id in free:
        call.world.chat.post(write(person_chat(user_id), key))
    return {
        "processQueryKey": key,
        "invalidStaffIdList": [each for each in user_ids if each not in known],
        "flowControlledStaffIdList": [each for each in valid if each not in free],
        "filteredStaffIdList": [],
    }


async def read_status(call: Call) -> Json:
    """GET /v1.0/robot/oToMessages/readStatus?robotCode=&processQueryKey= (KB:0720): who has read it."""
    for name in ("robotCode", "processQueryKey"):
        if not call.query(name):
            raise refusals.missing_field(name)
    check_robot_code(call, call.query("robotCode"))
    # With which code an old key is refused is unverified [?].
    sent = sent_under(call, call.query("processQueryKey"), lambda each: _is_recent(call, each))
    return {
        "sendStatus": "RECALLED" if sent[0].recalled else "SUCCESS",
        "messageReadInfoList": [_read_info(call, each) for each in sent],
    }


def _read_info(call: Call, message: Message) -> dict[str, object]:
    user_id = message.conversation_id.removeprefix(person_chat(""))
    name = call.world.settings.names.get(user_id, user_id)
    at = call.world.chat.readers(message.id).get(user_id)
    if at is None:
        return {"name": name, "userId": user_id, "readStatus": "UNREAD"}
    return {"name": name, "userId": user_id, "readStatus": "READ", "readTimestamp": int(at * 1000)}


async def recall(call: Call) -> Json:
    """POST /v1.0/robot/otoMessages/batchRecall {robotCode, processQueryKeys}: ≤ 20, within 24 h (KB:0723)."""
    check_robot(call)

    def is_recent(key: str) -> bool:
        return any(_is_recent(call, message) for message in call.world.chat.by_key(key))

    return recall_all(call, recall_keys(call), is_recent)


def _is_recent(call: Call, message: Message) -> bool:
    """Whether a message went to a person within the last 24 hours."""
    return message.conversation_id.startswith(person_chat("")) and call.now - message.at <= _LIFE


def _user_ids(call: Call) -> list[str]:
    value = call.json["userIds"]
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise Refusal("invalidParameter.param.invalid", "错误描述:参数userIds不合法;")
    if not value:
        raise Refusal("invalidParameter.userIds.empty", "错误描述:userIds为空;")
    if len(value) > _USERS_LIMIT:
        raise Refusal("invalidParameter.userIds.overMax", "错误描述:userIds数量超过上限;")
    return list(dict.fromkeys(value))


APIS = (
    Api(
        "robot/oToMessages/batchSend",
        Family.NEW,
        "POST",
        "/v1.0/robot/oToMessages/batchSend",
        batch_send,
        scope=SCOPE,
    ),
    Api(
        "robot/oToMessages/readStatus",
        Family.NEW,
        "GET",
        "/v1.0/robot/oToMessages/readStatus",
        read_status,
        scope=SCOPE,
    ),
    Api(
        "robot/otoMessages/batchRecall",
        Family.NEW,
        "POST",
        "/v1.0/robot/otoMessages/batchRecall",
        recall,
        scope=SCOPE,
    ),
)
