"""When a flood was released, where a root was mounted, and advice in the history."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Double, LargeBinary, String

from dingwatch.ledger.migrations.steps import add_columns, create_partial_index

revision = "2"
down_revision = "1"


def upgrade() -> None:
    """Lead to schema 2."""
    add_columns(
        "folders",
        Column("released_at", Double),
        Column("mount_point", LargeBinary),
        Column("device", String),
    )
    add_columns("history", Column("advice", String), Column("request_id", String))
    missing = "missing_since IS NOT NULL"
    create_partial_index("versions_missing", "versions", ["folder_id", "missing_since"], missing)
    op.create_index("deliveries_by_due", "deliveries", ["state", "due"])
    op.create_index("deliveries_of_folder_by_time", "deliveries", ["folder_id", "noticed_at"])
