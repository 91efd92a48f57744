"""The client secret: from exactly one place, and from none that others can read."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dingwatch.config.findings import Finding, Place
from dingwatch.texts import Problems

ENVIRONMENT: Final = "DINGWATCH_CLIENT_SECRET"
PLACE: Final[Place] = ("dingtalk", "client_secret")
_FILE_PLACE: Final[Place] = ("dingtalk", "client_secret_file")
_LARGEST: Final = 4096
_OTHERS: Final = stat.S_IRGRP | stat.S_IWGRP | stat.S_IROTH | stat.S_IWOTH


@dataclass(frozen=True, slots=True)
class Sources:
    """The places where a secret is set; None where it is not."""

    written: str | None
    file: str | None
    environment: str | None
    credential: Path | None

    @property
    def names(self) -> list[str]:
        """Those that are set, as people know them."""
        named = {
            "client_secret": self.written,
            "client_secret_file": self.file,
            f"${ENVIRONMENT}": self.environment,
            "$CREDENTIALS_DIRECTORY/client_secret": self.credential,
        }
        return [name for name, value in named.items() if value is not None]


def credential(environ: Mapping[str, str]) -> Path | None:
    """Return the file of the systemd credential, when there is one."""
    directory = environ.get("CREDENTIALS_DIRECTORY")
    path = Path(directory, "client_secret") if directory else None
    return path if path is not None and path.exists() else None


def read(sources: Sources, *, guarded: bool) -> tuple[str, list[Finding]]:
    """Return the secret, or why there is none; `guarded` refuses files that others can read."""
    names = sources.names
    if len(names) > 1:
        return "", [Finding(PLACE, Problems.SECRET_TWICE, {"places": ", ".join(names)})]
    if sources.credential is not None:
        # systemd keeps it where only this service can look, whatever its mode says.
        return _content(sources.credential, PLACE, guarded=False)
    if sources.file is not None:
        # An empty one was refused before, as a path.
        return _content(Path(sources.file), _FILE_PLACE, guarded=guarded) if sources.file else ("", [])
    found = sources.written if sources.written is not None else sources.environment
    return found or "", [] if found is not None else [Finding(PLACE, Problems.SECRET_NONE)]


def open_to_others(path: Path, mode: int, place: Place) -> list[Finding]:
    """Return what to do about a file with a secret that others can read."""
    if not mode & _OTHERS:
        return []
    command = f"chmod 600 {shlex.quote(str(path))}"
    return [Finding(place, Problems.SECRET_OPEN, {"path": path, "command": command})]


def _content(path: Path, place: Place, *, guarded: bool) -> tuple[str, list[Finding]]:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(_LARGEST + 1)
        text = content.decode("utf-8").strip()
    except OSError as error:
        return "", [Finding(place, Problems.SECRET_UNREADABLE, {"path": path, "reason": error.strerror})]
    except ValueError:
        return "", [Finding(place, Problems.SECRET_STRANGE, {"path": path})]
    if guarded and (exposed := open_to_others(path, mode, place)):
        return "", exposed
    if not text or not text.isprintable() or len(content) > _LARGEST:
        return "", [Finding(place, Problems.SECRET_STRANGE, {"path": path})]
    return text, []
