"""One large file by the drive: how fast beside `curl -T`, and what two kills on the way cost."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Final

from tests.bench.benchmark import Benchmark, Figures, Measure, Rounds, Scale
from tests.bench.code import Code
from tests.bench.faithful import Strict, strict
from tests.bench.process import elapsed, resident, settle, until
from tests.bench.world import CONVERSATIONS, QUIET, Far, Share, configure, daemon
from tests.bench.world import far as other_end

MIB: Final = 1 << 20
PART: Final = 16 * MIB
PUT: Final = "storage-host/put"
KILLS: Final = 2
_CURL: Final = Measure("curl -T: MB/s", 0)
_PARTS_RATE: Final = Measure("all parts, first byte to last: MB/s", 0)
_WHOLE_RATE: Final = Measure("close to message, without the quiet period: MB/s", 0)
_RATIO: Final = Measure("all parts ÷ curl -T", 2, least=0.8)
_MEMORY: Final = Measure("peak memory over idle, MB", 0, most=64)
_KILLED: Final = f"killed {KILLS} times"
_AGAIN: Final = Measure(f"{_KILLED}: parts put ÷ parts needed", 2)
_MESSAGES: Final = Measure(f"{_KILLED}: messages", 0, most=1, least=1)
_CALLS: Final = Measure(f"{_KILLED}: billed calls", 0)
_SECONDS: Final = Measure(f"{_KILLED}: s, starts included", 1)


def _uninterrupted(code: Code, film: Path) -> Figures:
    """Send a file to an other end that throws it away, as `curl -T` does before."""
    size = film.stat().st_size / 1e6
    with other_end() as other:
        # Without the header, curl would wait for a `100 Continue`.
        store = f"{other.url}/store"
        elapsed(["/usr/bin/curl", "-sf", "-H", "Expect:", "-T", str(film), store], film.parent)
        (put,) = other.puts()
        curl = size / (put["ended"] - put["began"])
        with tempfile.TemporaryDirectory(dir=film.parent) as made:
            share = Path(made) / "share"
            share.mkdir()
            operator = {"dingtalk": {**_APP, "api_url": other.url, "oapi_url": other.url}}
            with daemon(code, configure(Path(made), other.url, [Share(share)], operator)) as pid:
                settle(pid)
                idle = resident(pid)
                os.link(film, share / "film.mov")
                linked = time.monotonic()
                until(lambda: bool(other.arrived()))
                peak = resident(pid, peak=True)
        took = _require_whole(other, film.stat().st_size) - linked - QUIET
        puts = other.puts()[1:]
    rate = size / (max(put["ended"] for put in puts) - min(put["began"] for put in puts))
    return {
        _CURL: curl,
        _PARTS_RATE: rate,
        _WHOLE_RATE: size / took,
        _RATIO: rate / curl,
        _MEMORY: peak - idle,
    }


_APP: Final = {
    "client_id": "dingbench",
    "client_secret": "bench-secret",
    "operator_union_id": "operator",
    "monthly_calls": None,
}


def _require_whole(other: Far, size: int) -> float:
    """Fail unless all bytes came, once, and one message; return when that came (monotonic)."""
    (message,) = other.arrived(CONVERSATIONS[0])
    put = sum(one["size"] for one in other.puts()[1:])
    if not size == put == message["size"]:
        raise RuntimeError(f"of {size} bytes {put} were put, and {message['size']} were announced")
    return float(message["at"])


def _interrupted(code: Code, film: Path, digest: str) -> Figures:
    """Send a file through the sandbox, and kill the daemon on the way."""
    parts = -(-film.stat().st_size // PART)
    with strict() as other, tempfile.TemporaryDirectory(dir=film.parent) as made:
        share = Path(made) / "share"
        share.mkdir()
        app = {"dingtalk": {**other.dingtalk, "monthly_calls": None}}
        config = configure(Path(made), "", [Share(share, other.conversations[:1])], app)
        with daemon(code, config) as pid:
            settle(pid)
        os.link(film, share / "film.mov")
        began = time.monotonic()
        for kill in range(1, KILLS + 1):
            with _killed(code, config):
                until(lambda kill=kill: other.calls()[PUT] >= parts * kill // (KILLS + 1))  # type: ignore[misc]
        with daemon(code, config):
            until(lambda: bool(other.messages(other.conversations[0])))
        took = time.monotonic() - began
        return {**_counted(other, digest, parts), _SECONDS: took}


def _counted(other: Strict, digest: str, parts: int) -> Figures:
    messages = other.messages(other.conversations[0])
    if {message["sha256"] for message in messages} != {digest}:
        raise RuntimeError("the file did not arrive whole")
    calls = other.calls()
    billed = sum(count for api, count in calls.items() if not api.endswith(("oken", PUT)))
    return {_AGAIN: calls[PUT] / parts, _MESSAGES: len(messages), _CALLS: billed}


@contextmanager
def _killed(code: Code, config: Path) -> Iterator[None]:
    """Run the daemon, and kill it at the end of the block."""
    with daemon(code, config) as pid:
        try:
            yield
        finally:
            os.kill(pid, signal.SIGKILL)


def _write(path: Path, size: int) -> str:
    """Write bytes of which no two MiB are alike; return their digest."""
    hasher, block = sha256(), bytearray(os.urandom(MIB))
    with path.open("wb") as file:
        for number in range(size // MIB):
            block[:8] = number.to_bytes(8)
            hasher.update(block)
            file.write(block)
    return hasher.hexdigest()


def _roomy() -> str:
    """Return a directory on a disk: /tmp may lie in memory."""
    return "/var/tmp"  # noqa: S108 (a directory of its own is made in it)


def _size(scale: Scale) -> int:
    return scale.pick(256, 2048) * MIB


def rounds(code: Code, scale: Scale) -> Rounds:
    """Write the file; send it without and with kills in every round."""
    with tempfile.TemporaryDirectory(dir=_roomy()) as made:
        film = Path(made) / "film.mov"
        digest = _write(film, _size(scale))
        while True:
            yield {**_uninterrupted(code, film), **_interrupted(code, film, digest)}


BENCHMARK: Final = Benchmark(lambda scale: f"{_size(scale) // MIB:,} MiB through the drive", rounds)
