"""What every benchmark needs: the other end in a process of its own, and the daemon in another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import requests
import yaml

from tests.bench.code import ROOT, Code
from tests.bench.process import elapsed
from tests.bench.standin import TOKEN

QUIET: Final = 0.2
"""Seconds; the quiet period of a watched folder, where nothing else is said."""
CONVERSATIONS: Final = tuple(f"cidBench{n:02}==" for n in range(16))
SEND: Final = "/v1.0/robot/groupMessages/send"
UPLOAD: Final = "/media/upload"


@dataclass(frozen=True)
class Far:
    """The other end, as a benchmark sees it."""

    url: str
    pid: int

    def arrived(self, conversation: str | None = None) -> list[dict[str, Any]]:
        """Return every message, or those to one conversation.

        Each has `conversation`, `name`, `sha256` (one through the drive: `size`), and `at`, when it came
        (monotonic).
        """
        query = {} if conversation is None else {"conversation": conversation}
        messages: list[dict[str, Any]] = self._get("/bench/messages", **query)
        return messages

    def calls(self) -> Counter[str]:
        """Return the requests that came, by path."""
        return Counter(self._get("/bench/calls"))

    def sent(self) -> int:
        """Return how many messages came."""
        return self.calls()[SEND]

    def puts(self) -> list[dict[str, float]]:
        """Return every body put into the store: its size, and when it began and ended (monotonic)."""
        puts: list[dict[str, float]] = self._get("/bench/puts")
        return puts

    def _get(self, path: str, **query: str) -> Any:  # noqa: ANN401 (JSON)
        with requests.Session() as session:
            session.trust_env = False
            return session.get(self.url + path, params=query, timeout=60).json()


@contextmanager
def far(delay: float = 0.0) -> Iterator[Far]:
    """Run the fast stand-in; it ends with the block."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.bench.standin", str(delay)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:
        assert process.stdout is not None
        yield Far(f"http://127.0.0.1:{process.stdout.readline().strip()}", process.pid)


@dataclass(frozen=True)
class Share:
    """A watched folder and its conversations."""

    path: Path
    conversations: Sequence[str] = CONVERSATIONS[:1]
    quiet: float = QUIET
    """Seconds."""
    rescan: str = "10m"


def configure(target: Path, url: str, shares: Sequence[Share], more: Mapping[str, Any] | None = None) -> Path:
    """Write a config file without a pace and without a hold."""
    config = {
        "dingtalk": {
            "client_id": "dingbench",
            "client_secret": "bench-secret",
            "api_url": url,
            "oapi_url": url,
            "monthly_calls": None,
        },
        "state_dir": str(target / "state"),
        "pace": {"per_api": None, "per_conversation": None},
        "folders": [
            {
                "path": str(share.path),
                "name": share.path.name,
                "conversation_id": list(share.conversations),
                "settle": f"{share.quiet * 1000:.0f}ms",
                "rescan": share.rescan,
                "hold_over": None,
            }
            for share in shares
        ],
        **(more or {}),
    }
    file = target / "config.yaml"
    file.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    file.chmod(0o600)
    return file


@dataclass(frozen=True)
class Daemon:
    """A running `dingwatch run`."""

    process: subprocess.Popen[str]
    began: float
    """When it was started (monotonic)."""
    log: Path

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self.process.pid

    def wait_until_ready(self) -> float:
        """Wait for its line `ready`; return the seconds since it was started."""
        assert self.process.stdout is not None
        if not self.process.stdout.readline().startswith("ready"):
            raise RuntimeError(self.log.read_text(encoding="utf-8")[-2000:])
        return time.monotonic() - self.began


@contextmanager
def starting(code: Code, config: Path) -> Iterator[Daemon]:
    """Start `dingwatch run`; it ends with the block."""
    log = config.with_name("log.txt")
    began = time.monotonic()
    with (
        log.open("w", encoding="utf-8") as errors,
        subprocess.Popen(
            code.dingwatch("run", "-c", str(config)),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=code.tree,
            env={**os.environ, "NO_PROXY": "127.0.0.1"},
        ) as process,
    ):
        try:
            yield Daemon(process, began, log)
        finally:
            process.terminate()


@contextmanager
def daemon(code: Code, config: Path) -> Iterator[int]:
    """Run `dingwatch run`; yield its pid when it is ready."""
    with starting(code, config) as started:
        started.wait_until_ready()
        yield started.pid


def ask(code: Code, config: Path, *arguments: str) -> str:
    """Run a command of `dingwatch` and return what it prints."""
    done = subprocess.run(
        code.dingwatch(*arguments, "-c", str(config)),
        cwd=code.tree,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout


def totals(code: Code, config: Path) -> Counter[str]:
    """Return what `dingwatch status` counts, over all folders."""
    return Counter(json.loads(ask(code, config, "status", "--json"))["totals"])


@dataclass(frozen=True)
class Dropped:
    """Files that were dropped: when the first was begun, and what must arrive."""

    began: float
    digests: Counter[str]


def drop(folders: Sequence[Path], count: int, size: int, name: str = "报表 {}.pdf") -> Dropped:
    """Write files of random content into the folders in turn."""
    began = time.monotonic()
    digests: Counter[str] = Counter()
    for number in range(count):
        content = os.urandom(size)
        digests[sha256(content).hexdigest()] += 1
        (folders[number % len(folders)] / name.format(number)).write_bytes(content)
    return Dropped(began, digests)


def plant(folder: Path, count: int, directories: int) -> None:
    """Write so many small files, evenly into so many directories."""
    for number in range(directories):
        directory = folder / f"{number:04}"
        directory.mkdir(parents=True)
        for one in range(count // directories):
            (directory / f"{one}.pdf").write_bytes(b"x")


def find(folder: Path) -> float:
    """Return the seconds that `find` needs to print each file below a folder with size and mtime."""
    return elapsed(["/usr/bin/find", str(folder), "-printf", "%p %s %T@\n"], ROOT)


def check(other: Far, dropped: Dropped) -> None:
    """A figure counts only when every file arrived whole and once."""
    arrived = Counter(message["sha256"] for message in other.arrived())
    if arrived != dropped.digests:
        missing, extra = dropped.digests - arrived, arrived - dropped.digests
        raise RuntimeError(f"{missing.total()} files are missing, {extra.total()} came more than once")


class Bare:
    """Upload and send with a `requests.Session` and nothing else: no watching, no ledger."""

    def __init__(self, url: str, *, trust_env: bool) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.trust_env = trust_env

    def __call__(self, name: str, content: bytes) -> None:
        """Bring one file to the first conversation."""
        answer = self._session.post(
            f"{self._url}{UPLOAD}?access_token={TOKEN}&type=file",
            files={"media": (name, content)},
            timeout=30,
        )
        parameters = f'{{"mediaId":"{answer.json()["media_id"]}","fileName":"{name}","fileType":"pdf"}}'
        body = {
            "robotCode": "dingbench",
            "openConversationId": CONVERSATIONS[0],
            "msgKey": "sampleFile",
            "msgParam": parameters,
        }
        headers = {"x-acs-dingtalk-access-token": TOKEN}
        self._session.post(f"{self._url}{SEND}", json=body, headers=headers, timeout=30).json()
