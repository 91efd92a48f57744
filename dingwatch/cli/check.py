"""`dingwatch check`: everything that can be known before the first run, each with what to do about it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import click

from dingwatch import files, policy
from dingwatch.cli.context import Session
from dingwatch.config import Folder
from dingwatch.dingtalk import Account, Client, Host
from dingwatch.ledger import LedgerError, Store, report
from dingwatch.model import Failure
from dingwatch.service import ledger_url
from dingwatch.texts import Checks
from dingwatch.watch import kind_of, walk

WATCH_LIMIT: Final = Path("/proc/sys/fs/inotify/max_user_watches")
CALLS_PER_FILE: Final = 2


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


@dataclass(frozen=True, slots=True)
class Tree:
    """What lies in a folder: how many directories, and files that pass its filter."""

    directories: int
    files: int


def check(session: Session, *, offline: bool) -> int:
    """Print every finding; return 1 when one of them is a failure."""
    failed = False
    for finding in _findings(session, offline=offline):
        failed |= finding.mark is Mark.FAIL
        click.echo(f"{finding.mark:<4}  {finding.text}")
    return int(failed)


def _findings(session: Session, *, offline: bool) -> Iterator[Finding]:
    config = session.config
    yield Finding(Mark.OK, session.say(Checks.CONFIG, count=len(config.folders)))
    yield from _state(session)
    directories = 0
    for folder in config.folders:
        try:
            tree = _tree(folder)
        except Failure as failure:
            yield Finding(
                Mark.FAIL, _failed(session, Checks.FOLDER_BAD, failure, name=folder.name, path=folder.path)
            )
            continue
        directories += tree.directories
        yield from _folder(session, folder, tree)
    yield _watches(session, directories)
    if not offline:
        yield from _online(session)


def _failed(session: Session, text: Checks, failure: Failure, **values: object) -> str:
    cause = failure.verdict.cause
    reason = f"{cause.code} {cause.message}".strip()
    return session.say(text, reason=reason, advice=session.advice(cause.advice), **values)


def _state(session: Session) -> Iterator[Finding]:
    path = session.config.state_dir
    existing = next(one for one in (path, *path.parents) if one.exists())
    if not os.access(existing, os.W_OK | os.X_OK):
        yield Finding(Mark.FAIL, session.say(Checks.STATE_BAD, path=path))
        return
    kind = kind_of(os.fsencode(existing.resolve()))
    if kind.network and session.config.ledger is None:
        yield Finding(Mark.FAIL, session.say(Checks.STATE_NETWORK, path=path, kind=kind.name))
        return
    yield Finding(Mark.OK, session.say(Checks.STATE, path=path))
    if session.ledger_exists:
        yield _ledger(session)


def _ledger(session: Session) -> Finding:
    try:
        store = Store.open(ledger_url(session.config))
    except LedgerError as error:
        reason, advice = error.cause.message, session.advice(error.cause.advice)
        return Finding(Mark.FAIL, session.say(Checks.LEDGER_BAD, reason=reason, advice=advice))
    with closing(store), store.reading() as connection:
        month = policy.day(time.time())[:7]
        used = report.calls_of(connection, month, ["media/upload", "robot/groupMessages/send"])
    return Finding(Mark.OK, session.say(Checks.LEDGER, month=month, used=used))


def _tree(folder: Folder) -> Tree:
    """Walk a folder; raise Failure when it cannot be listed."""
    chosen = policy.path_filter(folder.include, folder.exclude, recursive=folder.recursive)
    directories = found = 0
    with closing(files.open_root(folder.root)) as root:
        for directory in walk(root, chosen.prunes):
            directories += 1
            prefix = directory.path + b"/" if directory.path else b""
            found += sum(chosen.accepts(prefix + entry.name) for entry in directory.entries)
    return Tree(directories, found)


def _folder(session: Session, folder: Folder, tree: Tree) -> Iterator[Finding]:
    kind = kind_of(folder.root)
    polls = folder.watch == "poll" or (folder.watch == "auto" and kind.network)
    how = session.say(Checks.POLLED if polls else Checks.EVENTS)
    yield Finding(
        Mark.OK, session.say(Checks.FOLDER, name=folder.name, path=folder.path, kind=kind.name, how=how)
    )
    if kind.network and folder.watch == "inotify":
        yield Finding(Mark.WARN, session.say(Checks.BLIND, name=folder.name, kind=kind.name))
    messages = tree.files * len(folder.conversation_ids)
    if folder.existing == "skip":
        yield Finding(Mark.OK, session.say(Checks.BASELINE, name=folder.name, count=tree.files))
    else:
        limit = session.config.dingtalk.monthly_calls
        calls = tree.files + messages
        mark = Mark.WARN if limit is not None and calls > limit else Mark.OK
        yield Finding(
            mark,
            session.say(Checks.BACKLOG, name=folder.name, count=messages, calls=calls, limit=limit or "∞"),
        )


def _watches(session: Session, needed: int) -> Finding:
    limit = int(WATCH_LIMIT.read_text())
    if needed < limit:
        return Finding(Mark.OK, session.say(Checks.WATCHES, needed=needed, limit=limit))
    return Finding(Mark.FAIL, session.say(Checks.WATCHES_FEW, needed=needed, limit=limit, wanted=needed * 2))


def _online(session: Session) -> Iterator[Finding]:
    dingtalk = session.config.dingtalk
    account = Account(
        dingtalk.client_id, dingtalk.client_secret, dingtalk.robot_code, dingtalk.api_url, dingtalk.oapi_url
    )
    with Client(
        account,
        gate=lambda _: None,
        count=lambda _: None,
        sleep=lambda s: time.sleep(float(s)),
        clock=time.time,
        monotonic=time.monotonic,
    ) as client:
        for host in Host:
            try:
                client.fetch_token(host)
            except Failure as failure:
                yield Finding(Mark.FAIL, _failed(session, Checks.TOKEN_BAD, failure, host=host))
                return
        yield Finding(Mark.OK, session.say(Checks.TOKEN))
        conversations = {c for folder in session.config.folders for c in folder.conversation_ids}
        for conversation in sorted(conversations):
            yield _robot(session, client, conversation)


def _robot(session: Session, client: Client, conversation: str) -> Finding:
    try:
        robots = client.robots(conversation)
    except Failure as failure:
        return Finding(Mark.FAIL, _failed(session, Checks.ROBOT_BAD, failure, conversation=conversation))
    if session.config.dingtalk.robot_code not in robots:
        advice = session.advice("ROBOT_IN_GROUP")
        return Finding(
            Mark.FAIL, session.say(Checks.ROBOT_BAD, conversation=conversation, reason="", advice=advice)
        )
    return Finding(Mark.OK, session.say(Checks.ROBOT, conversation=conversation))
