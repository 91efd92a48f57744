"""Another configuration without a restart: read, refused as a whole or taken over as a whole.

The file is read and checked in another process, and new folders are looked at, which may take seconds where
a share hangs; both loops work on meanwhile. Then the folders are bound to the ledger in one transaction, as
at a start. That happens in the intake loop's own thread, so that no link is followed in between, and each
loop takes over what changed for it between two of its ticks.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

from dingwatch.config import stars
from dingwatch.config.apart import UpgradedError
from dingwatch.config.values import Config, ConfigError, Problem
from dingwatch.intake import FolderChanges, FoldersChanged, IntakeLoop
from dingwatch.intake.changes import Wanted
from dingwatch.ledger import LedgerError, Store, pauses
from dingwatch.model import Cause
from dingwatch.service.differences import compare, keep_roots, list_new, list_restarts
from dingwatch.service.folders import Folders, LookedUp, bind_looked_up, look_up, note_look
from dingwatch.service.reloaded import Reloaded

BUSY_SECONDS: Final = 30.0
"""How long the intake loop may take until it comes to the change; a tick lasts some milliseconds."""
READY_SECONDS: Final = 60.0
"""How long new folders are waited for. What hangs is down after 30 s, but a first look may take longer."""
LOOK_SECONDS: Final = 0.02
MOST_KEPT: Final = 16
"""Outcomes that are kept for those who asked for them."""
_BUSY: Final = Cause("busy", "", "")


class Sides(Protocol):
    """The parts of the service that a reload needs."""

    @property
    def config(self) -> Config:
        """The configuration in force."""

    @property
    def stopped(self) -> threading.Event:
        """Set when the service ends."""

    def prepare(self, config: Config, folders: Folders) -> None:
        """Get ready for new folders, whose binding may yet fail."""

    def take_over(self, config: Config, folders: Folders) -> None:
        """Put a configuration in force whose folders are bound."""


@dataclass(frozen=True, slots=True)
class _Binding:
    """The locations of folders, as far as they are known before folders are bound."""

    looked_up: LookedUp
    looked_at: float
    """When the directories of folders with a `*` were listed (wall clock)."""
    probes: bool
    """Whether pauses that wait for a person are tried again."""


@dataclass(frozen=True, slots=True)
class LookedAgain:
    """The outcome of a look at the directories of `*`: the configuration before and after it."""

    before: Config
    after: Config
    problems: tuple[Problem, ...]
    """Of tables that were edited, or of the rest of the file."""


class Reloader:
    """Takes over another configuration, one at a time."""

    def __init__(
        self,
        sides: Sides,
        store: Store,
        intake: IntakeLoop,
        put: Callable[[FoldersChanged], None],
        load: Callable[[], Config],
    ) -> None:
        self._sides = sides
        self._store = store
        self._intake = intake
        self._put = put
        self._load = load
        self._one_at_a_time = threading.Lock()
        self._read: dict[Path, tuple[int, ...]] = {}
        """The stamps of the tables when they were last read again."""

    def reload(self) -> Reloaded:
        """Read the configuration, and put it in force if nothing speaks against it; any thread may call."""
        with self._one_at_a_time:  # the second reads what the file says by then
            looked_at = time.time()  # before the look at directories of `*`: what comes meanwhile is new
            try:
                return self._reload(self._load(), looked_at)
            except ConfigError as error:
                return Reloaded(problems=error.problems)
            except UpgradedError as error:
                return Reloaded(restarts=(f"dingwatch {error}",))
            except LedgerError as error:
                return Reloaded(cause=error.cause)

    def look_again(self) -> LookedAgain:
        """Take up what has changed among the directories of `*`, and in their tables.

        Raises:
            LedgerError: nothing can be taken up now.
        """
        with self._one_at_a_time:
            before = self._sides.config
            looked_at = time.time()  # before the look: what comes meanwhile is new at the next one
            with_tables, problems = self._read_edited_tables(before)
            after = keep_roots(before, stars.expand(with_tables))
            if after == before:
                with self._store.writing() as connection:
                    note_look(connection, before, looked_at)
            else:
                looked_up = look_up(self._store, list_new(before, after))
                self._change(after, _Binding(looked_up, looked_at, probes=False))
            return LookedAgain(before, after, problems)

    def _read_edited_tables(self, config: Config) -> tuple[Config, tuple[Problem, ...]]:
        """Return the configuration with the rows of tables that were edited since they were read.

        A table that cannot be used is read once, until it is edited again; the rows in force stay.
        """
        stamps = {one.table: stars.stamp_of(one.table) for one in config.stars if one.table}
        in_force = {one.table: one.stamp for one in config.stars if one.table}
        if stamps in (in_force, self._read):
            return config, ()
        self._read = stamps
        try:
            read = {(one.pattern, one.table): one for one in self._load().stars}
        except ConfigError as error:
            return config, error.problems
        except UpgradedError:  # the next start reads it
            return config, ()
        fresh = [read.get((one.pattern, one.table), one) for one in config.stars]
        changed = [
            replace(one, rows=new.rows, stamp=new.stamp) for one, new in zip(config.stars, fresh, strict=True)
        ]
        return replace(config, stars=tuple(changed)), ()

    def _reload(self, config: Config, looked_at: float) -> Reloaded:
        before = self._sides.config
        if restarts := list_restarts(before, config):
            return Reloaded(restarts=restarts)
        config = keep_roots(before, config)
        differences = compare(before, config)
        looked_up = look_up(self._store, list_new(before, config))
        self._change(config, _Binding(looked_up, looked_at, probes=not differences.empty))
        return Reloaded(differences, self._wait_until_ready())

    def _change(self, config: Config, binding: _Binding) -> None:
        """Have the folders bound and followed.

        Raises:
            LedgerError: they cannot be bound; nothing was changed.
        """
        changed: Future[FolderChanges] = Future()

        def bind() -> Wanted | None:
            if not changed.set_running_or_notify_cancel():
                return None
            try:
                return self._bind(keep_roots(self._sides.config, config), binding)
            except LedgerError as error:
                changed.set_exception(error)
                return None

        self._put(FoldersChanged(config.keep, bind, changed.set_result))
        try:
            changed.result(BUSY_SECONDS)
        except FutureTimeoutError:
            # Either it is not begun, and will not be, or it is carried out at this moment.
            if changed.cancel():
                raise LedgerError(_BUSY) from None
            changed.result()

    def _bind(self, config: Config, binding: _Binding) -> Wanted:
        """Bind the folders to the ledger, and put the configuration in force."""
        with self._store.writing() as connection:
            folders = bind_looked_up(connection, config, binding.looked_up, binding.looked_at)
            if (
                binding.probes
            ):  # what only a person can end may be over: that is why the configuration was changed
                pauses.probe_pauses(connection)
            self._sides.prepare(config, folders)
        self._sides.take_over(config, folders)
        return list(zip(folders.settings, folders.marks, strict=True))

    def _wait_until_ready(self) -> bool:
        """Wait until new folders are watched or reported down: what is dropped from then on is new."""
        until = time.monotonic() + READY_SECONDS
        while not self._intake.ready:
            if time.monotonic() >= until or self._sides.stopped.wait(LOOK_SECONDS):
                return False
        return True


class Reloads:
    """Reloads that commands have asked for: each is carried out in a thread of its own, and asked after.

    Nothing that answers a command may take seconds: others wait for their answers.
    """

    def __init__(self, file: Path, reload: Callable[[], Reloaded]) -> None:
        self.file = file
        """The config file that is read."""
        self._reload = reload
        self._number = 0
        self._outcomes: dict[int, Reloaded] = {}
        self._lock = threading.Lock()

    def begin(self) -> int:
        """Begin one; return its number."""
        with self._lock:
            self._number += 1
            number = self._number
        threading.Thread(target=self._run, args=(number,), name="reload", daemon=True).start()
        return number

    def outcome(self, number: int) -> Reloaded | None:
        """Return what came of one; None while it is carried out."""
        return self._outcomes.get(number)

    def _run(self, number: int) -> None:
        done = self._reload()
        with self._lock:
            self._outcomes[number] = done
            for old in list(self._outcomes)[:-MOST_KEPT]:
                del self._outcomes[old]
