"""Tighter bounds on a request: on a shared ledger, a message's outcome is known before the lease ends."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import pytest

from dingwatch.dingtalk import Host, Hurry, Timeouts, hurrying
from dingwatch.model import Failure, NoAnswer, NotReached, Verdict
from tests.dingtalk.peers import Calls, Clock, Server, Wire, send

LONG = Timeouts(connect=20.0, read=20.0, answer=20.0)
ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 25\r\n\r\n{"processQueryKey":"key"}'
LATER = 5.0
"""Seconds after which a server does what would let an unhurried request succeed."""


def accept(wire: Wire, _head: bytes, _body: bytes) -> None:
    """Answer as DingTalk does."""
    wire.sock.sendall(ANSWER)


def hurried(calls: Calls, server: Server, hurry: Hurry, name: str = "a.pdf") -> Verdict:
    """Send a message with a token that is there; return the verdict."""
    with calls.client(server.url, timeouts=LONG, monotonic=time.monotonic) as client:
        client.fetch_token(Host.API)
        with hurrying(hurry), pytest.raises(Failure) as caught:
            send(client, name=name)
    return caught.value.verdict


def has_hung_up(wire: Wire, seconds: float) -> bool:
    """Wait so long for the client to hang up; return whether it has."""
    wire.sock.settimeout(seconds)
    try:
        return not wire.head()
    except TimeoutError:
        return False


@pytest.mark.parametrize("before", [0, 20, len(ANSWER) - 5])
def test_a_trickle_is_given_up(serve: Callable[..., Server], calls: Calls, before: int) -> None:
    """Each byte comes in time, of the head or of the body; the answer as a whole does not."""

    def trickle(wire: Wire, _head: bytes, _body: bytes) -> None:
        wire.sock.sendall(ANSWER[:before])
        for number in range(before, len(ANSWER)):
            if has_hung_up(wire, LATER / (len(ANSWER) - before)):
                return
            wire.sock.sendall(ANSWER[number : number + 1])

    assert type(hurried(calls, serve(trickle), Hurry(0.5, 5.0))) is NoAnswer


def test_a_silence_is_given_up(serve: Callable[..., Server], calls: Calls) -> None:
    """The usual silence is longer."""

    def late(wire: Wire, head: bytes, body: bytes) -> None:
        if not has_hung_up(wire, LATER):
            accept(wire, head, body)

    assert type(hurried(calls, serve(late), Hurry(0.5, 5.0))) is NoAnswer


def test_a_request_that_is_not_taken_is_given_up(serve: Callable[..., Server], calls: Calls) -> None:
    """A new connection may take longer than what is left, and so may what is written to it."""
    hung_up: list[bool] = []

    class Deaf(Server):
        """Reads nothing of a message for some seconds, unless the client hangs up before."""

        def _talk(self, sock: socket.socket) -> None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            super()._talk(sock)

        def one(self, wire: Wire, head: bytes) -> None:
            if b"oauth2/accessToken" not in head:
                ends = select.poll()
                ends.register(wire.sock, select.POLLRDHUP)
                hung_up.append(bool(ends.poll(LATER * 1000)))
            super().one(wire, head)

    server = serve(accept, kind=Deaf)
    assert type(hurried(calls, server, Hurry(0.5, 20.0), name="n" * 8_000_000)) is NoAnswer
    server.close()
    assert hung_up == [True]


def test_a_request_whose_time_is_over_does_not_leave(serve: Callable[..., Server], calls: Calls) -> None:
    """To look up the host has taken all of it: nothing has arrived for certain."""
    server, monotonic = serve(accept), Clock()
    with calls.client(server.url, timeouts=LONG, monotonic=monotonic) as client:
        client.fetch_token(Host.API)
        monotonic.step = 30.0
        with hurrying(Hurry(20.0, 5.0)), pytest.raises(Failure) as caught:
            send(client)
    assert type(caught.value.verdict) is NotReached
    assert server.requests == []


@pytest.fixture
def full_url() -> Iterator[str]:
    """Return an address that takes no further connections for some seconds, and refuses none."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            one = stack.enter_context(socket.socket())
            one.settimeout(0.0)
            with suppress(BlockingIOError):
                one.connect(listener.getsockname())
        timer = threading.Timer(LATER, lambda: [stack.enter_context(listener.accept()[0]) for _ in range(2)])
        timer.start()
        stack.callback(timer.join)
        stack.callback(timer.cancel)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_connection_is_given_up_before(calls: Calls, full_url: str) -> None:
    """Nothing has been sent, so the message certainly has not arrived."""
    with (
        calls.client(full_url, timeouts=LONG, monotonic=time.monotonic) as client,
        hurrying(Hurry(20.0, 0.2)),
        pytest.raises(Failure) as caught,
    ):
        client.fetch_token(Host.API)
    assert type(caught.value.verdict) is NotReached


def test_the_usual_time_holds_afterwards(serve: Callable[..., Server], calls: Calls) -> None:
    """A connection that has carried a hurried message carries one that takes longer."""

    def slowly(wire: Wire, head: bytes, body: bytes) -> None:
        if len(server.requests) == 1 or not has_hung_up(wire, 1.0):
            accept(wire, head, body)

    server = serve(slowly)
    with calls.client(server.url, timeouts=LONG, monotonic=time.monotonic) as client:
        with hurrying(Hurry(0.5, 0.5)):
            send(client)
        assert send(client) == "key"
    assert server.connections == 1
