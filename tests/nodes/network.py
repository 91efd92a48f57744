"""Hosts with addresses of their own on one machine: network namespaces, joined by two bridges.

One network leads to the database, the other to DingTalk, so that a host can be cut off from either alone.
A cut is made at the bridge, like a cable that is pulled out of the switch: nobody is told, packets just end.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Literal

Net = Literal["database", "outside"]
NETS: Final[dict[Net, str]] = {"database": "10.77.1", "outside": "10.77.2"}
PREFIX: Final = "dingwatch"
_DIRECTORY: Final = "/run/netns"
_NEW_NET: Final = 0x40000000
_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_PORT: Final = {"database": "d", "outside": "o"}


def why_not() -> str:
    """Return why this machine cannot have namespaces; empty if it can."""
    if os.geteuid() != 0:
        return "needs root, to make network namespaces"
    return "" if shutil.which("ip") else "needs ip (Debian: iproute2)"


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], check=False, capture_output=True, text=True)  # noqa: S607
    assert done.returncode == 0, (words, done.stderr)


@contextmanager
def inside(namespace: str) -> Iterator[None]:
    """Have this thread in a namespace while the block runs: sockets that it makes there stay there."""
    with open(f"/proc/self/task/{threading.get_native_id()}/ns/net") as home:
        with open(f"{_DIRECTORY}/{namespace}") as there:
            _enter(there.fileno())
        try:
            yield
        finally:
            _enter(home.fileno())


def _enter(descriptor: int) -> None:
    if _LIBC.setns(descriptor, _NEW_NET):
        raise OSError(ctypes.get_errno(), "setns")


@dataclass(frozen=True)
class Host:
    """A namespace, and its address in each network that it is in."""

    name: str
    namespace: str
    switch: str
    addresses: dict[Net, str]

    def command(self, *words: str) -> list[str]:
        """Return a command line that runs on this host."""
        return ["ip", "netns", "exec", self.namespace, *words]

    def cut(self, net: Net) -> None:
        """Pull the cable of one network."""
        _ip("-n", self.switch, "link", "set", f"{self.name}-{_PORT[net]}", "down")

    def mend(self, net: Net) -> None:
        """Put it back."""
        _ip("-n", self.switch, "link", "set", f"{self.name}-{_PORT[net]}", "up")


class Network:
    """The two networks, and the hosts in them. Processes on hosts must end before `close`."""

    def __init__(self) -> None:
        _remove_left_over()
        self._prefix = f"{PREFIX}-{os.getpid()}-{id(self):x}"
        self._made: list[str] = []
        self._last = 1
        self._switch = self._namespace("switch")
        for net in NETS:
            _ip("-n", self._switch, "link", "add", net, "type", "bridge")
            _ip("-n", self._switch, "link", "set", net, "up")

    def _namespace(self, name: str) -> str:
        made = f"{self._prefix}-{name}"
        _ip("netns", "add", made)
        self._made.append(made)
        _ip("-n", made, "link", "set", "lo", "up")
        return made

    def host(self, name: str, *nets: Net) -> Host:
        """Make a host."""
        self._last += 1
        namespace = self._namespace(name)
        addresses = {net: f"{NETS[net]}.{self._last}" for net in nets}
        for net, address in addresses.items():
            port = f"{name}-{_PORT[net]}"
            ends = ("type", "veth", "peer", "name", port, "netns", self._switch)
            _ip("link", "add", net, "netns", namespace, *ends)
            _ip("-n", self._switch, "link", "set", port, "master", net, "up")
            _ip("-n", namespace, "addr", "add", f"{address}/24", "dev", net)
            _ip("-n", namespace, "link", "set", net, "up")
        return Host(name, namespace, self._switch, addresses)

    def close(self) -> None:
        """Remove all of it."""
        while self._made:
            _ip("netns", "del", self._made.pop())


def _remove_left_over() -> None:
    """Remove the namespaces of tests that were killed."""
    for name in os.listdir(_DIRECTORY) if os.path.isdir(_DIRECTORY) else ():
        owner = re.match(rf"{PREFIX}-(\d+)-", name)
        if owner and not os.path.exists(f"/proc/{owner[1]}"):
            _ip("netns", "del", name)
