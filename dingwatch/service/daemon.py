"""The daemon: runs and supervises both loops until a signal or an exception ends them."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from dingwatch import names
from dingwatch.config.values import Config
from dingwatch.host.control_socket import ControlServer
from dingwatch.host.lock import LOCK_FILE, Lock
from dingwatch.host.signals import when_asked_to_stop
from dingwatch.host.streams import OutputError
from dingwatch.host.systemd import notify
from dingwatch.intake import FolderSettings
from dingwatch.ledger import LedgerError, Outage, Store
from dingwatch.model import WatchKind
from dingwatch.service.delivering import DeliverySide
from dingwatch.service.folders import bind_folders, folder_policy, folder_settings
from dingwatch.service.in_force import InForce
from dingwatch.service.intaking import IntakeSide
from dingwatch.service.ledgers import Backups, Checkpoints, open_ledger
from dingwatch.service.log import EXIT_BUG, log_bug, log_to_stderr, make_log
from dingwatch.service.memory import ScanMemory
from dingwatch.service.questions import Questions
from dingwatch.texts import Log, system_words

STATE_DIR_SECONDS: Final = 5.0
"""How soon a service without folders notices that its state directory is gone."""


class StateDirGoneError(Exception):
    """The state directory was removed or replaced while the service ran."""


class Service:
    """The whole daemon. Nothing runs before `start`; `stop` ends it within ten seconds."""

    def __init__(self, config: Config, *, log: Callable[..., None] | None = None) -> None:
        self._config = config
        self._log = log or make_log(config.language)
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._lock = Lock(config.state_dir / LOCK_FILE)
        self._store: Store | None = None
        self._control: ControlServer | None = None
        self.ready = threading.Event()
        self.ended = threading.Event()
        self.failed: BaseException | None = None

    def start(self) -> None:
        """Take the lock, open the ledger and start both loops.

        Raises:
            LockedError: another daemon works on this state directory.
            LedgerError: the ledger cannot be opened.
        """
        self._config.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock.acquire()  # before the ledger is touched: a second daemon must not even migrate it
        try:
            self._open()
        except BaseException:
            self._lock.release()
            raise
        for thread in self._threads:
            thread.start()
        self._backups.start()

    def _open(self) -> None:
        store = self._store = open_ledger(self._config)
        self._backups = Backups(self._config, self._log)
        self._checkpoints = Checkpoints(self._config, store)
        self._memory = ScanMemory(store)
        folders = bind_folders(store, self._config)
        outage = Outage(self._log)
        for folder, before in folders.switched:
            self._log_switched(folder.name, folder.path, before, folder.root)
        self._delivery = DeliverySide(self._config, store, folders, self._log, outage)
        self._intake = IntakeSide(self._config, store, folders, self._delivery.poke, self._log, outage)
        # The loops know nothing of each other. These two calls, and the ledger, are all that connects them:
        # intake wakes delivery for new rows, delivery has intake look again at a file that changed.
        self._delivery.hint = self._intake.inbox.put
        self._intake.on_ready = self._become_ready
        self._intake.on_scanned = self._memory.note_scan
        self._intake.on_switched = self._follow_link
        self._questions = Questions(
            store, self._intake.loop, outage, lambda: InForce.of(self._config, by_service=True), self._wake
        )
        # Before the loops run: a command that finds the lock taken may then ask the daemon.
        self._control = ControlServer(self._config.state_dir, self._answer)
        self._control.start()
        loops = {
            "delivery": self._delivery.run,
            "intake": self._intake.run,
            "state directory": self._watch_state_dir,
        }
        self._threads = [
            threading.Thread(target=self._guard, args=(run,), name=name) for name, run in loops.items()
        ]

    def _follow_link(self, former: FolderSettings, number: int, root: bytes) -> FolderSettings:
        """Have delivery read from the root to which a folder's path leads now; return its settings.

        Commands ask the service which roots it works with, so the configuration in force changes too.
        """
        folder = next(one for one in self._config.folders if one.name == former.name)
        self._delivery.add_folder(number, root, folder_policy(self._config, folder, number))
        now = dataclasses.replace(folder, root=root)
        folders = tuple(now if one is folder else one for one in self._config.folders)
        self._config = dataclasses.replace(self._config, folders=folders)
        self._log_switched(folder.name, folder.path, former.root, root)
        return folder_settings(self._config, now, number, root)

    def _log_switched(self, name: str, path: Path, before: bytes, root: bytes) -> None:
        shown = {"before": names.readable(before), "root": names.readable(root)}
        self._log(Log.SWITCHED, folder=name, path=str(path), **shown)

    def _become_ready(self) -> None:
        """Say that all first looks are written, in the ledger's own file too.

        Whoever copies that file without its log, or loses the log, has them at least: what lies in the
        folders by then is never taken for new, and what comes later never for old.
        """
        assert self._store is not None  # noqa: S101 (opened before the loops run)
        with contextlib.suppress(LedgerError):  # the log has them
            self._store.checkpoint(wait=True)
        self.ready.set()

    def _guard(self, run: Callable[[threading.Event], None]) -> None:
        """Run a loop; whatever ends it ends the service."""
        try:
            run(self._stop)
        except BaseException as error:  # noqa: BLE001 (`serve` logs it once, with its traceback)
            self._end(error)
        else:
            self._end(None)

    def _watch_state_dir(self, stop: threading.Event) -> None:
        """End the service when its state directory is removed: what it did then could not be recorded.

        The ledger's own file is guarded by `Store`, which writes nothing while it is away; here it is kept
        up to date with its log, and the memory of scans is given back.
        """
        # Half of the interval, so that it is noticed within a whole one.
        seconds = min((one.poll_interval for one in self._config.folders), default=STATE_DIR_SECONDS) / 2
        while not stop.wait(seconds):
            if not self._lock.in_place():
                self._log(Log.STATE_DIR_GONE, path=str(self._config.state_dir))
                raise StateDirGoneError
            self._checkpoints.keep_up(time.monotonic())
            self._memory.give_back(time.monotonic())

    def _end(self, error: BaseException | None) -> None:
        self.failed = self.failed or error
        self._stop.set()
        self.ended.set()
        self.ready.set()  # nobody must wait for a service that will not become ready
        self._delivery.inbox.wake()
        self._intake.inbox.wake()

    def _answer(self, question: str, arguments: Mapping[str, Any]) -> Mapping[str, object]:
        """Answer a command; an unexpected exception ends the service, not just the socket's thread."""
        try:
            return self._questions.answer(question, arguments)
        except Exception as error:  # noqa: BLE001 (`serve` logs it once, with its traceback)
            self._end(error)
            return {}

    def _wake(self) -> None:
        self._delivery.poke()
        self._intake.inbox.wake()

    def watching(self) -> dict[int, tuple[WatchKind, int]]:
        """Return how each folder (by its id in the ledger) is watched, and how many of its files settle."""
        return self._intake.loop.watching()

    def stop(self) -> None:
        """Take no more work, finish or abandon what is in flight, and close everything."""
        self._stop.set()
        if self._threads:
            self._delivery.inbox.wake()
            self._intake.inbox.wake()
            self._backups.stop()
        for thread in self._threads:
            thread.join()
        if self._control is not None:
            self._control.stop()
        if self._store is not None:
            self._store.close()
        self._lock.release()  # last: the next daemon may start at once

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def serve(config: Config, environ: Mapping[str, str]) -> int:
    """Run the service in the foreground until SIGTERM or SIGINT; return the exit code."""
    log_to_stderr()
    log = make_log(config.language)
    service = Service(config, log=log)
    asked = threading.Event()

    def stop() -> None:  # a signal may come while the service still starts: `ready` is not waited for then
        asked.set()
        service.ended.set()
        service.ready.set()

    when_asked_to_stop(stop, lambda: log(Log.HANG_UP))
    shared = (f"folders[{i}].shared" for i, folder in enumerate(config.folders) if folder.shared is not None)
    for key in (*config.later, *shared):
        log(Log.NOT_YET, key=key)
    service.start()
    service.ready.wait()
    if not asked.is_set() and service.failed is None:
        _print_ready(config, log)
        notify(environ, "READY=1")
    service.ended.wait()
    notify(environ, "STOPPING=1")
    service.stop()
    if isinstance(service.failed, StateDirGoneError):
        return 1
    if service.failed is not None:
        log_bug(Log.BUG.render(config.language), service.failed)
        return EXIT_BUG
    return 0


def _print_ready(config: Config, log: Callable[..., None]) -> None:
    """Print the line that a starting program may wait for; the service needs no reader."""
    try:
        sys.stdout.write(f"ready {Log.READY.render(config.language, count=len(config.folders))}\n")
        sys.stdout.flush()
    except OutputError as failure:
        log(Log.NO_OUTPUT, reason=system_words(str(failure), config.language))
