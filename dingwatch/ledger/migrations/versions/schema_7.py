"""Links in the paths of folders, first looks that are written in steps, and replaced roots."""

from __future__ import annotations

from sqlalchemy import Column, Double, LargeBinary, String

from dingwatch.ledger.migrations.steps import add_columns

revision = "7"
down_revision = "6"


def upgrade() -> None:
    """Lead to schema 7."""
    add_columns(
        "folders",
        Column("path", LargeBinary),
        Column("left_at", Double),
        Column("look_began", Double),
        Column("old_before", Double),
        Column("root_device", String),
        Column("root_inode", String),
        Column("root_seen_at", Double),
    )
