"""`systemctl reload` and SIGHUP: a good config is taken, a bad one changes nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import eventually
from tests.systemd.service import CONFIG, FOLDERS, UNIT, Installed


@pytest.fixture
def one_folder(installed: Installed) -> Iterator[Installed]:
    """The service with one folder; the others are in its config again afterwards."""
    installed.configure(folders=FOLDERS[:1])
    installed.start()
    yield installed
    installed.machine.run("systemctl", "stop", UNIT)
    installed.configure()


def test_a_folder_is_added_without_a_restart(one_folder: Installed) -> None:
    """After `systemctl reload` a folder that was added is watched; the process is the same."""
    former = one_folder.pid
    one_folder.configure(folders=FOLDERS[:2])
    one_folder.machine.run("systemctl", "reload", UNIT)
    assert one_folder.pid == former
    one_folder.drop(f"{FOLDERS[1]}/after-reload.txt", "after reload")
    eventually(lambda: one_folder.received()["after-reload.txt"] == 1)
    assert one_folder.state == "active"


def test_a_reload_of_a_bad_config_fails(one_folder: Installed) -> None:
    """`systemctl reload` fails, the journal names the problem, and the service goes on with what it had."""
    former, good = one_folder.pid, one_folder.machine.run("cat", CONFIG)
    one_folder.machine.write(CONFIG, good.replace("settle:", "setle:"))
    assert one_folder.machine.try_run("systemctl", "reload", UNIT).returncode != 0
    assert "folders[0].setle" in one_folder.machine.journal(UNIT)
    one_folder.drop(f"{FOLDERS[0]}/after-a-bad-reload.txt", "after a bad reload")
    eventually(lambda: one_folder.received()["after-a-bad-reload.txt"] == 1)
    assert (one_folder.pid, one_folder.state) == (former, "active")


def test_a_hang_up_reloads(one_folder: Installed) -> None:
    """SIGHUP does the same and logs what came of it, with a bad config and with a good one."""
    machine, former = one_folder.machine, one_folder.pid
    good = machine.run("cat", CONFIG)
    machine.write(CONFIG, good.replace("settle:", "settel:"))
    machine.run("systemctl", "kill", "--kill-who=main", "--signal=SIGHUP", UNIT)
    eventually(lambda: "folders[0].settel" in machine.journal(UNIT))
    one_folder.configure(folders=FOLDERS[:3])
    machine.run("systemctl", "kill", "--kill-who=main", "--signal=SIGHUP", UNIT)
    eventually(lambda: "watching 3 folders" in machine.show(UNIT, "StatusText"))
    one_folder.drop(f"{FOLDERS[2]}/after-sighup.txt", "after SIGHUP")
    eventually(lambda: one_folder.received()["after-sighup.txt"] == 1)
    assert one_folder.pid == former
