from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from socket import socket
from typing import Any
from urllib.parse import urlsplit

import pytest

from dingwatch.cli.folder_link import address_of
from dingwatch.config.values import LEDGER_FILE, Http, TcpAddress, UnixAddress
from dingwatch.sandbox import Fault, FaultKind, Sandbox
from tests.integration.conftest import Machine
from tests.support import PATIENCE, eventually, sent

REFUSED = Fault(
    "robot/groupMessages/send", FaultKind.ERROR, code="invalidParameter.msgParam", status=400, times=1
)


@pytest.fixture
def listening(machine: Machine) -> Machine:
    """A machine whose service serves HTTP on a port of loopback, with a token for the rest of the API."""
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = machine.path.with_name("token")
    token.write_text("a-token-for-the-sandbox-only")
    token.chmod(0o600)
    machine.settings["http"] = {"listen": f"127.0.0.1:{port}", "token_file": str(token)}
    machine.write()
    return machine


def link(machine: Machine, name: str) -> str:
    """Make a link and return its address."""
    done = machine.call("folder-link", name)
    assert (done.exit_code, done.stdout.count("\n")) == (0, 1), done.output
    assert "revoke" in done.stderr
    return done.stdout.strip()


def read(address: str, **headers: str) -> tuple[int, str]:
    """Return the status and what is behind an address."""
    parts = urlsplit(address)
    connection = HTTPConnection(str(parts.hostname), parts.port, timeout=PATIENCE)
    try:
        connection.request("GET", parts.path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def get(address: str) -> tuple[int, Any]:
    """Return the status and the JSON behind an address."""
    status, body = read(address)
    return status, json.loads(body)


def test_a_link_opens_one_folder_until_it_is_revoked(listening: Machine, sandbox: Sandbox) -> None:
    """It needs no login, works at once, tells of the folder's files alone, and nothing that acts."""
    (folder,) = listening.settings["folders"]
    name, share = folder.get("name", Path(folder["path"]).name), Path(folder["path"])
    first = link(listening, name)  # before the service has ever run
    listening.start()
    second = link(listening, name)
    sandbox.inject(REFUSED)
    (share / "a.txt").write_text("a")
    eventually(lambda: [row["state"] for row in get(first)[1]["rows"]] == ["failed"])
    (share / "b.txt").write_text("b")
    eventually(sent(sandbox, 1))
    eventually(lambda: [row["state"] for row in get(second)[1]["rows"]] == ["sent", "failed"])
    status, page = get(second)
    assert (status, page["folder"], page["running"]) == (200, name, True)
    assert page.keys() == {"now", "tz", "folder", "to", "running", "rows"}
    assert all(row.keys() == {"name", "size", "state", "at", "note"} for row in page["rows"])
    assert not re.search(r"msgParam|cid|/tmp|request", json.dumps(page["rows"]))
    shown = read(second, Accept="text/html")[1]
    assert "<h1" in shown
    assert "b.txt" in shown
    assert "method=" not in shown
    assert get(first.replace("/f/", "/f/x"))[0] == 404
    with closing(sqlite3.connect(listening.state_dir / LEDGER_FILE)) as ledger:
        assert first.rpartition("/")[2] not in "\n".join(map(str, ledger.iterdump()))
    assert "2" in listening.call("folder-link", name, "--revoke").stdout
    assert [get(one)[0] for one in (first, second)] == [404, 404]


def test_a_link_needs_a_page(machine: Machine) -> None:
    """Without `http.listen` none is made; nor for a folder that there is not."""
    name = Path(machine.settings["folders"][0]["path"]).name
    done = machine.call("folder-link", name)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "http.listen" in done.stderr
    assert machine.call("folder-link", "nowhere").exit_code != 0


def test_the_address_is_one_that_others_reach() -> None:
    """An address that listens everywhere, or a socket behind a proxy, is called by a name."""
    everywhere, socket_ = TcpAddress("0.0.0.0", 8777), UnixAddress(Path("/run/d/d.sock"))  # noqa: S104
    assert address_of(Http(everywhere), "t", "fs01") == "http://fs01:8777/f/t"
    assert address_of(Http(everywhere, hosts=("files.example.com",)), "t", "fs01") == (
        "http://files.example.com:8777/f/t"
    )
    assert address_of(Http(TcpAddress("192.0.2.7", 80)), "t", "fs01") == "http://192.0.2.7:80/f/t"
    assert address_of(Http(TcpAddress("::1", 80)), "t", "fs01") == "http://[::1]:80/f/t"
    assert address_of(Http(socket_), "t", "fs01") == "http://fs01/f/t"
