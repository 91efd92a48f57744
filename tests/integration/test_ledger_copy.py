"""`ledger copy`: SQLite to PostgreSQL and back, proven, and safe to kill."""

from __future__ import annotations

import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    Integer,
    LargeBinary,
    Table,
    func,
    insert,
    make_url,
    select,
)

from dingwatch.ledger import LedgerError, Store, sqlite_url
from dingwatch.ledger.copying import Refusal, RefusedError, TableProof, copy
from dingwatch.ledger.schema import alert_messages, folders, history, metadata, versions
from dingwatch.ledger.store import Use
from dingwatch.sandbox import Sandbox
from tests.bench.past import invent as invent_past
from tests.integration.conftest import Machine
from tests.integration.test_old_ledgers import RECORDED, restore
from tests.postgres import PostgresServer
from tests.support import PATIENCE, eventually

NODE: Final = "files-01"
TEXTS: Final = (
    "",
    "plain",
    "报价.xlsx",
    "😀\u202e\r\n\t",
    "'quoted\" \\back%s{}",
    "a\0b",
    "NULL",
    "\\N",
    "x" * 5000,
)
NAMES: Final = (b"", b"\x00\xff", "财务".encode("gbk"), bytes(range(1, 256)), b"\\x41", b"\\N\t\n", b"%s'")
FLOATS: Final = (0.0, 0.1, 1e15, 2e15, 1764500000.123456789, 1e-300, 1.7976931348623157e308)
NUMBERS: Final = (0, 1, -1, 2**31 - 1)
LARGE: Final = (0, 1, 2**63 - 1, -(2**63))
ROWS: Final = 40


# --- A ledger that has everything -----------------------------------------------------------------


def choices(table: Table, column: Column[Any]) -> list[str]:
    """Return the values that a constraint allows a column, if it has one."""
    for constraint in table.constraints:
        if isinstance(constraint, CheckConstraint) and constraint.name == f"{column.name}_known":
            return str(constraint.sqltext).partition("(")[2].strip(")'").split("', '")
    return []


def value(  # noqa: PLR0911 (one for each type)
    table: Table, column: Column[Any], number: int, dice: random.Random
) -> object:
    """Return a value for a column of its kind: the odder, the better."""
    distinct = column.primary_key or column.name == "root"
    if column.name in {"node", "given_to"}:
        return None if column.nullable and (column.name == "given_to" or dice.random() < 0.5) else ""
    if column.nullable and dice.random() < 0.3:
        return None
    if allowed := choices(table, column):
        return dice.choice(allowed)
    match column.type:
        case Boolean():
            return dice.randrange(2)
        case Double():
            return dice.choice(FLOATS)
        case LargeBinary():
            return dice.choice(NAMES) + (b"%d" % number if distinct else b"")
        case BigInteger():
            return number if distinct else dice.choice(LARGE)
        case Integer():
            return number if distinct else dice.choice(NUMBERS)
    return dice.choice(TEXTS) + (str(number) if distinct else "")


Rows = dict[str, list[dict[str, object]]]
OF_RUNNING_NODES: Final = {"nodes", "slots", "successors", "tellers"}
EMPTY_ON_ONE_HOST: Final = OF_RUNNING_NODES | {"folder_nodes", "fingerprints"}


def columns(table: Table) -> list[Column[Any]]:
    """Return the columns that are not computed."""
    return [column for column in table.columns if column.computed is None]


def invent(seed: int) -> Rows:
    """Return rows for each table of a host's own ledger, with every kind of value that there may be."""
    dice, made = random.Random(seed), dict[str, list[dict[str, object]]]()  # noqa: S311
    for table in metadata.sorted_tables:
        rows = [
            {column.name: value(table, column, number, dice) for column in columns(table)}
            for number in range(1, ROWS + 1)
        ]
        for number, row in enumerate(rows):
            for column in columns(table):
                for key in column.foreign_keys:
                    if row[column.name] is not None or not column.nullable:
                        row[column.name] = made[key.column.table.name][number][key.column.name]
            if table.name == "uploads":
                row["media_id"] = "@media" if row["state"] == "have" else None
        made[table.name] = [] if table.name in EMPTY_ON_ONE_HOST else rows
    names = {"schema": None, "id": 900, "claim": 800, "pruned": 7, "ledger": 2**61, "alerts_after_id": 3}
    made["numbers"] = [{"name": name, "value": one} for name, one in names.items() if one is not None]
    return made


def fill(path: Path, made: Rows) -> None:
    """Write rows into a ledger."""
    with closing(sqlite3.connect(path)) as ledger, ledger:
        ledger.execute("DELETE FROM numbers WHERE name != 'schema'")
        for table, rows in made.items():
            for row in rows:
                names = ", ".join(f'"{name}"' for name in row)
                marks = ", ".join("?" * len(row))
                ledger.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(row.values()))  # noqa: S608


def plain(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return rows in an order of their own, truth as a number."""
    return sorted((tuple(int(one) if type(one) is bool else one for one in row) for row in rows), key=repr)


def dump(ledger: Path | str, postgres: PostgresServer | None = None) -> Dump:
    """Return all rows of a ledger, read by the driver alone."""
    found = {}
    for table in metadata.sorted_tables:
        names = ", ".join(f'"{column.name}"' for column in columns(table))
        query = f"SELECT {names} FROM {table.name}"  # noqa: S608
        if postgres is not None:
            found[table.name] = plain(postgres.execute(query, database=str(ledger)))
        else:
            with closing(sqlite3.connect(ledger)) as connection:
                found[table.name] = plain(connection.execute(query).fetchall())
    return found


Row = dict[str, Any]
Dump = dict[str, list[tuple[Any, ...]]]


def changed(rows: Dump, change: Callable[[str, Row], Row]) -> Dump:
    """Return the rows of a ledger, each as a function changes it."""
    return {
        table.name: plain(
            [
                tuple(change(table.name, dict(zip(names, row, strict=True))).values())
                for row in rows[table.name]
                for names in [[column.name for column in columns(table)]]
            ]
        )
        for table in metadata.sorted_tables
    }


def is_in_hand(table: str, row: Row) -> bool:
    """Return whether a host had a row in work."""
    return table in {"deliveries", "uploads"} and row["state"] in {"uploading", "sending", "busy"}


def on_postgresql(table: str, row: Row) -> Row:
    """Return what a row of a host's own ledger becomes on a shared one."""
    row = {name: one.replace("\0", "\ufffd") if isinstance(one, str) else one for name, one in row.items()}
    if table == "pauses":
        return row | {"probed_by": None, "probed_until": None}
    if table == "deliveries":
        row["given_to"] = NODE if row["folder_id"] is None else None
    if "node" in row and (row["node"] is not None or is_in_hand(table, row)):
        row["node"] = NODE
    return row


def on_sqlite(table: str, row: Row) -> Row:
    """Return what such a row becomes on a host's own ledger; which node made the last claim stays known."""
    if table == "deliveries":
        row["given_to"] = None
    if "node" in row and (table not in {"deliveries", "uploads"} or is_in_hand(table, row)):
        row["node"] = ""
    return row


def open_both(source: str, target: str) -> list[TableProof]:
    """Copy a ledger as the command does, and return what it proves."""
    with (
        closing(Store.open(source, NODE, Use.SOURCE)) as read,
        closing(Store.open(target, NODE, Use.TARGET)) as written,
    ):
        return copy(read, written, NODE, target)


@pytest.fixture
def full(tmp_path: Path, blank_ledger: Path) -> Path:
    """A host's own ledger that has rows in each table, and every kind of value in them."""
    path = tmp_path / "from" / "ledger.db"
    path.parent.mkdir()
    shutil.copy(blank_ledger, path)
    fill(path, invent(1))
    return path


# --- Rows ------------------------------------------------------------------------------------------


def test_every_value_arrives_and_comes_back(
    full: Path, tmp_path: Path, blank_postgres_url: str, postgres: PostgresServer
) -> None:
    """Names of any bytes, the largest numbers, every digit of a time; of NUL in text, a sign for it."""
    before = dump(full)
    assert [name for name, rows in before.items() if not rows] == sorted(
        EMPTY_ON_ONE_HOST, key=list(before).index
    )
    proofs = open_both(sqlite_url(full), blank_postgres_url)
    there = dump(str(make_url(blank_postgres_url).database), postgres)
    assert there == changed(before, on_postgresql)
    assert {one.name: one.rows for one in proofs} == {
        name: len(rows) for name, rows in there.items() if name not in OF_RUNNING_NODES
    }
    back = tmp_path / "ledger.db"
    assert open_both(blank_postgres_url, sqlite_url(back)) != proofs  # the node's name is gone again
    assert dump(back) == changed({**there, "successors": []}, on_sqlite)


def test_a_copy_of_the_same_kind_is_the_same(full: Path, tmp_path: Path, postgres: PostgresServer) -> None:
    """From file to file, and from one database to another, nothing changes."""
    before = dump(full)
    open_both(sqlite_url(full), sqlite_url(tmp_path / "ledger.db"))
    assert dump(tmp_path / "ledger.db") == before
    with postgres.blank_database() as one, postgres.blank_database() as other:
        open_both(sqlite_url(tmp_path / "ledger.db"), one)
        open_both(one, other)
        first, second = (dump(str(make_url(url).database), postgres) for url in (one, other))
    assert first.pop("successors") != second.pop("successors") == []
    assert first == second


def test_numbers_go_on_where_they_were(full: Path, tmp_path: Path, blank_postgres_url: str) -> None:
    """The next folder, and the next line of history, get a number that none has."""
    open_both(sqlite_url(full), blank_postgres_url)
    open_both(blank_postgres_url, sqlite_url(tmp_path / "ledger.db"))
    with closing(Store.open(sqlite_url(tmp_path / "ledger.db"))) as store, store.writing() as connection:
        assert store.new_ids(connection, 1)[0] == 901
    with closing(Store.open(blank_postgres_url, NODE, Use.SOURCE)) as store, store.writing() as connection:
        for table in (folders, history, alert_messages):
            key = table.autoincrement_column
            assert key is not None
            row = {"root": b"/new", "name": "new", "version_id": 1, "at": 1.0, "event": "settled"}
            values = {name: one for name, one in row.items() if name in table.columns}
            made = connection.execute(insert(table).values(values)).inserted_primary_key
            assert made == (ROWS + 1,), table.name


def test_what_a_host_had_in_hand_is_its_nodes(
    full: Path, blank_postgres_url: str, postgres: PostgresServer
) -> None:
    """Also where an older version claimed it, which wrote no node: recovery asks for the own ones alone."""
    with closing(sqlite3.connect(full)) as ledger, ledger:
        ledger.execute("UPDATE deliveries SET node = NULL, state = 'sending' WHERE id < 10")
        ledger.execute("UPDATE uploads SET node = NULL, state = 'busy', media_id = NULL")
    open_both(sqlite_url(full), blank_postgres_url)
    database = str(make_url(blank_postgres_url).database)
    query = "SELECT DISTINCT node FROM {} WHERE state IN ('sending', 'busy')"
    for table in ("deliveries", "uploads"):
        assert postgres.execute(query.format(table), database=database) == [(NODE,)]


# --- Leaving a shared ledger -----------------------------------------------------------------------


def write(postgres: PostgresServer, url: str, *statements: str) -> None:
    """Change a ledger on PostgreSQL as another node would have."""
    for statement in statements:
        postgres.execute(statement, database=str(make_url(url).database))


FINGERPRINT: Final = (
    "INSERT INTO fingerprints (version_id, node, mtime_ns, ctime_ns, inode, device, seen_at, missing_since)"
    " VALUES (3, '{}', 77, 78, '79', '80', 1.0, {})"
)
PLACE: Final = (
    "INSERT INTO folder_nodes (folder_id, node, root, settings, since, looked_at)"
    " VALUES (3, '{}', '{}', '', 1, 42)"
)


def test_a_shared_folder_becomes_what_the_node_knew_of_it(
    full: Path, tmp_path: Path, blank_postgres_url: str, postgres: PostgresServer
) -> None:
    """Where it lies there, when it was looked at, and what each version looked like: nothing is new then."""
    open_both(sqlite_url(full), blank_postgres_url)
    write(
        postgres,
        blank_postgres_url,
        "UPDATE folders SET shared = 'team', root = 'team', node = '' WHERE id = 3",
        *(PLACE.format(node, root) for node, root in (("other", "/mnt/team"), (NODE, "/srv/team"))),
        *(FINGERPRINT.format(node, gone) for node, gone in (("other", "5.0"), (NODE, "NULL"))),
    )
    open_both(blank_postgres_url, sqlite_url(tmp_path / "ledger.db"))
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as ledger:
        query = "SELECT root, shared, node, looked_at FROM folders WHERE id = 3"
        assert ledger.execute(query).fetchall() == [(b"/srv/team", None, "", 42.0)]
        query = "SELECT mtime_ns, ctime_ns, inode, device, missing_since FROM versions WHERE id = 3"
        assert ledger.execute(query).fetchall() == [(77, 78, "79", "80", None)]
        assert ledger.execute("SELECT count(*) FROM folder_nodes, fingerprints").fetchall() == [(0,)]


def test_other_nodes_folders_come_along(
    full: Path, tmp_path: Path, blank_postgres_url: str, postgres: PostgresServer
) -> None:
    """They are known when their shares are mounted at the same paths; two of one path and name cannot be."""
    open_both(sqlite_url(full), blank_postgres_url)
    write(postgres, blank_postgres_url, "UPDATE folders SET node = 'other' WHERE id < 10")
    write(
        postgres,
        blank_postgres_url,
        "INSERT INTO folders (node, root, name) SELECT 'third', root, name FROM folders WHERE id = 5",
    )
    with pytest.raises(RefusedError) as refused:
        open_both(blank_postgres_url, sqlite_url(tmp_path / "ledger.db"))
    assert refused.value.values["nodes"] == "other, third"
    write(postgres, blank_postgres_url, "UPDATE folders SET name = 'renamed' WHERE node = 'third'")
    open_both(blank_postgres_url, sqlite_url(tmp_path / "ledger.db"))
    assert {row[-2] for row in dump(tmp_path / "ledger.db")["folders"]} == {""}


def test_a_node_that_nobody_knows_does_not_go_on_alone(
    full: Path, tmp_path: Path, blank_postgres_url: str, postgres: PostgresServer
) -> None:
    """Its name was mistyped: shared folders would begin anew, and what came last would never be sent."""
    open_both(sqlite_url(full), blank_postgres_url)
    write(postgres, blank_postgres_url, "UPDATE folders SET node = 'files-02'")
    with pytest.raises(RefusedError) as refused:
        open_both(blank_postgres_url, sqlite_url(tmp_path / "ledger.db"))
    assert (refused.value.refusal, refused.value.values) == (
        Refusal.UNKNOWN_NODE,
        {"node": NODE, "nodes": "files-02"},
    )
    lease = "INSERT INTO nodes (name, instance, started_at, lease_until) VALUES ('{}', 'i', 1, 2)"
    write(postgres, blank_postgres_url, lease.format(NODE))
    open_both(blank_postgres_url, sqlite_url(tmp_path / "ledger.db"))


# --- The command -----------------------------------------------------------------------------------


@pytest.fixture
def recorded(machine: Machine, share: Path) -> Path:
    """The ledger of a service that ran: a baseline, a file that was sent, one skipped and one that waits."""
    machine.settings["delivery"] = {"give_up_after": "36500d"}
    machine.set_folder(unsupported="skip")
    restore(machine, share, RECORDED[max(RECORDED)])
    return machine.state_dir / "ledger.db"


def with_password(url: str) -> str:
    """Return a URL with a password, which the server does not ask for."""
    return url.replace("postgres@", "postgres:geheim@")


def refusal(machine: Machine, *words: str) -> str:
    """Return why a copy was refused, and require that nothing came of it."""
    done = machine.call("ledger", "copy", *words)
    assert (done.exit_code, done.stdout) == (1, ""), done.output
    return done.stderr


def test_the_copy_is_proven_and_the_original_retired(
    machine: Machine, share: Path, recorded: Path, blank_postgres_url: str
) -> None:
    """What both have is printed by table; whatever starts on the old one exits 78 and names the new one."""
    done = machine.call("ledger", "copy", sqlite_url(recorded), with_password(blank_postgres_url))
    assert done.exit_code == 0, done.output
    printed = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()[1:-2]}
    assert printed["versions"][0] == "4"
    assert all(len(digest) == 16 for _, digest in printed.values())
    assert printed.keys() == metadata.tables.keys() - OF_RUNNING_NODES
    assert f"ledger: {blank_postgres_url}" in done.stdout
    for words in (("status",), ("history",), ("why", str(share / "sent.txt")), ("retry", "--all")):
        called = machine.call(*words)
        assert (called.exit_code, blank_postgres_url in called.stderr) == (78, True), called.output
    ran = machine.do("run")
    assert (ran.returncode, blank_postgres_url in ran.stderr) == (78, True), ran.stderr
    again = machine.call("ledger", "copy", sqlite_url(recorded), with_password(blank_postgres_url))
    assert (again.exit_code, blank_postgres_url in again.stderr) == (78, True), again.output
    assert "geheim" not in done.output + again.output + ran.stderr
    with closing(sqlite3.connect(recorded)) as ledger:
        assert ledger.execute("SELECT url FROM successors").fetchall() == [(blank_postgres_url,)]


def test_a_service_on_the_copy_sends_nothing_again(
    machine: Machine, share: Path, recorded: Path, blank_postgres_url: str, sandbox: Sandbox
) -> None:
    """There and back: all files are known, and only what waited is sent."""
    back = recorded.parent.with_name("back") / "ledger.db"
    back.parent.mkdir()
    for words in ((sqlite_url(recorded), blank_postgres_url), (blank_postgres_url, sqlite_url(back))):
        done = machine.call("ledger", "copy", *words)
        assert done.exit_code == 0, done.output
    assert f"state_dir: {back.parent}" in done.stdout
    machine.settings["state_dir"] = str(back.parent)
    machine.write()
    assert machine.call("ledger", "verify").exit_code == 0
    service = machine.start()
    eventually(lambda: machine.status()["totals"]["sent"] == 2)
    (share / "new.txt").write_bytes(b"new.txt")
    eventually(lambda: machine.status()["totals"]["sent"] == 3)
    assert machine.stop(service) == 0
    received = Counter(message.file_name for message in sandbox.messages(sandbox.conversations[0].id))
    assert received == {"new.txt": 1, "waiting.txt": 1}


def test_a_node_on_the_copy_sends_nothing_again(
    machine: Machine, share: Path, recorded: Path, blank_postgres_url: str, sandbox: Sandbox
) -> None:
    """Its folders are known, and what waited is sent by it."""
    done = machine.call("ledger", "copy", "--node", NODE, sqlite_url(recorded), blank_postgres_url)
    assert done.exit_code == 0, done.output
    machine.settings |= {"ledger": blank_postgres_url, "node": NODE}
    machine.write()
    service = machine.start()
    eventually(lambda: machine.status()["totals"]["sent"] == 2)
    (share / "new.txt").write_bytes(b"new.txt")
    eventually(lambda: machine.status()["totals"]["sent"] == 3)
    assert machine.stop(service) == 0
    received = Counter(message.file_name for message in sandbox.messages(sandbox.conversations[0].id))
    assert received == {"new.txt": 1, "waiting.txt": 1}
    assert [row["path"] for row in machine.history("--state", "baseline")] == ["baseline.txt"]


def test_a_node_that_slept_ends_when_it_wakes(
    machine: Machine, postgres_url: str, blank_postgres_url: str, postgres: PostgresServer
) -> None:
    """Its lease was over, and the ledger was copied meanwhile: it gets no other lease, and exits 78."""
    machine.settings |= {"ledger": postgres_url, "node": NODE}
    machine.write()
    service = machine.start()
    service.send_signal(signal.SIGSTOP)
    assert NODE in refusal(machine, postgres_url, blank_postgres_url)
    write(postgres, postgres_url, "UPDATE nodes SET lease_until = 0")
    done = machine.call("ledger", "copy", postgres_url, blank_postgres_url)
    service.send_signal(signal.SIGCONT)
    assert done.exit_code == 0, done.output
    _, said = service.communicate(timeout=PATIENCE)
    assert (service.returncode, blank_postgres_url in said) == (78, True), said


def test_only_an_empty_target_is_taken(
    machine: Machine, recorded: Path, tmp_path: Path, postgres_url: str, postgres: PostgresServer
) -> None:
    """Not the same ledger by another name, not one with a row, and no old one, which stays as it is."""
    assert "the same ledger" in refusal(machine, sqlite_url(recorded), sqlite_url(recorded))
    (tmp_path / "link").symlink_to(recorded.parent)
    assert "the same ledger" in refusal(
        machine, sqlite_url(recorded), sqlite_url(tmp_path / "link" / "ledger.db")
    )
    write(postgres, postgres_url, "INSERT INTO calls (day, api, count) VALUES ('2026-01-01', 'x', 1)")
    assert "table calls" in refusal(machine, sqlite_url(recorded), postgres_url)
    write(postgres, postgres_url, "DELETE FROM calls", "UPDATE numbers SET value = 1 WHERE name = 'id'")
    assert "table numbers" in refusal(machine, sqlite_url(recorded), postgres_url)
    old = tmp_path / "old" / "ledger.db"
    old.parent.mkdir()
    with closing(sqlite3.connect(old)) as ledger:
        ledger.executescript(RECORDED[9])
    assert "older_schema 9" in refusal(machine, sqlite_url(recorded), sqlite_url(old))
    with closing(sqlite3.connect(old)) as ledger:
        assert ledger.execute("SELECT value FROM numbers WHERE name = 'schema'").fetchall() == [(9,)]
    assert machine.call("status").exit_code == 0
    write(postgres, postgres_url, "UPDATE numbers SET value = 0 WHERE name = 'id'")
    assert machine.call("ledger", "copy", sqlite_url(recorded), postgres_url).exit_code == 0


def test_one_database_is_known_by_any_address(
    machine: Machine, postgres_url: str, postgres: PostgresServer, recorded: Path
) -> None:
    """Whoever the user is, and wherever the server listens."""
    assert machine.call("ledger", "copy", sqlite_url(recorded), postgres_url).exit_code == 0
    postgres.execute("CREATE ROLE plain LOGIN")
    write(
        postgres,
        postgres_url,
        "GRANT ALL ON ALL TABLES IN SCHEMA public TO plain",
        "GRANT ALL ON SCHEMA public TO plain",
    )
    other = postgres_url.replace("postgres@", "plain@") + "&connect_timeout=7"
    assert "the same ledger" in refusal(machine, postgres_url, other)
    write(postgres, postgres_url, "DROP OWNED BY plain")
    postgres.execute("DROP ROLE plain")


def test_nobody_else_works_meanwhile(
    machine: Machine, postgres_url: str, blank_postgres_url: str, postgres: PostgresServer
) -> None:
    """A service has its lock, and a node its lease, until that is over."""
    service = machine.start()
    url = sqlite_url(machine.state_dir / "ledger.db")
    assert f"process {service.pid}" in refusal(machine, url, postgres_url)
    assert f"process {service.pid}" in refusal(machine, postgres_url, url)
    assert machine.stop(service) == 0
    lease = "INSERT INTO nodes (name, instance, started_at, lease_until) VALUES ('{}', 'i', 1, {})"
    now = "extract(epoch FROM clock_timestamp())"
    write(postgres, postgres_url, lease.format("gone", f"{now} - 1"), lease.format("here", f"{now} + 60"))
    said = refusal(machine, postgres_url, blank_postgres_url)
    assert ("here" in said, "gone" in said) == (True, False), said
    write(postgres, postgres_url, "UPDATE nodes SET lease_until = 0")
    assert machine.call("ledger", "copy", postgres_url, blank_postgres_url).exit_code == 0


@pytest.mark.parametrize(
    "url", ["ledger.db", "sqlite:///", "mysql://host/db", "postgresql+psycopg://a b/geheim"]
)
def test_what_is_no_url_is_not_repeated(machine: Machine, recorded: Path, url: str) -> None:
    """It may be a URL that was mistyped, with a password in it."""
    assert "TO-URL is no ledger's URL" in (said := refusal(machine, sqlite_url(recorded), url))
    assert "geheim" not in said
    assert "FROM-URL is no ledger's URL" in refusal(machine, url, sqlite_url(recorded))


def test_a_ledger_that_is_not_there_is_not_made(
    machine: Machine, tmp_path: Path, blank_postgres_url: str
) -> None:
    """A typing error makes no empty ledger that is then copied."""
    assert "there is no ledger" in refusal(machine, sqlite_url(tmp_path / "none.db"), blank_postgres_url)
    assert "cannot lock" in refusal(machine, blank_postgres_url, sqlite_url(tmp_path / "none" / "ledger.db"))
    assert not (tmp_path / "none.db").exists()


# --- What goes wrong -------------------------------------------------------------------------------

ONE_BYTE: Final = "UPDATE versions SET name = CAST('sent.tyt' AS BLOB) WHERE name = CAST('sent.txt' AS BLOB);"


def test_a_byte_that_differs_is_found(
    machine: Machine, recorded: Path, tmp_path: Path, blank_ledger: Path
) -> None:
    """A target that changes one on its way stays unfinished, and the source in use."""
    target = tmp_path / "bad" / "ledger.db"
    target.parent.mkdir()
    shutil.copy(blank_ledger, target)
    with closing(sqlite3.connect(target)) as ledger:
        ledger.execute(f"CREATE TRIGGER bad AFTER INSERT ON history BEGIN {ONE_BYTE} END")
    said = refusal(machine, sqlite_url(recorded), sqlite_url(target))
    assert ("table versions has 4 rows" in said, f"Delete {target}" in said) == (True, True), said
    with pytest.raises(LedgerError, match="unfinished"):
        Store.open(sqlite_url(target))
    assert "broken off" in refusal(machine, sqlite_url(recorded), sqlite_url(target))
    assert machine.call("status").exit_code == 0
    target.unlink()
    assert machine.call("ledger", "copy", sqlite_url(recorded), sqlite_url(target)).exit_code == 0


def test_a_copy_that_lacks_its_last_step_is_completed(
    machine: Machine, recorded: Path, blank_postgres_url: str, postgres: PostgresServer
) -> None:
    """The source is retired, the target not released: neither works until the same command runs again."""
    words = ("ledger", "copy", sqlite_url(recorded), blank_postgres_url)
    assert machine.call(*words).exit_code == 0
    write(
        postgres, blank_postgres_url, "INSERT INTO numbers VALUES ('unfinished', 1)"
    )  # the power failed before
    with pytest.raises(LedgerError, match="unfinished"):
        Store.open(blank_postgres_url)
    done = machine.call(*words)
    assert (done.exit_code, "last step" in done.stdout) == (0, True), done.output
    Store.open(blank_postgres_url).close()


def test_a_target_that_was_emptied_since_is_not_taken_for_the_copy(
    machine: Machine, recorded: Path, tmp_path: Path
) -> None:
    """The source is retired; a new file at the target's path does not have what was copied."""
    (tmp_path / "new").mkdir()
    words = ("ledger", "copy", sqlite_url(recorded), sqlite_url(tmp_path / "new" / "ledger.db"))
    assert machine.call(*words).exit_code == 0
    (tmp_path / "new" / "ledger.db").unlink()
    again = machine.call(*words)
    assert (again.exit_code, "moved" in again.stderr) == (78, True), again.output
    # It is the source that cannot be used; nothing is wrong with the target.
    assert f"cannot use {sqlite_url(recorded)}: moved" in again.stderr


def check_after_kill(source: Path, url: str) -> bool:
    """Require that a ledger can be used, or that the copy can be completed; return whether it was moved."""
    with closing(sqlite3.connect(source)) as ledger:
        moved = bool(ledger.execute("SELECT url FROM successors").fetchall())
    try:
        store = Store.open(url)
    except LedgerError as error:
        assert error.cause.code == "unfinished"  # noqa: PT017 (the other outcome is as good)
        return moved
    with closing(store), store.reading() as connection:
        copied = connection.scalar(select(func.count()).select_from(versions))
    assert bool(copied) == moved
    return moved


def kill_copies(machine: Machine, source: Path, postgres: PostgresServer, rounds: int) -> Counter[str]:
    """Kill copies at random points; complete those that were almost done, and undo them."""
    dice, seen, longest = random.Random(7), Counter[str](), 1.0  # noqa: S311
    for _ in range(rounds):
        with postgres.blank_database() as url:
            words = ("ledger", "copy", sqlite_url(source), url)
            process = machine.launch(*words)
            try:
                process.communicate(timeout=dice.uniform(0.0, longest))
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
            if check_after_kill(source, url):
                seen["done" if process.returncode == 0 else "completed"] += 1
                if process.returncode != 0:
                    assert machine.call(*words).exit_code in {0, 78}
                Store.open(url).close()
                with closing(sqlite3.connect(source)) as ledger, ledger:
                    ledger.execute("DELETE FROM successors")
                longest *= 0.9
            else:
                seen["killed"] += 1
                longest *= 1.1
    with postgres.blank_database() as url:
        assert machine.call("ledger", "copy", sqlite_url(source), url).exit_code == 0
    return seen


def test_a_copy_may_be_killed(machine: Machine, recorded: Path, postgres: PostgresServer) -> None:
    """At any point: the source is as it was, or retired for a copy that is complete."""
    Store.open(sqlite_url(recorded)).close()  # it is migrated
    invent_past(recorded, 2000, "cid")
    assert kill_copies(machine, recorded, postgres, 12)["killed"] > 2


@pytest.mark.sweep
def test_many_copies_are_killed(machine: Machine, recorded: Path, postgres: PostgresServer) -> None:
    """The same often enough to hit the moments between two commits."""
    Store.open(sqlite_url(recorded)).close()
    invent_past(recorded, 1000, "cid")
    seen = kill_copies(machine, recorded, postgres, 60)
    print(dict(seen))  # noqa: T201 (how often each happened)
    assert seen["killed"] > 15


MEASURE: Final = """
import sys
from dingwatch.cli import main
try:
    main()
finally:
    print(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0])
"""


def peak(machine: Machine, *words: str) -> int:
    """Return the most memory (KiB) that a copy took."""
    command = [sys.executable, "-c", MEASURE, "ledger", "-c", str(machine.path), "copy", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE * 5, check=True)
    return int(done.stdout.split()[-1])


def test_memory_does_not_grow_with_the_ledger(
    machine: Machine, recorded: Path, tmp_path: Path, postgres: PostgresServer
) -> None:
    """Rows are streamed in both directions: 100,000 take as much as a dozen."""
    (tmp_path / "small").mkdir()
    (tmp_path / "large").mkdir()
    with postgres.blank_database() as one, postgres.blank_database() as other:
        few = (
            peak(machine, sqlite_url(recorded), one),
            peak(machine, one, sqlite_url(tmp_path / "small" / "ledger.db")),
        )
        with closing(sqlite3.connect(recorded)) as ledger, ledger:
            ledger.execute("DELETE FROM successors")
        invent_past(recorded, 12_500, "cid")
        many = (
            peak(machine, sqlite_url(recorded), other),
            peak(machine, other, sqlite_url(tmp_path / "large" / "ledger.db")),
        )
    for before, after in zip(few, many, strict=True):
        assert after - before < 16 * 1024, (few, many)
