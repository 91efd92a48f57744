"""What goes over the wire, and what becomes of a request when the wire is nasty."""

import gzip
import json
import logging
import socket
import threading
from collections.abc import Callable

import pytest

from dingwatch.dingtalk import API_PUT, Call, Client, Host, Timeouts
from dingwatch.dingtalk.transport import multipart
from dingwatch.dingtalk.wire import MOST_HOSTS, SLICE
from dingwatch.model import NoAnswer, NotReached
from tests.dingtalk.peers import CERTIFICATE, SECRET, TOKEN, Calls, Clock, React, Server, Tunnel, Wire, send
from tests.dingtalk.verdicts import verdict

Serve = Callable[..., Server]
UPLOADED = {"errcode": 0, "media_id": "@x"}
SENT = {"processQueryKey": "key"}


def accept(wire: Wire, head: bytes, _body: bytes) -> None:
    """Answer as DingTalk does."""
    wire.answer(UPLOADED if b"/media/upload" in head else SENT)


def upload(client: Client, content: bytes = b"%PDF") -> str:
    """Upload some bytes."""
    return client.media.upload(name="报告 2024.pdf", content=content)


# --- What goes out -----------------------------------------------------------------------------


def test_an_upload_is_a_multipart_with_a_raw_name(serve: Serve, calls: Calls) -> None:
    """The part is called media, its name is raw UTF-8; the type stands in the address and in the form."""
    seen: list[tuple[bytes, bytes]] = []

    def react(wire: Wire, head: bytes, body: bytes) -> None:
        seen.append((head, body))
        accept(wire, head, body)

    with calls.client(serve(react).url) as client:
        assert upload(client, b"content") == "@x"
    [(head, body)] = seen
    assert f"access_token={TOKEN}&type=file".encode() in head
    boundary = head.partition(b"boundary=")[2].partition(b"\r\n")[0]
    assert body == (
        b"--" + boundary + b"\r\n"
        b'Content-Disposition: form-data; name="type"\r\n\r\nfile\r\n'
        b"--" + boundary + b"\r\n"
        b'Content-Disposition: form-data; name="media"; filename="' + "报告 2024.pdf".encode() + b'"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\ncontent\r\n--" + boundary + b"--\r\n"
    )


def test_json_goes_out_as_utf_8(serve: Serve, calls: Calls) -> None:
    """No escapes, neither in the body nor in the JSON inside it; the token stands in the header."""
    seen: list[tuple[bytes, bytes]] = []

    def react(wire: Wire, head: bytes, body: bytes) -> None:
        seen.append((head, body))
        accept(wire, head, body)

    with calls.client(serve(react).url) as client:
        assert send(client, name='报告 "1".pdf') == "key"
    [(head, body)] = seen
    assert f"x-acs-dingtalk-access-token: {TOKEN}".encode() in head
    assert b"\\u" not in body
    document = json.loads(body)
    assert document["openConversationId"] == "cid6KeBB+/o="
    assert json.loads(document["msgParam"]) == {
        "mediaId": "@lAzP",
        "fileName": '报告 "1".pdf',
        "fileType": "pdf",
    }


@pytest.mark.parametrize(
    "name", ['a"; x="b.pdf', "a\r\nX: y\r\n\r\n.pdf", "a\0.pdf", "../../a\\b.pdf", "\udcff.pdf"]
)
def test_no_name_ends_its_header(name: str) -> None:
    """Quotes, line ends and the like are made harmless."""
    sent = b"".join(multipart("media", name, b"", "xyz"))
    line = sent.split(b"\r\n")[1]
    assert line.count(b'"') == 4
    assert not set(line) & set(b"\0\r\n\\/") - set(b"/" if b"form-data/" in line else b"")
    assert line.endswith(b'.pdf"')


@pytest.mark.parametrize("size", [0, 1, SLICE - 1, SLICE, SLICE + 1, 5 * SLICE + 7])
def test_a_body_is_whole_whatever_its_size(size: int) -> None:
    """Its pieces are small, so that a slow line is not taken for a broken one, and add up to its length."""
    content = bytes(range(256)) * (size // 256 + 1)
    body = multipart("media", "a.pdf", memoryview(content)[:size], "xyz")
    pieces = list(body)
    assert max(map(len, pieces)) <= SLICE
    assert b"".join(pieces).partition(b"\r\n\r\n")[2] == content[:size] + b"\r\n--xyz--\r\n"
    assert len(body) == sum(map(len, pieces))


def test_a_proxy_is_read_once(serve: Serve, calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's proxy is asked for a whole address, also when the environment has changed."""
    proxy = serve(accept)
    monkeypatch.setenv("http_proxy", proxy.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with calls.client("http://dingtalk.example") as client:
        send(client)
        monkeypatch.delenv("http_proxy")
        send(client)
    assert [line.split()[1] for line in proxy.requests] == [
        b"http://dingtalk.example/v1.0/robot/groupMessages/send"
    ] * 2


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the test server's certificate be trusted, as a company's proxy's is."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATE))


@pytest.mark.usefixtures("trusted")
def test_a_proxy_sees_nothing_of_https(serve: Serve, calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked for one tunnel, through which all calls go; the host is asked for paths as ever."""
    far = serve(accept, tls=True)
    tunnel = serve(accept, kind=Tunnel)
    monkeypatch.setenv("https_proxy", tunnel.url.replace("//", "//me:password@"))
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with calls.client(far.url) as client:
        assert (upload(client), send(client)) == ("@x", "key")
    [asked] = tunnel.requests
    assert asked.startswith(b"CONNECT " + far.url.removeprefix("https://").encode() + b" HTTP/1.")
    assert b"Proxy-Authorization: Basic bWU6cGFzc3dvcmQ=" in asked
    assert [line.split()[1].partition(b"?")[0] for line in far.requests] == [
        b"/media/upload",
        b"/v1.0/robot/groupMessages/send",
    ]
    assert b"Proxy-Authorization" not in b"".join(far.requests)


def test_a_proxy_for_plain_http_gets_its_login(
    serve: Serve, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each request carries it, for each may go through a connection of its own."""
    proxy = serve(accept)
    monkeypatch.setenv("http_proxy", proxy.url.replace("//", "//me:password@"))
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with calls.client("http://dingtalk.example") as client:
        send(client)
        send(client)
    assert [b"Proxy-Authorization: Basic bWU6cGFzc3dvcmQ=" in head for head in proxy.requests] == [True] * 2


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("{}", "/"),
        ("{}?a=b", "/?a=b"),
        ("{}/a%2Fb?c=d/e", "/a%2Fb?c=d/e"),
        ("{}//a", "//a"),
        ("{}/文?x#y", "/%E6%96%87?x"),
    ],
)
def test_an_address_is_asked_for_as_it_is(serve: Serve, calls: Calls, url: str, asked: str) -> None:
    """A signature covers the path as it was given; what no request line can hold is encoded."""
    server = serve(lambda wire, _head, _body: wire.answer({}))
    with calls.client(server.url) as client:
        client.channel.put(Call(API_PUT, "PUT", url.format(server.url)))
    assert [head.split()[1].decode() for head in server.requests] == [asked]


def test_a_small_request_goes_out_in_one_write(serve: Serve, calls: Calls) -> None:
    """Its body is there as soon as its head: each write costs a tenth of the call."""
    together: list[bool] = []

    class Early(Server):
        """Looks at what has come when a head has."""

        def one(self, wire: Wire, head: bytes) -> None:
            length = int(head.lower().partition(b"content-length:")[2].split()[0])
            together.append(wire.arrived == length)
            super().one(wire, head)

    with calls.client(serve(accept, kind=Early).url) as client:
        client.fetch_token(Host.API)
        for _ in range(10):
            send(client)
    assert together == [True] * 11


# --- Connections -------------------------------------------------------------------------------


def test_one_connection_serves_many_calls(serve: Serve, calls: Calls) -> None:
    """It is kept between calls, token calls included."""
    server = serve(accept)
    with calls.client(server.url) as client:
        for _ in range(3):
            upload(client)
            send(client)
    assert server.connections == 1


def test_many_hosts_are_served_in_turn(serve: Serve, calls: Calls) -> None:
    """Connections are kept to some of them; each host gets its own requests all the same."""
    servers = [serve(lambda wire, _head, _body: wire.answer({})) for _ in range(2 * MOST_HOSTS)]
    with calls.client(servers[0].url) as client:
        for _ in range(2):
            for server in servers:
                client.channel.put(Call(API_PUT, "PUT", f"{server.url}/a"))
    assert [len(server.requests) for server in servers] == [2] * len(servers)


def test_a_rested_connection_is_not_used_again(serve: Serve, calls: Calls) -> None:
    """A firewall may have dropped it unseen; a clock that went back proves nothing either."""
    server = serve(accept)
    with calls.client(server.url) as client:
        send(client)
        for passed in (21.0, -3600.0):
            calls.clock.now += passed
            send(client)
    assert server.connections == 3


def test_a_connection_closed_by_the_server_costs_no_doubt(serve: Serve, calls: Calls) -> None:
    """Its end is seen before the next send is written to it."""
    closed = threading.Event()

    def react(wire: Wire, head: bytes, body: bytes) -> None:
        accept(wire, head, body)
        wire.sock.shutdown(socket.SHUT_RDWR)
        closed.set()

    server = serve(react)
    with calls.client(server.url) as client:
        for _ in range(3):
            closed.clear()
            assert send(client) == "key"
            assert closed.wait(20)
    assert len(server.requests) == 3


# --- What never left ---------------------------------------------------------------------------


def test_nobody_there_is_not_reached(calls: Calls, dead_url: str) -> None:
    """A refused connection certainly had no effect, for a token call and for an upload."""
    with calls.client(dead_url) as client:
        assert type(verdict(lambda: client.fetch_token(Host.OAPI))) is NotReached


def test_a_send_to_nobody_never_left(serve: Serve, calls: Calls) -> None:
    """The connection comes before the body, also for the first request after the server has gone."""
    server = serve(accept)
    with calls.client(server.url) as client:
        send(client)
        server.close()
        for _ in range(2):
            assert type(verdict(lambda: send(client))) is NotReached


def test_a_certificate_is_verified(serve: Serve, calls: Calls) -> None:
    """A server that cannot prove who it is gets nothing."""
    server = serve(accept, tls=True)
    with calls.client(server.url) as client:
        found = verdict(lambda: send(client))
    assert (type(found), found.cause.advice) == (NotReached, "CERTIFICATE")
    assert server.requests == []


def test_no_tls_where_it_should_be_is_not_reached(serve: Serve, calls: Calls) -> None:
    """A plain server behind https is not spoken to."""
    server = serve(accept)
    url = server.url.replace("http:", "https:")
    with calls.client(url, timeouts=Timeouts(connect=0.3)) as client:
        assert type(verdict(lambda: send(client))) is NotReached


# --- What left without an answer ---------------------------------------------------------------


def hang_up(wire: Wire, _head: bytes, _body: bytes) -> None:
    """Take the request and close."""
    wire.hang_up()


def half(wire: Wire, _head: bytes, _body: bytes) -> None:
    """Break off within the answer."""
    wire.sock.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"processQueryKey":"k"}')
    wire.hang_up()


def half_chunk(wire: Wire, _head: bytes, _body: bytes) -> None:
    """Break off within a chunk."""
    wire.sock.sendall(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n{"processQ')
    wire.hang_up()


def half_head(wire: Wire, _head: bytes, _body: bytes) -> None:
    """Break off within the head."""
    wire.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Le")
    wire.hang_up()


def no_http(wire: Wire, _head: bytes, _body: bytes) -> None:
    """Answer with something else."""
    wire.sock.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")
    wire.hang_up()


def negative_chunk(wire: Wire, _head: bytes, _body: bytes) -> None:
    """Announce a chunk of less than nothing."""
    wire.sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nabc\r\n")
    wire.hang_up()


def endless_body(wire: Wire, _head: bytes, _body: bytes) -> None:
    """Never stop."""
    wire.sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        wire.sock.sendall(b" " * 65536)


def endless_chunk(wire: Wire, _head: bytes, _body: bytes) -> None:
    """Never stop, in a chunk that http.client reads to the end."""
    wire.sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n")
    while True:
        wire.sock.sendall(b" " * 65536)


def endless_headers(wire: Wire, _head: bytes, _body: bytes) -> None:
    """Never come to the body."""
    wire.sock.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        wire.sock.sendall(b"X: y\r\n" * 10000)


def endless_interim(wire: Wire, _head: bytes, _body: bytes) -> None:
    """Never come to an answer at all."""
    while True:
        wire.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)


def huge(wire: Wire, _head: bytes, _body: bytes) -> None:
    """Announce more than there is memory."""
    wire.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n")
    while True:
        wire.sock.sendall(b" " * 65536)


def bomb(wire: Wire, _head: bytes, _body: bytes) -> None:
    """Unpack to a gigabyte, though nothing packed was asked for."""
    packed = gzip.compress(b" " * (1 << 26)) * 16
    wire.answer_bytes(packed, headers="Content-Encoding: gzip\r\n")


def wrong_packing(wire: Wire, _head: bytes, _body: bytes) -> None:
    """Say gzip and send none."""
    wire.answer_bytes(b"{}", headers="Content-Encoding: gzip\r\n")


def silent(wire: Wire, _head: bytes, _body: bytes) -> None:
    """Say nothing until the client gives up."""
    wire.head()


def redirect(wire: Wire, _head: bytes, _body: bytes) -> None:
    """Send the client elsewhere."""
    wire.answer({}, "307 Temporary Redirect", "Location: /elsewhere\r\n")


NASTY = [
    *(hang_up, half, half_chunk, half_head, no_http, negative_chunk, endless_body, endless_chunk),
    *(endless_headers, endless_interim, huge, bomb, wrong_packing, silent, redirect),
]


@pytest.mark.parametrize("react", NASTY)
def test_a_send_without_an_answer_is_a_doubt(serve: Serve, calls: Calls, react: React) -> None:
    """The request is made once, and no nastiness is success, certainty or endless."""
    server = serve(react)
    with calls.client(server.url, timeouts=Timeouts(read=0.3)) as client:
        assert type(verdict(lambda: send(client))) is NoAnswer
    assert len(server.requests) == 1


@pytest.mark.parametrize("react", NASTY)
def test_an_upload_without_an_answer_is_not_repeated_here(serve: Serve, calls: Calls, react: React) -> None:
    """It would be harmless, but that is the row's business: it may have cost a call."""
    server = serve(react)
    with calls.client(server.url, timeouts=Timeouts(upload=0.3)) as client:
        assert type(verdict(lambda: upload(client))) is NoAnswer
    assert len(server.requests) == 1


@pytest.mark.parametrize(("read", "upload_time"), [(0.1, 3600.0), (3600.0, 0.1)])
def test_silence_is_not_measured_by_the_time_to_connect(
    serve: Serve, calls: Calls, read: float, upload_time: float
) -> None:
    """A host may take an hour to connect and a moment to answer, be it a call or an upload."""
    url, given_up = serve(silent).url, threading.Event()
    timeouts = Timeouts(connect=3600.0, read=read, upload=upload_time)

    def ask() -> None:
        with calls.client(url, timeouts=timeouts) as client:
            verdict(lambda: send(client) if read < upload_time else upload(client))
        given_up.set()

    threading.Thread(target=ask, daemon=True).start()
    assert given_up.wait(20.0)


def test_an_answer_may_take_longer_than_connecting(serve: Serve, calls: Calls) -> None:
    """The time to connect is over when the host is connected: a large file may take an hour."""
    connected = threading.Event()

    def react(wire: Wire, head: bytes, body: bytes) -> None:
        connected.wait(0.5)  # nobody sets it: the answer comes later than a connection may
        accept(wire, head, body)

    with calls.client(serve(react).url, timeouts=Timeouts(connect=0.3)) as client:
        assert send(client) == "key"


class Looked(Clock):
    """A clock that lets the server go one step on with each look at it."""

    def __init__(self) -> None:
        super().__init__(step=1.0)
        self.looks = 0
        self.step_on = threading.Semaphore(0)

    def __call__(self) -> float:
        """What the client asks."""
        self.looks += 1
        self.step_on.release()
        return super().__call__()


def test_a_trickle_has_an_end(serve: Serve, calls: Calls) -> None:
    """An answer that comes byte by byte is given up at its deadline, however steady it is."""
    clock, over = Looked(), threading.Event()

    def trickle(wire: Wire, _head: bytes, _body: bytes) -> None:
        wire.sock.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        while clock.step_on.acquire(timeout=20) and not over.is_set():
            wire.sock.sendall(b"x")

    with calls.client(serve(trickle).url, monotonic=clock) as client:
        assert type(verdict(lambda: send(client))) is NoAnswer
    over.set()
    clock.step_on.release()
    assert clock.looks < 200


def test_an_upload_broken_within_its_body_is_no_answer(serve: Serve, calls: Calls) -> None:
    """Half of it left, and how much the other side has is unknown."""

    class Deaf(Server):
        """Hangs up when it has seen a head."""

        def one(self, wire: Wire, head: bytes) -> None:
            if b"/media/upload" in head:
                self.requests.append(head)
                wire.hang_up()
            else:
                super().one(wire, head)

    server = serve(accept, kind=Deaf)
    with calls.client(server.url) as client:
        assert type(verdict(lambda: upload(client, bytes(20 << 20)))) is NoAnswer
    assert len(server.requests) == 1


@pytest.mark.usefixtures("trusted")
def test_tls_works_with_a_bundle_of_ones_own(serve: Serve, calls: Calls) -> None:
    """REQUESTS_CA_BUNDLE is honoured; answers are bounded there as well."""
    with calls.client(serve(accept, tls=True).url) as client:
        assert (upload(client), send(client)) == ("@x", "key")
    calls_ = Calls()
    with calls_.client(serve(endless_body, tls=True).url) as client:
        assert type(verdict(lambda: send(client))) is NoAnswer


@pytest.mark.usefixtures("trusted")
def test_tls_that_breaks_after_the_request_is_a_doubt(serve: Serve, calls: Calls) -> None:
    """The same exception as before a handshake: only the body's having begun tells them apart."""

    def spoil(wire: Wire, _head: bytes, _body: bytes) -> None:
        with socket.socket(fileno=wire.sock.detach()) as beneath:
            beneath.sendall(b"no record of TLS at all")

    with calls.client(serve(spoil, tls=True).url) as client:
        found = verdict(lambda: send(client))
    assert type(found) is NoAnswer
    assert "SSL" in found.cause.message


# --- What is told ------------------------------------------------------------------------------


def test_no_log_holds_a_token(
    serve: Serve, calls: Calls, caplog: pytest.LogCaptureFixture, dead_url: str
) -> None:
    """urllib3 logs addresses, with debugging on and for headers that it cannot read."""
    caplog.set_level(logging.DEBUG)

    def broken_header(wire: Wire, _head: bytes, _body: bytes) -> None:
        wire.sock.sendall(b"HTTP/1.1 200 OK\r\nno header\r\n\r\n{}")
        wire.hang_up()

    with calls.client(serve(broken_header).url) as client:
        verdict(lambda: upload(client))
    with calls.client(dead_url) as client:
        verdict(lambda: upload(client))
    assert TOKEN not in caplog.text
    assert SECRET not in caplog.text


def test_a_message_that_repeats_the_request_is_redacted(serve: Serve, calls: Calls) -> None:
    """A gateway may quote the address or the body that it was asked with."""

    def quote(wire: Wire, _head: bytes, _body: bytes) -> None:
        wire.answer({"errcode": 40035, "errmsg": f"bad: access_token={TOKEN} secret={SECRET}"})

    with calls.client(serve(quote).url) as client:
        assert verdict(lambda: upload(client)).cause.message == "bad: access_token=*** secret=***"


def test_a_token_that_is_no_header_is_none(serve: Serve, calls: Calls) -> None:
    """A token with line ends or beyond ASCII is no valid answer."""

    class Liar(Server):
        """Gives tokens that would add a header."""

        def one(self, wire: Wire, head: bytes) -> None:
            wire.body(head)
            wire.answer({"accessToken": "a\r\nX: y", "expireIn": 7200})

    with calls.client(serve(accept, kind=Liar).url) as client:
        assert type(verdict(lambda: client.fetch_token(Host.API))) is NoAnswer
