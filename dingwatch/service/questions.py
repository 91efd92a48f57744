"""What the running service answers to commands: one table of questions, whatever carries them.

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
from dingwatch.ledger import LedgerError, Outage, Store
from dingwatch.service import recorded
from dingwatch.service.in_force import InForce

Answer = Mapping[str, object]
_HEX: Final = re.compile(r"(?:[0-9a-f]{2})+")
"""Paths come in hex, because they may hold bytes that are not UTF-8."""


class Questions:
    """The answers of a service. `answer` may be called from any thread, and waits for no loop."""

    def __init__(
        self,
        store: Store,
        intake: IntakeLoop,
        outage: Outage,
        in_force: Callable[[], InForce],
        wake: Callable[[], None],
    ) -> None:
        self._store = store
        self._intake = intake
        self._outage = outage
        self._in_force = in_force
        self._wake = wake
        self._table: Final[Mapping[str, Callable[[Mapping[str, Any]], Answer]]] = {
            "config": self._answer_config,
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
        return self._in_force().dump()

    def _answer_wake(self, _: Mapping[str, Any]) -> Answer:
        """Have both loops look: a command has written to the ledger."""
        self._wake()
        return {"ledger": self._ledger_error()}

    def _answer_status(self, _: Mapping[str, Any]) -> Answer:
        """Tell how folders are watched, which files do not settle, and what the ledger has of them all."""
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
                return recorded.read_status(connection, self._in_force(), time.time())
        except LedgerError:
            return None

    def _answer_settling(self, arguments: Mapping[str, Any]) -> Answer:
        """Tell for how many seconds a path has been settling, and why."""
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
        """Tell what the ledger knows of paths, each with the name of its folder (null: given to `send`)."""
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
                return {"recorded": recorded.read_paths(connection, self._in_force(), asked)}
        except LedgerError:
            return {}

    def _ledger_error(self) -> Answer | None:
        """Return why the ledger cannot be written; None when it can be."""
        error = self._outage.error
        return None if error is None else asdict(error.cause)
