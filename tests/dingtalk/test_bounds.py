"""What an answer may take in time, and that TLS is bounded in the same way."""

from collections.abc import Callable

import pytest

from dingwatch.dingtalk import Host, Timeouts
from dingwatch.model import Failure, NoAnswer
from tests.dingtalk.peers import CERTIFICATE, Calls, Clock, Server, Wire, send

SENT = {"processQueryKey": "key"}


def accept(wire: Wire, _head: bytes, _body: bytes) -> None:
    """Answer as DingTalk does."""
    wire.answer(SENT)


def test_a_silence_is_cut_short_by_the_deadline(serve: Callable[..., Server], calls: Calls) -> None:
    """Of thirty seconds a tenth is left when the answer is waited for, so it is waited for that long."""

    def late(wire: Wire, head: bytes, body: bytes) -> None:
        wire.sock.settimeout(5.0)
        try:
            wire.head()  # empty when the client has hung up, as it should long before
        except TimeoutError:
            accept(wire, head, body)

    timeouts = Timeouts(read=30.0, answer=0.0)
    monotonic = Clock()
    with calls.client(serve(late).url, timeouts=timeouts, monotonic=monotonic) as client:
        client.fetch_token(Host.API)
        monotonic.step = 29.9
        with pytest.raises(Failure) as caught:
            send(client)
    assert type(caught.value.verdict) is NoAnswer


def test_a_rested_connection_of_tls_is_not_used_again(
    serve: Callable[..., Server], calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What holds for plain connections holds for those that the real hosts have."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATE))
    server = serve(accept, tls=True)
    with calls.client(server.url) as client:
        send(client)
        send(client)
        assert server.connections == 1
        calls.clock.now += 21
        send(client)
    assert server.connections == 2
