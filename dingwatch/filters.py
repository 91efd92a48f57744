"""Filters: which paths of a folder count, by gitignore patterns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pathspec import GitIgnoreSpec

BUILT_IN_EXCLUDES: Final = (
    ".*", "~*", "*~", "*.tmp", "*.temp", "*.part", "*.partial", "*.crdownload", "*.download", "*.filepart",
    "*.swp", "*.swx", "Thumbs.db", "desktop.ini", "@eaDir", "#recycle", "$RECYCLE.BIN", "lost+found",
    "__MACOSX", "System Volume Information",
)  # fmt: skip


def caseless(pattern: str) -> str:
    """Return a gitignore pattern that matches in any case: `*.tmp` becomes `*.[tT][mM][pP]`."""
    escaped = f"\\{pattern}" if pattern.startswith("#") else pattern
    return "".join(f"[{c.lower()}{c.upper()}]" if c.isalpha() else c for c in escaped)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which paths of a folder count, by gitignore patterns."""

    excluded: GitIgnoreSpec
    included: GitIgnoreSpec | None
    recursive: bool
    patterns: tuple[str, ...] = ()
    """The exclude patterns as people write them, in the order of `excluded`."""

    def prunes(self, directory: bytes) -> bool:
        """Say whether nothing beneath this directory (relative path) can count."""
        return not self.recursive or self.excluded.match_file(_text(directory) + "/")

    def accepts(self, path: bytes) -> bool:
        """Say whether the file at this relative path counts."""
        if not self.recursive and b"/" in path:
            return False
        name = _text(path)
        if self.excluded.match_file(name):
            return False
        return self.included is None or self.included.match_file(name)

    def excluding(self, path: bytes) -> str | None:
        """Return the exclude pattern that keeps a path out; None when none does."""
        found = self.excluded.check_file(_text(path))
        return self.patterns[found.index] if found.include and found.index is not None else None


def path_filter(include: Sequence[str], exclude: Sequence[str], *, recursive: bool) -> Filter:
    """Build a folder's filter; `!pattern` in `exclude` takes a pattern out of the built-in list."""
    taken_out = {pattern[1:].casefold() for pattern in exclude if pattern.startswith("!")}
    built_in = [pattern for pattern in BUILT_IN_EXCLUDES if pattern.casefold() not in taken_out]
    return Filter(
        GitIgnoreSpec.from_lines([*map(caseless, built_in), *exclude]),
        GitIgnoreSpec.from_lines(include) if include else None,
        recursive,
        (*built_in, *exclude),
    )


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")
