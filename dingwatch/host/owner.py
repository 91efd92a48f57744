"""The user that a command works as when root runs it."""

from __future__ import annotations

import os
import pwd
from pathlib import Path


def calling_user() -> str:
    """Return the name of who runs the command, as people know him: behind sudo, who called that."""
    if os.getuid() == 0 and (behind := os.environ.get("SUDO_USER")):
        return behind
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def become_owner_of(state_dir: Path) -> None:
    """As root, become the owner of the state directory for good; do nothing if root owns it.

    Otherwise `sudo dingwatch retry` would leave files there that the service may not write.
    """
    try:
        owner = state_dir.stat()
    except FileNotFoundError:
        return
    if os.geteuid() != 0 or owner.st_uid == 0:
        return
    try:
        user = pwd.getpwuid(owner.st_uid)
    except KeyError:  # a container's user, or the directory service is down
        home = "/"
        os.setgroups([])
        os.setgid(owner.st_gid)
    else:
        home = user.pw_dir
        os.initgroups(user.pw_name, user.pw_gid)
        os.setgid(user.pw_gid)
    os.setuid(owner.st_uid)
    # libpq looks there for certificates, and takes it for a failure that it may not look into /root.
    os.environ["HOME"] = home
