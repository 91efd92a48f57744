"""One large file by the drive, the daemon killed twice on the way: parts put, calls, memory."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Final

from dingwatch.delivery.drives import parts_for
from tests.bench.faithful import Strict, strict
from tests.bench.process import resident, settle, until
from tests.bench.table import show
from tests.bench.world import Share, configure, daemon

MIB: Final = 1 << 20
PUT: Final = "storage-host/put"
KILLS: Final = 2


def measure(*, quick: bool) -> None:
    """Measure, and print a table."""
    size = (256 if quick else 2048) * MIB
    parts = len(parts_for(size))
    with strict() as other, tempfile.TemporaryDirectory(dir=_roomy()) as made:
        target, share = Path(made), Path(made) / "share"
        share.mkdir()
        more = {"dingtalk": {**other.dingtalk, "monthly_calls": None}}
        config = configure(target, "", [Share(share, other.conversations[:1])], more)
        with daemon(config) as pid:
            settle(pid)
            idle = resident(pid)
        digest = _write(target / "film.mov", size)
        (target / "film.mov").rename(share / "film.mov")
        session = time.monotonic()
        for kill in range(1, KILLS + 1):
            with _killed(config):
                until(lambda kill=kill: other.calls()[PUT] >= parts * kill // (KILLS + 1))  # type: ignore[misc]
        with daemon(config) as pid:
            until(lambda: bool(other.messages(other.conversations[0])))
            peak = resident(pid, peak=True)
        took = time.monotonic() - session
        _show(other, digest, parts, (idle, peak, took))


def _show(other: Strict, digest: str, parts: int, figures: tuple[float, float, float]) -> None:
    idle, peak, took = figures
    (message,) = other.messages(other.conversations[0])
    if message["sha256"] != digest:
        raise RuntimeError("the file did not arrive whole")
    calls = Counter({api: n for api, n in other.calls().items() if not api.endswith(("oken", PUT))})
    show(
        f"{message['size'] // MIB} MiB through the drive, the service killed {KILLS} times on the way",
        ("", "needed", "seen"),
        ("parts put", str(parts), str(other.calls()[PUT])),
        ("messages", "1", str(len(other.messages(other.conversations[0])))),
        ("peak memory over idle", "at most 64 MiB", f"{peak - idle:.0f} MiB"),
        ("seconds, kills and starts included", "", f"{took:.0f}"),
        ("calls", "", ", ".join(f"{api} {n}" for api, n in sorted(calls.items()))),
    )


@contextmanager
def _killed(config: Path) -> Iterator[None]:
    """Run the daemon, and kill it at the end of the block."""
    with daemon(config) as pid:
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
