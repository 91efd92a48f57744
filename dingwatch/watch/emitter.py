"""Watchdog's observer, without the thread that it starts for each root.

In watchdog 7.1 one thread reads the events of all roots from one inotify descriptor. It hands each event to
the watch group of its root, whose queue holds the first half of a move back for half a second, and a thread
for each root, the emitter, takes events from that queue. Of a thousand folders, that is a thousand threads.
Here a group hands its events on at once, in the thread that has read them, and nothing waits for the second
half of a move: for a hint, the two halves may just as well come one after the other.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from watchdog.events import FileSystemEventHandler
from watchdog.observers.api import ObservedWatch
from watchdog.observers.inotify import InotifyEmitter, InotifyObserver, InotifyWatchGroup
from watchdog.observers.inotify_c import InotifyEvent, InotifyFD, WatchDescriptor
from watchdog.observers.inotify_move_event_grouper import (
    GroupedInotifyEvent,
    InotifyMoveEventGrouper,
    PathedInotifyEvent,
)

Emit = Callable[[GroupedInotifyEvent], None]

_OPEN_MOVES: Final = 64
"""First halves of moves that a group remembers. The second comes right after the first, but for what other
processes move out of the folder in between; of a file that is moved out, it never comes."""


class _MovePairs(InotifyMoveEventGrouper):
    """Hands every event on at once, and with the second half of a move the first."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._open: OrderedDict[int, PathedInotifyEvent] = OrderedDict()

    def put_event(self, event: PathedInotifyEvent) -> None:
        first = self._open.pop(event.ev.cookie, None) if event.ev.is_moved_to else None
        if event.ev.is_moved_from:
            self._open[event.ev.cookie] = event
            if len(self._open) > _OPEN_MOVES:
                self._open.popitem(last=False)
        self._emit(event if first is None else (first, event))

    def get_queued_moved_from_event(self, cookie: int) -> PathedInotifyEvent | None:
        return self._open.get(cookie)

    def discard_pending_events(self) -> None:
        self._open.clear()

    def close(self) -> None:
        """Do nothing: nobody waits for an event."""


@dataclass(repr=False)
class _WatchGroup(InotifyWatchGroup):
    """The watches of one root."""

    emit: Emit = field(kw_only=True)
    _broken: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._move_event_grouper = _MovePairs(self.emit)
        try:
            super().__post_init__()
        except RecursionError:
            self._remove_callbacks(list(self._active_callbacks_by_watch))  # half a tree is of no use
            raise

    def __repr__(self) -> str:
        # Watchdog puts it into a warning while it holds its locks: a path that is watched twice is met where
        # directories come and go. That of the dataclass would print all watches, and take those locks again.
        return f"<watches of {self.path!r}>"

    @property
    def is_whole(self) -> bool:
        """Whether the root itself is watched: the kernel drops the watch of one that is deleted."""
        with self._lock:  # not while the watches are set anew, after an overflow
            return self.is_active and not self._broken and self.path in self._active_callbacks_by_path

    def on_event(self, event: InotifyEvent) -> None:
        """Take an event in.

        Before Python 3.12, a tree that is moved in may be too deep for the walk of `os`. That must not end
        the thread that reads the events of all roots: this one is armed again, or polled.
        """
        try:
            super().on_event(event)
        except RecursionError:
            self._broken = True

    def _remove_watch_internally(self, wd: WatchDescriptor) -> None:
        """Remove a watch from the tables.

        Watchdog's own method raises KeyError where two watches have one path: a directory was moved out of
        the folder, another got its name, and the first came back. That would end the thread that reads the
        events of all roots, or make it impossible to stop and to arm the folder again.
        """
        path = self._active_callbacks_by_watch.pop(wd, None)
        if path is not None and self._active_callbacks_by_path.get(path) == wd:
            del self._active_callbacks_by_path[path]


class Emitter(InotifyEmitter):
    """Puts the events of one root into the observer's queue; a thread in name only."""

    _inotify: _WatchGroup | None

    def start(self) -> None:
        """Watch the root; raise OSError where that is impossible."""
        self._inotify = _WatchGroup(
            self._inotify_fd,
            os.fsencode(self.watch.path),
            is_recursive=self.watch.is_recursive,
            event_mask=self.get_event_mask_from_filter(),
            emit=self._emit,
        )

    def is_alive(self) -> bool:
        """Return whether the root makes events."""
        return self._inotify is not None and self._inotify.is_whole

    def join(self, timeout: float | None = None) -> None:
        """Return at once: there is no thread to wait for."""

    def watched(self) -> dict[bytes, int]:
        """Return the directories that are watched, as absolute paths; negative where the kernel refused."""
        return {} if self._inotify is None else dict(self._inotify._active_callbacks_by_path)  # noqa: SLF001

    def _emit(self, event: GroupedInotifyEvent) -> None:
        # At the deletion of its root watchdog would stop the emitter, which takes the lock that is held here.
        if isinstance(event, PathedInotifyEvent) and event.ev.is_delete_self:
            return
        self.build_and_queue_event(event)


class _Reader(InotifyFD):
    """The thread that reads the events of all roots."""

    def __init__(self, on_overflow: Callable[[], None]) -> None:
        super().__init__()
        self._on_overflow = on_overflow

    def handle_event(self, event: InotifyEvent) -> None:
        """Hand an event to the group that it concerns, and tell of those that the kernel had no room for.

        Watchdog mends its watches after an overflow, and tells nobody but its log.
        """
        if event.is_queue_overflow:
            self._on_overflow()
        super().handle_event(event)


class RootsObserver(InotifyObserver):
    """Two threads for any number of roots: one reads events, one calls the handlers."""

    def __init__(self, on_overflow: Callable[[], None]) -> None:
        self._inotify_fd = _Reader(on_overflow)
        self._inotify_fd.start()
        super(InotifyObserver, self).__init__(Emitter, inotify_fd=self._inotify_fd)

    @property
    def reads(self) -> bool:
        """Whether both threads are alive; watchdog itself never looks."""
        return self.is_alive() and self._inotify_fd.is_alive()

    def emitter(self, watch: ObservedWatch) -> Emitter | None:
        """Return what makes the events of a root that is scheduled."""
        emitter = self._emitter_for_watch.get(watch)
        return emitter if isinstance(emitter, Emitter) else None

    def remove_handler(self, handler: FileSystemEventHandler, watch: ObservedWatch) -> None:
        """Remove a handler, and with the last one the watch of its root.

        A watch that died goes at once. Else, of two folders with one root, each would find that of the other.
        """
        self.remove_handler_for_watch(handler, watch)
        emitter = self._emitter_for_watch[watch]
        if not self._handlers[watch] or not emitter.is_alive():
            self.unschedule(watch)
