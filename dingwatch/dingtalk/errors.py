"""The one place that judges answers, and exceptions that came instead of one.

The code is read before the status: errors come with HTTP 200 too. A request that certainly did not leave
whole is `NotReached`; one that left without a readable answer is `NoAnswer`. No message holds an address,
because addresses of the legacy host carry the token.
"""

from __future__ import annotations

import json
import re
import ssl
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any, Final

import requests
import urllib3
from urllib3.exceptions import ProxyError

from dingwatch.dingtalk.answers import printable, texts
from dingwatch.dingtalk.apis import Host
from dingwatch.dingtalk.codes import LEGACY, NEW, OF_API, STORE, Meaning, Table, meaning_of
from dingwatch.dingtalk.signed import SignatureExpired
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

LONGEST_TEXT: Final = 1200
"""Characters of a message; the client cuts it to its last length once secrets are out of it."""
LONGEST_XML: Final = 1 << 16
LONGEST_PENALTY: Final = 86400.0
OK, CLIENT_ERROR, UNAUTHORIZED, TOO_LARGE, TOO_MANY, SERVER_ERROR = 200, 400, 401, 413, 429, 500
SHUT_OUT: Final = "1111"
CHINA: Final = timezone(timedelta(hours=8))

ADDRESS: Final = (
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidProxyURL,
    requests.exceptions.URLRequired,
    urllib3.exceptions.LocationParseError,
    urllib3.exceptions.LocationValueError,
    urllib3.exceptions.ProxySchemeUnknown,
    urllib3.exceptions.ProxySchemeUnsupported,
    urllib3.exceptions.URLSchemeUnknown,
)
"""Raised for a malformed address, of DingTalk or of a proxy."""

BEFORE: Final = (
    requests.exceptions.ConnectTimeout,
    requests.exceptions.SSLError,
    requests.exceptions.ProxyError,
    requests.exceptions.InvalidHeader,
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.NameResolutionError,
    urllib3.exceptions.SSLError,
    urllib3.exceptions.ProxyError,
    urllib3.exceptions.PoolError,
    urllib3.exceptions.EmptyPoolError,
    urllib3.exceptions.FullPoolError,
    urllib3.exceptions.ClosedPoolError,
    urllib3.exceptions.TimeoutStateError,
)
"""Usually raised before a request leaves. TLS may also break later, so `sent` is asked first."""

AFTER: Final = (
    requests.exceptions.RequestException,
    requests.exceptions.HTTPError,
    requests.exceptions.ConnectionError,
    requests.exceptions.Timeout,
    requests.exceptions.ReadTimeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
    requests.exceptions.InvalidJSONError,
    requests.exceptions.JSONDecodeError,
    requests.exceptions.RetryError,
    requests.exceptions.StreamConsumedError,
    requests.exceptions.TooManyRedirects,
    requests.exceptions.UnrewindableBodyError,
    urllib3.exceptions.HTTPError,
    urllib3.exceptions.RequestError,
    urllib3.exceptions.ResponseError,
    urllib3.exceptions.MaxRetryError,
    urllib3.exceptions.HostChangedError,
    urllib3.exceptions.ProtocolError,
    urllib3.exceptions.TimeoutError,
    urllib3.exceptions.ReadTimeoutError,
    urllib3.exceptions.IncompleteRead,
    urllib3.exceptions.InvalidChunkLength,
    urllib3.exceptions.InvalidHeader,
    urllib3.exceptions.HeaderParsingError,
    urllib3.exceptions.DecodeError,
    urllib3.exceptions.BodyNotHttplibCompatible,
    urllib3.exceptions.ResponseNotChunked,
    urllib3.exceptions.UnrewindableBodyError,
)
"""Raised when the request may have left, or wrapped around another exception (which then decides)."""

_KNOWN: Final = frozenset((*ADDRESS, *BEFORE, *AFTER))


def is_one_of(error: BaseException, group: tuple[type[BaseException], ...]) -> bool:
    """Return whether the nearest base class that the tuples above name is in this one."""
    # Not `isinstance`: in urllib3 a ReadTimeoutError, which comes late, is a PoolError, which comes early.
    return next((kind for kind in type(error).__mro__ if kind in _KNOWN), None) in group


def verdict_of_exception(error: BaseException, *, sent: bool | None) -> Verdict:
    """Return what an exception of the HTTP libraries means for the request that it ended.

    Args:
        error: what was raised.
        sent: whether any of the request's body was handed to a connection; None when it has no body.
            Only that proves anything; without a body the exception's class decides.
    """
    chain = list(_chain(error))
    message = _describe(chain)
    misaddressed = any(is_one_of(one, ADDRESS) for one in chain)
    if misaddressed and not sent:
        return Misconfigured(Cause("address", message, "ADDRESS"), Scope.APP)
    # A bare OSError is how requests says that REQUESTS_CA_BUNDLE names no file.
    no_bundle = type(error) is OSError
    early = no_bundle or any(is_one_of(one, BEFORE) for one in chain)
    if sent or (sent is None and not early):
        return NoAnswer(Cause("no_answer", message, "NO_ANSWER"), Scope.API)
    untrusted = no_bundle or any(isinstance(one, _UNTRUSTED) for one in chain)
    advice = "CERTIFICATE" if untrusted else "UNREACHABLE"
    return NotReached(Cause("unreachable", message, advice), Scope.APP)


_UNTRUSTED: Final = (ssl.SSLCertVerificationError, ssl.CertificateError)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and all that it wraps, down to the socket's own."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, BaseException) and id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [getattr(one, "reason", None), one.__cause__, *one.args]


def _describe(chain: list[BaseException]) -> str:
    """Describe an exception by the system's words alone, since the libraries' messages hold addresses."""
    told = _by_tunnel(chain) or type(chain[-1]).__name__
    for one in chain:
        if isinstance(one, OSError) and one.errno is not None:
            told = printable(f"{type(one).__name__}: {one.strerror}", LONGEST_TEXT)
            break
    # Without this, "connection refused" by a proxy would look as if DingTalk refused.
    by_proxy = any(isinstance(one, ProxyError) for one in chain)
    return f"ProxyError: {told}" if by_proxy else told


def _by_tunnel(chain: list[BaseException]) -> str:
    """Return the status with which a proxy refused a tunnel; empty if none did."""
    said = (re.match(r"Tunnel connection failed: (\d{3})", str(arg)) for one in chain for arg in one.args[:1])
    return next((f"HTTP {found[1]}" for found in said if found), "")


# --- Answers -----------------------------------------------------------------------------------


def result_of(
    host: Host, status: int, headers: Mapping[str, str], body: bytes, now: float, *, api: str = ""
) -> Mapping[str, Any]:
    """Return the answer's members if it says that the call of `api` worked; `now` is the wall clock.

    Raises:
        Failure: with the verdict on any other answer.
    """
    head = _Head(status, headers, now, api)
    answer = _parse(body)
    if answer is None:
        raise Failure(_unreadable(body, head))
    code = answer.get("errcode" if host is Host.OAPI else "code")
    # This machine's public address is blocked (sheet 7); beside a code, the code is what happened (sheet 14).
    if _code(answer.get("status")) == SHUT_OUT and not _code(code):
        raise Failure(_gate_page(SHUT_OUT))
    verdict = _legacy(answer, head) if host is Host.OAPI else _new(answer, head)
    if verdict is not None:
        raise Failure(verdict)
    return answer


@dataclass(frozen=True, slots=True)
class _Head:
    """An answer without its members: the status, the headers, when it came, and of which API."""

    status: int
    headers: Mapping[str, str]
    now: float
    api: str = ""


def _parse(body: bytes) -> Mapping[str, Any] | None:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def _unreadable(body: bytes, head: _Head) -> Verdict:
    """Judge an answer without members, as gateways send it; a few statuses mean enough by themselves."""
    if body.removeprefix(BOM_UTF8).lstrip()[:1] == b"<" and head.status != TOO_LARGE:
        return _gate_page(f"HTTP {head.status}, HTML")
    if head.status in {UNAUTHORIZED, TOO_LARGE, TOO_MANY}:
        return _by_status(head, _cause(f"HTTP {head.status}", "", None))
    billed = head.status < CLIENT_ERROR  # it was answered, with something that makes no sense
    return NoAnswer(Cause("no_answer", f"HTTP {head.status}", "NO_ANSWER"), Scope.API, billed=billed)


def _gate_page(message: str) -> Verdict:
    return NoAnswer(Cause("gate_page", message, "GATE_PAGE"), Scope.APP)


def _legacy(answer: Mapping[str, Any], head: _Head) -> Verdict | None:
    code, message = _code(answer.get("errcode")), answer.get("errmsg")
    request_id = answer.get("request_id")
    if code == "0" and head.status == OK:
        return None
    if code == "88":  # the topapi's wrapping of the real one
        code, message = _unwrap(answer, message)
    if code in {"", "0"}:
        return _by_status(head, _cause(f"HTTP {head.status}", message, request_id))
    cause = _cause(code, message, request_id)
    return _meant(_meaning(code, LEGACY, head), cause, head) or _by_status(head, cause, known=True)


def _unwrap(answer: Mapping[str, Any], message: object) -> tuple[str, object]:
    if code := _code(answer.get("sub_code")):
        return code, answer.get("sub_msg")
    inside = re.search(r"subcode=([\w.-]+)", printable(message, LONGEST_TEXT))
    return (inside[1] if inside else "88"), message


def _new(answer: Mapping[str, Any], head: _Head) -> Verdict | None:
    code = _code(answer.get("code"))
    if not code and head.status == OK:
        return None
    request_id = (
        answer.get("requestid") or answer.get("requestId") or head.headers.get("x-acs-dingtalk-request-id")
    )
    cause = _cause(code or f"HTTP {head.status}", _with_scopes(answer), request_id)
    return _meant(_meaning(code, NEW, head), cause, head) or _by_status(head, cause, known=bool(code))


def verdict_of_store(status: int, headers: Mapping[str, str], body: bytes, now: float) -> Verdict | None:
    """Return what an answer of the store behind a signed address means; None if it worked.

    Errors are XML with a code and a message; the rest repeats what was signed, and is left out.
    """
    if status == OK:
        return None
    code = _of_xml(body, "Code")
    request_id = headers.get("x-oss-request-id") or _of_xml(body, "RequestId")
    head = _Head(status, headers, now)
    cause = _cause(code or f"HTTP {status}", _of_xml(body, "Message"), request_id)
    if verdict := _meant(meaning_of(code, STORE), cause, head):
        return verdict
    if not code and status not in {TOO_LARGE, TOO_MANY}:  # from a proxy or firewall in front of the store
        return NoAnswer(replace(cause, advice="STORE"), Scope.API)
    if status == UNAUTHORIZED:
        return SignatureExpired(replace(cause, advice="SIGNATURE_EXPIRED"))
    return _by_status(head, cause, known=True)


def _of_xml(body: bytes, name: str) -> str:
    """Return one element's text; empty if this is no error of the store."""
    # A regular expression is enough for two words, and opens no XML parser to a foreign host.
    found = re.search(f"<{name}>([^<]*)</{name}>", body[:LONGEST_XML].decode("utf-8", "replace"))
    return found[1].strip() if found and b"<Error>" in body[:LONGEST_XML] else ""


def _meaning(code: str, table: Table, head: _Head) -> Meaning | None:
    """Look a code up, first among the meanings that it has for this API alone."""
    return meaning_of(code, OF_API.get(head.api, ())) or meaning_of(code, table)


def _code(value: object) -> str:
    """Return a code as text (it comes as number or text); empty for anything else."""
    return str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""


def _with_scopes(answer: Mapping[str, Any]) -> str:
    """Return the message with the missing permissions, which an admin looks for in the console."""
    message = printable(answer.get("message"), LONGEST_TEXT)
    detail = answer.get("accessdenieddetail")
    scopes = texts(detail, "requiredScopes") if isinstance(detail, dict) else ()
    return f"{message} [{', '.join(scopes)}]" if scopes else message


def _meant(meaning: Meaning | None, cause: Cause, head: _Head) -> Verdict | None:
    if meaning is None:
        return None
    told = replace(cause, advice=meaning.advice)
    if meaning.kind is Throttled:
        return Throttled(told, meaning.scope, _wait(head, cause.message, meaning.retry_after))
    if meaning.kind is Misconfigured:
        return Misconfigured(told, meaning.scope, meaning.ambiguous)
    return meaning.kind(told, meaning.scope)


def _by_status(head: _Head, cause: Cause, *, known: bool = False) -> Verdict:
    """Judge an answer that no table explains by its status; `known`: it has a code, though a new one."""
    if head.status == TOO_MANY:  # DingTalk does not document it
        told = replace(cause, advice="THROTTLED")
        return Throttled(told, Scope.API, _wait(head, cause.message, 1.0))
    if head.status == TOO_LARGE:
        return Rejected(replace(cause, advice="TOO_BIG"))
    if head.status == UNAUTHORIZED:
        return TokenRejected(replace(cause, advice="CREDENTIALS"), Scope.APP)
    if head.status >= SERVER_ERROR:  # it may have had its effect before the server failed
        return NoAnswer(replace(cause, advice="DINGTALK_BUSY"), Scope.API)
    if known or head.status >= CLIENT_ERROR:
        return Rejected(cause)
    # A redirect: no answer of DingTalk's.
    return NoAnswer(replace(cause, advice="NO_ANSWER"), Scope.API, billed=True)


def _wait(head: _Head, message: str, default: float) -> float:
    """Return the seconds to wait, by the header, else by the message, else by the table."""
    return _retry_after(head.headers) or _penalty(message, head.now) or default


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of a Retry-After header; DingTalk does not document that it sends one."""
    written = headers.get("Retry-After", "").strip()
    if not (written.isascii() and written.isdigit()):
        return None
    return min(float(written[:9]), LONGEST_PENALTY)


def _penalty(message: str, now: float) -> float | None:
    """Return the seconds left of a penalty, whose end is in China's time (sheet 7.1).

    The message reads `处罚将在 2019-02-13 20:40:05 结束`.
    """
    found = re.search(r"处罚将在\s*(\d{4}-\d\d-\d\d)\s+(\d\d:\d\d:\d\d)\s*结束", message)
    if found is None:
        return None
    try:
        end = datetime.fromisoformat(f"{found[1]}T{found[2]}").replace(tzinfo=CHINA).timestamp()
    except ValueError:
        return None
    return min(end - now, LONGEST_PENALTY) if end > now else None


def _cause(code: str, message: object, request_id: object) -> Cause:
    return Cause(
        printable(code, 80),
        printable(message, LONGEST_TEXT),
        "UNKNOWN_CODE",
        printable(request_id, 80) or None,
    )
