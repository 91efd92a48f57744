"""The ledger's tables: the outbox, and the list of what was sent, in one.

Names of files are bytes (they need not be UTF-8); inodes and devices are text (they may be larger than
a signed 64-bit number); instants are seconds since the epoch. Versions and deliveries draw their ids
from one counter, so that an id names one line of `history`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ColumnElement,
    Double,
    Executable,
    ForeignKey,
    FromClause,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    and_,
    literal_column,
    or_,
    text,
)
from sqlalchemy.schema import CreateIndex, CreateTable

from dingwatch.lifecycle import State
from dingwatch.model import Form, Route, Scope

SCHEMA: Final = 9
"""The number of this schema; a ledger with a higher one was written by a newer dingwatch."""
HELD: Final = 1e15
"""The due time (seconds since the epoch) of a delivery under a flood hold: it never comes by itself."""

HELD_TOUCHED: Final = 2e15
"""The same for an old file of which only the time has changed, so that those that follow are held too."""

metadata = MetaData()


# --- Partial indexes -----------------------------------------------------------------------------
# A ledger has millions of rows that are done with, and a queue should not be looked for among them. SQLite
# uses a partial index only for a query that repeats its condition, with literals: a parameter would hide it,
# and an `IN` would make SQLite build its list anew for each row that is written.


def _is_one_of(column: ColumnElement[str], values: Iterable[str]) -> ColumnElement[bool]:
    return or_(*(column == literal_column(f"'{value}'") for value in values))


def is_in(rows: FromClause, *states: State) -> ColumnElement[bool]:
    """Match deliveries in one of these states, in a form that partial indexes serve."""
    return _is_one_of(rows.c.state, states)


def is_in_work(rows: FromClause) -> ColumnElement[bool]:
    """Match what `deliveries_in_work` has: rows that have not ended. A query for some of them repeats it."""
    return is_in(rows, State.PENDING, State.UPLOADING, State.UPLOADED, State.SENDING)


def _partial(name: str, *columns: ColumnElement[Any], where: ColumnElement[bool]) -> Index:
    return Index(name, *columns, sqlite_where=where, postgresql_where=where)


# --- Tables --------------------------------------------------------------------------------------


def _one_of(column: str, values: Iterable[str]) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
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
    # When the baseline was taken; null until then.
    Column("looked_at", Double),
    # When a person last released or discarded a flood: what was noticed before does not count again.
    Column("released_at", Double),
    # The device of a root that was empty and no mount point at its first look: the share was not mounted yet.
    # When something is mounted there, another baseline is taken, or all of the share would be sent as new.
    Column("blank_device", String),
    # Where the root lay at the first look.
    Column("mount_point", LargeBinary),
    Column("device", String),
    # The filter of the last complete scan (`filters.FilterRules` as JSON), and when that scan began: when the
    # filter is widened, files that lay there by then are not new. Null in a ledger of dingwatch 0.1.
    Column("filter", String),
    Column("scanned_at", Double),
    # The path in the config, which may contain a link; where that leads elsewhere, the rows with other roots
    # are its former targets. `left_at` is when a former target was done with.
    Column("path", LargeBinary),
    Column("left_at", Double),
    # When a first look began whose baseline is not all written: what changed later is new.
    Column("look_began", Double),
    # Until the next complete scan, unknown files that were last changed before this are not new.
    Column("old_before", Double),
    # The directory that the root was when it was last looked at, and when that was.
    Column("root_device", String),
    Column("root_inode", String),
    Column("root_seen_at", Double),
    UniqueConstraint("root", "name"),
)
"""Folders that are or were configured."""

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
    Column("folder_id", ForeignKey("folders.id")),  # null: given to `send`, and `directory` is absolute
    Column("directory", LargeBinary, nullable=False),
    Column("name", LargeBinary, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("ctime_ns", BigInteger, nullable=False),
    Column("inode", String, nullable=False),
    Column("device", String, nullable=False),
    Column("sha256", String),  # null where nothing was read: a baseline, or a file that only got a notice
    Column("baseline", Boolean, nullable=False),
    Column("noticed_at", Double, nullable=False),
    # When its path was first seen without it: empty, or with another version. Null while it is there.
    Column("missing_since", Double),
    Index("versions_by_path", "folder_id", "directory", "name"),
    Index("versions_by_state_of_file", "folder_id", "size", "mtime_ns"),
    # A file that was moved is found again by its inode or, touched or copied besides, by its content.
    Index("versions_by_inode", "folder_id", "inode"),
    Index("versions_by_content", "folder_id", "sha256"),
)

IS_BASELINE: Final = versions.c.baseline.is_(other=True)

versions_baseline = _partial(
    "versions_baseline", versions.c.folder_id, versions.c.noticed_at, where=IS_BASELINE
)
versions_missing = _partial(
    "versions_missing",
    versions.c.folder_id,
    versions.c.missing_since,
    where=versions.c.missing_since.is_not(None),
)
# 0 is added to hide `folder_id` from SQLite's planner, which would prefer an index of all folders.
IS_GIVEN: Final = (versions.c.folder_id + literal_column("0")).is_(None)
"""What `send` was given; it is pruned by its time alone."""

versions_given = _partial("versions_given", versions.c.noticed_at, where=IS_GIVEN)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("version_id", ForeignKey("versions.id"), nullable=False),
    Column("folder_id", ForeignKey("folders.id")),
    Column("conversation_id", String, nullable=False, key="recipient"),  # a `model.Recipient` as text
    Column("route", String, nullable=False),
    Column("state", String, nullable=False),
    Column("form", String, nullable=False),
    Column("upload_key", String, nullable=False),
    # Not claimed before; `HELD` or later under a flood hold.
    Column("due", Double, nullable=False),
    # How many seconds `due` lay ahead when it was written. If the clock is set back, it lies further ahead.
    Column("due_after", Double, nullable=False, server_default=text("0")),
    Column("noticed_at", Double, nullable=False),
    # The order of the queue; what a person retries settles once more, and queues at the end.
    Column("settled_at", Double, nullable=False),
    Column("claimed_at", Double),
    Column("uploaded_at", Double),
    Column("doubted_at", Double),
    Column("sent_at", Double),
    # All calls that were answered or may have been; the others count what happened since it last began anew.
    Column("attempts", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    # Seconds of backoff after refusals of its own, which `give_up_after` limits.
    Column("waited", Double, nullable=False),
    Column("doubts", Integer, nullable=False),
    Column("media_losses", Integer, nullable=False),
    Column("crashes", Integer, nullable=False),
    # The recipient may have got the message twice.
    Column("uncertain_resent", Boolean, nullable=False),
    # The last cause, until the delivery is sent.
    Column("code", String),
    Column("message", String),
    Column("advice", String),
    Column("request_id", String),
    Column("process_query_key", String),
    Column("announced_at", Double, key="caption_sent_at"),
    # The copy of a drive entry that DingTalk made for the conversation.
    Column("space_id", String),
    Column("entry_id", String),
    UniqueConstraint("version_id", "recipient"),
    _one_of("state", State),
    _one_of("form", Form),
    _one_of("route", Route),
    # Each index serves some questions of the ledger's modules, which a test asks, and reads the plans.
    Index("deliveries_of_folder_by_time", "folder_id", "noticed_at"),
    Index("deliveries_of_upload", "upload_key", "state"),
    Index("deliveries_counted", "folder_id", "recipient", "state"),
    Index("deliveries_by_time", "noticed_at", "id"),
)
"""The outbox: one version for one recipient in each row."""

NOT_HELD: Final = deliveries.c.due < literal_column(f"{HELD:.1f}")

deliveries_by_due = _partial(
    "deliveries_by_due",
    deliveries.c.state,
    deliveries.c.due,
    where=and_(is_in(deliveries, State.PENDING, State.UPLOADED), NOT_HELD),
)
"""When what waits is due, if ever it is."""

deliveries_in_work = _partial(
    "deliveries_in_work",
    deliveries.c.state,
    deliveries.c.recipient,
    deliveries.c.settled_at,
    deliveries.c.id,
    # With these, `history` finds the newest without reading rows.
    deliveries.c.noticed_at,
    deliveries.c.folder_id,
    where=is_in_work(deliveries),
)

IS_WAITING: Final = and_(
    is_in(deliveries, State.PENDING),
    # 0 is added to hide `due` from SQLite's planner, which would prefer the index of dues and sort all rows.
    deliveries.c.due + literal_column("0") < literal_column(f"{HELD:.1f}"),
)
"""What waits for an upload and is not held, as `deliveries_to_upload` has it."""

deliveries_to_upload = _partial(
    "deliveries_to_upload",
    deliveries.c.route,
    deliveries.c.recipient,
    deliveries.c.folder_id,
    deliveries.c.settled_at,
    deliveries.c.id,
    where=IS_WAITING,
)

deliveries_to_hold = _partial(
    "deliveries_to_hold", deliveries.c.folder_id, deliveries.c.noticed_at, where=IS_WAITING
)
"""What a flood would hold."""

IS_HELD: Final = and_(is_in(deliveries, State.PENDING), deliveries.c.due >= literal_column(f"{HELD:.1f}"))
"""What is under a flood hold."""

deliveries_held = _partial("deliveries_held", deliveries.c.folder_id, deliveries.c.due, where=IS_HELD)

IS_DOUBTED_ONCE: Final = and_(is_in(deliveries, State.UNCERTAIN), deliveries.c.doubts == literal_column("1"))
"""What `on_uncertain: resend` sends once more. What is doubted again waits for a person, perhaps for ever."""

deliveries_doubted_once = _partial("deliveries_doubted_once", deliveries.c.id, where=IS_DOUBTED_ONCE)

HAS_CRASHED: Final = deliveries.c.crashes > literal_column("0")
deliveries_crashed = _partial("deliveries_crashed", deliveries.c.id, where=HAS_CRASHED)

deliveries_unsent = _partial(
    "deliveries_unsent",
    deliveries.c.state,
    deliveries.c.noticed_at,
    deliveries.c.id,
    where=is_in(deliveries, State.FAILED, State.UNCERTAIN, State.SKIPPED, State.GONE),
)
"""What ended without being sent for certain."""

deliveries_by_caption = _partial(
    "deliveries_by_caption",
    deliveries.c.caption_sent_at,
    where=deliveries.c.caption_sent_at.is_not(None),
)

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
    # A media id, or in the drive the id of an entry and its space.
    Column("media_id", String, key="remote_id"),
    Column("uploaded_at", Double),
    Column("space_id", String),
    # DingTalk's key of the upload session in progress.
    Column("begun_key", String, key="session_key"),
    _one_of("state", ("none", "busy", "have")),
    CheckConstraint("(state = 'have') = (media_id IS NOT NULL)", name="have_means_media_id"),
)
"""Contents at DingTalk; `app` to `name` are the fields of a `model.UploadKey`, and `key` is their hash."""

HAS_NAME: Final = uploads.c.name != literal_column("''")
uploads_by_name = _partial("uploads_by_name", uploads.c.type, uploads.c.name, where=HAS_NAME)

IS_BUSY: Final = uploads.c.state == literal_column("'busy'")
uploads_busy = _partial("uploads_busy", uploads.c.key, where=IS_BUSY)
"""The few that a process had in hand when it died."""

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
    # Without it, every delivery that is pruned makes SQLite look for its lines in all of the history.
    Index("history_of_delivery", "delivery_id"),
)

IS_CALL: Final = _is_one_of(history.c.after, (State.UPLOADING, State.SENDING, State.SENT))
"""Lines of claims and of what was sent."""

history_of_calls = _partial("history_of_calls", history.c.at, where=IS_CALL)

IS_MOVE: Final = history.c.event == literal_column("'moved'")
history_of_moves = _partial("history_of_moves", history.c.message, where=IS_MOVE)
"""By the path before the move."""

pauses = Table(
    "pauses",
    metadata,
    Column("scope", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("until", Double, nullable=False),  # then one job probes it; it ends when that succeeds
    Column("since", Double, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("by_token", Boolean, nullable=False),  # probed with the token call, which is free
    Column("code", String, nullable=False),
    Column("message", String, nullable=False),
    Column("advice", String, nullable=False),
    Column("request_id", String),
    # How many seconds `until` lay ahead when it was written.
    Column("lasts", Double, nullable=False, server_default=text("0")),
    # DingTalk has set the end, and neither a restart nor a `retry` changes the cause.
    Column("fixed", Boolean, nullable=False, server_default=text("false")),
    _one_of("scope", Scope),
)
"""What is not called for a while, and why; the fields of a `model.Pause`."""

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
_NEW_IN_8: Final = {"versions_by_inode", "versions_by_content"}

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
    3: (
        text("ALTER TABLE folders ADD COLUMN filter VARCHAR"),
        text("ALTER TABLE folders ADD COLUMN scanned_at DOUBLE PRECISION"),
    ),
    4: (
        text("ALTER TABLE deliveries ADD COLUMN due_after DOUBLE PRECISION NOT NULL DEFAULT 0"),
        text("ALTER TABLE pauses ADD COLUMN lasts DOUBLE PRECISION NOT NULL DEFAULT 0"),
        # Nobody knows how long these were to last. No wait of a delivery was longer than six hours.
        text("UPDATE deliveries SET due_after = 21600 WHERE state IN ('pending', 'uploaded')"),
        text("UPDATE pauses SET lasts = until - since WHERE until > since"),
    ),
    5: (text("DROP INDEX deliveries_to_upload"), CreateIndex(deliveries_to_upload)),
    6: (
        text("ALTER TABLE folders ADD COLUMN path BLOB"),
        text("ALTER TABLE folders ADD COLUMN left_at DOUBLE PRECISION"),
        text("ALTER TABLE folders ADD COLUMN look_began DOUBLE PRECISION"),
        text("ALTER TABLE folders ADD COLUMN old_before DOUBLE PRECISION"),
        text("ALTER TABLE folders ADD COLUMN root_device VARCHAR"),
        text("ALTER TABLE folders ADD COLUMN root_inode VARCHAR"),
        text("ALTER TABLE folders ADD COLUMN root_seen_at DOUBLE PRECISION"),
    ),
    7: (
        *(CreateIndex(index) for index in versions.indexes if index.name in _NEW_IN_8),
        # Of the versions of one path, the newest is the one that is there.
        text(
            "UPDATE versions SET missing_since = noticed_at WHERE missing_since IS NULL AND EXISTS ("
            "SELECT 1 FROM versions newer WHERE newer.folder_id = versions.folder_id"
            " AND newer.directory = versions.directory AND newer.name = versions.name"
            " AND newer.id > versions.id)"
        ),
    ),
    8: (
        *(text(f"DROP INDEX {name}") for name in ("deliveries_by_due", "deliveries_to_send")),
        text("DROP INDEX history_of_claims"),
        *(
            CreateIndex(index)
            for index in (
                *(deliveries_by_due, deliveries_in_work, deliveries_held, deliveries_doubted_once),
                *(deliveries_crashed, deliveries_unsent, deliveries_by_caption, deliveries_to_hold),
                *(versions_given, uploads_busy, history_of_calls, history_of_moves),
                *(index for index in history.indexes if index.name == "history_of_delivery"),
            )
        ),
    ),
}
"""The statements that lead from each schema to the next. Schema 1 existed in SQLite alone."""
