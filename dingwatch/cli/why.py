"""`dingwatch why`: every decision about one path, in order."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Final

import click

from dingwatch import files, filters, names
from dingwatch.cli.context import Session, command, option
from dingwatch.cli.output import local_time, printable
from dingwatch.cli.story import tell
from dingwatch.config.links import real_paths
from dingwatch.host.lock import LOCK_FILE, lock_holder
from dingwatch.lifecycle import BASELINE, IN_WORK, State
from dingwatch.model import Decision, Failure
from dingwatch.service.answers import RecordedPath, load_decision, load_folder_pause, load_pause
from dingwatch.service.in_force import ShownFolder
from dingwatch.settle import EMPTY_WAIT
from dingwatch.texts import Cli, Story

_NEEDS_FILE = {*map(str, IN_WORK), str(State.GONE)}
"""States whose delivery would go on if the file were there."""


@dataclass(frozen=True, slots=True)
class _Known:
    """A path in a folder (None: given to `send`), with what the ledger has on it."""

    folder: ShownFolder | None
    path: bytes
    recorded: RecordedPath

    @property
    def story(self) -> list[Decision]:
        """Every decision, in order."""
        return list(map(load_decision, self.recorded["story"]))


@command()
@click.argument("file", metavar="PATH")
@option(Cli.OPT_VERBOSE, "-v", "--verbose", is_flag=True)
def why(session: Session, *, file: str, verbose: bool) -> int:
    """Print every decision about one path, in each folder that it lies in."""
    path = os.fsencode(file)
    # `history` shows a name that is not UTF-8 with \\xNN; people copy it from there.
    if b"\\x" in path and not os.path.lexists(path):
        path = re.sub(rb"\\x([0-9a-f]{2})", lambda found: bytes.fromhex(found[1].decode()), path)
    places = _places(session, path) if file else []
    if not places:
        folders = ", ".join(f"{one.name} ({one.path})" for one in session.folders)
        session.fail(Cli.WHY_NOWHERE, path=file, names=folders)
    known = [_print(session, place, verbose=verbose) for place in places]
    return 0 if any(known) else 1


def _look_up(session: Session, places: Sequence[tuple[ShownFolder | None, bytes]]) -> list[_Known]:
    """Ask the running service, else the ledger, for what is known of paths in folders."""
    asked = [(None if folder is None else folder.name, path) for folder, path in places]
    answer = session.ask("why", paths=[(name, path.hex()) for name, path in asked]) or {}
    found: list[RecordedPath] = answer.get("recorded") or _read_recorded(session, asked)
    return [_Known(*place, recorded) for place, recorded in zip(places, found, strict=True)]


def _read_recorded(session: Session, asked: Sequence[tuple[str | None, bytes]]) -> list[RecordedPath]:
    from dingwatch.cli import ledger_access  # noqa: PLC0415 (slow, and not needed if the service answers)

    return ledger_access.read_paths(session, asked)


def _places(session: Session, path: bytes) -> list[_Known]:
    """Return what is known of a path in each folder; a relative one may be meant from a folder's root."""
    folders = session.folders
    directory, name = os.path.split(os.path.abspath(path))
    # Only the directory is resolved: `why` explains that a link itself is not sent.
    whole = os.path.join(*real_paths([directory]), name)
    within = [
        (one, whole[len(one.root.rstrip(b"/")) + 1 :])
        for one in folders
        if whole.startswith(one.root.rstrip(b"/") + b"/")
    ]
    *known, given = _look_up(session, [*within, (None, whole)])
    if given.story:
        known.append(given)
    # `history` shows paths relative to their folder, and people copy them from there.
    inner = os.path.normpath(path)
    if known or os.path.isabs(path) or inner.startswith(b".."):
        return known
    found = _look_up(session, [(one, inner) for one in folders])
    return [one for one in found if one.story or (one.folder and _exists(one.folder.root, inner))]


def _exists(root: bytes, path: bytes) -> bool:
    """Return whether something is at the path; False too if the share hangs."""
    try:
        return files.in_time(partial(os.path.lexists, os.path.join(root, path)))
    except Failure:
        return False


def _print(session: Session, known: _Known, *, verbose: bool) -> bool:
    """Print what is known of a path in one folder; return whether that is anything."""
    name = "–" if known.folder is None else known.folder.name
    click.echo(session.render(Cli.WHY_PATH, path=names.readable(known.path), folder=name))
    facts = [] if known.folder is None else list(_facts(session, known, known.folder))
    facts += _describe_waiting(session, name, known.recorded)
    if verbose:
        lines = [*(_line(session, one) for one in known.story), *facts]
    else:
        lines = [*tell(session, known.story, time.time()), *facts]
    for line in lines or [session.render(Cli.WHY_UNKNOWN)]:
        click.echo(f"  {line}")
    return bool(lines)


_TO_A_PATH: Final = frozenset({"moved away", "put_away", "put_back"})


def _line(session: Session, one: Decision) -> str:
    when = local_time(one.at)
    if one.event == BASELINE:
        return session.render(Cli.WHY_BASELINE, when=when, id=one.id)
    recipient = None if one.recipient is None else session.name_of(one.recipient)
    line = " ".join(part for part in (recipient, session.word(one.event)) if part)
    line += f" → {one.after or one.other}" if one.after or one.event in _TO_A_PATH else ""
    line += f" ← {one.other}" if one.event == "moved" else ""
    if one.cause is not None:
        line += f" ({session.reason(one.cause)}) {session.advice(one.cause.advice)}"
    if one.node is not None:
        line = session.render(Story.BY_NODE, node=one.node, sentence=line)
    return printable(f"{when} #{one.id} {line}".rstrip())


def _facts(session: Session, known: _Known, folder: ShownFolder) -> Iterator[str]:
    """Yield what the file is now, as far as that explains why it is not sent."""
    if known.story and known.story[-1].event == "put_away":  # all is told
        return
    chosen = filters.path_filter(
        folder.include, folder.exclude, recursive=folder.recursive, moves=known.recorded["moves"]
    )
    pattern = chosen.excluding(known.path)
    if pattern is not None:
        yield session.render(Cli.WHY_EXCLUDED, pattern=pattern)
    elif not chosen.accepts(known.path):
        yield session.render(Cli.WHY_NOT_INCLUDED)
    yield from _present(session, known, folder, chosen=chosen.accepts(known.path))
    if (number := known.recorded["number"]) is not None:
        yield from _settling(session, number, known.path)


def _settling(session: Session, number: int, path: bytes) -> Iterator[str]:
    """Yield what the running service waits for before it takes the file for complete."""
    live = session.ask("settling", folder=number, path=path.hex()) or {}
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
    if size == 0 and chosen:
        yield session.render(Cli.WHY_EMPTY, minutes=round(EMPTY_WAIT / 60))
    if known.recorded["number"] is None:
        yield session.render(Cli.WHY_NOT_WATCHED)
    elif not known.story and chosen:
        yield session.render(Cli.WHY_NEW)


def _size(root_path: bytes, path: bytes) -> int:
    with closing(files.open_root(root_path)) as root:
        return files.observe(root, path).size


def _needs_file(story: Sequence[Decision]) -> bool:
    """Return whether a delivery is unfinished, or was withdrawn because the file was gone."""
    last = {one.id: one.after for one in story if one.after is not None}
    return any(state in _NEEDS_FILE for state in last.values())


def _describe_waiting(session: Session, name: str, recorded: RecordedPath) -> Iterator[str]:
    """Yield what a path's unsent deliveries wait for."""
    if recorded["unmapped"]:
        yield session.advice("UNMAPPED")
    if recorded["waits"] and lock_holder(session.state_dir / LOCK_FILE) is None:
        yield session.render(Cli.NOT_RUNNING)
    for pause in map(load_pause, recorded["pauses"]):
        yield printable(session.describe_pause(pause, time.time()))
    if recorded["waits"] and recorded["by_hand"] is not None:
        yield session.describe_folder_pause(name, load_folder_pause(recorded["by_hand"]))
    if node := recorded.get("drained"):  # a service of an earlier version does not tell
        yield session.render(Cli.NODE_DRAINING, node=node, word=names.shell_word(node))
    if recorded["in_turn"]:
        yield session.render(Cli.WHY_TURN)
