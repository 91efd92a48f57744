from __future__ import annotations

import os
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from dingwatch.config.values import Config
from dingwatch.host.control_socket import SOCKET, NotRunningError, ask, call
from dingwatch.sandbox import Sandbox
from dingwatch.service.api import Api
from dingwatch.texts import Log
from dingwatch.web import WebServer
from tests.support import PATIENCE, Heard, config, crowding, eventually, folder, running

NOBODY = 65534
HELLO = b"GET /login HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def one(tmp_path: Path, share: Path, sandbox: Sandbox) -> Config:
    """One folder, mapped to the first conversation."""
    return config(tmp_path / "state", sandbox, folder(share, sandbox.conversations[0].id))


@contextmanager
def caller(state_dir: Path) -> Iterator[socket.socket]:
    """Connect without manners."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(state_dir / SOCKET))  # waits for its turn, which it would not with a timeout
        connection.settimeout(PATIENCE)
        yield connection


def hung_up(connection: socket.socket) -> bool:
    """Wait until the other side closes."""
    try:
        while connection.recv(4096):
            pass
    except ConnectionResetError:
        pass
    return True


def pour(connection: socket.socket) -> None:
    """Send without an end."""
    while True:
        connection.sendall(b"1" * 4096)


def read_answer(connection: socket.socket) -> bytes:
    """Return the status line and the body of one answer."""
    with connection.makefile("rb") as answer:
        status, length = answer.readline(), 0
        while (line := answer.readline().strip()) != b"":
            if line.lower().startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        return status.strip() + b" " + answer.read(length)


def is_answered(state_dir: Path) -> bool:
    """Return whether the service answers a command."""
    return ask(state_dir, "wake", {}, PATIENCE) == {"ledger": None}


def test_a_question_is_answered(one: Config) -> None:
    """The socket is its owner's only, and is gone when the service is."""
    with running(one):
        assert is_answered(one.state_dir)
        assert stat.S_IMODE((one.state_dir / SOCKET).stat().st_mode) == 0o600
        assert ask(one.state_dir, "唤醒", {}, PATIENCE) == {}
    assert not (one.state_dir / SOCKET).exists()
    with pytest.raises(NotRunningError):
        ask(one.state_dir, "wake", {}, PATIENCE)


@pytest.mark.parametrize("body", [b"", b"[1]", b"no json", b"3 616263", b"{", b"[" * 9999, b"\xff"])
def test_arguments_that_are_no_object_count_as_none(one: Config, body: bytes) -> None:
    """Whatever another version sends, a question is answered as if nothing had been given with it."""
    with running(one):
        status, answer = call(one.state_dir, "POST", "/control/wake", body, timeout=PATIENCE)
    assert (status, answer) == (200, b'{"ledger": null}')


def test_a_deep_state_directory(one: Config, tmp_path: Path) -> None:
    """A state directory may be longer than an address of a socket."""
    deep = tmp_path / ("d" * 120) / ("e" * 120)
    with running(replace(one, state_dir=deep)):
        assert is_answered(deep)
    assert not (deep / SOCKET).exists()


def test_several_requests(one: Config) -> None:
    """One connection may ask more than once, in pieces."""
    with running(one), caller(one.state_dir) as connection:
        connection.sendall(HELLO + HELLO[:9])
        assert read_answer(connection).startswith(b"HTTP/1.1 200 OK")
        connection.sendall(HELLO[9:])
        assert read_answer(connection).startswith(b"HTTP/1.1 200 OK")


def test_a_large_answer_arrives_whole(one: Config) -> None:
    """An answer may be larger than the kernel's buffer."""
    paths = [[None, "61" * 20]] * 3000
    with running(one):
        assert len(ask(one.state_dir, "why", {"paths": paths}, PATIENCE)["recorded"]) == 3000


def test_rude_callers(one: Config) -> None:
    """Silence, half a request, noise and a sudden close keep nobody else waiting."""
    state_dir = one.state_dir
    with running(one), caller(state_dir), caller(state_dir) as half, caller(state_dir) as noise:
        half.sendall(b"GET /healthz HT")
        noise.sendall(b"\xff\xfe\r\n\r\n")
        assert read_answer(noise).startswith(b"HTTP/1.0 400")
        for _ in range(50):
            with caller(state_dir) as hasty:
                hasty.sendall(HELLO)
        assert is_answered(state_dir)


@pytest.mark.parametrize(
    "beginning",
    [b"", b"GET /", b"GET / HTTP/1.1\r\nHost: ", b"POST /control/why HTTP/1.1\r\nContent-Length: "],
)
def test_endless_request(one: Config, beginning: bytes) -> None:
    """A request without an end is cut off."""
    with running(one), caller(one.state_dir) as connection:
        connection.sendall(beginning)
        with pytest.raises(ConnectionError):
            pour(connection)
        assert is_answered(one.state_dir)


def test_a_body_that_is_too_large(one: Config) -> None:
    """A question may be long, but not without end; the answer says so."""
    with running(one):
        status, answer = call(one.state_dir, "POST", "/control/why", b" " * (2 << 20), timeout=PATIENCE)
    assert (status, b"too large" in answer) == (413, True)


@pytest.mark.parametrize(
    "sent", [b"", b"GET / HT", b"POST /control/why HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{"]
)
def test_patience_ends(one: Config, sent: bytes) -> None:
    """Whoever sends nothing, or half of a request or of its body, is hung up on."""
    with running(one, server=partial(WebServer, patience=0.1)), caller(one.state_dir) as connection:
        connection.sendall(sent)
        assert hung_up(connection)


def test_whoever_takes_no_answer_is_hung_up_on(one: Config) -> None:
    """The rest of an answer that nobody reads takes no memory for long."""
    paths = b'{"paths": [' + b",".join([b'[null, "6161616161616161616161"]'] * 5000) + b"]}"
    head = f"POST /control/why HTTP/1.1\r\nHost: a\r\nContent-Length: {len(paths)}\r\n\r\n".encode()
    with running(one, server=partial(WebServer, patience=0.2)), caller(one.state_dir) as connection:
        connection.sendall(head + paths)
        eventually(lambda: is_gone(connection))
        assert is_answered(one.state_dir)


def is_gone(connection: socket.socket) -> bool:
    """Return whether nobody is at the other end, without reading what came from there."""
    try:
        connection.send(b"\r\n")
    except OSError:
        return True
    return False


def test_crowd(one: Config) -> None:
    """When there are too many connections, the one that has been silent longest is closed."""
    with running(one, server=partial(WebServer, most=8)), caller(one.state_dir) as first:
        crowd = [socket.socket(socket.AF_UNIX) for _ in range(12)]
        for connection in crowd:
            connection.connect(str(one.state_dir / SOCKET))
        assert hung_up(first)
        assert is_answered(one.state_dir)
        for connection in crowd:
            connection.close()


def test_a_stop_closes_what_was_just_accepted(one: Config) -> None:
    """Commands may come at any instant."""
    heard = Heard()
    with crowding(str(one.state_dir / SOCKET)), running(one, heard):
        eventually((one.state_dir / SOCKET).exists)
    assert heard.count(Log.BUG) == 0


def test_stale_socket(one: Config) -> None:
    """The socket of a daemon that died is no obstacle."""
    one.state_dir.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(one.state_dir / SOCKET))
    with pytest.raises(NotRunningError):
        ask(one.state_dir, "wake", {}, PATIENCE)
    with running(one):
        assert is_answered(one.state_dir)


def test_a_socket_that_lives_is_left_alone(one: Config) -> None:
    """What somebody else listens on keeps the service from starting, and so does a file of that name."""
    one.state_dir.mkdir()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(one.state_dir / SOCKET))
        other.listen()
        with pytest.raises(OSError, match="in use"), running(one):
            pass
    (one.state_dir / SOCKET).unlink()
    (one.state_dir / SOCKET).write_text("mine")
    with pytest.raises(OSError, match="in use"), running(one):
        pass
    assert (one.state_dir / SOCKET).read_text() == "mine"


def open_things() -> tuple[list[str], list[str]]:
    """List this process's open sockets and its threads of the server."""
    links = [os.readlink(link) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    web = [one.name for one in threading.enumerate() if one.name.startswith("web")]
    return sorted(link for link in links if link.startswith("socket:")), web


def test_nothing_stays_open(one: Config) -> None:
    """After stop no descriptor and no thread is left, whoever was connected."""
    before = open_things()
    with socket.socket(socket.AF_UNIX) as connection:
        with running(one):
            connection.connect(str(one.state_dir / SOCKET))
            assert is_answered(one.state_dir)
        connection.close()
        eventually(lambda: open_things() == before)


def test_a_fault_in_an_answer(one: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is answered with 500, and no reason to stop sending files."""

    def fail(_: Api) -> bool:
        raise ValueError("unexpected")

    monkeypatch.setattr(Api, "healthy", fail)
    with running(one) as service:
        status, answer = call(one.state_dir, "GET", "/healthz", timeout=PATIENCE)
        assert (status, b"internal error" in answer, b"unexpected" in answer) == (500, True, False)
        assert is_answered(one.state_dir)
        assert not service.ended.is_set()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_only_the_owner_is_served(sandbox: Sandbox) -> None:
    """Whoever reaches the socket by whatever mode, the kernel tells whose process asks."""
    with TemporaryDirectory() as made:
        share = Path(made) / "share"
        share.mkdir()
        one = config(Path(made) / "state", sandbox, folder(share, sandbox.conversations[0].id))
        with running(one):
            for path in (Path(made), one.state_dir):
                path.chmod(0o711)
            (one.state_dir / SOCKET).chmod(0o666)
            os.seteuid(NOBODY)
            try:
                with pytest.raises(NotRunningError):
                    ask(one.state_dir, "wake", {}, PATIENCE)
            finally:
                os.seteuid(0)
            assert is_answered(one.state_dir)


def test_a_service_that_stops_answers_whoever_waits_for_events(one: Config) -> None:
    """A listener does not keep the service from stopping."""
    heard = Heard()
    with running(one, heard), caller(one.state_dir) as connection:
        connection.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: a\r\n\r\n")
        assert connection.recv(12) == b"HTTP/1.1 200"
    assert heard.count(Log.BUG) == 0
