"""Folders: their identity, their recipients, where their roots lie, and flood holds."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    literal,
    null,
    select,
    update,
)

from dingwatch.filters import FilterRules
from dingwatch.ledger import transitions
from dingwatch.ledger.schema import (
    HELD,
    HELD_TOUCHED,
    IS_HELD,
    IS_WAITING,
    deliveries,
    folders,
    history,
    routes,
    versions,
)
from dingwatch.ledger.store import Prepared, Store, chunks
from dingwatch.ledger.transitions import Change
from dingwatch.lifecycle import Event, State
from dingwatch.model import Cause, Home


@dataclass(frozen=True, slots=True)
class MappedFolder:
    """A folder of the configuration: its real path, its name and its recipients.

    `path` is as the config has it, where links in it are followed; `linked_at` is when the newest of them was
    made or changed (wall clock).
    """

    root: bytes
    name: str
    recipients: tuple[str, ...]
    path: bytes | None = None
    linked_at: float | None = None


@dataclass(frozen=True, slots=True)
class ScanMark:
    """The last complete scan of a folder: with which filter, and when it began (wall clock)."""

    rules: FilterRules
    at: float


@dataclass(frozen=True, slots=True)
class RootMark:
    """The directory that a folder's root was when it was last looked at, and when (wall clock)."""

    device: int
    inode: int
    seen_at: float

    @property
    def identity(self) -> tuple[int, int]:
        """What tells it from another directory at the same path."""
        return self.device, self.inode


@dataclass(frozen=True, slots=True)
class LookMark:
    """What decides which unknown files of a folder are new.

    `began` is when a first look began that is not complete: what was changed later is new. `old_before` is
    set until the next complete scan: what was changed earlier is not new. `root` is None before the first
    look, and in a ledger that did not record it.
    """

    began: float | None = None
    old_before: float | None = None
    root: RootMark | None = None


@dataclass(frozen=True, slots=True)
class FolderMark:
    """A folder's row; `blank_device` is explained at `schema.folders`."""

    id: int
    looked_at: float | None
    blank_device: str | None
    home: Home | None = None
    """Where its root lay at the first look."""
    scan: ScanMark | None = None
    """None before the first look, and in a ledger of dingwatch 0.1."""
    look: LookMark = LookMark()


def bind(connection: Connection, mapped: Sequence[MappedFolder]) -> list[FolderMark]:
    """Find or insert the rows of the configured folders, and replace the routes; return them in order.

    A folder is identified by its real path, so that renaming it in the config makes no file new. Only where
    one path is configured more than once do the names tell the entries apart.
    """
    known = defaultdict(list)
    for row in connection.execute(select(folders).order_by(folders.c.id)):
        known[row.root].append(row)
    names = defaultdict(set)
    for one in mapped:
        names[one.root].add(one.name)
    marks = [_bind_one(connection, one, known[one.root], names[one.root] - {one.name}) for one in mapped]
    # A root that was moved to another disk counts as replaced. By taking the folder out of the config and
    # putting it back an admin confirms the move, so nothing is remembered of where it lay.
    paths = [one.path for one in mapped if one.path is not None]
    left = folders.c.id.not_in([mark.id for mark in marks])
    former = folders.c.path.is_not(None) & folders.c.path.in_(paths)  # a former target of a link in a path
    connection.execute(update(folders).where(left, ~former).values(mount_point=None, device=None))
    connection.execute(delete(routes))
    for mark, one in zip(marks, mapped, strict=True):
        add_routes(connection, mark.id, one.recipients)
    return marks


def add_routes(connection: Connection, folder: int, recipients: Sequence[str]) -> None:
    """Have the deliveries of a folder to these recipients claimed."""
    rows = [{"folder_id": folder, "recipient": recipient} for recipient in recipients]
    if rows:
        connection.execute(insert(routes), rows)


def _bind_one(
    connection: Connection, one: MappedFolder, known: list[Row[Any]], others: set[str]
) -> FolderMark:
    """Return the row of a folder; `others` are the names of those with the same root."""
    named = [row for row in known if row.name == one.name]
    free = named or [row for row in known if row.name not in others]
    if free:
        known.remove(free[0])
        if free[0].name != one.name:
            connection.execute(update(folders).where(folders.c.id == free[0].id).values(name=one.name))
        return mark_of(free[0])
    made = connection.execute(insert(folders).values(root=one.root, name=one.name)).inserted_primary_key
    assert made is not None  # noqa: S101 (an insert of one row always has one)
    return FolderMark(int(made[0]), None, None)


def mark_of(row: Row[Any]) -> FolderMark:
    """Read a folder's row."""
    home = None if row.mount_point is None else Home(row.mount_point, row.device)
    scan = None if row.filter is None else ScanMark(FilterRules.load(row.filter), row.scanned_at)
    return FolderMark(row.id, row.looked_at, row.blank_device, home, scan, _look_mark(row))


def _look_mark(row: Row[Any]) -> LookMark:
    root = None
    if row.root_inode is not None:
        root = RootMark(int(row.root_device), int(row.root_inode), row.root_seen_at)
    return LookMark(row.look_began, row.old_before, root)


def mark_first_look(connection: Connection, folder: int, now: float, blank_device: str | None) -> None:
    """Record that the baseline of a folder was taken."""
    connection.execute(
        update(folders)
        .where(folders.c.id == folder)
        .values(looked_at=now, blank_device=blank_device, look_began=None)
    )


def save_scans(connection: Connection, scans: Mapping[int, ScanMark]) -> None:
    """Record the last complete scans of folders."""
    for folder, scan in scans.items():
        values = {"filter": scan.rules.dump(), "scanned_at": scan.at}
        connection.execute(update(folders).where(folders.c.id == folder).values(values))


def save_looks(connection: Connection, looks: Mapping[int, LookMark]) -> None:
    """Record what decides which unknown files of folders are new."""
    for folder, look in looks.items():
        values: dict[str, Any] = {"look_began": look.began, "old_before": look.old_before}
        if look.root is not None:
            values |= {"root_device": str(look.root.device), "root_inode": str(look.root.inode)}
            values["root_seen_at"] = look.root.seen_at
        connection.execute(update(folders).where(folders.c.id == folder).values(values))


def save_homes(connection: Connection, homes: Mapping[int, Home]) -> None:
    """Record where the roots of folders lie."""
    for folder, home in homes.items():
        place = {"mount_point": home.mount_point, "device": home.device}
        connection.execute(update(folders).where(folders.c.id == folder).values(place))


# --- Flood holds ---------------------------------------------------------------------------------
# More files than `hold_over` in a folder within an hour wait for a person: their deliveries are pending
# rows whose due time never comes, until `release` or `discard`. So do old files of which only the time has
# changed, where there are many: somebody restored them without their times, or touched a whole tree.

DECIDED_AT_ONCE: Final = 500
"""Deliveries released or discarded in one transaction."""
_COLUMNS: Final = ("version_id", "delivery_id", "at", "event", "before", "after", "code", "advice")


def _is_held(folder: int) -> ColumnElement[bool]:
    return and_(deliveries.c.folder_id == folder, IS_HELD)


def _recent_since(connection: Connection, folder: int, since: float, now: float) -> float:
    """Return the later of `since` and the last `release` or `discard`: what was noticed before is over."""
    released = connection.scalar(select(folders.c.released_at).where(folders.c.id == folder)) or 0.0
    # A time in the future was written before the clock was set back, and says nothing of the last hour.
    return max(since, released if released <= now else 0.0)


def _is_recent(folder: int, after: float, now: float) -> ColumnElement[bool]:
    noticed = and_(deliveries.c.noticed_at > after, deliveries.c.noticed_at <= now)
    return and_(deliveries.c.folder_id == folder, noticed)


_TO_HOLD: Final = Prepared(
    select(deliveries.c.id).where(
        IS_WAITING,
        deliveries.c.folder_id == bindparam("folder"),
        deliveries.c.noticed_at > bindparam("after"),
        deliveries.c.noticed_at <= bindparam("now"),
    ),
    index="deliveries_to_hold",
)


def _list_to_hold(connection: Connection, folder: int, after: float, now: float) -> list[int]:
    """Return what was noticed in this time, waits and is not held."""
    return [row[0] for row in _TO_HOLD.rows(connection, {"folder": folder, "after": after, "now": now})]


def hold_flood(connection: Connection, folder: int, since: float, most: int, now: float) -> bool:
    """Hold what is pending and was noticed after `since`, if more than `most` deliveries were.

    Return whether this begins a flood, that is, nothing was held before. What was noticed before the last
    `release` or `discard` does not count, or the same flood would be held again at once.
    """
    after = _recent_since(connection, folder, since, now)
    # Counted up to the limit only: a folder may have a million rows of this hour.
    counted = select(deliveries.c.id).where(_is_recent(folder, after, now)).limit(most + 1).subquery()
    if (connection.scalar(select(func.count()).select_from(counted)) or 0) <= most:
        return False
    begins = connection.scalar(select(deliveries.c.id).where(_is_held(folder)).limit(1)) is None
    _hold(connection, _list_to_hold(connection, folder, after, now), now, "hold_over", {"due": HELD})
    return begins


# Written so that SQLite's planner finds no index for it: it is to find the rows by their ids.
_WAITS: Final = and_(func.coalesce(deliveries.c.state, "") == State.PENDING, deliveries.c.due + 0 < HELD)


def _hold(
    connection: Connection,
    ids: Sequence[int],
    now: float,
    code: str,
    values: Mapping[str, Any],
    which: ColumnElement[bool] | None = None,
) -> None:
    """Hold those of these deliveries that wait, and meet a condition."""
    for some in chunks(ids):
        held = and_(deliveries.c.id.in_(some), _WAITS, *(() if which is None else (which,)))
        _write_history(connection, held, "held", now, code)
        connection.execute(update(deliveries).where(held).values(values))


MOST_TOUCHED: Final = 10
TOUCHED_WINDOW: Final = 600.0
"""More than so many old files that differ in their time alone, within so many seconds, are held."""
TOUCHED: Final = Cause("touched", "", "TOUCHED")
_CAUSE: Final = (deliveries.c.code, deliveries.c.advice)
_HELD_TOUCHED: Final = {"due": HELD_TOUCHED, "code": TOUCHED.code, "advice": TOUCHED.advice}

_OLD: Final = versions.alias("old")
_IS_TOUCHED: Final = exists().where(
    versions.c.id == deliveries.c.version_id,
    _OLD.c.folder_id == versions.c.folder_id,
    _OLD.c.directory == versions.c.directory,
    _OLD.c.name == versions.c.name,
    _OLD.c.baseline,
    _OLD.c.size == versions.c.size,
    _OLD.c.mtime_ns != versions.c.mtime_ns,
)


def hold_touched(
    connection: Connection, folder: int, added: Sequence[int], now: float, waiting: int = 0
) -> bool:
    """Hold old files of which only the time has changed, once there are many.

    `added` are new deliveries. So many more files are `waiting` until it is certain that they rest: a restore
    writes one file after the other, and none of them is to be sent before it is known how many there are.
    Return whether this begins a hold. While it lasts, everything that is added joins it.
    """
    held = deliveries.c.due >= HELD_TOUCHED
    if connection.scalar(select(deliveries.c.id).where(_is_held(folder), held).limit(1)) is not None:
        _hold(connection, added, now, TOUCHED.code, _HELD_TOUCHED)
        return False
    after = _recent_since(connection, folder, now - TOUCHED_WINDOW, now)
    recent = _is_recent(folder, after, now) & _IS_TOUCHED
    found = select(deliveries.c.version_id).where(recent).distinct().limit(MOST_TOUCHED + 1).subquery()
    if waiting + (connection.scalar(select(func.count()).select_from(found)) or 0) <= MOST_TOUCHED:
        return False
    unsent = _list_to_hold(connection, folder, after, now)
    _hold(connection, unsent, now, TOUCHED.code, _HELD_TOUCHED, _IS_TOUCHED)
    return True


def release_flood(store: Store, folder: int, now: float) -> int:
    """Make everything due that is held in a folder; return how many deliveries that are."""
    cleared = {c: case((deliveries.c.code == TOUCHED.code, null()), else_=c) for c in _CAUSE}

    def release(connection: Connection, ids: Sequence[int]) -> None:
        these = deliveries.c.id.in_(ids)
        _write_history(connection, these, "released", now)
        free = {deliveries.c.due: now, deliveries.c.due_after: 0.0}
        connection.execute(update(deliveries).where(these).values(free | cleared))

    return _decide_held(store, folder, now, release)


def discard_flood(store: Store, folder: int, now: float) -> int:
    """Skip everything that is held in a folder; return how many deliveries that are."""
    cause = Cause("discarded", "", "DISCARDED")

    def discard(connection: Connection, ids: Sequence[int]) -> None:
        changes = [Change(i, Event.SKIP, State.PENDING, cause, {"due": now}) for i in ids]
        transitions.apply(connection, now, changes)

    return _decide_held(store, folder, now, discard)


def _decide_held(
    store: Store, folder: int, now: float, decide: Callable[[Connection, Sequence[int]], None]
) -> int:
    """Carry out a decision on everything that is held in a folder; return how many deliveries that are."""
    some = select(deliveries.c.id).where(_is_held(folder)).limit(DECIDED_AT_ONCE)
    total = 0
    while True:
        # A flood may be a million rows. The service writes too, and gets its turn between two transactions.
        with store.writing() as connection:
            connection.execute(update(folders).where(folders.c.id == folder).values(released_at=now))
            ids = connection.scalars(some).all()
            decide(connection, ids)
        total += len(ids)
        if not ids:
            return total


_HELD: Final = Prepared(
    select(deliveries.c.folder_id, func.count()).where(IS_HELD).group_by(deliveries.c.folder_id),
    index="deliveries_held",
)


def count_held(connection: Connection) -> Counter[int]:
    """Count the held deliveries of each folder that has some."""
    return Counter(dict(_HELD.rows(connection, {})))


def _write_history(
    connection: Connection, which: ColumnElement[bool], event: str, now: float, code: str = "hold_over"
) -> None:
    pending: Any = literal(State.PENDING.value)
    lines = select(
        deliveries.c.version_id,
        deliveries.c.id,
        literal(now),
        literal(event),
        pending,
        pending,
        literal(code),
        literal("HELD"),
    ).where(which)
    connection.execute(insert(history).from_select(_COLUMNS, lines))
