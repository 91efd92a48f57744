"""The values behind the status page and searches in the history, with many folders and deliveries."""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import quote

from tests.bench.benchmark import Benchmark, Figures, Measure, Rounds, Scale
from tests.bench.code import Code
from tests.bench.process import elapsed, settle
from tests.bench.served import ask, many_folders, middle
from tests.bench.world import daemon

PATIENCE: Final = 20.0
STATUS: Final = "/api/v1/status"
NOTHING: Final = "/healthz"
"""What the same server answers at once."""


def _found(port: int, text: str) -> list[Any]:
    rows: list[Any] = json.loads(ask(port, f"/api/v1/history?q={quote(text)}")[1])["rows"]
    return rows


def _measure(port: int, deliveries: int, times: int) -> Figures:
    first, body = ask(port, STATUS)
    if json.loads(body)["ledger"]["rows"] != deliveries:
        raise RuntimeError("the status does not see the past")
    if len(_found(port, f"{deliveries // 2}.PDF")) != 1 or _found(port, "合同"):
        raise RuntimeError("a search finds something else")
    nothing = middle(times, lambda: ask(port, NOTHING)[0])

    def search(text: str) -> float:
        return middle(times, lambda: ask(port, f"/api/v1/history?q={quote(text)}")[0])

    return {
        Measure("status, the first after a start: ms", 0): first,
        Measure("status beyond an empty answer: ms", 0, most=100): middle(times, lambda: ask(port, STATUS)[0])
        - nothing,
        Measure("search, in all names: ms", 0): search(".pdf"),
        Measure("search, one old file: ms", 0, most=300): search(f"/{deliveries // 100}.pdf"),
        Measure("search, no file: ms", 0, most=300): search("no such file"),
        Measure("search, no file, two Chinese characters: ms", 0, most=300): search("合同"),
    }


def rounds(code: Code, scale: Scale) -> Rounds:
    """Write the past of many folders; then ask in every round."""
    folders, deliveries = scale.pick(20, 300), scale.pick(20_000, 1_000_000)
    with many_folders(code, folders, deliveries) as (config, port):
        while True:
            with daemon(code, config) as pid:
                settle(pid, PATIENCE)
                command = code.dingwatch("status", "--json", "-c", str(config))
                yield {
                    **_measure(port, deliveries, scale.pick(3, 9)),
                    Measure("`status --json`: s", 2): elapsed(command, code.tree),
                }


BENCHMARK: Final = Benchmark(
    lambda scale: (
        f"Values of {scale.pick(20, 300)} folders, searches in {scale.pick(20_000, 1_000_000):,} deliveries"
    ),
    rounds,
)
