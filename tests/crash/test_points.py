from __future__ import annotations

import itertools
import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from dingwatch.dingtalk import MEDIA_LIMIT
from dingwatch.model import BundleRule
from tests.crash.account import Account
from tests.crash.conftest import Tell
from tests.crash.lives import OLD, OnUncertain, Target, target
from tests.crash.victim import Kill

LANES: Final = 2
KINDS: Final = {
    *(
        f"{when} commit of {who}"
        for when in ("before", "after")
        for who in ("MainThread", "intake", "delivery")
    ),
    *(f"{when} {read}" for when in ("before", "after") for read in ("digest", "reading")),
    *(
        f"{when} {api}"
        for when in ("before request", "after effect of", "after request")
        for api in ("upload", "send")
    ),
}
"""What a sweep must have found; the others come once in a life, and two threads race for the number."""
LARGE: Final = MEDIA_LIMIT + 1
LARGE_KINDS: Final = {
    f"{when} {what}"
    for when in ("before request", "after effect of", "after request")
    for what in ("spaces", "query", "commit", "send")
} | {f"{when} reading through" for when in ("before", "after")}


def play(here: Target) -> Account:
    """Drop files into a folder, one after the other through whatever happens to the service."""
    here.until(lambda: here.life.ready)
    content = os.urandom(50_000)
    here.drop("a.pdf", content)
    here.drop("the same.pdf", content)
    here.drop("no extension", os.urandom(3000))
    here.drop("sub/deep.docx", os.urandom(200_000))
    first = here.drop("minutes.txt", b"first")
    here.until(lambda: here.arrived(first) or here.life.over)
    here.drop("minutes.txt", b"first and second")
    here.until(here.settled)
    return here.account()


def play_large(here: Target) -> Account:
    """Drop files that go by the drive, three of one name: one replaces another, one lies elsewhere."""
    here.until(lambda: here.life.ready)
    first = here.drop("a.iso", os.urandom(LARGE))
    here.until(lambda: here.arrived(first) or here.life.over)
    here.drop("a.iso", os.urandom(LARGE))
    here.drop("sub/a.iso", os.urandom(LARGE))
    here.until(here.settled)
    return here.account()


BUNDLES: Final = BundleRule(0.3, 3)
BUNDLE_KINDS: Final = KINDS


def play_bundles(here: Target) -> Account:
    """Drop two bursts: of the first a file is removed, and of the second one replaces a file of the first."""
    here.until(lambda: here.life.ready)
    for name in ("a.pdf", "b.pdf", "removed.pdf", "no extension", "sub/deep.docx"):
        here.drop(name, os.urandom(20_000))
    here.until(lambda: len(here.rows()) >= len(here.drops) or here.life.over)
    here.remove("removed.pdf")
    first = here.there["a.pdf"]
    here.until(lambda: here.arrived(first) or here.life.over)
    for name in ("a.pdf", "sub/e.pdf", "f.txt"):
        here.drop(name, os.urandom(20_000))
    here.until(here.settled)
    return here.account()


Story = Callable[[Target], Account]


@dataclass
class Sweep:
    """Plays the story again and again, each time killed at the next point, until one comes to its end."""

    at: Path
    on_uncertain: OnUncertain
    story: Story
    two_names: bool = False
    old: Mapping[str, str] = field(default_factory=lambda: OLD)
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the folder."""
    ledgers: Callable[[], AbstractContextManager[str | None]] = nullcontext
    """Yields the URL of an empty ledger for each story; None: a file."""
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    """The points at which it is killed, which are counted in each life."""
    over: threading.Event = field(default_factory=threading.Event)
    points: Counter[str] = field(default_factory=Counter)
    sum: Account = field(default_factory=Account)

    def lane(self) -> None:
        """Play until there is nothing more to be killed, or until something is wrong."""
        try:
            while not self.over.is_set():
                self._one(next(self.numbers))
        finally:
            self.over.set()

    def _one(self, number: int) -> None:
        at = self.at / str(number)
        rule = BUNDLES if self.story is play_bundles else None
        kill, changes = Kill(number, two_names=self.two_names), {"bundle": rule, **self.changes}
        with (
            self.ledgers() as ledger,
            target(at, self.on_uncertain, kill, self.old, ledger=ledger, **changes) as here,
        ):
            first = here.life
            found = self.story(here)
        self.sum.add(found)
        assert not found.wrong, (number, first.point, found.wrong)
        if first.point:
            self.points[first.point] += 1
        else:
            self.over.set()
        shutil.rmtree(at)


TURNS = 3


def sweep_of(sweep: Sweep, tell: Tell) -> Sweep:
    """Kill at one point after the other until there is none left, and tell what came of it."""
    session = time.monotonic()
    with ThreadPoolExecutor(LANES) as lanes:
        for lane in [lanes.submit(sweep.lane) for _ in range(LANES)]:
            lane.result()
    seconds = time.monotonic() - session
    where = "SQLite" if sweep.ledgers is nullcontext else "PostgreSQL"
    what = f"{sweep.story.__name__}, {sweep.on_uncertain}, {where}"
    tell(f"{what}: killed at {sweep.points.total()} points: {sweep.sum}, {seconds:.0f} s")
    return sweep


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("on_uncertain", "story", "kinds"),
    [
        ("resend", play, KINDS),
        ("hold", play, KINDS),
        ("resend", play_large, LARGE_KINDS),
        ("resend", play_bundles, BUNDLE_KINDS),
        ("hold", play_bundles, BUNDLE_KINDS),
    ],
)
def test_killed_at_every_point(
    tmp_path: Path, on_uncertain: OnUncertain, story: Story, kinds: set[str], tell: Tell
) -> None:
    """Wherever the process is killed, the next one sends every file whole, and twice only when marked."""
    reached: set[str] = set()
    for number in range(TURNS):
        (tmp_path / str(number)).mkdir()
        sweep = sweep_of(Sweep(tmp_path / str(number), on_uncertain, story), tell)
        reached |= set(sweep.points)
        if reached >= kinds:  # threads take turns by chance: now and then one kind is never the n-th point
            break
    assert reached >= kinds
    if on_uncertain == "hold":
        assert sweep.sum.counts["twice (marked)"] == 0


@pytest.mark.parametrize(
    ("where", "on_uncertain", "twice", "uncertain"),
    [
        ("before request upload", "resend", False, False),
        ("after effect of send", "resend", True, False),
        ("after effect of send", "hold", False, True),
    ],
)
def test_killed_at_one_point(
    tmp_path: Path,
    ledger: str | None,
    where: str,
    on_uncertain: OnUncertain,
    *,
    twice: bool,
    uncertain: bool,
) -> None:
    """A kill before a request costs nothing; one between a send and its answer is told, and done as told."""
    with target(tmp_path, on_uncertain, Kill(1, where), ledger=ledger) as here:
        first = here.life
        here.until(lambda: here.life.ready)
        here.drop("a.pdf", os.urandom(1000))
        here.until(here.settled)
        found = here.account()
    assert first.point == where
    assert not found.wrong
    assert (found.counts["twice (marked)"] > 0, found.counts["uncertain"] > 0) == (twice, uncertain)
