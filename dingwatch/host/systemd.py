"""Notifications to systemd."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping


def notify(environ: Mapping[str, str], *lines: str) -> None:
    """Send systemd `READY=1`, `STATUS=…` and the like; outside of a unit that asks for it, do nothing."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    # A file name with a line break in a STATUS must not become an assignment of its own, such as MAINPID=1.
    message = "\n".join(" ".join(line.splitlines()) for line in lines)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to_systemd:
        to_systemd.settimeout(1.0)
        # A lost notification is no reason to stop sending files; systemd restarts a service without READY.
        with contextlib.suppress(OSError):
            to_systemd.connect(address.replace("@", "\0", 1) if address[0] == "@" else address)
            to_systemd.sendall(message.encode("utf-8", "backslashreplace"))


def wants_watchdog(environ: Mapping[str, str]) -> bool:
    """Return whether systemd waits for `WATCHDOG=1` from this process."""
    return environ.get("WATCHDOG_USEC", "0") != "0" and environ.get("WATCHDOG_PID", "") in {
        "",
        str(os.getpid()),
    }
