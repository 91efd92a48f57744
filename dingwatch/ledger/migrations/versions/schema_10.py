"""Folders that a person has paused."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Double, ForeignKey, Integer, String

revision = "10"
down_revision = "9"


def upgrade() -> None:
    """Lead to schema 10."""
    op.create_table(
        "folder_pauses",
        Column("folder_id", Integer, ForeignKey("folders.id"), primary_key=True),
        Column("since", Double, nullable=False),
        Column("until", Double),
        Column("paused_by", String, nullable=False),
        Column("reason", String, nullable=False),
    )
