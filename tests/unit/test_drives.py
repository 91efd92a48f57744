from __future__ import annotations

import pytest

from dingwatch.delivery.drives import PARTS_AT_ONCE, WHOLE, next_steps, parts_for
from dingwatch.delivery.jobs import Begin, ClaimedContent, Commit, DriveJob, Put
from dingwatch.dingtalk import MOST_ADDRESSES
from dingwatch.ledger.uploads import UploadSession
from dingwatch.model import Fingerprint
from dingwatch.payload import PayloadPolicy, choose_payload
from tests.support import row

BEGUN = UploadSession("space", "key")
CODE = PayloadPolicy("app", 20, space="7", large="drive")


def drive(size: int) -> ClaimedContent:
    """Return a claimed upload of a file of so many bytes."""
    plain_payload = choose_payload(b"a.iso", size, "digest", CODE, ())
    return ClaimedContent(
        (row(b"a.iso", Fingerprint(size, 1, 1, 1, 1), "digest", plain_payload),), plain_payload
    )


def carried_out(upload: ClaimedContent) -> list[DriveJob]:
    """Return every step of an upload, each carried out before the next is asked for."""
    steps: list[DriveJob] = []
    session, finished = None, set[int]()
    while not steps or not isinstance(steps[-1], Commit):
        step = next_steps(upload, session, finished, [])[0]
        session = BEGUN
        if isinstance(step, Put):
            finished.add(step.part.number)
        steps.append(step)
    return steps


def test_in_one_piece_up_to_a_size() -> None:
    """It is put, and committed; there is nothing to begin."""
    put, commit = carried_out(drive(WHOLE))
    assert isinstance(put, Put)
    assert (put.part.size, put.session, commit) == (
        WHOLE,
        None,
        Commit(put.rows, put.payload, commit.target, BEGUN),
    )


@pytest.mark.parametrize("size", [WHOLE + 1, 1 << 30, (2 << 30) + 17])
def test_in_parts_that_make_up_the_file(size: int) -> None:
    """Begun once, every byte put once, in order, committed at the end."""
    begin, *puts, commit = carried_out(drive(size))
    parts = [step.part for step in puts if isinstance(step, Put)]
    assert (type(begin), type(commit), len(puts)) == (Begin, Commit, len(parts))
    assert [part.offset for part in parts] == [sum(p.size for p in parts[:i]) for i in range(len(parts))]
    assert sum(part.size for part in parts) == size
    assert tuple(parts) == parts_for(size)


def test_several_parts_at_a_time() -> None:
    """Those that are out count; each knows which addresses are needed, its own first, those out included."""
    upload = drive(2 << 30)
    first = next_steps(upload, BEGUN, {1, 3}, [])
    assert [job.part.number for job in first if isinstance(job, Put)] == [2, 4, 5]
    assert all(isinstance(job, Put) and job.addresses[0] == job.part.number for job in first)
    assert all(isinstance(job, Put) and {2, 4, 5}.issubset(job.addresses) for job in first)
    assert all(isinstance(job, Put) and not {1, 3}.intersection(job.addresses) for job in first)
    assert all(isinstance(job, Put) and len(job.addresses) > MOST_ADDRESSES for job in first)
    more = next_steps(upload, BEGUN, {1, 3, 4}, [first[0], first[2]])
    assert [job.part.number for job in more if isinstance(job, Put)] == [6]
    assert len(first) == PARTS_AT_ONCE


def test_nothing_is_committed_before_every_part_is_there() -> None:
    """The last part may still be on its way, and so may a commit."""
    upload = drive(WHOLE + 1)
    numbers = {part.number for part in parts_for(WHOLE + 1)}
    last = next_steps(upload, BEGUN, numbers - {2}, [])
    assert next_steps(upload, BEGUN, numbers - {2}, last) == []
    commit = next_steps(upload, BEGUN, numbers, [])
    assert next_steps(upload, BEGUN, numbers, commit) == []
