"""Every JSON call against a small server: what goes out, what comes back, who repeats and what is told."""

import json
from collections.abc import Callable

import pytest

from dingwatch import __version__
from dingwatch.dingtalk import (
    API_COMMIT,
    API_GET,
    API_MEDIA,
    API_PROBE,
    API_PUT,
    API_SEND_ENTRY,
    API_TOKEN,
    API_UPLOAD,
    API_USER,
    API_WEBHOOK,
    BILLED,
    WEBHOOK_BILLED,
    Client,
    Host,
    SampleMarkdown,
    apis,
    file_message,
)
from dingwatch.model import (
    Cause,
    Misconfigured,
    NoAnswer,
    NotReached,
    Scope,
    Throttled,
    TokenRejected,
)
from tests.dingtalk.catalogue import ADDRESS, CASES, SIGNED, Case
from tests.dingtalk.peers import TOKEN, Calls, Server, Wire
from tests.dingtalk.verdicts import verdict

Serve = Callable[..., Server]
SENDS = [case for case in CASES if not case.repeated]
QUESTIONS = [case for case in CASES if case.repeated]
DEAD = {Host.API: {"code": "InvalidAuthentication"}, Host.OAPI: {"errcode": 40014}}
RENEWABLE: dict[str, Callable[[Client], object]] = {
    "group": lambda c: c.groups.send(conversation_id="cid", message=SampleMarkdown("t", "x"), renew=False),
    "persons": lambda c: c.persons.send(user_ids=["u"], message=SampleMarkdown("t", "x"), renew=False),
    "entry": lambda c: c.conversation_files("op").send(
        conversation_id="cid", space_id="1", entry_id="2", renew=False
    ),
    "entry to a person": lambda c: c.conversation_files("op").send_to_person(
        union_id="u", space_id="1", entry_id="2", renew=False
    ),
    "chat": lambda c: c.legacy.send_to_chat(chat_id="chat", message=file_message("@x"), renew=False),
    "conversation": lambda c: c.legacy.send_to_conversation(
        sender="u", cid="1", message=file_message("@x"), renew=False
    ),
    "upload": lambda c: c.media.upload(name="a.pdf", content=b"%PDF", renew=False),
}


def hang_up(wire: Wire, _head: bytes, _body: bytes) -> None:
    """Take the request and close: its answer is lost."""
    wire.hang_up()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_call_is_what_the_sheet_says(serve: Serve, calls: Calls, case: Case) -> None:
    """Its address, its token's place and its JSON go out as documented, and its answer becomes a value."""
    seen: list[tuple[list[str], bytes]] = []

    def react(wire: Wire, head: bytes, body: bytes) -> None:
        seen.append((head.decode().split("\r\n"), body))
        wire.answer(case.good)

    with calls.client(serve(react).url) as client:
        assert case.call(client) == case.value
    [(lines, body)] = seen
    assert lines[0] == case.request_line
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
    assert headers.get("x-acs-dingtalk-access-token") == (TOKEN if case.host is Host.API else None)
    assert ("content-type" in headers) == (case.sent is not None)
    assert headers["accept"] == "application/json"
    assert headers["user-agent"] == f"dingwatch/{__version__}"
    assert b"\\u" not in body
    assert (json.loads(body) if body else None) == case.sent


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_call_passes_the_gate_and_the_meter(serve: Serve, calls: Calls, case: Case) -> None:
    """By its API's name, behind its host's token call."""
    with calls.client(serve(lambda wire, *_: wire.answer(case.good)).url) as client:
        case.call(client)
    assert calls.gated == calls.counted == [API_TOKEN[case.host], case.api]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_closed_gate_lets_no_call_out(calls: Calls, case: Case) -> None:
    """What the gate raises comes through, and nothing is counted."""
    calls.refusal = NotReached(Cause("stopped", "", "STOPPED"), Scope.APP)
    with calls.client("http://127.0.0.1:9") as client:
        assert verdict(lambda: case.call(client)).cause.code == "stopped"
    assert calls.counted == []


@pytest.mark.parametrize("case", SENDS, ids=str)
def test_a_lost_answer_is_never_asked_for_again(serve: Serve, calls: Calls, case: Case) -> None:
    """What has an effect that a second time would double is made once, and ends as a doubt."""
    server = serve(hang_up)
    with calls.client(server.url) as client:
        assert type(verdict(lambda: case.call(client))) is NoAnswer
    assert len(server.requests) == 1
    assert calls.slept == []


@pytest.mark.parametrize("case", QUESTIONS, ids=str)
def test_a_call_that_is_safe_to_repeat_is_repeated(serve: Serve, calls: Calls, case: Case) -> None:
    """Twice at most; the third time it may have gone well."""
    tries = iter([False, False, True])
    server = serve(lambda wire, *_: wire.answer(case.good) if next(tries) else wire.hang_up())
    with calls.client(server.url) as client:
        assert case.call(client) == case.value
    assert len(server.requests) == 3
    assert len(calls.slept) == 2


@pytest.mark.parametrize("case", [case for case in CASES if case.needs], ids=str)
def test_a_success_without_what_it_must_bring_is_no_answer(serve: Serve, calls: Calls, case: Case) -> None:
    """HTTP 200 with nothing usable in it leaves a send in doubt, and is no value for a question."""
    bare: dict[str, object] = {"errcode": 0} if case.host is Host.OAPI else {}
    wrong: tuple[object, ...] = (None, [], {}, 5, "")
    hollow = [bare, *(bare | {name: value} for name in case.answer for value in wrong)]
    documents = iter(hollow)
    with calls.client(serve(lambda wire, *_: wire.answer(next(documents))).url) as client:
        for _ in hollow:
            assert type(verdict(lambda: case.call(client))) is NoAnswer


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_dead_token_is_renewed_once_for_every_call(serve: Serve, calls: Calls, case: Case) -> None:
    """A refused call had no effect, so that a send is made again too; a second refusal is for a person."""
    answers = iter([DEAD[case.host], case.good, *[DEAD[case.host]] * 2])
    server = serve(lambda wire, *_: wire.answer(next(answers)))
    with calls.client(server.url) as client:
        assert case.call(client) == case.value
        assert type(verdict(lambda: case.call(client))) is Misconfigured
    assert len(server.requests) == 4


@pytest.mark.parametrize("send", RENEWABLE)
def test_no_send_fetches_a_token_that_it_may_not_fetch(serve: Serve, calls: Calls, send: str) -> None:
    """A send in hand must not wait for a token call."""
    server = serve(hang_up)
    with calls.client(server.url) as client:
        assert type(verdict(lambda: RENEWABLE[send](client))) is TokenRejected
    assert (calls.counted, server.requests) == ([], [])


@pytest.mark.parametrize("case", CASES, ids=str)
def test_no_error_repeats_a_secret(serve: Serve, calls: Calls, case: Case) -> None:
    """A gateway may quote the address, the header and the body that it was asked with."""

    def quote(wire: Wire, head: bytes, body: bytes) -> None:
        told = (head + body).decode()
        wire.answer(
            {"errcode": 40035, "errmsg": told, "code": "paramError", "message": told}, "400 Bad Request"
        )

    with calls.client(serve(quote).url) as client:
        found = verdict(lambda: case.call(client))
    assert found.cause.advice == "REPORT_BUG"


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_call_may_be_throttled(serve: Serve, calls: Calls, case: Case) -> None:
    """Its API has too much to do; it is not repeated here, and certainly had no effect."""
    refusal = {"errcode": 90018, "errmsg": "", "code": "Forbidden.AccessDenied.QpsLimitForApi", "message": ""}
    server = serve(lambda wire, *_: wire.answer(refusal, "403 Forbidden"))
    with calls.client(server.url) as client:
        found = verdict(lambda: case.call(client))
    assert (type(found), found.scope) == (Throttled, Scope.API)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("api", "expected"),
    [
        (API_COMMIT, (Scope.API, "OPERATOR")),
        (API_SEND_ENTRY, (Scope.CONVERSATION, "OPERATOR_IN_GROUP")),
    ],
)
def test_whose_rights_are_missing_depends_on_the_call(
    serve: Serve, calls: Calls, api: str, expected: tuple[Scope, str]
) -> None:
    """The same code concerns the drive, or one conversation that the operator is not in."""
    refusal = {"code": "permissionDenied", "message": "no", "requestid": "r"}
    server = serve(lambda wire, *_: wire.answer(refusal, "403 Forbidden"))
    [case] = [case for case in CASES if case.api == api][:1]
    with calls.client(server.url) as client:
        found = verdict(lambda: case.call(client))
    assert (type(found), (found.scope, found.cause.advice)) == (Misconfigured, expected)


def test_every_api_is_in_the_catalogue() -> None:
    """A name that is added needs a case here, or a test of its own, and a place in the bill."""
    every = {
        value for name, value in vars(apis).items() if name.startswith("API_") and isinstance(value, str)
    }
    elsewhere = {API_UPLOAD, API_MEDIA, API_PUT, API_GET, API_PROBE, API_WEBHOOK}
    assert {case.api for case in CASES} == every - elsewhere
    free = {API_USER, API_PUT, API_GET, API_PROBE}
    assert every == BILLED | WEBHOOK_BILLED | free
    assert not BILLED & (free | WEBHOOK_BILLED)
    assert not BILLED & set(API_TOKEN.values())


# --- Corners -------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 21])
def test_persons_come_in_twenties(calls: Calls, count: int) -> None:
    """More at once would be refused for all of them, and nobody is no recipient."""
    with calls.client("http://127.0.0.1:9") as client, pytest.raises(ValueError, match="recipients"):
        client.persons.send(user_ids=["u"] * count, message=SampleMarkdown("t", "x"))
    assert calls.counted == []


def test_a_send_that_reached_nobody_needs_no_key(serve: Serve, calls: Calls) -> None:
    """HTTP 200 says nothing: who was left out stands in the lists, and is a value for the caller."""
    answer = {"invalidStaffIdList": ["u1"], "flowControlledStaffIdList": ["u2"]}
    with calls.client(serve(lambda wire, *_: wire.answer(answer)).url) as client:
        sent = client.persons.send(user_ids=["u1", "u2"], message=SampleMarkdown("t", "x"))
    assert (sent.process_query_key, sent.reached) == ("", ())
    assert (sent.invalid, sent.flow_controlled) == (("u1",), ("u2",))


def test_no_more_part_addresses_than_allowed_are_asked_for(calls: Calls) -> None:
    """Thirty-one would be refused, and cost a call."""
    with calls.client("http://127.0.0.1:9") as client, pytest.raises(ValueError, match="31"):
        client.storage("op").part_addresses("up", range(1, 32))


def test_a_missing_part_address_is_no_answer(serve: Serve, calls: Calls) -> None:
    """A part without an address cannot be handed over; it must not be passed over."""
    answer = {"multipartHeaderSignatureInfos": [{"partNumber": 1, "headerSignatureInfo": SIGNED}]}
    with calls.client(serve(lambda wire, *_: wire.answer(answer)).url) as client:
        assert type(verdict(lambda: client.storage("op").part_addresses("up", [1, 2]))) is NoAnswer


def test_no_signed_address_is_shown() -> None:
    """Who holds one may write: neither its headers nor its addresses stand in what may be printed."""
    shown = repr(ADDRESS)
    assert "signature" not in shown
    assert "dingtalk.com" not in shown
    assert ADDRESS.url == "https://zjk.trans.dingtalk.com/a?b=%2Bc"
