"""Repeated trouble is counted, not repeated: which lines of log are written, and which only counted."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

T = TypeVar("T")
FREE: Final = 3
"""So many lines about one trouble are written as they come."""
FIRST_WINDOW: Final = 600.0
LONGEST_WINDOW: Final = 8 * 3600.0
"""Seconds in which lines are counted; each window is twice as long as the one before."""
OVER: Final = 2 * 3600.0
"""Seconds without a line after which a trouble is over: the next one is written at once."""


@dataclass(slots=True)
class _Trouble(Generic[T]):
    """One trouble: how many of its lines were written, and what came since the last one."""

    came: float
    until: float
    window: float = FIRST_WINDOW
    written: int = 1
    counted: int = 0
    last: T | None = None


class Repeats(Generic[T]):
    """Tells apart what is written and what is counted; T is a line. Times are monotonic."""

    def __init__(self) -> None:
        self._troubles: dict[Hashable, _Trouble[T]] = {}

    def admit(self, trouble: Hashable, line: T, now: float) -> bool:
        """Return whether to write a line now; else it is counted, and `due` yields the last one counted."""
        known = self._troubles.get(trouble)
        if known is None:
            self._troubles[trouble] = _Trouble(now, now + FIRST_WINDOW)
            return True
        known.came = now
        if known.written < FREE:
            known.written += 1
            return True
        known.counted += 1
        known.last = line
        return False

    def due(self, now: float) -> Iterator[tuple[T, int, float]]:
        """Yield, for each window that is over, its last line, how many it had and how long it was."""
        for trouble, known in list(self._troubles.items()):
            if known.last is None and now - known.came >= OVER:
                del self._troubles[trouble]
            elif known.last is not None and now >= known.until:
                yield known.last, known.counted, known.window
                known.window = min(2 * known.window, LONGEST_WINDOW)
                known.until = now + known.window
                known.counted, known.last = 0, None
