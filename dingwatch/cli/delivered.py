"""What commands about one delivery share: the delivery itself, and how they give it up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from dingwatch.cli.context import Session
from dingwatch.ledger import Store, sent
from dingwatch.ledger.commands import NotApplicable
from dingwatch.ledger.sent import Sent
from dingwatch.lifecycle import State
from dingwatch.model import MediaLost, Rejected, Verdict
from dingwatch.payload import NOTICE
from dingwatch.texts import Back, Text


@contextmanager
def delivery(session: Session, number: int) -> Iterator[tuple[Store, Sent]]:
    """Open the ledger and yield one delivery; an id that nobody knows ends the command."""
    if not session.ledger_exists:
        session.fail(Back.UNKNOWN, id=number)
    with session.store() as store:
        try:
            with store.reading() as connection:
                found = sent.find(connection, number)
        except NotApplicable:
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
