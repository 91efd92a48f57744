"""`ledger backup` and `ledger verify`."""

import os
import shutil
import sqlite3
import stat
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from dingwatch.ledger import Store, sqlite_url, transitions, versions
from dingwatch.ledger.folders import MappedFolder, bind
from dingwatch.ledger.transitions import Change
from dingwatch.ledger.versions import NewVersion
from dingwatch.lifecycle import Event
from dingwatch.model import Cause, Fingerprint
from tests.integration.conftest import Machine
from tests.support import PATIENCE, eventually, plain_payload


@pytest.fixture
def path(machine: Machine, blank_ledger: Path) -> Path:
    """A ledger with three deliveries in the machine's state directory, of which one was refused."""
    machine.state_dir.mkdir(mode=0o700)
    ledger = machine.state_dir / "ledger.db"
    shutil.copy(blank_ledger, ledger)
    store = Store.open(sqlite_url(ledger))
    payload = plain_payload(b"x", "d", "app")
    files = [
        NewVersion(1, b"%d" % n, Fingerprint(5, n, 0, n, 1), "d", 1.0, 1.0, payload, ("cid",))
        for n in range(3)
    ]
    with store.writing() as connection:
        bind(connection, [MappedFolder(b"/a", "a", ("cid",))])
        ids = versions.add(store, connection, files, 1.0)
        transitions.apply(
            connection, 2.0, [Change(ids[0], Event.REJECT, None, Cause("40038", "", "CONTENT"))]
        )
    store.close()
    return ledger


def change(path: Path, statement: str) -> None:
    """Change a ledger as nothing in dingwatch does."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def test_a_backup_is_whole_private_and_alone(machine: Machine, path: Path, tmp_path: Path) -> None:
    """It is one file for its owner; it is a sound ledger; nothing is left beside it."""
    (tmp_path / "copies").mkdir()
    target = tmp_path / "copies" / "备份.db"
    done = machine.call("ledger", "backup", str(target))
    assert (done.exit_code, "3 files, 3 deliveries" in done.stdout) == (0, True), done.output
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert list(target.parent.iterdir()) == [target]
    done = machine.call("ledger", "verify", str(target))
    assert (done.exit_code, "is sound" in done.stdout) == (0, True), done.output
    assert list(target.parent.iterdir()) == [target]
    with closing(sqlite3.connect(target)) as copied, closing(sqlite3.connect(path)) as original:
        for table in ("versions", "deliveries", "history", "uploads"):
            rows = [one.execute(f"SELECT * FROM {table}").fetchall() for one in (copied, original)]  # noqa: S608
            assert rows[0] == rows[1]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_root_copies_as_the_ledgers_owner(machine: Machine, path: Path) -> None:
    """Root opens nothing as root that another user may have put there; a target of root's own is refused."""
    with TemporaryDirectory() as made:  # pytest's own directories are closed to other users
        Path(made).chmod(0o711)
        state = Path(shutil.move(machine.state_dir, made))
        for one in (state, state / path.name):
            shutil.chown(one, "nobody")
        machine.settings["state_dir"] = str(state)
        machine.write()
        ours, theirs = Path(made) / "ours", Path(made) / "theirs"
        ours.mkdir(mode=0o700)
        theirs.mkdir(mode=0o700)
        shutil.chown(theirs, "nobody")
        refused = machine.launch("ledger", "backup", str(ours / "copy.db"))
        _, said = refused.communicate(timeout=PATIENCE)
        assert (refused.returncode, "install -d -o nobody -m 0700" in said) == (1, True), said
        made_it = machine.launch("ledger", "backup", str(theirs / "copy.db"))
        made_it.communicate(timeout=PATIENCE)
        assert made_it.returncode == 0
        assert (theirs / "copy.db").owner() == "nobody"
        assert {one.owner() for one in state.iterdir()} == {"nobody"}


def test_a_backup_is_made_while_the_service_writes(machine: Machine, share: Path, tmp_path: Path) -> None:
    """It has one state of the ledger, the newest pages of the log included, and keeps nobody waiting."""
    process = machine.start()
    for number in range(40):
        (share / f"{number}.txt").write_text(str(number))
    eventually(lambda: machine.status()["totals"]["sent"] >= 1)
    done = machine.call("ledger", "backup", str(tmp_path / "copy.db"))
    assert done.exit_code == 0, done.output
    assert machine.call("ledger", "verify").exit_code == 0
    eventually(lambda: machine.status()["totals"]["sent"] == 40)
    machine.stop(process)
    assert machine.call("ledger", "verify", str(tmp_path / "copy.db")).exit_code == 0


def test_a_backup_overwrites_nothing(machine: Machine, path: Path, tmp_path: Path) -> None:
    """Neither a file nor a link, nor the ledger itself."""
    there = tmp_path / "there"
    there.write_text("mine")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for target in (there, tmp_path / "dangling", path, tmp_path):
        done = machine.call("ledger", "backup", str(target))
        assert (done.exit_code, "not overwritten" in done.stderr, done.stdout) == (1, True, ""), done.output
    assert there.read_text() == "mine"
    assert not (tmp_path / "nowhere").exists()


def test_a_backup_that_cannot_be_made_says_what_to_do(machine: Machine, tmp_path: Path) -> None:
    """There is no ledger, or no directory for the copy."""
    done = machine.call("ledger", "backup", str(tmp_path / "copy.db"))
    assert (done.exit_code, "no ledger" in done.stderr) == (1, True)
    assert machine.call("ledger", "verify").exit_code == 1
    assert not machine.state_dir.exists()
    assert "check the path" in machine.call("ledger", "verify", str(tmp_path / "absent")).stderr


def test_a_backup_into_no_directory_says_so(machine: Machine, path: Path, tmp_path: Path) -> None:
    """The directory is named."""
    assert path.exists()
    done = machine.call("ledger", "backup", str(tmp_path / "absent" / "copy.db"))
    assert (done.exit_code, f"no directory {tmp_path / 'absent'}" in done.stderr) == (1, True), done.output


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["/usr/bin/env", "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], check=True)
    yield disk
    subprocess.run(["/usr/bin/env", "umount", "-l", disk], check=True)


def test_a_full_disk_leaves_no_half_backup(machine: Machine, path: Path, small_disk: Path) -> None:
    """The disk is named, and nothing is on it."""
    assert path.exists()
    done = machine.call("ledger", "backup", str(small_disk / "copy.db"))
    assert (done.exit_code, f"the disk {small_disk} is full" in done.stderr) == (1, True), done.output
    assert list(small_disk.iterdir()) == []


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE deliveries SET state = 'sent' WHERE id = 5", "state"),
        ("DELETE FROM history WHERE delivery_id = 5", "pending ≠ –"),
        ("DELETE FROM folders", "not there"),
        ("UPDATE history SET \"before\" = 'sent' WHERE event = 'reject'", "sent –reject→ failed"),
        ("UPDATE numbers SET value = 2 WHERE name = 'id'", "twice"),
        ("UPDATE numbers SET value = 99 WHERE name = 'schema'", "newer"),
        ("DROP TABLE numbers", "no_tables"),
    ],
)
def test_what_is_wrong_is_told_with_what_to_do(
    machine: Machine, path: Path, tmp_path: Path, statement: str, told: str
) -> None:
    """Each kind of defect has its sentence, in the ledger and in a copy of it."""
    copied = tmp_path / "copy.db"
    shutil.copy(path, copied)
    change(copied, statement)
    done = machine.call("ledger", "verify", str(copied))
    assert (done.exit_code, told in done.output) == (1, True), done.output
    assert len(done.stdout.splitlines()) >= 2
    assert machine.call("ledger", "verify").exit_code == 0


def test_a_damaged_ledger_names_the_backup_to_restore(machine: Machine, path: Path) -> None:
    """Whether SQLite cannot read a page, or none."""
    backup = path.parent / "backups" / "ledger-2026-11-24.db"
    backup.parent.mkdir()
    shutil.copy(path, backup)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : -4096] = b"x" * len(content[len(content) // 2 : -4096])
    for damaged in (bytes(content), b"this is no database, and long enough to see it" * 100):
        path.write_bytes(damaged)
        done = machine.call("ledger", "verify")
        assert (done.exit_code, str(backup) in done.stdout) == (1, True), done.output


def test_a_file_that_is_no_ledger_is_not_taken_for_the_services_own(
    machine: Machine, path: Path, tmp_path: Path
) -> None:
    """Nothing is wrong with the service's ledger, so nobody is told to stop the service."""
    assert path.exists()
    (tmp_path / "notes.db").write_text("not a database")
    done = machine.call("ledger", "verify", str(tmp_path / "notes.db"))
    assert (done.exit_code, "choose another backup" in done.stdout, "top the service" in done.stdout) == (
        1,
        True,
        False,
    )


def test_a_damaged_ledger_is_copied_all_the_same(machine: Machine, path: Path, tmp_path: Path) -> None:
    """The copy may be the last that there is; the command tells that it is damaged."""
    change(path, "UPDATE deliveries SET state = 'sent' WHERE id = 5")
    done = machine.call("ledger", "backup", str(tmp_path / "copy.db"))
    assert (done.exit_code, "#5" in done.stdout, (tmp_path / "copy.db").exists()) == (1, True, True)
