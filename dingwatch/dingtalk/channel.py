"""The one path of every request: gate, count, exchange, classification, redaction. It knows no token."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from typing import Any, Final, TypeVar
from urllib.parse import quote, quote_plus

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential
from tenacity.wait import wait_base

from dingwatch.dingtalk.answers import without
from dingwatch.dingtalk.apis import Host
from dingwatch.dingtalk.errors import OK, result_of, verdict_of_store
from dingwatch.dingtalk.transport import Answer, Sink, Timeouts, Transport
from dingwatch.dingtalk.wire import Body, LocalError, Stream
from dingwatch.model import Failure, Scope, Verdict

T = TypeVar("T")
LONGEST_MESSAGE: Final = 300
"""Characters of what DingTalk says that are kept."""
SHORTEST_SECRET: Final = 6
"""Characters; what is shorter would take innocent letters out of every message."""
BACKOFF: Final = wait_random_exponential(multiplier=0.2, max=2)
JSON: Final[Mapping[str, str]] = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Call:
    """One request, and the API that it counts as.

    `silence` is the longest wait for a next byte in seconds, by default that of `Timeouts.read`;
    `secrets` are those that are this call's alone, to be kept out of messages.
    """

    api: str
    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False, default_factory=dict)
    body: Body | Stream | None = field(repr=False, default=None)
    silence: float | None = None
    secrets: tuple[str, ...] = field(repr=False, default=())


def json_body(document: Mapping[str, object]) -> Body:
    r"""Write JSON as raw UTF-8: `\u` escapes are refused (40033, KB:0013)."""
    return Body(json.dumps(document, ensure_ascii=False).encode("utf-8", "replace"))


class Channel:
    """Makes calls. Safe to use from several threads; opens nothing before the first.

    Its arguments are those of `Client`.
    """

    def __init__(  # noqa: PLR0913 (each is one thing that this module must not have of its own)
        self,
        *,
        gate: Callable[[str], object],
        count: Callable[[str], object],
        sleep: Callable[[int | float], None],
        clock: Callable[[], float],
        timeouts: Timeouts | None = None,
        pool: int = 8,
        monotonic: Callable[[], float] | None = None,
    ) -> None:
        self._gate = gate
        self._count = count
        self._sleep = sleep
        self.clock = clock
        self.timeouts = timeouts or Timeouts()
        self._transport = Transport(
            pool=pool, clock=clock, timeouts=self.timeouts, monotonic=monotonic or clock
        )
        self._secrets: Callable[[], Iterable[str]] = tuple
        self._dated = ("", 0.0)

    def hide(self, secrets: Callable[[], Iterable[str]]) -> None:
        """Keep what this returns, whenever it is asked, out of every message."""
        self._secrets = secrets

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()

    @property
    def ahead(self) -> float | None:
        """Seconds by which this machine's clock is ahead of the other side's, by its latest answer's date.

        None before there was one. To the second, and the answer's way here counts as well.
        """
        date, came = self._dated
        try:
            return came - parsedate_to_datetime(date).timestamp()
        except ValueError:
            return None

    # --- Calls ---------------------------------------------------------------------------------

    def ask(self, host: Host, call: Call) -> Mapping[str, Any]:
        """Make a call of DingTalk's, and return the members of its answer."""
        return self._through(call, lambda: self._result(host, call, self._exchange(call)))

    def receive(self, host: Host, call: Call, into: Sink, *, limit: int) -> int:
        """Write the file that an API answers with into `into`; return its size in bytes."""

        def received() -> int:
            came = self._receive(call, into, limit, _is_file)
            if isinstance(came, int):
                return came
            self._result(host, call, came)
            raise without("file")

        return self._through(call, received)

    def put(self, call: Call) -> None:
        """Hand bytes to the store behind a signed address; 200 is success (KB:0680)."""
        self._through(call, lambda: self._judge_stored(self._exchange(call)), at_store=True)

    def receive_stored(self, call: Call, into: Sink, *, limit: int) -> int:
        """Write what lies behind a signed address into `into`; return its size in bytes."""

        def received() -> int:
            came = self._receive(call, into, limit, lambda status, _headers: status == OK)
            if isinstance(came, int):
                return came
            self._judge_stored(came)
            raise without("file")

        return self._through(call, received, at_store=True)

    def repeat(
        self, ask: Callable[[], T], *kinds: type[Verdict], attempts: int = 3, wait: wait_base = BACKOFF
    ) -> T:
        """Repeat for some seconds a call that is safe to repeat after verdicts of these kinds.

        What a source or sink of bytes raised comes through as it is, and is not repeated.
        """
        retrying = Retrying(
            retry=retry_if_exception(_repeatable(*kinds)),
            stop=stop_after_attempt(attempts),
            wait=wait,
            sleep=self._sleep,
            reraise=True,
        )
        try:
            return retrying(ask)
        except LocalError as carried:
            error = carried.error
        raise error

    # --- Their one path --------------------------------------------------------------------------

    def _through(self, call: Call, ask: Callable[[], T], *, at_store: bool = False) -> T:
        self._gate(call.api)
        self._count(call.api)
        try:
            return ask()
        except Failure as failure:
            failed = self._redacted(failure.verdict, call)
        raise Failure(_of_store(failed) if at_store else failed)

    def _exchange(self, call: Call) -> Answer:
        silence = call.silence or self.timeouts.read
        answer = self._transport.exchange(call.method, call.url, call.headers, call.body, silence=silence)
        self._dated = (answer.headers.get("Date", ""), self.clock())
        return answer

    def _receive(
        self, call: Call, into: Sink, limit: int, wanted: Callable[[int, Mapping[str, str]], bool]
    ) -> Answer | int:
        silence = call.silence or self.timeouts.read
        return self._transport.receive(call.url, call.headers, into, wanted, limit=limit, silence=silence)

    def _result(self, host: Host, call: Call, answer: Answer) -> Mapping[str, Any]:
        return result_of(host, answer.status, answer.headers, answer.body, self.clock(), api=call.api)

    def _judge_stored(self, answer: Answer) -> None:
        verdict = verdict_of_store(answer.status, answer.headers, answer.body, self.clock())
        if verdict is not None:
            raise Failure(verdict)

    def _redacted(self, verdict: Verdict, call: Call) -> Verdict:
        """Take secrets out of what the other side said: a gateway may repeat the address it was asked."""
        cause, secrets = verdict.cause, (*self._secrets(), *call.secrets)
        told = replace(
            cause,
            code=_without(cause.code, secrets),
            message=_without(cause.message, secrets)[:LONGEST_MESSAGE],
            request_id=_without(cause.request_id or "", secrets) or None,
        )
        return replace(verdict, cause=told)


def _repeatable(*kinds: type[Verdict]) -> Callable[[BaseException], bool]:
    return lambda error: isinstance(error, Failure) and isinstance(error.verdict, kinds)


def _of_store(verdict: Verdict) -> Verdict:
    """Narrow what concerns the store's host: that it cannot be reached says nothing of DingTalk's own."""
    if verdict.scope is not Scope.APP:
        return verdict
    advice = "CERTIFICATE" if verdict.cause.advice == "CERTIFICATE" else "STORE"
    return replace(verdict, scope=Scope.API, cause=replace(verdict.cause, advice=advice))


def _is_file(status: int, headers: Mapping[str, str]) -> bool:
    """Return whether an answer is a file: errors come with HTTP 200 too, but without a name (sheet 2.2)."""
    kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    named = "attachment" in headers.get("Content-Disposition", "").lower()
    return status == OK and (named or kind not in {"", "application/json", "text/html", "text/plain"})


def _without(text: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        if len(secret) >= SHORTEST_SECRET:
            for form in (secret, quote(secret, safe=""), quote_plus(secret)):
                text = text.replace(form, "***")
    return text
