"""`dingwatch link`: where the bytes of what went by the drive can be had, for some minutes."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence

import click

from dingwatch import names
from dingwatch.cli.context import Session, local, printable
from dingwatch.cli.delivered import delivery, elsewhere, give_up, operator, require_content
from dingwatch.cli.online import calling
from dingwatch.cli.status import instant
from dingwatch.dingtalk import SignedAddress, Storage
from dingwatch.ledger.sent import Place, Sent
from dingwatch.model import Failure, Route
from dingwatch.texts import Back


def link(session: Session, number: int, *, as_json: bool) -> int:
    """Print an address, with the headers without which it opens nothing (KB:0678), and until when it holds.

    It is that of the conversation's own copy; where that cannot be had, of the entry of its upload.
    """
    with delivery(session, number) as (_, one):
        require_content(session, one)
        if one.route is not Route.DRIVE:
            session.fail(Back.LINK_MEDIA, id=one.id)
        union_id = operator(session, one)
        if not one.places:
            session.fail(Back.CONTENT_GONE, id=one.id, path=names.readable(one.path))
        try:
            with calling(session) as client:
                address = _address(client.storage(union_id), one.places)
        except Failure as failure:
            give_up(session, Back.LINK_FAILED, one, failure.verdict)
    click.echo(_json(one, address) if as_json else _text(session, one, address))
    return 0


def _address(storage: Storage, places: Sequence[Place]) -> SignedAddress:
    first, *others = places
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
