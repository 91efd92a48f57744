"""Files a second by 1, 2 and 4 services on one ledger, each with a folder; DingTalk answers after 50 ms."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from tests.bench.benchmark import Benchmark, Measure, Rounds, Scale
from tests.bench.code import Code
from tests.bench.postgres import DURABLE, blank, server
from tests.bench.process import cpu, until
from tests.bench.world import CONVERSATIONS, SEND, Dropped, Share, check, configure, drop, starting
from tests.bench.world import far as other_end

NODES: Final = (1, 2, 4)
EACH: Final = len(CONVERSATIONS) // max(NODES)
"""Conversations of each folder, so that the order within one is not what limits a node."""
DELAY: Final = 0.05
WORKERS: Final = 8
SIZE: Final = 4096


def _configure(target: Path, url: str, number: int, ledger: str | None) -> tuple[Path, Path]:
    """Write the config of a node; return it and the folder that the node watches."""
    host = target / f"host{number}"
    share = Share(host / "share", CONVERSATIONS[number * EACH : (number + 1) * EACH])
    share.path.mkdir(parents=True)
    more: dict[str, object] = {"delivery": {"workers": WORKERS}}
    if ledger is not None:
        more |= {"ledger": ledger, "node": f"host{number}"}
    return configure(host, url, [share], more), share.path


def _run(code: Code, nodes: int, count: int, ledger: str | None) -> tuple[float, float]:
    """Let so many nodes send `count` files each; return files a second of all, and cores that they used."""
    with tempfile.TemporaryDirectory() as made, other_end(DELAY) as other, ExitStack() as stack:
        hosts = [_configure(Path(made), other.url, number, ledger) for number in range(nodes)]
        running = [stack.enter_context(starting(code, config)) for config, _ in hosts]
        for daemon in running:
            daemon.wait_until_ready()
        used = sum(cpu(daemon.pid) for daemon in running)
        dropped = drop([share for _, share in hosts], count * nodes, SIZE)
        until(lambda: other.calls()[SEND] >= count * nodes * EACH)
        took = other.arrived()[-1]["at"] - dropped.began
        time.sleep(1.0)  # a second message would come now
        used = sum(cpu(daemon.pid) for daemon in running) - used
        expected = Counter({digest: times * EACH for digest, times in dropped.digests.items()})
        check(other, Dropped(dropped.began, expected))
    return count * nodes / took, used / took


def rounds(code: Code, scale: Scale) -> Rounds:
    """Start services and drop files, in every round and for each number of nodes on a ledger of its own."""
    count, made = scale.pick(30, 300), 0
    with server(*DURABLE) as postgres:
        while True:
            made += 1
            rate, cores = _run(code, 1, count, None)
            figures: dict[Measure, float] = {
                Measure("SQLite, one service: files/s", 1): rate,
                Measure("SQLite, one service: cores", 2): cores,
            }
            single = 0.0
            for nodes in NODES:
                rate, cores = _run(code, nodes, count, blank(postgres, f"nodes_{made}_{nodes}"))
                single = single or rate
                words = f"PostgreSQL, {nodes} node" + "s" * (nodes > 1)
                figures[Measure(f"{words}: files/s", 1)] = rate
                figures[Measure(f"{words}: speed-up", 2)] = rate / single
                figures[Measure(f"{words}: cores", 2)] = cores
            yield figures


BENCHMARK: Final = Benchmark(
    lambda _: f"Files to {EACH} conversations from each node, {WORKERS} workers, answers after 50 ms", rounds
)
