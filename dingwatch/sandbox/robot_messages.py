"""What the two robot sends have in common: the robot, the message key and its parameters (KB:0699)."""

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dingwatch.sandbox import refusals
from dingwatch.sandbox.answers import Json, Refusal
from dingwatch.sandbox.gateway import Call
from dingwatch.sandbox.model import Message

MSG_PARAM_LIMIT = 15000  # bytes (KB:0716)

SCOPE = "qyapi_robot_sendmsg"

_RECALL_LIMIT = 20


@dataclass(frozen=True, slots=True)
class _Template:
    """What a msgKey requires and what of it is shown.

    Attributes:
        required: the parameter without which it is refused, and the code that says so.
        media: the parameter that holds a media id.
        texts: the parameters that are shown as text.
    """

    required: tuple[str, str] | None = None
    media: str | None = None
    texts: tuple[str, ...] = ()


_CARD = _Template(texts=("title", "text"))
# sampleActionCard1 does not exist. Text-like keys without their text: which code is unverified [?].
_INVALID = "invalidParameter.msgParam.invalid"
TEMPLATES: Mapping[str, _Template] = {
    "sampleFile": _Template(("mediaId", "miss.param.file"), "mediaId"),
    "sampleImageMsg": _Template(("photoURL", "miss.param.photo"), "photoURL"),
    "sampleAudio": _Template(("mediaId", "miss.param.audio"), "mediaId"),
    "sampleVideo": _Template(("videoMediaId", "miss.param.video"), "videoMediaId"),
    "sampleText": _Template(("content", _INVALID), texts=("content",)),
    "sampleMarkdown": _Template(("text", _INVALID), texts=("title", "text")),
    "sampleLink": _Template(("messageUrl", _INVALID), texts=("title", "text", "messageUrl")),
    "sampleActionCard": _CARD,
    **{f"sampleActionCard{number}": _CARD for number in range(2, 7)},
}

_EXPLANATIONS: Mapping[str, str] = {
    "robotCode": "机器人编码",
    "msgKey": "消息模板key",
    "msgParam": "消息模板参数",
}


def require_fields(call: Call, *names: str) -> None:
    """All of these are in the body.

    Raises:
        Refusal: Missing<name> for the first that is not.
    """
    for name in names:
        if call.json.get(name) is None:
            raise refusals.missing_field(name)


def check_robot(call: Call) -> None:
    """The robotCode of the body is there and ours.

    Raises:
        Refusal: MissingrobotCode, invalidParameter.robotCode.*.
    """
    check_robot_code(call, required_text(call, "robotCode"))


def check_robot_code(call: Call, code: str) -> None:
    """A robotCode is ours.

    Raises:
        Refusal: invalidParameter.robotCode.notExsit.
    """
    if code != call.world.robot_code:
        raise Refusal(
            "invalidParameter.robotCode.notExsit", "错误描述:robotCode不存在;解决方案:请检查robotCode;"
        )


def required_text(call: Call, name: str) -> str:
    """A required string.

    Raises:
        Refusal: Missing<name>, invalidParameter.<name>.empty or .param.invalid.
    """
    require_fields(call, name)
    value = call.json[name]
    if value == "":
        raise Refusal(f"invalidParameter.{name}.empty", f"错误描述:{_EXPLANATIONS.get(name, name)}为空;")
    if not isinstance(value, str):
        raise Refusal("invalidParameter.param.invalid", f"错误描述:参数{name}不合法;")
    return value


def composed(call: Call) -> Callable[[str, str], Message]:
    """Checks msgKey and msgParam, and gives back how to write the message to one conversation.

    Raises:
        Refusal: the first thing that is wrong, in the assumed order.
    """
    key = required_text(call, "msgKey")
    template = TEMPLATES.get(key)
    if template is None:
        raise Refusal(
            "invalidParameter.msgKey.invalid", "错误描述:msgKey不合法;解决方案:请使用文档中的消息模板;"
        )
    parameters = _parameters(call)
    _check_required(template, parameters)
    media_id = _media_id(call, template, parameters)
    upload = call.world.shelf.find(media_id) if media_id else None

    def write(conversation_id: str, process_query_key: str) -> Message:
        return Message(
            id="",
            conversation_id=conversation_id,
            at=call.now,
            msg_key=key,
            file_name=_shown_name(key, parameters),
            file_type=_text(parameters.get("fileType")),
            media_id=media_id,
            size=upload.size if upload else None,
            sha256=upload.sha256 if upload else None,
            text=_shown_text(template, parameters, media_id),
            process_query_key=process_query_key,
        )

    return write


def new_query_key() -> str:
    """A processQueryKey: opaque."""
    return secrets.token_urlsafe(24)


def _parameters(call: Call) -> dict[str, object]:
    text = call.json["msgParam"]
    if not isinstance(text, str) or not text:  # an object instead of its JSON text is the usual mistake
        raise Refusal(_INVALID, "错误描述:msgParam不是合法的JSON字符串;")
    if len(text.encode("utf-8", "surrogatepass")) > MSG_PARAM_LIMIT:
        raise Refusal("invalidParameter.msgParam.tooLong", "错误描述:msgParam过长;")
    try:
        parameters = json.loads(text)
    except (ValueError, RecursionError):
        parameters = None
    if not isinstance(parameters, dict):
        raise Refusal(_INVALID, "错误描述:msgParam不是合法的JSON字符串;")
    return parameters


def _check_required(template: _Template, parameters: Mapping[str, object]) -> None:
    if template.required:
        name, code = template.required
        if not _text(parameters.get(name)):
            raise Refusal(code, f"错误描述:缺少参数{name};")


def _media_id(call: Call, template: _Template, parameters: Mapping[str, object]) -> str | None:
    value = _text(parameters.get(template.media)) if template.media else None
    if not value or not value.startswith(("@", "$", "#")):
        # sampleImageMsg may show the picture of a URL instead.
        return None if template.media == "photoURL" else _unknown_media(call, value)
    return value if call.world.shelf.find(value) else _unknown_media(call, value)


def _unknown_media(call: Call, value: str | None) -> str | None:
    code = call.world.settings.guesses.unknown_media_code
    if value is not None and code is not None:
        raise Refusal(code, "错误描述:mediaId不合法;")
    return value


def _shown_name(key: str, parameters: Mapping[str, object]) -> str | None:
    """Without fileName the members see the template's placeholder, as at DingTalk."""
    if key != "sampleFile":
        return None
    return _text(parameters.get("fileName")) or "#fileName#"


def _shown_text(template: _Template, parameters: Mapping[str, object], media_id: str | None) -> str:
    """The parameters that are text, a line each; for a picture from elsewhere its address."""
    names = ("photoURL",) if template.media == "photoURL" and media_id is None else template.texts
    return "\n".join(str(parameters[name]) for name in names if parameters.get(name))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def recall_keys(call: Call) -> list[str]:
    """The processQueryKeys of a recall: 1 to 20.

    Raises:
        Refusal: invalidParameter.param.invalid.
    """
    keys = call.json.get("processQueryKeys")
    if not isinstance(keys, list) or not 0 < len(keys) <= _RECALL_LIMIT:
        raise Refusal("invalidParameter.param.invalid", "错误描述:参数processQueryKeys不合法;")
    return [str(key) for key in keys]


def recall_all(call: Call, keys: list[str], may_recall: Callable[[str], bool]) -> Json:
    """Takes messages back. A key that cannot be recalled is no error of the call (KB:0723, KB:0725)."""
    done: list[str] = []
    failed: dict[str, str] = {}
    for key in keys:
        if may_recall(key) and call.world.chat.recall(key):
            done.append(key)
        else:
            failed[key] = "消息不存在或者已经撤回"
    return {"successResult": done, "failedResult": failed}
