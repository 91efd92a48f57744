"""Style, script and icon: browsers keep them for a year, for their names hold a hash of their content."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

DIRECTORY: Final = Path(__file__).parent / "static"
PREFIX: Final = "/static/"
FOR_A_YEAR: Final = "public, max-age=31536000, immutable"
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file, its type, and the address that changes with its content."""

    address: str
    type: str
    content: bytes


@cache
def static_files() -> dict[str, StaticFile]:
    """Return the files by their names in the package."""
    return {path.name: _load(path) for path in sorted(DIRECTORY.iterdir()) if path.suffix in _TYPES}


@cache
def by_address() -> dict[str, StaticFile]:
    """Return the files by their addresses."""
    return {one.address: one for one in static_files().values()}


def _load(path: Path) -> StaticFile:
    content = path.read_bytes()
    address = f"{PREFIX}{path.stem}.{sha256(content).hexdigest()[:12]}{path.suffix}"
    return StaticFile(address, _TYPES[path.suffix], content)
