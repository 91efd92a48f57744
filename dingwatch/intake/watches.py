"""The life of each folder's watch: armed, looked at first, scanned, checked, down, back again.

All instants are monotonic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from dingwatch import names
from dingwatch.intake.folder import Folder, Phase
from dingwatch.intake.jobs import Arm, Armed, Check, Checked, Job, Scan, Scanned, TakeBaseline
from dingwatch.model import Cause, FolderDown, Scope, Verdict, WatchKind
from dingwatch.texts import Log

NEVER: Final = float("inf")
HUNG: Final = 30.0
"""Seconds after which a look at a root that has not come back counts as a share that hangs."""
_HANGS: Final = FolderDown(Cause("hangs", "", "FOLDER_DOWN"), Scope.FOLDER)


class Watches:
    """Says what is to be done to keep every folder watched, and tells people when one is not."""

    def __init__(self, folders: Mapping[int, Folder], log: Callable[..., None]) -> None:
        self._folders = folders
        self._log = log

    def scan_all(self, at: float) -> None:
        """Events may have been lost: look everywhere."""
        for folder in self._folders.values():
            folder.next_scan = min(folder.next_scan, at)

    def scan_again(self, folder: int, at: float) -> None:
        """A scan could not be carried out."""
        self._folders[folder].scan_began = None
        self._folders[folder].next_scan = at

    # --- What is to be done ----------------------------------------------------------------------

    def jobs(self, at: float) -> list[Job]:
        """Return what is due."""
        return [job for folder in self._folders.values() for job in self._jobs_of(folder, at)]

    def _jobs_of(self, folder: Folder, at: float) -> Iterator[Job]:
        if folder.checking:
            if folder.phase is not Phase.DOWN and folder.check_began + HUNG <= at:
                self.down(folder, _HANGS, at)
                folder.checking = True  # until it comes back nothing more is asked of it
            return
        if folder.phase is Phase.DOWN and folder.next_check <= at:
            folder.phase, folder.checking, folder.check_began = Phase.ARMING, True, at
            yield Arm(folder.id, poll=folder.fallen_back, home=folder.home)
        elif folder.phase in {Phase.FIRST_LOOK, Phase.UP}:
            if folder.scan_began is None and folder.phase is Phase.FIRST_LOOK:
                folder.scan_began = at
                yield TakeBaseline(folder.id)
            elif folder.scan_began is None and folder.next_scan <= at:
                folder.scan_began, folder.next_scan = at, NEVER
                yield Scan(folder.id)
            if folder.next_check <= at:
                folder.checking, folder.check_began = True, at
                yield Check(folder.id)

    def wakes(self) -> Iterable[float]:
        """Return the instants at which something is due."""
        for folder in self._folders.values():
            if folder.checking and folder.phase is not Phase.DOWN:
                yield folder.check_began + HUNG
            if folder.phase is not Phase.ARMING and not folder.checking:
                yield folder.next_check
            if folder.phase is Phase.UP and folder.scan_began is None and not folder.checking:
                yield folder.next_scan

    # --- What became of it -----------------------------------------------------------------------

    def checked(self, one: Checked, at: float) -> None:
        """The root is as it was."""
        folder = self._folders[one.folder]
        folder.checking = False
        folder.next_check = at + folder.settings.poll_interval

    def armed(self, one: Armed, at: float) -> None:
        """A folder is watched (again); the scan that follows finds what came meanwhile."""
        folder = self._folders[one.folder]
        folder.kind, folder.network = one.kind, one.network
        folder.mounted = one.mounted
        folder.checking, folder.scan_began = False, None
        folder.next_check = at + folder.settings.poll_interval
        # Another number alone says nothing: devices get theirs anew when the machine starts.
        mounted_since = one.mounted and folder.blank_device not in {None, one.home.device}
        folder.phase = Phase.UP if folder.looked and not mounted_since else Phase.FIRST_LOOK
        if folder.home is None or folder.phase is Phase.FIRST_LOOK:
            folder.home = one.home  # what is mounted over it later may go again
        folder.next_scan = at
        folder.reported = folder.phase is Phase.UP
        if folder.reported:
            folder.hinted.clear()
        folder.unwatched = frozenset()
        if one.refused is not None:
            self._fall_back(folder, one.refused, at)
        if folder.said_down:
            folder.said_down = ""
            self._log(Log.FOLDER_BACK, **_named(folder))

    def scanned(self, one: Scanned, at: float) -> None:
        """A scan came to its end."""
        folder = self._folders[one.folder]
        began = at if folder.scan_began is None else folder.scan_began
        folder.scan_began = None
        # Another may have been asked for meanwhile, by events that were lost.
        folder.next_scan = min(folder.next_scan, folder.rest_until(at, at - began))
        # One that was made during the scan is watched a moment later; only what stays unwatched counts.
        lasting = one.unwatched & folder.unwatched
        folder.unwatched = one.unwatched
        if lasting:
            self._mend(folder, Cause("unwatched", str(len(lasting)), "WATCHES"), at)
        elif one.unwatched:
            folder.next_scan = min(folder.next_scan, at + folder.settings.poll_interval)
        elif folder.fallen_back and at >= folder.next_trial:
            folder.fallen_back = False  # there may be watches again
            self._arm_again(folder, at)
        elif folder.kind is WatchKind.INOTIFY:
            folder.mended = False
            if folder.said_fallen_back:
                folder.said_fallen_back = False
                self._log(Log.FOLDER_BACK, **_named(folder))

    def _mend(self, folder: Folder, cause: Cause, at: float) -> None:
        """Watch all of it anew; when that does not help, there are no watches left."""
        if folder.mended:
            self._fall_back(folder, cause, at)
        folder.mended = True
        self._arm_again(folder, at)

    def _fall_back(self, folder: Folder, cause: Cause, at: float) -> None:
        """The kernel makes no events for all of it: our own scan does their work, until a later trial."""
        folder.fallen_back = True
        folder.next_trial = at + folder.settings.rescan
        if not folder.said_fallen_back:
            folder.said_fallen_back = True
            self._log(Log.FALLEN_BACK, code=cause.code, advice=cause.advice, **_named(folder))

    def _arm_again(self, folder: Folder, at: float) -> None:
        folder.phase, folder.next_check = Phase.DOWN, at

    def first_look_taken(self, folder: Folder) -> None:
        """What was there before is written down."""
        folder.phase, folder.looked, folder.reported = Phase.UP, True, True
        folder.blank_device = None
        folder.scan_began = None
        folder.hinted.clear()

    def down(self, folder: Folder, verdict: Verdict, at: float) -> None:
        """A folder cannot be watched; it is tried again and again."""
        folder.phase, folder.kind = Phase.DOWN, WatchKind.DOWN
        folder.checking, folder.scan_began, folder.reported = False, None, True
        folder.next_check = at + folder.settings.poll_interval
        if folder.said_down != verdict.cause.code:
            folder.said_down = verdict.cause.code
            cause = verdict.cause
            self._log(Log.FOLDER_DOWN, code=cause.code, advice=cause.advice, **_named(folder))


def _named(folder: Folder) -> dict[str, object]:
    return {"folder": folder.settings.name, "path": names.readable(folder.settings.root)}
