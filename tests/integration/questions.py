"""Every question that the service or a command asks a ledger often, and a ledger in which 200,000 files wait.

The questions are calls of the ledger's modules, so what is explained is what is run. To have another database
join, give it a ledger like this one, and an `explain` of its own.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection

from dingwatch.ledger import calls, clock, delivery, folders, pruning, queues, report, versions
from dingwatch.ledger.folders import MappedFolder
from dingwatch.ledger.pruning import FIRST
from dingwatch.ledger.queues import Paused, UploadQueue
from dingwatch.ledger.report import HistoryQuery
from dingwatch.lifecycle import State
from dingwatch.model import Fingerprint, Route

BUSY: Final = MappedFolder(b"/busy", "busy", ("cidA", "cidB"))
CALM: Final = MappedFolder(b"/calm", "calm", ("cidB", "cidC"))
FOLDERS: Final = (BUSY, CALM)
"""The first is folder 1 of the ledger, the second folder 2."""

# --- The ledger ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rows:
    """So many deliveries in one state, each with a version, an upload and a line of history."""

    first: int
    """The first id; versions have the even ones, and deliveries the odd ones."""
    count: int
    state: State
    folder: int | None = 1
    recipient: str = "cidA"
    route: Route = Route.ROBOT
    noticed: float = 10_000.0
    held: bool = False


NOW: Final = 20_000.0
OLD: Final = 1_000.0
WAITING: Final = Rows(10_000_000, 200_000, State.PENDING)
UPLOADED: Final = Rows(20_000_000, 300, State.UPLOADED, noticed=9_000.0)
LEDGER: Final = (
    Rows(2, 10_000, State.SENT, recipient="cidB", noticed=OLD),
    Rows(1_000_000, 10_000, State.GONE, noticed=OLD),
    Rows(2_000_000, 10_000, State.SKIPPED, noticed=OLD),
    Rows(3_000_000, 1_000, State.FAILED, noticed=OLD),
    Rows(4_000_000, 20, State.UNCERTAIN, folder=2, recipient="cidC", noticed=OLD),
    Rows(5_000_000, 2_000, State.SENT, folder=None, recipient="cidD", noticed=OLD),
    WAITING,
    Rows(11_000_000, 10_000, State.PENDING, folder=2, recipient="cidB", held=True),
    Rows(12_000_000, 10, State.PENDING, folder=2, recipient="cidC"),
    Rows(13_000_000, 10, State.PENDING, folder=None, recipient="cidD"),
    Rows(14_000_000, 4, State.UPLOADING),
    UPLOADED,
    Rows(21_000_000, 10, State.UPLOADED, folder=2, recipient="cidC", route=Route.DRIVE),
    Rows(22_000_000, 4, State.SENDING),
)
_NUMBERED: Final = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :count)"
_UPLOADED: Final = (State.UPLOADED, State.SENDING, State.SENT, State.UNCERTAIN)
_INSERTS: Final = (
    """INSERT INTO versions(id, folder_id, directory, name, size, mtime_ns, ctime_ns, inode, device, sha256,
        baseline, noticed_at, missing_since)
    SELECT :first + 2 * i, :folder, CAST('d' || (i / 1000) AS BLOB), CAST(:first + i AS BLOB), 4096,
        :first + i, 0, :first + i, '1', 'content' || (:first + i), 0, :noticed + i * 0.001,
        CASE WHEN :state IN ('sent', 'gone') THEN :noticed + i * 0.001 END
    FROM n""",
    """INSERT INTO uploads(key, app, type, content, extension, name, state, media_id)
    SELECT 'key' || (:first + i), 'app', 'file', 'content' || (:first + i), 'pdf',
        iif(:route = 'drive', 'name' || (:first + i), ''), iif(:had, 'have', 'none'), iif(:had, 'id', NULL)
    FROM n""",
    """INSERT INTO deliveries(id, version_id, folder_id, conversation_id, route, state, form, upload_key,
        due, noticed_at, settled_at, attempts, failures, waited, doubts, media_losses, crashes,
        uncertain_resent, code)
    SELECT :first + 2 * i + 1, :first + 2 * i, :folder, :recipient, :route, :state, 'plain',
        'key' || (:first + i), iif(:held, 1e15, :noticed), :noticed + i * 0.001, :noticed + i * 0.001,
        0, 0, 0.0, :state = 'uncertain', 0, 0, 0, iif(:state = 'skipped', 'noticed', NULL)
    FROM n""",
    """INSERT INTO history(version_id, delivery_id, at, event, after)
    SELECT :first + 2 * i, :first + 2 * i + 1, :noticed + i * 0.001, 'settled', :state FROM n""",
)  # fmt: skip


def write(ledger: Path) -> None:
    """Write the rows straight into a ledger's tables; with its indexes put off, that is fast."""
    with _changing_indexes(ledger, sorted) as connection:
        connection.execute("BEGIN")
        for rows in LEDGER:
            values = {name: getattr(rows, name) for name in rows.__dataclass_fields__}
            values |= {"state": str(rows.state), "route": str(rows.route), "had": rows.state in _UPLOADED}
            for statement in _INSERTS:
                into, select = statement.split("SELECT", 1)
                connection.execute(f"{into}{_NUMBERED} SELECT{select}", values)
        connection.execute("COMMIT")


def reverse_indexes(ledger: Path) -> None:
    """Make the indexes anew in another order: of two that serve alike, SQLite takes the one made last."""
    with _changing_indexes(ledger, partial(sorted, reverse=True)):
        pass


def analyze(ledger: Path) -> None:
    """Have SQLite count the rows, as a person may do: it then plans otherwise."""
    with closing(sqlite3.connect(ledger)) as connection:
        connection.execute("ANALYZE")


@contextmanager
def _changing_indexes(
    ledger: Path, order: Callable[[Iterable[tuple[str, str]]], list[tuple[str, str]]]
) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(ledger, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        indexes = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql > ''")
        made = order(indexes.fetchall())
        for name, _ in made:
            connection.execute(f"DROP INDEX {name}")
        yield connection
        for _, statement in made:
            connection.execute(statement)


# --- The questions -------------------------------------------------------------------------------

Ask = Callable[[Connection], object]


@dataclass(frozen=True)
class Question:
    """A question, and what its answer may cost."""

    ask: Ask
    steps: int = 5_000
    """Steps of SQLite's virtual machine. An entry of an index takes about ten."""
    walks: tuple[str, ...] = ()
    """Indexes that it may read to the end, or to its limit."""


def _whose_turn(connection: Connection, *, paused: bool = False) -> None:
    """Ask what a tick asks to find the next upload."""
    held = Paused(("cidX",), (99,)) if paused else Paused()
    for route in Route:
        for recipient in queues.recipients_to_upload(connection, route):
            queues.uploaded_ahead(connection, NOW, route, recipient, 40)
            for folder in queues.folders_to_upload(connection, route, recipient):
                queue = UploadQueue(route, recipient, folder)
                queues.first_settled(connection, NOW, queue)
                next(queues.first_contents(connection, held, NOW, queue, 8))


def _next_messages(connection: Connection, paused: Paused) -> None:
    """Ask what a tick asks to find the next message of each recipient."""
    for recipient in queues.recipients_to_send(connection, NOW):
        queues.next_to_send(connection, paused, NOW, recipient)
        queues.next_entry_to_send(connection, paused, NOW, recipient)
        queues.find_to_send(connection, paused, NOW, recipient, UPLOADED.first + 1)


def _order(connection: Connection) -> None:
    """Ask about the other versions of a path."""
    row = UPLOADED.first + 1
    queues.recipients_of_version(connection, NOW, row - 1)
    queues.is_blocked_by_older(connection, row, resends=True)
    queues.find_superseded(connection, [row])
    queues.was_sent_before(connection, row)
    queues.was_noticed_before(connection, row)


def _flood(connection: Connection, *, most: int) -> None:
    folders.hold_flood(connection, 1, NOW - 3600.0, most, NOW)


def _more_of_a_flood(connection: Connection) -> None:
    """Add to a flood that is held already."""
    folders.hold_flood(connection, 2, NOW - 20_000.0, 1000, NOW)


def _known(connection: Connection) -> None:
    """Ask what intake asks about one file."""
    number = WAITING.first
    versions.find_by_path(connection, 1, [b"d0/%d" % number])
    versions.find_by_size_and_mtime(connection, 1, [Fingerprint(4096, number, 0, number, 1)])
    versions.find_by_inode(connection, 1, [number])
    versions.find_by_content(connection, 1, f"content{number}", 5, 0.0)


def _directory(connection: Connection) -> None:
    """Ask what a scan asks about 3,000 files, and a first look."""
    assert len(list(versions.stream_directory(connection, 1, b"d0"))) > 2_000
    list(versions.stream_baseline(connection, 1, b"d0"))
    versions.is_known(connection, 1, b"d0/1", Fingerprint(4096, 1, 0, 1, 1))


def _prune(connection: Connection, folder: int | None) -> None:
    found = pruning.list_prunable(connection, folder, NOW, FIRST)
    assert len(found) == pruning.PRUNED_AT_ONCE
    pruning.prune(connection, folder, NOW, [one.id for one in found])


def _history(connection: Connection, **query: Any) -> None:  # noqa: ANN401
    report.lines(connection, report.scope(connection, FOLDERS), HistoryQuery(**query))


def _counts(connection: Connection) -> None:
    report.counts(connection, report.scope(connection, FOLDERS))
    folders.count_held(connection)


_BY_TIME: Final = ("deliveries_by_time",)
QUESTIONS: Final[Mapping[str, Question]] = {
    "claims: uploads": Question(_whose_turn, 10_000),
    "claims: uploads, something is paused": Question(partial(_whose_turn, paused=True), 10_000),
    "claims: nothing goes by the drive": Question(lambda c: queues.recipients_to_upload(c, Route.DRIVE), 500),
    "claims: messages": Question(partial(_next_messages, paused=Paused()), 20_000),
    "claims: messages, something is paused": Question(
        partial(_next_messages, paused=Paused(("cidX",), (99,))), 20_000
    ),
    "claims: other versions": Question(_order),
    "claims: names in the drive": Question(
        lambda c: (
            queues.is_name_uploading(c, "file", "name21000000", "x"),
            queues.is_name_sending(c, "file", "name21000000", "x", Paused(), NOW),
        )
    ),
    "claims: what is doubted": Question(queues.list_doubted_once),
    "claims: the next due": Question(lambda c: queues.next_due(c, 1.0), 500),
    "claims: nothing due": Question(lambda c: queues.next_due(c, NOW), 500),
    "claims: anything due": Question(
        lambda c: [queues.has_due(c, one, NOW) for one in (State.PENDING, State.UPLOADED)], 500
    ),
    "quota": Question(lambda c: calls.total(c, "2026-11", ["api"])),
    "what was sent lately": Question(lambda c: delivery.list_sent_since(c, NOW - 60.0)),
    "flood: none": Question(partial(_flood, most=1000)),
    "flood: more of it": Question(_more_of_a_flood, 20_000),
    "intake: one file": Question(_known),
    "intake: a directory": Question(_directory, 300_000),
    "start: what was in hand": Question(lambda c: delivery.recover(c, NOW), 10_000),
    "start: what crashed": Question(queues.list_crashed),
    "start: rates": Question(
        lambda c: (delivery.recent_claims(c, NOW - 60.0, NOW), delivery.recent_captions(c, NOW - 60.0, NOW))
    ),
    "start: captions": Question(delivery.last_captions, 10_000),
    # Nobody else knows what waits with its content uploaded; but what is done with is not read.
    "start: what nobody reads again": Question(queues.list_unread, 10_000_000),
    "the clock is set back": Question(lambda c: clock.cut_waits(c, NOW), 10_000),
    "resume": Question(lambda c: clock.free_waiting(c, NOW)),
    "prune a folder": Question(partial(_prune, folder=1), 400_000),
    "prune what `send` was given": Question(partial(_prune, folder=None), 400_000),
    "status": Question(_counts, 5_000_000, ("deliveries_counted", "versions_baseline")),
    "history": Question(_history, walks=_BY_TIME),
    "history of a folder": Question(partial(_history, folder="busy")),
    "history, second page": Question(partial(_history, before=(9_000.0, 9)), walks=_BY_TIME),
    "history of what was sent": Question(partial(_history, state="sent"), 10_000_000, walks=_BY_TIME),
    **{
        f"history of what is {state}": Question(partial(_history, state=state))
        for state in ("uncertain", "skipped", "gone")
    },
    "history of baselines": Question(partial(_history, state="baseline"), walks=("versions_baseline",)),
    "history of what waits": Question(partial(_history, state="pending"), 6_000_000),
    "why": Question(lambda c: report.story(c, 1, b"d0/%d" % WAITING.first)),
}


# --- SQLite's answers ----------------------------------------------------------------------------

_SCAN: Final = re.compile(
    r"SCAN (calls|deliveries|versions|uploads|history)(?: USING (?:COVERING )?INDEX (\w+))?$"
)
_EXPLAINED: Final = ("SELECT", "WITH", "INSERT", "UPDATE", "DELETE")
OWN: Final = frozenset(
    {"deliveries_doubted_once", "deliveries_crashed", "deliveries_held", "versions_given", "uploads_busy"}
)
"""Indexes of nothing but what one question asks for."""


@dataclass(frozen=True)
class Explained:
    """What a question costs."""

    plans: tuple[str, ...]
    """A line for each step of the plan of each statement."""
    steps: int

    def scans(self) -> Iterator[str]:
        """Yield the steps that read a whole table, or an index that is not made for it."""
        for line in self.plans:
            found = _SCAN.match(line)
            if found and found[2] not in OWN:
                yield line


def explain(connection: Connection, ask: Ask) -> Explained:
    """Ask, and return the plans of all statements that were run, and the steps that they took."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    statements: list[str] = []
    hundreds: list[None] = []
    driver.set_trace_callback(statements.append)
    driver.set_progress_handler(lambda: hundreds.append(None), 100)
    ask(connection)
    driver.set_progress_handler(None, 0)
    driver.set_trace_callback(None)
    plans = [
        str(row[-1])
        for statement in statements
        if statement.startswith(_EXPLAINED)
        for row in driver.execute(f"EXPLAIN QUERY PLAN {statement}")
    ]
    return Explained(tuple(plans), 100 * len(hundreds))
