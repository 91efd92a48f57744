"""Filters: which paths of a folder count, by gitignore patterns."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import accumulate, chain
from typing import Final, Self

from pathspec import GitIgnoreSpec
from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

from dingwatch.texts import Language

BUILT_IN_KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    # `!.*` lets hidden files through. The other names here stay out even then: somebody who wants `.env` sent
    # does not ask for what a Mac or an NFS client leaves beside it.
    "hidden": (
        ".*", ".DS_Store", "._*", ".AppleDouble", ".TemporaryItems", ".Trash*", ".recycle", ".fuse_hidden*",
        ".nfs*", ".zfs", ".snapshot", ".snapshots", ".@__*", ".~*",
    ),
    "open": (
        "~*", "*~", "*.swp", "*.swx", "*.swo", "#*#", "*.dwl", "*.dwl2", "*.ldb", "*.laccdb", "*.idlk",
        "*.prlock", "*.rhl",
    ),
    "saving": (
        "*.tmp", "*.temp", "*.$$$", "*.sv$", "*.ac$", "*.zs$", "atmp[0-9a-f][0-9a-f][0-9a-f][0-9a-f]*",
        "*.blend@", "*___jb_tmp___", "*___jb_old___", f"*.sb-{8 * '[0-9a-f]'}-*",
        "(A Document Being Saved By *",
    ),
    "download": (
        "*.part", "*.partial", "*.crdownload", "*.download", "*.filepart", "*.opdownload", "*.unfinished",
        "*.fdmdownload", "*.dtapart", "*.part-Frag*", "*.part.met", "*.ytdl", "*.aria2", "*.xltd",
        "*.xltd.cfg", "*.td", "*.td.cfg", "*.downloading", "*.downloading.cfg", "*.uploading",
        "*.uploading.cfg", "*.!qB", "*.!ut", "*.!bt", "*.!bc", "*.bc!", "*.jc!",
    ),
    "sync": (
        "*.synctmp", "*.ffs_tmp", "*.ffs_lock", "*.ffs_db", "*.!sync", "_gsdata_", "DfsrPrivate",
    ),
    "Windows": (
        "Thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "*Zone.Identifier", "*:$DATA",
        "*:encryptable", "$RECYCLE.BIN", "RECYCLER", "RECYCLED", "System Volume Information",
        "FOUND.[0-9][0-9][0-9]",
    ),
    # A Mac calls a directory's own icon "Icon" and a carriage return, which SMB clients write as U+F00D.
    "Mac": (
        "__MACOSX", "Icon[\r\uf00d]", ":2e*", "*AFP_AfpInfo", "*AFP_Resource", "Temporary Items",
        "Network Trash Folder", "TheVolumeSettingsFolder", "TheFindByContentFolder",
    ),
    "NAS": (
        "@eaDir", "*@SynoEAStream", "*@SynoResource", "@tmp", "@sharebin", "@__thumb", "#recycle", "@Recycle",
        "Network Recycle Bin*", "trashbox", "OneNote_RecycleBin", "#snapshot", "@Recently-Snapshot", "@GMT-*",
    ),
    "Unix": ("lost+found",),
    # In both languages, as the language of the configuration may have been another one.
    "dingwatch": ("*.未发送.txt", "未发送的文件.txt", "*.not-sent.txt", "not-sent-files.txt"),
}  # fmt: skip
"""Names of temporary and system files, by kind; docs/configuration.md names the programs."""

BUILT_IN_EXCLUDES: Final = tuple(chain.from_iterable(BUILT_IN_KINDS.values()))

_BUILT_IN_OF_1: Final = (
    ".*", "~*", "*~", "*.tmp", "*.temp", "*.part", "*.partial", "*.crdownload", "*.download", "*.filepart",
    "*.swp", "*.swx", "Thumbs.db", "desktop.ini", "@eaDir", "#recycle", "$RECYCLE.BIN", "lost+found",
    "__MACOSX", "System Volume Information",
)  # fmt: skip

SENT_DIRECTORIES: Final[Mapping[Language, str]] = {Language.ZH: "已发送", Language.EN: "Sent"}
"""The directories, right beneath a folder's root, into which `after_send: move` puts what was sent."""
_SENT: Final = frozenset(name.casefold() for name in SENT_DIRECTORIES.values())

RULES_VERSION: Final = 2
"""1 is dingwatch 0.1: its own shorter list, and users' patterns that tell `a.PDF` from `a.pdf`."""


@dataclass(frozen=True, slots=True)
class FilterRules:
    """The settings of a filter, as the ledger keeps them."""

    include: tuple[str, ...]
    exclude: tuple[str, ...]
    recursive: bool
    version: int = RULES_VERSION
    moves: bool = False
    """Whether sent files are moved here, or ever were: no pattern takes their directories in again."""

    def dump(self) -> str:
        """Return the rules as JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def load(cls, text: str) -> Self:
        """Return the rules that `dump` wrote."""
        kept = json.loads(text)
        rules = tuple(kept["include"]), tuple(kept["exclude"]), kept["recursive"], kept["version"]
        return cls(*rules, kept.get("moves", False))


@dataclass(frozen=True, slots=True)
class Filter:
    """Which paths of a folder count, by gitignore patterns."""

    rules: FilterRules
    junk: GitIgnoreSpecPattern
    """All built-in patterns in one, which comes first in `excluded`."""
    excluded: GitIgnoreSpec
    included: GitIgnoreSpec | None
    built_in: tuple[str, ...]
    """The patterns that `junk` stands for."""
    patterns: tuple[str, ...]
    """The user's exclude patterns, in the order of `excluded` after its first."""

    @property
    def recursive(self) -> bool:
        """Whether directories beneath the folder count."""
        return self.rules.recursive

    def prunes(self, directory: bytes) -> bool:
        """Return whether nothing beneath this directory (relative path) can count."""
        name = self._text(directory)
        return not self.recursive or self._is_sent(name) or self.excluded.match_file(name + "/")

    def reaches(self, directory: bytes) -> bool:
        """Return whether a scan lists this directory: nothing prunes it, nor one above it."""
        return not directory or not any(map(self.prunes, accumulate(directory.split(b"/"), _join)))

    def accepts(self, path: bytes) -> bool:
        """Return whether the file at this relative path counts."""
        if not self.recursive and b"/" in path:
            return False
        name = self._text(path)
        if self._excludes(name) or (b"/" in path and self._is_sent(name)):
            return False
        return self.included is None or self.included.match_file(name)

    def excluding(self, path: bytes) -> str | None:
        """Return the exclude pattern that keeps a path out; None when none does."""
        if b"/" in path and self._is_sent(self._text(path)):
            return f"/{self._text(path).partition('/')[0]}/"
        for part in _with_parents(self._text(path)):
            found = self.excluded.check_file(part)
            if found.include and found.index:
                return self.patterns[found.index - 1]
            if found.include:
                return next(one for one in self.built_in if _any_of([one]).match_file(part))
        return None

    def _is_sent(self, name: str) -> bool:
        """Return whether a directory, or a path that is not in the root itself, holds what was moved."""
        return self.rules.moves and name.partition("/")[0].casefold() in _SENT

    def _text(self, path: bytes) -> str:
        name = path.decode("utf-8", "surrogateescape")
        return name if self.rules.version == 1 else unicodedata.normalize("NFC", name)

    def _excludes(self, name: str) -> bool:
        """Return whether a path or a directory above it is excluded.

        As in git, `!drafts/final.pdf` takes nothing out of an excluded `drafts/`: a scan does not enter it,
        so an event must not send the file either.
        """
        if not self.patterns:  # no order to be minded: pathspec's way to do so doubles the cost of a file
            return self.junk.match_file(name) is not None
        negated = any(pattern.startswith("!") for pattern in self.patterns)
        return any(map(self.excluded.match_file, _with_parents(name) if negated else [name]))


@dataclass(frozen=True, slots=True)
class LastScan:
    """The last complete scan of a folder under another filter; `at` (wall clock) is None when not known."""

    filter: Filter
    at: float | None

    def left_out(self, path: bytes, ctime_ns: int) -> bool:
        """Return whether its filter left out a file that was there by then.

        A filter that widens makes no old file new: without this, one more pattern in `include` would send
        years of files.
        """
        return not self.filter.accepts(path) and (self.at is None or ctime_ns < self.at * 1e9)


def path_filter(
    include: Sequence[str], exclude: Sequence[str], *, recursive: bool, moves: bool = False
) -> Filter:
    """Build a folder's filter; `!pattern` in `exclude` takes a pattern out of the built-in list.

    `moves` says whether sent files are moved in this folder, or ever were.
    """
    return compile_rules(FilterRules(tuple(include), tuple(exclude), recursive, moves=moves))


@lru_cache(maxsize=64)  # of a thousand folders, most have the same
def compile_rules(rules: FilterRules) -> Filter:
    """Build the filter of some rules, as the version of dingwatch that wrote them understood them."""
    first = rules.version == 1
    whole = _BUILT_IN_OF_1 if first else BUILT_IN_EXCLUDES
    taken_out = {_bare(one[1:]) for one in rules.exclude if one.startswith("!")} & {*map(_bare, whole)}
    built_in = tuple(one for one in whole if _bare(one) not in taken_out)
    # 0.1 let `!.*` also override every other pattern, so that `.a.tmp` was sent.
    own = tuple(
        one for one in rules.exclude if first or not (one.startswith("!") and _bare(one[1:]) in taken_out)
    )
    of_line = GitIgnoreSpecPattern if first else _any_case
    included = GitIgnoreSpec.from_lines(rules.include, of_line, backend="simple") if rules.include else None
    junk = _any_of(built_in)
    excluded = GitIgnoreSpec([junk, *map(of_line, own)], backend="simple")
    return Filter(rules, junk, excluded, included, built_in, own)


def _bare(pattern: str) -> str:
    r"""Return a pattern for comparison with the list; a `#` in front may be escaped."""
    return pattern.removeprefix("\\").casefold()


def _any_case(line: str, name: str | None = None) -> GitIgnoreSpecPattern:
    """Compile a pattern so that it matches in any case; the regex `name` stands for the NAME in it.

    People type a name by hand: its `é` may be one character in the config and two on the disk, from a Mac.
    """
    regex, include = GitIgnoreSpecPattern.pattern_to_regex(unicodedata.normalize("NFC", line))
    if regex is None:
        return GitIgnoreSpecPattern(None)
    regex = regex if name is None else regex.replace("NAME", name)
    # A directory's name may hold a newline, too: DOTALL.
    return GitIgnoreSpecPattern(re.compile(regex, re.IGNORECASE | re.DOTALL), include)


_WILDCARD: Final = re.compile(r"(\*|\[.+\])", re.DOTALL)


def _any_of(names: Iterable[str]) -> GitIgnoreSpecPattern:
    """Compile many patterns for names into one: a scan asks for every file, and one regex takes 2 µs, not 50.

    Endings share one branch, which is only tried where there is a dot.
    """
    endings, others = ["(?!)"], ["(?!)"]
    for name in names:
        plain = name.startswith("*.") and not _WILDCARD.search(name, 1)
        (endings if plain else others).append(_body(name.removeprefix("*.") if plain else name))
    return _any_case("NAME", rf"(?:[^/]*\.(?:{'|'.join(endings)})|{'|'.join(others)})")


def _body(pattern: str) -> str:
    parts = _WILDCARD.split(pattern)
    return "".join("[^/]*" if part == "*" else part if part[:1] == "[" else re.escape(part) for part in parts)


def _join(directory: bytes, name: bytes) -> bytes:
    return directory + b"/" + name


def _with_parents(name: str) -> Iterable[str]:
    """Yield the directories above a path, the topmost first, and the path."""
    *above, last = accumulate(name.split("/"), lambda path, part: f"{path}/{part}")
    return (*(f"{directory}/" for directory in above), last)
