"""Bytes to the store behind a signed address and back: what goes over the wire, and what may go wrong."""

import os
import tracemalloc
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pytest

from dingwatch.dingtalk import API_GET, API_PUT, Content, SignatureExpired, SignedAddress, Storage, Timeouts
from dingwatch.dingtalk.wire import PIECE, SLICE
from dingwatch.model import (
    Cause,
    Failure,
    MediaLost,
    Misconfigured,
    NoAnswer,
    NotReached,
    Rejected,
    Scope,
    StoreFailed,
    StoreUnreached,
    TokenRejected,
    Vanished,
    Verdict,
)
from tests.dingtalk.peers import SIGNATURE, TOKEN, Calls, Clock, React, Server, Wire
from tests.dingtalk.verdicts import verdict

Serve = Callable[..., Server]
HEADERS = {"Authorization": SIGNATURE, "x-oss-date": "Tue, 24 Nov 2026 10:00:00 GMT"}
OWN = {"host", "accept-encoding", "user-agent"}
LARGE = 96 << 20


def stored(wire: Wire, _head: bytes, _body: bytes) -> None:
    """Take the bytes, as OSS does: with an empty 200."""
    wire.answer_bytes(b"")


def refused(code: str, status: str = "403 Forbidden") -> React:
    """Refuse as OSS does."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{SIGNATURE} is bad</Message></Error>"
    return lambda wire, _head, _body: wire.answer_bytes(body.encode(), status)


def at(*urls: str) -> SignedAddress:
    """Sign an address."""
    return SignedAddress(tuple(f"{url}/bucket/a?part=1" for url in urls), HEADERS, 0.0)


def headers_of(head: bytes) -> dict[str, str]:
    """Take a request's headers apart."""
    lines = head.decode().split("\r\n")[1:]
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


@pytest.fixture
def storage(calls: Calls) -> Iterator[Storage]:
    """The drive of a client whose DingTalk nobody ever asks here."""
    with calls.client("http://127.0.0.1:9", timeouts=Timeouts(upload=20.0)) as client:
        yield client.storage("operator")


# --- Bytes there ---------------------------------------------------------------------------------


def test_only_the_signed_headers_go_with_the_bytes(serve: Serve, calls: Calls, storage: Storage) -> None:
    """No Content-Type, which would break the signature, and no token, which is not the store's business."""
    seen: list[tuple[bytes, bytes]] = []

    def react(wire: Wire, head: bytes, body: bytes) -> None:
        seen.append((head, body))
        stored(wire, head, body)

    storage.put(at(serve(react).url), Content.of(b"bytes"))
    [(head, body)] = seen
    assert head.startswith(b"PUT /bucket/a?part=1 HTTP/1.1\r\n")
    headers = headers_of(head)
    assert {name: headers.pop(name) for name in ("authorization", "x-oss-date")} == {
        name.lower(): value for name, value in HEADERS.items()
    }
    assert headers.pop("content-length") == "5"
    assert set(headers) <= OWN
    assert headers["user-agent"].startswith("dingwatch/")
    assert body == b"bytes"
    assert calls.gated == calls.counted == [API_PUT]


@pytest.mark.parametrize("size", [0, 1, SLICE, SLICE + 1, PIECE, 2 * PIECE + 7])
def test_a_part_is_read_from_where_it_lies(serve: Serve, storage: Storage, tmp_path: Path, size: int) -> None:
    """So many bytes of an open file from an offset on, whose own position stays."""
    seen: list[tuple[bytes, bytes]] = []

    def react(wire: Wire, head: bytes, body: bytes) -> None:
        seen.append((head, body))
        stored(wire, head, body)

    content = os.urandom(size + 30)
    (tmp_path / "a").write_bytes(content)
    with (tmp_path / "a").open("rb") as file:
        storage.put(at(serve(react).url), Content.of_descriptor(file.fileno(), size, 10))
        assert file.tell() == 0
    [(head, body)] = seen
    assert body == content[10 : size + 10]
    assert headers_of(head)["content-length"] == str(size)
    assert b"chunked" not in head


class Swallowing(Server):
    """Reads a body without keeping it."""

    def one(self, wire: Wire, head: bytes) -> None:
        """Count the bytes, and answer when all are there."""
        left = int(headers_of(head)["content-length"]) - len(wire._buffer)
        wire._buffer = b""
        room = bytearray(1 << 20)
        while left:
            left -= wire.sock.recv_into(room, min(left, len(room)))
        self.requests.append(head)
        wire.answer_bytes(b"")


def test_memory_stays_flat_while_bytes_go_out(serve: Serve, storage: Storage, tmp_path: Path) -> None:
    """However large a part is, little of it is held at a time."""
    (tmp_path / "large").touch()
    os.truncate(tmp_path / "large", LARGE)
    server = serve(stored, kind=Swallowing)
    with (tmp_path / "large").open("rb") as file:
        tracemalloc.start()
        storage.put(at(server.url), Content.of_descriptor(file.fileno(), LARGE))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert len(server.requests) == 1
    assert peak < 6 << 20


def test_a_broken_try_is_made_again_with_all_bytes_and_elsewhere(
    serve: Serve, calls: Calls, storage: Storage
) -> None:
    """The content is read anew, and the next of the addresses is tried."""
    bodies: list[bytes] = []
    reads: list[int] = []

    def broken(wire: Wire, _head: bytes, _body: bytes) -> None:
        wire.hang_up()

    def react(wire: Wire, head: bytes, body: bytes) -> None:
        bodies.append(body)
        stored(wire, head, body)

    def pieces() -> Iterator[bytes]:
        reads.append(1)
        yield from (b"ab", b"cd")

    first, second = serve(broken), serve(react)
    storage.put(at(first.url, second.url), Content(4, pieces))
    assert (len(first.requests), bodies, len(reads)) == (1, [b"abcd"], 2)
    assert calls.counted == [API_PUT] * 2
    assert len(calls.slept) == 1


def test_an_expired_signature_asks_for_a_new_address(serve: Serve, storage: Storage) -> None:
    """It is known as such and not tried again; no token of ours is to blame."""
    server = serve(refused("RequestTimeTooSkewed"))
    found = verdict(lambda: storage.put(at(server.url), Content.of(b"x")))
    assert (type(found), found.scope) == (SignatureExpired, Scope.ROW)
    assert isinstance(found, TokenRejected)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("code", "status", "expected", "requests"),
    [
        ("SignatureDoesNotMatch", "403 Forbidden", (Misconfigured, Scope.API, "SIGNATURE"), 1),
        ("NoSuchUpload", "404 Not Found", (MediaLost, Scope.ROW, "MEDIA_LOST"), 1),
        ("EntityTooLarge", "400 Bad Request", (Rejected, Scope.ROW, "TOO_BIG"), 1),
        ("NewsToUs", "400 Bad Request", (Rejected, Scope.ROW, "UNKNOWN_CODE"), 1),
        ("NewsToUs", "401 Unauthorized", (SignatureExpired, Scope.ROW, "SIGNATURE_EXPIRED"), 1),
        ("InternalError", "500 Internal Server Error", (StoreFailed, Scope.API, "DINGTALK_BUSY"), 3),
        ("NewsToUs", "503 Service Unavailable", (StoreFailed, Scope.API, "DINGTALK_BUSY"), 3),
    ],
)
def test_what_the_store_says_is_understood(
    serve: Serve,
    storage: Storage,
    code: str,
    status: str,
    expected: tuple[type[Verdict], Scope, str],
    requests: int,
) -> None:
    """Its own trouble is waited out for some seconds; a refusal is not repeated."""
    server = serve(refused(code, status))
    found = verdict(lambda: storage.put(at(server.url), Content.of(b"x")))
    assert (type(found), found.scope, found.cause.advice) == expected
    assert found.cause.code == code
    assert len(server.requests) == requests


@pytest.mark.parametrize(
    ("status", "body"),
    [
        ("403 Forbidden", b"<html>blocked by policy</html>"),
        ("407 Proxy Authentication Required", b""),
        ("302 Found", b""),
        ("204 No Content", b""),
        ("502 Bad Gateway", b"<Code>RequestTimeTooSkewed</Code>"),
    ],
)
def test_what_is_not_the_stores_word_is_no_answer(
    serve: Serve, storage: Storage, status: str, body: bytes
) -> None:
    """A firewall's page concerns the way to the store, and nothing else of the app."""
    server = serve(lambda wire, *_: wire.answer_bytes(body, status))
    found = verdict(lambda: storage.put(at(server.url), Content.of(b"x")))
    assert (type(found), found.scope, found.cause.advice) == (StoreFailed, Scope.API, "STORE")


def test_a_store_out_of_reach_does_not_stop_the_app(storage: Storage, dead_url: str) -> None:
    """DingTalk's own hosts may be well: only what needs the store waits, and a person hears its names."""
    for call, kind in (
        (lambda: storage.put(at(dead_url), Content.of(b"x")), StoreUnreached),
        (lambda: storage.download(at(dead_url), BytesIO(), limit=9), NotReached),
    ):
        found = verdict(call)
        assert (type(found), found.scope, found.cause.advice) == (kind, Scope.API, "STORE")


def test_a_store_is_probed_without_its_signature(
    serve: Serve, calls: Calls, storage: Storage, dead_url: str
) -> None:
    """What cannot be reached names its host alone; whatever that answers to a probe, it was reached."""
    found = verdict(lambda: storage.put(at(dead_url), Content.of(b"x")))
    assert isinstance(found, StoreUnreached)
    assert found.address == dead_url
    server = serve(lambda wire, *_: wire.answer_bytes(b"", "403 Forbidden"))
    with calls.client(server.url) as client:
        client.probe_store(server.url)
        assert isinstance(verdict(lambda: client.probe_store(dead_url)), NotReached)
    head = server.requests[0]
    assert head.startswith(b"HEAD / ")
    assert not set(headers_of(head)) & {name.lower() for name in HEADERS}


def test_an_address_that_is_none_does_not_stop_the_app(storage: Storage) -> None:
    """It came in an answer, and no setting of ours can mend it."""
    found = verdict(lambda: storage.put(at("http://127.0.0.1:99999999"), Content.of(b"x")))
    assert (type(found), found.scope, found.cause.advice) == (Misconfigured, Scope.API, "STORE")


def test_a_closed_gate_keeps_bytes_back(calls: Calls, storage: Storage, dead_url: str) -> None:
    """A stop ends the transfer before its next try, as it is, and is no matter of the store."""
    calls.refusal = NotReached(Cause("stopped", "", "STOPPED"), Scope.APP)
    found = verdict(lambda: storage.put(at(dead_url), Content.of(b"x")))
    assert found is calls.refusal
    assert calls.counted == []


# --- What the source does ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pieces", [[], [b"abc"], [b"abc", b""], [b"abcd", b"e"], [b"abcde"], [b"abcd", b"ef"]]
)
def test_a_content_of_another_size_has_changed(
    serve: Serve, calls: Calls, storage: Storage, pieces: list[bytes]
) -> None:
    """Fewer bytes than announced, or more: the file is not the one that was to be sent."""
    server = serve(stored)
    found = verdict(lambda: storage.put(at(server.url), Content(4, lambda: pieces)))
    assert (type(found), found.cause.code) == (Vanished, "changed")
    assert len(calls.counted) == 1


def test_a_truncated_file_has_changed(serve: Serve, storage: Storage, tmp_path: Path) -> None:
    """It ends before the part does."""
    (tmp_path / "a").write_bytes(b"x" * 10)
    with (tmp_path / "a").open("rb") as file:
        content = Content.of_descriptor(file.fileno(), 11)
        assert type(verdict(lambda: storage.put(at(serve(stored).url), content))) is Vanished


@pytest.mark.parametrize(
    "error",
    [
        OSError(5, "Input/output error"),
        BrokenPipeError(32, "Broken pipe"),
        TimeoutError("nfs"),
        ValueError("x"),
        Failure(Vanished(Cause("vanished", "", "FILE_GONE"))),
        Failure(NotReached(Cause("stopped", "", "STOPPED"), Scope.ROW)),
    ],
)
def test_what_reading_raises_comes_through(
    serve: Serve, calls: Calls, storage: Storage, error: Exception
) -> None:
    """A disk's trouble must not look like the network's, and is not waited out here."""

    def pieces() -> Iterator[bytes]:
        yield b"ab"
        raise error

    with pytest.raises(type(error)) as caught:
        storage.put(at(serve(stored).url), Content(4, pieces))
    assert caught.value is error
    assert len(calls.counted) == 1


# --- Bytes back ----------------------------------------------------------------------------------


def test_bytes_come_back_by_a_signed_address(serve: Serve, calls: Calls, storage: Storage) -> None:
    """With its headers and no token; what is written is what lay there."""
    seen: list[bytes] = []
    content = os.urandom(3 * SLICE + 5)

    def react(wire: Wire, head: bytes, _body: bytes) -> None:
        seen.append(head)
        wire.answer_bytes(content, headers="Content-Type: application/json\r\n")

    into = BytesIO()
    assert storage.download(at(serve(react).url), into, limit=len(content)) == len(content)
    assert into.getvalue() == content
    [head] = seen
    assert head.startswith(b"GET /bucket/a?part=1 HTTP/1.1\r\n")
    assert headers_of(head)["authorization"] == HEADERS["Authorization"]
    assert set(headers_of(head)) <= OWN | {"authorization", "x-oss-date"}
    assert TOKEN.encode() not in head
    assert calls.counted == [API_GET]


def test_an_empty_entry_is_no_failure(serve: Serve, storage: Storage) -> None:
    """It has nothing to write."""
    into = BytesIO()
    assert (storage.download(at(serve(stored).url), into, limit=9), into.getvalue()) == (0, b"")


def test_memory_stays_flat_while_bytes_come_back(serve: Serve, storage: Storage) -> None:
    """However large an entry is, little of it is held at a time."""
    block = bytes(1 << 20)

    def react(wire: Wire, _head: bytes, _body: bytes) -> None:
        wire.sock.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n".encode())
        for _ in range(LARGE >> 20):
            wire.sock.sendall(block)

    server = serve(react)
    with open(os.devnull, "wb") as sink:
        tracemalloc.start()
        size = storage.download(at(server.url), sink, limit=LARGE)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert size == LARGE
    assert peak < 6 << 20


@pytest.mark.parametrize("framing", ["length", "chunks", "close"])
def test_no_more_is_written_than_allowed(serve: Serve, storage: Storage, framing: str) -> None:
    """More than the limit is no answer, however it is framed."""
    content = b"x" * (SLICE + 1)

    def react(wire: Wire, _head: bytes, _body: bytes) -> None:
        if framing == "length":
            wire.answer_bytes(content)
        elif framing == "chunks":
            body = b"".join(b"1\r\nx\r\n" for _ in content) + b"0\r\n\r\n"
            wire.sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
        else:
            wire.sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + content)
            wire.hang_up()

    into, whole = BytesIO(), BytesIO()
    assert type(verdict(lambda: storage.download(at(serve(react).url), into, limit=SLICE))) is NoAnswer
    assert len(into.getvalue()) <= SLICE
    assert storage.download(at(serve(react).url), whole, limit=SLICE + 1) == SLICE + 1
    assert whole.getvalue() == content


def test_an_entry_that_is_cut_short_is_no_answer(serve: Serve, calls: Calls, storage: Storage) -> None:
    """What was written stays written, so that it is not repeated here."""

    def react(wire: Wire, _head: bytes, _body: bytes) -> None:
        wire.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
        wire.hang_up()

    server = serve(react)
    assert type(verdict(lambda: storage.download(at(server.url), BytesIO(), limit=9))) is NoAnswer
    assert calls.counted == [API_GET]


@pytest.mark.parametrize("passed", [1.0, 1000.0])
def test_a_download_may_take_as_long_as_it_is_large(serve: Serve, calls: Calls, passed: float) -> None:
    """So many seconds between two looks are an end for a small entry, and nothing for a large one."""
    server = serve(lambda wire, *_: wire.answer_bytes(b"abc"))
    with calls.client("http://127.0.0.1:9", monotonic=Clock(step=passed)) as client:
        address, into = at(server.url), BytesIO()
        if passed == 1.0:
            assert client.storage("op").download(address, into, limit=9) == 3
        else:
            assert type(verdict(lambda: client.storage("op").download(address, into, limit=9))) is NoAnswer
        assert client.storage("op").download(address, into, limit=1 << 30) == 3


@pytest.mark.parametrize(
    ("code", "kind"), [("RequestTimeTooSkewed", SignatureExpired), ("NoSuchKey", MediaLost)]
)
def test_a_refused_download_is_understood(
    serve: Serve, storage: Storage, code: str, kind: type[Verdict]
) -> None:
    """Nothing of an error is written for a file."""
    into = BytesIO()
    found = verdict(lambda: storage.download(at(serve(refused(code)).url), into, limit=999))
    assert (type(found), into.getvalue()) == (kind, b"")


def test_what_the_sink_raises_comes_through(serve: Serve, storage: Storage) -> None:
    """A full disk is not the network's trouble."""

    class Full(BytesIO):
        """Takes nothing."""

        def write(self, _block: object, /) -> int:
            raise OSError(28, "No space left on device")

    server = serve(lambda wire, *_: wire.answer_bytes(b"abc"))
    with pytest.raises(OSError, match="No space left"):
        storage.download(at(server.url), Full(), limit=9)
