"""A folder, a stand-in, and the lives of the service between them."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

from dingwatch.config.values import LEDGER_FILE, Config
from dingwatch.lifecycle import State
from dingwatch.sandbox import Sandbox
from tests.crash.account import Account, Drop, Row, account, finished, rows
from tests.crash.victim import READY, Kill, live, log_of
from tests.support import config, eventually, folder, sha256

PATIENCE: Final = 120.0
"""Seconds for what takes one or two, where others need the machine too."""
SETTLE: Final = 0.05
OLD: Final = {name: f"{name} was there before" for name in ("old.txt", "older.pdf")}

OnUncertain = Literal["resend", "hold"]

_CONTEXT: Final = multiprocessing.get_context("forkserver")
# What a life needs is imported once, in a parent of one thread: to be born takes milliseconds then.
_CONTEXT.set_forkserver_preload(["pytest", "tests.crash.victim"])
_TURN: Final = threading.Lock()
"""multiprocessing reaps children in whatever thread comes by, and is not made for two at once."""


class Life:
    """One process that runs the service."""

    def __init__(self, setting: Config, kill: Kill | None) -> None:
        self._line, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=live, args=(setting, kill, theirs), daemon=True)
        with _TURN:
            self._process.start()
        theirs.close()
        self._log = log_of(setting)
        self._heard: list[str] = []

    @property
    def ready(self) -> bool:
        """Whether the service has said so."""
        self._hear()
        return READY in self._heard

    @property
    def point(self) -> str:
        """Where it ended, when it ended itself."""
        self._hear()
        return next((said for said in self._heard if said != READY), "")

    def _hear(self) -> None:
        with suppress(EOFError, OSError):
            while self._line.poll():
                self._heard.append(self._line.recv())

    @property
    def over(self) -> bool:
        """Whether the process is dead; nothing but SIGKILL may have ended it."""
        with _TURN:
            code = self._process.exitcode
        assert code in {None, -signal.SIGKILL}, f"it ended by itself with {code}: {self._log}"
        return code is not None

    def kill(self) -> None:
        """Kill it, and wait until it is dead."""
        self._process.kill()
        eventually(lambda: self.over)
        self._line.close()


@dataclass
class Target:
    """A watched folder that is mapped to two conversations, and what was dropped there."""

    setting: Config
    share: Path
    sandbox: Sandbox
    life: Life
    drops: list[Drop] = field(default_factory=list)
    there: dict[str, Drop] = field(default_factory=dict)
    """What lies in the folder now, by its path."""

    @property
    def conversations(self) -> tuple[str, ...]:
        """The conversations that the folder is mapped to."""
        return self.setting.folders[0].conversation_ids

    def start(self) -> None:
        """Start the service anew."""
        self.life = Life(self.setting, None)

    def until(self, condition: Callable[[], object]) -> None:
        """Wait for a condition; the service is started again whenever it is dead, as systemd would."""

        def now() -> bool:
            # Some conditions end with the life. Were it asked afterwards whether it is over, a life that ends
            # right after the condition was false would be followed by the next one, and go unseen.
            over = self.life.over
            if condition():
                return True
            if over:
                self.start()
            return False

        eventually(now, PATIENCE)

    def drop(self, path: str, content: bytes, *, by_rename: bool = False) -> Drop:
        """Put a file into the folder; what it replaces need not arrive any more."""
        target = self.share / path
        target.parent.mkdir(exist_ok=True)
        written = target.with_name(".being written") if by_rename else target
        written.write_bytes(content)
        written.rename(target)
        if path in self.there:
            self.there[path].must = False
        made = self.there[path] = Drop(sha256(content), [target.name], path)
        self.drops.append(made)
        return made

    def remove(self, path: str) -> None:
        """Take a file out of the folder; it need not arrive any more."""
        (self.share / path).unlink()
        self.there.pop(path).must = False

    def rename(self, old: str, new: str) -> None:
        """Give a file another name, which nothing had before."""
        target = self.share / new
        target.parent.mkdir(exist_ok=True)
        (self.share / old).rename(target)
        moved = self.there[new] = self.there.pop(old)
        moved.names.append(target.name)
        moved.path = new

    def arrived(self, drop: Drop) -> bool:
        """Return whether a file was sent to all conversations, as the ledger has it."""
        sent = [row for row in self.rows() if row.state == State.SENT and row.shows(drop)]
        return len(sent) == len(self.conversations)

    def settled(self) -> bool:
        """Return whether nothing more will happen by itself, and every file has become something."""
        found = self.rows()
        resends = self.setting.delivery.on_uncertain == "resend"
        known = {(row.name, row.digest, row.conversation) for row in found if row.state != State.GONE}
        return all(finished(row, resends=resends) for row in found) and known.issuperset(
            (drop.names[-1], drop.digest, one) for drop in self.there.values() for one in self.conversations
        )

    def rows(self) -> list[Row]:
        """Return the deliveries in the ledger; none while no life has made one."""
        if not self.life.ready:
            return []
        return rows(self.setting.ledger or self.setting.state_dir / LEDGER_FILE)

    def account(self) -> Account:
        """Compare what was dropped with what arrived."""
        return account(self.drops, self.sandbox, self.conversations, self.rows())


@contextmanager
def target(
    at: Path,
    on_uncertain: OnUncertain,
    kill: Kill | None = None,
    old: Mapping[str, str] = OLD,
    *,
    ledger: str | None = None,
    **changes: Any,  # noqa: ANN401 (settings of the folder)
) -> Iterator[Target]:
    """Make a folder with some old files in it, and begin the first life of a service that watches it.

    `ledger` is the URL of an empty database; without it the ledger is a file.
    """
    share = at / "share"
    for name, text in old.items():
        (share / name).parent.mkdir(parents=True, exist_ok=True)
        (share / name).write_text(text)
    with Sandbox() as sandbox:
        watched = folder(
            share, *(one.id for one in sandbox.conversations[:2]), **{"settle": SETTLE, **changes}
        )
        setting = config(at / "state", sandbox, watched, ledger=ledger)
        operator = replace(setting.dingtalk, operator_union_id=sandbox.settings.operator_union_id)
        setting = replace(
            setting, dingtalk=operator, delivery=replace(setting.delivery, on_uncertain=on_uncertain)
        )
        made = Target(setting, share, sandbox, Life(setting, kill))
        try:
            yield made
        finally:
            made.life.kill()
