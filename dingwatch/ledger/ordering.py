"""The order of the versions of one path to one conversation: an older one never follows a newer one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, bindparam, exists, select

from dingwatch.ledger.delivery import Delivery
from dingwatch.ledger.due import in_states
from dingwatch.ledger.prepared import Prepared
from dingwatch.ledger.schema import deliveries, versions
from dingwatch.lifecycle import IN_WORK, PERHAPS_SEEN, State

_OLDER_VERSION: Final = versions.alias("older_version")
_OLDER: Final = deliveries.alias("older")
_OLDER_ROWS: Final = (
    _OLDER_VERSION.c.folder_id == versions.c.folder_id,
    _OLDER_VERSION.c.directory == versions.c.directory,
    _OLDER_VERSION.c.name == versions.c.name,
    _OLDER_VERSION.c.id < versions.c.id,
    _OLDER.c.version_id == _OLDER_VERSION.c.id,
    _OLDER.c.conversation_id == deliveries.c.conversation_id,
    in_states(_OLDER, State.SENDING, State.UNCERTAIN, State.UPLOADED),
)
OLDER_IN_FLIGHT: Final = exists().where(*_OLDER_ROWS).label("older_in_flight")
"""A column of a query of deliveries and versions."""
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
        in_states(deliveries, State.PENDING, State.UPLOADED),
        exists().where(
            _NEWER_VERSION.c.folder_id == versions.c.folder_id,
            _NEWER_VERSION.c.directory == versions.c.directory,
            _NEWER_VERSION.c.name == versions.c.name,
            _NEWER.c.settled_at > deliveries.c.settled_at,  # what a person retries has settled anew
            _NEWER.c.version_id == _NEWER_VERSION.c.id,
            _NEWER.c.conversation_id == deliveries.c.conversation_id,
            in_states(_NEWER, *sorted(IN_WORK | PERHAPS_SEEN)),
        ),
    )
)


def overtaken(connection: Connection, ids: Sequence[int]) -> list[int]:
    """Return those of these rows that wait, while a newer version of their path is in work or sent."""
    return [row[0] for i in ids for row in _OVERTAKEN.rows(connection, {"delivery": i})]


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
