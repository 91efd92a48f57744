"""Sends: files, pictures, notices and lines, to groups, persons, chats and custom robots."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from dingwatch.delivery.jobs import Send, SendCaption, SendDone, ToPeople
from dingwatch.dingtalk import (
    Client,
    LegacyMessage,
    RobotMessage,
    SampleFile,
    SampleImage,
    SampleMarkdown,
    SentToPersons,
    Webhook,
    file_message,
    image_message,
    markdown_message,
)
from dingwatch.ledger.delivery import Delivery
from dingwatch.model import (
    Cause,
    Failure,
    Misconfigured,
    NoAnswer,
    NotReached,
    Recipient,
    RecipientKind,
    Rejected,
    Route,
    Scope,
    Throttled,
    Verdict,
)
from dingwatch.notice_text import Message
from dingwatch.payload import IMAGE

_ADVICE: Final = {RecipientKind.PERSON: "PERSON", RecipientKind.CHAT: "CHAT"}
"""What is told, of these recipients, instead of how a group's id is found."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends to all kinds of recipients. Safe to use from several threads.

    `webhooks` are the custom robots by what the ledger knows them as; `operator` is the unionId whose rights
    entries of the drive are sent with.
    """

    client: Client
    webhooks: Mapping[str, Webhook] = field(default_factory=dict)
    operator: str | None = None
    _ids: dict[str, str] = field(default_factory=dict)
    """What persons and chats are to the drive, by the ledger's word for them; each is asked for once."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, job: ToPeople) -> SendDone:
        """Send once, with a token that is there; raises Failure, of which only NoAnswer leaves a doubt."""
        recipient = Recipient.of(job.row.conversation)
        try:
            return self._send(job, recipient)
        except Failure as failure:
            raise Failure(_advised(failure.verdict, recipient)) from None

    def _send(self, job: ToPeople, recipient: Recipient) -> SendDone:
        if isinstance(job, Send) and job.row.route is Route.DRIVE:
            return self._send_entry(job, recipient)
        match recipient.kind:
            case RecipientKind.GROUP:
                message = _robot_message(job)
                key = self.client.groups.send(conversation_id=recipient.id, message=message, renew=False)
                return SendDone(key)
            case RecipientKind.PERSON:
                return self._send_to_persons(job)
            case RecipientKind.CHAT:
                self.client.legacy.send_to_chat(
                    chat_id=recipient.id, message=_legacy_message(job), renew=False
                )
                return SendDone(None)  # a message of this kind cannot be taken back (KB:1488)
            case RecipientKind.WEBHOOK:
                return self._send_to_webhook(job, recipient)

    def _send_to_persons(self, job: ToPeople) -> SendDone:
        ids = {Recipient.of(row.conversation).id: row for row in job.rows}
        sent = self.client.persons.send(user_ids=list(ids), message=_robot_message(job), renew=False)
        return SendDone(sent.process_query_key or None, missed=tuple(_missed(sent, ids)))

    def _send_to_webhook(self, job: ToPeople, recipient: Recipient) -> SendDone:
        messages = _said(job)
        if messages is None:
            raise Failure(Rejected(Cause("webhook_files", "", "WEBHOOK_FILES")))
        robot = self.client.webhook(self.webhooks[recipient.id])
        robot.markdown(messages.title, messages.text, uuid=_uuid(job.row))
        return SendDone(None)

    # --- Entries of the drive ----------------------------------------------------------------------

    def _send_entry(self, job: Send, recipient: Recipient) -> SendDone:
        if self.operator is None:
            raise Failure(Misconfigured(Cause("no_operator", "", "OPERATOR"), Scope.API))
        files = self.client.conversation_files(self.operator)
        space_id, entry_id = job.row.space_id or "", job.media_id
        match recipient.kind:
            case RecipientKind.PERSON:
                person = self._known(job.row.conversation, self.client.contacts.union_id, recipient.id)
                sent = files.send_to_person(
                    union_id=person, space_id=space_id, entry_id=entry_id, renew=False
                )
            case RecipientKind.CHAT:
                group = self._known(job.row.conversation, self.client.conversations.open_id, recipient.id)
                sent = files.send(conversation_id=group, space_id=space_id, entry_id=entry_id, renew=False)
            case _:
                sent = files.send(
                    conversation_id=recipient.id, space_id=space_id, entry_id=entry_id, renew=False
                )
        return SendDone(None, sent.space_id, sent.id)

    def _known(self, word: str, ask: Callable[[str], str], known_as: str) -> str:
        """Return what a recipient is to the drive; that its answer was lost is no doubt about the send."""
        with self._lock:
            found = self._ids.get(word)
        if found is None:
            try:
                found = ask(known_as)
            except Failure as failure:
                verdict = failure.verdict
                if not isinstance(verdict, NoAnswer):
                    raise
                raise Failure(NotReached(verdict.cause, verdict.scope)) from None
            with self._lock:
                self._ids[word] = found
        return found


# --- What is sent ----------------------------------------------------------------------------------


def _said(job: ToPeople) -> Message | None:
    """Return the words that go; None where it is the file."""
    return job.line if isinstance(job, SendCaption) else job.notice


def _robot_message(job: ToPeople) -> RobotMessage:
    if isinstance(job, SendCaption):
        return SampleMarkdown(job.line.title, job.line.text)
    if job.notice is not None:
        return SampleMarkdown(job.notice.title, job.notice.text)
    if job.payload.key.type == IMAGE:
        return SampleImage(job.media_id)
    return SampleFile(job.media_id, job.payload.name, job.payload.key.extension)


def _legacy_message(job: ToPeople) -> LegacyMessage:
    if isinstance(job, SendCaption):
        return markdown_message(job.line.title, job.line.text)
    if job.notice is not None:
        return markdown_message(job.notice.title, job.notice.text)
    return (image_message if job.payload.key.type == IMAGE else file_message)(job.media_id)


def _uuid(row: Delivery) -> str:
    """Return what makes a message to a custom robot the same one when it is sent again.

    What a person has put to work once more settled anew, and is another.
    """
    known_by = f"{row.id}\0{row.version}\0{row.digest}\0{row.settled_at!r}"
    return hashlib.blake2b(known_by.encode(), digest_size=16).hexdigest()


# --- What became of it -----------------------------------------------------------------------------


def _missed(sent: SentToPersons, rows: Mapping[str, Delivery]) -> Iterator[tuple[int, Verdict]]:
    """Yield the rows whose persons were not reached; what `filtered` means is unverified [?]."""
    verdicts: Sequence[tuple[tuple[str, ...], Callable[[str], Verdict]]] = (
        (sent.invalid, lambda one: Misconfigured(Cause("invalid_user", one, "PERSON"), Scope.CONVERSATION)),
        (sent.filtered, lambda one: Rejected(Cause("filtered_user", one, "PERSON"))),
        (sent.flow_controlled, lambda one: Throttled(Cause("flow_controlled", one, "FLOW_CONTROLLED"))),
    )
    for persons, verdict in verdicts:
        yield from ((rows[one].id, verdict(one)) for one in persons if one in rows)


def _advised(verdict: Verdict, recipient: Recipient) -> Verdict:
    advice = _ADVICE.get(recipient.kind)
    if advice is None or verdict.cause.advice != "CONVERSATION":
        return verdict
    return replace(verdict, cause=replace(verdict.cause, advice=advice))
