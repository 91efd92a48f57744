"""What `check` asks DingTalk: are the credentials good, is the robot where it is to send."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from dingwatch.cli import diagnosis
from dingwatch.cli.context import Session
from dingwatch.cli.finding import Finding, Mark
from dingwatch.cli.metering import Meter
from dingwatch.config import DingTalk
from dingwatch.dingtalk import Account, Client, Host, proxy_of
from dingwatch.model import Failure, Scope
from dingwatch.service import account_of
from dingwatch.texts import Checks

MOST_SKEW: Final = 300.0
"""Seconds that the clock may be wrong. The drive's addresses live for 900 s (KB:0674), and a webhook's
signature for an hour (KB:0717): well before either, somebody should know."""


def connected(account: Account, count: Callable[[str], None]) -> Client:
    """Return a client that keeps to no pace and notes its calls by `count`: a person asked for a few."""
    return Client(
        account,
        gate=lambda _: None,
        count=count,
        sleep=lambda seconds: time.sleep(float(seconds)),
        clock=time.time,
        monotonic=time.monotonic,
    )


@contextmanager
def calling(session: Session) -> Iterator[Client]:
    """Yield a client of the configuration's app; its calls are added to the month's."""
    meter = Meter(session)
    try:
        with connected(account_of(session.config.dingtalk), meter.count) as client:
            yield client
    finally:
        meter.write()


def online(session: Session) -> Iterator[Finding]:
    """Ask for a token of each host, for the robots of each conversation, and what the operator may do."""
    with calling(session) as client:
        yield from _asked(session, client, session.config.dingtalk)


def _asked(session: Session, client: Client, dingtalk: DingTalk) -> Iterator[Finding]:
    if proxy := proxy_of(dingtalk.api_url):
        yield Finding(Mark.OK, session.say(Checks.PROXIED, proxy=proxy))
    refused = list(_tokens(session, client, dingtalk))
    yield from clock(session, client)
    if refused:
        yield from refused
        return
    yield Finding(Mark.OK, session.say(Checks.TOKEN))
    for conversation in sorted({c for folder in session.config.folders for c in folder.conversation_ids}):
        try:
            yield robot(session, client, conversation, dingtalk.robot_code)
        except Failure as failure:
            yield _unasked(session, Checks.ROBOT_UNKNOWN, failure, conversation, dingtalk)
            if failure.verdict.scope in {Scope.APP, Scope.API}:
                return  # the next call would be refused for the same
    yield from _operator(session, client, dingtalk)


def _tokens(session: Session, client: Client, dingtalk: DingTalk) -> Iterator[Finding]:
    for host in Host:
        try:
            client.fetch_token(host)
        except Failure as failure:
            url = diagnosis.address_of(host, dingtalk.api_url, dingtalk.oapi_url)
            text = diagnosis.told(session, Checks.TOKEN_BAD, failure.verdict, url, host=host)
            yield Finding(Mark.FAIL, text)
            return


def clock(session: Session, client: Client) -> Iterator[Finding]:
    """Compare this machine's clock with the date of the latest answer; say nothing when they agree."""
    ahead = client.clock_ahead
    if ahead is not None and abs(ahead) > MOST_SKEW:
        direction = session.say(Checks.AHEAD if ahead > 0 else Checks.BEHIND)
        text = session.say(Checks.CLOCK_WRONG, seconds=round(abs(ahead)), direction=direction)
        yield Finding(Mark.FAIL, text)


def robot(session: Session, client: Client, conversation: str, robot_code: str) -> Finding:
    """Say whether the robot is in a conversation; raise Failure when that cannot be known."""
    if robot_code in client.robots(conversation):
        return Finding(Mark.OK, session.say(Checks.ROBOT, conversation=conversation))
    advice = session.advice("ROBOT_IN_GROUP")
    return Finding(Mark.FAIL, session.say(Checks.ROBOT_BAD, conversation=conversation, advice=advice))


def _operator(session: Session, client: Client, dingtalk: DingTalk) -> Iterator[Finding]:
    """Ask for each conversation's own space as the operator: a billed call each, which changes nothing.

    It shows that the unionId is somebody's, and that this person is in the group. To make a space of
    dingwatch's own would show more, but `check` leaves nothing behind. That the app lacks the permission
    for this question alone is a warning: no delivery asks it.
    """
    operator = dingtalk.operator_union_id
    if operator is None:
        return
    folders = [folder for folder in session.config.folders if folder.large_files == "drive"]
    for conversation in sorted({c for folder in folders for c in folder.conversation_ids}):
        try:
            client.conversation_files(operator).space(conversation)
        except Failure as failure:
            mark = Mark.WARN if failure.verdict.cause.advice == "PERMISSION" else Mark.FAIL
            yield _unasked(session, Checks.OPERATOR_BAD, failure, conversation, dingtalk, mark)
            if failure.verdict.scope in {Scope.APP, Scope.API}:
                return
        else:
            yield Finding(Mark.OK, session.say(Checks.OPERATOR, conversation=conversation))


def _unasked(
    session: Session,
    text: Checks,
    failure: Failure,
    conversation: str,
    dingtalk: DingTalk,
    mark: Mark = Mark.FAIL,
) -> Finding:
    told = diagnosis.told(session, text, failure.verdict, dingtalk.api_url, conversation=conversation)
    return Finding(mark, told)
