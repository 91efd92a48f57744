"""Claims of screenings."""

from __future__ import annotations

from alembic import op
from sqlalchemy.schema import CreateTable

from dingwatch.ledger.schema import screenings

revision = "16"
down_revision = "15"


def upgrade() -> None:
    """Lead to schema 16."""
    op.execute(CreateTable(screenings))
