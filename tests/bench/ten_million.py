"""What ten million deliveries in a ledger in PostgreSQL cost those who ask it something."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Final

from sqlalchemy import Connection, text

from dingwatch.ledger import Store, pruning, queues, report, versions
from dingwatch.ledger.folders import MappedFolder, bind
from dingwatch.ledger.queues import Paused, UploadQueue
from dingwatch.ledger.report import EVERYTHING, HistoryQuery
from dingwatch.ledger.transitions import Change, apply
from dingwatch.ledger.versions import NewVersion
from dingwatch.lifecycle import Event, State
from dingwatch.model import Fingerprint, Route
from tests.bench.benchmark import Benchmark, Figures, Measure, Rounds, Scale
from tests.bench.code import Code
from tests.bench.postgres import BULK, FOLDERS, blank, invent, server
from tests.bench.postgres import RECIPIENTS as RECIPIENTS_OF_FILE
from tests.support import plain_payload

NODE: Final = "bench"
ROOT: Final = b"/srv/bench"
RECIPIENTS: Final = tuple(f"cidBench{number:02}==" for number in range(20))
DIRECTORIES: Final = 10
KNOWN: Final = 10_000
"""Files that lie in the folder that is asked about, all sent."""
WAITING: Final = 4_000
"""Files that wait for an upload."""
PRUNABLE: Final = 10_000
"""Files that were sent and have been gone for longer than `keep`."""
CLAIMED: Final = 8
"""Rows that one transaction claims."""


FEW: Final = FOLDERS * RECIPIENTS_OF_FILE
"""Deliveries of the small ledger: one for each recipient of each of the same folders."""


class Undo(Exception):  # noqa: N818 (no error: what was measured is to be there once more)
    """Ends a transaction without a trace."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """A ledger with the folder that is asked about, whatever else is in it."""

    store: Store
    folder: int
    now: float

    # --- What is asked ---------------------------------------------------------------------------

    def claim(self, connection: Connection) -> None:
        """Ask and write what a tick of the delivery loop does that claims uploads."""
        recipients = queues.recipients_to_upload(connection, Route.ROBOT)
        asked = recipients[:CLAIMED]
        rows = []
        for recipient in asked:
            (folder,) = queues.folders_to_upload(connection, Route.ROBOT, recipient)
            queue = UploadQueue(Route.ROBOT, recipient, folder)
            rows += next(queues.first_contents(connection, Paused(), self.now, queue, CLAIMED))
        if (
            len(apply(connection, self.now, [Change(row.id, Event.CLAIM, State.PENDING) for row in rows]))
            < CLAIMED
        ):
            raise RuntimeError("too little was claimed")

    def look_up(self, connection: Connection) -> None:
        """Ask for 100 paths that are known and 100 that are not."""
        paths = [path_of(number) for number in range(0, KNOWN, KNOWN // 100)]
        found = versions.find_by_path(connection, self.folder, [*paths, *(b"new/" + one for one in paths)])
        if sum(map(len, found.values())) != len(paths):
            raise RuntimeError("a path was not found")

    def scan(self, connection: Connection) -> None:
        """Read what the scan after a start compares with the folder."""
        rows = sum(
            len(list(versions.stream_directory(connection, self.folder, b"known/%d" % number)))
            for number in range(DIRECTORIES)
        )
        if rows != KNOWN:
            raise RuntimeError("files are unknown")

    def prune(self, connection: Connection) -> None:
        """Forget 500 versions that have been gone for long."""
        found = pruning.list_prunable(connection, self.folder, self.now - 400 * 86400.0)
        if len(found) != pruning.PRUNED_AT_ONCE:
            raise RuntimeError("too little was found")
        pruning.prune(connection, self.folder, self.now - 400 * 86400.0, [one.id for one in found])

    def read_history(self, connection: Connection) -> None:
        """Read the first page of `history`."""
        if len(report.lines(connection, EVERYTHING, HistoryQuery(limit=200))) != 200:
            raise RuntimeError("lines are missing")

    def read_failed(self, connection: Connection) -> None:
        """Read what failed, and how many rows are in which state of work."""
        report.lines(connection, EVERYTHING, HistoryQuery(state=State.FAILED))
        if report.count_open(connection)[State.PENDING] < WAITING - 1:
            raise RuntimeError("rows are missing")

    # --- How it is measured ----------------------------------------------------------------------

    def milliseconds(self, ask: Callable[[Connection], None], *, writes: bool) -> float:
        """Return how long a question took; what it wrote is undone, after it was timed."""
        with suppress(Undo), self.store.writing() if writes else self.store.reading() as connection:
            began = time.perf_counter()
            ask(connection)
            took = time.perf_counter() - began
            raise Undo
        return took * 1000


def path_of(number: int) -> bytes:
    """Return the path of a file that lies in the folder."""
    return b"known/%d/%d.pdf" % (number % DIRECTORIES, number)


def _new(folder: int, path: bytes, number: int, recipient: str, at: float) -> NewVersion:
    digest = f"{number:064x}"
    print_ = Fingerprint(4096, 1_600_000_000_000_000_000 + number, 0, number, 1)
    return NewVersion(folder, path, print_, digest, at, at, plain_payload(path, digest, "app"), (recipient,))


def prepare(url: str, now: float) -> Ledger:
    """Write the folder that is asked about into a ledger."""
    store = Store.open(url, NODE)
    with store.writing() as connection:
        (mark,) = bind(connection, [MappedFolder(ROOT, "bench", RECIPIENTS)])
    with store.writing() as connection:
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        files = [
            *((path_of(number), now - 86400.0) for number in range(KNOWN)),
            *((b"gone/%d.pdf" % number, now - 500 * 86400.0) for number in range(PRUNABLE)),
            *((b"new/%d.pdf" % number, now) for number in range(WAITING)),
        ]
        for start in range(0, len(files), 1000):
            new = [
                _new(mark.id, path, number, RECIPIENTS[number % len(RECIPIENTS)], at)
                for number, (path, at) in enumerate(files[start : start + 1000], start)
            ]
            versions.add(store, connection, new, now)
        _send(connection, mark.id, now)
    with store.writing() as connection:
        connection.execute(text("ANALYZE"))
    return Ledger(store, mark.id, now)


def _send(connection: Connection, folder: int, now: float) -> None:
    """Have what does not wait be sent, and be gone where it is to be pruned."""
    values = {"folder": folder, "before": now - 60.0, "pruned": now - 450 * 86400.0}
    for statement in (
        "UPDATE deliveries SET state = 'sent' WHERE folder_id = :folder AND noticed_at < :before",
        "UPDATE versions SET missing_since = noticed_at WHERE folder_id = :folder AND noticed_at < :pruned",
    ):
        names = {name: value for name, value in values.items() if f":{name}" in statement}
        connection.execute(text(statement), names)


QUESTIONS: Final[dict[str, tuple[Callable[[Ledger, Connection], None], bool]]] = {
    f"claim of {CLAIMED} uploads": (Ledger.claim, True),
    "lookup of 200 paths": (Ledger.look_up, False),
    f"scan of {KNOWN:,} known files": (Ledger.scan, False),
    f"prune of {pruning.PRUNED_AT_ONCE}": (Ledger.prune, True),
    "200 lines of `history`": (Ledger.read_history, False),
    "what failed, what is open": (Ledger.read_failed, False),
}


def compare(small: Ledger, large: Ledger, times: int) -> Figures:
    """Ask both ledgers in turn, so that whatever else the machine does meets both."""
    figures: dict[Measure, float] = {}
    for name, (ask, writes) in QUESTIONS.items():
        took: dict[str, list[float]] = {"small": [], "large": []}
        for number in range(times + 2):
            for which, ledger in (("small", small), ("large", large))[:: 1 if number % 2 else -1]:
                taken = ledger.milliseconds(partial(ask, ledger), writes=writes)
                if number > 1:  # the first ones fill the server's memory
                    took[which].append(taken)
        few, most = (median(took[which]) for which in ("small", "large"))
        figures[Measure(f"{name}: ms, few deliveries", 2)] = few
        figures[Measure(f"{name}: ms, many", 2)] = most
        figures[Measure(f"{name}: many ÷ few", 2, most=1.2)] = most / few
    return figures


def _deliveries(scale: Scale) -> int:
    return scale.pick(20_000, 1_000_000, 10_000_000)


def rounds(_code: Code, scale: Scale) -> Rounds:
    """Write the past; then ask in every round."""
    now = time.time()
    with server(*BULK) as postgres:
        urls = [blank(postgres, name) for name in ("small", "large")]
        for url, count in zip(urls, (FEW, _deliveries(scale)), strict=True):
            invent(url, count, now)
        ledgers = [prepare(url, now) for url in urls]
        with closing(ledgers[0].store), closing(ledgers[1].store):
            while True:
                yield compare(ledgers[0], ledgers[1], scale.pick(3, 15))


BENCHMARK: Final = Benchmark(
    lambda scale: f"Questions to ledgers in PostgreSQL with {FEW:,} and {_deliveries(scale):,} deliveries",
    rounds,
)
