"""An index by which `history` walks the past without reading rows."""

from __future__ import annotations

from alembic import op

revision = "11"
down_revision = "10"


def upgrade() -> None:
    """Lead to schema 11."""
    op.drop_index("deliveries_by_time", "deliveries")
    columns = ["noticed_at", "id", "conversation_id", "folder_id", "version_id"]
    op.create_index("deliveries_by_time", "deliveries", columns)
