"""Any file operations in any order, against the service as it runs, and what must have arrived by the rules.

Operations on different paths come in bursts; before a path is touched again, what happened to it has settled,
so that the rules alone say what arrives and no timing does. What is done in haste is allowed to differ.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from dingwatch import settle
from dingwatch.service.daemon import Service
from tests.ledger import missing
from tests.reality.stage import CONTROL, in_work, stage
from tests.support import PATIENCE, Heard, eventually, sha256

SETTLE: Final = 0.05
DIRECTORIES: Final = ("", "a", "a/b", "c")
NAMES: Final = ("1.pdf", "2.pdf", "3.txt", "4.txt", "5.pdf.part")
MOST_VERSIONS: Final = 5
LEFT_OUT: Final = ".part"
COMMON: Final = (b"one", b"two", b"one, longer")

paths = st.builds(os.path.join, st.sampled_from(DIRECTORIES), st.sampled_from(NAMES))
directories = st.sampled_from(DIRECTORIES[1:])
contents = st.none() | st.sampled_from(COMMON)
"""None: one that no other file has."""
picks = st.integers(0, 99)
"""Which of the files, or directories, that are there."""


@dataclass
class Version:
    """One content state of one path, as the model remembers it; a baseline has no digest."""

    path: str
    size: int
    mtime_ns: int
    inode: int
    digest: str | None
    missing: bool = False
    """Whether the ledger has it that its file is gone."""


@dataclass
class Rules:
    """What design.md says of known versions: knows what was sent, and says what must be."""

    share: Path
    known: list[Version] = field(default_factory=list)
    wanted: list[tuple[str, str]] = field(default_factory=list)
    """Names and digests that must have arrived, each once."""
    allowed: list[tuple[str, str]] = field(default_factory=list)
    """Names and digests that may have arrived besides."""
    replaced: list[Version] = field(default_factory=list)
    """What was in the place of what has settled since the last rest."""

    def baseline(self, path: str) -> None:
        """A file that was there before the first start."""
        self.known.append(self._state(path, None))

    def settled(self, path: str) -> None:
        """A file came to rest: decide what it is."""
        if (
            not (self.share / path).is_file()
            or path.endswith(LEFT_OUT)
            or not (self.share / path).stat().st_size
        ):
            return
        now = self._state(path, sha256((self.share / path).read_bytes()))
        here = [one for one in self.known if one.path == path]
        found = self._known_as(path, now, here)
        if found is None:
            self.known.append(now)
            self.wanted.append((os.path.basename(path), str(now.digest)))
        else:
            found.missing = False
        self.replaced += [one for one in here if one is not found]

    def _known_as(self, path: str, now: Version, here: list[Version]) -> Version | None:
        for one in here:
            if self._same(one, now) and one.digest in {None, now.digest}:
                return one
        if here and here[-1].digest == now.digest:
            here[-1].mtime_ns, here[-1].inode = now.mtime_ns, now.inode
            return here[-1]
        for one in reversed(self.known):
            if one.path != path and self._has_moved(one, now):
                one.path, one.mtime_ns, one.inode = path, now.mtime_ns, now.inode
                return one
        return None

    def rested(self) -> None:
        """All has settled: what was replaced by then has not moved to where it turns up later."""
        for one in self.replaced:
            one.missing = one.missing or not self._holds(one)
        self.replaced.clear()

    def _holds(self, one: Version) -> bool:
        """Return whether a version that was replaced was found elsewhere, and lies there."""
        path = self.share / one.path
        return path.is_file() and one.digest == sha256(path.read_bytes())

    def _state(self, path: str, digest: str | None) -> Version:
        status = (self.share / path).stat()
        return Version(path, status.st_size, status.st_mtime_ns, status.st_ino, digest)

    def _same(self, one: Version, other: Version) -> bool:
        return (one.size, one.mtime_ns) == (other.size, other.mtime_ns)

    def _has_moved(self, one: Version, now: Version) -> bool:
        """Return whether a version that was there is gone from its path, and is what lies here now."""
        if one.digest is None:
            is_it = self._same(one, now) and one.inode == now.inode
        else:
            is_it = one.digest == now.digest
        return is_it and not one.missing and not self._there(one, now)

    def _there(self, one: Version, found: Version) -> bool:
        if not (self.share / one.path).is_file():
            return False
        there = self._state(one.path, None)
        if one.inode in {there.inode, found.inode}:
            return one.inode == there.inode
        return self._same(one, there)

    def gone(self) -> list[Version]:
        """Return the versions whose file is gone, though the ledger may not know it yet."""
        return [one for one in self.known if not one.missing and not (self.share / one.path).is_file()]

    def arrived(self, sent: list[tuple[str, str]]) -> bool:
        """Return whether everything that must have arrived has."""
        return not _contents(self.wanted) - _contents(sent)

    def compare(self, sent: list[tuple[str, str]]) -> None:
        """Compare what arrived with what must have, and with what may have besides.

        Of several files that are alike to the nanosecond any may pass for the one that was moved: so it is
        contents that are counted, not names.
        """
        lost = _contents(self.wanted) - _contents(sent)
        too_much = _contents(sent) - _contents(self.wanted) - _contents(self.allowed)
        assert not lost, f"lost {lost}; known: {self.known}"
        assert not too_much, f"sent without need {too_much}; known: {self.known}"


def _contents(files: list[tuple[str, str]]) -> Counter[str]:
    return Counter(digest for _, digest in files)


class FileOperations(RuleBasedStateMachine):
    """People and programs at work in one folder."""

    def __init__(self) -> None:
        super().__init__()
        self.cleanup = ExitStack()
        top = Path(self.cleanup.enter_context(tempfile.TemporaryDirectory()))
        self.scene = self.cleanup.enter_context(stage(top, ["spot"], settle=SETTLE))
        self.spot = self.scene.spots["spot"]
        self.share = self.spot.folder
        self.model = Rules(self.share)
        self.dirty: set[str] = set()
        self.past: dict[str, list[tuple[bytes, int]]] = {}
        self.unique = 0
        self.service: Service | None = None

    def teardown(self) -> None:
        """See to what is not yet settled, and end everything."""
        try:
            self.checkpoint()
            self.stop_service()
        finally:
            if self.service is not None:
                self.service.stop()
            self.cleanup.close()

    # --- The service -----------------------------------------------------------------------------

    @initialize(before=st.lists(st.tuples(paths, st.sampled_from(COMMON)), max_size=3))
    def first_start(self, before: list[tuple[str, bytes]]) -> None:
        """Some files are there before the first start, and are its baseline."""
        for path, content in before:
            self.put(path, content)
        for path in self.files():
            if not path.endswith(LEFT_OUT):
                self.model.baseline(path)
        self.start_service()
        self.dirty.clear()

    def start_service(self) -> None:
        """Start, and wait until the folder is watched."""
        self.service = Service(self.scene.setting, log=Heard())
        self.service.start()
        assert self.service.ready.wait(PATIENCE)

    def stop_service(self) -> None:
        """Stop, and see that nothing unexpected happened."""
        if self.service is not None:
            service, self.service = self.service, None
            service.stop()
            assert service.failed is None, service.failed

    def checkpoint(self) -> None:
        """Wait until everything has settled and was sent, and compare it with the rules.

        The control file is dropped last: noticed after all else, or found by the same scan.
        """
        for path in sorted(self.dirty):
            self.model.settled(path)
        self.dirty.clear()
        control = self.spot.quiet_passed()
        if self.service is None:
            self.start_service()
        with suppress(AssertionError):  # told better below
            eventually(lambda: control() and self.model.arrived(self.spot.sent()) and self.idle())
        self.model.compare(self.spot.sent())
        assert control(), "the control file was not sent"
        assert self.idle(), "something settles, or is in work, for ever"
        self.model.rested()

    def believe_absences(self, content: bytes) -> None:
        """Have it known that a content's files are gone: dropped before, it has moved; later, it is new."""
        digest = sha256(content)
        if self.dirty or any(one.digest == digest for one in self.model.gone()):
            self.checkpoint()
        gone = [one for one in self.model.gone() if one.digest == digest]
        eventually(lambda: {one.path for one in gone} <= missing(self.scene.setting))
        for one in gone:
            one.missing = True

    def idle(self) -> bool:
        """Return whether only files that are empty are waited for."""
        assert self.service is not None
        assert self.service.failed is None, self.service.failed
        empty = sum(
            not (self.share / one).stat().st_size for one in self.files() if not one.endswith(LEFT_OUT)
        )
        settling = sum(count for _, count in self.service.watching().values())
        return settling == empty and not in_work(self.scene.setting)

    # --- What is there ---------------------------------------------------------------------------

    def files(self) -> list[str]:
        """Return all files in the folder."""
        found = [
            path for path in self.share.rglob("*") if path.is_file() and not path.name.startswith(CONTROL)
        ]
        return sorted(str(path.relative_to(self.share)) for path in found)

    def below(self, directory: str) -> list[str]:
        """Return the files below a directory."""
        return [path for path in self.files() if path.startswith(directory + "/")]

    def folders(self) -> list[str]:
        """Return the directories in the folder."""
        return sorted(str(path.relative_to(self.share)) for path in self.share.rglob("*") if path.is_dir())

    def fresh(self, path: str) -> bool:
        """Return whether a path had few versions: with each one its quiet period doubles."""
        return sum(one.path == path for one in self.model.known) < MOST_VERSIONS

    def fresh_files(self) -> list[str]:
        """Return the files with few versions."""
        return [path for path in self.files() if self.fresh(path)]

    def pick(self, pick: int) -> str:
        """Return one of the files."""
        files = self.fresh_files()
        return files[pick % len(files)]

    def content(self, content: bytes | None) -> bytes:
        """Return a content, by default one that no other file has."""
        self.unique += 1
        if content is not None:
            self.believe_absences(content)
        return content or b"unique %d" % self.unique

    def touching(self, touched: Iterable[str]) -> None:
        """These paths are about to change: what happened to them before must have settled."""
        touched = set(touched)
        if touched & self.dirty:
            self.checkpoint()
        self.dirty |= touched

    def touching_content(self, path: str) -> None:
        """A content is about to change, under all its names; no event tells of the other names."""
        inode = (self.share / path).stat().st_ino
        links = [one for one in self.files() if (self.share / one).stat().st_ino == inode]
        self.touching(links)
        if len(links) > 1 and self.service is not None:
            self.dirty -= set(links)
            self.restart()
            self.dirty |= set(links)

    def put(self, path: str, content: bytes) -> None:
        """Write a file in place."""
        (self.share / path).parent.mkdir(parents=True, exist_ok=True)
        (self.share / path).write_bytes(content)

    def remember(self) -> None:
        """Keep what is there for putting it back."""
        for path in self.files():
            state = (self.share / path).read_bytes(), (self.share / path).stat().st_mtime_ns
            if state[0] and state not in self.past.get(path, []):
                self.past.setdefault(path, []).append(state)

    # --- What people do --------------------------------------------------------------------------

    @rule()
    def restart(self) -> None:
        """Stop the service, until the next checkpoint."""
        if self.service is not None:
            self.checkpoint()
            self.stop_service()

    @rule()
    def rest(self) -> None:
        """Do nothing for a while."""
        self.checkpoint()

    @rule(path=paths, content=contents)
    def write(self, path: str, content: bytes | None) -> None:
        """Make a file, or overwrite it in place."""
        if not self.fresh(path):
            return
        written = self.content(content)
        if (self.share / path).exists():
            self.touching_content(path)
        else:
            self.touching([path])
        self.put(path, written)

    def some_files(self) -> bool:
        """Return whether there is any file."""
        return bool(self.fresh_files())

    @precondition(some_files)
    @rule(pick=picks)
    def append(self, pick: int) -> None:
        """Write on."""
        path = self.pick(pick)
        self.touching_content(path)
        with (self.share / path).open("ab") as file:
            file.write(self.content(None))

    @precondition(some_files)
    @rule(pick=picks, empty=st.booleans())
    def truncate(self, pick: int, *, empty: bool) -> None:
        """Cut a file."""
        path = self.pick(pick)
        self.touching_content(path)
        with (self.share / path).open("r+b") as file:  # by path alone no event tells, until the next scan
            file.truncate(0 if empty else (self.share / path).stat().st_size // 2)

    @precondition(some_files)
    @rule(pick=picks, content=contents)
    def replace(self, pick: int, content: bytes | None) -> None:
        """Write beside and rename over it."""
        path, written = self.pick(pick), self.content(content)
        self.touching([path])
        temporary = (self.share / path).with_name(".temporary")
        temporary.write_bytes(written)
        temporary.replace(self.share / path)

    @precondition(some_files)
    @rule(pick=picks, path=paths)
    def rename(self, pick: int, path: str) -> None:
        """Give a file another name, in another directory or over another file."""
        source = self.pick(pick)
        if not self.fresh(path):
            return
        self.touching([source, path])
        (self.share / path).parent.mkdir(parents=True, exist_ok=True)
        (self.share / source).rename(self.share / path)

    @precondition(some_files)
    @rule(pick=picks, path=paths)
    def link(self, pick: int, path: str) -> None:
        """Give a file one more name."""
        source = self.pick(pick)
        if self.fresh(path) and not (self.share / path).exists():
            self.believe_absences((self.share / source).read_bytes())
            self.touching([source, path])
            (self.share / path).parent.mkdir(parents=True, exist_ok=True)
            (self.share / path).hardlink_to(self.share / source)

    @precondition(some_files)
    @rule(pick=picks, path=paths, keep=st.booleans())
    def copy(self, pick: int, path: str, *, keep: bool) -> None:
        """Copy a file; like `cp -p` its time is kept."""
        source = self.pick(pick)
        if (self.share / path).exists() or not self.fresh(path):
            return
        self.checkpoint()
        self.believe_absences((self.share / source).read_bytes())
        self.touching([source, path])
        (self.share / path).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copy2 if keep else shutil.copyfile)(self.share / source, self.share / path)
        self.checkpoint()

    @precondition(some_files)
    @rule(pick=picks)
    def delete(self, pick: int) -> None:
        """Remove a file."""
        path = self.pick(pick)
        self.touching([path])
        self.remember()
        (self.share / path).unlink()

    def some_past(self) -> bool:
        """Return whether there is anything to put back."""
        return any(self.fresh(path) for path in self.past)

    @precondition(some_past)
    @rule(pick=picks, which=picks)
    def put_back(self, pick: int, which: int) -> None:
        """Put back an older state with its time, as from a backup."""
        known = sorted(path for path in self.past if self.fresh(path))
        path = known[pick % len(known)]
        content, mtime_ns = self.past[path][which % len(self.past[path])]
        self.checkpoint()
        self.believe_absences(content)
        self.dirty.add(path)
        backup = self.spot.beside / "backup"
        backup.write_bytes(content)
        os.utime(backup, ns=(mtime_ns, mtime_ns))
        (self.share / path).parent.mkdir(parents=True, exist_ok=True)
        backup.rename(self.share / path)
        self.checkpoint()

    @precondition(some_files)
    @rule(pick=picks)
    def touch(self, pick: int) -> None:
        """Give a file another time, as `touch` does."""
        path = self.pick(pick)
        self.touching_content(path)
        self.remember()
        with (self.share / path).open("ab") as file:
            os.utime(file.fileno())

    @precondition(some_files)
    @rule(pick=picks)
    def chmod(self, pick: int) -> None:
        """Give a file another mode: no change of what it is."""
        path = self.share / self.pick(pick)
        path.chmod(path.stat().st_mode ^ 0o020)

    @rule(directory=directories, files=st.dictionaries(st.sampled_from(NAMES), contents, min_size=1))
    def move_tree_in(self, directory: str, files: dict[str, bytes | None]) -> None:
        """Move a directory with files in from outside."""
        target = self.share / directory
        moved = [f"{directory}/{name}" for name in files]
        if target.exists() or not all(map(self.fresh, moved)):
            return
        written = {name: self.content(content) for name, content in files.items()}
        self.touching(moved)
        outside = self.spot.beside / "tree"
        outside.mkdir()
        for name, content in written.items():
            (outside / name).write_bytes(content)
        target.parent.mkdir(exist_ok=True)
        outside.rename(target)

    def some_folders(self) -> bool:
        """Return whether there is any directory."""
        return bool(self.folders())

    @precondition(some_folders)
    @rule(pick=picks, to=directories)
    def rename_directory(self, pick: int, to: str) -> None:
        """Give a directory another name."""
        source = self.folders()[pick % len(self.folders())]
        if (self.share / to).exists() or to.startswith(source):
            return
        moved = self.below(source)
        self.touching([*moved, *(to + path.removeprefix(source) for path in moved)])
        (self.share / to).parent.mkdir(exist_ok=True)
        (self.share / source).rename(self.share / to)

    @precondition(some_folders)
    @rule(pick=picks)
    def remove_directory(self, pick: int) -> None:
        """Remove a directory with all that is in it."""
        directory = self.folders()[pick % len(self.folders())]
        self.touching(self.below(directory))
        self.remember()
        shutil.rmtree(self.share / directory)

    @precondition(some_folders)
    @rule(pick=picks)
    def take_out_and_back(self, pick: int) -> None:
        """Move a directory out of the folder for a while: what comes back is known."""
        directory = self.folders()[pick % len(self.folders())]
        self.touching(self.below(directory))
        (self.share / directory).rename(self.spot.beside / "taken out")
        self.checkpoint()
        self.dirty |= {f"{directory}/{path}" for path in _files_below(self.spot.beside / "taken out")}
        (self.spot.beside / "taken out").rename(self.share / directory)

    # --- What is done in haste -------------------------------------------------------------------

    @rule(path=paths)
    def write_twice(self, path: str) -> None:
        """Overwrite what was just written: the first may have been sent, the second must be."""
        if (self.share / path).exists() or path.endswith(LEFT_OUT) or not self.fresh(path):
            return
        self.touching([path])
        for _ in range(2):
            content = self.content(None)
            self.put(path, content)
            self.model.allowed.append((os.path.basename(path), sha256(content)))
        self.model.allowed.pop()

    @rule(directory=st.sampled_from(DIRECTORIES))
    def write_and_delete(self, directory: str) -> None:
        """Remove what was just written: it may have been sent."""
        content = self.content(None)
        path = os.path.join(directory, f"regret {self.unique}.pdf")
        self.put(path, content)
        (self.share / path).unlink()
        self.model.allowed.append((os.path.basename(path), sha256(content)))


def _files_below(top: Path) -> list[str]:
    return [str(path.relative_to(top)) for path in top.rglob("*") if path.is_file()]


QUIET: Final = tuple(HealthCheck)
"""Hypothesis minds slow examples; these wait for a real service."""
UNSHRUNK: Final = (Phase.explicit, Phase.generate)
"""A failure waits in vain: to make it small takes long. Add `Phase.shrink` where that is wanted."""


@pytest.fixture(autouse=True)
def no_minute_for_touched_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an old file of which only the time changed wait no minute longer: too long for so many steps."""
    monkeypatch.setattr(settle, "TOUCHED_WAIT", 0.0)


def test_what_must_have_arrived_has_arrived() -> None:
    """A few lives of a folder, the same ones each time."""
    some = settings(
        max_examples=4,
        stateful_step_count=10,
        deadline=None,
        derandomize=True,
        phases=UNSHRUNK,
        suppress_health_check=QUIET,
    )
    run_state_machine_as_test(FileOperations, settings=some)


@pytest.mark.sweep
def test_what_must_have_arrived_has_arrived_in_any_order() -> None:
    """Many lives of a folder; `--hypothesis-profile=search` lives others and tells how to repeat one."""
    many = settings(
        max_examples=60,
        stateful_step_count=25,
        deadline=None,
        database=None,
        phases=UNSHRUNK,
        print_blob=True,
        suppress_health_check=QUIET,
    )
    run_state_machine_as_test(FileOperations, settings=many)
