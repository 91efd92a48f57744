"""The filter of the last complete scan."""

from __future__ import annotations

from sqlalchemy import Column, Double, String

from dingwatch.ledger.migrations.steps import add_columns

revision = "4"
down_revision = "3"


def upgrade() -> None:
    """Lead to schema 4."""
    add_columns("folders", Column("filter", String), Column("scanned_at", Double))
