"""Debian's libfaketime sets the wall clock of the running service back."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from dingwatch.sandbox import Fault, FaultKind, Sandbox
from tests import ledger
from tests.integration.conftest import Machine
from tests.support import eventually, sent

LIBRARY = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)


def preload(**settings: str) -> dict[str, str]:
    """Return the variables by which a program sees another wall clock; the monotonic one stays as it is."""
    return {"LD_PRELOAD": str(LIBRARY), "FAKETIME_DONT_FAKE_MONOTONIC": "1", **settings}


@pytest.mark.skipif(LIBRARY is None, reason="needs Debian's libfaketime")
def test_a_clock_set_back_during_an_outage_keeps_no_file_waiting(
    machine: Machine, share: Path, sandbox: Sandbox, tmp_path: Path
) -> None:
    """A hardware clock in local time is hours ahead until NTP sets it: nothing waits for those hours."""
    clock = tmp_path / "clock"
    clock.write_text("+8h\n")
    machine.preload = preload(FAKETIME_TIMESTAMP_FILE=str(clock), FAKETIME_NO_CACHE="1")
    sandbox.inject(Fault("*", FaultKind.CUT_BEFORE, times=None))
    process = machine.start()
    (share / "a.txt").write_text("a")
    eventually(lambda: ledger.pauses(machine))
    ((until,),) = ledger.execute(machine, "SELECT until FROM pauses")
    assert until > time.time() + 7 * 3600
    clock.write_text("+0\n")
    sandbox.clear_faults()
    eventually(sent(sandbox, 1))
    assert machine.stop(process) == 0
