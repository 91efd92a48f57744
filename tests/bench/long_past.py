"""A daemon's place whose ledger has a long past, for the benchmarks that ask what the past costs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench.benchmark import Scale
from tests.bench.code import Code
from tests.bench.past import ROWS, invent, path_of
from tests.bench.world import CONVERSATIONS, Share, configure, daemon
from tests.bench.world import far as other_end

FEW: Final = 1_000
"""Rows of the ledger that a long past is compared with."""


def many(scale: Scale) -> int:
    """Return the rows of a long past."""
    return scale.pick(20_000, 1_000_000, 10_000_000)


@dataclass(frozen=True, slots=True)
class LongPast:
    """A folder, a config and a ledger of so many rows in all tables."""

    target: Path
    rows: int

    @property
    def share(self) -> Path:
        """The watched folder."""
        return self.target / "share"

    @property
    def deliveries(self) -> int:
        """How many deliveries were sent."""
        return self.rows // ROWS

    @property
    def some_path(self) -> Path:
        """The path of a file that was sent long ago."""
        return self.share / path_of(self.deliveries // 2)

    def question(self, command: str) -> tuple[str, ...]:
        """Return the arguments with which a command asks this ledger."""
        return (command, str(self.some_path)) if command == "why" else (command, "--json")

    def configured(self, url: str) -> Path:
        """Return the config file, for the other end at `url`."""
        return configure(self.target, url, [Share(self.share)])


def make(code: Code, target: Path, rows: int) -> LongPast:
    """Let the code make its ledger, and write a past into it."""
    made = LongPast(target, rows)
    made.share.mkdir(parents=True)
    with other_end() as other, daemon(code, made.configured(other.url)):
        pass  # ready: the ledger is there
    invent(target / "state" / "ledger.db", made.deliveries, CONVERSATIONS[0])
    return made
