"""The robot in groups: send, query, recall, who is there (KB:0716, KB:0722, KB:0725, KB:0726)."""

from dingwatch.sandbox.answers import Family, Json, Refusal
from dingwatch.sandbox.gateway import Api, Call
from dingwatch.sandbox.model import Conversation
from dingwatch.sandbox.robot_messages import (
    NO_ROBOT,
    SCOPE,
    check_robot,
    composed,
    new_query_key,
    recall_all,
    recall_keys,
    require_fields,
    required_text,
    sent_under,
)

_RESULTS_LIMIT = 200
_ENTERPRISE_ROBOT = 2  # openRobotType; 1 is a public template robot, as a custom one is (KB:0726)


async def send(call: Call) -> Json:
    """POST /v1.0/robot/groupMessages/send (KB:0716). There is no way to make it idempotent.

    The order of the checks is assumed [?]: required fields, robotCode, conversation, msgKey, msgParam.
    """
    conversation_id = _conversation_id(call)
    require_fields(call, "robotCode", "msgKey", "msgParam")
    check_robot(call)
    conversation = _group(call, conversation_id)
    _check_robot_inside(call, conversation)
    write = composed(call)
    too_fast = call.world.flow.admit_group(conversation_id, call.now)
    if too_fast is not None:
        raise Refusal(too_fast, "错误描述:发送速度太快;解决方案:请降低发送频率;")
    key = new_query_key()
    if conversation.robot_inside:
        call.world.chat.post(write(conversation_id, key))
    return {"processQueryKey": key}


async def query(call: Call) -> Json:
    """POST /v1.0/robot/groupMessages/query (KB:0722): who has read it, at most 200 a page.

    openConversationId and robotCode are optional there. Its list of codes contradicts that: it has
    openConversationId.notExisted for a query with neither a conversation nor a custom robot's token [?].
    """
    asked = call.json
    conversation_id = _conversation_id(call) if asked.get("openConversationId") else None
    if asked.get("robotCode") is not None:
        check_robot(call)
    key = required_text(call, "processQueryKey")
    limit = asked.get("maxResults", _RESULTS_LIMIT)
    if isinstance(limit, bool) or not isinstance(limit, int) or not 0 < limit <= _RESULTS_LIMIT:
        raise Refusal("invalidParameter.pageSize.invalid", "无效的maxResults")
    sent = sent_under(call, key, lambda each: conversation_id in (None, each.conversation_id))
    status = "RECALLED" if sent[0].recalled else "SUCCESS"
    start = _page(asked.get("nextToken"))
    readers = list(call.world.chat.readers(sent[0].id))
    answer: dict[str, object] = {"sendStatus": status, "readUserIds": readers[start : start + limit]}
    if start + limit >= len(readers):
        return {**answer, "hasMore": False}
    return {**answer, "hasMore": True, "nextToken": str(start + limit)}


def _page(token: object) -> int:
    """Where a page begins; the real tokens may be anything [?]."""
    if token in (None, ""):
        return 0
    if not isinstance(token, str) or not token.isdecimal():
        raise Refusal("invalidParameter.cursor.invalid", "无效的nextToken")
    return int(token)


async def recall(call: Call) -> Json:
    """POST /v1.0/robot/groupMessages/recall (KB:0725). A key that cannot be recalled is no error."""
    conversation_id = _conversation_id(call)
    check_robot(call)
    chat = call.world.chat

    def is_here(key: str) -> bool:
        return any(each.conversation_id == conversation_id for each in chat.by_key(key))

    return recall_all(call, recall_keys(call), is_here)


async def robots(call: Call) -> Json:
    """POST /v1.0/robot/groups/robots/query {openConversationId} (KB:0726)."""
    conversation = call.world.chat.group(_conversation_id(call))
    if conversation is None:
        raise Refusal("illegal.openconevrsation.id", "无效的会话id")  # DingTalk's own spelling
    ours = {
        "robotCode": call.world.robot_code,
        "name": "dingwatch",
        "openRobotType": _ENTERPRISE_ROBOT,
        "downloadIconURL": "",
        "creatorUserId": "manager1234",
    }
    return {"chatbotInstanceVOList": [ours] if conversation.robot_inside else []}


def _conversation_id(call: Call) -> str:
    value = call.json.get("openConversationId")
    if not value:
        raise Refusal("miss.openConversationId", "错误描述:缺少参数openConversationId;")
    if not isinstance(value, str):
        raise Refusal("invalid.openConversationId", "错误描述:无效的openConversationId;")
    return value


def _group(call: Call, conversation_id: str) -> Conversation:
    found = call.world.chat.group(conversation_id)
    if found is None:
        raise Refusal("invalid.openConversationId", "错误描述:无效的openConversationId;")
    return found


def _check_robot_inside(call: Call, conversation: Conversation) -> None:
    code = call.world.settings.guesses.outsider_code
    if not conversation.robot_inside and code is not None:
        raise Refusal(code, NO_ROBOT)


APIS = (
    Api("robot/groupMessages/send", Family.NEW, "POST", "/v1.0/robot/groupMessages/send", send, scope=SCOPE),
    Api(
        "robot/groupMessages/query", Family.NEW, "POST", "/v1.0/robot/groupMessages/query", query, scope=SCOPE
    ),
    Api(
        "robot/groupMessages/recall",
        Family.NEW,
        "POST",
        "/v1.0/robot/groupMessages/recall",
        recall,
        scope=SCOPE,
    ),
    Api(
        "robot/groups/robots/query",
        Family.NEW,
        "POST",
        "/v1.0/robot/groups/robots/query",
        robots,
        scope="qyapi_chat_manage",
    ),
)
