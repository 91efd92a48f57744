"""What commands write to the ledger: by the table, all of it or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, select, update

from dingwatch.ledger import floods, pauses, transitions
from dingwatch.ledger.delivery import by_id
from dingwatch.ledger.schema import IS_BASELINE, deliveries, versions
from dingwatch.ledger.store import Store
from dingwatch.ledger.transitions import AFRESH, NO_CAUSE, Change, chunks
from dingwatch.ledger.versions import NewVersion, add_deliveries, join
from dingwatch.lifecycle import TABLE, Event, State
from dingwatch.model import Fingerprint, Version
from dingwatch.payload import Payload

RETRIED: Final = (State.FAILED, State.SKIPPED, State.GONE)
LARGEST_ID: Final = 2**63 - 1
"""No database column holds a larger one, and no driver takes it."""


class NotApplicable(Exception):  # noqa: N818 (the name of what is the case)
    """Ids that are unknown, or of rows that are in no state to be tried again."""

    def __init__(self, ids: Sequence[int]) -> None:
        super().__init__(", ".join(map(str, ids)))
        self.ids = tuple(ids)


def baseline(connection: Connection, ids: Sequence[int] | None, folder: int | None) -> list[Version]:
    """Return baseline versions: those with these ids, or all of a folder."""
    query = select(versions).where(IS_BASELINE)
    if ids is None:
        return [_version(row) for row in connection.execute(query.where(versions.c.folder_id == folder))]
    known = [i for i in ids if i <= LARGEST_ID]
    return [
        _version(row)
        for some in chunks(known)
        for row in connection.execute(query.where(versions.c.id.in_(some)))
    ]


def _version(row: Row[Any]) -> Version:
    return Version(
        id=row.id,
        folder=row.folder_id,
        path=join(row.directory, row.name),
        fingerprint=Fingerprint(row.size, row.mtime_ns, row.ctime_ns, int(row.inode), int(row.device)),
        digest=row.sha256,
        noticed_at=row.noticed_at,
        baseline=True,
    )


@dataclass(frozen=True, slots=True)
class Chosen:
    """A baseline version that is to be sent: its digest, which nobody had computed, and where it goes."""

    version: Version
    digest: str
    payload: Payload
    conversations: tuple[str, ...]


def retry(store: Store, ids: Sequence[int], chosen: Sequence[Chosen], now: float) -> None:
    """Put deliveries back to work, and make those of baseline versions; all of it or nothing.

    Raises:
        NotApplicable: with every id that cannot be; nothing was changed then.
    """
    with store.writing() as connection:
        found = _states(connection, ids)
        old = {version.id for version in baseline(connection, [one.version.id for one in chosen], None)}
        wrong = [i for i in ids if found.get(i) not in RETRIED]
        wrong += [one.version.id for one in chosen if one.version.id not in old]
        if wrong:
            raise NotApplicable(wrong)
        _send(store, connection, chosen, now)
        _requeue(connection, ids, now)


def retry_all(store: Store, now: float) -> int:
    """Put every failed delivery back to work; return how many there were."""
    with store.writing() as connection:
        ids = list(connection.scalars(select(deliveries.c.id).where(deliveries.c.state == State.FAILED)))
        _requeue(connection, ids, now)
    return len(ids)


def resolve(store: Store, delivery: int, *, sent: bool, now: float) -> None:
    """Settle an uncertain delivery by a person's word: it arrived, or it is to be sent once more.

    Raises:
        NotApplicable: there is no such delivery, or it is not uncertain; nothing was changed then.
    """
    with store.writing() as connection:
        row = by_id(connection, [delivery]).get(delivery) if delivery <= LARGEST_ID else None
        if row is None or row.state is not State.UNCERTAIN:
            raise NotApplicable([delivery])
        if sent:
            columns = NO_CAUSE | {"sent_at": row.doubted_at}
            change = Change(delivery, Event.CONFIRM, State.UNCERTAIN, None, columns)
        else:
            columns = {"due": now, "uncertain_resent": True}
            change = Change(delivery, Event.REQUEUE, State.UNCERTAIN, None, columns)
        transitions.apply(connection, now, [change])


def release(store: Store, folder: int, now: float) -> int:
    """Let the deliveries go that `hold_over` holds in a folder; return how many there were."""
    with store.writing() as connection:
        return floods.release(connection, folder, now)


def discard(store: Store, folder: int, now: float) -> int:
    """Give up the deliveries that `hold_over` holds in a folder; return how many there were."""
    total = 0
    while True:
        with store.writing() as connection:  # a part at a time: the daemon writes too
            count = floods.discard(connection, folder, now)
        total += count
        if not count:
            return total


def _states(connection: Connection, ids: Sequence[int]) -> dict[int, State]:
    return {
        delivery: State(state)
        for some in chunks([i for i in ids if i <= LARGEST_ID])
        for delivery, state in connection.execute(
            select(deliveries.c.id, deliveries.c.state).where(deliveries.c.id.in_(some))
        )
    }


def _requeue(connection: Connection, ids: Sequence[int], now: float) -> None:
    assert all(Event.REQUEUE in TABLE[state] for state in RETRIED)  # noqa: S101 (the table's word)
    columns = AFRESH | {"due": now, "settled_at": now}
    transitions.apply(connection, now, [Change(i, Event.REQUEUE, None, None, columns) for i in ids])
    pauses.probe(connection)


def _send(store: Store, connection: Connection, chosen: Sequence[Chosen], now: float) -> None:
    for one in chosen:
        connection.execute(
            update(versions).where(versions.c.id == one.version.id).values(baseline=False, sha256=one.digest)
        )
    add_deliveries(store, connection, [(one.version.id, _new(one, now)) for one in chosen], now)


def _new(one: Chosen, now: float) -> NewVersion:
    return NewVersion(
        folder=one.version.folder,
        path=one.version.path,
        fingerprint=one.version.fingerprint,
        digest=one.digest,
        noticed_at=one.version.noticed_at,
        settled_at=now,
        payload=one.payload,
        conversations=one.conversations,
    )


__all__ = ["Chosen", "NotApplicable", "baseline", "discard", "release", "resolve", "retry", "retry_all"]
