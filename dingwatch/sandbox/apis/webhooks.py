"""Custom robots, which a group's members add by hand and which need no app (KB:0717).

They take text, link, markdown, actionCard and feedCard, never a file.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping

from dingwatch.sandbox import refusals
from dingwatch.sandbox.answers import Family, Json, Refusal
from dingwatch.sandbox.gateway import Api, Call
from dingwatch.sandbox.legacy_messages import legacy_json
from dingwatch.sandbox.model import Message
from dingwatch.sandbox.settings import Webhook

_HOUR = 3600.0

_NO_JSON = (40035, "缺少参数 json")

# Seen in public; that "over limit" means the month's quota is a reading [?]. The same code was also seen with
# a text like that of 90020: "您的企业本月webhook调用量已超过限制,请登录开发者后台-资源管理-查看用量明细。"
_EXHAUSTED = (90030, "webhook over limit")

_BODY_LIMIT = 20_000  # bytes
_TOO_LONG = (460101, "description: body 大小不合法;solution:请保持大小在 20000bytes 以内;")

_TOO_FAST = {130101: "send too fast, exceed {limit} times per minute", 410100: "发送速度太快而限流"}

_NO_KEYWORD = (
    "错误描述:关键词不匹配;解决方案:请联系群管理员查看此机器人的关键词，并在发送的信息中包含此关键词;"
)

_TEXTS: Mapping[str, tuple[str, ...]] = {
    "text": ("content",),
    "link": ("title", "text", "messageUrl"),
    "markdown": ("title", "text"),
    "actionCard": ("title", "text"),
    "feedCard": ("title",),
}


async def send(call: Call) -> Json:
    """POST /robot/send?access_token=[&timestamp=&sign=] (KB:0717). The order of the checks is assumed [?]."""
    webhook = _webhook(call)
    body = _body(call)
    kind = body.get("msgtype")
    if not isinstance(kind, str) or kind not in _TEXTS:
        raise _unsupported(kind)
    text = _text(kind, body)
    _check_settings(call, webhook, text)
    message_uuid = body.get("msgUuid")
    if isinstance(message_uuid, str) and not call.world.chat.is_new(webhook.token, message_uuid):
        return {}  # the same message again, as after a lost answer
    too_fast = call.world.flow.admit_webhook(webhook.token, call.now)
    if too_fast is not None:
        limit = call.world.flow.limits.webhook_per_minute
        raise Refusal(too_fast, _TOO_FAST[too_fast].format(limit=limit))
    if not call.world.meter.admit_event(call.now):
        raise Refusal(*_EXHAUSTED)
    call.world.chat.post(_message(call, webhook.conversation_id, f"robot:{webhook.name}", kind, text))
    if isinstance(message_uuid, str):
        call.world.chat.remember(webhook.token, message_uuid)
    return {}


async def send_by_session(call: Call) -> Json:
    """POST /robot/sendBySession?session=: the sessionWebhook of a received message, for its answer.

    Text and markdown only here; that it may take files is a report, not documented (KB:0718) [?].
    """
    conversation_id = call.world.stream.session(call.query("session"), call.now)
    if conversation_id is None:
        raise Refusal(300001, "session is not exist")
    body = _body(call)
    kind = body.get("msgtype")
    if kind not in ("text", "markdown"):
        raise _unsupported(kind)
    if not call.world.meter.admit_event(call.now):
        raise Refusal(*_EXHAUSTED)
    call.world.chat.post(_message(call, conversation_id, "", kind, _text(kind, body)))
    return {}


def _webhook(call: Call) -> Webhook:
    token = call.query("access_token")
    if not token:
        raise Refusal(400101, "access_token不存在")
    for webhook in call.world.settings.webhooks:
        if webhook.token == token:
            return webhook
    raise Refusal(300005, "token is not exist")  # as seen in public


def _body(call: Call) -> dict[str, object]:
    if len(call.body) > _BODY_LIMIT:
        raise Refusal(*_TOO_LONG)
    return legacy_json(call, *_NO_JSON)


def _unsupported(kind: object) -> Refusal:
    name = kind if isinstance(kind, str) else ""
    return Refusal(400105, refusals.unsupported_type(f"msgType:{name}"))


def _text(kind: str, body: Mapping[str, object]) -> str:
    content = body.get(kind)
    if not isinstance(content, dict):
        raise Refusal(*_NO_JSON)
    found = content.get("links") if kind == "feedCard" else [content]
    items = [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
    return "\n".join(str(item[name]) for item in items for name in _TEXTS[kind] if item.get(name))


def _check_settings(call: Call, webhook: Webhook, text: str) -> None:
    """The security settings: signature, addresses, keywords; 310000 with another text for each."""
    if webhook.secret:
        _check_sign(call, webhook.secret)
    address = call.request.remote or ""
    if webhook.addresses and address not in webhook.addresses:
        raise Refusal(310000, f"ip {address} not in whitelist")
    if webhook.keywords and not any(word in text for word in webhook.keywords):
        raise Refusal(310000, _NO_KEYWORD)  # KB:0717 has the older "keywords not in content"


def _check_sign(call: Call, secret: str) -> None:
    """The sign is base64(HMAC-SHA256(secret, timestamp, a line break, secret)), for an hour of ms."""
    timestamp = call.query("timestamp")
    if not timestamp.isdecimal() or abs(int(timestamp) / 1000 - call.now) > _HOUR:
        raise Refusal(310000, "invalid timestamp")
    digest = hmac.new(secret.encode(), f"{timestamp}\n{secret}".encode(), hashlib.sha256).digest()
    if not hmac.compare_digest(base64.b64encode(digest), call.query("sign").encode()):
        raise Refusal(310000, "sign not match")


def _message(call: Call, conversation_id: str, sender: str, kind: str, text: str) -> Message:
    return Message("", conversation_id, call.now, kind, text=text, sender=sender)


APIS = (
    Api(
        "robot/send",
        Family.LEGACY,
        "POST",
        "/robot/send",
        send,
        needs_token=False,
        billed=False,
        limited=False,
    ),
    Api(
        "robot/sendBySession",
        Family.LEGACY,
        "POST",
        "/robot/sendBySession",
        send_by_session,
        needs_token=False,
        billed=False,
        limited=False,
    ),
)
