"""The ledger's tables: the outbox, and the list of what was sent, in one.

Names of files are bytes (they need not be UTF-8); inodes and devices are text (they may be larger than
a signed 64-bit number); instants are seconds since the epoch. Versions and deliveries draw their ids
from one counter, so that an id names one line of `history`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ColumnElement,
    Computed,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    FromClause,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    UniqueConstraint,
    and_,
    literal_column,
    or_,
    text,
)
from sqlalchemy.ext.compiler import compiles

from dingwatch.lifecycle import IGNORED, NOTICED, State
from dingwatch.model import Form, Route, Scope

SCHEMA: Final = 17
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
    return Index(name, *columns, sqlite_where=where)


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
"""Counters: `schema`; `id` and `claim`, the last ones that were given out; `pruned`, how many versions were
forgotten; `ledger`, the number of this ledger; `alerts_after_event`, `alerts_after_id`, the newest event and
id before alerts were first turned on."""
FIRST_NUMBERS: Final = {"schema": SCHEMA, "id": 0, "claim": 0, "pruned": 0}
"""The counters of a new ledger."""

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
    # When the burst of files is over whose first one came `bundle.wait` before.
    Column("burst_until", Double),
    # When `after_send: move` was first in force: its directories are left out from then on.
    Column("moves_since", Double),
    # The node whose folder it is; empty where the ledger is not shared, and where the folder is.
    Column("node", String, nullable=False, server_default=""),
    # The name under which several nodes share it. Its row has then no path of any of them, but this name as
    # its root, and `folder_nodes` has what each of them knows.
    Column("shared", String),
    UniqueConstraint("root", "name").ddl_if(dialect="sqlite"),
    # Two hosts may both have a /srv/share that is not the same.
    UniqueConstraint("node", "root", "name").ddl_if(dialect="postgresql"),
)
"""Folders that are or were configured."""

folder_nodes = Table(
    "folder_nodes",
    metadata,
    Column("folder_id", ForeignKey("folders.id"), primary_key=True),
    Column("node", String, primary_key=True),
    Column("root", LargeBinary, nullable=False),
    # The settings that all nodes must have alike, as JSON, and when this node first had them: of nodes that
    # differ, the later one does not watch.
    Column("settings", String, nullable=False),
    Column("since", Double, nullable=False),
    # As in `folders`.
    Column("looked_at", Double),
    Column("blank_device", String),
    Column("mount_point", LargeBinary),
    Column("device", String),
    Column("filter", String),
    Column("scanned_at", Double),
    Column("look_began", Double),
    Column("old_before", Double),
    Column("root_device", String),
    Column("root_inode", String),
    Column("root_seen_at", Double),
)
"""Where a folder that several nodes share lies on each of them, and what each has seen there."""

stars = Table(
    "stars",
    metadata,
    Column("pattern", LargeBinary, primary_key=True),
    Column("node", String, primary_key=True, server_default=""),
    # When the directories were last listed (as that began): what was changed later in a new one is new.
    Column("looked_at", Double, nullable=False),
)
"""Paths with a `*` in the configuration of a node, which stand for one folder for each directory."""

star_directories = Table(
    "star_directories",
    metadata,
    Column("pattern", LargeBinary, primary_key=True),
    Column("node", String, primary_key=True, server_default=""),
    Column("path", LargeBinary, primary_key=True),
    ForeignKeyConstraint(["pattern", "node"], ["stars.pattern", "stars.node"]),
)
"""Directories that were there last time, but in no table: once they are in one, all that they hold is old."""

routes = Table(
    "routes",
    metadata,
    Column("folder_id", ForeignKey("folders.id"), primary_key=True),
    Column("conversation_id", String, primary_key=True, key="recipient"),
    # Empty where the ledger is not shared.
    Column("node", String, primary_key=True, server_default=""),
    # Whether a node that does not have the folder may send what is uploaded: nothing of the folder's own
    # settings is needed for it, as a caption would be.
    Column("by_any_node", Boolean, nullable=False, server_default=text("false")),
)
"""The folders and recipients in the running configuration of each node; only their deliveries are claimed."""


class _SearchKey(ColumnElement[bytes]):
    """A path with its ASCII letters in lower case; most other writing knows no case."""


@compiles(_SearchKey)
def _search_key(*_: object, **__: object) -> str:
    return "CAST(lower(directory || '/' || name) AS BLOB)"


@compiles(_SearchKey, "postgresql")
def _search_key_of_postgresql(*_: object, **__: object) -> str:
    # Bytes have no lower case there; written out in ASCII, they have. (In Turkish, `I` would become `ı`.)
    return r"""decode(lower(encode(directory || '\x2f' || name, 'escape') COLLATE "C"), 'escape')"""


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
    # When the program of `before_send` passed it, which it is asked once; and since when that has failed.
    Column("screened_at", Double),
    Column("screening_failed_at", Double),
    # The path as a search compares it. The database makes it, and it takes room in the index below alone.
    Column("search_key", LargeBinary, Computed(_SearchKey())),
    # Where dingwatch has moved its file after it was sent (a path beneath the root): whatever lies at the
    # version's own path since then is another file.
    Column("moved_to", LargeBinary),
    Index("versions_by_path", "folder_id", "directory", "name"),
    Index("versions_by_state_of_file", "folder_id", "size", "mtime_ns"),
    # A file that was moved is found again by its inode or, touched or copied besides, by its content.
    Index("versions_by_inode", "folder_id", "inode"),
    Index("versions_by_content", "folder_id", "sha256"),
)

versions_to_search = _partial(
    "versions_to_search",
    versions.c.noticed_at,
    versions.c.id,
    versions.c.search_key,
    where=versions.c.baseline.is_(other=False),
)
"""Paths for a search to walk through, newest first, without reading a row of the table."""

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
SCREENING_FAILED: Final = versions.c.screening_failed_at.is_not(None)
"""Versions that wait because the program of `before_send` has failed on them."""

versions_screening_failed = _partial(
    "versions_screening_failed", versions.c.folder_id, versions.c.screening_failed_at, where=SCREENING_FAILED
)
IS_HERE: Final = versions.c.moved_to.is_(None)
"""Versions whose files dingwatch has not moved away."""

versions_moved = _partial(
    "versions_moved", versions.c.folder_id, versions.c.moved_to, where=versions.c.moved_to.is_not(None)
)

# 0 is added to hide `folder_id` from SQLite's planner, which would prefer an index of all folders.
IS_GIVEN: Final = (versions.c.folder_id + literal_column("0")).is_(None)
"""Versions given to `send`; they are pruned by time alone."""

versions_given = _partial("versions_given", versions.c.noticed_at, where=IS_GIVEN)

bundles = Table(
    "bundles",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    # The archive's, as people see it: by the folder and the time of the first file.
    Column("name", String, nullable=False),
)
"""Messages that several files of one folder share; the deliveries in one name it, all of one recipient."""

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
    # The message that it shares with others; `upload_key` is then the archive's.
    Column("bundle_id", ForeignKey("bundles.id"), key="bundle"),
    # Whether it waits for others to share a message with, until it is due.
    Column("gathering", Boolean, nullable=False, server_default=text("false")),
    # The number of its latest claim, which all rows of one job share, and the node that made it. An outcome
    # of an earlier claim does not change the row.
    Column("claim", BigInteger),
    Column("node", String),
    # The node whose file it is, of what `send` was given on a shared ledger.
    Column("given_to", String),
    UniqueConstraint("version_id", "recipient"),
    _one_of("state", State),
    _one_of("form", Form),
    _one_of("route", Route),
    # Each index serves some questions of the ledger's modules, which a test asks, and reads the plans.
    Index("deliveries_of_folder_by_time", "folder_id", "noticed_at"),
    # Without `state`, which changes four times for each file: keys lie all over this index, so that nearly
    # every change would be another page to write.
    Index("deliveries_of_upload", "upload_key"),
    Index("deliveries_counted", "folder_id", "recipient", "state"),
    # With the recipient and the others, `history` walks the past without reading rows that it does not show.
    Index("deliveries_by_time", "noticed_at", "id", "recipient", "folder_id", "version_id"),
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
"""Deliveries that wait for an upload and are not held, as `deliveries_to_upload` has them."""

deliveries_to_upload = _partial(
    "deliveries_to_upload",
    deliveries.c.route,
    deliveries.c.recipient,
    deliveries.c.folder_id,
    deliveries.c.settled_at,
    deliveries.c.id,
    where=IS_WAITING,
)

deliveries_sharing_upload = _partial(
    "deliveries_sharing_upload",
    deliveries.c.upload_key,
    # The same for all; but SQLite's planner prefers an index of which a query gives two columns.
    deliveries.c.state,
    where=IS_WAITING,
)
"""Deliveries that wait for one content, of which ten thousand copies may have been sent."""

deliveries_to_hold = _partial(
    "deliveries_to_hold", deliveries.c.folder_id, deliveries.c.noticed_at, where=IS_WAITING
)
"""Deliveries that a flood would hold."""

IS_HELD: Final = and_(is_in(deliveries, State.PENDING), deliveries.c.due >= literal_column(f"{HELD:.1f}"))
"""Deliveries under a flood hold."""

deliveries_held = _partial("deliveries_held", deliveries.c.folder_id, deliveries.c.due, where=IS_HELD)

IS_BUNDLED: Final = deliveries.c.bundle.is_not(None)
deliveries_of_bundle = _partial("deliveries_of_bundle", deliveries.c.bundle, where=IS_BUNDLED)

IS_GATHERING: Final = and_(is_in(deliveries, State.PENDING), deliveries.c.gathering.is_(other=True))
"""Deliveries that wait for others to share a message with, or are held meanwhile."""

deliveries_gathering = _partial(
    "deliveries_gathering",
    deliveries.c.folder_id,
    deliveries.c.recipient,
    deliveries.c.due,
    where=IS_GATHERING,
)

IS_DOUBTED_ONCE: Final = and_(is_in(deliveries, State.UNCERTAIN), deliveries.c.doubts == literal_column("1"))
"""Deliveries that `on_uncertain: resend` sends once more. After a second doubt they wait for a person."""

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
"""Deliveries that ended and were not sent for certain."""

deliveries_unresolved = _partial(
    "deliveries_unresolved",
    deliveries.c.state,
    deliveries.c.folder_id,
    deliveries.c.recipient,
    deliveries.c.code,
    deliveries.c.doubts,
    deliveries.c.id,
    where=is_in(deliveries, State.FAILED, State.UNCERTAIN),
)
"""Deliveries that wait for a person, grouped by cause; there may be a hundred thousand."""

IS_UNSETTLED: Final = or_(
    is_in(deliveries, State.FAILED, State.UNCERTAIN),
    and_(
        is_in(deliveries, State.SKIPPED),
        deliveries.c.code != literal_column(f"'{NOTICED}'"),
        deliveries.c.code != literal_column(f"'{IGNORED}'"),
    ),
)
"""Deliveries of which those who have dropped the files may have to be told."""

deliveries_to_report = _partial(
    "deliveries_to_report", deliveries.c.folder_id, deliveries.c.version_id, where=IS_UNSETTLED
)

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
    # Somebody was sent it whose copy may be the entry itself: it is never deleted.
    Column("kept", Boolean, nullable=False, server_default=text("false")),
    # The claim by which it is or was last `busy`, and the node that made it.
    Column("claim", BigInteger),
    Column("node", String),
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

deletions = Table(
    "deletions",
    metadata,
    Column("space_id", String, primary_key=True),
    Column("entry_id", String, primary_key=True),
    Column("folder_id", ForeignKey("folders.id"), nullable=False),
    Column("type", String, nullable=False),
    Column("name", String, nullable=False),
    Column("due", Double, nullable=False),
    # When the call was last about to leave: it may have had its effect.
    Column("asked_at", Double),
    Column("failures", Integer, nullable=False),
    # DingTalk took it; the name stays reserved until `due`.
    Column("done", Boolean, nullable=False),
)
"""Entries of the drive that `drive_keep` deletes; their uploads are forgotten already."""

drive_room = Table(
    "drive_room",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("asked_at", Double, nullable=False),
    # When DingTalk last said it; null where it never did.
    Column("said_at", Double),
    Column("used", BigInteger),
    Column("size", BigInteger),
)
"""The room in the organisation's storage, in one row."""

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
    # The node whose own trouble it is: its network, a mount, a program. Empty where it is everybody's.
    Column("node", String, primary_key=True, server_default=""),
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
    # The node that probes it after its end, and until when the others leave it to that one.
    Column("probed_by", String),
    Column("probed_until", Double),
    _one_of("scope", Scope),
)
"""Targets that are not called for a while, with the reason; the fields of a `model.Pause`."""

folder_pauses = Table(
    "folder_pauses",
    metadata,
    Column("folder_id", ForeignKey("folders.id"), primary_key=True),
    Column("since", Double, nullable=False),
    Column("until", Double),  # null: until somebody resumes the folder
    Column("paused_by", String, nullable=False),
    Column("reason", String, nullable=False),
)
"""Folders that a person has paused. They are apart from `pauses`, which probes, retries and restarts end."""

folder_links = Table(
    "folder_links",
    metadata,
    Column("digest", String, primary_key=True),
    Column("folder_id", ForeignKey("folders.id"), nullable=False),
    Column("made_at", Double, nullable=False),
)
"""Tokens that open the page of one folder, by their SHA-256 digests."""

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

outcomes = Table(
    "outcomes",
    metadata,
    # Quarters of an hour since the epoch: every time zone is a whole number of them away from UTC.
    Column("quarter", Integer, primary_key=True, autoincrement=False),
    # 0 for what `send` was given.
    Column("folder_id", Integer, primary_key=True, autoincrement=False),
    Column("sent", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
)
"""How many deliveries of a folder were sent and failed in a quarter of an hour, of the last days."""

refused_extensions = Table(
    "refused_extensions",
    metadata,
    Column("app", String, primary_key=True),
    Column("extension", String, primary_key=True),
    Column("since", Double, nullable=False),
)

moves = Table(
    "moves",
    metadata,
    Column("version_id", BigInteger, primary_key=True, autoincrement=False),
    Column("folder_id", ForeignKey("folders.id"), nullable=False),
    Column("phase", String, nullable=False),
    # Paths beneath the root: where the file was, where it is moved to, and where it is moved back to.
    Column("origin", LargeBinary, nullable=False),
    Column("place", LargeBinary, nullable=False),
    Column("back", LargeBinary),
    # What the file was right before it was moved.
    Column("size", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("inode", String, nullable=False),
    Column("device", String, nullable=False),
    # The node that moves it; empty where the ledger is not shared.
    Column("node", String, nullable=False, server_default=""),
    _one_of("phase", ("away", "there", "back")),
)
"""Files on their way: written down before they are moved `away` or `back`, and looked at while `there`."""

sidecars = Table(
    "sidecars",
    metadata,
    Column("folder_id", ForeignKey("folders.id"), primary_key=True),
    Column("path", LargeBinary, primary_key=True),
    Column("version_id", BigInteger),  # null: the one that lists all
    Column("content", LargeBinary, nullable=False),
    Column("phase", String, nullable=False),
    # The node that wrote it; empty where the ledger is not shared.
    Column("node", String, nullable=False, server_default=""),
    _one_of("phase", ("planned", "written", "unwanted")),
)
"""Files that tell people in a folder what was not sent; each is written down before it is made or removed."""


alert_troubles = Table(
    "alert_troubles",
    metadata,
    Column("topic", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("since", Double, nullable=False),
    Column("newest", BigInteger, nullable=False),
    Column("risen_at", Double),
    Column("gone_at", Double),
    Column("told_at", Double),
)
"""Troubles that need a person or have just ended; the fields of an `alerts.Trouble`."""

alerts_heard = Table(
    "alerts_heard",
    metadata,
    Column("recipient", String, primary_key=True),
    Column("topic", String, primary_key=True),
    Column("key", String, primary_key=True),
    # The trouble's at the time; the number of the day for a daily summary.
    Column("newest", BigInteger, nullable=False),
)
"""Alerts that each recipient has got."""

alert_messages = Table(
    "alert_messages",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("at", Double, nullable=False),
)
"""When alerts were sent within the last hour."""

# --- Several nodes -------------------------------------------------------------------------------

nodes = Table(
    "nodes",
    metadata,
    Column("name", String, primary_key=True),
    # Drawn by each process, with the app that it works for (`4f3a…/dingxxxx`): a node that finds another one
    # here has lost its lease.
    Column("instance", String, nullable=False),
    Column("started_at", Double, nullable=False),
    # By the database's clock, as all instants of a shared ledger.
    Column("lease_until", Double, nullable=False),
    Column("draining", Boolean, nullable=False, server_default=text("false")),
    # The number of the last transaction of its delivery loop: whether a commit whose answer was lost took
    # place is read here.
    Column("tick", BigInteger, nullable=False, server_default=text("0")),
    # The history of the database that it has last compared with what it remembers; another one after each
    # failover.
    Column("timeline", String, nullable=False, server_default=""),
)
"""The hosts that work on a shared ledger."""

in_flight = Table(
    "in_flight",
    metadata,
    Column("recipient", String, primary_key=True),
    Column("claim", BigInteger, nullable=False),
    Column("node", String, nullable=False),
    # One page to write for each change instead of two.
    sqlite_with_rowid=False,
)
"""The message that is on its way to each recipient, a caption included: there is never a second one."""

screenings = Table(
    "screenings",
    metadata,
    Column("version_id", BigInteger, primary_key=True, autoincrement=False),
    Column("claim", BigInteger, nullable=False),
    Column("node", String, nullable=False),
)
"""The versions that the program of `before_send` is asked about now, each on one node."""

captioned = Table(
    "captioned",
    metadata,
    Column("recipient", String, primary_key=True),
    Column("node", String, nullable=False),
    Column("at", Double, nullable=False),
)
"""The recipients whose last message is a caption, and the node that has its file, which comes next."""

folders_down = Table(
    "folders_down",
    metadata,
    Column("folder_id", ForeignKey("folders.id"), primary_key=True),
    Column("node", String, primary_key=True),
    # Why, where that is known.
    Column("code", String),
    Column("message", String),
    Column("advice", String),
)
"""The folders that a node cannot watch now, for the one that tells people of it."""

tellers = Table("tellers", metadata, Column("node", String, primary_key=True))
"""The nodes that know whom to tell of troubles (`alerts.to`); one of them does so for all."""

slots = Table(
    "slots",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("node", String, nullable=False),
    Column("at", Double, nullable=False),
    Column("scope", String, nullable=False),
    Column("key", String, nullable=False),
    _one_of("scope", Scope),
)
"""The slots of the pace that the nodes took in the last minutes, so that all together keep to it."""

fingerprints = Table(
    "fingerprints",
    metadata,
    Column("version_id", ForeignKey("versions.id", ondelete="CASCADE"), primary_key=True),
    Column("node", String, primary_key=True),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("ctime_ns", BigInteger, nullable=False),
    Column("inode", String, nullable=False),
    Column("device", String, nullable=False),
    # When the node last recorded it, by the ledger's clock.
    Column("seen_at", Double, nullable=False),
    # When the node itself first missed the file; `versions` has when that was believed.
    Column("missing_since", Double),
    Index("fingerprints_by_inode", "node", "inode"),
)
"""Versions of shared folders as each node sees them: one mount has nanoseconds where another has seconds."""

fingerprints_missing = _partial(
    "fingerprints_missing",
    fingerprints.c.node,
    fingerprints.c.version_id,
    where=fingerprints.c.missing_since.is_not(None),
)

successors = Table("successors", metadata, Column("url", String, primary_key=True))
"""Where the ledger was copied to, without its password: no service works on this one any more."""

revision = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""Alembic's own table with the number of the schema, as it makes it in a ledger that it migrates."""


def make_indexes_partial_on_postgresql() -> None:
    """Give the partial indexes their conditions on PostgreSQL, too, which also stores what it computes.

    They do not have them from the beginning: to check that option, SQLAlchemy imports the whole dialect,
    which would take 2 MB of each service with SQLite.
    """
    computed = versions.c.search_key.computed
    assert computed is not None  # noqa: S101 (the column has it)
    computed.persisted = True
    for index in (index for table in metadata.tables.values() for index in table.indexes):
        index.dialect_options["postgresql"]["where"] = index.dialect_options["sqlite"]["where"]
