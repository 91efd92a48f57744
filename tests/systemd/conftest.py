"""A booted machine with dingwatch installed as the README says, and a sandbox for it to talk to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.systemd.machine import Machine, Setup, missing
from tests.systemd.service import Installed

PROJECT: Final = Path(__file__).parents[2]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run these tests with the sweeps, and say plainly where they cannot run."""
    reason = missing()
    for item in items:
        if Path(item.path).parent == Path(__file__).parent:
            item.add_marker(pytest.mark.sweep)
            if reason:
                item.add_marker(pytest.mark.skip(reason=reason))


def commands() -> str:
    """Return the README's commands that install the service, but for the dialogue at their end.

    The packages of their first line are there: `missing` has looked, and no mirror needs to be reached.
    """
    blocks: list[str] = re.findall(r"(?ms)^```sh\n(.*?)^```", (PROJECT / "README.md").read_text("utf-8"))
    block = next(one for one in blocks if "/opt/dingwatch" in one)
    assert block.endswith("\ndingwatch init\n")
    packages, _, rest = block.removesuffix("dingwatch init\n").partition("\n")
    assert packages.startswith("apt")
    return f"set -eu\n{rest}"


@pytest.fixture(scope="module")
def setup() -> Setup:
    """A copy of this host, on which dingwatch is installed as the README says."""
    return Setup(PROJECT, commands())


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, setup: Setup) -> Iterator[Machine]:
    """A machine of its own, on which dingwatch is installed."""
    booted = Machine(tmp_path_factory.mktemp("machine"), setup)
    try:
        booted.boot()
        yield booted
    finally:
        booted.close()


@pytest.fixture(scope="module")
def installed(machine: Machine) -> Installed:
    """The installed service with its configuration, and a sandbox; it does not run yet."""
    made = Installed(machine)
    made.start_sandbox()
    made.configure()
    return made
