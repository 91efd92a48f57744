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

from tests.bench.code import ROOT


@dataclass(frozen=True)
class Strict:
    """A running sandbox: the block for a config, and the conversations that its robot is in."""

    dingtalk: Mapping[str, Any]
    conversations: Sequence[str]
    session: requests.Session

    def calls(self) -> Counter[str]:
        """Return how often each API was called."""
        return Counter(self._get("calls")["calls"])

    def granted(self) -> Counter[str]:
        """Return how often each API was called and not refused for a limit."""
        return Counter(self._get("calls")["granted"])

    def messages(self, conversation: str) -> list[dict[str, Any]]:
        """Return the newest messages of a conversation, oldest first."""
        found: list[dict[str, Any]] = self._get("messages", conversation_id=conversation, limit="10000")
        return found

    def limit(self, **changes: int | None) -> None:
        """Set what DingTalk allows; None is no limit."""
        url = f"{self.dingtalk['api_url']}/sandbox/limits"
        self.session.put(url, json=changes, timeout=60).raise_for_status()

    def slow_down(self, api: str, seconds: float) -> None:
        """Let every call of an API take so many seconds more."""
        url = f"{self.dingtalk['api_url']}/sandbox/faults"
        fault = {"api": api, "kind": "slow", "times": None, "seconds": seconds}
        self.session.post(url, json=fault, timeout=60).raise_for_status()

    def _get(self, what: str, **query: str) -> Any:  # noqa: ANN401 (JSON)
        return self.session.get(f"{self.dingtalk['api_url']}/sandbox/{what}", params=query, timeout=60).json()


@contextmanager
def strict() -> Iterator[Strict]:
    """Run `dingwatch sandbox`; it ends with the block."""
    with (
        requests.Session() as session,
        subprocess.Popen(
            [sys.executable, "-m", "dingwatch", "sandbox", "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
        ) as process,
    ):
        session.trust_env = False
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        next(lines)  # the page
        block = yaml.safe_load("".join(takewhile(lambda line: not line.startswith("conversation_id"), lines)))
        try:
            found = session.get(f"{block['dingtalk']['api_url']}/sandbox/conversations", timeout=60).json()
            inside = [one["id"] for one in found["conversations"] if one["robot_inside"]]
            yield Strict(block["dingtalk"], inside, session)
        finally:
            process.terminate()
