"""What `check` asks DingTalk: are the credentials good, is the robot where it is to send."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress

from dingwatch import quota
from dingwatch.cli.context import Session
from dingwatch.cli.finding import Finding, Mark, failed_text
from dingwatch.dingtalk import Account, Client, Host
from dingwatch.ledger import LedgerError, Store, calls
from dingwatch.model import Failure
from dingwatch.service import ledger_url
from dingwatch.texts import Checks


def online(session: Session) -> Iterator[Finding]:
    """Ask for a token of each host, and for the robots of each conversation."""
    dingtalk = session.config.dingtalk
    account = Account(
        dingtalk.client_id, dingtalk.client_secret, dingtalk.robot_code, dingtalk.api_url, dingtalk.oapi_url
    )
    made: Counter[str] = Counter()
    client = Client(
        account,
        gate=lambda _: None,
        count=lambda api: made.update([api]),
        sleep=lambda seconds: time.sleep(float(seconds)),
        clock=time.time,
        monotonic=time.monotonic,
    )
    try:
        with client:
            yield from _asked(session, client)
    finally:
        _meter(session, made)


def _meter(session: Session, made: Counter[str]) -> None:
    """Add the calls to the month's, where there is a ledger to add them to."""
    if not session.ledger_served or not session.ledger_exists:
        return
    # What `check` has found out is worth more than its own calls: a full disk must not end it.
    with (
        suppress(LedgerError),
        closing(Store.open(ledger_url(session.config))) as store,
        store.writing() as connection,
    ):
        calls.count(store, connection, quota.day(time.time()), made)


def _asked(session: Session, client: Client) -> Iterator[Finding]:
    for host in Host:
        try:
            client.fetch_token(host)
        except Failure as failure:
            yield Finding(Mark.FAIL, failed_text(session, Checks.TOKEN_BAD, failure.verdict, host=host))
            return
    yield Finding(Mark.OK, session.say(Checks.TOKEN))
    conversations = {c for folder in session.config.folders for c in folder.conversation_ids}
    for conversation in sorted(conversations):
        yield _robot(session, client, conversation)


def _robot(session: Session, client: Client, conversation: str) -> Finding:
    try:
        robots = client.robots(conversation)
    except Failure as failure:
        text = failed_text(session, Checks.ROBOT_UNKNOWN, failure.verdict, conversation=conversation)
        return Finding(Mark.FAIL, text)
    if session.config.dingtalk.robot_code not in robots:
        advice = session.advice("ROBOT_IN_GROUP")
        return Finding(Mark.FAIL, session.say(Checks.ROBOT_BAD, conversation=conversation, advice=advice))
    return Finding(Mark.OK, session.say(Checks.ROBOT, conversation=conversation))
