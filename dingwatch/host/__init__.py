"""The parts of the host (Linux) that the service uses: socket, lock, users, signals, streams, systemd."""

from dingwatch.host.control_socket import SOCKET, ControlServer, NotRunningError, ask
from dingwatch.host.lock import Lock, LockedError, lock_holder
from dingwatch.host.owner import become_owner_of
from dingwatch.host.signals import when_asked_to_stop
from dingwatch.host.streams import OutputError, open_streams
from dingwatch.host.systemd import notify

__all__ = [
    "SOCKET",
    "ControlServer",
    "Lock",
    "LockedError",
    "NotRunningError",
    "OutputError",
    "ask",
    "become_owner_of",
    "lock_holder",
    "notify",
    "open_streams",
    "when_asked_to_stop",
]
