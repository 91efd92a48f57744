"""Starts commands of dingwatch as processes that are forked, and not executed.

Most of a second passes until Python has started and imported what a command needs, and the tests start
hundreds of them. So one process imports it once, and each command is a fork of that: a process of its own all
the same, with its own signals, descriptors and exit code.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final

LONGEST: Final = 1 << 20
"""Bytes of a request: the words, the environment and the directory of a command."""


class ForkServer:
    """The process that commands are forked from."""

    def __init__(self) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            # -P: no module beside this file is to take the place of another.
            command = [sys.executable, "-P", __file__, str(theirs.fileno())]
            self._process = subprocess.Popen(
                command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
            )

    def fork(self, request: dict[str, Any], descriptors: list[int]) -> None:
        """Start a command; the descriptors become its standard streams and the one that it reports to."""
        socket.send_fds(self._channel, [json.dumps(request).encode()], descriptors)

    def close(self) -> None:
        """End the server; commands that it forked live on."""
        self._channel.close()
        self._process.wait()


@cache
def _server() -> ForkServer:
    """Return the one server of this process."""
    return ForkServer()


def end() -> None:
    """End the server, if there is one."""
    if _server.cache_info().currsize:
        _server().close()


class ForkedCommand(subprocess.Popen[str]):
    """A command that runs in a fork; else as if it had been executed.

    `constants` are values that are set in the fork, by their full names: so no test has to sit out a wait.
    """

    def __init__(
        self,
        words: list[str],
        environ: Mapping[str, str] = os.environ,
        umask: int | None = None,
        constants: Mapping[str, float] | None = None,
        **streams: Any,  # noqa: ANN401 (files, and subprocess's own constants)
    ) -> None:
        self._request = {
            "words": words,
            "environ": dict(environ),
            "directory": os.getcwd(),
            "umask": own_umask() if umask is None else umask,
            "constants": dict(constants or {}),
        }
        self._report, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        super().__init__(words, text=True, **{**pipes, **streams})

    def _execute_child(self, _words: list[str], *others: Any) -> None:  # noqa: ANN401 (subprocess's own)
        # After what concerns an executed program come the two ends of each pipe: stdin's, stdout's, stderr's.
        ends = others[9:15]
        with self._theirs:
            streams = [ends[0], ends[3], ends[5], self._theirs.fileno()]
            _server().fork(self._request, streams)
        self._close_pipe_fds(*ends)
        self.pid = int(self._report.recv(LONGEST))
        self._child_created = True

    if TYPE_CHECKING:  # what Popen has on Linux, and typeshed does not tell

        def _close_pipe_fds(self, *ends: int) -> None: ...
        def _handle_exitstatus(self, status: int) -> None: ...

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        if wait_flags == os.WNOHANG and not select.select([self._report], [], [], 0)[0]:
            return 0, 0
        with self._report:
            return self.pid, int(self._report.recv(LONGEST))

    def _internal_poll(self, **_: Any) -> int | None:  # noqa: ANN401 (subprocess's own)
        if self.returncode is None:
            pid, status = self._try_wait(os.WNOHANG)
            if pid:
                self._handle_exitstatus(status)
        return self.returncode


def own_umask() -> int:
    """Return the umask of this process."""
    umask = os.umask(0)
    os.umask(umask)
    return umask


# --- In the server -------------------------------------------------------------------------------


def serve(channel: socket.socket) -> list[str]:
    """Fork for each request, until there are no more; return the words of the command in its process only."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how the parents of commands end
    while True:
        said, descriptors, _, _ = socket.recv_fds(channel, LONGEST, 4)
        if not said:
            sys.exit()
        if os.fork() == 0:
            channel.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            begin_command(json.loads(said), descriptors)
            return list(json.loads(said)["words"])
        for one in descriptors:
            os.close(one)


def begin_command(request: dict[str, Any], descriptors: list[int]) -> None:
    """Return in a new process; its parent stays, reports its pid, and reports its status at its end."""
    *streams, report = descriptors
    pid = os.fork()
    if pid:
        for one in streams:
            os.close(one)
        os.write(report, b"%d" % pid)
        os.write(report, b"%d" % os.waitpid(pid, 0)[1])
        os._exit(0)
    os.close(report)
    for standard, one in enumerate(streams):
        os.dup2(one, standard)
        os.close(one)
    os.chdir(request["directory"])
    os.umask(request["umask"])
    os.environ.clear()
    os.environ.update(request["environ"])
    for name, value in request["constants"].items():
        module, _, constant = name.rpartition(".")
        assert hasattr(sys.modules[module], constant)
        setattr(sys.modules[module], constant, value)


def import_most() -> None:
    """Import what most commands need."""
    import dingwatch.cli.run  # noqa: PLC0415 (the side that asks needs it not)
    import dingwatch.config.assembly  # noqa: PLC0415
    import dingwatch.web.server  # noqa: F401, PLC0415


if __name__ == "__main__":
    import_most()
    sys.argv[1:] = serve(socket.socket(fileno=int(sys.argv[1])))
    from dingwatch.cli import main

    main()
