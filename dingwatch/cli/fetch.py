"""`dingwatch link`, `fetch` and `recall`: what was sent, got back from DingTalk or taken back."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final, NoReturn

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from dingwatch import names
from dingwatch.cli import verified_download
from dingwatch.cli.context import Session, local, printable
from dingwatch.cli.online import calling
from dingwatch.cli.status import instant
from dingwatch.cli.verified_download import Differs, Taken
from dingwatch.dingtalk import MEDIA_LIMIT, Client, SignedAddress, Sink, Storage
from dingwatch.ledger import Store, commands
from dingwatch.ledger.commands import DriveEntry, NotApplicableError, Sent
from dingwatch.lifecycle import State
from dingwatch.model import Failure, Form, MediaLost, NoAnswer, Rejected, Route, Verdict
from dingwatch.payload import NOTICE
from dingwatch.recipients import KINDS, Recall
from dingwatch.texts import Back, Text


@contextmanager
def delivery(session: Session, number: int) -> Iterator[tuple[Store, Sent]]:
    """Open the ledger and yield one delivery; an id that nobody knows ends the command."""
    if not session.ledger_exists:
        session.fail(Back.UNKNOWN, id=number)
    with session.store() as store:
        try:
            with store.reading() as connection:
                found = commands.find_sent(connection, number)
        except NotApplicableError:
            session.fail(Back.UNKNOWN, id=number)
        yield store, found


def require_content(session: Session, one: Sent) -> None:
    """End the command where DingTalk was never given the file."""
    if one.state not in {State.SENT, State.UNCERTAIN}:
        session.fail(Back.NOT_SENT, id=one.id, state=one.state)
    if one.upload_type == NOTICE:
        session.fail(Back.NOTICE_ONLY, id=one.id)


def elsewhere(verdict: Verdict) -> bool:
    """Say whether another copy may be had where this one is gone, or the operator has no rights to it."""
    return isinstance(verdict, Rejected | MediaLost) or verdict.cause.advice == "OPERATOR"


def operator(session: Session, one: Sent) -> str:
    """Return whose rights the drive is used with; nobody's ends the command."""
    union_id = session.config.dingtalk.operator_union_id
    if union_id is None:
        session.fail(Back.NO_OPERATOR, id=one.id)
    return union_id


def give_up(session: Session, text: Text, one: Sent, verdict: Verdict) -> NoReturn:
    """End the command with what DingTalk said, and what a person can do."""
    cause = verdict.cause
    session.fail(text, id=one.id, reason=session.reason(cause), advice=session.advice(cause.advice))


def link(session: Session, number: int, *, as_json: bool) -> int:
    """Print an address, with the headers without which it opens nothing (KB:0678), and until when it holds.

    It is that of the conversation's own copy; where that cannot be had, of the entry of its upload.
    """
    with delivery(session, number) as (_, one):
        require_content(session, one)
        if one.route is not Route.DRIVE:
            session.fail(Back.LINK_MEDIA, id=one.id)
        union_id = operator(session, one)
        if not one.entries:
            session.fail(Back.CONTENT_GONE, id=one.id, path=names.readable(one.path))
        try:
            with calling(session) as client:
                address = _address(client.storage(union_id), one.entries)
        except Failure as failure:
            give_up(session, Back.LINK_FAILED, one, failure.verdict)
    click.echo(_json(one, address) if as_json else _text(session, one, address))
    return 0


def _address(storage: Storage, entries: Sequence[DriveEntry]) -> SignedAddress:
    first, *others = entries
    try:
        return storage.download_address(first.space_id, first.entry_id)
    except Failure as failure:
        if not others or not elsewhere(failure.verdict):
            raise
    return _address(storage, others)


def _json(one: Sent, address: SignedAddress) -> str:
    shown = {
        "id": one.id,
        "path": names.readable(one.path),
        "size": one.size,
        "sha256": one.digest,
        "url": address.url,
        "headers": dict(address.headers),
        "expires_at": instant(address.expires_at),
    }
    return json.dumps(shown, ensure_ascii=False)


def _text(session: Session, one: Sent, address: SignedAddress) -> str:
    """Return lines for a shell: what it is, as a comment, and the command that gets it."""
    until, path = local(address.expires_at), names.readable(one.path)
    return f"# {session.say(Back.LINK_UNTIL, path=path, size=one.size, until=until)}\n{_curl(one, address)}"


def _curl(one: Sent, address: SignedAddress) -> str:
    name = names.displayed_name(one.path.rpartition(b"/")[2])
    # `Name:` without a value has curl leave a header out: an empty one is none.
    headers = [word for pair in address.headers.items() for word in ("-H", ": ".join(pair).rstrip())]
    words = ["curl", "-f", "-g", "-o", f"./{name}", *headers, address.url]
    return shlex.join(printable(word) for word in words)


Source = Callable[[Sink, int], int]
"""Writes the bytes that are somewhere, at most so many, and returns how many there were."""
SPARE: Final = 1 << 20
"""Bytes beyond the file's size that are taken before the transport gives up: the digest tells it first."""


def fetch(session: Session, number: int, target: Path, *, force: bool) -> int:
    """Write a delivery's file to `target`, once it is known to be the one that was sent.

    Nothing goes to standard output: bytes are handed over only when all of them have been compared.
    """
    with delivery(session, number) as (_, one):
        require_content(session, one)
        union_id = operator(session, one) if one.route is Route.DRIVE else ""
        with calling(session) as client:
            sources = _sources(client, one, union_id)
            if not sources:
                session.fail(Back.CONTENT_GONE, id=one.id, path=names.readable(one.path))
            _fetch(session, sources, one, target, force=force)
    said = Back.FETCHED if one.form is Form.PLAIN else Back.FETCHED_UNPACKED
    path = names.readable(one.path)
    click.echo(session.say(said, id=one.id, path=path, file=str(target), size=one.size))
    return 0


def _fetch(session: Session, sources: Sequence[Source], one: Sent, target: Path, *, force: bool) -> None:
    """Have the file at its place, or end the command with the reason why it is not there."""
    try:
        with verified_download.beside(target, force=force) as file, _shown(session, one) as told:
            _write(sources, one, file, told)
    except Failure as failure:
        give_up(session, Back.FETCH_FAILED, one, failure.verdict)
    except Differs:
        session.fail(Back.FETCH_DIFFERS, file=str(target), id=one.id)
    except FileExistsError:
        session.fail(Back.FETCH_EXISTS, file=str(target))
    except Taken:
        session.fail(Back.FETCH_NO_FILE, file=str(target))
    except OSError as error:
        session.fail(Back.FETCH_UNWRITABLE, file=str(target), reason=error.strerror or type(error).__name__)


def _sources(client: Client, one: Sent, union_id: str) -> list[Source]:
    """Return where its bytes are, the best first."""
    if one.route is Route.DRIVE:
        storage = client.storage(union_id)
        return [partial(_from_drive, storage, entry) for entry in one.entries]
    return [] if one.remote_id is None else [partial(_from_media, client, one.remote_id)]


def _from_drive(storage: Storage, entry: DriveEntry, into: Sink, limit: int) -> int:
    address = storage.download_address(entry.space_id, entry.entry_id)
    return storage.download(address, into, limit=limit)


def _from_media(client: Client, media_id: str, into: Sink, limit: int) -> int:
    return client.media.download(media_id, into, limit=limit)


def _write(sources: Sequence[Source], one: Sent, file: BinaryIO, told: Callable[[int], None]) -> None:
    """Write the file from the first source that has it: people may have changed or deleted their copy."""
    for source in sources:
        file.seek(0)  # never more was written than the right file has, so that it covers all of it
        try:
            _write_from(source, one, file, told)
        except (Failure, Differs) as error:
            final = isinstance(error, Failure) and not elsewhere(error.verdict)
            if final or source is sources[-1]:
                raise
        else:
            return


def _write_from(source: Source, one: Sent, file: BinaryIO, told: Callable[[int], None]) -> None:
    sink = verified_download.Compared(file, one.size, one.digest, told)
    if one.form is Form.PLAIN:
        source(sink, one.size + SPARE)
    else:
        with verified_download.unpacked(sink) as archive:
            source(archive, MEDIA_LIMIT)
    sink.require_same()


@contextmanager
def _shown(session: Session, one: Sent) -> Iterator[Callable[[int], None]]:
    """Show a bar on a terminal; yield what is told how many bytes of the file there are."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    out = Console(stderr=True)
    with Progress(*columns, console=out, disable=not out.is_terminal, transient=True) as progress:
        task = progress.add_task(session.say(Back.FETCHING), total=one.size)
        yield lambda size: progress.update(task, completed=size)


def recall(session: Session, number: int) -> int:
    """Take the message of one delivery back; the row stays as it is, and its history says so."""
    with delivery(session, number) as (store, one):
        if one.recalled_at is not None:
            click.echo(session.say(Back.RECALLED_BEFORE, id=one.id, when=local(one.recalled_at)))
            return 0
        how, key = _how(session, one, time.time())
        with calling(session) as client:
            _take_back(session, client, one, how, key)
        path, conversation = names.readable(one.path), str(one.recipient)
        click.echo(session.say(Back.RECALLED, id=one.id, path=path, conversation=conversation))
        with store.writing() as connection:
            # Read here, after the call: it may have waited long for the network, and for the ledger's lock.
            everyone = commands.record_recall(connection, one, time.time())
    if len(everyone) > 1:
        recipients = ", ".join(map(str, everyone))
        click.echo(session.say(Back.RECALLED_FROM_ALL, count=len(everyone), conversations=recipients))
    return 0


def _how(session: Session, one: Sent, now: float) -> tuple[Recall, str]:
    """Return how a message is taken back, and its key; one that cannot be ends the command without a call.

    That a group's owner can take others' messages back in DingTalk itself is unverified.
    """
    how = KINDS[one.recipient.kind].recall
    noticed = one.state is State.SKIPPED and one.upload_type == NOTICE  # the message went, the file did not
    if one.state is State.UNCERTAIN:
        session.fail(Back.RECALL_NO_KEY, id=one.id)
    if one.state is not State.SENT and not noticed:
        session.fail(Back.RECALL_NOT_SENT, id=one.id, state=one.state)
    if one.route is Route.DRIVE:
        session.fail(Back.RECALL_DRIVE, id=one.id)
    if how is None:
        session.fail(Back.RECALL_OTHER, id=one.id, conversation=str(one.recipient))
    if one.message is None:
        nothing = Back.RECALL_NO_KEY if one.state is State.SENT else Back.RECALL_NOT_SENT
        session.fail(nothing, id=one.id, state=one.state)
    if how.hours is not None and one.sent_at is not None and now - one.sent_at > how.hours * 3600:
        session.fail(Back.RECALL_OLD, id=one.id, hours=how.hours, when=local(one.sent_at))
    return how, one.message


def _take_back(session: Session, client: Client, one: Sent, how: Recall, key: str) -> None:
    try:
        result = how.call(client, one.recipient.id, key)
    except Failure as failure:
        doubtful = isinstance(failure.verdict, NoAnswer)
        text = Back.RECALL_DOUBT if doubtful else Back.RECALL_FAILED
        give_up(session, text, one, failure.verdict)
    if key not in result.done:
        session.fail(Back.RECALL_REFUSED, id=one.id, reason=result.failed.get(key, "?"))
