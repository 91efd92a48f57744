"""How much of the allowed rate several nodes use together, and how evenly: against the sandbox's counters."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from tests.bench.benchmark import Benchmark, Figures, Measure, Rounds, Scale
from tests.bench.code import Code
from tests.bench.faithful import strict
from tests.bench.pace import FULL, LOOK, QPS, SEND, SIZE, UPLOAD, Counters
from tests.bench.process import cpu, until
from tests.bench.world import Share, configure, daemon, drop
from tests.postgres import PostgresServer

NODES: Final = 3
_UPLOADS: Final = Measure("uploads: share of what is allowed", 3, least=FULL)
_SENDS: Final = Measure("sends: share of what is allowed", 3, least=FULL)
_REFUSED: Final = Measure("calls refused", 1, most=0)
_EVEN: Final = Measure("messages of the node with the fewest at half time, ratio to its share", 2, least=0.8)
_CPU: Final = Measure("CPU ms/message, all nodes and the database apart", 1)


def _paced(code: Code, count: int) -> Figures:
    """Let some files wait on each node, for a recipient of that node's own."""
    with ExitStack() as stack:
        server = stack.enter_context(PostgresServer())
        url = stack.enter_context(server.ledger())
        far, made = stack.enter_context(strict()), Path(stack.enter_context(tempfile.TemporaryDirectory()))
        pids, folders = [], []
        for number in range(NODES):
            target = made / f"node{number}"
            share = Share(target / "share", far.conversations[number : number + 1])
            share.path.mkdir(parents=True)
            more = {
                "dingtalk": {**far.dingtalk, "monthly_calls": None},
                "pace": {"per_api": f"{QPS}/s", "per_conversation": None},
                "ledger": url,
                "node": f"node{number}",
            }
            pids.append(stack.enter_context(daemon(code, configure(target, "", [share], more))))
            folders.append(share.path)
        far.limit(qps=QPS)
        counters, before = Counters(far), sum(map(cpu, pids))
        drop(folders, count * NODES, SIZE)
        until(lambda: counters.look()[SEND] >= count * NODES // 2, LOOK)
        half = [len(far.messages(one)) for one in far.conversations[:NODES]]
        until(lambda: counters.look()[SEND] >= count * NODES, LOOK)
        time.sleep(1.0)
        refused: Counter[str] = far.calls() - far.granted()
        return {
            _UPLOADS: counters.share(UPLOAD, QPS),
            _SENDS: counters.share(SEND, QPS),
            _REFUSED: refused[UPLOAD] + refused[SEND],
            _EVEN: min(half) / (sum(half) / NODES),
            _CPU: (sum(map(cpu, pids)) - before) / (count * NODES) * 1000,
        }


def _count(scale: Scale) -> int:
    return scale.pick(40, 200)


def rounds(code: Code, scale: Scale) -> Rounds:
    """Let files wait on every node; nothing is prepared."""
    while True:
        yield _paced(code, _count(scale))


BENCHMARK: Final = Benchmark(
    lambda scale: f"{_count(scale)} files on each of {NODES} nodes at {QPS} calls/s of each API", rounds
)
