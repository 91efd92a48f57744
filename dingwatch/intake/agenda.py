"""Which folders a tick looks at: of a thousand, those to which something happened and those that are due."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from heapq import heappop, heappush

from dingwatch.intake.folder import Folder
from dingwatch.intake.jobs import Check, Job


class Agenda:
    """Asks folders for their jobs when they may have any. All instants are monotonic."""

    def __init__(self, folders: Mapping[int, Folder]) -> None:
        self._folders = folders
        self._touched = dict.fromkeys(folders)
        """Folders to which something has happened since they were last asked for jobs, in order."""
        self._asked: dict[int, None] = {}
        """Folders that this tick has asked for jobs."""
        self._due_at: dict[int, float] = {}
        self._heap: list[tuple[float, int]] = []
        """When each folder is due; entries that `_due_at` contradicts are dropped when they are met."""

    def touch(self, folder: int) -> None:
        """Note that something happens to a folder."""
        self._touched[folder] = None

    @property
    def touched(self) -> list[int]:
        """The folders that this tick has looked at so far, and that are still there."""
        return [number for number in {**self._asked, **self._touched} if number in self._folders]

    def jobs(self, at: float) -> Iterator[Job]:
        """Yield the jobs of all folders that are due, as out from now on."""
        while self._heap and self._heap[0][0] <= at:
            due, number = heappop(self._heap)
            if self._due_at.get(number) == due:
                del self._due_at[number]
                self.touch(number)
        self._asked, self._touched = self._touched, {}
        checks: dict[str, list[int]] = defaultdict(list)
        for number in self.touched:
            for job in self._folders[number].jobs(at):
                if isinstance(job, Check) and job.device is not None:
                    checks[job.device].append(number)
                else:
                    yield job
        for device, numbers in checks.items():
            yield self._check(device, numbers, at)

    def _check(self, device: str, numbers: Sequence[int], at: float) -> Check:
        """Return the check of all roots on a device: where one of them hangs, the others do, too."""
        for number in numbers if len(numbers) > 1 else ():
            self._folders[number].check_with_others(at)
        return Check(tuple(numbers), device)

    def next_at(self) -> float | None:
        """Return when the next folder is due; None when none is."""
        for number in self.touched:
            self._enter(number, min(self._folders[number].wakes(), default=None))
        self._asked.clear()
        while self._heap and self._due_at.get(self._heap[0][1]) != self._heap[0][0]:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def _enter(self, number: int, due: float | None) -> None:
        before = self._due_at.pop(number, None)
        if due is not None:
            self._due_at[number] = due
            if due != before:
                heappush(self._heap, (due, number))
