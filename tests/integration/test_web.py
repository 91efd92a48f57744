from __future__ import annotations

import gzip
import json
import os
import re
import resource
import signal
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any
from unittest.mock import ANY
from urllib.parse import quote, urlencode

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dingwatch.config.values import Config, Http, TcpAddress, UnixAddress
from dingwatch.host.control_socket import SOCKET, NotRunningError, call
from dingwatch.host.control_socket import ask as ask_service
from dingwatch.sandbox import Fault, FaultKind, Sandbox
from dingwatch.service.daemon import Service, Source
from dingwatch.web import ListenError, WebServer
from dingwatch.web.events import MOST_LISTENERS
from dingwatch.web.guard import Gatekeeper
from tests.integration.conftest import Machine
from tests.support import PATIENCE, Heard, config, eventually, folder, port_of, running, sent

TOKEN = "a-token-for-the-sandbox-only"
LOOPBACK = TcpAddress("127.0.0.1", 0)
REFUSED = Fault("robot/groupMessages/send", FaultKind.ERROR, code="bot.stopped", status=400, times=None)
LOST = Fault("robot/groupMessages/send", FaultKind.CUT_AFTER, times=1)


@pytest.fixture
def one(tmp_path: Path, share: Path, sandbox: Sandbox) -> Config:
    """One folder, and the API on a port of loopback, without a token."""
    made = config(tmp_path / "state", sandbox, folder(share, sandbox.conversations[0].id))
    return replace(made, http=Http(LOOPBACK))


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: str

    @property
    def json(self) -> Any:  # noqa: ANN401 (JSON)
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def error(self) -> tuple[int, str]:
        """The status and the code of an error, which has a sentence."""
        error = self.json["error"]
        assert error["message"]
        return self.status, error["code"]


@dataclass
class Client:
    """Makes requests to the API on TCP."""

    service: Service

    @property
    def port(self) -> int:
        """The port that the service listens on."""
        return port_of(self.service)

    @contextmanager
    def open(self, method: str, path: str, body: str = "", **headers: str) -> Iterator[HTTPResponse]:
        """Make a request, and read its answer while the block runs."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body.encode() or None, named)
            yield connection.getresponse()
        finally:
            connection.close()

    def __call__(self, method: str, path: str, body: str = "", **headers: str) -> Answer:
        """Make a request and return its answer."""
        with self.open(method, path, body, **headers) as answer:
            return Answer(answer.status, dict(answer.getheaders()), answer.read().decode())


@contextmanager
def serving(setting: Config, **options: Any) -> Iterator[Client]:  # noqa: ANN401 (the server's)
    """Run the service, and make requests to it."""
    with running(setting, server=partial(WebServer, **options)) as service:
        yield Client(service)


def with_token(one: Config, **changes: object) -> Config:
    """Return a configuration whose API needs a token."""
    return replace(one, http=Http(LOOPBACK, TOKEN, **changes))  # type: ignore[arg-type]


# --- What is told --------------------------------------------------------------------------------


def test_both_sockets_serve_the_same(one: Config, share: Path, sandbox: Sandbox) -> None:
    """The status and the history are those of `--json`, with more keys, whoever asks where."""
    with serving(one) as ask:
        (share / "a.txt").write_text("a")
        eventually(sent(sandbox, 1))
        eventually(lambda: ask("GET", "/api/v1/status").json["totals"]["sent"] == 1)
        status = ask("GET", "/api/v1/status").json
        _, there = call(one.state_dir, "GET", "/api/v1/status", timeout=PATIENCE)
        rows = ask("GET", "/api/v1/history").json["rows"]
    assert json.loads(there) | {"now": status["now"]} == status
    assert status["daemon"]["pid"] == os.getpid()
    assert (status["folders"][0]["id"], status["folders"][0]["state"]) == (1, "ok")
    assert status["ledger"]["ok"] is True
    assert status["waiting"] == {"count": 0, "oldest_at": None}
    (row,) = rows
    assert (row["path"], row["name"], row["state"], row["to"]["kind"]) == ("a.txt", "a.txt", "sent", "group")


def test_history_in_pages(one: Config, share: Path, sandbox: Sandbox) -> None:
    """`next` of one page is `before` of the following, until there is none."""
    for number in range(5):
        (share / f"{number}.txt").write_text(str(number))
    existing = replace(one, folders=(replace(one.folders[0], existing="send"),))
    found: list[str] = []
    with serving(existing) as ask:
        eventually(sent(sandbox, 5))
        page: Any = {"next": ""}
        while page["next"] is not None:
            page = ask("GET", f"/api/v1/history?limit=2&before={page['next']}").json
            found += [row["path"] for row in page["rows"]]
    assert sorted(found) == [f"{number}.txt" for number in range(5)]


def test_history_is_searched(one: Config, share: Path, sandbox: Sandbox) -> None:
    """By name in any case, by time, recipient, folder and state."""
    group = sandbox.conversations[0].id
    to = quote(group, safe="")
    named = replace(one, aliases={"财务群": group, "全体": group}, recipient_names={group: "财务群"})
    with serving(named) as ask:
        (share / "Report.pdf").write_text("a")
        (share / "b.txt").write_text("b")
        eventually(sent(sandbox, 2))
        eventually(lambda: ask("GET", "/api/v1/status").json["totals"]["sent"] == 2)

        def search(query: str) -> list[str]:
            return sorted(row["path"] for row in ask("GET", f"/api/v1/history?{query}").json["rows"])

        assert search("q=rEPORT") == ["Report.pdf"]
        assert search("from=2000-01-01&to=2000-01-02") == []
        assert search("from=2000-01-01T00:00:00+08:00") == ["Report.pdf", "b.txt"]
        assert search(f"recipient={to}&folder=share&state=sent&limit=1000") == ["Report.pdf", "b.txt"]
        assert search("recipient=cidX") == search("state=failed") == []
        for alias in named.aliases:
            assert search(f"recipient={quote(alias)}") == ["Report.pdf", "b.txt"]
        refused = ask("GET", f"/api/v1/history?recipient={quote('财务')}")
        assert refused.error == (404, "unknown_recipient")
        assert "财务群, 全体" in refused.json["error"]["message"]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/api/v1/history?limit=0", "bad_parameter"),
        ("/api/v1/history?limit=1001", "bad_parameter"),
        ("/api/v1/history?limit=-1", "bad_parameter"),
        ("/api/v1/history?limit=１", "bad_parameter"),
        ("/api/v1/history?limit=" + "9" * 5000, "bad_parameter"),
        ("/api/v1/history?state=lost", "bad_parameter"),
        ("/api/v1/history?from=yesterday", "bad_parameter"),
        ("/api/v1/history?to=2026-13-01", "bad_parameter"),
        ("/api/v1/history?to=9999-12-31", "bad_parameter"),
        ("/api/v1/history?before=7", "bad_parameter"),
        ("/api/v1/history?before=1e999_1", "bad_parameter"),
        ("/api/v1/history?before=1_99999999999999999999", "bad_parameter"),
        ("/api/v1/history?serch=a", "unknown_parameter"),
        ("/api/v1/status?now=1", "unknown_parameter"),
        ("/api/v1/why", "missing"),
        ("/api/v1/why?path=", "missing"),
        ("/api/v1/why?path=..%2Fa", "bad_path"),
        ("/api/v1/why?path=a%00b", "bad_path"),
    ],
)
def test_bad_parameters(one: Config, path: str, code: str) -> None:
    """Each is answered with 400 and a sentence in the language that was asked for."""
    with serving(one) as ask:
        answer = ask("GET", quote(path, safe="/?=&%"), Accept_Language="zh-CN,zh;q=0.9")
    assert answer.error == (400, code)
    assert re.search("[一-鿿]", answer.json["error"]["message"])


def test_unknown_folder(one: Config) -> None:
    """The sentence names those that there are."""
    with serving(one) as ask:
        for path in ("/api/v1/history?folder=x", "/api/v1/why?path=a&folder=x"):
            answer = ask("GET", path)
            assert answer.error == (404, "unknown_folder")
            assert "share" in answer.json["error"]["message"]


def test_why(one: Config, share: Path, sandbox: Sandbox) -> None:
    """Every decision about a path is told, whether it is absolute, relative, or written with escapes."""
    with serving(one) as ask:
        (share / b"\xff.txt".decode("utf-8", "surrogateescape")).write_text("a")
        eventually(sent(sandbox, 1))
        eventually(lambda: ask("GET", "/api/v1/status").json["totals"]["sent"] == 1)
        for path in (f"{share}/\\xff.txt", "\\xff.txt"):
            ((found),) = ask("GET", f"/api/v1/why?{urlencode({'path': path})}").json["paths"]
            assert (found["folder"], found["path"]) == ("share", "\\xff.txt")
            assert [one["state"] for one in found["decisions"]][-1] == "sent"
        (nothing,) = ask("GET", "/api/v1/why?path=/nowhere/a.txt").json["paths"]
    assert (nothing["folder"], nothing["decisions"]) == (None, [])


def test_a_ledger_that_cannot_be_read(one: Config) -> None:
    """The status says so, and what needs the ledger is answered with 503."""
    with serving(one) as ask:
        assert one.ledger_file is not None
        moved = one.ledger_file.with_name("elsewhere")
        one.ledger_file.rename(moved)
        status = ask("GET", "/api/v1/status").json
        refused = [ask("GET", f"/api/v1/{name}").error for name in ("history", "why?path=/a")]
        act = ask("POST", "/api/v1/deliveries/1/retry").error
        metrics = ask("GET", "/metrics").status
        moved.rename(one.ledger_file)
    assert (status["ledger"]["ok"], status["totals"]["sent"]) == (False, None)
    assert (refused, act, metrics) == ([(503, "ledger")] * 2, (503, "ledger"), 503)


def test_health(one: Config) -> None:
    """Once a canary has passed it is 200, needs no token, and gives no reason."""
    with serving(with_token(one)) as ask:
        eventually(lambda: ask("GET", "/healthz").status == 200)
        answer = ask("GET", "/healthz")
    assert answer.body == "ok\n"


def metrics_of(ask: Client) -> dict[tuple[str, ...], float]:
    """Return the samples of /metrics by name and values of labels."""
    families = text_string_to_metric_families(ask("GET", "/metrics").body)
    return {
        (one.name, *(str(value) for _, value in sorted(one.labels.items()))): one.value
        for family in families
        for one in family.samples
    }


def test_metrics(one: Config, share: Path, sandbox: Sandbox) -> None:
    """Counters count from the start of the service, and the names of 0.1 are not among them."""
    with serving(one) as ask:
        before = metrics_of(ask)
        (share / "a.txt").write_text("hello")
        eventually(sent(sandbox, 1))
        eventually(lambda: metrics_of(ask)["dingwatch_deliveries_total", "share", "sent"] == 1)
        after, answer = metrics_of(ask), ask("GET", "/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert before["dingwatch_deliveries_total", "share", "sent"] == 0
    assert after["dingwatch_sent_bytes_total",] == 5
    assert after["dingwatch_delivery_seconds_count",] == 1
    assert after["dingwatch_delivery_seconds_bucket", "+Inf"] == 1
    assert after["dingwatch_api_calls_total", "robot/groupMessages/send", "ok"] == 1
    assert after["dingwatch_deliveries_current", "share", "sent"] == 1
    assert after["dingwatch_folder_last_scan_timestamp_seconds", "share"] > 0
    names = {name for name, *_ in after}
    assert {"dingwatch_build_info", "dingwatch_api_calls_month"} <= names
    assert names & {"dingwatch_deliveries", "dingwatch_api_calls"} == set()


def test_the_oldest_that_waits_is_told(one: Config, share: Path, sandbox: Sandbox) -> None:
    """Its time is there while something waits, and calls that were refused count by their outcome."""
    sandbox.inject(REFUSED)
    with serving(one) as ask:
        (share / "a.txt").write_text("a")
        eventually(lambda: ask("GET", "/api/v1/status").json["pauses"])
        found = metrics_of(ask)
        waiting = ask("GET", "/api/v1/status").json["waiting"]
    assert found["dingwatch_oldest_waiting_timestamp_seconds",] <= time.time()
    assert found["dingwatch_api_calls_total", "robot/groupMessages/send", "misconfigured"] >= 1
    assert waiting["count"] == 1
    assert waiting["oldest_at"] is not None


# --- Events --------------------------------------------------------------------------------------


def test_events(one: Config, share: Path, sandbox: Sandbox) -> None:
    """A listener is told which parts have changed."""
    with serving(one) as ask, ask.open("GET", "/api/v1/events") as events:
        assert events.headers["Content-Type"].startswith("text/event-stream")
        assert events.readline() == b"retry: 3000\n"
        (share / "a.txt").write_text("a")
        parts: set[str] = set()
        while not {"find", "folders", "hero", "now", "quota"} <= parts:
            line = events.readline()
            if line.startswith(b"data: "):
                parts |= set(json.loads(line[6:]).get("parts", ()))
        assert "pauses" not in parts
        sandbox.inject(REFUSED)
        (share / "b.txt").write_text("b")
        while "pauses" not in parts:
            line = events.readline()
            parts |= set(json.loads(line[6:]).get("parts", ())) if line.startswith(b"data: ") else set()


def test_events_have_the_progress_of_uploads(one: Config, share: Path, sandbox: Sandbox) -> None:
    """While a body is sent, a listener is told how much of it was, and at the end that nothing is."""
    sandbox.inject(Fault("media/upload", FaultKind.SLOW, seconds=3.0, times=1))
    with serving(one) as ask, ask.open("GET", "/api/v1/events") as events:
        assert events.readline() == b"retry: 3000\n"
        (share / "film.bin").write_bytes(bytes(3 << 20))
        told: list[Any] = []
        while not (told and told[-1]["uploads"] == [] and any(one["uploads"] for one in told)):
            line = events.readline()
            told += [json.loads(line[6:])] if line.startswith(b'data: {"parts"') else []
    first = next(one["uploads"][0] for one in told if one["uploads"])
    assert first.keys() == {"id", "done", "rate"}
    assert 0 < first["done"] <= 3 << 20


def test_events_of_a_pause_by_hand(one: Config) -> None:
    """It changes the folders and the pauses."""
    with serving(one) as ask, ask.open("GET", "/api/v1/events") as events:
        assert events.readline() == b"retry: 3000\n"
        assert ask("POST", "/api/v1/folders/1/pause").status == 204
        parts: set[str] = set()
        while not {"folders", "pauses"} <= parts:
            line = events.readline()
            parts |= set(json.loads(line[6:])["parts"]) if line.startswith(b'data: {"parts"') else set()


def test_too_many_listeners(one: Config) -> None:
    """Beyond a number they are asked to come later, and other requests are answered."""
    with serving(one) as ask:
        waiting = []
        for _ in range(MOST_LISTENERS):
            connection = HTTPConnection("127.0.0.1", ask.port, timeout=PATIENCE)
            connection.request("GET", "/api/v1/events")
            waiting.append((connection, connection.getresponse()))
        assert ask("GET", "/api/v1/events").error == (503, "too_many")
        assert ask("GET", "/api/v1/status").status == 200
        for connection, answer in waiting:
            answer.close()
            connection.close()
        eventually(lambda: is_listened_to(ask))


def is_listened_to(ask: Client) -> bool:
    """Return whether one more listener is taken."""
    with ask.open("GET", "/api/v1/events") as answer:
        return answer.status == 200


# --- The page about it ---------------------------------------------------------------------------


def routes_of(page: str) -> list[tuple[str, str]]:
    """Return the methods and addresses in the table of a page, as the server writes them."""
    rows = re.findall(r"^\| `(GET|POST) (\S+)` \|", page, re.MULTILINE)
    return sorted((method, path) for method, path in rows)


def test_every_address_is_documented(one: Config) -> None:
    """http-api.md lists exactly the addresses that the server has, in both languages."""
    docs = Path(__file__).parents[2] / "docs"
    pages = [docs / "http-api.md", docs / "zh" / "http-api.md"]
    with running(one) as service:
        assert isinstance(service.server, WebServer)
        served = [(route.method, route.path) for route in service.server.routes]
    named = [
        (method, re.sub(r"\{(\w+)[^}]*\}", lambda found: found[1].upper(), path)) for method, path in served
    ]
    for page in pages:
        assert routes_of(page.read_text(encoding="utf-8")) == sorted(named)


def test_every_metric_is_documented(one: Config, share: Path, sandbox: Sandbox) -> None:
    """docs/commands.md has each metric of /metrics, and no other but those of `status --metrics`."""
    page = (Path(__file__).parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")
    limited = replace(one, dingtalk=replace(one.dingtalk, monthly_calls=10))
    with serving(limited) as ask:
        (share / "a.txt").write_text("a")
        eventually(sent(sandbox, 1))
        eventually(lambda: ask("GET", "/api/v1/status").json["totals"]["sent"] == 1)
        types = re.findall(r"^# TYPE (\w+) ", ask("GET", "/metrics").body, re.MULTILINE)
    documented = set(re.findall(r"`(dingwatch_\w+)`", page))
    former = {"dingwatch_deliveries", "dingwatch_api_calls"}
    # The day on which the calls run out is there only when they do, and nodes only on a shared ledger.
    sometimes = {"dingwatch_quota_runs_out_timestamp_seconds", "dingwatch_node_up", "dingwatch_node_draining"}
    assert documented - sometimes == {*types, *former}


# --- What is done --------------------------------------------------------------------------------


def test_a_doubt_is_settled(one: Config, share: Path, sandbox: Sandbox) -> None:
    """`confirm` and `resend` do what `resolve` does, once."""
    holding = replace(one, delivery=replace(one.delivery, on_uncertain="hold"))
    with serving(holding) as ask:
        numbers = []
        for name in ("a.txt", "b.txt"):
            sandbox.inject(replace(LOST))
            (share / name).write_text(name)
            eventually(lambda: ask("GET", "/api/v1/history?state=uncertain").json["rows"])
            numbers += [row["id"] for row in ask("GET", "/api/v1/history?state=uncertain").json["rows"]]
            action = "confirm" if name == "a.txt" else "resend"
            assert ask("POST", f"/api/v1/deliveries/{numbers[-1]}/{action}").status == 204
        eventually(lambda: ask("GET", "/api/v1/status").json["totals"]["sent"] == 2)
        assert ask("POST", f"/api/v1/deliveries/{numbers[0]}/confirm").error == (409, "wrong_state")
        assert ask("POST", f"/api/v1/deliveries/{numbers[0]}/retry").error == (409, "wrong_state")


def test_a_baseline_is_sent(one: Config, share: Path, sandbox: Sandbox) -> None:
    """`retry` on a file that was there before makes its deliveries; one that has changed is refused."""
    (share / "old.txt").write_text("old")
    (share / "gone.txt").write_text("gone")
    with serving(one) as ask:
        rows = ask("GET", "/api/v1/history?state=baseline").json["rows"]
        ids = {row["path"]: row["id"] for row in rows}
        assert ask("POST", f"/api/v1/deliveries/{ids['old.txt']}/confirm").error == (409, "wrong_state")
        (share / "gone.txt").unlink()
        assert ask("POST", f"/api/v1/deliveries/{ids['gone.txt']}/retry").status == 409
        assert ask("POST", f"/api/v1/deliveries/{ids['old.txt']}/retry").status == 204
        eventually(sent(sandbox, 1))


@pytest.mark.parametrize("action", ["release", "discard"])
def test_a_flood_is_decided_on(one: Config, share: Path, sandbox: Sandbox, action: str) -> None:
    """What is on hold is sent, or given up; where nothing is, that is no error."""
    holding = replace(one, folders=(replace(one.folders[0], hold_over=2),))
    with serving(holding) as ask:
        for number in range(5):
            (share / f"{number}.txt").write_text(str(number))
        eventually(lambda: ask("GET", "/api/v1/status").json["folders"][0]["held"] >= 3)
        (pause,) = ask("GET", "/api/v1/status").json["pauses"]
        assert (pause["code"], pause["key"]) == ("held", "1")
        rows = ask("GET", "/api/v1/history").json["rows"]
        (held, *_) = (row["id"] for row in rows if row["held"])
        assert {row["held"] for row in rows if row["state"] == "sent"} <= {False}
        assert "discard" in ask("GET", f"/files/{held}").json["reason"]
        for _ in range(2):
            assert ask("POST", f"/api/v1/folders/1/{action}").status == 204
        eventually(lambda: ask("GET", "/api/v1/status").json["folders"][0]["held"] == 0)
        if action == "release":
            eventually(sent(sandbox, 5))


def test_a_folder_is_paused_and_resumed(one: Config, share: Path, sandbox: Sandbox) -> None:
    """Nothing of it is sent meanwhile; a time and a reason may be given."""
    with serving(one) as ask:
        body = urlencode({"for": "2h", "reason": "<b>stock</b>"})
        assert ask("POST", "/api/v1/folders/1/pause", body).status == 204
        (pause,) = ask("GET", "/api/v1/status").json["pauses"]
        assert (pause["scope"], pause["code"], pause["key"]) == ("folder", "by_hand", "1")
        assert ask("GET", "/api/v1/status").json["folders"][0]["paused"]["reason"] == "<b>stock</b>"
        assert "<b>stock" not in ask("GET", "/", Accept="text/html").body
        (share / "a.txt").write_text("a")
        eventually(lambda: ask("GET", "/api/v1/status").json["totals"]["pending"] == 1)
        for _ in range(2):
            assert ask("POST", "/api/v1/folders/1/resume").status == 204
        eventually(sent(sandbox, 1))
        for wrong in ("soon", "0s", "-1h", "1h " * 9):
            refused = ask("POST", f"/api/v1/folders/1/pause?{urlencode({'for': wrong})}")
            assert refused.error == (400, "bad_parameter")


def test_a_folder_is_looked_at(one: Config, share: Path, sandbox: Sandbox) -> None:
    """A file whose event was lost is found at once."""
    deaf = replace(one, folders=(replace(one.folders[0], watch="poll", poll_interval=600.0),))
    with serving(deaf) as ask:
        eventually(lambda: ask("GET", "/api/v1/status").json["folders"][0]["last_scan_at"])
        (share / "a.txt").write_text("a")
        assert ask("POST", "/api/v1/folders/1/look").status == 204
        eventually(sent(sandbox, 1))


def test_a_pause_is_ended(one: Config, share: Path, sandbox: Sandbox) -> None:
    """What was paused is tried at once; the key of an API has slashes, that of a group may have others."""
    sandbox.inject(REFUSED)
    with serving(one) as ask:
        (share / "a.txt").write_text("a")
        eventually(lambda: ask("GET", "/api/v1/status").json["pauses"])
        (pause, *_) = ask("GET", "/api/v1/status").json["pauses"]
        address = f"/api/v1/pauses/{pause['scope']}/{quote(pause['key'], safe='')}"
        assert ask("POST", f"{address}/try").status == 204
        # It is refused once more. What ends the pause is to be the request, not that the robot is back.
        eventually(lambda: ask("GET", "/api/v1/status").json["pauses"][0]["until"] > pause["until"])
        sandbox.clear_faults()
        assert ask("POST", f"{address}/resume").status == 204
        eventually(sent(sandbox, 1))
        eventually(lambda: not ask("GET", "/api/v1/status").json["pauses"])
        assert ask("POST", f"{address}/resume").error == (404, "unknown_pause")
        assert ask("POST", "/api/v1/pauses/row/x/try").error == (400, "bad_parameter")


def test_a_search_knows_more_than_names(one: Config, share: Path, sandbox: Sandbox) -> None:
    """An id, a digest, and who it went to find a file as well; a name comes first, and filters hold."""
    group = sandbox.conversations[0].id
    named = replace(one, aliases={"财务共享群": group}, recipient_names={group: "财务共享群"})
    with serving(named) as ask:
        for name in ("a.txt", "b.txt"):
            (share / name).write_text(name)
            eventually(lambda: ask("GET", f"/api/v1/history?q={name}").json["rows"])  # noqa: B023 (at once)
        eventually(lambda: ask("GET", "/api/v1/status").json["totals"]["sent"] == 2)
        (first,) = ask("GET", "/api/v1/history?q=a.txt").json["rows"]

        def search(text: str, more: str = "") -> list[str]:
            query = f"{urlencode({'q': text})}{more}"
            return [row["name"] for row in ask("GET", f"/api/v1/history?{query}").json["rows"]]

        assert search(str(first["id"])) == search(f"#{first['id']}") == ["a.txt"]
        assert search(first["sha256"]) == search(first["sha256"].upper()) == ["a.txt"]
        assert search(first["sha256"], "&state=failed") == search("0" * 64) == search("9" * 18) == []
        assert search("共享") == search("财务共享群") == search(group) == ["b.txt", "a.txt"]
        assert search("共享", "&limit=1") == ["b.txt"]
        later = ask("GET", f"/api/v1/history?{urlencode({'q': '共享', 'limit': 1})}").json["next"]
        assert search("共享", f"&limit=1&before={later}") == ["a.txt"]
        assert search("共享", "&recipient=cidX") == []


def test_the_story_of_a_file(one: Config, share: Path, sandbox: Sandbox) -> None:
    """Each step of one file, why it was not sent, and nothing of other files; a baseline file has none."""
    (share / "old.txt").write_text("old")
    with serving(one) as ask:
        sandbox.inject(Fault("media/upload", FaultKind.ERROR, code=40048, times=1))
        (share / "a.txt").write_text("a")
        eventually(lambda: ask("GET", "/api/v1/status").json["totals"]["failed"] == 1)
        (row,) = ask("GET", "/api/v1/history").json["rows"]
        file = ask("GET", f"/files/{row['id']}?lang=en").json
        assert row.items() <= file.items()
        assert "rename or replace the file" in file["reason"]
        assert [step["event"] for step in file["story"]] == ["settled", "claim", "reject"]
        assert file["story"][-1]["code"] == "40048"
        assert ask("POST", f"/api/v1/deliveries/{row['id']}/retry").status == 204
        eventually(sent(sandbox, 1))
        eventually(lambda: ask("GET", f"/files/{row['id']}").json["state"] == "sent")
        assert ask("GET", f"/files/{row['id']}").json["reason"] is None
        (old,) = ask("GET", "/api/v1/history?state=baseline").json["rows"]
        assert (ask("GET", f"/files/{old['id']}").json["story"], old["name"]) == ([], "old.txt")
        assert "old.txt" in ask("GET", f"/files/{old['id']}", Accept="text/html").body
        for number in (99, 2**63 - 1):
            assert ask("GET", f"/files/{number}").error == (404, "unknown_delivery")
        assert ask("GET", "/files/x").error == (400, "bad_parameter")


@pytest.mark.parametrize("number", ["0", "-1", "x", "1.5", "１", "9" * 19, "9" * 99, "%00", "1%2F2"])
def test_bad_ids(one: Config, number: str) -> None:
    """An id that is none is answered with 400, in every address that has one."""
    with serving(one) as ask:
        for path in ("deliveries/{}/retry", "folders/{}/look", "folders/{}/pause"):
            answer = ask("POST", f"/api/v1/{path.format(quote(number, safe='%'))}")
            assert answer.error == (400, "bad_parameter")


@pytest.mark.parametrize("number", [77, 2**63 - 1])
def test_unknown_ids(one: Config, number: int) -> None:
    """An id that nothing has is answered with 404."""
    with serving(one) as ask:
        for action in ("retry", "confirm", "resend"):
            assert ask("POST", f"/api/v1/deliveries/{number}/{action}").error == (404, "unknown_delivery")
        for action in ("release", "discard", "look", "pause", "resume"):
            assert ask("POST", f"/api/v1/folders/{number}/{action}").error == (404, "unknown_folder")


def test_addresses_and_methods(one: Config) -> None:
    """What is not there is 404, and another method is 405, which names those that there are."""
    with serving(one) as ask:
        assert ask("GET", "/api/v1/nothing").error == (404, "not_found")
        assert ask("GET", "/api/v2/status").error == (404, "not_found")
        assert ask("POST", "/control/wake").error == (404, "not_found")
        for method, path, allowed in (
            ("POST", "/api/v1/status", "GET, HEAD"),
            ("DELETE", "/metrics", "GET, HEAD"),
            ("GET", "/api/v1/folders/1/look", "POST"),
        ):
            answer = ask(method, path)
            assert answer.error == (405, "wrong_method")
            assert answer.headers["Allow"] == allowed
        assert ask("HEAD", "/api/v1/status").status == 200
        assert ask("HEAD", "/api/v1/events").status == 405


def test_a_form_leads_back_to_the_page(one: Config) -> None:
    """A browser is sent back with 303; its errors are pages, and a script's are JSON."""
    with serving(one) as ask:
        done = ask("POST", "/api/v1/folders/1/look", Accept="text/html,*/*")
        assert (done.status, done.headers["Location"]) == (303, "/")
        failed = ask("POST", "/api/v1/folders/9/look", Accept="text/html,*/*")
    assert (failed.status, failed.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert "there is no folder 9" in failed.body


# --- Who may ask ---------------------------------------------------------------------------------


def test_a_token_is_needed(one: Config) -> None:
    """Without it or with another, nothing but the health and the login is told."""
    with serving(with_token(one)) as ask:
        for path in ("/", "/metrics", "/api/v1/status", "/api/v1/history", "/api/v1/events", "/nothing"):
            assert ask("GET", path).error == (401, "no_token")
        assert ask("POST", "/api/v1/folders/1/look").error == (401, "no_token")
        for wrong in ("Bearer", "Bearer x", f"Bearer {TOKEN}x", "Bearer é"):
            answer = ask("GET", "/api/v1/status", Authorization=wrong.encode().decode("latin-1"))
            assert answer.error == (401, "wrong_token")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert ask("GET", "/api/v1/status", Authorization=f"Basic {TOKEN}").error == (401, "no_token")
        assert ask("GET", "/api/v1/status", Authorization=f"Bearer {TOKEN}").status == 200
        assert call(one.state_dir, "GET", "/api/v1/status", timeout=PATIENCE)[0] == 200
        page = ask("GET", "/", Accept="text/html")
        assert (page.status, page.headers["Location"]) == (303, "/login")


def test_a_login(one: Config) -> None:
    """A cookie that no script can read stands for the token, which is not in it."""
    with serving(with_token(one)) as ask:
        assert "password" in ask("GET", "/login").body
        wrong = ask("POST", "/login", urlencode({"token": "x"}), Accept="text/html")
        assert (wrong.status, "Set-Cookie" in wrong.headers) == (401, False)
        done = ask("POST", "/login", urlencode({"token": TOKEN}), Accept="text/html")
        assert (done.status, done.headers["Location"]) == (303, "/")
        cookie = done.headers["Set-Cookie"]
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
        assert TOKEN not in cookie
        given = cookie.partition(";")[0]
        assert ask("GET", "/api/v1/status", Cookie=given).status == 200
        assert (
            ask("POST", "/login", json.dumps({"token": TOKEN}), Content_Type="application/json").status == 204
        )
    with serving(replace(one, http=Http(LOOPBACK, "another-token"))) as ask:
        assert ask("GET", "/api/v1/status", Cookie=given).error == (401, "no_token")


def test_no_cookie_is_made_up() -> None:
    """Only what was signed with the token, and is not over, counts."""
    keeper = Gatekeeper(lambda: Http(LOOPBACK, TOKEN))
    good = keeper.make_login(1000.0)
    until, _, signature = good.partition(".")
    assert keeper._is_login(good, 1001.0)
    for cookie in ("", ".", good[:-1], f"{int(until) + 1}.{signature}", f"{until}.", f"{until}.{signature}0"):
        assert not keeper._is_login(cookie, 1001.0)
    assert not keeper._is_login(good, float(until))


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("127.0.0.1:{port}", True),
        ("localhost", True),
        ("LOCALHOST.:1", True),
        ("[::1]:80", True),
        ("nas.example", True),
        ("NAS.example:8777", True),
        ("evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("nas.example.evil.example", False),
        ("localhost@evil.example", False),
        ("evil.example/localhost", False),
        ("192.168.1.1", False),
        ("", False),
        ("[::1", False),
        ("localhost:x", False),
    ],
)
def test_names_of_hosts(one: Config, host: str, *, allowed: bool) -> None:
    """A site that has its own name resolved to us (DNS rebinding) is told nothing."""
    with serving(replace(one, http=Http(LOOPBACK, None, ("nas.example",)))) as ask:
        for method, path in (
            ("GET", "/api/v1/status"),
            ("GET", "/healthz"),
            ("POST", "/api/v1/folders/1/look"),
        ):
            answer = ask(method, path, Host=host.format(port=ask.port))
            assert (answer.status < 400) is allowed or path == "/healthz"
            assert allowed or answer.error == (403, "host")


def test_all_interfaces(one: Config) -> None:
    """Where it listens on all, the address that was reached is a name of ours, and no other number is."""
    everywhere = Http(TcpAddress("0.0.0.0", 0), TOKEN)  # noqa: S104 (as an admin may have it)
    with serving(replace(one, http=everywhere)) as ask:
        for host, status in (("127.0.0.1", 200), ("10.9.8.7", 403), ("evil.example", 403)):
            assert ask("GET", "/api/v1/status", Host=host, Authorization=f"Bearer {TOKEN}").status == status


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"Origin": "http://127.0.0.1:{port}"}, True),
        ({"Origin": "http://127.0.0.1:{port}", "Sec_Fetch_Site": "same-origin"}, True),
        ({"Sec_Fetch_Site": "none"}, True),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "http://127.0.0.1:1"}, False),
        ({"Origin": "http://127.0.0.1:{port}@evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "https://[::1"}, False),
        ({"Sec_Fetch_Site": "cross-site"}, False),
        ({"Sec_Fetch_Site": "same-site"}, False),
        ({"Origin": "http://127.0.0.1:{port}", "Sec_Fetch_Site": "cross-site"}, False),
    ],
)
def test_what_other_sites_send(one: Config, headers: dict[str, str], *, allowed: bool) -> None:
    """A form on another site changes nothing; a script sends neither header."""
    with serving(one) as ask:
        filled = {name: value.format(port=ask.port) for name, value in headers.items()}
        answers = [ask("POST", path, **filled) for path in ("/api/v1/folders/1/look", "/login")]
    assert [one.status for one in answers] == [204 if allowed else 403] * 2


def test_headers_of_every_answer(one: Config) -> None:
    """No answer may be framed, guessed at, kept, or run a script that it holds."""
    with serving(with_token(one)) as ask:
        answers = [
            ask("GET", "/login"),
            ask("GET", "/healthz"),
            ask("GET", "/nothing"),
            ask("GET", "/api/v1/status", Authorization=f"Bearer {TOKEN}"),
            ask("POST", "/api/v1/status", Host="evil.example"),
        ]
        with ask.open("GET", "/api/v1/events", Authorization=f"Bearer {TOKEN}") as events:
            answers.append(Answer(events.status, dict(events.getheaders()), ""))
    for answer in answers:
        policy = answer.headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"


NAMES = [
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "&lt;b&gt;",
    "\u202egnp.exe",
    "a\x1b[2J",
]


@pytest.mark.parametrize("name", NAMES)
def test_hostile_names(one: Config, name: str) -> None:
    """A folder's name acts nowhere: not on the page, and not in an error or a metric."""
    named = replace(one, folders=(replace(one.folders[0], name=name),))
    with serving(named) as ask:
        page = ask("GET", "/", Accept="text/html").body
        refused = ask("GET", f"/api/v1/history?{urlencode({'folder': name * 2})}", Accept="text/html").body
        assert ask("GET", "/api/v1/status").json["folders"][0]["name"] == name
        assert name in {label for _, *labels in metrics_of(ask) for label in labels}
    for text in (page, refused):
        assert "<script" not in text.replace('<script src="/static/app.', "")
        assert "<img" not in text
        assert "&lt;b" not in text.replace("&amp;lt;b", "")
        assert not set(text) & set("\u202e\x1b")


# --- Rough clients -------------------------------------------------------------------------------


def test_large_requests(one: Config) -> None:
    """What is too large is refused, with the connection closed."""
    with serving(one) as ask:
        assert ask("POST", "/login", "x" * 100_000).error == (413, "too_large")
        assert ask("GET", "/" + "x" * 20_000).error == (400, "bad_request")
        assert ask("GET", "/healthz", X="x" * 20_000).error == (400, "bad_request")
        assert ask("POST", "/login", "&".join(["a=b"] * 99)).error == (400, "bad_form")


@pytest.mark.parametrize(
    "sent", [b"", b"GET /", b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"]
)
def test_slow_requests(one: Config, sent: bytes) -> None:
    """A client that sends half of a request holds its connection for a while only."""
    with (
        serving(one, patience=0.1) as ask,
        socket.create_connection(("127.0.0.1", ask.port), timeout=PATIENCE) as slow,
    ):
        slow.sendall(sent)
        received = b""
        while chunk := slow.recv(4096):
            received += chunk
        assert (b" 408 " in received) is sent.startswith(b"POST")
        assert ask("GET", "/login").status == 200


def test_localhost(one: Config) -> None:
    """It is listened on with every address that the name has, on one port."""
    addresses = {found[4][0] for found in socket.getaddrinfo("localhost", 0, type=socket.SOCK_STREAM)}
    with serving(replace(one, http=Http(TcpAddress("localhost", 0)))) as ask:
        for address in addresses:
            with socket.create_connection((str(address), ask.port), timeout=PATIENCE) as connection:
                connection.sendall(b"GET /login HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert connection.recv(12) == b"HTTP/1.1 200"


def test_static_files(one: Config) -> None:
    """Style and script need no token, are kept for a year under names of their content, and go compressed."""
    with serving(with_token(one)) as ask:
        page = ask("GET", "/login").body
        addresses = re.findall(r'(?:href|src)="(/static/[^"]+)"', page)
        assert len(addresses) == 2
        for address in addresses:
            answer = ask("GET", address)
            assert (answer.status, "immutable" in answer.headers["Cache-Control"]) == (200, True)
        with ask.open("GET", addresses[1], Accept_Encoding="gzip") as packed:
            assert packed.headers["Content-Encoding"] == "gzip"
        assert ask("GET", "/static/app.000000000000.js").error == (404, "not_found")
        for wrong in ("/static/..%2Fpages.py", "/static/x/../../", "/static/"):
            assert ask("GET", wrong).error == (401, "no_token")
        assert ask("GET", "/login").headers["Cache-Control"] == "no-store"


def test_parts_of_the_page(one: Config, share: Path) -> None:
    """A script gets the parts that it names, each an element with an id, and nothing around them."""
    with serving(one) as ask:
        (share / "a.txt").write_text("a")
        eventually(lambda: ask("GET", "/api/v1/status").json["totals"]["sent"] == 1)

        def ids(parts: str, query: str = "") -> list[str]:
            body = ask("GET", f"/{query}", Accept="text/html", X_Part=parts).body
            assert "<html" not in body
            return re.findall(r'<[a-z]+ (?:[^>]* )?id="([^"]+)"[^>]* data-part', body)

        assert ids("hero") == ["nav", "hero", "numbers"]
        assert ids("folders,now,unknown") == ["folders", "now"]
        assert ids("find", "?q=a.t") == ["results"]
        assert ids("quota,pauses") == ["pauses-and-quota", "pauses", "quota"]
        assert ids("all")[:2] == ["nav", "main"]
        assert ids("x") == []
        found = ask("GET", "/?q=nothing-like-it", X_Part="find").body
    assert "a.txt" not in found


def test_what_is_asked_first(one: Config, share: Path) -> None:
    """Only what cannot be taken back is asked about, and nothing where it needs nobody any more."""
    holding = replace(one, folders=(replace(one.folders[0], hold_over=1),))
    with serving(holding) as ask:
        for name in ("a.txt", "b.txt"):
            (share / name).write_text(name)
        eventually(lambda: ask("GET", "/api/v1/status").json["folders"][0]["held"] == 2)
        asked = ask("GET", "/confirm?do=folders/1/discard&lang=en", Accept="text/html").body
        assert "Discard the 2 files held back?" in asked
        assert 'action="/api/v1/folders/1/discard?lang=en"' in asked
        assert "nothing to confirm" in ask("GET", "/confirm?do=folders/2/discard", Accept="text/html").body
        for wrong in ("", "folders/1/pause", "folders/1/discard/../../x", "//evil.example/discard", "reload"):
            assert ask("GET", f"/confirm?{urlencode({'do': wrong})}").error == (400, "bad_parameter")


def test_all_of_one_cause(one: Config, share: Path, sandbox: Sandbox) -> None:
    """`alike` is for all that failed, or may have arrived, for the same reason; without it one is meant."""
    holding = replace(one, delivery=replace(one.delivery, on_uncertain="hold"))
    refused = Fault("media/upload", FaultKind.ERROR, code=40048, times=3)
    with serving(holding) as ask:
        sandbox.inject(refused)
        for name in ("a.txt", "b.txt", "c.txt"):
            (share / name).write_text(name)
        eventually(lambda: ask("GET", "/api/v1/status").json["totals"]["failed"] == 3)
        (entry,) = ask("GET", "/api/v1/status").json["needs"]
        assert (entry["count"], entry["actions"]) == (3, ["retry"])
        assert ask("POST", f"/api/v1/deliveries/{entry['id']}/retry").status == 204
        eventually(sent(sandbox, 1))
        assert ask("POST", f"/api/v1/deliveries/{entry['id']}/retry?alike=1").error[0] == 409
        (entry,) = ask("GET", "/api/v1/status").json["needs"]
        assert ask("POST", f"/api/v1/deliveries/{entry['id']}/retry?alike=2").error == (400, "bad_parameter")
        assert ask("POST", f"/api/v1/deliveries/{entry['id']}/retry?alike=1").status == 204
        eventually(sent(sandbox, 3))
        sandbox.inject(replace(LOST, times=2))
        for name in ("d.txt", "e.txt"):
            (share / name).write_text(name)
        eventually(lambda: ask("GET", "/api/v1/status").json["totals"]["uncertain"] == 2)
        (entry,) = ask("GET", "/api/v1/status").json["needs"]
        assert ask("POST", f"/api/v1/deliveries/{entry['id']}/confirm?alike=1").status == 204
        assert ask("GET", "/api/v1/status").json["totals"]["uncertain"] == 0


def test_the_language_is_kept(one: Config) -> None:
    """A form of a page that was asked for in a language leads back to it in that language."""
    with serving(one) as ask:
        page = ask("GET", "/?lang=zh", Accept="text/html", Accept_Language="en").body
        (action,) = set(re.findall(r'formaction="([^"]+)"', page))
        done = ask("POST", action, Accept="text/html")
        plain = ask("POST", "/api/v1/folders/1/look?lang=xx", Accept="text/html")
    assert (done.status, done.headers["Location"]) == (303, "/?lang=zh")
    assert (plain.status, plain.headers["Location"]) == (303, "/")


def test_compression(one: Config) -> None:
    """What is large goes compressed to whoever takes that."""
    folders = tuple(replace(one.folders[0], name=f"share {number}") for number in range(50))
    with serving(replace(one, folders=folders)) as ask:
        plain = ask("GET", "/api/v1/status")
        with ask.open("GET", "/api/v1/status", Accept_Encoding="gzip") as answer:
            assert answer.headers["Content-Encoding"] == "gzip"
            packed = answer.read()
    assert len(packed) * 4 < len(plain.body)
    assert len(json.loads(gzip.decompress(packed))["folders"]) == 50


def test_a_taken_address(one: Config) -> None:
    """The service does not start, and leaves nothing open."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = TcpAddress("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(ListenError, match=str(address)), serving(replace(one, http=Http(address))):
            pass
    with serving(one) as ask:
        assert ask("GET", "/login").status == 200


def test_a_unix_address(one: Config, tmp_path: Path) -> None:
    """A proxy of the same group may connect, and needs the token; a stale socket is no obstacle."""
    path = tmp_path / "web.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with running(replace(one, http=Http(UnixAddress(path), TOKEN, ("nas.example",)))):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        for host, token, status in (
            ("nas.example", TOKEN, b"200"),
            ("nas.example", "x", b"401"),
            ("evil.example", TOKEN, b"403"),
        ):
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(PATIENCE)
                connection.connect(str(path))
                head = f"GET /api/v1/status HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n"
                connection.sendall(head.encode())
                assert connection.recv(12) == b"HTTP/1.1 " + status
    assert not path.exists()


def test_another_token_is_asked_for_after_a_reload(one: Config, share: Path) -> None:
    """The former one opens nothing any more, and the service has not been restarted."""
    current = [replace(one, http=Http(LOOPBACK, "the-former-token"))]
    source = Source(share.parent / "config.yaml", lambda: current[0])
    service = Service(current[0], log=Heard(), source=source, make_server=WebServer)
    with service:
        assert service.ready.wait(PATIENCE)
        ask = Client(service)
        assert ask("GET", "/api/v1/status", Authorization="Bearer the-former-token").status == 200
        current[0] = replace(one, http=Http(LOOPBACK, TOKEN))
        done = service.reload()
        assert done.differences is not None
        assert done.differences.keys == ("http.token_file",)
        assert ask("GET", "/api/v1/status", Authorization="Bearer the-former-token").status == 401
        assert ask("GET", "/api/v1/status", Authorization=f"Bearer {TOKEN}").status == 200
    assert service.failed is None


def test_the_config_is_reloaded(one: Config, share: Path) -> None:
    """It answers when the new one is in force; one that needs a restart is refused with the key."""
    source = Source(share.parent / "config.yaml", lambda: wanted[0])
    wanted = [replace(one, folders=(*one.folders, folder(share.parent / "new", "cidNEW")))]
    (share.parent / "new").mkdir()
    service = Service(one, log=Heard(), source=source, make_server=WebServer)
    with service:
        assert service.ready.wait(PATIENCE)
        ask = Client(service)
        assert ask("POST", "/api/v1/reload").status == 204
        assert [shown["name"] for shown in ask("GET", "/api/v1/status").json["folders"]] == ["share", "new"]
        wanted[0] = replace(one, node="nas2")
        refused = ask("POST", "/api/v1/reload")
        assert refused.error == (409, "not_reloaded")
        assert "needs a restart: node" in refused.json["error"]["message"]
    assert service.failed is None


# --- As an admin sets it up ----------------------------------------------------------------------


def test_as_configured(machine: Machine, tmp_path: Path) -> None:
    """The keys of `http` are all it takes, and `run` says that of none that it does nothing."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n")
    token.chmod(0o600)
    machine.settings["http"] = {"listen": f"127.0.0.1:{port}", "token_file": str(token)}
    machine.write()
    process = machine.start()
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request("GET", "/api/v1/status", headers={"Authorization": f"Bearer {TOKEN}"})
    with connection.getresponse() as answer:
        assert json.load(answer)["daemon"] == machine.status()["daemon"] | {"since": ANY}
    connection.close()
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=PATIENCE)
    assert (process.returncode, "not yet" in said) == (0, False)


def test_a_taken_address_is_named(machine: Machine) -> None:
    """The service ends with a sentence that names the key."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        machine.settings["http"] = {"listen": f"127.0.0.1:{taken.getsockname()[1]}"}
        machine.write()
        done = machine.do("run")
    assert done.returncode == 1
    assert "http.listen" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_descriptors(machine: Machine) -> None:
    """Whoever takes all descriptors takes no processor with them, and commands are answered afterwards."""
    machine.set_folder(poll_interval="10m")  # a check of the folder would end the service, which is restarted
    process = machine.start()
    assert machine.status()["daemon"]["running"] is True
    before = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
    open_now = len(os.listdir(f"/proc/{process.pid}/fd"))
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (open_now + 2, before[1]))
    crowd = [socket.socket(socket.AF_UNIX) for _ in range(20)]
    for one in crowd:
        one.connect(str(machine.state_dir / SOCKET))
    used = cpu_seconds(process.pid)
    with pytest.raises(NotRunningError):
        ask_service(machine.state_dir, "wake", {}, 2.0)
    assert cpu_seconds(process.pid) - used < 1.0
    for one in crowd:
        one.close()
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, before)
    eventually(lambda: machine.status()["daemon"]["running"])
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=PATIENCE)
    assert (process.returncode, "Traceback" in said) == (0, False)


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
