"""`dingwatch link` and `fetch` get back the file of a sent delivery; `recall` takes its message back."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from dingwatch import names
from dingwatch.cli import verified_download
from dingwatch.cli.context import Session, command, option
from dingwatch.cli.ledger_access import ledger_exists, open_store, read_clock, write
from dingwatch.cli.online import advice, open_client
from dingwatch.cli.output import iso_time, local_time, printable
from dingwatch.cli.verified_download import ContentError, NotAFileError
from dingwatch.dingtalk import MEDIA_LIMIT, Client, SignedAddress, Sink, Storage
from dingwatch.ledger import Store, commands
from dingwatch.ledger.commands import DriveEntry, NotApplicableError, Sent, TakenBack
from dingwatch.lifecycle import State
from dingwatch.model import Failure, Form, MediaLost, NoAnswer, Rejected, Route, Verdict
from dingwatch.payload import NOTICE
from dingwatch.recipients import KINDS, ReadReceipts, Recall
from dingwatch.texts import Back, Cli

T = TypeVar("T")
OPEN_PERMISSION: Final = "Storage.File.Read"
"""The permission for addresses that people open (KB:0670)."""


@contextmanager
def find_delivery(session: Session, number: int) -> Iterator[tuple[Store, Sent]]:
    """Open the ledger and yield one delivery; an unknown id ends the command."""
    if not ledger_exists(session):
        session.fail(Back.UNKNOWN, id=number)
    with open_store(session) as store:
        try:
            with store.reading() as connection:
                found = commands.find_sent(connection, number)
        except NotApplicableError:
            session.fail(Back.UNKNOWN, id=number)
        yield store, found


class MessageTexts(NamedTuple):
    """The reasons why nothing can be done with the message of a delivery."""

    not_sent: Back
    no_key: Back
    no_key_of_notice: Back
    drive: Back
    other: Back
    old: Back


How = TypeVar("How", Recall, ReadReceipts)


def require_message(
    session: Session, one: Sent, how: How | None, texts: MessageTexts, now: float
) -> tuple[How, str]:
    """Return how to act on a delivery's message, and its key; a reason against it ends the command."""
    noticed = one.state is State.SKIPPED and one.upload_type == NOTICE  # the message went, the file did not
    if one.state is State.UNCERTAIN:
        session.fail(texts.no_key, id=one.id)
    if one.state is not State.SENT and not noticed:
        session.fail(texts.not_sent, id=one.id, state=one.state)
    if one.route is Route.DRIVE:
        session.fail(texts.drive, id=one.id)
    if how is None:
        session.fail(texts.other, id=one.id, conversation=str(one.recipient))
    if one.message is None:
        nothing = texts.no_key if one.state is State.SENT else texts.no_key_of_notice
        session.fail(nothing, id=one.id, state=one.state)
    if how.hours is not None and one.sent_at is not None and now - one.sent_at > how.hours * 3600:
        session.fail(texts.old, id=one.id, hours=how.hours, when=local_time(one.sent_at))
    return how, one.message


def _require_content(session: Session, one: Sent) -> None:
    """End the command if DingTalk never got the file."""
    if one.state not in {State.SENT, State.UNCERTAIN}:
        session.fail(Back.NOT_SENT, id=one.id, state=one.state)
    if one.upload_type == NOTICE:
        session.fail(Back.NOTICE_ONLY, id=one.id)


def _try_next(verdict: Verdict) -> bool:
    """Return whether another copy may exist: this one is gone, or the operator may not read it."""
    return isinstance(verdict, Rejected | MediaLost) or verdict.cause.advice == "OPERATOR"


def _operator(session: Session, one: Sent) -> str:
    """Return whose rights the drive is used with; without an operator the command ends."""
    union_id = session.config.dingtalk.operator_union_id
    if union_id is None:
        session.fail(Back.NO_OPERATOR, id=one.id)
    return union_id


# --- link ------------------------------------------------------------------------------------------


@command(secret_needed=True)
@click.argument("delivery", type=int, metavar="ID")
@option(Back.OPT_OPEN, "--open", "opens", is_flag=True)
@option(Cli.OPT_JSON, "--json", "as_json", is_flag=True)
def link(session: Session, *, delivery: int, opens: bool, as_json: bool) -> int:
    """Print a download address with the headers that it needs (KB:0678), and when it expires.

    With `opens` print an address that people open in a browser or DingTalk (KB:0670), which names no expiry.
    Both lead to the conversation's own copy; if that is gone, to the entry of the upload.
    """
    with find_delivery(session, delivery) as (_, one):
        _require_content(session, one)
        if one.route is not Route.DRIVE:
            session.fail(Back.LINK_MEDIA, id=one.id)
        union_id = _operator(session, one)
        if not one.entries:
            session.fail(Back.CONTENT_GONE, id=one.id, path=names.readable(one.place))
        try:
            with open_client(session) as client:
                storage = client.storage(union_id)
                if opens:
                    url = _of_first(storage.open_address, one.entries)
                else:
                    address = _of_first(storage.download_address, one.entries)
        except Failure as failure:
            told = advice(session, failure.verdict.cause, session.config.dingtalk.api_url, OPEN_PERMISSION)
            text = Back.OPEN_FAILED if opens else Back.LINK_FAILED
            session.fail(text, failure.verdict.cause, id=one.id, advice=told)
    if opens:
        click.echo(_open_json(one, url) if as_json else _open_text(session, one, url))
    else:
        click.echo(_json(one, address) if as_json else _text(session, one, address))
    return 0


def _of_first(ask: Callable[[str, str], T], entries: Sequence[DriveEntry]) -> T:
    """Return what is answered about the first entry that is there and may be read."""
    first, *others = entries
    try:
        return ask(first.space_id, first.entry_id)
    except Failure as failure:
        if not others or not _try_next(failure.verdict):
            raise
    return _of_first(ask, others)


def _open_json(one: Sent, url: str) -> str:
    values = {"id": one.id, "path": names.readable(one.path), "size": one.size, "open_url": url}
    return json.dumps({**values, "expires_at": None}, ensure_ascii=False)


def _open_text(session: Session, one: Sent, url: str) -> str:
    """Return a comment that says what it is, and the address on a line of its own."""
    comment = session.render(Back.OPEN_ADDRESS, path=names.readable(one.path), size=one.size)
    return f"# {comment}\n{url}"


def _json(one: Sent, address: SignedAddress) -> str:
    values = {
        "id": one.id,
        "path": names.readable(one.path),
        "size": one.size,
        "sha256": one.digest,
        "url": address.url,
        "headers": dict(address.headers),
        "expires_at": iso_time(address.expires_at),
    }
    return json.dumps(values, ensure_ascii=False)


def _text(session: Session, one: Sent, address: SignedAddress) -> str:
    """Return lines for a shell: a comment that says what it is, and the command that gets it."""
    until, path = local_time(address.expires_at), names.readable(one.path)
    return (
        f"# {session.render(Back.LINK_UNTIL, path=path, size=one.size, until=until)}\n{_curl(one, address)}"
    )


def _curl(one: Sent, address: SignedAddress) -> str:
    name = names.displayed_name(one.path.rpartition(b"/")[2])
    # DingTalk hands out headers without a value, such as Content-Type. `-H Name:` has curl send none.
    headers = [word for pair in address.headers.items() for word in ("-H", ": ".join(pair).rstrip())]
    words = ["curl", "-f", "-g", "-o", f"./{name}", *headers, address.url]
    return shlex.join(printable(word) for word in words)


# --- fetch -----------------------------------------------------------------------------------------

Source = Callable[[Sink, int], int]
"""Downloads into a sink, at most so many bytes, and returns how many there were."""
SPARE: Final = 1 << 20
"""Bytes beyond the file's size that are downloaded, so that a longer file is reported as a different one."""


@command(secret_needed=True)
@click.argument("delivery", type=int, metavar="ID")
@option(
    Back.OPT_OUT, "-o", "--output", "target", required=True, metavar="FILE", type=click.Path(path_type=Path)
)
@option(Back.OPT_FORCE, "--force", is_flag=True)
def fetch(session: Session, *, delivery: int, target: Path, force: bool) -> int:
    """Write a delivery's file to `target` when all of it has been compared with the digest that was sent.

    Standard output is no target: what was piped on cannot be taken back when the digest turns out wrong.
    """
    with find_delivery(session, delivery) as (_, one):
        _require_content(session, one)
        union_id = _operator(session, one) if one.route is Route.DRIVE else ""
        with open_client(session) as client:
            sources = _sources(client, one, union_id)
            if not sources:
                session.fail(Back.CONTENT_GONE, id=one.id, path=names.readable(one.place))
            _download(session, sources, one, target, force=force)
    text = Back.FETCHED if one.form is Form.PLAIN else Back.FETCHED_UNPACKED
    if one.bundle is not None:
        text = Back.FETCHED_FROM_BUNDLE
    path = names.readable(one.path)
    click.echo(session.render(text, id=one.id, path=path, file=str(target), size=one.size))
    return 0


def _download(session: Session, sources: Sequence[Source], one: Sent, target: Path, *, force: bool) -> None:
    """Put the file in its place, or end the command with the reason why not."""
    try:
        with verified_download.beside(target, force=force) as file, _progress(session, one) as report:
            _write(sources, one, file, report)
    except Failure as failure:
        session.fail(Back.FETCH_FAILED, failure.verdict.cause, id=one.id)
    except ContentError:
        session.fail(Back.FETCH_DIFFERS, file=str(target), id=one.id)
    except FileExistsError:
        session.fail(Back.FETCH_EXISTS, file=str(target))
    except NotAFileError:
        session.fail(Back.FETCH_NO_FILE, file=str(target))
    except OSError as error:
        session.fail(Back.FETCH_UNWRITABLE, file=str(target), reason=error.strerror or type(error).__name__)


def _sources(client: Client, one: Sent, union_id: str) -> list[Source]:
    """Return where to download the file from, the best source first."""
    if one.route is Route.DRIVE:
        storage = client.storage(union_id)
        return [partial(_from_drive, storage, entry) for entry in one.entries]
    return [] if one.remote_id is None else [partial(_from_media, client, one.remote_id)]


def _from_drive(storage: Storage, entry: DriveEntry, into: Sink, limit: int) -> int:
    address = storage.download_address(entry.space_id, entry.entry_id)
    return storage.download(address, into, limit=limit)


def _from_media(client: Client, media_id: str, into: Sink, limit: int) -> int:
    return client.media.download(media_id, into, limit=limit)


def _write(sources: Sequence[Source], one: Sent, file: BinaryIO, report: Callable[[int], None]) -> None:
    """Write the file from the first source that has it: members may change or delete the group's copy."""
    for source in sources:
        # A source that failed wrote no more bytes than the right file has: the next overwrites them all.
        file.seek(0)
        try:
            _write_from(source, one, file, report)
        except (Failure, ContentError) as error:
            final = isinstance(error, Failure) and not _try_next(error.verdict)
            if final or source is sources[-1]:
                raise
        else:
            return


def _write_from(source: Source, one: Sent, file: BinaryIO, report: Callable[[int], None]) -> None:
    sink = verified_download.VerifyingWriter(file, one.size, one.digest, report)
    if one.bundle is not None:
        with verified_download.unpacking_one(sink, one.size, one.digest) as archive:
            source(archive, MEDIA_LIMIT)
    elif one.form is Form.PLAIN:
        source(sink, one.size + SPARE)
    else:
        with verified_download.unpacking(sink) as archive:
            source(archive, MEDIA_LIMIT)
    sink.verify()


@contextmanager
def _progress(session: Session, one: Sent) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on a terminal; yield the function that sets how many bytes have arrived."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    out = Console(stderr=True)
    with Progress(*columns, console=out, disable=not out.is_terminal, transient=True) as progress:
        task = progress.add_task(session.render(Back.FETCHING), total=one.size)
        yield lambda size: progress.update(task, completed=size)


# --- recall ----------------------------------------------------------------------------------------


@command(secret_needed=True)
@click.argument("delivery", type=int, metavar="ID")
def recall(session: Session, *, delivery: int) -> int:
    """Recall the message of one delivery. Its state stays `sent`; its history says that it was recalled."""
    with find_delivery(session, delivery) as (store, one):
        if one.recalled_at is not None:
            click.echo(session.render(Back.RECALLED_BEFORE, id=one.id, when=local_time(one.recalled_at)))
            return 0
        # That a group's owner can recall others' messages in DingTalk itself is unverified.
        kind = KINDS[one.recipient.kind]
        how, key = require_message(session, one, kind.recall, _RECALL_TEXTS, time.time())
        with open_client(session) as client:
            _take_back(session, client, one, how, key)
        path, conversation = names.readable(one.path), str(one.recipient)
        click.echo(session.render(Back.RECALLED, id=one.id, path=path, conversation=conversation))
        taken = write(session, partial(_record_recall, store, one))
    if taken.files > 1:
        click.echo(session.render(Back.RECALLED_BUNDLE, count=taken.files))
    if len(taken.recipients) > 1:
        recipients = ", ".join(session.name_of(str(recipient)) for recipient in taken.recipients)
        count = len(taken.recipients)
        click.echo(session.render(Back.RECALLED_FROM_ALL, count=count, conversations=recipients))
    return 0


def _record_recall(store: Store, one: Sent) -> TakenBack:
    with store.writing() as connection:
        # The clock is read after the call and the ledger's lock, either of which may have waited long.
        return commands.record_recall(connection, one, read_clock(store))


_RECALL_TEXTS: Final = MessageTexts(
    not_sent=Back.RECALL_NOT_SENT,
    no_key=Back.RECALL_NO_KEY,
    no_key_of_notice=Back.RECALL_NOT_SENT,
    drive=Back.RECALL_DRIVE,
    other=Back.RECALL_OTHER,
    old=Back.RECALL_OLD,
)


def _take_back(session: Session, client: Client, one: Sent, how: Recall, key: str) -> None:
    try:
        result = how.call(client, one.recipient.id, key)
    except Failure as failure:
        text = Back.RECALL_DOUBT if isinstance(failure.verdict, NoAnswer) else Back.RECALL_FAILED
        session.fail(text, failure.verdict.cause, id=one.id)
    if key not in result.done:
        session.fail(Back.RECALL_REFUSED, id=one.id, reason=result.failed.get(key, "?"))
