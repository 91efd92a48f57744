"""Word to systemd."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping


def notify(environ: Mapping[str, str], *lines: str) -> None:
    """Send systemd `READY=1`, `STATUS=…` and the like; outside of a unit that asks for it, do nothing."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    # A file name in a STATUS must not begin an assignment of its own.
    message = "\n".join(" ".join(line.splitlines()) for line in lines)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to_systemd:
        to_systemd.settimeout(1.0)
        # Not being heard is no reason to stop sending files; without READY systemd acts by itself.
        with contextlib.suppress(OSError):
            to_systemd.connect(address.replace("@", "\0", 1) if address[0] == "@" else address)
            to_systemd.sendall(message.encode("utf-8", "backslashreplace"))
