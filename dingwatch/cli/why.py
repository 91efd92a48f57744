"""`dingwatch why`: every decision about one path, in order."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass

import click

from dingwatch import files, policy
from dingwatch.cli.context import Session, local
from dingwatch.config import Folder
from dingwatch.ledger import report
from dingwatch.ledger.report import BASELINE, Decision
from dingwatch.model import Failure
from dingwatch.settle import EMPTY_WAIT
from dingwatch.texts import Cli


@dataclass(frozen=True, slots=True)
class _Place:
    """A path as a file of a watched folder."""

    folder: Folder
    path: bytes


def why(session: Session, path: str) -> int:
    """Tell the story of one path in every folder that it lies in."""
    places = _places(session, os.fsencode(path))
    if not places:
        names = ", ".join(f"{one.name} ({one.path})" for one in session.config.folders)
        session.fail(Cli.WHY_NOWHERE, path=path, names=names)
    known = [_tell(session, place) for place in places]
    return 0 if any(known) else 1


def _places(session: Session, path: bytes) -> list[_Place]:
    """Find the folders that a path lies in; a relative one may be meant from a folder's root."""
    directory, name = os.path.split(os.path.abspath(path))
    whole = os.path.join(os.path.realpath(directory), name)
    folders = session.config.folders
    within = [
        _Place(one, whole[len(one.root.rstrip(b"/")) + 1 :])
        for one in folders
        if whole.startswith(one.root.rstrip(b"/") + b"/")
    ]
    if within or os.path.isabs(path):
        return within
    return [_Place(one, os.path.normpath(path)) for one in folders if _is_known(session, _Place(one, path))]


def _is_known(session: Session, place: _Place) -> bool:
    return os.path.lexists(os.path.join(place.folder.root, place.path)) or bool(_story(session, place)[1])


def _story(session: Session, place: _Place) -> tuple[int | None, list[Decision]]:
    """Return the folder's number in the ledger, and what was decided about the path."""
    if not session.ledger_exists:
        return None, []
    with session.store() as store:
        number = session.scope(store).ids.get(place.folder.name)
        if number is None:
            return None, []
        with store.reading() as connection:
            return number, report.story(connection, number, place.path)


def _tell(session: Session, place: _Place) -> bool:
    """Print what is known of a path in one folder; return whether that is anything."""
    number, story = _story(session, place)
    click.echo(session.say(Cli.WHY_PATH, path=policy.readable(place.path), folder=place.folder.name))
    for one in story:
        click.echo(f"  {_line(session, one)}")
    facts = list(_facts(session, place, number))
    for fact in facts:
        click.echo(f"  {fact}")
    if not story and not facts:
        click.echo(f"  {session.say(Cli.WHY_UNKNOWN)}")
    return bool(story or facts)


def _line(session: Session, one: Decision) -> str:
    when, where = local(one.at), one.conversation_id or ""
    if one.event == BASELINE:
        return session.say(Cli.WHY_BASELINE, when=when)
    line = " ".join(part for part in (when, f"#{one.version}", where, one.event) if part)
    if one.after:
        line += f" → {one.after}"
    if one.cause is not None:
        request = f" request id {one.cause.request_id}" if one.cause.request_id else ""
        line += f" ({one.cause.code} {one.cause.message}".rstrip() + f"{request}) "
        line += session.advice(one.cause.advice)
    return line.rstrip()


def _facts(session: Session, place: _Place, number: int | None) -> Iterator[str]:
    """Say what the file is now, as far as that explains why it is not sent."""
    chosen = policy.path_filter(place.folder.include, place.folder.exclude, recursive=place.folder.recursive)
    pattern = chosen.excluding(place.path)
    if pattern is not None:
        yield session.say(Cli.WHY_EXCLUDED, pattern=pattern)
    elif not chosen.accepts(place.path):
        yield session.say(Cli.WHY_NOT_INCLUDED)
    yield from _present(session, place)
    live = json.loads(session.ask(f"settling {number} {place.path.hex()}") or "{}")
    if live:
        yield session.say(Cli.WHY_SETTLING, seconds=round(live["age"]))
        if live["reason"] is not None:
            code, message, advice = live["reason"]
            yield session.say(
                Cli.WHY_WAITS, reason=f"{code} {message}".strip(), advice=session.advice(advice)
            )


def _present(session: Session, place: _Place) -> Iterator[str]:
    """Say what lies at the path."""
    try:
        root = files.open_root(place.folder.root)
        size = files.observe(root, place.path).size
    except Failure as failure:
        cause = failure.verdict.cause
        yield session.say(Cli.WHY_NOT_THERE, reason=cause.code, advice=session.advice(cause.advice))
        return
    if size == 0:
        yield session.say(Cli.WHY_EMPTY, minutes=round(EMPTY_WAIT / 60))
