"""Addresses of the HTTP API: `HOST:PORT`, `[v6]:PORT` or `unix:PATH`; and by which names it is called."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from dingwatch.config import checks
from dingwatch.config.findings import Finding, KeyPath
from dingwatch.config.paths import expand
from dingwatch.config.values import TcpAddress, UnixAddress
from dingwatch.texts import Problems

LISTEN: Final[KeyPath] = ("http", "listen")
UNIX: Final = "unix:"
_LONGEST_SOCKET: Final = 107
"""Bytes of a Unix socket's path at most; its struct has 108, with a zero at the end."""
_LONGEST_HOST: Final = 253
_LARGEST_PORT: Final = 65535

_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"
_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_BYTE: Final = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_V4: Final = rf"{_BYTE}(?:\.{_BYTE}){{3}}"
_GROUP: Final = "[0-9A-Fa-f]{1,4}"


def _v6() -> Iterator[str]:
    """Yield the forms of an IPv6 address: whole, and with each number of groups before `::`."""
    last = rf"(?:{_GROUP}:{_GROUP}|{_V4})"
    yield f"(?:{_GROUP}:){{6}}{last}"
    for before in range(8):
        begin = f"(?:{_GROUP}(?::{_GROUP}){{{before - 1}}})?" if before > 1 else f"(?:{_GROUP})?" * before
        begin = begin.removesuffix("?") if before else ""
        rest = 7 - before
        yield f"{begin}::(?:{_GROUP}(?::{_GROUP}){{0,{rest - 1}}})?" if rest else f"{begin}::"
        if rest > 1:
            yield f"{begin}::(?:{_GROUP}:){{0,{rest - 2}}}{_V4}"


HOST: Final = rf"(?:\[(?:{'|'.join(_v6())})\]|{_V4}|(?![0-9.]+(?:$|:)){_NAME.pattern})"
"""A host name, an IPv4 address, or an IPv6 address in brackets: what `check_host` accepts."""
_TCP: Final = re.compile(r"(?P<host>\[[^\[\]]*\]|[^\[\]:/\s]*):(?P<port>[0-9]{1,5})")


def check_listen(text: str) -> str:
    """Refuse what is neither a host with a port nor a socket's path."""
    if text.startswith(UNIX):
        path = text.removeprefix(UNIX)
        if not path.startswith(("/", "~/")) or path.endswith("/"):
            raise checks.make_error(Problems.LISTEN_SOCKET)
        if len(os.fsencode(path)) > _LONGEST_SOCKET:
            raise checks.make_error(Problems.LISTEN_LONG, most=_LONGEST_SOCKET)
        return text
    found = _TCP.fullmatch(text)
    if found is None or not _is_host(found["host"]) or int(found["port"]) > _LARGEST_PORT:
        raise checks.make_error(Problems.LISTEN)
    return text


def check_host(text: str) -> str:
    """Return a host name as browsers send it; refuse an address with a scheme, port or path, or a pattern."""
    if not _is_host(text):
        raise checks.make_error(Problems.HOST)
    return text.lower()


def _is_host(text: str) -> bool:
    """Return whether this is a host name, an IPv4 address, or an IPv6 address in brackets."""
    return len(text) <= _LONGEST_HOST and re.fullmatch(HOST, text) is not None


def parse_listen(
    text: str, environ: Mapping[str, str], findings: list[Finding]
) -> TcpAddress | UnixAddress | None:
    """Return a checked address; None for a socket whose path is wrong, and is added to the findings."""
    if text.startswith(UNIX):
        path: Path | None = expand(LISTEN, text.removeprefix(UNIX), environ, findings)
        return None if path is None else UnixAddress(path)
    host, _, port = text.rpartition(":")
    return TcpAddress(host.strip("[]").lower(), int(port))


def needs_token(address: TcpAddress | UnixAddress) -> bool:
    """Return whether others than this machine's own programs may connect; other users may, to a socket."""
    if isinstance(address, UnixAddress):
        return True
    return not checks.is_loopback(f"//[{address.host}]" if ":" in address.host else f"//{address.host}")
