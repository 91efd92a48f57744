"""Reads from the ledger what `status` and `why` show of it: in the service, and in commands without one."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import Connection

from dingwatch import names, quota
from dingwatch.delivery.limits import Target, message_target
from dingwatch.dingtalk import API_UPLOAD, BILLED, WEBHOOK_BILLED
from dingwatch.ledger import calls, deletions, pauses, report
from dingwatch.ledger.delivery_counts import DeliveryCounts
from dingwatch.ledger.folder_pauses import list_folder_pauses
from dingwatch.ledger.folders import MappedFolder, Share, count_held
from dingwatch.ledger.nodes import is_drained, read_members
from dingwatch.ledger.report import Scope
from dingwatch.ledger.routing import list_folders_of_others, list_live, list_routes_of_others
from dingwatch.ledger.store import node_of
from dingwatch.lifecycle import State
from dingwatch.model import Decision, FolderPause, Pause
from dingwatch.service.answers import NEVER_WATCHED, RecordedPath, RecordedStatus, load_decision
from dingwatch.service.in_force import InForce

_WAITING: Final = {str(State.PENDING): True, str(State.UPLOADED): False}
"""States in which a delivery waits, and whether its next call is the upload."""


def scope_of(connection: Connection, in_force: InForce) -> Scope:
    """Return what a configuration maps, in the ledger's numbers."""
    mapped = [
        MappedFolder(
            one.root,
            one.name,
            one.recipients,
            os.fsencode(one.path),
            share=None if one.shared is None else Share(one.shared),
        )
        for one in in_force.folders
    ]
    return report.scope(connection, mapped)


def read_status(
    connection: Connection,
    in_force: InForce,
    now: float,
    by_state: DeliveryCounts | None = None,
    *,
    of_all: bool = False,
) -> RecordedStatus:
    """Return what the ledger knows for `status`; `by_state` spares the service counting it all each time.

    `of_all` adds the folders of the other nodes that share the ledger.
    """
    scope = scope_of(connection, in_force)
    others = {folder for folder, _ in list_routes_of_others(connection)}
    if of_all:
        scope = report.with_others(connection, scope)
    counted = report.counts(connection, scope, by_state)
    number = sum(counts[state] for counts in counted.values() for state in State)
    direct = counted.pop(None, Counter())
    held = count_held(connection)
    on_hold = {name: sum(held[one] for one in scope.targets(number)) for name, number in scope.ids.items()}
    by_api = calls.by_api(connection, quota.month(now))
    known = others.union(scope.ids.values())
    return {
        "numbers": dict(scope.ids),
        "counts": {name: counted.get(number, Counter()) for name, number in scope.ids.items()},
        "deliveries": number,
        "direct": direct,
        "unmapped": sum(counts[State.FAILED] for number, counts in counted.items() if number not in known),
        "pauses": [asdict(one) for one in pauses.list_pauses(connection)],
        "by_hand": {name: asdict(one) for name, one in _by_hand(connection, scope, now).items()},
        "held": {name: count for name, count in on_hold.items() if count},
        "calls": by_api,
        "billed_calls": {api: count for api, count in sorted(by_api.items()) if api in BILLED},
        "webhook_calls": sum(by_api[api] for api in WEBHOOK_BILLED),
        "waiting_since": report.waiting_since(connection),
        "nodes": _nodes(connection),
        "others": list(_others(connection, scope, counted)),
        "drive": None if (room := deletions.read_room(connection)) is None else asdict(room),
    }


def _nodes(connection: Connection) -> list[dict[str, Any]]:
    if not node_of(connection):
        return []
    members = read_members(connection)
    return [
        {"name": one.name, "state": one.state(members.now), "lease_until": one.lease_until}
        for one in sorted(members.nodes, key=attrgetter("name"))
    ]


def _others(
    connection: Connection, scope: Scope, counted: Mapping[int | None, Counter[str]]
) -> Iterator[dict[str, Any]]:
    own = {*scope.ids.values(), *scope.former}
    for one in list_folders_of_others(connection):
        if one.id not in own:
            yield {
                "id": one.id,
                "name": one.name,
                "path": names.readable(one.root),
                "recipients": list(one.recipients),
                "node": one.node,
                "counts": counted.get(one.id, Counter()),
            }


def read_folder_pauses(connection: Connection, in_force: InForce, now: float) -> dict[str, FolderPause]:
    """Return the pauses by hand that are in force, by the names of the folders."""
    return _by_hand(connection, scope_of(connection, in_force), now)


def _by_hand(connection: Connection, scope: Scope, now: float) -> dict[str, FolderPause]:
    lasting = {one.folder: one for one in list_folder_pauses(connection) if one.in_force(now)}
    if not lasting:
        return {}
    found = {name: [lasting.get(one) for one in scope.targets(number)] for name, number in scope.ids.items()}
    return {name: one for name, all_ in found.items() if (one := next(filter(None, all_), None)) is not None}


def read_paths(
    connection: Connection, in_force: InForce, asked: Sequence[tuple[str | None, bytes]], now: float
) -> list[RecordedPath]:
    """Return what the ledger knows of paths, each in a folder by its name (None: given to `send`)."""
    scope = scope_of(connection, in_force)
    paused, by_hand = pauses.list_pauses(connection), _by_hand(connection, scope, now)
    found = [
        _read_path(connection, scope, paused, by_hand.get(folder or ""), folder, path)
        for folder, path in asked
    ]
    return [_of_drained(connection, one, now) for one in found] if is_drained(connection) else found


def _of_drained(connection: Connection, recorded: RecordedPath, now: float) -> RecordedPath:
    """Return what is known of a path on a node that was drained: what only it can upload has no turn."""
    story = map(load_decision, recorded["story"])
    last = {one.id: one.after for one in story if one.after is not None}
    pending = [number for number, state in last.items() if state == State.PENDING]
    if not recorded["waits"] or len(list_live(connection, pending, now)) == len(pending):
        return recorded
    return {**recorded, "drained": node_of(connection), "in_turn": False}


def _read_path(
    connection: Connection,
    scope: Scope,
    paused: Sequence[Pause],
    by_hand: FolderPause | None,
    folder: str | None,
    path: bytes,
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
        "moves": number is not None and report.moves(connection, number),
        "story": [asdict(one) for one in story],
        "unmapped": len(mapped) < len(waiting),
        "waits": bool(mapped),
        "pauses": [asdict(pause) for pause in holding],
        "by_hand": None if by_hand is None else asdict(by_hand),
        "in_turn": not holding and by_hand is None and any(one.cause is None for one in mapped),
        "drained": None,
    }


def _pauses_over(one: Decision, number: int | None, paused: Sequence[Pause]) -> Iterator[Pause]:
    """Yield the pauses that a delivery's next call is under, taken that the file goes by the robot route."""
    recipient = one.recipient or ""
    api = API_UPLOAD if _WAITING[str(one.after)] else message_target(recipient).api
    scopes = Target(api, (recipient,), number).scopes()
    return (pause for pause in paused if (pause.scope, pause.key) in scopes)
