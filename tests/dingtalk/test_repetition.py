"""Who repeats what, and how often, when threads and outages come together."""

import threading
from collections.abc import Callable
from functools import partial

import pytest

from dingwatch.dingtalk import (
    API_QUERY,
    API_RECALL,
    API_ROBOTS,
    API_SEND,
    API_TOKEN,
    API_UPLOAD,
    Client,
    Host,
    SampleFile,
)
from dingwatch.model import Cause, Failure, NoAnswer, NotReached, Rejected, Throttled
from dingwatch.sandbox import Fault, FaultKind, Sandbox
from tests.dingtalk.peers import Calls

API, OAPI = API_TOKEN[Host.API], API_TOKEN[Host.OAPI]
WORKERS = 8


class Interrupted(Calls):
    """Something happens between two tries."""

    def __init__(self, between: Callable[[], None]) -> None:
        super().__init__()
        self._between = between

    def sleep(self, seconds: float) -> None:
        """Let it happen instead of waiting."""
        super().sleep(seconds)
        self._between()


@pytest.fixture
def conversation(sandbox: Sandbox) -> str:
    """A conversation with a robot in it."""
    return sandbox.conversations[0].id


def send(client: Client, conversation: str) -> str:
    """Upload and send some file."""
    media_id = client.media.upload(name="a.pdf", content=b"%PDF")
    return client.groups.send(conversation_id=conversation, message=SampleFile(media_id, "a.pdf", "pdf"))


def at_once(call: Callable[[], object]) -> None:
    """Make a call from several threads that begin together; each must succeed."""
    begin, failures = threading.Barrier(WORKERS), list[BaseException]()

    def one() -> None:
        begin.wait(20)
        try:
            call()
        except BaseException as error:  # noqa: BLE001 (it is raised again below)
            failures.append(error)

    threads = [threading.Thread(target=one) for _ in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert failures == []


def test_threads_share_a_token_call(sandbox: Sandbox, client: Client) -> None:
    """Eight uploads that begin together without a token ask for one."""
    at_once(lambda: client.media.upload(name="a.pdf", content=b"%PDF"))
    assert sandbox.calls() == {OAPI: 1, API_UPLOAD: WORKERS}


def test_threads_share_the_renewal_of_a_dead_token(sandbox: Sandbox, client: Client) -> None:
    """However many find it dead, one asks for the next, and a late refusal does not drop that one."""
    client.fetch_token(Host.OAPI)
    sandbox.kill_tokens()
    at_once(lambda: client.media.upload(name="a.pdf", content=b"%PDF"))
    assert sandbox.calls()[OAPI] == 2
    assert len(sandbox.uploads()) == WORKERS


def test_an_upload_goes_through_when_the_network_is_back(sandbox: Sandbox) -> None:
    """The second try comes after a wait that is asked of whoever made the client."""
    calls = Interrupted(sandbox.start)
    with calls.client(
        sandbox.url, client_id=sandbox.client_id, client_secret=sandbox.client_secret
    ) as client:
        client.fetch_token(Host.OAPI)
        sandbox.stop()
        assert client.media.upload(name="a.pdf", content=b"%PDF") == sandbox.uploads()[0].media_id
    assert calls.gated == calls.counted == [OAPI, API_UPLOAD, API_UPLOAD]
    assert len(calls.slept) == 1


@pytest.mark.parametrize("api", [API_QUERY, API_ROBOTS])
def test_a_question_is_repeated(
    sandbox: Sandbox, client: Client, calls: Calls, conversation: str, api: str
) -> None:
    """Asking changes nothing, so a lost answer is asked for again, through gate and meter."""
    key = send(client, conversation)
    sandbox.inject(Fault(api, FaultKind.CUT_AFTER, times=2))
    if api == API_QUERY:
        assert (
            client.groups.read_status(conversation_id=conversation, process_query_key=key).status == "SUCCESS"
        )
    else:
        assert client.robots(conversation) == (sandbox.robot_code,)
    assert calls.gated == calls.counted == [OAPI, API_UPLOAD, API, API_SEND, api, api, api]
    assert len(calls.slept) == 2


def test_an_early_question_is_asked_again(
    sandbox: Sandbox, client: Client, calls: Calls, conversation: str
) -> None:
    """Right after a send DingTalk knows nothing of the message yet, and a second later it does."""
    ask = partial(
        client.groups.read_status, conversation_id=conversation, process_query_key=send(client, conversation)
    )
    assert ask().status == "SUCCESS"
    assert (calls.counted.count(API_QUERY), calls.slept) == (2, [1.0])
    sandbox.inject(
        Fault(API_QUERY, FaultKind.ERROR, code="processQueryKey.expireTime", status=400, times=None)
    )
    with pytest.raises(Failure) as caught:
        ask()
    assert (isinstance(caught.value.verdict, Rejected), calls.counted.count(API_QUERY)) == (True, 6)


def test_a_recall_is_not_repeated(sandbox: Sandbox, client: Client, calls: Calls, conversation: str) -> None:
    """A person asked for it and can do so again."""
    key = send(client, conversation)
    sandbox.inject(Fault(API_RECALL, FaultKind.CUT_AFTER))
    with pytest.raises(Failure) as caught:
        client.groups.recall(conversation_id=conversation, process_query_keys=[key])
    assert type(caught.value.verdict) is NoAnswer
    assert calls.counted.count(API_RECALL) == 1


@pytest.mark.parametrize("kind", [FaultKind.THROTTLE, FaultKind.QUOTA, FaultKind.IP_NOT_ALLOWED])
def test_a_refusal_is_not_repeated(
    sandbox: Sandbox, client: Client, calls: Calls, conversation: str, kind: FaultKind
) -> None:
    """Not even of a token call or a question: its wait is longer than a call may last."""
    sandbox.inject(Fault("*", kind, times=None))
    for call in (
        lambda: client.fetch_token(Host.OAPI),
        lambda: client.fetch_token(Host.API),
        lambda: client.robots(conversation),
    ):
        calls.counted.clear()
        with pytest.raises(Failure):
            call()
        assert len(calls.counted) == 1
    assert calls.slept == []


def test_a_gate_that_closes_ends_a_repetition(sandbox: Sandbox) -> None:
    """Between two tries the gate is asked again, and its refusal is what comes out."""
    closed = Throttled(Cause("pace", "", "THROTTLED"))

    def close() -> None:
        calls.refusal = closed

    calls = Interrupted(close)
    sandbox.inject(Fault(OAPI, FaultKind.CUT_BEFORE, times=None))
    with (
        calls.client(sandbox.url, client_id=sandbox.client_id, client_secret=sandbox.client_secret) as client,
        pytest.raises(Failure) as caught,
    ):
        client.fetch_token(Host.OAPI)
    assert caught.value.verdict is closed
    assert (calls.gated, calls.counted) == ([OAPI, OAPI], [OAPI])


@pytest.mark.parametrize("kind", [FaultKind.CUT_AFTER, FaultKind.HTML, FaultKind.THROTTLE])
def test_a_send_whose_token_call_fails_is_not_made(
    sandbox: Sandbox, client: Client, calls: Calls, conversation: str, kind: FaultKind
) -> None:
    """The message certainly did not arrive, also when the answer to the token call was lost."""
    sandbox.inject(Fault(API, kind, times=None))
    with pytest.raises(Failure) as caught:
        send(client, conversation)
    assert type(caught.value.verdict) is (Throttled if kind is FaultKind.THROTTLE else NotReached)
    assert API_SEND not in calls.counted
    assert sandbox.messages(conversation) == ()
