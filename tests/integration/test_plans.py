"""No question that is asked often reads a queue, or the past, from end to end."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dingwatch.ledger import Store, sqlite_url
from dingwatch.ledger.folders import bind
from tests.integration.questions import (
    FOLDERS,
    QUESTIONS,
    Explained,
    analyze,
    explain,
    explain_on_postgresql,
    reverse_indexes,
    write,
    write_on_postgresql,
)
from tests.postgres import PostgresServer


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a ledger in which 200,000 files wait for one recipient, and some for others."""
    path = tmp_path_factory.mktemp("crowded") / "ledger.db"
    store = Store.open(sqlite_url(path))
    with store.writing() as connection:
        bind(connection, FOLDERS)
    store.close()
    write(path)
    return path


@pytest.fixture(scope="module", params=[None, reverse_indexes, analyze])
def crowded(ledger: Path, request: pytest.FixtureRequest) -> Iterator[Store]:
    """Open it: as it is, with its indexes in another order, and with SQLite's planner knowing its rows."""
    change: Callable[[Path], None] | None = request.param
    if change is not None:
        change(ledger)
    store = Store.open(sqlite_url(ledger))
    yield store
    store.close()


def cost(store: Store, name: str) -> Explained:
    """Ask a question; what it changes is not kept."""
    with store.writing() as connection:
        found = explain(connection, QUESTIONS[name].ask)
        connection.rollback()
    return found


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_is_answered_by_an_index(crowded: Store, name: str) -> None:
    """Neither does its plan scan a table, nor does an index lead it through all that waits."""
    question, found = QUESTIONS[name], cost(crowded, name)
    scans = [line for line in found.scans() if not line.endswith(question.walks)]
    assert (scans, found.steps <= question.steps) == ([], True), (found.steps, found.plans)


@pytest.fixture(scope="module")
def crowded_on_postgresql(postgres: PostgresServer) -> Iterator[Store]:
    """A ledger in PostgreSQL with most of these rows, counted as autovacuum counts them."""
    with postgres.ledger() as url:
        store = Store.open(url)
        with store.writing() as connection:
            bind(connection, FOLDERS)
        write_on_postgresql(store)
        yield store
        store.close()


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_is_answered_by_an_index_on_postgresql(crowded_on_postgresql: Store, name: str) -> None:
    """No table is read from end to end, and hardly more rows than the answer takes."""
    question, store = QUESTIONS[name], crowded_on_postgresql
    # One that writes has its plans made for any values; what people look at is only read.
    with store.reading() if name.startswith(("history", "page")) else store.writing() as connection:
        found = explain_on_postgresql(connection, question.ask)
        connection.rollback()
    assert found.plans
    assert (found.scans, found.rows <= question.steps / 10) == ((), True), (found.rows, found.plans)
