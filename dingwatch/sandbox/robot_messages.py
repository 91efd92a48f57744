"""What the two robot sends have in common: the robot, the message key and its parameters (KB:0699)."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dingwatch.sandbox import refusals
from dingwatch.sandbox.answers import Json, Refusal
from dingwatch.sandbox.gateway import Call
from dingwatch.sandbox.keys import opaque_key
from dingwatch.sandbox.model import Message

MSG_PARAM_LIMIT = 15000  # bytes (KB:0716)

SCOPE = "qyapi_robot_sendmsg"

_RECALL_LIMIT = 20


# Seen in public for a robotCode that does not exist, and just so for a robot that is not in the group, whose
# code is right: this text misleads whoever believes it.
NO_ROBOT = "错误描述: robot 不存在；解决方案:请确认 robotCode 是否正确；"

_HOW = "请参考本接口对应文档查看参数获取方式，或者在https://open.dingtalk.com/document/  搜索对应文档"


@dataclass(frozen=True, slots=True)
class _Template:
    """What a msgKey requires and what of it is shown.

    Attributes:
        required: the parameters that must not be missing or empty, each with the code of its refusal and with
            the path that the text of the refusal names.
        media: the parameter that holds a media id.
        texts: the parameters that are shown as text.
    """

    required: tuple[tuple[str, str, str], ...] = ()
    media: str | None = None
    texts: tuple[str, ...] = ()


def _media(name: str, kind: str) -> _Template:
    return _Template(((name, f"miss.param.{kind}", kind),), name)


_CARD = (
    ("title", "miss.param.actionCardTotitle", "actionCard --》 title"),
    ("text", "miss.param.actionCardTotext", "actionCard --》 text"),
)
_BUTTON = (
    ("singleTitle", "miss.param.actionCardTosingleTitle", "actionCard --》 singleTitle"),
    ("singleURL", "miss.param.actionCardTosingleUrl", "actionCard --》 singleURL"),
)
# The codes are listed in KB:0714 and KB:0716. For title of markdown a refusal was seen in public; that the
# others belong to these parameters follows from their names [?]. sampleActionCard1 does not exist.
TEMPLATES: Mapping[str, _Template] = {
    "sampleFile": _media("mediaId", "file"),
    "sampleAudio": _media("mediaId", "audio"),
    "sampleVideo": _media("videoMediaId", "video"),
    "sampleImageMsg": _Template(
        (("photoURL", "miss.param.photoTophotoUrl", "photo --》 photoURL"),), "photoURL"
    ),
    "sampleText": _Template(
        (("content", "miss.param.contentOfText", "text --》 content"),), texts=("content",)
    ),
    "sampleMarkdown": _Template(
        (
            ("title", "miss.param.markdownTotitle", "markdown --》 title"),
            ("text", "miss.param.markdownTotext", "markdown --》 text"),
        ),
        texts=("title", "text"),
    ),
    "sampleLink": _Template(
        (
            ("text", "miss.param.textOfLink", "link --》 text"),
            ("title", "miss.param.titleOfLink", "link --》 title"),
            ("messageUrl", "miss.param.messageUrlOfLink", "link --》 messageUrl"),
        ),
        texts=("title", "text", "messageUrl"),
    ),
    "sampleActionCard": _Template((*_CARD, *_BUTTON), texts=("title", "text")),
    **{f"sampleActionCard{number}": _Template(_CARD, texts=("title", "text")) for number in range(2, 7)},
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
        raise Refusal("invalidParameter.robotCode.notExsit", NO_ROBOT)


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
        raise Refusal("invalidParameter.msgKey.invalid", refusals.unsupported_type(key))
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
    """A processQueryKey, of the length of the one in KB:0722."""
    return opaque_key(21)


def sent_under(call: Call, key: str, wanted: Callable[[Message], bool]) -> list[Message]:
    """What was sent under a key, for a question that DingTalk can answer only some time after the send.

    How long that takes nobody knows [?]. So the first questions come too early, as many as the settings say,
    and tests do not depend on the time.

    Raises:
        Refusal: processQueryKey.expireTime, which means "not generated yet" as well (KB:0720, KB:0722).
    """
    sent = [message for message in call.world.chat.by_key(key) if wanted(message)]
    if not sent or call.world.chat.ask(key) <= call.world.settings.guesses.early_queries:
        raise Refusal("processQueryKey.expireTime", "processQueryKey还未生成消息查询数据或已过期")
    return sent


def _parameters(call: Call) -> dict[str, object]:
    not_json = Refusal(
        "invalidParameter.msgParam.invalid", "错误描述:msgParam格式不正确;解决方案:请使用json格式;"
    )
    text = call.json["msgParam"]
    if not isinstance(text, str) or not text:  # an object instead of its JSON text is the usual mistake
        raise not_json
    if len(text.encode("utf-8", "surrogatepass")) > MSG_PARAM_LIMIT:
        raise Refusal("invalidParameter.msgParam.tooLong", "错误描述:msgParam过长;")
    try:
        parameters = json.loads(text)
    except (ValueError, RecursionError):
        parameters = None
    if not isinstance(parameters, dict):
        raise not_json
    return parameters


def _check_required(template: _Template, parameters: Mapping[str, object]) -> None:
    for name, code, path in template.required:
        if not _text(parameters.get(name)):
            wrong = f"错误描述:参数 {path} 缺失，或者参数格式不正确"
            raise Refusal(code, f"{wrong}; 解决方案:请填充上对应参数;参考链接:{_HOW};")


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
