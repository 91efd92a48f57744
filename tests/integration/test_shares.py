"""Folders that several nodes share: one version and one delivery, whatever each of them sees of the files."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dingwatch import filters
from dingwatch.delivery import Reader
from dingwatch.dingtalk import MEDIA_LIMIT
from dingwatch.intake import FolderSettings, IntakeLoop
from dingwatch.intake.execute import Executor
from dingwatch.intake.jobs import Examine, Input, Job, TakeBaseline
from dingwatch.ledger import Outage, Store
from dingwatch.ledger.delivery import find_deliveries
from dingwatch.ledger.folders import MappedFolder, Share, bind
from dingwatch.model import Failure, NotReached, Now, WatchKind
from dingwatch.payload import PayloadPolicy
from dingwatch.watch import Hint, Observer
from tests.support import Heard

HOUR_NS = 3600 * 10**9
FAR = 1e11
"""A lease that does not end while a test runs."""


class Node:
    """The intake loop of one node over its view of a share; jobs are done at once, by a clock of the test.

    Kernel events are left out: what is noticed is told by the test, or found by a scan.
    """

    def __init__(
        self,
        store: Store,
        root: Path,
        *,
        ahead: float = 1e9,
        settings: str = "",
        **changes: Any,  # noqa: ANN401
    ) -> None:
        self.store, self.root, self.ahead = store, root, ahead
        self.settings = {"include": settings}
        self.share_name: str | None = "office"
        self.changes = changes
        self.now = 1000.0
        self.heard = Heard()
        self.executors: list[Executor] = []
        self.begin()

    @property
    def name(self) -> str:
        """The node's name in the ledger."""
        return self.store.node

    def begin(self) -> None:
        """Start a loop on the ledger, as the service does."""
        share = None if self.share_name is None else Share(self.share_name, self.settings)
        mapped = MappedFolder(os.fsencode(self.root), "office", ("cidA", "cidB"), share=share)
        with self.store.writing() as connection:
            (mark,) = bind(connection, [mapped])
        self.id = mark.id
        settings = FolderSettings(
            id=mark.id,
            root=mapped.root,
            name=mapped.name,
            conversations=mapped.recipients,
            code=PayloadPolicy("app", MEDIA_LIMIT),
            watch="poll",
            shared=share is not None,
            exclusive=False,
            **{"filter": filters.path_filter((), (), recursive=True), **self.changes},
        )
        self.inputs: list[Input] = []
        self.loop = IntakeLoop(
            self.store,
            [(settings, mark)],
            app="app",
            refused=frozenset(),
            log=self.heard,
            outage=Outage(self.heard),
        )
        observer = Observer(lambda _: None)
        self.execute = Executor(self.store, observer, {mark.id: settings}, self.inputs.append)
        self.executors.append(self.execute)
        self.jobs: list[Job] = []

    def tick(self) -> float | None:
        """Do everything that is due now; return when the loop is next needed."""
        while True:
            taken, self.inputs[:] = list(self.inputs), []
            plan = self.loop.tick(Now(self.now + self.ahead, self.now), taken)
            for job in plan.jobs:
                self.jobs.append(job)
                self.inputs.append(self.execute(job))
            if not self.inputs and (plan.next_at is None or plan.next_at > self.now):
                return plan.next_at

    def hint(self, name: str, *, must_read: bool = False) -> None:
        """Tell the loop that something happened to a path."""
        self.inputs.append(Hint(self.id, os.fsencode(name), must_read=must_read))

    @property
    def kind(self) -> WatchKind:
        """How it watches the share."""
        return self.loop.watching()[self.id][0]

    @property
    def reasons(self) -> list[str]:
        """The code and message of why it does not watch the share; none while it does."""
        return [f"{one.cause.code} {one.cause.message}".strip() for one in self.loop.list_down()]

    def close(self) -> None:
        """Close what it has open, as the end of its process does."""
        for one in self.executors:
            one.close()
        self.store.close()


def go(seconds: float, *nodes: Node) -> None:
    """Let time pass for all of these nodes; each does all that is due meanwhile, the first one first."""
    elapsed = 0.0
    starts = [node.now for node in nodes]
    while True:
        due = []
        for node, start in zip(nodes, starts, strict=True):
            node.now = start + elapsed
            next_at = node.tick()
            if next_at is not None:
                due.append(next_at - start)
        later = min(due, default=seconds)
        if later > seconds:
            break
        elapsed = later
    for node, start in zip(nodes, starts, strict=True):
        node.now = start + seconds


class Site:
    """A share, the ledger, and the nodes that work on both."""

    def __init__(self, url: str, path: Path) -> None:
        self.url, self.path = url, path
        self.share = path / "share"
        self.share.mkdir()
        self.nodes: list[Node] = []

    def node(self, name: str, root: Path | None = None, **changes: Any) -> Node:  # noqa: ANN401
        """Start a node that lives on; it has done nothing yet."""
        store = Store.open(self.url, name)
        made = Node(store, root or self.share, **changes)
        self.nodes.append(made)
        self.lease(made, FAR)
        return made

    def lease(self, node: Node, until: float) -> None:
        """Give a node a lease until an instant of the database's clock; it is over if that is 0."""
        self.run("DELETE FROM nodes WHERE name = %s", node.name)
        self.run(
            "INSERT INTO nodes (name, instance, started_at, lease_until) VALUES (%s, 'x', 0, %s)",
            node.name,
            until,
        )

    def run(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Run a statement on the ledger and return its rows."""
        with self.nodes[0].store.writing() as connection:
            found = connection.exec_driver_sql(statement, values or None)
            return [tuple(row) for row in found] if found.returns_rows else []

    def rows(self) -> list[tuple[str, str, str | None]]:
        """Return (path, state, code) of the deliveries to the first conversation."""
        found = self.run(
            "SELECT v.directory, v.name, d.state, d.code"
            " FROM deliveries d JOIN versions v ON v.id = d.version_id"
            " WHERE d.conversation_id = 'cidA' ORDER BY d.id"
        )
        return [
            (os.fsdecode(b"/".join(filter(None, (directory, name)))), state, code)
            for directory, name, state, code in found
        ]

    def seen(self) -> list[tuple[str, str]]:
        """Return (name of a file, node) of what the nodes have seen."""
        found = self.run(
            "SELECT v.name, f.node FROM fingerprints f JOIN versions v ON v.id = f.version_id"
            " ORDER BY v.id, f.node"
        )
        return [(os.fsdecode(name), node) for name, node in found]

    def events(self) -> list[str]:
        """Return the events of the history that are about no single delivery."""
        return [
            event for (event,) in self.run("SELECT event FROM history WHERE delivery_id IS NULL ORDER BY id")
        ]

    def set_states(self, state: str) -> None:
        """Give all deliveries a state, as delivery would have."""
        self.run("UPDATE deliveries SET state = %s", state)

    def drop(self, name: str, content: bytes = b"content") -> Path:
        """Write a file."""
        path = self.share / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path


@pytest.fixture
def site(postgres_url: str, tmp_path: Path) -> Iterator[Site]:
    """A share that no node has looked at."""
    made = Site(postgres_url, tmp_path)
    yield made
    for node in made.nodes:
        node.close()


def test_two_watchers_make_one_version_and_one_delivery(site: Site) -> None:
    """Both see a new file; one of them writes it down, and the other records how it sees it."""
    site.drop("old.pdf")
    east, west = site.node("east"), site.node("west")
    go(10.0, east, west)
    site.drop("a.pdf")
    go(20.0, east, west)
    assert site.rows() == [("a.pdf", "pending", None)]
    assert site.seen() == [("old.pdf", "east"), ("old.pdf", "west"), ("a.pdf", "east"), ("a.pdf", "west")]
    assert site.run("SELECT count(*) FROM versions WHERE baseline") == [(1,)]


ORDERS = [("east", "west"), ("west", "east")]


@pytest.fixture(params=ORDERS)
def pair(site: Site, request: pytest.FixtureRequest) -> list[Node]:
    """Two nodes that have looked at the share, in the order in which they see everything."""
    made = {name: site.node(name) for name in ("east", "west")}
    nodes = [made[name] for name in request.param]
    go(10.0, *nodes)
    return nodes


def mirror(site: Site, step: int = 1_000_000_000, shift: int = 0) -> Path:
    """Return a view of the share whose mtimes are rounded to a step, and shifted (nanoseconds)."""
    view = site.path / "view"
    shutil.copytree(site.share, view, dirs_exist_ok=True)
    for path in [one for one in view.rglob("*") if one.is_file()]:
        there = site.share / path.relative_to(view)
        if not there.exists():
            path.unlink()
            continue
        mtime = there.stat().st_mtime_ns // step * step + shift
        os.utime(path, ns=(mtime, mtime))
    return view


def examined(node: Node) -> list[bytes]:
    """Return the files that a node has read."""
    return [job.path for job in node.jobs if isinstance(job, Examine)]


def test_new_content_is_one_version_more(site: Site, pair: list[Node]) -> None:
    """An overwritten file goes out once more, and not from each node."""
    site.drop("a.pdf", b"one")
    go(20.0, *pair)
    site.set_states("sent")
    site.drop("a.pdf", b"two more")
    go(20.0, *pair)
    assert site.rows() == [("a.pdf", "sent", None), ("a.pdf", "pending", None)]
    go(100.0, *pair)
    assert len(site.rows()) == 2


def test_both_settle_a_file_before_either_has_written_it_down(site: Site, pair: list[Node]) -> None:
    """What the second one finds in the ledger, in its own transaction, it does not write again."""
    site.drop("a.pdf")
    waiting: list[tuple[Node, Job]] = []
    for node in pair:
        node.hint("a.pdf")
        while not any(one is node for one, _ in waiting):
            node.now += 0.5
            taken, node.inputs[:] = list(node.inputs), []
            for job in node.loop.tick(Now(node.now + node.ahead, node.now), taken).jobs:
                if isinstance(job, Examine):
                    waiting.append((node, job))
                else:
                    node.inputs.append(node.execute(job))
    done = [(node, node.execute(job)) for node, job in waiting]
    for node, outcome in done:
        node.inputs.append(outcome)
    go(20.0, *pair)
    assert site.rows() == [("a.pdf", "pending", None)]
    assert [node for _, node in site.seen()] == ["east", "west"]


def test_a_node_that_was_away_sends_nothing_again(site: Site, pair: list[Node]) -> None:
    """It adopts what the other one has sent, by size and mtime, and reads none of it."""
    first, second = pair
    for number in range(3):
        site.drop(f"{number}.pdf", b"%d" % number)
    go(20.0, first)
    site.set_states("sent")
    second.begin()
    go(20.0, second)
    assert len(site.rows()) == 3
    assert examined(second) == []
    assert len(site.seen()) == 6


def test_what_came_while_all_were_away_is_sent_once(site: Site, pair: list[Node]) -> None:
    """Whoever comes back first finds it."""
    site.drop("a.pdf")
    for node in pair:
        node.begin()
    go(30.0, *pair)
    assert site.rows() == [("a.pdf", "pending", None)]


def test_what_is_unknown_at_the_first_look_of_a_second_node_is_new(site: Site) -> None:
    """The first look at a share is taken once; what came after it is no baseline of a node that joins."""
    site.drop("old.pdf")
    east = site.node("east")
    go(10.0, east)
    site.drop("new.pdf")
    west = site.node("west")
    go(30.0, west, east)
    assert site.rows() == [("new.pdf", "pending", None)]


def test_a_share_that_was_empty_at_its_first_look_has_no_old_files_later(site: Site) -> None:
    """Its files are new even to a node that joins when they are there."""
    east = site.node("east")
    go(10.0, east)
    site.drop("a.pdf")
    go(20.0, east)
    site.set_states("sent")
    site.drop("b.pdf")
    west = site.node("west")
    go(30.0, west)
    assert site.rows() == [("a.pdf", "sent", None), ("b.pdf", "pending", None)]


@pytest.mark.parametrize("step", [1, 100, 1_000_000_000, 2_000_000_000])
def test_a_mount_of_other_precision_shows_the_same_files(site: Site, step: int) -> None:
    """A node adopts by size and an mtime that was rounded; none of these files is read or sent again."""
    site.drop("old.pdf")
    east = site.node("east")
    go(10.0, east)
    site.drop("a.pdf")
    go(20.0, east)
    site.set_states("sent")
    west = site.node("west", mirror(site, step))
    go(30.0, west, east)
    assert site.rows() == [("a.pdf", "sent", None)]
    assert examined(west) == []
    site.drop("b.pdf")
    mirror(site, step)
    go(60.0, west, east)
    assert site.rows() == [("a.pdf", "sent", None), ("b.pdf", "pending", None)]


def test_what_has_another_time_is_read_and_its_digest_decides(site: Site) -> None:
    """The same content is known; another one of the same size is new."""
    east = site.node("east")
    go(10.0, east)
    site.drop("same.pdf", b"same")
    site.drop("other.pdf", b"this")
    go(20.0, east)
    site.set_states("sent")
    view = mirror(site, shift=HOUR_NS)
    (view / "other.pdf").write_bytes(b"that")
    west = site.node("west", view)
    go(30.0, west)
    assert sorted(examined(west)) == [b"other.pdf", b"same.pdf"]
    assert site.rows()[2:] == [("other.pdf", "pending", None)]
    assert "touched" not in site.events()


def test_baseline_is_never_sent_for_its_time_alone(site: Site) -> None:
    """It has no digest to be compared with: its size makes it known to a node that has not seen it."""
    site.drop("old.pdf")
    east = site.node("east")
    go(10.0, east)
    west = site.node("west", mirror(site, shift=7 * HOUR_NS))
    go(200.0, west, east)
    assert site.rows() == []
    assert site.seen() == [("old.pdf", "east"), ("old.pdf", "west")]


@pytest.mark.parametrize("ahead", [-600.0, 600.0])
def test_clocks_may_differ(site: Site, ahead: float) -> None:
    """What two nodes see is one version whatever their clocks say."""
    site.drop("old.pdf")
    east, west = site.node("east"), site.node("west", ahead=1e9 + ahead)
    go(10.0, west, east)
    site.drop("a.pdf")
    go(30.0, west, east)
    site.set_states("sent")
    (site.share / "a.pdf").rename(site.share / "b.pdf")
    go(60.0, west, east)
    (site.share / "b.pdf").unlink()
    go(60.0, west, east)
    assert site.rows() == [("b.pdf", "sent", None)]


def test_a_touched_file_is_known_to_all_nodes(site: Site, pair: list[Node]) -> None:
    """It is read by each, and its history has one line."""
    path = site.drop("a.pdf")
    go(20.0, *pair)
    site.set_states("sent")
    os.utime(path, ns=(1, 1))
    go(60.0, *pair)
    assert len(site.rows()) == 1
    assert site.events() == ["touched"]


def test_a_file_is_moved_once(site: Site, pair: list[Node]) -> None:
    """Two nodes see a rename: the version takes the new path, and nothing is sent again."""
    path = site.drop("a.pdf")
    go(20.0, *pair)
    site.set_states("sent")
    path.rename(site.share / "b.pdf")
    go(60.0, *pair)
    assert site.rows() == [("b.pdf", "sent", None)]
    assert site.events() == ["moved"]
    assert site.run("SELECT missing_since FROM versions") == [(None,)]


def test_a_directory_is_moved_once(site: Site, pair: list[Node]) -> None:
    """So it is with all files of a directory that was renamed."""
    for number in range(3):
        site.drop(f"one/{number}.pdf", b"%d" % number)
    go(20.0, *pair)
    site.set_states("sent")
    (site.share / "one").rename(site.share / "two")
    go(60.0, *pair)
    assert site.rows() == [(f"two/{number}.pdf", "sent", None) for number in range(3)]
    assert site.events() == ["moved"] * 3


def test_a_file_that_all_miss_is_withdrawn(site: Site, pair: list[Node]) -> None:
    """Its owner took it back before it was sent; put back, it is sent after all, once."""
    path = site.drop("a.pdf")
    go(20.0, *pair)
    path.unlink()
    go(60.0, *pair)
    assert site.rows() == [("a.pdf", "gone", "withdrawn")]
    site.drop("a.pdf")
    go(60.0, *pair)
    assert [(path, state) for path, state, _ in site.rows() if state != "gone"] == [("a.pdf", "pending")]


def test_the_word_of_the_node_that_saw_it_last_is_enough(site: Site, pair: list[Node]) -> None:
    """The other one has not looked yet."""
    first, last = pair
    path = site.drop("a.pdf")
    go(20.0, first)
    go(20.0, last)
    site.run("UPDATE fingerprints SET seen_at = seen_at + 100 WHERE node = %s", last.name)
    path.unlink()
    go(60.0, last)
    assert site.rows() == [("a.pdf", "gone", "withdrawn")]


def test_what_one_node_misses_and_others_see_is_there(site: Site) -> None:
    """A view that has lost a file, and was not the last to see it, withdraws nothing."""
    east = site.node("east")
    go(10.0, east)
    view = mirror(site)
    west = site.node("west", view)
    go(10.0, west)
    site.drop("a.pdf")
    mirror(site)
    go(20.0, west, east)
    site.run("UPDATE fingerprints SET seen_at = seen_at + 100 WHERE node = 'east'")
    (view / "a.pdf").unlink()
    go(100.0, west, east)
    assert site.rows() == [("a.pdf", "pending", None)]
    site.lease(east, 0.0)  # now it is the only one that can tell
    go(100.0, west)
    assert site.rows() == [("a.pdf", "gone", "withdrawn")]


def test_a_node_whose_share_is_down_cannot_tell(site: Site, pair: list[Node]) -> None:
    """It was the last to see a file, and its mount has died: that the other one misses it is believed."""
    first, last = pair
    path = site.drop("a.pdf")
    go(20.0, *pair)
    site.run("UPDATE fingerprints SET seen_at = seen_at + 100 WHERE node = %s", last.name)
    path.unlink()
    go(60.0, first)
    assert site.rows() == [("a.pdf", "pending", None)]
    site.run("INSERT INTO folders_down (folder_id, node) VALUES (%s, %s)", first.id, last.name)
    go(60.0, first)
    assert site.rows() == [("a.pdf", "gone", "withdrawn")]


@pytest.mark.parametrize("empty", [True, False], ids=["empty", "absent"])
def test_a_share_that_is_unmounted_on_one_node_withdraws_nothing(site: Site, *, empty: bool) -> None:
    """What lies beneath the mount point says nothing, whatever was seen last."""
    east = site.node("east")
    go(10.0, east)
    site.drop("a.pdf")
    go(20.0, east)
    west = site.node("west", mirror(site))
    go(20.0, west)
    shutil.rmtree(west.root)
    if empty:
        west.root.mkdir()
    go(100.0, west, east)
    west.begin()
    go(100.0, west, east)
    assert site.rows() == [("a.pdf", "pending", None)]


def test_a_share_that_is_not_mounted_yet_is_not_watched(site: Site) -> None:
    """A node that joins finds an empty directory: it waits, and goes on once the files are there."""
    east = site.node("east")
    go(10.0, east)
    site.drop("a.pdf")
    go(20.0, east)
    (site.path / "view").mkdir()
    west = site.node("west", site.path / "view")
    go(20.0, west)
    assert west.reasons == ["not_mounted"]
    mirror(site)
    go(30.0, west)
    assert (west.reasons, site.rows()) == ([], [("a.pdf", "pending", None)])


def test_a_view_that_lags_behind_brings_no_older_version_back(site: Site) -> None:
    """A mount may show for a minute what a file was before; that one never follows the newer one."""
    east = site.node("east")
    go(10.0, east)
    site.drop("a.pdf", b"one")
    go(20.0, east)
    west = site.node("west", mirror(site))
    go(20.0, west)
    site.drop("a.pdf", b"two!")
    go(20.0, east)
    go(60.0, west, east)
    assert [state for _, state, _ in site.rows()] == ["gone", "pending"]
    mirror(site)
    go(60.0, west, east)
    assert [state for _, state, _ in site.rows()] == ["gone", "pending"]
    assert len(site.seen()) == 4


def test_the_first_look_is_taken_by_one_node(site: Site) -> None:
    """The other waits for it, and finds everything known; what came meanwhile is sent once."""
    for number in range(3):
        site.drop(f"{number}.pdf", b"%d" % number)
    east, west = site.node("east"), site.node("west")
    east.loop.tick(Now(east.now + east.ahead, east.now), [])
    go(2.0, west)
    site.drop("new.pdf")
    west.hint("new.pdf")
    go(30.0, east, west)
    assert site.rows() == [("new.pdf", "pending", None)]
    assert site.run("SELECT count(*) FROM versions WHERE baseline") == [(3,)]


def begin_to_look(node: Node) -> None:
    """Let a node begin its first look, and get no further than to note that."""
    for _ in range(3):
        taken, node.inputs[:] = list(node.inputs), []
        for job in node.loop.tick(Now(node.now + node.ahead, node.now), taken).jobs:
            if not isinstance(job, TakeBaseline):
                node.inputs.append(node.execute(job))


def test_a_node_waits_for_the_first_look_of_another_as_long_as_that_lives(site: Site) -> None:
    """When that one dies, it takes the look itself; what came since the other began is new."""
    site.drop("old.pdf")
    began = time.time()
    east = site.node("east", ahead=began - 1000.0)
    begin_to_look(east)
    west = site.node("west", ahead=began - 1000.0 + 60.0)
    go(20.0, west)
    assert west.reasons == ["first_look east"]
    os.utime(site.drop("new.pdf"), (1.0, 1.0))
    site.lease(east, 0.0)
    go(30.0, west)
    assert west.reasons == []
    assert site.rows() == [("new.pdf", "pending", None)]


def test_a_node_with_other_settings_reports_that_and_comes_back(site: Site) -> None:
    """The later one says which keys differ, and from which node; it resumes once they agree."""
    east, west = site.node("east"), site.node("west")
    go(10.0, east, west)
    west.settings = {"include": "other"}
    west.begin()
    go(10.0, east, west)
    assert (east.reasons, west.reasons) == ([], ["differs east: include"])
    assert site.run("SELECT DISTINCT node FROM routes") == [("east",)]
    east.settings = {"include": "other"}
    east.begin()
    site.drop("a.pdf")
    go(30.0, east, west)
    assert (east.reasons, west.reasons) == ([], [])
    assert site.run("SELECT DISTINCT node FROM routes ORDER BY node") == [("east",), ("west",)]
    assert site.rows() == [("a.pdf", "pending", None)]


def test_a_change_on_one_node_ends_its_own_watch(site: Site) -> None:
    """It is the later one, until the other has the same settings; both notice while they run."""
    east, west = site.node("east"), site.node("west")
    go(10.0, east, west)
    east.settings = {"include": "other"}
    east.begin()
    go(10.0, east, west)
    assert east.reasons == ["differs west: include"]
    assert site.run("SELECT DISTINCT node FROM routes") == [("west",)]
    west.settings = {"include": "other"}
    west.begin()
    go(10.0, east, west)
    assert (east.reasons, west.reasons) == ([], [])


def test_a_node_that_is_lost_has_no_say_about_settings(site: Site) -> None:
    """Its host may have been given up."""
    east = site.node("east")
    west = site.node("west", settings="other")
    go(10.0, east, west)
    assert west.reasons == ["differs east: include"]
    site.lease(east, 0.0)
    go(10.0, west)
    assert west.reasons == []


def test_a_folder_that_becomes_a_share_keeps_its_history(site: Site) -> None:
    """What this node has sent from it is known to all."""
    east = site.node("east")
    east.share_name = None
    east.begin()
    go(10.0, east)
    site.drop("a.pdf")
    go(20.0, east)
    site.set_states("sent")
    east.share_name = "office"
    east.begin()
    west = site.node("west")
    go(30.0, east, west)
    assert site.rows() == [("a.pdf", "sent", None)]
    assert site.seen() == [("a.pdf", "east"), ("a.pdf", "west")]


def test_three_nodes_share(site: Site) -> None:
    """Of whatever they do, one thing is done."""
    nodes = [site.node(name) for name in ("north", "east", "south")]
    go(10.0, *nodes)
    for number in range(5):
        site.drop(f"{number}.pdf", b"%d" % number)
    go(30.0, *nodes)
    site.set_states("sent")
    for number in range(5):
        (site.share / f"{number}.pdf").rename(site.share / f"moved {number}.pdf")
    go(60.0, *reversed(nodes))
    assert site.rows() == [(f"moved {number}.pdf", "sent", None) for number in range(5)]
    assert site.events() == ["moved"] * 5


# --- What is uploaded ------------------------------------------------------------------------------


def content(node: Node) -> bytes:
    """Read the file of the only version as an upload on this node does."""
    with node.store.reading() as connection:
        ids = connection.exec_driver_sql("SELECT id FROM deliveries ORDER BY id LIMIT 1").scalars().all()
        (row,) = find_deliveries(connection, ids).values()
    reader = Reader({node.id: os.fsencode(node.root)}, node.store)
    try:
        return reader.content(row)
    finally:
        reader.close()


@pytest.mark.parametrize("known", [True, False], ids=["seen", "not seen"])
def test_any_node_uploads_a_file_as_it_sees_it(site: Site, *, known: bool) -> None:
    """Its own mtime is compared; before it has seen the version, the digest decides."""
    east = site.node("east")
    go(10.0, east)
    west = site.node("west", mirror(site))
    go(10.0, west)
    site.drop("a.pdf")
    go(20.0, east)
    mirror(site)
    if known:
        go(60.0, west)
    assert [content(node) for node in (east, west)] == [b"content", b"content"]


def test_a_file_that_only_one_node_does_not_find_waits(site: Site) -> None:
    """Its upload there takes nothing back: another node may have the file."""
    east = site.node("east")
    go(10.0, east)
    west = site.node("west", mirror(site))
    site.drop("a.pdf")
    go(20.0, east)
    for seen in (False, True):
        if seen:
            mirror(site)
            go(60.0, west)
            (west.root / "a.pdf").unlink()
        with pytest.raises(Failure) as caught:
            content(west)
        assert isinstance(caught.value.verdict, NotReached)
    assert content(east) == b"content"


def test_a_file_that_is_another_one_on_a_node_is_not_uploaded_there(site: Site) -> None:
    """Its mount shows an older file, or a newer one."""
    east = site.node("east")
    go(10.0, east)
    site.drop("a.pdf")
    west = site.node("west", mirror(site))
    go(20.0, east)
    (west.root / "a.pdf").write_bytes(b"CONTENT")
    with pytest.raises(Failure):
        content(west)
    (west.root / "a.pdf").write_bytes(b"longer content")
    with pytest.raises(Failure) as caught:
        content(west)
    assert isinstance(caught.value.verdict, NotReached)
