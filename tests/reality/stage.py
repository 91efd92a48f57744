"""A running service with many folders, where many programs write at the same time.

A play is a generator: it lets programs write, and yields the condition under which it goes on. All plays are
played at once, each in its own folder with its own conversation, so that their waits overlap.
"""

from __future__ import annotations

import select
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dingwatch.config.values import Config
from dingwatch.sandbox import Conversation, Message, Sandbox, Settings
from dingwatch.service.daemon import Service
from tests.ledger import states
from tests.reality import writers
from tests.support import PATIENCE, config, eventually, folder, running, sha256

SETTLE = 0.3
CONTROL = "control "

Condition = Callable[[], object]
Sent = tuple[str, str]
"""The name and the digest that a conversation shows."""
Play = Generator[Condition, None, "list[Sent] | None"]
"""Returns what its conversation must show in the end, if it did not see to that itself."""


def message_of(name: str, content: bytes) -> Sent:
    """Return what a conversation shows of a file."""
    return name, sha256(content)


class Writer:
    """A process that writes; it waits where `writers.py` yields."""

    def __init__(self, *words: str) -> None:
        self.said = ""
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", writers.__file__, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def waits(self) -> bool:
        """Return whether it has come to its next stop, or to its end."""
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], 0)[0]:
            return False
        self.said = self._process.stdout.readline().strip()
        return True

    def go_on(self) -> None:
        """Tell it to go on."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def ended(self) -> bool:
        """Return whether it came to a good end."""
        if self._process.poll() is None:
            return False
        assert self._process.returncode == 0
        return True

    def close(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.communicate()


class Fed:
    """A real program that writes what comes in on its stdin."""

    def __init__(self, *command: str) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def feed(self, content: bytes) -> None:
        """Give it some more."""
        assert self._process.stdin is not None
        self._process.stdin.write(content)
        self._process.stdin.flush()

    def end(self) -> None:
        """Let it come to its end."""
        self._process.communicate(timeout=PATIENCE)
        assert self._process.returncode == 0

    def close(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        with suppress(BrokenPipeError):
            self._process.communicate()


@dataclass
class Spot:
    """One play's folder and conversation, and a directory of its own beside it."""

    folder: Path
    beside: Path
    sandbox: Sandbox
    conversation: str
    started: list[Writer | Fed] = field(default_factory=list)
    controls: int = 0

    def writer(self, name: str, path: Path, *words: object) -> Writer:
        """Start a writer."""
        made = Writer(name, str(path), *map(str, words))
        self.started.append(made)
        return made

    def fed(self, *command: str | Path) -> Fed:
        """Start a program that reads what it writes from a pipe."""
        made = Fed(*map(str, command))
        self.started.append(made)
        return made

    def run(self, *command: str | Path) -> None:
        """Run a program to its end."""
        subprocess.run([str(word) for word in command], check=True, timeout=PATIENCE)

    def source(self, name: str) -> Path:
        """Make a whole file outside of what is watched."""
        path = self.beside / name
        path.write_bytes(writers.whole(name))
        return path

    def messages(self) -> tuple[Message, ...]:
        """Return what the conversation shows, without the control files."""
        everything = self.sandbox.messages(self.conversation)
        return tuple(one for one in everything if not str(one.file_name).startswith(CONTROL))

    def sent(self) -> list[Sent]:
        """Return the names and digests that the conversation shows."""
        return [(str(one.file_name), str(one.sha256)) for one in self.messages()]

    def quiet_passed(self) -> Condition:
        """Drop a control file now: when it has arrived, what was quiet since before it could have, too."""
        self.controls += 1
        name = f"{CONTROL}{self.controls}.txt"
        (self.folder / name).write_text(f"{self.conversation} {self.controls}", encoding="ascii")
        return lambda: any(one.file_name == name for one in self.sandbox.messages(self.conversation))

    def count(self, number: int) -> Condition:
        """Return the condition that so many files were sent."""
        return lambda: len(self.messages()) >= number

    def close(self) -> None:
        """End what was started."""
        for one in self.started:
            one.close()


def in_work(setting: Config) -> int:
    """Return how many deliveries are not at their end yet."""
    counted = states(setting)
    return sum(counted[state] for state in ("pending", "uploading", "uploaded", "sending"))


def idle(service: Service, setting: Config) -> bool:
    """Return whether nothing settles and everything that settled came to its end."""
    return not any(settling for _, settling in service.watching().values()) and not in_work(setting)


@dataclass
class Stage:
    """A place for each play, and the configuration of all."""

    setting: Config
    sandbox: Sandbox
    spots: dict[str, Spot]


@contextmanager
def stage(path: Path, names: Sequence[str], **changes: Any) -> Iterator[Stage]:  # noqa: ANN401
    """Set a stage with one spot for each name; `changes` are of the folders' settings."""
    groups = tuple(Conversation(f"cid{number}=", name) for number, name in enumerate(names))
    with Sandbox(settings=Settings(conversations=groups)) as sandbox:
        spots = {}
        for group in groups:
            spots[group.name] = Spot(
                path / "watched" / group.name, path / "beside" / group.name, sandbox, group.id
            )
            spots[group.name].folder.mkdir(parents=True)
            spots[group.name].beside.mkdir(parents=True)
        chosen = {"settle": SETTLE, **changes}
        folders = [folder(one.folder, one.conversation, **chosen) for one in spots.values()]
        try:
            yield Stage(config(path / "state", sandbox, *folders), sandbox, spots)
        finally:
            for spot in spots.values():
                spot.close()


@dataclass
class _Playing:
    name: str
    spot: Spot
    play: Play
    condition: Condition = lambda: True
    until: float = 0.0
    expected: list[Sent] | None = None

    def step(self) -> bool:
        """Go on if that is possible; return whether the play is over."""
        if not self.condition():
            assert time.monotonic() < self.until, f"{self.name} waits in vain; sent: {self.spot.sent()}"
            return False
        try:
            self.condition = next(self.play)
            self.until = time.monotonic() + PATIENCE
        except StopIteration as end:
            self.expected = end.value
            return True
        return False


def play_all(
    path: Path,
    plays: dict[str, Callable[[Spot], Play]],
    when: str,
    **changes: Any,  # noqa: ANN401
) -> dict[str, AssertionError]:
    """Play all plays at once; return why plays failed.

    `when` says what the service is doing as they begin: "running"; "stopped", for a while; or "never ran".
    """
    failures: dict[str, AssertionError] = {}
    with stage(path, list(plays), **changes) as scene:
        playing = [_Playing(name, scene.spots[name], play(scene.spots[name])) for name, play in plays.items()]
        if when == "stopped":
            with running(scene.setting):
                pass
        if when != "running":
            _step(playing, failures)
        with running(scene.setting) as service:
            left = playing
            while left:
                left = _step(left, failures)
                threading.Event().wait(0.01)
            arrived = [one.spot.quiet_passed() for one in playing]
            with suppress(AssertionError):  # told by play below
                eventually(lambda: all(one() for one in arrived) and idle(service, scene.setting))
            for one, (_, settling) in zip(playing, service.watching().values(), strict=True):
                if settling:
                    failures.setdefault(one.name, AssertionError("never comes to rest"))
        for one in playing:
            if one.expected is not None and _by_name(one.spot.sent()) != _by_name(one.expected):
                wrong = AssertionError(f"sent {one.spot.sent()} instead of {one.expected}")
                failures.setdefault(one.name, wrong)
    return failures


def _by_name(sent: list[Sent]) -> dict[str, list[str]]:
    """Return the contents of each name in their order: different files may come in any."""
    contents = defaultdict(list)
    for name, digest in sent:
        contents[name].append(digest)
    return contents


def _step(playing: list[_Playing], failures: dict[str, AssertionError]) -> list[_Playing]:
    left = []
    for one in playing:
        try:
            over = one.step()
        except AssertionError as error:
            failures[one.name] = error
            one.spot.close()
            over = True
        if not over:
            left.append(one)
    return left
