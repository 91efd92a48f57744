"""`dingwatch resume`: a person's word that what is paused is to be tried again, also the month's quota."""

from __future__ import annotations

import click

from dingwatch.cli.context import Session
from dingwatch.ledger import pauses
from dingwatch.model import Pause
from dingwatch.texts import Cli


def resume(session: Session) -> int:
    """Have everything that is paused tried again at once, and tell what that is."""
    found: list[Pause] = []
    if session.ledger_exists:
        with session.store() as store, store.writing() as connection:
            found = pauses.resume(connection)
    said = Cli.RESUMED if session.poke() else Cli.RESUMED_LATER
    for pause in found:
        cause = session.reason(pause.cause)
        click.echo(session.say(said, scope=pause.scope, key=pause.key, cause=cause))
    if not found:
        click.echo(session.say(Cli.NOT_PAUSED))
    return 0
