"""`dingwatch retry`: puts what failed, was skipped or gone, or is baseline, to work."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing

import click

from dingwatch import files, names
from dingwatch.cli.context import Session
from dingwatch.config import Folder
from dingwatch.dingtalk import REFUSED_EXTENSIONS
from dingwatch.ledger import Store, commands, pauses
from dingwatch.ledger.commands import BaselineToSend, NotApplicableError
from dingwatch.ledger.report import UNMAPPED
from dingwatch.model import Cause, Failure, Version
from dingwatch.payload import choose_payload
from dingwatch.service import payload_policy
from dingwatch.texts import Cli, Text


def retry_ids(session: Session, ids: tuple[int, ...]) -> int:
    """Try these again: deliveries, or baseline versions; all of them or none."""
    unique = list(dict.fromkeys(ids))
    if not session.ledger_exists:
        session.fail(Cli.RETRY_NOT, ids=", ".join(map(str, unique)))
    with session.store() as store:
        with store.reading() as connection:
            old = commands.list_baseline(connection, unique, None)
        chosen, left_out = _read(session, store, old)
        if left_out:
            _say_left_out(session, left_out, Cli.FILE_BAD)
            return 1
        rest = [i for i in unique if i not in {version.id for version in old}]
        _write(session, store, rest, chosen)
    return _done(session, len(unique))


def retry_all(session: Session) -> int:
    """Try everything that failed again."""
    count = 0
    if session.ledger_exists:
        with session.store() as store:
            count = commands.retry_all(store, time.time())
    return _done(session, count)


def retry_baseline(session: Session, name: str) -> int:
    """Send what was in a folder before it was first watched, as far as it is still there as it was."""
    names = [folder.name for folder in session.config.folders]
    if name not in names:
        session.fail(Cli.NO_FOLDER, name=name, names=", ".join(names))
    chosen: list[BaselineToSend] = []
    if session.ledger_exists:
        with session.store() as store:
            with store.reading() as connection:
                number = session.scope(store).ids.get(name)
                old = commands.list_baseline(connection, None, number) if number is not None else []
            chosen, left_out = _read(session, store, old)
            _say_left_out(session, left_out, Cli.LEFT_OUT)
            _write(session, store, [], chosen)
    return _done(session, len(chosen))


def _done(session: Session, count: int) -> int:
    session.poke()
    click.echo(session.say(Cli.RETRIED, count=count))
    return 0


def _write(session: Session, store: Store, ids: Sequence[int], chosen: Sequence[BaselineToSend]) -> None:
    try:
        commands.retry(store, ids, chosen, time.time())
    except NotApplicableError as error:
        session.fail(Cli.RETRY_NOT, ids=error)


LeftOut = list[tuple[Version, Cause]]


def _say_left_out(session: Session, left_out: LeftOut, text: Text) -> None:
    for version, cause in left_out:
        path, advice = names.readable(version.path), session.advice(cause.advice)
        click.echo(session.say(text, path=path, reason=cause.code, advice=advice), err=True)


def _read(session: Session, store: Store, old: Sequence[Version]) -> tuple[list[BaselineToSend], LeftOut]:
    """Read the digests of baseline versions, which nobody has read so far; tell what cannot be sent."""
    chosen: list[BaselineToSend] = []
    left_out: LeftOut = []
    for folder, versions in _by_folder(session, store, old):
        if folder is None:
            left_out += [(version, UNMAPPED) for version in versions]
        else:
            _read_folder(session, store, folder, versions, (chosen, left_out))
    return chosen, left_out


def _by_folder(
    session: Session, store: Store, old: Sequence[Version]
) -> Iterator[tuple[Folder | None, list[Version]]]:
    ids = session.scope(store).ids
    folders = {ids[folder.name]: folder for folder in session.config.folders if folder.name in ids}
    for number in sorted({version.folder or 0 for version in old}):
        yield folders.get(number), [version for version in old if version.folder == number]


def _read_folder(
    session: Session,
    store: Store,
    folder: Folder,
    versions: Sequence[Version],
    found: tuple[list[BaselineToSend], LeftOut],
) -> None:
    code = payload_policy(session.config, folder, versions[0].folder)
    with store.reading() as connection:
        refused = pauses.list_refused_extensions(connection, code.app) | REFUSED_EXTENSIONS
    try:
        root = files.open_root(folder.root)
    except Failure as failure:
        found[1].extend((version, failure.verdict.cause) for version in versions)
        return
    with closing(root):
        for version in versions:
            try:
                digest = _digest(root, version)
            except Failure as failure:
                found[1].append((version, failure.verdict.cause))
                continue
            payload = choose_payload(version.name, version.fingerprint.size, digest, code, refused)
            found[0].append(BaselineToSend(version, digest, payload, folder.recipients))


def _digest(root: files.Root, version: Version) -> str:
    fingerprint = files.observe(root, version.path)
    if not fingerprint.known_as(version.fingerprint.size, version.fingerprint.mtime_ns):
        raise files.changed()
    return files.digest(root, version.path, fingerprint)
