"""Screening: nothing of a file leaves before the program of its folder's `before_send` has passed it.

Whoever is about to make something of a file (an upload, a step of one to the drive, an archive of several
files, a notice) gives its rows to `hold_unscreened` first, and goes on with those that come back. A version
is screened once, whatever its deliveries, uploads and restarts are, and however many nodes have its folder; a
new version is screened anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from dingwatch import policy
from dingwatch.delivery import bundles, failures
from dingwatch.delivery.jobs import Screen, Screening
from dingwatch.delivery.limits import Target
from dingwatch.delivery.state import TickContext
from dingwatch.dingtalk import API_UPLOAD
from dingwatch.ledger import pauses, screening
from dingwatch.ledger.delivery import Delivery, find_deliveries
from dingwatch.ledger.transitions import Change
from dingwatch.lifecycle import Event
from dingwatch.model import Cause, Scope, ScreeningFailed, Verdict
from dingwatch.policy import Rules
from dingwatch.texts import Log

PAUSE: Final = "before_send:"
"""The beginning of the keys of pauses under which no program is started; the folder's name follows."""
UNSCREENED: Final = Cause("unscreened", "", "UNSCREENED")
"""Why an uploaded file waits again: its folder has got a program since it was uploaded."""


def is_unscreened(tick: TickContext, row: Delivery) -> bool:
    """Return whether a row's version must still pass its folder's program."""
    return row.screened_at is None and _screening_of(tick, row) is not None


def _screening_of(tick: TickContext, row: Delivery) -> Screening | None:
    return tick.settings.of_folder(row.folder).screening


def hold_unscreened(tick: TickContext, rows: Sequence[Delivery]) -> list[Delivery]:
    """Return the rows whose versions need not be screened, or have passed; have the others screened.

    What is held comes back with the outcome of its job, here or on another node, or when it is due. So the
    caller waits for nothing.
    """
    ready = []
    for row in rows:
        if not is_unscreened(tick, row):
            ready.append(row)
        elif _may_screen(tick, row):
            program = _screening_of(tick, row)
            assert program is not None  # noqa: S101 (it is unscreened)
            same = tuple(one for one in rows if one.version == row.version)
            claim = tick.draw_claim()
            if screening.claim_version(tick.state.store, tick.connection, row.version, claim):
                tick.issue(Screen(same, program, claim))
    return ready


def is_at_work(tick: TickContext, row: Delivery) -> bool:
    """Return whether the program of a row's folder is at work, here or elsewhere, or waits for its turn."""
    out = [job for job in tick.in_hand if isinstance(job, Screen)]
    busy = [_target(tick, job.row) for job in out]
    here = any(job.row.folder == row.folder for job in out)
    may_begin = not tick.state.pauses.blocks(_target(tick, row), tick.now, busy)
    return here or may_begin or screening.find_claim(tick.connection, row.version) is not None


def _may_screen(tick: TickContext, row: Delivery) -> bool:
    """Return whether one more program may be started, and for this file."""
    out = [job for job in tick.in_hand if isinstance(job, Screen)]
    workers = tick.settings.workers
    if any(job.row.version == row.version for job in out) or len(out) >= workers:
        return False
    # Three slow programs of one folder leave one to another folder's file.
    if len(out) >= max(workers - 1, 1) and any(job.row.folder == row.folder for job in out):
        return False
    busy = [_target(tick, job.row) for job in out]
    if tick.state.pauses.blocks(_target(tick, row), tick.now, busy):
        return False
    # Another node that has the folder may be at it, and its verdict counts here as well.
    return screening.find_claim(tick.connection, row.version) is None


def _target(tick: TickContext, row: Delivery) -> Target:
    return Target(_pause_key(tick, row), folder=row.folder)


def _pause_key(tick: TickContext, row: Delivery) -> str:
    return PAUSE + tick.settings.of_folder(row.folder).wording.folder


# --- Outcomes ------------------------------------------------------------------------------------


def enter(tick: TickContext, job: Screen, result: object) -> None:
    """Enter what came of a screening, unless another node has taken it over meanwhile and asks itself."""
    if not screening.end_claim(tick.connection, job.row.version, job.claim):
        return
    tick.wakes_others = True
    if isinstance(result, Verdict):
        _enter_failure(tick, job, result)
    else:
        _enter_passed(tick, job)


def _enter_passed(tick: TickContext, job: Screen) -> None:
    screening.pass_version(tick.connection, job.row.version, tick.now, waited=job.row.failures > 0)
    key = (Scope.API, _pause_key(tick, job.row))
    if (pause := tick.state.pauses.known.pop(key, None)) is not None:
        pauses.end_pauses(tick.connection, [pause])
        tick.log(Log.SCREENING_WORKS, folder=job.row.folder)


def _enter_failure(tick: TickContext, job: Screen, verdict: Verdict) -> None:
    """Enter that the program refused a version or gave no verdict, or that the file could not be read."""
    if verdict.cause.code == "stopped":
        return
    row = job.row
    if isinstance(verdict, policy.OWN_FILE) and not _is_same_file(tick, row):
        return  # it was moved or touched while it was read; under its new path it is screened anew
    if isinstance(verdict, ScreeningFailed):
        _pause(tick, row, verdict)
    else:
        target = Target(API_UPLOAD, folder=row.folder)
        verdict = replace(verdict, scope=target.reach(verdict.scope))
        failures.pause(tick, target, verdict)
    rules = Rules(tick.settings.give_up_after, tick.settings.of_folder(row.folder).unsupported)
    result = policy.consequence(verdict, row.standing, tick.now, tick.state.chance(), rules)
    if result.event in {Event.RETRY, Event.DOUBT}:
        wait, failed = max(result.due - tick.now, 0.0), isinstance(verdict, ScreeningFailed)
        screening.postpone(tick.connection, row.version, result.cause, tick.now, wait, failed=failed)
        _leave_bundles(tick, row.version)
        return
    rows = screening.list_unsent(tick.connection, row.version)
    tick.apply(*(Change(number, result.event, state, result.cause) for number, state in rows))
    text = {Event.SKIP: Log.SKIPPED, Event.VANISH: Log.WITHDRAWN}.get(result.event, Log.FAILED)
    for one in find_deliveries(tick.connection, [number for number, _ in rows]).values():
        tick.log_row(text, one, result.cause)


def _leave_bundles(tick: TickContext, version: int) -> None:
    """Take a file that waits for a verdict out of its bundles, which do not wait for it.

    Its folder got the program when they were formed already. Two such files would be another message later,
    and could not be told from those that had gone by then.
    """
    found = find_deliveries(
        tick.connection, [number for number, _ in screening.list_unsent(tick.connection, version)]
    )
    if bundled := [one for one in found.values() if one.bundle is not None]:
        bundles.gather_again(tick, bundled)


def _is_same_file(tick: TickContext, row: Delivery) -> bool:
    now = find_deliveries(tick.connection, [row.id]).get(row.id)
    return now is not None and (now.path, now.fingerprint) == (row.path, row.fingerprint)


def _pause(tick: TickContext, row: Delivery, verdict: ScreeningFailed) -> None:
    """Start no program for the folder for a while: if it is missing, it is missing for all its files."""
    key = _pause_key(tick, row)
    before = tick.state.pauses.known.get((Scope.API, key))
    if before is not None and before.until > tick.now:
        return  # several were started in the same second, and have failed alike
    general = ScreeningFailed(verdict.cause, Scope.API)
    made = policy.pause_after(general, key, before, tick.now, tick.state.chance(), free=True)
    assert made is not None  # noqa: S101 (of this scope there always is one)
    made = replace(made, own=tick.state.store.shared)
    tick.state.pauses.known[made.scope, made.key] = made
    pauses.save_pauses(tick.state.store, tick.connection, [made], tick.now)
    if before is None or before.cause != verdict.cause:
        tick.log_row(Log.SCREENING_FAILED, row, verdict.cause)


def note_resumed(tick: TickContext) -> None:
    """Have a program asked at once whose pause a person has ended: the files themselves wait besides."""
    resumed = (
        pause.until <= 0.0 and scope is Scope.API and key.startswith(PAUSE)
        for (scope, key), pause in tick.state.pauses.known.items()
    )
    if any(resumed):
        screening.retry_failed(tick.connection, tick.now)


# --- Settings ------------------------------------------------------------------------------------


def begin_settings(tick: TickContext) -> None:
    """Take up the programs of another configuration: each is asked at once, whatever the former one did."""
    with_program = {number: one for number, one in tick.settings.folders.items() if one.screening is not None}
    names = {one.wording.folder for one in with_program.values()}
    known = tick.state.pauses.known
    for key in [key for key in known if key[0] is Scope.API and key[1].startswith(PAUSE)]:
        if key[1].removeprefix(PAUSE) in names:
            known[key] = replace(known[key], until=tick.now)
            pauses.save_pauses(tick.state.store, tick.connection, [known[key]], tick.now)
        else:
            pauses.end_pauses(tick.connection, [known.pop(key)])
    if not screening.has_failed(tick.connection):
        return  # nothing is to be written
    screening.retry_failed(tick.connection, tick.now)
    screening.forget_failures(tick.connection, [one for one in with_program if one is not None])
