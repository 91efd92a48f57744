"""The daemon: runs and supervises both loops until a signal or an exception ends them."""

from __future__ import annotations

import contextlib
import dataclasses
import faulthandler
import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from dingwatch import names
from dingwatch.config import stars
from dingwatch.config.values import Config, LogOptions
from dingwatch.host.lock import LOCK_FILE, Lock
from dingwatch.host.signals import when_asked_to_stop
from dingwatch.host.streams import OutputError
from dingwatch.host.systemd import notify, wants_watchdog
from dingwatch.intake import FolderSettings
from dingwatch.ledger import LedgerError, Outage, Store
from dingwatch.model import Cause, WatchKind
from dingwatch.service.alerting import JOIN_SECONDS, Alerting, Sources
from dingwatch.service.api import Api, Parts, Server
from dingwatch.service.canary import Canary, Health, Route
from dingwatch.service.condition import describe_condition
from dingwatch.service.delivering import DeliverySide
from dingwatch.service.directories import Directories
from dingwatch.service.feedback import FeedbackSide
from dingwatch.service.folders import Folders, bind_folders, folder_feedback, folder_policy, folder_settings
from dingwatch.service.heartbeat import Heartbeat
from dingwatch.service.in_force import InForce
from dingwatch.service.intaking import IntakeSide
from dingwatch.service.ledgers import Backups, Checkpoints, open_ledger
from dingwatch.service.log import EXIT_BUG, EXIT_CONFIG, ServiceLog, Shown, log_bug, log_to_stderr
from dingwatch.service.memory import ScanMemory, share_heap
from dingwatch.service.node import ENDS_SERVICE, LEASE, LeaseKeeper, NameTakenError, OpenLedger, StoppedError
from dingwatch.service.questions import Questions
from dingwatch.service.reload import Reloader, Reloads
from dingwatch.service.reloaded import Reloaded, describe
from dingwatch.service.sentences import ClientSentences
from dingwatch.texts import Log, system_words

MakeServer = Callable[[Config, Api], Server]
"""Makes what serves the API; it does not listen yet."""
STATE_DIR_SECONDS: Final = 5.0
"""How soon a service without folders notices that its state directory is gone."""


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """The config file, and what reads it; that raises ConfigError for a bad one."""

    file: Path
    load: Callable[[], Config]


class StateDirGoneError(Exception):
    """The state directory was removed or replaced while the service ran."""


class Service:
    """The whole daemon. Nothing runs before `start`; `stop` ends it within ten seconds."""

    def __init__(
        self,
        config: Config,
        *,
        log: Callable[..., None] | None = None,
        source: Source | None = None,
        tell: Callable[..., None] = lambda *_: None,
        set_up_log: Callable[[LogOptions], None] = lambda _: None,
        make_server: MakeServer | None = None,
    ) -> None:
        """Take what the service must not have of its own.

        Args:
            config: what it works with at first.
            log: what writes a line of log.
            source: where the configuration is read again; without it, it never changes.
            tell: what tells systemd of a reload.
            set_up_log: what changes the level and the form of the log.
            make_server: makes what serves the API, which lies above the service; without it nothing can be
                asked.
        """
        self._config = config
        self._shown = config, InForce.of(config, by_service=True)
        self._source = source or Source(Path(), lambda: self._config)
        self._tell = tell
        self._set_up_log = set_up_log
        self._own_log = ServiceLog(config.language, Shown(self._name_folder, self._name_of))
        self.log = self._log = log or self._own_log
        self._opened = threading.Event()
        self.announced = threading.Event()
        """Set when systemd was told that the service is ready."""
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._lock = Lock(config.state_dir / LOCK_FILE)
        self._store: Store | None = None
        self._node: LeaseKeeper | None = None
        self.lease = LEASE
        """How many seconds it may be cut off from a shared ledger before others take over its work."""
        self._make_server = make_server
        self.server: Server | None = None
        self.ready = threading.Event()
        self.ended = threading.Event()
        self.failed: BaseException | None = None
        self.on_alive: Callable[[], None] = lambda: None
        self._told_by: dict[str, threading.Thread] = {}

    def start(self) -> None:
        """Take the lock, open the ledger and start both loops.

        Raises:
            LockedError: another daemon works on this state directory.
            NameTakenError: another process works on the same ledger under the name of this node.
            StoppedError: it was to stop before it had begun.
            LedgerError: the ledger cannot be opened.
        """
        self._config.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock.acquire()  # before the ledger is touched: a second daemon must not even migrate it
        try:
            self._open()
        except BaseException:
            if self._node is not None:
                self._node.leave()
            if self._store is not None:
                self._store.close()
            self._lock.release()
            raise
        for thread in self._threads:
            thread.start()
        # Nobody waits for them at the end: they may hang where a loop hangs.
        for name, run in (("canary", self._canary.run), ("directories", self._directories.run)):
            threading.Thread(target=self._guard, args=(run,), name=name, daemon=True).start()
        self._backups.start()
        self._start_telling(self._config)

    def _start_telling(self, config: Config) -> None:
        """Start what tells people of trouble, and whoever waits for a sign of life, once it is wanted.

        Once started they go on: without anybody to tell they only look whether there is somebody now. A node
        that tells nobody itself writes down which of its folders are down: another one may tell of them.
        """
        shared = self._store is not None and self._store.shared
        wanted = {
            "alerts": shared or bool(config.alerts.to),
            "heartbeat": config.alerts.heartbeat_url is not None,
        }
        for name, run in self._telling.items():
            if wanted[name] and name not in self._told_by:
                thread = threading.Thread(target=self._guard, args=(run,), name=name, daemon=True)
                self._told_by[name] = thread
                thread.start()

    def _open(self) -> None:
        store = self._store = open_ledger(self._config)
        outage = Outage(self._log)
        ledger = OpenLedger(store, outage)
        if store.shared:
            app = self._config.dingtalk.client_id
            node = self._node = ledger.node = LeaseKeeper(ledger, self._log, app, seconds=self.lease)
            node.join(self.ended)
        self._backups = Backups(self._config, self._log)
        self._checkpoints = Checkpoints(self._config, store)
        self._memory = ScanMemory(store)
        looked_at = time.time()  # before the look: what comes meanwhile is new at the next one
        self._config = stars.expand(self._config)
        folders = bind_folders(store, self._config, looked_at)
        for folder, before in folders.switched:
            self._log_switched(folder.name, folder.path, before, folder.root)
        self._delivery = DeliverySide(self._config, ledger, folders, self._log)
        self._intake = IntakeSide(self._config, ledger, folders, self._delivery.poke, self._log)
        # The loops know nothing of each other. A few calls, and the ledger, are all that connects them:
        # intake wakes delivery for new rows and tells it which shares are down, delivery has intake look
        # again at a file that changed.
        self._delivery.hint = self._intake.inbox.put
        self._feedback = FeedbackSide(self._config, ledger, folders, self._log)
        self._feedback.watching, self._feedback.hint = self.watching, self._intake.inbox.put
        self._intake.on_written = self._feedback.note_files
        self._delivery.loop.list_shares_down = self._intake.loop.list_shares_down
        self._delivery.on_tick = self._intake.on_tick = self._feedback.note_change
        self._intake.on_ready = self._become_ready
        self._intake.on_scanned = self._memory.note_scan
        self._intake.on_switched = self._follow_link
        self._reloader = Reloader(self, store, self._intake.loop, self._intake.inbox.put, self._source.load)
        self._directories = Directories(lambda: self._config, self._reloader.look_again, self._log)
        reloads = Reloads(self._source.file, self.reload)
        self._questions = Questions(
            ledger,
            self._intake.loop,
            self._in_force,
            self._wake,
            reloads,
            lambda: self._delivery.loop.in_hand,
        )
        inboxes = (self._intake.inbox, self._delivery.inbox, self._feedback.inbox)
        route = Route(self._intake.observer, inboxes, store, outage)
        self._canary = Canary(self._config.state_dir, route, self.on_alive)
        sources = Sources(
            config=lambda: self._config,
            store=store,
            down=lambda: {one.id: one.cause for one in self._intake.loop.list_down()},
            ledger_error=lambda: self.health().ledger_error,
            clock=ledger.clock.now,
        )
        self._alerting = Alerting(sources, self._delivery, self._log)
        self._telling = {
            "alerts": self._alerting.run,
            "heartbeat": Heartbeat(lambda: self._config.alerts.heartbeat_url, self.health, self._log).run,
        }
        if self._make_server is not None:
            # Before the loops run: a command that finds the lock taken may then ask the daemon.
            self.server = self._make_server(self._config, self._make_api(ledger))
            self.server.start()
            self._delivery.on_tick = self._intake.on_tick = self._note_tick
        threads = {
            "delivery": self._delivery.run,
            "intake": self._intake.run,
            "feedback": self._feedback.run,
            "state directory": self._watch_state_dir,
        }
        if self._node is not None:
            self._node.wake = self._wake
            threads["node"] = self._node.run
        self._threads = [
            threading.Thread(target=self._guard, args=(run,), name=name) for name, run in threads.items()
        ]
        self._opened.set()

    # --- Another configuration -------------------------------------------------------------------

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self._config

    @property
    def stopped(self) -> threading.Event:
        """Set when the service ends."""
        return self._stop

    def reload(self) -> Reloaded:
        """Read the configuration again and put it in force, or say why not; any thread may call this."""
        self._opened.wait()  # SIGHUP may come while the service starts
        announced = self.announced.is_set()
        if announced:
            self._tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            done = self._reloader.reload()
        except BaseException as error:  # noqa: BLE001 (`serve` logs it once, with its traceback)
            self._end(error)
            return Reloaded(cause=Cause("internal", "", ""))
        if announced and not self.ended.is_set():
            self._tell("READY=1")
        self._log_reloaded(done)
        return done

    def _log_reloaded(self, done: Reloaded) -> None:
        render = ClientSentences(self._config.language).render
        sentences = [sentence.rstrip("。") for sentence in describe(done, render)]
        if done.done:
            self._log(Log.RELOADED, changes="; ".join(sentences))
            return
        self._log(Log.RELOAD_REFUSED, problems="; ".join(sentences))

    def prepare(self, config: Config, folders: Folders) -> None:
        """Get ready for new folders, whose binding may yet fail."""
        self._delivery.prepare(config, folders)

    def take_over(self, config: Config, folders: Folders) -> None:
        """Put a configuration in force whose folders are bound; in intake's thread, as following links is."""
        before, self._config = self._config, config
        self._own_log.change_language(config.language)
        if config.log != before.log:
            self._set_up_log(config.log)
        self._intake.prepare(folders)
        self._delivery.change(config, folders)
        self._start_telling(config)
        self._feedback.change(config, folders)
        for folder, root in folders.switched:
            self._log_switched(folder.name, folder.path, root, folder.root)

    # --- Links, readiness, ends ------------------------------------------------------------------

    def _make_api(self, ledger: OpenLedger) -> Api:
        parts = Parts(
            config=lambda: self._config,
            in_force=self._in_force,
            ledger=ledger,
            intake=self._intake,
            delivery=self._delivery,
            questions=self._questions,
            wake=self._wake,
            health=self.health,
            reload=self.reload,
            started_at=time.time(),
            log=self._own_log,
        )
        return Api(parts, self._end)

    def _in_force(self) -> InForce:
        """Return the configuration as commands are shown it; made once, for it may have 300 folders."""
        config, (of, shown) = self._config, self._shown
        if of is not config:
            shown = InForce.of(config, by_service=True)
            self._shown = config, shown
        return shown

    def _follow_link(self, former: FolderSettings, number: int, root: bytes) -> FolderSettings:
        """Have delivery read from the root to which a folder's path leads now; return its settings.

        Commands ask the service which roots it works with, so the configuration in force changes too.
        """
        folder = next(one for one in self._config.folders if one.name == former.name)
        self._delivery.add_folder(number, root, folder_policy(self._config, folder, number))
        now = dataclasses.replace(folder, root=root)
        others = [one.root for one in self._config.folders if one is not folder]
        self._feedback.add_folder(number, folder_feedback(now, root, others))
        folders = tuple(now if one is folder else one for one in self._config.folders)
        self._config = dataclasses.replace(self._config, folders=folders)
        self._log_switched(folder.name, folder.path, former.root, root)
        return folder_settings(self._config, now, number, root, moved=former.filter.rules.moves)

    def _name_of(self, recipient: str) -> str:
        """Return a recipient as people are shown it, by the configuration in force."""
        return self._config.recipient_names.get(recipient, recipient)

    def _name_folder(self, number: int) -> str:
        """Return the name of a folder by its number in the ledger; nothing is sent from any other."""
        return self._delivery.folder_name(number)

    def _log_switched(self, name: str, path: Path, before: bytes, root: bytes) -> None:
        shown = {"before": names.readable(before), "root": names.readable(root)}
        self._log(Log.SWITCHED, folder=name, path=str(path), **shown)

    def _become_ready(self) -> None:
        """Report that all first looks are written, in the ledger's own file too.

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
        while not stop.wait(self._state_dir_seconds()):
            if not self._lock.in_place():
                self._log(Log.STATE_DIR_GONE, path=str(self._config.state_dir))
                raise StateDirGoneError
            self._checkpoints.keep_up(time.monotonic())
            self._own_log.write_counted()
            self._memory.give_back(time.monotonic())

    def _state_dir_seconds(self) -> float:
        """Return half of the shortest interval of the folders: a loss is noticed within a whole one."""
        return min((one.poll_interval for one in self._config.folders), default=STATE_DIR_SECONDS) / 2

    def _end(self, error: BaseException | None) -> None:
        self.failed = self.failed or error
        self._stop.set()
        self.ended.set()
        self.ready.set()  # nobody must wait for a service that will not become ready
        self._delivery.inbox.wake()
        self._intake.inbox.wake()
        self._feedback.stop()
        if self._node is not None:
            self._node.stop()

    def _note_tick(self) -> None:
        """Have others see what one of the loops may have written."""
        assert self.server is not None  # noqa: S101 (else nobody is told)
        self.server.note_change()
        self._feedback.note_change()

    def _wake(self) -> None:
        self._delivery.poke()
        self._intake.inbox.wake()

    def watching(self) -> dict[int, tuple[WatchKind, int]]:
        """Return how each folder (by its id in the ledger) is watched, and how many of its files settle."""
        return self._intake.loop.watching()

    def health(self) -> Health:
        """Return whether everything that a file has to pass still works."""
        return self._canary.health()

    def describe(self) -> str:
        """Return in one line what the service does and what is wrong."""
        assert self._store is not None  # noqa: S101 (opened by `start`)
        watched = [kind for kind, _ in self.watching().values()]
        return describe_condition(self._store, watched, self._config.language)

    def stop(self) -> None:
        """Take no more work, finish or abandon what is in flight, and close everything."""
        self._stop.set()
        if self._threads:
            self._delivery.inbox.wake()
            self._intake.inbox.wake()
            self._feedback.stop()
            self._backups.stop()
            if self._node is not None:
                self._node.stop()
        for thread in self._threads:
            thread.join()
        for thread in self._told_by.values():  # what hangs in a call is not waited for
            thread.join(JOIN_SECONDS)
        if self._told_by:
            self._alerting.abandon()
        if self.server is not None:
            self.server.stop()
        if self._node is not None:
            self._node.leave()
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


def serve(config: Config, environ: Mapping[str, str], source: Source, make_server: MakeServer) -> int:
    """Run the service in the foreground until SIGTERM or SIGINT; return the exit code.

    SIGHUP has it read the config file of `source` again.
    """
    share_heap()
    log_to_stderr(config.log, environ)
    # When the watchdog ends a service that hangs, by SIGABRT, each thread's place in the code is logged.
    with contextlib.suppress(OSError, ValueError):  # stderr may be closed
        faulthandler.enable()
    service = Service(
        config,
        source=source,
        tell=partial(notify, environ),
        set_up_log=partial(log_to_stderr, environ=environ),
        make_server=make_server,
    )
    log = service.log
    asked = threading.Event()

    def stop() -> None:  # a signal may come while the service still starts: `ready` is not waited for then
        asked.set()
        service.ended.set()
        service.ready.set()

    # In a thread of its own: the one that waits for signals must hear of the next SIGTERM.
    when_asked_to_stop(
        stop, lambda: threading.Thread(target=service.reload, name="reload", daemon=True).start()
    )
    service.on_alive = partial(_tell_systemd, service, environ)
    try:
        service.start()
    except StoppedError:
        return 0
    service.ready.wait()
    if not asked.is_set() and service.failed is None:
        _print_ready(config, log)
        notify(environ, "READY=1", f"STATUS={service.describe()}")
        service.announced.set()
    service.ended.wait()
    notify(environ, "STOPPING=1")
    service.stop()
    if isinstance(service.failed, StateDirGoneError):
        return 1
    if isinstance(service.failed, NameTakenError):
        log(Log.NODE_TAKEN, node=service.failed.name)
        return EXIT_CONFIG
    if isinstance(service.failed, LedgerError) and service.failed.cause.advice in ENDS_SERVICE:
        log(Log.LEDGER_DOWN, **service.failed.cause.log_values())
        return EXIT_CONFIG
    if service.failed is not None:
        log_bug(Log.BUG.render(config.language), service.failed)
        return EXIT_BUG
    return 0


def _tell_systemd(service: Service, environ: Mapping[str, str]) -> None:
    """Feed systemd's watchdog, and report the service's condition in a few words."""
    if "NOTIFY_SOCKET" in environ:
        alive = ["WATCHDOG=1"] if wants_watchdog(environ) else []
        notify(environ, *alive, f"STATUS={service.describe()}")


def _print_ready(config: Config, log: Callable[..., None]) -> None:
    """Print the line that a starting program may wait for; the service needs no reader."""
    try:
        sys.stdout.write(f"ready {Log.READY.render(config.language, count=len(config.folders))}\n")
        sys.stdout.flush()
    except OutputError as failure:
        log(Log.NO_OUTPUT, reason=system_words(str(failure), config.language))
