"""An index of uploads that does not change with each state."""

from __future__ import annotations

from alembic import op

from dingwatch.ledger.migrations.steps import create_partial_index

revision = "12"
down_revision = "11"


def upgrade() -> None:
    """Lead to schema 12."""
    op.drop_index("deliveries_of_upload", "deliveries")
    waiting = "state = 'pending' AND due + 0 < 1000000000000000.0"
    create_partial_index("deliveries_sharing_upload", "deliveries", ["upload_key", "state"], waiting)
    op.create_index("deliveries_of_upload", "deliveries", ["upload_key"])
