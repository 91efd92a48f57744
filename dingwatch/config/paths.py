"""Paths: the config file, the state directory, and the meaning of a path in the file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from dingwatch.config.findings import Finding, KeyPath, render_problems, shorten
from dingwatch.config.values import ConfigError
from dingwatch.texts import Problems, environment_language


def find(explicit: Path | None, environ: Mapping[str, str]) -> Path:
    """Return which file to load; raise `ConfigError` with advice when there is none."""
    if explicit is not None:
        return explicit
    if environ.get("DINGWATCH_CONFIG"):
        return Path(environ["DINGWATCH_CONFIG"])
    places = [
        user_config(environ),
        Path("/etc/dingwatch/config.yaml"),
    ]
    found = next((place for place in places if place.is_file()), None)
    if found is not None:
        return found
    finding = Finding((), Problems.NO_CONFIG, {"places": ", ".join(map(str, places))})
    raise ConfigError(render_problems([finding], {}, environment_language(environ), ()))


def user_config(environ: Mapping[str, str]) -> Path:
    """Return where a user's own configuration lies."""
    return Path(user_directory("XDG_CONFIG_HOME", "~/.config", environ), "dingwatch", "config.yaml")


def user_directory(variable: str, fallback: str, environ: Mapping[str, str]) -> str:
    """Return a user's base directory by the XDG specification, which ignores relative paths."""
    given = environ.get(variable, "")
    return given if given.startswith("/") else expand_home(fallback, environ)


def expand_home(path: str, environ: Mapping[str, str]) -> str:
    """Return a path with `~` replaced by the home directory of this environment."""
    home = environ.get("HOME")
    if home and (path == "~" or path.startswith("~/")):
        return home + path[1:]
    return os.path.expanduser(path)


def state_dir_as_written(written: str | None, environ: Mapping[str, str]) -> str:
    """Return the state directory as the file, else systemd says, else where it lies by default."""
    # systemd separates several state directories by colons; the first one is the unit's own.
    given = written or environ.get("STATE_DIRECTORY", "").partition(":")[0]
    return given or _default_state_dir(environ)


def _default_state_dir(environ: Mapping[str, str]) -> str:
    """Return where the ledger lies unless somebody says otherwise.

    `sudo` may keep a person's XDG_STATE_HOME: root must find the service's ledger all the same.
    """
    if os.geteuid() == 0:
        return "/var/lib/dingwatch"
    return os.path.join(user_directory("XDG_STATE_HOME", "~/.local/state", environ), "dingwatch")


def expand(
    key_path: KeyPath, written: str, environ: Mapping[str, str], findings: list[Finding]
) -> Path | None:
    """Return a path of the file; None for one that is wrong, and is added to the findings."""
    path = Path(expand_home(written, environ))
    if not path.is_absolute():
        # A container's user may be in no user database, and HOME may be missing or relative.
        homeless = path.parts[0] == "~" or written == "~" or written.startswith("~/")
        findings.append(Finding(key_path, Problems.NO_HOME if homeless else Problems.RELATIVE))
        return None
    if _is_share(str(path)):
        findings.append(Finding(key_path, Problems.NETWORK_SHARE, {"written": shorten(written)}))
        return None
    path = Path(os.path.sep + str(path).lstrip(os.path.sep))
    try:
        unusable = b"\0" in os.fsencode(path)
    except UnicodeEncodeError:  # the locale's encoding lacks a character of it
        unusable = True
    if unusable:
        findings.append(Finding(key_path, Problems.CONTROL))
        return None
    return path


def _is_share(path: str) -> bool:
    """Return whether a path is a share's address, as `//nas/share` is, and not a local path.

    To Linux two slashes are one, but no root directory holds the name of a server.
    """
    server = path.removeprefix("//").partition("/")[0]
    return path.startswith("//") and server not in os.listdir("/")
