"""Turns: who is next, when many wait for one thing. No I/O.

20,000 files wait for one group and a single one for another. If the oldest went first, the single file would
wait for all the others. So uploads take turns by recipient, and within a recipient by folder; messages take
turns by recipient. Who has had a turn is last from then on, and who is new is first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Final, TypeVar

from dingwatch.ledger.queues import UploadQueue
from dingwatch.model import Route

T = TypeVar("T", bound=object)
MOST_REMEMBERED: Final = 4096
"""Turns that are remembered; beyond that the older half is forgotten, and counts as new."""
MOST_STEPS: Final = 50
"""Steps of one round, which is one transaction of the ledger."""


@dataclass(slots=True)
class Turns:
    """When each had its last turn: a path of names, as (route, recipient, folder), and each head of it."""

    _number: int = 0
    _last: dict[tuple[object, ...], int] = field(default_factory=dict)

    def sort(self, names: Iterable[T], *path: object) -> list[T]:
        """Return those who wait below a path: first who never had a turn, then whose turn is longest ago."""
        return sorted(names, key=lambda name: self._last.get((*path, name), 0))

    def take(self, *path: object) -> None:
        """Note a turn."""
        self._number += 1
        self._last |= {path[:length]: self._number for length in range(1, len(path) + 1)}
        if len(self._last) > MOST_REMEMBERED:
            latest = sorted(self._last.items(), key=lambda item: item[1])[MOST_REMEMBERED // 2 :]
            self._last = dict(latest)


@dataclass(frozen=True, slots=True)
class Step:
    """The outcome of a turn."""

    done: bool
    """Whether it was used: something was claimed, or decided without a claim."""
    again: float = inf
    """When to look again (wall clock; infinity: when something happens)."""
    all_wait: bool = False
    """Whether nobody else can use a turn now either."""


def take_turns(
    turns: Turns,
    route: Route,
    recipients: Iterable[str],
    folders_of: Callable[[str], Sequence[int | None]],
    step: Callable[[UploadQueue], Step],
) -> float:
    """Give turns in one round, until nobody can use one; return when to look again.

    A recipient whose turn it is uses it for the folder whose turn is longest ago, if that can use it: `step`
    tries, and notes the turn where it is used.
    """
    line = deque(turns.sort(recipients, route))
    own: dict[str, deque[int | None]] = {}
    used, again = 0, inf
    while line and used < MOST_STEPS:
        recipient = line.popleft()
        if recipient not in own:
            own[recipient] = deque(turns.sort(folders_of(recipient), route, recipient))
        folders = own[recipient]
        while folders:
            folder = folders.popleft()
            made = step(UploadQueue(route, recipient, folder))
            again = min(again, made.again)
            if made.done:
                folders.append(folder)
                line.append(recipient)
                used += 1
            if made.all_wait:
                return again
            if made.done:
                break
    return again if used < MOST_STEPS else -inf
