"""A PostgreSQL server for benchmarks, and a past of millions of deliveries that SQL writes into it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg

from dingwatch.ledger import Store
from tests.postgres import PostgresServer

DURABLE: Final = ("fsync=on", "full_page_writes=on", "synchronous_commit=on", "shared_buffers=512MB")
"""Settings as a server has them that may lose nothing."""
BULK: Final = (
    *("shared_buffers=512MB", "maintenance_work_mem=512MB", "work_mem=64MB", "max_wal_size=2GB"),
    *("wal_level=minimal", "max_wal_senders=0", "checkpoint_timeout=1h"),
)
"""Settings for writing very many rows."""
FOLDERS: Final = 1_000
"""Folders that a past is of, as evenly as it goes."""
RECIPIENTS: Final = 4
"""Recipients of each file of a past."""


@contextmanager
def server(*options: str) -> Iterator[PostgresServer]:
    """Run a server in the temporary directory."""
    with tempfile.TemporaryDirectory(prefix="pg") as made:
        directory = Path(made)
        directory.chmod(0o711)
        with PostgresServer(*options, directory=directory) as running:
            yield running


def size(postgres: PostgresServer, url_database: str) -> int:
    """Return the bytes of a database, indexes included."""
    ((found,),) = postgres.execute("SELECT pg_database_size(current_database())", database=url_database)
    return int(found)


# --- A past ----------------------------------------------------------------------------------------

_PAST: Final = (
    """
INSERT INTO folders (node, root, name, looked_at)
SELECT 'past', convert_to('/srv/past/' || n, 'UTF8'), '部门' || n, 1700000000
FROM generate_series(1, {folders}) n
""",
    """
INSERT INTO routes (folder_id, conversation_id, node)
SELECT id, 'cidPast' || id || '.' || r || '==', 'past'
FROM folders, generate_series(1, {recipients}) r WHERE node = 'past'
""",
    """
INSERT INTO versions (id, folder_id, directory, name, size, mtime_ns, ctime_ns, inode, device, sha256,
    baseline, noticed_at, missing_since)
SELECT {base} + {ids} * n, {first} + n % {folders}, convert_to('2025/' || n / 20000, 'UTF8'),
    convert_to(n || '.pdf', 'UTF8'), 4096 + n % 5000, 1600000000000000000 + n * 1000, 0, n, '1',
    md5(n::text) || md5(n::text), false, {began} + n * {step}, {began} + n * {step} + 3600
FROM generate_series(1::bigint, {files}) n
""",
    """
INSERT INTO uploads (key, app, type, content, extension, name, state, media_id, uploaded_at)
SELECT md5('u' || n), 'dingbench', 'file', md5(n::text) || md5(n::text), 'pdf', '', 'have', '@past' || n,
    {began} + n * {step}
FROM generate_series(1::bigint, {files}) n
""",
    """
INSERT INTO deliveries (id, version_id, folder_id, conversation_id, route, state, form, upload_key, due,
    noticed_at, settled_at, claimed_at, uploaded_at, sent_at, attempts, failures, waited, doubts,
    media_losses, crashes, uncertain_resent, process_query_key, claim, node)
SELECT {base} + {ids} * n + r, {base} + {ids} * n, {first} + n % {folders},
    'cidPast' || ({first} + n % {folders}) || '.' || r || '==',
    'robot', 'sent', 'plain', md5('u' || n), t.at, t.at, t.at, t.at, t.at, t.at, 2, 0, 0, 0, 0, 0, false,
    md5('k' || n), n, 'past'
FROM generate_series(1::bigint, {files}) n CROSS JOIN generate_series(1, {recipients}) r
    CROSS JOIN LATERAL (SELECT {began} + n * {step} AS at) t
""",
    """
INSERT INTO history (version_id, delivery_id, at, event, before, after)
SELECT {base} + {ids} * n, {base} + {ids} * n + r, {began} + n * {step}, step.event, step.before, step.after
FROM generate_series(1::bigint, {files}) n CROSS JOIN generate_series(1, {recipients}) r CROSS JOIN (VALUES
    ('settled', NULL, 'pending'), ('claim', 'pending', 'uploading'), ('upload_ok', 'uploading', 'uploaded'),
    ('claim', 'uploaded', 'sending'), ('send_ok', 'sending', 'sent')
) AS step (event, before, after)
""",
    "UPDATE numbers SET value = {base} + {ids} * ({files} + 1) WHERE name = 'id'",
)
_MANY: Final = ["versions", "uploads", "deliveries", "history"]
YEAR: Final = 365 * 86400.0


def invent(url: str, count: int, now: float, folders: int = FOLDERS) -> None:
    """Write so many deliveries of the last year, all sent, of files that are gone since, of many folders.

    Indexes and foreign keys are made after the rows, which takes a third of the time.
    """
    with _connect(url) as connection:
        base = _number(connection, "SELECT value FROM numbers WHERE name = 'id'")
        first = 1 + _number(connection, "SELECT coalesce(max(id), 0) FROM folders")
        values = {
            "base": base,
            "first": first,
            "folders": folders,
            "files": count // RECIPIENTS,
            "recipients": RECIPIENTS,
            "ids": RECIPIENTS + 1,
            "began": now - YEAR,
            "step": YEAR * RECIPIENTS / count,
        }
        with connection.transaction(), _without_indexes(connection):
            for statement in _PAST:
                connection.execute(statement.format(**values).encode())
    with _connect(url) as connection:
        connection.execute("VACUUM ANALYZE")


def _connect(url: str) -> psycopg.Connection[tuple[object, ...]]:
    connection = psycopg.connect(url.replace("+psycopg", ""), autocommit=True)
    connection.execute("SET statement_timeout = 0")
    return connection


def _number(connection: psycopg.Connection[tuple[object, ...]], query: str) -> int:
    found = connection.execute(query.encode()).fetchone()
    assert found is not None
    return int(str(found[0]))


@contextmanager
def _without_indexes(connection: psycopg.Connection[tuple[object, ...]]) -> Iterator[None]:
    """Leave out what slows down writing during a block, and make it again."""
    constraints = connection.execute(
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE contype = 'f' AND conrelid::regclass::text = ANY(%s)",
        [_MANY],
    ).fetchall()
    indexes = connection.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema()"
        " AND tablename = ANY(%s) AND indexname NOT IN (SELECT conname FROM pg_constraint)",
        [_MANY],
    ).fetchall()
    for table, name, _ in constraints:
        connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}".encode())
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}".encode())
    yield
    for _, definition in indexes:
        connection.execute(str(definition).encode())
    for table, name, definition in constraints:
        connection.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition} NOT VALID".encode())


def blank(postgres: PostgresServer, name: str) -> str:
    """Make a database with an empty ledger, and return its URL."""
    postgres.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    url = postgres.url(name)
    Store.open(url).close()
    return url
