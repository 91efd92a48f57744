"""Secrets: the app's, from exactly one source, and the API's token; from no file that others can read."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dingwatch.config.findings import Finding, KeyPath
from dingwatch.texts import Problems

ENVIRONMENT: Final = "DINGWATCH_CLIENT_SECRET"
KEY: Final[KeyPath] = ("dingtalk", "client_secret")
_FILE_KEY: Final[KeyPath] = ("dingtalk", "client_secret_file")
TOKEN_KEY: Final[KeyPath] = ("http", "token_file")
_LARGEST: Final = 4096
_OTHERS: Final = stat.S_IRGRP | stat.S_IWGRP | stat.S_IROTH | stat.S_IWOTH


@dataclass(frozen=True, slots=True)
class Sources:
    """The sources of the secret; None where it is not set."""

    written: str | None
    file: str | None
    environment: str | None
    credential: Path | None

    @property
    def names(self) -> list[str]:
        """The sources that are set, by the names that people know."""
        named = {
            "client_secret": self.written,
            "client_secret_file": self.file,
            f"${ENVIRONMENT}": self.environment,
            "$CREDENTIALS_DIRECTORY/client_secret": self.credential,
        }
        return [name for name, value in named.items() if value is not None]


def credential(environ: Mapping[str, str], name: str = "client_secret") -> Path | None:
    """Return the file of a systemd credential, if there is one.

    What the unit runs at a reload has the variable too, but may not enter the directory: there the service
    is taken to have its credential.
    """
    directory = environ.get("CREDENTIALS_DIRECTORY")
    if not directory:
        return None
    path = Path(directory, name)
    with suppress(PermissionError):
        return path if path.exists() else None
    return path


def read(sources: Sources, *, guarded: bool) -> tuple[str, list[Finding]]:
    """Return the secret, or why there is none; with `guarded`, refuse files that others can read."""
    # Of two sources, one may hold an old secret. Picking one would fail weeks later, when the other is gone.
    names = sources.names
    if len(names) > 1:
        return "", [Finding(KEY, Problems.SECRET_TWICE, {"places": ", ".join(names)})]
    if sources.credential is not None:
        # Only the service can enter systemd's credentials directory, so the file's mode does not matter.
        return _content(sources.credential, KEY, guarded=False)
    if sources.file is not None:
        # The schema has reported an empty path already.
        return _content(Path(sources.file), _FILE_KEY, guarded=guarded) if sources.file else ("", [])
    if sources.written is not None:
        return clean(sources.written), []
    if sources.environment is None:
        return "", [Finding(KEY, Problems.SECRET_NONE)]
    text = clean(sources.environment)
    return (text, []) if _is_secret(text) else ("", [Finding(KEY, Problems.SECRET_ODD_VARIABLE)])


def clean(text: str) -> str:
    """Return a secret without what it is wrapped in on its way.

    `docker run --env-file` keeps the quotes of `SECRET="…"`; editors on Windows begin a file with a byte
    order mark and end its line with CRLF. No secret of DingTalk's holds a quote or a blank.
    """
    text = text.strip().removeprefix("\ufeff").strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        text = text[1:-1].strip()
    return text


def _is_secret(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable() and " " not in text


def exposure(path: Path, descriptor: int) -> str | None:
    """Return the command that hides a file which other users can read or write; None if it need not be run.

    Docker and Kubernetes mount secrets read-only and readable by all: nobody can change that, and in the
    container there is nobody else.
    """
    status = os.fstat(descriptor)
    if not status.st_mode & _OTHERS or os.fstatvfs(descriptor).f_flag & os.ST_RDONLY:
        return None
    if _is_beneath_secrets(path) and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return None
    command = f"chmod 600 {shlex.quote(str(path))}"
    if os.geteuid() not in {0, status.st_uid}:  # mode 600 would shut out the service itself
        command = f"chown {os.geteuid()} {shlex.quote(str(path))} && {command}"
    return command


def _is_beneath_secrets(path: Path) -> bool:
    return os.path.realpath(path).startswith(("/run/secrets/", "/var/run/secrets/"))


def report_exposure(path: Path, command: str | None, key_path: KeyPath) -> list[Finding]:
    """Return the finding on a file with a secret that `command` hides."""
    if command is None:
        return []
    return [Finding(key_path, Problems.SECRET_OPEN, {"path": path, "command": command})]


def read_token(path: Path) -> tuple[str, list[Finding]]:
    """Return the token of the HTTP API from its file, or why there is none."""
    return _content(path, TOKEN_KEY, guarded=True)


def read_password(path: Path, key_path: KeyPath) -> tuple[str, list[Finding]]:
    """Return the password of the ledger's database from a systemd credential, or why there is none."""
    return _content(path, key_path, guarded=False)


def _content(path: Path, key_path: KeyPath, *, guarded: bool) -> tuple[str, list[Finding]]:
    token = key_path == TOKEN_KEY
    unreadable = Problems.TOKEN_UNREADABLE if token else Problems.SECRET_UNREADABLE
    strange = Problems.TOKEN_STRANGE if token else Problems.SECRET_STRANGE
    try:
        with path.open("rb") as file:
            command = exposure(path, file.fileno())
            content = file.read(_LARGEST + 1)
        # PowerShell's `>` writes UTF-16.
        text = clean(content.decode("utf-16" if content[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8"))
    except OSError as error:
        return "", [Finding(key_path, unreadable, {"path": path, "reason": error.strerror})]
    except ValueError:
        return "", [Finding(key_path, strange, {"path": path})]
    if guarded and command is not None:
        return "", report_exposure(path, command, key_path)
    if not _is_secret(text) or len(content) > _LARGEST:
        return "", [Finding(key_path, strange, {"path": path})]
    return text, []
