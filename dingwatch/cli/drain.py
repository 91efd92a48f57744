"""`dingwatch drain`, `dingwatch undrain`: a node of a shared ledger begins nothing new, or works again."""

from __future__ import annotations

import time
from typing import Final

import click

from dingwatch.cli.context import Session, command, option
from dingwatch.cli.options import DURATION
from dingwatch.model import Cause
from dingwatch.texts import Cli

LOOK_SECONDS: Final = 0.2


@command()
@click.argument("node", required=False, metavar="[NODE]")
@option(Cli.OPT_DRAIN_TIMEOUT, "--timeout", metavar="DURATION", type=DURATION)
def drain(session: Session, *, node: str | None, timeout: float | None) -> int:
    """Have a node claim nothing more; return when nothing of it is in flight."""
    name = _require_node(session, node)
    until = None if timeout is None else time.monotonic() + timeout
    in_flight = _tell(session, name, draining=True)
    while in_flight:
        if until is not None and time.monotonic() >= until:
            session.fail(Cli.DRAIN_SLOW, count=in_flight, seconds=round(timeout or 0))
        time.sleep(LOOK_SECONDS)
        in_flight = _tell(session, name, draining=None)
    click.echo(session.render(Cli.DRAIN_NOT_RUNNING if in_flight is None else Cli.DRAINED, node=name))
    return 0


@command()
@click.argument("node", required=False, metavar="[NODE]")
def undrain(session: Session, *, node: str | None) -> int:
    """Have a node work again."""
    name = _require_node(session, node)
    in_flight = _tell(session, name, draining=False)
    click.echo(session.render(Cli.UNDRAINED_LATER if in_flight is None else Cli.UNDRAINED, node=name))
    return 0


def _require_node(session: Session, node: str | None) -> str:
    """Return the name of the node that is meant."""
    if session.ledger_in_file:
        session.fail(Cli.DRAIN_ALONE)
    return node or session.node


def _tell(session: Session, node: str, *, draining: bool | None) -> int | None:
    """Have a node drain or not (None: neither); return how much it has in flight, None if it does not run.

    The service of this host knows best what it has in flight. Of other nodes the ledger has to do, and of
    this one while it is stopped.
    """
    if node == session.node:
        answer = session.ask("drain", draining=draining)
        if answer is not None and answer.get("error"):
            session.fail(Cli.LEDGER_FAILED, Cause(**answer["error"]), path=session.ledger_place)
        if answer and "in_flight" in answer:
            return int(answer["in_flight"])
    return _tell_ledger(session, node, draining=draining)


def _tell_ledger(session: Session, node: str, *, draining: bool | None) -> int | None:
    """Write in the ledger that a node is to drain or not; return what `_tell` does."""
    from dingwatch.cli.ledger_access import ledger_exists, open_store, write  # noqa: PLC0415 (slow to import)
    from dingwatch.ledger.nodes import read_members, set_draining  # noqa: PLC0415 (as well)
    from dingwatch.ledger.routing import count_claimed  # noqa: PLC0415 (as well)

    if not ledger_exists(session):
        return None
    with open_store(session, writes=draining is not None) as store:
        if draining is not None:
            write(session, lambda: set_draining(store, node, draining=draining))
        with store.reading() as connection:
            members = read_members(connection)
            found = members.find(node)
            if found is None and node != session.node:  # this one may never have run yet
                known = ", ".join(sorted(one.name for one in members.nodes))
                session.fail(Cli.NO_NODE, node=node, nodes=known)
            running = found is not None and found.is_live(members.now)
            return count_claimed(connection, node) if running else None
