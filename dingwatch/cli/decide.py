"""Decisions of a person: `release` or `discard` a flood hold, `resolve` a doubt, `pause` and `resume`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import click

from dingwatch.cli.context import Session, command, option
from dingwatch.cli.ledger_access import find_scope, ledger_exists, open_store, read_clock, write
from dingwatch.cli.options import DURATION, complete_folders
from dingwatch.host.owner import calling_user
from dingwatch.ledger import Store, clock, commands, folders, pauses
from dingwatch.ledger.commands import NotApplicableError
from dingwatch.ledger.folder_pauses import pause_folder, resume_folder
from dingwatch.model import FolderPause, Pause
from dingwatch.service import recorded
from dingwatch.texts import Cli


@command()
@click.argument("folder", metavar="FOLDER", shell_complete=complete_folders)
def release(session: Session, *, folder: str) -> int:
    """Send the deliveries that `hold_over` holds in a folder."""
    return _decide_hold(session, folder, folders.release_flood, Cli.RELEASED)


@command()
@click.argument("folder", metavar="FOLDER", shell_complete=complete_folders)
def discard(session: Session, *, folder: str) -> int:
    """Give up the deliveries that `hold_over` holds in a folder."""
    return _decide_hold(session, folder, folders.discard_flood, Cli.DISCARDED)


def _decide_hold(session: Session, name: str, do: Callable[[Store, int, float], int], text: Cli) -> int:
    session.require_folder(name)
    count = 0
    if ledger_exists(session):
        with open_store(session, writes=True) as store:
            scope = find_scope(session, store)
            targets = scope.targets(scope.ids[name]) if name in scope.ids else []
            count = sum(write(session, partial(do, store, number, read_clock(store))) for number in targets)
    session.poke()
    click.echo(session.render(text, count=count, name=name))
    return 0


@command()
@click.argument("delivery", type=int, metavar="ID")
@option(Cli.OPT_SENT, "--sent", is_flag=True)
@option(Cli.OPT_RESEND, "--resend", is_flag=True)
def resolve(session: Session, *, delivery: int, sent: bool, resend: bool) -> int:
    """Settle one uncertain delivery."""
    if sent == resend:
        raise click.UsageError(session.render(Cli.RESOLVE_WHAT))
    if not ledger_exists(session):
        session.fail(Cli.RESOLVE_NOT, id=delivery)
    with open_store(session, writes=True) as store:
        try:
            others = write(
                session, lambda: commands.resolve(store, delivery, sent=sent, now=read_clock(store))
            )
        except NotApplicableError:
            session.fail(Cli.RESOLVE_NOT, id=delivery)
    session.poke()
    click.echo(session.render(Cli.RESOLVED_SENT if sent else Cli.RESOLVED_RESEND, id=delivery))
    if others:
        click.echo(session.render(Cli.WHOLE_MESSAGE, count=others))
    return 0


@command()
@click.argument("folder", metavar="FOLDER", shell_complete=complete_folders)
@option(Cli.OPT_FOR, "--for", "duration", type=DURATION, metavar="DURATION")
@option(Cli.OPT_REASON, "--reason", default="", metavar="TEXT")
def pause(session: Session, *, folder: str, duration: float | None, reason: str) -> int:
    """Pause a folder by hand: nothing of it is uploaded or sent until it is resumed."""
    by = calling_user()  # as root, the command soon becomes the owner of the ledger
    if duration is not None and duration <= 0.0:
        raise click.UsageError(session.render(Cli.PAUSE_TOO_SHORT))
    session.require_folder(folder)
    root = next(one.root for one in session.folders if one.name == folder)
    with open_store(session, writes=True) as store:
        now = read_clock(store)
        made = FolderPause(0, now, None if duration is None else now + duration, by, reason)
        targets = _targets(session, store, folder)
        write(session, partial(pause_folder, store, root, folder, targets, made))
    session.poke()
    click.echo(session.describe_folder_pause(folder, made))
    return 0


@command()
@click.argument("folder", required=False, metavar="[FOLDER]", shell_complete=complete_folders)
def resume(session: Session, *, folder: str | None) -> int:
    """Resume a folder that a person has paused; without one, probe everything else that is paused at once."""
    return _resume_all(session) if folder is None else _resume_folder(session, folder)


def _resume_folder(session: Session, name: str) -> int:
    session.require_folder(name)
    was_paused = False
    if ledger_exists(session):
        with open_store(session, writes=True) as store:
            was_paused = write(session, partial(_resume, store, _targets(session, store, name)))
    text = Cli.FOLDER_RESUMED if session.poke() else Cli.FOLDER_RESUMED_LATER
    click.echo(session.render(text if was_paused else Cli.FOLDER_NOT_PAUSED, name=name))
    return 0


def _targets(session: Session, store: Store, name: str) -> list[int]:
    """Return the ids of a folder and of the former targets of its path; none before it was first watched."""
    scope = find_scope(session, store, replace(session.in_force, folders=tuple(session.folders)))
    return scope.targets(scope.ids[name]) if name in scope.ids else []


def _resume(store: Store, targets: Sequence[int]) -> bool:
    with store.writing() as connection:
        return resume_folder(connection, targets)


def _resume_all(session: Session) -> int:
    """Probe everything that is paused by itself at once, and print what that is."""
    paused: list[Pause] = []
    waiting = 0
    by_hand: list[str] = []
    if ledger_exists(session):
        with open_store(session, writes=True) as store:
            paused, waiting = write(session, partial(_end_waits, store))
            by_hand = _names_paused(session, store)
    text = Cli.RESUMED if session.poke() else Cli.RESUMED_LATER
    for one in paused:
        cause = session.reason(one.cause)
        click.echo(session.render(text, scope=one.scope, key=one.key, cause=cause))
    if waiting:
        click.echo(session.render(Cli.RESUMED_WAITING, count=waiting))
    elif not paused:
        click.echo(session.render(Cli.NOT_PAUSED))
    if by_hand:
        click.echo(session.render(Cli.STILL_PAUSED, names=", ".join(by_hand)))
    return 0


def _names_paused(session: Session, store: Store) -> list[str]:
    """Return the names of the folders that a person has paused: they stay so."""
    with store.reading() as connection:
        return list(recorded.read_folder_pauses(connection, session.in_force, read_clock(store)))


def _end_waits(store: Store) -> tuple[list[Pause], int]:
    """End all pauses and waits of single deliveries; return the pauses, and how many deliveries waited."""
    with store.writing() as connection:
        return pauses.resume_pauses(connection), clock.free_waiting(connection, read_clock(store))
