"""What is no regular file, and what links lead to: never sent, never opened, in nobody's way."""

import ctypes
import errno
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from dingwatch import files
from dingwatch.model import Failure
from dingwatch.texts import Log
from tests.reality.stage import SETTLE, Spot, idle, message_of, stage
from tests.support import Heard, eventually, running

SECRET = b"this must not leave"


def fifo(spot: Spot, path: Path) -> None:
    """Make a pipe."""
    del spot
    os.mkfifo(path)


def listening_socket(spot: Spot, path: Path) -> None:
    """Make a socket; its path may be too long for bind, but not from where it lies."""
    del spot
    subprocess.run(
        [
            sys.executable,
            "-c",
            "import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])",
            path.name,
        ],
        cwd=path.parent,
        check=True,
    )


def device(spot: Spot, path: Path) -> None:
    """Make a device that never ends."""
    del spot
    make_device(path)


def make_device(path: Path) -> None:
    """Make a device of /dev/zero's number."""
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("only root makes devices")


def link_inside(spot: Spot, path: Path) -> None:
    """Link to a file of the same folder."""
    inside = spot.folder / "real.pdf"
    inside.write_bytes(b"real")
    path.symlink_to(inside)


def link_outside(spot: Spot, path: Path) -> None:
    """Link to a file outside."""
    (spot.beside / "secret.pdf").write_bytes(SECRET)
    path.symlink_to(spot.beside / "secret.pdf")


def link_dangling(spot: Spot, path: Path) -> None:
    """Link to nothing."""
    path.symlink_to(spot.beside / "nothing.pdf")


def link_directory(spot: Spot, path: Path) -> None:
    """Link to a directory outside, with a file in it."""
    (spot.beside / "secret.pdf").write_bytes(SECRET)
    path.symlink_to(spot.beside, target_is_directory=True)


def link_loop(spot: Spot, path: Path) -> None:
    """Link to the folder itself: a way without end."""
    path.symlink_to(spot.folder, target_is_directory=True)


def link_circle(spot: Spot, path: Path) -> None:
    """Two links to each other."""
    del spot
    path.symlink_to(path.with_suffix(".back.pdf"))
    path.with_suffix(".back.pdf").symlink_to(path)


Make = Callable[[Spot, Path], None]
KINDS: dict[str, Make] = {
    one.__name__: one
    for one in (
        fifo, listening_socket, device, link_inside, link_outside, link_dangling, link_directory, link_loop,
        link_circle,
    )
}  # fmt: skip


def nobody_reads(path: Path) -> bool:
    """Return whether a writer that opens a pipe without waiting finds no reader."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
    except OSError as error:
        return error.errno == errno.ENXIO
    return False


@pytest.mark.parametrize("watch", ["inotify", "poll"])
@pytest.mark.parametrize("before", [False, True], ids=["dropped", "existing"])
def test_only_regular_files_are_sent(tmp_path: Path, *, before: bool, watch: str) -> None:
    """Others are told once and not sent, whether dropped, polled or there before, and other files go on."""
    heard = Heard()
    with stage(tmp_path, list(KINDS), existing="send", watch=watch) as scene:
        paths = {kind: spot.folder / "below" / f"{kind}.pdf" for kind, spot in scene.spots.items()}
        for path in paths.values():
            path.parent.mkdir()

        def make() -> None:
            for kind, path in paths.items():
                KINDS[kind](scene.spots[kind], path)

        if before:
            make()
        with running(scene.setting, heard) as service:
            if not before:
                make()
            for _ in range(2):
                passed = [spot.quiet_passed() for spot in scene.spots.values()]
                eventually(lambda: nobody_reads(paths["fifo"]) and all(one() for one in passed))  # noqa: B023
            eventually(lambda: idle(service, scene.setting))
        sent = {kind: spot.sent() for kind, spot in scene.spots.items() if spot.sent()}
    assert sent == {"link_inside": [message_of("real.pdf", b"real")]}
    told = [values["count"] for text, values in heard.said if text is Log.NOT_REGULAR]
    assert sum(map(int, map(str, told))) == len(KINDS) + 1  # a circle has two


def test_a_pipe_under_a_settled_name_is_not_opened(tmp_path: Path) -> None:
    """A regular file that becomes a pipe before it settled harms nobody; back again, it is sent."""
    with stage(tmp_path, ["spot"]) as scene:
        spot = scene.spots["spot"]
        path = spot.folder / "x.pdf"
        with running(scene.setting) as service:
            path.write_bytes(b"x")
            path.rename(spot.beside / "x.pdf")
            os.mkfifo(path)
            arrived = spot.quiet_passed()
            eventually(lambda: nobody_reads(path) and arrived())
            assert spot.sent() == []
            (spot.beside / "x.pdf").rename(path)
            eventually(spot.count(1))
            eventually(lambda: idle(service, scene.setting))
        assert spot.sent() == [message_of("x.pdf", b"x")]


# --- Swapped in a race -----------------------------------------------------------------------------

SWAPPER = """
import ctypes, sys, time
libc = ctypes.CDLL(None, use_errno=True)
one, other, pause, rest = sys.argv[1].encode(), sys.argv[2].encode(), float(sys.argv[3]), float(sys.argv[4])
sys.stdout.write("swapping\\n"); sys.stdout.flush()
while True:
    for _ in range(101):
        if libc.renameat2(-100, one, -100, other, 2):
            sys.exit(str(ctypes.get_errno()))
        time.sleep(pause)
    time.sleep(rest)
"""
"""Exchanges two names again and again (RENAME_EXCHANGE), and rests with the one or the other in place."""


@contextmanager
def swapping(one: Path, other: Path, pause: float = 0.0, rest: float = 0.0) -> Iterator[None]:
    """Let a process exchange two names meanwhile."""
    command = [sys.executable, "-I", "-S", "-c", SWAPPER, str(one), str(other), str(pause), str(rest)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield
        assert process.poll() is None
    finally:
        process.kill()
        process.communicate()


ROUNDS, FILES = 8, 6


@pytest.mark.parametrize("watch", ["inotify", "poll"])
def test_nothing_comes_through_a_link_swapped_in(tmp_path: Path, watch: str) -> None:
    """A parent directory becomes a link to outside and back, again and again: only what is inside is sent.

    Outside lie files of the same names, sizes and times: only the way to them tells them apart.
    """
    with stage(tmp_path, ["spot"], watch=watch, rescan=0.3) as scene:
        spot = scene.spots["spot"]
        parent, link, outside = spot.folder / "parent", spot.beside / "link", spot.beside / "outside"
        parent.mkdir()
        outside.mkdir()
        link.symlink_to(outside, target_is_directory=True)
        inside = os.open(parent, os.O_DIRECTORY)
        wanted = [message_of(f"{number}.pdf", b"inside %d" % number) for number in range(ROUNDS * FILES)]
        with running(scene.setting) as service:
            with swapping(parent, link, pause=0.001, rest=2 * SETTLE):
                for number in range(ROUNDS * FILES):
                    drop(outside / f"{number}.pdf", b"outside%d" % number, number)
                    drop(spot.beside / "new.pdf", b"inside %d" % number, number)
                    os.rename(spot.beside / "new.pdf", f"{number}.pdf", dst_dir_fd=inside)
                    if number % FILES == FILES - 1:
                        eventually(spot.quiet_passed())
            if parent.is_symlink():
                parent.unlink()
                link.rename(parent)
            eventually(lambda: {name for name, _ in spot.sent()} >= {name for name, _ in wanted})
            eventually(lambda: idle(service, scene.setting))
        os.close(inside)
        assert sorted(spot.sent()) == sorted(wanted)


def drop(path: Path, content: bytes, number: int) -> None:
    """Write a file with a time of its own."""
    path.write_bytes(content)
    os.utime(path, (1_700_000_000 + number,) * 2)


@contextmanager
def never_opened(path: Path) -> Iterator[None]:
    """See by its inode that a file was not opened meanwhile, wherever it was renamed to."""
    kernel = ctypes.CDLL(None, use_errno=True)
    listening = kernel.inotify_init1(os.O_NONBLOCK)
    opened = 0x20  # IN_OPEN
    assert kernel.inotify_add_watch(listening, os.fsencode(path), opened) >= 0
    try:
        yield
        with pytest.raises(BlockingIOError):
            os.read(listening, 4096)
    finally:
        os.close(listening)


@pytest.mark.parametrize("name", ["pipe", "device"])
def test_what_is_swapped_in_before_the_opening_is_not_opened(tmp_path: Path, name: str) -> None:
    """What was a regular file when it was looked at may be a pipe by now, whose writer must not notice."""
    regular, other = tmp_path / "x.pdf", tmp_path / name
    regular.write_bytes(b"x")
    if name == "pipe":
        os.mkfifo(other)
    else:
        make_device(other)
    seen = set()
    with (
        never_opened(other),
        swapping(regular, other),
        closing(files.open_root(os.fsencode(tmp_path))) as root,
    ):
        for _ in range(20_000):
            with suppress(Failure):
                seen.add(files.observe(root, b"x.pdf", opened=True).size)
    assert seen == {1}
