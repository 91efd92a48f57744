"""The values of the status page: `GET /api/v1/status` has them beside those of `status --json`."""

from __future__ import annotations

import logging
import os
import socket
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import dingwatch
from dingwatch import names, quota
from dingwatch.config.database import describe_address
from dingwatch.config.values import Config
from dingwatch.dingtalk import BILLED
from dingwatch.host.zone import zone_name
from dingwatch.intake import DownFolder, Settling
from dingwatch.ledger import Store, calls, counters, integrity, report, unresolved
from dingwatch.ledger.counters import QUARTER, Outcomes
from dingwatch.ledger.report import Scope
from dingwatch.lifecycle import IN_WORK, State
from dingwatch.model import FolderPause, Recipient
from dingwatch.service import recorded
from dingwatch.service.in_force import InForce
from dingwatch.service.log import Told
from dingwatch.service.needs import Waiting, join_names, list_needs
from dingwatch.service.overview import COUNTED, FolderStatus, Status
from dingwatch.service.progress import Uploading
from dingwatch.service.sentences import Sentences, iso_time
from dingwatch.settle import EMPTY_WAIT
from dingwatch.texts import Needs

HOURS: Final = 24
HOUR: Final = 3600
MOST_SETTLING: Final = 50
"""Settling files that are listed, those first that have been settling for longest; the others are counted."""


@dataclass(frozen=True, slots=True)
class Live:
    """The running service's knowledge that the ledger lacks; other instants than these are monotonic."""

    now: float
    """The wall clock, at the instant `monotonic`."""
    monotonic: float
    started_at: float
    """Wall clock."""

    scans: Mapping[int, float]
    """When the last complete scan of each folder began (wall clock)."""
    events: Mapping[int, float]
    settling: Sequence[tuple[int, bytes, Settling]]
    down: Sequence[DownFolder]
    uploads: Sequence[Uploading]
    log: Sequence[Told]

    def wall(self, at: float) -> float:
        """Return a monotonic instant as the wall clock has it."""
        return self.now - (self.monotonic - at)


@dataclass(frozen=True, slots=True)
class Facts:
    """The ledger's figures beyond the status."""

    scope: Scope
    groups: Sequence[unresolved.Group]
    holds: Sequence[unresolved.Hold]
    examples: Mapping[int, unresolved.Example]
    outcomes: Sequence[Outcomes]
    last_sent_at: float | None
    calls_by_day: Mapping[str, int]
    noticed_at: Mapping[int, float]
    """When a file of each folder was last noticed."""


def read_facts(store: Store, in_force: InForce, now: float, *, resends: bool) -> Facts:
    """Read all of it in one transaction; with `resends`, what is doubted once is sent again by itself.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    with store.reading() as connection:
        scope = recorded.scope_of(connection, in_force)
        known = {target for number in scope.ids.values() for target in scope.targets(number)}
        missing = (one for one in report.list_unmapped(connection, scope) if one[0] in known)
        unmapped = (unresolved.of_mapping(connection, *one) for one in missing)
        groups: list[unresolved.Group] = [
            *(one for one in unresolved.list_groups(connection, resends=resends)
              if scope.maps(one.folder, one.recipient)),
            *(one for one in unmapped if one is not None),
        ]  # fmt: skip
        holds = unresolved.list_holds(connection)
        return Facts(
            scope,
            groups,
            holds,
            unresolved.find_examples(
                connection, [*(one.first for one in groups), *(one.first for one in holds)]
            ),
            counters.list_outcomes(connection, now - 2 * 86400 - HOUR),
            counters.last_sent_at(connection),
            calls.by_day(connection, quota.month(now), BILLED),
            report.last_noticed(connection, sorted(known)),
        )


# --- All keys --------------------------------------------------------------------------------------


def dashboard_json(
    sentences: Sentences,
    status: Status,
    config: Config,
    facts: Facts | None,
    live: Live,
) -> dict[str, Any]:
    """Return the keys that the page needs more; `facts` is None where the ledger cannot be read."""
    number_of = {} if facts is None else facts.scope.ids
    name_of = {number: name for name, number in number_of.items()}
    return {
        "now": iso_time(live.now),
        "tz": zone_name(),
        "node": config.node or socket.gethostname(),
        "version": dingwatch.__version__,
        "started_at": iso_time(live.started_at),
        "ledger": _ledger(config, status, readable=facts is not None),
        "today": _today(facts, live.now),
        "waiting": _waiting(status),
        "needs": [] if facts is None else _needs(sentences, status, config, facts, live),
        "uploads": [_upload(sentences, one, name_of) for one in live.uploads],
        "settling": [_settling(sentences, one, name_of, live) for one in live.settling],
        "calls": _calls(status, facts, live.now),
        "log": [_log_line(sentences, one) for one in live.log],
    }


def _ledger(config: Config, status: Status, *, readable: bool) -> dict[str, object]:
    path, error = config.ledger_file, status.ledger_error
    size = backup_at = None
    if path is not None:
        with suppress(OSError):
            size = path.stat().st_size
        with suppress(OSError):
            backup_at = next((iso_time(one.stat().st_mtime) for one in integrity.backups(path)), None)
    found: dict[str, object] = {
        "ok": readable and error is None,
        "size": size,
        "rows": status.deliveries if readable else None,
        "backup_at": backup_at,
    }
    place = describe_address(config.ledger or "") if path is None else str(path)
    return found | ({"code": error.code, "path": place} if error is not None else {})


def _today(facts: Facts | None, now: float) -> dict[str, object]:
    if facts is None:
        return {"sent": None, "yesterday": None, "last_sent_at": None}
    today = _midnight(now)
    yesterday, this_time = _midnight(today - 1.0), now - 86400
    at = facts.last_sent_at
    return {
        "sent": _sent_within(facts.outcomes, today, now + QUARTER),
        "yesterday": _sent_within(facts.outcomes, yesterday, this_time),
        "last_sent_at": None if at is None else iso_time(at),
    }


def _midnight(at: float) -> float:
    """Return when the day began that an instant is in, in the machine's time zone."""
    local = datetime.fromtimestamp(at).astimezone()
    return datetime(local.year, local.month, local.day).astimezone().timestamp()


def _sent_within(outcomes: Sequence[Outcomes], begin: float, end: float) -> int:
    """Return how many were sent between two instants, the second rounded down to a quarter of an hour."""
    first, last = int(begin // QUARTER), int(end // QUARTER)
    return sum(one.sent for one in outcomes if first <= one.quarter < last)


def _waiting(status: Status) -> dict[str, object]:
    """Return what waits to be sent; what a flood hold holds waits for a person, and is not counted."""
    counts = [status.direct, *(one.counts for one in status.folders)]
    number = sum(one[state] for one in counts for state in IN_WORK) - sum(status.held.values())
    at = status.waiting_since
    return {"count": max(number, 0), "oldest_at": None if at is None else iso_time(at)}


def _needs(
    sentences: Sentences, status: Status, config: Config, facts: Facts, live: Live
) -> list[dict[str, Any]]:
    down = [(one, live.wall(one.since)) for one in live.down]
    hold_over = {one.name: one.hold_over for one in config.folders}
    waiting = Waiting(facts.groups, facts.holds, facts.examples, down, status.use.left, hold_over)
    return list_needs(sentences, facts.scope, waiting)


def _upload(sentences: Sentences, one: Uploading, name_of: Mapping[int, str]) -> dict[str, Any]:
    row = one.rows[0]
    return {
        "id": row.id,
        "name": names.readable(row.name),
        "size": one.size,
        "done": one.done,
        "rate": round(one.rate),
        "folder": None if row.folder is None else name_of.get(row.folder),
        "to": join_names(sentences, dict.fromkeys(each.recipient for each in one.rows)),
        "route": str(row.route),
    }


def _settling(
    sentences: Sentences,
    one: tuple[int, bytes, Settling],
    name_of: Mapping[int, str],
    live: Live,
) -> dict[str, Any]:
    folder, path, settling = one
    return {
        "name": names.readable(path.rpartition(b"/")[2]),
        "size": settling.size,
        "folder": name_of.get(folder),
        "since": iso_time(live.wall(settling.since)),
        "waits": describe_wait(sentences, settling, live.monotonic),
    }


def describe_wait(sentences: Sentences, settling: Settling, monotonic: float) -> str:
    """Return what a file waits for before it is sent."""
    reason = settling.reason
    if reason is None or reason.code == "changing":
        if settling.size == 0:
            left = max(EMPTY_WAIT - (monotonic - settling.changed), 0.0)
            return sentences.render(Needs.STILL_EMPTY, minutes=max(1, round(left / 60)))
        return sentences.render(Needs.CHANGING, seconds=round(settling.quiet, 1))
    if reason.code == "locked":
        return sentences.render(Needs.OPEN, lock=os.path.basename(reason.message))
    if reason.code == "being_written":
        return sentences.render(Needs.BEING_WRITTEN)
    return sentences.advice(reason.advice) or sentences.reason(reason)


def _calls(status: Status, facts: Facts | None, now: float) -> dict[str, object]:
    use, days = status.use, quota.days_of_month(now)
    by_api = Counter(status.billed_calls).most_common()
    by_day = {} if facts is None else facts.calls_by_day
    return {
        "month": use.month,
        "days": len(days),
        "used": use.used,
        "limit": use.limit,
        "left": use.left,
        "forecast": quota.forecast(use.used, now),
        "runs_out_on": None if use.runs_out_on is None else use.runs_out_on.isoformat(),
        "by_day": [by_day.get(day, 0) for day in days if day <= quota.day(now)],
        "by_api": [{"api": api, "count": count} for api, count in by_api if count],
    }


def _log_line(sentences: Sentences, one: Told) -> dict[str, str]:
    level = logging.getLevelName(one.level).lower()
    return {"at": iso_time(one.at), "level": level, "text": one.render(sentences.language)}


# --- Folders ---------------------------------------------------------------------------------------


def folders_json(
    sentences: Sentences, status: Status, config: Config, facts: Facts | None, live: Live
) -> Iterator[dict[str, Any]]:
    """Yield the keys that each folder has more, in the order of the status."""
    numbers = {} if facts is None else facts.scope.ids
    settings = {one.name: one for one in config.folders}
    needs = set() if facts is None else {(one.folder, one.state) for one in facts.groups}
    hours = {} if facts is None else _hours(facts, live.now)
    for one in status.folders:
        name, number = one.folder.name, one.other or numbers.get(one.folder.name)
        targets = [] if facts is None or number is None else facts.scope.targets(number)
        held, pause = (status.held.get(name, 0), status.by_hand.get(name)) if one.other is None else (0, None)
        waiting = sum(one.counts[state] for state in IN_WORK) - held
        doubted = any((target, State.UNCERTAIN) in needs for target in targets)
        setting = settings.get(name) if one.other is None else None
        scanned = max((live.scans[target] for target in targets if target in live.scans), default=None)
        yield {
            "id": number,
            "to": [recipient_json(sentences, word) for word in one.folder.recipients],
            "poll_interval": None if setting is None else _plain(setting.poll_interval),
            "state": _state(one, held, pause, doubted=doubted),
            "last_event_at": _last_event(targets, facts, live),
            "last_scan_at": None if scanned is None else iso_time(scanned),
            "settling": one.counts["settling"],
            "waiting": None if facts is None else max(waiting, 0),
            "failed": None if facts is None else one.counts[State.FAILED],
            "uncertain": None if facts is None else one.counts[State.UNCERTAIN],
            "held": held,
            "paused_until": None if pause is None or pause.until is None else iso_time(pause.until),
            "hours": [hours.get((number, hour), [0, 0]) for hour in range(HOURS)],
        }


def _plain(seconds: float) -> float:
    return int(seconds) if seconds == int(seconds) else seconds


def _state(one: FolderStatus, held: int, pause: FolderPause | None, *, doubted: bool) -> str:
    """Return whether a folder needs somebody, is paused, waits for something, or is well."""
    if one.watch == "down" or held or doubted or one.counts[State.FAILED]:
        return "needs"
    if pause is not None:
        return "paused"
    busy = one.counts["settling"] or any(one.counts[state] for state in (*IN_WORK, State.UNCERTAIN))
    return "waiting" if busy else "ok"


def _last_event(targets: Sequence[int], facts: Facts | None, live: Live) -> str | None:
    """Return when something last happened in a folder; before this start, when a file was last noticed."""
    found = [live.wall(live.events[one]) for one in targets if one in live.events]
    found += [facts.noticed_at[one] for one in targets if facts is not None and one in facts.noticed_at]
    return iso_time(max(found)) if found else None


def _hours(facts: Facts, now: float) -> dict[tuple[int | None, int], list[int]]:
    """Return what was sent and failed, by folder and hour: 23 is the hour of now in the machine's zone."""
    local = datetime.fromtimestamp(now).astimezone()
    this_hour = local - timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    first = int(this_hour.timestamp()) - (HOURS - 1) * HOUR
    found: dict[tuple[int | None, int], list[int]] = defaultdict(lambda: [0, 0])
    for one in facts.outcomes:
        hour = (one.quarter * QUARTER - first) // HOUR
        if 0 <= hour < HOURS:
            pair = found[facts.scope.former.get(one.folder, one.folder), hour]
            pair[0] += one.sent
            pair[1] += one.failed
    return dict(found)


def recipient_json(sentences: Sentences, word: str) -> dict[str, str]:
    """Return a recipient by its kind (group, person, chat or webhook), and its alias or else its id."""
    known = Recipient.of(word)
    return {"kind": known.kind.name.lower(), "name": sentences.recipient_names.get(word, known.id)}


UNKNOWN_COUNTS: Final = dict.fromkeys(COUNTED)
"""The counts while the ledger cannot be read."""
