"""The client against the stand-in: tokens, gate and meter, repetition, and each call."""

import time
from collections.abc import Callable

import pytest

from dingwatch.dingtalk import API_SEND, API_TOKEN, API_UPLOAD, BILLED, MEDIA_LIMIT, Client, Host, SampleFile
from dingwatch.model import (
    Cause,
    Misconfigured,
    NoAnswer,
    NotReached,
    QuotaExhausted,
    Scope,
    Throttled,
    TokenRejected,
    TypeRefused,
    Verdict,
)
from dingwatch.sandbox import Fault, FaultKind, Sandbox
from tests.dingtalk.peers import Calls, Clock
from tests.dingtalk.verdicts import verdict

Case = tuple[FaultKind, type[Verdict], str]
API, OAPI = API_TOKEN[Host.API], API_TOKEN[Host.OAPI]


@pytest.fixture
def send(sandbox: Sandbox, client: Client) -> Callable[..., str]:
    """Send an uploaded file to the first conversation."""

    def one(media_id: str = "@lAzPD-unknown", *, renew: bool = True) -> str:
        return client.groups.send(
            conversation_id=sandbox.conversations[0].id,
            message=SampleFile(media_id, "报告 2024.pdf", "pdf"),
            renew=renew,
        )

    return one


def upload(client: Client, name: str = "报告 2024.pdf") -> str:
    """Upload a few bytes."""
    return client.media.upload(name=name, content=b"%PDF-1.7")


# --- Both calls --------------------------------------------------------------------------------


def test_a_file_arrives_whole_under_its_name(
    sandbox: Sandbox, client: Client, send: Callable[..., str]
) -> None:
    """Two billed calls and one token for each host bring a file to its conversation."""
    content = bytes(range(256)) * 4096
    key = send(client.media.upload(name="报告 2024.pdf", content=memoryview(content)))
    [message] = sandbox.messages(sandbox.conversations[0].id)
    assert (message.file_name, message.file_type, message.process_query_key) == ("报告 2024.pdf", "pdf", key)
    assert message.media_id is not None
    assert sandbox.content(message.media_id) == content
    assert sandbox.calls() == {API: 1, OAPI: 1, API_UPLOAD: 1, API_SEND: 1}
    assert sandbox.billed() == 2


def test_the_largest_file_goes_out(sandbox: Sandbox, client: Client) -> None:
    """20 MiB are uploaded from one buffer."""
    media_id = client.media.upload(name="gross.zip", content=bytes(MEDIA_LIMIT))
    assert len(sandbox.content(media_id)) == MEDIA_LIMIT


def test_every_request_passes_the_gate_and_the_meter(
    client: Client, calls: Calls, send: Callable[..., str]
) -> None:
    """Token calls too, each by its name, in the order in which they are made."""
    send(upload(client))
    assert calls.gated == calls.counted == [OAPI, API_UPLOAD, API, API_SEND]
    assert set(calls.counted) & BILLED == {API_UPLOAD, API_SEND}


def test_a_closed_gate_lets_nothing_out(sandbox: Sandbox, client: Client, calls: Calls) -> None:
    """What the gate raises comes through, and nothing is counted or asked."""
    calls.refusal = NotReached(Cause("stopped", "", "STOPPED"))
    assert verdict(lambda: upload(client)).cause.code == "stopped"
    assert (calls.counted, sandbox.calls()) == ([], {})


# --- Tokens ------------------------------------------------------------------------------------


def test_a_token_is_fetched_again_when_it_ages(sandbox: Sandbox, client: Client, calls: Calls) -> None:
    """A cached one is used until ten minutes before its end."""
    assert not client.token_fresh(Host.OAPI)
    upload(client)
    assert client.token_fresh(Host.OAPI)
    calls.clock.now += 7200 - 599
    assert not client.token_fresh(Host.OAPI)
    upload(client)
    assert sandbox.calls()[OAPI] == 2


def test_a_dead_token_is_renewed_once(sandbox: Sandbox, client: Client, send: Callable[..., str]) -> None:
    """A token that died early costs one refused call, and the call succeeds."""
    send(upload(client))
    sandbox.kill_tokens()
    send(upload(client))
    assert sandbox.calls() == {API: 2, OAPI: 2, API_UPLOAD: 3, API_SEND: 3}


def test_a_token_refused_twice_is_for_a_person(sandbox: Sandbox, send: Callable[..., str]) -> None:
    """A fresh token that is refused as well is no matter of time."""
    sandbox.inject(Fault(API_SEND, FaultKind.TOKEN_DEAD, times=2))
    found = verdict(send)
    assert (type(found), found.scope) == (Misconfigured, Scope.APP)
    assert (sandbox.calls()[API_SEND], sandbox.calls()[API]) == (2, 2)


def test_a_send_that_may_not_wait_fetches_nothing(
    sandbox: Sandbox, client: Client, send: Callable[..., str]
) -> None:
    """Without a fresh token nothing is asked; with a dead one it is refused once and dropped."""
    assert type(verdict(lambda: send(renew=False))) is TokenRejected
    assert sandbox.calls() == {}
    client.fetch_token(Host.API)
    sandbox.kill_tokens()
    assert type(verdict(lambda: send(renew=False))) is TokenRejected
    assert sandbox.calls() == {API: 1, API_SEND: 1}
    assert not client.token_fresh(Host.API)


@pytest.mark.parametrize("host", list(Host))
def test_wrong_credentials_are_for_a_person(sandbox: Sandbox, calls: Calls, host: Host) -> None:
    """They are asked for once and pause the app."""
    with calls.client(sandbox.url, client_id=sandbox.client_id, client_secret="wrong") as client:
        found = verdict(lambda: client.fetch_token(host))
    assert (type(found), found.scope, found.cause.advice) == (Misconfigured, Scope.APP, "CREDENTIALS")
    assert calls.counted == [API_TOKEN[host]]


# --- Repetition --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [FaultKind.CUT_BEFORE, FaultKind.ERROR, FaultKind.HTML])
def test_a_token_call_is_repeated(sandbox: Sandbox, client: Client, calls: Calls, kind: FaultKind) -> None:
    """Twice at most, each time through gate and meter, with a wait that is not its own."""
    sandbox.inject(Fault(OAPI, kind, times=2))
    client.fetch_token(Host.OAPI)
    assert calls.gated == calls.counted == [OAPI] * 3
    assert len(calls.slept) == 2
    assert sum(calls.slept) < 5


def test_a_token_call_is_not_repeated_for_ever(sandbox: Sandbox, client: Client, calls: Calls) -> None:
    """The third failure stands."""
    sandbox.inject(Fault(OAPI, FaultKind.CUT_BEFORE, times=None))
    assert type(verdict(lambda: client.fetch_token(Host.OAPI))) is NoAnswer
    assert len(calls.counted) == 3


@pytest.mark.parametrize(
    ("kind", "arrives"),
    [
        (FaultKind.CUT_EARLY, False),
        (FaultKind.CUT_BEFORE, False),
        (FaultKind.CUT_AFTER, True),
        (FaultKind.ERROR, False),
        (FaultKind.HTML, False),
        (FaultKind.STATUS_1111, False),
        (FaultKind.HUGE, False),
    ],
)
def test_a_send_in_doubt_is_never_repeated(
    sandbox: Sandbox, client: Client, send: Callable[..., str], kind: FaultKind, *, arrives: bool
) -> None:
    """Whether the message arrived cannot be told from what the client sees, so it is asked once."""
    media_id = upload(client)
    sandbox.inject(Fault(API_SEND, kind))
    assert type(verdict(lambda: send(media_id))) is NoAnswer
    assert sandbox.calls()[API_SEND] == 1
    assert len(sandbox.messages(sandbox.conversations[0].id)) == arrives


def test_an_upload_that_was_not_reached_is_repeated_once(
    sandbox: Sandbox, calls: Calls, client: Client
) -> None:
    """Nobody listens any more when the token has been fetched: two tries, then the row waits."""
    client.fetch_token(Host.OAPI)
    sandbox.stop()
    calls.clock.now += 60  # the resting connection is opened anew
    assert type(verdict(lambda: upload(client))) is NotReached
    assert calls.counted == [OAPI, API_UPLOAD, API_UPLOAD]


def test_a_send_that_was_not_reached_is_not_repeated_here(
    calls: Calls, sandbox: Sandbox, client: Client, send: Callable[..., str]
) -> None:
    """It would be safe, but a send in hand must not wait."""
    client.fetch_token(Host.API)
    sandbox.stop()
    calls.clock.now += 60
    assert type(verdict(lambda: send(renew=False))) is NotReached
    assert calls.counted == [API, API_SEND]
    assert calls.slept == []


# --- Verdicts as the stand-in gives them ---------------------------------------------------------


@pytest.mark.parametrize(
    "case",
    [
        (FaultKind.THROTTLE, Throttled, "THROTTLED"),
        (FaultKind.QUOTA, QuotaExhausted, "QUOTA"),
        (FaultKind.IP_NOT_ALLOWED, Misconfigured, "IP_LIST"),
        (FaultKind.NO_PERMISSION, Misconfigured, "PERMISSION"),
        (FaultKind.STATUS_1111, NoAnswer, "GATE_PAGE"),
        (FaultKind.HTML, NoAnswer, "GATE_PAGE"),
    ],
)
@pytest.mark.parametrize("api", [API_UPLOAD, API_SEND])
def test_a_refusal_is_understood_on_both_hosts(
    sandbox: Sandbox, client: Client, send: Callable[..., str], api: str, case: Case
) -> None:
    """The same trouble has another shape on each host, and one meaning."""
    kind, verdict_kind, advice = case
    media_id = upload(client)
    sandbox.inject(Fault(api, kind))
    found = verdict(lambda: upload(client) if api == API_UPLOAD else send(media_id))
    assert (type(found), found.cause.advice) == (verdict_kind, advice)


def test_a_refused_extension_is_refused(client: Client) -> None:
    """DingTalk judges by the name."""
    assert type(verdict(lambda: upload(client, "seite.html"))) is TypeRefused


def test_an_unknown_conversation_concerns_itself_alone(client: Client) -> None:
    """The other conversations go on."""
    media_id = upload(client)
    found = verdict(
        lambda: client.groups.send(
            conversation_id="cidNobody==", message=SampleFile(media_id, "a.pdf", "pdf")
        )
    )
    assert (type(found), found.scope) == (Misconfigured, Scope.CONVERSATION)
    assert found.cause.request_id


# --- The other calls ---------------------------------------------------------------------------


def test_a_message_can_be_asked_after_and_taken_back(
    sandbox: Sandbox, client: Client, send: Callable[..., str]
) -> None:
    """With its key, which only the answer to the send holds."""
    conversation = sandbox.conversations[0].id
    key = send(upload(client))
    assert client.groups.read_status(conversation_id=conversation, process_query_key=key).status == "SUCCESS"
    assert client.groups.recall(conversation_id=conversation, process_query_keys=[key]).done == (key,)
    assert client.groups.read_status(conversation_id=conversation, process_query_key=key).status == "RECALLED"


def test_the_robots_of_a_conversation_are_told(sandbox: Sandbox, client: Client) -> None:
    """Ours is among them."""
    assert sandbox.robot_code in client.robots(sandbox.conversations[0].id)


def test_an_endless_answer_is_given_up(sandbox: Sandbox, calls: Calls) -> None:
    """By the monotonic clock, which is given."""
    sandbox.inject(Fault(API, FaultKind.ENDLESS, times=None))
    with calls.client(sandbox.url, monotonic=Clock(step=30.0)) as client:
        assert type(verdict(lambda: client.fetch_token(Host.API))) is NoAnswer


def test_the_clock_is_compared_with_dingtalks(sandbox: Sandbox, calls: Calls) -> None:
    """By the date of the latest answer; before there was one nothing is known."""
    for ahead in (3600.0, -3600.0):
        calls.clock.now = time.time() + ahead
        with calls.client(
            sandbox.url, client_id=sandbox.client_id, client_secret=sandbox.client_secret
        ) as one:
            assert one.clock_ahead is None
            one.fetch_token(Host.API)
            assert one.clock_ahead == pytest.approx(ahead, abs=60.0)
