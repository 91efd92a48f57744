"""A PostgreSQL server on a host of its own, with Debian's binaries, and its standby on another."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import psycopg

from tests.nodes.network import Host
from tests.postgres import USER, find_program
from tests.support import eventually

ROLE: Final = "dingwatch"
DATABASE: Final = "dingwatch"
PORT: Final = 5432
SETTINGS: Final = {
    "fsync": "off",  # processes are killed here, and no machine
    "shared_buffers": "16MB",
    "max_connections": "60",
    "max_wal_size": "16MB",
    "min_wal_size": "2MB",
    "wal_keep_size": "16MB",
    "logging_collector": "off",
    "wal_receiver_status_interval": "1s",
    "wal_sender_timeout": "5s",
    "wal_receiver_timeout": "5s",
    "wal_retrieve_retry_interval": "500ms",
}
_CONNECTION: Final = "user=postgres dbname={} host={} port=5432 connect_timeout=5"


def why_not() -> str:
    """Return why this machine has no server; empty if it has."""
    try:
        find_program("initdb")
    except RuntimeError as error:
        return str(error)
    return ""


@contextmanager
def directory() -> Iterator[Path]:
    """Make a directory that PostgreSQL's user can reach; pytest closes its own ones to others."""
    with tempfile.TemporaryDirectory(prefix="dingwatch-nodes-") as made:
        os.chmod(made, 0o755)  # noqa: S103
        yield Path(made)


class Server:
    """One server, with its data, its socket and its log beneath one directory."""

    def __init__(self, host: Host, at: Path) -> None:
        self.host = host
        self.at = at
        self.data = at / "data"
        self._process: subprocess.Popen[bytes] | None = None
        at.mkdir(exist_ok=True)
        shutil.chown(at, USER, USER)

    @property
    def address(self) -> str:
        """Where others reach it."""
        return self.host.addresses["database"]

    def create(self) -> None:
        """Make the database, and start."""
        words = ("-U", USER, "-A", "trust", "--wal-segsize=1", "-N", "-E", "UTF8", "--no-locale")
        self._run("initdb", "-D", str(self.data), *words)
        self._configure(**SETTINGS)
        with (self.data / "pg_hba.conf").open("a") as file:
            file.write("host all all 10.77.1.0/24 trust\nhost replication all 10.77.1.0/24 trust\n")
        self.start()
        self.execute(f"CREATE ROLE {ROLE} LOGIN", database=USER)
        self.execute(f"CREATE DATABASE {DATABASE} OWNER {ROLE}", database=USER)

    def copy(self, primary: Server) -> None:
        """Become the standby of another server, and wait until all that it commits is here too."""
        source = _CONNECTION.format(USER, primary.address)
        self._run("pg_basebackup", "-D", str(self.data), "-d", source, "-R", "-c", "fast")
        self._configure()
        self.start()
        primary.execute("ALTER SYSTEM SET synchronous_standby_names = '*'", database=USER)
        primary.execute("SELECT pg_reload_conf()", database=USER)
        eventually(lambda: primary.execute("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"))

    def start(self) -> None:
        """Start, and wait until it answers."""
        with (self.at / "log").open("ab") as log:
            command = self._command("postgres", "-D", str(self.data))
            self._process = subprocess.Popen(command, cwd="/", stdout=log, stderr=log)
        eventually(self.answers)

    def answers(self) -> bool:
        """Return whether it takes connections."""
        with suppress(psycopg.OperationalError):
            return bool(self.execute("SELECT 1", database=USER))
        return False

    def stop(self, number: int = signal.SIGINT) -> None:
        """End it: SIGINT as an admin does, SIGQUIT like a crash."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            self._process.send_signal(number)
        self._process.wait()
        self._process = None

    @property
    def running(self) -> bool:
        """Whether its process is there."""
        return self._process is not None and self._process.poll() is None

    def processes(self) -> list[int]:
        """Return the ids of all its processes."""
        listed = subprocess.run(["ip", "netns", "pids", self.host.namespace], check=True, capture_output=True)  # noqa: S607
        return [int(one) for one in listed.stdout.split()]

    def promote(self) -> None:
        """Make a standby the primary."""
        self._run("pg_ctl", "promote", "-D", str(self.data), "-W")
        eventually(lambda: not self.execute("SELECT pg_is_in_recovery()", database=USER)[0][0])

    def execute(self, statement: str, database: str = DATABASE) -> list[tuple[Any, ...]]:
        """Run one statement."""
        with psycopg.connect(_CONNECTION.format(database, self.at), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def _command(self, *words: str) -> list[str]:
        as_user = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--pdeathsig=QUIT")
        return self.host.command(*as_user, find_program(words[0]), *words[1:])

    def _run(self, *words: str) -> None:
        done = subprocess.run(self._command(*words), cwd="/", check=False, capture_output=True, text=True)
        assert done.returncode == 0, (words, done.stdout, done.stderr)

    def _configure(self, **settings: str) -> None:
        where = {"listen_addresses": self.address, "unix_socket_directories": str(self.at)}
        with (self.data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in {**settings, **where}.items())
