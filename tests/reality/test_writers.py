"""What programs write arrives whole and once, however they write it."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.reality import writers
from tests.reality.stage import (
    SETTLE,
    Fed,
    Play,
    Sent,
    Spot,
    idle,
    message_of,
    play_all,
    stage,
)
from tests.support import eventually, running

SHORT = SETTLE / 6
"""A pause of a writer that is not quiet."""
LOCKS = {
    "excel": lambda name: f"~${name}",
    "word": lambda name: f"~${name[1:]}",
    "word_long": lambda name: f"~${name[2:]}",
    "libreoffice": lambda name: f".~lock.{name}#",
    "wps": lambda name: f".~{name}",
}
YESTERDAY = 25 * 3600

PLAYS: dict[str, Callable[[Spot], Play]] = {}


def play(function: Callable[[Spot], Play]) -> Callable[[Spot], Play]:
    """Put a play on the programme."""
    PLAYS[function.__name__] = function
    return function


def whole(name: str) -> Sent:
    """Return what a conversation shows of a whole file."""
    return message_of(name, writers.whole(name))


# --- Writers that take their time ------------------------------------------------------------------


def _finished_late(at: Spot, name: str, how: str, *words: str, times: int = 1) -> Play:
    """Nothing is sent while a writer stops in the middle, for so many quiet periods; then the whole file."""
    writer = at.writer(how, at.folder / name, *words)
    yield writer.waits
    for _ in range(times):
        yield at.quiet_passed()
        assert at.sent() == []
    writer.go_on()
    yield at.count(1)
    return [whole(name)]


@play
def short_pauses(at: Spot) -> Play:
    """A writer that is never quiet for long."""
    writer = at.writer("slowly", at.folder / "slow.pdf", SHORT)
    yield writer.ended
    yield at.count(1)
    return [whole("slow.pdf")]


@play
def long_pause(at: Spot) -> Play:
    """A writer that is quiet for long, with the file open."""
    return (yield from _finished_late(at, "pause.pdf", "in_halves"))


@play
def two_long_pauses(at: Spot) -> Play:
    """Quiet for twice as long, with the file open."""
    return (yield from _finished_late(at, "pauses.pdf", "in_halves", times=2))


@play
def open_for_long(at: Spot) -> Play:
    """A writer that closes long after its last byte."""
    return (yield from _finished_late(at, "open.pdf", "keeping_open"))


@play
def memory(at: Spot) -> Play:
    """A writer that has the file mapped after it closed it."""
    return (yield from _finished_late(at, "mapped.pdf", "mapped"))


def _preallocated(at: Spot, how: str) -> Play:
    name = f"{how}.pdf"
    writer = at.writer("preallocating", at.folder / name, how)
    for _ in range(2):
        yield writer.waits
        yield at.quiet_passed()
        assert at.sent() == []
        writer.go_on()
    yield at.count(1)
    return [whole(name)]


@play
def fallocate(at: Spot) -> Play:
    """Its size, and zeros, long before its content."""
    return (yield from _preallocated(at, "fallocate"))


@play
def truncate(at: Spot) -> Play:
    """Its size, as a hole, long before its content: Windows Explorer over SMB."""
    return (yield from _preallocated(at, "truncate"))


@play
def empty_first(at: Spot) -> Play:
    """Made and closed empty, filled later: macOS Finder over SMB."""
    return (yield from _finished_late(at, "finder.pdf", "empty_first"))


@play
def scanner(at: Spot) -> Play:
    """Opened anew for each page, closed between two."""
    name = "scan.pdf"
    writer = at.writer("page_by_page", at.folder / name, SHORT)
    yield writer.waits
    rested = float(writer.said) < SETTLE
    yield lambda: whole(name) in at.sent()
    yield at.quiet_passed()
    if rested:
        return [whole(name)]
    pages = writers.pages(name)  # a machine so busy that a pause was quiet: what was closed then may arrive
    closed = [message_of(name, b"".join(pages[: n + 1])) for n in range(len(pages))]
    assert at.sent() == [one for one in closed if one in at.sent()]
    return None


@play
def two_versions(at: Spot) -> Play:
    """Closed, quiet for long, and written on: two versions, the whole one last."""
    name = "diary.txt"
    writer = at.writer("appending", at.folder / name)
    yield writer.waits
    yield at.count(1)
    writer.go_on()
    yield at.count(2)
    content = writers.whole(name)
    return [message_of(name, content[: len(content) // 2]), whole(name)]


@play
def autosave(at: Spot) -> Play:
    """An editor that saves all the time: its pauses are sent, not its saves."""
    name, often = "draft.docx", 8
    writer = at.writer("autosaving", at.folder / name, SHORT, often)
    saves = [message_of(name, writers.saved(name, number)) for number in range(2 * often)]
    calm = True
    for last in (saves[often - 1], saves[-1]):
        yield writer.waits
        calm = calm and float(writer.said) < SETTLE
        yield lambda last=last: at.sent()[-1:] == [last]  # type: ignore[misc]
        writer.go_on()
    assert at.sent() == [one for one in saves if one in at.sent()]
    return [saves[often - 1], saves[-1]] if calm else None


@play
def autosave_seldom(at: Spot) -> Play:
    """An editor that saves less often than the quiet period: after its first version only pauses are sent."""
    name, often, pause = "seldom.docx", 4, 1.4 * SETTLE
    writer = at.writer("autosaving", at.folder / name, pause, often)
    saves = [message_of(name, writers.saved(name, number)) for number in range(2 * often)]
    calm = True
    for last in (saves[often - 1], saves[-1]):
        yield writer.waits
        calm = calm and float(writer.said) < 2 * SETTLE
        yield lambda last=last: at.sent()[-1:] == [last]  # type: ignore[misc]
        writer.go_on()
    yield at.quiet_passed()
    assert at.sent() == [one for one in saves if one in at.sent()]
    assert len(at.sent()) <= 3 or not calm
    return None


@play
def regret(at: Spot) -> Play:
    """Removed before it settled."""
    writer = at.writer("regretting", at.folder / "regret.pdf")
    yield writer.ended
    yield at.quiet_passed()
    return []


@play
def reader(at: Spot) -> Play:
    """Others that only read hold nothing back."""
    at.run("cp", at.source("read.pdf"), at.folder / "read.pdf")
    reading = at.writer("reading", at.folder / "read.pdf")
    yield reading.waits
    yield at.count(1)
    return [whole("read.pdf")]


# --- Programs that hold the file while their own source stalls -------------------------------------


def _stalled(at: Spot, name: str, *command: str | Path) -> Play:
    fed, content = at.fed(*command), writers.whole(name)
    fed.feed(content[: len(content) // 2])
    yield lambda: (at.folder / name).exists() and (at.folder / name).stat().st_size > 0
    yield at.quiet_passed()
    assert at.sent() == []
    fed.feed(content[len(content) // 2 :])
    fed.end()
    yield at.count(1)
    return [whole(name)]


@play
def cp_stalled(at: Spot) -> Play:
    """Cp from something slow."""
    return (yield from _stalled(at, "cp.pdf", "cp", "/dev/stdin", at.folder / "cp.pdf"))


@play
def dd_stalled(at: Spot) -> Play:
    """Dd from something slow."""
    return (yield from _stalled(at, "dd.pdf", "dd", "bs=512", f"of={at.folder}/dd.pdf"))


@play
def tar_stalled(at: Spot) -> Play:
    """Tar, unpacking what comes slowly."""
    archive = at.beside / "one.tar"
    at.source("tar.pdf")
    at.run("tar", "-C", at.beside, "-cf", archive, "tar.pdf")
    content = archive.read_bytes()
    fed: Fed = at.fed("tar", "--blocking-factor=1", "-C", at.folder, "-xf", "-")
    fed.feed(content[: len(content) // 2])
    yield (at.folder / "tar.pdf").exists
    yield at.quiet_passed()
    assert at.sent() == []
    fed.feed(content[len(content) // 2 :])
    fed.end()
    yield at.count(1)
    return [whole("tar.pdf")]


# --- Tools -----------------------------------------------------------------------------------------


@play
def cp_old(at: Spot) -> Play:
    """`cp -p` keeps an old time of change."""
    os.utime(at.source("old.pdf"), (writers.OLD, writers.OLD))
    at.run("cp", "-p", at.beside / "old.pdf", at.folder)
    yield at.count(1)
    return [whole("old.pdf")]


@play
def cp_future(at: Spot) -> Play:
    """A time of change in the future."""
    os.utime(at.source("future.pdf"), (writers.FUTURE, writers.FUTURE))
    at.run("cp", "-p", at.beside / "future.pdf", at.folder)
    yield at.count(1)
    return [whole("future.pdf")]


@play
def install(at: Spot) -> Play:
    """Install, which writes and then sets the mode."""
    at.run("install", "-m", "0640", at.source("install.pdf"), at.folder)
    yield at.count(1)
    return [whole("install.pdf")]


@play
def mv(at: Spot) -> Play:
    """Renamed into the folder."""
    at.run("mv", at.source("mv.pdf"), at.folder)
    yield at.count(1)
    return [whole("mv.pdf")]


@play
def mv_across(at: Spot) -> Play:
    """Moved from another file system: copied, with its times."""
    memory = Path("/dev/shm")  # noqa: S108 (another file system)
    elsewhere = (memory if memory.is_dir() else at.beside) / f"{os.getpid()}-across.pdf"
    elsewhere.write_bytes(writers.whole("across.pdf"))
    at.run("mv", elsewhere, at.folder / "across.pdf")
    yield at.count(1)
    return [whole("across.pdf")]


@play
def ln(at: Spot) -> Play:
    """Linked into the folder."""
    at.run("ln", at.source("ln.pdf"), at.folder)
    yield at.count(1)
    return [whole("ln.pdf")]


@play
def rsync(at: Spot) -> Play:
    """Rsync writes under a hidden name and renames."""
    at.run("rsync", "-a", at.source("rsync.pdf"), f"{at.folder}/")
    yield at.count(1)
    return [whole("rsync.pdf")]


@play
def rsync_slow(at: Spot) -> Play:
    """Rsync over a slow line."""
    at.source("slow.pdf")
    at.run("rsync", "-a", "--bwlimit=100k", at.beside / "slow.pdf", f"{at.folder}/")
    yield at.count(1)
    return [whole("slow.pdf")]


@play
def rsync_inplace(at: Spot) -> Play:
    """Rsync over a slow line, writing in place."""
    at.source("inplace.pdf")
    at.run("rsync", "-a", "--inplace", "--bwlimit=100k", at.beside / "inplace.pdf", f"{at.folder}/")
    yield at.count(1)
    return [whole("inplace.pdf")]


# --- Saving and finishing under another name -------------------------------------------------------


def _over_the_old(at: Spot, name: str, how: str) -> Play:
    (at.folder / name).write_bytes(b"the old one")
    yield at.count(1)
    writer = at.writer(how, at.folder / name)
    yield writer.waits
    yield at.quiet_passed()
    assert at.sent() == [message_of(name, b"the old one")]
    writer.go_on()
    yield at.count(2)
    return [message_of(name, b"the old one"), whole(name)]


@play
def office_save(at: Spot) -> Play:
    """A temporary file, renamed over the old one."""
    return (yield from _over_the_old(at, "office.docx", "renaming"))


@play
def vim_save(at: Spot) -> Play:
    """The old one renamed to a backup, the new one written in place."""
    return (yield from _over_the_old(at, "vim.txt", "stepping_aside"))


@play
def word_save(at: Spot) -> Play:
    """The old one moved away, the new one in its place."""
    return (yield from _over_the_old(at, "word.docx", "exchanging"))


@play
def hard_link(at: Spot) -> Play:
    """Finished by a hard link: WinSCP."""
    return (yield from _finished_late(at, "winscp.pdf", "linking"))


@play
def browser(at: Spot) -> Play:
    """A download, renamed when it is complete."""
    return (yield from _finished_late(at, "download.pdf", "downloading"))


for _program, _lock in LOCKS.items():

    def _play(at: Spot, program: str = _program, lock: Callable[[str], str] = _lock) -> Play:
        """Held back while the editor's lock lies beside it."""
        name = f"合同 {program}.docx"
        return _finished_late(at, name, "editing", lock(name), times=2)

    PLAYS[f"lock_{_program}"] = _play


@play
def stale_lock(at: Spot) -> Play:
    """A lock of yesterday is a crashed editor's, and holds nothing."""
    lock = at.folder / "~$stale.docx"
    lock.write_bytes(b"somebody")
    long_ago = lock.stat().st_mtime - YESTERDAY
    os.utime(lock, (long_ago, long_ago))
    at.run("cp", at.source("stale.docx"), at.folder)
    yield at.count(1)
    return [whole("stale.docx")]


# --- Trees -----------------------------------------------------------------------------------------

TREE = [f"{part}{number}.pdf" for part in ("a", "b/c", "b/d/e") for number in range(4)]


def _tree(at: Spot) -> tuple[Path, list[Sent]]:
    top = at.beside / "树"
    for path in TREE:
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_bytes(writers.whole(path))
    return top, [message_of(os.path.basename(path), writers.whole(path)) for path in TREE]


@play
def tree_copied(at: Spot) -> Play:
    """A tree, copied in."""
    top, files = _tree(at)
    at.run("cp", "-r", top, at.folder)
    yield at.count(len(files))
    return files


@play
def tree_moved(at: Spot) -> Play:
    """A tree, moved in."""
    top, files = _tree(at)
    at.run("mv", top, at.folder)
    yield at.count(len(files))
    return files


@play
def tree_unpacked(at: Spot) -> Play:
    """A tree, unpacked."""
    top, files = _tree(at)
    at.run("tar", "-C", at.beside, "-cf", at.beside / "tree.tar", top.name)
    at.run("tar", "-C", at.folder, "-xf", at.beside / "tree.tar")
    yield at.count(len(files))
    return files


# --- How they are found ----------------------------------------------------------------------------

FOUND = {
    "events": ("running", {}),
    "polling": ("running", {"watch": "poll"}),
    "start": ("stopped", {}),
    "existing": ("never ran", {"existing": "send"}),
}
NEEDS = {"rsync": "rsync", "rsync_slow": "rsync", "rsync_inplace": "rsync"}


def _playable() -> dict[str, Callable[[Spot], Play]]:
    return {name: one for name, one in PLAYS.items() if shutil.which(NEEDS.get(name, "sh"))}


@pytest.mark.parametrize("how", FOUND)
def test_what_is_written_arrives_whole_and_once(tmp_path: Path, how: str) -> None:
    """Noticed, polled, found at a start or existing: each file arrives whole, once, under its name."""
    when, changes = FOUND[how]
    failures = play_all(tmp_path, _playable(), when, **changes)
    for name, error in failures.items():
        error.add_note(f"This was the play {name!r}.")
    if failures:
        raise ExceptionGroup(f"{', '.join(failures)} failed", list(failures.values()))


@pytest.mark.parametrize("name", sorted(NEEDS))
def test_a_play_has_its_program(name: str) -> None:
    """A play whose program is not installed is left out above, and reported here."""
    if name not in _playable():
        pytest.skip(f"{NEEDS[name]} is not installed")


def test_what_is_half_written_at_the_first_look_is_sent_whole(tmp_path: Path) -> None:
    """With `existing: skip` a copy that runs across the very first start is no old file."""
    with stage(tmp_path, ["spot"]) as scene:
        spot = scene.spots["spot"]
        name = "across.pdf"
        writer = spot.writer("in_halves", spot.folder / name)
        eventually(writer.waits)
        with running(scene.setting) as service:
            eventually(spot.quiet_passed())
            assert spot.sent() == []
            writer.go_on()
            eventually(spot.count(1))
            eventually(spot.quiet_passed())
            eventually(lambda: idle(service, scene.setting))
        assert spot.sent() == [whole(name)]
