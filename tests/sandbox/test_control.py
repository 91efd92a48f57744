from __future__ import annotations

import json
import re
import threading
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest

from dingwatch.sandbox import Fault, FaultKind, Limits, Sandbox, config_block, conversation_lines
from dingwatch.sandbox import control as control_module
from dingwatch.sandbox.apis import APIS
from tests.sandbox.drives import Drive
from tests.support import crowding

if TYPE_CHECKING:
    from tests.sandbox.conftest import Peer

DOCUMENT = Path(__file__).parents[2] / "docs" / "sandbox.md"


def test_faults_over_http(peer: Peer, sandbox: Sandbox) -> None:
    """Faults are ordered, listed and cancelled over HTTP."""
    order = {"api": "media/upload", "kind": "cut_after", "times": None, "seconds": 1}
    assert peer.post("/sandbox/faults", order).status_code == 201
    assert sandbox.faults() == (Fault("media/upload", FaultKind.CUT_AFTER, times=None, seconds=1),)
    assert peer.get("/sandbox/faults").json() == [
        {**order, "after": 0, "code": None, "status": None, "message": None, "field": "", "value": None}
    ]
    altering = {"api": "gettoken", "kind": "replace", "field": "access_token", "value": True}
    assert peer.post("/sandbox/faults", altering).status_code == 201
    assert peer.get("/gettoken").json()["access_token"] is True
    assert peer.session.delete(sandbox.url + "/sandbox/faults", timeout=10).json() == {"faults": 0}
    assert sandbox.faults() == ()


@pytest.mark.parametrize(
    ("order", "hint"),
    [
        ([], "object"),
        ({}, "required"),
        ({"api": "x"}, "required"),
        ({"api": "x", "kind": "explode"}, "throttle"),
        ({"api": "x", "kind": "html", "time": 1}, "times"),
        ({"api": "x", "kind": "html", "times": True}, "times"),
        ({"api": "x", "kind": "html", "times": 0}, "at least 1"),
    ],
)
def test_wrong_orders(peer: Peer, order: object, hint: str) -> None:
    """A fault that cannot be read is 400 with a sentence that helps."""
    answer = peer.post("/sandbox/faults", order)
    assert answer.status_code == 400
    assert hint in answer.json()["error"]


def test_conversations_and_messages(peer: Peer, sandbox: Sandbox) -> None:
    """The lists show what the Python side shows, ids with + and / included."""
    group = sandbox.conversations[1]
    peer.send(peer.media_id(), "报告.pdf", openConversationId=group.id)
    rows = peer.get("/sandbox/conversations").json()["conversations"]
    assert [each["id"] for each in rows] == [each.id for each in sandbox.conversations]
    assert (rows[1]["messages"], rows[1]["last"]["file_name"]) == (1, "报告.pdf")
    (message,) = peer.get("/sandbox/messages", conversation_id=group.id).json()
    assert message["id"] == sandbox.messages(group.id)[0].id
    assert peer.get("/sandbox/messages", conversation_id=group.id, limit="x").status_code == 400


def test_calls_and_reset(peer: Peer, sandbox: Sandbox) -> None:
    """Counters can be read, and a reset forgets everything but the settings."""
    peer.send(peer.media_id())
    sandbox.inject(Fault("*", FaultKind.HTML, after=9))
    counted = peer.get("/sandbox/calls").json()
    assert (counted["calls"]["media/upload"], counted["billed"]) == (1, 2)
    assert peer.session.post(sandbox.url + "/sandbox/reset", timeout=10).status_code == 200
    assert (sandbox.calls(), sandbox.billed(), sandbox.uploads(), sandbox.faults()) == ({}, 0, (), ())
    assert sandbox.messages(sandbox.conversations[0].id) == ()


def test_drive_over_http(peer: Peer, sandbox: Sandbox) -> None:
    """Spaces, entries and webhooks can be read, and people be flow-controlled, from another process."""
    drive = Drive(peer)
    dentry = drive.store("a.txt", b"x")
    (space,) = peer.get("/sandbox/spaces").json()
    (entry,) = peer.get("/sandbox/entries", space_id=space["id"]).json()
    assert (space["id"], entry["id"], entry["sha256"]) == (
        drive.space_id,
        dentry["id"],
        sandbox.entries(drive.space_id)[0].sha256,
    )
    assert [each["token"] for each in peer.get("/sandbox/webhooks").json()] == [
        each.token for each in sandbox.settings.webhooks
    ]
    url = sandbox.url + "/sandbox/flow_control"
    assert peer.session.put(url, json={"user_ids": ["user2345"]}, timeout=10).status_code == 200
    assert peer.session.put(url, json={"user_ids": "x"}, timeout=10).status_code == 400
    assert peer.session.put(url, json=[], timeout=10).status_code == 400
    sandbox.reset()
    assert peer.get("/sandbox/spaces").json() == []


@pytest.mark.parametrize(
    "name", ["报告 (1).pdf", 'a"b;c.txt', "a\r\nX: y.txt", "../../etc/passwd.txt", "\u202egpj.exe"]
)
def test_download_of_a_message(peer: Peer, sandbox: Sandbox, name: str) -> None:
    """A file is an attachment under its name in the chat, whatever the name tries."""
    peer.send(peer.media_id("a.pdf", b"bytes"), name)
    (message,) = sandbox.messages(sandbox.conversations[0].id)
    answer = peer.get(f"/sandbox/files/{message.id}")
    assert answer.content == b"bytes"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-type"] == "application/octet-stream"
    match = re.fullmatch(
        r"attachment; filename=\"([ -~]*)\"; filename\*=UTF-8''(\S+)", answer.headers["content-disposition"]
    )
    assert match
    assert '"' not in match[1]
    assert unquote(match[2]) == re.sub(r"[\r\n/\\]", "_", name)


def test_no_such_file(peer: Peer) -> None:
    """A message without a file, or no message, is 404."""
    body = peer.group_body(msgKey="sampleText", msgParam='{"content":"x"}')
    peer.post("/v1.0/robot/groupMessages/send", body, peer.new_token())
    assert [peer.get(f"/sandbox/files/{each}").status_code for each in ("m1", "m2", "x")] == [404, 404, 404]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "SELF"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Host": "evil.example"}, 403),
        ({"Host": "localhost:80"}, 200),
        ({"Host": "[::1]:80"}, 200),
        ({"Host": "192.168.1.5"}, 200),
    ],
)
def test_other_sites_are_shut_out(peer: Peer, sandbox: Sandbox, headers: dict[str, str], status: int) -> None:
    """A page of another origin, or under another name, drives nothing here."""
    filled = {key: sandbox.url if value == "SELF" else value for key, value in headers.items()}
    for method, path in (
        ("POST", "/sandbox/reset"),
        ("GET", "/sandbox/calls"),
        ("DELETE", "/sandbox/faults"),
    ):
        answer = peer.session.request(method, sandbox.url + path, headers=filled, timeout=10)
        assert answer.status_code == status


def test_page(peer: Peer) -> None:
    """The page and its assets come from here alone, under a policy that says so."""
    for path, content_type in (
        ("/", "text/html"),
        ("/sandbox/style.css", "text/css"),
        ("/sandbox/app.js", "text/javascript"),
    ):
        answer = peer.get(path)
        assert answer.headers["content-type"].startswith(content_type)
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "http" not in policy
        linked = set(re.findall(r"(?:https?:)?//[a-z0-9.]+\.[a-z]+", answer.text)) - {"http://www.w3.org"}
        assert not linked


def test_page_may_be_linked_to(peer: Peer, sandbox: Sandbox) -> None:
    """A link from elsewhere may open the page, though not its events."""
    headers = {"Sec-Fetch-Site": "cross-site"}
    page = peer.session.get(sandbox.url + "/", headers=headers, timeout=10)
    events = peer.session.get(sandbox.url + "/sandbox/events", headers=headers, timeout=10)
    assert (page.status_code, events.status_code) == (200, 403)


def test_events(peer: Peer, sandbox: Sandbox) -> None:
    """Open pages are told of messages, recalls and resets as they happen."""
    with peer.session.get(sandbox.url + "/sandbox/events", stream=True, timeout=10) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = (line for line in stream.iter_lines(chunk_size=1, decode_unicode=True) if line)

        def event() -> tuple[str, dict[str, object]]:
            return next(lines).removeprefix("event: "), json.loads(next(lines).removeprefix("data: "))

        assert event()[0] == "hello"
        key = peer.send(peer.media_id(), "报告.pdf").json()["processQueryKey"]
        kind, message = event()
        assert (kind, message["file_name"]) == ("message", "报告.pdf")
        where = {"openConversationId": sandbox.conversations[0].id, "robotCode": sandbox.robot_code}
        peer.post("/v1.0/robot/groupMessages/recall", {**where, "processQueryKeys": [key]}, peer.new_token())
        kind, message = event()
        assert (kind, message["recalled"]) == ("recall", True)
        sandbox.reset()
        assert event() == ("reset", {})


def test_config_block(sandbox: Sandbox) -> None:
    """The block names every key of the config, and the lines the conversations with a robot."""
    assert config_block(sandbox).splitlines() == [
        "dingtalk:",
        f'  client_id: "{sandbox.client_id}"',
        f'  client_secret: "{sandbox.client_secret}"',
        f'  robot_code: "{sandbox.robot_code}"',
        f'  operator_union_id: "{sandbox.settings.operator_union_id}"',
        f'  api_url: "{sandbox.url}"',
        f'  oapi_url: "{sandbox.url}"',
        "  monthly_calls: null",
    ]
    inside = [each.id for each in sandbox.conversations if each.robot_inside]
    assert conversation_lines(sandbox) == tuple(f"conversation_id: {each}" for each in inside)
    assert len(inside) >= 2
    assert all(each.startswith("cid") for each in inside)


def test_start_and_stop() -> None:
    """It starts only when told, keeps its port and its messages over a stop, and leaves no thread."""
    before = threading.active_count()
    sandbox = Sandbox()
    assert threading.active_count() == before
    sandbox.stop()
    for _ in range(2):
        sandbox.start()
        url = sandbox.url
        with pytest.raises(RuntimeError):
            sandbox.start()
        sandbox.stop()
        sandbox.stop()
        assert (sandbox.url, threading.active_count()) == (url, before)


def test_taken_port(sandbox: Sandbox) -> None:
    """A port that is taken is an OSError for the one who starts."""
    second = Sandbox(port=int(sandbox.url.rpartition(":")[2]))
    with pytest.raises(OSError, match="in use"):
        second.start()


def test_stop_ends_calls_in_flight(peer: Peer, sandbox: Sandbox) -> None:
    """A stop does not wait for slow calls or open pages."""
    sandbox.inject(Fault("gettoken", FaultKind.ENDLESS, seconds=3600))
    with (
        peer.session.get(sandbox.url + "/gettoken", stream=True, timeout=10),
        peer.session.get(sandbox.url + "/sandbox/events", stream=True, timeout=10),
    ):
        sandbox.stop()
        assert not [each for each in threading.enumerate() if each.name == "sandbox"]


def test_document_is_complete() -> None:
    """docs/sandbox.md names every fault kind, every API, every limit and every control path."""
    text = DOCUMENT.read_text()
    assert [kind for kind in FaultKind if f"`{kind}`" not in text] == []
    assert [api.name for api in APIS if f"`{api.name}`" not in text] == []
    assert [each.name for each in fields(Limits) if f"`{each.name}`" not in text] == []
    control = set(re.findall(r'"(/sandbox/\w+)', Path(control_module.__file__).read_text()))
    assert len(control) > 10
    assert [path for path in sorted(control) if path not in text] == []
    with Sandbox() as sandbox:
        assert sandbox.client_id in text
        assert sandbox.conversations[0].id in text


def test_a_stop_closes_what_was_just_accepted() -> None:
    """A service may call at any instant."""
    with Sandbox() as running:
        address = urlsplit(running.url)
        assert address.hostname is not None
        assert address.port is not None
        with crowding((address.hostname, address.port)):
            running.stop()
