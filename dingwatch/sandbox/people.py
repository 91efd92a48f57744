"""What people write in conversations, what they read, and how the robot hears of it (KB:0718)."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dingwatch.sandbox.chat import person_chat
from dingwatch.sandbox.model import Message
from dingwatch.sandbox.stream import TOPIC, Connection
from dingwatch.sandbox.world import World

ROBOT_NAME = "dingwatch"

# People write the robot's name after an @; "@robot" and "@机器人" spare them to know it.
_MENTION = re.compile(rf"@(?:{ROBOT_NAME}|robot|机器人)(?!\w)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Said:
    """What became of words.

    Attributes:
        message: as the conversation shows it.
        callback_id: messageId of the frame that told the robot, or None: it was not told, because nobody
            mentioned it, it is not in the group, no connection listens, or the quota of events is used up.
    """

    message: Message
    callback_id: str | None


def read(world: World, conversation_id: str, user_ids: Iterable[str]) -> None:
    """People read all that a conversation has by now.

    Raises:
        ValueError: for a conversation or a person that does not exist.
    """
    listed = tuple(user_ids)
    known = {each.id for each in world.chat.conversations()}
    if conversation_id not in known:
        raise ValueError(f"no such conversation: {conversation_id!r}")
    for user_id in listed:
        if user_id not in world.settings.users:
            raise ValueError(f"no such person: {user_id!r}")
    world.chat.read(conversation_id, listed, world.clock())


def say(world: World, conversation_id: str, text: str, user_id: str) -> Said:
    """A person writes. In a group the robot hears only what mentions it.

    Raises:
        ValueError: for a conversation or a person that does not exist.
    """
    if user_id not in world.settings.users:
        raise ValueError(f"no such person: {user_id!r}")
    group = world.chat.group(conversation_id)
    if group is None and conversation_id != person_chat(user_id):
        raise ValueError(f"no such conversation for this person: {conversation_id!r}")
    message = world.chat.post(_message(world, conversation_id, text, user_id))
    heard = group is None or (group.robot_inside and _MENTION.search(text) is not None)
    listener = world.stream.listener(TOPIC) if heard else None
    if listener is None or not world.meter.admit_event(message.at):
        return Said(message, None)
    data = _content(world, listener, message)
    return Said(message, world.stream.call_back(listener, data, message.at))


def _message(world: World, conversation_id: str, text: str, user_id: str) -> Message:
    return Message(
        id="",
        conversation_id=conversation_id,
        at=world.clock(),
        msg_key="text",
        file_name=None,
        file_type=None,
        media_id=None,
        size=None,
        sha256=None,
        text=text,
        process_query_key="",
        sender=user_id,
    )


def _content(world: World, connection: Connection, message: Message) -> Mapping[str, object]:
    """The callback's data, as the fact sheet and the SDK's ChatbotMessage have it."""
    group = world.chat.group(message.conversation_id)
    session, end = world.stream.open_session(message.conversation_id, message.at)
    corp_id = world.settings.corp_id
    robot = f"$:LWCP_v1:${world.robot_code}"
    person = f"$:LWCP_v1:${message.sender}"
    return {
        "conversationId": message.conversation_id,
        "conversationType": "1" if group is None else "2",
        **({} if group is None else {"conversationTitle": group.name, "isInAtList": True}),
        "atUsers": [] if group is None else [{"dingtalkId": robot}],
        "chatbotCorpId": corp_id,
        "chatbotUserId": robot,
        "robotCode": world.robot_code,
        "msgId": f"msg{message.id}",
        "msgtype": "text",
        "text": {"content": _MENTION.sub("", message.text)},
        "createAt": int(message.at * 1000),
        "senderCorpId": corp_id,
        "senderId": person,
        "senderNick": message.sender,
        "senderStaffId": message.sender,
        "isAdmin": False,
        "sessionWebhook": f"{connection.base_url}/robot/sendBySession?session={session}",
        "sessionWebhookExpiredTime": int(end * 1000),
    }
