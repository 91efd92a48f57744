"""Deliveries: one row with all that is needed to carry it out, its caption, and recovery after a crash."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, func, select, update

from dingwatch.ledger import clock, transitions
from dingwatch.ledger.routing import IS_OWN, own
from dingwatch.ledger.schema import (
    IS_BUSY,
    IS_CALL,
    deliveries,
    history,
    in_flight,
    is_in,
    is_in_work,
    screenings,
    uploads,
    versions,
)
from dingwatch.ledger.store import Prepared, chunks
from dingwatch.ledger.transitions import Change
from dingwatch.ledger.versions import join
from dingwatch.lifecycle import IN_HAND, Event, State
from dingwatch.model import Cause, Fingerprint, Form, Route
from dingwatch.policy import Standing


@dataclass(frozen=True, slots=True)
class Delivery:
    """One row of the outbox with what is needed to carry it out; times are seconds since the epoch."""

    id: int
    version: int
    folder: int | None
    path: bytes
    fingerprint: Fingerprint
    digest: str
    """Empty where the file was never read, because nothing of it was to be uploaded."""
    recipient: str
    state: State
    form: Form
    route: Route
    upload_key: str
    due: float
    noticed_at: float
    settled_at: float
    uploaded_at: float | None
    doubts: int
    doubted_at: float | None
    failures: int
    waited: float
    media_losses: int
    crashes: int
    missing_since: float | None
    """When intake found that the file is gone."""
    screened_at: float | None
    """When the program of `before_send` passed its version."""
    caption_sent_at: float | None
    """When the caption before the file was claimed."""
    bundle: int | None
    """The message that it shares with other files; its upload is then their archive's."""
    claim: int | None
    """The number of its latest claim: in a job, of the claim that the job is of."""
    upload_state: str
    upload_type: str
    upload_name: str
    remote_id: str | None
    space_id: str | None
    """The space of the drive that holds the upload."""
    # SQLite gives booleans of an expression as integers.
    older_in_flight: bool | int = False
    """Whether an older version of its path may be on its way to the same recipient."""
    upload_ahead: bool | int = False
    """Whether a file that settled earlier still waits for its first upload to the same recipient."""

    @property
    def standing(self) -> Standing:
        """Its past, as far as the policy asks for it."""
        return Standing(self.state, self.failures, self.waited, self.media_losses, self.form)

    @property
    def name(self) -> bytes:
        """The file's name."""
        return self.path.rpartition(b"/")[2]


WHOLE: Final = (
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
        deliveries.c.recipient,
        deliveries.c.state,
        deliveries.c.form,
        deliveries.c.route,
        deliveries.c.upload_key,
        deliveries.c.due,
        deliveries.c.noticed_at,
        deliveries.c.settled_at,
        deliveries.c.uploaded_at,
        deliveries.c.doubts,
        deliveries.c.doubted_at,
        deliveries.c.failures,
        deliveries.c.waited,
        deliveries.c.media_losses,
        deliveries.c.crashes,
        versions.c.missing_since,
        versions.c.screened_at,
        deliveries.c.caption_sent_at,
        deliveries.c.bundle,
        deliveries.c.claim,
        uploads.c.state.label("upload_state"),
        uploads.c.type.label("upload_type"),
        uploads.c.name.label("upload_name"),
        uploads.c.remote_id,
        uploads.c.space_id,
    )
    .join(versions, versions.c.id == deliveries.c.version_id)
    .join(uploads, uploads.c.key == deliveries.c.upload_key)
)


def delivery_of(row: Sequence[Any]) -> Delivery:
    """Make a delivery of a row of `WHOLE`; a query may add the last two columns."""
    (number, version, folder, directory, name, size, mtime, ctime, inode, device, digest, *rest) = row
    recipient, state, form, route, *facts = rest
    fingerprint = Fingerprint(size, mtime, ctime, int(inode), int(device))
    kinds = (State(state), Form(form), Route(route))
    return Delivery(
        number, version, folder, join(directory, name), fingerprint, digest or "", recipient, *kinds, *facts
    )


_BY_ID: Final = Prepared(WHOLE.where(deliveries.c.id == bindparam("delivery")))


def find_deliveries(connection: Connection, ids: Sequence[int]) -> dict[int, Delivery]:
    """Return the rows that exist, by their ids."""
    return {i: delivery_of(row) for i in ids for row in _BY_ID.rows(connection, {"delivery": i})}


_CAUSES: Final = select(
    deliveries.c.id, deliveries.c.code, deliveries.c.message, deliveries.c.advice, deliveries.c.request_id
).where(deliveries.c.id.in_(bindparam("ids", expanding=True)), deliveries.c.code.is_not(None))


def find_causes(connection: Connection, ids: Sequence[int]) -> dict[int, Cause]:
    """Return the last cause of each row that has one."""
    return {
        row.id: Cause(row.code, row.message, row.advice, row.request_id)
        for some in chunks(ids)
        for row in connection.execute(_CAUSES, {"ids": some})
    }


# --- Captions ------------------------------------------------------------------------------------
# A caption is sent once, whatever becomes of its file: it is marked before the call, so that a crash during
# the call does not repeat it.

_SENT: Final = Prepared(
    update(deliveries)
    .where(
        deliveries.c.id == bindparam("row"),
        is_in(deliveries, State.UPLOADED),
        deliveries.c.caption_sent_at.is_(None),
    )
    .values(caption_sent_at=bindparam("at"), claim=bindparam("to_claim"), node=bindparam("to_node"))
)
# Whatever state the row has come to: as long as nobody has claimed it since, no caption stands in the chat.
_NOT_SENT: Final = Prepared(
    update(deliveries)
    .where(deliveries.c.id == bindparam("row"), deliveries.c.claim == bindparam("held_by"))
    .values(
        caption_sent_at=None,
        due=bindparam("to_due"),
        due_after=bindparam("after"),
        failures=deliveries.c.failures + bindparam("refusals"),
    )
)


def mark_caption_sent(
    connection: Connection, ids: Sequence[int], now: float, claim: int, node: str
) -> set[int]:
    """Claim rows for their caption, which is about to be sent; return those that it is to be sent for."""
    values = {"at": now, "to_claim": claim, "to_node": node or None}
    return {i for i in ids if _SENT.count(connection, {"row": i, **values})}


def clear_caption(
    connection: Connection, rows: Sequence[Delivery], now: float, wait: float, *, refused: bool
) -> None:
    """Take the mark back where a caption certainly was not sent; if `refused`, the rows failed once more.

    The rows are due in `wait` seconds. Those that were claimed again since then are left alone.
    """
    values = {"to_due": now + wait, "after": wait, "refusals": int(refused)}
    _NOT_SENT.many(connection, [{"row": row.id, "held_by": row.claim, **values} for row in rows])


_LAST_CAPTIONS: Final = (
    select(deliveries.c.recipient, deliveries.c.id)
    .where(is_in(deliveries, State.UPLOADED), deliveries.c.caption_sent_at.is_not(None), IS_OWN)
    .order_by(deliveries.c.caption_sent_at)
)


def last_captions(connection: Connection) -> dict[str, int]:
    """Return, by recipient, the row whose caption was the last message there: its file must come next.

    Only those of this node's folders.
    """
    return {row[0]: row[1] for row in connection.execute(_LAST_CAPTIONS, own(connection))}


# --- What was sent -------------------------------------------------------------------------------

_SENT_SINCE: Final = Prepared(
    select(deliveries.c.recipient, deliveries.c.route)
    .join(history, history.c.delivery_id == deliveries.c.id)
    .where(IS_CALL, history.c.after == State.SENT, history.c.at >= bindparam("since"))
    .order_by(history.c.at.desc())
    .limit(1000)
)


def list_sent_since(connection: Connection, since: float) -> list[tuple[str, Route]]:
    """Return the recipient and route of what was sent since then, the latest 1,000 first."""
    return [(recipient, Route(route)) for recipient, route in _SENT_SINCE.rows(connection, {"since": since})]


# --- Recovery ------------------------------------------------------------------------------------


_IN_HAND: Final = WHOLE.where(is_in_work(deliveries), is_in(deliveries, *sorted(IN_HAND)))
_CRASHED: Final = Cause("crash", "", "CRASHED")
_LOST: Final = Cause("node_lost", "", "NODE_LOST")


def recover(connection: Connection, now: float, node: str = "") -> list[Delivery]:
    """Apply `crash` to the rows that a process had in hand when it died; return them as they were.

    It runs once, before anything is claimed. What was in `sending` may have arrived, and becomes `uncertain`.
    Of a ledger that several hosts share, `node` is the one whose process it was.
    """
    rows = _put_back(connection, now, node, _CRASHED, crashes=1)
    clock.probe_future_pauses(connection, now)
    clock.cut_waits(connection, now)
    return rows


def recover_lost(connection: Connection, now: float, node: str) -> list[Delivery]:
    """Do the same for a node whose lease is over, whatever has become of it.

    No file is counted as what has brought it down: its network may have failed, or its power.
    """
    return _put_back(connection, now, node, _LOST, crashes=0)


def recover_unheld(connection: Connection, now: float, node: str, held: Collection[int]) -> list[Delivery]:
    """Do the same for what a node has in hand by the ledger, and not itself; `held` are its claims.

    The transaction with the outcome is one of those that a promoted standby lacks.
    """
    return _put_back(connection, now, node, _CRASHED, crashes=0, held=held)


def _put_back(
    connection: Connection, now: float, node: str, cause: Cause, *, crashes: int, held: Collection[int] = ()
) -> list[Delivery]:
    mine = {
        table: (() if not node else (table.c.node == node,)) + ((table.c.claim.not_in(held),) if held else ())
        for table in (deliveries, uploads, in_flight, screenings)
    }
    found = map(delivery_of, connection.execute(_IN_HAND.where(*mine[deliveries])))
    # Sorted here: to sort, SQLite would walk all deliveries by their ids.
    rows = sorted(found, key=lambda row: row.id)
    changes = [
        Change(
            row.id,
            Event.CRASH,
            row.state,
            cause,
            {
                "crashes": row.crashes + crashes,
                "due": now,
                "doubts": row.doubts + (row.state is State.SENDING),
                "doubted_at": now if row.state is State.SENDING else row.doubted_at,
            },
            row.version,
            row.claim,
        )
        for row in rows
    ]
    transitions.apply(connection, now, changes)
    connection.execute(update(uploads).where(IS_BUSY, *mine[uploads]).values(state="none"))
    connection.execute(delete(in_flight).where(*mine[in_flight]))
    connection.execute(delete(screenings).where(*mine[screenings]))
    return rows


# The pace allows N calls in a sliding window, and must hold across a restart; so it is filled again with the
# claims of the last window. A bundle is one call.
_RECENT_CLAIMS: Final = (
    select(
        history.c.after,
        history.c.at,
        deliveries.c.recipient,
        func.coalesce(deliveries.c.bundle, deliveries.c.id),
    )
    .distinct()
    .join(deliveries, deliveries.c.id == history.c.delivery_id)
    .where(IS_CALL, history.c.event == Event.CLAIM)
    .where(history.c.at > bindparam("since"), history.c.at <= bindparam("now"))
    .order_by(history.c.at)
)


def recent_claims(connection: Connection, since: float, now: float) -> list[tuple[State, float, str]]:
    """Return (state, time, recipient) of all claims since then, oldest first; `uploading` or `sending`."""
    return [
        (State(after), at, recipient)
        for after, at, recipient, _ in connection.execute(_RECENT_CLAIMS, {"since": since, "now": now})
    ]


_RECENT_CAPTIONS: Final = (
    select(deliveries.c.caption_sent_at, deliveries.c.recipient)
    .where(
        deliveries.c.caption_sent_at > bindparam("since"), deliveries.c.caption_sent_at <= bindparam("now")
    )
    .distinct()
)


def recent_captions(connection: Connection, since: float, now: float) -> list[tuple[float, str]]:
    """Return (time, recipient) of all captions since then."""
    found = connection.execute(_RECENT_CAPTIONS, {"since": since, "now": now})
    return [(at, recipient) for at, recipient in found]
