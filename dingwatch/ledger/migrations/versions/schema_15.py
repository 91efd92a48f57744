"""Several nodes on one ledger."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, String, text
from sqlalchemy.schema import CreateIndex, CreateTable

from dingwatch.ledger.migrations.steps import add_columns, on_postgresql
from dingwatch.ledger.schema import (
    captioned,
    fingerprints,
    folder_nodes,
    folders_down,
    in_flight,
    moves,
    nodes,
    pauses,
    routes,
    sidecars,
    slots,
    star_directories,
    stars,
    successors,
)

_MADE_ANEW = {
    stars: "pattern, looked_at",
    star_directories: "pattern, path",
    routes: "folder_id, conversation_id",
    moves: "version_id, folder_id, phase, origin, place, back, size, mtime_ns, inode, device",
    sidecars: "folder_id, path, version_id, content, phase",
    pauses: "scope, key, until, since, failures, by_token, code, message, advice, request_id, lasts, fixed",
}
"""Tables that get another primary key, each after those that it refers to, and the columns that they had."""

revision = "15"
down_revision = "14"


def upgrade() -> None:
    """Lead to schema 15."""
    add_columns(
        "folders",
        Column("node", String, nullable=False, server_default=""),
        Column("shared", String),
    )
    if on_postgresql():
        op.drop_constraint("folders_root_name_key", "folders")
        op.create_unique_constraint("folders_node_root_name_key", "folders", ["node", "root", "name"])
    _make_anew()
    for table in ("deliveries", "uploads"):
        add_columns(table, Column("claim", BigInteger), Column("node", String))
    add_columns("deliveries", Column("given_to", String))
    for new in (folder_nodes, nodes, in_flight, captioned, folders_down, slots, fingerprints, successors):
        op.execute(CreateTable(new))
    for index in sorted(fingerprints.indexes, key=lambda index: str(index.name)):
        op.execute(CreateIndex(index))
    op.execute("INSERT INTO numbers (name, value) VALUES ('claim', 0)")


def _make_anew() -> None:
    had = {table.name: columns for table, columns in _MADE_ANEW.items()}
    for name, columns in had.items():
        op.execute(text(f"CREATE TABLE {name}_before AS SELECT {columns} FROM {name}"))  # noqa: S608
    for name in reversed(had):
        op.execute(text(f"DROP TABLE {name}"))
    for table in _MADE_ANEW:
        op.execute(CreateTable(table))
    for name, columns in had.items():
        op.execute(text(f"INSERT INTO {name} ({columns}) SELECT {columns} FROM {name}_before"))  # noqa: S608
        op.execute(text(f"DROP TABLE {name}_before"))
