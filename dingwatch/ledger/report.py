"""What people are shown of the ledger: counts, lines of history, calls, pauses. Reads only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Select, and_, func, literal, null, or_, select, tuple_

from dingwatch.ledger.schema import calls, deliveries, folders, versions
from dingwatch.ledger.versions import join
from dingwatch.lifecycle import State
from dingwatch.model import Cause

BASELINE = "baseline"
UNMAPPED = Cause("unmapped", "", "UNMAPPED")
_STAYS = (State.SENT, State.GONE, State.FAILED, State.SKIPPED)
"""States that are shown as they are, even where folder or conversation left the configuration."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What the configuration maps now: (folder id, conversation id) pairs, and the folders' names."""

    pairs: frozenset[tuple[int, str]]
    names: Mapping[int, str]

    def maps(self, folder: int | None, conversation: str) -> bool:
        """Say whether a delivery's folder and conversation are in the configuration."""
        return folder is None or (folder, conversation) in self.pairs


@dataclass(frozen=True, slots=True)
class Line:
    """One line of `history`."""

    id: int
    folder: str | None
    path: bytes
    conversation_id: str | None
    state: str
    size: int
    sha256: str | None
    attempts: int
    error: Cause | None
    uncertain_resent: bool
    noticed_at: float
    sent_at: float | None


def counts(connection: Connection, scope: Scope) -> dict[int | None, Counter[str]]:
    """Count deliveries by folder (None: what `send` was given) and state, and baseline versions."""
    found: dict[int | None, Counter[str]] = {}
    by_state = select(
        deliveries.c.folder_id, deliveries.c.conversation_id, deliveries.c.state, func.count()
    ).group_by(deliveries.c.folder_id, deliveries.c.conversation_id, deliveries.c.state)
    for folder, conversation, state, number in connection.execute(by_state):
        unmapped = not scope.maps(folder, conversation) and state not in _STAYS
        found.setdefault(folder, Counter())[State.FAILED if unmapped else state] += number
    old = select(versions.c.folder_id, func.count()).where(versions.c.baseline).group_by(versions.c.folder_id)
    for folder, number in connection.execute(old):
        found.setdefault(folder, Counter())[BASELINE] += number
    return found


def calls_of(connection: Connection, month: str, apis: Sequence[str]) -> int:
    """Return how many calls of these APIs a month (`2026-11`) has seen."""
    used = select(func.sum(calls.c.count)).where(calls.c.day.startswith(month), calls.c.api.in_(apis))
    return int(connection.scalar(used) or 0)


def folder_ids(connection: Connection) -> dict[tuple[bytes, str], int]:
    """Return the ids of the folders that the ledger knows, by real path and name."""
    return {(row.root, row.name): row.id for row in connection.execute(select(folders))}


def history(
    connection: Connection,
    scope: Scope,
    *,
    folder: int | None = None,
    state: str | None = None,
    limit: int = 20,
) -> list[Line]:
    """Return the newest lines by the time noticed; a baseline only where it is asked for."""
    query = _baseline_lines(folder) if state == BASELINE else _delivery_lines(scope, folder, state)
    newest = query.order_by(query.selected_columns.noticed_at.desc(), query.selected_columns.id.desc())
    return [_line(row, scope) for row in connection.execute(newest.limit(limit))]


def _delivery_lines(scope: Scope, folder: int | None, state: str | None) -> Select[tuple[object, ...]]:
    query = select(
        deliveries, versions.c.directory, versions.c.name, versions.c.size, versions.c.sha256
    ).join(versions, versions.c.id == deliveries.c.version_id)
    if folder is not None:
        query = query.where(deliveries.c.folder_id == folder)
    if state is not None:
        query = query.where(_shown_as(state, scope))
    return query


def _shown_as(state: str, scope: Scope) -> ColumnElement[bool]:
    """What is shown as `failed` includes what the configuration no longer maps."""
    mapped = or_(
        deliveries.c.folder_id.is_(None),
        tuple_(deliveries.c.folder_id, deliveries.c.conversation_id).in_(sorted(scope.pairs)),
        deliveries.c.state.in_(_STAYS),
    )
    as_stored = and_(deliveries.c.state == state, mapped)
    return or_(as_stored, ~mapped) if state == State.FAILED else as_stored


def _baseline_lines(folder: int | None) -> Select[tuple[object, ...]]:
    query = select(
        versions.c.id,
        versions.c.folder_id,
        versions.c.directory,
        versions.c.name,
        versions.c.size,
        versions.c.sha256,
        versions.c.noticed_at,
        null().label("conversation_id"),
        literal(BASELINE).label("state"),
        literal(0).label("attempts"),
        null().label("code"),
        literal(value=False).label("uncertain_resent"),
        null().label("sent_at"),
    ).where(versions.c.baseline)
    return query if folder is None else query.where(versions.c.folder_id == folder)


def _line(row: object, scope: Scope) -> Line:
    values = row._mapping  # type: ignore[attr-defined]  # noqa: SLF001 (SQLAlchemy's documented name)
    conversation = values["conversation_id"]
    state = values["state"]
    error = None
    if values["code"] is not None:
        error = Cause(values["code"], values["message"] or "", values["advice"] or "", values["request_id"])
    if conversation and not scope.maps(values["folder_id"], conversation) and state not in _STAYS:
        state, error = State.FAILED, UNMAPPED
    return Line(
        id=values["id"],
        folder=scope.names.get(values["folder_id"]),
        path=join(values["directory"], values["name"]),
        conversation_id=conversation,
        state=str(state),
        size=values["size"],
        sha256=values["sha256"] or None,
        attempts=values["attempts"],
        error=error,
        uncertain_resent=bool(values["uncertain_resent"]),
        noticed_at=values["noticed_at"],
        sent_at=values["sent_at"],
    )


__all__ = ["BASELINE", "UNMAPPED", "Line", "Scope", "calls_of", "counts", "folder_ids", "history"]
