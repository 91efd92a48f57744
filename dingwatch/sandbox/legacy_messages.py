"""The `msg` of the legacy sends: text, image, file, link, markdown, … (KB:0775, KB:1488)."""

import json
from collections.abc import Callable, Mapping

from dingwatch.sandbox.answers import Refusal
from dingwatch.sandbox.gateway import Call
from dingwatch.sandbox.model import Message

_LIMIT = 2048  # bytes of msg (KB:1488, KB:1490)

_EMPTY = {"image": 34008, "link": 34009, "file": 34010, "voice": 34011}

_TEXTS: Mapping[str, tuple[str, ...]] = {
    "text": ("content",),
    "link": ("title", "text", "messageUrl"),
    "markdown": ("title", "text"),
    "action_card": ("title", "markdown"),
}

_TYPES = frozenset({*_EMPTY, *_TEXTS})


def legacy_json(call: Call, errcode: int = 47001, errmsg: str = "解析JSON/XML内容错误") -> dict[str, object]:
    """The body as a JSON object.

    Raises:
        Refusal: 43004 for another Content-Type, `errcode` for anything else.
    """
    if call.request.content_type != "application/json":
        raise Refusal(43004, "无效的HTTP HEADER Content-Type")
    try:
        document = json.loads(call.body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise Refusal(errcode, errmsg)
    return document


def legacy_message(call: Call, value: object) -> Callable[[str, str], Message]:
    """Checks a `msg`, and gives back how to write it to one conversation, from one sender.

    Raises:
        Refusal: 34004, 34008 to 34011, 34014, 34016, 40007.
    """
    kind, content = _parsed(value)
    if kind == "voice" and not content.get("duration"):
        raise Refusal(34005, "无效的会话音频消息的播放时间")
    media_id = content.get("media_id")
    wanted = content.get("messageUrl") if kind == "link" else media_id
    if kind in _EMPTY and not wanted:
        raise Refusal(_EMPTY[kind], "会话消息的内容不能为空")
    upload = call.world.shelf.find(media_id) if isinstance(media_id, str) else None
    if media_id is not None and upload is None:
        raise Refusal(40007, "不合法的媒体文件id")
    # The shown name is that of the upload: there is no field for another (KB:0775).
    name = upload.name if upload and kind == "file" else None

    def write(conversation_id: str, sender: str) -> Message:
        return Message(
            id="",
            conversation_id=conversation_id,
            at=call.now,
            msg_key=kind,
            file_name=name,
            file_type=name.rpartition(".")[2].lower() if name else None,
            media_id=upload.media_id if upload else None,
            size=upload.size if upload else None,
            sha256=upload.sha256 if upload else None,
            text="\n".join(str(content[each]) for each in _TEXTS.get(kind, ()) if content.get(each)),
            sender=sender,
        )

    return write


def _parsed(value: object) -> tuple[str, dict[str, object]]:
    if not isinstance(value, dict):
        raise Refusal(34014, "会话消息的json结构无效或不完整")
    if len(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")) > _LIMIT:
        raise Refusal(34016, "消息内容长度超过限制")
    kind = value.get("msgtype")
    if not isinstance(kind, str) or kind not in _TYPES:
        raise Refusal(34004, "无效的会话消息的类型")
    content = value.get(kind)
    if not isinstance(content, dict):
        raise Refusal(34014, "会话消息的json结构无效或不完整")
    return kind, content
