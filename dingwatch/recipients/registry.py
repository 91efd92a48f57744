"""The list of kinds; a new one is entered here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from dingwatch.dingtalk import BILLED
from dingwatch.model import Recipient, RecipientKind
from dingwatch.recipients.chat import CHAT
from dingwatch.recipients.group import GROUP
from dingwatch.recipients.kind import Kind
from dingwatch.recipients.person import PERSON
from dingwatch.recipients.webhook import WEBHOOK

KINDS: Final[Mapping[RecipientKind, Kind]] = {one.kind: one for one in (GROUP, PERSON, CHAT, WEBHOOK)}


def recipient_kind(recipient: str) -> Kind:
    """Return the kind of a recipient, whose word in the ledger this is."""
    return KINDS[Recipient.of(recipient).kind]


def person(user_id: str) -> str:
    """Return the word of a person, for one whom DingTalk names by the userId alone."""
    return str(Recipient(RecipientKind.PERSON, user_id))


def is_recipient(word: str) -> bool:
    """Return whether a word names a recipient, as the ledger has it."""
    kind, known = recipient_kind(word), Recipient.of(word).id
    return bool(known) and known.startswith(kind.id_prefix)


def can_receive_files(recipient: str) -> bool:
    """Return whether a word from the command line or the config names a recipient that takes files."""
    return recipient_kind(recipient).takes_files and is_recipient(recipient)


def billed_calls(recipients: Iterable[str]) -> int:
    """Return how many of the month's calls one message to each of these recipients costs."""
    counts = Counter(recipient_kind(one) for one in recipients)
    return sum(-(-count // kind.batch) for kind, count in counts.items() if kind.message_api in BILLED)
