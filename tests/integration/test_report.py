from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, text

from dingwatch.ledger import (
    Store,
    calls,
    commands,
    counters,
    pruning,
    report,
    transitions,
    unresolved,
    uploads,
    versions,
)
from dingwatch.ledger.commands import BaselineToSend, NotApplicableError
from dingwatch.ledger.delivery import find_deliveries
from dingwatch.ledger.delivery_counts import DeliveryCounts
from dingwatch.ledger.folders import MappedFolder, bind
from dingwatch.ledger.report import HistoryQuery, Scope
from dingwatch.ledger.transitions import Change
from dingwatch.ledger.uploads import UploadSession
from dingwatch.ledger.versions import NewVersion
from dingwatch.lifecycle import Event, State
from dingwatch.model import Cause, Fingerprint
from dingwatch.names import readable
from tests.support import plain_payload

CAUSE = Cause("40038", "refused", "CONTENT")
A, B = MappedFolder(b"/a", "a", ("cid1", "cid2")), MappedFolder(b"/b", "b", ("cid1",))


@pytest.fixture
def store(ledger_url: str) -> Iterator[Store]:
    """A ledger that knows two folders, of which one is mapped to two conversations."""
    opened = Store.open(ledger_url)
    with opened.writing() as connection:
        bind(connection, [A, B])
    yield opened
    opened.close()


def new(folder: int | None, path: bytes, at: float, *conversations: str) -> NewVersion:
    """Return a version."""
    payload, seen = plain_payload(path, path.hex(), "app", ()), Fingerprint(5, int(at), 0, 1, 1)
    return NewVersion(folder, path, seen, path.hex(), at, at, payload, conversations)


def add(store: Store, *made: NewVersion) -> list[int]:
    """Write versions; return the ids of their deliveries."""
    with store.writing() as connection:
        return versions.add(store, connection, made, 100.0)


def add_old(store: Store, folder: int, path: bytes, at: float) -> None:
    """Write a baseline version."""
    with store.writing() as connection:
        versions.add_baseline(store, connection, folder, [(path, Fingerprint(5, int(at), 0, 1, 1))], at)


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
    add_old(store, 1, b"old.txt", 0.0)
    add(store, new(None, b"/tmp/z.txt", 3.0, "cid9"))
    fail(store, one[0])
    with store.reading() as connection:
        found = report.counts(connection, scope(connection))
    assert found == {1: {"failed": 1, "pending": 1, "baseline": 1}, 2: {"pending": 1}, None: {"pending": 1}}


def test_history_is_newest_first_without_baselines(store: Store) -> None:
    """Lines are ordered by the time noticed, then by id."""
    ids = add(store, new(1, b"d/late.txt", 9.0, "cid1", "cid2"), new(2, b"early.txt", 2.0, "cid1"))
    add_old(store, 1, b"old.txt", 20.0)
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


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("报告", ["2026/季度报告.pdf"]),
        ("PDF", ["2026/季度报告.pdf", "a_b.PDF"]),
        ("a_b", ["a_b.PDF"]),
        ("0%", ["100%.txt"]),
        ("\\", ["back\\slash.txt"]),
        ("2026/季", ["2026/季度报告.pdf"]),
        ("2026", ["2026/季度报告.pdf"]),
        ("ÉCOLE", ["école.txt", "e\u0301cole.md"]),
        ("e\u0301", ["école.txt", "e\u0301cole.md"]),
        ("Ж", ["жук.txt"]),
        ("报表", ["\\xb1\\xa8\\xb1\\xed.doc"]),
        ("\\xb1\\xa8", ["\\xb1\\xa8\\xb1\\xed.doc"]),
        (b"\xb1\xa8".decode("utf-8", "surrogateescape"), ["\\xb1\\xa8\\xb1\\xed.doc"]),
        ("x" * 70_000, []),
        ("", None),
    ],
)
def test_a_name_is_found_by_any_part_in_any_case(store: Store, text: str, found: list[str] | None) -> None:
    """What stands for something else in LIKE stands for itself; so it is whether a name is UTF-8 or not."""
    paths = [
        *("2026/季度报告.pdf", "a_b.PDF", "axb.bin", "100%.txt", "1000.txt", "back\\slash.txt"),
        *("école.txt", "e\u0301cole.md", "жук.txt"),
    ]
    stored_paths = [*(path.encode() for path in paths), "报表".encode("gbk") + b".doc"]
    add(store, *(new(1, path, 100.0 - n, "cid1") for n, path in enumerate(stored_paths)))
    with store.reading() as connection:
        here = scope(connection)
    pages = list(report.pages(store, here, HistoryQuery(search=text)))
    shown = [readable(line.path) for page in pages for line in page]
    assert shown == ([readable(path) for path in stored_paths] if found is None else found)
    for n, path in enumerate(stored_paths):
        add_old(store, 2, path, 100.0 - n)
    old = report.pages(store, here, HistoryQuery(state="baseline", search=text))
    assert [readable(line.path) for page in old for line in page] == shown


def test_a_search_goes_on_where_sql_finds_only_what_looks_alike(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page of names that differ in a letter that SQLite does not know does not end it."""
    monkeypatch.setattr(report, "PAGE", 2)
    names = [f"B{letter}r {n}.txt" for letter in "öü" for n in range(3)]
    add(store, *(new(1, name.encode(), 100.0 - n, "cid1") for n, name in enumerate(names)))
    with store.reading() as connection:
        here = scope(connection)
    pages = list(report.pages(store, here, HistoryQuery(search="BÜR", limit=2)))
    assert [readable(line.path) for page in pages for line in page] == ["Bür 0.txt", "Bür 1.txt"]


def test_history_is_cut_by_time_and_recipient(store: Store) -> None:
    """`since` is in the time that is meant, `until` is not; all filters combine."""
    ids = add(store, *(new(1 + n % 2, b"%d.txt" % n, float(n), "cid1") for n in range(6)))
    other = add(store, new(1, b"6.txt", 6.0, "cid2"))
    fail(store, ids[2])

    def found(**filters: Any) -> list[int]:  # noqa: ANN401
        with store.reading() as connection:
            return [line.id for line in report.lines(connection, scope(connection), HistoryQuery(**filters))]

    assert found(since=4.0) == [*other, ids[5], ids[4]]
    assert found(until=2.0) == [ids[1], ids[0]]
    assert found(since=1.0, until=3.0, recipient="cid1") == [ids[2], ids[1]]
    assert found(recipient="cid2") == other
    assert found(recipient="cid1", folder="a", limit=2) == [ids[4], ids[2]]
    assert found(recipient="cid3") == []
    assert found(state="failed", search="2", since=2.0, until=3.0, folder="a") == [ids[2]]
    assert found(state="failed", until=2.0) == []
    assert found(state="baseline", recipient="cid1") == []


def test_what_failed_and_what_is_no_longer_mapped_is_one_list(store: Store) -> None:
    """Both are found by indexes of their own, and listed by time."""
    ids = add(store, *(new(1, b"%d.txt" % n, float(n), "cid1", "cid2") for n in range(4)))
    fail(store, ids[0], ids[3])
    with store.reading() as connection:
        left = scope(connection, MappedFolder(b"/a", "a", ("cid1",)), B)
        lines = report.lines(connection, left, HistoryQuery(state="failed"))
        page = report.lines(connection, left, HistoryQuery(state="failed", before=(3.0, ids[7]), limit=2))
    assert [line.id for line in lines] == [ids[7], ids[5], ids[3], ids[1], ids[0]]
    assert [line.id for line in page] == [ids[5], ids[3]]


def test_a_baseline_line_has_no_conversation_and_no_digest(store: Store) -> None:
    """It is shown where it is asked for, by the version's own id."""
    add_old(store, 1, b"old.txt", 1.0)
    add_old(store, 2, b"older.txt", 0.0)
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
    for number in range(20):
        add_old(store, 1, b"%d.old" % number, float(number // 5))
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
    add_old(store, 2, b"old.txt", 1.0)
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
    add_old(store, 1, b"old.txt", 1.0)
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
        uploads.claim_upload(connection, delivery.upload_key, 1, "")
        uploads.begin_session(connection, delivery.upload_key, session, 1)
        uploads.finish_part(connection, delivery.upload_key, session, 1, 1)
        uploads.release_upload(connection, delivery.upload_key, 1)
        versions.withdraw(connection, [delivery.version], CAUSE, 20.0)
        versions.mark_missing(connection, {delivery.version: 20.0})
        pruning.prune(connection, 1, 30.0, [delivery.version])
        assert connection.scalar(text("SELECT count(*) FROM uploads")) == 0
        assert connection.scalar(text("SELECT count(*) FROM parts")) == 0


# --- What the status page counts -----------------------------------------------------------------


def test_counts_are_kept_up_to_date(store: Store) -> None:
    """After whatever happens to deliveries, what is added to the counts makes what counting anew finds."""
    kept = DeliveryCounts()

    def both() -> tuple[dict[int | None, Any], dict[int | None, Any]]:
        with store.reading() as connection:
            here = scope(connection)
            return report.counts(connection, here, kept), report.counts(connection, here)

    ids = add(store, *(new(1 + n % 2, b"%d.txt" % n, float(n), "cid1") for n in range(6)))
    assert (found := both())[0] == found[1]
    fail(store, *ids[:3])
    assert (found := both())[0] == found[1]
    commands.retry_all(store, 500.0)
    add(store, new(None, b"/tmp/z.txt", 3.0, "cid9"))
    assert (found := both())[0] == found[1]
    with store.writing() as connection:
        deliveries = find_deliveries(connection, ids).values()
        gone = [one.version for one in deliveries if one.folder == 1]
        versions.withdraw(connection, gone, CAUSE, 20.0)
        versions.mark_missing(connection, dict.fromkeys(gone, 20.0))
    assert (found := both())[0] == found[1]
    with store.writing() as connection:
        pruning.prune(connection, 1, 30.0, gone)
    assert (found := both())[0] == found[1]
    assert found[1] == {2: {"pending": 3}, None: {"pending": 1}}


def test_outcomes_are_counted_by_the_quarter_of_an_hour(store: Store) -> None:
    """Those of some days ago are forgotten."""
    ids = add(store, *(new(1, b"%d.txt" % n, float(n), "cid1") for n in range(3)))
    day = 86400.0
    for at, number in zip((10 * day, 10 * day + 899.0, 14 * day), ids, strict=True):
        with store.writing() as connection:
            transitions.apply(connection, at, [Change(number, Event.REJECT, None, CAUSE)])
            found = counters.list_outcomes(connection, 0.0)
        if number == ids[1]:
            assert found == [(1, 10 * 96, 0, 2)]
    assert found == [(1, 14 * 96, 0, 1)]


def test_causes_are_grouped(store: Store) -> None:
    """A doubt that is sent once more by itself is in no group; the first delivery stands for its group."""
    ids = add(store, *(new(1, b"%d.txt" % n, float(n), "cid1") for n in range(5)))
    fail(store, *ids[:3])
    with store.writing() as connection:
        for event in (Event.CLAIM, Event.UPLOAD_OK, Event.CLAIM):
            transitions.apply(connection, 102.0, [Change(ids[3], event)])
        doubt = Change(ids[3], Event.DOUBT, None, Cause("no_answer", "", "NO_ANSWER"), {"doubts": 1})
        transitions.apply(connection, 103.0, [doubt])
        waiting = unresolved.list_groups(connection, resends=False)
        alone = unresolved.list_groups(connection, resends=True)
        example = unresolved.find_examples(connection, [ids[0]])[ids[0]]
    assert {(one.state, one.code, one.count, one.first) for one in waiting} == {
        (State.FAILED, "40038", 3, ids[0]),
        (State.UNCERTAIN, "no_answer", 1, ids[3]),
    }
    assert [one.state for one in alone] == [State.FAILED]
    assert (example.path, example.cause, example.at) == (b"0.txt", CAUSE, 101.0)
