"""A service that hangs is restarted by systemd."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import eventually
from tests.systemd.service import FOLDERS, UNIT, Installed

DROP_IN = f"/etc/systemd/system/{UNIT}.service.d/stalling.conf"
STALLING = "/opt/dingwatch/stalling.py"


@pytest.fixture
def stalling(installed: Installed) -> Iterator[Installed]:
    """The service, parts of which can be made to hang; the watchdog is in more of a hurry than usual."""
    machine = installed.machine
    machine.write(STALLING, Path(__file__).with_name("stalling.py").read_text("utf-8"))
    command = f"/opt/dingwatch/bin/python {STALLING} run --config /etc/dingwatch/config.yaml"
    machine.write(DROP_IN, f"[Service]\nWatchdogSec=12s\nRestartSec=100ms\nExecStart=\nExecStart={command}\n")
    machine.run("rm", "-f", "/run/stall")
    installed.start()
    yield installed
    machine.run("rm", "-f", DROP_IN, "/run/stall")
    machine.run("systemctl", "stop", UNIT)
    machine.run("systemctl", "daemon-reload")


@pytest.mark.parametrize("part", ["intake", "delivery", "feedback", "observer", "reader", "ledger"])
def test_what_hangs_is_restarted(stalling: Installed, part: str) -> None:
    """Whichever part hangs, systemd restarts the service, and a file that came meanwhile is sent once."""
    former = stalling.pid
    stalling.machine.write("/run/stall", part)
    stalling.drop(f"{FOLDERS[0]}/while-{part}-hangs.txt", f"while {part} hangs")
    eventually(lambda: stalling.pid not in {0, former}, patience=120)
    stalling.machine.run("rm", "/run/stall")
    eventually(lambda: stalling.received()[f"while-{part}-hangs.txt"] == 1)
    journal = stalling.machine.journal(UNIT)
    assert "Watchdog timeout" in journal
    assert "Thread 0x" in journal  # where each thread stood


def test_the_condition_is_shown(stalling: Installed) -> None:
    """`systemctl status` says in a few words what the service does."""
    eventually(lambda: f"watching {len(FOLDERS)} folders" in stalling.machine.show(UNIT, "StatusText"))


def test_a_locked_ledger_is_no_reason_to_restart(stalling: Installed) -> None:
    """A ledger that answers with an error feeds the watchdog: the service must not lose what it knows."""
    former = stalling.pid
    lock = (
        "import sqlite3, time\n"
        "ledger = sqlite3.connect('/var/lib/dingwatch/ledger.db', isolation_level=None)\n"
        "ledger.execute('BEGIN IMMEDIATE')\n"
        "time.sleep(40)\n"
    )
    stalling.machine.run("/opt/dingwatch/bin/python", "-c", lock)
    assert stalling.pid == former
    stalling.drop(f"{FOLDERS[0]}/after-the-lock.txt", "after the lock")
    eventually(lambda: stalling.received()["after-the-lock.txt"] == 1)
