"""The delivery loop with refusals that may concern one recipient or all: the narrowest is believed first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dingwatch.delivery import Job, Outcome, Send, SendDone, Upload
from dingwatch.dingtalk import API_SEND
from dingwatch.ledger import pauses
from dingwatch.ledger.folders import MappedFolder, bind
from dingwatch.model import Cause, Misconfigured, Scope
from tests.integration.test_delivery import Desk
from tests.integration.test_delivery_drive import success

CODE = "resource.unavailable"
REFUSED = Misconfigured(Cause(CODE, "", "ROBOT_OR_GROUP"), Scope.CONVERSATION, ambiguous=True)
OTHER = Misconfigured(Cause("auth.error", "", "ROBOT_OR_GROUP"), Scope.CONVERSATION, ambiguous=True)
GROUPS = ("cidA", "cidB", "cidC", "cidD", "cidE")


class Hall(Desk):
    """A desk with five groups, some of which refuse."""

    def __init__(self, path: Path, ledger: Path | str) -> None:
        super().__init__(path, ledger)
        with self.store.writing() as connection:
            bind(connection, [MappedFolder(b"/share", "share", GROUPS)])
        self.bad: dict[str, Misconfigured] = {}
        self.tried: list[str] = []

    def outcome(self, job: Job) -> Outcome:
        """Return what comes of a job."""
        if not isinstance(job, Send):
            return success(job)
        self.tried.append(job.row.recipient)
        return Outcome(job, self.bad.get(job.row.recipient, SendDone("key")))

    def work(self, *dropped: str) -> list[str]:
        """Drop a file for each of some groups, and work until nothing is left to do; return who was tried."""
        for group in dropped:
            self.drop(f"{self.number}.pdf", group)
        self.tried = []
        jobs = self.tick()
        while jobs:
            jobs = self.tick(*map(self.outcome, jobs))
        return self.tried

    def paused(self) -> set[str]:
        """Return the keys of all pauses."""
        with self.store.reading() as connection:
            return {pause.key for pause in pauses.list_pauses(connection)}


@pytest.fixture
def hall(tmp_path: Path, ledger_url: str) -> Iterator[Hall]:
    """Five groups that take everything."""
    made = Hall(tmp_path, ledger_url)
    yield made
    made.store.close()


def test_one_refused_group_stops_nobody_else(hall: Hall) -> None:
    """All others get their files while it waits for a person."""
    hall.bad = {"cidB": REFUSED}
    assert sorted(hall.work(*GROUPS, *GROUPS)) == sorted([*GROUPS, *GROUPS[:1], *GROUPS[2:]])
    assert hall.paused() == {"cidB"}


def test_the_same_refusal_of_a_second_group_is_believed_of_all(hall: Hall) -> None:
    """The robot code is wrong: it costs two refused calls, not one for each group."""
    hall.bad = dict.fromkeys(GROUPS, REFUSED)
    hall.work("cidA")
    hall.work("cidB")
    assert hall.paused() == {"cidA", "cidB", API_SEND}
    assert hall.work("cidC", "cidD", "cidE") == []


def test_two_refused_groups_are_two_while_others_are_served(hall: Hall) -> None:
    """A message that came through since the first refusal shows that the robot is well."""
    hall.bad = {"cidA": REFUSED, "cidC": REFUSED}
    hall.work("cidA")
    hall.work("cidB")
    hall.work("cidC")
    assert hall.paused() == {"cidA", "cidC"}


def test_a_restart_remembers_that_others_were_served(hall: Hall) -> None:
    """When the API last served is asked of the ledger, which knows what was sent."""
    hall.bad = {"cidA": REFUSED, "cidC": REFUSED}
    hall.work("cidA")
    hall.work("cidB")
    hall.restart()
    hall.work("cidC")
    assert hall.paused() == {"cidA", "cidC"}


def test_two_kinds_of_refusals_are_two_groups_trouble(hall: Hall) -> None:
    """Only the same code says that it is the same trouble."""
    hall.bad = {"cidA": REFUSED, "cidB": OTHER}
    hall.work("cidA")
    hall.work("cidB", "cidC")
    assert hall.paused() == {"cidA", "cidB"}


def test_a_group_that_was_wrong_for_days_does_not_hide_a_new_trouble(hall: Hall) -> None:
    """All others were served meanwhile; when two of them are refused, it is everybody's."""
    hall.bad = {"cidA": REFUSED}
    hall.work("cidA")
    hall.work("cidB", "cidC")
    hall.bad = dict.fromkeys(GROUPS, REFUSED)
    hall.work("cidD")
    assert hall.paused() == {"cidA", "cidD"}
    hall.work("cidE")
    assert hall.paused() == {"cidA", "cidD", "cidE", API_SEND}


def test_a_success_ends_the_wide_pause_and_keeps_the_narrow_ones(hall: Hall) -> None:
    """Two groups lack the robot: when the wide pause is over, a third is the probe, and gets its files."""
    hall.bad = {"cidA": REFUSED, "cidB": REFUSED}
    hall.work("cidA")
    hall.work("cidB")
    assert hall.work(*["cidC"] * 3, *["cidD"] * 3) == []
    hall.now += 61.0
    tried = hall.work()
    assert tried[0] in {"cidC", "cidD"}
    assert (tried.count("cidC"), tried.count("cidD")) == (3, 3)
    assert hall.paused() == {"cidA", "cidB"}


def test_the_probes_go_first_to_who_was_not_refused_in_turn(hall: Hall) -> None:
    """One at each end of the pause, which doubles; when all were refused, they are tried again in turn."""
    hall.bad = dict.fromkeys(GROUPS, REFUSED)
    hall.work("cidA")
    hall.work("cidB")
    hall.work("cidC", "cidD", "cidE")
    tried = []
    for wait in (60.0, 120.0, 240.0):
        hall.now += wait - 1.0
        assert hall.work() == []
        hall.now += 2.0
        tried += hall.work()
    assert sorted(tried) == ["cidC", "cidD", "cidE"]
    hall.now += 481.0
    assert len(hall.work()) == 1


def test_a_message_that_was_under_way_ends_the_wide_pause(hall: Hall) -> None:
    """It comes through after two others were refused: the trouble is theirs."""
    hall.drop("a.pdf", "cidA")
    hall.drop("b.pdf", "cidB")
    hall.drop("c.pdf", "cidC")
    jobs = hall.tick()
    sends = hall.tick(*(success(job) for job in jobs if isinstance(job, Upload)))
    first, second, third = [job for job in sends if isinstance(job, Send)]
    hall.tick(Outcome(first, REFUSED), Outcome(second, REFUSED))
    assert API_SEND in hall.paused()
    hall.tick(Outcome(third, SendDone("key")))
    assert hall.paused() == {"cidA", "cidB"}


def test_the_refused_is_the_probe_where_nobody_else_waits(hall: Hall) -> None:
    """A person has mended it, and only this group's files can show it."""
    hall.bad = {"cidA": REFUSED, "cidB": REFUSED}
    hall.work("cidA")
    hall.work("cidB")
    hall.bad = {}
    hall.now += 61.0
    assert sorted(hall.work()) == ["cidA", "cidB"]
    assert hall.paused() == set()
