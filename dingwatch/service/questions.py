"""Answers of the running service to commands: one table of questions, whatever carries them.

A question has a name and arguments, and its answer is an object of JSON. They come from other processes,
perhaps of another version: an unknown question, or one whose arguments make no sense, gets an empty answer.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Final

from dingwatch import names
from dingwatch.intake import IntakeLoop
from dingwatch.ledger import LedgerError
from dingwatch.ledger.delivery_counts import DeliveryCounts
from dingwatch.ledger.nodes import set_draining
from dingwatch.ledger.routing import count_claimed
from dingwatch.service import recorded
from dingwatch.service.in_force import InForce
from dingwatch.service.node import OpenLedger
from dingwatch.service.reload import Reloads
from dingwatch.service.reloaded import dump

Answer = Mapping[str, object]
_HEX: Final = re.compile(r"(?:[0-9a-f]{2})+")
"""Paths come in hex, because they may hold bytes that are not UTF-8."""


class Questions:
    """The answers of a service. `answer` may be called from any thread, and waits for no loop."""

    def __init__(
        self,
        ledger: OpenLedger,
        intake: IntakeLoop,
        in_force: Callable[[], InForce],
        wake: Callable[[], None],
        reloads: Reloads,
        in_hand: Callable[[], int],
    ) -> None:
        self._store = ledger.store
        self._now = ledger.clock.now
        self._intake = intake
        self._outage = ledger.outage
        self._in_force = in_force
        self._wake = wake
        self._reloads = reloads
        self._in_hand = in_hand
        self._by_state = DeliveryCounts()
        self._table: Final[Mapping[str, Callable[[Mapping[str, Any]], Answer]]] = {
            "activity": self._answer_activity,
            "config": self._answer_config,
            "drain": self._answer_drain,
            "ledger": self._answer_ledger,
            "reload": self._answer_reload,
            "reloaded": self._answer_reloaded,
            "settling": self._answer_settling,
            "status": self._answer_status,
            "wake": self._answer_wake,
            "why": self._answer_why,
        }

    def answer(self, question: str, arguments: Mapping[str, Any]) -> Answer:
        """Return the answer to a question."""
        known = self._table.get(question)
        return {} if known is None else known(arguments)

    def _answer_config(self, _: Mapping[str, Any]) -> Answer:
        return {**self._in_force().dump(), "file": str(self._reloads.file)}

    def _answer_ledger(self, _: Mapping[str, Any]) -> Answer:
        """Return the URL of a ledger on a server, with its password, which systemd may have given it alone.

        Nobody but the service's own user and root can ask, and they could read its memory as well.
        """
        if not self._store.shared:
            return {"url": None}
        return {"url": self._store.url.render_as_string(hide_password=False)}

    def _answer_drain(self, arguments: Mapping[str, Any]) -> Answer:
        """Have this node claim nothing more, or claim again (null: neither); return how much is in flight."""
        store, draining = self._store, arguments.get("draining")
        if not store.shared:
            return {}
        try:
            if isinstance(draining, bool):
                set_draining(store, store.node, draining=draining)
                self._wake()
            with store.reading() as connection:
                claimed = count_claimed(connection, store.node)
        except LedgerError as error:
            return {"error": asdict(error.cause)}
        # What was claimed in the very last transaction may not have come to the loop's own list yet.
        return {"in_flight": max(claimed, self._in_hand())}

    def _answer_reload(self, arguments: Mapping[str, Any]) -> Answer:
        """Begin to read the configuration again, unless the command means that of another service."""
        file = str(self._reloads.file)
        if arguments.get("only") is True and arguments.get("file") != file:
            return {"file": file, "number": None}
        return {"file": file, "number": self._reloads.begin()}

    def _answer_reloaded(self, arguments: Mapping[str, Any]) -> Answer:
        """Return the outcome; null until there is one."""
        number = arguments.get("number")
        found = self._reloads.outcome(number) if isinstance(number, int) else None
        return {"outcome": None if found is None else dump(found)}

    def _answer_wake(self, _: Mapping[str, Any]) -> Answer:
        """Have both loops look: a command has written to the ledger."""
        self._wake()
        return {"ledger": self._ledger_error()}

    def _answer_status(self, _: Mapping[str, Any]) -> Answer:
        """Return how folders are watched, which files do not settle, and the ledger's counts of them all."""
        watching = self._intake.watching().items()
        past = self._intake.past_ceiling
        now = time.monotonic()
        return {
            "folders": {str(i): {"watch": kind, "settling": n} for i, (kind, n) in watching},
            "unsettled": [[one.folder, names.readable(one.path), now - one.since] for one in past],
            "ledger": self._ledger_error(),
            "recorded": self._read_status(),
        }

    def _read_status(self) -> Answer | None:
        """Return what the ledger knows; None where it cannot be read, and the command is to see why."""
        try:
            with self._store.reading_apart() as connection:
                return recorded.read_status(connection, self._in_force(), self._now(), self._by_state)
        except LedgerError:
            return None

    def _answer_activity(self, arguments: Mapping[str, Any]) -> Answer:
        """Return the files that are settling for longest: folder, path, seconds, and what they wait for."""
        most = arguments.get("most")
        found = self._intake.list_settling(most) if isinstance(most, int) else []
        now = time.monotonic()
        return {
            "settling": [
                [folder, names.readable(path), now - one.since, one.reason.code if one.reason else ""]
                for folder, path, one in found
            ]
        }

    def _answer_settling(self, arguments: Mapping[str, Any]) -> Answer:
        """Return for how many seconds a path has been settling, and why."""
        match arguments:
            case {"folder": int(folder), "path": str(path)} if _HEX.fullmatch(path):
                found = self._intake.describe(folder, bytes.fromhex(path))
            case _:
                return {}
        if found is None:
            return {}
        reason = [found.reason.code, found.reason.message, found.reason.advice] if found.reason else None
        return {"age": time.monotonic() - found.since, "reason": reason}

    def _answer_why(self, arguments: Mapping[str, Any]) -> Answer:
        """Return the ledger's knowledge of paths, each with its folder's name (null: given to `send`)."""
        asked: list[tuple[str | None, bytes]] = []
        paths = arguments.get("paths")
        for one in paths if isinstance(paths, list) else ():
            match one:
                case [None | str() as folder, str(path)] if _HEX.fullmatch(path):
                    asked.append((folder, bytes.fromhex(path)))
                case _:
                    return {}
        try:
            with self._store.reading_apart() as connection:
                return {"recorded": recorded.read_paths(connection, self._in_force(), asked, self._now())}
        except LedgerError:
            return {}

    def _ledger_error(self) -> Answer | None:
        """Return why the ledger cannot be written; None when it can be."""
        error = self._outage.error
        return None if error is None else asdict(error.cause)
