"""One folder as intake follows it: its settings, and its watch, which is armed, checked, scanned and lost.

All instants are monotonic. What watchdog and file systems keep silent about shapes this module: a share that
is unmounted, a root that is deleted and made again, a thread that died and a subdirectory without a watch
make no event. So the root is checked at every `poll_interval`, and each scan compares the directories that it
walked with those that are watched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from dingwatch import names
from dingwatch.filters import Filter, LastScan, compile_rules
from dingwatch.intake.first_look import FirstLook, LookClock, LookStep
from dingwatch.intake.jobs import (
    CLOSED,
    LOOKING,
    Arm,
    Armed,
    Check,
    Compare,
    Compared,
    Job,
    Listed,
    Scan,
    Scanned,
    Widened,
)
from dingwatch.intake.phases import (
    COVERAGE,
    WATCHES,
    Coverage,
    CoverageEvent,
    WatchEvent,
    WatchPhase,
    advance,
)
from dingwatch.ledger.folders import FolderMark, LookMark, RootMark, ScanMark, ShareState
from dingwatch.ledger.versions import File
from dingwatch.model import Cause, FolderDown, Now, Scope, Verdict, WatchKind, is_beneath
from dingwatch.payload import PayloadPolicy
from dingwatch.texts import Log

NETWORK_QUIET: Final = 10.0
"""Seconds; the least quiet period where another host's writes show late."""
EVENT_DELAY: Final = 1.0
"""Seconds between the two events of one move at most: watchdog holds back the first for half a second."""
NEVER: Final = float("inf")
HUNG: Final = 30.0
"""Seconds after which a look at a root that has not come back counts as a share that hangs."""
TOGETHER: Final = 3.0
"""Seconds after which a root that is checked together with others is checked alone: one of them may hang."""
SAVE_INTERVAL: Final = 600.0
"""Seconds for which the ledger need not know of a folder's later scans."""
MISSED: Final = 600.0
"""Seconds by which a file may be older than the last look at a root that was replaced, and still be new."""
_PASSING: Final = frozenset({CLOSED, LOOKING})
"""The codes of failures that pass by themselves, and are not logged."""
_HANGS: Final = FolderDown(Cause("hangs", "", "FOLDER_DOWN"), Scope.FOLDER)


@dataclass(frozen=True, slots=True)
class FolderSettings:
    """A folder of the configuration, as far as intake is concerned; durations in seconds."""

    id: int
    root: bytes
    name: str
    conversations: tuple[str, ...]
    filter: Filter
    code: PayloadPolicy
    settle: float = 2.0
    existing: str = "skip"
    on_change: str = "send"
    watch: str = "auto"
    poll_interval: float = 5.0
    rescan: float = 600.0
    hold_over: int | None = None
    path: bytes | None = None
    """The configured path, which is followed should it lead elsewhere."""
    exclusive: bool = True
    """Whether no other install may watch the same root."""
    shared: bool = False
    """Whether several nodes share it."""
    by_any_node: bool = False
    """Whether a node without the folder may send what is uploaded."""
    bundle_wait: float | None = None
    """How long a file waits for others to share a message with; None: it goes alone."""
    successor: bytes | None = None
    """For a former target of the path, where that leads now; what is still to be done here is done."""

    @property
    def former(self) -> bool:
        """Whether the path led here formerly."""
        return self.successor is not None

    def cedes(self, path: bytes) -> bool:
        """Return whether a path here is the present target's: one of them may lie in the other."""
        if self.successor is None:
            return False
        whole = self.root.rstrip(b"/") + b"/" + path
        return is_beneath(whole, self.successor) or is_beneath(self.root, self.successor)


def is_watched_otherwise(before: FolderSettings, after: FolderSettings) -> bool:
    """Return whether the watch of a folder depends on what was changed in its settings."""
    recursive = before.filter.recursive != after.filter.recursive
    how = [(one.watch, one.exclusive, one.shared, one.root) for one in (before, after)]
    return recursive or how[0] != how[1]


def _scan_under_other_rules(settings: FolderSettings, mark: FolderMark) -> LastScan | None:
    """Return the last scan if another filter was in force then; None otherwise, and before the first look."""
    rules = settings.filter.rules
    if mark.looked_at is None or mark.joins or (mark.scan is not None and mark.scan.rules == rules):
        return None
    if mark.scan is None:  # dingwatch 0.1 kept neither its filter nor when it scanned
        return LastScan(compile_rules(replace(rules, version=1)), None)
    return LastScan(compile_rules(mark.scan.rules), mark.scan.at)


class Folder:
    """A folder and where its watch stands. Only its own methods change it, and the tables say how."""

    def __init__(self, settings: FolderSettings, mark: FolderMark, log: Callable[..., None]) -> None:
        self.settings = settings
        self.phase = WatchPhase.DOWN
        self.home = mark.home
        """The mount point and device of its root at the first look."""
        again = settings.shared or mark.look.began is not None or mark.looked_at is not None
        self.first_look = FirstLook(settings.id, again=again)
        self._log = log
        self._look = self._saved_look = mark.look
        self._looked = mark.looked_at is not None
        self._look_clock: LookClock | None = None
        """The wall clock since the first look began, while that lasts."""
        self._compares = False
        """Whether another directory may lie where the root was."""
        self._blank_device = mark.blank_device
        self._armed: Armed | None = None
        self._down_code = ""
        """Why it is down, as the log said; empty while it is not."""
        self._down: tuple[Cause, float] | None = None
        """Why it is down, and since when."""
        self._root_asked: float | None = None
        """Since when an arming or a check of the root is out."""
        self._next_check = 0.0
        self._alone_at = NEVER
        """When it is checked alone, should the check together with others not have come back."""
        self._scan_began: float | None = None
        """Since when a scan or a first look is out."""
        self._scan_outdated = False
        """Whether the scan that is out goes by a filter that is no longer in force."""
        self._next_scan = 0.0
        self._last_scan_began: float | None = None
        """When the last complete scan began, of this run or of the one before (monotonic)."""
        self._scan: ScanMark | None = None
        """The last complete scan of this run."""
        self._saved_scan = mark.scan
        self._last = _scan_under_other_rules(settings, mark)
        """The last scan under another filter, until there is one under this."""
        self._widened = Widened()
        self._coverage = Coverage.WHOLE
        self._rewatch_due = False
        """Whether it is to be watched afresh once the arming that is out is back."""
        self._unwatched: frozenset[bytes] = frozenset()
        """Directories that the last scan found to make no events."""
        self._next_trial = 0.0
        """When kernel events are tried again."""
        self._findings: set[tuple[Log, bytes]] = set()
        """The findings of this scan that were logged; a scan finds them again as long as they are there."""
        self._findings_before: set[tuple[Log, bytes]] = set()

    # --- What others ask -----------------------------------------------------------------------

    @property
    def id(self) -> int:
        """The folder's id in the ledger."""
        return self.settings.id

    @property
    def ready(self) -> bool:
        """Whether it is watched, with its first look written down, or reported down."""
        return self.phase is WatchPhase.UP or bool(self._down_code)

    @property
    def kind(self) -> WatchKind:
        """How it is watched. While it is merely watched afresh, people are not told that it is down."""
        return WatchKind.DOWN if self._armed is None or self._down_code else self._armed.kind

    @property
    def down(self) -> tuple[Cause, float] | None:
        """Why it is down, and since when; None while it is not."""
        return self._down

    @property
    def device(self) -> str | None:
        """The device on which its root lies; None until it has been watched."""
        return None if self._armed is None else self._armed.home.device

    @property
    def quiet(self) -> float:
        """The quiet period in seconds."""
        network = self._armed is not None and self._armed.network
        return max(self.settings.settle, NETWORK_QUIET) if network else self.settings.settle

    @property
    def steady(self) -> bool:
        """Whether its files keep their inodes' numbers, and their ctimes until somebody changes them."""
        return self._armed is None or self._armed.steady

    def unseen_until(self, at: float, *, by_scan: bool) -> float:
        """Return when a path that a scan or an event shows first had not been seen yet (monotonic).

        It came after the last complete scan. While the service watched, its event comes a moment after that
        of the path from which it was moved; but what shows soon after a start may have come before it.
        """
        began = self._last_scan_began
        if began is None or (self._scan is not None and not by_scan):
            return at - self.quiet - EVENT_DELAY
        return min(began, at)

    @property
    def blank_device(self) -> str | None:
        """Return the device of a root that is empty and no mount point; None for any other.

        Most likely the share was not mounted when the service was installed. What is mounted there later has
        its own first look, or all of its old files would be sent.
        """
        mounted = self._armed is not None and self._armed.mounted
        return self.home.device if self.home and not self.first_look.found and not mounted else None

    # --- What is to be done --------------------------------------------------------------------

    def jobs(self, at: float) -> Iterator[Job]:
        """Yield the jobs that are due, as out from now on."""
        if self._root_asked is not None:
            yield from self._await_answer(self._root_asked, at)
        elif self.phase is WatchPhase.DOWN:
            if self._next_check <= at:
                self._advance(WatchEvent.ARM)
                self._root_asked, self._alone_at = at, NEVER
                yield Arm(self.id, poll=self._coverage is Coverage.POLLED, home=self.home)
        elif self.phase in {WatchPhase.FIRST_LOOK, WatchPhase.UP}:
            if self.phase is WatchPhase.FIRST_LOOK:
                if self._scan_began is None:
                    self._scan_began = at
                    self.first_look.begin(at)
                yield from self.first_look.jobs()
            elif self._scan_began is None and self._next_scan <= at:
                self._scan_began, self._next_scan = at, NEVER
                compare = Compare(self.id)
                yield compare if self._compares else Scan(self.id, self._last, self._look.old_before)
            if self._next_check <= at:
                self._root_asked, self._alone_at = at, NEVER
                yield Check((self.id,), self.device)

    def _await_answer(self, asked: float, at: float) -> Iterator[Job]:
        """Yield what is to be done while the root is asked: a share that may hang is asked nothing more."""
        if self.phase is WatchPhase.HUNG:
            return
        if asked + HUNG <= at:
            self._hang(at)
        elif self._alone_at <= at:
            self._alone_at = NEVER
            yield Check((self.id,))

    def wakes(self) -> Iterator[float]:
        """Yield the instants at which something is due."""
        if self._root_asked is not None:
            if self.phase is not WatchPhase.HUNG:
                yield min(self._root_asked + HUNG, self._alone_at)
            return
        yield self._next_check
        if self.phase is WatchPhase.UP and self._scan_began is None:
            yield self._next_scan

    def check_with_others(self, at: float) -> None:
        """Enter that the check that is due goes out together with those of other roots."""
        self._alone_at = at + TOGETHER

    def retire(self, successor: bytes, at: float) -> None:
        """Watch this former target of the folder's path until everything in it is done; scan it once more."""
        self.settings = replace(self.settings, path=None, successor=successor)
        self._advance(WatchEvent.FAIL)
        self._root_asked = self._scan = None
        self._stop_looking()
        self._next_check = at

    def move(self, settings: FolderSettings) -> None:
        """Follow a root that was moved with all that is in it: no former target is left behind."""
        self.settings = settings

    def come_back(self, settings: FolderSettings, look: LookMark, at: float) -> None:
        """Enter that the folder's path leads here again; what is there and older than the link is old."""
        self.settings, self._scan = settings, None
        self._look = replace(self._look, began=look.began, old_before=look.old_before)
        self.scan_soon(at)

    def change(self, settings: FolderSettings, at: float) -> None:
        """Go on with other settings; scan or watch it afresh only where these ask for that."""
        before, self.settings = self.settings, settings
        refiltered = settings.filter.rules != before.filter.rules
        if refiltered:
            self._change_filter(at)
        # A first look lists by the former filter what would be no baseline, or be missing from it.
        if is_watched_otherwise(before, settings) or (refiltered and self.phase is WatchPhase.FIRST_LOOK):
            self._coverage = Coverage.WHOLE
            self._rewatch(at)
        if (settings.poll_interval, settings.rescan) != (before.poll_interval, before.rescan):
            self._next_check = min(self._next_check, self._next_round(at))
            self._next_scan = min(self._next_scan, self._rest_until(at, 0.0))

    def _change_filter(self, at: float) -> None:
        """Compare with the last complete scan, as after a start with another filter, and scan soon."""
        last = self._scan or self._saved_scan
        if last is not None and self._looked:
            same = last.rules == self.settings.filter.rules
            self._last = None if same else LastScan(compile_rules(last.rules), last.at)
        self._scan, self._widened = None, Widened()
        self._scan_outdated = self._scan_began is not None
        self.scan_soon(at)

    def _rewatch(self, at: float) -> None:
        """Watch it afresh, once an arming that is out is back: that goes by the former settings."""
        if self.phase in {WatchPhase.UP, WatchPhase.FIRST_LOOK}:
            self._stop_looking()
            self._rearm(at)
        elif self.phase is WatchPhase.DOWN:
            self._next_check = at
        else:
            self._rewatch_due = True

    @property
    def retired(self) -> bool:
        """Whether it is a former target that has been scanned once more."""
        return self.settings.former and self.phase is WatchPhase.UP and self._scan is not None

    @property
    def scanned_at(self) -> float | None:
        """When the last complete scan began (wall clock), of this run or of one before."""
        scan = self._scan or self._saved_scan
        return None if scan is None else scan.at

    def scan_soon(self, at: float) -> None:
        """Ask for a scan: events may have been lost."""
        self._next_scan = min(self._next_scan, at)

    # --- What happens --------------------------------------------------------------------------

    def _advance(self, event: WatchEvent) -> None:
        self.phase = advance(WATCHES, self.phase, event)

    def on_hint(self, path: bytes, *, must_read: bool) -> None:
        """Note that something happened to a path: while the first look lasts, that is no baseline."""
        if self.phase is not WatchPhase.UP:
            self.first_look.on_hint(path, must_read=must_read)

    def on_armed(self, one: Armed, now: Now) -> None:
        """Enter that the folder is watched (again); the scan that follows finds what came meanwhile."""
        self._armed, at = one, now.monotonic
        if one.share is not None:
            self._join(one.share)
        # A new device number alone proves nothing: after a reboot, devices are numbered afresh.
        mounted_since = one.mounted and self._blank_device not in {None, one.home.device}
        known = self._looked and not mounted_since
        self._advance(WatchEvent.WATCH if known else WatchEvent.WATCH_NEW)
        if self.home is None or not known:
            self.home = one.home  # what is mounted over it later may go again
        self._root_asked = None
        self._stop_looking()
        if self._last_scan_began is None and self._saved_scan is not None:
            self._last_scan_began = at - max(now.wall - self._saved_scan.at, 0.0)
        self._meet_root(one, now, known=known)
        self._next_check = self._next_round(at)
        self._next_scan = at
        self._unwatched = frozenset()
        if known:
            self.first_look.forget_hints()
        if one.refused is not None:
            self._cover(CoverageEvent.REFUSE, one.refused, at)
        if self._down_code:
            if self._down_code not in _PASSING:
                self._log_folder(Log.FOLDER_BACK)
            self._down_code, self._down = "", None
        if self._rewatch_due:
            self._rewatch_due = False
            self._rewatch(at)

    def _join(self, share: ShareState) -> None:
        """Take over what other nodes have seen of a share since this one read the ledger."""
        if share.looked:
            self._looked, self._blank_device = True, None
        elif share.began is not None:
            own = self._look.began
            self._look = replace(self._look, began=share.began if own is None else min(own, share.began))

    def _meet_root(self, one: Armed, now: Now, *, known: bool) -> None:
        """Compare the root with the one that was watched before, and note when a first look begins."""
        before = None if self._look.root is None else self._look.root.identity
        self._compares = known and None not in {before, one.root} and before != one.root
        if not known:
            began = self._look_began(now)
            self._look_clock = LookClock.start(now) if self._look_clock is None else self._look_clock.at(now)
            self._look = LookMark(began, root=None if one.root is None else RootMark(*one.root, now.wall))
        elif not self._compares and one.root is not None:
            self._look = replace(self._look, root=RootMark(*one.root, now.wall))

    def _look_began(self, now: Now) -> float:
        """Return when the first look began that begins now, or goes on (wall clock).

        What was changed since a look began that was cut off, perhaps a week ago, is new.
        """
        began = self._look.began
        if began is None:
            return now.wall
        if self._look_clock is None and began > now.wall:  # the clock was set back while nothing ran
            return now.wall - MISSED
        return began

    def on_checked(self, now: Now) -> None:
        """Enter that the root is as it was."""
        self._advance(WatchEvent.ANSWER)
        if self.phase is not WatchPhase.ARMING:  # there the arming is still out
            self._root_asked = None
            self._next_check = self._next_round(now.monotonic)
            if self._look.root is not None and not self._compares:
                self._look = replace(self._look, root=replace(self._look.root, seen_at=now.wall))

    def _next_round(self, at: float) -> float:
        """Return when the roots with this interval are checked next: all of them at the same instants."""
        interval = self.settings.poll_interval
        return (at // interval + 1.0) * interval

    def on_failed(self, verdict: Verdict, at: float) -> None:
        """Enter that the folder cannot be watched; it is tried again and again."""
        self._advance(WatchEvent.FAIL)
        self._root_asked, self._rewatch_due = None, False
        self._go_down(verdict.cause, at)

    def _hang(self, at: float) -> None:
        """The share does not answer; the job that is out may come back any time."""
        self._advance(WatchEvent.HANG)
        self._go_down(_HANGS.cause, at)

    def _go_down(self, cause: Cause, at: float) -> None:
        self._stop_looking()
        self._next_check = at + self.settings.poll_interval
        self._down = cause, at if self._down is None else self._down[1]
        if cause.code in _PASSING:
            # A reload sets the watch afresh, and a look came between the old watch and the new one; or
            # another node takes the first look. Nobody need act: if it is down indeed, the next arming says
            # why.
            self._down_code = self._down_code or cause.code
        elif self._down_code != cause.code:
            self._down_code = cause.code
            self._log_folder(Log.FOLDER_DOWN, **cause.log_values())

    def _stop_looking(self) -> None:
        """Enter that no scan and no first look is out: what one of them still hands over counts little."""
        self._scan_began, self._scan_outdated = None, False
        self.first_look.stop()

    def on_listed(self, part: Listed, now: Now) -> None:
        """Enter a part of a first look; one of a watch that has ended counts for nothing."""
        if self.phase is WatchPhase.FIRST_LOOK:
            self.first_look.on_listed(part)
        if self._look_clock is not None:
            self._look_clock = self._look_clock.at(now)

    def list_old(self, listed: Iterable[File], now: Now) -> list[File]:
        """Return those files that the first look has listed which were there at its beginning.

        On a busy host the listing may be there before the event of a file that it shows. What has a time in
        the future says nothing: the clock of the host, or that of the share's server, is wrong.
        """
        began, clock, steady = self._look.began, self._look_clock, self.steady
        found = self.first_look.without_hinted(listed)
        if began is None or clock is None:
            return found
        earliest, latest = clock.at(now).bounds(began, now)
        return [one for one in found if not earliest < one[1].changed_at(steady=steady) <= latest]

    def mark_scan(self, now: Now) -> ScanMark:
        """Return the mark of the scan or first look that is out, as if it came to its end now."""
        began = now.monotonic if self._scan_began is None else self._scan_began
        return ScanMark(self.settings.filter.rules, now.wall - (now.monotonic - began))

    def on_step_written(self, step: LookStep, old: int, scan: ScanMark) -> None:
        """Enter that a part of what was there before is written down; `old` counts the old files in it."""
        self.first_look.on_step_written(step, old)
        if step.last:
            self._on_baseline_written(self.first_look.old, scan)

    def _on_baseline_written(self, count: int, scan: ScanMark) -> None:
        self._saved_scan, self._last = scan, None
        self._look, self._look_clock = replace(self._look, began=None), None
        self._saved_look = replace(self._saved_look, began=None)
        self._advance(WatchEvent.BASELINE)
        self._looked, self._blank_device = True, None
        self._stop_looking()
        self.first_look.forget_hints()
        if count:
            self._log(Log.BASELINE, folder=self.settings.name, count=count)

    # --- Scans ---------------------------------------------------------------------------------

    def on_compared(self, one: Compared, now: Now) -> None:
        """Enter whether the root was replaced; the scan that follows looks at its files accordingly."""
        self._scan_began, self._scan_outdated = None, False
        if self.phase is not WatchPhase.UP or not self._compares:  # it went down meanwhile
            return
        before, armed = self._look.root, self._armed
        if before is not None and armed is not None and armed.root is not None:
            old_before = self._look.old_before
            if one.replaced:
                # A link that leads here again may have been switched long after the last look at the former
                # root: what is older than the link is not new.
                seen_at = min(before.seen_at, now.wall)  # the clock may have been set back since
                old_before = max(seen_at - MISSED, old_before or 0.0)
            self._look = replace(self._look, root=RootMark(*armed.root, now.wall), old_before=old_before)
        self._compares = False
        self._scan = None  # that of the former root must not pass for a scan of this one
        self._next_scan = now.monotonic

    def look_to_save(self, *, with_scan: bool = False) -> LookMark | None:
        """Return what the ledger has to know of the looks at the root; None where it need not."""
        look, saved = self._look, self._saved_look
        if look.root is None or saved.root is None or with_scan:
            return None if look == saved else look
        # When the root was last seen need not be written every few seconds.
        seen_alike = replace(look, root=replace(look.root, seen_at=saved.root.seen_at))
        return None if seen_alike == saved else look

    def on_look_saved(self, look: LookMark) -> None:
        """Enter that the ledger knows of a look."""
        self._saved_look = look

    def on_scan_failed(self, at: float) -> None:
        """Ask for another scan at `at`: the ledger could not be read for this one."""
        self._scan_began, self._scan_outdated = None, False
        self._next_scan = at

    def on_scanned(self, one: Scanned, now: Now) -> None:
        """Enter that a scan came to its end."""
        at = now.monotonic
        self._findings_before, self._findings = self._findings, set()
        if self.phase is not WatchPhase.UP:  # it began before the folder went down
            return
        if self._scan_outdated:
            self._scan_began, self._scan_outdated = None, False
            self._next_scan = at
            return
        began = at if self._scan_began is None else self._scan_began
        if self._scan_began is not None:  # else it was of the watch before
            self._scan, self._widened = self.mark_scan(now), one.widened
            self._last_scan_began = began
        self._scan_began = None
        # Another scan may have been asked for meanwhile, because events were lost.
        self._next_scan = min(self._next_scan, self._rest_until(at, at - began))
        # A directory that was made during the scan is watched a moment later: only those count that two
        # scans in a row found without events.
        lasting = one.unwatched & self._unwatched
        self._unwatched = one.unwatched
        if self._coverage is Coverage.POLLED:
            if at >= self._next_trial:
                self._coverage = advance(COVERAGE, self._coverage, CoverageEvent.TRY)
                self._rearm(at)
        elif lasting:
            self._cover(CoverageEvent.GAPS, Cause("unwatched", str(len(lasting)), "WATCHES"), at)
            self._rearm(at)
        elif one.unwatched:
            self._next_scan = min(self._next_scan, at + self.settings.poll_interval)
        elif self.kind is WatchKind.INOTIFY:
            if self._coverage is Coverage.TRIAL:
                self._log_folder(Log.FOLDER_BACK)
            self._coverage = advance(COVERAGE, self._coverage, CoverageEvent.COMPLETE)

    def scan_to_save(self, *, stopping: bool = False) -> ScanMark | None:
        """Return the last complete scan where the ledger has to know of it; None where it need not.

        A polled folder is scanned every few seconds, and while nothing happens nothing is written. So of the
        scans with one filter, some and the last before a stop are recorded.
        """
        scan, saved = self._scan, self._saved_scan
        if scan is None or scan == saved:
            return None
        if saved is None or scan.rules != saved.rules or stopping or self._look.old_before is not None:
            return scan
        # The wall clock may have been set back: a mark in the future would make new files old.
        return scan if abs(scan.at - saved.at) >= SAVE_INTERVAL else None

    def on_scan_saved(self, scan: ScanMark) -> None:
        """Enter that the ledger knows of a scan: the filter before it decides nothing any more."""
        widened, self._widened = self._widened, Widened()
        self._saved_scan, self._last = scan, None
        text = Log.WIDENED if self._look.old_before is None else Log.REPLACED
        self._look = replace(self._look, old_before=None)
        if widened.old or widened.new:
            existing = self.settings.existing
            self._log_folder(text, old=widened.old, new=widened.new, existing=existing)

    def _rest_until(self, now: float, duration: float) -> float:
        """Return when the next scan is due after one that took `duration` seconds."""
        if self.kind is WatchKind.POLL:
            return now + max(self.settings.poll_interval, 5 * duration)
        return now + max(self.settings.rescan, 20 * duration)

    def _cover(self, event: CoverageEvent, cause: Cause, at: float) -> None:
        """Enter that kernel events are missing; where scans do their work from now on, log it once."""
        before, self._coverage = self._coverage, advance(COVERAGE, self._coverage, event)
        if self._coverage is Coverage.POLLED:
            self._next_trial = at + self.settings.rescan
            if before not in {Coverage.TRIAL, Coverage.POLLED}:
                self._log_folder(Log.FALLEN_BACK, **cause.log_values())

    def _rearm(self, at: float) -> None:
        self._advance(WatchEvent.REARM)
        # A check that is out may hang, and would be waited for; its answer means nothing to another watch.
        self._root_asked = None
        self._next_check = at

    # --- The log -------------------------------------------------------------------------------

    def _log_folder(self, text: Log, **values: object) -> None:
        self._log(text, folder=self.settings.name, path=names.readable(self.settings.root), **values)

    def log_irregular(self, paths: Iterable[bytes]) -> None:
        """Log links, pipes and the like, which are never sent; one line for all, as a share may hold many."""
        new = [path for path in paths if self._is_new(Log.NOT_REGULAR, path)]
        if new:
            self._log(Log.NOT_REGULAR, folder=self.settings.name, path=names.readable(new[0]), count=len(new))

    def log_unlisted(self, unlisted: Sequence[tuple[bytes, Verdict]]) -> None:
        """Log the directories that cannot be listed."""
        for path, verdict in unlisted:
            if self._is_new(Log.UNREADABLE, path):
                shown = {"folder": self.settings.name, "path": names.readable(path or b".")}
                self._log(Log.UNREADABLE, **shown, **verdict.cause.log_values())

    def _is_new(self, text: Log, path: bytes) -> bool:
        """Return whether neither this scan nor the one before it has found this already."""
        finding = (text, path)
        new = finding not in self._findings and finding not in self._findings_before
        self._findings.add(finding)
        return new
