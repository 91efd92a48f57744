"""An index of what waits for an upload, by recipient."""

from __future__ import annotations

from alembic import op

from dingwatch.ledger.migrations.steps import create_partial_index

revision = "6"
down_revision = "5"


def upgrade() -> None:
    """Lead to schema 6."""
    op.drop_index("deliveries_to_upload", "deliveries")
    create_partial_index(
        "deliveries_to_upload",
        "deliveries",
        ["route", "conversation_id", "folder_id", "settled_at", "id"],
        "state = 'pending' AND due + 0 < 1000000000000000.0",
    )
