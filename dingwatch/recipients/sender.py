"""Sends messages and entries of the drive to recipients of every kind."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dingwatch.dingtalk import Client, SentEntry
from dingwatch.model import Cause, Failure, Misconfigured, NoAnswer, NotReached, Recipient, Scope
from dingwatch.recipients.kind import Address, Content, Entries, Order, Receipt, no_files
from dingwatch.recipients.registry import recipient_kind


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends each message once, and fetches no token for it. Safe to use from several threads.

    `addresses` are those of custom robots, by their ids; `operator` is the unionId whose rights entries of
    the drive are sent with. A Failure other than NoAnswer means that nobody has the message.
    """

    client: Client
    addresses: Mapping[str, Address] = field(default_factory=dict)
    operator: str | None = None
    _drive_ids: dict[str, str] = field(default_factory=dict)
    """The drive's ids of recipients, by the ledger's words for them: each is asked for once."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, recipients: Sequence[str], content: Content, uuid: str) -> Receipt:
        """Send a message to recipients of one kind, as many as the kind takes in one call."""
        ids = [Recipient.of(one).id for one in recipients]
        return recipient_kind(recipients[0]).send(self.client, Order(ids, content, uuid, self.addresses))

    def send_entry(self, recipient: str, space_id: str, entry_id: str) -> SentEntry:
        """Send a copy of an entry of the drive; return where the recipient's copy is."""
        entries = recipient_kind(recipient).entries
        if entries is None:
            raise no_files()
        if self.operator is None:
            raise Failure(Misconfigured(Cause("no_operator", "", "OPERATOR"), Scope.API))
        drive_id = self._drive_id(recipient, entries)
        return entries.send(self.client.conversation_files(self.operator), drive_id, space_id, entry_id)

    def _drive_id(self, recipient: str, entries: Entries) -> str:
        with self._lock:
            found = self._drive_ids.get(recipient)
        if found is None:
            try:
                found = entries.id_of(self.client, Recipient.of(recipient).id)
            except Failure as failure:
                # Only the answer to this question was lost: nothing was sent, so no delivery is uncertain.
                verdict = failure.verdict
                if not isinstance(verdict, NoAnswer):
                    raise
                raise Failure(NotReached(verdict.cause, verdict.scope, billed=verdict.billed)) from None
            with self._lock:
                self._drive_ids[recipient] = found
        return found
