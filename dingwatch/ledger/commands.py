"""The writes of commands (`retry`, `resolve`, `send`, `recall`), each in one transaction; what was sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select, update

from dingwatch.ledger import pauses, transitions
from dingwatch.ledger.bundles import with_others
from dingwatch.ledger.delivery import find_deliveries
from dingwatch.ledger.nodes import wake_nodes
from dingwatch.ledger.report import EVERYTHING, Scope
from dingwatch.ledger.schema import IS_BASELINE, deliveries, history, uploads, versions
from dingwatch.ledger.store import Store, chunks
from dingwatch.ledger.transitions import AFRESH, NO_CAUSE, Change
from dingwatch.ledger.versions import NewVersion, add_deliveries, join
from dingwatch.lifecycle import TABLE, Event, State
from dingwatch.model import Cause, Fingerprint, Form, Recipient, Route, Version
from dingwatch.payload import Payload

RETRIED: Final = (State.FAILED, State.SKIPPED, State.GONE)
NOT_LEFT: Final = (State.PENDING, State.UPLOADING, State.UPLOADED)
"""States in which no byte of the message can have left."""
LARGEST_ID: Final = 2**63 - 1
"""A person may type a longer number; no column holds it, and the driver would raise."""


class NotApplicableError(Exception):
    """These ids are unknown, or their rows are in a state that the command does not apply to."""

    def __init__(self, ids: Sequence[int]) -> None:
        super().__init__(", ".join(map(str, ids)))
        self.ids = tuple(ids)


def list_baseline(connection: Connection, ids: Sequence[int] | None, folder: int | None) -> list[Version]:
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
class BaselineToSend:
    """A baseline version that `retry` sends; its digest is new, for a baseline is never read.

    None where nothing of the file is uploaded.
    """

    version: Version
    digest: str | None
    payload: Payload
    recipients: tuple[str, ...]


class UnmappedError(Exception):
    """The configuration does not map these folders (as the ledger numbers them) to these recipients."""

    def __init__(self, missing: Sequence[tuple[int, str]]) -> None:
        super().__init__(", ".join(map(str, missing)))
        self.missing = tuple(missing)


def retry(
    store: Store,
    ids: Sequence[int],
    chosen: Sequence[BaselineToSend],
    now: float,
    scope: Scope = EVERYTHING,
) -> int:
    """Make deliveries pending again, and insert those of baseline versions; nothing is changed on an error.

    Files that share a message are retried with it. Return how many there are beside those that were named.

    Raises:
        NotApplicableError: names every id that cannot be retried.
        UnmappedError: all can, but the configuration does not map some, which the service would leave alone.
    """
    with store.writing() as connection:
        # Read here and not by the caller: the service may have sent or forgotten a row meanwhile.
        found, missing = _states(connection, ids, scope)
        old = {version.id for version in list_baseline(connection, [one.version.id for one in chosen], None)}
        wrong = [i for i in ids if found.get(i) not in RETRIED and i not in missing]
        wrong += [one.version.id for one in chosen if one.version.id not in old]
        if wrong:
            raise NotApplicableError(wrong)
        if missing:
            raise UnmappedError(sorted(set(missing.values())))
        _send(store, connection, chosen, now)
        together = with_others(connection, ids, (State.FAILED, State.SKIPPED))
        _requeue(connection, together, now)
    return len(together) - len(ids)


def retry_all(store: Store, now: float, scope: Scope = EVERYTHING) -> int:
    """Make every failed delivery that the configuration maps pending again; return how many there were."""
    with store.writing() as connection:
        failed = select(deliveries.c.id, deliveries.c.folder_id, deliveries.c.recipient).where(
            deliveries.c.state == State.FAILED
        )
        ids = [number for number, *mapping in connection.execute(failed) if scope.maps(*mapping)]
        _requeue(connection, ids, now)
    return len(ids)


def resolve(store: Store, delivery: int, *, sent: bool, now: float) -> int:
    """Settle an uncertain delivery as a person decides: it arrived, or it is to be sent once more.

    So it is with all files that share its message; return how many others there are.

    Raises:
        NotApplicableError: there is no such delivery, or it is not uncertain; nothing was changed.
    """
    with store.writing() as connection:
        row = find_deliveries(connection, [delivery]).get(delivery) if delivery <= LARGEST_ID else None
        if row is None or row.state is not State.UNCERTAIN:
            raise NotApplicableError([delivery])
        if sent:
            # It arrived when its call was made, not when somebody looked into the chat.
            event, columns = Event.CONFIRM, NO_CAUSE | {"sent_at": row.doubted_at}
        else:
            event, columns = Event.REQUEUE, {"due": now, "uncertain_resent": True}
        together = with_others(connection, [delivery], (State.UNCERTAIN,))
        changes = [Change(one, event, State.UNCERTAIN, None, columns) for one in together]
        transitions.apply(connection, now, changes)
        wake_nodes(connection)
    return len(together) - 1


def give_up(store: Store, causes: Mapping[int, Cause], now: float) -> None:
    """Fail the deliveries whose message has not begun to leave; one that is `sending` is not touched."""
    with store.writing() as connection:
        # Read here: the service may have begun to send a row since the caller looked.
        rows = find_deliveries(connection, list(causes)).values()
        changes = [
            Change(row.id, Event.REJECT, None, causes[row.id]) for row in rows if row.state in NOT_LEFT
        ]
        transitions.apply(connection, now, changes)


def _states(
    connection: Connection, ids: Sequence[int], scope: Scope
) -> tuple[dict[int, State], dict[int, tuple[int, str]]]:
    """Return the states of rows, and of those that are unsent and not mapped the folder and recipient."""
    columns = (deliveries.c.id, deliveries.c.state, deliveries.c.folder_id, deliveries.c.recipient)
    rows = [
        row
        for some in chunks([i for i in ids if i <= LARGEST_ID])
        for row in connection.execute(select(*columns).where(deliveries.c.id.in_(some)))
    ]
    missing = {
        number: (folder, recipient)
        for number, state, folder, recipient in rows
        if state != State.SENT and not scope.maps(folder, recipient)
    }
    return {number: State(state) for number, state, *_ in rows}, missing


def _requeue(connection: Connection, ids: Sequence[int], now: float) -> None:
    assert all(Event.REQUEUE in TABLE[state] for state in RETRIED)  # noqa: S101 (the table's word)
    # Settled now: it queues behind what waits already, and no newer version of its path supersedes it.
    columns = AFRESH | {"due": now, "settled_at": now}
    transitions.apply(connection, now, [Change(i, Event.REQUEUE, None, None, columns) for i in ids])
    pauses.probe_pauses(connection)
    wake_nodes(connection)


def _send(store: Store, connection: Connection, chosen: Sequence[BaselineToSend], now: float) -> None:
    for one in chosen:
        connection.execute(
            update(versions).where(versions.c.id == one.version.id).values(baseline=False, sha256=one.digest)
        )
    add_deliveries(store, connection, [(one.version.id, _new(one, now)) for one in chosen], now)


def _new(one: BaselineToSend, now: float) -> NewVersion:
    return NewVersion(
        folder=one.version.folder,
        path=one.version.path,
        fingerprint=one.version.fingerprint,
        digest=one.digest,
        noticed_at=one.version.noticed_at,
        settled_at=now,
        payload=one.payload,
        recipients=one.recipients,
    )


# --- What was sent, for `link`, `fetch` and `recall` ---------------------------------------------

RECALLED: Final = "recalled"
"""The event of a history line: a person took the message back. The row stays `sent`."""


@dataclass(frozen=True, slots=True)
class DriveEntry:
    """An entry of the drive, which is a file in a space."""

    space_id: str
    entry_id: str


@dataclass(frozen=True, slots=True)
class Sent:
    """One delivery, and what DingTalk has of it; `size` (bytes) and `digest` (sha256, hex) are the file's."""

    id: int
    version: int
    path: bytes
    size: int
    digest: str
    recipient: Recipient
    state: State
    form: Form
    bundle: int | None
    """The message that it shares with other files; what was uploaded is their archive."""
    route: Route
    upload_key: str
    upload_type: str
    remote_id: str | None
    """The media id of what went by the robot, while DingTalk is known to have it."""
    entries: tuple[DriveEntry, ...]
    """Return the locations of a drive file: the conversation's own copy, then the uploaded entry."""
    message: str | None
    """DingTalk's key of the message (processQueryKey)."""
    sent_at: float | None
    recalled_at: float | None
    moved_to: bytes | None = None
    """The path to which dingwatch has moved the file after it was sent."""

    @property
    def place(self) -> bytes:
        """The path at which the file lies, as far as dingwatch knows."""
        return self.moved_to or self.path


_SENT: Final = (
    select(
        deliveries,
        versions.c.directory,
        versions.c.name,
        versions.c.size,
        versions.c.sha256,
        versions.c.moved_to,
        uploads.c.type.label("upload_type"),
        uploads.c.remote_id,
        uploads.c.space_id.label("upload_space_id"),
    )
    .join(versions, versions.c.id == deliveries.c.version_id)
    .join(uploads, uploads.c.key == deliveries.c.upload_key)
)


def find_sent(connection: Connection, delivery: int) -> Sent:
    """Return a delivery, whatever its state.

    Raises:
        NotApplicableError: there is no such delivery.
    """
    query = _SENT.where(deliveries.c.id == delivery)
    row = connection.execute(query).one_or_none() if delivery <= LARGEST_ID else None
    if row is None:
        raise NotApplicableError([delivery])
    route = Route(row.route)
    return Sent(
        id=row.id,
        version=row.version_id,
        path=join(row.directory, row.name),
        size=row.size,
        digest=row.sha256,
        recipient=Recipient.of(row.recipient),
        state=State(row.state),
        form=Form(row.form),
        bundle=row.bundle,
        route=route,
        upload_key=row.upload_key,
        upload_type=row.upload_type,
        remote_id=row.remote_id if route is Route.ROBOT else None,
        entries=_entries(row) if route is Route.DRIVE else (),
        message=row.process_query_key,
        sent_at=row.sent_at,
        recalled_at=_recall_time(connection, row.id, row.version_id),
        moved_to=row.moved_to,
    )


def _entries(row: Row[Any]) -> tuple[DriveEntry, ...]:
    known = ((row.space_id, row.entry_id), (row.upload_space_id, row.remote_id))
    return tuple(DriveEntry(space, entry) for space, entry in known if space and entry)


def _recall_time(connection: Connection, delivery: int, version: int) -> float | None:
    """Return when its message was taken back; None if it was not, or the row was sent again since."""
    query = select(history.c.event, history.c.at).where(
        history.c.version_id == version, history.c.delivery_id == delivery
    )
    newest = connection.execute(query.order_by(history.c.id.desc()).limit(1)).one_or_none()
    return newest.at if newest is not None and newest.event == RECALLED else None


@dataclass(frozen=True, slots=True)
class TakenBack:
    """A message that was taken back: from whom, and how many files it had."""

    recipients: list[Recipient]
    files: int


def record_recall(connection: Connection, sent: Sent, now: float) -> TakenBack:
    """Record that a message was taken back, for every recipient and every file of it; return them.

    One call sends a content to several persons, and DingTalk gives one key for all of them: a recall takes
    the message back from each, so each row gets the line.
    """
    together = connection.execute(
        select(deliveries.c.id, deliveries.c.version_id, deliveries.c.recipient)
        .where(deliveries.c.upload_key == sent.upload_key, deliveries.c.process_query_key == sent.message)
        .order_by(deliveries.c.id)
    ).all()
    lines = [
        {"version_id": row.version_id, "delivery_id": row.id, "at": now, "event": RECALLED}
        for row in together
    ]
    connection.execute(insert(history), lines)
    recipients = dict.fromkeys(row.recipient for row in together)
    return TakenBack([Recipient.of(one) for one in recipients], len({row.version_id for row in together}))
