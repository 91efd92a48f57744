"""What an answer may take in time, that TLS is bounded in the same way, and what a bad environment does."""

import math
import traceback
from collections.abc import Callable

import pytest

from dingwatch.dingtalk import Host, Timeouts
from dingwatch.model import Failure, NoAnswer, NotReached
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


# --- The environment ---------------------------------------------------------------------------


def test_a_bundle_that_is_not_there_is_a_matter_of_certificates(
    calls: Calls, dead_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """REQUESTS_CA_BUNDLE is what must be mended, not the network."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/at-all.pem")
    with calls.client(dead_url.replace("http:", "https:")) as client, pytest.raises(Failure) as caught:
        client.fetch_token(Host.API)
    found = caught.value.verdict
    assert (type(found), found.cause.advice) == (NotReached, "CERTIFICATE")


@pytest.mark.parametrize("refused", [True, False])
def test_a_bad_proxy_is_named_without_its_password(
    serve: Callable[..., Server],
    calls: Calls,
    dead_url: str,
    monkeypatch: pytest.MonkeyPatch,
    *,
    refused: bool,
) -> None:
    """Whether nobody listens there or it lets nobody through: nothing reached DingTalk."""

    def turn_away(wire: Wire, _head: bytes, _body: bytes) -> None:
        wire.answer_bytes(b"", "407 Proxy Authentication Required", "Connection: close\r\n")
        wire.hang_up()

    url = dead_url if refused else serve(turn_away).url
    monkeypatch.setenv("https_proxy", url.replace("http://", "http://user:hunter2@"))
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with calls.client("https://dingtalk.example") as client, pytest.raises(Failure) as caught:
        client.fetch_token(Host.API)
    found = caught.value.verdict
    assert type(found) is NotReached
    assert found.cause.message.startswith("ProxyError: ")
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


# --- Answers of the wrong sort -----------------------------------------------------------------


@pytest.mark.parametrize(
    "document",
    [
        *(
            {"accessToken": "t0ken", "expireIn": life}
            for life in (0, -1, True, "7200", None, math.inf, math.nan)
        ),
        *({"accessToken": value, "expireIn": 7200} for value in ("", None, 5, ["t0ken"])),
        {},
    ],
)
def test_half_a_token_is_none(
    serve: Callable[..., Server], calls: Calls, document: dict[str, object]
) -> None:
    """A success without what it must bring is no answer, and is asked for again."""

    class Liar(Server):
        """Answers token calls with the document."""

        def one(self, wire: Wire, head: bytes) -> None:
            wire.body(head)
            wire.answer(document)

    with calls.client(serve(accept, kind=Liar).url) as client, pytest.raises(Failure) as caught:
        client.fetch_token(Host.API)
    assert type(caught.value.verdict) is NoAnswer
    assert len(calls.counted) == 3


def test_a_message_is_kept_short_and_innocent_letters_stay(
    serve: Callable[..., Server], calls: Calls
) -> None:
    """A secret too short to be one is not looked for; what is kept of a message is 300 characters."""

    def chatter(wire: Wire, _head: bytes, _body: bytes) -> None:
        wire.answer({"code": "brand.new", "message": "abc" * 500}, "400 Bad Request")

    client = calls.client(serve(chatter).url, client_secret="b")
    with client, pytest.raises(Failure) as caught:
        send(client)
    assert caught.value.verdict.cause.message == "abc" * 100
