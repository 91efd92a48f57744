"""Sidecars: which there should be, by what names, and what is to be done about those that are there. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

from dingwatch import names
from dingwatch.feedback.settings import Settings
from dingwatch.feedback.wording import describe_all, describe_one
from dingwatch.ledger.feedback import Phase, Sidecar, Unsent
from dingwatch.texts import Feedback

MOST: Final = 50
"""Files of one folder beside which a sidecar lies; where there are more, one list names all of them."""
LONGEST_NAME: Final = 255
"""Bytes that a file's name may have."""
_NUMBERS: Final = 20
"""How many names are tried where others have taken them."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A sidecar that there should be; `names` are its paths, the best one first."""

    version: int | None
    paths: tuple[bytes, ...]
    content: bytes


@dataclass(frozen=True, slots=True)
class Changes:
    """Sidecars of a folder to be made, and to be removed.

    `lacks_name` says that others have taken all names of one that should be made.
    """

    new: tuple[Sidecar, ...] = ()
    unwanted: tuple[Sidecar, ...] = ()
    lacks_name: bool = False


def list_wanted(unsent: Sequence[Unsent], total: int, settings: Settings) -> list[Wanted]:
    """Return the sidecars that a folder should have.

    Args:
        unsent: deliveries that people should know of; of very many only some.
        total: of how many files.
        settings: the language, and the names of recipients.
    """
    by_version: dict[int, list[Unsent]] = defaultdict(list)
    for one in unsent:
        by_version[one.version].append(one)
    if not by_version:
        return []
    if max(total, len(by_version)) > MOST:
        content = describe_all(list(by_version.values()), max(total, len(by_version)), settings)
        name = Feedback.LIST.render(settings.language).encode()
        return [Wanted(None, tuple(_numbered(name)), content)]
    suffix = Feedback.SUFFIX.render(settings.language).encode()
    return [
        Wanted(version, tuple(_paths(same[0].path, suffix)), describe_one(same, settings))
        for version, same in by_version.items()
    ]


def _paths(path: bytes, suffix: bytes) -> Iterator[bytes]:
    """Yield the paths that the sidecar of a file may have, which lies beside it."""
    directory, slash, name = path.rpartition(b"/")
    for number in range(1, _NUMBERS):
        end = suffix if number == 1 else b" (%d)" % number + suffix
        yield directory + slash + names.cut(name, LONGEST_NAME - len(end)) + end


def _numbered(name: bytes) -> Iterator[bytes]:
    """Yield the name of the list. It is a built-in exclude as it is: by another one, it would be sent."""
    yield name


def compare(
    folder: int, wanted: Sequence[Wanted], there: Sequence[Sidecar], taken: Collection[bytes]
) -> Changes:
    """Return what is to be done so that a folder has the sidecars that it should have.

    Args:
        folder: its id in the ledger.
        wanted: the sidecars that it should have.
        there: those that the ledger knows; one whose content is another is removed first, and made later.
        taken: paths that others have taken.
    """
    of_version: Mapping[int | None, Wanted] = {one.version: one for one in wanted}
    kept: set[int | None] = set()
    unwanted = []
    for one in there:
        want = of_version.get(one.version)
        if want is not None and one.content == want.content and one.path in want.paths:
            kept.add(one.version)
        elif one.phase is not Phase.UNWANTED:
            unwanted.append(one)
    waiting = {one.version for one in there}
    used = {*taken, *(one.path for one in there)}
    new, lacks_name = [], False
    for want in wanted:
        if want.version in waiting or want.version in kept:
            continue
        path = next((one for one in want.paths if one not in used), None)
        lacks_name = lacks_name or path is None
        if path is not None:
            used.add(path)
            new.append(Sidecar(folder, path, want.version, want.content, Phase.PLANNED))
    return Changes(tuple(new), tuple(unwanted), lacks_name)


# --- Names in the directories of what was sent ------------------------------------------------------


def free_name(name: bytes, taken: Collection[bytes]) -> bytes:
    """Return a name, with a number where it is taken: `a.pdf`, `a (2).pdf`, `a (3).pdf`.

    Names count as taken in any case, because Windows and macOS take them so.
    """
    folded = set(map(names.fold, taken))
    stem, dot, extension = name.rpartition(b".")
    if not stem:
        stem, dot, extension = name, b"", b""
    for number in count(1):
        end = (b"" if number == 1 else b" (%d)" % number) + dot + extension
        found = names.cut(stem, LONGEST_NAME - len(end)) + end
        if names.fold(found) not in folded:
            return found
    raise AssertionError  # there is no end of numbers
