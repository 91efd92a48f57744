"""Kernel events by watchdog. An event only says: this path is worth a look.

What watchdog 7.1 does with its handlers shapes this module: one thread calls them all, holding a lock, and an
exception in one ends that thread for good while events pile up. So a handler puts a path in a queue and does
nothing else.
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
    FileClosedNoWriteEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.api import ObservedWatch

from dingwatch.model import Cause, Failure, FolderDown, Misconfigured, Scope
from dingwatch.watch.emitter import Emitter, RootsObserver

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

_OPENING: Final = -1
"""In place of a folder's number, for the one file whose opening is heard."""

_EXHAUSTED: Final = frozenset({errno.ENOSPC, errno.EMFILE, errno.ENFILE})
"""No watch left for this user, no inotify instance, no file descriptor."""


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


class _OpeningHandler(FileSystemEventHandler):
    """Calls somebody when one file was opened and closed again."""

    def __init__(self, path: bytes) -> None:
        self._path = path
        self.heard: Callable[[], None] = lambda: None

    def dispatch(self, event: FileSystemEvent) -> None:
        if os.fsencode(event.src_path) == self._path:
            self.heard()


@dataclass(frozen=True, slots=True)
class _Armed:
    """The watchdog objects of one folder; folders with the same root share an emitter."""

    watch: ObservedWatch
    handler: FileSystemEventHandler
    emitter: Emitter


class Observer:
    """Watches folders through inotify. Nothing runs before the first `arm`."""

    def __init__(self, put: Put) -> None:
        self._put = put
        self._observer: RootsObserver | None = None  # its constructor starts a thread
        self._armed: dict[int, _Armed] = {}
        self._lock = threading.Lock()

    def stop(self) -> None:
        """Stop and wait for watchdog's threads."""
        if self._observer is not None:
            self._observer.stop()
            self._observer.join()
            self._observer = None

    def alive(self, folder: int) -> bool:
        """Return whether the root's own watch and the threads that carry its events are alive."""
        emitter = self._emitter(folder)
        return emitter is not None and emitter.is_alive()

    def unwatched(self, folder: int, root: bytes, directories: Iterable[bytes]) -> frozenset[bytes]:
        """Return which of these directories (relative to the root) make no events.

        When the user has no watch left, or may not read a subdirectory, watchdog leaves it out without an
        error.
        """
        emitter = self._emitter(folder)
        watched = {} if emitter is None else emitter.watched()
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
            self._arm(folder, root, _Handler(folder, root, self._put), _EVENTS, recursive=recursive)

    def hear_opening(self, path: bytes, heard: Callable[[], None]) -> None:
        """Call `heard`, in the thread of the events, when a file is opened and closed without a write.

        It replaces what was to be called before. Raises Failure as `arm` does.
        """
        with self._lock:
            if not self.alive(_OPENING):
                directory = os.path.dirname(path)
                self._arm(
                    _OPENING, directory, _OpeningHandler(path), [FileClosedNoWriteEvent], recursive=False
                )
            handler = self._armed[_OPENING].handler
            assert isinstance(handler, _OpeningHandler)  # noqa: S101 (armed above)
            handler.heard = heard

    def _arm(
        self,
        folder: int,
        root: bytes,
        handler: FileSystemEventHandler,
        events: list[type[FileSystemEvent]],
        *,
        recursive: bool,
    ) -> None:
        try:
            observer = self._living()
            watch = observer.schedule(handler, os.fsdecode(root), recursive=recursive, event_filter=events)
        except RecursionError:  # watchdog walks a tree by recursion (7.1, before Python 3.12)
            raise Failure(Misconfigured(Cause("too_deep", "", "TOO_DEEP"))) from None
        except OSError as error:
            code = errno.errorcode.get(error.errno or 0, type(error).__name__)
            if error.errno in _EXHAUSTED:
                raise Failure(Misconfigured(Cause(code, str(error.strerror), "WATCHES"))) from None
            cause = Cause(code, os.strerror(error.errno or 0), "FOLDER_DOWN")
            raise Failure(FolderDown(cause, Scope.FOLDER)) from None
        emitter = observer.emitter(watch)
        assert emitter is not None  # noqa: S101 (it has just been scheduled)
        self._armed[folder] = _Armed(watch, handler, emitter)

    def disarm(self, folder: int) -> None:
        """Stop watching a folder; fine when it was not watched."""
        with self._lock:
            armed = self._armed.pop(folder, None)
            if armed and self._observer and self._observer.emitter(armed.watch) is armed.emitter:
                self._observer.remove_handler(armed.handler, armed.watch)

    def _living(self) -> RootsObserver:
        """Return an observer whose threads are alive.

        With them, the watches of all folders died: each is armed again when its next check finds that.
        """
        if self._observer is None or not self._observer.reads:
            self.stop()
            self._armed.clear()
            # A directory that is seen twice while it is made is harmless, but the warning prints the whole
            # table of watches, and where warnings are errors it would end the thread that reads the events.
            warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"watchdog\.observers")
            # After an overflow, watchdog would write a line for each folder to stderr.
            logging.getLogger("watchdog").addHandler(logging.NullHandler())
            self._observer = RootsObserver(lambda: self._put(Overflow()))
            self._observer.start()
        return self._observer

    def _emitter(self, folder: int) -> Emitter | None:
        """Return what makes a folder's events; None when nothing does."""
        armed, observer = self._armed.get(folder), self._observer
        return armed.emitter if armed and observer and observer.reads else None
