"""The nodes that may tell people of troubles."""

from __future__ import annotations

from alembic import op
from sqlalchemy.schema import CreateTable

from dingwatch.ledger.schema import tellers

revision = "17"
down_revision = "16"


def upgrade() -> None:
    """Lead to schema 17."""
    op.execute(CreateTable(tellers))
