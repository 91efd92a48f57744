"""The status page of many folders on a ledger with a long past: its first paint, and its size."""

from __future__ import annotations

import gzip
import os
from statistics import median
from typing import Final

from playwright.sync_api import Browser, sync_playwright

from tests.bench.benchmark import Benchmark, Figures, Measure, Rounds, Scale
from tests.bench.code import Code
from tests.bench.long_past import many
from tests.bench.past import ROWS
from tests.bench.process import settle
from tests.bench.served import ask, many_folders, middle
from tests.bench.world import daemon

CHROMIUM: Final = "/usr/bin/chromium"
PATIENCE: Final = 20.0
EMPTY: Final = "/login"
"""A page of the same server with next to nothing on it."""
PAINTED: Final = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
BYTES: Final = """() => ['navigation', 'resource'].flatMap((type) => performance.getEntriesByType(type))
  .filter((one) => !one.name.includes('/events')).reduce((sum, one) => sum + one.encodedBodySize, 0)"""


def _open(port: int, path: str) -> tuple[float, bytes]:
    """Ask as a browser does."""
    return ask(port, path, Accept_Encoding="gzip", Accept="text/html")


def _paint(browser: Browser, address: str) -> tuple[float, float]:
    """Return the milliseconds until a page was painted, and the bytes that came for it, without a cache."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(address)
    page.wait_for_function(PAINTED)
    found = page.evaluate(PAINTED), page.evaluate(BYTES)
    context.close()
    return found


def _measure(port: int, folders: int, times: int) -> Figures:
    _, body = _open(port, "/")
    if gzip.decompress(body).count(b"<tr data-s=") != folders:
        raise RuntimeError("the page does not show all folders")
    page = middle(times, lambda: _open(port, "/")[0])
    status = middle(times, lambda: _open(port, "/api/v1/status")[0])
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        address = f"http://127.0.0.1:{port}"
        empty = middle(times, lambda: _paint(browser, address + EMPTY)[0])
        painted = [_paint(browser, f"{address}/") for _ in range(times)]
        browser.close()
    return {
        Measure("the whole answer: ms", 0): page,
        Measure("beyond the status as JSON: ms", 0, most=100): page - status,
        Measure("first paint: ms", 0): median(one for one, _ in painted),
        Measure("first paint beyond an empty page: ms", 0, most=300): median(one for one, _ in painted)
        - empty,
        Measure("transferred: KB", 1, most=60): painted[0][1] / 1024,
    }


def rounds(code: Code, scale: Scale) -> Rounds:
    """Write the past of many folders; then open the page in every round."""
    folders = scale.pick(20, 300)
    with many_folders(code, folders, many(scale) // ROWS) as (config, port):
        while True:
            with daemon(code, config) as pid:
                settle(pid, PATIENCE)
                yield _measure(port, folders, scale.pick(3, 9))


BENCHMARK: Final = Benchmark(
    lambda scale: f"The status page of {scale.pick(20, 300)} folders, a ledger of {many(scale):,} rows",
    rounds,
)
