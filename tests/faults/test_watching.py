"""Watching never dies silently: what kernels, mounts and people do to a folder, with real ones of each."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers.inotify import InotifyObserver
from watchdog.observers.inotify_c import CallbackId, InotifyConstants, InotifyEvent, Mask, WatchDescriptor

from dingwatch import intake
from dingwatch.model import WatchKind
from dingwatch.sandbox import Fault, FaultKind, Sandbox
from dingwatch.texts import Log
from tests.faults.conftest import Confined, Mount, Watched, arrive, unmount
from tests.ledger import states
from tests.support import eventually, running

SOON = {"rescan": 1.0}
BURST = 10_000
"""Renames while nobody reads: two events each, more than the kernel keeps (`max_queued_events`: 16,384)."""


# --- Events that are lost --------------------------------------------------------------------------


@pytest.mark.sweep
def test_a_queue_that_overflowed_is_made_up_for_by_a_scan(
    confined: Confined, share: Path, sandbox: Sandbox
) -> None:
    """What the kernel had no room to tell of arrives, long before the next scan is due."""
    process = confined.start()
    (share / "before.txt").write_text("before")
    arrive(sandbox, {"before.txt"})
    process.send_signal(signal.SIGSTOP)
    (share / "a.tmp").touch()
    for _ in range(BURST):
        (share / "a.tmp").rename(share / "b.tmp")
        (share / "b.tmp").rename(share / "a.tmp")
    wanted = {"before.txt"}
    for number in range(20):
        directory = share / f"d{number % 3}"
        directory.mkdir(exist_ok=True)
        (directory / f"{number}.txt").write_text(str(number))
        wanted.add(f"{number}.txt")
    process.send_signal(signal.SIGCONT)
    arrive(sandbox, wanted)
    for number in range(3):
        (share / f"d{number}" / f"after{number}.txt").write_text(f"after {number}")
        wanted.add(f"after{number}.txt")
    arrive(sandbox, wanted)
    confined.end(process)


def test_a_process_that_stood_still_misses_nothing(confined: Confined, share: Path, sandbox: Sandbox) -> None:
    """Stopped for a while, as a machine is that sleeps, it goes on with what came meanwhile."""
    process = confined.start()
    process.send_signal(signal.SIGSTOP)
    for number in range(5):
        (share / f"{number}.txt").write_text(str(number))
    process.send_signal(signal.SIGCONT)
    arrive(sandbox, [f"{number}.txt" for number in range(5)])
    confined.end(process)


class Breaks(FileSystemEventHandler):
    """What is called by a thread of watchdog, with a bug in it."""

    def dispatch(self, event: FileSystemEvent) -> None:
        """End the thread that hands events out."""
        raise RuntimeError(event.event_type)

    def on_event(self, event: InotifyEvent) -> None:
        """End the thread that reads them from the kernel."""
        raise RuntimeError(event.name)

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:
        """Do nothing."""

    def on_queue_overflow(self) -> None:
        """Do nothing."""


def break_dispatcher(observer: InotifyObserver, other: Path) -> None:
    """End the thread that hands events out."""
    observer.schedule(Breaks(), str(other))
    (other / "x").touch()
    eventually(lambda: not observer.is_alive())


def break_reader(observer: InotifyObserver, other: Path) -> None:
    """End the thread that reads events from the kernel."""
    reader = observer._inotify_fd
    mask = Mask(InotifyConstants.IN_CREATE)
    reader.add_callback(os.fsencode(other), mask, Breaks(), CallbackId(1))
    (other / "x").touch()
    eventually(lambda: not reader.is_alive())


def break_emitter(observer: InotifyObserver, _other: Path) -> None:
    """End the thread that groups events."""
    for emitter in observer.emitters:
        emitter.stop()
        emitter.join()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("break_it", [break_dispatcher, break_reader, break_emitter])
def test_a_dead_thread_is_replaced(
    watched: Watched, share: Path, tmp_path: Path, break_it: Callable[[InotifyObserver, Path], None]
) -> None:
    """A thread of watchdog that died makes no noise; the look at the folder notices it."""
    other = tmp_path / "other"
    other.mkdir()
    with watched.running() as service:
        (share / "a.txt").write_text("a")
        watched.arrives("a.txt")
        observer = service._intake.observer._observer
        assert observer is not None
        break_it(observer, other)
        (share / "b.txt").write_text("b")
        watched.arrives("a.txt", "b.txt")
        watched.becomes(WatchKind.INOTIFY)
        (share / "c.txt").write_text("c")
        watched.arrives("a.txt", "b.txt", "c.txt")
    assert watched.heard.count(Log.FOLDER_DOWN) == 1


# --- Roots that come and go ------------------------------------------------------------------------


def test_a_root_deleted_and_made_again_and_again(watched: Watched, share: Path) -> None:
    """Each new directory of that name is watched; a file with old content in it is no new one."""
    with watched.running():
        names = []
        for number in range(4):
            (share / f"{number}.txt").write_text(str(number))
            names.append(f"{number}.txt")
            watched.arrives(*names)
            shutil.rmtree(share)
            eventually(lambda: watched.kind() is WatchKind.DOWN)
            share.mkdir()
        watched.becomes(WatchKind.INOTIFY)
    assert watched.heard.count(Log.FOLDER_DOWN) == 4


def test_two_folders_with_one_root_that_is_made_again(watched: Watched, share: Path) -> None:
    """Each is watched again: neither takes the dead watch of the other for its own."""
    one = watched.setting.folders[0]
    other = replace(one, name="other", conversation_ids=(watched.sandbox.conversations[1].id,))
    with running(replace(watched.setting, folders=(one, other)), watched.heard) as service:
        observer = service._intake.observer

        def watches() -> bool:
            return all(
                kind is WatchKind.INOTIFY and observer.alive(number)
                for number, (kind, _) in service.watching().items()
            )

        eventually(watches)
        for number in range(3):
            shutil.rmtree(share)
            eventually(lambda: not watches())
            share.mkdir()
            eventually(watches)
            (share / f"{number}.txt").write_text(str(number))
            watched.arrives(*(f"{n}.txt" for n in range(number + 1)))


def test_a_root_made_again_at_once(watched: Watched, share: Path) -> None:
    """It is another directory, though it was never seen to be away."""
    with watched.running():
        for number in range(4):
            shutil.rmtree(share)
            share.mkdir()
            (share / f"{number}.txt").write_text(str(number))
            watched.arrives(*(f"{n}.txt" for n in range(number + 1)))


def test_a_root_renamed_and_another_in_its_place(watched: Watched, share: Path) -> None:
    """The name counts, not the directory: what is dropped into the renamed one stays where it is."""
    away = share.with_name("away")
    with watched.running():
        (share / "a.txt").write_text("a")
        watched.arrives("a.txt")
        share.rename(away)
        (away / "not here.txt").write_text("not here")
        share.mkdir()
        (share / "b.txt").write_text("b")
        watched.arrives("a.txt", "b.txt")
        (away / "nor here.txt").write_text("nor here")
        shutil.rmtree(share)
        away.rename(share)
        (share / "c.txt").write_text("c")
        watched.arrives("a.txt", "b.txt", "c.txt", "not here.txt", "nor here.txt")


def test_a_root_that_is_moved_behind_a_link_is_followed(watched: Watched, share: Path) -> None:
    """Somebody moves it, leaves a link in its place, and puts it back: it is the same folder all the time."""
    away = share.with_name("away")
    with watched.running():
        share.rename(away)
        share.symlink_to(away)
        (away / "a.txt").write_text("a")
        watched.arrives("a.txt")
        share.unlink()
        away.rename(share)
        (share / "b.txt").write_text("b")
        watched.arrives("a.txt", "b.txt")


# --- Mounts ----------------------------------------------------------------------------------------


def test_a_mount_over_the_root_and_away_again(watched: Watched, share: Path, mount: Mount) -> None:
    """What is mounted there is what is watched; what lay beneath comes to light again unharmed."""
    with watched.running():
        (share / "a.txt").write_text("a")
        watched.arrives("a.txt")
        mount(share, "-t", "tmpfs", "none")
        (share / "b.txt").write_text("b")
        watched.arrives("a.txt", "b.txt")
        (share / "c.txt").write_text("c")
        watched.arrives("a.txt", "b.txt", "c.txt")
        unmount(share)
        (share / "d.txt").write_text("d")
        watched.arrives("a.txt", "b.txt", "c.txt", "d.txt")


@pytest.fixture
def backing(tmp_path: Path, share: Path, mount: Mount) -> Path:
    """A file system that is mounted at the folder, and may be unmounted there and mounted again."""
    made = tmp_path / "backing"
    made.mkdir()
    mount(made, "-t", "tmpfs", "none")
    mount(share, "--bind", str(made))
    return made


def test_an_unmounted_root_loses_nothing(
    watched: Watched, share: Path, backing: Path, mount: Mount, sandbox: Sandbox
) -> None:
    """What waited when it was unmounted, and what came meanwhile, arrives when it is mounted again."""
    with watched.running(**SOON):
        (share / "a.txt").write_text("a")
        watched.arrives("a.txt")
        sandbox.inject(Fault(api="media/upload", kind=FaultKind.THROTTLE, times=None))
        (share / "b.txt").write_text("b")
        eventually(lambda: states(watched.setting).total() == 2)
        unmount(share)
        eventually(lambda: watched.heard.count(Log.FOLDER_DOWN))
        (backing / "c.txt").write_text("c")
        mount(share, "--bind", str(backing))
        sandbox.clear_faults()
        watched.arrives("a.txt", "b.txt", "c.txt")
        (share / "d.txt").write_text("d")
        watched.arrives("a.txt", "b.txt", "c.txt", "d.txt")


@pytest.mark.sweep
def test_an_unmounted_root_takes_no_file_for_gone(
    watched: Watched, share: Path, backing: Path, sandbox: Sandbox
) -> None:
    """The empty directory beneath a mount says nothing about the files of the mount."""
    assert backing.exists()
    sandbox.inject(Fault(api="media/upload", kind=FaultKind.THROTTLE, times=None))
    with watched.running(**SOON):
        (share / "a.txt").write_text("a")
        eventually(lambda: states(watched.setting).total() == 1)
        unmount(share)
        # Long enough for a missing file to be taken for deleted, and for several uploads to be tried.
        with pytest.raises(AssertionError):
            eventually(lambda: states(watched.setting)["gone"], 5.0)


@pytest.mark.parametrize("meanwhile", ["nothing", "a start"])
def test_a_start_without_the_mount_loses_nothing(
    watched: Watched, share: Path, backing: Path, mount: Mount, sandbox: Sandbox, meanwhile: str
) -> None:
    """A service that starts before the share is mounted sends what was left over once it is."""
    sandbox.inject(Fault(api="media/upload", kind=FaultKind.THROTTLE, times=None))
    with watched.running():
        (share / "a.txt").write_text("a")
        eventually(lambda: states(watched.setting).total() == 1)
    unmount(share)
    if meanwhile == "a start":
        with watched.running(**SOON):
            (backing / "b.txt").write_text("b")
    with watched.running(**SOON):
        (backing / "c.txt").write_text("c")
        mount(share, "--bind", str(backing))
        sandbox.clear_faults()
        watched.arrives("a.txt", "c.txt", *(["b.txt"] if meanwhile == "a start" else []))


@pytest.mark.parametrize("changes", [{}, SOON], ids=["seldom scanned", "often scanned"])
def test_a_mount_over_a_subdirectory(
    watched: Watched, share: Path, tmp_path: Path, mount: Mount, changes: dict[str, float]
) -> None:
    """What a mount brings along is found, and so is what comes into it later, also after it was away."""
    backing = tmp_path / "backing"
    (backing / "deep").mkdir(parents=True)
    (backing / "deep" / "a.txt").write_text("a")
    (share / "sub").mkdir()
    with watched.running(**changes):
        (share / "sub" / "0.txt").write_text("0")
        watched.arrives("0.txt")
        mount(share / "sub", "--bind", str(backing))
        watched.arrives("0.txt", "a.txt")
        (share / "sub" / "deep" / "b.txt").write_text("b")
        watched.arrives("0.txt", "a.txt", "b.txt")
        unmount(share / "sub")
        (share / "sub" / "c.txt").write_text("c")
        watched.arrives("0.txt", "a.txt", "b.txt", "c.txt")
        (backing / "d.txt").write_text("d")
        mount(share / "sub", "--bind", str(backing))
        watched.arrives("0.txt", "a.txt", "b.txt", "c.txt", "d.txt")
        (share / "sub" / "deep" / "e.txt").write_text("e")
        watched.arrives("0.txt", "a.txt", "b.txt", "c.txt", "d.txt", "e.txt")


# --- Shares that hang ------------------------------------------------------------------------------


def test_many_folders_on_a_share_that_hangs_hold_up_no_other(
    watched: Watched,
    share: Path,
    tmp_path: Path,
    server: subprocess.Popen[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Everything that is asked of them takes a thread and does not give it back until the share answers."""
    monkeypatch.setattr(intake.folder, "NETWORK_QUIET", 1.0)
    local = replace(watched.setting.folders[0], path=tmp_path / "local", root=os.fsencode(tmp_path / "local"))
    remote = [
        replace(local, name=str(number), path=share / str(number), root=os.fsencode(share / str(number)))
        for number in range(40)
    ]
    for one in (local, *remote):
        one.path.mkdir()
    with running(replace(watched.setting, folders=(*remote, local)), watched.heard) as service:
        server.send_signal(signal.SIGSTOP)
        for number in range(5):
            (local.path / f"{number}.txt").write_text(str(number))
            watched.arrives(*(f"{n}.txt" for n in range(number + 1)))
            shutil.rmtree(local.path)
            eventually(lambda: WatchKind.DOWN in {kind for kind, _ in service.watching().values()})
            local.path.mkdir()
            eventually(lambda: list(service.watching().values())[-1][0] is WatchKind.INOTIFY)
        server.send_signal(signal.SIGCONT)
        (remote[0].path / "remote.txt").write_text("remote")
        watched.arrives(*(f"{n}.txt" for n in range(5)), "remote.txt")


# --- Limits ----------------------------------------------------------------------------------------


def into_each(share: Path, name: str, number: int) -> set[str]:
    """Drop one file into each of so many directories."""
    for place in range(number):
        (share / f"d{place}").mkdir(exist_ok=True)
        (share / f"d{place}" / f"{name}{place}.txt").write_text(f"{name} {place}")
    return {f"{name}{place}.txt" for place in range(number)}


@pytest.mark.sweep
@pytest.mark.parametrize("there_before", [True, False])
def test_a_folder_out_of_watches_is_polled(
    confined: Confined, share: Path, sandbox: Sandbox, *, there_before: bool
) -> None:
    """With less watches than directories every file still arrives; `status` and the log tell what to do."""
    confined.set_folder(rescan="1s")
    confined.limited("max_inotify_watches", 5)
    if there_before:
        for place in range(20):
            (share / f"d{place}").mkdir()
    process = confined.start()
    wanted = into_each(share, "a", 20)
    arrive(sandbox, wanted)
    eventually(lambda: confined.watch() == "poll")
    wanted |= into_each(share, "b", 20)
    arrive(sandbox, wanted)
    confined.limit_is(process, "max_inotify_watches", 1000)
    eventually(lambda: confined.watch() == "inotify", 60.0)
    wanted |= into_each(share, "c", 20)
    arrive(sandbox, wanted)
    logged = confined.end(process)
    assert logged.count("fs.inotify.max_user_watches") == 1, logged
    assert logged.count("\n") < 200, logged[-3000:]


@pytest.mark.sweep
def test_a_machine_without_an_instance_is_polled(confined: Confined, share: Path, sandbox: Sandbox) -> None:
    """Where the kernel gives no inotify at all, a scan does its work until it does."""
    confined.set_folder(rescan="1s")
    confined.limited("max_inotify_instances", 0)
    process = confined.start()
    wanted = into_each(share, "a", 3)
    arrive(sandbox, wanted)
    assert confined.watch() == "poll"
    confined.limit_is(process, "max_inotify_instances", 10)
    eventually(lambda: confined.watch() == "inotify", 60.0)
    wanted |= into_each(share, "b", 3)
    arrive(sandbox, wanted)
    logged = confined.end(process)
    assert logged.count("fs.inotify.max_user_instances") == 1, logged


# --- Rights ----------------------------------------------------------------------------------------

LIKE_A_USER = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")


@pytest.mark.sweep
def test_a_forbidden_root_is_down_until_it_is_allowed(
    confined: Confined, share: Path, sandbox: Sandbox
) -> None:
    """A folder that may not be read is reported, does not hold up the start, and is watched once it may."""
    confined.behind(*LIKE_A_USER)
    share.chmod(0)
    process = confined.start()
    assert confined.watch() == "down"
    share.chmod(0o755)
    eventually(lambda: confined.watch() == "inotify")
    (share / "a.txt").write_text("a")
    arrive(sandbox, {"a.txt"})
    assert "EACCES" in confined.end(process)


@pytest.mark.sweep
def test_a_root_that_is_forbidden_for_a_while_loses_nothing(
    confined: Confined, share: Path, sandbox: Sandbox
) -> None:
    """What was dropped while nobody but its owner might look arrives when that is over."""
    confined.set_folder(rescan="1s")
    confined.behind(*LIKE_A_USER)
    process = confined.start()
    (share / "a.txt").write_text("a")
    arrive(sandbox, {"a.txt"})
    share.chmod(0)
    (share / "b.txt").write_text("b")
    (share / "sub").mkdir()
    (share / "sub" / "c.txt").write_text("c")
    # Several scans find it forbidden, until then.
    eventually(lambda: confined.history("--limit", "1"))
    share.chmod(0o755)
    arrive(sandbox, {"a.txt", "b.txt", "c.txt"})
    (share / "sub" / "d.txt").write_text("d")
    arrive(sandbox, {"a.txt", "b.txt", "c.txt", "d.txt"})
    confined.end(process)


@pytest.mark.sweep
def test_a_forbidden_subdirectory_is_read_once_it_is_allowed(
    confined: Confined, share: Path, sandbox: Sandbox
) -> None:
    """Its files are not there and not gone meanwhile; the rest of the folder is none the worse."""
    confined.set_folder(rescan="1s")
    confined.behind(*LIKE_A_USER)
    (share / "sub").mkdir(mode=0)
    process = confined.start()
    (share / "sub" / "a.txt").write_text("a")
    (share / "b.txt").write_text("b")
    arrive(sandbox, {"b.txt"})
    eventually(lambda: confined.watch() == "inotify")
    (share / "sub").chmod(0o755)
    arrive(sandbox, {"a.txt", "b.txt"})
    (share / "sub" / "c.txt").write_text("c")
    arrive(sandbox, {"a.txt", "b.txt", "c.txt"})
    (share / "sub").chmod(0)
    (share / "d.txt").write_text("d")
    arrive(sandbox, {"a.txt", "b.txt", "c.txt", "d.txt"})
    (share / "sub").chmod(0o755)
    (share / "sub" / "e.txt").write_text("e")
    arrive(sandbox, {"a.txt", "b.txt", "c.txt", "d.txt", "e.txt"})
    confined.end(process)


# --- Directories that move -------------------------------------------------------------------------


def test_a_directory_moved_out_and_in(watched: Watched, share: Path, tmp_path: Path) -> None:
    """Outside it is nobody's business; back inside or renamed it is watched, and only new files go."""
    outside = tmp_path / "outside"
    with watched.running():
        (share / "d" / "deep").mkdir(parents=True)
        (share / "d" / "deep" / "a.txt").write_text("a")
        watched.arrives("a.txt")
        (share / "d").rename(outside)
        (outside / "deep" / "b.txt").write_text("b")
        (share / "c.txt").write_text("c")
        watched.arrives("a.txt", "c.txt")
        outside.rename(share / "d")
        watched.arrives("a.txt", "b.txt", "c.txt")
        (share / "d" / "deep" / "d.txt").write_text("d")
        watched.arrives("a.txt", "b.txt", "c.txt", "d.txt")
        (share / "d").rename(share / "f")
        (share / "f" / "deep" / "e.txt").write_text("e")
        watched.arrives("a.txt", "b.txt", "c.txt", "d.txt", "e.txt")


def test_a_directory_is_moved_while_its_files_settle(watched: Watched, share: Path) -> None:
    """A file whose directory is renamed under it is sent once, from where it is then."""
    with watched.running(settle=0.5):
        for number in range(5):
            here = share / f"d{number}"
            here.mkdir()
            (here / f"{number}.txt").write_text(str(number))
            here.rename(share / f"e{number}")
        watched.arrives(*(f"{number}.txt" for number in range(5)))
        os.sync()
        (share / "e0" / "last.txt").write_text("last")
        watched.arrives(*(f"{number}.txt" for number in range(5)), "last.txt")


@pytest.mark.sweep
def test_a_tree_too_deep_to_be_watched_is_polled(watched: Watched, share: Path) -> None:
    """Watchdog walks by recursion, which ends at some depth; the service does not, and files arrive."""
    os.makedirs(share / "/".join(["d"] * 300))
    here = share / "/".join(["d"] * 300)
    for _ in range(900):
        here /= "d"
        here.mkdir()
    try:
        with watched.running(rescan=1.0):
            watched.becomes(WatchKind.POLL)
            (share / "a.txt").write_text("a")
            watched.arrives("a.txt")
    finally:
        subprocess.run(["/bin/rm", "-rf", share / "d"], check=True)  # Python's own walks by recursion too
