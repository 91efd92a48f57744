"""The outcome of a reload, as the service reports it to the command, and its sentences.

It is apart from the reload itself, so that the command imports neither the loops nor the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from dingwatch.config.values import Problem
from dingwatch.model import Cause
from dingwatch.service.differences import Differences, FolderDifference
from dingwatch.texts import Reload


@dataclass(frozen=True, slots=True)
class Reloaded:
    """The outcome of a reload: `differences` if the new configuration is in force; else why it is not."""

    differences: Differences | None = None
    ready: bool = True
    """Whether the first looks at new folders are written down."""
    problems: tuple[Problem, ...] = ()
    restarts: tuple[str, ...] = ()
    """Keys whose change needs a restart."""
    cause: Cause | None = None
    """Why the ledger could not take the folders up."""

    @property
    def done(self) -> bool:
        """Whether the new configuration is in force."""
        return self.differences is not None


def describe(reloaded: Reloaded, render: Callable[..., str]) -> list[str]:
    """Return sentences for people on what changed, or why nothing has."""
    found = [f"{one.key} ({one.line}): {one.text}" if one.key else one.text for one in reloaded.problems]
    found += [render(Reload.NEEDS_RESTART, key=key) for key in reloaded.restarts]
    if reloaded.cause is not None:
        found.append(render(Reload.LEDGER, reloaded.cause))
    if reloaded.differences is None:
        return found
    found += [
        render(_BY_KIND[one.kind], name=one.name, path=one.path, keys=", ".join(one.keys))
        for one in reloaded.differences.folders
    ]
    if reloaded.differences.keys:
        found.append(render(Reload.KEYS, keys=", ".join(reloaded.differences.keys)))
    if not found:
        found.append(render(Reload.NOTHING))
    if not reloaded.ready:
        found.append(render(Reload.NOT_READY))
    return found


_BY_KIND: Final = {"added": Reload.ADDED, "removed": Reload.REMOVED, "changed": Reload.CHANGED}


def dump(reloaded: Reloaded) -> dict[str, Any]:
    """Return as JSON what came of a reload; nothing in it is secret."""
    return asdict(reloaded)


def load(told: Mapping[str, Any]) -> Reloaded:
    """Read what `dump` made."""
    changed, cause = told["differences"], told["cause"]
    folders = () if changed is None else tuple(_load_folder(one) for one in changed["folders"])
    return Reloaded(
        differences=None if changed is None else Differences(folders, tuple(changed["keys"])),
        ready=told["ready"],
        problems=tuple(Problem(**one) for one in told["problems"]),
        restarts=tuple(told["restarts"]),
        cause=None if cause is None else Cause(**cause),
    )


def _load_folder(told: Mapping[str, Any]) -> FolderDifference:
    return FolderDifference(**{**told, "keys": tuple(told["keys"])})
