"""The access tokens: one for each host, fetched by one thread at a time, renewed ahead of their end."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from dingwatch.dingtalk.apis import Host
from dingwatch.model import Failure, Verdict

RENEW_AHEAD: Final = 600.0
"""Seconds before its end at which a token is renewed, as DingTalk advises (KB:0033)."""
LONGEST_LIFE: Final = 86400.0
"""DingTalk says 7,200 s; a wild number must not make a token that is never renewed."""

REMEMBERED: Final = 4
"""Tokens of each host that are still known after they were replaced or refused."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token, usable without another look until the wall clock says `fresh_until`."""

    value: str = field(repr=False)
    fresh_until: float


class _Slot:
    """What is known of one host's token, and how the last fetch ended."""

    def __init__(self) -> None:
        self.fetching = threading.Lock()
        self.token: Token | None = None
        self.ended = 0
        self.verdict: Verdict | None = None
        self.values: deque[str] = deque(maxlen=REMEMBERED)


class Tokens:
    """A cache for each host. `fetch` gets a value and its lifetime in seconds, or raises Failure."""

    def __init__(self, fetch: Callable[[Host], tuple[str, float]], clock: Callable[[], float]) -> None:
        self._fetch = fetch
        self._clock = clock
        self._slots = {host: _Slot() for host in Host}

    def cached(self, host: Host) -> Token | None:
        """Return the token if it is fresh; asks nobody and waits for nobody."""
        token = self._slots[host].token
        return token if token is not None and self._clock() < token.fresh_until else None

    def renew(self, host: Host, *, force: bool = False) -> None:
        """Fetch a token, unless a fresh one is there.

        Who comes while another thread is fetching waits for it and shares what came of it, a failure
        too: an outage must not be asked after once for each worker.
        """
        slot = self._slots[host]
        before = slot.ended
        with slot.fetching:
            if slot.ended == before:
                if force or self.cached(host) is None:
                    self._renew(host, slot)
            elif slot.verdict is not None:
                raise Failure(slot.verdict)

    def _renew(self, host: Host, slot: _Slot) -> None:
        asked = self._clock()
        slot.verdict = None
        try:
            value, life = self._fetch(host)
        except Failure as failure:
            slot.verdict = failure.verdict
            raise
        finally:
            slot.ended += 1
        life = min(life, LONGEST_LIFE)
        slot.values.append(value)
        slot.token = Token(value, asked + life - min(RENEW_AHEAD, life / 2))

    def forget(self, host: Host, refused: Token) -> None:
        """Drop a refused token, unless it has been replaced meanwhile."""
        slot = self._slots[host]
        with slot.fetching:
            if slot.token is refused:
                slot.token = None

    def known(self) -> tuple[str, ...]:
        """Return the latest values, to be kept out of messages: a late answer may repeat one of before."""
        return tuple(value for slot in self._slots.values() for value in tuple(slot.values))
