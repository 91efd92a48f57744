"""`dingwatch drain`, `dingwatch undrain`: a node of a shared ledger begins nothing new, or works again."""

from __future__ import annotations

import time
from enum import Enum
from typing import Final

import click

from dingwatch.cli.context import Session, command, option
from dingwatch.cli.options import DURATION, NODE
from dingwatch.model import Cause
from dingwatch.names import shell_word
from dingwatch.texts import Cli

LOOK_SECONDS: Final = 0.2


class _Absent(Enum):
    """Why a node has nothing in flight."""

    STOPPED = "stopped"
    NEW = "new"
    """This host has never worked on the ledger: there is no row yet in which to write that it is drained."""


_DRAINED: Final = {_Absent.STOPPED: Cli.DRAIN_NOT_RUNNING, _Absent.NEW: Cli.DRAIN_NEW}


@command()
@click.argument("node", required=False, metavar="[NODE]", type=NODE)
@option(Cli.OPT_DRAIN_TIMEOUT, "--timeout", metavar="DURATION", type=DURATION)
def drain(session: Session, *, node: str | None, timeout: float | None) -> int:
    """Have a node claim nothing more; return when nothing of it is in flight."""
    name = _require_node(session, node)
    until = None if timeout is None else time.monotonic() + timeout
    found = _tell(session, name, draining=True)
    while isinstance(found, int) and found:
        if until is not None and time.monotonic() >= until:
            session.fail(Cli.DRAIN_SLOW, count=found, seconds=round(timeout or 0))
        time.sleep(LOOK_SECONDS)
        found = _tell(session, name, draining=None)
    text = _DRAINED[found] if isinstance(found, _Absent) else Cli.DRAINED
    click.echo(session.render(text, node=name, word=shell_word(name)))
    return 0


@command()
@click.argument("node", required=False, metavar="[NODE]", type=NODE)
def undrain(session: Session, *, node: str | None) -> int:
    """Have a node work again."""
    name = _require_node(session, node)
    found = _tell(session, name, draining=False)
    click.echo(
        session.render(Cli.UNDRAINED_LATER if isinstance(found, _Absent) else Cli.UNDRAINED, node=name)
    )
    return 0


def _require_node(session: Session, node: str | None) -> str:
    """Return the name of the node that is meant."""
    if session.ledger_in_file:
        session.fail(Cli.DRAIN_ALONE)
    return session.node if node is None else node


def _tell(session: Session, node: str, *, draining: bool | None) -> int | _Absent:
    """Have a node drain or not (None: neither); return how much it has in flight, if it runs.

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


def _tell_ledger(session: Session, node: str, *, draining: bool | None) -> int | _Absent:
    """Write in the ledger that a node is to drain or not; return what `_tell` does."""
    from dingwatch.cli.ledger_access import ledger_exists, open_store, write  # noqa: PLC0415 (slow to import)
    from dingwatch.ledger.nodes import read_members, set_draining  # noqa: PLC0415 (as well)
    from dingwatch.ledger.routing import count_claimed  # noqa: PLC0415 (as well)

    if not ledger_exists(session):
        return _Absent.NEW
    with open_store(session, writes=draining is not None) as store:
        if draining is not None:
            write(session, lambda: set_draining(store, node, draining=draining))
        with store.reading() as connection:
            members = read_members(connection)
            found = members.find(node)
            if found is None and node != session.node:
                known = ", ".join(sorted(one.name for one in members.nodes))
                session.fail(Cli.NO_NODE, node=node, nodes=known)
            if found is None:
                return _Absent.NEW
            return count_claimed(connection, node) if found.is_live(members.now) else _Absent.STOPPED
