"""Decisions of a person: `release` or `discard` a flood hold, `resolve` a doubt, `resume` pauses."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import click

from dingwatch.cli.context import Session, command, option
from dingwatch.cli.ledger_access import find_scope, ledger_exists, open_store, write
from dingwatch.ledger import Store, clock, commands, folders, pauses
from dingwatch.ledger.commands import NotApplicableError
from dingwatch.model import Pause
from dingwatch.texts import Cli


@command()
@click.argument("folder")
def release(session: Session, *, folder: str) -> int:
    """Send the deliveries that `hold_over` holds in a folder."""
    return _decide_hold(session, folder, folders.release_flood, Cli.RELEASED)


@command()
@click.argument("folder")
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
            count = sum(write(session, partial(do, store, number, time.time())) for number in targets)
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
            write(session, lambda: commands.resolve(store, delivery, sent=sent, now=time.time()))
        except NotApplicableError:
            session.fail(Cli.RESOLVE_NOT, id=delivery)
    session.poke()
    click.echo(session.render(Cli.RESOLVED_SENT if sent else Cli.RESOLVED_RESEND, id=delivery))
    return 0


@command()
@click.argument("folder", required=False, metavar="[FOLDER]")
def resume(session: Session, *, folder: str | None) -> int:
    """Probe everything that is paused at once, and print what that is."""
    if folder is not None:  # only pauses by hand are a single folder's
        session.fail(Cli.NOT_YET, command=f"resume {folder}")
    paused: list[Pause] = []
    waiting = 0
    if ledger_exists(session):
        with open_store(session, writes=True) as store:
            paused, waiting = write(session, partial(_end_waits, store))
    text = Cli.RESUMED if session.poke() else Cli.RESUMED_LATER
    for pause in paused:
        cause = session.reason(pause.cause)
        click.echo(session.render(text, scope=pause.scope, key=pause.key, cause=cause))
    if waiting:
        click.echo(session.render(Cli.RESUMED_WAITING, count=waiting))
    elif not paused:
        click.echo(session.render(Cli.NOT_PAUSED))
    return 0


def _end_waits(store: Store) -> tuple[list[Pause], int]:
    """End all pauses and waits of single deliveries; return the pauses, and how many deliveries waited."""
    with store.writing() as connection:
        return pauses.resume_pauses(connection), clock.free_waiting(connection, time.time())
