"""Threads that carry out the jobs of all folders, of which a share that hangs can keep only its own."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Final

THREADS: Final = 4
"""Threads of a pool, not counting those that hang."""
PATIENCE: Final = 1.0
"""Seconds after which a job counts as one that hangs: it is one, or it is a scan of an hour."""


@dataclass(slots=True)
class _Lane:
    """The jobs of one folder, and where that lies."""

    device: Hashable = None
    waiting: deque[Callable[[], None]] = field(default_factory=deque)
    running: int = 0
    offered: bool = False
    """Whether it has its place among those whose turn will come."""


@dataclass(slots=True, eq=False)
class _Running:
    """A job that a thread is carrying out."""

    key: Hashable
    device: Hashable
    work: Callable[[], None]
    began: float


class Pool:
    """A few threads for one kind of job; none is started before `submit`.

    Nothing can end a call to an NFS or FUSE mount whose server is gone. So a thread that has been at one job
    for too long counts no more, and another takes its place, as often as it takes. The devices take turns,
    and so do the folders of each: where hundreds of folders lie on a share that hangs, a job for another
    device waits until the next threads are given up, and not for hundreds of them.
    """

    def __init__(self, name: str, abreast: int) -> None:
        self._name = name
        self._abreast = abreast
        """How many jobs of one folder are carried out at a time."""
        self._lanes: dict[Hashable, _Lane] = {}
        self._turns: dict[Hashable, deque[Hashable]] = {}
        """For each device the folders of which a job may be carried out now."""
        self._offered = 0
        self._running: set[_Running] = set()
        self._hanging: set[_Running] = set()
        self._by_device: Counter[Hashable] = Counter()
        self._threads = 0
        self._idle = 0
        self._closed = False
        self._changed = threading.Condition()

    def submit(self, key: Hashable, device: Hashable, work: Callable[[], None]) -> None:
        """Have a job of a folder, named by `key`, carried out; `work` must not raise."""
        with self._changed:
            lane = self._lanes.setdefault(key, _Lane())
            lane.device = device
            lane.waiting.append(work)
            self._offer(key, lane)

    def relieve(self, now: float) -> float | None:
        """Let other threads take the place of those that hang.

        Return when to call it again (monotonic), None while no job waits for a thread.
        """
        with self._changed:
            late = {one for one in self._running if one.began + PATIENCE <= now}
            self._running -= late
            self._hanging |= late
            self._staff()
            if self._offered <= self._idle:
                return None
            began = min((one.began for one in self._running), default=now)
            return began + PATIENCE

    def close(self) -> None:
        """Begin no further job; those that run may never come to their end."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _offer(self, key: Hashable, lane: _Lane) -> None:
        """Give a folder its place behind the others of its device, if a job of it may begin."""
        if lane.waiting and not lane.offered and lane.running < self._abreast:
            lane.offered = True
            self._turns.setdefault(lane.device, deque()).append(key)
            self._offered += 1
            self._staff()

    def _staff(self) -> None:
        """See that there is a thread for each job that may begin, as far as the pool has any."""
        self._changed.notify(self._offered)
        while self._idle < self._offered and self._threads - len(self._hanging) < THREADS:
            self._threads += 1
            self._idle += 1
            threading.Thread(target=self._work, name=self._name, daemon=True).start()

    def _work(self) -> None:
        while (job := self._take()) is not None:
            job.work()
            self._finish(job)

    def _take(self) -> _Running | None:
        """Wait for a job; return None when this thread is not needed any more."""
        with self._changed:
            while not self._turns or self._closed:
                if self._closed or self._threads - len(self._hanging) > THREADS:
                    self._threads -= 1
                    self._idle -= 1
                    return None
                self._changed.wait()
            self._idle -= 1
            device = min(self._turns, key=self._by_device.__getitem__)
            key = self._turns[device].popleft()
            if not self._turns[device]:
                del self._turns[device]
            self._offered -= 1
            return self._begin(key, device, self._lanes[key])

    def _begin(self, key: Hashable, device: Hashable, lane: _Lane) -> _Running:
        lane.offered = False
        lane.running += 1
        job = _Running(key, device, lane.waiting.popleft(), time.monotonic())
        self._running.add(job)
        self._by_device[device] += 1
        self._offer(key, lane)
        return job

    def _finish(self, job: _Running) -> None:
        with self._changed:
            self._idle += 1
            self._running.discard(job)
            self._hanging.discard(job)
            self._by_device[job.device] -= 1
            if not self._by_device[job.device]:
                del self._by_device[job.device]
            lane = self._lanes[job.key]
            lane.running -= 1
            self._offer(job.key, lane)
            if not lane.running and not lane.waiting:
                del self._lanes[job.key]
