"""`dingwatch check`: everything that can be known before the first run, each with what to do about it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Final

import click

from dingwatch import files, filters, names, quota
from dingwatch.cli.context import Session
from dingwatch.cli.online import address_of, calling, describe_failure
from dingwatch.config import ConfigError, DingTalk, Folder
from dingwatch.dingtalk import BILLED, Client, Host, proxy_of
from dingwatch.ledger import LedgerError, Store, calls, report
from dingwatch.model import Failure, Scope, Verdict
from dingwatch.recipients import billed_calls, recipient_kind
from dingwatch.service import ledger_url, open_ledger
from dingwatch.texts import Checks
from dingwatch.watch import kind_of, walk

LISTING_SECONDS: Final = 30.0
"""For one directory; a million names take some seconds."""
WATCH_LIMIT: Final = Path("/proc/sys/fs/inotify/max_user_watches")
MOST_SKEW: Final = 300.0
"""Seconds that the clock may be wrong. The drive's addresses live for 900 s (KB:0674), and a webhook's
signature for an hour (KB:0717): well before either, somebody should know."""


class Mark(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    mark: Mark
    text: str


def failed_text(session: Session, text: Checks, verdict: Verdict, **values: object) -> str:
    """Say what did not work, why, and what a person can do."""
    cause = verdict.cause
    return session.say(text, reason=session.reason(cause), advice=session.advice(cause.advice), **values)


@dataclass(frozen=True, slots=True)
class Tree:
    """What lies in a folder: how many directories, and files that pass its filter."""

    directories: int
    files: int
    unlisted: tuple[tuple[bytes, Verdict], ...]
    """Directories that could not be read, and why."""


@dataclass(frozen=True, slots=True)
class Before:
    """What earlier runs left: the names of folders that had their first look, and the month's calls."""

    looked: frozenset[str]
    used: int


def check(session: Session, *, offline: bool) -> int:
    """Print every finding; return 1 when one of them is a failure."""
    failed = False
    for finding in _findings(session, offline=offline):
        failed |= finding.mark is Mark.FAIL
        click.echo(f"{finding.mark:<4}  {finding.text}")
    return int(failed)


def _findings(session: Session, *, offline: bool) -> Iterator[Finding]:
    try:
        config = session.loaded()
    except ConfigError as error:
        for problem in session.problems(error):
            yield Finding(Mark.FAIL, session.say(Checks.CONFIG_BAD, problem=problem))
        return
    folders = len(config.folders)
    yield Finding(Mark.OK if folders else Mark.WARN, session.say(Checks.CONFIG, count=folders))
    yield from _state(session)
    before = _before(session)
    trees: list[tuple[Folder, Tree]] = []
    for folder in config.folders:
        try:
            tree = _tree(folder)
        except Failure as failure:
            text = failed_text(
                session, Checks.FOLDER_BAD, failure.verdict, name=folder.name, path=folder.path
            )
            yield Finding(Mark.FAIL, text)
            continue
        trees.append((folder, tree))
        yield from _folder(session, folder, tree, looked=folder.name in before.looked)
    yield _watches(session, sum(tree.directories for folder, tree in trees if not _polls(folder)))
    calls = sum(
        _calls(folder, tree)
        for folder, tree in trees
        if folder.existing == "send" and folder.name not in before.looked
    )
    yield _quota(session, calls, before.used)
    if not offline:
        yield from _check_online(session)


def _state(session: Session) -> Iterator[Finding]:
    path = session.config.state_dir
    existing = next(one for one in (path, *path.parents) if os.path.lexists(one))
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        yield Finding(Mark.FAIL, session.say(Checks.STATE_BAD, path=path))
        return
    kind = kind_of(os.fsencode(existing.resolve()))
    if kind.network and session.config.ledger is None:
        yield Finding(Mark.FAIL, session.say(Checks.STATE_NETWORK, path=path, kind=kind.name))
        return
    yield Finding(Mark.OK, session.say(Checks.STATE, path=path))
    if not session.ledger_served:
        yield Finding(Mark.FAIL, session.say(Checks.LEDGER_LATER))
    else:
        yield from _ledger(session)


def _ledger(session: Session) -> Iterator[Finding]:
    try:
        if not session.ledger_exists:
            return
        store = open_ledger(session.config)
    except LedgerError as error:
        reason, advice = session.reason(error.cause), session.advice(error.cause.advice)
        yield Finding(Mark.FAIL, session.say(Checks.LEDGER_BAD, reason=reason, advice=advice))
        return
    with closing(store), store.reading() as connection:
        month = quota.month(time.time())
        used = calls.total(connection, month, BILLED)
    yield Finding(Mark.OK, session.say(Checks.LEDGER, month=month, used=used))


def _before(session: Session) -> Before:
    """Look up what the ledger has of earlier runs; one that cannot be opened was reported already."""
    nothing = Before(frozenset(), 0)
    try:
        if not session.ledger_served or not session.ledger_exists:
            return nothing
        with closing(Store.open(ledger_url(session.config))) as store, store.reading() as connection:
            looked = report.folders_with_first_look(connection)
            used = calls.total(connection, quota.month(time.time()), BILLED)
            ids = session.scope(store).ids
    except LedgerError:
        return nothing
    return Before(frozenset(name for name, number in ids.items() if number in looked), used)


def _tree(folder: Folder) -> Tree:
    """Walk a folder; raise Failure when it cannot be listed."""
    chosen = filters.path_filter(folder.include, folder.exclude, recursive=folder.recursive)
    directories = found = 0
    unlisted = []
    with closing(files.in_time(partial(files.open_root, folder.root))) as root:
        listing = walk(root, chosen.prunes)
        while (directory := files.in_time(partial(next, listing, None), LISTING_SECONDS)) is not None:
            directories += 1
            prefix = directory.path + b"/" if directory.path else b""
            found += sum(chosen.accepts(prefix + entry.name) for entry in directory.entries)
            if directory.unreadable is not None:
                unlisted.append((directory.path, directory.unreadable))
    return Tree(directories, found, tuple(unlisted))


def _polls(folder: Folder) -> bool:
    return folder.watch == "poll" or (folder.watch == "auto" and kind_of(folder.root).network)


def _calls(folder: Folder, tree: Tree) -> int:
    """Count one upload for each file, and its messages: 20 persons are one, custom robots are not billed."""
    messages = billed_calls(folder.recipients)
    if folder.send_as == "notice":
        return tree.files * messages
    return tree.files * (1 + messages * (2 if folder.message else 1))


def _folder(session: Session, folder: Folder, tree: Tree, *, looked: bool) -> Iterator[Finding]:
    kind, name = kind_of(folder.root), folder.name
    how = session.say(Checks.POLLED if _polls(folder) else Checks.EVENTS)
    text = session.say(Checks.FOLDER, name=name, path=folder.path, kind=kind.name, how=how)
    yield Finding(Mark.OK, text)
    others = [one for one in folder.recipients if not recipient_kind(one).inspectable]
    if others:
        yield Finding(Mark.OK, session.say(Checks.RECIPIENTS, name=name, recipients=", ".join(others)))
    if kind.network and folder.watch == "inotify":
        yield Finding(Mark.WARN, session.say(Checks.BLIND, name=name, kind=kind.name))
    for path, verdict in tree.unlisted:
        text = failed_text(session, Checks.UNLISTED, verdict, name=name, path=names.readable(path) or ".")
        yield Finding(Mark.FAIL, text)
    if looked:
        yield Finding(Mark.OK, session.say(Checks.KNOWN, name=name))
    elif folder.existing == "skip":
        yield Finding(Mark.OK, session.say(Checks.BASELINE, name=name, count=tree.files))
    else:
        count, needed = tree.files * len(folder.recipients), _calls(folder, tree)
        yield Finding(Mark.OK, session.say(Checks.BACKLOG, name=name, count=count, calls=needed))


def _quota(session: Session, needed: int, used: int) -> Finding:
    limit = session.config.dingtalk.monthly_calls
    enough = limit is None or used + needed <= limit
    text = session.say(
        Checks.QUOTA if enough else Checks.QUOTA_SHORT,
        calls=needed,
        used=used,
        limit="∞" if limit is None else limit,
        month=quota.month(time.time()),
    )
    return Finding(Mark.OK if enough else Mark.WARN, text)


def _watches(session: Session, needed: int) -> Finding:
    limit = int(WATCH_LIMIT.read_text())
    if needed < limit:
        return Finding(Mark.OK, session.say(Checks.WATCHES, needed=needed, limit=limit))
    return Finding(Mark.FAIL, session.say(Checks.WATCHES_FEW, needed=needed, limit=limit, wanted=needed * 2))


def _check_online(session: Session) -> Iterator[Finding]:
    """Ask for a token of each host, for the robots of each conversation, and what the operator may do."""
    with calling(session) as client:
        yield from _asked(session, client, session.config.dingtalk)


def _asked(session: Session, client: Client, dingtalk: DingTalk) -> Iterator[Finding]:
    if proxy := proxy_of(dingtalk.api_url):
        yield Finding(Mark.OK, session.say(Checks.PROXIED, proxy=proxy))
    refused = list(_tokens(session, client, dingtalk))
    yield from check_clock(session, client)
    if refused:
        yield from refused
        return
    yield Finding(Mark.OK, session.say(Checks.TOKEN))
    for conversation in _inspectable(session.config.folders):
        try:
            yield check_robot(session, client, conversation, dingtalk.robot_code)
        except Failure as failure:
            yield _unasked(session, Checks.ROBOT_UNKNOWN, failure, conversation, dingtalk)
            if failure.verdict.scope in {Scope.APP, Scope.API}:
                return  # the next call would be refused for the same
    yield from _operator(session, client, dingtalk)


def _inspectable(folders: Iterable[Folder]) -> list[str]:
    """Return the folders' recipients of which DingTalk tells something."""
    return sorted({one for folder in folders for one in folder.recipients if recipient_kind(one).inspectable})


def _tokens(session: Session, client: Client, dingtalk: DingTalk) -> Iterator[Finding]:
    for host in Host:
        try:
            client.fetch_token(host)
        except Failure as failure:
            url = address_of(host, dingtalk.api_url, dingtalk.oapi_url)
            text = describe_failure(session, Checks.TOKEN_BAD, failure.verdict, url, host=host)
            yield Finding(Mark.FAIL, text)
            return


def check_clock(session: Session, client: Client) -> Iterator[Finding]:
    """Compare this machine's clock with the date of the latest answer; say nothing when they agree."""
    ahead = client.clock_ahead
    if ahead is not None and abs(ahead) > MOST_SKEW:
        direction = session.say(Checks.AHEAD if ahead > 0 else Checks.BEHIND)
        text = session.say(Checks.CLOCK_WRONG, seconds=round(abs(ahead)), direction=direction)
        yield Finding(Mark.FAIL, text)


def check_robot(session: Session, client: Client, conversation: str, robot_code: str) -> Finding:
    """Say whether the robot is in a conversation; raise Failure when that cannot be known."""
    if robot_code in client.robots(conversation):
        return Finding(Mark.OK, session.say(Checks.ROBOT, conversation=conversation))
    advice = session.advice("ROBOT_IN_GROUP")
    return Finding(Mark.FAIL, session.say(Checks.ROBOT_BAD, conversation=conversation, advice=advice))


def _operator(session: Session, client: Client, dingtalk: DingTalk) -> Iterator[Finding]:
    """Ask for each conversation's own space as the operator: a billed call each, which changes nothing.

    It shows that the unionId is somebody's, and that this person is in the group. To make a space of
    dingwatch's own would show more, but `check` leaves nothing behind. That the app lacks the permission
    for this question alone is a warning: no delivery asks it.
    """
    operator = dingtalk.operator_union_id
    if operator is None:
        return
    for conversation in _inspectable(one for one in session.config.folders if one.large_files == "drive"):
        try:
            client.conversation_files(operator).space(conversation)
        except Failure as failure:
            mark = Mark.WARN if failure.verdict.cause.advice == "PERMISSION" else Mark.FAIL
            yield _unasked(session, Checks.OPERATOR_BAD, failure, conversation, dingtalk, mark)
            if failure.verdict.scope in {Scope.APP, Scope.API}:
                return
        else:
            yield Finding(Mark.OK, session.say(Checks.OPERATOR, conversation=conversation))


def _unasked(
    session: Session,
    text: Checks,
    failure: Failure,
    conversation: str,
    dingtalk: DingTalk,
    mark: Mark = Mark.FAIL,
) -> Finding:
    described = describe_failure(session, text, failure.verdict, dingtalk.api_url, conversation=conversation)
    return Finding(mark, described)
