"""The ledger is not the outage: full, read-only, damaged, missing, replaced, old, too new, forgetful."""

import os
import shutil
import signal
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from sqlalchemy import make_url
from sqlalchemy.schema import CreateIndex

from dingwatch.cli import full_disk
from dingwatch.ledger import LedgerError, Store, integrity, sqlite_url
from dingwatch.ledger.schema import history, make_indexes_partial_on_postgresql, versions_missing
from dingwatch.ledger.sqlite import LOG_FILES
from dingwatch.sandbox import Sandbox
from tests.integration.conftest import Machine
from tests.ledgers.record import HERE
from tests.support import eventually, read_until, sha256

PERSON = 78
"""The exit code of what no restart mends."""


def ledger(machine: Machine) -> Path:
    """Return the path of a machine's ledger."""
    return Path(machine.settings["state_dir"]) / "ledger.db"


def run_once(machine: Machine) -> None:
    """Have the service make its ledger and its backup, and end."""
    process = machine.start()
    eventually(lambda: integrity.backups(ledger(machine)))
    assert machine.stop(process) == 0


def refused(machine: Machine) -> str:
    """Start the service, which refuses to; return what it says."""
    done = machine.do("run")
    assert (done.returncode, "Traceback" in done.stderr) == (PERSON, False), done.stderr
    return done.stderr


# --- Found at the start --------------------------------------------------------------------------


def test_a_damaged_ledger_is_refused_and_left_as_it_is(machine: Machine) -> None:
    """The message says how to restore; a backup, put in its place, is taken."""
    run_once(machine)
    path = ledger(machine)
    with closing(sqlite3.connect(path)) as whole:  # what the log still holds would hide the damage
        whole.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    damaged = bytearray(path.read_bytes())
    damaged[4096 : 4096 * 4] = b"\xff" * (4096 * 3)
    path.write_bytes(damaged)
    said = refused(machine)
    assert "state_dir/backups" in said
    assert path.read_bytes() == damaged
    shutil.copy(integrity.backups(path)[0], path)
    run_once(machine)


@pytest.mark.parametrize(
    "content", [b"no database at all, and long enough to look like one" * 100, b"SQLite"]
)
def test_a_file_that_is_no_ledger_is_refused(machine: Machine, content: bytes) -> None:
    """Whatever lies there is not overwritten."""
    ledger(machine).parent.mkdir()
    ledger(machine).write_bytes(content)
    refused(machine)
    assert ledger(machine).read_bytes() == content


def test_a_ledger_that_is_gone_is_not_made_anew(machine: Machine, share: Path) -> None:
    """Where there are backups there was a ledger: only a person begins anew."""
    run_once(machine)
    ledger(machine).unlink()
    assert "backups" in refused(machine)
    for command in ("status", "history"):
        assert machine.do(command).returncode == 1
    assert machine.do("send", str(share), "--to", "cidX").returncode == 1
    assert not ledger(machine).exists()


def test_a_ledger_without_its_log_is_not_made_anew(machine: Machine, share: Path) -> None:
    """A file with a header and no table had its tables in the log, and only a person begins anew."""
    path = ledger(machine)
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    before = path.read_bytes()
    assert "backups" in refused(machine)
    assert machine.do("send", str(share), "--to", "cidX").returncode == 1
    assert path.read_bytes() == before


def test_a_log_without_its_ledger_is_kept(machine: Machine) -> None:
    """SQLite would delete the log, which is all that is left of the ledger."""
    log = ledger(machine).with_name("ledger.db-wal")
    log.parent.mkdir()
    log.write_bytes(b"all that is left")
    assert "ledger.db-wal" in refused(machine)
    assert log.read_bytes() == b"all that is left"


def test_the_ledgers_own_file_has_the_tables_and_the_first_look(machine: Machine, share: Path) -> None:
    """Whoever loses the log of a service that was killed keeps what it had when it became ready."""
    (share / "old.pdf").write_text("old")
    process = machine.start()
    machine.stop(process, signal.SIGKILL)
    for end in LOG_FILES:
        ledger(machine).with_name(f"ledger.db{end}").unlink()
    with closing(sqlite3.connect(ledger(machine))) as connection:
        assert connection.execute("SELECT count(*) FROM versions WHERE baseline").fetchone() == (1,)
        assert connection.execute("SELECT count(looked_at) FROM folders").fetchone() == (1,)


def test_the_ledgers_own_file_follows_its_log(machine: Machine, share: Path) -> None:
    """Who loses the log loses seconds: the file alone soon says what was sent, and how many calls it took."""
    machine.start()
    (share / "new.pdf").write_text("new")

    def alone(query: str) -> object:
        address = f"file:{ledger(machine)}?immutable=1"  # read without its log
        # A page may be copied at this very instant.
        with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(address, uri=True)) as connection:
            return connection.execute(query).fetchone()
        return None

    eventually(lambda: alone("SELECT count(*) FROM deliveries WHERE state = 'sent'") == (1,))
    eventually(lambda: alone("SELECT count(*) > 0 FROM calls") == (1,))


def test_nobody_else_may_read_a_ledger(machine: Machine) -> None:
    """The ledger and its log are its owner's, whatever umask, directory and modes there were before."""
    machine.state_dir.mkdir(mode=0o755)
    found = os.umask(0o000)
    try:
        process = machine.start()
    finally:
        os.umask(found)
    files = [ledger(machine).with_name(f"ledger.db{end}") for end in ("", *LOG_FILES)]
    assert {oct(one.stat().st_mode & 0o777) for one in files} == {"0o600"}
    machine.stop(process)
    ledger(machine).chmod(0o644)
    machine.start()
    assert {oct(one.stat().st_mode & 0o777) for one in files} == {"0o600"}


def test_a_ledger_of_a_newer_dingwatch_is_refused(machine: Machine) -> None:
    """An older program would not know what it does to it."""
    run_once(machine)
    with closing(sqlite3.connect(ledger(machine))) as connection:
        connection.execute("UPDATE numbers SET value = 99 WHERE name = 'schema'")
        connection.commit()
    assert "newer" in refused(machine)


@pytest.mark.parametrize("recorded", sorted(HERE.glob("schema-*.sql")), ids=lambda path: path.stem)
def test_a_ledger_of_an_older_dingwatch_is_brought_up_to_date(tmp_path: Path, recorded: Path) -> None:
    """The ledger of every schema gets what came after it."""
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(recorded.read_text("utf-8"))
    Store.open(sqlite_url(path)).close()
    fresh = tmp_path / "fresh.db"
    Store.open(sqlite_url(fresh)).close()
    assert shape(path) == shape(fresh)


def test_of_an_older_ledger_only_the_newest_version_of_a_path_is_there(tmp_path: Path) -> None:
    """Else the content that a name held years ago would count as moved when it turns up elsewhere."""
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((HERE / "schema-7.sql").read_text("utf-8"))
        connection.execute("INSERT INTO folders (id, root, name) VALUES (2, x'2f', 'other')")
        for number, name in enumerate((b"a", b"b", b"a", b"a")):
            connection.execute(
                "INSERT INTO versions VALUES (?, 2, x'', ?, 1, 1, 1, '1', '1', 'd', 0, ?, NULL)",
                (100 + number, name, 100.0 + number),
            )
        connection.commit()
    Store.open(sqlite_url(path)).close()
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute(
            "SELECT missing_since FROM versions WHERE folder_id = 2 ORDER BY id"
        ).fetchall()
    assert found == [(100.0,), (None,), (102.0,), (None,)]


def test_an_index_is_as_partial_on_postgresql() -> None:
    """It serves the same queries there, and is no larger."""
    make_indexes_partial_on_postgresql()
    dialect = make_url("postgresql://").get_dialect()()
    made = str(CreateIndex(versions_missing).compile(dialect=dialect))
    assert made.endswith("WHERE missing_since IS NOT NULL")
    for index in history.indexes:
        whole = index.dialect_options["sqlite"]["where"] is None
        assert ("WHERE" in str(CreateIndex(index).compile(dialect=dialect))) is not whole


def shape(path: Path) -> dict[str, object]:
    """Return the columns of every table and index, the partial indexes, and the schema's number."""
    with closing(sqlite3.connect(path)) as connection:
        names = connection.execute(
            "SELECT name FROM sqlite_master WHERE type IN ('table', 'index')"
        ).fetchall()
        found: dict[str, object] = {
            name: sorted(
                (row[1], row[2].split(" ")[0]) for row in connection.execute(f"PRAGMA table_info('{name}')")
            )
            for (name,) in names
        }
        found["partial"] = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql LIKE '% WHERE %' ORDER BY name"
        ).fetchall()
        found["schema"] = connection.execute("SELECT value FROM numbers WHERE name = 'schema'").fetchone()
    return found


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Path]:
    """A real FUSE file system, which counts as a network's: others may change it unnoticed."""
    command = shutil.which("bindfs")
    if command is None or os.geteuid() != 0:
        pytest.skip("needs bindfs and root")
    behind, mount = tmp_path / "behind", tmp_path / "network"
    behind.mkdir()
    mount.mkdir()
    subprocess.run([command, behind, mount], check=True)
    yield mount
    subprocess.run(["/usr/bin/env", "umount", "-l", mount], check=True)


def test_a_state_directory_on_a_network_file_system_is_refused(machine: Machine, network: Path) -> None:
    """SQLite's locks do not hold there."""
    machine.settings["state_dir"] = str(network / "state")
    machine.write()
    (network / "state").mkdir()
    assert "network" in refused(machine)
    assert machine.do("check", "--offline").returncode == 1


def test_a_folder_on_a_network_file_system_is_polled(
    machine: Machine, network: Path, sandbox: Sandbox
) -> None:
    """What another host writes makes no event, and is found all the same."""
    machine.set_folder(path=str(network), poll_interval="100ms")
    machine.constants["dingwatch.intake.folder.NETWORK_QUIET"] = 0.5
    process = machine.start()
    assert machine.status()["folders"][0]["watch"] == "poll"
    (network.parent / "behind" / "a.pdf").write_bytes(b"from elsewhere")
    eventually(lambda: sandbox.messages(sandbox.conversations[0].id))
    assert sandbox.messages(sandbox.conversations[0].id)[0].sha256 == sha256(b"from elsewhere")
    assert machine.stop(process) == 0


# --- While it runs -------------------------------------------------------------------------------


@pytest.fixture
def small_disk(machine: Machine) -> Iterator[Path]:
    """A state directory on a disk of six megabytes of its own: a log alone may have four."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    path = Path(machine.settings["state_dir"])
    path.mkdir()
    subprocess.run(["/usr/bin/env", "mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", path], check=True)
    yield path
    subprocess.run(["/usr/bin/env", "umount", "-l", path], check=True)


def fill(path: Path) -> None:
    """Write until nothing fits any more."""
    with (path / "ballast").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            return


def test_a_full_disk_sends_nothing_and_loses_nothing(
    machine: Machine, share: Path, sandbox: Sandbox, small_disk: Path
) -> None:
    """What cannot be recorded is not sent; when there is room again everything goes, once."""
    process = machine.start()
    eventually(lambda: integrity.backups(ledger(machine)))
    fill(small_disk)
    for number in range(20):
        (share / f"{number}.txt").write_text(f"content {number}")
    read_until(process, "SQLITE_FULL")
    assert process.poll() is None
    before = len(sandbox.messages(sandbox.conversations[0].id))
    recorded = sum(line["state"] in {"sent", "sending"} for line in machine.history())
    assert before <= recorded + 1  # the answer to one may be in hand
    (small_disk / "ballast").unlink()
    eventually(lambda: len(sandbox.messages(sandbox.conversations[0].id)) >= 20)
    sent = [message.sha256 or "" for message in sandbox.messages(sandbox.conversations[0].id)]
    assert sorted(sent) == sorted(sha256(f"content {number}".encode()) for number in range(20))
    assert machine.stop(process) == 0


def test_a_command_on_a_full_disk_names_it_and_ends(
    machine: Machine, share: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits a little for room; `status` says that nothing can be written, with the service and without."""
    monkeypatch.setattr(full_disk, "ROOM_SECONDS", 1.0)
    process = machine.start()
    eventually(lambda: integrity.backups(ledger(machine)))
    fill(small_disk)
    names = [str(share / f"{number}.txt") for number in range(40)]  # some fit into the log that is there
    for name in names:
        Path(name).write_text(name)
    eventually(lambda: (machine.status()["ledger_error"] or {}).get("code") == "SQLITE_FULL")
    done = machine.call("send", *names, "--to", "share")
    assert (done.exit_code, f"the disk {small_disk}" in done.stderr) == (1, True), done.output
    process.kill()
    process.wait()
    with closing(Store.open(sqlite_url(ledger(machine)))) as store:
        with suppress(LedgerError):
            for _ in range(1000):  # the log that is there may have room for some pages
                store.require_writable()
        assert "No space left" in machine.call("status").stdout
    (small_disk / "ballast").unlink()
    assert machine.status()["ledger_error"] is None
    assert machine.call("retry", "--all").exit_code == 0


def test_a_command_waits_for_room_for_all_that_it_writes(
    machine: Machine, share: Path, small_disk: Path
) -> None:
    """The log has room for the small write with which `retry` begins, and none for all that it retries."""
    names = [str(share / f"{number}.txt") for number in range(200)]
    for name in names:
        Path(name).write_text(name)
    machine.call("send", *names, "--to", "share", "--timeout", "1ms")
    waiting = machine.status()["totals"]["failed"]
    assert waiting > 100
    with closing(Store.open(sqlite_url(ledger(machine)))) as store:  # keeps the log where it is
        store.require_writable()
        fill(small_disk)
        store.checkpoint()
        removal = threading.Timer(1.0, (small_disk / "ballast").unlink)
        removal.start()
        done = machine.call("retry", "--all")
        removal.join()
        assert (done.exit_code, str(waiting) in done.stdout) == (0, True), done.output


def test_a_read_only_state_directory_is_one_line(machine: Machine, small_disk: Path) -> None:
    """The service does not begin what it cannot record, and says so; other commands say so too."""
    subprocess.run(["/usr/bin/env", "mount", "-o", "remount,ro", small_disk], check=True)
    for words in (("run",), ("send", str(machine.path), "--to", "cidX")):
        done = machine.do(*words)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr


def test_a_ledger_that_is_moved_away_is_not_made_anew(
    machine: Machine, share: Path, sandbox: Sandbox
) -> None:
    """Nothing is sent meanwhile; put back, everything goes on."""
    process = machine.start()
    path = ledger(machine)
    away = path.with_name("away.db")
    path.rename(away)
    (share / "a.txt").write_text("a")
    read_until(process, "replaced")
    assert not path.exists()
    assert sandbox.messages(sandbox.conversations[0].id) == ()
    away.rename(path)
    eventually(lambda: sandbox.messages(sandbox.conversations[0].id))
    assert machine.stop(process) == 0


def test_no_connection_makes_a_ledger(tmp_path: Path) -> None:
    """One that is opened at the instant in which the file is moved away fails, and says why."""
    path = tmp_path / "ledger.db"

    def move_and_connect(store: Store) -> None:
        with store._database.errors():
            path.rename(tmp_path / "away.db")
            store._database.engine.connect()

    with closing(Store.open(sqlite_url(path))) as store:
        store.release_memory()
        with pytest.raises(LedgerError) as caught:
            move_and_connect(store)
    assert caught.value.cause.code == "replaced"
    assert not path.exists()


# --- Backups -------------------------------------------------------------------------------------


def test_a_backup_is_made_once_a_day_and_some_are_kept(tmp_path: Path) -> None:
    """The latest three stay; each is a whole ledger, for its owner only."""
    path = tmp_path / "ledger.db"
    Store.open(sqlite_url(path)).close()
    days = [f"2026-11-{day:02}" for day in range(1, 6)]
    assert [integrity.back_up(path, day) for day in days] == [True] * 5
    assert integrity.back_up(path, days[-1]) is False
    kept = integrity.backups(path)
    assert [one.name for one in kept] == [f"ledger-{day}.db" for day in reversed(days[-3:])]
    assert {one.stat().st_mode & 0o777 for one in kept} == {0o600}
    assert shape(kept[0]) == shape(path)


def test_a_damaged_ledger_replaces_no_backup(tmp_path: Path) -> None:
    """The good ones stay, and nothing half-made is left behind."""
    path = tmp_path / "ledger.db"
    Store.open(sqlite_url(path)).close()
    integrity.back_up(path, "2026-11-01")
    path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 40960)
    with pytest.raises(LedgerError):
        integrity.back_up(path, "2026-11-02")
    assert [one.name for one in path.parent.joinpath("backups").iterdir()] == ["ledger-2026-11-01.db"]


def test_a_place_that_takes_no_backup_is_an_error_of_the_ledger(tmp_path: Path) -> None:
    """The thread that backs up tells of it, and tries again in an hour."""
    path = tmp_path / "ledger.db"
    Store.open(sqlite_url(path)).close()
    (tmp_path / integrity.BACKUPS).touch()
    with pytest.raises(LedgerError) as caught:
        integrity.back_up(path, "2026-11-01")
    assert caught.value.cause.code == "backup"
