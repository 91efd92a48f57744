"""The intake loop with its observer and its pools."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Final

from dingwatch import intake
from dingwatch.config.values import Config
from dingwatch.dingtalk import REFUSED_EXTENSIONS
from dingwatch.intake import FolderSettings, IntakeLoop
from dingwatch.intake.jobs import Arm, Check, Examine, Leave, Look, Scan, TakeBaseline
from dingwatch.ledger import LedgerError
from dingwatch.model import Now
from dingwatch.service import looping
from dingwatch.service.folders import Folders
from dingwatch.service.inbox import Inbox
from dingwatch.service.node import OpenLedger
from dingwatch.service.pool import Pool
from dingwatch.watch import Observer

CLOCK_STEP: Final = 1.0
"""Seconds: smaller steps prolong no wait that anybody would notice, and time passes between two readings."""
ABREAST: Final = {"root": 1, "scan": 1, "file": 2, "large file": 1}
"""For each kind of jobs, how many of one folder are carried out at a time."""
LARGE: Final = 64 << 20
"""Bytes, which a disk reads within a second or two."""


class IntakeSide:
    """The intake loop with its observer, pools and thread."""

    def __init__(
        self,
        config: Config,
        ledger: OpenLedger,
        folders: Folders,
        wrote: Callable[[], None],
        log: Callable[..., None],
    ) -> None:
        self._clock, store = ledger.clock, ledger.store
        app = config.dingtalk.client_id
        self.inbox = Inbox()
        self.observer = Observer(self.inbox.put)
        self._wrote = wrote
        self.loop = IntakeLoop(
            store,
            list(zip(folders.settings, folders.marks, strict=True)),
            app=app,
            refused=REFUSED_EXTENSIONS,
            log=log,
            outage=ledger.outage,
            keep=config.keep,
            state_dir=os.path.realpath(os.fsencode(config.state_dir)),
            follow=self._follow,
        )
        self._execute = intake.Executor(
            store, self.observer, {one.id: one for one in folders.settings}, self.inbox.put
        )
        self._pools = {kind: Pool(kind, abreast) for kind, abreast in ABREAST.items()}
        self.on_ready: Callable[[], None] = lambda: None
        self.on_scanned: Callable[[], None] = lambda: None
        self.on_tick: Callable[[], None] = lambda: None
        self.on_written: Callable[[], None] = lambda: None
        self.on_switched: Callable[[FolderSettings, int, bytes], FolderSettings]
        self._said_ready = False
        self._offset: float | None = None

    def _follow(self, former: FolderSettings, number: int, root: bytes) -> FolderSettings:
        """Return the settings of a new target of a folder's path, for which jobs can be carried out now."""
        settings = self._execute.folders[number] = self.on_switched(former, number, root)
        if number != former.id:
            self._execute.folders[former.id] = replace(former, path=None, successor=root)
        return settings

    def prepare(self, folders: Folders) -> None:
        """Get to know the settings by which the jobs of folders are carried out from now on."""
        self._execute.folders |= {one.id: one for one in folders.settings}

    def run(self, stop: threading.Event) -> None:
        """Tick until stopped."""
        looping.run(stop, self.inbox, self._tick, self._clock)
        with suppress(LedgerError):  # the ledger may be what stopped the service; an older mark will do
            self.loop.save_scans()
        self._finish()

    def _tick(self, now: Now, taken: Sequence[intake.Input | intake.FoldersChanged]) -> float | None:
        self._watch_the_clock(now)
        plan = self.loop.tick(now, taken)
        for job in plan.jobs:
            self._submit(job)
        if plan.written:
            self._wrote()
            self.on_written()
        if not self._said_ready and self.loop.ready:
            self._said_ready = True
            self.on_ready()
        self.on_tick()
        relieved = [pool.relieve(time.monotonic()) for pool in self._pools.values()]
        wakes = [at for at in (plan.next_at, *relieved) if at is not None]
        return min(wakes) - time.monotonic() if wakes else None

    def _watch_the_clock(self, now: Now) -> None:
        """Wake delivery when the clock was set back: it may sleep until a time that is hours away again."""
        offset = now.wall - now.monotonic
        if self._offset is not None and offset < self._offset - CLOCK_STEP:
            self._wrote()
        self._offset = offset

    def _submit(self, job: intake.Job) -> None:
        """Have a job carried out, apart from those of other kinds: a check never waits for a scan."""
        work = partial(self.inbox.fill, partial(self._carry_out, job))
        self._pools[_kind(job)].submit(_key(job), self._device(job), work)

    def _device(self, job: intake.Job) -> str | None:
        """Return the device that a job may have to wait for."""
        match job:
            case Arm(home=home):
                return None if home is None else home.device
            case Check(device=device) if device is not None:
                return device
            case Check(folders):
                return self._execute.device(folders[0])
        return self._execute.device(job.folder)

    def _carry_out(self, job: intake.Job) -> intake.Input:
        done = self._execute(job)
        if isinstance(job, TakeBaseline | Scan):
            self.on_scanned()
        return done

    def _finish(self) -> None:
        # A thread that hangs in a share cannot be ended, and the service must stop within ten seconds.
        for pool in self._pools.values():
            pool.close()
        self.observer.stop()
        self._execute.locks.close()  # the next service may start at once


def _key(job: intake.Job) -> Hashable:
    """Return what jobs of the same kind are carried out one after the other: those of one folder."""
    if isinstance(job, Check):
        # Where one of many roots hangs, the check of the others is due again before this one comes back.
        return job.folders[0] if len(job.folders) == 1 else job
    return job.folder


def _kind(job: intake.Job) -> str:
    """Return whose threads do a job."""
    match job:
        case Arm() | Check() | Leave():
            return "root"
        case Examine() if job.fingerprint.size > LARGE:
            return "large file"  # a film takes minutes to read; the letters beside it do not wait for it
        case Look() | Examine():
            return "file"
    return "scan"
