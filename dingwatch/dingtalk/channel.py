"""The single path of every request: gate, count, exchange, judge, redact. It knows nothing of tokens."""

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
from dingwatch.dingtalk.trust import TrustStore
from dingwatch.dingtalk.wire import Body, LocalError, Stream
from dingwatch.model import Failure, NotReached, Scope, Verdict

T = TypeVar("T")
LONGEST_MESSAGE: Final = 300
"""Characters of DingTalk's messages that are kept."""
SHORTEST_SECRET: Final = 6
"""Characters; redacting a shorter secret would tear ordinary words out of every message."""
BACKOFF: Final = wait_random_exponential(multiplier=0.2, max=2)
ACCEPT: Final[Mapping[str, str]] = {"Accept": "application/json"}
JSON: Final[Mapping[str, str]] = {"Content-Type": "application/json", **ACCEPT}
"""Headers of a call whose answer is JSON, and of one whose body is as well; DingTalk's SDKs send them."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request, and the API that it counts as.

    `silence` is the longest wait for the next byte in seconds, by default `Timeouts.read`; `secrets` are
    this call's own (a custom robot's token), which no message may repeat.
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
        note: Callable[[str, Verdict | None], object] = lambda *_: None,
    ) -> None:
        self._gate = gate
        self._count = count
        self._note = note
        self._sleep = sleep
        self.clock = clock
        self.timeouts = timeouts or Timeouts()
        self._transport = Transport(
            pool=pool, clock=clock, timeouts=self.timeouts, monotonic=monotonic or clock
        )
        self._secrets: Callable[[], Iterable[str]] = tuple
        self._dated = ("", 0.0)

    def hide(self, secrets: Callable[[], Iterable[str]]) -> None:
        """Redact from now on what this returns at the time (tokens change)."""
        self._secrets = secrets

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()

    @property
    def trust(self) -> TrustStore:
        """Whose certificates are believed."""
        return self._transport.trust

    @property
    def ahead(self) -> float | None:
        """Seconds by which this machine's clock is ahead of the other side's; None before its first answer.

        It compares with the Date of the latest answer, so it is exact to the second and includes the time
        that the answer took to arrive.
        """
        date, came = self._dated
        try:
            return came - parsedate_to_datetime(date).timestamp()
        except (ValueError, OverflowError):  # the second for a year or a zone beyond all
            return None

    # --- Calls ---------------------------------------------------------------------------------

    def ask(self, host: Host, call: Call) -> Mapping[str, Any]:
        """Make a call of DingTalk's, and return the members of its answer."""
        return self._through(call, lambda: self._result(host, call, self._exchange(call)))

    def receive(self, host: Host, call: Call, into: Sink, *, limit: int) -> int:
        """Write the file that an API answers with into `into`; return its size in bytes."""

        def download() -> int:
            answer = self._receive(call, into, limit, _is_file)
            if isinstance(answer, int):
                return answer
            self._result(host, call, answer)
            raise without("file")

        return self._through(call, download)

    def put(self, call: Call) -> None:
        """Hand bytes to the store behind a signed address; 200 is success (KB:0680)."""
        self._through(call, lambda: self._judge_store(self._exchange(call)), at_store=True)

    def reach(self, call: Call) -> None:
        """Find out whether a host can be reached; whatever it answers, or if nothing, it was.

        Raises:
            Failure: NotReached.
        """
        try:
            self._through(call, lambda: self._exchange(call), at_store=True)
        except Failure as failure:
            if isinstance(failure.verdict, NotReached):
                raise

    def receive_stored(self, call: Call, into: Sink, *, limit: int) -> int:
        """Write what lies behind a signed address into `into`; return its size in bytes."""

        def download() -> int:
            answer = self._receive(call, into, limit, lambda status, _headers: status == OK)
            if isinstance(answer, int):
                return answer
            self._judge_store(answer)
            raise without("file")

        return self._through(call, download, at_store=True)

    def repeat(
        self, ask: Callable[[], T], *kinds: type[Verdict], attempts: int = 3, wait: wait_base = BACKOFF
    ) -> T:
        """Make a call that is safe to repeat, again for some seconds after verdicts of these kinds.

        An answer that makes no sense is not asked for again: each may be billed.
        An exception of the source or sink of its bytes comes through as it is, and nothing is repeated.
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

    # --- The path ------------------------------------------------------------------------------

    def _through(self, call: Call, ask: Callable[[], T], *, at_store: bool = False) -> T:
        self._gate(call.api)  # first, because a gate that raises keeps the request from being made
        self._count(call.api)
        try:
            answer = ask()
        except Failure as failure:
            verdict = self._redact(failure.verdict, call)
        else:
            self._note(call.api, None)
            return answer
        self._note(call.api, verdict)
        raise Failure(_narrow_to_store(verdict) if at_store else verdict)

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

    def _judge_store(self, answer: Answer) -> None:
        verdict = verdict_of_store(answer.status, answer.headers, answer.body, self.clock())
        if verdict is not None:
            raise Failure(verdict)

    def _redact(self, verdict: Verdict, call: Call) -> Verdict:
        """Take the secrets out of a verdict's texts."""
        # A gateway's error page may quote the URL that it was asked for, and legacy URLs carry the token.
        cause, secrets = verdict.cause, (*self._secrets(), *call.secrets)
        redacted = replace(
            cause,
            code=_without(cause.code, secrets),
            message=_without(cause.message, secrets)[:LONGEST_MESSAGE],
            request_id=_without(cause.request_id or "", secrets) or None,
        )
        return replace(verdict, cause=redacted)


def _repeatable(*kinds: type[Verdict]) -> Callable[[BaseException], bool]:
    return lambda error: (
        isinstance(error, Failure) and isinstance(error.verdict, kinds) and not error.verdict.billed
    )


def _narrow_to_store(verdict: Verdict) -> Verdict:
    """Narrow an outage of the store to its API: a firewall may block that host and not DingTalk's."""
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
            written = secret.encode("utf-8", "replace")
            for form in (secret, quote(written, safe=""), quote_plus(written)):
                text = text.replace(form, "***")
    return text
