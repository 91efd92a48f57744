"""Chats, by the chatId that an app created them with: DingTalk's interface before the robots (KB:1488)."""

from __future__ import annotations

from typing import Final

from dingwatch.dingtalk import (
    API_CHAT,
    API_SEND_ENTRY,
    Client,
    Host,
    LegacyMessage,
    file_message,
    image_message,
    markdown_message,
)
from dingwatch.model import RecipientKind
from dingwatch.notice_text import Message
from dingwatch.recipients.group import send_entry_to_group
from dingwatch.recipients.kind import Content, Entries, Kind, Order, Receipt, advise


def _message(content: Content) -> LegacyMessage:
    if isinstance(content, Message):
        return markdown_message(content.title, content.text)
    return (image_message if content.image else file_message)(content.media_id)


def _send(client: Client, order: Order) -> Receipt:
    (chat,) = order.ids
    client.legacy.send_to_chat(chat_id=chat, message=_message(order.content), renew=False)
    return Receipt()


CHAT: Final = Kind(
    kind=RecipientKind.CHAT,
    id_prefix="",
    message_api=API_CHAT,
    host=Host.OAPI,
    batch=1,
    takes_files=True,
    shows_upload_name=True,  # the message has no field for another
    inspectable=False,
    judge=advise("CHAT"),
    send=_send,
    # What a legacy chat gets by its openConversationId is unverified.
    entries=Entries(
        API_SEND_ENTRY,
        lambda client, chat: client.conversations.open_id(chat),
        send_entry_to_group,
        copies=False,
    ),
    recall=None,
    receipts=None,
)
