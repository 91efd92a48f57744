"""What only a person can decide: `resolve` a doubt, `release` or `discard` a flood hold, `resume` pauses."""

from __future__ import annotations

import time
from collections.abc import Callable

import click

from dingwatch.cli.context import Session
from dingwatch.ledger import Store, commands, folders, pauses
from dingwatch.ledger.commands import NotApplicableError
from dingwatch.model import Pause
from dingwatch.texts import Cli


def release(session: Session, name: str) -> int:
    """Let go what is held in a folder."""
    return _on_folder(session, name, folders.release_flood, Cli.RELEASED)


def discard(session: Session, name: str) -> int:
    """Give up what is held in a folder."""
    return _on_folder(session, name, folders.discard_flood, Cli.DISCARDED)


def _on_folder(session: Session, name: str, do: Callable[[Store, int, float], int], said: Cli) -> int:
    names = [folder.name for folder in session.config.folders]
    if name not in names:
        session.fail(Cli.NO_FOLDER, name=name, names=", ".join(names))
    count = 0
    if session.ledger_exists:
        with session.store() as store:
            number = session.scope(store).ids.get(name)
            count = do(store, number, time.time()) if number is not None else 0
    session.poke()
    click.echo(session.say(said, count=count, name=name))
    return 0


def resolve(session: Session, delivery: int, *, sent: bool) -> int:
    """Settle one uncertain delivery."""
    if not session.ledger_exists:
        session.fail(Cli.RESOLVE_NOT, id=delivery)
    with session.store() as store:
        try:
            commands.resolve(store, delivery, sent=sent, now=time.time())
        except NotApplicableError:
            session.fail(Cli.RESOLVE_NOT, id=delivery)
    session.poke()
    click.echo(session.say(Cli.RESOLVED_SENT if sent else Cli.RESOLVED_RESEND, id=delivery))
    return 0


def resume(session: Session) -> int:
    """Have everything that is paused tried again at once, and tell what that is."""
    found: list[Pause] = []
    if session.ledger_exists:
        with session.store() as store, store.writing() as connection:
            found = pauses.resume_pauses(connection)
    said = Cli.RESUMED if session.poke() else Cli.RESUMED_LATER
    for pause in found:
        cause = session.reason(pause.cause)
        click.echo(session.say(said, scope=pause.scope, key=pause.key, cause=cause))
    if not found:
        click.echo(session.say(Cli.NOT_PAUSED))
    return 0
