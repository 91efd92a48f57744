import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from dingwatch.ledger import (
    Store,
    calls,
    commands,
    pruning,
    report,
    sqlite_url,
    transitions,
    uploads,
    versions,
)
from dingwatch.ledger.commands import BaselineToSend, NotApplicableError
from dingwatch.ledger.delivery import find_deliveries
from dingwatch.ledger.folders import MappedFolder, bind
from dingwatch.ledger.report import HistoryQuery, Scope
from dingwatch.ledger.transitions import Change
from dingwatch.ledger.uploads import UploadSession
from dingwatch.ledger.versions import NewVersion
from dingwatch.lifecycle import Event, State
from dingwatch.model import Cause, Fingerprint
from tests.support import plain_payload

CAUSE = Cause("40038", "refused", "CONTENT")
A, B = MappedFolder(b"/a", "a", ("cid1", "cid2")), MappedFolder(b"/b", "b", ("cid1",))


@pytest.fixture
def store(tmp_path: Path, blank_ledger: Path) -> Iterator[Store]:
    """A ledger that knows two folders, of which one is mapped to two conversations."""
    shutil.copy(blank_ledger, tmp_path / "ledger.db")
    opened = Store.open(sqlite_url(tmp_path / "ledger.db"))
    with opened.writing() as connection:
        bind(connection, [A, B])
    yield opened
    opened.close()


def new(folder: int | None, path: bytes, at: float, *conversations: str) -> NewVersion:
    """Return a version; without conversations it is baseline."""
    payload = plain_payload(path, path.hex(), "app", ()) if conversations else None
    digest = path.hex() if conversations else None
    return NewVersion(folder, path, Fingerprint(5, int(at), 0, 1, 1), digest, at, at, payload, conversations)


def add(store: Store, *made: NewVersion) -> list[int]:
    """Write versions; return the ids of their deliveries."""
    with store.writing() as connection:
        return versions.add(store, connection, made, 100.0)


def fail(store: Store, *ids: int) -> None:
    """Have deliveries refused."""
    with store.writing() as connection:
        changes = [Change(i, Event.REJECT, None, CAUSE, {"failures": 3, "attempts": 1}) for i in ids]
        transitions.apply(connection, 101.0, changes)


def stored(store: Store) -> dict[int, str]:
    """Return the states as they are written."""
    with store.reading() as connection:
        return {row.id: row.state for row in connection.execute(text("SELECT id, state FROM deliveries"))}


def scope(connection: Connection, *mapped: MappedFolder) -> Scope:
    """Return what these folders map."""
    return report.scope(connection, mapped or (A, B))


# --- What is counted and listed ------------------------------------------------------------------


def test_deliveries_are_counted_by_folder_and_state(store: Store) -> None:
    """Baselines count versions; what `send` was given has no folder."""
    one = add(store, new(1, b"x.txt", 1.0, "cid1", "cid2"), new(2, b"y.txt", 2.0, "cid1"))
    add(store, new(1, b"old.txt", 0.0), new(None, b"/tmp/z.txt", 3.0, "cid9"))
    fail(store, one[0])
    with store.reading() as connection:
        found = report.counts(connection, scope(connection))
    assert found == {1: {"failed": 1, "pending": 1, "baseline": 1}, 2: {"pending": 1}, None: {"pending": 1}}


def test_history_is_newest_first_without_baselines(store: Store) -> None:
    """Lines are ordered by the time noticed, then by id."""
    ids = add(store, new(1, b"d/late.txt", 9.0, "cid1", "cid2"), new(2, b"early.txt", 2.0, "cid1"))
    add(store, new(1, b"old.txt", 20.0))
    with store.reading() as connection:
        lines = report.lines(connection, scope(connection), HistoryQuery())
    assert [line.id for line in lines] == [ids[1], ids[0], ids[2]]
    assert (lines[0].path, lines[0].folder, lines[0].recipient) == (b"d/late.txt", "a", "cid2")


def test_history_filters_by_folder_state_and_number(store: Store) -> None:
    """Every filter narrows what the others leave."""
    ids = add(store, *(new(1 + n % 2, b"%d.txt" % n, float(n), "cid1") for n in range(6)))
    fail(store, *ids[:4])
    with store.reading() as connection:
        here = scope(connection)
        lines = report.lines(connection, here, HistoryQuery("a", "failed", limit=1))
        waiting = report.lines(connection, here, HistoryQuery(state="pending"))
        sent = report.lines(connection, here, HistoryQuery(state="sent"))
    assert [(line.id, line.error) for line in lines] == [(ids[2], CAUSE)]
    assert [line.id for line in waiting] == [ids[5], ids[4]]
    assert sent == []


def test_a_baseline_line_has_no_conversation_and_no_digest(store: Store) -> None:
    """It is shown where it is asked for, by the version's own id."""
    add(store, new(1, b"old.txt", 1.0), new(2, b"older.txt", 0.0))
    with store.reading() as connection:
        first, _ = report.lines(connection, scope(connection), HistoryQuery(state="baseline"))
        (only,) = report.lines(connection, scope(connection), HistoryQuery("b", "baseline"))
    assert (first.path, first.recipient, first.sha256, first.state) == (
        b"old.txt",
        None,
        None,
        "baseline",
    )
    assert only.path == b"older.txt"


@pytest.mark.parametrize("state", State)
def test_what_is_no_longer_mapped_is_failed_unless_it_has_ended(store: Store, state: State) -> None:
    """Shown, counted and filtered as `failed` with `unmapped`; what is written does not change."""
    (number,) = add(store, new(1, b"x.txt", 1.0, "cid2"))
    with store.writing() as connection:
        connection.execute(text("UPDATE deliveries SET state = :state"), {"state": state})
    ends = state in {State.SENT, State.GONE}
    with store.reading() as connection:
        left = scope(connection, MappedFolder(b"/a", "a", ("cid1",)), B)
        (line,) = report.lines(connection, left, HistoryQuery())
        counted = report.counts(connection, left)
        by_state = {one: len(report.lines(connection, left, HistoryQuery(state=one))) for one in State}
    shown = state if ends else State.FAILED
    assert (line.state, line.error) == (shown, None if ends else report.UNMAPPED)
    assert counted == {1: {shown: 1}}
    assert {one for one, count in by_state.items() if count} == {shown}
    assert stored(store) == {number: state}


def test_what_send_was_given_is_never_unmapped(store: Store) -> None:
    """It belongs to no folder that could leave the configuration."""
    add(store, new(None, b"/tmp/z.txt", 3.0, "cid9"))
    with store.reading() as connection:
        (line,) = report.lines(connection, scope(connection), HistoryQuery(state="pending"))
    assert (line.folder, line.path, line.state) == (None, b"/tmp/z.txt", "pending")


def test_a_folder_that_left_keeps_its_name_and_can_be_asked_for(store: Store) -> None:
    """Else its lines would look like those of `send`."""
    add(store, new(2, b"y.txt", 2.0, "cid1"))
    with store.reading() as connection:
        left = scope(connection, A)
        (line,) = report.lines(connection, left, HistoryQuery("b"))
    assert (line.folder, line.state) == ("b", "failed")


def test_folders_are_found_as_the_service_binds_them(store: Store) -> None:
    """By real path; by name only where a path stands there twice; unknown ones have no number."""
    twice = (
        MappedFolder(b"/a", "new name", ("cid1",)),
        MappedFolder(b"/a", "a", ("cid2",)),
        MappedFolder(b"/c", "c", ("cid1",)),
    )
    with store.reading() as connection:
        before = scope(connection, *twice)
        renamed = scope(connection, MappedFolder(b"/a", "new name", ("cid1",)))
    assert (dict(before.ids), dict(renamed.ids)) == ({"a": 1}, {"new name": 1})
    assert renamed.names[1] == "new name"
    assert before.pairs == {(1, "cid2")}
    with store.writing() as connection:
        marks = bind(connection, twice)
        after = scope(connection, *twice)
    assert [after.ids[one.name] for one in twice] == [mark.id for mark in marks]


def test_calls_are_those_of_the_month_that_count(store: Store) -> None:
    """Token calls are free, and so is last month."""
    with store.writing() as connection:
        calls.count(store, connection, "2026-11-01", {"up": 2, "token": 5})
        calls.count(store, connection, "2026-11-30", {"up": 1})
        calls.count(store, connection, "2026-10-31", {"up": 100})
    with store.reading() as connection:
        assert calls.total(connection, "2026-11", ["up"]) == 3


@pytest.mark.parametrize("state", [None, "pending", "baseline"])
def test_a_long_history_is_read_in_pages(
    store: Store, monkeypatch: pytest.MonkeyPatch, state: str | None
) -> None:
    """Each line comes once, in the order that one query gives, though many were noticed at one instant."""
    monkeypatch.setattr(report, "PAGE", 3)
    monkeypatch.setattr(report, "BASELINE_PAGE", 3)
    add(store, *(new(1, b"%d.txt" % number, float(number // 5), "cid1") for number in range(20)))
    add(store, *(new(1, b"%d.old" % number, float(number // 5)) for number in range(20)))
    with store.reading() as connection:
        here = scope(connection)
        whole = report.lines(connection, here, HistoryQuery(state=state, limit=17))
    pages = list(report.pages(store, here, HistoryQuery(state=state, limit=17)))
    assert [len(page) for page in pages] == [3, 3, 3, 3, 3, 2]
    assert [line for page in pages for line in page] == whole


# --- What commands write -------------------------------------------------------------------------


def test_a_retried_delivery_begins_afresh(store: Store) -> None:
    """Nothing is held against it, it is due at once, and every pause is probed."""
    (number,) = add(store, new(1, b"x.txt", 1.0, "cid1"))
    fail(store, number)
    commands.retry(store, [number], [], 500.0)
    with store.reading() as connection:
        row = find_deliveries(connection, [number])[number]
        events = list(connection.execute(text("SELECT event, before, after FROM history ORDER BY id")))
    assert (row.state, row.failures, row.due) == (State.PENDING, 0, 500.0)
    assert [tuple(event) for event in events][-1] == ("requeue", "failed", "pending")


def test_one_wrong_id_leaves_all_as_it_was(store: Store) -> None:
    """A mixture of failed, waiting, unknown, enormous and baseline ids is refused as a whole."""
    failed, waiting = add(store, new(1, b"x.txt", 1.0, "cid1"), new(1, b"y.txt", 1.0, "cid1"))
    add(store, new(2, b"old.txt", 1.0))
    fail(store, failed)
    with store.reading() as connection:
        (old,) = commands.list_baseline(connection, None, 2)
    chosen = BaselineToSend(old, "0" * 64, plain_payload(b"old.txt", "0" * 64, "app", ()), ("cid1",))
    before = stored(store)
    with pytest.raises(NotApplicableError) as refused:
        commands.retry(store, [failed, waiting, 999, 2**70], [chosen], 500.0)
    assert refused.value.ids == (waiting, 999, 2**70)
    assert stored(store) == before
    with store.reading() as connection:
        assert [one.id for one in commands.list_baseline(connection, None, 2)] == [old.id]


def test_a_baseline_is_sent_once_however_often_it_is_asked_for(store: Store) -> None:
    """Two commands at the same time make its deliveries once; the second is refused."""
    add(store, new(1, b"old.txt", 1.0))
    with store.reading() as connection:
        (old,) = commands.list_baseline(connection, None, 1)
    chosen = BaselineToSend(old, "0" * 64, plain_payload(b"old.txt", "0" * 64, "app", ()), ("cid1", "cid2"))
    commands.retry(store, [], [chosen], 500.0)
    with pytest.raises(NotApplicableError):
        commands.retry(store, [], [chosen], 501.0)
    with store.reading() as connection:
        lines = report.lines(connection, scope(connection), HistoryQuery())
    assert [(line.recipient, line.sha256, line.noticed_at) for line in lines] == [
        ("cid2", "0" * 64, 1.0),
        ("cid1", "0" * 64, 1.0),
    ]


def test_retry_all_takes_what_failed_and_nothing_else(store: Store) -> None:
    """What is skipped or gone was so for a reason that a person must name by its id."""
    failed, gone = add(store, new(1, b"x.txt", 1.0, "cid1"), new(1, b"y.txt", 1.0, "cid1"))
    fail(store, failed)
    with store.writing() as connection:
        transitions.apply(connection, 101.0, [Change(gone, Event.VANISH, None, CAUSE)])
    assert commands.retry_all(store, 500.0) == 1
    assert stored(store) == {failed: "pending", gone: "gone"}


def test_a_version_whose_upload_was_abandoned_is_pruned(store: Store) -> None:
    """A large file that is removed in the middle of its upload leaves finished parts of a session."""
    (row,) = add(store, new(1, b"large.iso", 10.0, "cid1"))
    with store.writing() as connection:
        delivery = find_deliveries(connection, [row])[row]
        session = UploadSession("space", "key")
        uploads.begin_session(connection, delivery.upload_key, session)
        uploads.finish_part(connection, delivery.upload_key, session, 1)
        versions.withdraw(connection, [delivery.version], CAUSE, 20.0)
        versions.mark_missing(connection, {delivery.version: 20.0})
        pruning.prune(connection, 1, 30.0, [delivery.version])
        assert connection.scalar(text("SELECT count(*) FROM uploads")) == 0
        assert connection.scalar(text("SELECT count(*) FROM parts")) == 0
