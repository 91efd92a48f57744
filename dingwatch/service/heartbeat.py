"""The heartbeat: an address that is called every minute, so that somebody hears it when the calls end.

Alerts cannot tell that the machine is down, and a service that hangs tells nobody. A monitoring service that
misses the calls does: healthchecks.io, uptime-kuma, or what takes calls as one of them does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from dingwatch.dingtalk.transport import Timeouts, Transport
from dingwatch.model import Cause, Failure, Verdict
from dingwatch.service.canary import FRESH_SECONDS, Health
from dingwatch.texts import Log

SECONDS: Final = 60.0
"""From one call to the next."""
TIMEOUTS: Final = Timeouts(connect=10.0, read=10.0, answer=10.0)
_PUSH: Final = "/api/push/"
_SUCCESS: Final = range(200, 300)


def failing_address(address: str) -> str:
    """Return the address that reports a failure.

    uptime-kuma takes `status=down` in the query of `/api/push/…`, healthchecks.io `/fail` after the path.
    """
    parts = urlsplit(address)
    if _PUSH in parts.path:
        query = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True)]
        others = [(name, value) for name, value in query if name not in {"status", "msg"}]
        return urlunsplit(parts._replace(query=urlencode([("status", "down"), *others]), fragment=""))
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/fail", fragment=""))


class Heartbeat:
    """Calls the address once a minute. Nothing is opened before the first call."""

    def __init__(
        self, address: Callable[[], str | None], health: Callable[[], Health], log: Callable[..., None]
    ) -> None:
        self._address = address
        self._health = health
        self._log = log
        self._transport: Transport | None = None
        self._failing = False

    def run(self, stop: threading.Event) -> None:
        """Call until stopped, whenever there is an address; the first time when a canary has come back."""
        begun = time.monotonic()
        while self._health().passed_at is None and time.monotonic() - begun < FRESH_SECONDS:
            if stop.wait(SECONDS / 60.0):
                return
        while not stop.is_set():
            began = time.monotonic()
            if address := self._address():
                self.beat(address)
            stop.wait(max(SECONDS - (time.monotonic() - began), 0.0))
        if self._transport is not None:
            self._transport.close()

    def beat(self, address: str) -> None:
        """Make one call; a failure is logged, without the address."""
        well = self._health().is_good(time.monotonic())
        try:
            self._call(address if well else failing_address(address))
        except Failure as failure:
            self._failing = True
            self._log(Log.HEARTBEAT_FAILED, **failure.verdict.cause.log_values())
            return
        if self._failing:
            self._failing = False
            self._log(Log.HEARTBEAT_BACK)

    def _call(self, address: str) -> None:
        if self._transport is None:
            self._transport = Transport(pool=1, clock=time.time, timeouts=TIMEOUTS, monotonic=time.monotonic)
        answer = self._transport.exchange("GET", address, {}, None, silence=TIMEOUTS.read)
        if answer.status not in _SUCCESS:  # a redirect would lead to where nobody meant the address to go
            raise Failure(Verdict(Cause(f"HTTP {answer.status}", "", "")))
