"""Paths with a `*`."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Double, ForeignKey, LargeBinary

revision = "13"
down_revision = "12"


def upgrade() -> None:
    """Lead to schema 13."""
    op.create_table(
        "stars",
        Column("pattern", LargeBinary, primary_key=True),
        Column("looked_at", Double, nullable=False),
    )
    op.create_table(
        "star_directories",
        Column("pattern", LargeBinary, ForeignKey("stars.pattern"), primary_key=True),
        Column("path", LargeBinary, primary_key=True),
    )
