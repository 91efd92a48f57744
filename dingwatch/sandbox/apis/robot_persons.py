"""The robot to persons (KB:0714)."""

from dingwatch.sandbox.answers import Family, Json, Refusal
from dingwatch.sandbox.chat import person_chat
from dingwatch.sandbox.gateway import Api, Call
from dingwatch.sandbox.robot_messages import SCOPE, check_robot, composed, new_query_key, require_fields

_USERS_LIMIT = 20  # KB:0714; the text of the error says 100


async def batch_send(call: Call) -> Json:
    """POST /v1.0/robot/oToMessages/batchSend: 200 even when nobody could be reached."""
    require_fields(call, "robotCode", "userIds", "msgKey", "msgParam")
    check_robot(call)
    user_ids = _user_ids(call)
    write = composed(call)
    key = new_query_key()
    known = call.world.settings.users
    for user_id in user_ids:
        if user_id in known:
            call.world.chat.post(write(person_chat(user_id), key))
    return {
        "processQueryKey": key,
        "invalidStaffIdList": [each for each in user_ids if each not in known],
        "flowControlledStaffIdList": [],
        "filteredStaffIdList": [],
    }


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
)
