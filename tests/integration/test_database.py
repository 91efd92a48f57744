"""A ledger in PostgreSQL as an admin meets it: every command, and each way in which a server refuses."""

import json
import os
import re
import shutil
import socket
import socketserver
import struct
import subprocess
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.request import urlopen

import pytest
from sqlalchemy import make_url

from dingwatch.ledger import Store
from tests.integration.conftest import Machine
from tests.postgres import USER, PostgresServer, as_user, find_program
from tests.support import PATIENCE, eventually

CERTIFICATE = Path(__file__).parents[1] / "dingtalk" / "localhost.pem"
PASSWORD = "pa55-w0rd-of-the-role"


@pytest.fixture
def shared(machine: Machine, postgres_url: str) -> Machine:
    """A machine whose ledger is an empty one in PostgreSQL."""
    machine.settings |= {"ledger": postgres_url, "node": "east"}
    machine.write()
    return machine


@pytest.fixture
def blank(machine: Machine, blank_postgres_url: str) -> Machine:
    """A machine whose database has no tables yet."""
    machine.settings |= {"ledger": blank_postgres_url, "node": "east"}
    machine.write()
    return machine


class Remote:
    """A server that is reached by TCP, with a password and TLS."""

    def __init__(self, server: PostgresServer, address: str) -> None:
        self.server = server
        self.address = address

    def url(self, user: str, *, host: str = "localhost", password: str = PASSWORD, **more: str) -> str:
        """Return the URL of a role's database."""
        parameters = "&".join(f"{name}={value}" for name, value in {"hostaddr": self.address, **more}.items())
        return f"postgresql+psycopg://{user}:{password}@{host}:5432/{user}?{parameters}"

    def add_role(self, name: str, options: str = "") -> None:
        """Make a role that may log in, with a database of its own."""
        self.server.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}' {options}")
        self.server.execute(f"CREATE DATABASE {name} OWNER {name}")


@pytest.fixture(scope="module")
def remote() -> Iterator[Remote]:
    """A server of its own; each process of pytest has an address of its own for it."""
    number = os.getpid()
    address = f"127.{number >> 16 & 255}.{number >> 8 & 255}.{number & 254 | 1}"
    options = ["ssl=on", f"listen_addresses={address}"]
    server = PostgresServer(*options)
    server.create()
    for kind in ("cert", "key"):
        path = server.directory / f"{kind}.pem"
        shutil.copy(CERTIFICATE, path)
        path.chmod(0o600)
        if os.geteuid() == 0:
            shutil.chown(path, USER, USER)
        server.options = [*server.options, f"ssl_{kind}_file={path}"]
    (server.data / "pg_hba.conf").write_text(
        "local all all trust\nhost forbidden all all reject\nhost all all all scram-sha-256\n"
    )
    server.start()
    yield Remote(server, address)
    server.stop()
    shutil.rmtree(server.directory)


# --- What needs no service -------------------------------------------------------------------------

READING = [("status",), ("status", "--json"), ("status", "--check"), ("status", "--metrics"), ("history",)]


@pytest.mark.parametrize(
    "words",
    [
        *READING,
        ("folder-link", "share", "--revoke"),
        ("retry", "--all"),
        ("resume",),
        ("release", "share"),
        ("check", "--offline"),
    ],
)
def test_a_command_makes_no_tables(blank: Machine, postgres: PostgresServer, words: tuple[str, ...]) -> None:
    """As it makes no file of SQLite; what is asked of an empty database has an answer."""
    done = blank.call(*words)
    assert (done.exit_code, done.stderr) == (2 if "--check" in words else 0, ""), done.output
    name = make_url(blank.settings["ledger"]).database or ""
    assert postgres.execute("SELECT count(*) FROM pg_class WHERE relname = 'numbers'", database=name) == [
        (0,)
    ]


def test_a_command_works_on_a_server(shared: Machine, postgres: PostgresServer) -> None:
    """Without a service, the ledger itself answers, and is written to."""
    with_file = make_url(shared.settings["ledger"]).database or ""
    add_failed(postgres, with_file)
    (line,) = shared.history()
    assert (line["state"], line["path"]) == ("failed", "a/b.pdf")
    assert [one["id"] for one in shared.history("--search", "B.PDF")] == [line["id"]]
    assert shared.call("retry", str(line["id"])).exit_code == 0
    assert shared.history()[0]["state"] == "pending"
    assert not (shared.state_dir / "ledger.db").exists()


def add_failed(postgres: PostgresServer, database: str) -> None:
    """Put a file that could not be sent into a ledger."""
    postgres.execute(
        "INSERT INTO versions (id, directory, name, size, mtime_ns, ctime_ns, inode, device, baseline,"
        " noticed_at) VALUES (1, 'a', 'b.pdf', 5, 0, 0, '1', '1', false, 1700000000)",
        database=database,
    )
    postgres.execute(
        "INSERT INTO deliveries (id, version_id, conversation_id, route, state, form, upload_key, due,"
        " noticed_at, settled_at, attempts, failures, waited, doubts, media_losses, crashes,"
        " uncertain_resent, code, message) VALUES (2, 1, 'cidA', 'robot', 'failed', 'plain', '', 0,"
        " 1700000000, 1700000000,"
        " 1, 0, 0, 0, 0, 0, false, 'too_big', '')",
        database=database,
    )
    postgres.execute(
        'INSERT INTO history (version_id, delivery_id, at, event, before, "after")'
        " VALUES (1, 2, 1700000000, 'reject', 'pending', 'failed')",
        database=database,
    )
    postgres.execute("UPDATE numbers SET value = 2 WHERE name = 'id'", database=database)


# --- Backups and soundness -------------------------------------------------------------------------


def test_a_backup_is_left_to_pg_dump(shared: Machine, postgres: PostgresServer, tmp_path: Path) -> None:
    """The command that is printed makes one, which can be restored and is sound."""
    add_failed(postgres, make_url(shared.settings["ledger"]).database or "")
    target = Path("/dev/shm") / f"{tmp_path.name}-{os.getpid()}.dump"  # noqa: S108 (postgres may write there)
    done = shared.call("ledger", "backup", str(target))
    assert (done.exit_code, done.stdout, target.exists()) == (1, "", False)
    command = done.stderr.splitlines()[-1]
    assert command.startswith("pg_dump ")
    path = {**os.environ, "PATH": f"{Path(find_program('pg_dump')).parent}:{os.environ['PATH']}"}
    try:
        subprocess.run(["/bin/sh", "-c", command], check=True, env=path, **as_user())
        with postgres.blank_database() as url:
            name = make_url(url).database or ""
            restore = f"pg_restore --no-owner --exit-on-error -h {postgres.directory} -d {name} {target}"
            subprocess.run(["/bin/sh", "-c", restore], check=True, env=path, **as_user())
            shared.settings["ledger"] = url
            shared.write()
            assert shared.history()[0]["path"] == "a/b.pdf"
            assert "is sound: 1 file, 1 delivery" in shared.call("ledger", "verify").stdout
    finally:
        target.unlink(missing_ok=True)


def test_a_defect_is_found_on_a_server(shared: Machine, postgres: PostgresServer) -> None:
    """As in a file, what does not fit together is told; the server itself answers for the rest."""
    name = make_url(shared.settings["ledger"]).database or ""
    add_failed(postgres, name)
    assert shared.call("ledger", "verify").exit_code == 0
    for statement, told in (
        ("UPDATE deliveries SET state = 'sent'", "#2: sent ≠ failed"),
        ("UPDATE history SET event = 'confirm'", "#2: pending –confirm→ failed"),
        ("UPDATE numbers SET value = 1 WHERE name = 'id'", "1 < 2"),
    ):
        postgres.execute(statement, database=name)
        done = shared.call("ledger", "verify")
        assert (done.exit_code, told in done.stdout) == (1, True), done.output


def test_the_archive_for_support_describes_the_server(
    shared: Machine, postgres: PostgresServer, tmp_path: Path
) -> None:
    """With counts and settings, without the names of files; a copy of the database is nobody's business."""
    add_failed(postgres, make_url(shared.settings["ledger"]).database or "")
    done = shared.call("doctor", "-o", str(tmp_path / "d.zip"))
    assert done.exit_code == 0, done.output
    with zipfile.ZipFile(tmp_path / "d.zip") as archive:
        ledger = archive.read("ledger.txt").decode()
        status = json.loads(archive.read("status.json"))
    assert "deliveries: [(1,)]" in ledger
    assert "PostgreSQL" in ledger
    assert ("b.pdf" in ledger, status["totals"]["failed"]) == (False, 1)


# --- A program without the driver ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code"),
    [
        *((("run",), 78), (("check", "--offline"), 1), (("status",), 1), (("history",), 1)),
        *((("status", "--check"), 2), (("drain",), 1), (("ledger", "verify"), 1), (("ledger", "upgrade"), 1)),
        (("ledger", "copy", "sqlite:////STATE/ledger.db", "postgresql+psycopg://me@localhost/dingwatch"), 1),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, tuple) else "",
)
def test_a_missing_driver_is_told(
    machine: Machine, tmp_path: Path, words: tuple[str, ...], code: int
) -> None:
    """The extra is easily forgotten, because nothing else needs it: no traceback, and how to install it."""
    machine.settings["ledger"] = "postgresql+psycopg://me@localhost/dingwatch"
    machine.write()
    machine.state_dir.mkdir()
    Store.open(f"sqlite:///{machine.state_dir / 'ledger.db'}").close()
    (tmp_path / "psycopg.py").write_text("raise ImportError('no pq wrapper available.\\nAttempts made:\\n-')")
    words = tuple(word.replace("/STATE", str(machine.state_dir)) for word in words)
    done = subprocess.run(
        machine.command(*words),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "C.UTF-8", "PYTHONPATH": str(tmp_path)},
    )
    said = done.stdout + done.stderr
    assert (done.returncode, "Traceback" in said) == (code, False), said
    assert "no_driver no pq wrapper available. Attempts made: -" in said
    assert ". Install the extra postgresql (docs/install.md)" in said


# --- A server that refuses -------------------------------------------------------------------------

COMMANDS = [
    *(("status",), ("history",), ("why", "SHARE/x"), ("retry", "--all"), ("resolve", "1", "--sent")),
    *(("release", "share"), ("discard", "share"), ("resume",), ("pause", "share"), ("link", "1")),
    *(("receipts", "1"), ("recall", "1"), ("ledger", "verify"), ("folder-link", "share"), ("run",)),
    ("send", "SHARE/x", "--to", "share"),
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_server_that_is_away_is_one_line(machine: Machine, share: Path, words: tuple[str, ...]) -> None:
    """With where it was looked for and what to do, in both languages, and without the password."""
    (share / "x").write_text("x")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # it does not listen
        port = nobody.getsockname()[1]
        machine.settings["ledger"] = f"postgresql+psycopg://me:{PASSWORD}@127.0.0.1:{port}/dingwatch"
        machine.settings["http"] = {"listen": "127.0.0.1:0"}
        words = tuple(word.replace("SHARE", str(share)) for word in words)
        for language, advice in (("en", "Check that the PostgreSQL server is running"), ("zh", "请检查")):
            machine.settings["language"] = language
            machine.write()
            done = machine.do(*words)
            assert (done.returncode, done.stdout) == (1, ""), done
            (line,) = done.stderr.splitlines()
            assert f"postgresql://127.0.0.1:{port}/dingwatch" in line
            assert (advice in line, PASSWORD in line) == (True, False)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"password": "wr0ng-pass"}, "password authentication failed"),
        ({"password": ""}, "no password supplied"),
        ({"user": "nobody"}, "password authentication failed"),
        ({"user": "forbidden"}, "pg_hba.conf rejects"),
        ({"host": "db.example", "sslmode": "verify-full", "sslrootcert": str(CERTIFICATE)}, "does not match"),
        ({"sslmode": "verify-full", "sslrootcert": "/etc/hostname"}, "root certificate"),
        ({"sslmode": "verify-full"}, "root certificate"),
    ],
)
def test_a_server_that_refuses_is_one_line(
    machine: Machine, remote: Remote, change: dict[str, str], told: str
) -> None:
    """Each refusal has its reason and what to look at."""
    with_role(remote, "refused")
    machine.settings["ledger"] = remote.url(**{"user": "refused", **change})
    machine.write()
    for words in (("history",), ("run",)):
        done = machine.do(*words)
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1), done
        assert told in done.stderr
        assert "Check the user, password, database and TLS settings" in done.stderr
        assert not any(word in done.stderr for word in (PASSWORD, "wr0ng-pass"))


def with_role(remote: Remote, name: str, options: str = "") -> None:
    """Make a role unless an earlier test has."""
    if not remote.server.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", name):
        remote.add_role(name, options)


@pytest.mark.parametrize("runs", [True, False])
def test_a_monitor_is_told_that_the_server_is_away(machine: Machine, *, runs: bool) -> None:
    """Nothing is sent meanwhile, so it is critical, and the line is where the monitor reads it."""
    with PostgresServer() as server, server.ledger() as url:
        machine.settings |= {"ledger": url, "node": "east"}
        machine.write()
        if runs:
            machine.start()
        server.stop()
        done = machine.call("status", "--check")
        (line,) = done.stdout.splitlines()
        assert (done.exit_code, done.stderr) == (2, ""), done.output
        assert line.startswith("CRITICAL: the ledger is unavailable (OperationalError")
        assert "Check that the PostgreSQL server is running" in line


def test_the_page_names_the_server_that_is_away(machine: Machine) -> None:
    """There is no file that could be named; and to stop the service would not help."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = "{}:{}".format(*free.getsockname())
    with PostgresServer() as server, server.ledger() as url:
        machine.settings |= {"ledger": url, "node": "east", "http": {"listen": address}}
        machine.write()
        machine.start()
        server.stop()

        def hero() -> str:
            with urlopen(f"http://{address}/") as answer:
                return str(answer.read().decode().partition('id="hero"')[2].partition("</div>")[0])

        eventually(lambda: "The ledger cannot be used" in hero())
        shown = hero()
        database = make_url(url).database
        assert f"postgresql://{server.directory}/{database} (" in shown, shown
        assert "Check that the PostgreSQL server is running" in shown
        assert "systemctl stop" not in shown


@contextmanager
def old_server() -> Iterator[int]:
    """Listen as a server of an old release, which nobody can install any more; yield its port."""

    def message(kind: bytes, content: bytes) -> bytes:
        return kind + struct.pack("!I", len(content) + 4) + content

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            connection: socket.socket = self.request
            while len(asked := connection.recv(65536)) == 8:  # does it speak TLS, or GSSAPI?
                connection.sendall(b"N")
            if asked:
                status = message(b"S", b"server_version\x0013.21\0") + message(
                    b"S", b"client_encoding\0UTF8\0"
                )
                connection.sendall(message(b"R", bytes(4)) + status + message(b"Z", b"I"))
                # libpq asks an old server whether it may be written to.
                column = b"transaction_read_only\0" + struct.pack("!IHIhih", 0, 0, 25, -1, -1, 0)
                row = message(b"T", b"\0\1" + column) + message(b"D", b"\0\1" + struct.pack("!I", 3) + b"off")
                while connection.recv(65536).startswith(b"Q"):
                    connection.sendall(row + message(b"C", b"SHOW\0") + message(b"Z", b"I"))

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def test_a_server_that_is_too_old_is_told(machine: Machine) -> None:
    """Before any query; no restart of the service would help."""
    with old_server() as port:
        machine.settings["ledger"] = f"postgresql+psycopg://me@127.0.0.1:{port}/d"
        machine.write()
        for words, code in ((("history",), 1), (("run",), 78)):
            done = machine.do(*words)
            assert (done.returncode, len(done.stderr.splitlines())) == (code, 1), done
            assert "PostgreSQL 13.21 < 14" in done.stderr
            assert "Upgrade the PostgreSQL server" in done.stderr
        assert "Upgrade the PostgreSQL server" in machine.call("check", "--offline").stdout


def test_a_role_without_rights_is_told_which(machine: Machine, remote: Remote) -> None:
    """`check` names each right; a command says that it lacks one."""
    with_role(remote, "poor")
    with_role(remote, "rich")
    Store.open(remote.url("rich")).close()
    remote.server.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO poor", database="rich")
    url = remote.url("rich").replace("rich:", "poor:")
    machine.settings["ledger"] = url
    machine.write()
    assert machine.call("history").exit_code == 0
    done = machine.call("send", str(machine.path), "--to", "share")
    assert (done.exit_code, "lacks a privilege" in done.stderr) == (1, True), done.output
    done = machine.call("check", "--offline")
    assert (done.exit_code, "the database role poor lacks DELETE ON alert_heard" in done.stdout) == (1, False)
    assert "the database role poor lacks DELETE ON alert_messages, " in done.stdout
    assert "UPDATE ON deliveries" in done.stdout


def test_the_documented_privileges_are_enough(machine: Machine, share: Path, remote: Remote) -> None:
    """One role owns the tables, another one runs the service; the SQL is that of the documents."""
    page = (Path(__file__).parents[2] / "docs" / "several-hosts.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    script = script.replace("OWNER-PASSWORD", PASSWORD).replace("'PASSWORD'", f"'{PASSWORD}'")
    before, after = script.split("\\connect dingwatch\n")
    for line in before.strip().splitlines():
        remote.server.execute(line)
    for line in after.strip().splitlines():
        remote.server.execute(line, database="dingwatch")
    owner = remote.url("dingwatch").replace("dingwatch:", "dingwatch_owner:", 1)
    machine.settings |= {"ledger": remote.url("dingwatch"), "node": "east"}
    machine.write()
    done = machine.call("check", "--offline")
    assert (done.exit_code, "may not create them: run dingwatch ledger upgrade" in done.stdout) == (1, True)
    done = machine.call("ledger", "upgrade", owner)
    assert (done.exit_code, "those of this version" in done.stdout, PASSWORD in done.output) == (
        0,
        True,
        False,
    )
    assert machine.call("check", "--offline").exit_code == 0
    process = machine.start()
    (share / "a.txt").write_text("a")
    eventually(lambda: machine.status()["totals"]["sent"] == 1)
    assert machine.call("ledger", "verify").exit_code == 0
    assert machine.stop(process) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")
def test_root_asks_as_the_owner_of_the_ledger(
    machine: Machine, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over TLS libpq looks for certificates in the home directory, and gives up where it may not look."""
    with_role(remote, "owned")
    Store.open(remote.url("owned")).close()
    with tempfile.TemporaryDirectory() as made:  # pytest's own directories are closed to others
        Path(made).chmod(0o711)
        home, state = Path(made) / "root", Path(made) / "state"
        for one in (home, state):
            one.mkdir(mode=0o700)
        shutil.chown(state, "nobody")
        monkeypatch.setenv("HOME", str(home))
        machine.settings |= {"ledger": remote.url("owned", sslmode="require"), "state_dir": str(state)}
        machine.write()
        for words in (("history",), ("ledger", "verify"), ("retry", "--all")):
            process = machine.launch(*words)
            said = process.communicate(timeout=PATIENCE)
            assert process.returncode == 0, said


def test_the_owner_upgrades_without_a_config(machine: Machine, remote: Remote) -> None:
    """The tables are made before anything else; nor is the password in the owner's home out of reach then."""
    with_role(remote, "early")
    machine.path.unlink()
    done = machine.call("ledger", "upgrade", remote.url("early"))
    assert (done.exit_code, "those of this version" in done.stdout) == (0, True), done.output


# --- The passwords ---------------------------------------------------------------------------------


def test_each_source_of_the_password_opens_the_ledger(
    machine: Machine, remote: Remote, tmp_path: Path
) -> None:
    """In the address, in a file of libpq's, in the environment, and from systemd."""
    with_role(remote, "keys")
    without = remote.url("keys").replace(f":{PASSWORD}@", "@")
    (tmp_path / "pass").touch(0o600)
    (tmp_path / "pass").write_text(f"*:*:*:*:{PASSWORD}\n")
    (tmp_path / "ledger_password").write_text(f"{PASSWORD}\n")
    for url, environ in (
        (remote.url("keys"), {}),
        (f"{without}&passfile={tmp_path}/pass", {}),
        (without, {"DINGWATCH_LEDGER_PASSWORD": PASSWORD}),
        (without, {"CREDENTIALS_DIRECTORY": str(tmp_path)}),
    ):
        machine.settings["ledger"] = url
        machine.write()
        done = machine.call("history", **environ)
        assert (done.exit_code, done.stderr) == (0, ""), done.output


# --- check -----------------------------------------------------------------------------------------


def check(machine: Machine, url: str) -> tuple[int, list[str]]:
    """Return the exit code of `check`, and its lines."""
    machine.settings |= {"ledger": url, "node": "east"}
    machine.write()
    done = machine.call("check", "--offline")
    assert PASSWORD not in done.output
    return done.exit_code, done.stdout.splitlines()


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            {"sslmode": "verify-full", "sslrootcert": str(CERTIFICATE)},
            "ok    the connection to the database is enc",
        ),
        (
            {"host": "db.example", "sslmode": "require"},
            "warn  the connection to the database is encrypted (TLSv1.3), but",
        ),
        (
            {"host": "db.example", "sslmode": "disable"},
            "warn  the connection to the database is not encrypted",
        ),
    ],
)
def test_the_way_to_the_database_is_judged(
    machine: Machine, remote: Remote, change: dict[str, str], line: str
) -> None:
    """Whether it is encrypted, and whether it is certain where it leads."""
    with_role(remote, "checked")
    code, lines = check(machine, remote.url("checked", **change))
    assert (code, any(one.startswith(line) for one in lines)) == (0, True), lines
    reached = f"ok    the database postgresql://{change.get('host', 'localhost')}:5432/checked can be reached"
    assert any(one.startswith(reached) for one in lines), lines
    assert "ok    this host is the node east" in lines
    assert not any("is a superuser" in one for one in lines)


def test_a_superuser_is_more_than_enough(machine: Machine, postgres_url: str) -> None:
    """On a socket nothing has to be encrypted."""
    code, lines = check(machine, postgres_url)
    assert (code, sum("is a superuser" in one for one in lines)) == (0, 1)
    assert not any("encrypted" in one for one in lines)


def test_standbys_that_may_lack_what_was_sent_are_told(machine: Machine) -> None:
    """After a failover to one of them, files would be sent twice."""
    options = ("wal_level=replica", "max_wal_senders=3", "synchronous_commit=off")
    with PostgresServer(*options) as server, server.ledger() as url:
        (server.data / "pg_hba.conf").write_text("local all all trust\nlocal replication all trust\n")
        server.restart()
        _, lines = check(machine, url)
        assert any("the server has synchronous_commit off" in one for one in lines), lines
        server.options = [*server.options, "synchronous_commit=on"]
        server.restart()
        _, lines = check(machine, url)
        assert not any("synchronous" in one for one in lines), lines
        receiver = subprocess.Popen(
            [find_program("pg_receivewal"), "-D", str(server.data), "-h", str(server.directory)],
            stderr=subprocess.DEVNULL,
            **as_user(),
        )
        try:
            eventually(lambda: server.execute("SELECT count(*) FROM pg_stat_replication") == [(1,)])
            _, lines = check(machine, url)
            assert any("warn  of 1 standby server, not all are synchronous" in one for one in lines), lines
        finally:
            receiver.kill()
            receiver.wait()


def test_a_name_that_another_node_has_is_told(
    machine: Machine, postgres: PostgresServer, postgres_url: str
) -> None:
    """The others are listed with what is known of them."""
    name = make_url(postgres_url).database or ""
    soon = "extract(epoch FROM clock_timestamp()) + 60"
    for node, until in (("east", soon), ("west", soon), ("north", "0")):
        postgres.execute(
            f"INSERT INTO nodes (name, instance, started_at, lease_until) VALUES ('{node}', 'x', 0, {until})",  # noqa: S608
            database=name,
        )
    code, lines = check(machine, postgres_url)
    assert code == 1
    assert "FAIL  another host works as node east; set another name by node: in this config" in lines
    assert "ok    other nodes: north (lost or stopped), west (up)" in lines


LIVE: Final = (
    "another app (west: dingother), and client_id is {app} in this config: the service would exit with"
)
LIVE_ZH: Final = (
    "另一个应用使用这个数据库（west: dingother），而这个配置的 client_id 是 {app}：服务会以退出码 78"
)
STOPPED: Final = "nodes that have stopped worked on this ledger for another app (north: dingother), and"
STOPPED_ZH: Final = "已停止的节点以前为另一个应用使用这个数据库（north: dingother），而"


@pytest.mark.parametrize(
    ("language", "live", "stopped"), [("en", LIVE, STOPPED), ("zh", LIVE_ZH, STOPPED_ZH)], ids=["en", "zh"]
)
def test_nodes_of_another_app_are_told(
    machine: Machine, postgres: PostgresServer, postgres_url: str, language: str, live: str, stopped: str
) -> None:
    """A service would not start beside one that works; those that were drained and stopped are left out."""
    app = machine.settings["dingtalk"]["client_id"]
    machine.settings["language"] = language

    def add(node: str, instance: str, *, live: bool = False, draining: bool = False) -> None:
        columns, until = "name, instance, started_at, draining, lease_until", "clock_timestamp()"
        values = f"'{node}', '{instance}', 0, {draining}, extract(epoch FROM {until}) + {60 if live else -1}"
        statement = f"INSERT INTO nodes ({columns}) VALUES ({values})"  # noqa: S608
        postgres.execute(statement, database=make_url(postgres_url).database or "")

    def find_lines() -> tuple[int, list[str]]:
        code, lines = check(machine, postgres_url)
        return code, [one for one in lines if "dingother" in one]

    add("east", "drawn/dingother")
    add("gone", "drawn/dingother", draining=True)
    add("same", f"drawn/{app}", live=True)
    assert find_lines() == (0, [])
    add("north", "drawn/dingother")
    code, (line,) = find_lines()
    assert (code, stopped in line) == (0, True), line
    add("west", "drawn/dingother", live=True)
    code, (line, _) = find_lines()
    assert (code, live.format(app=app) in line) == (1, True), line


def test_a_host_that_was_renamed_is_told_its_former_name(machine: Machine, postgres_url: str) -> None:
    """Its folders would begin anew, and what has come into them while it was off would not be sent."""
    machine.settings |= {"ledger": postgres_url, "node": "west"}
    machine.write()
    assert machine.stop(machine.start()) == 0
    _, lines = check(machine, postgres_url)  # as the node east
    assert any("does not run has had the same folders: west. If this host" in one for one in lines), lines
    machine.settings["node"] = "west"
    machine.write()
    assert "had the same folders" not in machine.call("check", "--offline").stdout
    process = machine.start()
    machine.settings["state_dir"] += "-of-another-host"
    _, lines = check(machine, postgres_url)  # another host may have the same paths
    assert not any("had the same folders" in one for one in lines), lines
    assert machine.stop(process) == 0


def test_a_share_with_other_settings_is_told(machine: Machine, postgres_url: str) -> None:
    """Before the service starts; by its name, the other node and the keys."""
    machine.settings |= {"ledger": postgres_url, "node": "west"}
    machine.set_folder(shared="team")
    process = machine.start()
    machine.settings["state_dir"] += "-of-another-host"
    code, lines = check(machine, postgres_url)  # of the node east
    assert not any("other settings" in one for one in lines), lines
    machine.set_folder(shared="team", on_change="ignore", exclude=["*.bak"], settle="9s")
    code, lines = check(machine, postgres_url)
    told = "share: node west watches this share with other settings (exclude, on_change); make them alike"
    assert (code, any(one.startswith(f"FAIL  {told}") for one in lines)) == (1, True), lines
    assert machine.stop(process) == 0
    assert not any("other settings" in one for one in check(machine, postgres_url)[1])


def test_a_ledger_of_a_newer_version_does_not_end_the_check(
    machine: Machine, postgres: PostgresServer, postgres_url: str
) -> None:
    """It is one finding among others, and what the first run would do is not known then."""
    name = make_url(postgres_url).database or ""
    postgres.execute("UPDATE numbers SET value = 99 WHERE name = 'schema'", database=name)
    code, lines = check(machine, postgres_url)
    assert code == 1
    assert any(one.startswith("FAIL") and "newer_schema 99. A newer version" in one for one in lines), lines
    assert any("inotify watch" in one for one in lines), lines
    assert not any("the first run" in one for one in lines), lines


def test_a_clock_that_differs_is_told(
    machine: Machine, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both ways; the times of files are this machine's, those of deliveries the server's."""
    real = time.time
    for offset, told in ((90, "90 s ahead of the database server's"), (-90, "90 s behind")):
        monkeypatch.setattr(time, "time", lambda offset=offset: real() + offset)
        _, lines = check(machine, postgres_url)
        assert any(told in one for one in lines), lines
