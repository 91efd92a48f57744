"""Persons, by their userId: each has a conversation with the enterprise robot."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from dingwatch.dingtalk import (
    API_SEND_ENTRY_TO,
    API_SEND_PERSONS,
    MOST_PERSONS,
    Client,
    ConversationFiles,
    Host,
    ReadStatus,
    Recalled,
    SentEntry,
    SentToPersons,
)
from dingwatch.model import Cause, Misconfigured, RecipientKind, Rejected, Scope, Throttled, Verdict
from dingwatch.recipients.group import robot_message
from dingwatch.recipients.kind import Entries, Kind, Order, ReadReceipts, Recall, Receipt, advise


def _send(client: Client, order: Order) -> Receipt:
    message = robot_message(order.content)
    sent = client.persons.send(user_ids=list(order.ids), message=message, renew=False)
    return Receipt(sent.process_query_key or None, dict(_missed(sent)))


def _missed(sent: SentToPersons) -> Iterator[tuple[str, Verdict]]:
    """Yield the persons whom the message did not reach, and why."""
    # One invalid userId must not fail the others: DingTalk has sent the message to all but these.
    for one in sent.invalid:
        yield one, Misconfigured(Cause("invalid_user", one, "PERSON"), Scope.CONVERSATION)
    for one in sent.filtered:
        # Its meaning is unverified [?]: only the SDK knows the list.
        yield one, Rejected(Cause("filtered_user", one, "PERSON"))
    for one in sent.flow_controlled:
        yield one, Throttled(Cause("flow_controlled", one, "FLOW_CONTROLLED"))


def _send_entry(files: ConversationFiles, union_id: str, space: str, entry: str) -> SentEntry:
    return files.send_to_person(union_id=union_id, space_id=space, entry_id=entry, renew=False)


def _recall(client: Client, _person: str, key: str) -> Recalled:
    return client.persons.recall([key])


def _ask_readers(client: Client, _person: str, key: str, _page: str, patient: bool) -> ReadStatus:  # noqa: FBT001
    return client.persons.read_status(key, patient=patient)


PERSON: Final = Kind(
    kind=RecipientKind.PERSON,
    id_prefix="",
    message_api=API_SEND_PERSONS,
    host=Host.API,
    batch=MOST_PERSONS,
    takes_files=True,
    shows_upload_name=False,
    inspectable=False,
    judge=advise("PERSON"),
    send=_send,
    # Whether KB:0641 makes a copy is unverified.
    entries=Entries(
        API_SEND_ENTRY_TO,
        lambda client, person: client.contacts.union_id(person),
        _send_entry,
        copies=False,
    ),
    recall=Recall(24, _recall),  # (KB:0723)
    receipts=ReadReceipts(24, _ask_readers),  # (KB:0720)
)
