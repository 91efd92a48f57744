"""Finds running services by what their processes have open."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from dingwatch.host.control_socket import SOCKET
from dingwatch.host.lock import LOCK_FILE


def list_state_dirs() -> list[Path]:
    """Return the state directories of the services that run, as far as this user may see them.

    Where the config file names another state directory than the one with which its service was started, this
    is the only way to that service.
    """
    found: dict[Path, None] = {}
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with suppress(OSError):  # another user's, or it has ended
                for descriptor in os.listdir(process / "fd"):
                    with suppress(OSError):
                        opened = Path(os.readlink(process / "fd" / descriptor))
                        if opened.name == LOCK_FILE and (opened.parent / SOCKET).is_socket():
                            found[opened.parent] = None
    return list(found)
