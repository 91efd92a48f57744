"""The status page, alerts, bundles, screening, moves and sidecars, and deletions in the drive."""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    Double,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    text,
)

from dingwatch.ledger.migrations.steps import ID, add_columns, create_partial_index, on_postgresql

revision = "14"
down_revision = "13"


def upgrade() -> None:
    """Lead to schema 14."""
    op.execute("INSERT INTO numbers (name, value) VALUES ('pruned', 0)")
    _count_outcomes()
    _add_folder_links()
    _add_screening()
    _add_drive_upkeep()
    _add_alerts()
    _add_bundles()
    _add_search()
    _add_moves_and_sidecars()


def _count_outcomes() -> None:
    op.create_table(
        "outcomes",
        Column("quarter", Integer, primary_key=True, autoincrement=False),
        Column("folder_id", Integer, primary_key=True, autoincrement=False),
        Column("sent", Integer, nullable=False),
        Column("failed", Integer, nullable=False),
    )
    # The last two days as far as they are quickly found, so that an upgrade shows no empty day.
    whole = "floor(history.at / 900)" if on_postgresql() else "history.at / 900"
    op.execute(
        "INSERT INTO outcomes (quarter, folder_id, sent, failed)"  # noqa: S608
        f" SELECT CAST({whole} AS INTEGER), COALESCE(deliveries.folder_id, 0), COUNT(*), 0"
        " FROM history JOIN deliveries ON deliveries.id = history.delivery_id"
        " WHERE (history.after = 'uploading' OR history.after = 'sending' OR history.after = 'sent')"
        " AND history.after = 'sent' AND history.at > (SELECT MAX(at) FROM history WHERE"
        " after = 'uploading' OR after = 'sending' OR after = 'sent') - 172800 GROUP BY 1, 2"
    )
    create_partial_index(
        "deliveries_unresolved",
        "deliveries",
        ["state", "folder_id", "conversation_id", "code", "doubts", "id"],
        "state = 'failed' OR state = 'uncertain'",
    )


def _add_folder_links() -> None:
    op.create_table(
        "folder_links",
        Column("digest", String, primary_key=True),
        Column("folder_id", Integer, ForeignKey("folders.id"), nullable=False),
        Column("made_at", Double, nullable=False),
    )


def _add_screening() -> None:
    add_columns("versions", Column("screened_at", Double), Column("screening_failed_at", Double))
    create_partial_index(
        "versions_screening_failed",
        "versions",
        ["folder_id", "screening_failed_at"],
        "screening_failed_at IS NOT NULL",
    )


def _add_drive_upkeep() -> None:
    add_columns("uploads", Column("kept", Boolean, nullable=False, server_default=text("false")))
    op.execute(
        "UPDATE uploads SET kept = true WHERE key IN (SELECT upload_key FROM deliveries"
        " WHERE route = 'drive' AND (conversation_id LIKE 'user:%' OR conversation_id LIKE 'chat:%'))"
    )
    op.create_table(
        "deletions",
        Column("space_id", String, primary_key=True),
        Column("entry_id", String, primary_key=True),
        Column("folder_id", Integer, ForeignKey("folders.id"), nullable=False),
        Column("type", String, nullable=False),
        Column("name", String, nullable=False),
        Column("due", Double, nullable=False),
        Column("asked_at", Double),
        Column("failures", Integer, nullable=False),
        Column("done", Boolean, nullable=False),
    )
    op.create_table(
        "drive_room",
        Column("id", Integer, primary_key=True),
        Column("asked_at", Double, nullable=False),
        Column("said_at", Double),
        Column("used", BigInteger),
        Column("size", BigInteger),
    )


def _add_alerts() -> None:
    op.create_table(
        "alert_troubles",
        Column("topic", String, primary_key=True),
        Column("key", String, primary_key=True),
        Column("name", String, nullable=False),
        Column("since", Double, nullable=False),
        Column("newest", BigInteger, nullable=False),
        Column("risen_at", Double),
        Column("gone_at", Double),
        Column("told_at", Double),
    )
    op.create_table(
        "alerts_heard",
        Column("recipient", String, primary_key=True),
        Column("topic", String, primary_key=True),
        Column("key", String, primary_key=True),
        Column("newest", BigInteger, nullable=False),
    )
    op.create_table(
        "alert_messages",
        Column("number", Integer, primary_key=True),
        Column("at", Double, nullable=False),
    )


def _add_bundles() -> None:
    add_columns("folders", Column("burst_until", Double))
    op.create_table(
        "bundles",
        Column("id", ID, primary_key=True, autoincrement=False),
        Column("name", String, nullable=False),
    )
    if on_postgresql():
        op.execute("ALTER TABLE deliveries ADD COLUMN bundle_id BIGINT REFERENCES bundles (id)")
    else:  # alembic adds no column with a foreign key there
        op.execute("ALTER TABLE deliveries ADD COLUMN bundle_id INTEGER REFERENCES bundles (id)")
    add_columns("deliveries", Column("gathering", Boolean, nullable=False, server_default=text("false")))
    create_partial_index("deliveries_of_bundle", "deliveries", ["bundle_id"], "bundle_id IS NOT NULL")
    create_partial_index(
        "deliveries_gathering",
        "deliveries",
        ["folder_id", "conversation_id", "due"],
        "state = 'pending' AND gathering IS true",
    )


def _add_search() -> None:
    computed = Computed("CAST(lower(directory || '/' || name) AS BLOB)")
    if on_postgresql():
        written = r"""decode(lower(encode(directory || '\x2f' || name, 'escape') COLLATE "C"), 'escape')"""
        computed = Computed(written, persisted=True)
    add_columns("versions", Column("search_key", LargeBinary, computed))
    columns = ["noticed_at", "id", "search_key"]
    create_partial_index("versions_to_search", "versions", columns, "baseline IS false")


def _add_moves_and_sidecars() -> None:
    add_columns("folders", Column("moves_since", Double))
    add_columns("versions", Column("moved_to", LargeBinary))
    create_partial_index("versions_moved", "versions", ["folder_id", "moved_to"], "moved_to IS NOT NULL")
    create_partial_index(
        "deliveries_to_report",
        "deliveries",
        ["folder_id", "version_id"],
        "state = 'failed' OR state = 'uncertain'"
        " OR state = 'skipped' AND code != 'noticed' AND code != 'on_change'",
    )
    op.create_table(
        "moves",
        Column("version_id", BigInteger, primary_key=True, autoincrement=False),
        Column("folder_id", Integer, ForeignKey("folders.id"), nullable=False),
        Column("phase", String, nullable=False),
        Column("origin", LargeBinary, nullable=False),
        Column("place", LargeBinary, nullable=False),
        Column("back", LargeBinary),
        Column("size", BigInteger, nullable=False),
        Column("mtime_ns", BigInteger, nullable=False),
        Column("inode", String, nullable=False),
        Column("device", String, nullable=False),
        CheckConstraint("phase IN ('away', 'there', 'back')", name="phase_known"),
    )
    op.create_table(
        "sidecars",
        Column("folder_id", Integer, ForeignKey("folders.id"), primary_key=True),
        Column("path", LargeBinary, primary_key=True),
        Column("version_id", BigInteger),
        Column("content", LargeBinary, nullable=False),
        Column("phase", String, nullable=False),
        CheckConstraint("phase IN ('planned', 'written', 'unwanted')", name="phase_known"),
    )
