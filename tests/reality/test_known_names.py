"""Names, inodes and times that are used again, while the service runs: which of them are new files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from tests.reality.stage import Play, Sent, Spot, message_of, play_all

A_YEAR_AGO: Final = 1_700_000_000_123_456_789


def put(path: Path, content: bytes) -> None:
    """Write a file in place, and set its time as a camera does whose clock stands."""
    path.write_bytes(content)
    os.utime(path, ns=(A_YEAR_AGO, A_YEAR_AGO))


def overwritten(spot: Spot) -> Play:
    """Write three pictures of one size and time under one name, the first of them once more at the end."""
    sent: list[Sent] = []
    for number, content in enumerate((b"one", b"two", b"six", b"one")):
        put(spot.folder / "camera.bmp", content)
        sent.append(message_of("camera.bmp", content))
        yield spot.count(number + 1)
    return sent


def updated_in_place(spot: Spot) -> Play:
    """Write into the middle of a file and set its time back."""
    path = spot.folder / "table.dbf"
    put(path, b"row 1, row 2")
    yield spot.count(1)
    with path.open("r+b") as file:
        file.write(b"ROW")
        file.flush()
        os.utime(path, ns=(A_YEAR_AGO, A_YEAR_AGO))
    yield spot.count(2)
    return [message_of("table.dbf", b"row 1, row 2"), message_of("table.dbf", b"ROW 1, row 2")]


def renamed_onto(spot: Spot) -> Play:
    """Write each content aside, within the folder or beside it, and rename it onto the name."""
    sent: list[Sent] = []
    contents = {b"one": spot.folder / ".saving", b"two": spot.folder / ".saving", b"six": spot.beside / "new"}
    for number, (content, aside) in enumerate(contents.items()):
        put(aside, content)
        aside.rename(spot.folder / "plan.dwg")
        sent.append(message_of("plan.dwg", content))
        yield spot.count(number + 1)
    return sent


def directory_replaced(spot: Spot) -> Play:
    """Put another directory in the place of one, with a file of the same name, size and time."""
    for number, content in enumerate((b"one", b"two")):
        made = spot.beside / f"made {number}"
        made.mkdir()
        put(made / "a.pdf", content)
        if number:
            (spot.folder / "scans").rename(spot.beside / "away")
        made.rename(spot.folder / "scans")
        yield spot.count(number + 1)
    return [message_of("a.pdf", b"one"), message_of("a.pdf", b"two")]


def saved_unchanged(spot: Spot) -> Play:
    """Write the same bytes again and set the time back: it is read, and not sent again."""
    for _ in range(2):
        put(spot.folder / "same.txt", b"same")
        yield spot.quiet_passed()
    return [message_of("same.txt", b"same")]


def inode_used_again(spot: Spot) -> Play:
    """Remove a file and write others of its size and time, until one gets its inode."""
    put(spot.folder / "c1.txt", b"one")
    yield spot.count(1)
    number = (spot.folder / "c1.txt").stat().st_ino
    (spot.folder / "c1.txt").unlink()
    sent = [message_of("c1.txt", b"one")]
    for new in range(50):
        path = spot.folder / f"d{new}.txt"
        put(path, b"d%02d" % new)
        sent.append(message_of(path.name, b"d%02d" % new))
        if path.stat().st_ino == number:
            break
    return sent


def touched_and_moved(spot: Spot) -> Play:
    """Touch files, all of one content or each of its own, and move them before they rest."""
    contents = {f"{n}.txt": b"same" if n % 2 else b"%d" % n for n in range(60)}
    for name, content in contents.items():
        (spot.folder / name).write_bytes(content)
    yield spot.count(60)
    (spot.folder / "new").mkdir()
    for name in contents:
        for _ in range(3):
            (spot.folder / name).touch()
        (spot.folder / name).rename(spot.folder / "new" / f"moved {name}")
    yield spot.quiet_passed()
    return [message_of(name, content) for name, content in contents.items()]


def moved_onto_each_other(spot: Spot) -> Play:
    """Rotate names: every content has been sent, and no name's new content is news to anybody."""
    for number in range(3):
        put(spot.folder / f"log.{number}", b"log %d" % number)
    yield spot.count(3)
    for number in (1, 0):
        (spot.folder / f"log.{number}").rename(spot.folder / f"log.{number + 1}")
    yield spot.quiet_passed()
    return [message_of(f"log.{number}", b"log %d" % number) for number in range(3)]


def test_a_name_that_is_used_again_is_sent_again(tmp_path: Path) -> None:
    """Other content under a known name is sent, even when size and mtime are those of the former one."""
    plays = [overwritten, updated_in_place, renamed_onto, directory_replaced, saved_unchanged]
    failures = play_all(tmp_path, {play.__name__: play for play in plays}, "running")
    assert not failures, failures


def test_only_the_same_content_has_moved(tmp_path: Path) -> None:
    """A moved file is not sent again, touched or not; one with the inode, size and time of another is."""
    plays = [inode_used_again, touched_and_moved, moved_onto_each_other]
    failures = play_all(tmp_path, {play.__name__: play for play in plays}, "running")
    assert not failures, failures
