import os
import pwd
import signal
import socket
import socketserver
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from dingwatch.host.child import in_child
from dingwatch.host.control_socket import SOCKET, NotRunningError, ask
from dingwatch.host.lock import Lock, LockedError, lock_holder
from dingwatch.host.owner import become_owner_of
from dingwatch.host.systemd import notify
from tests.integration.conftest import Machine

# --- systemd -----------------------------------------------------------------------------------


@contextmanager
def systemd(address: str) -> Iterator[socket.socket]:
    """Listen as systemd does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address.replace("@", "\0", 1))
        listener.settimeout(10)
        yield listener


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_notify(tmp_path: Path, kind: str) -> None:
    """All lines arrive in one datagram, in UTF-8, at a path or an abstract address."""
    address = str(tmp_path / "notify") if kind == "path" else f"@dingwatch-test-{uuid4()}"
    with systemd(address) as listener:
        notify({"NOTIFY_SOCKET": address}, "READY=1", "STATUS=正在监视 2 个文件夹")
        assert listener.recv(4096).decode() == "READY=1\nSTATUS=正在监视 2 个文件夹"


def test_notify_strange_names(tmp_path: Path) -> None:
    """A file name with a line break or bytes that are no text begins no assignment and raises nothing."""
    address = str(tmp_path / "notify")
    with systemd(address) as listener:
        notify({"NOTIFY_SOCKET": address}, "STATUS=a\nMAINPID=1\udcff")
        assert listener.recv(4096) == b"STATUS=a MAINPID=1\\udcff"


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "/nowhere/notify"}])
def test_notify_nobody(environ: dict[str, str]) -> None:
    """Without systemd nothing happens."""
    notify(environ, "READY=1")


# --- The lock ----------------------------------------------------------------------------------

HOLDER = """
import sys
from pathlib import Path
from dingwatch.host.lock import Lock
lock = Lock(Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
sys.stdin.readline()
lock.release()
print("released", flush=True)
sys.stdin.readline()
"""
TRIER = """
import sys
from pathlib import Path
from dingwatch.host.lock import Lock, LockedError, lock_holder
print(lock_holder(Path(sys.argv[1])))
try:
    Lock(Path(sys.argv[1])).acquire()
except LockedError as locked:
    print(locked.pid)
"""


@contextmanager
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run another process that holds the lock."""
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def try_elsewhere(path: Path) -> list[str]:
    """Return whom another process sees holding the lock, and whom it fails on."""
    command = [sys.executable, "-c", TRIER, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def test_lock_is_held_elsewhere(tmp_path: Path) -> None:
    """A second process is told who holds the lock."""
    path = tmp_path / "lock"
    with holder(path) as process:
        assert lock_holder(path) == process.pid
        with pytest.raises(LockedError) as caught:
            Lock(path).acquire()
        assert caught.value.pid == process.pid
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_lock_is_released(tmp_path: Path) -> None:
    """After a release the lock is free, while the process lives on."""
    path = tmp_path / "lock"
    with holder(path) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "released\n"
        assert lock_holder(path) is None


def test_lock_dies_with_its_process(tmp_path: Path) -> None:
    """A killed daemon leaves no lock behind."""
    path = tmp_path / "lock"
    with holder(path) as process:
        process.kill()
        process.wait()
        assert lock_holder(path) is None
        lock = Lock(path)
        lock.acquire()
        lock.release()


def test_own_lock_survives_a_look(tmp_path: Path) -> None:
    """To ask for the holder within the process that holds it neither misses nor drops the lock."""
    path = tmp_path / "lock"
    lock = Lock(path)
    lock.acquire()
    assert lock_holder(path) == os.getpid()
    with pytest.raises(LockedError):
        Lock(path).acquire()
    assert try_elsewhere(path) == [str(os.getpid())] * 2
    lock.release()
    assert try_elsewhere(path) == ["None"]


def test_lock_release_is_harmless(tmp_path: Path) -> None:
    """A lock that is not held may be released, and one that was may be taken again."""
    lock = Lock(tmp_path / "lock")
    lock.release()
    lock.acquire()
    lock.release()
    lock.release()
    lock.acquire()
    assert lock_holder(tmp_path / "lock") == os.getpid()
    lock.release()


def test_no_lock_file(tmp_path: Path) -> None:
    """Nobody holds a lock that has no file, or whose directory is not there."""
    assert lock_holder(tmp_path / "lock") is None
    assert lock_holder(tmp_path / "no" / "lock") is None
    with pytest.raises(FileNotFoundError):
        Lock(tmp_path / "no" / "lock").acquire()


# --- The control socket, as commands use it ----------------------------------------------------


@contextmanager
def caller(state_dir: Path) -> Iterator[socket.socket]:
    """Connect without manners."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(state_dir / SOCKET))  # waits for its turn, which it would not with a timeout
        connection.settimeout(10)
        yield connection


def test_nobody_listens(tmp_path: Path) -> None:
    """Without a daemon, or without its directory, the asker is told so."""
    for state_dir in (tmp_path, tmp_path / "no"):
        with pytest.raises(NotRunningError):
            ask(state_dir, "a", {}, 10)


def test_a_queue_of_connections(tmp_path: Path) -> None:
    """When others are waiting, the asker waits for its turn."""
    answers: list[dict[str, object]] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / SOCKET))
        listener.listen(0)
        listener.settimeout(10)
        with caller(tmp_path):
            asker = threading.Thread(target=lambda: answers.append(ask(tmp_path, "a", {}, 10)))
            asker.start()
            asker.join(0.1)  # time for it to give up, which it must not
            listener.accept()[0].close()
            turn, _ = listener.accept()
            with turn:
                turn.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{"yes": 1}')
                asker.join()
    assert answers == [{"yes": 1}]


def test_daemon_that_hangs(tmp_path: Path) -> None:
    """A daemon that takes the call and says nothing counts as none."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / SOCKET))
        listener.listen()
        with pytest.raises(NotRunningError):
            ask(tmp_path, "a", {}, 0.01)


# --- Work in a child ---------------------------------------------------------------------------


def test_a_child_works_and_hands_over_the_result() -> None:
    """What it imports or changes is not seen in this process."""
    changed: list[int] = []

    def work() -> tuple[int, Path]:
        changed.append(1)
        return os.getpid(), Path("a")

    pid, path = in_child(work)
    assert (pid == os.getpid(), path, changed) == (False, Path("a"), [])


def test_what_a_child_cannot_do_is_done_here() -> None:
    """An exception is raised here; a child that is killed, or cannot hand over its result, is replaced."""
    here = os.getpid()

    def fail() -> None:
        raise ValueError(os.getpid())

    def die() -> int:
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return os.getpid()

    with pytest.raises(ValueError, match=str(here)):
        in_child(fail)
    assert in_child(die) == here
    assert in_child(lambda: (os.getpid(), threading.Lock()))[0] == here


# --- The owner ---------------------------------------------------------------------------------

BECOME = """
import os, sys
from pathlib import Path
from dingwatch.host.owner import become_owner_of
if os.geteuid() == 0:
    os.setgroups([7, 8])
become_owner_of(Path(sys.argv[1]))
print(*os.getresuid(), *os.getresgid(), *os.getgroups())
"""
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


def become(state_dir: Path) -> list[int]:
    """Return the user, group and further groups that a process ends up with."""
    command = [sys.executable, "-c", BECOME, str(state_dir)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [int(number) for number in done.stdout.split()]


@as_root
def test_become_owner(tmp_path: Path) -> None:
    """Root becomes the owner for good and keeps none of root's groups."""
    os.chown(tmp_path, 54321, 54322)
    assert become(tmp_path) == [54321] * 3 + [54322] * 3


@as_root
def test_become_a_known_owner(tmp_path: Path) -> None:
    """An owner with an account comes with its own group."""
    account = pwd.getpwnam("daemon")
    os.chown(tmp_path, account.pw_uid, 0)
    ids = become(tmp_path)
    assert ids[:6] == [account.pw_uid] * 3 + [account.pw_gid] * 3
    assert not {7, 8} & set(ids[6:])


def test_owner_is_left_alone(tmp_path: Path) -> None:
    """Where root owns the directory, or nobody does, or one is not root, nothing changes."""
    become_owner_of(tmp_path)
    become_owner_of(tmp_path / "no")
    assert os.geteuid() == tmp_path.stat().st_uid


ROUNDS = 60_000
_ASKED = f"""
import os, random, signal, threading, time
from dingwatch.host.signals import when_asked_to_stop

heard, told = os.pipe()
waiting = os.getpid()
if os.fork() == 0:
    os.close(told)
    while os.read(heard, 1):
        end = time.perf_counter_ns() + random.randrange(30_000)
        while time.perf_counter_ns() < end:
            pass
        os.kill(waiting, random.choice([signal.SIGTERM, signal.SIGINT]))
    os._exit(0)

asked = threading.Event()
when_asked_to_stop(asked.set)
for _ in range({ROUNDS}):
    os.write(told, b"x")
    asked.wait()
    asked.clear()
"""


def test_a_signal_may_come_at_any_instant() -> None:
    """Whatever the main thread is about to do, a wait that another process's signal is to end does end.

    With a handler in the main thread some of these rounds never ended: one in some ten thousand.
    """
    done = subprocess.run([sys.executable, "-c", _ASKED], timeout=60, check=False)
    assert done.returncode == 0


class _OtherVersion(socketserver.StreamRequestHandler):
    """Answers whatever it is asked with one and the same."""

    answer = ""

    def handle(self) -> None:
        """Answer once."""
        while self.rfile.readline().strip():
            pass
        self.wfile.write(self.answer.encode())


OK = "HTTP/1.1 200 OK\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        '{"ledger": null}\n',  # of the line protocol of 0.1
        "HTTP/1.1 404 Not Found\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}",
        *(OK + body for body in ("", "no json", "[]", "5", '"x"', "[" * 5000, "{", '{"ledger": null}')),
    ],
)
def test_an_answer_of_another_version_is_none(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    """Whoever answers on the socket, a command shows what the ledger says, and no traceback."""
    machine.state_dir.mkdir()
    monkeypatch.setattr(_OtherVersion, "answer", answer)
    with socketserver.UnixStreamServer(str(machine.state_dir / SOCKET), _OtherVersion) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        for words in (("status",), ("why", str(machine.settings["folders"][0]["path"]) + "/a.pdf")):
            done = machine.call(*words)
            assert "Traceback" not in done.output
            assert done.exception is None or isinstance(done.exception, SystemExit)
        server.shutdown()
        thread.join()
