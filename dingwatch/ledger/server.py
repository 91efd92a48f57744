"""What `check` asks of the server of a ledger in PostgreSQL; nothing is created, migrated or written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import psycopg
from sqlalchemy import make_url

from dingwatch.ledger.nodes import app_of
from dingwatch.ledger.postgresql import connect, errors
from dingwatch.ledger.schema import SCHEMA, metadata


@dataclass(frozen=True, slots=True)
class NodeSeen:
    """A node as it was when the server was asked."""

    name: str
    live: bool
    draining: bool
    app: str
    """The app that it works for, or has worked for; empty where that is not known."""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """A server, and what the ledger's role may do there."""

    version: str
    tls: str | None
    """The version of TLS of the connection; None without encryption."""
    role: str
    is_superuser: bool
    schema: int | None
    """The number of the ledger's schema; None where there is no ledger yet."""
    may_create: bool
    """Whether the role may make the tables, or those that the next version adds."""
    owns: bool
    """Whether it may change all tables, as a migration does."""
    missing: tuple[str, ...]
    """Rights that it lacks for its daily work: `UPDATE ON deliveries`."""
    standbys: int
    is_asynchronous: bool
    """Whether a standby may lack what was committed."""
    synchronous_commit: str
    clock: float
    """The server's clock, in seconds since the epoch."""
    nodes: tuple[NodeSeen, ...]

    @property
    def needs_migration(self) -> bool:
        """Whether this version of dingwatch changes the tables when it starts."""
        return self.schema is not None and self.schema < SCHEMA


_RIGHTS: Final = ("SELECT", "INSERT", "UPDATE", "DELETE")
_SERVER: Final = """
SELECT current_setting('server_version'),
  (SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl),
  current_user, (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
  coalesce(has_schema_privilege(current_schema(), 'CREATE'), false),
  (SELECT count(*) FROM pg_stat_replication),
  current_setting('synchronous_standby_names') = ''
    OR EXISTS (SELECT FROM pg_stat_replication WHERE sync_state = 'async'),
  extract(epoch FROM clock_timestamp())::double precision
"""
# The session of dingwatch itself turns it on where it is off; what counts is how the server is configured.
_COMMIT: Final = "SELECT reset_val FROM pg_settings WHERE name = 'synchronous_commit'"
_TABLES: Final = """
SELECT relname, pg_has_role(relowner, 'USAGE') FROM pg_class
WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND relname = ANY(%s)
"""
_LACKS: Final = """
SELECT one || ' ON ' || name FROM unnest(%s::text[]) AS name, unnest(%s::text[]) AS one
WHERE NOT has_table_privilege(quote_ident(current_schema()) || '.' || quote_ident(name), one) ORDER BY 1
"""
_LACKS_SEQUENCES: Final = """
SELECT 'USAGE ON SEQUENCE ' || relname FROM pg_class
WHERE relnamespace = current_schema()::regnamespace
  AND CASE relkind WHEN 'S' THEN NOT has_sequence_privilege(oid, 'USAGE') ELSE false END ORDER BY 1
"""
_NODES: Final = """
SELECT name, lease_until > extract(epoch FROM clock_timestamp()), draining, instance
FROM nodes ORDER BY name
"""


def read_server(url: str) -> ServerFacts:
    """Ask the server.

    Raises:
        LedgerError: it cannot be asked.
    """
    with connect(make_url(url), "dingwatch check") as connection, errors():
        version, tls, role, is_superuser, may_create, standbys, is_asynchronous, clock = _one(
            connection, _SERVER
        )
        tables = connection.execute(_TABLES, [list(metadata.tables)]).fetchall()
        present = [name for name, _ in tables]
        missing = [*_list(connection, _LACKS, present, list(_RIGHTS)), *_list(connection, _LACKS_SEQUENCES)]
        readable = "SELECT ON numbers" not in missing
        return ServerFacts(
            version=version,
            tls=tls,
            role=role,
            is_superuser=bool(is_superuser),
            schema=_schema(connection) if "numbers" in present and readable else None,
            may_create=may_create,
            owns=all(owned for _, owned in tables),
            missing=tuple(missing),
            standbys=standbys,
            is_asynchronous=standbys > 0 and is_asynchronous,
            synchronous_commit=_one(connection, _COMMIT)[0],
            clock=clock,
            nodes=tuple(_nodes(connection))
            if "nodes" in present and "SELECT ON nodes" not in missing
            else (),
        )


def _one(connection: psycopg.Connection[Any], query: str) -> tuple[Any, ...]:
    found: tuple[Any, ...] | None = connection.execute(query).fetchone()
    assert found is not None  # noqa: S101 (each query has one row)
    return found


def _list(connection: psycopg.Connection[Any], query: str, *values: object) -> list[str]:
    return [str(row[0]) for row in connection.execute(query, values or None)]


def _schema(connection: psycopg.Connection[Any]) -> int | None:
    row = connection.execute("SELECT value FROM numbers WHERE name = 'schema'").fetchone()
    return None if row is None else int(row[0])


def _nodes(connection: psycopg.Connection[Any]) -> list[NodeSeen]:
    return [
        NodeSeen(name, live, draining, app_of(instance))
        for name, live, draining, instance in connection.execute(_NODES)
    ]
