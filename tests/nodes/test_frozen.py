"""Nodes that are frozen, or killed, at each point of a job, in one process; see `tests.nodes.frozen`."""

from __future__ import annotations

import pytest

from tests.crash.conftest import Tell
from tests.nodes.frozen import describe, play

FEW = 3
MANY = 40


@pytest.mark.parametrize("kill", [False, True], ids=["frozen", "killed"])
def test_a_node_stopped_at_some_points_breaks_no_promise(*, kill: bool) -> None:
    """What another takes over is neither lost nor sent twice without a mark."""
    world = play(FEW, 1, resend=True, kill=kill)
    assert not world.wrong


@pytest.mark.sweep
@pytest.mark.parametrize("resend", [True, False], ids=["resend", "hold"])
@pytest.mark.parametrize("kill", [False, True], ids=["frozen", "killed"])
def test_a_node_stopped_at_many_points_breaks_no_promise(tell: Tell, *, kill: bool, resend: bool) -> None:
    """The same at each point of a job; with `hold`, nothing is sent twice at all."""
    world = play(MANY, 2, resend=resend, kill=kill)
    tell(describe(world))
    assert not world.wrong
    assert resend or not world.twice
