"""From closing a file to its message, beyond the quiet period and the two calls."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from statistics import median

import requests

from tests.bench.world import DingTalk, daemon, dingtalk, show, until

QUIET = 0.2


def _two_calls(far: DingTalk) -> float:
    """Return the median seconds of an upload and a send with nothing around them."""
    token, session, took = far.token(), requests.Session(), []
    session.trust_env = False
    for _ in range(50):
        begun = time.monotonic()
        url = f"{far.url}/media/upload?access_token={token}&type=file"
        session.post(url, files={"media": ("a.pdf", os.urandom(4096))}, timeout=30).json()
        session.post(f"{far.url}/v1.0/robot/groupMessages/send", json={}, timeout=30)
        took.append(time.monotonic() - begun)
    return median(took)


def measure(*, quick: bool) -> None:
    """Drop a file every 200 ms and print what is beyond quiet period and calls."""
    count = 20 if quick else 150
    with dingtalk() as far, tempfile.TemporaryDirectory() as made:
        share = Path(made) / "share"
        share.mkdir()
        calls = _two_calls(far)
        closed: dict[str, float] = {}
        with daemon(Path(made), far, {share: far.conversations[0]}):
            for number in range(count):
                name = f"{number}.pdf"
                (share / name).write_bytes(os.urandom(4096))
                closed[name] = time.time()
                time.sleep(0.2)
            until(lambda: len(far.arrived()) >= count, 0.1)
        beyond = sorted(m["at"] - closed[m["file_name"]] - QUIET - calls for m in far.arrived())
    show(
        f"Close to message, beyond the quiet period and the two calls ({count} drops, 200 ms apart)",
        [
            ("p50 ms", "p99 ms", "the two calls, ms"),
            (
                f"{median(beyond) * 1000:.1f}",
                f"{beyond[int(count * 0.99)] * 1000:.1f}",
                f"{calls * 1000:.1f}",
            ),
        ],
    )
