"""Kernel events by watchdog. An event only says: this path is worth a look.

What watchdog 7.1 does with its handlers shapes this module: one thread calls them all, holding a lock, and an
exception in one ends that thread for good while events pile up. So a handler puts a path in a queue and does
nothing else. That the kernel dropped events is reported nowhere but in watchdog's log, so a handler listens
to it.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from watchdog.events import (
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.api import EventEmitter, ObservedWatch
from watchdog.observers.inotify import InotifyObserver, InotifyWatchGroup
from watchdog.observers.inotify_c import WatchDescriptor

from dingwatch.model import Cause, Failure, FolderDown, Misconfigured, Scope

# No more than these: each kind that is asked for fills the kernel's queue sooner. `closed` alone would not
# do: of 2,000 files written into directories that were made a moment before, 1,861 got no `closed`, and a
# file that is moved or linked into the folder gets `created` alone.
_EVENTS: list[type[FileSystemEvent]] = [
    FileCreatedEvent,
    FileClosedEvent,
    FileMovedEvent,
    FileDeletedEvent,
    DirMovedEvent,
]

_EXHAUSTED: Final = frozenset({errno.ENOSPC, errno.EMFILE, errno.ENFILE})
"""No watch left for this user, no inotify instance, no file descriptor."""


def _forget_watch(group: InotifyWatchGroup, watch: WatchDescriptor) -> None:
    """Remove a watch from watchdog's tables.

    Watchdog's own method raises KeyError where two watches have one path: a directory was moved out of the
    folder, another got its name, and the first came back. That would end the thread that reads the events of
    all folders, or make it impossible to stop and to arm the folder again.
    """
    path = group._active_callbacks_by_watch.pop(watch, None)  # noqa: SLF001
    if path is not None and group._active_callbacks_by_path.get(path) == watch:  # noqa: SLF001
        del group._active_callbacks_by_path[path]  # noqa: SLF001


InotifyWatchGroup._remove_watch_internally = _forget_watch  # type: ignore[assignment, method-assign] # noqa: SLF001


@dataclass(frozen=True, slots=True)
class Hint:
    """A path (relative to the folder's root) worth a look.

    `must_read` asks for its digest even when its size and mtime are those of a known version. `source` is
    the path from which the file was renamed just now.
    """

    folder: int
    path: bytes
    must_read: bool = False
    source: bytes | None = None


@dataclass(frozen=True, slots=True)
class Overflow:
    """The kernel's queue overflowed: events of any folder may be lost."""


Put = Callable[[Hint | Overflow], None]


class _Handler(FileSystemEventHandler):
    """Puts the paths of events into intake's inbox."""

    def __init__(self, folder: int, root: bytes, put: Put) -> None:
        self._folder = folder
        self._prefix = root.rstrip(b"/") + b"/"
        self._put = put

    def dispatch(self, event: FileSystemEvent) -> None:
        if event.is_directory:
            return
        # A camera or a program that sets the time leaves size and mtime as they were, and so does `mv` of a
        # file onto the name: only the digest shows that this is another content.
        if isinstance(event, FileMovedEvent):
            self._hint(event.src_path)
            self._hint(event.dest_path, must_read=True, source=event.src_path)
        else:
            self._hint(event.src_path, must_read=not isinstance(event, FileDeletedEvent))

    def _hint(self, path: bytes | str, *, must_read: bool = False, source: bytes | str | None = None) -> None:
        relative, former = self._relative(path), None if source is None else self._relative(source)
        if relative is not None:
            self._put(Hint(self._folder, relative, must_read, former))

    def _relative(self, path: bytes | str) -> bytes | None:
        raw = os.fsencode(path)
        return raw[len(self._prefix) :] if raw.startswith(self._prefix) else None


class _OverflowListener(logging.Handler):
    """Listens to watchdog's log for its warning that the kernel dropped events."""

    def __init__(self, put: Put) -> None:
        super().__init__(logging.WARNING)
        self._put = put

    def emit(self, record: logging.LogRecord) -> None:
        if "overflowed" in record.getMessage():
            self._put(Overflow())


class Observer:
    """Watches folders through inotify. Nothing runs before the first `arm`."""

    def __init__(self, put: Put) -> None:
        self._put = put
        self._observer: InotifyObserver | None = None  # its constructor starts a thread
        self._armed: dict[int, tuple[ObservedWatch, _Handler]] = {}
        self._lock = threading.Lock()
        self._listener = _OverflowListener(put)
        self._log = logging.getLogger("watchdog.observers.inotify_c")

    def stop(self) -> None:
        """Stop and wait for watchdog's threads."""
        self._log.removeHandler(self._listener)
        if self._observer is not None:
            self._observer.stop()
            self._observer.join()
            self._observer = None

    def alive(self, folder: int) -> bool:
        """Return whether the threads that carry this folder's events are alive."""
        emitter = self._emitter(folder)
        return emitter is not None and emitter.is_alive()

    def unwatched(self, folder: int, root: bytes, directories: Iterable[bytes]) -> frozenset[bytes]:
        """Return which of these directories (relative to the root) make no events.

        When the user has no watch left, or may not read a subdirectory, watchdog leaves it out without an
        error.
        """
        emitter = self._emitter(folder)
        group = getattr(emitter, "_inotify", None)
        watched = dict(group._active_callbacks_by_path) if group is not None else {}  # noqa: SLF001
        return frozenset(
            directory
            for directory in directories
            if watched.get(os.path.join(root, directory) if directory else root, -1) < 0
        )

    def arm(self, folder: int, root: bytes, *, recursive: bool) -> None:
        """Begin to watch a folder's root (an absolute path without links).

        Raises:
            Failure: FolderDown when the root is absent or forbidden, Misconfigured when the kernel has no
                watch or no instance left.
        """
        with self._lock:
            self._arm(folder, root, recursive=recursive)

    def _arm(self, folder: int, root: bytes, *, recursive: bool) -> None:
        handler = _Handler(folder, root, self._put)
        try:
            watch = self._living().schedule(
                handler, os.fsdecode(root), recursive=recursive, event_filter=_EVENTS
            )
        except RecursionError:  # watchdog walks a tree by recursion (7.1, before Python 3.12)
            raise Failure(Misconfigured(Cause("too_deep", "", "TOO_DEEP"))) from None
        except OSError as error:
            code = errno.errorcode.get(error.errno or 0, type(error).__name__)
            if error.errno in _EXHAUSTED:
                raise Failure(Misconfigured(Cause(code, str(error.strerror), "WATCHES"))) from None
            cause = Cause(code, os.strerror(error.errno or 0), "FOLDER_DOWN")
            raise Failure(FolderDown(cause, Scope.FOLDER)) from None
        self._armed[folder] = (watch, handler)

    def disarm(self, folder: int) -> None:
        """Stop watching a folder; fine when it was not watched."""
        with self._lock:
            armed = self._armed.pop(folder, None)
            if armed is None or self._observer is None:
                return
            watch, handler = armed
            self._observer.remove_handler_for_watch(handler, watch)
            # Folders with one root (for different recipients) share a watch of watchdog's.
            if all(other is not watch and other != watch for other, _ in self._armed.values()):
                self._observer.unschedule(watch)

    def _living(self) -> InotifyObserver:
        """Return an observer whose threads are alive.

        With them, the watches of all folders died: each is armed again when its next check finds that.
        """
        if self._observer is None or not _reads(self._observer):
            self.stop()
            self._armed.clear()
            # A directory that is seen twice while it is made is harmless, but the warning prints the whole
            # table of watches, and where warnings are errors it would end the thread that reads the events.
            warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"watchdog\.observers")
            self._log.addHandler(self._listener)
            self._observer = InotifyObserver()
            self._observer.start()
        return self._observer

    def _emitter(self, folder: int) -> EventEmitter | None:
        armed = self._armed.get(folder)
        if armed is None or self._observer is None or not _reads(self._observer):
            return None
        return next((e for e in self._observer.emitters if e.watch == armed[0]), None)


def _reads(observer: InotifyObserver) -> bool:
    """Return whether the threads that read and hand out events are alive; watchdog itself never looks."""
    reader = observer._inotify_fd  # noqa: SLF001 (the one way to see that thread)
    return observer.is_alive() and reader.is_alive()
