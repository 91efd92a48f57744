"""Reads from the ledger what `status` and `why` show of it: in the service, and in commands without one."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Final

from sqlalchemy import Connection

from dingwatch import quota
from dingwatch.delivery.limits import Target, message_target
from dingwatch.dingtalk import API_UPLOAD, BILLED, WEBHOOK_BILLED
from dingwatch.ledger import calls, pauses, report
from dingwatch.ledger.folders import MappedFolder, count_held
from dingwatch.ledger.report import Scope
from dingwatch.lifecycle import State
from dingwatch.model import Decision, Pause
from dingwatch.service.answers import NEVER_WATCHED, RecordedPath, RecordedStatus
from dingwatch.service.in_force import InForce

_WAITING: Final = {str(State.PENDING): True, str(State.UPLOADED): False}
"""States in which a delivery waits, and whether its next call is the upload."""


def scope_of(connection: Connection, in_force: InForce) -> Scope:
    """Return what a configuration maps, in the ledger's numbers."""
    mapped = [
        MappedFolder(one.root, one.name, one.recipients, os.fsencode(one.path)) for one in in_force.folders
    ]
    return report.scope(connection, mapped)


def read_status(connection: Connection, in_force: InForce, now: float) -> RecordedStatus:
    """Return what the ledger knows for `status`."""
    scope = scope_of(connection, in_force)
    counted = report.counts(connection, scope)
    direct = counted.pop(None, Counter())
    held = count_held(connection)
    on_hold = {name: sum(held[one] for one in scope.targets(number)) for name, number in scope.ids.items()}
    by_api = calls.by_api(connection, quota.month(now))
    known = frozenset(scope.ids.values())
    return {
        "numbers": dict(scope.ids),
        "counts": {name: counted.get(number, Counter()) for name, number in scope.ids.items()},
        "direct": direct,
        "unmapped": sum(counts[State.FAILED] for number, counts in counted.items() if number not in known),
        "pauses": [asdict(one) for one in pauses.list_pauses(connection)],
        "held": {name: count for name, count in on_hold.items() if count},
        "calls": by_api,
        "billed_calls": {api: count for api, count in sorted(by_api.items()) if api in BILLED},
        "webhook_calls": sum(by_api[api] for api in WEBHOOK_BILLED),
    }


def read_paths(
    connection: Connection, in_force: InForce, asked: Sequence[tuple[str | None, bytes]]
) -> list[RecordedPath]:
    """Return what the ledger knows of paths, each in a folder by its name (None: given to `send`)."""
    scope = scope_of(connection, in_force)
    paused = pauses.list_pauses(connection)
    return [_read_path(connection, scope, paused, folder, path) for folder, path in asked]


def _read_path(
    connection: Connection, scope: Scope, paused: Sequence[Pause], folder: str | None, path: bytes
) -> RecordedPath:
    number = None if folder is None else scope.ids.get(folder)
    if folder is not None and number is None:
        return NEVER_WATCHED
    targets = [None] if number is None else scope.targets(number)
    story = [one for target in targets for one in report.story(connection, target, path)]
    last = {one.id: one for one in story if one.after is not None}
    waiting = [one for one in last.values() if one.after in _WAITING]
    mapped = [one for one in waiting if scope.maps(number, one.recipient or "")]
    holding = {pause: None for one in mapped for pause in _pauses_over(one, number, paused)}
    return {
        "number": number,
        "story": [asdict(one) for one in story],
        "unmapped": len(mapped) < len(waiting),
        "waits": bool(mapped),
        "pauses": [asdict(pause) for pause in holding],
        "in_turn": not holding and any(one.cause is None for one in mapped),
    }


def _pauses_over(one: Decision, number: int | None, paused: Sequence[Pause]) -> Iterator[Pause]:
    """Yield the pauses that a delivery's next call is under, taken that the file goes by the robot route."""
    recipient = one.recipient or ""
    api = API_UPLOAD if _WAITING[str(one.after)] else message_target(recipient).api
    scopes = Target(api, (recipient,), number).scopes()
    return (pause for pause in paused if (pause.scope, pause.key) in scopes)
