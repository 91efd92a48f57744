"""A media file's bytes back from the legacy host, which tells of an error with HTTP 200 as well."""

import json
from collections.abc import Callable
from io import BytesIO
from urllib.parse import quote

import pytest

from dingwatch.dingtalk import API_MEDIA, API_TOKEN, MEDIA_LIMIT, Client, Host
from dingwatch.model import (
    Failure,
    Misconfigured,
    NoAnswer,
    NotReached,
    Rejected,
    Scope,
    Throttled,
    Verdict,
)
from tests.dingtalk.peers import TOKEN, Calls, Server, Wire
from tests.dingtalk.verdicts import verdict

Serve = Callable[..., Server]
NAMED = 'Content-Disposition: attachment; filename="@lAzP.json"\r\n'
OAPI = API_TOKEN[Host.OAPI]


def got(client: Client, limit: int = MEDIA_LIMIT) -> bytes:
    """Get a file's bytes, and see that their number is told."""
    into = BytesIO()
    assert client.media.download("@lAz+P=", into, limit=limit) == len(into.getvalue())
    return into.getvalue()


def verdict_on_download(client: Client) -> Verdict:
    """Return the verdict on a download that fails, of which nothing was written."""
    into = BytesIO()
    found = verdict(lambda: client.media.download("@lAzP", into))
    assert into.getvalue() == b""
    return found


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (b"%PDF-1.7", "Content-Type: application/pdf\r\n"),
        (b"\xff\xd8" * 100_000, "Content-Type: image/jpeg\r\n" + NAMED),
        (b'{"errcode":40014}', "Content-Type: application/json\r\n" + NAMED),
        (b"<html>", "Content-Type: text/html\r\n" + NAMED),
        (b"", NAMED),
    ],
)
def test_a_file_comes_back(serve: Serve, calls: Calls, content: bytes, headers: str) -> None:
    """Its id and the token stand in the address; a name on the answer makes anything a file."""
    seen: list[bytes] = []

    def react(wire: Wire, head: bytes, _body: bytes) -> None:
        seen.append(head)
        wire.answer_bytes(content, headers=headers)

    with calls.client(serve(react).url) as client:
        assert got(client) == content
    [head] = seen
    address = f"/media/downloadFile?access_token={TOKEN}&media_id={quote('@lAz+P=', safe='')}"
    assert head.startswith(f"GET {address} HTTP/1.1\r\n".encode())
    assert calls.counted == [OAPI, API_MEDIA]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (40007, (Rejected, Scope.ROW)),
        (40004, (Rejected, Scope.ROW)),
        (90018, (Throttled, Scope.API)),
        (60011, (Misconfigured, Scope.API)),
        (404, (Misconfigured, Scope.API)),
        (0, (NoAnswer, Scope.API)),
    ],
)
@pytest.mark.parametrize("kind", ["Content-Type: application/json;charset=UTF-8\r\n", ""])
def test_an_error_is_no_file(
    serve: Serve, calls: Calls, kind: str, code: int, expected: tuple[type[Verdict], Scope]
) -> None:
    """It is judged as every legacy answer is; a success without a file is no answer."""
    body = json.dumps({"errcode": code, "errmsg": f"access_token={TOKEN}"}).encode()
    with calls.client(serve(lambda wire, *_: wire.answer_bytes(body, headers=kind)).url) as client:
        found = verdict_on_download(client)
    assert (type(found), found.scope) == expected
    assert (found.cause.advice == "CONTENT_GONE") == (code in {40004, 40007})


def test_a_gates_page_is_no_file(serve: Serve, calls: Calls) -> None:
    """It comes with HTTP 200 too."""
    page = (b"<html>too many requests</html>", "200 OK", "Content-Type: text/html\r\n")
    with calls.client(serve(lambda wire, *_: wire.answer_bytes(*page)).url) as client:
        assert verdict_on_download(client).cause.code == "gate_page"


def test_a_file_behind_an_error_status_is_none(serve: Serve, calls: Calls) -> None:
    """A name on the answer does not make a success of it."""
    with calls.client(
        serve(lambda wire, *_: wire.answer_bytes(b"x", "502 Bad Gateway", NAMED)).url
    ) as client:
        assert type(verdict_on_download(client)) is NoAnswer


def test_a_dead_token_is_renewed_for_a_download(serve: Serve, calls: Calls) -> None:
    """The refusal wrote nothing, so that the file comes whole."""
    answers = iter([(b'{"errcode":40014}', "Content-Type: application/json\r\n"), (b"abc", NAMED)])

    def react(wire: Wire, _head: bytes, _body: bytes) -> None:
        body, headers = next(answers)
        wire.answer_bytes(body, headers=headers)

    with calls.client(serve(react).url) as client:
        assert got(client) == b"abc"
    assert calls.counted == [OAPI, API_MEDIA, OAPI, API_MEDIA]


def test_a_download_that_was_not_reached_is_repeated_once(serve: Serve, calls: Calls) -> None:
    """Nothing was written; the third try is the caller's."""
    server = serve(lambda wire, *_: wire.answer({}))
    with calls.client(server.url) as client:
        client.fetch_token(Host.OAPI)
        server.close()
        calls.clock.now += 60
        assert type(verdict_on_download(client)) is NotReached
    assert calls.counted == [OAPI, API_MEDIA, API_MEDIA]


def test_no_more_media_is_written_than_allowed(serve: Serve, calls: Calls) -> None:
    """More than the limit is no answer."""
    with calls.client(serve(lambda wire, *_: wire.answer_bytes(b"abcd", headers=NAMED)).url) as client:
        assert got(client, limit=4) == b"abcd"
        with pytest.raises(Failure) as caught:
            got(client, limit=3)
    assert type(caught.value.verdict) is NoAnswer


@pytest.mark.parametrize("kind", ["file", "image", "voice", "video"])
def test_media_have_kinds(serve: Serve, calls: Calls, kind: str) -> None:
    """The kind stands in the address (API sheet 2.1)."""
    server = serve(lambda wire, *_: wire.answer({"errcode": 0, "media_id": "@x"}))
    with calls.client(server.url) as client:
        assert client.media.upload(name="a.png", content=b"x", kind=kind) == "@x"
    assert f"&type={kind} ".encode() in server.requests[0]
