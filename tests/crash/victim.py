"""One life of the service, in a process of its own that may end itself at a point where the world changes."""

from __future__ import annotations

import errno
import logging
import os
import signal
import threading
from argparse import Namespace
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import wraps
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from sqlalchemy.engine.default import DefaultDialect

from dingwatch import file_writes, files, policy
from dingwatch.config.values import Config
from dingwatch.delivery import Reader
from dingwatch.dingtalk.transport import Transport
from dingwatch.dingtalk.wire import Route
from dingwatch.ledger import folders
from dingwatch.service.daemon import Service

READY: Final = "ready"
WRITES: Final = {name: name for name in ("mkdir", "rmdir", "link", "unlink", "write", "fchmod", "fchown")}
WRITES["rename"] = "directory rename"  # files are moved by renameat2
DOUBT_WAIT: Final = 0.5
"""Seconds instead of the half minute after which a doubted delivery is sent again.

Longer than a newer version of the file needs to be ready, so that this one must be seen to wait.
"""


@dataclass(frozen=True, slots=True)
class Kill:
    """Where a life ends: at the `at`-th point whose name contains `where`."""

    at: int
    where: str = ""
    two_names: bool = False
    """Whether the file system cannot rename without replacing, so that files are moved by two names."""


def log_of(config: Config) -> Path:
    """Return where all lives of one ledger write what they have to say."""
    return config.state_dir.with_name("log")


def live(config: Config, kill: Kill | None, line: Connection) -> None:
    """Run the service until the process is killed, or the test hangs up.

    The line is told when the service is ready, and the name of the point at which the process ends.
    """
    threading.Thread(target=_end_with, args=(line,), daemon=True).start()
    log = logging.getLogger("dingwatch")
    log.addHandler(logging.FileHandler(log_of(config)))
    log.setLevel(logging.INFO)
    vars(policy)["DOUBT_WAIT"] = DOUBT_WAIT
    if kill is not None:
        _Points(kill, line.send).install()
    service = Service(config)
    service.start()
    service.ready.wait()
    line.send(READY)
    service.ended.wait()
    log.critical("the service ended by itself", exc_info=service.failed)
    os._exit(1)


def _end_with(line: Connection) -> None:
    """Wait for the end of the test, which must leave no process behind."""
    with suppress(EOFError, OSError):
        line.recv()
    os._exit(0)


@dataclass
class _Points:
    """Counts the points that are reached, and kills the process at the chosen one."""

    kill: Kill
    tell: Callable[[str], None]
    reached: int = 0
    turn: threading.Lock = field(default_factory=threading.Lock)

    def reach(self, name: str) -> None:
        """Note a point; the chosen one is never left."""
        if self.kill.where not in name:
            return
        with self.turn:
            self.reached += 1
            if self.reached == self.kill.at:
                self.tell(name)
                os.kill(os.getpid(), signal.SIGKILL)

    def install(self) -> None:
        """Find the points: commits, requests, reads and the first look at a folder."""
        self._commits()
        self._around(Transport, "exchange", lambda _self, _method, url, *_: f"request {_api(url)}")
        self._around(Route, "open", lambda _self, _method, url, *_: f"effect of {_api(url)}", before=False)
        self._around(files, "digest", lambda *_: "digest")
        self._around(files, "read", lambda *_: "reading")
        self._around(Reader, "require_unchanged", lambda *_: "reading through")
        self._around(folders, "mark_first_look", lambda *_: "baseline")
        self._writes()

    def _writes(self) -> None:
        """Reach a point before and after each system call that changes something in a watched folder."""
        calls = Namespace(**vars(os))
        for name, label in WRITES.items():
            self._around(calls, name, lambda *_, label=label: label)
        # Of all files that are opened there, only new ones are a change.
        self._around(file_writes, "_create", lambda *_: "create")
        vars(file_writes)["os"] = calls
        renameat2 = (lambda *_: errno.ENOSYS) if self.kill.two_names else file_writes._renameat2()
        moving = Namespace(renameat2=renameat2)
        self._around(moving, "renameat2", lambda *_: "renameat2")
        vars(file_writes)["_renameat2"] = lambda: moving.renameat2

    def _around(self, owner: object, name: str, what: Callable[..., str], *, before: bool = True) -> None:
        """Reach a point before and after each call of a function."""
        inner: Callable[..., Any] = getattr(owner, name)

        @wraps(inner)
        def outer(*args: Any, **more: Any) -> Any:  # noqa: ANN401 (whatever it is)
            called = what(*args)
            if before:
                self.reach(f"before {called}")
            result = inner(*args, **more)
            self.reach(f"after {called}")
            return result

        setattr(owner, name, outer)

    def _commits(self) -> None:
        """Reach a point before and after each commit that changes something, named by its thread."""
        inner: Callable[[Any, Any], None] = DefaultDialect.do_commit

        def commit(dialect: Any, connection: Any) -> None:  # noqa: ANN401 (without types)
            if not _has_changed(connection):
                inner(dialect, connection)
                return
            name = threading.current_thread().name
            self.reach(f"before commit of {name}")
            inner(dialect, connection)
            self.reach(f"after commit of {name}")

        setattr(DefaultDialect, inner.__name__, commit)


def _has_changed(connection: Any) -> bool:  # noqa: ANN401 (sqlite3's or psycopg's)
    """Return whether the transaction of a connection has changed anything."""
    if not hasattr(connection, "total_changes"):
        found = connection.execute("SELECT pg_current_xact_id_if_assigned() IS NOT NULL").fetchone()
        return bool(found[0])
    before = connection.info.get("changes", 0)
    connection.info["changes"] = connection.total_changes
    return bool(connection.total_changes != before)


def _api(url: str) -> str:
    """Name a request by its path; the rest of the address holds a token."""
    return urlsplit(url).path.rpartition("/")[2]
