"""The kinds of recipients: groups, persons, chats and custom robots. Nothing else distinguishes them.

A new kind is one module here and one line in `registry.py`; docs/design.md tells what else it needs.
"""

from dingwatch.recipients.kind import (
    Address,
    Content,
    Entries,
    File,
    Kind,
    Order,
    ReadReceipts,
    Recall,
    Receipt,
)
from dingwatch.recipients.registry import (
    KINDS,
    billed_calls,
    can_receive_files,
    is_recipient,
    person,
    recipient_kind,
)
from dingwatch.recipients.sender import Sender

__all__ = [
    "KINDS",
    "Address",
    "Content",
    "Entries",
    "File",
    "Kind",
    "Order",
    "ReadReceipts",
    "Recall",
    "Receipt",
    "Sender",
    "billed_calls",
    "can_receive_files",
    "is_recipient",
    "person",
    "recipient_kind",
]
