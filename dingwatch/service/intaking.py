"""The intake loop with its observer and its pools."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from dingwatch import intake
from dingwatch.config import Config
from dingwatch.dingtalk import REFUSED_EXTENSIONS
from dingwatch.intake import Instant, IntakeLoop
from dingwatch.intake.jobs import Forget, Look, Scan, TakeBaseline
from dingwatch.ledger import Store
from dingwatch.service.folders import Folders
from dingwatch.service.inbox import Inbox
from dingwatch.watch import Observer


class IntakeSide:
    """The intake loop with its observer, pools and thread."""

    def __init__(
        self,
        config: Config,
        store: Store,
        folders: Folders,
        wrote: Callable[[], None],
        say: Callable[..., None],
    ) -> None:
        app = config.dingtalk.client_id
        self.inbox = Inbox()
        self._observer = Observer(self.inbox.put)
        self._wrote = wrote
        self.loop = IntakeLoop(
            store,
            list(zip(folders.settings, folders.marks, strict=True)),
            app=app,
            refused=REFUSED_EXTENSIONS,
            say=say,
            keep=config.keep,
        )
        self._perform = intake.Performer(
            store, self._observer, {one.id: one for one in folders.settings}, self.inbox.put
        )
        self._scans = ThreadPoolExecutor(2, "scan")
        self._looks = ThreadPoolExecutor(2, "look")
        self._reads = ThreadPoolExecutor(2, "read")
        self.on_ready: Callable[[], None] = lambda: None

    def run(self, stop: threading.Event, beat: Callable[[], None]) -> None:
        """Tick until stopped."""
        said_ready = False
        timeout: float | None = 0.0
        while not stop.is_set():
            taken = self.inbox.take(timeout)
            plan = self.loop.tick(Instant(time.time(), time.monotonic()), taken)
            for job in plan.jobs:
                self._pool_for(job).submit(self.inbox.fill, partial(self._perform, job))
            if plan.written:
                self._wrote()
            if not said_ready and self.loop.ready:
                said_ready = True
                self.on_ready()
            timeout = None if plan.next_at is None else max(plan.next_at - time.monotonic(), 0.0)
            beat()
        self._finish()

    def _pool_for(self, job: intake.Job) -> ThreadPoolExecutor:
        if isinstance(job, Look):
            return self._looks
        if isinstance(job, Scan | TakeBaseline | Forget):
            return self._scans
        return self._reads

    def _finish(self) -> None:
        for pool in (self._scans, self._looks, self._reads):
            pool.shutdown(wait=False, cancel_futures=True)
        self._observer.stop()
