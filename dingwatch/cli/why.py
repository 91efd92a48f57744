"""`dingwatch why`: every decision about one path, in order."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial

import click

from dingwatch import files, filters, names
from dingwatch.cli.context import Session, command
from dingwatch.cli.output import local_time, printable
from dingwatch.cli.running import ShownFolder
from dingwatch.config.links import real_paths
from dingwatch.delivery.limits import Target, message_target
from dingwatch.dingtalk import API_UPLOAD
from dingwatch.host.lock import LOCK_FILE, lock_holder
from dingwatch.ledger import Store, pauses, report
from dingwatch.ledger.report import BASELINE, UNMAPPED, Decision, Scope
from dingwatch.lifecycle import IN_WORK, State
from dingwatch.model import Failure, Pause
from dingwatch.settle import EMPTY_WAIT
from dingwatch.texts import Cli

_NEEDS_FILE = {*map(str, IN_WORK), str(State.GONE)}
"""States whose delivery would go on if the file were there."""
_WAITING = {str(State.PENDING): True, str(State.UPLOADED): False}
"""States in which a delivery waits, and whether its next call is the upload."""


@dataclass(frozen=True, slots=True)
class _Known:
    """A path in a folder (None: given to `send`), with what the ledger has on it.

    `number` is the folder's in the ledger; None if the service has not watched it yet.
    """

    folder: ShownFolder | None
    path: bytes
    number: int | None
    story: tuple[Decision, ...]
    scope: Scope | None = None
    pauses: tuple[Pause, ...] = ()


_Lookup = Callable[[ShownFolder | None, bytes], _Known]


@command()
@click.argument("file", metavar="PATH")
def why(session: Session, *, file: str) -> int:
    """Print every decision about one path, in each folder that it lies in."""
    path = os.fsencode(file)
    # `history` shows a name that is not UTF-8 with \\xNN; people copy it from there.
    if b"\\x" in path and not os.path.lexists(path):
        path = re.sub(rb"\\x([0-9a-f]{2})", lambda found: bytes.fromhex(found[1].decode()), path)
    with _lookup(session) as look_up:
        places = _places(session.folders, path, look_up) if file else []
    if not places:
        folders = ", ".join(f"{one.name} ({one.path})" for one in session.folders)
        session.fail(Cli.WHY_NOWHERE, path=file, names=folders)
    known = [_print(session, place) for place in places]
    return 0 if any(known) else 1


@contextmanager
def _lookup(session: Session) -> Iterator[_Lookup]:
    """Open the ledger and yield the function that looks a path up in it."""
    if not session.ledger_exists:
        yield lambda folder, path: _Known(folder, path, None, ())
        return
    with session.store() as store:
        yield partial(_read, store, session.scope(store))


def _read(store: Store, scope: Scope, folder: ShownFolder | None, path: bytes) -> _Known:
    number = None if folder is None else scope.ids.get(folder.name)
    if folder is not None and number is None:
        return _Known(folder, path, None, ())
    with store.reading() as connection:
        targets = [None] if number is None else scope.targets(number)
        story = tuple(one for target in targets for one in report.story(connection, target, path))
        return _Known(folder, path, number, story, scope, tuple(pauses.list_pauses(connection)))


def _places(folders: Sequence[ShownFolder], path: bytes, look_up: _Lookup) -> list[_Known]:
    """Return what is known of a path in each folder; a relative one may be meant from a folder's root."""
    directory, name = os.path.split(os.path.abspath(path))
    # Only the directory is resolved: `why` explains that a link itself is not sent.
    whole = os.path.join(*real_paths([directory]), name)
    within = [
        look_up(one, whole[len(one.root.rstrip(b"/")) + 1 :])
        for one in folders
        if whole.startswith(one.root.rstrip(b"/") + b"/")
    ]
    given = look_up(None, whole)
    if given.story:
        within.append(given)
    # `history` shows paths relative to their folder, and people copy them from there.
    inner = os.path.normpath(path)
    if within or os.path.isabs(path) or inner.startswith(b".."):
        return within
    found = [(look_up(one, inner), one.root) for one in folders]
    return [one for one, root in found if one.story or _exists(root, inner)]


def _exists(root: bytes, path: bytes) -> bool:
    """Return whether something is at the path; False too if the share hangs."""
    try:
        return files.in_time(partial(os.path.lexists, os.path.join(root, path)))
    except Failure:
        return False


def _print(session: Session, known: _Known) -> bool:
    """Print what is known of a path in one folder; return whether that is anything."""
    name = "–" if known.folder is None else known.folder.name
    click.echo(session.render(Cli.WHY_PATH, path=names.readable(known.path), folder=name))
    facts = [] if known.folder is None else list(_facts(session, known, known.folder))
    if known.scope is not None:
        facts += _describe_waiting(session, known.number, known.story, known.scope, known.pauses)
    lines = [*(_line(session, one) for one in known.story), *facts]
    for line in lines or [session.render(Cli.WHY_UNKNOWN)]:
        click.echo(f"  {line}")
    return bool(lines)


def _line(session: Session, one: Decision) -> str:
    when = local_time(one.at)
    if one.event == BASELINE:
        return session.render(Cli.WHY_BASELINE, when=when, id=one.id)
    line = " ".join(part for part in (when, f"#{one.id}", one.recipient, session.word(one.event)) if part)
    line += f" → {one.after or one.other}" if one.after or one.event == "moved away" else ""
    line += f" ← {one.other}" if one.event == "moved" else ""
    if one.cause is not None:
        line += f" ({session.reason(one.cause)}) {session.advice(one.cause.advice)}"
    return printable(line.rstrip())


def _facts(session: Session, known: _Known, folder: ShownFolder) -> Iterator[str]:
    """Yield what the file is now, as far as that explains why it is not sent."""
    chosen = filters.path_filter(folder.include, folder.exclude, recursive=folder.recursive)
    pattern = chosen.excluding(known.path)
    if pattern is not None:
        yield session.render(Cli.WHY_EXCLUDED, pattern=pattern)
    elif not chosen.accepts(known.path):
        yield session.render(Cli.WHY_NOT_INCLUDED)
    yield from _present(session, known, folder, chosen=chosen.accepts(known.path))
    if known.number is not None:
        yield from _settling(session, known.number, known.path)


def _settling(session: Session, number: int, path: bytes) -> Iterator[str]:
    """Yield what the running service waits for before it takes the file for complete."""
    live = session.ask_object(f"settling {number} {path.hex()}")
    if "age" in live:
        yield session.render(Cli.WHY_SETTLING, seconds=round(live["age"]))
        if live["reason"] is not None:
            code, message, advice = live["reason"]
            yield session.render(
                Cli.WHY_WAITS, reason=f"{code} {message}".strip(), advice=session.advice(advice)
            )


def _present(session: Session, known: _Known, folder: ShownFolder, *, chosen: bool) -> Iterator[str]:
    """Yield what lies at the path now."""
    try:
        size = files.in_time(partial(_size, folder.root, known.path))
    except Failure as failure:
        cause = failure.verdict.cause
        if cause.code != "absent" or _needs_file(known.story):
            yield session.render(Cli.WHY_NOT_THERE, reason=cause.code, advice=session.advice(cause.advice))
        elif known.story:
            yield session.render(Cli.WHY_AWAY)
        return
    if size == 0:
        yield session.render(Cli.WHY_EMPTY, minutes=round(EMPTY_WAIT / 60))
    if known.number is None:
        yield session.render(Cli.WHY_NOT_WATCHED)
    elif not known.story and chosen:
        yield session.render(Cli.WHY_NEW)


def _size(root_path: bytes, path: bytes) -> int:
    with closing(files.open_root(root_path)) as root:
        return files.observe(root, path).size


def _needs_file(story: tuple[Decision, ...]) -> bool:
    """Return whether a delivery is unfinished, or was withdrawn because the file was gone."""
    last = {one.id: one.after for one in story if one.after is not None}
    return any(state in _NEEDS_FILE for state in last.values())


def _describe_waiting(
    session: Session, number: int | None, story: Sequence[Decision], scope: Scope, pauses: Sequence[Pause]
) -> Iterator[str]:
    """Yield what a path's unsent deliveries wait for; `number` is its folder's (None: given to `send`)."""
    last = {one.id: one for one in story if one.after is not None}
    rows = [(one, one.recipient) for one in last.values() if one.after in _WAITING]
    if any(not scope.maps(number, conversation or "") for _, conversation in rows):
        yield session.advice(UNMAPPED.advice)
    mapped = [(one, conversation) for one, conversation in rows if scope.maps(number, conversation or "")]
    if mapped and lock_holder(session.config.state_dir / LOCK_FILE) is None:
        yield session.render(Cli.NOT_RUNNING)
    holding = {pause: None for one, _ in mapped for pause in _pauses_over(one, number, pauses)}
    yield from (printable(session.describe_pause(pause, time.time())) for pause in holding)
    if not holding and any(one.cause is None for one, _ in mapped):
        yield session.render(Cli.WHY_TURN)


def _pauses_over(one: Decision, number: int | None, pauses: Sequence[Pause]) -> Iterator[Pause]:
    """Yield the pauses that a delivery's next call is under, taken that the file goes by the robot route."""
    conversation = one.recipient or ""
    api = API_UPLOAD if _WAITING[str(one.after)] else message_target(conversation).api
    scopes = Target(api, (conversation,), number).scopes()
    return (pause for pause in pauses if (pause.scope, pause.key) in scopes)
