"""`dingwatch drain`, `dingwatch undrain`: a node of a shared ledger begins nothing new, or works again."""

from __future__ import annotations

import time
from typing import Any, Final

import click

from dingwatch.cli.context import Session, command, option
from dingwatch.cli.options import DURATION
from dingwatch.model import Cause
from dingwatch.texts import Cli

LOOK_SECONDS: Final = 0.2


@command()
@option(Cli.OPT_DRAIN_TIMEOUT, "--timeout", metavar="DURATION", type=DURATION)
def drain(session: Session, *, timeout: float | None) -> int:
    """Have the node of this host claim nothing more; return when nothing is in flight."""
    _require_node(session)
    until = None if timeout is None else time.monotonic() + timeout
    answer = _ask(session, draining=True)
    if answer is None:
        click.echo(session.render(Cli.DRAIN_NOT_RUNNING))
        return 0
    while answer["in_flight"]:
        if until is not None and time.monotonic() >= until:
            seconds = round(timeout or 0)
            session.fail(Cli.DRAIN_SLOW, count=answer["in_flight"], seconds=seconds)
        time.sleep(LOOK_SECONDS)
        answer = _ask(session, draining=None)
        if answer is None:
            click.echo(session.render(Cli.DRAIN_NOT_RUNNING))
            return 0
    click.echo(session.render(Cli.DRAINED, node=session.node))
    return 0


@command()
def undrain(session: Session) -> int:
    """Have the node of this host work again."""
    _require_node(session)
    if _ask(session, draining=False) is None:
        session.fail(Cli.NOT_RUNNING)
    click.echo(session.render(Cli.UNDRAINED, node=session.node))
    return 0


def _require_node(session: Session) -> None:
    if session.ledger_in_file:
        session.fail(Cli.DRAIN_ALONE)


def _ask(session: Session, *, draining: bool | None) -> dict[str, Any] | None:
    """Tell the running service to drain or not; return how much it has in flight, or None without one."""
    answer = session.ask("drain", draining=draining)
    if answer is not None and answer.get("error"):
        session.fail(Cli.LEDGER_FAILED, Cause(**answer["error"]), path=session.ledger_place)
    return answer if answer and "in_flight" in answer else None
