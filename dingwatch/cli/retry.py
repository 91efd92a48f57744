"""`dingwatch retry`: puts failed, skipped, withdrawn or baseline files back to work."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from dingwatch import names
from dingwatch.cli.context import Session, command, option
from dingwatch.cli.ledger_access import find_scope, ledger_exists, open_store, read_clock, write
from dingwatch.cli.options import complete_folders
from dingwatch.ledger import Store, commands, report
from dingwatch.ledger.commands import BaselineToSend, NotApplicableError, UnmappedError
from dingwatch.ledger.report import Scope
from dingwatch.model import Version
from dingwatch.service.baseline import Baseline, read_baseline
from dingwatch.texts import Cli, Text


@command()
@click.argument("ids", type=int, nargs=-1, metavar="[ID]...")
@option(Cli.OPT_ALL, "--all", "everything", is_flag=True)
@option(Cli.OPT_FOLDER, "--folder", metavar="NAME", shell_complete=complete_folders)
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
        others = _write(session, store, rest, baseline.chosen)
    return _finish(session, len(unique) + others, others)


def _retry_all(session: Session) -> int:
    if not ledger_exists(session):
        return _finish(session, 0)
    with open_store(session, writes=True) as store:
        scope = find_scope(session, store)
        count = write(session, lambda: commands.retry_all(store, read_clock(store), scope))
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


def _finish(session: Session, count: int, others: int = 0) -> int:
    """Print how many are retried; `others` of them because they share a message with what was named."""
    session.poke()
    click.echo(session.render(Cli.RETRIED, count=count))
    if others:
        click.echo(session.render(Cli.WHOLE_MESSAGE, count=others))
    return 0


def _write(session: Session, store: Store, ids: Sequence[int], chosen: Sequence[BaselineToSend]) -> int:
    scope = find_scope(session, store)
    try:
        return write(session, lambda: commands.retry(store, ids, chosen, read_clock(store), scope))
    except NotApplicableError as error:
        session.fail(Cli.RETRY_NOT, ids=error)
    except UnmappedError as error:
        _report_missing(session, scope, error.missing)
        sys.exit(1)


def _report_missing(session: Session, scope: Scope, missing: Sequence[tuple[int, str]]) -> None:
    """Print the mappings that the configuration lacks; without them a service leaves the files alone."""
    for folder, recipient in missing:
        name = scope.names.get(folder, str(folder))
        click.echo(session.render(Cli.RETRY_UNMAPPED, name=name, conversation=recipient), err=True)


def _report_left_out(session: Session, baseline: Baseline, text: Text) -> None:
    for version, cause in baseline.left_out:
        path = names.readable(version.path)
        click.echo(session.render(text, cause, path=path, reason=cause.code), err=True)


def _read_baseline(session: Session, store: Store, old: Sequence[Version]) -> Baseline:
    if not old:
        return Baseline()
    return read_baseline(store, session.config, session.in_force, find_scope(session, store), old)
