"""Indexes of the few rows that a question is about."""

from __future__ import annotations

from alembic import op

from dingwatch.ledger.migrations.steps import create_partial_index

revision = "9"
down_revision = "8"


def upgrade() -> None:
    """Lead to schema 9."""
    op.drop_index("deliveries_by_due", "deliveries")
    op.drop_index("deliveries_to_send", "deliveries")
    op.drop_index("history_of_claims", "history")
    for name, table, columns, where in _PARTIAL:
        create_partial_index(name, table, columns, where)
    op.create_index("history_of_delivery", "history", ["delivery_id"])


_PARTIAL = (
    (
        "deliveries_by_due",
        "deliveries",
        ["state", "due"],
        "(state = 'pending' OR state = 'uploaded') AND due < 1000000000000000.0",
    ),
    (
        "deliveries_in_work",
        "deliveries",
        ["state", "conversation_id", "settled_at", "id", "noticed_at", "folder_id"],
        "state = 'pending' OR state = 'uploading' OR state = 'uploaded' OR state = 'sending'",
    ),
    (
        "deliveries_held",
        "deliveries",
        ["folder_id", "due"],
        "state = 'pending' AND due >= 1000000000000000.0",
    ),
    ("deliveries_doubted_once", "deliveries", ["id"], "state = 'uncertain' AND doubts = 1"),
    ("deliveries_crashed", "deliveries", ["id"], "crashes > 0"),
    (
        "deliveries_unsent",
        "deliveries",
        ["state", "noticed_at", "id"],
        "state = 'failed' OR state = 'uncertain' OR state = 'skipped' OR state = 'gone'",
    ),
    ("deliveries_by_caption", "deliveries", ["announced_at"], "announced_at IS NOT NULL"),
    (
        "deliveries_to_hold",
        "deliveries",
        ["folder_id", "noticed_at"],
        "state = 'pending' AND due + 0 < 1000000000000000.0",
    ),
    ("versions_given", "versions", ["noticed_at"], "folder_id + 0 IS NULL"),
    ("uploads_busy", "uploads", ["key"], "state = 'busy'"),
    (
        "history_of_calls",
        "history",
        ["at"],
        "\"after\" = 'uploading' OR \"after\" = 'sending' OR \"after\" = 'sent'",
    ),
    ("history_of_moves", "history", ["message"], "event = 'moved'"),
)
