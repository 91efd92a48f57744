"""The client secret: read from exactly one source, and from no file that others can read."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dingwatch.config.findings import Finding, KeyPath
from dingwatch.texts import Problems

ENVIRONMENT: Final = "DINGWATCH_CLIENT_SECRET"
KEY: Final[KeyPath] = ("dingtalk", "client_secret")
_FILE_KEY: Final[KeyPath] = ("dingtalk", "client_secret_file")
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


def credential(environ: Mapping[str, str]) -> Path | None:
    """Return the file of the systemd credential, if there is one."""
    directory = environ.get("CREDENTIALS_DIRECTORY")
    path = Path(directory, "client_secret") if directory else None
    return path if path is not None and path.exists() else None


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
    found = sources.written if sources.written is not None else sources.environment
    return found or "", [] if found is not None else [Finding(KEY, Problems.SECRET_NONE)]


def check_mode(path: Path, mode: int, key_path: KeyPath) -> list[Finding]:
    """Find a file with a secret that others can read or write."""
    if not mode & _OTHERS:
        return []
    command = f"chmod 600 {shlex.quote(str(path))}"
    return [Finding(key_path, Problems.SECRET_OPEN, {"path": path, "command": command})]


def _content(path: Path, key_path: KeyPath, *, guarded: bool) -> tuple[str, list[Finding]]:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(_LARGEST + 1)
        text = content.decode("utf-8").strip()
    except OSError as error:
        return "", [Finding(key_path, Problems.SECRET_UNREADABLE, {"path": path, "reason": error.strerror})]
    except ValueError:
        return "", [Finding(key_path, Problems.SECRET_STRANGE, {"path": path})]
    if guarded and (exposed := check_mode(path, mode, key_path)):
        return "", exposed
    if not text or not text.isprintable() or len(content) > _LARGEST:
        return "", [Finding(key_path, Problems.SECRET_STRANGE, {"path": path})]
    return text, []
