"""`dingwatch recall`: takes a sent message back."""

from __future__ import annotations

import time
from typing import Final

import click

from dingwatch import names
from dingwatch.cli.context import Session, local
from dingwatch.cli.delivered import delivery, give_up
from dingwatch.cli.online import calling
from dingwatch.dingtalk import Client, Recalled
from dingwatch.ledger import sent
from dingwatch.ledger.sent import Sent
from dingwatch.lifecycle import State
from dingwatch.model import Failure, NoAnswer, RecipientKind, Route
from dingwatch.payload import NOTICE
from dingwatch.texts import Back

HOURS: Final = 24
"""How long a message to a person can be taken back (KB:0723); for groups KB:0725 names no limit."""


def recall(session: Session, number: int) -> int:
    """Take the message of one delivery back; the row stays as it is, and its history says so."""
    with delivery(session, number) as (store, one):
        if one.recalled_at is not None:
            click.echo(session.say(Back.RECALLED_BEFORE, id=one.id, when=local(one.recalled_at)))
            return 0
        key = _key(session, one, time.time())
        with calling(session) as client:
            _take_back(session, client, one, key)
        path, conversation = names.readable(one.path), str(one.recipient)
        click.echo(session.say(Back.RECALLED, id=one.id, path=path, conversation=conversation))
        with store.writing() as connection:
            # Read here, after the call: it may have waited long for the network, and for the ledger's lock.
            everyone = sent.recalled(connection, one, time.time())
    if len(everyone) > 1:
        recipients = ", ".join(map(str, everyone))
        click.echo(session.say(Back.RECALLED_FROM_ALL, count=len(everyone), conversations=recipients))
    return 0


def _key(session: Session, one: Sent, now: float) -> str:
    """Return DingTalk's key of a message; one that cannot be taken back ends the command, and costs no call.

    That a group's owner can take others' messages back in DingTalk itself is unverified.
    """
    kind = one.recipient.kind
    noticed = one.state is State.SKIPPED and one.upload_type == NOTICE  # the message went, the file did not
    if one.state is State.UNCERTAIN:
        session.fail(Back.RECALL_NO_KEY, id=one.id)
    if one.state is not State.SENT and not noticed:
        session.fail(Back.RECALL_NOT_SENT, id=one.id, state=one.state)
    if one.route is Route.DRIVE:
        session.fail(Back.RECALL_DRIVE, id=one.id)
    if kind not in {RecipientKind.GROUP, RecipientKind.PERSON}:
        session.fail(Back.RECALL_OTHER, id=one.id, conversation=str(one.recipient))
    if one.message is None:
        nothing = Back.RECALL_NO_KEY if one.state is State.SENT else Back.RECALL_NOT_SENT
        session.fail(nothing, id=one.id, state=one.state)
    if kind is RecipientKind.PERSON and one.sent_at is not None and now - one.sent_at > HOURS * 3600:
        session.fail(Back.RECALL_OLD, id=one.id, hours=HOURS, when=local(one.sent_at))
    return one.message


def _take_back(session: Session, client: Client, one: Sent, key: str) -> None:
    try:
        result = _asked(client, one, key)
    except Failure as failure:
        doubtful = isinstance(failure.verdict, NoAnswer)
        text = Back.RECALL_DOUBT if doubtful else Back.RECALL_FAILED
        give_up(session, text, one, failure.verdict)
    if key not in result.done:
        session.fail(Back.RECALL_REFUSED, id=one.id, reason=result.failed.get(key, "?"))


def _asked(client: Client, one: Sent, key: str) -> Recalled:
    if one.recipient.kind is RecipientKind.PERSON:
        return client.persons.recall([key])
    return client.groups.recall(conversation_id=one.recipient.id, process_query_keys=[key])
