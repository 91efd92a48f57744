"""The client: a token for each host, a method for each call. A failure is a `Failure` with a verdict."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote, quote_plus, urlencode

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from dingwatch.dingtalk.errors import result_of
from dingwatch.dingtalk.names import API_QUERY, API_RECALL, API_ROBOTS, API_SEND, API_TOKEN, API_UPLOAD, Host
from dingwatch.dingtalk.tokens import Tokens
from dingwatch.dingtalk.transport import Timeouts, Transport, multipart
from dingwatch.dingtalk.wire import Body
from dingwatch.model import Cause, Failure, Misconfigured, NoAnswer, NotReached, Scope, TokenRejected, Verdict

T = TypeVar("T")
LONGEST_MESSAGE: Final = 300
"""Characters of what DingTalk says that are kept."""
SHORTEST_SECRET: Final = 6
"""Characters; what is shorter would take innocent letters out of every message."""
_JSON: Final = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Account:
    """An app of an organisation, and where DingTalk is; addresses without a slash at their end.

    For an app of one's own organisation the robot code is the client id (KB:0716).
    """

    client_id: str
    client_secret: str = field(repr=False)
    robot_code: str
    api_url: str = "https://api.dingtalk.com"
    oapi_url: str = "https://oapi.dingtalk.com"


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of a message: `SUCCESS`, `RECALLED` or `PROCESSING`, and who read it (KB:0722)."""

    status: str
    read_by: tuple[str, ...]


def _repeatable(*kinds: type[Verdict]) -> Callable[[BaseException], bool]:
    return lambda error: isinstance(error, Failure) and isinstance(error.verdict, kinds)


class Client:
    """Calls DingTalk. Safe to use from several threads; opens nothing before the first call.

    Args:
        account: whose calls they are.
        gate: called with the API's name right before each request; it may wait, or raise `Failure`.
        count: called with the API's name for each request that is made.
        sleep: waits some seconds between repetitions of a call that is safe to repeat.
        clock: wall-clock seconds, for the age of tokens and of resting connections.
        timeouts: of each request.
        pool: how many connections are kept.
        monotonic: seconds, for how long an answer takes; by default the wall clock's, whose jump forward
            would end the requests in flight.
    """

    def __init__(  # noqa: PLR0913 (each is one thing that this module must not have of its own)
        self,
        account: Account,
        *,
        gate: Callable[[str], object],
        count: Callable[[str], object],
        sleep: Callable[[int | float], None],
        clock: Callable[[], float],
        timeouts: Timeouts | None = None,
        pool: int = 8,
        monotonic: Callable[[], float] | None = None,
    ) -> None:
        self._account = account
        self._gate = gate
        self._count = count
        self._sleep = sleep
        self._clock = clock
        self._timeouts = timeouts or Timeouts()
        self._transport = Transport(
            pool=pool, clock=clock, timeouts=self._timeouts, monotonic=monotonic or clock
        )
        self._tokens = Tokens(self._fetch, clock)

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- Tokens --------------------------------------------------------------------------------

    def token_fresh(self, host: Host) -> bool:
        """Say whether a call to this host needs no token call first; asks nobody."""
        return self._tokens.cached(host) is not None

    def fetch_token(self, host: Host, *, force: bool = False) -> None:
        """Get a token (KB:0033, KB:1444), unless a fresh one is there; repeated for some seconds.

        Raises:
            Failure: Misconfigured for wrong credentials; NotReached, NoAnswer, Throttled.
        """
        self._tokens.renew(host, force=force)

    def _fetch(self, host: Host) -> tuple[str, float]:
        fetch = self._fetch_new if host is Host.API else self._fetch_legacy
        return self._repeat(fetch, NotReached, NoAnswer)

    def _fetch_new(self) -> tuple[str, float]:
        body = {"appKey": self._account.client_id, "appSecret": self._account.client_secret}
        url = f"{self._account.api_url}/v1.0/oauth2/accessToken"
        answer = self._request(Host.API, API_TOKEN[Host.API], "POST", url, _JSON, _json(body))
        return _token(answer, "accessToken"), _number(answer, "expireIn")

    def _fetch_legacy(self) -> tuple[str, float]:
        query = urlencode({"appkey": self._account.client_id, "appsecret": self._account.client_secret})
        url = f"{self._account.oapi_url}/gettoken?{query}"
        answer = self._request(Host.OAPI, API_TOKEN[Host.OAPI], "GET", url, {}, None)
        return _token(answer, "access_token"), _number(answer, "expires_in")

    def _with_token(self, host: Host, call: Callable[[str], T], *, renew: bool) -> T:
        """Call with a token; a refused one is renewed once, since a refused call had no effect."""
        if not renew:
            return self._once(host, call)
        self._renew(host)
        try:
            return self._once(host, call)
        except Failure as failure:
            if not isinstance(failure.verdict, TokenRejected):
                raise
        self._renew(host)
        try:
            return self._once(host, call)
        except Failure as failure:
            if not isinstance(failure.verdict, TokenRejected):
                raise
            raise Failure(Misconfigured(failure.verdict.cause, Scope.APP)) from None

    def _renew(self, host: Host) -> None:
        """Get a token for a call. A lost answer to the token call is no doubt about the call itself."""
        try:
            self._tokens.renew(host)
        except Failure as failure:
            verdict = failure.verdict
            if not isinstance(verdict, NoAnswer):
                raise
        else:
            return
        raise Failure(NotReached(verdict.cause, verdict.scope))

    def _once(self, host: Host, call: Callable[[str], T]) -> T:
        token = self._tokens.cached(host)
        if token is None:
            raise Failure(TokenRejected(Cause("no_token", "", "CREDENTIALS"), Scope.APP))
        try:
            return call(token.value)
        except Failure as failure:
            if isinstance(failure.verdict, TokenRejected):
                self._tokens.forget(host, token)
            raise

    # --- Calls ---------------------------------------------------------------------------------

    def upload(self, *, name: str, content: bytes | memoryview, renew: bool = True) -> str:
        """Upload one file (KB:0646) and return its media id, verbatim.

        `name` needs an extension: DingTalk judges the type by it. Repeated once when it was not reached.

        Raises:
            Failure: TypeRefused, Rejected, Throttled, QuotaExhausted, Misconfigured, NotReached, NoAnswer.
        """

        def call(token: str) -> str:
            boundary = secrets.token_hex(16)
            # The type stands in the URL too: as a form field alone some clients got 40004 (API sheet 2.1).
            url = (
                f"{self._account.oapi_url}/media/upload?{urlencode({'access_token': token, 'type': 'file'})}"
            )
            headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
            body = multipart("media", name, content, boundary)
            silence = self._timeouts.upload
            answer = self._request(Host.OAPI, API_UPLOAD, "POST", url, headers, body, silence=silence)
            return _text(answer, "media_id")

        return self._with_token(
            Host.OAPI, lambda token: self._repeat(lambda: call(token), NotReached, attempts=2), renew=renew
        )

    def send_file(
        self, *, conversation_id: str, media_id: str, file_name: str, file_type: str, renew: bool = True
    ) -> str:
        """Send an uploaded file to a group (KB:0716, `sampleFile` of KB:0699); return its processQueryKey.

        Never repeated here: no field makes a second send harmless. With `renew=False` no token is fetched
        either; when none is fresh, or it is refused, that is a TokenRejected.

        Raises:
            Failure: NoAnswer means that the message may have arrived; all others that it has not.
        """
        parameters = {"mediaId": media_id, "fileName": file_name, "fileType": file_type}
        body = {
            "robotCode": self._account.robot_code,
            "openConversationId": conversation_id,
            "msgKey": "sampleFile",
            "msgParam": json.dumps(parameters, ensure_ascii=False),
        }
        answer = self._post("/v1.0/robot/groupMessages/send", API_SEND, body, renew=renew)
        return _text(answer, "processQueryKey")

    def delivered(self, *, conversation_id: str, process_query_key: str) -> Delivered:
        """Ask what became of a message (KB:0722)."""
        body = self._robot(conversation_id) | {"processQueryKey": process_query_key, "maxResults": 200}
        answer = self._repeat(
            lambda: self._post("/v1.0/robot/groupMessages/query", API_QUERY, body), NotReached, NoAnswer
        )
        return Delivered(_text(answer, "sendStatus"), tuple(map(str, answer.get("readUserIds") or ())))

    def recall(self, *, conversation_id: str, process_query_keys: Sequence[str]) -> tuple[str, ...]:
        """Take messages back, at most 20 (KB:0725); return the keys for which it worked."""
        body = self._robot(conversation_id) | {"processQueryKeys": list(process_query_keys)}
        answer = self._post("/v1.0/robot/groupMessages/recall", API_RECALL, body)
        return tuple(map(str, answer.get("successResult") or ()))

    def robots(self, conversation_id: str) -> tuple[str, ...]:
        """Return the codes of the robots in a group (KB:0726)."""
        answer = self._repeat(
            lambda: self._post(
                "/v1.0/robot/groups/robots/query", API_ROBOTS, {"openConversationId": conversation_id}
            ),
            NotReached,
            NoAnswer,
        )
        robots = answer.get("chatbotInstanceVOList") or ()
        return tuple(str(one.get("robotCode")) for one in robots if isinstance(one, dict))

    def _robot(self, conversation_id: str) -> dict[str, object]:
        return {"robotCode": self._account.robot_code, "openConversationId": conversation_id}

    def _post(
        self, path: str, api: str, body: Mapping[str, object], *, renew: bool = True
    ) -> Mapping[str, Any]:
        url = f"{self._account.api_url}{path}"

        def call(token: str) -> Mapping[str, Any]:
            headers = {**_JSON, "x-acs-dingtalk-access-token": token}
            return self._request(Host.API, api, "POST", url, headers, _json(body))

        return self._with_token(Host.API, call, renew=renew)

    # --- One place through which every request goes ----------------------------------------------

    def _request(  # noqa: PLR0913 (what a request is made of)
        self,
        host: Host,
        api: str,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: Body | None,
        *,
        silence: float | None = None,
    ) -> Mapping[str, Any]:
        self._gate(api)
        self._count(api)
        silence = silence or self._timeouts.read
        try:
            answer = self._transport.exchange(method, url, headers, body, silence=silence)
            return result_of(host, answer.status, answer.headers, answer.body, self._clock())
        except Failure as failure:
            failed = self._redacted(failure.verdict)
        raise Failure(failed)

    def _redacted(self, verdict: Verdict) -> Verdict:
        """Take secrets out of what the other side said: a gateway may repeat the address it was asked."""
        cause = verdict.cause
        told = replace(
            cause,
            code=self._without_secrets(cause.code),
            message=self._without_secrets(cause.message)[:LONGEST_MESSAGE],
            request_id=self._without_secrets(cause.request_id or "") or None,
        )
        return replace(verdict, cause=told)

    def _without_secrets(self, text: str) -> str:
        for secret in (self._account.client_secret, *self._tokens.known()):
            if len(secret) >= SHORTEST_SECRET:
                for form in (secret, quote(secret, safe=""), quote_plus(secret)):
                    text = text.replace(form, "***")
        return text

    def _repeat(self, call: Callable[[], T], *kinds: type[Verdict], attempts: int = 3) -> T:
        """Repeat for some seconds a call that is safe to repeat."""
        retrying = Retrying(
            retry=retry_if_exception(_repeatable(*kinds)),
            stop=stop_after_attempt(attempts),
            wait=wait_random_exponential(multiplier=0.2, max=2),
            sleep=self._sleep,
            reraise=True,
        )
        return retrying(call)


def _json(body: Mapping[str, object]) -> Body:
    r"""Write JSON as raw UTF-8: `\u` escapes are refused (40033, KB:0013)."""
    return Body(json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"))


def _text(answer: Mapping[str, Any], name: str) -> str:
    """Return a member that a successful answer must have."""
    value = answer.get(name)
    if not isinstance(value, str) or not value:
        raise _without(name)
    return value


def _token(answer: Mapping[str, Any], name: str) -> str:
    """Return a token; one that cannot stand in a header is none."""
    value = _text(answer, name)
    if not (value.isascii() and value.isprintable()):
        raise _without(name)
    return value


def _number(answer: Mapping[str, Any], name: str) -> float:
    value = answer.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= sys.float_info.max:
        raise _without(name)
    return float(value)


def _without(name: str) -> Failure:
    return Failure(NoAnswer(Cause("no_answer", f"no {name}", "NO_ANSWER"), Scope.API))
