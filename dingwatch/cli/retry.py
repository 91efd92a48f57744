"""`dingwatch retry`: puts failed, skipped, withdrawn or baseline files back to work."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial

import click

from dingwatch import files, names
from dingwatch.cli.context import Session, command, option
from dingwatch.cli.ledger_access import find_scope, ledger_exists, open_store, write
from dingwatch.config.values import Folder
from dingwatch.dingtalk import REFUSED_EXTENSIONS
from dingwatch.ledger import Store, commands, pauses, report
from dingwatch.ledger.commands import BaselineToSend, NotApplicableError, UnmappedError
from dingwatch.ledger.report import UNMAPPED, Scope
from dingwatch.model import Cause, Failure, Version
from dingwatch.payload import carries_content, choose_payload
from dingwatch.service.folders import payload_policy
from dingwatch.texts import Cli, Text
from dingwatch.watch import is_steady


@command()
@click.argument("ids", type=int, nargs=-1, metavar="[ID]...")
@option(Cli.OPT_ALL, "--all", "everything", is_flag=True)
@option(Cli.OPT_FOLDER, "--folder", metavar="NAME")
@option(Cli.OPT_BASELINE, "--baseline", is_flag=True)
def retry(
    session: Session, *, ids: tuple[int, ...], everything: bool, folder: str | None, baseline: bool
) -> int:
    """Put deliveries back to work: those with these ids, all that failed, or a folder's baseline."""
    chosen = [bool(ids), everything, folder is not None or baseline]
    if chosen.count(True) != 1 or (folder is None) == baseline:
        raise click.UsageError(session.render(Cli.RETRY_WHAT))
    if everything:
        return _retry_all(session)
    return _retry_baseline(session, folder) if folder is not None else _retry_ids(session, ids)


def _retry_ids(session: Session, ids: tuple[int, ...]) -> int:
    """Retry deliveries, or send baseline versions: all of them or none."""
    # `retry 7 7` counts as one.
    unique = list(dict.fromkeys(ids))
    if not ledger_exists(session):
        session.fail(Cli.RETRY_NOT, ids=", ".join(map(str, unique)))
    with open_store(session, writes=True) as store:
        with store.reading() as connection:
            old = commands.list_baseline(connection, unique, None)
        baseline = _read_baseline(session, store, old)
        # A list of which only some were retried would leave the person to find out which.
        if baseline.left_out:
            _report_left_out(session, baseline, Cli.FILE_BAD)
            return 1
        rest = [i for i in unique if i not in {version.id for version in old}]
        _write(session, store, rest, baseline.chosen)
    return _finish(session, len(unique))


def _retry_all(session: Session) -> int:
    if not ledger_exists(session):
        return _finish(session, 0)
    with open_store(session, writes=True) as store:
        scope = find_scope(session, store)
        count = write(session, lambda: commands.retry_all(store, time.time(), scope))
        with store.reading() as connection:
            missing = report.missing_mappings(connection, scope)
    _finish(session, count)
    _report_missing(session, scope, missing)
    return 1 if missing else 0


def _retry_baseline(session: Session, name: str) -> int:
    """Send the files that were in a folder before it was first watched, if they are still there unchanged."""
    session.require_folder(name)
    count = 0
    if ledger_exists(session):
        with open_store(session, writes=True) as store:
            with store.reading() as connection:
                number = find_scope(session, store).ids.get(name)
                old = commands.list_baseline(connection, None, number) if number is not None else []
            baseline = _read_baseline(session, store, old)
            _report_left_out(session, baseline, Cli.LEFT_OUT)
            _write(session, store, [], baseline.chosen)
            count = len(baseline.chosen)
    return _finish(session, count)


def _finish(session: Session, count: int) -> int:
    session.poke()
    click.echo(session.render(Cli.RETRIED, count=count))
    return 0


def _write(session: Session, store: Store, ids: Sequence[int], chosen: Sequence[BaselineToSend]) -> None:
    scope = find_scope(session, store)
    try:
        write(session, lambda: commands.retry(store, ids, chosen, time.time(), scope))
    except NotApplicableError as error:
        session.fail(Cli.RETRY_NOT, ids=error)
    except UnmappedError as error:
        _report_missing(session, scope, error.missing)
        sys.exit(1)


def _report_missing(session: Session, scope: Scope, missing: Sequence[tuple[int, str]]) -> None:
    """Say which mappings the configuration lacks; without them a service would leave the files alone."""
    for folder, recipient in missing:
        name = scope.names.get(folder, str(folder))
        click.echo(session.render(Cli.RETRY_UNMAPPED, name=name, conversation=recipient), err=True)


# --- The files of baseline versions -----------------------------------------------------------------


@dataclass(slots=True)
class _Baseline:
    """Baseline versions that can be sent now, and those that cannot, each with the cause."""

    chosen: list[BaselineToSend] = field(default_factory=list)
    left_out: list[tuple[Version, Cause]] = field(default_factory=list)


def _report_left_out(session: Session, baseline: _Baseline, text: Text) -> None:
    for version, cause in baseline.left_out:
        path = names.readable(version.path)
        click.echo(session.render(text, cause, path=path, reason=cause.code), err=True)


def _read_baseline(session: Session, store: Store, old: Sequence[Version]) -> _Baseline:
    """Read the digests of baseline versions; the first look took none, it would have read the whole share."""
    baseline = _Baseline()
    for folder, versions in _by_folder(session, store, old):
        if folder is None:
            baseline.left_out += [(version, UNMAPPED) for version in versions]
        else:
            _read_folder(session, store, folder, versions, baseline)
    return baseline


def _by_folder(
    session: Session, store: Store, old: Sequence[Version]
) -> Iterator[tuple[Folder | None, list[Version]]]:
    ids = find_scope(session, store).ids
    folders = {ids[folder.name]: folder for folder in session.config.folders if folder.name in ids}
    for number in sorted({version.folder or 0 for version in old}):
        yield folders.get(number), [version for version in old if version.folder == number]


def _read_folder(
    session: Session, store: Store, folder: Folder, versions: Sequence[Version], baseline: _Baseline
) -> None:
    policy = payload_policy(session.config, folder, versions[0].folder)
    # To whomever the running service sends: others would wait for a service that reads the edited config.
    in_force = {one.name: one.recipients for one in session.in_force.folders}
    recipients = in_force.get(folder.name, folder.recipients)
    with store.reading() as connection:
        refused = pauses.list_refused_extensions(connection, policy.app) | REFUSED_EXTENSIONS
    try:
        root = files.open_root(folder.root, steady=partial(is_steady, folder.root))
    except Failure as failure:
        baseline.left_out += [(version, failure.verdict.cause) for version in versions]
        return
    with closing(root):
        for version in versions:
            size = version.fingerprint.size
            unread = choose_payload(version.name, size, "", policy, refused)
            try:
                digest = _digest(root, version, reads=carries_content(unread, size, policy.media_limit))
            except Failure as failure:
                baseline.left_out.append((version, failure.verdict.cause))
                continue
            payload = choose_payload(version.name, size, digest or "", policy, refused)
            baseline.chosen.append(BaselineToSend(version, digest, payload, recipients))


def _digest(root: files.Root, version: Version, *, reads: bool) -> str | None:
    fingerprint = files.observe(root, version.path)
    # `retry --folder NAME --baseline` sends what people saw in the list, not what was written since: that
    # is a new version, which the service sends by itself.
    if not fingerprint.known_as(version.fingerprint.size, version.fingerprint.mtime_ns):
        raise files.changed()
    return files.digest(root, version.path, fingerprint) if reads else None
