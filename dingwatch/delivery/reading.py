"""Reads the files of deliveries: beneath their folder's root, in threads that a hung share may hold."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, TypeVar

from dingwatch import files
from dingwatch.ledger.delivery import Delivery
from dingwatch.model import Cause, Failure, Fingerprint, FolderDown, NotReached, Vanished
from dingwatch.names import displayed_name
from dingwatch.watch import is_steady

T = TypeVar("T")
THREADS: Final = 4
SECONDS: Final = 120.0
"""How long the reading of one file into memory may take: the limit of an upload at 170 KB/s."""
PIECE: Final = 1 << 18
"""Bytes of a larger file that are read, and held, at a time."""
PIECE_SECONDS: Final = 30.0
Pieces = Callable[[int, int], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads files of the folders; `roots` are the folders' real paths by their id in the ledger."""

    roots: Mapping[int, bytes]
    patience: float = SECONDS
    piece_patience: float = PIECE_SECONDS
    look_patience: float = files.ANSWER_SECONDS
    _threads: dict[int | None, ThreadPoolExecutor] = field(default_factory=dict)
    """Each folder's own: a share that hangs must not hold the workers of all."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def content(self, row: Delivery) -> bytes:
        """Read a file of at most the media limit, whole.

        Raises:
            Failure: Vanished, NotReached, FolderDown (also for a share that hangs), Misconfigured.
        """
        return self._in_time(row, files.read)

    def archive(self, row: Delivery, limit: int) -> memoryview:
        """Pack a file, under the name that people see, into an archive of at most `limit` bytes.

        Raises:
            Failure: Rejected for a larger one; else as `content`.
        """
        name = displayed_name(row.name)
        return self._in_time(row, partial(files.zip_file, name=name, limit=limit))

    def _in_time(self, row: Delivery, read: Callable[[files.Root, bytes, Fingerprint, str], T]) -> T:
        """Read a file in a thread of its folder's; give up after `patience`."""

        def reading() -> T:
            with self._beneath_root(row) as (root, path):
                return read(root, path, row.fingerprint, row.digest)

        return self._wait(row, reading, self.patience)

    # --- Files of any size ---------------------------------------------------------------------

    @contextmanager
    def reading(self, row: Delivery) -> Iterator[Pieces]:
        """Hold a file open as `files.reading` does; yield what reads `(offset, size)` of it piece by piece.

        Raises:
            Failure: as `content`; FolderDown for a share that hangs in one piece.
        """
        paused = ExitStack()
        descriptor = self._wait(row, lambda: paused.enter_context(self._open(row)), self.piece_patience)
        try:
            yield partial(self._pieces, row, descriptor)
        except BaseException:
            self._threads_of(row.folder).submit(paused.close)  # which may hang, and nobody waits for it
            raise
        self._wait(row, paused.close, self.piece_patience)

    def require_unchanged(self, row: Delivery) -> None:
        """Read a file through, and compare its digest with what settled.

        Raises:
            Failure: Vanished(`changed`) when it is not; else as `reading`.
        """
        hasher = hashlib.sha256()
        with self.reading(row) as pieces:
            for piece in pieces(0, row.fingerprint.size):
                hasher.update(piece)
        if hasher.hexdigest() != row.digest:
            raise files.changed()  # same size and mtime, other bytes: a program that keeps the times

    def find_withdrawn(self, rows: Iterable[Delivery]) -> Iterator[tuple[Delivery, Cause]]:
        """Yield the rows of one folder whose file is gone or another, as far as that can be known."""
        for row in rows:
            try:
                found = self._wait(row, partial(self._look, row), self.look_patience)
            except Failure as failure:
                if isinstance(failure.verdict, FolderDown):
                    return
                if isinstance(failure.verdict, Vanished):
                    yield row, Cause("withdrawn", "", "FILE_GONE")
            else:
                if not found.known_as(row.fingerprint.size, row.fingerprint.mtime_ns):
                    yield row, files.changed().verdict.cause

    def _look(self, row: Delivery) -> Fingerprint:
        with self._beneath_root(row) as (root, path):
            return files.observe(root, path)

    @contextmanager
    def _open(self, row: Delivery) -> Iterator[int]:
        with (
            self._beneath_root(row) as (root, path),
            files.reading(root, path, row.fingerprint) as descriptor,
        ):
            yield descriptor

    def _pieces(self, row: Delivery, descriptor: int, offset: int, size: int) -> Iterator[bytes]:
        end = offset + size
        while offset < end:
            read = partial(os.pread, descriptor, min(PIECE, end - offset), offset)
            piece = self._wait(row, read, self.piece_patience)
            if not piece:
                return  # it became shorter, which is seen where its bytes are counted
            offset += len(piece)
            yield piece

    # --- Threads -------------------------------------------------------------------------------

    def _wait(self, row: Delivery, call: Callable[[], T], seconds: float) -> T:
        """Call in a thread of the row's folder; give up after so many seconds.

        A read on a share whose server has gone may never return. The thread is lost then, and only its own
        folder's uploads wait for it.
        """
        try:
            return files.wait_for(self._threads_of(row.folder).submit(call), seconds)
        except OSError as error:
            raise Failure(files.verdict_of(error)) from None

    def close(self) -> None:
        """Start no more reads; threads that hang are left behind."""
        with self._lock:
            for threads in self._threads.values():
                threads.shutdown(wait=False, cancel_futures=True)

    def _threads_of(self, folder: int | None) -> ThreadPoolExecutor:
        with self._lock:
            if folder not in self._threads:
                self._threads[folder] = ThreadPoolExecutor(THREADS, "read")
            return self._threads[folder]

    @contextmanager
    def _beneath_root(self, row: Delivery) -> Iterator[tuple[files.Root, bytes]]:
        """Open the root that a row's path lies beneath.

        When a share is unmounted, its mount point is an empty directory of another device, and every file
        beneath it is absent. Such a file waits: intake, which knows where the root belongs, decides whether
        the share is down or the file gone.
        """
        # What `send FILE…` was given lies beneath no folder: its root is the directory it lies in.
        root_path, path = (
            os.path.split(row.path) if row.folder is None else (self.roots[row.folder], row.path)
        )
        with closing(files.open_root(root_path, steady=partial(is_steady, root_path))) as root:
            try:
                yield root, path
            except Failure as failure:
                cause = failure.verdict.cause
                elsewhere = root.identity[0] != row.fingerprint.device and row.missing_since is None
                if row.folder is not None and cause.code == "absent" and elsewhere:
                    down = NotReached(replace(cause, code="not_mounted", advice="FOLDER_DOWN"))
                    raise Failure(down) from None
                raise
