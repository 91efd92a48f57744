"""Programs that write files the way real ones do: `writers.py NAME PATH [WORD…]`, each its own process.

At a `yield` a writer says so on its stdout, and goes on when a line comes in on its stdin. It needs nothing
but the standard library, so that it starts quickly.
"""

from __future__ import annotations

import mmap
import os
import sys
import time
from collections.abc import Callable, Iterator

PAGES = 6
OLD, FUTURE = 1_000_000_000, 4_000_000_000
"""Times of change in 2001 and in 2096."""

HERE = "here"
"""What a writer says at a stop when it has nothing else to say."""
Writing = Iterator[str | float]


def pages(name: str) -> list[bytes]:
    """Return the pages of a file, which are different for each name."""
    return [f"{name}, page {number}\n".encode() * 900 for number in range(PAGES)]


def whole(name: str) -> bytes:
    """Return all of a file."""
    return b"".join(pages(name))


def saved(name: str, times: int) -> bytes:
    """Return what an editor saves for the n-th time: longer each time."""
    return f"{name}, saved\n".encode() * (100 + times)


def _half(name: str) -> tuple[bytes, bytes]:
    content = whole(name)
    return content[: len(content) // 2], content[len(content) // 2 :]


class _Gaps:
    """Measures the longest pause between two writes, as it really was."""

    def __init__(self) -> None:
        self.last, self.longest = time.monotonic(), 0.0

    def rest(self, seconds: float) -> None:
        """Pause."""
        time.sleep(seconds)

    def wrote(self) -> None:
        """Note a write."""
        now = time.monotonic()
        self.longest, self.last = max(self.longest, now - self.last), now


def slowly(path: str, pause: str) -> Writing:
    """Write page by page with pauses, and keep the file open all the time."""
    with open(path, "wb", buffering=0) as file:
        for page in pages(os.path.basename(path)):
            file.write(page)
            time.sleep(float(pause))
    yield from ()


def _halves(path: str, name: str) -> Writing:
    """Write the second half of what is to be called so as late as one is told to, with the file open."""
    first, second = _half(name)
    with open(path, "wb", buffering=0) as file:
        file.write(first)
        yield HERE
        file.write(second)


def in_halves(path: str) -> Writing:
    """Write the second half late, and keep the file open meanwhile."""
    yield from _halves(path, os.path.basename(path))


def keeping_open(path: str) -> Writing:
    """Write everything at once, and close late."""
    with open(path, "wb", buffering=0) as file:
        file.write(whole(os.path.basename(path)))
        yield HERE


def mapped(path: str) -> Writing:
    """Write through a mapping that outlives the descriptor."""
    first, second = _half(os.path.basename(path))
    with open(path, "w+b", buffering=0) as file:
        file.truncate(len(first) + len(second))
        memory = mmap.mmap(file.fileno(), 0)
    memory[: len(first)] = first
    yield HERE
    memory[len(first) :] = second
    memory.close()


def preallocating(path: str, how: str) -> Writing:
    """Give the file its size before its content and an old time of change at the end, as Explorer does."""
    content = whole(os.path.basename(path))
    with open(path, "wb", buffering=0) as file:
        if how == "fallocate":
            os.posix_fallocate(file.fileno(), 0, len(content))
        else:
            file.truncate(len(content))
        yield HERE
        file.write(content)
        os.utime(path, (OLD, OLD))
        yield HERE


def empty_first(path: str) -> Writing:
    """Make the file empty and close it; fill it later, as Finder does."""
    with open(path, "wb"):
        pass
    yield HERE
    with open(path, "r+b") as file:
        file.write(whole(os.path.basename(path)))


def page_by_page(path: str, pause: str) -> Writing:
    """Open the file anew for each page, as scanners do; say how long the longest pause was."""
    gaps = _Gaps()
    for page in pages(os.path.basename(path)):
        with open(path, "ab") as file:
            file.write(page)
        gaps.wrote()
        gaps.rest(float(pause))
    yield gaps.longest


def autosaving(path: str, pause: str, often: str) -> Writing:
    """Save all the time, then pause, then save all the time again; say how long the longest pause was."""
    name = os.path.basename(path)
    for begin in (0, int(often)):
        gaps = _Gaps()
        for number in range(begin, begin + int(often)):
            with open(path, "wb") as file:
                file.write(saved(name, number))
            gaps.wrote()
            gaps.rest(float(pause))
        yield gaps.longest


def renaming(path: str) -> Writing:
    """Write beside it under a temporary name, and rename over the old one."""
    temporary = os.path.join(os.path.dirname(path), "~WRD0001.tmp")
    yield from _halves(temporary, os.path.basename(path))
    os.replace(temporary, path)


def stepping_aside(path: str) -> Writing:
    """Rename the old one to a backup and write the new one under its name, as vim does."""
    os.rename(path, path + "~")
    yield from _halves(path, os.path.basename(path))
    os.unlink(path + "~")


def exchanging(path: str) -> Writing:
    """Move the old one out of the way, the new one in its place, then remove the old one, as Word does."""
    directory = os.path.dirname(path)
    new, old = os.path.join(directory, "~WRD0002.tmp"), os.path.join(directory, "~WRL0002.tmp")
    with open(new, "wb") as file:
        file.write(whole(os.path.basename(path)))
    os.rename(path, old)
    yield HERE
    os.rename(new, path)
    os.unlink(old)


def linking(path: str) -> Writing:
    """Write under a temporary name, finish by a hard link and remove the temporary name, as WinSCP does."""
    temporary = path + ".filepart"
    yield from _halves(temporary, os.path.basename(path))
    os.link(temporary, path)
    os.unlink(temporary)


def downloading(path: str) -> Writing:
    """Write under a browser's name for what is not complete, and rename."""
    temporary = path + ".crdownload"
    yield from _halves(temporary, os.path.basename(path))
    os.rename(temporary, path)


def editing(path: str, lock: str) -> Writing:
    """Keep an editor's lock beside the file while it is open in the editor."""
    beside = os.path.join(os.path.dirname(path), lock)
    with open(beside, "wb") as file:
        file.write(b"somebody")
    with open(path, "wb") as file:
        file.write(whole(os.path.basename(path)))
    yield HERE
    os.unlink(beside)


def appending(path: str) -> Writing:
    """Write half of it and close; much later write the other half."""
    for half in _half(os.path.basename(path)):
        with open(path, "ab") as file:
            file.write(half)
        yield HERE


def regretting(path: str) -> Writing:
    """Write the file, and remove it at once."""
    with open(path, "wb") as file:
        file.write(whole(os.path.basename(path)))
    os.unlink(path)
    yield from ()


def reading(path: str) -> Writing:
    """Hold the file open for reading."""
    with open(path, "rb") as file:
        file.read(1)
        yield HERE


WRITERS: dict[str, Callable[..., Writing]] = {
    writer.__name__: writer
    for writer in (
        slowly, in_halves, keeping_open, mapped, preallocating, empty_first, page_by_page, autosaving,
        renaming, stepping_aside, exchanging, linking, downloading, editing, appending, regretting, reading,
    )
}  # fmt: skip


def main(name: str, *words: str) -> None:
    """Play one writer."""
    for said in WRITERS[name](*words):
        sys.stdout.write(f"{said}\n")
        sys.stdout.flush()
        if not sys.stdin.readline():
            return  # nobody is there any more to tell it to go on


if __name__ == "__main__":
    main(*sys.argv[1:])
