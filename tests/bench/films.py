"""Large files of one folder on a slow line: when a smaller one of another folder arrives."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.bench.benchmark import Benchmark, Figures, Measure, Rounds, Scale
from tests.bench.code import Code
from tests.bench.faithful import strict
from tests.bench.process import until
from tests.bench.world import Share, configure, daemon

MIB: Final = 1 << 20
FILMS: Final = 2
URGENT: Final = 22 * MIB
SLOW: Final = 2.0
"""Seconds that the store takes for each part: a part of 16 MiB at 8 MiB/s."""
PUT: Final = "storage-host/put"
_URGENT: Final = Measure("the other folder's file of 22 MiB, s", 1, most=2 * SLOW + 4)
_FIRST: Final = Measure("the first film, s", 1)
_ALL: Final = Measure("both films, s", 1)


def _size(scale: Scale) -> int:
    return scale.pick(100, 300) * MIB


def _write(path: Path, size: int) -> None:
    """Put a file there, whole; no two are alike."""
    hidden = path.parent.parent / path.name
    hidden.write_bytes(os.urandom(MIB) * (size // MIB))
    hidden.rename(path)


def _round(code: Code, scale: Scale) -> Figures:
    with strict() as far, tempfile.TemporaryDirectory() as made:
        target = Path(made)
        films, office = (Share(target / name, far.conversations[n:][:1]) for n, name in enumerate(("a", "b")))
        for share in (films, office):
            share.path.mkdir()
        far.slow_down(PUT, SLOW)
        more = {"dingtalk": {**far.dingtalk, "monthly_calls": None}}
        with daemon(code, configure(target, "", [films, office], more)):
            dropped = time.monotonic()
            for number in range(FILMS):
                _write(films.path / f"film{number}.mov", _size(scale))
            until(lambda: far.calls()[PUT] >= 3 * FILMS)  # both are on their way
            urgent = time.monotonic()
            _write(office.path / "offer.psd", URGENT)
            until(lambda: bool(far.messages(office.conversations[0])))
            arrived = time.monotonic()
            until(lambda: bool(far.messages(films.conversations[0])))
            first = time.monotonic()
            until(lambda: len(far.messages(films.conversations[0])) == FILMS)
            return {_URGENT: arrived - urgent, _FIRST: first - dropped, _ALL: time.monotonic() - dropped}


def rounds(code: Code, scale: Scale) -> Rounds:
    """Send the films anew in every round; nothing is prepared."""
    while True:
        yield _round(code, scale)


BENCHMARK: Final = Benchmark(
    lambda scale: (
        f"{FILMS} films of {_size(scale) // MIB} MiB, a store that takes {SLOW:.0f} s for each part"
    ),
    rounds,
    times=1,
)
