"""The heartbeat: calls that say that the service is well, and others that say that it is not."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from dingwatch.config.values import Alerts
from dingwatch.ledger import LedgerError
from dingwatch.model import Cause
from dingwatch.sandbox import Sandbox
from dingwatch.service import canary, heartbeat
from dingwatch.service.canary import Health
from dingwatch.service.heartbeat import Heartbeat, failing_address
from dingwatch.service.log import logger
from dingwatch.service.looping import Errand
from dingwatch.texts import Log
from tests.support import Heard, config, eventually, folder, running

PATH = "/0a1b2c3d-s3cr3t"


@dataclass
class Monitor:
    """A monitoring service that keeps what it was asked for."""

    asked: list[str] = field(default_factory=list)
    status: int = 200
    url: str = ""


@pytest.fixture
def monitor() -> Iterator[Monitor]:
    """A running monitoring service."""
    made = Monitor()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append(self.path)
            self.send_response(made.status)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield made
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("address", "failing"),
    [
        ("https://hc-ping.com/uuid", "https://hc-ping.com/uuid/fail"),
        ("https://hc.example/ping/key/slug/?create=1", "https://hc.example/ping/key/slug/fail?create=1"),
        ("https://hc.example", "https://hc.example/fail"),
        ("http://kuma:3001/api/push/t0", "http://kuma:3001/api/push/t0?status=down"),
        (
            "http://kuma:3001/api/push/t0?status=up&msg=OK&ping=",
            "http://kuma:3001/api/push/t0?status=down&ping=",
        ),
        ("http://kuma/up/api/push/t0?status=up", "http://kuma/up/api/push/t0?status=down"),
    ],
)
def test_each_service_is_told_of_a_failure_in_its_way(address: str, failing: str) -> None:
    """healthchecks.io by the path, uptime-kuma by the query."""
    assert failing_address(address) == failing


@pytest.mark.parametrize("path", [PATH, f"/api/push/{PATH[1:]}?status=up&msg=OK&ping="])
def test_the_address_is_called_while_the_service_is_well(
    path: str,
    tmp_path: Path,
    share: Path,
    sandbox: Sandbox,
    monitor: Monitor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Through the running service; while a loop hangs, the failure is reported."""
    monkeypatch.setattr(canary, "SECONDS", 0.05)
    monkeypatch.setattr(canary, "FRESH_SECONDS", 0.5)
    monkeypatch.setattr(heartbeat, "SECONDS", 0.1)
    alerts = Alerts(heartbeat_url=monitor.url + path)
    setting = config(tmp_path / "state", sandbox, folder(share, sandbox.conversations[0].id), alerts=alerts)
    end = threading.Event()
    with running(setting) as service:
        eventually(lambda: monitor.asked.count(path) > 1)
        assert set(monitor.asked) == {path}
        service._delivery.inbox.put(Errand(partial(wait, end)))  # the loop does not go on
        down = failing_address(path)
        eventually(lambda: down in monitor.asked)
        end.set()
        was = len(monitor.asked)
        eventually(lambda: path in monitor.asked[was:])
    assert set(monitor.asked) == {path, down}


def wait(end: threading.Event) -> None:
    """Wait for the end."""
    end.wait()


def heart(address: str, heard: Heard, error: LedgerError | None = None) -> Heartbeat:
    """Return the heartbeat of a service whose canary has just passed."""
    return Heartbeat(lambda: address, lambda: Health(time.monotonic(), error), heard)


def test_a_ledger_that_cannot_be_used_is_a_failure(monitor: Monitor) -> None:
    """Nothing is sent then, as /healthz says."""
    heart(monitor.url + PATH, Heard(), LedgerError(Cause("SQLITE_FULL", "", ""))).beat(monitor.url + PATH)
    assert monitor.asked == [f"{PATH}/fail"]


def test_a_heartbeat_that_fails_is_counted_in_the_log(
    monitor: Monitor, caplog: pytest.LogCaptureFixture
) -> None:
    """Three lines, then one for many, and one when it is over; none has the address."""
    logger.propagate = True
    heard = Heard()
    beating = heart(monitor.url + PATH, heard)
    monitor.status = 301
    for _ in range(10):
        beating.beat(monitor.url + PATH)
    assert heard.count(Log.HEARTBEAT_FAILED) == 10
    lines = [one.getMessage() for one in caplog.records if "heartbeat" in one.getMessage()]
    assert len(lines) == 3
    assert "(HTTP 301)" in lines[0]
    monitor.status = 204
    beating.beat(monitor.url + PATH)
    assert heard.count(Log.HEARTBEAT_BACK) == 1
    assert set(monitor.asked) == {PATH}
    assert PATH not in caplog.text


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:1/s3cr3t-path", "http://no-such-host.invalid/s3cr3t-path?k=s3cr3t-key"]
)
def test_an_address_that_cannot_be_reached_is_not_repeated(
    address: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Its path is what whoever knows it can call."""
    heard = Heard()
    heart(address, heard).beat(address)
    ((text, values),) = heard.said
    assert text is Log.HEARTBEAT_FAILED
    assert "s3cr3t" not in f"{values} {caplog.text}"


def test_a_proxy_of_the_environment_is_used(monitor: Monitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for DingTalk."""
    monkeypatch.setenv("http_proxy", monitor.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    heart("http://monitor.example/x", Heard()).beat("http://monitor.example/x")
    assert monitor.asked == ["http://monitor.example/x"]
