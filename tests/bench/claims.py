"""Claims and their outcomes a second, by one loop and by several, on SQLite and on PostgreSQL.

`python -m tests.bench.claims URL LOOP SECONDS` is one of the loops, in a process of its own as on a host.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Final

from dingwatch.ledger import Store, sqlite_url, versions
from dingwatch.ledger.folders import MappedFolder, bind
from dingwatch.ledger.transitions import Change, apply
from dingwatch.ledger.versions import NewVersion
from dingwatch.lifecycle import Event, State
from dingwatch.model import Fingerprint
from tests.bench.benchmark import Benchmark, Measure, Rounds, Scale
from tests.bench.code import ROOT, Code
from tests.bench.postgres import DURABLE, blank, server
from tests.support import plain_payload

LOOPS: Final = (1, 2, 4, 8)


def prepare(url: str) -> None:
    """Write one delivery for each loop."""
    with closing(Store.open(url, "bench")) as store, store.writing() as connection:
        recipients = [f"cid{number}" for number in range(max(LOOPS))]
        bind(connection, [MappedFolder(b"/bench", "bench", tuple(recipients))])
        for number, recipient in enumerate(recipients):
            digest = f"{number:064x}"
            payload = plain_payload(b"x.pdf", digest, "app")
            print_ = Fingerprint(1, number, 0, number, 1)
            new = NewVersion(1, b"%d" % number, print_, digest, 1.0, 1.0, payload, (recipient,))
            versions.add(store, connection, [new], 1.0)


def claim_for(url: str, loop: int, seconds: float) -> int:
    """Claim a row and give it back, each in a transaction, for some seconds; return how often."""
    delivery, claims = 2 * loop + 2, 0
    claim = Change(delivery, Event.CLAIM, State.PENDING)
    outcome = Change(delivery, Event.RETRY, State.UPLOADING)
    with closing(Store.open(url, "bench")) as store:
        print("ready", flush=True)  # noqa: T201 (what the parent waits for)
        sys.stdin.readline()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for change in (claim, outcome):
                with store.writing() as connection:
                    if not apply(connection, 1.0, [change]):
                        raise RuntimeError("it was not in the state that it was left in")
            claims += 1
    return claims


def _measure(url: str, loops: int, seconds: float) -> float:
    """Return claims a second of all loops together."""
    command = [sys.executable, "-m", "tests.bench.claims", url]
    running = [
        subprocess.Popen(
            [*command, str(loop), str(seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for loop in range(loops)
    ]
    for one in running:
        assert one.stdout is not None
        one.stdout.readline()
    for one in running:
        assert one.stdin is not None
        one.stdin.write("\n")
        one.stdin.flush()
    return sum(int(one.communicate()[0]) for one in running) / seconds


def rounds(_code: Code, scale: Scale) -> Rounds:
    """Let loops claim on both databases in every round."""
    seconds = scale.pick(1.0, 10.0)
    with tempfile.TemporaryDirectory() as made, server(*DURABLE) as postgres:
        urls = {"SQLite": sqlite_url(Path(made) / "ledger.db"), "PostgreSQL": blank(postgres, "claims")}
        for url in urls.values():
            prepare(url)
        while True:
            figures: dict[Measure, float] = {}
            for name, url in urls.items():
                for loops in LOOPS:
                    words = f"{loops} loop" + "s" * (loops > 1)
                    figures[Measure(f"{name}, {words}: claims/s", 0)] = _measure(url, loops, seconds)
            yield figures


BENCHMARK: Final = Benchmark(lambda _: "Claims with their outcomes, two transactions each", rounds)


if __name__ == "__main__":
    print(claim_for(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))  # noqa: T201 (the answer)
