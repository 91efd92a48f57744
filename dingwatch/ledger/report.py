"""Queries for `status`, `history` and `why`. Nothing here writes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    func,
    literal,
    null,
    or_,
    select,
    tuple_,
)

from dingwatch.ledger.folders import MappedFolder
from dingwatch.ledger.schema import IS_BASELINE, IS_MOVE, deliveries, folders, history, is_in, versions
from dingwatch.ledger.store import Store
from dingwatch.ledger.versions import join, split
from dingwatch.lifecycle import BASELINE, NOTICED, State
from dingwatch.model import Cause, Decision
from dingwatch.names import readable

UNMAPPED: Final = Cause("unmapped", "", "UNMAPPED")
_STAYS: Final = (State.SENT, State.GONE)
"""States that are shown as they are, even if the folder or recipient has left the configuration."""
_UNSENT: Final = tuple(state for state in State if state not in _STAYS)


@dataclass(frozen=True, slots=True)
class Scope:
    """The folders and recipients of the configuration, with folders as the ledger numbers them.

    `pairs` holds folder and recipient; `ids` the configured folders that the ledger knows, by name; `names`
    every folder that it knows, by number; `former` the former targets of links in folders' paths, with the
    folder that each belongs to.
    """

    pairs: frozenset[tuple[int, str]]
    ids: Mapping[str, int]
    names: Mapping[int, str]
    former: Mapping[int, int] = field(default_factory=dict)

    def targets(self, number: int) -> list[int]:
        """Return a folder and the former targets of its path."""
        return [number, *(one for one, present in self.former.items() if present == number)]

    def maps(self, folder: int | None, recipient: str) -> bool:
        """Return whether the configuration maps a folder to a recipient; what `send` was given counts."""
        return folder is None or (folder, recipient) in self.pairs

    def number(self, name: str) -> int | None:
        """Return the number of a configured folder, else of the newest that once had this name."""
        left = (number for number, known in self.names.items() if known == name)
        return self.ids[name] if name in self.ids else max(left, default=None)


class _Everything(Scope):
    """Maps whatever it is asked for."""

    def maps(self, folder: int | None, recipient: str) -> bool:  # noqa: ARG002 (as the base class has it)
        return True


EVERYTHING: Final = _Everything(frozenset(), {}, {})
"""The scope of whoever does not care about the configuration."""


def missing_mappings(connection: Connection, scope: Scope) -> list[tuple[int, str]]:
    """Return the folder and recipient of whatever is shown as failed because it is no longer mapped."""
    unsent = select(deliveries.c.folder_id, deliveries.c.recipient).where(deliveries.c.state.in_(_UNSENT))
    found = connection.execute(unsent.distinct()).all()
    return sorted((folder, recipient) for folder, recipient in found if not scope.maps(folder, recipient))


def scope(connection: Connection, mapped: Sequence[MappedFolder]) -> Scope:
    """Find the configured folders as `folders.bind` does, but write nothing."""
    rows = connection.execute(select(folders).order_by(folders.c.id)).all()
    known: dict[bytes, list[Row[Any]]] = defaultdict(list)
    for row in rows:
        known[row.root].append(row)
    wanted: dict[bytes, set[str]] = defaultdict(set)
    for one in mapped:
        wanted[one.root].add(one.name)
    ids: dict[str, int] = {}
    for one in mapped:
        here = known[one.root]
        named = [row for row in here if row.name == one.name]
        for row in (named or [row for row in here if row.name not in wanted[one.root]])[:1]:
            here.remove(row)
            ids[one.name] = row.id
    former = _former_targets(rows, mapped, ids)
    owned = {ids[one.name]: one.recipients for one in mapped if one.name in ids}
    claimed = {row.id: former[row.id] for row in rows if row.id in former and row.path is not None}
    claimed |= {number: number for number in owned}
    pairs = {(number, c) for number, present in claimed.items() for c in owned[present]}
    names = {row.id: row.name for row in rows} | {number: name for name, number in ids.items()}
    return Scope(frozenset(pairs), ids, names, former)


def _former_targets(
    rows: Sequence[Row[Any]], mapped: Sequence[MappedFolder], ids: dict[str, int]
) -> dict[int, int]:
    """Return the former targets of links in folders' paths, with the folder that each belongs to.

    Where a path leads to a root that the service has not yet met, the folder is added to `ids` as the one
    that it led to last.
    """
    former: dict[int, int] = {}
    by_name: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in rows:
        by_name[row.name].append(row)
    for one in mapped:
        named = by_name[one.name]
        present = [row for row in named if row.path == one.path is not None]
        for row in present:
            if row.left_at is None:
                ids.setdefault(one.name, row.id)
        done = [row for row in named if row.path is None and row.left_at is not None]
        if one.name in ids:
            former |= {row.id: ids[one.name] for row in (*present, *done) if row.id != ids[one.name]}
    return former


def folders_with_first_look(connection: Connection) -> frozenset[int]:
    """Return the folders whose baseline was taken."""
    return frozenset(connection.scalars(select(folders.c.id).where(folders.c.looked_at.is_not(None))))


@dataclass(frozen=True, slots=True)
class Line:
    """One line of `history`; `id` is the delivery's, or the version's for a baseline."""

    id: int
    folder: str | None
    path: bytes
    recipient: str | None
    state: str
    size: int
    sha256: str | None
    attempts: int
    error: Cause | None
    uncertain_resent: bool
    noticed_at: float
    sent_at: float | None


def counts(connection: Connection, scope: Scope) -> dict[int | None, Counter[str]]:
    """Count deliveries by folder (None: what `send` was given) and state; and baseline versions.

    `noticed` counts those of the skipped for which a notice was sent: they are nothing to worry about.
    """
    found: dict[int | None, Counter[str]] = {}
    by_state = select(
        deliveries.c.folder_id, deliveries.c.recipient, deliveries.c.state, func.count()
    ).group_by(deliveries.c.folder_id, deliveries.c.recipient, deliveries.c.state)
    for folder, recipient, state, number in connection.execute(by_state):
        unmapped = not scope.maps(folder, recipient) and state not in _STAYS
        found.setdefault(folder, Counter())[State.FAILED if unmapped else state] += number
    told = (
        select(deliveries.c.folder_id, deliveries.c.recipient, func.count())
        .where(is_in(deliveries, State.SKIPPED), deliveries.c.code == NOTICED)
        .group_by(deliveries.c.folder_id, deliveries.c.recipient)
    )
    for folder, recipient, number in connection.execute(told):
        if scope.maps(folder, recipient):
            found.setdefault(folder, Counter())[NOTICED] += number
    old = select(versions.c.folder_id, func.count()).where(IS_BASELINE).group_by(versions.c.folder_id)
    for folder, number in connection.execute(old):
        found.setdefault(folder, Counter())[BASELINE] += number
    for one, present in scope.former.items():
        found.setdefault(present, Counter()).update(found.pop(one, Counter()))
    return found


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """Which lines of `history` are asked for; `folder` is a name, and None is no filter."""

    folder: str | None = None
    state: str | None = None
    limit: int = 20
    before: tuple[float, int] | None = None
    """Only lines that come after this one: the time noticed and the id of the last line of a page."""


PAGE: Final = 1000
BASELINE_PAGE: Final = 10_000
"""Lines that are read at once. No index has all baselines in the order of time: each page sorts them."""


def pages(store: Store, scope: Scope, query: HistoryQuery) -> Iterator[list[Line]]:
    """Yield what `lines` returns in pages, each read when it is asked for, in a transaction of its own.

    People pipe half a million lines into a pager, and leave it open. One transaction for all of them would
    keep the ledger's log from being checkpointed, and all lines in memory need a gigabyte.
    """
    most = BASELINE_PAGE if query.state == BASELINE else PAGE
    left, before = query.limit, query.before
    while left > 0:
        limit = min(left, most)
        with store.reading() as connection:
            found = lines(connection, scope, replace(query, limit=limit, before=before))
        if found or left == query.limit:  # the first page is a page even if it is empty
            yield found
        if len(found) < limit:
            return
        left -= limit
        before = found[-1].noticed_at, found[-1].id


def lines(connection: Connection, scope: Scope, query: HistoryQuery) -> list[Line]:
    """Return the newest lines by the time noticed; baseline versions only if `state` asks for them."""
    folder = None if query.folder is None else scope.number(query.folder)
    if query.folder is not None and folder is None:
        return []  # the configuration has the folder, but the service has not watched it yet
    if query.state == BASELINE:
        targets = None if folder is None else scope.targets(folder)
        return [_line(row, scope) for row in connection.execute(_baseline_lines(targets, query))]
    # A ledger may hold a million rows. The subquery finds the newest by an index, and only those are joined.
    newest = _newest(scope, folder, query).subquery()
    found = (
        select(deliveries, versions.c.directory, versions.c.name, versions.c.size, versions.c.sha256)
        .join(newest, newest.c.id == deliveries.c.id)
        .join(versions, versions.c.id == deliveries.c.version_id)
        .order_by(deliveries.c.noticed_at.desc(), deliveries.c.id.desc())
    )
    return [_line(row, scope) for row in connection.execute(found)]


def _newest(scope: Scope, folder: int | None, query: HistoryQuery) -> Select[tuple[int]]:
    ids = select(deliveries.c.id)
    if folder is not None:
        ids = ids.where(_is_in(deliveries.c.folder_id, scope.targets(folder)))
    if query.state is not None:
        ids = ids.where(_is_shown_as(State(query.state), scope, by_time=query.before is not None))
    if query.before is not None:
        ids = ids.where(tuple_(deliveries.c.noticed_at, deliveries.c.id) < query.before)
    return ids.order_by(deliveries.c.noticed_at.desc(), deliveries.c.id.desc()).limit(query.limit)


def _is_in(folder: ColumnElement[int], targets: list[int]) -> ColumnElement[bool]:
    # For a list of one, SQLite would not walk the index by time, but sort everything.
    return folder == targets[0] if len(targets) == 1 else folder.in_(targets)


def _is_shown_as(state: State, scope: Scope, *, by_time: bool) -> ColumnElement[bool]:
    """Match rows that are shown in this state: what is no longer mapped is shown as `failed`.

    With `by_time`, SQLite walks all rows by time instead of finding those of the state and sorting them.
    """
    # Nearly all rows are sent, so SQLite should walk them by time and stop at the limit. And whatever the
    # state, a second page says that there are many. `coalesce` hides the column from the planner.
    hidden = func.coalesce(deliveries.c.state, "")
    stored = hidden == state if by_time or state is State.SENT else is_in(deliveries, state)
    if state in _STAYS:
        return stored
    mapped = or_(
        deliveries.c.folder_id.is_(None),
        tuple_(deliveries.c.folder_id, deliveries.c.recipient).in_(sorted(scope.pairs)),
    )
    if state is State.FAILED:
        return hidden.in_(_UNSENT) & or_(stored, ~mapped)
    return stored & mapped


def _baseline_lines(targets: list[int] | None, query: HistoryQuery) -> Select[Any]:
    found = select(
        versions.c.id,
        versions.c.folder_id,
        versions.c.directory,
        versions.c.name,
        versions.c.size,
        versions.c.sha256,
        versions.c.noticed_at,
        null().label("recipient"),
        literal(BASELINE).label("state"),
        literal(0).label("attempts"),
        null().label("code"),
        literal(value=False).label("uncertain_resent"),
        null().label("sent_at"),
    ).where(IS_BASELINE)
    if targets is not None:
        found = found.where(_is_in(versions.c.folder_id, targets))
    if query.before is not None:
        found = found.where(tuple_(versions.c.noticed_at, versions.c.id) < query.before)
    return found.order_by(versions.c.noticed_at.desc(), versions.c.id.desc()).limit(query.limit)


def _line(row: Row[Any], scope: Scope) -> Line:
    values = row._mapping  # noqa: SLF001 (SQLAlchemy's documented name)
    recipient = values["recipient"]
    state = values["state"]
    error = None
    if values["code"] is not None:
        error = Cause(values["code"], values["message"] or "", values["advice"] or "", values["request_id"])
    if recipient and not scope.maps(values["folder_id"], recipient) and state not in _STAYS:
        state, error = State.FAILED, UNMAPPED
    return Line(
        id=values["id"],
        folder=scope.names.get(values["folder_id"]),
        path=join(values["directory"], values["name"]),
        recipient=recipient,
        state=str(state),
        size=values["size"],
        sha256=values["sha256"] or None,
        attempts=values["attempts"],
        error=error,
        uncertain_resent=bool(values["uncertain_resent"]),
        noticed_at=values["noticed_at"],
        sent_at=values["sent_at"],
    )


def story(connection: Connection, folder: int | None, path: bytes) -> list[Decision]:
    """Return everything that was decided about one path, in order; for `send`, folder is None."""
    directory, name = split(path)
    within = versions.c.folder_id.is_(None) if folder is None else versions.c.folder_id == folder
    here = (within, versions.c.directory == directory, versions.c.name == name)
    lines = (
        select(history, deliveries.c.recipient)
        .join(versions, versions.c.id == history.c.version_id)
        .outerjoin(deliveries, deliveries.c.id == history.c.delivery_id)
        .where(*here)
        .order_by(history.c.id)
    )
    old = select(versions.c.noticed_at, versions.c.id).where(*here, IS_BASELINE)
    away = (
        select(history.c.at, versions.c.id, versions.c.directory, versions.c.name)
        .join(versions, versions.c.id == history.c.version_id)
        .where(within, IS_MOVE, history.c.message == readable(path))
        .order_by(history.c.id)
    )
    return [
        *(Decision(at, number, None, BASELINE) for at, number in connection.execute(old)),
        *(_decision(row) for row in connection.execute(lines)),
        *(
            Decision(at, number, None, "moved away", other=readable(join(*there)))
            for at, number, *there in connection.execute(away)
        ),
    ]


def _decision(row: Row[Any]) -> Decision:
    number = row.version_id if row.delivery_id is None else row.delivery_id
    other = row.message if row.event == "moved" else None
    return Decision(row.at, number, row.recipient, row.event, row.after, _cause(row), other)


def _cause(row: Row[Any]) -> Cause | None:
    return None if row.code is None else Cause(row.code, row.message or "", row.advice or "", row.request_id)
