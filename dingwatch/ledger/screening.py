"""Screening: which versions the program of `before_send` passed, and which wait because it has failed.

A version is screened once, whatever its deliveries are, which stay `pending` meanwhile. Several nodes may
have the folder: the row of `screenings` says which of them asks the program. That row goes when a process
dies or its node is lost, and the program is asked again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, bindparam, delete, func, insert, or_, select, update

from dingwatch.ledger.schema import (
    NOT_HELD,
    SCREENING_FAILED,
    deliveries,
    history,
    is_in,
    screenings,
    versions,
)
from dingwatch.ledger.store import Prepared, Store
from dingwatch.ledger.transitions import NO_CAUSE
from dingwatch.lifecycle import State
from dingwatch.model import Cause

_PASSED: Final = Prepared(
    update(versions)
    .where(versions.c.id == bindparam("version"))
    .values(screened_at=bindparam("at"), screening_failed_at=None)
)
_OF_VERSION: Final = (deliveries.c.version_id == bindparam("version"), is_in(deliveries, State.PENDING))
_READY: Final = Prepared(
    update(deliveries)
    .where(*_OF_VERSION, NOT_HELD)
    .values(due=bindparam("to_due"), due_after=bindparam("after"), failures=0, waited=0.0, **NO_CAUSE)
)
_POSTPONED: Final = Prepared(
    update(deliveries)
    .where(*_OF_VERSION, NOT_HELD)
    .values(
        due=bindparam("to_due"),
        due_after=bindparam("after"),
        failures=deliveries.c.failures + 1,
        code=bindparam("code"),
        message=bindparam("message"),
        advice=bindparam("advice"),
        request_id=None,
    )
)
_FAILED: Final = Prepared(
    update(versions)
    .where(versions.c.id == bindparam("version"), versions.c.screening_failed_at.is_(None))
    .values(screening_failed_at=bindparam("at"))
)


# --- Claims --------------------------------------------------------------------------------------

_CLAIMED: Final = Prepared(select(screenings.c.claim).where(screenings.c.version_id == bindparam("version")))
_END: Final = Prepared(
    delete(screenings).where(
        screenings.c.version_id == bindparam("version"), screenings.c.claim == bindparam("held_by")
    )
)


def find_claim(connection: Connection, version: int) -> int | None:
    """Return the claim under which a version is screened now; None if it is not."""
    found = _CLAIMED.rows(connection, {"version": version})
    return int(found[0][0]) if found else None


def claim_version(store: Store, connection: Connection, version: int, claim: int) -> bool:
    """Claim a version for its screening; return whether nobody else screens it."""
    row = {"version_id": version, "claim": claim, "node": store.node}
    return store.insert_new(connection, screenings, row)


def end_claim(connection: Connection, version: int, claim: int) -> bool:
    """End the screening of a claim; return whether the claim was still in force."""
    return bool(_END.count(connection, {"version": version, "held_by": claim}))


# --- Verdicts ------------------------------------------------------------------------------------


def pass_version(connection: Connection, version: int, now: float, *, waited: bool) -> None:
    """Record that the program passed a version; if its rows `waited` for a failed one, they are due now."""
    _PASSED.many(connection, [{"version": version, "at": now}])
    if waited:
        _READY.many(connection, [{"version": version, "to_due": now, "after": 0.0}])


def postpone(
    connection: Connection, version: int, cause: Cause, now: float, wait: float, *, failed: bool
) -> None:
    """Have a version's deliveries wait some seconds: the program `failed`, or the file cannot be read."""
    told = {"code": cause.code, "message": cause.message, "advice": cause.advice}
    _POSTPONED.many(connection, [{"version": version, "to_due": now + wait, "after": wait, **told}])
    if failed and _FAILED.count(connection, {"version": version, "at": now}):
        # Once for each version: a program that is missing for a week fails thousands of times.
        line = {"version_id": version, "at": now, "event": "not screened", **told}
        connection.execute(insert(history).values(line))


def list_unsent(connection: Connection, version: int) -> list[tuple[int, State]]:
    """Return the deliveries of a version that wait, and in which state."""
    found = _UNSENT.rows(connection, {"version": version})
    return [(delivery, State(state)) for delivery, state in found]


_UNSENT: Final = Prepared(
    select(deliveries.c.id, deliveries.c.state)
    # `coalesce` hides the state from SQLite's planner, which would read all that waits.
    .where(
        deliveries.c.version_id == bindparam("version"),
        or_(*(func.coalesce(deliveries.c.state, "") == one for one in (State.PENDING, State.UPLOADED))),
    )
    .order_by(deliveries.c.id)
)


# --- Failures ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ScreeningFailure:
    """A folder of which files wait because the program of `before_send` has failed on them.

    `since` is when it first failed on one of those (wall clock); `cause` is the latest of them.
    """

    folder: int
    since: float
    files: int
    cause: Cause


def list_failures(connection: Connection) -> list[ScreeningFailure]:
    """Return the folders whose program has failed, by their ids."""
    found: dict[int, ScreeningFailure] = {}
    for folder, since, _, code, message, advice in _FAILURES.rows(connection, {}):
        before = found.get(folder)
        cause = Cause(code or "gate_failed", message or "", advice or "GATE_FAILED")
        first = since if before is None else min(before.since, since)
        found[folder] = ScreeningFailure(folder, first, 1 if before is None else before.files + 1, cause)
    return list(found.values())


_FAILURES: Final = Prepared(
    select(
        versions.c.folder_id,
        versions.c.screening_failed_at,
        versions.c.id,
        func.max(deliveries.c.code),
        func.max(deliveries.c.message),
        func.max(deliveries.c.advice),
    )
    .join(deliveries, deliveries.c.version_id == versions.c.id)
    .where(SCREENING_FAILED, func.coalesce(deliveries.c.state, "") == State.PENDING)
    .group_by(versions.c.folder_id, versions.c.screening_failed_at, versions.c.id)
    .order_by(versions.c.folder_id, versions.c.screening_failed_at)
)


_HAS_FAILED: Final = Prepared(select(versions.c.id).where(SCREENING_FAILED).limit(1))


def has_failed(connection: Connection) -> bool:
    """Return whether the program has failed on anything."""
    return bool(_HAS_FAILED.rows(connection, {}))


def retry_failed(connection: Connection, now: float) -> None:
    """Have the program asked at once about the versions that it has failed on."""
    failed = select(versions.c.id).where(SCREENING_FAILED)
    waits = (is_in(deliveries, State.PENDING), NOT_HELD, deliveries.c.due > now)
    connection.execute(
        update(deliveries).where(*waits, deliveries.c.version_id.in_(failed)).values(due=now, due_after=0.0)
    )


def forget_failures(connection: Connection, folders: Sequence[int]) -> None:
    """Forget the failures in all but these folders, which have no program any more."""
    elsewhere = or_(versions.c.folder_id.is_(None), versions.c.folder_id.not_in(folders))
    connection.execute(update(versions).where(SCREENING_FAILED, elsewhere).values(screening_failed_at=None))
