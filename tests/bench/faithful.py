"""The sandbox in a process of its own: slower than the fast stand-in, and as strict as DingTalk."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import requests
import yaml

from tests.bench.world import ROOT


@dataclass(frozen=True)
class Strict:
    """A running sandbox: the block for a config, and its conversations."""

    dingtalk: Mapping[str, Any]
    conversations: Sequence[str]

    def calls(self) -> Counter[str]:
        """Return how often each API was called."""
        return Counter(self._get("calls")["calls"])

    def messages(self, conversation: str) -> list[dict[str, Any]]:
        """Return the newest messages of a conversation, oldest first."""
        found: list[dict[str, Any]] = self._get("messages", conversation_id=conversation, limit=10_000)
        return found

    def order(self, fault: Mapping[str, Any]) -> None:
        """Order a fault."""
        with _direct() as session:
            session.post(f"{self.dingtalk['api_url']}/sandbox/faults", json=fault, timeout=60)

    def limit(self, **changes: int) -> None:
        """Set what DingTalk allows."""
        with _direct() as session:
            session.put(f"{self.dingtalk['api_url']}/sandbox/limits", json=changes, timeout=60)

    def _get(self, what: str, **query: object) -> Any:  # noqa: ANN401 (JSON)
        with _direct() as session:
            url = f"{self.dingtalk['api_url']}/sandbox/{what}"
            return session.get(url, params={k: str(v) for k, v in query.items()}, timeout=60).json()


def _direct() -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    return session


@contextmanager
def strict() -> Iterator[Strict]:
    """Run `dingwatch sandbox`; it ends with the block."""
    with subprocess.Popen(
        [sys.executable, "-m", "dingwatch", "sandbox", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
    ) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        next(lines)  # the page
        block = yaml.safe_load("".join(takewhile(lambda line: not line.startswith("conversation_id"), lines)))
        try:
            yield Strict(block["dingtalk"], _conversations(block["dingtalk"]["api_url"]))
        finally:
            process.terminate()


def _conversations(url: str) -> list[str]:
    with _direct() as session:
        found = session.get(f"{url}/sandbox/conversations", timeout=60).json()
    return [one["id"] for one in found["conversations"] if one["robot_inside"]]
