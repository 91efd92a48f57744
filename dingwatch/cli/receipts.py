"""`dingwatch receipts`: who has read the message of a delivery."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import click

from dingwatch import names
from dingwatch.cli.context import Session, command, option
from dingwatch.cli.fetch import MessageTexts, find_delivery, require_message
from dingwatch.cli.online import advice, open_client
from dingwatch.dingtalk import Client
from dingwatch.ledger.commands import Sent
from dingwatch.model import Failure
from dingwatch.recipients import KINDS, ReadReceipts, person
from dingwatch.texts import Back, Cli

PATIENT: Final = 600.0
"""Seconds after a send within which DingTalk may have no data about it yet."""
SEND_PERMISSION: Final = "qyapi_robot_sendmsg"
"""The permission to ask who has read a message (KB:0720, KB:0722)."""
EXPIRED: Final = "processQueryKey.expireTime"
"""DingTalk's code for data that is not there yet, or no more."""


@dataclass(frozen=True, slots=True)
class _Question:
    """A message that can be asked about: its delivery, how, and its key."""

    one: Sent
    how: ReadReceipts
    key: str
    recent: bool
    """Whether it was sent so lately that DingTalk may have no data yet."""


@dataclass(slots=True)
class _Readers:
    """The readers of a message, by user ids; `unread` is None where DingTalk does not say."""

    status: str = ""
    read: list[str] = field(default_factory=list)
    unread: list[str] | None = None
    names: dict[str, str] = field(default_factory=dict)
    more: bool = False


@command(secret_needed=True)
@click.argument("delivery", type=int, metavar="ID")
@option(Back.OPT_ALL, "--all", "whole", is_flag=True)
@option(Cli.OPT_JSON, "--json", "as_json", is_flag=True)
def receipts(session: Session, *, delivery: int, whole: bool, as_json: bool) -> int:
    """Print who has read the robot's message of one delivery, by name where the permission allows."""
    with find_delivery(session, delivery) as (_, one):
        question = _make_question(session, one, time.time())
    said = Back.RECEIPTS_COST_RECENT if question.recent else Back.RECEIPTS_COST
    click.echo(session.render(said), err=True)
    with open_client(session) as client:
        found = _ask(session, client, question, whole=whole)
        if found.status == "RECALLED":
            session.fail(Back.RECEIPTS_RECALLED, id=one.id)
        _name(session, client, found)
    click.echo(_json(one, found) if as_json else "\n".join(_lines(session, one, found)))
    return 0


_TEXTS: Final = MessageTexts(
    not_sent=Back.RECEIPTS_NOT_SENT,
    no_key=Back.RECEIPTS_NO_KEY,
    no_key_of_notice=Back.RECEIPTS_NO_KEY,
    drive=Back.RECEIPTS_DRIVE,
    other=Back.RECEIPTS_OTHER,
    old=Back.RECEIPTS_OLD,
)


def _make_question(session: Session, one: Sent, now: float) -> _Question:
    """Return how to ask about a message; the command ends where DingTalk cannot be asked."""
    if one.recalled_at is not None:
        session.fail(Back.RECEIPTS_RECALLED, id=one.id)
    how, key = require_message(session, one, KINDS[one.recipient.kind].receipts, _TEXTS, now)
    recent = one.sent_at is None or now - one.sent_at < PATIENT
    return _Question(one, how, key, recent)


def _ask(session: Session, client: Client, question: _Question, *, whole: bool) -> _Readers:
    """Ask who has read a message: one page of 200 readers, or `whole`."""
    one, found, page = question.one, _Readers(), ""
    try:
        while True:
            patient = question.recent and not page
            status = question.how.ask(client, one.recipient.id, question.key, page, patient)
            found.status = status.status
            found.read += status.read_by
            found.unread = None if status.unread_by is None else list(status.unread_by)
            found.names |= {user_id: name for user_id, name in status.names.items() if name}
            page = status.next_page
            found.more = bool(page)
            if not page or not whole:
                return found
    except Failure as failure:
        cause = failure.verdict.cause
        if cause.code == EXPIRED:
            session.fail(Back.RECEIPTS_EARLY if question.recent else Back.RECEIPTS_EXPIRED, id=one.id)
        told = advice(session, cause, session.config.dingtalk.api_url, SEND_PERMISSION)
        session.fail(Back.RECEIPTS_FAILED, cause, id=one.id, advice=told)


# --- Names -----------------------------------------------------------------------------------------


def _name(session: Session, client: Client, found: _Readers) -> None:
    """Find the names of all persons: by aliases, else one free call for each (KB:1432)."""
    for user_id in (*found.read, *(found.unread or ())):
        word = person(user_id)
        if (alias := session.name_of(word)) != word:
            found.names[user_id] = alias
    for user_id in [one for one in found.read if one not in found.names]:
        try:
            name = client.contacts.name(user_id)
        except Failure as failure:
            cause = failure.verdict.cause
            told = advice(session, cause, session.config.dingtalk.oapi_url, "qyapi_get_member")
            click.echo(session.render(Back.RECEIPTS_NAMELESS, cause, advice=told), err=True)
            return  # the others would be refused as well
        if name:
            found.names[user_id] = name


# --- Output ----------------------------------------------------------------------------------------


def _json(one: Sent, found: _Readers) -> str:
    def listed(persons: Sequence[str]) -> list[dict[str, str | None]]:
        return [{"user_id": user_id, "name": found.names.get(user_id)} for user_id in persons]

    values = {
        "id": one.id,
        "path": names.readable(one.path),
        "conversation_id": str(one.recipient),
        "status": found.status,
        "read": listed(found.read),
        "unread": None if found.unread is None else listed(found.unread),
        "more": found.more,
    }
    return json.dumps(values, ensure_ascii=False)


def _lines(session: Session, sent: Sent, found: _Readers) -> list[str]:
    def describe(user_id: str) -> str:
        name = found.names.get(user_id)
        return user_id if name is None else f"{name} ({user_id})"

    path, recipient = names.readable(sent.path), session.name_of(str(sent.recipient))
    count = len(found.read)
    lines = [session.render(Back.RECEIPTS, id=sent.id, path=path, recipient=recipient, count=count)]
    if found.status == "PROCESSING":
        lines.append(session.render(Back.RECEIPTS_PROCESSING))
    lines += [session.render(Back.RECEIPTS_READ, person=describe(one)) for one in found.read]
    if found.more:
        lines.append(session.render(Back.RECEIPTS_MORE, id=sent.id))
    if found.unread is None:
        lines.append(session.render(Back.RECEIPTS_UNREAD_UNKNOWN))
    else:
        lines += [session.render(Back.RECEIPTS_UNREAD, person=describe(one)) for one in found.unread]
    return lines
