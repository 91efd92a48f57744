"""Any answer to any call: a value or a verdict comes out, within bounds, and without a token in it."""

from __future__ import annotations

import gc
import gzip
import json
import time
import traceback
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any, Final

import pytest
from hypothesis import strategies as st

from dingwatch.dingtalk import Account, Client, Host, ReadStatus, Recalled, Timeouts
from dingwatch.model import Failure, NoAnswer, NotReached
from tests.dingtalk.peers import SECRET, TOKEN, Calls, Server, Wire, send
from tests.fuzz.budget import a_few, for_a_while

CALLS: Final[dict[str, Callable[[Client], object]]] = {
    "oauth2/accessToken": lambda client: client.fetch_token(Host.API, force=True),
    "gettoken": lambda client: client.fetch_token(Host.OAPI, force=True),
    "media/upload": lambda client: client.media.upload(name="a.pdf", content=b"a" * 100),
    "groupMessages/send": send,
    "groupMessages/query": lambda client: client.groups.read_status(
        conversation_id="cid", process_query_key="k"
    ),
    "groupMessages/recall": lambda client: client.groups.recall(
        conversation_id="cid", process_query_keys=["k"]
    ),
    "robots/query": lambda client: client.robots("cid"),
}
GOOD: Final[dict[str, dict[str, object]]] = {
    "oauth2/accessToken": {"accessToken": TOKEN, "expireIn": 7200},
    "gettoken": {"errcode": 0, "errmsg": "ok", "access_token": TOKEN, "expires_in": 7200},
    "media/upload": {"errcode": 0, "errmsg": "ok", "media_id": "@lAzP", "type": "file", "created_at": 1},
    "groupMessages/send": {"processQueryKey": "key"},
    "groupMessages/query": {"sendStatus": "SUCCESS", "readUserIds": ["a"], "hasMore": False, "nextToken": ""},
    "groupMessages/recall": {"successResult": ["k"], "failedResult": {"k2": "e"}},
    "robots/query": {"chatbotInstanceVOList": [{"robotCode": "dingtest", "name": "r"}]},
}
BAD: Final = {
    "code": "Forbidden.AccessDenied.AccessTokenPermissionDenied",
    "message": f"bad request /x?access_token={TOKEN}&appsecret={SECRET}",
    "requestid": "r",
    "accessdenieddetail": {"requiredScopes": ["a"]},
    "errcode": 88,
    "errmsg": f"ding talk error[subcode=60011,submsg={TOKEN}]",
    "sub_code": "60011",
    "sub_msg": f"access_token={TOKEN}",
}
MEMBERS: Final = ["status", *BAD]
TEXT: Final = st.sampled_from(
    ["", "0", "ok", "财务", "\0\r\n\u202e", "😀", TOKEN, SECRET, "x" * 5000, "\ud800"]
)
NUMBERS: Final = (
    st.integers() | st.floats() | st.sampled_from([0, -1, 88, 1111, 10**400, -(10**400), 2**64, 1e308])
)
JSON: Final = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture(autouse=True)
def _garbage_collected_between_tests() -> Iterator[None]:
    """No garbage is collected meanwhile: at the limit of recursion, its finalizers could not run."""
    gc.disable()
    yield
    gc.enable()
    gc.collect()


def nested(depth: int) -> Any:  # noqa: ANN401 (a list in a list in a list)
    """Return a value as deep as that."""
    value: Any = "x"
    for _ in range(depth):
        value = [value]
    return value


# --- An answer, from its parts ---------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """What is sent back for a request, and how."""

    raw: bytes
    piece: int
    ending: str

    def give(self, wire: Wire) -> None:
        """Send it, in so many bytes at a time, and end."""
        step = self.piece or max(len(self.raw), 1)
        for start in range(0, len(self.raw), step):
            wire.sock.sendall(self.raw[start : start + step])
        if self.ending == "wait":
            wire.head()
        if self.ending != "keep":
            wire.hang_up()


@st.composite
def bodies(draw: st.DrawFn, call: str) -> bytes:
    """A good answer with some members changed, a bad one, any JSON, or no JSON."""
    kind = draw(st.sampled_from(["changed", "bad", "any", "deep", "page", "bytes"]))
    if kind == "bytes":
        return draw(st.binary(max_size=200))
    if kind == "page":
        return f"<!DOCTYPE html><html>{SECRET} access_token={TOKEN}</html>".encode()
    if kind == "any":
        return json.dumps(draw(JSON)).encode("utf-8", "surrogatepass")
    if kind == "deep":
        opening = draw(st.sampled_from([b"[", b'{"a":', b'{"errcode":0,"code":[', b"[[],"]))
        return opening * draw(st.sampled_from([10, 900, 2000, 100_000]))
    document = dict(GOOD[call]) if kind == "changed" else dict(BAD)
    members = st.sampled_from([*GOOD[call], *MEMBERS])
    deep = st.sampled_from([800, 900, 940, 950, 960, 970, 980]).map(nested)
    for name, value in draw(st.dictionaries(members, JSON | deep, max_size=3)).items():
        document[name] = value
    for name in draw(st.sets(members, max_size=2)):
        document.pop(name, None)
    with suppress(RecursionError):
        return json.dumps(document, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    return b"{}"


def chunked(body: bytes) -> bytes:
    """Return a body in two chunks."""
    half = len(body) // 2
    parts = [part for part in (body[:half], body[half:]) if part]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


PACKED: Final[dict[str, Callable[[bytes], bytes]]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "gzip, gzip": lambda body: gzip.compress(gzip.compress(body)),
    "br": lambda body: body,
    "identity": lambda body: body,
    "gzip, " * 20 + "gzip": gzip.compress,
    "\xff": lambda body: body,
}
LENGTHS: Final = st.sampled_from(["", "-1", "abc", "0", "1", "9" * 20, "5, 5", "0x10", " 7", "1_0"])
CHUNKS: Final = st.lists(
    st.sampled_from(
        [b"5\r\n", b"-5\r\n", b"zz\r\n", b"\r\n", b"0\r\n", b"ffffffffffffffff\r\n", b"1;x=y\r\na\r\n", b"{}"]
    ),
    max_size=6,
).map(b"".join)
STATUS: Final = st.sampled_from(
    [
        *(
            "200 OK",
            "200",
            "100 Continue",
            "204 No Content",
            "302 Found",
            "304 Not Modified",
            "400 Bad Request",
        ),
        *("401 x", "403 Forbidden", "404 x", "407 x", "413 x", "429 x", "500 x", "503 x", "599 x", "999 x"),
        *("1000 x", "abc", "-1 x"),
    ]
)
HEADERS: Final = st.sampled_from(
    [
        *(
            "Location: http://127.0.0.1:1/",
            "Retry-After: 1e9",
            "Retry-After: 5",
            "Connection: close",
            "no colon",
        ),
        *("Set-Cookie: a=b", "Set-Cookie: \xff=\x00; expires=never", "Content-Type: text/html; charset=\xff"),
        *(
            " folded",
            ": no name",
            f"X-T: {TOKEN}",
            "x" * 70000,
            "Link: <>; rel",
            "Upgrade: h2c",
            "Trailer: x",
        ),
        *(f"x-acs-dingtalk-request-id: {TOKEN}", "Content-Length: 3", "Transfer-Encoding: chunked, gzip"),
        *("\0: \0", "Age: 1"),
    ]
)


@st.composite
def answers(draw: st.DrawFn, call: str) -> Answer:
    """An answer with any status, headers, packing, framing, cut and ending."""
    body = draw(bodies(call))
    lines = [
        f"{draw(st.sampled_from(['HTTP/1.1'] * 8 + ['HTTP/1.0', 'HTTP/9.9', 'ICY', '']))} {draw(STATUS)}"
    ]
    lines += draw(st.lists(HEADERS, max_size=3))
    if packing := draw(st.sampled_from([None] * 8 + list(PACKED))):
        lines.append(f"Content-Encoding: {packing}")
        body = PACKED[packing](body) if draw(st.integers(0, 3)) else body
    framing = draw(st.sampled_from(["right"] * 6 + ["wrong", "close", "chunked", "odd chunks"]))
    if framing in {"right", "wrong"}:
        lines.append(f"Content-Length: {len(body) if framing == 'right' else draw(LENGTHS)}")
    elif framing != "close":
        lines.append("Transfer-Encoding: chunked")
        body = chunked(body) if framing == "chunked" else draw(CHUNKS)
    raw = "\r\n".join([*lines, "", ""]).encode("latin-1") + body
    if not draw(st.integers(0, 4)):
        raw = raw[: draw(st.integers(0, len(raw)))]
    if not draw(st.integers(0, 9)):
        raw = draw(st.binary(max_size=300))
    # To wait takes the client's whole patience, so it is seldom tried.
    ending = draw(st.sampled_from(["keep"] * 10 + ["close"] * 10 + ["wait"]))
    pieces = draw(st.sampled_from([0] * 9 + [1])) if len(raw) < 2000 else 0
    return Answer(raw, pieces, ending)


EXAMPLES: Final = st.sampled_from(list(CALLS)).flatmap(lambda call: st.tuples(st.just(call), answers(call)))


# --- The peer and the check ------------------------------------------------------------------------


class Peer(Server):
    """Answers one call as told, and token calls well where they are not the one."""

    call = ""
    told: Answer | None = None

    def one(self, wire: Wire, head: bytes) -> None:
        """Answer one request."""
        if self.told is None or self.call.encode() not in head:
            super().one(wire, head)
            return
        wire.body(head)
        self.told.give(wire)


def polite(wire: Wire, _head: bytes, _body: bytes) -> None:
    """Answer what nobody asks here."""
    wire.answer({})


@pytest.fixture
def peer() -> Iterator[Peer]:
    """A peer that has not been told anything yet."""
    server = Peer(polite)
    yield server
    server.close()


HASTY: Final = Timeouts(connect=5.0, read=0.1, upload=0.1, answer=0.1)
"""For answers that may never end; what a good answer is worth is not judged by these."""
PATIENT: Final = Timeouts(connect=20.0, read=20.0, upload=20.0)


def outcome(peer: Peer, call: str, answer: Answer, timeouts: Timeouts) -> object:
    """Make a call that gets this answer; return what comes back, or the Failure."""
    peer.call = call
    account = Account("dingtest", SECRET, "dingtest", peer.url, peer.url)
    calls = Calls()
    with Client(
        account,
        gate=calls.gate,
        count=calls.counted.append,
        sleep=calls.sleep,
        clock=time.time,
        timeouts=timeouts,
    ) as client:
        peer.told = None
        for host in Host:
            client.fetch_token(host)
        peer.told = answer
        try:
            return CALLS[call](client)
        except Failure as failure:
            return failure


def judged(peer: Peer, call: str, answer: Answer, timeouts: Timeouts = PATIENT) -> object:
    """See that an outcome is of the right sort, bounded, and tells no secret."""
    found = outcome(peer, call, answer, timeouts)
    if isinstance(found, Failure):
        cause = found.verdict.cause
        texts = [cause.code, cause.message, cause.advice, cause.request_id or ""]
        assert all(text.isprintable() and len(text) <= 300 for text in texts)
        told = "".join(traceback.format_exception(found)) + repr(found.verdict)
        assert TOKEN not in told
        assert SECRET not in told
        if call not in {"oauth2/accessToken", "gettoken"}:
            assert not isinstance(found.verdict, NotReached), "the whole request had arrived"
    else:
        assert isinstance(found, str | tuple | ReadStatus | Recalled | None)
    return found


def test_a_few_answers(peer: Peer) -> None:
    """What comes back is a value or a verdict."""
    a_few(lambda example: judged(peer, example[0], example[1], HASTY), EXAMPLES, 40)


@pytest.mark.sweep
@pytest.mark.parametrize("call", CALLS)
def test_many_answers(peer: Peer, call: str) -> None:
    """The same for a while, for each call."""
    for_a_while(lambda answer: judged(peer, call, answer, HASTY), answers(call), len(CALLS))


FRAMES: Final[dict[str, Callable[[bytes], bytes]]] = {
    "with a length": lambda body: b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body),
    "in chunks": lambda body: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(body),
    "packed": lambda body: (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s"
        % (len(packed := gzip.compress(body, mtime=0)), packed)
    ),
}


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("call", CALLS)
def test_an_answer_cut_anywhere_is_none(peer: Peer, call: str, frame: str) -> None:
    """However much of a good answer has come, only the whole of it is a success."""
    whole = FRAMES[frame](json.dumps(GOOD[call]).encode())
    # With the first byte of the last chunk, which is empty, the body is whole.
    least = len(whole) - (len(b"\r\n\r\n") if frame == "in chunks" else 0)
    for length in range(0, least, 7):
        found = judged(peer, call, Answer(whole[:length], 0, "close"))
        assert isinstance(found, Failure), length
        assert type(found.verdict) is NoAnswer, length
    assert not isinstance(judged(peer, call, Answer(whole, 0, "close")), Failure)


@pytest.mark.parametrize("member", [*GOOD["robots/query"], *MEMBERS])
def test_a_member_of_any_depth_is_no_crash(peer: Peer, member: str) -> None:
    """What could just be parsed is not too deep to be told."""
    for depth in range(860, 1000, 3):
        document = f'{{"robotCode":0,"code":"x","errcode":88,"{member}":{"[" * depth}{"]" * depth}}}'.encode()
        for call in ("robots/query", "media/upload"):
            judged(peer, call, Answer(FRAMES["with a length"](document), 0, "keep"))


@pytest.mark.parametrize("call", CALLS)
def test_a_refusal_that_repeats_a_secret(peer: Peer, call: str) -> None:
    """Whichever member of an answer holds what was asked with, none of it is told."""
    raw = b"HTTP/1.1 400 x\r\nx-acs-dingtalk-request-id: %s\r\nContent-Length: %d\r\n\r\n%s"
    for secret in (TOKEN, SECRET):
        for member in ("code", "message", "requestid", "errcode", "errmsg", "request_id"):
            body = json.dumps({"errcode": 40035, "code": "x", member: secret}).encode()
            found = judged(peer, call, Answer(raw % (secret.encode(), len(body), body), 0, "keep"))
            assert isinstance(found, Failure), member


class Renewing(Server):
    """Gives a new token for each token call; a send is answered late, with the token that it came with."""

    tokens = 0
    client: Client

    def one(self, wire: Wire, head: bytes) -> None:
        """Answer one request."""
        wire.body(head)
        if b"oauth2/accessToken" in head:
            self.tokens += 1
            wire.answer({"accessToken": f"{TOKEN}-{self.tokens}", "expireIn": 7200})
            return
        self.client.fetch_token(Host.API, force=True)  # as another worker does meanwhile
        wire.answer({"code": "x", "message": head.decode()}, "400 x")


def test_a_token_that_was_replaced_is_still_kept_back() -> None:
    """An answer to a call that was made with the token before may come late, and repeat it."""
    server, calls = Renewing(polite), Calls()
    with closing(server), calls.client(server.url) as client:
        server.client = client
        with pytest.raises(Failure) as caught:
            send(client)
        assert server.tokens == 2
        assert "access-token: ***" in caught.value.verdict.cause.message
        assert TOKEN not in caught.value.verdict.cause.message


@pytest.mark.parametrize("call", ["oauth2/accessToken", "gettoken"])
def test_a_number_beyond_all_is_none(peer: Peer, call: str) -> None:
    """A life of a token that no clock could hold is nonsense."""
    life = {"expireIn": 10**400, "expires_in": 10**400}
    raw = FRAMES["with a length"](json.dumps(GOOD[call] | life).encode())
    found = judged(peer, call, Answer(raw, 0, "keep"))
    assert isinstance(found, Failure)
    assert type(found.verdict) is NoAnswer


SMALL: Final = 1 << 16
LARGE: Final = 1 << 28
MOST: Final = 16 << 20
"""Bytes that a client may need for an answer, all told; what is unpacked below would need 256 MiB."""


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """A quarter of a gigabyte of blanks, packed to some hundred kilobytes."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    blanks = b" " * (1 << 20)
    return b"".join(packer.compress(blanks) for _ in range(LARGE // len(blanks))) + packer.flush()


@pytest.mark.parametrize("packing", ["gzip", "gzip, gzip", "gzip, gzip, gzip"])
def test_a_bomb_is_not_unpacked(peer: Peer, bomb: bytes, packing: str) -> None:
    """However often it is packed, memory is taken for what is read of it, not for what it would become."""
    for _ in range(packing.count(",")):
        bomb = gzip.compress(bomb)
    raw = (
        f"HTTP/1.1 200 OK\r\nContent-Encoding: {packing}\r\nContent-Length: {len(bomb)}\r\n\r\n".encode()
        + bomb
    )
    tracemalloc.start()
    try:
        found = judged(peer, "media/upload", Answer(raw, SMALL, "keep"))
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(found, Failure)
    assert type(found.verdict) is NoAnswer
    assert most < MOST
