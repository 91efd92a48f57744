"""Everything that touches the content and the metadata of watched files.

A file is reached from its folder's opened root, one component at a time and never through a link, so
that a link swapped in between two looks gains nothing. Nothing but a regular file is ever opened for reading.
Every failure is a `Failure` with a verdict; `verdict_of` is the one place that maps OSError.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import io
import os
import signal
import stat
import threading
import unicodedata
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final, Self, TypeVar

from dingwatch.model import (
    Cause,
    Failure,
    Fingerprint,
    FolderDown,
    InUse,
    Misconfigured,
    NotReached,
    Rejected,
    Scope,
    Vanished,
    Verdict,
)
from dingwatch.names import readable

T = TypeVar("T")

BLOCK: Final = 1 << 20
ANSWER_SECONDS: Final = 3.0
"""How long a command, or the start of the service, waits for one look at a share that may hang."""
_PARENT: Final = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LIST: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_HOLD: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_READ: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

_ABSENT: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
_FORBIDDEN: Final = frozenset({errno.EACCES, errno.EPERM})
_FOLDER_DOWN: Final = frozenset(
    {errno.ESTALE, errno.ENOTCONN, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ETIMEDOUT, errno.ENODEV}
)


def verdict_of(error: OSError) -> Verdict:
    """Return what an OSError on a watched file means."""
    name = errno.errorcode.get(error.errno or 0, "EUNKNOWN")
    cause = Cause(name, os.strerror(error.errno or 0), "FILE_UNREADABLE")
    if error.errno in _ABSENT:
        return Vanished(Cause("absent", cause.message, "FILE_GONE"))
    if error.errno in _FOLDER_DOWN:
        return FolderDown(Cause(name, cause.message, "FOLDER_DOWN"), Scope.FOLDER)
    if error.errno in _FORBIDDEN:
        return Misconfigured(Cause(name, cause.message, "FILE_FORBIDDEN"))
    return NotReached(cause)  # EBUSY, ETXTBSY, EIO, EMFILE …: nothing was sent, later it may work


def _down(code: str) -> Failure:
    return Failure(FolderDown(Cause(code, "", "FOLDER_DOWN"), Scope.FOLDER))


def _not_regular() -> Failure:
    """Return the failure of a link, a pipe, a socket or a device."""
    return Failure(Vanished(Cause("not_regular", "", "NOT_REGULAR")))


def absent() -> Failure:
    """Return the failure of a name under which there is no file."""
    return Failure(Vanished(Cause("absent", "", "FILE_GONE")))


def changed() -> Failure:
    """Return the failure of a file that is not the one that settled."""
    return Failure(Vanished(Cause("changed", "", "FILE_CHANGED")))


def hangs() -> Failure:
    """Return the failure of a share that does not answer."""
    return _down("hangs")


_OLDEST: Final = -(1 << 63)
_LATEST: Final = (1 << 63) - 1
"""The times (nanoseconds since the epoch) between which almost all are, and which need not be folded."""


def fingerprint_of(status: os.stat_result) -> Fingerprint:
    """Take the five fields from a stat."""
    mtime_ns, ctime_ns = status.st_mtime_ns, status.st_ctime_ns
    if not (_OLDEST <= mtime_ns <= _LATEST and _OLDEST <= ctime_ns <= _LATEST):
        mtime_ns, ctime_ns = _fold(mtime_ns), _fold(ctime_ns)
    return Fingerprint(status.st_size, mtime_ns, ctime_ns, status.st_ino, status.st_dev)


def _fold(nanoseconds: int) -> int:
    """Fold a time into the 64 bits of the ledger's columns.

    A camera whose battery was empty, or a broken archive, may date a file after 2262.
    """
    return (nanoseconds + (1 << 63)) % (1 << 64) - (1 << 63)


class _Descriptor:
    """A file descriptor that is closed by `close`, or when nobody refers to it any more.

    A scan may still be running on the old root when its folder is opened afresh. If the descriptor were
    closed then, its number would soon name another file, which the scan would read.
    """

    def __init__(self, number: int) -> None:
        self.number = number

    def close(self) -> None:
        number, self.number = self.number, -1
        if number >= 0:
            os.close(number)

    __del__ = close


@dataclass(frozen=True, slots=True)
class Root:
    """A folder's root, kept open so that one that was replaced or unmounted is recognised.

    `path` is absolute and free of links; `identity` is (device, inode); `mounted` says whether it is
    a mount point. It is closed by `close`, or when nobody refers to it any more.
    """

    path: bytes
    held: _Descriptor
    identity: tuple[int, int]
    mounted: bool
    ask_steady: Callable[[], bool]

    @property
    def steady(self) -> bool:
        """Whether its files keep their inodes and ctimes; to find out may mean to read the mount table."""
        return self.ask_steady()

    @property
    def descriptor(self) -> int:
        """The opened directory."""
        return self.held.number

    def verify(self) -> None:
        """Raise Failure(FolderDown) unless the path still names the directory that was opened."""
        try:
            now = os.stat(self.path, follow_symlinks=False)
        except OSError as error:
            raise _down(errno.errorcode.get(error.errno or 0, "EUNKNOWN")) from None
        same_device = now.st_dev == self.identity[0]
        if not same_device or (now.st_ino != self.identity[1] and not self._is_renumbered()):
            raise _down("replaced")

    def _is_renumbered(self) -> bool:
        """Return whether the opened directory may have another inode's number and still lie at its path.

        A FUSE server may number its root anew every few seconds. The kernel knows by what name it holds the
        directory: another one that took its path is another entry, and the opened one then counts as deleted.
        """
        try:
            return not self.steady and os.readlink(b"/proc/self/fd/%d" % self.descriptor) == self.path
        except OSError:
            return False

    def close(self) -> None:
        """Give the descriptor back."""
        self.held.close()


def open_root(path: bytes, *, steady: Callable[[], bool] = lambda: True) -> Root:
    """Open a folder's root for reading; raise Failure(FolderDown) when that cannot be done.

    Where files do not keep their inodes and ctimes (not `steady`), those count for nothing. That is asked
    only where two looks at a file differ, which is seldom: each upload would read the mount table for it.
    """
    try:
        held = _Descriptor(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC))
        status = os.fstat(held.number)
        parent = os.stat(os.path.dirname(path) or b"/")
    except OSError as error:
        raise _down(errno.errorcode.get(error.errno or 0, "EUNKNOWN")) from None
    mounted = status.st_dev != parent.st_dev or path == b"/"
    return Root(path, held, (status.st_dev, status.st_ino), mounted, steady)


_MOST_LINKS: Final = 40
"""As many as the kernel follows (path_resolution(7)); a chain that is longer leads nowhere."""


def resolve(path: bytes, links: list[bytes] | None = None) -> Iterator[bytes]:
    """Yield the best guess before each readlink (which may hang), then the resolved path.

    The links that are met are added to `links`.
    """
    done, ahead, count = b"/", path.split(b"/")[::-1], 0
    while ahead:
        name = ahead.pop()
        if name == b"..":
            done = os.path.dirname(done)
        elif name not in {b"", b"."}:
            done = os.path.join(done, name)
            yield os.path.normpath(os.path.join(done, *ahead[::-1]))
            try:
                target = os.readlink(done)
            except OSError:  # no link, or nothing that could be looked at
                continue
            if links is not None:
                links.append(done)
            count += 1
            if count > _MOST_LINKS:
                yield path
                return
            done = b"/" if target.startswith(b"/") else os.path.dirname(done)
            ahead += target.split(b"/")[::-1]
    yield done


def follow(path: bytes) -> tuple[bytes, float | None]:
    """Return where a folder's path leads, and when the newest link on the way was made or changed.

    That is seconds since the epoch, None where no component is a link.

    Raises:
        Failure: FolderDown when nothing is there, as between the two steps of `ln -sfn`.
    """
    links: list[bytes] = []
    *_, root = resolve(path, links)
    try:
        os.stat(root, follow_symlinks=False)
        made = [os.stat(link, follow_symlinks=False).st_ctime_ns / 1e9 for link in links]
    except OSError as error:
        raise _down(errno.errorcode.get(error.errno or 0, "EUNKNOWN")) from None
    return root, max(made, default=None)


def start(call: Callable[[], T]) -> Future[T]:
    """Begin a call in a thread of its own, which a share that hangs may keep for good."""
    answer: Future[T] = Future()

    def run() -> None:
        try:
            answer.set_result(call())
        except BaseException as error:  # noqa: BLE001 (raised where it is waited for)
            answer.set_exception(error)

    threading.Thread(target=run, name="folder", daemon=True).start()
    return answer


def wait_for(answer: Future[T], seconds: float) -> T:
    """Return what a call that touches a folder returns, once it does.

    A system call on an NFS or FUSE mount whose server is gone may never return, and nothing can interrupt it:
    so it is made in another thread, and here alone somebody stops waiting for it.

    Raises:
        Failure: FolderDown(`hangs`) when it has not come back within so many seconds; and whatever it raises.
    """
    try:
        return answer.result(seconds)
    except TimeoutError:
        raise hangs() from None


def in_time(call: Callable[[], T], seconds: float | None = None) -> T:
    """Make a call that touches a folder, and wait for so many seconds and no longer; raise as `wait_for`.

    Without `seconds`, the wait is as long as for a person's command: `ANSWER_SECONDS`.
    """
    return wait_for(start(call), ANSWER_SECONDS if seconds is None else seconds)


@contextmanager
def beneath(root: Root, path: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (descriptor of the parent, last component); raise OSError for a link on the way."""
    *parents, name = path.split(b"/")
    start = held = root.descriptor
    try:
        for part in parents:
            step = os.open(part, _PARENT, dir_fd=held)
            if held != start:
                os.close(held)
            held = step
        yield held, name
    finally:
        if held != start:
            os.close(held)


@contextmanager
def failures(root: Root) -> Iterator[None]:
    """Turn OSError into a Failure.

    A file beneath a share that was unmounted looks like a file that was deleted. So absence is believed only
    while the root is still the one that was opened.
    """
    try:
        yield
    except OSError as error:
        verdict = verdict_of(error)
        if isinstance(verdict, Vanished | FolderDown):
            root.verify()
        if isinstance(verdict, FolderDown):  # the root is there, so the trouble is this file's own
            verdict = NotReached(replace(verdict.cause, advice="FILE_UNREADABLE"))
        raise Failure(verdict) from None


def observe(root: Root, path: bytes, *, opened: bool = False) -> Fingerprint:
    """Return a file's fingerprint without reading it.

    With `opened` the file is opened first: NFS and SMB then ask the server, where a plain stat may be
    answered from a cache that is seconds old.

    Raises:
        Failure: Vanished (`absent`, `not_regular`), FolderDown, Misconfigured or NotReached.
    """
    with failures(root):
        if opened:
            with open_regular(root, path) as descriptor:
                return fingerprint_of(os.fstat(descriptor))
        with beneath(root, path) as (parent, name):
            status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    if not stat.S_ISREG(status.st_mode):
        raise _not_regular()
    return fingerprint_of(status)


# --- Names in another spelling -----------------------------------------------------------------------
# On a file system that takes no notice of case (CIFS, exFAT, ext4's casefold) or of Unicode's normal forms
# (ZFS, macOS), a file that was renamed from A.PDF to a.pdf is still found as A.PDF. Only the listing shows
# that this name is gone.

EXACT_AT_ONCE: Final = 10_000
"""Directories that are remembered as telling spellings apart."""


def is_listed(root: Root, path: bytes, exact: set[bytes]) -> bool:
    """Return whether a file that is found at a path, and every directory above it, is listed by that name.

    A directory is listed only where another spelling finds something, too. `exact` remembers directories
    where none does.

    Raises:
        Failure: as `observe`.
    """
    *parents, name = path.split(b"/")
    steps = [(b"/".join(parents[:depth]), part) for depth, part in enumerate([*parents, name])]
    doubtful = [step for step in steps if _spellings(step[1], exact=step[0] in exact)]
    with failures(root):
        return all(_is_listed(root, directory, part, exact) for directory, part in doubtful)


def _spellings(name: bytes, *, exact: bool) -> list[bytes]:
    """Return how else a name may be spelled; in a directory that is `exact`, case needs no second look."""
    text = name.decode("utf-8", "surrogateescape")
    forms = [unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text)]
    if not exact:
        forms.insert(0, text.swapcase())
    return [form.encode("utf-8", "surrogateescape") for form in dict.fromkeys(forms) if form != text]


def _is_listed(root: Root, directory: bytes, name: bytes, exact: set[bytes]) -> bool:
    with beneath(root, b"/".join(filter(None, (directory, name)))) as (parent, _):
        spellings = _spellings(name, exact=directory in exact)
        if any(_exists(parent, spelling) for spelling in spellings):
            listing = os.open(b".", _LIST, dir_fd=parent)
            try:
                return name in {os.fsencode(one) for one in os.listdir(listing)}
            except PermissionError:
                return True
            finally:
                os.close(listing)
    # Letters beyond ASCII have no other case on some systems: only these prove that case tells.
    if name.swapcase() != name:
        if len(exact) >= EXACT_AT_ONCE:
            exact.clear()
        exact.add(directory)
    return True


def _exists(parent: int, name: bytes) -> bool:
    try:
        os.stat(name, dir_fd=parent, follow_symlinks=False)
    except OSError:
        return False
    return True


@contextmanager
def open_regular(root: Root, path: bytes) -> Iterator[int]:
    """Open a regular file for reading.

    To open a FIFO wakes its writer, and to open a device may do anything. A name may be given to one between
    a stat and an open: so the file is opened as a mere path (O_PATH), which touches nothing, is seen to be
    regular, and is then opened for reading through that descriptor.
    """
    with beneath(root, path) as (parent, name):
        held = os.open(name, _HOLD, dir_fd=parent)
    try:
        if not stat.S_ISREG(os.fstat(held).st_mode):
            raise _not_regular()
        descriptor = os.open(f"/proc/self/fd/{held}", _READ)
    finally:
        os.close(held)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def digest(root: Root, path: bytes, expected: Fingerprint, *, lease: bool = False) -> str:
    """Return the sha256 (hex) of a file whose fingerprint is `expected` before and after the reading.

    With `lease` the kernel is asked, before and after, whether anybody has it open for writing; it knows that
    of local file systems only. Where a ctime proves nothing, a file whose ctime moves is read twice.

    Raises:
        Failure: Vanished(`changed`) when the file changed, InUse when somebody writes; else as `observe`.
    """
    found, ctimes = _hash(root, path, expected, lease=lease)
    # Reading may have moved the ctime, or a program that sets the time back has written meanwhile. The file
    # is opened again, as the kernel would answer a second reading from its cache.
    if ctimes != {expected.ctime_ns} and _hash(root, path, expected, lease=lease)[0] != found:
        raise changed()
    return found


def require_rest(root: Root, path: bytes, expected: Fingerprint, *, lease: bool) -> None:
    """See that a file is as it settled and that nobody writes it, as `digest` does, without reading it.

    Raises:
        Failure: as `digest`.
    """
    with failures(root), open_regular(root, path) as descriptor:
        _require_rest(root, descriptor, expected, lease=lease)


def _hash(root: Root, path: bytes, expected: Fingerprint, *, lease: bool) -> tuple[str, set[int]]:
    """Return the digest, and the ctimes before and after the reading."""
    hasher = hashlib.sha256()
    with failures(root), open_regular(root, path) as descriptor:
        before = _require_rest(root, descriptor, expected, lease=lease)
        while block := os.read(descriptor, BLOCK):
            hasher.update(block)
        after = _require_rest(root, descriptor, expected, lease=lease)
    return hasher.hexdigest(), {before.ctime_ns, after.ctime_ns}


def _require_rest(root: Root, descriptor: int, expected: Fingerprint, *, lease: bool) -> Fingerprint:
    found = fingerprint_of(os.fstat(descriptor))
    _require_unchanged(root, expected, found)
    if lease and has_writer(descriptor):
        raise Failure(InUse(Cause("being_written", "", "IN_USE")))
    return found


def _require_unchanged(root: Root, before: Fingerprint, found: Fingerprint) -> None:
    if found != before and not found.unchanged_from(before, steady=root.steady):
        raise changed()


def has_writer(descriptor: int) -> bool:
    """Return whether anybody has this file (open for reading here) open for writing or mapped writable.

    The kernel refuses a read lease with EAGAIN where somebody has. Any other refusal (another user's file
    without CAP_LEASE, a file system without leases) proves nothing, and counts as nobody.
    """
    # If somebody opens the file for writing in the instant between lease and release, the kernel sends a
    # signal: SIGIO, which ends the process, unless another is chosen. SIGURG is ignored by default.
    fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False


def require_unlocked(root: Root, path: bytes, locks: Sequence[bytes], since: float) -> None:
    """Raise Failure(InUse) when an editor's lock lies beside a file.

    `locks` are the names it may have; one that was last changed before `since` (seconds since the epoch) was
    left behind by an editor that died.
    """
    with failures(root), beneath(root, path) as (parent, _):
        for lock in locks:
            try:
                status = os.stat(lock, dir_fd=parent, follow_symlinks=False)
            except OSError:
                continue  # most often absent; some names are too long for a lock of theirs to exist
            if status.st_mtime >= since:
                raise Failure(InUse(Cause("locked", readable(lock), "IN_USE"), lock=lock))


@contextmanager
def reading(root: Root, path: bytes, version: Fingerprint) -> Iterator[int]:
    """Yield a descriptor of a version's file, open for reading.

    Raises:
        Failure: Vanished(`changed`), at the beginning when size or mtime are not the version's, at the end
            when anything changed meanwhile; else as `observe`.
    """
    with failures(root), open_regular(root, path) as descriptor:
        before = fingerprint_of(os.fstat(descriptor))
        if not before.known_as(version.size, version.mtime_ns):
            raise changed()
        yield descriptor
        _require_unchanged(root, before, fingerprint_of(os.fstat(descriptor)))


def read(root: Root, path: bytes, version: Fingerprint, sha256: str) -> bytes:
    """Return the content of a file: the bytes that were hashed when it settled.

    Against `version` only size and mtime are compared (a remount changes the rest), but all five fields must
    be the same before and after the reading, where they prove anything.

    Raises:
        Failure: Vanished(`changed`) when anything differs; else as `observe`.
    """
    with reading(root, path, version) as descriptor:
        content = _read_all(descriptor, version.size)
    if len(content) != version.size or hashlib.sha256(content).hexdigest() != sha256:
        raise changed()
    return content


def _read_all(descriptor: int, size: int) -> bytes:
    """Return up to one byte more than `size`: a file that grew while it was read is recognised by that."""
    with open(descriptor, "rb", buffering=0, closefd=False) as file:
        parts = []
        left = size + 1
        while left and (block := file.read(left)):
            parts.append(block)
            left -= len(block)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def zip_file(root: Root, path: bytes, version: Fingerprint, sha256: str, name: str, limit: int) -> memoryview:
    r"""Return an archive that holds a file alone; the same name and content give the same archive.

    Only the archive is in memory, not the file. A `\` in the name is replaced: to Windows it would be a way
    into another directory.

    Raises:
        Failure: Rejected(`too_big`) as soon as the archive is larger than `limit` bytes; else as `read`.
    """
    entry = _entry(name.replace("\\", "_"), version.size)
    packed, hasher = io.BytesIO(), hashlib.sha256()
    with (
        reading(root, path, version) as descriptor,
        zipfile.ZipFile(packed, "w") as archive,
        archive.open(entry, "w") as inside,
    ):
        for block in _blocks(descriptor, version.size):
            hasher.update(block)
            inside.write(block)
            _require_within(packed, limit)
    _require_within(packed, limit)
    if hasher.hexdigest() != sha256:
        raise changed()
    return packed.getbuffer()


def _entry(name: str, size: int) -> zipfile.ZipInfo:
    """Return an archive's entry of which nothing depends on when it is packed, or by whom."""
    entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    entry.create_system = 3  # Unix
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    entry.file_size = size
    return entry


class ArchiveWriter:
    """Packs several files into an archive in memory; the same names and contents give the same archive.

    As a context manager, it leaves nothing open when the archive is given up.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._packed = io.BytesIO()
        self._archive = zipfile.ZipFile(self._packed, "w")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.close()

    def add(self, name: str, content: bytes) -> None:
        """Add a file.

        Raises:
            Failure: Rejected(`too_big`) as soon as the archive is larger than its limit.
        """
        self._archive.writestr(_entry(name, len(content)), content)
        _require_within(self._packed, self._limit)

    def finish(self) -> memoryview:
        """Return the archive, to which nothing is added any more.

        Raises:
            Failure: Rejected(`too_big`) if it is larger than its limit.
        """
        self._archive.close()
        _require_within(self._packed, self._limit)
        return self._packed.getbuffer()


def _blocks(descriptor: int, size: int) -> Iterator[bytes]:
    """Yield full blocks, as an archive's bytes may depend on their size, and no more than `size` bytes."""
    left = size
    with open(descriptor, "rb", closefd=False) as file:
        while block := file.read(min(BLOCK, left + 1)):
            left -= len(block)
            if left < 0:
                raise changed()
            yield block


def _require_within(packed: io.BytesIO, limit: int) -> None:
    if packed.tell() > limit:
        raise Failure(Rejected(Cause("too_big", "", "TOO_BIG")))
