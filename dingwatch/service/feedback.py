"""The feedback loop with its pool and thread; it sleeps while no folder gives feedback."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from dingwatch.config.values import Config
from dingwatch.feedback import Executor, FeedbackLoop, FolderFeedback, Job, Outcome
from dingwatch.feedback.jobs import MoveFiles
from dingwatch.host.zone import local_month
from dingwatch.model import Now, WatchKind
from dingwatch.service import looping
from dingwatch.service.folders import Folders, feedback_settings
from dingwatch.service.inbox import Inbox
from dingwatch.service.node import OpenLedger
from dingwatch.service.pool import Pool
from dingwatch.watch import Hint

GATHER_SECONDS: Final = 0.2
"""How long after a tick the next one waits: a burst writes to the ledger a hundred times a second."""


class FeedbackSide:
    """The feedback loop with its pool and thread."""

    def __init__(
        self,
        config: Config,
        ledger: OpenLedger,
        folders: Folders,
        log: Callable[..., None],
    ) -> None:
        self._clock = ledger.clock
        self._stopping = threading.Event()
        self._ticked_at = float("-inf")
        self._settings = self._next_settings = feedback_settings(config, folders)
        self._files_changed = False
        self.watching: Callable[[], dict[int, tuple[WatchKind, int]]] = dict
        self.hint: Callable[[Hint], None] = lambda _: None
        self.inbox = Inbox(self._gather)
        self.loop = FeedbackLoop(
            ledger.store,
            self._settings,
            log=log,
            outage=ledger.outage,
            is_up=self._is_up,
            month_of=local_month,
        )
        self._execute = Executor()
        self._pool = Pool("feedback", 1)

    def change(self, config: Config, folders: Folders) -> None:
        """Go on by another configuration, whose folders are bound."""
        self._next_settings = feedback_settings(config, folders)
        self.inbox.wake()

    def add_folder(self, number: int, folder: FolderFeedback) -> None:
        """Give feedback in one more folder, because a link in a folder's path leads there now."""
        before = self._next_settings
        self._next_settings = replace(before, folders={**before.folders, number: folder})
        self.inbox.wake()

    def note_change(self) -> None:
        """Wake the loop: something may have been written to the ledger. Any thread may call this."""
        if not self.loop.idle:
            self.inbox.wake()

    def note_files(self) -> None:
        """Wake the loop: files have come or gone."""
        self._files_changed = True
        self.note_change()

    def run(self, stop: threading.Event) -> None:
        """Tick until stopped."""
        looping.run(stop, self.inbox, self._tick, self._clock)
        self._pool.close()  # a move that is out is in the ledger, and is gone on with at the next start

    def stop(self) -> None:
        """End its waits."""
        self._stopping.set()
        self.inbox.wake()

    def _gather(self, _came: int) -> None:
        """Wait a moment, so that what is written meanwhile is seen with one look."""
        if not self.loop.idle:
            self._stopping.wait(max(0.0, self._ticked_at + GATHER_SECONDS - time.monotonic()))

    def _tick(self, now: Now, outcomes: Sequence[Outcome]) -> float | None:
        settings = self._next_settings  # another thread may set it at any moment
        if settings is not self._settings:
            self._settings = settings
            self.loop.change_settings(settings)
        if self._files_changed:
            self._files_changed = False
            self.loop.note_files()
        plan = self.loop.tick(now, outcomes)
        for one in plan.looks:
            self.hint(Hint(one.folder, one.path, must_read=one.must_read))
        for job in plan.jobs:
            self._submit(job)
        self._ticked_at = time.monotonic()
        relieved = self._pool.relieve(self._ticked_at)
        wakes = [at for at in (plan.next_at, relieved) if at is not None]
        return min(wakes) - time.monotonic() if wakes else None

    def _submit(self, job: Job) -> None:
        """Have a job carried out; on a share that hangs, it keeps no other folder waiting."""
        work = partial(self.inbox.fill, partial(self._execute, job))
        self._pool.submit((job.folder, isinstance(job, MoveFiles)), job.root, work)

    def _is_up(self, number: int) -> bool:
        """Return whether a folder's files can be touched: its share may not be mounted."""
        kind, _ = self.watching().get(number, (WatchKind.DOWN, 0))
        return kind is not WatchKind.DOWN
