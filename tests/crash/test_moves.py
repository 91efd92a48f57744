"""Killed while files are moved after they were sent, and while people are told of those that were not."""

from __future__ import annotations

import itertools
import os
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from dingwatch.config.values import LEDGER_FILE
from tests.crash.account import Account, Drop
from tests.crash.conftest import Tell
from tests.crash.lives import Target, target
from tests.crash.test_points import TURNS, Sweep, sweep_of
from tests.crash.victim import Kill
from tests.support import sha256

MONTH: Final = datetime.now(UTC).astimezone().strftime("%Y-%m")
SENT: Final = f"Sent/{MONTH}"
NOTE: Final = "bad.not-sent.txt"
OLD: Final = {f"{SENT}/a.pdf": "a file of that name", NOTE: "somebody's note", "old.txt": "was there before"}
FEEDBACK: Final = {"feedback": "sidecar", "after_send": "move", "unsupported": "skip"}
TIME: Final = (1_700_000_000, 1_700_000_000)
COMMITS: Final = {
    f"{when} commit of {who}" for when in ("before", "after") for who in ("intake", "delivery", "feedback")
}
CALLS: Final = [
    f"{when} {call}"
    for call in ("create", "write", "unlink", "mkdir", "directory rename")
    for when in ("before", "after")
]
"""Calls that a life makes once: threads take turns by chance, so they may never be the n-th point."""
MOVES: Final = {"before renameat2", "after renameat2"}
LINKS: Final = {"before link", "after link"}


def tree(here: Target) -> Counter[str]:
    """Return the paths and contents of all files in the folder; of notes that are ours, the paths alone."""
    found: Counter[str] = Counter()
    for path in here.share.rglob("*"):
        with suppress(FileNotFoundError):  # it was moved a moment ago, and the next look finds it
            if one := _describe(path, str(path.relative_to(here.share))):
                found[one] += 1
    return found


def _describe(path: Path, name: str) -> str:
    """Return a file with its content, or an empty directory; nothing for another one."""
    if path.is_dir():
        return "" if any(path.iterdir()) else name
    ours = name.endswith(".not-sent.txt") and name not in OLD
    return name if ours else f"{name} {sha256(path.read_bytes())}"


def expected(here: Target, *more: str) -> Counter[str]:
    """Return what should lie in the folder: what was there, and these (`PATH` or `PATH CONTENT`)."""
    del here
    return Counter([*(f"{name} {sha256(text.encode())}" for name, text in OLD.items()), *more])


def drop(here: Target, path: str, content: bytes) -> str:
    """Drop a file with the same old time that all have; return its digest. It replaces nothing."""
    made = here.share / path
    made.parent.mkdir(exist_ok=True)
    made.write_bytes(content)
    os.utime(made, TIME)
    here.drops.append(Drop(sha256(content), [made.name], path))
    return sha256(content)


def finished(here: Target) -> bool:
    """Return whether no file is on its way, as the ledger has it."""
    with closing(sqlite3.connect(f"file:{here.setting.state_dir / LEDGER_FILE}?mode=ro", uri=True)) as ledger:
        on_the_way = "SELECT 1 FROM moves UNION ALL SELECT 1 FROM sidecars WHERE phase <> 'written'"
        return not ledger.execute(on_the_way).fetchall()


def becomes(here: Target, *more: str) -> None:
    """Wait until the folder holds what it held, and these."""
    here.until(lambda: tree(here) == expected(here, *more))


def judge(here: Target, *more: str) -> Account:
    """Compare what was dropped with what arrived, and with what lies in the folder."""
    here.until(lambda: here.settled() and finished(here))
    found = here.account()
    if (lies := tree(here)) != expected(here, *more):
        found.counts["overwritten"] += 1
        found.wrong.append(f"overwritten: {lies} instead of {expected(here, *more)}")
    return found


def play_moves(here: Target) -> Account:
    """Drop files, one of them twice and one that DingTalk refuses, which is then taken away."""
    here.until(lambda: here.life.ready)
    (here.share / "bad").write_text("DingTalk refuses names without an extension")
    bad = f"bad {sha256((here.share / 'bad').read_bytes())}"
    content = os.urandom(20_000)
    first = drop(here, "a.pdf", content)
    deep = drop(here, "sub/a.pdf", os.urandom(3000))
    moved = [f"{SENT}/a (2).pdf {first}", f"{SENT}/sub/a.pdf {deep}", "sub"]
    note = "bad (2).not-sent.txt"
    becomes(here, bad, note, *moved)
    drop(here, "a.pdf", content)
    moved.append(f"{SENT}/a (3).pdf {first}")
    becomes(here, bad, note, *moved)
    (here.share / "bad").unlink()
    becomes(here, *moved)
    return judge(here, *moved)


def play_back(here: Target) -> Account:
    """Write to a file after it was moved: its new content is sent, too."""
    here.until(lambda: here.life.ready)
    first = drop(here, "a.pdf", b"first")
    becomes(here, f"{SENT}/a (2).pdf {first}")
    here.drops[0].must = False  # it may be found with its new content before anything was sent
    with (here.share / SENT / "a (2).pdf").open("ab") as late:
        late.write(b" and second")
    second = sha256(b"first and second")
    here.drops.append(Drop(second, ["a.pdf"], "a.pdf"))
    here.until(lambda: all(here.arrived(one) for one in here.drops))
    becomes(here, f"{SENT}/a (2).pdf {second}")
    return judge(here, f"{SENT}/a (2).pdf {second}")


@dataclass(frozen=True)
class Case:
    """A story that is played with a kill at every point, or at each second or third one."""

    story: Callable[[Target], Account]
    settle: float
    each: int
    two_names: bool
    kinds: set[str]


@pytest.mark.sweep
@pytest.mark.parametrize(
    "case",
    [
        Case(play_moves, 0.05, 1, two_names=False, kinds=COMMITS | MOVES),
        # Most points are those of the case before.
        Case(play_moves, 0.05, 3, two_names=True, kinds=COMMITS | LINKS),
        Case(play_back, 2.0, 2, two_names=False, kinds=COMMITS | MOVES),
    ],
    ids=["moves", "moves by two names", "moves back"],
)
def test_killed_at_every_point_of_feedback(tmp_path: Path, case: Case, tell: Tell) -> None:
    """Wherever the process is killed, nothing is lost, sent twice unmarked, or overwritten."""
    reached: set[str] = set()
    for number in range(TURNS):
        here = tmp_path / str(number)
        here.mkdir()
        points = itertools.count(1 + number % case.each, case.each)
        settings = {**FEEDBACK, "settle": case.settle}
        sweep = Sweep(here, "resend", case.story, case.two_names, OLD, settings, numbers=points)
        reached |= set(sweep_of(sweep, tell).points)
        if reached >= case.kinds:
            break
    assert reached >= case.kinds


def killed_at(tmp_path: Path, where: str) -> None:
    """Kill the first life at the first point of a name, and see what the next ones make of it."""
    with target(tmp_path, "resend", Kill(1, where), OLD, **FEEDBACK) as here:
        first = here.life
        found = play_moves(here)
    assert first.point == where
    assert not found.wrong


@pytest.mark.parametrize("where", ["after renameat2", "before commit of feedback", "after create"])
def test_killed_at_one_point_of_feedback(tmp_path: Path, where: str) -> None:
    """A move that is only planned in the ledger, and a note of which nothing is written, are gone on with."""
    killed_at(tmp_path, where)


@pytest.mark.sweep
@pytest.mark.parametrize("where", [*CALLS, *sorted(MOVES)])
def test_killed_at_each_call_that_changes_a_folder(tmp_path: Path, where: str) -> None:
    """Nothing half made is left, and nothing is made twice."""
    killed_at(tmp_path, where)
