"""Every question that the service or a command asks a ledger often, and a ledger in which 200,000 files wait.

The questions are calls of the ledger's modules, so what is explained is what is run. To have another database
join, give it a ledger like this one, and an `explain` of its own.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import psycopg
from sqlalchemy import Connection, text

from dingwatch.ledger import (
    Store,
    activity,
    bundles,
    calls,
    clock,
    counters,
    delivery,
    feedback,
    folders,
    moves,
    pruning,
    queues,
    report,
    routing,
    unresolved,
    versions,
)
from dingwatch.ledger.delivery_counts import DeliveryCounts
from dingwatch.ledger.folders import MappedFolder
from dingwatch.ledger.pruning import FIRST
from dingwatch.ledger.queues import Paused, UploadQueue
from dingwatch.ledger.report import HistoryQuery
from dingwatch.lifecycle import State
from dingwatch.model import Fingerprint, Route, UploadKey

BUSY: Final = MappedFolder(b"/busy", "busy", ("cidA", "cidB"))
CALM: Final = MappedFolder(b"/calm", "calm", ("cidB", "cidC"))
FOLDERS: Final = (BUSY, CALM)
"""The first is folder 1 of the ledger, the second folder 2."""
FOLDERS_LATER: Final = (BUSY, MappedFolder(b"/calm", "calm", ("cidB",)))
"""The same, without a conversation that has a few rows."""

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
BUNDLE: Final = 5
_BUNDLED: Final = (
    "INSERT INTO bundles(id, name) VALUES (5, 'busy.zip')",
    "UPDATE deliveries SET bundle_id = 5 WHERE id BETWEEN 20000000 AND 20000100",
    "UPDATE deliveries SET gathering = true WHERE id BETWEEN 10390000 AND 10400000",
    "UPDATE deliveries SET gathering = true WHERE id BETWEEN 12000000 AND 12000010",
)
_NUMBERED: Final = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :count)"
_UPLOADED: Final = (State.UPLOADED, State.SENDING, State.SENT, State.UNCERTAIN)
_INSERTS: Final = (
    """INSERT INTO versions(id, folder_id, directory, name, size, mtime_ns, ctime_ns, inode, device, sha256,
        baseline, noticed_at, missing_since)
    SELECT :first + 2 * i, :folder, CAST('d' || (i / 1000) AS BLOB), CAST(CAST(:first + i AS TEXT) AS BLOB),
        4096, :first + i, 0, CAST(:first + i AS TEXT), '1', 'content' || (:first + i), false,
        :noticed + i * 0.001, CASE WHEN STATE IN ('sent', 'gone') THEN :noticed + i * 0.001 END
    FROM n""",
    """INSERT INTO uploads(key, app, type, content, extension, name, state, media_id)
    SELECT 'key' || (:first + i), 'app', 'file', 'content' || (:first + i), 'pdf',
        CASE WHEN ROUTE = 'drive' THEN 'name' || (:first + i) ELSE '' END,
        CASE WHEN :had THEN 'have' ELSE 'none' END, CASE WHEN :had THEN 'id' END
    FROM n""",
    """INSERT INTO deliveries(id, version_id, folder_id, conversation_id, route, state, form, upload_key,
        due, noticed_at, settled_at, attempts, failures, waited, doubts, media_losses, crashes,
        uncertain_resent, code)
    SELECT :first + 2 * i + 1, :first + 2 * i, :folder, :recipient, ROUTE, STATE, 'plain',
        'key' || (:first + i), CASE WHEN :held THEN 1e15 ELSE :noticed END, :noticed + i * 0.001,
        :noticed + i * 0.001, 0, 0, 0.0, CASE STATE WHEN 'uncertain' THEN 1 ELSE 0 END, 0, 0, false,
        CASE WHEN STATE = 'skipped' THEN 'noticed' END
    FROM n""",
    """INSERT INTO history(version_id, delivery_id, at, event, after)
    SELECT :first + 2 * i, :first + 2 * i + 1, :noticed + i * 0.001, 'settled', STATE FROM n""",
)  # fmt: skip


def _statements(most: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what writes the ledger, with at most so many deliveries of each kind."""
    for rows in LEDGER:
        values = {name: getattr(rows, name) for name in rows.__dataclass_fields__}
        values |= {"state": str(rows.state), "route": str(rows.route), "had": rows.state in _UPLOADED}
        values["count"] = min(most, rows.count)
        for statement in _INSERTS:
            into, select = statement.split("SELECT", 1)
            for name in ("state", "route"):  # PostgreSQL wants to know the type
                select = select.replace(name.upper(), f"CAST(:{name} AS TEXT)")
            yield f"{into}{_NUMBERED} SELECT{select}", values
    for statement in _BUNDLED:
        yield statement, {}


def write(ledger: Path) -> None:
    """Write the rows straight into a ledger's tables; with its indexes put off, that is fast."""
    with _changing_indexes(ledger, sorted) as connection:
        connection.execute("BEGIN")
        for statement, values in _statements(WAITING.count):
            connection.execute(statement, values)
        connection.execute("COMMIT")


def write_on_postgresql(store: Store) -> None:
    """Write most of the same rows into a ledger in PostgreSQL, and have it count them."""
    with store.writing() as connection:
        indexes = connection.exec_driver_sql(
            "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND indexname NOT IN"
            " (SELECT conname FROM pg_constraint WHERE connamespace = 'public'::regnamespace)"
        ).all()
        for name, _ in indexes:
            connection.exec_driver_sql(f"DROP INDEX {name}")
        for statement, values in _statements(50_000):
            connection.execute(text(statement.replace("BLOB", "BYTEA")), values)
        for _, made in indexes:
            connection.exec_driver_sql(made)
        connection.exec_driver_sql("ANALYZE")


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
            queues.uploaded_ahead(connection, held, NOW, route, recipient, 40)
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


def _gather(connection: Connection) -> None:
    """Ask what a tick asks when a burst is over, and what intake asks when a file joins one."""
    assert bundles.has_gathered(connection, 2, "cidC", NOW)
    assert len(bundles.list_gathered(connection, 2, "cidC", NOW, 1000)) == 5
    routing.list_recipients(connection, 2)
    bundles.join_burst(connection, 2, 30.0, NOW)
    bundles.find_uploaded(connection, [UploadKey("app", "file", "x", "pdf")])


def _bundle(connection: Connection) -> None:
    """Ask what is asked about a message that files share."""
    assert len(bundles.list_members(connection, BUNDLE, State.UPLOADED, NOW)) == 50
    bundles.list_members(connection, BUNDLE, State.PENDING, NOW)
    bundles.find_name(connection, BUNDLE)
    bundles.list_strays(connection, "key20000000")
    assert len(bundles.with_others(connection, [UPLOADED.first + 1], (State.UPLOADED,))) == 50


def _prune(connection: Connection, folder: int | None) -> None:
    found = pruning.list_prunable(connection, folder, NOW, FIRST)
    assert len(found) == pruning.PRUNED_AT_ONCE
    pruning.prune(connection, folder, NOW, [one.id for one in found])


def _history(connection: Connection, **query: Any) -> None:  # noqa: ANN401
    report.lines(connection, report.scope(connection, FOLDERS), HistoryQuery(**query))


def _counts(connection: Connection) -> None:
    report.counts(connection, report.scope(connection, FOLDERS))
    folders.count_held(connection)


def _changed_counts(connection: Connection) -> None:
    """Count all deliveries once; what has happened since is then added."""
    counts = DeliveryCounts()
    counts.read(connection)
    counts.read(connection)


_BY_TIME: Final = ("deliveries_by_time",)
_BY_PATH: Final = ("versions_to_search",)
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
    "claims: what is doubted": Question(lambda c: queues.list_doubted_once(c, NOW)),
    "claims: the next due": Question(lambda c: queues.next_due(c, 1.0), 500),
    "claims: nothing due": Question(lambda c: queues.next_due(c, NOW), 500),
    "claims: anything due": Question(
        lambda c: [queues.has_due(c, one, NOW) for one in (State.PENDING, State.UPLOADED)], 500
    ),
    "bundles: no burst is over": Question(lambda c: bundles.has_gathered(c, 1, "cidB", NOW), 500),
    "bundles: a burst is over": Question(_gather),
    "bundles: one message": Question(_bundle, 20_000),
    "bundles: another configuration": Question(
        lambda c: bundles.cut_bursts(c, {1: 30.0, 2: 5.0}, NOW), 500_000, ("deliveries_gathering",)
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
    "status: since when something waits": Question(
        report.waiting_since, 3_000_000, ("deliveries_in_work", "deliveries_to_upload")
    ),
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
    "history of what failed": Question(partial(_history, state="failed")),
    "history of what failed, a conversation has left": Question(
        lambda c: report.lines(c, report.scope(c, FOLDERS_LATER), HistoryQuery(state="failed")), 10_000
    ),
    "history of a day": Question(partial(_history, since=OLD, until=OLD + 5.0), walks=_BY_TIME),
    # An entry of the index by time costs ten steps, and a name that is looked at some thirty more.
    "history of one who got nothing": Question(
        partial(_history, recipient="cidX"), 4_000_000, walks=_BY_TIME
    ),
    "history of a folder and one who got nothing": Question(
        partial(_history, folder="busy", recipient="cidX"), 4_000_000, walks=_BY_TIME
    ),
    # An entry of the index of paths costs ten steps, and each way to write a text two more.
    "history of a name": Question(partial(_history, search="nowhere"), 3_000_000, walks=_BY_PATH),
    "history of a name in a folder": Question(
        partial(_history, folder="busy", search="合同"), 4_000_000, walks=_BY_PATH
    ),
    "history of a name that failed": Question(partial(_history, state="failed", search="nowhere"), 100_000),
    "watch: what is in hand": Question(lambda c: activity.list_in_hand(c, 10)),
    "watch: what waits": Question(lambda c: activity.list_waiting(c, 10), 7_000_000, ("deliveries_in_work",)),
    "watch: what was sent last": Question(
        lambda c: activity.list_sent(c, 10), 2_000_000, ("history_of_calls",)
    ),
    "page: what waits for a person": Question(
        lambda c: unresolved.list_groups(c, resends=True), 200_000, ("deliveries_unresolved",)
    ),
    "page: flood holds": Question(unresolved.list_holds, 300_000),
    "page: one that stands for others": Question(
        lambda c: unresolved.find_examples(c, [WAITING.first + 1, UPLOADED.first + 1])
    ),
    "page: what is not sent to a conversation that has left": Question(
        lambda c: unresolved.of_mapping(c, 2, "cidC"), 100_000
    ),
    "page: counts": Question(_changed_counts, 5_000_000, ("deliveries_counted",)),
    "page: hours": Question(lambda c: counters.list_outcomes(c, NOW - 86400.0)),
    "page: what was sent last": Question(counters.last_sent_at, 2_000_000, ("history_of_calls",)),
    "page: what was noticed last": Question(lambda c: report.last_noticed(c, [1, 2])),
    "page of a folder": Question(lambda c: report.newest_files(c, [1, 2], 50), 10_000),
    "why": Question(lambda c: report.story(c, 1, b"d0/%d" % WAITING.first)),
    "why: moved": Question(lambda c: report.story(c, 1, b"Sent/2026-11/%d" % WAITING.first)),
    "feedback: the last line": Question(feedback.last_line),
    "feedback: what is new": Question(lambda c: list(feedback.lines_since(c, WAITING.first))),
    "feedback: what people should know": Question(lambda c: feedback.list_unsent(c, 1, 100, holds=True)),
    "feedback: of what is held": Question(lambda c: feedback.list_unsent(c, 2, 100, holds=True)),
    "feedback: what may be moved": Question(lambda c: list(moves.find_movable(c, [2, 4, WAITING.first]))),
    "feedback: what is on its way": Question(moves.find_under_way),
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


# --- PostgreSQL's answers ------------------------------------------------------------------------

_AUTO_EXPLAIN: Final = (
    "LOAD 'auto_explain'",
    *(
        f"SELECT set_config('{name}', '{value}', true)"
        for name, value in {
            # With so few rows it would rightly read a table; with millions it must have another way.
            "enable_seqscan": "off",
            "auto_explain.log_min_duration": "0",
            "auto_explain.log_analyze": "on",
            "auto_explain.log_timing": "off",
            "auto_explain.log_format": "json",
            "auto_explain.log_level": "notice",
        }.items()
    ),
)
_LARGE: Final = frozenset({"calls", "deliveries", "versions", "uploads", "history"})


@dataclass(frozen=True)
class ExplainedOnPostgreSQL:
    """What a question costs."""

    scans: tuple[str, ...]
    """Statements that read a whole table."""
    rows: int
    """Rows that were looked at."""
    plans: tuple[str, ...]


def explain_on_postgresql(connection: Connection, ask: Ask) -> ExplainedOnPostgreSQL:
    """Ask, and return what the server says of each statement that was run."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    for statement in _AUTO_EXPLAIN:
        driver.execute(statement)
    plans: list[str] = []

    def note(told: psycopg.errors.Diagnostic) -> None:
        if "plan:" in (told.message_primary or ""):
            plans.append((told.message_primary or "").split("plan:", 1)[1])

    driver.add_notice_handler(note)
    try:
        ask(connection)
        driver.execute("SELECT")  # the server tells of a statement when the next one begins
    finally:
        driver.remove_notice_handler(note)
    plans = [plan for plan in plans if "set_config" not in plan]
    found = [(plan, list(_nodes(json.loads(plan)["Plan"]))) for plan in plans]
    scans = [
        json.loads(plan)["Query Text"]
        for plan, nodes in found
        if any(node["Node Type"].endswith("Seq Scan") and node["Relation Name"] in _LARGE for node in nodes)
    ]
    return ExplainedOnPostgreSQL(
        tuple(scans), sum(_looked_at(node) for _, nodes in found for node in nodes), tuple(plans)
    )


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for one in plan.get("Plans", ()):
        yield from _nodes(one)


def _looked_at(node: dict[str, Any]) -> int:
    if "Relation Name" not in node:
        return 0
    removed = ("Rows Removed by Filter", "Rows Removed by Index Recheck")
    return int((node["Actual Rows"] + sum(node.get(one, 0) for one in removed)) * node["Actual Loops"])
