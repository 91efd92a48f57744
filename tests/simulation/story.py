"""What happens in a life: what people and programs do with files, and what machine and network do to both."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from dingwatch.dingtalk import Host
from dingwatch.ledger import LedgerError, commands, folders
from dingwatch.ledger.commands import RETRIED, NotApplicableError
from dingwatch.lifecycle import State
from dingwatch.model import Cause, Failure, Misconfigured, NotReached
from dingwatch.settle import lock_names
from tests.simulation.disk import Inode, Place
from tests.simulation.life import FILTER, Life

GAPS: Final = (0.0, 0.01, 0.3, 1.0, 2.5, 4.0, 4.0, 8.0, 30.0, 90.0)
NAMES: Final = (b"a.pdf", b"b.txt", b"c.xyz", b"d.html", b"e", b"f.pdf")
DIRECTORIES: Final = (b"", b"", b"in/", b"in/deep/", b"out/")
ASIDE: Final = b"~writing.tmp"


class Story:
    """Plays some steps, one after the other, into a life."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self.rng = life.rng
        self.left = self.rng.randint(5, 18)
        self.over = False
        self._contents: list[bytes] = []
        self._old: list[tuple[Place, bytes, int, int]] = []
        names = [self.rng.choice(DIRECTORIES) + self.rng.choice(NAMES) for _ in range(self.rng.randint(1, 5))]
        self._paths = sorted(set(names))
        files, world = self.rng.choice(((3, 1), (1, 0), (1, 1), (8, 1)))
        self._steps: list[Callable[[], None]] = [*self._file_steps() * files, *self._world_steps() * world]

    def _file_steps(self) -> list[Callable[[], None]]:
        return [
            self.create, self.create, self.create, self.replace, self.write_slowly, self.touch, self.chmod,
            self.move, self.move, self.move_directory, self.link, self.delete, self.put_back, self.truncate,
            self.save_again, self.save_twice, self.huge, self.edit,
        ]  # fmt: skip

    def _world_steps(self) -> list[Callable[[], None]]:
        return [
            self.life.kill, self.life.kill, self.life.kill, self.life.stop, self.ledger_fails, self.remount,
            self.folder_leaves, self.jump, self.network_fails, self.media_lost, self.tokens_end,
            self.watch_dies, self.retry, self.retry, self.retry_all, self.life.poke, self.release,
            self.discard, self.resolve,
        ]  # fmt: skip

    def begin(self) -> None:
        """Put some files in the folders, set faults going, start the process and the story."""
        for _ in range(self.rng.choice((0, 0, 1, 3))):
            self.life.disk.write(self._place(), self._content())
        self.life.chat.rate = self.life.shape.rate
        self.life.disk.hinder = self._hinder
        self.life.disk.meanwhile = self._meanwhile
        self.life.after(0.0, self.life.start)
        self.life.after(self.rng.choice(GAPS), self._step)

    def _step(self) -> None:
        if not self.left:
            self.over = True
            return
        self.left -= 1
        step = self.rng.choice(self._steps)
        self.life.tell(f"{step.__name__}")
        step()
        self.life.after(self.rng.choice(GAPS), self._step)

    # --- Chance -------------------------------------------------------------------------------------

    def _place(self) -> Place:
        return self.rng.choice(self.life.trees).root, self.rng.choice(self._paths)

    def _there(self) -> Place | None:
        places = [
            p for p in self.life.disk.places() if FILTER.accepts(p[1]) and self.life.disk.trees[p[0]].up
        ]
        return self.rng.choice(places) if places else None

    def _content(self) -> bytes:
        if self._contents and self.rng.random() < 0.25:
            return self.rng.choice(self._contents)
        made = b"content %04d" % len(self._contents)
        self._contents.append(made)
        return made

    def _instant(self) -> int | None:
        """Return an mtime as a copy or an archive brings it, or none."""
        return self.rng.randint(1, 3) * 10**9 if self.rng.random() < 0.2 else None

    def _happened(self, places: list[Place]) -> None:
        lost = self.life.shape.rate > 0 and self.rng.random() < 0.15
        if places:
            self.life.tell(f"   {places}{' (untold)' if lost else ''}")
        self.life.notice(places, lost=lost)

    def _hinder(self, what: str) -> None:
        if self.rng.random() >= self.life.shape.rate / 20:
            return
        if what == "list":
            if not self.life.shape.strict:
                raise Failure(Misconfigured(Cause("EACCES", "", "FILE_FORBIDDEN")))
            return
        self.life.tell(f"   {what}: EBUSY")
        raise Failure(NotReached(Cause("EBUSY", "", "FILE_UNREADABLE")))

    def _meanwhile(self) -> None:
        """Something happens to files in the midst of a reading or a scan."""
        if not self.over and self.rng.random() < self.life.shape.rate / 5:
            step = self.rng.choice(self._file_steps())
            self.life.tell(f"   meanwhile {step.__name__}")
            step()

    # --- Files ----------------------------------------------------------------------------------------

    def _remember(self, place: Place) -> None:
        inode = self.life.disk.trees[place[0]].files.get(place[1])
        if inode is not None:
            self._old.append((place, inode.content, inode.mtime, inode.padding))

    def create(self) -> None:
        """A file is copied into a folder, over another perhaps."""
        place = self._place()
        if self.life.disk.trees[place[0]].up:
            self._remember(place)
            self._happened(self.life.disk.write(place, self._content(), mtime=self._instant()))

    def replace(self) -> None:
        """A file is written aside and renamed into place."""
        place = self._place()
        aside = place[0], ASIDE
        if self.life.disk.trees[place[0]].up:
            self._remember(place)
            self.life.disk.write(aside, self._content())
            self._made_by_rename(aside, place)

    def _made_by_rename(self, aside: Place, place: Place) -> None:
        content = self.life.disk.trees[aside[0]].files[aside[1]].content
        places = self.life.disk.rename(aside, place)
        if places:
            self.life.disk.count(place[0], content)
        self._happened(places)

    def write_slowly(self) -> None:
        """A writer appends with pauses; it keeps the file open to the end, or closes it each time."""
        place = self._place()
        if not self.life.disk.trees[place[0]].up:
            return
        self._remember(place)
        self._happened(self.life.disk.write(place, self._content()))
        inode = self.life.disk.trees[place[0]].files[place[1]]
        keeps_open = self.rng.random() < 0.5
        inode.writers += keeps_open
        later = 0.0
        steps = self.rng.randint(1, 3)
        for _ in range(steps):
            later += self.rng.choice((0.2, 1.0, 3.0, 20.0))
            self.life.after(later, partial(self._append, place, inode, told=not keeps_open))
        if keeps_open:
            self.life.after(later + self.rng.choice((0.0, 3.0, 100.0)), partial(self._close, inode))

    def _append(self, place: Place, inode: Inode, *, told: bool) -> None:
        tree = self.life.disk.trees[place[0]]
        if tree.files.get(place[1]) is inode and tree.up:
            self.life.tell(f"append to {place}")
            self.life.disk.append(place, b"+%d" % self.rng.randint(0, 9))
            if told:
                self.life.notice(self.life.disk.events_of(place))

    def _close(self, inode: Inode) -> None:
        inode.writers -= 1
        self.life.tell("closed")
        self.life.notice(self.life.disk.names(inode))

    def edit(self) -> None:
        """An editor puts its lock beside a file, saves, and takes the lock away; or dies and leaves it."""
        if not (place := self._there()):
            return
        directory, slash, name = place[1].rpartition(b"/")
        lock = place[0], directory + slash + self.rng.choice(lock_names(name))
        self._happened(self.life.disk.write(lock, b"me"))
        self.life.after(self.rng.choice((1.0, 5.0)), partial(self._save, place))
        if self.rng.random() < 0.8:
            self.life.after(self.rng.choice((2.0, 60.0)), partial(self._unlock, lock))

    def _unlock(self, lock: Place) -> None:
        tree = self.life.disk.trees[lock[0]]
        if lock[1] in tree.files and tree.up:
            self.life.tell("unlocked")
            self._happened(self.life.disk.delete(lock))

    def touch(self) -> None:
        """A file gets another mtime."""
        if place := self._there():
            self._happened(self.life.disk.touch(place))

    def chmod(self) -> None:
        """A file gets another ctime."""
        if place := self._there():
            self._happened(self.life.disk.chmod(place))

    def move(self) -> None:
        """A file is moved, over another perhaps, or to another folder."""
        if place := self._there():
            target = self._place() if self.rng.random() < 0.3 else (place[0], self.rng.choice(self._paths))
            if self.life.disk.trees[target[0]].up:
                self._happened(self.life.disk.rename(place, target))

    def move_directory(self) -> None:
        """A whole directory gets another name."""
        tree = self.rng.choice(self.life.trees)
        if not tree.up:
            return
        places: list[Place] = []
        for path in sorted(tree.files):
            if path.startswith(b"in/") and b"new/" + path not in tree.files:
                places += self.life.disk.rename((tree.root, path), (tree.root, b"new/" + path))
        self._happened(places)

    def link(self) -> None:
        """A file gets a second name."""
        if place := self._there():
            self._happened(self.life.disk.link(place, (place[0], self.rng.choice(self._paths))))

    def delete(self) -> None:
        """A file is deleted."""
        if place := self._there():
            self._remember(place)
            self._happened(self.life.disk.delete(place))

    def put_back(self) -> None:
        """An earlier file is put back as it was, its mtime too."""
        if self._old:
            place, content, mtime, padding = self.rng.choice(self._old)
            if self.life.disk.trees[place[0]].up:
                self._remember(place)
                self._happened(self.life.disk.write(place, content, mtime=mtime, padding=padding))

    def truncate(self) -> None:
        """A file is emptied, or an empty one made."""
        place = self._place()
        if self.life.disk.trees[place[0]].up:
            self._happened(self.life.disk.write(place, b""))

    def save_again(self) -> None:
        """A file is saved with nothing changed."""
        if place := self._there():
            inode = self.life.disk.trees[place[0]].files[place[1]]
            self._happened(self.life.disk.write(place, inode.content, padding=inode.padding))

    def save_twice(self) -> None:
        """Two versions come within seconds."""
        place = self._place()
        if self.life.disk.trees[place[0]].up:
            self._happened(self.life.disk.write(place, self._content()))
            self.life.after(self.rng.choice((0.5, 2.2, 3.3)), partial(self._save, place))

    def _save(self, place: Place) -> None:
        if self.life.disk.trees[place[0]].up:
            self.life.tell("saved again")
            self._happened(self.life.disk.write(place, self._content()))

    def huge(self) -> None:
        """A file comes that is larger than DingTalk takes."""
        place = self._place()
        if self.life.disk.trees[place[0]].up and self.rng.random() < 0.3:
            self._happened(self.life.disk.write(place, self._content() + b" huge", padding=21 << 20))

    # --- The world ------------------------------------------------------------------------------------

    def ledger_fails(self) -> None:
        """The disk of the ledger is full for a while."""
        self.life.full = True
        self.life.after(self.rng.choice((0.5, 3.0, 20.0)), self._ledger_is_back)

    def _ledger_is_back(self) -> None:
        self.life.full = False

    def folder_leaves(self) -> None:
        """A share is away for a while."""
        tree = self.rng.choice(self.life.trees)
        tree.up = False

        def back() -> None:
            tree.up = True
            self.life.tell(f"{tree.root!r} is back")

        self.life.after(self.rng.choice((1.0, 20.0, 100.0)), back)

    def remount(self) -> None:
        """A share is mounted anew: its root and all its files are on another device."""
        tree = self.rng.choice(self.life.trees)
        tree.device = self.life.disk.number()
        tree.mounted = tree.mounted or self.rng.random() < 0.5

    def jump(self) -> None:
        """The wall clock jumps."""
        by = self.rng.choice((-1800.0, -90.0, -30.0, 30.0, 90.0, 1800.0))
        self.life.jumped = self.life.jumped or by < 0
        self.life.offset += by

    def network_fails(self) -> None:
        """DingTalk cannot be reached for a while."""
        self.life.chat.out = True
        self.life.after(self.rng.choice((2.0, 20.0, 60.0)), self._network_is_back)

    def _network_is_back(self) -> None:
        self.life.chat.out = False

    def media_lost(self) -> None:
        """DingTalk forgets a file."""
        self.life.chat.lose()

    def tokens_end(self) -> None:
        """Tokens come to their end."""
        self.life.chat.fresh = dict.fromkeys(Host, False)

    def watch_dies(self) -> None:
        """Events of all folders stop."""
        self.life.observer.armed.clear()

    def retry(self) -> None:
        """A person has deliveries tried again."""
        rows = self.life.rows(RETRIED if self.rng.random() < 0.9 else tuple(State))
        if rows:
            self._command(
                lambda: commands.retry(self.life.store, [self.rng.choice(rows)], (), self.life.wall)
            )

    def retry_all(self) -> None:
        """A person has all that failed tried again."""
        self._command(lambda: commands.retry_all(self.life.store, self.life.wall))

    def release(self) -> None:
        """A person lets a flood go."""
        for folder in self.life.ids:
            self._command(partial(folders.release_flood, self.life.store, folder, self.life.wall))

    def discard(self) -> None:
        """A person has a flood not sent."""
        for folder in self.life.ids:
            self._command(partial(folders.discard_flood, self.life.store, folder, self.life.wall))

    def resolve(self) -> None:
        """A person looks into the conversation, and says of a doubt whether the message is there."""
        rows = self.life.rows((State.UNCERTAIN,))
        if not rows:
            return
        row = self.rng.choice(rows)
        sent = any(one.row.id == row for one in self.life.chat.received)
        self._command(partial(commands.resolve, self.life.store, row, sent=sent, now=self.life.wall))

    def _command(self, run: Callable[[], object]) -> None:
        try:
            run()
        except (LedgerError, NotApplicableError) as error:
            self.life.tell(f"   refused: {error}")
        else:
            self.life.poke()
