"""Folders: their identity, their recipients, where their roots lie, and flood holds.

A folder that several nodes share has one row, which has its name as root and no path of any node; where it
lies on each of them, and what each has seen of it, is in `folder_nodes`.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
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
    true,
    update,
)

from dingwatch.filters import FilterRules
from dingwatch.ledger import transitions
from dingwatch.ledger.fingerprints import database_time, is_live
from dingwatch.ledger.nodes import wake_nodes
from dingwatch.ledger.routing import add_routes, replace_routes
from dingwatch.ledger.schema import (
    HELD,
    HELD_TOUCHED,
    IS_HELD,
    IS_WAITING,
    deliveries,
    fingerprints,
    folder_nodes,
    folders,
    history,
    nodes,
    versions,
)
from dingwatch.ledger.store import Prepared, Store, chunks, node_of
from dingwatch.ledger.transitions import Change
from dingwatch.lifecycle import Event, State
from dingwatch.model import Cause, Home


@dataclass(frozen=True, slots=True)
class Share:
    """What makes folders of several nodes the same: its name, and the settings that all must have alike.

    The settings are digests of their values by the keys of the config, so that the ledger has no wording and
    no arguments of programs.
    """

    name: str
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MappedFolder:
    """A folder of the configuration: its real path, its name and its recipients.

    `path` is as the config has it, where links in it are followed; `linked_at` is when the newest of them was
    made or changed (wall clock). `share` is set where several nodes share the folder.
    """

    root: bytes
    name: str
    recipients: tuple[str, ...]
    path: bytes | None = None
    linked_at: float | None = None
    by_any_node: bool = False
    """Whether a node that does not have the folder may send what is uploaded."""
    share: Share | None = None


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
        """Device and inode, which differ for another directory at the same path."""
        return self.device, self.inode


@dataclass(frozen=True, slots=True)
class LookMark:
    """The facts that decide which unknown files of a folder are new.

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
    """The mount point and device of its root at the first look."""
    scan: ScanMark | None = None
    """None before the first look, and in a ledger of dingwatch 0.1."""
    look: LookMark = LookMark()
    moves: bool = False
    """Whether sent files are moved in it, or ever were."""
    joins: bool = False
    """Whether other nodes have looked at it and this one has not."""


def bind(connection: Connection, mapped: Sequence[MappedFolder]) -> list[FolderMark]:
    """Find or insert the rows of the configured folders, and replace the routes; return them in order.

    Folders and routes of other nodes are left alone. A folder is identified by its real path, so that
    renaming it in the config makes no file new. Only where one path is configured more than once do the names
    tell the entries apart. A folder that several nodes share is identified by the name of the share.
    """
    known = defaultdict(list)
    for row in connection.execute(select(folders).where(_is_own(connection)).order_by(folders.c.id)):
        known[row.root].append(row)
    names = defaultdict(set)
    for one in mapped:
        names[one.root].add(one.name)
    marks = [
        _bind_one(connection, one, known[one.root], names[one.root] - {one.name})
        if one.share is None
        else _bind_share(connection, one, one.share, known[one.root])
        for one in mapped
    ]
    # A root that was moved to another disk counts as replaced. By taking the folder out of the config and
    # putting it back an admin confirms the move, so nothing is remembered of where it lay.
    paths = [one.path for one in mapped if one.path is not None]
    left = folders.c.id.not_in([mark.id for mark in marks])
    former = folders.c.path.is_not(None) & folders.c.path.in_(paths)  # a former target of a link in a path
    connection.execute(
        update(folders).where(left, ~former, _is_own(connection)).values(mount_point=None, device=None)
    )
    _leave_shares(connection, {mark.id for mark in marks})
    replace_routes(connection)
    shares = [mark.id for mark, one in zip(marks, mapped, strict=True) if one.share is not None]
    differing = find_differing(connection, shares) if shares else {}
    for mark, one in zip(marks, mapped, strict=True):
        if mark.id not in differing:  # else it would send with settings that the others do not have
            add_routes(connection, mark.id, one.recipients, by_any_node=one.by_any_node)
    return marks


def _is_own(connection: Connection) -> ColumnElement[bool]:
    """Match folders of this node alone."""
    return and_(folders.c.node == node_of(connection), folders.c.shared.is_(None))


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
    return FolderMark(_insert(connection, one.root, one.name), None, None)


def find_or_insert(connection: Connection, root: bytes, name: str) -> int:
    """Return the id of a folder, which gets a row if it has none yet."""
    same = (folders.c.root == root, folders.c.name == name, _is_own(connection))
    known = connection.scalar(select(folders.c.id).where(*same))
    return _insert(connection, root, name) if known is None else int(known)


def _insert(connection: Connection, root: bytes, name: str, share: str | None = None) -> int:
    node = node_of(connection) if share is None else ""
    row = {"root": root, "name": name, "node": node, "shared": share}
    made = connection.execute(insert(folders).values(row)).inserted_primary_key
    assert made is not None  # noqa: S101 (an insert of one row always has one)
    return int(made[0])


def find_name(connection: Connection, folder: int) -> str:
    """Return the name of a folder, whichever node has it."""
    found: str = connection.execute(select(folders.c.name).where(folders.c.id == folder)).scalar_one()
    return found


def mark_of(row: Row[Any]) -> FolderMark:
    """Read a folder's row."""
    moves = row.moves_since is not None
    return FolderMark(
        row.id, row.looked_at, row.blank_device, _home(row), _scan_mark(row), _look_mark(row), moves
    )


def _home(row: Row[Any]) -> Home | None:
    return None if row.mount_point is None else Home(row.mount_point, row.device)


def _scan_mark(row: Row[Any]) -> ScanMark | None:
    return None if row.filter is None else ScanMark(FilterRules.load(row.filter), row.scanned_at)


def _look_mark(row: Row[Any]) -> LookMark:
    root = None
    if row.root_inode is not None:
        root = RootMark(int(row.root_device), int(row.root_inode), row.root_seen_at)
    return LookMark(row.look_began, row.old_before, root)


# --- Shares --------------------------------------------------------------------------------------

_OF_A_LOOK: Final = (
    *("looked_at", "blank_device", "mount_point", "device", "filter", "scanned_at", "look_began"),
    *("old_before", "root_device", "root_inode", "root_seen_at"),
)
"""Columns that `folders` and `folder_nodes` have both."""


def _bind_share(connection: Connection, one: MappedFolder, share: Share, known: list[Row[Any]]) -> FolderMark:
    """Return the mark of a folder that several nodes share, as this one sees it."""
    now: float = connection.execute(select(database_time())).scalar_one()
    row = connection.execute(select(folders).where(folders.c.shared == share.name)).first()
    if row is None:
        former = [row for row in known if row.name == one.name] or known
        if former:
            number = _share_out(connection, former[0], share, now)
        else:
            number = _insert(connection, share.name.encode(), one.name, share.name)
        row = connection.execute(select(folders).where(folders.c.id == number)).one()
    if row.name != one.name:
        connection.execute(update(folders).where(folders.c.id == row.id).values(name=one.name))
    return _mark_of_share(row, _bind_node(connection, row.id, one.root, share, now))


def _share_out(connection: Connection, row: Row[Any], share: Share, now: float) -> int:
    """Make a folder of this node a share; what is known of its files is what this node has seen."""
    node = node_of(connection)
    values: dict[str, Any] = {name: getattr(row, name) for name in _OF_A_LOOK}
    values |= {"folder_id": row.id, "node": node, "root": row.root, "settings": "", "since": now}
    connection.execute(insert(folder_nodes).values(values))
    columns = ("version_id", "node", "mtime_ns", "ctime_ns", "inode", "device", "seen_at", "missing_since")
    v = versions.c
    seen = select(
        v.id, literal(node), v.mtime_ns, v.ctime_ns, v.inode, v.device, literal(now), v.missing_since
    ).where(v.folder_id == row.id)
    connection.execute(insert(fingerprints).from_select(columns, seen))
    shared = {"node": "", "shared": share.name, "root": share.name.encode(), "path": None, "left_at": None}
    connection.execute(update(folders).where(folders.c.id == row.id).values(shared))
    return int(row.id)


def _bind_node(connection: Connection, number: int, root: bytes, share: Share, now: float) -> Row[Any]:
    """Return what this node has seen of a share, and record where it lies and how it is set up here."""
    node = node_of(connection)
    mine = (folder_nodes.c.folder_id == number, folder_nodes.c.node == node)
    settings = json.dumps(dict(share.settings), sort_keys=True)
    row = connection.execute(select(folder_nodes).where(*mine)).first()
    if row is None:
        made = {"folder_id": number, "node": node, "root": root, "settings": settings, "since": now}
        connection.execute(insert(folder_nodes).values(made))
    else:
        changed: dict[str, Any] = {} if row.settings == settings else {"settings": settings, "since": now}
        if row.root != root:  # the same share, mounted elsewhere: nobody misses the former mount point
            changed |= {"root": root, "mount_point": None, "device": None}
        if changed:
            connection.execute(update(folder_nodes).where(*mine).values(changed))
    return connection.execute(select(folder_nodes).where(*mine)).one()


def _mark_of_share(row: Row[Any], mine: Row[Any]) -> FolderMark:
    """Read a share's row, and what this node knows of it.

    Once one node has taken the first look, nothing in the share is old for any of them.
    """
    looked = row.looked_at is not None
    return FolderMark(
        id=row.id,
        looked_at=row.looked_at if looked else mine.looked_at,
        blank_device=None if looked else mine.blank_device,
        home=_home(mine),
        scan=_scan_mark(mine),
        look=_look_mark(mine),
        moves=row.moves_since is not None,
        joins=looked and mine.scanned_at is None,
    )


def _leave_shares(connection: Connection, kept: set[int]) -> None:
    """Forget where shares lay that this node does not have any more: no other one is to wait for it."""
    if node := node_of(connection):
        left = folder_nodes.c.folder_id.not_in(kept)
        connection.execute(delete(folder_nodes).where(folder_nodes.c.node == node, left))


@dataclass(frozen=True, slots=True)
class Difference:
    """Another node that had a share before this one, and the keys that it has set otherwise."""

    node: str
    keys: tuple[str, ...]


def find_differing(connection: Connection, numbers: Sequence[int]) -> dict[int, Difference]:
    """Return the shares that this node must not watch, because it has set them up otherwise, and later.

    A node whose lease is over has no say: its host may have been given up.
    """
    node = node_of(connection)
    query = select(folder_nodes).where(
        folder_nodes.c.folder_id.in_(numbers), (folder_nodes.c.node == node) | is_live(folder_nodes.c.node)
    )
    rows: dict[int, dict[str, Row[Any]]] = defaultdict(dict)
    for row in connection.execute(query.order_by(folder_nodes.c.since, folder_nodes.c.node)):
        rows[row.folder_id][row.node] = row
    found = {}
    for number, by_node in rows.items():
        mine = by_node.pop(node, None)
        for other in by_node.values():
            if mine is None or other.settings == mine.settings:
                continue
            if (other.since, other.node) < (mine.since, node):
                found[number] = _compare(other, json.loads(mine.settings or "{}"))
                break
    return found


def find_other_settings(connection: Connection, share: Share) -> Difference | None:
    """Return a live node that has set up a share otherwise than it is set up here; None if there is none."""
    query = (
        select(folder_nodes)
        .join(folders, folders.c.id == folder_nodes.c.folder_id)
        .where(folders.c.shared == share.name, folder_nodes.c.node != node_of(connection))
        .where(is_live(folder_nodes.c.node))
        .order_by(folder_nodes.c.since, folder_nodes.c.node)
    )
    found = (_compare(row, share.settings) for row in connection.execute(query))
    return next((one for one in found if one.keys), None)


def list_former_names(connection: Connection, roots: Sequence[bytes]) -> list[str]:
    """Return the names that this host may have had before: those of nodes with these folders that do not run.

    A host that has worked under its present name was never called otherwise.
    """
    own = node_of(connection)
    if connection.scalar(select(nodes.c.name).where(nodes.c.name == own)) is not None:
        return []
    named = folders.c.node
    query = select(named).where(folders.c.root.in_(roots), named.not_in(["", own]), ~is_live(named))
    return list(connection.scalars(query.distinct().order_by(named)))


def _compare(other: Row[Any], settings: Mapping[str, str]) -> Difference:
    theirs = json.loads(other.settings or "{}")
    keys = settings.keys() | theirs.keys()
    return Difference(other.node, tuple(sorted(k for k in keys if settings.get(k) != theirs.get(k))))


@dataclass(frozen=True, slots=True)
class ShareState:
    """How far the nodes of a share are with its first look.

    `looked` says that it is taken. Else `began` is when the first of them began it, or found nothing there
    (wall clock of that node): what was changed since is new. `looker` is the other node that is taking it.
    """

    looked: bool
    began: float | None = None
    looker: str | None = None


def read_share(connection: Connection, number: int) -> ShareState:
    """Return how far the first look at a share is.

    Should two nodes write what is old, they would not agree on when that was: a file that came in between
    would be new to one of them and, as the other has written it down already, not be sent. So it is the first
    that begins, as long as it lives, and the others wait.
    """
    if connection.scalar(select(folders.c.looked_at).where(folders.c.id == number)) is not None:
        return ShareState(looked=True)
    of_share = folder_nodes.c.folder_id == number
    began = func.min(func.coalesce(folder_nodes.c.look_began, folder_nodes.c.looked_at))
    looking = (folder_nodes.c.look_began.is_not(None), folder_nodes.c.looked_at.is_(None))
    live = (folder_nodes.c.node == node_of(connection)) | is_live(folder_nodes.c.node)
    order = (folder_nodes.c.look_began, folder_nodes.c.node)
    first = select(folder_nodes.c.node).where(of_share, *looking, live).order_by(*order).limit(1)
    looker = connection.scalars(first).first()
    return ShareState(
        looked=False,
        began=connection.scalar(select(began).where(of_share)),
        looker=None if looker == node_of(connection) else looker,
    )


def note_looked(connection: Connection, numbers: Sequence[int], now: float) -> None:
    """Record that something new was found in shares: whichever node looks next, nothing there is old.

    A share that was empty at every look may just not have been mounted, and that was no first look.
    """
    if numbers:
        never = (folders.c.id.in_(numbers), folders.c.shared.is_not(None), folders.c.looked_at.is_(None))
        connection.execute(update(folders).where(*never).values(looked_at=now))


# --- What is known of the root -------------------------------------------------------------------


def _save(connection: Connection, folder: int, values: Mapping[str, Any]) -> None:
    """Record facts of a folder, or of a share as this node sees it."""
    if node := node_of(connection):
        mine = (folder_nodes.c.folder_id == folder, folder_nodes.c.node == node)
        if connection.execute(update(folder_nodes).where(*mine).values(values)).rowcount:
            return
    connection.execute(update(folders).where(folders.c.id == folder).values(values))


def mark_first_look(connection: Connection, folder: int, now: float, blank_device: str | None) -> None:
    """Record that the baseline of a folder was taken."""
    _save(connection, folder, {"looked_at": now, "blank_device": blank_device, "look_began": None})
    if blank_device is None and node_of(connection):
        note_looked(connection, [folder], now)


def save_scans(connection: Connection, scans: Mapping[int, ScanMark]) -> None:
    """Record the last complete scans of folders."""
    for folder, scan in scans.items():
        _save(connection, folder, {"filter": scan.rules.dump(), "scanned_at": scan.at})


def save_looks(connection: Connection, looks: Mapping[int, LookMark]) -> None:
    """Record what decides which unknown files of folders are new."""
    for folder, look in looks.items():
        values: dict[str, Any] = {"look_began": look.began, "old_before": look.old_before}
        if look.root is not None:
            values |= {"root_device": str(look.root.device), "root_inode": str(look.root.inode)}
            values["root_seen_at"] = look.root.seen_at
        _save(connection, folder, values)


def save_homes(connection: Connection, homes: Mapping[int, Home]) -> None:
    """Record where the roots of folders lie."""
    for folder, home in homes.items():
        _save(connection, folder, {"mount_point": home.mount_point, "device": home.device})


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
        # Of a bundle that is not yet uploaded, some may be held and others not. When they are released, they
        # are put into bundles anew.
        again = case((deliveries.c.bundle.is_not(None), true()), else_=deliveries.c.gathering)
        apart: dict[str, Any] = {"bundle": None, "gathering": again}
        connection.execute(update(deliveries).where(held).values({**apart, **values}))


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
            wake_nodes(connection)
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
