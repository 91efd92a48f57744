"""The one place that says what an answer, or the lack of one, means.

The code is read before the status; HTTP 200 is not success. A request that certainly did not leave
whole is `NotReached`; one that left and got no answer that can be read is `NoAnswer`. No message holds
an address: the legacy ones carry the token.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator, Mapping
from typing import Any, Final

import requests
import urllib3

from dingwatch.dingtalk.codes import LEGACY, NEW, Meaning, meaning_of
from dingwatch.dingtalk.names import Host
from dingwatch.model import (
    Cause,
    Failure,
    Misconfigured,
    NoAnswer,
    NotReached,
    Rejected,
    Scope,
    Throttled,
    TokenRejected,
    Verdict,
)

LONGEST_MESSAGE: Final = 300
CLIENT_ERROR, UNAUTHORIZED, TOO_MANY, SERVER_ERROR = 400, 401, 429, 500

_NEVER_LEFT: Final = (
    requests.exceptions.ConnectTimeout,
    requests.exceptions.SSLError,
    requests.exceptions.ProxyError,
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.SSLError,
    urllib3.exceptions.ProxyError,
    urllib3.exceptions.LocationValueError,
    ssl.SSLError,
)
_WRONG_ADDRESS: Final = (
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidProxyURL,
)


def verdict_of_exception(error: BaseException) -> Verdict:
    """Say what an exception of the HTTP libraries means for the request it ended."""
    chain = list(_chain(error))
    name = type(chain[-1]).__name__
    if any(isinstance(one, _WRONG_ADDRESS) for one in chain):
        return Misconfigured(Cause("address", name, "ADDRESS"), Scope.APP)
    if any(isinstance(one, _NEVER_LEFT) for one in chain):
        return NotReached(Cause("unreachable", name, "UNREACHABLE"), Scope.APP)
    return NoAnswer(Cause("no_answer", name, "NO_ANSWER"), Scope.API)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Walk from what the library raised down to what really happened."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, BaseException) and id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [getattr(one, "reason", None), *one.args]


def result_of(host: Host, status: int, headers: Mapping[str, str], body: bytes) -> Mapping[str, Any]:
    """Return the answer's members when it says that the call worked.

    Raises:
        Failure: with the verdict on everything else.
    """
    answer = _parsed(status, body)
    if answer.get("status") == 1111 and "punish" in answer:  # noqa: PLR2004 (an egress address shut out, sheet 7)
        raise Failure(_gate_page("1111"))
    verdict = _legacy(answer, status, headers) if host is Host.OAPI else _new(answer, status, headers)
    if verdict is not None:
        raise Failure(verdict)
    return answer


def _parsed(status: int, body: bytes) -> Mapping[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        if body.lstrip()[:1] == b"<":
            raise Failure(_gate_page(f"HTTP {status}, HTML")) from None
        raise Failure(_no_answer(f"HTTP {status}")) from None
    if not isinstance(answer, dict):
        raise Failure(_no_answer(f"HTTP {status}, {type(answer).__name__}"))
    return answer


def _gate_page(message: str) -> Verdict:
    return NoAnswer(Cause("gate_page", message, "GATE_PAGE"), Scope.APP)


def _no_answer(message: str) -> Verdict:
    return NoAnswer(Cause("no_answer", message, "NO_ANSWER"), Scope.API)


def _legacy(answer: Mapping[str, Any], status: int, headers: Mapping[str, str]) -> Verdict | None:
    code = str(answer.get("errcode", ""))
    if code == "0" and status < CLIENT_ERROR:
        return None
    message, request_id = answer.get("errmsg"), answer.get("request_id")
    if code == "88" and answer.get("sub_code"):  # the topapi's wrapping of the real one
        code, message = str(answer["sub_code"]), answer.get("sub_msg")
    if not code:
        return _by_status(status, headers, message, request_id) or _no_answer(f"HTTP {status}")
    cause = _cause(code, message, request_id)
    return _meant(meaning_of(code, LEGACY), cause, headers) or _unknown(status, cause)


def _new(answer: Mapping[str, Any], status: int, headers: Mapping[str, str]) -> Verdict | None:
    code = answer.get("code")
    request_id = (
        answer.get("requestid") or answer.get("requestId") or headers.get("x-acs-dingtalk-request-id")
    )
    if code is None:
        return _by_status(status, headers, answer.get("message"), request_id)
    cause = _cause(str(code), _with_scopes(answer), request_id)
    return (
        _meant(meaning_of(str(code), NEW), cause, headers)
        or _by_status(status, headers, cause.message, request_id, code=cause.code)
        or _unknown(status, cause)
    )


def _with_scopes(answer: Mapping[str, Any]) -> str:
    """Name the missing permissions behind the message: they are what must be clicked."""
    detail = answer.get("accessdenieddetail")
    scopes = detail.get("requiredScopes") if isinstance(detail, dict) else None
    named = f" [{', '.join(map(str, scopes))}]" if isinstance(scopes, list) and scopes else ""
    return f"{answer.get('message') or ''}{named}"


def _meant(meaning: Meaning | None, cause: Cause, headers: Mapping[str, str]) -> Verdict | None:
    if meaning is None:
        return None
    told = Cause(cause.code, cause.message, meaning.advice, cause.request_id)
    if meaning.kind is Throttled:
        return Throttled(told, meaning.scope, _retry_after(headers, meaning.retry_after))
    return meaning.kind(told, meaning.scope)


def _by_status(
    status: int, headers: Mapping[str, str], message: object, request_id: object, *, code: str = ""
) -> Verdict | None:
    """Judge by the status what no known code explains; None for one that says nothing."""
    cause = _cause(code or f"HTTP {status}", message, request_id)
    if status == TOO_MANY:  # not documented; taken as what it says
        told = Cause(cause.code, cause.message, "THROTTLED", cause.request_id)
        return Throttled(told, Scope.API, _retry_after(headers, 1.0))
    if status == UNAUTHORIZED:
        return TokenRejected(Cause(cause.code, cause.message, "CREDENTIALS", cause.request_id), Scope.APP)
    if status >= CLIENT_ERROR:
        return _unknown(status, cause)
    return None


def _unknown(status: int, cause: Cause) -> Verdict:
    """A code that no table knows: with 5xx nobody knows what happened, else it was refused."""
    if status >= SERVER_ERROR:
        return NoAnswer(Cause(cause.code, cause.message, "DINGTALK_BUSY", cause.request_id), Scope.API)
    return Rejected(cause)


def _retry_after(headers: Mapping[str, str], default: float) -> float:
    try:
        return min(max(float(headers.get("Retry-After", default)), 0.0), 86400.0)
    except ValueError:
        return default  # the form with a date: DingTalk does not document either


def _cause(code: str, message: object, request_id: object) -> Cause:
    return Cause(
        _printable(code, 80),
        _printable(message, LONGEST_MESSAGE),
        "UNKNOWN_CODE",
        _printable(request_id, 80) or None,
    )


def _printable(text: object, longest: int) -> str:
    shown = "" if text is None else str(text)
    return "".join(c if c.isprintable() else " " for c in shown[:longest])
