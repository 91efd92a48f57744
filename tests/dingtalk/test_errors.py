"""Corners of what an exception and an answer mean: where certainty would be a mistake, and where doubt."""

import json

import pytest
import requests.exceptions
import urllib3.exceptions

from dingwatch.dingtalk import Host
from dingwatch.dingtalk.errors import ADDRESS, AFTER, BEFORE, verdict_of_exception
from dingwatch.model import (
    Misconfigured,
    NoAnswer,
    NotReached,
    Rejected,
    Throttled,
    TokenRejected,
)
from tests.dingtalk.verdicts import verdict_on

BOM = b"\xef\xbb\xbf"


# --- Exceptions --------------------------------------------------------------------------------


def test_a_request_without_a_body_may_have_left() -> None:
    """Its class is all there is to go by, and being a PoolError too makes a read timeout no certainty."""
    for one in AFTER:
        assert type(verdict_of_exception(one.__new__(one), sent=None)) is NoAnswer, one


def test_a_request_without_a_body_may_never_have_left() -> None:
    """What is raised while connecting is certain."""
    for one in BEFORE:
        assert type(verdict_of_exception(one.__new__(one), sent=None)) is NotReached, one


def test_an_address_is_no_excuse_once_the_body_began() -> None:
    """Misconfigured would say that the message did not arrive."""
    for one in ADDRESS:
        assert type(verdict_of_exception(one.__new__(one), sent=None)) is Misconfigured, one
        assert type(verdict_of_exception(one.__new__(one), sent=True)) is NoAnswer, one


def test_a_class_of_tomorrow_is_judged_by_its_nearest_parent() -> None:
    """A subclass that a library adds keeps the meaning of what it derives from."""

    class Tomorrow(urllib3.exceptions.ReadTimeoutError):
        """Derives from TimeoutError, RequestError and PoolError at once."""

    assert type(verdict_of_exception(Tomorrow.__new__(Tomorrow), sent=None)) is NoAnswer


@pytest.mark.parametrize("sent", [None, False, True])
def test_no_message_repeats_an_address(sent: bool | None) -> None:  # noqa: FBT001 (an example)
    """The libraries' own words hold the token; only the class or the system's words are told."""
    address = "https://oapi.dingtalk.com/media/upload?access_token=abc"
    for error in (
        requests.exceptions.ConnectionError(f"HTTPSConnectionPool: Max retries exceeded with url: {address}"),
        requests.exceptions.InvalidURL(address),
        ValueError(address),
        OSError(f"Tunnel connection failed for {address}"),
    ):
        assert "abc" not in verdict_of_exception(error, sent=sent).cause.message


# --- Answers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("host", list(Host))
@pytest.mark.parametrize("body", [b"", b"Too Many Requests", b"[]", b"\xff"])
def test_some_statuses_mean_enough_by_themselves(host: Host, body: bytes) -> None:
    """A gateway's bare 401, 413 or 429 had no effect: it needs no code to be a refusal."""
    found = verdict_on(body, 429, host, headers={"Retry-After": "9"})
    assert isinstance(found, Throttled)
    assert found.retry_after == 9.0
    assert type(verdict_on(body, 401, host)) is TokenRejected
    too_big = verdict_on(body, 413, host)
    assert (type(too_big), too_big.cause.advice) == (Rejected, "TOO_BIG")
    assert type(verdict_on(body, 400, host)) is NoAnswer


@pytest.mark.parametrize("status", [200, 401, 429, 502])
def test_a_page_is_a_page_behind_a_byte_order_mark_too(status: int) -> None:
    """Its status is the gateway's and not DingTalk's."""
    assert verdict_on(BOM + b"\r\n<html>", status).cause.code == "gate_page"


def test_a_code_is_read_before_the_status() -> None:
    """DingTalk throttles with 403, says of a dead token 400, and means its code with a 5xx as well."""
    code = "Forbidden.AccessDenied.QpsLimitForApi"
    for status in (200, 400, 401, 403, 413, 429, 500):
        assert type(verdict_on({"code": code}, status)) is Throttled
    assert type(verdict_on(b'{"code":"InvalidAuthentication"}', 503)) is TokenRejected
    assert type(verdict_on(b'{"errcode":40014}', 503, Host.OAPI)) is TokenRejected


def test_http_200_with_a_new_code_is_a_refusal() -> None:
    """On the new host as on the legacy one; and errcode 0 behind a 5xx is no success."""
    assert type(verdict_on(b'{"code":"brand.new","processQueryKey":"k"}', 200)) is Rejected
    assert type(verdict_on(b'{"errcode":0,"media_id":"@x"}', 502, Host.OAPI)) is NoAnswer


@pytest.mark.parametrize("host", list(Host))
@pytest.mark.parametrize("status", ["1111", 1111])
def test_an_ip_ban_is_known_as_number_and_text(host: Host, status: object) -> None:
    """The one seen was a number; nothing promises that."""
    assert verdict_on({"status": status, "wait": 5}, 200, host).cause.code == "gate_page"


@pytest.mark.parametrize("member", ["requestid", "requestId"])
def test_the_request_id_is_kept_in_either_spelling(member: str) -> None:
    """It is what the developer console's diagnosis asks for; the body's goes before the header's."""
    body = json.dumps({"code": "brand.new", member: "R1"}).encode()
    headers = {"x-acs-dingtalk-request-id": "R2"}
    assert verdict_on(body, 400, headers=headers).cause.request_id == "R1"
    assert verdict_on({"code": "brand.new"}, 400, headers=headers).cause.request_id == "R2"
    assert verdict_on(b'{"code":"brand.new"}', 400).cause.request_id is None


@pytest.mark.parametrize("end", ["2019-02-31 20:40:05", "2019-02-13 25:40:05", "2019-02-13"])
def test_a_penalty_without_a_readable_end_is_the_tables(end: str) -> None:
    """A date that is none leaves the usual wait."""
    body = json.dumps({"errcode": 90001, "errmsg": f"处罚将在 {end} 结束."}).encode()
    found = verdict_on(body, 200, Host.OAPI)
    assert isinstance(found, Throttled)
    assert found.retry_after == 300.0


def test_a_header_goes_before_the_message() -> None:
    """Whoever writes Retry-After stands nearest."""
    message = "处罚将在 1970-01-01 08:01:00 结束"
    body = json.dumps({"errcode": 90001, "errmsg": message}).encode()
    alone = verdict_on(body, 200, Host.OAPI)
    both = verdict_on(body, 200, Host.OAPI, headers={"Retry-After": "7"})
    assert isinstance(alone, Throttled)
    assert isinstance(both, Throttled)
    assert (alone.retry_after, both.retry_after) == (60.0, 7.0)


def test_a_ca_file_that_is_not_there_is_named_for_every_call() -> None:
    """It is missed before anything leaves, by a probe without a body as by a send."""
    error = OSError("Could not find a suitable TLS CA certificate bundle, invalid path: /no/such.pem")
    for sent in (None, False):
        found = verdict_of_exception(error, sent=sent)
        assert (type(found), found.cause.advice) == (NotReached, "CERTIFICATE"), sent
