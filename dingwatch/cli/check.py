"""`dingwatch check`: checks everything before the first run, and says what to do about each failure."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Final

import click

from dingwatch import file_writes, files, filters, names, quota
from dingwatch.cli.context import Session, command, option
from dingwatch.cli.ledger_access import find_scope, ledger_exists, ledger_url
from dingwatch.cli.online import (
    ROBOTS_PERMISSION,
    SPACE_PERMISSION,
    address_of,
    describe_failure,
    open_client,
)
from dingwatch.cli.write_access import describe_read_only, show_likely_units
from dingwatch.config.values import ConfigError, DingTalk, Folder
from dingwatch.dingtalk import BILLED, Client, Host, proxy_of
from dingwatch.feedback.moving import directory_for
from dingwatch.host.lock import LOCK_FILE, lock_holder
from dingwatch.ledger import LedgerError, Store, calls, pauses, report
from dingwatch.ledger.driver import require_driver
from dingwatch.model import Failure, Pause, Scope, Verdict
from dingwatch.recipients import billed_calls, recipient_kind
from dingwatch.service.ledgers import open_ledger
from dingwatch.texts import Checks, Cli
from dingwatch.watch import kind_of, lock_holder_of, walk

LISTING_SECONDS: Final = 30.0
"""How long the listing of one directory may take; a million names take some seconds."""
WATCH_LIMIT: Final = Path("/proc/sys/fs/inotify/max_user_watches")
MOST_SKEW: Final = 300.0
"""Seconds that the clock may be wrong. The drive's addresses live for 900 s (KB:0674), and a webhook's
signature for an hour (KB:0717): an admin should know well before either fails."""


class Mark(StrEnum):
    """The result of a check, as it is printed."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of what `check` prints."""

    mark: Mark
    text: str


@dataclass(frozen=True, slots=True)
class Tree:
    """How many directories a folder has, and files that pass its filter."""

    directories: int
    files: int
    unlisted: tuple[tuple[bytes, Verdict], ...]
    """Directories that could not be read, and why."""


@dataclass(frozen=True, slots=True)
class EarlierRuns:
    """The names of the folders that have had their first look, and this month's API calls and pauses."""

    looked_at: frozenset[str]
    used: int
    pauses: tuple[Pause, ...] = ()
    readable: bool = True
    """Whether the ledger could be read: else nobody knows what the next run does."""


@command(secret_needed=True)
@option(Cli.OPT_OFFLINE, "--offline", is_flag=True)
def check(session: Session, *, offline: bool) -> int:
    """Print every finding; return 1 if one of them is a failure."""
    failed = False
    for finding in _check(session, offline=offline):
        failed |= finding.mark is Mark.FAIL
        click.echo(f"{finding.mark:<4}  {finding.text}")
    return int(failed)


def _check(session: Session, *, offline: bool) -> Iterator[Finding]:
    try:
        units = show_likely_units(session)
        config = session.load_config()
    except ConfigError as error:
        for problem in session.describe_problems(error):
            yield Finding(Mark.FAIL, session.render(Checks.CONFIG_BAD, problem=problem))
        return
    folders = len(config.folders)
    yield Finding(Mark.OK if folders else Mark.WARN, session.render(Checks.CONFIG, count=folders))
    yield from _describe_alerts(session)
    yield from _check_stars(session)
    yield from _check_state_dir(session)
    earlier = _read_earlier_runs(session)
    trees: list[tuple[Folder, Tree]] = []
    for folder in config.folders:
        try:
            tree = _walk(folder)
        except Failure as failure:
            cause, name, path = failure.verdict.cause, folder.name, folder.path
            yield Finding(Mark.FAIL, session.render(Checks.FOLDER_BAD, cause, name=name, path=path))
            continue
        trees.append((folder, tree))
        yield from _describe_folder(session, folder, tree)
        if earlier.readable:
            yield _describe_first_run(session, folder, tree, looked=folder.name in earlier.looked_at)
        yield from _check_lock(session, folder)
        yield from _check_program(session, folder)
        yield from _check_drive_keep(session, folder)
        yield from _check_feedback(session, folder)
    for text in describe_read_only(session, units):
        yield Finding(Mark.WARN, text)
    yield _check_watches(session, sum(tree.directories for folder, tree in trees if not _polls(folder)))
    if earlier.readable:
        calls = sum(
            _calls(folder, tree)
            for folder, tree in trees
            if folder.existing == "send" and folder.name not in earlier.looked_at
        )
        yield _check_quota(session, calls, earlier)
    if not offline:
        yield from _check_online(session)


def _describe_alerts(session: Session) -> Iterator[Finding]:
    """Yield whom alerts go to without a way to check it, and settings without effect."""
    alerts = session.config.alerts
    others = [one for one in alerts.to if not recipient_kind(one).inspectable]
    if others:
        recipients = ", ".join(map(session.name_of, others))
        yield Finding(Mark.OK, session.render(Checks.ALERTS_TO, recipients=recipients))
    if alerts.heartbeat_url is not None:
        yield Finding(Mark.OK, session.render(Checks.HEARTBEAT))
    if alerts.daily is not None and not alerts.to:
        yield Finding(Mark.WARN, session.render(Checks.DAILY_TO_NOBODY))


MOST_LISTED: Final = 20
"""Directories that are named one by one; of a thousand more, people need to know only how many there are."""


def _check_stars(session: Session) -> Iterator[Finding]:
    """Yield where a table of recipients and the directories that are there do not agree."""
    config = session.config
    for star in config.stars:
        count = sum(folder.star == star.pattern for folder in config.folders)
        if star.pattern in config.seen:
            yield Finding(Mark.OK, session.render(Checks.STAR, path=star.pattern, count=count))
        else:
            yield Finding(Mark.WARN, session.render(Checks.STAR_UNSEEN, path=star.pattern))
    texts = [
        *(session.render(Checks.UNLISTED_DIRECTORY, path=path) for path in config.unlisted),
        *(session.render(Checks.ABSENT, table=table, name=name) for table, name in config.absent),
    ]
    for text in texts[:MOST_LISTED]:
        yield Finding(Mark.WARN, text)
    if rest := texts[MOST_LISTED:]:
        yield Finding(Mark.WARN, session.render(Checks.MORE, count=len(rest)))


def _check_state_dir(session: Session) -> Iterator[Finding]:
    path = session.config.state_dir
    # The first run creates state_dir, so its nearest existing parent must be writable.
    existing = next(one for one in (path, *path.parents) if os.path.lexists(one))
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        yield Finding(Mark.FAIL, session.render(Checks.STATE_BAD, path=path))
        return
    kind = kind_of(os.fsencode(existing.resolve()))
    if kind.network and session.config.ledger is None:
        yield Finding(Mark.FAIL, session.render(Checks.STATE_NETWORK, path=path, kind=kind.name))
        return
    yield Finding(Mark.OK, session.render(Checks.STATE, path=path))
    if session.ledger_in_file:
        yield from _check_ledger(session)
    else:
        yield from _check_database(session)


def _check_database(session: Session) -> Iterator[Finding]:
    try:
        require_driver()
    except LedgerError as error:
        place = session.ledger_place
        yield Finding(Mark.FAIL, session.render(Checks.DATABASE_BAD, error.cause, place=place))
        return
    from dingwatch.cli.check_database import check_database  # noqa: PLC0415 (it needs the driver)

    yield from (Finding(Mark(mark), text) for mark, text in check_database(session))


def _check_ledger(session: Session) -> Iterator[Finding]:
    try:
        if not ledger_exists(session):
            return
        store = open_ledger(session.config)
    except LedgerError as error:
        yield Finding(Mark.FAIL, session.render(Checks.LEDGER_BAD, error.cause))
        return
    with closing(store), store.reading() as connection:
        month = quota.month(time.time())
        used = calls.total(connection, month, BILLED)
    yield Finding(Mark.OK, session.render(Checks.LEDGER, month=month, used=used))


def _read_earlier_runs(session: Session) -> EarlierRuns:
    """Read what the ledger has of earlier runs; a ledger that cannot be opened is reported elsewhere."""
    nothing = EarlierRuns(frozenset(), 0)
    try:
        if not ledger_exists(session):
            return nothing
        with closing(Store.open(ledger_url(session), session.node)) as store, store.reading() as connection:
            looked = report.folders_with_first_look(connection)
            used = calls.total(connection, quota.month(time.time()), BILLED)
            paused = tuple(pauses.list_pauses(connection))
            ids = find_scope(session, store, session.in_file).ids
    except LedgerError:
        return replace(nothing, readable=False)
    return EarlierRuns(frozenset(name for name, number in ids.items() if number in looked), used, paused)


def _walk(folder: Folder) -> Tree:
    """Walk a folder; raise Failure if its root cannot be listed."""
    moves = folder.after_send == "move"
    chosen = filters.path_filter(folder.include, folder.exclude, recursive=folder.recursive, moves=moves)
    directories = found = 0
    unlisted = []
    with closing(files.in_time(partial(files.open_root, folder.root))) as root:
        listing = walk(root, chosen.prunes)
        # A share may hang in the middle of a listing: each directory has a time limit of its own.
        while (directory := files.in_time(partial(next, listing, None), LISTING_SECONDS)) is not None:
            directories += directory.last is None
            prefix = directory.path + b"/" if directory.path else b""
            found += sum(chosen.accepts(prefix + name) for name in directory.files)
            if directory.unreadable is not None:
                unlisted.append((directory.path, directory.unreadable))
    return Tree(directories, found, tuple(unlisted))


def _polls(folder: Folder) -> bool:
    return folder.watch == "poll" or (folder.watch == "auto" and kind_of(folder.root).network)


def _calls(folder: Folder, tree: Tree) -> int:
    """Count the billed calls that all files need: an upload each, and a message per conversation.

    One message reaches 20 persons; custom robots are not billed.
    """
    messages = billed_calls(folder.recipients)
    if folder.send_as == "notice":
        return tree.files * messages
    return tree.files * (1 + messages * (2 if folder.message else 1))


def _describe_folder(session: Session, folder: Folder, tree: Tree) -> Iterator[Finding]:
    kind, name = kind_of(folder.root), folder.name
    how = session.render(Checks.POLLED if _polls(folder) else Checks.EVENTS)
    text = session.render(Checks.FOLDER, name=name, path=folder.path, kind=kind.name, how=how)
    yield Finding(Mark.OK, text)
    others = [one for one in folder.recipients if not recipient_kind(one).inspectable]
    if others:
        recipients = ", ".join(map(session.name_of, others))
        yield Finding(Mark.OK, session.render(Checks.RECIPIENTS, name=name, recipients=recipients))
    if kind.network and folder.watch == "inotify":
        yield Finding(Mark.WARN, session.render(Checks.BLIND, name=name, kind=kind.name))
    for path, verdict in tree.unlisted:
        text = session.render(Checks.UNLISTED, verdict.cause, name=name, path=names.readable(path) or ".")
        yield Finding(Mark.FAIL, text)


def _describe_first_run(session: Session, folder: Folder, tree: Tree, *, looked: bool) -> Finding:
    """Return what becomes of the files that are there already."""
    name = folder.name
    if looked:
        return Finding(Mark.OK, session.render(Checks.KNOWN, name=name))
    if not tree.files:
        return Finding(Mark.OK, session.render(Checks.EMPTY, name=name))
    if folder.existing == "skip":
        return Finding(Mark.OK, session.render(Checks.BASELINE, name=name, count=tree.files))
    count, needed = tree.files * len(folder.recipients), _calls(folder, tree)
    return Finding(Mark.OK, session.render(Checks.BACKLOG, name=name, count=count, calls=needed))


def _check_lock(session: Session, folder: Folder) -> Iterator[Finding]:
    """Yield who else watches a folder, if somebody does."""
    if folder.exclusive and folder.shared is None and not kind_of(folder.root).network:
        with closing(files.in_time(partial(files.open_root, folder.root))) as root:
            holder = lock_holder_of(root)
        # Seen from outside of its container, the service of this config has no pid in either place.
        if holder not in {None, lock_holder(session.config.state_dir / LOCK_FILE)}:
            named = _describe_process(session, holder or 0)
            text = session.render(Checks.IN_USE, name=folder.name, path=folder.path, holder=named)
            yield Finding(Mark.FAIL, text)


def _check_drive_keep(session: Session, folder: Folder) -> Iterator[Finding]:
    """Yield for whom `drive_keep` deletes nothing: their copy may be the very entry."""
    if folder.drive_keep is None:
        return
    if session.config.dingtalk.operator_union_id is None:
        yield Finding(Mark.WARN, session.render(Checks.KEEP_NO_OPERATOR, name=folder.name))
    kinds = {one: recipient_kind(one).entries for one in folder.recipients}
    found = [one for one, entries in kinds.items() if entries is not None and not entries.copies]
    if found:
        recipients = ", ".join(map(session.name_of, found))
        text = session.render(Checks.KEEP_UNCOPIED, name=folder.name, recipients=recipients)
        yield Finding(Mark.WARN, text)


def _check_program(session: Session, folder: Folder) -> Iterator[Finding]:
    """Yield whether the program of `before_send` can be started; each file waits for it."""
    if folder.before_send is None:
        return
    program = folder.before_send[0]
    found = shutil.which(program)
    if found is None:
        yield Finding(Mark.FAIL, session.render(Checks.NO_PROGRAM, name=folder.name, program=program))
    else:
        yield Finding(Mark.OK, session.render(Checks.PROGRAM, name=folder.name, program=found))


_OF_DIRECTORY: Final = {
    "absent": Checks.SENT_TAKEN,
    # EPERM is what link(2) says where a file system has no hard links.
    **dict.fromkeys(("EACCES", "EROFS"), Checks.NOT_WRITABLE),
}
"""Texts about the directory of sent files, by the code of the failure, if not its file system."""


def _check_feedback(session: Session, folder: Folder) -> Iterator[Finding]:
    """Yield whether a folder allows what dingwatch is to write there."""
    moves = folder.after_send == "move"
    keys = [f"feedback: {folder.feedback}"] if folder.feedback != "none" else []
    keys += [f"after_send: {folder.after_send}"] if moves else []
    if not keys:
        return
    values = {"name": folder.name, "path": folder.path, "keys": ", ".join(keys)}
    sent = directory_for(b"", time.strftime("%Y-%m"), session.config.language)
    refused = Checks.NOT_WRITABLE
    try:
        with closing(files.in_time(partial(files.open_root, folder.root))) as root:
            files.in_time(partial(file_writes.require_writable, root))
            refused = Checks.NOT_MOVABLE
            if moves:
                files.in_time(partial(file_writes.require_movable, root, sent))
        yield Finding(Mark.OK, session.render(Checks.WRITABLE, **values))
    except Failure as failure:
        if refused is Checks.NOT_MOVABLE:
            refused = _OF_DIRECTORY.get(failure.verdict.cause.code, refused)
            values |= {"path": f"{folder.path}/{os.fsdecode(sent)}", "keys": keys[-1]}
        yield Finding(Mark.FAIL, session.render(refused, failure.verdict.cause, **values))
    if moves and not folder.exclusive:
        yield Finding(Mark.WARN, session.render(Checks.MOVE_SHARED, name=folder.name))


def _describe_process(session: Session, pid: int) -> str:
    """Return a process's number and the name of its program; 0 stands for one that cannot be seen."""
    if not pid:
        return session.render(Checks.PROCESS_UNSEEN)
    try:
        program = Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:  # it has just ended
        program = "?"
    return session.render(Checks.PROCESS, pid=pid, program=program)


def _check_quota(session: Session, needed: int, earlier: EarlierRuns) -> Finding:
    now = time.time()
    use = quota.use_of_all(earlier.used, session.config.dingtalk.monthly_calls, earlier.pauses, now)
    enough = use.limit is None or use.used + needed <= use.limit
    text = session.render(
        Checks.QUOTA if enough else Checks.QUOTA_SHORT,
        calls=needed,
        used=use.used,
        limit="∞" if use.limit is None else use.limit,
        month=use.month,
    )
    return Finding(Mark.OK if enough else Mark.WARN, text)


def _check_watches(session: Session, needed: int) -> Finding:
    limit = int(WATCH_LIMIT.read_text())
    if needed < limit:
        return Finding(Mark.OK, session.render(Checks.WATCHES, needed=needed, limit=limit))
    return Finding(
        Mark.FAIL, session.render(Checks.WATCHES_FEW, needed=needed, limit=limit, wanted=needed * 2)
    )


def _check_online(session: Session) -> Iterator[Finding]:
    """Get a token from each host, and check the robot and the operator in each conversation."""
    with open_client(session) as client:
        yield from _check_dingtalk(session, client, session.config.dingtalk)


def _check_dingtalk(session: Session, client: Client, dingtalk: DingTalk) -> Iterator[Finding]:
    if proxy := proxy_of(dingtalk.api_url):
        yield Finding(Mark.OK, session.render(Checks.PROXIED, proxy=proxy))
    # A wrong clock may be the reason for the refusal. It is known from the answer's date, and printed first.
    refused = list(_check_tokens(session, client, dingtalk))
    yield from check_clock(session, client)
    if refused:
        yield from refused
        return
    yield Finding(Mark.OK, session.render(Checks.TOKEN))
    yield from _check_robots(session, client, dingtalk)
    yield from _check_operator(session, client, dingtalk)


def _check_robots(session: Session, client: Client, dingtalk: DingTalk) -> Iterator[Finding]:
    """Check whether the robot is in each conversation."""

    def check_one(conversation: str) -> Finding:
        return check_robot(session, client, conversation, dingtalk.robot_code)

    def refuse(failure: Failure, conversation: str) -> Finding:
        return Finding(Mark.FAIL, describe_robot_refusal(session, failure, conversation, dingtalk.api_url))

    told = (one for one in session.config.alerts.to if recipient_kind(one).inspectable)
    asked = sorted({*_inspectable(session.config.folders), *told})
    yield from _check_each(session, asked, check_one, refuse)


def _check_each(
    session: Session,
    conversations: Sequence[str],
    check_one: Callable[[str], Finding],
    refuse: Callable[[Failure, str], Finding],
) -> Iterator[Finding]:
    """Check conversations one by one; stop where the rest would be refused as well.

    A refusal may concern one group, whatever its code says (API sheet 14). The same one for a second group in
    a row concerns all, and calls are billed.
    """
    before: str | None = None
    for index, conversation in enumerate(conversations):
        try:
            yield check_one(conversation)
        except Failure as failure:
            finding, cause = refuse(failure, conversation), failure.verdict.cause
            yield finding
            rest = conversations[index + 1 :]
            if failure.verdict.scope in {Scope.APP, Scope.API} and cause.code == before:
                if rest:
                    shown = ", ".join(map(session.name_of, rest))
                    text = session.render(Checks.NOT_ASKED, conversations=shown)
                    yield Finding(finding.mark, text)
                return
            before = cause.code
        else:
            before = None


def _inspectable(folders: Iterable[Folder]) -> list[str]:
    """Return the folders' recipients that DingTalk can be asked about."""
    return sorted({one for folder in folders for one in folder.recipients if recipient_kind(one).inspectable})


def _check_tokens(session: Session, client: Client, dingtalk: DingTalk) -> Iterator[Finding]:
    for host in Host:
        try:
            client.fetch_token(host)
        except Failure as failure:
            url = address_of(host, dingtalk.api_url, dingtalk.oapi_url)
            text = describe_failure(session, Checks.TOKEN_BAD, failure.verdict, url, host=host)
            yield Finding(Mark.FAIL, text)
            return


def check_clock(session: Session, client: Client) -> Iterator[Finding]:
    """Compare this machine's clock with the date of DingTalk's latest answer; yield only a difference."""
    ahead = client.clock_ahead
    if ahead is not None and abs(ahead) > MOST_SKEW:
        direction = session.render(Checks.AHEAD if ahead > 0 else Checks.BEHIND)
        text = session.render(Checks.CLOCK_WRONG, seconds=round(abs(ahead)), direction=direction)
        yield Finding(Mark.FAIL, text)


def check_robot(session: Session, client: Client, conversation: str, robot_code: str) -> Finding:
    """Check whether the robot is in a conversation; raise Failure if DingTalk does not say."""
    if robot_code in client.robots(conversation):
        return Finding(Mark.OK, session.render(Checks.ROBOT, conversation=conversation))
    advice = session.advice("ROBOT_IN_GROUP")
    return Finding(Mark.FAIL, session.render(Checks.ROBOT_BAD, conversation=conversation, advice=advice))


def describe_robot_refusal(session: Session, failure: Failure, conversation: str, url: str) -> str:
    """Return a sentence on a group whose robots DingTalk does not list."""
    return describe_failure(
        session,
        Checks.ROBOT_UNKNOWN,
        failure.verdict,
        url,
        permission=ROBOTS_PERMISSION,
        conversation=conversation,
    )


def _check_operator(session: Session, client: Client, dingtalk: DingTalk) -> Iterator[Finding]:
    """Ask for each conversation's file space as the operator; each is a billed call that changes nothing.

    It proves that the unionId is a person's, and that this person is in the group. Creating a space would
    prove more, but `check` must leave nothing behind. A missing permission for this query is only a warning,
    because no delivery makes the query.
    """
    operator = dingtalk.operator_union_id
    if operator is None:
        return
    files = client.conversation_files(operator)

    def check_one(conversation: str) -> Finding:
        files.space(conversation)
        return Finding(Mark.OK, session.render(Checks.OPERATOR, conversation=conversation))

    def refuse(failure: Failure, conversation: str) -> Finding:
        verdict = failure.verdict
        text = describe_failure(
            session,
            Checks.OPERATOR_BAD,
            verdict,
            dingtalk.api_url,
            permission=SPACE_PERMISSION,
            conversation=conversation,
        )
        return Finding(Mark.WARN if verdict.cause.advice == "PERMISSION" else Mark.FAIL, text)

    by_drive = _inspectable(one for one in session.config.folders if one.large_files == "drive")
    yield from _check_each(session, by_drive, check_one, refuse)
