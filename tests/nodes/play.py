"""Plays one fault in a test."""

from __future__ import annotations

from tests.crash.conftest import Tell
from tests.nodes.faults import FAULTS
from tests.nodes.rig import Rig


def play(name: str, tell: Tell) -> None:
    """Play a fault, and hold the nodes to every promise."""
    fault = FAULTS[name]
    with Rig(fault.options) as rig:
        found = fault.act(rig)
    tell(f"{fault.title}: {found}")
    assert not found.wrong, "\n".join(found.wrong)
