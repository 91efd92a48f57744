"""Several hosts that run dingwatch on one PostgreSQL, and what can happen to each of them."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import psycopg
import yaml

from dingwatch.lifecycle import State
from dingwatch.sandbox import Fault, FaultKind, Sandbox
from tests.crash.account import ROWS, Account, Drop, Row, account, finished
from tests.integration.test_clock import LIBRARY
from tests.nodes import network, server
from tests.nodes.network import Host, Network
from tests.nodes.proxy import Proxy
from tests.nodes.server import DATABASE, PORT, ROLE, Server
from tests.nodes.tls import CERTIFICATE, Front
from tests.support import eventually, sha256

ROOT: Final = Path(__file__).parents[2]
PATIENCE: Final = 240.0
"""Seconds for what takes ten, where others need the machine too."""
CONSTANTS: Final[dict[str, object]] = {
    "dingwatch.policy.DOUBT_WAIT": 0.5,
    "dingwatch.service.daemon.LEASE": 12.0,
    "dingwatch.service.delivering.HURRY": [4.0, 1.0],
}
"""Shorter waits than a real node's: of its lease and what depends on that, a fifth."""
READY: Final = "ready"
EVERY: Final = 0.1
"""Seconds between two files."""
BACKLOG: Final = 16
"""Messages that may be missing while more files come."""


def why_not() -> str:
    """Return why this machine cannot play hosts; empty if it can."""
    return network.why_not() or server.why_not()


@dataclass
class Node:
    """A host with a folder, on which dingwatch runs now and then."""

    name: str
    host: Host
    at: Path
    settings: dict[str, Any]
    constants: dict[str, object] = field(default_factory=lambda: dict(CONSTANTS))
    process: subprocess.Popen[bytes] | None = None

    @property
    def share(self) -> Path:
        """Its folder."""
        return self.at / "share"

    @property
    def log(self) -> Path:
        """What all its processes have said."""
        return self.at / "log"

    @property
    def clock(self) -> Path:
        """A file that says by how much its clock is wrong."""
        return self.at / "clock"

    def launch(self) -> None:
        """Start dingwatch."""
        config = self.at / "config.yaml"
        config.write_text(yaml.safe_dump(self.settings, allow_unicode=True), encoding="utf-8")
        config.chmod(0o600)
        words = ["-m", "tests.nodes.node", json.dumps(self.constants), "run", "-c", str(config)]
        environ = {
            **os.environ,
            "LC_ALL": "en_GB.UTF-8",
            "PYTHONPATH": str(ROOT),
            "REQUESTS_CA_BUNDLE": str(CERTIFICATE),
        }
        if self.clock.exists():
            environ |= {
                "LD_PRELOAD": str(LIBRARY),
                "FAKETIME_TIMESTAMP_FILE": str(self.clock),
                "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.host.command(sys.executable, *words), stdout=log, stderr=log, env=environ, cwd=ROOT
            )

    def start(self) -> None:
        """Start dingwatch, and wait until it is ready."""
        before = self._said_ready()
        self.launch()
        eventually(lambda: self._said_ready() > before or self._ended(), PATIENCE)
        assert not self._ended(), self.log.read_text()

    def _said_ready(self) -> int:
        return self.log.read_text().count(f"\n{READY}") + self.log.read_text().startswith(READY)

    def _ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    @property
    def runs(self) -> bool:
        """Whether its process is there."""
        return not self._ended()

    def kill(self) -> None:
        """End it at once."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self) -> int:
        """End it as systemd does; return its exit code."""
        assert self.process is not None
        self.process.terminate()
        code = self.process.wait(PATIENCE)
        self.process = None
        return code

    def freeze(self) -> None:
        """Stop it in the midst of whatever it does."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        """Let it go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)


@dataclass
class Options:
    """What a rig has besides a database, DingTalk, and nodes with a folder each."""

    nodes: int = 2
    standby: bool = False
    proxy: bool = False
    disk: str | None = None
    """The size of the database's disk."""
    shared: bool = False
    """Whether all nodes have the same folder."""


class Rig:
    """A database, DingTalk, and some nodes."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.drops: list[Drop] = []
        self.nodes: list[Node] = []
        self.proxy: Proxy | None = None
        self.standby: Server | None = None
        self._chance = random.Random(str(options))  # noqa: S311 (what the files hold)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._build()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _build(self) -> None:
        self.at = self._stack.enter_context(server.directory())
        self.network = Network()
        self._stack.callback(self.network.close)
        dingtalk = self.network.host("dingtalk", "outside")
        self.primary = self._server("primary")
        self.primary.create()
        if self.options.standby:
            self.standby = self._server("standby")
            self.standby.copy(self.primary)
        if self.options.proxy:
            host = self.network.host("proxy", "database")
            self.proxy = Proxy(host.namespace, host.addresses["database"], self.primary.address, PORT)
            self.proxy_address = host.addresses["database"]
            self._stack.callback(self.proxy.close)
        self.sandbox = self._stack.enter_context(Sandbox())
        self.front = Front(dingtalk.namespace, self.sandbox.port)
        self._stack.callback(self.front.close)
        self.conversations = tuple(one.id for one in self.sandbox.conversations[:2])
        for number in range(self.options.nodes):
            self.nodes.append(self._node(f"node{number + 1}"))

    def _server(self, name: str) -> Server:
        at = self.at / name
        if self.options.disk and name == "primary":
            at.mkdir()
            size = f"size={self.options.disk}"
            subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(at)], check=True)  # noqa: S607
            self._stack.callback(subprocess.run, ["umount", "-l", str(at)], check=True)
        made = Server(self.network.host(name, "database"), at)
        self._stack.callback(lambda: made.stop(signal.SIGQUIT))
        return made

    @property
    def url(self) -> str:
        """The ledger's URL, as the nodes have it."""
        start = f"postgresql+psycopg://{ROLE}@"
        if self.proxy is not None:
            return f"{start}{self.proxy_address}:{PORT}/{DATABASE}"
        if self.standby is None:
            return f"{start}{self.primary.address}:{PORT}/{DATABASE}"
        hosts = "&".join(f"host={one.address}:{PORT}" for one in (self.primary, self.standby))
        return f"{start}/{DATABASE}?{hosts}&target_session_attrs=read-write"

    def _node(self, name: str) -> Node:
        at = self.at / name
        at.mkdir()
        made = Node(name, self.network.host(name, "database", "outside"), at, {})
        made.log.touch()
        share = self.at / "share" if self.options.shared else made.share
        share.mkdir(exist_ok=True)
        folder = {
            "path": str(share),
            "name": f"folder of {name}",
            "conversation_id": list(self.conversations),
            "settle": "100ms",
            "poll_interval": "1s",
            "rescan": "10s",
        }
        if self.options.shared:
            folder |= {"shared": "everyone", "name": "everyone"}
            made.at.joinpath("share").symlink_to(share)
        made.settings = {
            "language": "en",
            "node": name,
            "ledger": self.url,
            "dingtalk": {
                "client_id": self.sandbox.client_id,
                "client_secret": self.sandbox.client_secret,
                "api_url": self.front.url,
                "oapi_url": self.front.url,
            },
            "state_dir": str(at / "state"),
            "pace": {"per_api": None, "per_conversation": None},
            "folders": [folder],
        }
        self._stack.callback(made.kill)
        return made

    # --- Files ----------------------------------------------------------------------------------------

    def drop(self, node: Node) -> Drop:
        """Put a file into the folder of a node."""
        path = f"{node.name}-{len(self.drops)}.pdf"
        content = self._chance.randbytes(self._chance.randint(1, 50_000))
        written = node.share / f".{path}"
        written.write_bytes(content)
        written.rename(node.share / path)
        made = Drop(sha256(content), [path], f"{node.name}/{path}")
        self.drops.append(made)
        return made

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Have files come into all folders while the block runs, as long as not many of them wait."""
        over = threading.Event()

        def work() -> None:
            while not over.wait(EVERY):
                if len(self.drops) * len(self.conversations) - self.messages() < BACKLOG:
                    self.drop(self.nodes[len(self.drops) % len(self.nodes)])

        worker = threading.Thread(target=work)
        worker.start()
        try:
            yield
        finally:
            over.set()
            worker.join()

    # --- What is known --------------------------------------------------------------------------------

    @property
    def database(self) -> Server:
        """The server that nodes write to now."""
        return self.primary if self.primary.running or self.standby is None else self.standby

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Ask the ledger; no answer is no row."""
        with suppress(psycopg.OperationalError, psycopg.errors.UndefinedTable):
            return self.database.execute(statement)
        return []

    def rows(self) -> list[Row]:
        """Return all deliveries."""
        return [Row(name.decode(), *more) for name, *more in self.query(ROWS)]

    def in_hand(self, node: Node) -> int:
        """Return how many deliveries a node has claimed."""
        found = self.query(
            "SELECT count(*) FROM deliveries"  # noqa: S608 (states and a name of ours)
            f" WHERE state IN ('{State.UPLOADING}', '{State.SENDING}') AND node = '{node.name}'"
        )
        return int(found[0][0]) if found else -1

    def messages(self) -> int:
        """Return how many messages DingTalk has."""
        return sum(len(self.sandbox.messages(one)) for one in self.conversations)

    def arrived(self, drop: Drop) -> bool:
        """Return whether a file is sent to all conversations, as the ledger has it."""
        found = self.query(
            "SELECT count(*) FROM deliveries d JOIN versions v ON v.id = d.version_id"  # noqa: S608
            f" WHERE d.state = 'sent' AND v.sha256 = '{drop.digest}'"
        )
        return bool(found) and found[0][0] == len(self.conversations)

    def settled(self) -> bool:
        """Return whether nothing more will happen by itself, and every file has become something."""
        found = self.rows()
        known = {(row.name, row.digest, row.conversation) for row in found if row.state != State.GONE}
        return all(finished(row, resends=True) for row in found) and known.issuperset(
            (drop.names[-1], drop.digest, one) for drop in self.drops for one in self.conversations
        )

    # --- Time ------------------------------------------------------------------------------------------

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait for a condition; no node may end by itself meanwhile."""

        def now() -> bool:
            for node in self.nodes:
                assert node.process is None or node.runs, f"{node.name} ended: {node.log.read_text()}"
            return bool(condition())

        try:
            eventually(now, PATIENCE)
        except AssertionError as error:
            raise AssertionError(f"never: {what}\n{self.story()}") from error

    def begin(self) -> None:
        """Start all nodes, and see a file of each arrive."""
        for node in self.nodes:
            node.start()
        first = [self.drop(node) for node in self.nodes]
        self.until(lambda: all(self.arrived(one) for one in first), "the first files arrive")

    def finish(self) -> Account:
        """See that work goes on by itself on every node, and judge."""
        self.sandbox.clear_faults()
        last = [self.drop(node) for node in self.nodes]
        self.until(lambda: all(self.arrived(one) for one in last), "a file of each node arrives afterwards")
        self.until(self.settled, "nothing is left to do")
        return account(self.drops, self.sandbox, self.conversations, self.rows())

    def slow_answers(self, seconds: float) -> None:
        """Have DingTalk take messages at once, and answer late."""
        self.sandbox.inject(Fault("robot/groupMessages/send", FaultKind.SLOW_ANSWER, None, seconds=seconds))

    def story(self) -> str:
        """Return what is known, for a test that failed."""
        lines = [f"messages {self.messages()}, files {len(self.drops)}"]
        lines += [str(row) for row in self.rows() if not finished(row, resends=True)][:20]
        lines += [str(row) for row in self.query("SELECT * FROM pauses")]
        lines += [str(row) for row in self.query("SELECT * FROM nodes")]
        for node in self.nodes:
            lines += [f"--- {node.name}", *node.log.read_text().splitlines()[-15:]]
        return "\n".join(lines)


def sum_of(accounts: Sequence[Account]) -> Account:
    """Add accounts."""
    made = Account()
    for one in accounts:
        made.add(one)
    return made
