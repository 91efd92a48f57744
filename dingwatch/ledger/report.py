"""Queries for `status`, `history` and `why`. Nothing here writes."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Connection,
    FromClause,
    Row,
    Select,
    and_,
    bindparam,
    case,
    exists,
    false,
    func,
    literal,
    null,
    or_,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from dingwatch.ledger.delivery_counts import DeliveryCounts
from dingwatch.ledger.folders import MappedFolder
from dingwatch.ledger.routing import list_routes_of_others
from dingwatch.ledger.schema import (
    HELD,
    IS_BASELINE,
    IS_MOVE,
    IS_WAITING,
    deliveries,
    folders,
    history,
    is_in,
    is_in_work,
    versions,
)
from dingwatch.ledger.store import Prepared, Store, chunks, node_of
from dingwatch.ledger.versions import join, split
from dingwatch.lifecycle import BASELINE, IN_WORK, NOTICED, Event, State
from dingwatch.model import Cause, Decision
from dingwatch.names import contains, has_one_form, readable

UNMAPPED: Final = Cause("unmapped", "", "UNMAPPED")
_STAYS: Final = (State.SENT, State.GONE)
"""States that are shown as they are, even if the folder or recipient has left the configuration."""
_UNSENT: Final = frozenset(state for state in State if state not in _STAYS)


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
    nodes: Mapping[int, str] = field(default_factory=dict)
    """The node of each folder that one node alone has."""

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
    """Find this node's configured folders as `folders.bind` does, but write nothing."""
    rows = connection.execute(select(folders).order_by(folders.c.id)).all()
    node = node_of(connection)
    own = [row for row in rows if row.node == node and row.shared is None]
    shares = {row.shared: row.id for row in rows if row.shared is not None}
    known: dict[bytes, list[Row[Any]]] = defaultdict(list)
    for row in own:
        known[row.root].append(row)
    wanted: dict[bytes, set[str]] = defaultdict(set)
    for one in mapped:
        wanted[one.root].add(one.name)
    ids = {one.name: shares[one.share.name] for one in mapped if one.share and one.share.name in shares}
    for one in mapped:
        if one.name in ids:
            continue
        here = known[one.root]
        named = [row for row in here if row.name == one.name]
        for row in (named or [row for row in here if row.name not in wanted[one.root]])[:1]:
            here.remove(row)
            ids[one.name] = row.id
    former = _former_targets(own, mapped, ids)
    owned = {ids[one.name]: one.recipients for one in mapped if one.name in ids}
    claimed = {row.id: former[row.id] for row in own if row.id in former and row.path is not None}
    claimed |= {number: number for number in owned}
    pairs = {(number, c) for number, present in claimed.items() for c in owned[present]}
    # What other nodes map waits for them, however long they are away.
    pairs |= set(list_routes_of_others(connection))
    names = {row.id: row.name for row in rows} | {number: name for name, number in ids.items()}
    return Scope(frozenset(pairs), ids, names, former, {row.id: row.node for row in rows if row.node})


def with_others(connection: Connection, known: Scope) -> Scope:
    """Add the folders of other nodes, each under its node's name and its own; several may share one."""
    numbers = {folder for folder, _ in list_routes_of_others(connection)} - set(known.ids.values())
    if not numbers:
        return known
    rows = connection.execute(
        select(folders.c.id, folders.c.name, folders.c.node).where(folders.c.id.in_(numbers))
    )
    names = {row.id: f"{row.node or 'shared'}: {row.name}" for row in rows}
    ids = {name: number for number, name in names.items()}
    return replace(known, ids={**known.ids, **ids}, names={**known.names, **names})


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


def moves(connection: Connection, folder: int) -> bool:
    """Return whether sent files are moved in a folder, or ever were."""
    return connection.scalar(select(folders.c.moves_since).where(folders.c.id == folder)) is not None


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
    bundle: int | None = None
    """The message that several files share."""
    moved_to: bytes | None = None
    """The path to which dingwatch has moved the file after it was sent."""
    held: bool = False
    """Whether a flood hold keeps it."""
    node: str | None = None
    """The node that has it or had it in hand, else the one that has its folder."""


def counts(
    connection: Connection, scope: Scope, by_state: DeliveryCounts | None = None
) -> dict[int | None, Counter[str]]:
    """Count deliveries by folder (None: what `send` was given) and state; and baseline versions.

    `noticed` counts those of the skipped for which a notice was sent: they are nothing to worry about.
    `by_state` spares counting the deliveries anew each time.
    """
    found: dict[int | None, Counter[str]] = {}
    for (folder, recipient, state), number in (by_state or DeliveryCounts()).read(connection).items():
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


def count_open(connection: Connection) -> Counter[str]:
    """Count, by state, the deliveries that have not ended, and those that failed or are uncertain.

    It reads no others, however long the past is.
    """
    found: Counter[str] = Counter()
    for matches in (is_in_work(deliveries), is_in(deliveries, State.FAILED, State.UNCERTAIN)):
        counted = select(deliveries.c.state, func.count()).where(matches).group_by(deliveries.c.state)
        found.update({str(state): number for state, number in connection.execute(counted)})
    return found


def waiting_since(connection: Connection) -> float | None:
    """Return when the oldest delivery that waits or is in progress has settled; flood holds do not count."""
    in_hand = is_in(deliveries, State.UPLOADING, State.UPLOADED, State.SENDING)
    # Two indexes have all that is asked for.
    found = [
        connection.scalar(select(func.min(deliveries.c.settled_at)).where(*matches))
        for matches in ((IS_WAITING,), (is_in_work(deliveries), in_hand))
    ]
    return min((at for at in found if at is not None), default=None)


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """Which lines of `history` are asked for; `folder` is a name, and None is no filter."""

    folder: str | None = None
    state: str | None = None
    limit: int = 20
    before: tuple[float, int] | None = None
    """Only lines that come after this one: the time noticed and the id of the last line of a page."""
    since: float | None = None
    """Only what was noticed then or later."""
    until: float | None = None
    """Only what was noticed before."""
    recipient: str | None = None
    search: str = ""
    """A text in the path, in any case."""


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
        # Of what SQL finds for a search, some lines may not be shown.
        limit = most if query.search else min(left, most)
        with store.reading() as connection:
            found = _candidates(connection, scope, replace(query, limit=limit, before=before))
        shown = _matching(found, query)[:left]
        if shown or left == query.limit:  # the first page is a page even if it is empty
            yield shown
        if len(found) < limit:
            return
        left -= len(shown)
        before = found[-1].noticed_at, found[-1].id


def lines(connection: Connection, scope: Scope, query: HistoryQuery) -> list[Line]:
    """Return the newest lines by the time noticed; baseline versions only if `state` asks for them.

    With `search` they may be fewer than `limit` although there are more; `pages` goes on.
    """
    return _matching(_candidates(connection, scope, query), query)


def _matching(found: Sequence[Line], query: HistoryQuery) -> list[Line]:
    return [line for line in found if not query.search or contains(line.path, query.search)]


_OF_LINE: Final = (
    deliveries,
    versions.c.directory,
    versions.c.name,
    versions.c.size,
    versions.c.sha256,
    versions.c.moved_to,
)
"""The columns from which a line is made."""


def _candidates(connection: Connection, scope: Scope, query: HistoryQuery) -> list[Line]:
    """Return what `lines` does, and of a search also some lines that only look alike."""
    folder = None if query.folder is None else scope.number(query.folder)
    if query.folder is not None and folder is None:
        return []  # the configuration has the folder, but the service has not watched it yet
    if query.state == BASELINE:
        targets = None if folder is None else scope.targets(folder)
        return [_line(row, scope) for row in connection.execute(_baseline_lines(targets, query))]
    # A ledger may hold a million rows. The subquery finds the newest by an index, and only those are joined.
    newest = _newest(connection, scope, folder, query).subquery()
    found = (
        select(*_OF_LINE)
        .join(newest, newest.c.id == deliveries.c.id)
        .join(versions, versions.c.id == deliveries.c.version_id)
        .order_by(deliveries.c.noticed_at.desc(), deliveries.c.id.desc())
    )
    return [_line(row, scope) for row in connection.execute(found)]


def _newest(
    connection: Connection, scope: Scope, folder: int | None, query: HistoryQuery
) -> Select[tuple[int, float]]:
    ids = _walk(query).where(*_times(deliveries, query))
    if query.recipient is not None:
        ids = ids.where(_unindexed(deliveries.c.recipient) == query.recipient)
    if folder is not None:
        targets = scope.targets(folder)
        # Walked by time, the index has all that a recipient or a name is looked for with.
        hidden = query.recipient is not None or query.search
        ids = ids.where(_is_in(deliveries.c.folder_id + 0 if hidden else deliveries.c.folder_id, targets))
    if query.state is None:
        return _cut(ids, query)
    state, unmapped = State(query.state), list_unmapped(connection, scope)
    # A second page says that there are many, which SQLite should not sort for each.
    by_time = state is State.SENT or (state in IN_WORK and query.before is not None)
    stored = _unindexed(deliveries.c.state) == state if by_time else is_in(deliveries, state)
    if state in _STAYS or not unmapped:
        return _cut(ids.where(stored), query)
    if state is not State.FAILED:
        left = tuple_(deliveries.c.folder_id, deliveries.c.recipient).in_(unmapped)
        return _cut(ids.where(stored, or_(deliveries.c.folder_id.is_(None), ~left)), query)
    # What is no longer mapped is shown as failed, too, whatever its state. Two indexes find the two kinds.
    others = ids.where(deliveries.c.state.in_(_UNSENT - {State.FAILED})).limit(query.limit)
    others = others.order_by((deliveries.c.noticed_at + 0).desc(), deliveries.c.id.desc())
    parts = [_cut(ids.where(stored), query), *(others.where(_is_of(some)) for some in chunks(unmapped))]
    found = union_all(*(select(part.subquery()) for part in parts)).subquery()
    return select(found).order_by(found.c.noticed_at.desc(), found.c.id.desc()).limit(query.limit)


_BY_PATH: Final = (None, State.SENT)
"""States of which a search looks at all paths; of the others, a few rows are found by their state."""


def _walk(query: HistoryQuery) -> Select[tuple[int, float]]:
    """Return the query for the deliveries that a search may show, or for all."""
    ids = select(deliveries.c.id, deliveries.c.noticed_at)
    if not query.search:
        return ids
    if query.state not in _BY_PATH:
        there = versions.c.id == deliveries.c.version_id
        return ids.where(exists().where(there, _looks_like(query.search)))
    # To look up the path of each delivery takes four times as long as to walk through an index of paths.
    walked = ids.select_from(versions).join(deliveries, deliveries.c.version_id == versions.c.id)
    walked = walked.where(versions.c.baseline.is_(other=False), _looks_like(query.search))
    return walked.where(*_times(versions, replace(query, before=None)), *_earlier(query)).with_hint(
        versions, "INDEXED BY versions_to_search", "sqlite"
    )


def _earlier(query: HistoryQuery) -> Iterator[ColumnElement[bool]]:
    """Yield the condition by which the walk for a later page begins where the one before ended."""
    if query.before is not None:
        yield versions.c.noticed_at <= query.before[0]


def _is_of(mappings: Sequence[tuple[int, str]]) -> ColumnElement[bool]:
    # SQLite looks up no list of pairs in an index.
    pairs = ((deliveries.c.folder_id == one, deliveries.c.recipient == other) for one, other in mappings)
    return or_(*(and_(*pair) for pair in pairs))


def _times(rows: FromClause, query: HistoryQuery) -> Iterator[ColumnElement[bool]]:
    if query.since is not None:
        yield rows.c.noticed_at >= query.since
    if query.until is not None:
        yield rows.c.noticed_at < query.until
    if query.before is not None:
        yield tuple_(rows.c.noticed_at, rows.c.id) < query.before


def _cut(ids: Select[tuple[int, float]], query: HistoryQuery) -> Select[tuple[int, float]]:
    # Both are the same; but SQLite walks the index that a search goes by only in its own order.
    walked = versions if query.search and query.state in _BY_PATH else deliveries
    return ids.order_by(walked.c.noticed_at.desc(), deliveries.c.id.desc()).limit(query.limit)


def _is_in(folder: ColumnElement[int], targets: list[int]) -> ColumnElement[bool]:
    # For a list of one, SQLite would not walk the index by time, but sort everything.
    return folder == targets[0] if len(targets) == 1 else folder.in_(targets)


def _unindexed(column: ColumnElement[str]) -> ColumnElement[str]:
    """Hide a column from SQLite's planner, which would sort all that an index has of a value.

    Where nearly all rows are sent, it should walk them by time and stop at the limit.
    """
    return func.coalesce(column, "")


def last_noticed(connection: Connection, folders: Iterable[int]) -> dict[int, float]:
    """Return when the newest delivery of each folder was noticed, where it has any."""
    found = {folder: at for folder, at in connection.execute(_NEWEST) if at is not None}
    return {one: found[one] for one in folders if one in found}


# In one statement, for a round trip to a server may take longer than all steps of the index; and one step for
# each folder, for to group the deliveries would read all.
_NEWEST: Final = select(
    folders.c.id,
    select(func.max(deliveries.c.noticed_at)).where(deliveries.c.folder_id == folders.c.id).scalar_subquery(),
)


def _each_mapping() -> Select[Any]:
    """Return each folder with each recipient that has deliveries: a `DISTINCT` would read a million rows."""
    first = select(deliveries.c.folder_id).where(deliveries.c.folder_id.is_not(None))
    folder = first.order_by(deliveries.c.folder_id).limit(1)
    recipient = select(deliveries.c.recipient).order_by(deliveries.c.recipient).limit(1)
    start = folder.scalar_subquery()
    found = select(
        start.label("folder"),
        recipient.where(deliveries.c.folder_id == start).scalar_subquery().label("recipient"),
    ).cte("found", recursive=True)
    of_same = recipient.where(
        deliveries.c.folder_id == found.c.folder, deliveries.c.recipient > found.c.recipient
    ).scalar_subquery()
    following = folder.where(deliveries.c.folder_id > found.c.folder).correlate(found).scalar_subquery()
    of_following = recipient.where(deliveries.c.folder_id == following).scalar_subquery()
    step = select(
        case((of_same.is_not(None), found.c.folder), else_=following), func.coalesce(of_same, of_following)
    ).where(found.c.folder.is_not(None))
    found = found.union_all(step)
    return select(found.c.folder, found.c.recipient).where(found.c.folder.is_not(None))


_MAPPINGS: Final = Prepared(_each_mapping())


def list_unmapped(connection: Connection, scope: Scope) -> list[tuple[int, str]]:
    """Return each folder with each recipient that has deliveries and left the configuration."""
    rows = _MAPPINGS.rows(connection, {})
    return [(folder, recipient) for folder, recipient in rows if not scope.maps(folder, recipient)]


_LONGEST_PATTERN: Final = 1000
"""Characters that SQL compares; no name is longer, and SQLite takes no pattern of 50,000."""


def _looks_like(text: str) -> ColumnElement[bool]:
    """Match versions whose path contains a text, and some others: SQLite knows the case of ASCII alone.

    A name that is not UTF-8 is looked for by the bytes of an old Windows, and by those that `history` shows.
    """
    key, wanted = versions.c.search_key, unicodedata.normalize("NFC", text[:_LONGEST_PATTERN])
    shown = re.sub(rb"\\x([0-9a-f]{2})", lambda found: bytes.fromhex(found[1].decode()), os.fsencode(text))
    forms = {text.encode("gb18030", "ignore"), shown, *_forms(wanted)}
    likely: list[ColumnElement[bool]] = [_Contains(key, one.lower()) for one in sorted(forms - {b""})]
    if pattern := _pattern(wanted):
        likely.append(_Fits(key, f"%{pattern}%".encode().lower()))
    return or_(*likely)


class _Contains(FunctionElement[bool]):
    """Whether bytes contain others."""

    type = Boolean()
    inherit_cache = True


@compiles(_Contains)
def _contains(element: _Contains, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    return f"instr({compiler.process(element.clauses, **options)}) > 0"


@compiles(_Contains, "postgresql")
def _contains_on_postgresql(element: _Contains, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    whole, part = (compiler.process(one, **options) for one in element.clauses)
    return f"position({part} IN {whole}) > 0"


class _Fits(FunctionElement[bool]):
    """Whether bytes fit a pattern of LIKE."""

    type = Boolean()
    inherit_cache = True


@compiles(_Fits)
def _fits(element: _Fits, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    # SQLite's LIKE knows no bytes.
    whole, pattern = (compiler.process(one, **options) for one in element.clauses)
    return f"CAST({whole} AS TEXT) LIKE CAST({pattern} AS TEXT) ESCAPE '\\'"


@compiles(_Fits, "postgresql")
def _fits_on_postgresql(element: _Fits, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    whole, pattern = (compiler.process(one, **options) for one in element.clauses)
    return f"{whole} LIKE {pattern}"  # a backslash escapes there by itself


def _forms(text: str) -> Iterable[bytes]:
    """Return the bytes of which some are found wherever a text is; none where a pattern is needed."""
    if all(map(has_one_form, text)):
        return {text.encode("utf-8", "surrogateescape")}
    if any(map(has_one_form, text)):
        return ()
    # Not one letter is always the same bytes: all forms of the first one narrow it down.
    first = text[:1].encode("utf-8", "ignore").decode()  # half a character is looked for as bytes
    cases = (first.lower(), first.upper(), first.title(), first.casefold()) if first else ()
    return {unicodedata.normalize(form, case).encode() for case in cases for form in ("NFC", "NFD")}


def _pattern(text: str) -> str:
    """Return a pattern of LIKE that fits wherever a text is found; empty where none is needed."""
    certain = list(map(has_one_form, text))
    if all(certain) or not any(certain):
        return ""
    return "".join(
        (f"\\{c}" if c in "%_\\" else c) if one else "%" for c, one in zip(text, certain, strict=True)
    )


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
        null().label("due"),
        null().label("bundle"),
        null().label("node"),
        null().label("given_to"),
        versions.c.moved_to,
    ).where(IS_BASELINE, *_times(versions, query))
    if query.search:
        found = found.where(_looks_like(query.search))
    if query.recipient is not None:
        found = found.where(false())  # nobody was to get it
    if targets is not None:
        found = found.where(_is_in(versions.c.folder_id, targets))
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
        bundle=values["bundle"],
        moved_to=values["moved_to"],
        held=_is_held(state, values["due"]),
        node=values["node"] or values["given_to"] or scope.nodes.get(values["folder_id"]),
    )


def _is_held(state: str, due: float) -> bool:
    return state == State.PENDING and due >= HELD


@dataclass(frozen=True, slots=True)
class File:
    """One line of `history`, and everything that was decided about it, in order."""

    line: Line
    story: Sequence[Decision]


def find_file(connection: Connection, scope: Scope, number: int) -> File | None:
    """Return a delivery, or a baseline version, by its id; None if nothing has it."""
    sent = (
        select(*_OF_LINE)
        .join(versions, versions.c.id == deliveries.c.version_id)
        .where(deliveries.c.id == number)
    )
    there = _baseline_lines(None, HistoryQuery()).where(versions.c.id == number)
    for query in (sent, there):
        for row in connection.execute(query):
            # A line of the history before any of the deliveries belongs to all of them.
            of_version = row.id if query is there else row.version_id
            lines = (
                select(history, null().label("recipient"))
                .where(
                    history.c.version_id == of_version,
                    or_(history.c.delivery_id.is_(None), history.c.delivery_id == number),
                )
                .order_by(history.c.id)
            )
            return File(_line(row, scope), [_decision(one) for one in connection.execute(lines)])
    return None


@dataclass(frozen=True, slots=True)
class FolderFile:
    """A file that was found in a folder, and the states and codes of its deliveries.

    `held` is whether a flood hold keeps any of them.
    """

    path: bytes
    size: int
    noticed_at: float
    sent_at: float | None
    deliveries: tuple[tuple[State, str | None], ...]
    held: bool = False


_NEWEST_FILES: Final = Prepared(
    select(
        deliveries.c.version_id,
        versions.c.directory,
        versions.c.name,
        versions.c.size,
        deliveries.c.noticed_at,
        deliveries.c.sent_at,
        deliveries.c.state,
        deliveries.c.code,
        deliveries.c.due,
    )
    .join(versions, versions.c.id == deliveries.c.version_id)
    .where(deliveries.c.folder_id == bindparam("folder"))
    .order_by(deliveries.c.noticed_at.desc())
    .limit(bindparam("most")),
    index="deliveries_of_folder_by_time",
)


def newest_files(connection: Connection, targets: Iterable[int], most: int) -> list[FolderFile]:
    """Return the files of the deliveries of a folder that were noticed last, the newest first."""
    files: dict[int, FolderFile] = {}
    for folder in targets:
        rows = _NEWEST_FILES.rows(connection, {"folder": folder, "most": most})
        for number, directory, name, size, noticed_at, sent_at, state, code, due in rows:
            path = join(directory, name)
            known = files.get(number) or FolderFile(path, size, noticed_at, sent_at, ())
            files[number] = replace(
                known,
                deliveries=(*known.deliveries, (State(state), code)),
                held=known.held or _is_held(state, due),
            )
    return sorted(files.values(), key=lambda one: one.noticed_at, reverse=True)


def find_content(connection: Connection, digest: str, most: int) -> list[int]:
    """Return the ids of the newest deliveries of a content, by its SHA-256 in lower-case hex."""
    # The index by content has the folder first: one step of it for each folder.
    query = (
        select(deliveries.c.id)
        .join(versions, versions.c.id == deliveries.c.version_id)
        .where(versions.c.folder_id.in_(select(folders.c.id)), versions.c.sha256 == digest)
        .order_by(deliveries.c.id.desc())
        .limit(most)
    )
    return [number for (number,) in connection.execute(query)]


def is_asked(line: Line, query: HistoryQuery) -> bool:
    """Return whether a line is among those that a query asks for, apart from its search."""
    return (
        query.folder in {None, line.folder}
        and query.state in {None, line.state}
        and query.recipient in {None, line.recipient}
        and (query.since is None or line.noticed_at >= query.since)
        and (query.until is None or line.noticed_at < query.until)
    )


def story(connection: Connection, folder: int | None, path: bytes) -> list[Decision]:
    """Return everything that was decided about one path, in order; for `send`, folder is None."""
    directory, name = split(path)
    within = versions.c.folder_id.is_(None) if folder is None else versions.c.folder_id == folder
    here = [within, versions.c.directory == directory, versions.c.name == name]
    if folder is not None:
        # People also ask for a file where dingwatch has moved it after it was sent.
        moved = select(versions.c.id).where(within, versions.c.moved_to == path)
        if (there := connection.scalar(moved.order_by(versions.c.id.desc()).limit(1))) is not None:
            here = [versions.c.id == there]
    lines = (
        select(
            history,
            deliveries.c.recipient,
            deliveries.c.node.label("claimed_by"),
            func.coalesce(deliveries.c.given_to, folders.c.node).label("found_by"),
        )
        .join(versions, versions.c.id == history.c.version_id)
        .outerjoin(deliveries, deliveries.c.id == history.c.delivery_id)
        .outerjoin(folders, folders.c.id == versions.c.folder_id)
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
        *_with_nodes(connection.execute(lines).all()),
        *(
            Decision(at, number, None, "moved away", other=readable(join(*there)))
            for at, number, *there in connection.execute(away)
        ),
    ]


def _with_nodes(rows: Sequence[Row[Any]]) -> Iterator[Decision]:
    """Yield the decisions of history lines, with the nodes that the ledger knows.

    Of several claims of a delivery it knows the node of the last: that claim and its outcome have a node.
    """
    last: dict[int, list[int]] = {}
    for place, row in enumerate(rows):
        if row.event == Event.CLAIM:
            last[row.delivery_id] = [place]
        elif len(known := last.get(row.delivery_id, [])) == 1:
            known.append(place)
    claimed = {place for places in last.values() for place in places}
    for place, row in enumerate(rows):
        found_by = row.found_by if row.event == "settled" else None
        yield replace(_decision(row), node=(row.claimed_by if place in claimed else found_by) or None)


_WITH_OTHER: Final = frozenset({"moved", "put_away", "put_back", "bundled"})
"""Events whose message is another path, or says which message several files share."""


def _decision(row: Row[Any]) -> Decision:
    number = row.version_id if row.delivery_id is None else row.delivery_id
    other = row.message if row.event in _WITH_OTHER else None
    return Decision(row.at, number, row.recipient, row.event, row.after, _cause(row), other)


def _cause(row: Row[Any]) -> Cause | None:
    return None if row.code is None else Cause(row.code, row.message or "", row.advice or "", row.request_id)
