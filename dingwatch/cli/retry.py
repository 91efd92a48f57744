"""`dingwatch retry`: puts what failed, was skipped or gone, or is baseline, to work."""

from __future__ import annotations

import time
from contextlib import closing

import click

from dingwatch import files, policy
from dingwatch.cli.context import Session
from dingwatch.dingtalk import REFUSED_EXTENSIONS
from dingwatch.ledger import Store, commands, outbox
from dingwatch.ledger.commands import NotRetried
from dingwatch.model import Failure, Version
from dingwatch.policy import Dress
from dingwatch.texts import Cli


def retry_ids(session: Session, ids: tuple[int, ...]) -> int:
    """Try these again: deliveries, or baseline versions; all of them or none."""
    unique = list(dict.fromkeys(ids))
    with session.store() as store:
        with store.reading() as connection:
            old = commands.baseline(connection, unique, None)
        rest = [i for i in unique if i not in {version.id for version in old}]
        prepared = _prepared(session, store, old)
        try:
            commands.retry(store, rest, time.time())
        except NotRetried as error:
            session.fail(Cli.RETRY_NOT, ids=error)
        _send(session, store, prepared)
    session.poke()
    click.echo(session.say(Cli.RETRIED, count=len(unique)))
    return 0


def retry_all(session: Session) -> int:
    """Try everything that failed again."""
    with session.store() as store:
        count = commands.retry_all(store, time.time())
    session.poke()
    click.echo(session.say(Cli.RETRIED, count=count))
    return 0


def retry_baseline(session: Session, folder: str) -> int:
    """Send what was in a folder before it was first watched."""
    with session.store() as store:
        ids = {name: number for number, name in session.scope(store).names.items()}
        if folder not in ids:
            session.fail(Cli.NO_FOLDER, name=folder, names=", ".join(ids))
        with store.reading() as connection:
            old = commands.baseline(connection, None, ids[folder])
        prepared = _prepared(session, store, old)
        _send(session, store, prepared)
    session.poke()
    click.echo(session.say(Cli.RETRIED, count=len(prepared)))
    return 0


def _prepared(session: Session, store: Store, old: list[Version]) -> list[tuple[Version, str, Dress]]:
    """Read the digests of baseline versions, which nobody has read so far."""
    with store.reading() as connection:
        app = session.config.dingtalk.client_id
        refused = outbox.extensions_refused(connection, app) | REFUSED_EXTENSIONS
    roots = _roots(session, store)
    prepared = []
    for version in old:
        try:
            digest, seen = _digest(roots.get(version.folder or 0), version)
        except Failure as failure:
            session.fail(
                Cli.FILE_BAD,
                path=policy.readable(version.path),
                reason=failure.verdict.cause.code,
                advice=session.advice(failure.verdict.cause.advice),
            )
        dress = policy.dress(version.name, digest, app, refused)
        prepared.append((seen, digest, dress))
    return prepared


def _digest(root_path: bytes | None, version: Version) -> tuple[str, Version]:
    with closing(files.open_root(root_path or b"")) as root:
        fingerprint = files.observe(root, version.path)
        if not fingerprint.known_as(version.fingerprint.size, version.fingerprint.mtime_ns):
            raise files.changed()
        return files.digest(root, version.path, fingerprint), version


def _roots(session: Session, store: Store) -> dict[int, bytes]:
    ids = {name: number for number, name in session.scope(store).names.items()}
    return {ids[folder.name]: folder.root for folder in session.config.folders}


def _send(session: Session, store: Store, prepared: list[tuple[Version, str, Dress]]) -> None:
    if not prepared:
        return
    names = session.scope(store).names
    by_name = {folder.name: folder.conversation_ids for folder in session.config.folders}

    def conversations(folder: int | None) -> tuple[str, ...]:
        return by_name[names[folder or 0]]

    commands.send_baseline(store, prepared, conversations, time.time())
