"""Reads the files of deliveries: beneath their folder's root, in threads that a hung share may hold."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, TypeVar

from dingwatch import files
from dingwatch.ledger.delivery import Delivery
from dingwatch.ledger.fingerprints import View, find_view
from dingwatch.ledger.store import Store
from dingwatch.model import (
    Cause,
    Failure,
    Fingerprint,
    FolderDown,
    LedgerError,
    NotReached,
    Scope,
    Vanished,
    Verdict,
)
from dingwatch.names import displayed_name
from dingwatch.novelty import is_same_time
from dingwatch.watch import is_steady

T = TypeVar("T")
THREADS: Final = 4
SECONDS: Final = 120.0
"""How long the reading of one file into memory may take: the limit of an upload at 170 KB/s."""
PIECE: Final = 1 << 18
"""Bytes of a larger file that are read, and held, at a time."""
PIECE_SECONDS: Final = 30.0
Pieces = Callable[[int, int], Iterator[bytes]]


class MembersLostError(Exception):
    """Some files cannot go with an archive: their versions, and why."""

    def __init__(self, failed: tuple[tuple[int, Verdict], ...]) -> None:
        super().__init__(failed)
        self.failed = failed


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads files of the folders; `roots` are the folders' real paths by their id in the ledger.

    On a shared `ledger`, a file is compared with what this node has seen of it.
    """

    roots: Mapping[int, bytes]
    ledger: Store | None = None
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

    def pack(self, members: Sequence[tuple[Delivery, str]], limit: int) -> memoryview:
        """Pack files of one folder, each with its entry, into an archive of at most `limit` bytes.

        Only the archive and one file at a time are in memory.

        Raises:
            MembersLostError: some of the files cannot go: one was removed, replaced, or cannot be read.
            Failure: for what holds all of them back (FolderDown, NotReached); Rejected for a larger archive.
        """
        failed: list[tuple[int, Verdict]] = []
        with files.ArchiveWriter(limit) as packed:
            for row, entry in members:
                try:
                    content = self.content(row)
                except Failure as failure:
                    if failure.verdict.scope is not Scope.ROW:
                        raise
                    failed.append((row.version, failure.verdict))
                    # Where not one can be read, the share has gone rather than all of its files.
                    if len(failed) == len(members) and all(isinstance(one, NotReached) for _, one in failed):
                        raise
                else:
                    packed.add(entry, content)
            if failed:
                raise MembersLostError(tuple(failed))
            return packed.finish()

    def _in_time(self, row: Delivery, read: Callable[[files.Root, bytes, Fingerprint, str], T]) -> T:
        """Read a file in a thread of its folder's; give up after `patience`."""

        def reading() -> T:
            with self._beneath_root(row) as (root, path, version):
                return read(root, path, version, row.digest)

        return self._wait(row, reading, self.patience)

    # --- Files of any size ---------------------------------------------------------------------

    @contextmanager
    def reading(self, row: Delivery) -> Iterator[Pieces]:
        """Hold a file open as `files.reading` does; yield what reads `(offset, size)` of it piece by piece.

        Raises:
            Failure: as `content`; FolderDown for a share that hangs in one piece.
        """
        with self.opening(row) as descriptor:
            yield partial(self._pieces, row, descriptor)

    @contextmanager
    def opening(self, row: Delivery) -> Iterator[int]:
        """Hold a file open as `files.reading` does; yield its descriptor.

        Raises:
            Failure: as `reading`.
        """
        paused = ExitStack()
        descriptor = self._wait(row, lambda: paused.enter_context(self._open(row)), self.piece_patience)
        try:
            yield descriptor
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
                if not found:
                    yield row, files.changed().verdict.cause

    def _look(self, row: Delivery) -> bool:
        """Return whether a row's file has the size and mtime that it had when it settled."""
        with self._beneath_root(row) as (root, path, version):
            return files.observe(root, path).known_as(version.size, version.mtime_ns)

    @contextmanager
    def _open(self, row: Delivery) -> Iterator[int]:
        with (
            self._beneath_root(row) as (root, path, version),
            files.reading(root, path, version) as descriptor,
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
    def _beneath_root(self, row: Delivery) -> Iterator[tuple[files.Root, bytes, Fingerprint]]:
        """Open the root that a row's path lies beneath; yield it, the path and the version's fingerprint.

        When a share is unmounted, its mount point is an empty directory of another device, and every file
        beneath it is absent. Such a file waits: intake, which knows where the root belongs, decides whether
        the share is down or the file gone.
        """
        # What `send FILE…` was given lies beneath no folder: its root is the directory it lies in.
        root_path, path = (
            os.path.split(row.path) if row.folder is None else (self.roots[row.folder], row.path)
        )
        view = self._find_view(row)
        with closing(files.open_root(root_path, steady=partial(is_steady, root_path))) as root:
            try:
                yield root, path, _fingerprint(row, view, root, path)
            except Failure as failure:
                cause = failure.verdict.cause
                if row.folder is None or cause.code != "absent" or row.missing_since is not None:
                    raise
                if view.shared:  # what this node does not find may be there for others, who can upload it
                    raise Failure(NotReached(cause)) from None
                if root.identity[0] != row.fingerprint.device:
                    down = NotReached(replace(cause, code="not_mounted", advice="FOLDER_DOWN"))
                    raise Failure(down) from None
                raise

    def _find_view(self, row: Delivery) -> View:
        """Return how this node sees the version of a row.

        Raises:
            Failure: NotReached while the ledger cannot be read.
        """
        if self.ledger is None or not self.ledger.shared or row.folder is None:
            return View(shared=False, fingerprint=None)
        try:
            with self.ledger.reading() as connection:
                return find_view(connection, row.version)
        except LedgerError as error:
            raise Failure(NotReached(error.cause)) from None


def _fingerprint(row: Delivery, view: View, root: files.Root, path: bytes) -> Fingerprint:
    """Return the fingerprint that the file of a row must have on this node.

    Where the node has not seen the version yet, it is the one that the file has, as long as that may be the
    same file: by its digest, which is compared when it is read, or else by its mtime.

    Raises:
        Failure: NotReached if it is another file; intake has still to find out.
    """
    if not view.shared:
        return row.fingerprint
    if view.fingerprint is not None:
        return view.fingerprint
    seen = files.observe(root, path)
    same_time = is_same_time(row.fingerprint.mtime_ns, seen.mtime_ns, compared=False)
    if seen.size != row.fingerprint.size or not (row.digest or same_time):
        raise Failure(NotReached(Cause("changed", "", "FILE_CHANGED")))
    return seen
