"""Groups, by their openConversationId: the enterprise robot writes there."""

from __future__ import annotations

from typing import Final

from dingwatch.dingtalk import (
    API_SEND,
    API_SEND_ENTRY,
    Client,
    ConversationFiles,
    Host,
    ReadStatus,
    Recalled,
    RobotMessage,
    SampleFile,
    SampleImage,
    SampleMarkdown,
    SentEntry,
)
from dingwatch.model import RecipientKind
from dingwatch.notice_text import Message
from dingwatch.recipients.kind import Content, Entries, Kind, Order, ReadReceipts, Recall, Receipt, as_it_is


def robot_message(content: Content) -> RobotMessage:
    """Return the enterprise robot's message that carries a content."""
    if isinstance(content, Message):
        return SampleMarkdown(content.title, content.text)
    if content.image:
        return SampleImage(content.media_id)
    return SampleFile(content.media_id, content.name, content.extension)


def _send(client: Client, order: Order) -> Receipt:
    (group,) = order.ids
    message = robot_message(order.content)
    return Receipt(client.groups.send(conversation_id=group, message=message, renew=False) or None)


def send_entry_to_group(files: ConversationFiles, group: str, space: str, entry: str) -> SentEntry:
    """Send a copy of an entry to a group."""
    return files.send(conversation_id=group, space_id=space, entry_id=entry, renew=False)


def _recall(client: Client, group: str, key: str) -> Recalled:
    return client.groups.recall(conversation_id=group, process_query_keys=[key])


def _ask_readers(client: Client, group: str, key: str, page: str, patient: bool) -> ReadStatus:  # noqa: FBT001
    return client.groups.read_status(conversation_id=group, process_query_key=key, page=page, patient=patient)


GROUP: Final = Kind(
    kind=RecipientKind.GROUP,
    id_prefix="cid",
    message_api=API_SEND,
    host=Host.API,
    batch=1,
    takes_files=True,
    shows_upload_name=False,
    inspectable=True,
    judge=as_it_is,
    send=_send,
    entries=Entries(API_SEND_ENTRY, lambda _, group: group, send_entry_to_group, copies=True),  # (KB:0642)
    recall=Recall(None, _recall),  # KB:0725 names no limit
    receipts=ReadReceipts(None, _ask_readers),  # KB:0722 names none either, but says that keys expire
)
