"""The daemon's ledger: where it lies, what is checked before it is opened, and its daily backup."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from dingwatch import quota
from dingwatch.config.values import LEDGER_FILE, Config
from dingwatch.ledger import LedgerError, Store, integrity, sqlite_url
from dingwatch.model import Cause
from dingwatch.service.node import node_name
from dingwatch.texts import Log
from dingwatch.watch import kind_of

CHECKPOINT_SECONDS: Final = 2.0
"""Seconds between two copies of the ledger's log to its file, while there is something to copy."""
LOOK_SECONDS: Final = 3600.0
"""How often the backup thread looks whether a new day has begun."""


def ledger_url(config: Config) -> str:
    """Return the ledger's URL."""
    return config.ledger or sqlite_url(config.state_dir / LEDGER_FILE)


def open_ledger(config: Config) -> Store:
    """Open the ledger of a daemon.

    Raises:
        LedgerError: it is damaged or missing, lies on a network file system, is of a newer dingwatch, or
            cannot be opened.
    """
    path = config.ledger_file
    if path is not None:
        kind = kind_of(os.fsencode(path.parent.resolve()))
        # SQLite's locks do not hold on NFS and SMB, and its WAL needs memory that all who use it share.
        if kind.network:
            raise LedgerError(Cause("network", kind.name, "LEDGER_NETWORK"))
        integrity.require_whole(path)
    return Store.open(ledger_url(config), node_name(config))


class Checkpoints:
    """Copies the ledger's log to its own file soon after it was written, not only when it is 4 MB large.

    Whoever copies ledger.db alone, or loses ledger.db-wal, then loses some seconds and not a week: files that
    would be sent again, and calls that would not be counted.
    """

    def __init__(self, config: Config, store: Store) -> None:
        path = config.ledger_file
        self._log = None if path is None else path.with_name(path.name + "-wal")
        self._store = store
        self._copied: int | None = None
        self._next_at = 0.0

    def keep_up(self, now: float) -> None:
        """Copy what was written since the last call; `now` is monotonic, and calls may come at any rate."""
        if self._log is None or now < self._next_at:
            return
        with suppress(OSError, LedgerError):  # the loops report a ledger that cannot be used
            written = self._log.stat().st_mtime_ns
            if written != self._copied:
                self._next_at = now + CHECKPOINT_SECONDS
                self._store.checkpoint()
                self._copied = written


class Backups:
    """Backs the ledger up, once a day. Nothing runs before `start`."""

    def __init__(self, config: Config, log: Callable[..., None]) -> None:
        self._path = config.ledger_file
        self._log = log
        self._failed = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="backup", daemon=True)

    def start(self) -> None:
        """Back up every day; a ledger that is no file is backed up by those who run its server."""
        if self._path is not None:
            self._thread.start()

    def stop(self) -> None:
        """Begin no further backup."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._back_up()
            self._stop.wait(LOOK_SECONDS)

    def _back_up(self) -> None:
        assert self._path is not None  # noqa: S101 (else it was not started)
        try:
            integrity.back_up(self._path, quota.day(time.time()))
            self._failed = ""
        except LedgerError as error:
            cause = error.cause
            if cause.code != self._failed:  # once, not every hour
                self._log(Log.BACKUP_FAILED, **cause.log_values())
            self._failed = cause.code
