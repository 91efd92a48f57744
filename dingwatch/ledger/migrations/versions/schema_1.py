"""The tables of dingwatch 0.1, which knew SQLite alone."""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    UniqueConstraint,
)

from dingwatch.ledger.migrations.steps import ID, create_partial_index

_STATES = "'pending', 'uploading', 'uploaded', 'sending', 'sent', 'uncertain', 'failed', 'skipped', 'gone'"

revision = "1"
down_revision = None


def upgrade() -> None:
    """Lead to schema 1."""
    _create_tables_of_files()
    _create_tables_of_deliveries()
    _create_tables_of_calls()
    create_partial_index("versions_baseline", "versions", ["folder_id", "noticed_at"], "baseline IS true")
    op.create_index("versions_by_path", "versions", ["folder_id", "directory", "name"])
    op.create_index("versions_by_state_of_file", "versions", ["folder_id", "size", "mtime_ns"])
    op.create_index("deliveries_of_upload", "deliveries", ["upload_key", "state"])
    op.create_index("deliveries_counted", "deliveries", ["folder_id", "conversation_id", "state"])
    op.create_index("deliveries_to_send", "deliveries", ["state", "conversation_id", "settled_at", "id"])
    op.create_index("deliveries_by_time", "deliveries", ["noticed_at", "id"])
    op.create_index("deliveries_to_upload", "deliveries", ["state", "settled_at", "id"])
    op.create_index("history_of_version", "history", ["version_id"])
    op.create_index("history_of_claims", "history", ["after", "at"])


def _create_tables_of_files() -> None:
    op.create_table(
        "folders",
        Column("id", Integer, primary_key=True),
        Column("root", LargeBinary, nullable=False),
        Column("name", String, nullable=False),
        Column("looked_at", Double),
        Column("blank_device", String),
        UniqueConstraint("root", "name"),
    )
    op.create_table(
        "routes",
        Column("folder_id", Integer, ForeignKey("folders.id"), primary_key=True),
        Column("conversation_id", String, primary_key=True),
    )
    op.create_table(
        "versions",
        Column("id", ID, primary_key=True, autoincrement=False),
        Column("folder_id", Integer, ForeignKey("folders.id")),
        Column("directory", LargeBinary, nullable=False),
        Column("name", LargeBinary, nullable=False),
        Column("size", BigInteger, nullable=False),
        Column("mtime_ns", BigInteger, nullable=False),
        Column("ctime_ns", BigInteger, nullable=False),
        Column("inode", String, nullable=False),
        Column("device", String, nullable=False),
        Column("sha256", String),
        Column("baseline", Boolean, nullable=False),
        Column("noticed_at", Double, nullable=False),
        Column("missing_since", Double),
    )


def _create_tables_of_deliveries() -> None:
    op.create_table(
        "deliveries",
        Column("id", ID, primary_key=True, autoincrement=False),
        Column("version_id", ID, ForeignKey("versions.id"), nullable=False),
        Column("folder_id", Integer, ForeignKey("folders.id")),
        *(Column(name, String, nullable=False) for name in ("conversation_id", "route", "state", "form")),
        Column("upload_key", String, nullable=False),
        *(Column(name, Double, nullable=False) for name in ("due", "noticed_at", "settled_at")),
        *(Column(name, Double) for name in ("claimed_at", "uploaded_at", "doubted_at", "sent_at")),
        Column("attempts", Integer, nullable=False),
        Column("failures", Integer, nullable=False),
        Column("waited", Double, nullable=False),
        *(Column(name, Integer, nullable=False) for name in ("doubts", "media_losses", "crashes")),
        Column("uncertain_resent", Boolean, nullable=False),
        *(Column(name, String) for name in ("code", "message", "advice", "request_id")),
        Column("process_query_key", String),
        UniqueConstraint("version_id", "conversation_id"),
        CheckConstraint(f"state IN ({_STATES})", name="state_known"),
        CheckConstraint("form IN ('plain', 'zip')", name="form_known"),
        CheckConstraint("route IN ('robot', 'drive')", name="route_known"),
    )
    op.create_table(
        "history",
        Column("id", ID, primary_key=True),
        Column("version_id", ID, ForeignKey("versions.id"), nullable=False),
        Column("delivery_id", ID, ForeignKey("deliveries.id")),
        Column("at", Double, nullable=False),
        Column("event", String, nullable=False),
        *(Column(name, String) for name in ("before", "after", "code", "message")),
    )


def _create_tables_of_calls() -> None:
    op.create_table(
        "uploads",
        Column("key", String, primary_key=True),
        *(Column(name, String, nullable=False) for name in ("app", "type", "content", "extension", "name")),
        Column("state", String, nullable=False),
        Column("media_id", String),
        Column("uploaded_at", Double),
        CheckConstraint("state IN ('none', 'busy', 'have')", name="state_known"),
        CheckConstraint("(state = 'have') = (media_id IS NOT NULL)", name="have_means_media_id"),
    )
    op.create_table(
        "pauses",
        Column("scope", String, primary_key=True),
        Column("key", String, primary_key=True),
        Column("until", Double, nullable=False),
        Column("since", Double, nullable=False),
        Column("failures", Integer, nullable=False),
        Column("by_token", Boolean, nullable=False),
        *(Column(name, String, nullable=False) for name in ("code", "message", "advice")),
        Column("request_id", String),
        CheckConstraint("scope IN ('row', 'conversation', 'api', 'app', 'folder')", name="scope_known"),
    )
    op.create_table(
        "calls",
        Column("day", String, primary_key=True),
        Column("api", String, primary_key=True),
        Column("count", Integer, nullable=False),
    )
    op.create_table(
        "refused_extensions",
        Column("app", String, primary_key=True),
        Column("extension", String, primary_key=True),
        Column("since", Double, nullable=False),
    )
    op.create_table(
        "numbers",
        Column("name", String, primary_key=True),
        Column("value", BigInteger, nullable=False),
    )
