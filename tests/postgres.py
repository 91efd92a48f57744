"""A real PostgreSQL from the system's packages, on a socket in a temporary directory."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Self

import psycopg

from dingwatch.ledger import Store
from dingwatch.ledger.schema import FIRST_NUMBERS, metadata

USER: Final = "postgres"
_FULL: Final = " UNION ALL ".join(
    f"SELECT '{name}' WHERE EXISTS (SELECT FROM {name})"  # noqa: S608
    for name in metadata.tables
)
"""A query for the tables that are not empty."""
_RESTART: Final = "SELECT setval(seqrelid::regclass, seqstart, false) FROM pg_sequence"
PATIENCE: Final = 60.0
ROOM: Final = 2 << 30
"""Bytes of memory that several servers may need for their files."""
_QUICK: Final = (
    *("fsync=off", "full_page_writes=off", "shared_buffers=16MB", "max_connections=60", "jit=off"),
    # Text is compared byte by byte on SQLite; a server that has another order must not change what is done.
    *("timezone=Asia/Kathmandu", "log_timezone=UTC"),
)


def find_program(name: str) -> str:
    """Return the path of one of PostgreSQL's programs, of the newest release that is installed."""
    found = sorted(
        Path("/usr/lib/postgresql").glob(f"*/bin/{name}"),
        key=lambda one: [int(digits) for digits in re.findall(r"\d+", one.parts[4])],
    )
    if found:
        return str(found[-1])
    elsewhere = shutil.which(name)
    if elsewhere is None:
        raise RuntimeError(f"{name} is missing; on Debian: apt-get install postgresql")
    return elsewhere


def as_user() -> dict[str, Any]:
    """Return arguments for `subprocess` by which PostgreSQL runs: it refuses to as root."""
    return {"cwd": "/", **({"user": USER, "group": USER, "extra_groups": []} if os.geteuid() == 0 else {})}


def _quick_place() -> str | None:
    """Return a directory in memory, where there is room in it."""
    memory = "/dev/shm"  # noqa: S108
    roomy = os.path.isdir(memory) and shutil.disk_usage(memory).free > ROOM
    return memory if roomy else None


class PostgresServer:
    """A server with a directory of its own. A test of faults starts one that it may kill."""

    def __init__(self, *options: str, directory: Path | None = None) -> None:
        self.directory = directory or Path(tempfile.mkdtemp(prefix="pg", dir=_quick_place()))
        self.data = self.directory / "data"
        self.options: Sequence[str] = options
        """Settings (`name=value`), which a restart takes on."""
        self.process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count()
        self._empty: list[str] = []

    def __enter__(self) -> Self:
        self.create()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def create(self) -> None:
        """Make the files of a server that has none yet."""
        if os.geteuid() == 0:
            shutil.chown(self.directory, USER, USER)
        # A collation of people's, not of bytes: `a` before `B`, and punctuation ignored.
        locale = ("--locale=C.UTF-8", "--encoding=UTF8", "--locale-provider=icu", "--icu-locale=en-US")
        command = (find_program("initdb"), "-N", "-A", "trust", "-U", USER, *locale, "-D", str(self.data))
        done = subprocess.run(command, capture_output=True, text=True, check=False, **as_user())
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        """Start the server and wait until it answers."""
        command = [find_program("postgres"), "-D", str(self.data), "-k", str(self.directory)]
        for option in ("listen_addresses=", *_QUICK, *self.options):
            command += ["-c", option]
        # It does not outlive a worker of pytest that is killed.
        command = ["/usr/bin/setpriv", "--pdeathsig", "INT", *command]
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **as_user()
            )
        until = time.monotonic() + PATIENCE
        while True:
            assert self.process.poll() is None, self.log()
            with suppress(psycopg.OperationalError):
                self.execute("SELECT 1")
                return
            assert time.monotonic() < until, self.log()
            time.sleep(0.02)

    def stop(self, number: int = signal.SIGINT) -> None:
        """End the server: at once and cleanly, or as another signal says (SIGQUIT: without a checkpoint)."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(PATIENCE)
            self.process = None

    def kill(self) -> None:
        """End the server as a power cut does."""
        assert self.process is not None
        children = self.children()
        self.process.kill()
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        self.process.wait(PATIENCE)
        self.process = None

    def restart(self) -> None:
        """End the server and start it again."""
        self.stop()
        self.start()

    def children(self) -> list[int]:
        """Return the server's processes but the first, one for each connection among them."""
        assert self.process is not None
        number = self.process.pid
        return [int(one) for one in Path(f"/proc/{number}/task/{number}/children").read_text("ascii").split()]

    def log(self) -> str:
        """Return what the server has logged."""
        return (self.directory / "log").read_text("utf-8", "replace")

    # --- Databases -------------------------------------------------------------------------------

    def url(self, database: str = USER, *, user: str = USER) -> str:
        """Return the URL of a database, as `ledger` in a config has it."""
        return f"postgresql+psycopg://{user}@/{database}?host={self.directory}"

    def connect(self, database: str = USER, *, user: str = USER) -> psycopg.Connection[Any]:
        """Return a connection of its own that commits each statement by itself."""
        return psycopg.connect(host=str(self.directory), dbname=database, user=user, autocommit=True)

    def execute(self, statement: str, *values: object, database: str = USER) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows."""
        with self.connect(database) as connection:
            cursor = connection.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def ledger(self) -> Iterator[str]:
        """Take a database with an empty ledger, and yield its URL."""
        # To make one takes ten times as long as to empty one.
        name = self._empty.pop() if self._empty else self._make_ledger()
        yield self.url(name)
        if self.process is not None:
            self._clear(name)
            self._empty.append(name)

    def _make_ledger(self) -> str:
        name = f"ledger_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        Store.open(self.url(name)).close()
        return name

    def _clear(self, name: str) -> None:
        with self.connect(name) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            full = connection.execute(_FULL).fetchall()
            for table in (table for table in reversed(metadata.sorted_tables) if (table.name,) in full):
                connection.execute(f"DELETE FROM {table.name}")  # noqa: S608
            connection.execute(
                "INSERT INTO numbers SELECT * FROM unnest(%s::text[], %s::bigint[])",
                [list(FIRST_NUMBERS), list(FIRST_NUMBERS.values())],
            )
            connection.execute(_RESTART)

    @contextmanager
    def blank_database(self) -> Iterator[str]:
        """Make a database without tables, and yield its URL."""
        name = f"blank_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        yield self.url(name)
        if self.process is not None:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")
