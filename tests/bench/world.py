"""What every benchmark needs: a stand-in in a process of its own, and the daemon in another."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import requests
import yaml

DEADLINE = 300.0
"""Seconds after which a benchmark is given up."""
TICKS = os.sysconf("SC_CLK_TCK")

_STAND_IN = """
import sys
from dingwatch.sandbox import Sandbox
with Sandbox() as sandbox:
    inside = [one.id for one in sandbox.conversations if one.robot_inside]
    print(sandbox.url, sandbox.client_id, sandbox.client_secret, *inside, flush=True)
    sys.stdin.read()
"""


@dataclass(frozen=True)
class DingTalk:
    """The stand-in, as a benchmark sees it."""

    url: str
    client_id: str
    client_secret: str
    conversations: tuple[str, ...]
    pid: int

    def arrived(self) -> list[dict[str, Any]]:
        """Return every message of every conversation."""
        return [
            message
            for conversation in self.conversations
            for message in requests.get(
                f"{self.url}/sandbox/messages",
                params={"conversation_id": conversation, "limit": "1000000"},
                timeout=30,
            ).json()
        ]

    def sent(self) -> int:
        """Return how many sends were received."""
        return int(self._calls()["calls"].get("robot/groupMessages/send", 0))

    def billed(self) -> int:
        """Return how many calls count against the month."""
        return int(self._calls()["billed"])

    def _calls(self) -> dict[str, Any]:
        answer: dict[str, Any] = requests.get(f"{self.url}/sandbox/calls", timeout=30).json()
        return answer

    def token(self) -> str:
        """Return a token for either host."""
        query = {"appkey": self.client_id, "appsecret": self.client_secret}
        return str(requests.get(f"{self.url}/gettoken", params=query, timeout=10).json()["access_token"])


@contextmanager
def dingtalk() -> Iterator[DingTalk]:
    """Run a stand-in in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-c", _STAND_IN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        url, client_id, secret, *conversations = _line(process.stdout).split()
        yield DingTalk(url, client_id, secret, tuple(conversations), process.pid)
    finally:
        process.communicate(timeout=30)


def _line(stream: IO[str] | None) -> str:
    assert stream is not None
    return stream.readline()


@contextmanager
def daemon(place: Path, far: DingTalk, folders: dict[Path, str], **keys: object) -> Iterator[int]:
    """Run `dingwatch run` without a pace; yield its pid when it is ready."""
    config = {
        "dingtalk": {
            "client_id": far.client_id,
            "client_secret": far.client_secret,
            "api_url": far.url,
            "oapi_url": far.url,
        },
        "state_dir": str(place / "state"),
        "pace": {"per_api": None, "per_conversation": None},
        "folders": [
            {
                "path": str(path),
                "conversation_id": cid,
                "settle": "200ms",
                "hold_over": None,
                "name": str(path),
            }
            for path, cid in folders.items()
        ],
        **keys,
    }
    file = place / "config.yaml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    file.chmod(0o600)
    log = place / "daemon.log"
    with log.open("w", encoding="utf-8") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "dingwatch", "run", "-c", str(file)],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        assert _line(process.stdout).startswith("ready"), log.read_text(encoding="utf-8")
        yield process.pid
    finally:
        process.terminate()
        process.communicate(timeout=30)


def cpu(pid: int) -> float:
    """Return the CPU seconds that a process and its finished children have used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / TICKS


def memory(pid: int) -> float:
    """Return a process's resident megabytes."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(text.partition("VmRSS:")[2].split()[0]) / 1024


def until(done: Any, pause: float = 0.02) -> None:  # noqa: ANN401 (a condition)
    """Wait for a condition; give up at the deadline."""
    end = time.monotonic() + DEADLINE
    while not done():
        if time.monotonic() > end:
            raise TimeoutError("the benchmark did not come to its end")
        time.sleep(pause)


def show(title: str, rows: list[tuple[str, ...]]) -> None:
    """Print one table."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    print(f"\n{title}")  # noqa: T201 (what it is for)
    for row in rows:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())  # noqa: T201


__all__ = ["DingTalk", "cpu", "daemon", "dingtalk", "memory", "show", "until"]
