"""The queues of the delivery loop: which uploads and messages are next, and what must wait for others.

A row is claimed when it is due, a node still maps its folder to its recipient (`routing` says which node may
do what), and no pause holds the recipient or the folder. The earliest settled goes first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, Final

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    FromClause,
    ScalarSelect,
    Select,
    and_,
    bindparam,
    case,
    exists,
    func,
    or_,
    select,
)

from dingwatch.ledger.delivery import WHOLE, Delivery, delivery_of
from dingwatch.ledger.routing import (
    IS_FOR_ANY,
    IS_GIVEN_HERE,
    IS_LIVE,
    IS_MAPPED,
    IS_OWN,
    IS_SENDABLE,
    NODE,
    is_live,
    own,
)
from dingwatch.ledger.schema import (
    HAS_CRASHED,
    HAS_NAME,
    IS_DOUBTED_ONCE,
    IS_WAITING,
    NOT_HELD,
    deliveries,
    history,
    is_in,
    is_in_work,
    routes,
    uploads,
    versions,
)
from dingwatch.ledger.store import Prepared
from dingwatch.lifecycle import IN_WORK, PERHAPS_SEEN, State
from dingwatch.model import Route


@dataclass(frozen=True, slots=True)
class Paused:
    """The recipients and folders of which nothing is claimed now."""

    recipients: tuple[str, ...] = ()
    folders: tuple[int, ...] = ()


def _is_due(state: State) -> ColumnElement[bool]:
    """Match rows of this state that are due.

    After a burst nearly every waiting row is due. Adding 0 hides `due` from the planner, which would
    otherwise read and sort all of those rows by the index of dues each time.
    """
    return and_(is_in(deliveries, state), deliveries.c.due + 0 <= bindparam("now"))


def _is_in_free_folder(rows: FromClause) -> ColumnElement[bool]:
    return or_(rows.c.folder_id.is_(None), rows.c.folder_id.not_in(bindparam("folders", expanding=True)))


_NOT_PAUSED: Final = and_(
    deliveries.c.recipient.not_in(bindparam("recipients", expanding=True)), _is_in_free_folder(deliveries)
)


class _FreeQuery:
    """A query for rows that no pause holds; while nothing is paused it runs without that condition.

    `with_pauses` is the query with the condition, where that belongs elsewhere than at its end.
    """

    def __init__(self, query: Select[Any], with_pauses: Select[Any] | None = None) -> None:
        self._unpaused = Prepared(query)
        self._with_pauses = query.where(_NOT_PAUSED) if with_pauses is None else with_pauses

    def rows(
        self, connection: Connection, paused: Paused, values: Mapping[str, Any]
    ) -> Sequence[Sequence[Any]]:
        """Run the query."""
        values = {**values, **own(connection)}
        if not paused.recipients and not paused.folders:
            return self._unpaused.rows(connection, values)
        pauses = {"recipients": paused.recipients, "folders": paused.folders}
        return connection.execute(self._with_pauses, {**values, **pauses}).all()


_WAITING: Final = (State.PENDING, State.UPLOADED)
_FIRST_DUE: Final = select(deliveries.c.due).limit(1)
_HAS_DUE: Final = {
    state: Prepared(
        _FIRST_DUE.where(is_in(deliveries, state), NOT_HELD, deliveries.c.due <= bindparam("now"))
        # PostgreSQL, which thinks that any row will do, would else read the table until it meets one.
        .order_by(deliveries.c.due)
    )
    for state in _WAITING
}


def _next_due(state: State) -> ScalarSelect[Any]:
    is_later = and_(is_in(deliveries, state), deliveries.c.due > bindparam("now"), NOT_HELD)
    may_go = IS_OWN if state is State.PENDING else or_(IS_OWN, IS_FOR_ANY)
    return _FIRST_DUE.where(is_later, may_go).order_by(deliveries.c.due).scalar_subquery()


_NEXT_DUE: Final = Prepared(select(*map(_next_due, _WAITING)))


def has_due(connection: Connection, state: State, now: float) -> bool:
    """Return whether any row that waits in this state (`pending` or `uploaded`) is due, mapped or not.

    This looks at one entry of an index. The queries below walk all rows of the state, and a folder on flood
    hold may have 100,000 pending ones of which none is due.
    """
    return bool(_HAS_DUE[state].rows(connection, {"now": now}))


def next_due(connection: Connection, now: float) -> float:
    """Return the next instant at which a row that waits is due; infinity when none waits."""
    (dues,) = _NEXT_DUE.rows(connection, {"now": now, **own(connection)})
    return min((due for due in dues if due is not None), default=inf)


# --- Uploads -------------------------------------------------------------------------------------

# Uploads take turns: by recipient, then by folder, then by age. Here are the questions that the loop asks to
# give them; each is answered by the partial index `TO_UPLOAD`, however many rows wait.


@dataclass(frozen=True, slots=True)
class UploadQueue:
    """The queue of one route, recipient and folder; the oldest goes first."""

    route: Route
    recipient: str
    folder: int | None


def _each_value(column: ColumnElement[Any], *condition: ColumnElement[bool]) -> CTE:
    """Return the different values of a column and then one NULL, each found from the one before by an index.

    A `DISTINCT` would read all rows, which for a backlog or a paused recipient may be tens of thousands.
    """
    first = select(column).where(*condition, column.is_not(None)).order_by(column).limit(1)
    found = select(first.scalar_subquery().label("value")).cte("found", recursive=True)
    following = first.where(column > found.c.value).scalar_subquery()
    return found.union_all(select(following).where(found.c.value.is_not(None)))


def _each_recipient(index: str, *condition: ColumnElement[bool]) -> Prepared:
    each = _each_value(deliveries.c.recipient, *condition)
    return Prepared(select(each.c.value).where(each.c.value.is_not(None)), index=index)


TO_UPLOAD: Final = "deliveries_to_upload"
_BY_ROUTE: Final = (IS_WAITING, deliveries.c.route == bindparam("route"))
_FOR_RECIPIENT: Final = (*_BY_ROUTE, deliveries.c.recipient == bindparam("recipient"))
_TO_UPLOAD_FOR: Final = _each_recipient(TO_UPLOAD, *_BY_ROUTE)
_EACH_FOLDER: Final = _each_value(deliveries.c.folder_id, *_FOR_RECIPIENT)
_FROM_NO_FOLDER: Final = exists().where(*_FOR_RECIPIENT, deliveries.c.folder_id.is_(None), IS_GIVEN_HERE)
_IS_ROUTE: Final = exists().where(
    routes.c.folder_id == _EACH_FOLDER.c.value,
    routes.c.recipient == bindparam("recipient"),
    routes.c.node == bindparam(NODE),
)
_FOLDERS_TO_UPLOAD: Final = Prepared(
    # The NULL at the end of the folders stands for none.
    select(_EACH_FOLDER.c.value).where(
        case((_EACH_FOLDER.c.value.is_(None), _FROM_NO_FOLDER), else_=_IS_ROUTE)
    ),
    index=TO_UPLOAD,
)


FOLDERS_ELSEWHERE: Final = Prepared(
    select(_EACH_FOLDER.c.value)
    .where(
        _EACH_FOLDER.c.value.is_not(None),
        exists().where(
            routes.c.folder_id == _EACH_FOLDER.c.value,
            routes.c.recipient == bindparam("recipient"),
            routes.c.node != bindparam(NODE),
        ),
    )
    .limit(1),
    index=TO_UPLOAD,
)
"""The folders of other nodes from which something waits for a recipient."""


def recipients_to_upload(connection: Connection, route: Route) -> list[str]:
    """Return the recipients for whom something waits to be uploaded by this route, due or not."""
    return [row[0] for row in _TO_UPLOAD_FOR.rows(connection, {"route": route})]


def folders_to_upload(connection: Connection, route: Route, recipient: str) -> list[int | None]:
    """Return the folders from which something waits for a recipient, and that this node maps to it.

    None stands for the files that `send` was given.
    """
    values = {"route": route, "recipient": recipient, **own(connection)}
    found = _FOLDERS_TO_UPLOAD.rows(connection, values)
    return [row[0] for row in found]


_FIRST_CONTENTS: Final = Prepared(
    select(deliveries.c.upload_key, deliveries.c.settled_at)
    .join(uploads, uploads.c.key == deliveries.c.upload_key)
    .where(
        *_FOR_RECIPIENT,
        deliveries.c.folder_id.is_not_distinct_from(bindparam("folder")),
        deliveries.c.due + 0 <= bindparam("now"),
        ~deliveries.c.gathering,
        uploads.c.state != "busy",
        IS_OWN,
    )
    .order_by(deliveries.c.settled_at, deliveries.c.id)
    .limit(bindparam("limit")),
    index=TO_UPLOAD,
)
_OF_UPLOAD: Final = _FreeQuery(
    WHOLE.where(
        *(IS_WAITING, _is_due(State.PENDING), ~deliveries.c.gathering, IS_OWN),
        deliveries.c.upload_key == bindparam("upload"),
    )
)


def first_contents(
    connection: Connection, paused: Paused, now: float, queue: UploadQueue, limit: int
) -> Iterator[list[Delivery]]:
    """Yield the first contents of a queue, each with all its due rows: first the queue's own, then by age.

    A content that ten recipients wait for is uploaded once, for all of them.
    """
    for key in _first_keys(connection, now, queue, limit):
        rows = map(delivery_of, _OF_UPLOAD.rows(connection, paused, {"now": now, "upload": key}))
        # Sorted here: to sort, SQLite would walk all pending rows in that order instead of using the key.
        by_age = sorted(rows, key=lambda row: (row.settled_at, row.id))
        own = [row for row in by_age if (row.recipient, row.folder) == (queue.recipient, queue.folder)][:1]
        yield own + [row for row in by_age if row not in own]


def _first_keys(connection: Connection, now: float, queue: UploadQueue, limit: int) -> Iterator[str]:
    """Yield the uploads of a queue's first rows; mostly the first of all can go, so it is read alone."""
    seen = set()
    for most in (1, limit):
        for key, _ in _first_rows(connection, now, queue, most):
            if key not in seen:
                seen.add(key)
                yield key


def first_settled(connection: Connection, now: float, queue: UploadQueue) -> float:
    """Return when the first of a queue settled; infinity when nothing in it is due."""
    rows = _first_rows(connection, now, queue, 1)
    return float(rows[0][1]) if rows else inf


def _first_rows(connection: Connection, now: float, queue: UploadQueue, limit: int) -> list[tuple[Any, ...]]:
    where = {"route": queue.route, "recipient": queue.recipient, "folder": queue.folder}
    return _FIRST_CONTENTS.rows(connection, {**where, "now": now, "limit": limit, **own(connection)})


def _count_ahead(*free: ColumnElement[bool]) -> Select[Any, Any]:
    # The rows of a bundle are one message.
    message = func.coalesce(deliveries.c.bundle, deliveries.c.id)
    ahead = (
        select(message.label("message"), deliveries.c.state, deliveries.c.settled_at)
        .where(
            is_in_work(deliveries),
            is_in(deliveries, State.UPLOADING, State.UPLOADED, State.SENDING),
            deliveries.c.recipient == bindparam("recipient"),
            deliveries.c.route == bindparam("route"),
            deliveries.c.due + 0 <= bindparam("now"),
            IS_LIVE,
            *free,
        )
        .distinct()
        .limit(bindparam("limit"))
        .subquery("ahead")
    )
    not_being_sent = case((ahead.c.state != State.SENDING, ahead.c.settled_at))
    return select(func.count(), func.min(not_being_sent)).select_from(ahead)


_AHEAD: Final = _FreeQuery(_count_ahead(), _count_ahead(_NOT_PAUSED))


def uploaded_ahead(
    connection: Connection, paused: Paused, now: float, route: Route, recipient: str, limit: int
) -> tuple[int, float | None]:
    """Count what is, or will soon be, uploaded for a recipient and not sent, up to `limit`.

    Return also when the first of it settled that is not being sent; None where all is. What waits for a time
    of its own, or in a folder that is paused, is left out, because it delays nobody.
    """
    values = {"now": now, "route": route, "recipient": recipient, "limit": limit}
    ((count, first),) = _AHEAD.rows(connection, paused, values)
    return count, first


# A commit to the drive overwrites the entry of that name. So while one content of a name is being sent,
# another must not be uploaded, and the reverse; both directions are asked here.
_OTHERS_OF_NAME: Final = (
    HAS_NAME,
    uploads.c.type == bindparam("type"),
    uploads.c.name == bindparam("name"),
    uploads.c.key != bindparam("upload"),
)
_UPLOADING_NAME: Final = Prepared(select(uploads.c.key).where(*_OTHERS_OF_NAME, uploads.c.state == "busy"))
_OF_NAME: Final = (
    select(deliveries.c.id)
    .where(
        deliveries.c.upload_key.in_(select(uploads.c.key).where(*_OTHERS_OF_NAME, uploads.c.state == "have"))
    )
    .limit(1)
)
_SENDING_NAME: Final = Prepared(_OF_NAME.where(is_in(deliveries, State.SENDING)))
_DUE_OF_NAME: Final = _FreeQuery(_OF_NAME.where(_is_due(State.UPLOADED), IS_MAPPED))


def is_name_uploading(connection: Connection, kind: str, name: str, upload: str) -> bool:
    """Return whether another content is on its way to the drive entry of this name."""
    return bool(_UPLOADING_NAME.rows(connection, {"type": kind, "name": name, "upload": upload}))


def is_name_sending(
    connection: Connection, kind: str, name: str, upload: str, paused: Paused, now: float
) -> bool:
    """Return whether the drive entry of this name holds another content that is, or is due to be, sent."""
    values = {"type": kind, "name": name, "upload": upload}
    return bool(
        _SENDING_NAME.rows(connection, values) or _DUE_OF_NAME.rows(connection, paused, values | {"now": now})
    )


# --- Messages ------------------------------------------------------------------------------------

_TO_SEND_TO: Final = _each_recipient("deliveries_in_work", is_in(deliveries, State.UPLOADED))


def recipients_to_send(connection: Connection, now: float) -> list[str]:
    """Return the recipients for whom something is uploaded; none when none of it is due."""
    if not has_due(connection, State.UPLOADED, now):
        return []
    return [row[0] for row in _TO_SEND_TO.rows(connection, {})]


_OLDER_VERSION: Final = versions.alias("older_version")
_OLDER: Final = deliveries.alias("older")
_IS_OLDER: Final = (
    _OLDER_VERSION.c.folder_id == versions.c.folder_id,
    _OLDER_VERSION.c.directory == versions.c.directory,
    _OLDER_VERSION.c.name == versions.c.name,
    _OLDER_VERSION.c.id < versions.c.id,
    _OLDER.c.version_id == _OLDER_VERSION.c.id,
    _OLDER.c.recipient == deliveries.c.recipient,
)
"""An older version of a delivery's path has a row for the same recipient."""
IS_OLDER_IN_FLIGHT: Final = (*_IS_OLDER, is_in(_OLDER, State.SENDING, State.UNCERTAIN, State.UPLOADED))
_EARLIER: Final = deliveries.alias("earlier")


def _messages(*free: ColumnElement[bool]) -> Select[Any]:
    """Select what is uploaded and due for a recipient; `free` keeps what is paused from holding it up."""
    # The files of a burst should arrive in the order in which they settled, although their uploads run in
    # parallel. So an uploaded row waits a little for the first upload of an earlier one, if that is on its
    # way.
    upload_ahead = exists().where(
        is_in_work(_EARLIER),
        is_in(_EARLIER, State.PENDING, State.UPLOADING),
        _EARLIER.c.recipient == deliveries.c.recipient,
        _EARLIER.c.settled_at < deliveries.c.settled_at,
        _EARLIER.c.due <= bindparam("now"),
        _EARLIER.c.failures == 0,
        _EARLIER.c.route == Route.ROBOT,
        is_live(_EARLIER),
        *free,
    )
    return WHOLE.add_columns(
        exists().where(*IS_OLDER_IN_FLIGHT).label("older_in_flight"), upload_ahead.label("upload_ahead")
    ).where(_is_due(State.UPLOADED), IS_SENDABLE, deliveries.c.recipient == bindparam("recipient"))


_TO_SEND: Final = _messages()
_TO_SEND_FREE: Final = _messages(_is_in_free_folder(_EARLIER)).where(_NOT_PAUSED)


def _in_order(query: Select[Any]) -> Select[Any]:
    return query.order_by(deliveries.c.settled_at, deliveries.c.id).limit(bindparam("limit"))


_BY_DRIVE: Final = deliveries.c.route == Route.DRIVE
_ONE: Final = deliveries.c.id == bindparam("delivery")
_NEXT: Final = _FreeQuery(_in_order(_TO_SEND), _in_order(_TO_SEND_FREE))
_NEXT_ENTRY: Final = _FreeQuery(
    _in_order(_TO_SEND.where(_BY_DRIVE)), _in_order(_TO_SEND_FREE.where(_BY_DRIVE))
)
_ONE_TO_SEND: Final = _FreeQuery(_TO_SEND.where(_ONE), _TO_SEND_FREE.where(_ONE))


def next_to_send(
    connection: Connection, paused: Paused, now: float, recipient: str, limit: int = 4
) -> list[Delivery]:
    """Return the first rows of one recipient that are uploaded and due, earliest settled first."""
    values = {"now": now, "recipient": recipient, "limit": limit}
    return [delivery_of(row) for row in _NEXT.rows(connection, paused, values)]


def next_entry_to_send(
    connection: Connection, paused: Paused, now: float, recipient: str, limit: int = 4
) -> list[Delivery]:
    """Return the first of them that go by the drive."""
    values = {"now": now, "recipient": recipient, "limit": limit}
    return [delivery_of(row) for row in _NEXT_ENTRY.rows(connection, paused, values)]


def find_to_send(
    connection: Connection, paused: Paused, now: float, recipient: str, delivery: int
) -> list[Delivery]:
    """Return one row of a recipient, if it is uploaded and due; else nothing."""
    values = {"now": now, "recipient": recipient, "delivery": delivery}
    return [delivery_of(row) for row in _ONE_TO_SEND.rows(connection, paused, values)]


_FIRST_ELSEWHERE: Final = _FreeQuery(
    select(deliveries.c.settled_at, deliveries.c.id)
    .join(uploads, uploads.c.key == deliveries.c.upload_key)
    .where(
        _is_due(State.UPLOADED),
        deliveries.c.recipient == bindparam("recipient"),
        deliveries.c.route == Route.ROBOT,
        IS_LIVE,
        ~IS_SENDABLE,
    )
    .order_by(deliveries.c.settled_at, deliveries.c.id)
    .limit(1)
)


def first_elsewhere(
    connection: Connection, paused: Paused, now: float, recipient: str
) -> tuple[float, int] | None:
    """Return when the first row of a recipient settled that only another node can send, and its id.

    It is uploaded and due, and a node that works has its folder.
    """
    rows = _FIRST_ELSEWHERE.rows(connection, paused, {"now": now, "recipient": recipient})
    return (float(rows[0][0]), int(rows[0][1])) if rows else None


_SHARING_VERSION: Final = Prepared(
    select(deliveries.c.recipient)
    # `coalesce` hides the state from SQLite's planner, which would read all that is uploaded.
    .where(
        deliveries.c.version_id == bindparam("version"),
        func.coalesce(deliveries.c.state, "") == State.UPLOADED,
    )
    .where(deliveries.c.due + 0 <= bindparam("now"), deliveries.c.route == Route.ROBOT)
    .where(or_(IS_OWN, IS_FOR_ANY))
    .order_by(deliveries.c.id)
)


def recipients_of_version(connection: Connection, now: float, version: int) -> list[str]:
    """Return the recipients for whom a version is uploaded and due, and goes by the robot."""
    return [
        row[0]
        for row in _SHARING_VERSION.rows(connection, {"now": now, "version": version, **own(connection)})
    ]


# --- The order of a path's versions ----------------------------------------------------------------
# People take the last message for the newest content, so an older version never follows a newer one.

# An older version blocks while its message may still be repeated: it is `sending`, or uncertain and will be
# resent, or uploaded again after a doubt. A merely uploaded one is superseded instead.
_BLOCKERS: Final = (
    select(_OLDER.c.state, _OLDER.c.doubts)
    .select_from(deliveries)
    .join(versions, versions.c.id == deliveries.c.version_id)
    .join(_OLDER_VERSION, _OLDER_VERSION.c.folder_id == versions.c.folder_id)
    .join(_OLDER, _OLDER.c.version_id == _OLDER_VERSION.c.id)
    .where(deliveries.c.id == bindparam("delivery"), *IS_OLDER_IN_FLIGHT)
)


def is_blocked_by_older(connection: Connection, delivery: int, *, resends: bool) -> bool:
    """Return whether an older version of a row's path is being sent, or is due to be sent again."""
    return any(
        state == State.SENDING
        or (state == State.UNCERTAIN and resends and doubts == 1)
        or (state == State.UPLOADED and doubts > 0)
        for state, doubts in connection.execute(_BLOCKERS, {"delivery": delivery})
    )


_NEWER_VERSION: Final = versions.alias("newer_version")
_NEWER: Final = deliveries.alias("newer")
_SUPERSEDED: Final = Prepared(
    select(deliveries.c.id)
    .join(versions, versions.c.id == deliveries.c.version_id)
    .where(
        deliveries.c.id == bindparam("delivery"),
        is_in(deliveries, State.PENDING, State.UPLOADED),
        exists().where(
            _NEWER_VERSION.c.folder_id == versions.c.folder_id,
            _NEWER_VERSION.c.directory == versions.c.directory,
            _NEWER_VERSION.c.name == versions.c.name,
            # A person who retries an old version wants it sent, and it then settled last. But times alone do
            # not tell: once the clock is set back, a new version settles before the one that it replaces.
            _NEWER_VERSION.c.id > versions.c.id,
            _NEWER.c.settled_at > deliveries.c.settled_at,
            _NEWER.c.version_id == _NEWER_VERSION.c.id,
            _NEWER.c.recipient == deliveries.c.recipient,
            is_in(_NEWER, *sorted(IN_WORK | PERHAPS_SEEN)),
        ),
    )
)


def find_superseded(connection: Connection, ids: Sequence[int]) -> list[int]:
    """Return those of these rows that wait while a newer version of their path is in work or sent."""
    return [row[0] for i in ids for row in _SUPERSEDED.rows(connection, {"delivery": i})]


_EARLIER_ROWS: Final = (
    select(_OLDER.c.id)
    .select_from(deliveries)
    .join(versions, versions.c.id == deliveries.c.version_id)
    .join(_OLDER_VERSION, _OLDER_VERSION.c.folder_id == versions.c.folder_id)
    .join(_OLDER, _OLDER.c.version_id == _OLDER_VERSION.c.id)
    .where(deliveries.c.id == bindparam("delivery"), *_IS_OLDER)
    .limit(1)
)
_WAS_SENT: Final = _OLDER.c.state == State.SENT
# The row itself is withdrawn by now, as every skipped version is that a newer one replaces.
_WAS_NOTICED: Final = exists().where(
    history.c.version_id == _OLDER.c.version_id,
    history.c.delivery_id == _OLDER.c.id,
    history.c.code == "noticed",
)
_SENT_BEFORE: Final = Prepared(_EARLIER_ROWS.where(_WAS_SENT))
_NOTICED_BEFORE: Final = Prepared(_EARLIER_ROWS.where(_WAS_SENT | _WAS_NOTICED))


def was_sent_before(connection: Connection, delivery: int) -> bool:
    """Return whether an earlier version of a row's path was sent to the same recipient."""
    return bool(_SENT_BEFORE.rows(connection, {"delivery": delivery}))


def was_noticed_before(connection: Connection, delivery: int) -> bool:
    """Return whether the recipient got an earlier version of a row's path, or a notice of one."""
    return bool(_NOTICED_BEFORE.rows(connection, {"delivery": delivery}))


# --- After a doubt, after a start ------------------------------------------------------------------

_DOUBTED_ONCE: Final = Prepared(
    # Whether it is sent once more is for the node to say that has the folder, as long as that works.
    WHOLE.where(IS_DOUBTED_ONCE, or_(IS_OWN, and_(IS_SENDABLE, ~IS_LIVE))).order_by(
        deliveries.c.settled_at, deliveries.c.id
    ),
    index="deliveries_doubted_once",
)


def list_doubted_once(connection: Connection, now: float) -> list[Delivery]:
    """Return the uncertain rows that `on_uncertain: resend` lets this node send once more, oldest first."""
    return [delivery_of(row) for row in _DOUBTED_ONCE.rows(connection, {"now": now, **own(connection)})]


_UNREAD: Final = Prepared(
    WHOLE.where(
        is_in(deliveries, State.PENDING, State.UPLOADED),
        NOT_HELD,
        or_(is_in(deliveries, State.UPLOADED), uploads.c.state == "have"),
        deliveries.c.folder_id.is_not(None),
        deliveries.c.doubts == 0,
        IS_OWN,
    ),
    index="deliveries_by_due",
)


def list_unread(connection: Connection) -> list[Delivery]:
    """Return the rows of this node's folders whose file nothing reads again before they are sent.

    Their content is uploaded already, so only a look at the file's path can find that it has been removed
    while dingwatch was not running. A row with a doubt is left out: its message may be with people already.
    """
    return [delivery_of(row) for row in _UNREAD.rows(connection, own(connection))]


_CRASHED: Final = Prepared(
    select(deliveries.c.id)
    .where(HAS_CRASHED, is_in(deliveries, State.PENDING, State.UPLOADED), IS_OWN)
    .where(NOT_HELD)
    .order_by(deliveries.c.settled_at, deliveries.c.id),
    index="deliveries_crashed",
)


def list_crashed(connection: Connection) -> list[int]:
    """Return this node's rows that were in hand at a crash; they go first, one at a time."""
    return [row[0] for row in _CRASHED.rows(connection, own(connection))]
