"""Claims and outcomes: what delivery takes from the ledger, and how it writes down what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    and_,
    bindparam,
    exists,
    func,
    or_,
    select,
    update,
)

from dingwatch.dress import Dress
from dingwatch.ledger import transitions
from dingwatch.ledger.floods import HELD
from dingwatch.ledger.prepared import Prepared
from dingwatch.ledger.schema import (
    deliveries,
    history,
    refused_extensions,
    routes,
    uploads,
    versions,
)
from dingwatch.ledger.store import Store
from dingwatch.ledger.transitions import Change, chunks
from dingwatch.ledger.versions import join, upload_row
from dingwatch.lifecycle import IN_HAND, IN_WORK, PERHAPS_SEEN, Event, State
from dingwatch.model import Cause, Fingerprint, Form, Recipient, RecipientKind, Route
from dingwatch.policy import Standing


@dataclass(frozen=True, slots=True)
class Delivery:
    """One row of the outbox with what is needed to carry it out."""

    id: int
    version: int
    folder: int | None
    path: bytes
    fingerprint: Fingerprint
    digest: str
    conversation: str
    state: State
    form: Form
    route: Route
    upload_key: str
    due: float
    settled_at: float
    uploaded_at: float | None
    doubts: int
    doubted_at: float | None
    failures: int
    waited: float
    media_losses: int
    crashes: int
    missing_since: float | None
    """Since when intake knows that its file is not there."""
    announced_at: float | None
    """When the line before the file left."""
    upload_state: str
    upload_type: str
    upload_name: str
    media_id: str | None
    space_id: str | None
    """The space of the drive that holds the upload."""
    older_in_flight: bool | int = False
    """An older version of its path may be on its way to the same conversation."""
    upload_ahead: bool | int = False
    """A file that settled earlier is in, or before, its first upload to the same conversation."""

    @property
    def standing(self) -> Standing:
        """What it has been through."""
        return Standing(self.state, self.failures, self.waited, self.media_losses, self.form)

    @property
    def recipient(self) -> Recipient:
        """Whom it is for."""
        return Recipient.of(self.conversation)

    @property
    def name(self) -> bytes:
        """The file's name."""
        return self.path.rpartition(b"/")[2]


_WHOLE: Final = (
    select(
        deliveries.c.id,
        deliveries.c.version_id,
        deliveries.c.folder_id,
        versions.c.directory,
        versions.c.name,
        versions.c.size,
        versions.c.mtime_ns,
        versions.c.ctime_ns,
        versions.c.inode,
        versions.c.device,
        versions.c.sha256,
        deliveries.c.conversation_id,
        deliveries.c.state,
        deliveries.c.form,
        deliveries.c.route,
        deliveries.c.upload_key,
        deliveries.c.due,
        deliveries.c.settled_at,
        deliveries.c.uploaded_at,
        deliveries.c.doubts,
        deliveries.c.doubted_at,
        deliveries.c.failures,
        deliveries.c.waited,
        deliveries.c.media_losses,
        deliveries.c.crashes,
        versions.c.missing_since,
        deliveries.c.announced_at,
        uploads.c.state.label("upload_state"),
        uploads.c.type.label("upload_type"),
        uploads.c.name.label("upload_name"),
        uploads.c.media_id,
        uploads.c.space_id,
    )
    .join(versions, versions.c.id == deliveries.c.version_id)
    .join(uploads, uploads.c.key == deliveries.c.upload_key)
)


def _delivery(row: Sequence[Any]) -> Delivery:
    """Make a delivery of a row of `_WHOLE`, with what a query adds at its end."""
    (number, version, folder, directory, name, size, mtime, ctime, inode, device, digest, *rest) = row
    conversation, state, form, route, *facts = rest
    fingerprint = Fingerprint(size, mtime, ctime, int(inode), int(device))
    kinds = (State(state), Form(form), Route(route))
    return Delivery(
        number, version, folder, join(directory, name), fingerprint, digest, conversation, *kinds, *facts
    )


@dataclass(frozen=True, slots=True)
class Held:
    """What is not to be claimed now: paused conversations and folders."""

    conversations: tuple[str, ...] = ()
    folders: tuple[int, ...] = ()


def _mapped(rows: FromClause) -> ColumnElement[bool]:
    """Rows whose folder and conversation the configuration maps, and what `send` was given."""
    return or_(
        rows.c.folder_id.is_(None),
        exists().where(
            routes.c.folder_id == rows.c.folder_id, routes.c.conversation_id == rows.c.conversation_id
        ),
    )


_MAPPED: Final = _mapped(deliveries)


def _in(rows: FromClause, *states: State) -> ColumnElement[bool]:
    """Rows in one of these states; SQLite plans it as it does `IN`."""
    return or_(*(rows.c.state == state for state in states))


def _due(state: State) -> ColumnElement[bool]:
    """Rows of this state that are due and mapped.

    Most rows that wait are due: by an index of their dues all of them would be read, and sorted, each time.
    """
    return and_(deliveries.c.state == state, deliveries.c.due + 0 <= bindparam("now"), _MAPPED)


_NOT_HELD: Final = and_(
    deliveries.c.conversation_id.not_in(bindparam("conversations", expanding=True)),
    or_(
        deliveries.c.folder_id.is_(None),
        deliveries.c.folder_id.not_in(bindparam("folders", expanding=True)),
    ),
)


def is_free(held: Held, now: float) -> ColumnElement[bool]:
    """Rows that are due, mapped, and under none of these pauses."""
    folder = or_(deliveries.c.folder_id.is_(None), deliveries.c.folder_id.not_in(held.folders))
    mine = deliveries.c.conversation_id.not_in(held.conversations)
    return and_(deliveries.c.due <= now, _MAPPED, mine, folder)


class _Free:
    """A query for rows that no pause holds; the plain one serves while there is no such pause."""

    def __init__(self, query: Select[Any]) -> None:
        self._plain = Prepared(query)
        self._held = query.where(_NOT_HELD)

    def rows(self, connection: Connection, held: Held, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        """Run the query."""
        if not held.conversations and not held.folders:
            return self._plain.rows(connection, values)
        more = {"conversations": held.conversations, "folders": held.folders}
        return connection.execute(self._held, {**values, **more}).all()


_FIRST_KEYS: Final = _Free(
    select(deliveries.c.upload_key)
    .join(uploads, uploads.c.key == deliveries.c.upload_key)
    .where(_due(State.PENDING), uploads.c.state != "busy", deliveries.c.route == bindparam("route"))
    .order_by(deliveries.c.settled_at, deliveries.c.id)
    .limit(bindparam("limit"))
)
_TOGETHER: Final = _Free(_WHOLE.where(_due(State.PENDING), deliveries.c.upload_key == bindparam("upload")))


def to_upload(
    connection: Connection, held: Held, now: float, limit: int, route: Route = Route.ROBOT
) -> list[list[Delivery]]:
    """Return up to `limit` contents to be uploaded, each with all its due rows, earliest settled first."""
    first = _FIRST_KEYS.rows(connection, held, {"now": now, "limit": 4 * limit, "route": route})
    keys = list(dict.fromkeys(row[0] for row in first))[:limit]
    return [_of_upload(connection, held, now, key) for key in keys]


def _of_upload(connection: Connection, held: Held, now: float, key: str) -> list[Delivery]:
    # Sorted here: asked to sort, SQLite would walk all pending rows in that order instead of using the key.
    rows = map(_delivery, _TOGETHER.rows(connection, held, {"now": now, "upload": key}))
    return sorted(rows, key=lambda one: (one.settled_at, one.id))


_WAITING: Final = select(deliveries.c.conversation_id).where(deliveries.c.state == State.UPLOADED).distinct()


def conversations_waiting(connection: Connection) -> list[str]:
    """Return the conversations that have something uploaded."""
    return list(connection.scalars(_WAITING))


_EARLIER: Final = deliveries.alias("earlier")
_AHEAD: Final = exists().where(
    _in(_EARLIER, State.PENDING, State.UPLOADING),
    _EARLIER.c.conversation_id == deliveries.c.conversation_id,
    _EARLIER.c.settled_at < deliveries.c.settled_at,
    _EARLIER.c.due <= bindparam("now"),
    _EARLIER.c.failures == 0,
    _EARLIER.c.route == Route.ROBOT,
    _mapped(_EARLIER),
)
_OLDER_VERSION: Final = versions.alias("older_version")
_OLDER: Final = deliveries.alias("older")
_OLDER_ROWS: Final = (
    _OLDER_VERSION.c.folder_id == versions.c.folder_id,
    _OLDER_VERSION.c.directory == versions.c.directory,
    _OLDER_VERSION.c.name == versions.c.name,
    _OLDER_VERSION.c.id < versions.c.id,
    _OLDER.c.version_id == _OLDER_VERSION.c.id,
    _OLDER.c.conversation_id == deliveries.c.conversation_id,
    _in(_OLDER, State.SENDING, State.UNCERTAIN, State.UPLOADED),
)
_UPLOADED: Final = _WHOLE.add_columns(
    exists().where(*_OLDER_ROWS).label("older_in_flight"), _AHEAD.label("upload_ahead")
).where(_due(State.UPLOADED), deliveries.c.conversation_id == bindparam("conversation"))
_NEXT: Final = _Free(_UPLOADED.order_by(deliveries.c.settled_at, deliveries.c.id).limit(bindparam("limit")))
_NEXT_ENTRY: Final = _Free(
    _UPLOADED.where(deliveries.c.route == Route.DRIVE)
    .order_by(deliveries.c.settled_at, deliveries.c.id)
    .limit(bindparam("limit"))
)
_THIS: Final = _Free(_UPLOADED.where(deliveries.c.id == bindparam("delivery")))


def next_to_send(
    connection: Connection, held: Held, now: float, conversation: str, limit: int = 4
) -> list[Delivery]:
    """Return the first rows of one conversation that are uploaded and due, earliest settled first."""
    values = {"now": now, "conversation": conversation, "limit": limit}
    return [_delivery(row) for row in _NEXT.rows(connection, held, values)]


def next_entry_to_send(
    connection: Connection, held: Held, now: float, conversation: str, limit: int = 4
) -> list[Delivery]:
    """Return the first of them that go by the drive."""
    values = {"now": now, "conversation": conversation, "limit": limit}
    return [_delivery(row) for row in _NEXT_ENTRY.rows(connection, held, values)]


def this_to_send(
    connection: Connection, held: Held, now: float, conversation: str, delivery: int
) -> list[Delivery]:
    """Return one row of a conversation, if it is among those that are uploaded and due."""
    values = {"now": now, "conversation": conversation, "delivery": delivery}
    return [_delivery(row) for row in _THIS.rows(connection, held, values)]


_PERSONS: Final = Prepared(
    select(deliveries.c.conversation_id)
    .where(deliveries.c.version_id == bindparam("version"), _due(State.UPLOADED))
    .where(deliveries.c.route == Route.ROBOT, deliveries.c.conversation_id.like(f"{RecipientKind.PERSON}:%"))
    .order_by(deliveries.c.id)
)


def persons_waiting(connection: Connection, now: float, version: int) -> list[str]:
    """Return the persons for whom a version is uploaded and due."""
    return [row[0] for row in _PERSONS.rows(connection, {"now": now, "version": version})]


# --- The line before a file ----------------------------------------------------------------------

_SENT_BEFORE: Final = Prepared(
    select(_OLDER.c.id)
    .select_from(deliveries)
    .join(versions, versions.c.id == deliveries.c.version_id)
    .join(_OLDER_VERSION, _OLDER_VERSION.c.folder_id == versions.c.folder_id)
    .join(_OLDER, _OLDER.c.version_id == _OLDER_VERSION.c.id)
    .where(
        deliveries.c.id == bindparam("delivery"),
        _OLDER_VERSION.c.directory == versions.c.directory,
        _OLDER_VERSION.c.name == versions.c.name,
        _OLDER_VERSION.c.id < versions.c.id,
        _OLDER.c.conversation_id == deliveries.c.conversation_id,
        _OLDER.c.state == State.SENT,
    )
    .limit(1)
)


def sent_before(connection: Connection, delivery: int) -> bool:
    """Say whether an earlier version of a row's path was sent to the same recipient."""
    return bool(_SENT_BEFORE.rows(connection, {"delivery": delivery}))


_ANNOUNCE: Final = Prepared(
    update(deliveries).where(deliveries.c.id == bindparam("row")).values(announced_at=bindparam("at"))
)
_UNANNOUNCE: Final = Prepared(
    update(deliveries)
    .where(deliveries.c.id == bindparam("row"))
    .values(
        announced_at=None, due=bindparam("to_due"), failures=deliveries.c.failures + bindparam("refusals")
    )
)


def announce(connection: Connection, ids: Sequence[int], now: float) -> None:
    """Write down that the line before these files is about to leave: it never leaves twice."""
    _ANNOUNCE.many(connection, [{"row": i, "at": now} for i in ids])


def unannounce(connection: Connection, ids: Sequence[int], due: float, *, refused: bool) -> None:
    """The line certainly was not sent: it is due again; `refused` counts against the rows."""
    _UNANNOUNCE.many(connection, [{"row": i, "to_due": due, "refusals": int(refused)} for i in ids])


_ANNOUNCED: Final = (
    select(deliveries.c.conversation_id, deliveries.c.id)
    .where(deliveries.c.state == State.UPLOADED, deliveries.c.announced_at.is_not(None))
    .order_by(deliveries.c.announced_at)
)


def announced(connection: Connection) -> dict[str, int]:
    """Return, by conversation, the row whose line was the last message there."""
    return {row[0]: row[1] for row in connection.execute(_ANNOUNCED)}


_BLOCKERS: Final = (
    select(_OLDER.c.state, _OLDER.c.doubts)
    .select_from(deliveries)
    .join(versions, versions.c.id == deliveries.c.version_id)
    .join(_OLDER_VERSION, _OLDER_VERSION.c.folder_id == versions.c.folder_id)
    .join(_OLDER, _OLDER.c.version_id == _OLDER_VERSION.c.id)
    .where(deliveries.c.id == bindparam("delivery"), *_OLDER_ROWS)
)


def older_blocks(connection: Connection, delivery: Delivery, *, resends: bool) -> bool:
    """Say whether an older version of the path is being sent, or will be sent again by itself."""
    return any(
        state == State.SENDING
        or (state == State.UNCERTAIN and resends and doubts == 1)
        or (state == State.UPLOADED and doubts > 0)
        for state, doubts in connection.execute(_BLOCKERS, {"delivery": delivery.id})
    )


_NEWER_VERSION: Final = versions.alias("newer_version")
_NEWER: Final = deliveries.alias("newer")
_OVERTAKEN: Final = Prepared(
    select(deliveries.c.id)
    .join(versions, versions.c.id == deliveries.c.version_id)
    .where(
        deliveries.c.id == bindparam("delivery"),
        _in(deliveries, State.PENDING, State.UPLOADED),
        exists().where(
            _NEWER_VERSION.c.folder_id == versions.c.folder_id,
            _NEWER_VERSION.c.directory == versions.c.directory,
            _NEWER_VERSION.c.name == versions.c.name,
            _NEWER.c.settled_at > deliveries.c.settled_at,  # what a person retries has settled anew
            _NEWER.c.version_id == _NEWER_VERSION.c.id,
            _NEWER.c.conversation_id == deliveries.c.conversation_id,
            _in(_NEWER, *sorted(IN_WORK | PERHAPS_SEEN)),
        ),
    )
)


def overtaken(connection: Connection, ids: Sequence[int]) -> list[int]:
    """Return those of these rows that wait, while a newer version of their path is in work or sent."""
    return [row[0] for i in ids for row in _OVERTAKEN.rows(connection, {"delivery": i})]


_BY_ID: Final = Prepared(_WHOLE.where(deliveries.c.id == bindparam("delivery")))


def by_id(connection: Connection, ids: Sequence[int]) -> dict[int, Delivery]:
    """Return rows as they stand now."""
    return {i: _delivery(row) for i in ids for row in _BY_ID.rows(connection, {"delivery": i})}


_CAUSES: Final = select(
    deliveries.c.id, deliveries.c.code, deliveries.c.message, deliveries.c.advice, deliveries.c.request_id
).where(deliveries.c.id.in_(bindparam("ids", expanding=True)), deliveries.c.code.is_not(None))


def causes(connection: Connection, ids: Sequence[int]) -> dict[int, Cause]:
    """Return the last cause of each row that has one."""
    return {
        row.id: Cause(row.code, row.message, row.advice, row.request_id)
        for some in chunks(ids)
        for row in connection.execute(_CAUSES, {"ids": some})
    }


_DOUBTED: Final = _WHOLE.where(deliveries.c.state == State.UNCERTAIN, deliveries.c.doubts == 1, _MAPPED)


def doubted_once(connection: Connection) -> list[Delivery]:
    """Return the uncertain rows that `on_uncertain: resend` sends once more."""
    return [_delivery(row) for row in connection.execute(_DOUBTED)]


# --- When something is due ---------------------------------------------------------------------

_NEXT_DUE: Final = select(func.min(deliveries.c.due)).where(
    deliveries.c.state.in_((State.PENDING, State.UPLOADED)),
    deliveries.c.due > bindparam("now"),
    deliveries.c.due < HELD,
    _MAPPED,
)


def next_due(connection: Connection, now: float) -> float | None:
    """Return the next instant at which a row that waits is due; None when none waits."""
    due: float | None = connection.scalar(_NEXT_DUE, {"now": now})
    return due


# --- Uploads -----------------------------------------------------------------------------------


_SET: Final = Prepared(
    update(uploads)
    .where(uploads.c.key == bindparam("upload"))
    .values(state=bindparam("to_state"), media_id=None, uploaded_at=None)
)


def upload_states(connection: Connection, keys: Sequence[str], state: str) -> None:
    """Set uploads `busy`, or back to `none` (which forgets the media id)."""
    _SET.many(connection, [{"upload": key, "to_state": state} for key in keys])


_LOST: Final = Prepared(
    update(uploads)
    .where(uploads.c.key == bindparam("upload"), uploads.c.media_id == bindparam("media"))
    .values(state="none", media_id=None, uploaded_at=None)
)


def media_lost(connection: Connection, key: str, media_id: str | None) -> None:
    """Forget a media id, unless another has taken its place."""
    _LOST.many(connection, [{"upload": key, "media": media_id}])


_HAVE: Final = Prepared(
    update(uploads)
    .where(uploads.c.key == bindparam("upload"))
    .values(
        state="have", media_id=bindparam("media"), space_id=bindparam("space"), uploaded_at=bindparam("at")
    )
)


@dataclass(frozen=True, slots=True)
class Had:
    """A content that DingTalk has now: its upload's key, and its media id or its entry's id and space."""

    upload: str
    media_id: str
    space_id: str | None


def uploaded(connection: Connection, had: Sequence[Had], now: float) -> None:
    """Write down contents that DingTalk has now."""
    rows = [{"upload": x.upload, "media": x.media_id, "space": x.space_id, "at": now} for x in had]
    _HAVE.many(connection, rows)


def redress(store: Store, connection: Connection, ids: Sequence[int], dress: Dress) -> None:
    """Give rows another form, and with it another upload."""
    store.insert_missing(connection, uploads, [upload_row(dress)])
    connection.execute(
        update(deliveries)
        .where(deliveries.c.id.in_(ids))
        .values(form=dress.form, route=dress.route, upload_key=dress.key.id)
    )


def refuse_extension(store: Store, connection: Connection, app: str, extension: str, now: float) -> None:
    """Remember an extension that DingTalk refused, so that it costs one refused call in all."""
    store.insert_missing(connection, refused_extensions, [{"app": app, "extension": extension, "since": now}])


def extensions_refused(connection: Connection, app: str) -> frozenset[str]:
    """Return the extensions that DingTalk has refused."""
    return frozenset(
        connection.scalars(select(refused_extensions.c.extension).where(refused_extensions.c.app == app))
    )


# --- The latest claims -----------------------------------------------------------------------

_RECENT: Final = (
    select(history.c.after, history.c.at, deliveries.c.conversation_id)
    .join(deliveries, deliveries.c.id == history.c.delivery_id)
    .where(history.c.after.in_((State.UPLOADING, State.SENDING)), history.c.event == Event.CLAIM)
    .where(history.c.at > bindparam("since"))
    .order_by(history.c.at)
)


def recent_claims(connection: Connection, since: float) -> list[tuple[State, float, str]]:
    """Return (state, instant, conversation) of the latest claims, for a pace that survives a restart."""
    return [
        (State(after), at, conversation)
        for after, at, conversation in connection.execute(_RECENT, {"since": since})
    ]


_RECENT_LINES: Final = select(deliveries.c.announced_at, deliveries.c.conversation_id).where(
    deliveries.c.announced_at > bindparam("since")
)


def recent_lines(connection: Connection, since: float) -> list[tuple[float, str]]:
    """Return (instant, conversation) of the latest lines before files; this looks at every delivery."""
    return [(at, conversation) for at, conversation in connection.execute(_RECENT_LINES, {"since": since})]


# --- Recovery ----------------------------------------------------------------------------------


def recover(connection: Connection, now: float) -> list[Delivery]:
    """Apply `crash` to what a process that died had in hand; return those rows as they were.

    This is the only repair path; it runs once, before anything is claimed.
    """
    rows = [
        _delivery(row) for row in connection.execute(_WHOLE.where(deliveries.c.state.in_(sorted(IN_HAND))))
    ]
    changes = [
        Change(
            row.id,
            Event.CRASH,
            row.state,
            Cause("crash", "", "CRASHED"),
            {
                "crashes": row.crashes + 1,
                "due": now,
                "doubts": row.doubts + (row.state is State.SENDING),
                "doubted_at": now if row.state is State.SENDING else row.doubted_at,
            },
        )
        for row in rows
    ]
    transitions.apply(connection, now, changes)
    connection.execute(update(uploads).where(uploads.c.state == "busy").values(state="none"))
    return rows


_CRASHED: Final = (
    select(deliveries.c.id)
    .where(deliveries.c.crashes > 0, deliveries.c.state.in_((State.PENDING, State.UPLOADED)), _MAPPED)
    .where(deliveries.c.due < HELD)
    .order_by(deliveries.c.settled_at, deliveries.c.id)
)


def crashed(connection: Connection) -> list[int]:
    """Return the rows that were in hand at a crash and are to go first, one at a time."""
    return list(connection.scalars(_CRASHED))
