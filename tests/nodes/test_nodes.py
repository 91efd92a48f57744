"""What happens to a node."""

from __future__ import annotations

import pytest

from tests.crash.conftest import Tell
from tests.nodes.play import play
from tests.nodes.rig import why_not

pytestmark = [pytest.mark.sweep, pytest.mark.skipif(bool(why_not()), reason=why_not())]


@pytest.mark.parametrize("name", ["kill", "freeze", "database", "dingtalk", "all", "share"])
def test_a_node_that_fails_breaks_no_promise(name: str, tell: Tell) -> None:
    """Work resumes by itself on every node; nothing is lost or torn, and what is sent twice is marked."""
    play(name, tell)
