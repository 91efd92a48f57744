"""Ledgers of older schemas are led to this one, in SQLite and in PostgreSQL."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, insert, inspect, select, text
from sqlalchemy.schema import MetaData
from sqlalchemy.types import Boolean

from dingwatch.ledger import LedgerError, Store, sqlite_url
from dingwatch.ledger.migrations import migrate
from dingwatch.ledger.schema import SCHEMA, metadata, revision
from tests.ledger import query
from tests.ledgers.record import HERE

OLD = range(1, SCHEMA)


def recorded(tmp_path: Path, schema: int) -> Path:
    """Return a SQLite ledger of an older schema, with what the service of its time wrote."""
    path = tmp_path / f"schema-{schema}.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((HERE / f"schema-{schema}.sql").read_text("utf-8"))
    return path


def rows(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Return all that a SQLite ledger holds, by table."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return {
            name: [dict(row) for row in connection.execute(f"SELECT * FROM {name}")]  # noqa: S608
            for (name,) in names
        }


def make_old(url: str, schema: int, held: dict[str, list[dict[str, Any]]]) -> None:
    """Make a ledger of an older schema in PostgreSQL, with the rows of one in SQLite."""
    there = MetaData()
    with closing(Store.open(url)) as store, store.writing() as connection:
        for table in (*reversed(metadata.sorted_tables), revision):
            table.drop(connection)
        migrate(connection, 0, schema)
        connection.execute(text("DROP TABLE alembic_version"))  # as if alembic had never seen it
        there.reflect(connection)
        connection.execute(there.tables["numbers"].delete())
        for table in there.sorted_tables:
            if held[table.name]:
                connection.execute(insert(table), [as_typed(table, row) for row in held[table.name]])


def as_typed(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with booleans, which SQLite keeps as numbers, and without what is computed."""
    kept = {name: value for name, value in row.items() if table.c[name].computed is None}
    return {
        name: bool(value) if isinstance(table.c[name].type, Boolean) else value
        for name, value in kept.items()
    }


def holding(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """Return all that a ledger holds, by table."""
    with store.reading() as connection:
        return {
            name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
            for name, table in (*metadata.tables.items(), (revision.name, revision))
        }


def shape(store: Store) -> dict[str, Any]:
    """Return the columns, keys and constraints of every table, and the indexes as the server writes them."""
    with store.reading() as connection:
        seen = inspect(connection)
        tables: dict[str, Any] = {
            name: {column["name"]: str(sorted(column.items(), key=str)) for column in found}
            for (_, name), found in seen.get_multi_columns().items()
        }
    indexes = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"
    constraints = (
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2"
    )
    return tables | {"indexes": query(store, indexes), "constraints": query(store, constraints)}


@pytest.fixture
def opened(postgres_url: str) -> Iterator[Store]:
    """A new ledger in PostgreSQL."""
    with closing(Store.open(postgres_url)) as store:
        yield store


@pytest.mark.parametrize("schema", OLD)
def test_an_old_ledger_becomes_what_a_new_one_is(
    tmp_path: Path, blank_postgres_url: str, opened: Store, schema: int
) -> None:
    """On PostgreSQL it has each column, index and constraint of a new one, and the rows that SQLite's has."""
    path = recorded(tmp_path, schema)
    make_old(blank_postgres_url, schema, rows(path))
    with (
        closing(Store.open(blank_postgres_url)) as store,
        closing(Store.open(sqlite_url(path))) as in_file,
    ):
        assert shape(store) == shape(opened)
        assert holding(store) == holding(in_file)
        assert query(store, "SELECT version_num FROM alembic_version") == [(str(SCHEMA),)]


def test_a_ledger_that_alembic_knows_is_led_on(tmp_path: Path) -> None:
    """What alembic noted at the migration before is what the ledger itself says."""
    path = recorded(tmp_path, 13)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        connection.execute("INSERT INTO alembic_version VALUES ('13')")
        connection.commit()
    with closing(Store.open(sqlite_url(path))) as store:
        assert query(store, "SELECT version_num FROM alembic_version") == [(str(SCHEMA),)]


def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    """The ledger stays what the older dingwatch can use, and the next start tries again."""
    path = recorded(tmp_path, 1)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE successors (url VARCHAR)")  # in the way of the last step
    before = rows(path)
    with pytest.raises(LedgerError):
        Store.open(sqlite_url(path))
    assert rows(path) == before
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE successors")
    Store.open(sqlite_url(path)).close()


def test_hosts_that_start_together_migrate_once(tmp_path: Path, blank_postgres_url: str) -> None:
    """The second one waits for the first, and finds a ledger of its own schema."""
    make_old(blank_postgres_url, SCHEMA - 1, rows(recorded(tmp_path, SCHEMA - 1)))
    found: list[list[tuple[Any, ...]]] = []

    def start() -> None:
        with closing(Store.open(blank_postgres_url)) as store:
            found.append(query(store, "SELECT value FROM numbers WHERE name = 'schema'"))

    hosts = [threading.Thread(target=start) for _ in range(3)]
    for host in hosts:
        host.start()
    for host in hosts:
        host.join()
    assert found == [[(SCHEMA,)]] * 3
