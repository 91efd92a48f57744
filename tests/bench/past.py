"""A past, written straight into a ledger: deliveries that were sent, with everything that belongs to them."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Final

ROWS: Final = 8
"""Rows of each delivery: its version, its upload, itself, and five lines of history."""
_STATEMENTS = """
INSERT INTO versions (id, folder_id, directory, name, size, mtime_ns, ctime_ns, inode, device, sha256,
    baseline, noticed_at, missing_since)
SELECT :base + 2 * n, :folder, CAST('old/' || (n / 1000) AS BLOB), CAST(n || '.pdf' AS BLOB), 4096 + n % 5000,
    1600000000000000000 + n * 1000, 0, n, '1', printf('%064x', n), 0, :now - 86400 + n * 0.01, :now
FROM numbered;
INSERT INTO uploads (key, app, type, content, extension, name, state, media_id, uploaded_at)
SELECT 'past' || n, 'dingbench', 'file', printf('%064x', n), 'pdf', '', 'have', '@past' || n, :now - 86400
FROM numbered;
INSERT INTO deliveries (id, version_id, folder_id, conversation_id, route, state, form, upload_key, due,
    noticed_at, settled_at, claimed_at, uploaded_at, sent_at, attempts, failures, waited, doubts,
    media_losses, crashes, uncertain_resent, process_query_key)
SELECT :base + 2 * n + 1, :base + 2 * n, :folder, :conversation, 'robot', 'sent', 'plain', 'past' || n,
    :now - 86400, :now - 86400 + n * 0.01, :now - 86400, :now - 86400, :now - 86400, :now - 86400,
    2, 0, 0.0, 0, 0, 0, 0, 'key' || n
FROM numbered;
INSERT INTO history (version_id, delivery_id, at, event, before, after)
SELECT :base + 2 * n, :base + 2 * n + 1, :now - 86400, step.event, step.before, step.after
FROM numbered JOIN (
    SELECT 'settled' AS event, NULL AS before, 'pending' AS after
    UNION ALL SELECT 'claim', 'pending', 'uploading' UNION ALL SELECT 'upload_ok', 'uploading', 'uploaded'
    UNION ALL SELECT 'claim', 'uploaded', 'sending' UNION ALL SELECT 'send_ok', 'sending', 'sent'
) AS step
"""
_NUMBERED = "WITH RECURSIVE numbered(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbered WHERE n < :count) "


def path_of(number: int) -> str:
    """Return the path, in its folder, of one of the files that were sent."""
    return f"old/{number // 1000}/{number}.pdf"


def invent(ledger: Path, count: int, conversation: str) -> None:
    """Add `count` sent deliveries, and their files that are gone since, to the ledger's first folder."""
    with closing(sqlite3.connect(ledger)) as connection, connection:
        folder = connection.execute("SELECT min(id) FROM folders").fetchone()[0]
        base = connection.execute("SELECT value FROM numbers WHERE name = 'id'").fetchone()[0]
        values = {
            "base": base,
            "folder": folder,
            "conversation": conversation,
            "count": count,
            "now": time.time(),
        }
        for statement in _STATEMENTS.split(";"):
            head, _, select = statement.partition("\nSELECT ")
            connection.execute(f"{head}\n{_NUMBERED}\nSELECT {select}", values)
        connection.execute(
            "UPDATE numbers SET value = value + :used WHERE name = 'id'", {"used": 2 * count + 1}
        )


def spread(ledger: Path) -> None:
    """Have the past be that of all folders in turn."""
    with closing(sqlite3.connect(ledger)) as connection, connection:
        ids = [number for (number,) in connection.execute("SELECT id FROM folders ORDER BY id")]
        first = connection.execute("SELECT min(id) FROM deliveries").fetchone()[0]
        connection.execute("CREATE TEMP TABLE turn (place INTEGER PRIMARY KEY, folder INTEGER)")
        connection.executemany("INSERT INTO turn VALUES (?, ?)", enumerate(ids))
        chosen = "(SELECT folder FROM turn WHERE place = (({} - ?) / 2) % ?)"
        for table, key in (("deliveries", "id"), ("versions", "id + 1")):
            query = f"UPDATE {table} SET folder_id = {chosen.format(key)}"  # noqa: S608 (our own names)
            connection.execute(query, (first, len(ids)))
