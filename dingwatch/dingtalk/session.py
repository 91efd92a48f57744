"""An account's calls: a token for each of its hosts, and each call with the right one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlencode

from dingwatch.dingtalk import answers
from dingwatch.dingtalk.account import Account
from dingwatch.dingtalk.apis import API_TOKEN, Host
from dingwatch.dingtalk.channel import JSON, Call, Channel, json_body
from dingwatch.dingtalk.tokens import Tokens
from dingwatch.model import Cause, Failure, Misconfigured, NoAnswer, NotReached, Scope, TokenRejected

T = TypeVar("T")
Members = Mapping[str, Any]


class Session:
    """What all families of calls share."""

    def __init__(self, account: Account, channel: Channel) -> None:
        self.account = account
        self.channel = channel
        self.tokens = Tokens(self._fetch, channel.clock)
        channel.hide(lambda: (account.client_secret, *self.tokens.known()))

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
        """Post JSON to the new host, the token in its header; never repeated here but for its token.

        With `renew=False` no token is fetched either; when none is fresh, or it is refused, that is a
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
        """Post to the new host what changes nothing, or the same thing when it is repeated."""
        return self.channel.repeat(lambda: self.post(path, api, body, query), NotReached, NoAnswer)

    def get(self, path: str, api: str, query: Mapping[str, str]) -> Members:
        """Get an answer from the new host; repeated."""
        url = self._url(path, query)

        def call(token: str) -> Members:
            headers = {"x-acs-dingtalk-access-token": token}
            return self.channel.ask(Host.API, Call(api, "GET", url, headers))

        return self.channel.repeat(lambda: self.with_token(Host.API, call), NotReached, NoAnswer)

    def post_legacy(self, path: str, api: str, body: Mapping[str, object], *, renew: bool = True) -> Members:
        """Post JSON to the legacy host, the token in its address; never repeated here."""

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
        return self.channel.repeat(fetch, NotReached, NoAnswer)

    def _fetch_new(self) -> tuple[str, float]:
        body = {"appKey": self.account.client_id, "appSecret": self.account.client_secret}
        url = self._url("/v1.0/oauth2/accessToken", None)
        answer = self.channel.ask(Host.API, Call(API_TOKEN[Host.API], "POST", url, JSON, json_body(body)))
        return answers.token(answer, "accessToken"), answers.number(answer, "expireIn")

    def _fetch_legacy(self) -> tuple[str, float]:
        query = {"appkey": self.account.client_id, "appsecret": self.account.client_secret}
        url = self.legacy_url("/gettoken", query)
        answer = self.channel.ask(Host.OAPI, Call(API_TOKEN[Host.OAPI], "GET", url))
        return answers.token(answer, "access_token"), answers.number(answer, "expires_in")

    def with_token(self, host: Host, call: Callable[[str], T], *, renew: bool = True) -> T:
        """Call with a token; a refused one is renewed once, since a refused call had no effect."""
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
        """Get a token for a call. A lost answer to the token call is no doubt about the call itself."""
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
        token = self.tokens.cached(host)
        if token is None:
            raise Failure(TokenRejected(Cause("no_token", "", "CREDENTIALS"), Scope.APP))
        try:
            return call(token.value)
        except Failure as failure:
            if isinstance(failure.verdict, TokenRejected):
                self.tokens.forget(host, token)
            raise
