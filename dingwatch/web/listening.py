"""The sockets of `http.listen`."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from dingwatch.config.values import Http, TcpAddress
from dingwatch.host import control_socket

_UNIX_MODE: Final = 0o660
_NO_SUCH_FAMILY: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


class ListenError(Exception):
    """An address of `http.listen` cannot be listened on."""

    def __init__(self, address: str, error: OSError) -> None:
        super().__init__(address)
        self.address = address
        self.error = error


def listen(http: Http) -> list[socket.socket]:
    """Return the listening sockets: a name such as localhost may have an address of IPv4 and one of IPv6.

    Raises:
        ListenError: the address is taken, or not ours.
    """
    address = http.listen
    try:
        if isinstance(address, TcpAddress):
            return _listen_tcp(address.host, address.port)
        return [_listen_unix(address.path)]
    except OSError as error:
        raise ListenError(str(address), error) from error


def _listen_unix(path: Path) -> socket.socket:
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        address = f"/proc/self/fd/{directory}/{path.name}"
        return control_socket.bind(address, path.name, directory, mode=_UNIX_MODE)
    finally:
        os.close(directory)


def _listen_tcp(host: str, port: int) -> list[socket.socket]:
    resolved = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    found = list(dict.fromkeys((family, address) for family, _, _, _, address in resolved))
    made: list[socket.socket] = []
    with ExitStack() as undo:
        for family, address in found:
            # With port 0, all addresses get the port that the first has got.
            chosen = port or (made[0].getsockname()[1] if made else 0)
            try:
                listener = undo.enter_context(socket.socket(family, socket.SOCK_STREAM))
                _bind(listener, (address[0], chosen, *address[2:]), alone=len(found) == 1)
            except OSError as error:
                # /etc/hosts has ::1 for localhost also where the kernel has no IPv6.
                if error.errno not in _NO_SUCH_FAMILY or len(found) == 1:
                    raise
                continue
            made.append(listener)
        if not made:
            raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
        undo.pop_all()
    return made


def _bind(listener: socket.socket, address: tuple[object, ...], *, alone: bool) -> None:
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if listener.family == socket.AF_INET6:
        # `[::]` alone takes IPv4 as well, as people who write it expect.
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(not alone))
    listener.bind(address)
    listener.listen(control_socket.BACKLOG)
    listener.settimeout(0.0)
