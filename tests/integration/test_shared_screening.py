"""Nodes that have the same folder have a version screened by one of them, and go by its verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import pytest
from sqlalchemy import func, select

from dingwatch.delivery import FolderPolicy, Job, Outcome, Upload
from dingwatch.delivery.jobs import Done, Screen, Screening
from dingwatch.dingtalk import MEDIA_LIMIT
from dingwatch.ledger.delivery import recover_lost
from dingwatch.ledger.schema import screenings
from dingwatch.model import BundleRule, Cause, NotReached, ScreenedOut, ScreeningFailed, Verdict
from dingwatch.payload import PayloadPolicy
from tests.several import APP, Node, World, world

POLICY: Final = FolderPolicy(PayloadPolicy(APP, MEDIA_LIMIT), screening=Screening(("true",), 5.0))
REFUSED: Final = ScreenedOut(Cause("gate", "virus", "GATE"))
STOPPED: Final = NotReached(Cause("stopped", "", "STOPPED"))
NO_VERDICT: Final = ScreeningFailed(Cause("gate_failed", "exit 2", "GATE_FAILED"))


@pytest.fixture
def hosts(postgres_url: str) -> Iterator[World]:
    """A ledger without nodes."""
    with world(postgres_url) as made:
        yield made


def join(hosts: World, policy: FolderPolicy = POLICY) -> tuple[Node, Node]:
    """Return two nodes that share a folder with a program."""
    pair = [hosts.add(name, "cidA", "cidB", shared="office") for name in ("a", "b")]
    for node in pair:
        node.set_policy(policy)
    first, second = pair
    return first, second


def only(jobs: list[Job]) -> Screen:
    """Return the only job, which is a screening."""
    (job,) = jobs
    assert isinstance(job, Screen)
    return job


def count_claims(hosts: World) -> int:
    """Count the versions that are being screened."""
    with hosts.nodes[0].store.reading() as connection:
        return connection.scalar(select(func.count()).select_from(screenings)) or 0


def test_one_node_screens_a_version(hosts: World) -> None:
    """The other one leaves it alone meanwhile, and takes another file; one verdict counts for both."""
    a, b = join(hosts)
    a.drop("cidA", "cidB")
    screen = only(a.tick())
    assert b.tick() == []
    b.drop()
    assert only(b.tick()).row.version != screen.row.version
    (upload,) = a.tick(Outcome(screen, Done()))
    assert isinstance(upload, Upload)
    assert {row.version for row in upload.rows} == {screen.row.version}
    assert (b.tick(), count_claims(hosts)) == ([], 1)


def test_what_one_node_has_passed_the_other_uploads(hosts: World) -> None:
    """The one that has screened it takes nothing more: it drains, or has gone."""
    a, b = join(hosts)
    a.drop()
    screen = only(a.tick())
    a.loop.tick(hosts.now, [Outcome(screen, Done())], claim=False)
    (upload,) = b.tick()
    assert isinstance(upload, Upload)


def test_a_refusal_counts_for_all_nodes(hosts: World) -> None:
    """No other asks its own program for a better verdict."""
    a, b = join(hosts)
    rows = a.drop("cidA", "cidB")
    assert a.tick(Outcome(only(a.tick()), REFUSED)) == b.tick() == []
    assert [hosts.state(row) for row in rows] == ["skipped", "skipped"]


@pytest.mark.parametrize("result", [STOPPED, NO_VERDICT])
def test_a_version_without_a_verdict_is_screened_by_any_node(hosts: World, result: Verdict) -> None:
    """Its node was stopped meanwhile, or has no working program: another one asks its own."""
    a, b = join(hosts)
    a.drop()
    a.loop.tick(hosts.now, [Outcome(only(a.tick()), result)], claim=False)
    assert count_claims(hosts) == 0
    hosts.now += 600.0
    only(b.tick())


def take_over(hosts: World, lost: Node, other: Node) -> None:
    """Have another node take over what one has in hand whose lease is over."""
    hosts.lose(lost)
    with other.store.writing() as connection:
        recover_lost(connection, hosts.now, lost.name)


@pytest.mark.parametrize("late", [Done(), REFUSED, NO_VERDICT])
def test_the_version_of_a_lost_node_is_screened_by_another(hosts: World, late: Done | Verdict) -> None:
    """What comes of the lost node's own screening changes nothing any more, nor does it end the other's."""
    a, b = join(hosts)
    (row,) = a.drop()
    frozen = only(a.tick())
    take_over(hosts, a, b)
    taken = only(b.tick())
    assert taken.claim > frozen.claim
    assert a.tick(Outcome(frozen, late)) == []
    assert (hosts.state(row), count_claims(hosts)) == ("pending", 1)
    (upload,) = b.tick(Outcome(taken, Done()))
    assert isinstance(upload, Upload)


def test_a_late_pass_does_not_undo_a_refusal(hosts: World) -> None:
    """The node was frozen while another one found a virus."""
    a, b = join(hosts)
    (row,) = a.drop()
    frozen = only(a.tick())
    take_over(hosts, a, b)
    b.tick(Outcome(only(b.tick()), REFUSED))
    assert a.tick(Outcome(frozen, Done())) == []
    assert hosts.state(row) == "skipped"


def test_a_node_that_starts_again_screens_what_it_had_in_hand(hosts: World) -> None:
    """Its process was killed while the program ran; the other's screening goes on."""
    a, b = join(hosts)
    a.drop()
    killed = only(a.tick())
    b.drop()
    other = only(b.tick())
    a.restart()
    assert only(a.tick()).row.version == killed.row.version
    (upload,) = b.tick(Outcome(other, Done()))
    assert isinstance(upload, Upload)


def test_a_burst_waits_for_the_screening_of_another_node(hosts: World) -> None:
    """Its files are screened by both, and make one bundle."""
    a, b = join(hosts, replace(POLICY, bundle=BundleRule(10.0, 2)))
    rows = [a.drop()[0] for _ in range(3)]
    with a.store.writing() as connection:
        connection.exec_driver_sql("UPDATE deliveries SET gathering = true")
    first = a.tick()
    assert [type(job) for job in first] == [Screen] * 3
    assert b.tick() == []
    for job in first[:-1]:
        assert a.tick(Outcome(job, Done())) == []
    assert b.tick() == []
    assert b.tick() == []
    (upload,) = a.tick(Outcome(first[-1], Done()))
    assert isinstance(upload, Upload)
    assert sorted(row.id for row in upload.rows) == rows


def test_each_version_is_screened_once_whoever_ticks_first(hosts: World) -> None:
    """Two nodes take turns over thirty files, and no program is asked twice."""
    a, b = join(hosts)
    for _ in range(30):
        a.drop()
    asked: Counter[int] = Counter()
    out: dict[str, list[Job]] = {"a": [], "b": []}
    for _ in range(60):
        for node in (a, b):
            done, out[node.name] = out[node.name], []
            jobs = node.tick(*(Outcome(job, Done()) for job in done if isinstance(job, Screen)))
            out[node.name] = jobs
            asked.update(job.row.version for job in jobs if isinstance(job, Screen))
    assert set(asked.values()) == {1}
