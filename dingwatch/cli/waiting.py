"""What the deliveries of one path wait for now, beside what their story tells."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from dingwatch import host
from dingwatch.cli.context import Session, printable
from dingwatch.cli.status import paused
from dingwatch.delivery.limits import Target
from dingwatch.delivery.state import message_api
from dingwatch.dingtalk import API_UPLOAD
from dingwatch.ledger.report import UNMAPPED, Decision, Scope
from dingwatch.lifecycle import State
from dingwatch.model import Pause
from dingwatch.service import LOCK_FILE
from dingwatch.texts import Cli

_WAITING = {str(State.PENDING): True, str(State.UPLOADED): False}
"""States in which a delivery waits, and whether its next call is the upload."""


def waits(
    session: Session, number: int | None, story: Sequence[Decision], scope: Scope, pauses: Sequence[Pause]
) -> Iterator[str]:
    """Say what holds back the deliveries of a path; `number` is its folder's (None: given to `send`)."""
    last = {one.id: one for one in story if one.after is not None}
    rows = [(one, one.conversation_id) for one in last.values() if one.after in _WAITING]
    if any(not scope.maps(number, conversation or "") for _, conversation in rows):
        yield session.advice(UNMAPPED.advice)
    mapped = [(one, conversation) for one, conversation in rows if scope.maps(number, conversation or "")]
    if mapped and host.lock_holder(session.config.state_dir / LOCK_FILE) is None:
        yield session.say(Cli.NOT_RUNNING)
    holding = {pause: None for one, _ in mapped for pause in _over(one, number, pauses)}
    yield from (printable(paused(session, pause, time.time())) for pause in holding)
    if not holding and any(one.cause is None for one, _ in mapped):
        yield session.say(Cli.WHY_TURN)


def _over(one: Decision, number: int | None, pauses: Sequence[Pause]) -> Iterator[Pause]:
    """Yield the pauses that hold back a delivery's next call, were it by the robot."""
    conversation = one.conversation_id or ""
    api = API_UPLOAD if _WAITING[str(one.after)] else message_api(conversation)
    scopes = Target(api, conversation, number).scopes()
    return (pause for pause in pauses if (pause.scope, pause.key) in scopes)
