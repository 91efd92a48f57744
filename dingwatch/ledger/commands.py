"""What commands write to the ledger: by the table, all of it or nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from sqlalchemy import Connection, select, update

from dingwatch.ledger import outbox, transitions
from dingwatch.ledger.schema import deliveries, versions
from dingwatch.ledger.store import Store
from dingwatch.ledger.transitions import Change
from dingwatch.ledger.versions import NewVersion, add_deliveries, join
from dingwatch.lifecycle import TABLE, Event, State
from dingwatch.model import Fingerprint, Version
from dingwatch.policy import Dress

_AFRESH: Final[dict[str, Any]] = {
    "failures": 0,
    "waited": 0.0,
    "crashes": 0,
    "media_losses": 0,
    "doubts": 0,
}
RETRIED: Final = (State.FAILED, State.SKIPPED, State.GONE)


class NotRetried(Exception):  # noqa: N818 (the name of what is the case)
    """Ids that are unknown, or of rows that are in no state to be tried again."""

    def __init__(self, ids: Sequence[int]) -> None:
        super().__init__(", ".join(map(str, ids)))
        self.ids = tuple(ids)


def baseline(connection: Connection, ids: Sequence[int] | None, folder: int | None) -> list[Version]:
    """Return baseline versions: those with these ids, or all of a folder that have no delivery."""
    query = select(versions).where(versions.c.baseline)
    query = (
        query.where(versions.c.id.in_(ids))
        if ids is not None
        else query.where(versions.c.folder_id == folder)
    )
    return [
        Version(
            id=row.id,
            folder=row.folder_id,
            path=join(row.directory, row.name),
            fingerprint=Fingerprint(row.size, row.mtime_ns, row.ctime_ns, int(row.inode), int(row.device)),
            digest=row.sha256,
            noticed_at=row.noticed_at,
            baseline=True,
        )
        for row in connection.execute(query)
    ]


def retry(store: Store, ids: Sequence[int], now: float) -> None:
    """Put deliveries back to work.

    Raises:
        NotRetried: with every id that cannot be; nothing was changed then.
    """
    with store.writing() as connection:
        found = dict(
            connection.execute(
                select(deliveries.c.id, deliveries.c.state).where(deliveries.c.id.in_(ids))
            ).all()
        )
        wrong = [i for i in ids if i not in found or found[i] not in RETRIED]
        if wrong:
            raise NotRetried(wrong)
        _requeue(connection, ids, now)


def retry_all(store: Store, now: float) -> int:
    """Put every failed delivery back to work; return how many there were."""
    with store.writing() as connection:
        ids = list(connection.scalars(select(deliveries.c.id).where(deliveries.c.state == State.FAILED)))
        _requeue(connection, ids, now)
    return len(ids)


def _requeue(connection: Connection, ids: Sequence[int], now: float) -> None:
    assert all(Event.REQUEUE in TABLE[state] for state in RETRIED)  # noqa: S101 (the table's word)
    columns = _AFRESH | {"due": now, "settled_at": now}
    transitions.apply(connection, now, [Change(i, Event.REQUEUE, None, None, columns) for i in ids])
    outbox.probe_all(connection)


def send_baseline(
    store: Store,
    chosen: Sequence[tuple[Version, str, Dress]],
    conversations: Callable[[int | None], tuple[str, ...]],
    now: float,
) -> list[int]:
    """Make the deliveries of baseline versions, whose digests were computed; return their ids."""
    with store.writing() as connection:
        for version, digest, _ in chosen:
            connection.execute(
                update(versions).where(versions.c.id == version.id).values(baseline=False, sha256=digest)
            )
        new = [
            (
                version.id,
                NewVersion(
                    folder=version.folder,
                    path=version.path,
                    fingerprint=version.fingerprint,
                    digest=digest,
                    noticed_at=version.noticed_at,
                    settled_at=now,
                    dress=dress,
                    conversations=conversations(version.folder),
                ),
            )
            for version, digest, dress in chosen
        ]
        made = add_deliveries(store, connection, new, now)
        outbox.probe_all(connection)
    return made


__all__ = ["NotRetried", "baseline", "retry", "retry_all", "send_baseline"]
