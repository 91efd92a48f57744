"""How long waits were to last, for clocks that are set back."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Double, text

from dingwatch.ledger.migrations.steps import add_columns

revision = "5"
down_revision = "4"


def upgrade() -> None:
    """Lead to schema 5."""
    add_columns("deliveries", Column("due_after", Double, nullable=False, server_default=text("0")))
    add_columns("pauses", Column("lasts", Double, nullable=False, server_default=text("0")))
    # Nobody knows how long these were to last. No wait of a delivery was longer than six hours.
    op.execute("UPDATE deliveries SET due_after = 21600 WHERE state IN ('pending', 'uploaded')")
    op.execute("UPDATE pauses SET lasts = until - since WHERE until > since")
