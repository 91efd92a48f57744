"""`dingwatch fetch`: the bytes of what was sent, back from DingTalk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from dingwatch import names
from dingwatch.cli import verified_download
from dingwatch.cli.context import Session
from dingwatch.cli.delivered import delivery, elsewhere, give_up, operator, require_content
from dingwatch.cli.online import calling
from dingwatch.cli.verified_download import Differs, Taken
from dingwatch.dingtalk import MEDIA_LIMIT, Client, Sink, Storage
from dingwatch.ledger.sent import Place, Sent
from dingwatch.model import Failure, Form, Route
from dingwatch.texts import Back

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
        return [partial(_from_drive, storage, place) for place in one.places]
    return [] if one.media_id is None else [partial(_from_media, client, one.media_id)]


def _from_drive(storage: Storage, place: Place, into: Sink, limit: int) -> int:
    address = storage.download_address(place.space_id, place.entry_id)
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
