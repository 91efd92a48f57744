"""Which pauses hold a delivery back, and which of them only a person can end. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from dingwatch.delivery.limits import APP
from dingwatch.dingtalk import API_COMMIT, API_PARTS_BEGIN, API_PUT, API_UPLOAD, API_UPLOAD_INFO
from dingwatch.ledger.delivery import Delivery
from dingwatch.lifecycle import State
from dingwatch.model import Pause, Route, Scope
from dingwatch.recipients import recipient_kind

_UPLOAD_APIS: Final = {
    Route.ROBOT: (API_UPLOAD,),
    Route.DRIVE: (API_UPLOAD_INFO, API_PARTS_BEGIN, API_PUT, API_COMMIT),
}
_QUOTAS: Final = frozenset({"QUOTA", "WEBHOOK_QUOTA"})
"""Advice of pauses that last until the next month: nobody waits that long at a terminal."""


def list_blocking(row: Delivery, pauses: Iterable[Pause]) -> list[Pause]:
    """Return the pauses under which a delivery's next upload or message would fall, or one after it."""
    apis = [recipient_kind(row.recipient).api_by(row.route)]
    if row.state in {State.PENDING, State.UPLOADING}:
        apis += _UPLOAD_APIS[row.route]
    keys = {(Scope.APP, APP), (Scope.CONVERSATION, row.recipient), *((Scope.API, api) for api in apis)}
    if row.folder is not None:
        keys.add((Scope.FOLDER, str(row.folder)))
    return [pause for pause in pauses if (pause.scope, pause.key) in keys]


def needs_a_person(pause: Pause) -> bool:
    """Return whether a pause does not end by itself within hours, as outages and throttling do."""
    return not pause.by_token and (not pause.fixed or pause.cause.advice in _QUOTAS)
