"""The delivery loop with refusals of every scope: the refused job is held back, and goes on later."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dingwatch.delivery import (
    Begin,
    Commit,
    FetchToken,
    FolderPolicy,
    Job,
    Outcome,
    Put,
    Send,
    SendCaption,
    Settings,
    Upload,
)
from dingwatch.delivery.drives import WHOLE
from dingwatch.dingtalk import MEDIA_LIMIT, Host
from dingwatch.model import (
    FolderDown,
    Misconfigured,
    NoAnswer,
    Scope,
    Throttled,
    Verdict,
)
from dingwatch.notice_text import Wording
from dingwatch.payload import PayloadPolicy
from tests.integration.test_delivery import APP, CAUSE, Desk
from tests.integration.test_delivery_drive import success, work
from tests.ledger import on_sqlite

SIZES: dict[type[Job], int] = {
    FetchToken: 5,
    Upload: 5,
    SendCaption: 5,
    Send: 5,
    Put: MEDIA_LIMIT + 1,
    Begin: WHOLE + 1,
    Commit: WHOLE + 1,
}
"""Every kind of job, and how large a file needs one."""
DOWN = FolderDown(CAUSE, Scope.FOLDER)
REFUSALS: tuple[tuple[Verdict, bool], ...] = (
    *((Misconfigured(CAUSE, scope), True) for scope in Scope),
    *((NoAnswer(CAUSE, scope), True) for scope in Scope),
    *((Throttled(CAUSE, scope, 7.0), True) for scope in Scope),
    (DOWN, True),
    (DOWN, False),
)
"""Refusals of every scope, and whether the file lies in a watched folder or was given to `send`."""


@pytest.fixture
def desk(tmp_path: Path, ledger_url: str) -> Iterator[Desk]:
    """A desk with a caption before each file, whose large files go by the drive."""
    code = PayloadPolicy(APP, MEDIA_LIMIT, space="1", large="drive")
    policy = FolderPolicy(code, Wording(caption="{name}"))
    made = Desk(tmp_path, ledger_url, Settings(APP, folders={1: policy, None: policy}))
    yield made
    made.store.close()


def work_until(desk: Desk, kind: type[Job]) -> Job:
    """Let everything succeed until there is a job of this kind, alone; return it."""
    jobs = desk.tick()
    while not isinstance(jobs[0], kind):
        jobs = desk.tick(*map(success, jobs))
    (job,) = jobs
    return job


@on_sqlite  # every refusal of every job
@pytest.mark.parametrize("kind", SIZES)
def test_a_refused_job_is_held_back_and_goes_on_later(desk: Desk, kind: type[Job]) -> None:
    """However far a refusal reaches, and whether or not such a job has a recipient or a folder at all."""
    for number, (refusal, watched) in enumerate(REFUSALS):
        case = f"{kind.__name__}, {watched=}: {refusal}"
        desk.fresh[Host.OAPI] = kind is not FetchToken
        (row,) = desk.drop(f"{number}.iso", size=SIZES[kind], watched=watched)
        desk.now += 1.0
        job = work_until(desk, kind)
        again = [*desk.tick(Outcome(job, refusal)), *desk.tick()]
        assert not any(isinstance(one, kind) for one in again), f"made again at once: {case}"
        desk.now += 86400.0
        desk.fresh[Host.OAPI] = True
        work(desk, again)
        assert desk.state(row) == "sent", f"never made again: {case}"
        assert desk.pauses() == [], case
