"""Groups by their legacy ids: chat/send, message/send_to_conversation, and the way to the new ids.

Both sends are historical since 2022-09-23 (KB:1488, KB:1490); whether they still answer new apps is open [?].
"""

from collections.abc import Mapping

from dingwatch.sandbox.answers import Family, Json, Refusal
from dingwatch.sandbox.gateway import Api, Call
from dingwatch.sandbox.legacy_messages import legacy_json, legacy_message
from dingwatch.sandbox.model import Conversation

_ADDRESS = frozenset({"chatid", "sender", "cid"})


async def chat_send(call: Call) -> Json:
    """POST /chat/send?access_token= {chatid, msg} (KB:1488)."""
    body = legacy_json(call)
    chat_id = body.get("chatid")
    if not chat_id:
        raise Refusal(49000, "缺失chatid")
    if not isinstance(chat_id, str) or not chat_id.startswith("chat"):
        raise Refusal(34001, "无效的会话id")
    group = call.world.chat.by_chat_id(chat_id)
    if group is None:
        raise Refusal(34013, "找不到群会话对象")
    sent = call.world.chat.post(legacy_message(call, _message(body))(group.id, ""))
    return {"messageId": f"msg{sent.id}"}


async def send_to_conversation(call: Call) -> Json:
    """POST /message/send_to_conversation?access_token= {sender, cid, msg} (KB:1490).

    A cid comes from a person's pick in the client, is good for one message and a day. Which of the codes
    40012 and 40015 to 40017 belongs to what is a guess [?]. errcode is documented as the text "0".
    """
    body = legacy_json(call)
    sender = body.get("sender")
    if not isinstance(sender, str) or sender not in call.world.settings.users:
        raise Refusal(40012, "不合法的发送者")
    write = legacy_message(call, _message(body))
    picked = call.world.picks.take(body.get("cid"), sender, call.now)
    group = call.world.chat.group(picked)
    call.world.chat.post(write(picked, sender))
    receivers = [each for each in _members(call, group) if each != sender]
    return {"errcode": "0", "receiver": "|".join(receivers)}


async def convert(call: Call) -> Json:
    """POST /v1.0/im/chat/{chatId}/convertToOpenConversationId (KB:0745). The code is DingTalk's spelling."""
    group = call.world.chat.by_chat_id(call.request.match_info["chat_id"])
    if group is None:
        raise Refusal("invalideChatId", "无效的chatId")
    return {"openConversationId": group.id}


def _message(body: Mapping[str, object]) -> object:
    """The msg of a body. dingtalk-sdk writes its members beside the address; which is unverified [?]."""
    if "msg" in body or "msgtype" not in body:
        return body.get("msg")
    return {name: value for name, value in body.items() if name not in _ADDRESS}


def _members(call: Call, group: Conversation | None) -> list[str]:
    users = call.world.settings.users
    members = users if group is None or group.members is None else group.members
    return [each for each in members if each in users]


APIS = (
    Api("chat/send", Family.LEGACY, "POST", "/chat/send", chat_send, scope="qyapi_chat_manage"),
    Api(
        "message/send_to_conversation",
        Family.LEGACY,
        "POST",
        "/message/send_to_conversation",
        send_to_conversation,
    ),
    Api(
        "im/chat/convertToOpenConversationId",
        Family.NEW,
        "POST",
        "/v1.0/im/chat/{chat_id}/convertToOpenConversationId",
        convert,
        scope="qyapi_chat_read",
    ),
)
