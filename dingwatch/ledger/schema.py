"""The ledger's tables: the outbox, and the list of what was sent, in one.

Names of files are bytes (they need not be UTF-8); inodes and devices are text (they may be larger than
a signed 64-bit number); instants are seconds since the epoch. Versions and deliveries draw their ids
from one counter, so that an id names one line of `history`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    Executable,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    text,
)
from sqlalchemy.schema import CreateIndex, CreateTable

from dingwatch.lifecycle import State
from dingwatch.model import Form, Route, Scope

SCHEMA: Final = 3
"""The number of this schema; a ledger with a higher one was written by a newer dingwatch."""
HELD: Final = 1e15
"""The due time (seconds since the epoch) of a delivery under a flood hold: it never comes by itself."""

metadata = MetaData()


def _one_of(column: str, values: object) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)  # type: ignore[attr-defined]
    return CheckConstraint(f"{column} IN ({listed})", name=f"{column}_known")


numbers = Table(
    "numbers",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""Three counters: `schema`; `id`, the last id that was given out; `ledger`, the number of this ledger."""

folders = Table(
    "folders",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("root", LargeBinary, nullable=False),
    Column("name", String, nullable=False),
    Column("looked_at", Double),
    Column("released_at", Double),
    Column("blank_device", String),
    Column("mount_point", LargeBinary),
    Column("device", String),
    UniqueConstraint("root", "name"),
)
"""`looked_at`: when the baseline was taken; `released_at`: when a person last released or discarded a flood;
`mount_point` and `device`: where the root lay at the first look. `blank_device` is the device of a root that
was empty and no mount point at its first look (a share that was not mounted yet): when something is mounted
there, another baseline is taken."""

routes = Table(
    "routes",
    metadata,
    Column("folder_id", ForeignKey("folders.id"), primary_key=True),
    Column("conversation_id", String, primary_key=True, key="recipient"),
)
"""The folders and recipients of the running configuration; only their deliveries are claimed."""

versions = Table(
    "versions",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("folder_id", ForeignKey("folders.id")),
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
    Index("versions_by_path", "folder_id", "directory", "name"),
    Index("versions_by_state_of_file", "folder_id", "size", "mtime_ns"),
)

IS_BASELINE: Final = versions.c.baseline.is_(other=True)
"""The condition of the partial index: a query must use this very expression, or SQLite ignores the index."""

versions_baseline = Index(
    "versions_baseline",
    versions.c.folder_id,
    versions.c.noticed_at,
    sqlite_where=IS_BASELINE,
    postgresql_where=IS_BASELINE,
)

versions_missing = Index(
    "versions_missing",
    versions.c.folder_id,
    versions.c.missing_since,
    sqlite_where=versions.c.missing_since.is_not(None),
    postgresql_where=versions.c.missing_since.is_not(None),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("version_id", ForeignKey("versions.id"), nullable=False),
    Column("folder_id", ForeignKey("folders.id")),
    Column("conversation_id", String, nullable=False, key="recipient"),
    Column("route", String, nullable=False),
    Column("state", String, nullable=False),
    Column("form", String, nullable=False),
    Column("upload_key", String, nullable=False),
    Column("due", Double, nullable=False),
    Column("noticed_at", Double, nullable=False),
    Column("settled_at", Double, nullable=False),
    Column("claimed_at", Double),
    Column("uploaded_at", Double),
    Column("doubted_at", Double),
    Column("sent_at", Double),
    Column("attempts", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("waited", Double, nullable=False),
    Column("doubts", Integer, nullable=False),
    Column("media_losses", Integer, nullable=False),
    Column("crashes", Integer, nullable=False),
    Column("uncertain_resent", Boolean, nullable=False),
    Column("code", String),
    Column("message", String),
    Column("advice", String),
    Column("request_id", String),
    Column("process_query_key", String),
    Column("announced_at", Double, key="caption_sent_at"),
    Column("space_id", String),
    Column("entry_id", String),
    UniqueConstraint("version_id", "recipient"),
    _one_of("state", State),
    _one_of("form", Form),
    _one_of("route", Route),
    Index("deliveries_by_due", "state", "due"),
    Index("deliveries_of_folder_by_time", "folder_id", "noticed_at"),
    Index("deliveries_to_upload", "state", "settled_at", "id"),
    Index("deliveries_to_send", "state", "recipient", "settled_at", "id"),
    Index("deliveries_of_upload", "upload_key", "state"),
    Index("deliveries_counted", "folder_id", "recipient", "state"),
    Index("deliveries_by_time", "noticed_at", "id"),
)
"""`recipient` is the word of a `model.Recipient`; `space_id` and `entry_id` tell where the conversation's own
copy of a drive entry is."""

uploads = Table(
    "uploads",
    metadata,
    Column("key", String, primary_key=True),
    Column("app", String, nullable=False),
    Column("type", String, nullable=False),
    Column("content", String, nullable=False),
    Column("extension", String, nullable=False),
    Column("name", String, nullable=False),
    Column("state", String, nullable=False),
    Column("media_id", String, key="remote_id"),
    Column("uploaded_at", Double),
    Column("space_id", String),
    Column("begun_key", String, key="session_key"),
    _one_of("state", ("none", "busy", "have")),
    CheckConstraint("(state = 'have') = (media_id IS NOT NULL)", name="have_means_media_id"),
)
"""`remote_id` is a media id, or the id of an entry of the drive, whose space is `space_id`; `session_key` is
DingTalk's key of an upload session."""

uploads_by_name = Index(
    "uploads_by_name",
    uploads.c.type,
    uploads.c.name,
    sqlite_where=uploads.c.name != "",
    postgresql_where=uploads.c.name != "",
)

parts = Table(
    "parts",
    metadata,
    Column("upload", ForeignKey("uploads.key"), primary_key=True),
    Column("number", Integer, primary_key=True),
)
"""The finished parts of upload sessions."""

history = Table(
    "history",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("version_id", ForeignKey("versions.id"), nullable=False),
    Column("delivery_id", ForeignKey("deliveries.id")),
    Column("at", Double, nullable=False),
    Column("event", String, nullable=False),
    Column("before", String),
    Column("after", String),
    Column("code", String),
    Column("message", String),
    Column("advice", String),
    Column("request_id", String),
    Index("history_of_version", "version_id"),
    Index("history_of_claims", "after", "at"),
)

pauses = Table(
    "pauses",
    metadata,
    Column("scope", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("until", Double, nullable=False),
    Column("since", Double, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("by_token", Boolean, nullable=False),
    Column("code", String, nullable=False),
    Column("message", String, nullable=False),
    Column("advice", String, nullable=False),
    Column("request_id", String),
    Column("fixed", Boolean, nullable=False, server_default=text("false")),
    _one_of("scope", Scope),
)
"""`fixed`: DingTalk has set the end, and neither a restart nor a `retry` changes the cause."""

learned_rates = Table(
    "paces",
    metadata,
    Column("scope", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("slowdown", Double, nullable=False),
    Column("refused_at", Double, nullable=False),
    _one_of("scope", Scope),
)
"""How many times slower than configured an API or recipient is served, and when it last refused a call."""

calls = Table(
    "calls",
    metadata,
    Column("day", String, primary_key=True),
    Column("api", String, primary_key=True),
    Column("count", Integer, nullable=False),
)

refused_extensions = Table(
    "refused_extensions",
    metadata,
    Column("app", String, primary_key=True),
    Column("extension", String, primary_key=True),
    Column("since", Double, nullable=False),
)

_NEW_IN_2: Final = {"deliveries_by_due", "deliveries_of_folder_by_time"}

MIGRATIONS: Final[Mapping[int, tuple[Executable, ...]]] = {
    1: (
        text("ALTER TABLE folders ADD COLUMN released_at DOUBLE PRECISION"),
        text("ALTER TABLE folders ADD COLUMN mount_point BLOB"),
        text("ALTER TABLE folders ADD COLUMN device VARCHAR"),
        text("ALTER TABLE history ADD COLUMN advice VARCHAR"),
        text("ALTER TABLE history ADD COLUMN request_id VARCHAR"),
        CreateIndex(versions_missing),
        *(CreateIndex(index) for index in deliveries.indexes if index.name in _NEW_IN_2),
    ),
    2: (
        text("ALTER TABLE deliveries ADD COLUMN announced_at DOUBLE PRECISION"),
        text("ALTER TABLE deliveries ADD COLUMN space_id VARCHAR"),
        text("ALTER TABLE deliveries ADD COLUMN entry_id VARCHAR"),
        text("ALTER TABLE uploads ADD COLUMN space_id VARCHAR"),
        text("ALTER TABLE uploads ADD COLUMN begun_key VARCHAR"),
        CreateIndex(uploads_by_name),
        CreateTable(parts),
        text("ALTER TABLE pauses ADD COLUMN fixed BOOLEAN NOT NULL DEFAULT false"),
        CreateTable(learned_rates),
    ),
}
"""The statements that lead from each schema to the next. Schema 1 existed in SQLite alone."""
