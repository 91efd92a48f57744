"""Calls of one account: fetch a token for each host, and make each call with the right one."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

from tenacity import wait_fixed

from dingwatch.dingtalk import answers
from dingwatch.dingtalk.apis import API_TOKEN, Host
from dingwatch.dingtalk.channel import ACCEPT, JSON, Call, Channel, json_body
from dingwatch.dingtalk.codes import NotGenerated
from dingwatch.model import Cause, Failure, Misconfigured, NoAnswer, NotReached, Scope, TokenRejected, Verdict

T = TypeVar("T")
Members = Mapping[str, Any]
RENEW_AHEAD: Final = 600.0
"""Seconds before its end at which a token is renewed, as DingTalk recommends (KB:0033)."""
LONGEST_LIFE: Final = 86400.0
"""Seconds after which a token is renewed, however long DingTalk says that it lives (7,200)."""
REMEMBERED: Final = 4
"""Tokens of each host that are still redacted after they were replaced."""


@dataclass(frozen=True, slots=True)
class Account:
    """An app of an organisation, and DingTalk's addresses, without a slash at their end.

    An app that belongs to the organisation has its client id as its robot code (KB:0716).
    """

    client_id: str
    client_secret: str = field(repr=False)
    robot_code: str
    api_url: str = "https://api.dingtalk.com"
    oapi_url: str = "https://oapi.dingtalk.com"


@dataclass(frozen=True, slots=True)
class Token:
    """A token, to be used until the wall clock says `fresh_until`."""

    value: str = field(repr=False)
    fresh_until: float


class _Slot:
    """One host's token, and how its last fetch ended."""

    def __init__(self) -> None:
        self.fetching = threading.Lock()
        self.token: Token | None = None
        self.ended = 0
        self.verdict: Verdict | None = None
        self.values: deque[str] = deque(maxlen=REMEMBERED)


class Tokens:
    """A token for each host; `fetch` returns a value and its lifetime in seconds, or raises Failure."""

    def __init__(self, fetch: Callable[[Host], tuple[str, float]], clock: Callable[[], float]) -> None:
        self._fetch = fetch
        self._clock = clock
        self._slots = {host: _Slot() for host in Host}

    def peek(self, host: Host) -> Token | None:
        """Return the token if it is fresh, without a call and without waiting for one."""
        token = self._slots[host].token
        return token if token is not None and self._clock() < token.fresh_until else None

    def renew(self, host: Host, *, force: bool = False) -> None:
        """Fetch a token, unless a fresh one is there.

        A thread that comes while another fetches waits and shares the result, also a failure: in an outage
        the workers must not ask one after the other.
        """
        slot = self._slots[host]
        before = slot.ended
        with slot.fetching:
            # A count that moved while this thread waited means that another one has just asked.
            if slot.ended == before:
                if force or self.peek(host) is None:
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
        # Counted from before the call, whose answer may take long; a token of short life serves half of it.
        slot.values.append(value)
        slot.token = Token(value, asked + life - min(RENEW_AHEAD, life / 2))

    def forget(self, host: Host, refused: Token) -> None:
        """Drop a refused token, unless another thread has replaced it."""
        slot = self._slots[host]
        # Several calls in flight are refused together: the late ones must not drop the renewed token.
        with slot.fetching:
            if slot.token is refused:
                slot.token = None

    def values(self) -> tuple[str, ...]:
        """Return the latest tokens, to be redacted: a late answer may quote one that was replaced."""
        return tuple(value for slot in self._slots.values() for value in tuple(slot.values))


class Session:
    """One account's calls, for the classes that know the APIs."""

    def __init__(self, account: Account, channel: Channel) -> None:
        self.account = account
        self.channel = channel
        self.tokens = Tokens(self._fetch, channel.clock)
        channel.hide(lambda: (account.client_secret, *self.tokens.values()))

    # --- Calls ---------------------------------------------------------------------------------

    def post(
        self,
        path: str,
        api: str,
        body: Mapping[str, object],
        query: Mapping[str, str] | None = None,
        *,
        renew: bool = True,
    ) -> Members:
        """Post JSON to the new host, the token in its header; repeat it only with a new token.

        With `renew=False` no token is fetched either: if none is fresh, or DingTalk refuses it, that is a
        TokenRejected.
        """
        url = self._url(path, query)

        def call(token: str) -> Members:
            headers = {**JSON, "x-acs-dingtalk-access-token": token}
            return self.channel.ask(Host.API, Call(api, "POST", url, headers, json_body(body)))

        return self.with_token(Host.API, call, renew=renew)

    def ask(
        self, path: str, api: str, body: Mapping[str, object], query: Mapping[str, str] | None = None
    ) -> Members:
        """Post to the new host a call that changes nothing, or the same thing each time; repeated."""
        return self.channel.repeat(lambda: self.post(path, api, body, query), NotReached, NoAnswer)

    def get(self, path: str, api: str, query: Mapping[str, str]) -> Members:
        """Get from the new host; repeated."""
        return self._call("GET", path, api, query)

    def delete(self, path: str, api: str, query: Mapping[str, str]) -> Members:
        """Delete on the new host; repeated, because a second time has no other effect."""
        return self._call("DELETE", path, api, query)

    def _call(self, method: str, path: str, api: str, query: Mapping[str, str]) -> Members:
        url = self._url(path, query)

        def call(token: str) -> Members:
            headers = {**ACCEPT, "x-acs-dingtalk-access-token": token}
            return self.channel.ask(Host.API, Call(api, method, url, headers))

        return self.channel.repeat(lambda: self.with_token(Host.API, call), NotReached, NoAnswer)

    def ask_after(self, ask: Callable[[], Members]) -> Members:
        """Ask about a message until its data is there: who asks right after the send is too early (KB:0722).

        How long DingTalk takes is unverified [?]. Each question is billed, so there are four, a second apart.
        """
        return self.channel.repeat(ask, NotGenerated, attempts=4, wait=wait_fixed(1.0))

    def post_legacy(self, path: str, api: str, body: Mapping[str, object], *, renew: bool = True) -> Members:
        """Post JSON to the legacy host, the token in its address; repeat it only with a new token."""

        def call(token: str) -> Members:
            url = self.legacy_url(path, {"access_token": token})
            return self.channel.ask(Host.OAPI, Call(api, "POST", url, JSON, json_body(body)))

        return self.with_token(Host.OAPI, call, renew=renew)

    def _url(self, path: str, query: Mapping[str, str] | None) -> str:
        return f"{self.account.api_url}{path}" + (f"?{urlencode(query)}" if query else "")

    def legacy_url(self, path: str, query: Mapping[str, str]) -> str:
        """Return an address of the legacy host."""
        return f"{self.account.oapi_url}{path}?{urlencode(query)}"

    # --- Tokens --------------------------------------------------------------------------------

    def _fetch(self, host: Host) -> tuple[str, float]:
        fetch = self._fetch_new if host is Host.API else self._fetch_legacy

        def once() -> tuple[str, float]:
            try:
                return fetch()
            except Failure as failure:
                if not failure.verdict.billed:
                    raise
                verdict = replace(failure.verdict, billed=False)  # token calls cost nothing (KB:1432)
            raise Failure(verdict)

        return self.channel.repeat(once, NotReached, NoAnswer)

    def _fetch_new(self) -> tuple[str, float]:
        body = {"appKey": self.account.client_id, "appSecret": self.account.client_secret}
        url = self._url("/v1.0/oauth2/accessToken", None)
        answer = self.channel.ask(Host.API, Call(API_TOKEN[Host.API], "POST", url, JSON, json_body(body)))
        return answers.token(answer, "accessToken"), answers.life(answer, "expireIn")

    def _fetch_legacy(self) -> tuple[str, float]:
        query = {"appkey": self.account.client_id, "appsecret": self.account.client_secret}
        url = self.legacy_url("/gettoken", query)
        answer = self.channel.ask(Host.OAPI, Call(API_TOKEN[Host.OAPI], "GET", url, ACCEPT))
        return answers.token(answer, "access_token"), answers.life(answer, "expires_in")

    def with_token(self, host: Host, call: Callable[[str], T], *, renew: bool = True) -> T:
        """Call with a token; renew a refused one once, since the refused call had no effect."""
        if not renew:
            return self._once(host, call)
        for _ in range(2):
            self._renew(host)
            try:
                return self._once(host, call)
            except Failure as failure:
                if not isinstance(failure.verdict, TokenRejected):
                    raise
                refused = failure.verdict
        raise Failure(Misconfigured(refused.cause, Scope.APP))

    def _renew(self, host: Host) -> None:
        """Get a token for a call; if its answer is lost, the call itself was not made: NotReached."""
        try:
            self.tokens.renew(host)
        except Failure as failure:
            verdict = failure.verdict
            if not isinstance(verdict, NoAnswer):
                raise
        else:
            return
        raise Failure(NotReached(verdict.cause, verdict.scope))

    def _once(self, host: Host, call: Callable[[str], T]) -> T:
        token = self.tokens.peek(host)
        if token is None:
            raise Failure(TokenRejected(Cause("no_token", "", "CREDENTIALS"), Scope.APP))
        try:
            return call(token.value)
        except Failure as failure:
            if isinstance(failure.verdict, TokenRejected):
                self.tokens.forget(host, token)
            raise
