"""The part of `check` about a ledger in PostgreSQL: the server, the way to it, and the rights of its role."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Final

from dingwatch import quota
from dingwatch.cli.context import Session
from dingwatch.config.database import is_local, is_verified
from dingwatch.dingtalk import BILLED
from dingwatch.host.lock import LOCK_FILE, lock_holder
from dingwatch.ledger import LedgerError, Store, calls
from dingwatch.ledger.folders import Share, find_other_settings, list_former_names
from dingwatch.ledger.server import ServerFacts, read_server
from dingwatch.service.folders import share_settings
from dingwatch.texts import Checks

MOST_DIFFERENCE: Final = 10.0
"""Seconds between the clocks of this machine and the server, from which it is told."""
OK, WARN, FAIL = "ok", "warn", "FAIL"
Line = tuple[str, str]
"""The mark of a finding, and its sentence."""


def check_database(session: Session) -> Iterator[Line]:
    """Yield what there is to say, each with its mark."""
    url = session.ledger_address
    place = session.ledger_place
    try:
        facts = read_server(url)
    except LedgerError as error:
        yield FAIL, session.render(Checks.DATABASE_BAD, error.cause, place=place)
        return
    yield OK, session.render(Checks.DATABASE, place=place, version=facts.version, role=facts.role)
    yield from _check_encryption(session, url, facts)
    yield from _check_rights(session, facts)
    yield from _check_standbys(session, facts)
    yield from _check_clock(session, facts)
    yield from _check_nodes(session, facts)
    if facts.schema is not None and not facts.missing and not facts.needs_migration:
        try:
            yield from _check_ledger(session)
        except LedgerError as error:
            yield FAIL, session.render(Checks.DATABASE_BAD, error.cause, place=place)


def _check_encryption(session: Session, url: str, facts: ServerFacts) -> Iterator[Line]:
    if facts.tls is None:
        if not is_local(url):
            yield WARN, session.render(Checks.DATABASE_CLEAR)
    elif is_verified(url) or is_local(url):
        yield OK, session.render(Checks.DATABASE_TLS, tls=facts.tls)
    else:
        yield WARN, session.render(Checks.DATABASE_UNVERIFIED, tls=facts.tls)


def _check_rights(session: Session, facts: ServerFacts) -> Iterator[Line]:
    if facts.is_superuser:
        yield WARN, session.render(Checks.DATABASE_SUPERUSER, role=facts.role)
    if facts.missing:
        yield FAIL, session.render(Checks.DATABASE_RIGHTS, role=facts.role, rights=", ".join(facts.missing))
    elif facts.schema is None and not facts.may_create:
        yield FAIL, session.render(Checks.DATABASE_NO_CREATE, role=facts.role)
    elif facts.needs_migration and not (facts.owns and facts.may_create):
        yield FAIL, session.render(Checks.DATABASE_MIGRATION, role=facts.role)


def _check_standbys(session: Session, facts: ServerFacts) -> Iterator[Line]:
    if facts.synchronous_commit in {"off", "local"} and (facts.standbys or facts.synchronous_commit == "off"):
        yield WARN, session.render(Checks.DATABASE_COMMIT, value=facts.synchronous_commit)
    if facts.is_asynchronous:
        yield WARN, session.render(Checks.DATABASE_ASYNCHRONOUS, count=facts.standbys)
    elif facts.standbys:
        yield OK, session.render(Checks.DATABASE_STANDBYS, count=facts.standbys)


def _check_clock(session: Session, facts: ServerFacts) -> Iterator[Line]:
    ahead = time.time() - facts.clock
    if abs(ahead) > MOST_DIFFERENCE:
        direction = session.render(Checks.AHEAD if ahead > 0 else Checks.BEHIND)
        text = session.render(Checks.DATABASE_CLOCK, seconds=round(abs(ahead)), direction=direction)
        yield WARN, text


def _check_nodes(session: Session, facts: ServerFacts) -> Iterator[Line]:
    own = session.node
    runs = lock_holder(session.config.state_dir / LOCK_FILE) is not None
    if not runs and any(one.live for one in facts.nodes if one.name == own):
        yield FAIL, session.render(Checks.NODE_TAKEN, node=own)
    else:
        yield OK, session.render(Checks.NODE, node=own)
    others = [
        session.render(Checks.NODE_LOST if not one.live else Checks.NODE_LIVE, node=one.name)
        for one in facts.nodes
        if one.name != own
    ]
    if others:
        yield OK, session.render(Checks.NODES, nodes=", ".join(others))
    yield from _check_app(session, facts)


def _check_app(session: Session, facts: ServerFacts) -> Iterator[Line]:
    """Yield which other nodes work for another app: a service does not start beside them."""
    app = session.config.dingtalk.client_id
    other = [one for one in facts.nodes if one.name != session.node and one.app not in {"", app}]
    live = [one for one in other if one.live]
    # One that was drained and has stopped is most likely gone for good.
    stopped = [one for one in other if not one.live and not one.draining]
    for mark, text, nodes in ((FAIL, Checks.OTHER_APP, live), (WARN, Checks.OTHER_APP_BEFORE, stopped)):
        if nodes:
            yield (
                mark,
                session.render(text, app=app, nodes=", ".join(f"{one.name}: {one.app}" for one in nodes)),
            )


def _check_ledger(session: Session) -> Iterator[Line]:
    """Yield what the ledger itself has to say.

    Raises:
        LedgerError: it cannot be used: it is of a newer version, or was copied elsewhere.
    """
    config, month = session.config, quota.month(time.time())
    shared = [(one, one.shared) for one in config.folders if one.shared is not None]
    with closing(Store.open(session.ledger_address, session.node)) as store, store.reading() as connection:
        used = calls.total(connection, month, BILLED)
        found = [
            (one.name, find_other_settings(connection, Share(share, share_settings(config, one))))
            for one, share in shared
        ]
        former = list_former_names(connection, [one.root for one in config.folders])
    yield OK, session.render(Checks.LEDGER, month=month, used=used)
    if former:
        yield WARN, session.render(Checks.NODE_FORMER, node=session.node, names=", ".join(former))
    for name, other in found:
        if other is not None:
            keys = ", ".join(other.keys)
            yield FAIL, session.render(Checks.SHARE_DIFFERS, name=name, node=other.node, keys=keys)
