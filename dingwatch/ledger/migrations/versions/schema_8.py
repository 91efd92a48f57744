"""Files that were moved, touched or copied are found by inode and content."""

from __future__ import annotations

from alembic import op

revision = "8"
down_revision = "7"


def upgrade() -> None:
    """Lead to schema 8."""
    op.create_index("versions_by_inode", "versions", ["folder_id", "inode"])
    op.create_index("versions_by_content", "versions", ["folder_id", "sha256"])
    # Of the versions of one path, the newest is the one that is there.
    op.execute(
        "UPDATE versions SET missing_since = noticed_at WHERE missing_since IS NULL AND EXISTS ("
        "SELECT 1 FROM versions newer WHERE newer.folder_id = versions.folder_id"
        " AND newer.directory = versions.directory AND newer.name = versions.name"
        " AND newer.id > versions.id)"
    )
