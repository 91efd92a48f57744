"""Captions on a shared ledger: one for each delivery, right before its file, whichever nodes send the two."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeVar

import pytest

from dingwatch.delivery import FolderPolicy, Job, Outcome, Send, SendCaption, SendDone, Upload, UploadDone
from dingwatch.dingtalk import MEDIA_LIMIT
from dingwatch.ledger import transitions
from dingwatch.ledger.sharing import CAPTION_SECONDS
from dingwatch.ledger.transitions import Change
from dingwatch.lifecycle import Event
from dingwatch.model import Cause, NoAnswer, NotReached, Verdict
from dingwatch.notice_text import Wording
from dingwatch.payload import PayloadPolicy
from tests.several import APP, Node, World, world

POLICY: Final = FolderPolicy(PayloadPolicy(APP, MEDIA_LIMIT), Wording(caption="{name}"))
CAUSE: Final = Cause("code", "message", "UNKNOWN_CODE")
DONE: Final = SendDone("key")
Kind = TypeVar("Kind", bound=Job)


@pytest.fixture
def hosts(postgres_url: str) -> Iterator[World]:
    """A ledger without nodes."""
    with world(postgres_url) as made:
        yield made


@pytest.fixture
def pair(hosts: World) -> tuple[Node, Node]:
    """Two nodes that share a folder with a caption before each file."""
    made = [hosts.add(name, "cidA", shared="office", by_any_node=False) for name in ("a", "b")]
    for node in made:
        node.set_policy(POLICY)
    return made[0], made[1]


def only(kind: type[Kind], jobs: list[Job]) -> Kind:
    """Return the only job, which is of this kind."""
    (job,) = jobs
    assert isinstance(job, kind)
    return job


def upload(node: Node, *more: Outcome) -> list[Job]:
    """Have a node upload its next file; return the jobs that follow."""
    return node.tick(Outcome(only(Upload, node.tick(*more)), UploadDone("@media")))


def lose(hosts: World, lost: Node, other: Node) -> None:
    """Have another node take over from one whose lease is over."""
    hosts.lose(lost)
    other.stand()


def test_the_node_that_sent_the_caption_sends_its_file(pair: tuple[Node, Node]) -> None:
    """The other one waits for both, with its own files for that recipient as well."""
    a, b = pair
    a.drop()
    caption = only(SendCaption, upload(a))
    b.drop()
    assert upload(b) == []
    a.loop.tick(a.world.now, [Outcome(caption, DONE)], claim=False)
    assert b.tick() == []
    file = only(Send, a.tick())
    assert file.row.id == caption.row.id
    a.loop.tick(a.world.now, [Outcome(file, DONE)], claim=False)
    assert only(SendCaption, b.tick()).row.id != caption.row.id


@pytest.mark.parametrize("result", [None, DONE, NoAnswer(CAUSE)])
def test_the_file_of_a_lost_node_goes_without_another_caption(
    hosts: World, pair: tuple[Node, Node], result: SendDone | Verdict | None
) -> None:
    """It is lost while the caption is on its way, or between the two: the file is the next message there."""
    a, b = pair
    early = a.drop()
    outcome = only(Upload, a.tick())
    (row,) = a.drop()
    a.loop.tick(hosts.now, [Outcome(outcome, NotReached(CAUSE))], claim=False)
    caption = only(SendCaption, upload(a))
    assert caption.row.id == row
    if result is not None:
        a.loop.tick(hosts.now, [Outcome(caption, result)], claim=False)
    hosts.now += 60.0
    lose(hosts, a, b)
    # What settled before is uploaded by now, but stands in no caption.
    file = only(Send, upload(b))
    assert file.row.id == row
    assert [job.row.id for job in b.tick(Outcome(file, DONE)) if isinstance(job, SendCaption)] == early


@pytest.mark.parametrize("late", [DONE, NoAnswer(CAUSE), NotReached(CAUSE)])
def test_a_late_outcome_brings_no_second_caption(
    hosts: World, pair: tuple[Node, Node], late: SendDone | Verdict
) -> None:
    """The other node sends the file, or has sent it."""
    a, b = pair
    a.drop()
    caption = only(SendCaption, upload(a))
    lose(hosts, a, b)
    assert b.tick() == []
    file = only(Send, b.tick())
    assert a.tick(Outcome(caption, late)) == []
    assert b.tick(Outcome(file, DONE)) == a.tick() == []
    assert hosts.state(file.row.id) == "sent"


def test_a_caption_that_was_not_sent_comes_before_its_file(hosts: World, pair: tuple[Node, Node]) -> None:
    """The first node could not send it, and is lost before it tries again."""
    a, b = pair
    a.drop()
    caption = only(SendCaption, upload(a))
    a.loop.tick(hosts.now, [Outcome(caption, NotReached(CAUSE))], claim=False)
    hosts.now += 600.0
    lose(hosts, a, b)
    again = only(SendCaption, b.tick())
    assert again.row.id == caption.row.id
    only(Send, b.tick(Outcome(again, DONE)))


def test_a_file_that_does_not_follow_keeps_nobody(hosts: World) -> None:
    """It was taken back after its caption: others go on once its node has noticed, or in two minutes."""
    a, b = (hosts.add(name, "cidA", by_any_node=False) for name in ("a", "b"))
    a.set_policy(POLICY)
    for notices in (True, False):
        (row,) = a.drop()
        a.loop.tick(hosts.now, [Outcome(only(SendCaption, upload(a)), DONE)], claim=False)
        with a.store.writing() as connection:
            transitions.apply(connection, hosts.now, [Change(row, Event.VANISH)])
        b.drop()
        assert upload(b) == []
        if notices:
            a.tick()
        else:
            hosts.now += CAPTION_SECONDS
        b.tick(Outcome(only(Send, b.tick()), DONE))
