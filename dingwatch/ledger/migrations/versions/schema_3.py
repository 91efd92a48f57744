"""Captions, the drive, and learned rates."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Boolean, CheckConstraint, Column, Double, ForeignKey, Integer, String, text

from dingwatch.ledger.migrations.steps import add_columns, create_partial_index

revision = "3"
down_revision = "2"


def upgrade() -> None:
    """Lead to schema 3."""
    add_columns(
        "deliveries", Column("announced_at", Double), Column("space_id", String), Column("entry_id", String)
    )
    add_columns("uploads", Column("space_id", String), Column("begun_key", String))
    create_partial_index("uploads_by_name", "uploads", ["type", "name"], "name != ''")
    op.create_table(
        "parts",
        Column("upload", String, ForeignKey("uploads.key"), primary_key=True),
        Column("number", Integer, primary_key=True),
    )
    add_columns("pauses", Column("fixed", Boolean, nullable=False, server_default=text("false")))
    op.create_table(
        "paces",
        Column("scope", String, primary_key=True),
        Column("key", String, primary_key=True),
        Column("slowdown", Double, nullable=False),
        Column("refused_at", Double, nullable=False),
        CheckConstraint("scope IN ('row', 'conversation', 'api', 'app', 'folder')", name="scope_known"),
    )
