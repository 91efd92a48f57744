"""What an answer means that no table explains, or that is none."""

import json
import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dingwatch.dingtalk import Host
from dingwatch.dingtalk.errors import result_of
from dingwatch.model import Failure, NoAnswer, Rejected, Scope, Throttled, TokenRejected
from tests.dingtalk.verdicts import verdict_on

FAST = b'{"code":"send.too.fast","message":""}'


@pytest.mark.parametrize("errcode", [0, "0"])
def test_errcode_zero_is_success(errcode: object) -> None:
    """The legacy host says 0, and in one document "0"."""
    body = json.dumps({"errcode": errcode, "media_id": "@x"}).encode()
    assert result_of(Host.OAPI, 200, {}, body, 0.0)["media_id"] == "@x"


def test_http_200_is_not_success() -> None:
    """An errcode in an answer with HTTP 200 is a failure."""
    assert isinstance(verdict_on(b'{"errcode":40005}', 200, Host.OAPI), Rejected)


@pytest.mark.parametrize("host", list(Host))
def test_an_unknown_code_is_a_refusal(host: Host) -> None:
    """A new code in a well-formed answer refuses this request; with 5xx nobody knows."""
    body = b'{"errcode":123456,"code":"brand.new"}'
    status = 200 if host is Host.OAPI else 400
    assert type(verdict_on(body, status, host)) is Rejected
    assert type(verdict_on(body, 502, host)) is NoAnswer


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("host", list(Host))
def test_5xx_is_no_answer(status: int, host: Host) -> None:
    """What a server in trouble did is unknown."""
    found = verdict_on(b"{}", status, host)
    assert (type(found), found.scope) == (NoAnswer, Scope.API)


@pytest.mark.parametrize("host", list(Host))
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"0",
        b"{",
        b'{"errcode":',
        b"\xff\xfe\x00",
        b"[" * 100000,
        b"1" * 10000,
        b"not json",
        b'"ok"',
    ],
)
def test_nonsense_is_no_answer(host: Host, body: bytes) -> None:
    """What cannot be read as an object says nothing."""
    assert type(verdict_on(body, 200, host)) is NoAnswer


@pytest.mark.parametrize("code", [None, [], {}, True, 1.5, ""])
def test_a_code_that_is_none_is_no_answer(code: object) -> None:
    """An errcode that is no number and no text is nonsense too."""
    assert type(verdict_on({"errcode": code}, 200, Host.OAPI)) is NoAnswer


@pytest.mark.parametrize("status", [200, 403, 502])
@pytest.mark.parametrize("host", list(Host))
def test_a_page_is_the_gates(status: int, host: Host) -> None:
    """HTML comes from the gateway and concerns every call from this address."""
    found = verdict_on(b"\r\n <!DOCTYPE html><html>", status, host)
    assert (type(found), found.scope, found.cause.code) == (NoAnswer, Scope.APP, "gate_page")


@pytest.mark.parametrize("host", list(Host))
def test_status_1111_is_the_gates(host: Host) -> None:
    """The JSON of an IP ban is treated as its page is."""
    body = b'{"status":1111,"wait":5,"source":"x5","punish":"deny","uuid":"u"}'
    assert verdict_on(body, 200, host).cause.code == "gate_page"


@pytest.mark.parametrize(
    ("host", "body", "code"),
    [
        (Host.OAPI, b'{"status":1111,"errcode":310000,"errmsg":"keywords not in content"}', "310000"),
        (Host.OAPI, b'{"status":1111,"wait":5,"errcode":130101,"errmsg":"send too fast"}', "130101"),
        (Host.API, b'{"status":1111,"code":"send.too.fast"}', "send.too.fast"),
        (Host.OAPI, b'{"status":1111,"errcode":null}', "gate_page"),
        (Host.API, b'{"status":"1111","errcode":40005}', "gate_page"),
    ],
)
def test_a_code_beside_status_1111_is_what_happened(host: Host, body: bytes, code: str) -> None:
    """Webhooks answer with both; the code says what to do."""
    assert verdict_on(body, 200, host).cause.code == code


def test_a_success_beside_status_1111_is_one() -> None:
    """The errcode is what happened (API sheet 14)."""
    assert result_of(Host.OAPI, 200, {}, b'{"status":1111,"errcode":0}', 0.0)


@pytest.mark.parametrize("body", [b"<html>413 Request Entity Too Large</html>", b"", b'{"x":1}'])
def test_413_is_about_the_file(body: bytes) -> None:
    """A gateway that finds a file too large says so by the status alone."""
    found = verdict_on(body, 413, Host.OAPI)
    assert (type(found), found.cause.advice) == (Rejected, "TOO_BIG")


def test_401_renews_the_token() -> None:
    """Whatever the code, an unauthorised call is a matter of the token."""
    assert type(verdict_on(b'{"code":"brand.new"}', 401)) is TokenRejected


@pytest.mark.parametrize("status", [204, 301, 302, 304])
def test_a_redirect_is_no_answer(status: int) -> None:
    """An answer that is neither success nor refusal is nobody's word."""
    assert type(verdict_on(b"{}", status)) is NoAnswer


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("7", 7.0),
        (" 30 ", 30.0),
        ("0", 3.0),
        ("-5", 3.0),
        ("nan", 3.0),
        ("inf", 3.0),
        ("1e3", 3.0),
        ("Tue, 24 Nov 2026 10:00:00 GMT", 3.0),
        ("९", 3.0),
        ("", 3.0),
        ("9" * 400, 86400.0),
    ],
)
def test_retry_after_is_believed_within_reason(written: str, seconds: float) -> None:
    """Plain seconds count, up to a day; everything else leaves the table's wait."""
    found = verdict_on(FAST, 400, headers={"Retry-After": written})
    assert isinstance(found, Throttled)
    assert found.retry_after == seconds


def test_429_is_a_throttle() -> None:
    """It is not documented, and taken at its word."""
    found = verdict_on(b"{}", 429, headers={"Retry-After": "9"})
    assert isinstance(found, Throttled)
    assert (found.retry_after, found.scope) == (9.0, Scope.API)


@pytest.mark.parametrize(
    ("now", "seconds"), [(1550061500.0, 105.0), (1550070000.0, 20.0), (0.0, 86400.0), (math.nan, 20.0)]
)
def test_a_penalty_says_when_it_ends(now: float, seconds: float) -> None:
    """The end in DingTalk's message, in China's time, is waited for; one that is past is not."""
    message = "…请求总次数超过了 300 次, 处罚将在 2019-02-13 20:40:05 结束."
    body = json.dumps({"errcode": 90002, "errmsg": message}).encode()
    found = verdict_on(body, 200, Host.OAPI, now=now)
    assert isinstance(found, Throttled)
    assert found.retry_after == seconds


def test_a_message_is_one_bounded_line() -> None:
    """Control characters and endless texts do not reach the log."""
    body = json.dumps({"code": "c\n" * 99, "message": "a\x1b[31m\r\n\u202e" * 9999, "requestid": [1]})
    cause = verdict_on(body.encode(), 400).cause
    assert cause.code.isprintable()
    assert cause.message.isprintable()
    assert len(cause.code) + len(cause.message) < 1500


@given(st.binary(max_size=60), st.integers(100, 599), st.sampled_from(Host))
def test_no_bytes_raise_anything_else(body: bytes, status: int, host: Host) -> None:
    """Whatever comes is a success or a verdict."""
    with suppress(Failure):
        result_of(host, status, {}, body, 0.0)


# A few letters will do; all of Unicode would have to be tabled first, for seconds, in a fresh checkout.
TEXT = st.text("a0.-_中\n\0\u202e", max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
MEMBERS = ["errcode", "errmsg", "code", "message", "sub_code", "status", "requestid", "accessdenieddetail"]


@given(st.dictionaries(st.sampled_from(MEMBERS), JSON), st.integers(100, 599), st.sampled_from(Host))
def test_no_members_raise_anything_else(document: dict[str, object], status: int, host: Host) -> None:
    """Members of the wrong sort are a success or a verdict too."""
    with suppress(Failure):
        result_of(host, status, {}, json.dumps(document).encode(), 0.0)
