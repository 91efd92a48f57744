"""The service under a real systemd, installed as the README says."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.support import eventually
from tests.systemd.service import CONFIG, FOLDERS, UNIT, Installed


@pytest.fixture
def running(installed: Installed) -> Iterator[Installed]:
    """The service, ready; it is stopped afterwards."""
    installed.start()
    yield installed
    installed.machine.run("systemctl", "stop", UNIT)
    assert installed.machine.show(UNIT, "Result") == "success", installed.machine.journal(UNIT)


def test_ready_means_watching(running: Installed) -> None:
    """`systemctl start` returns when a file that is dropped will be sent, from wherever shares are."""
    for number, folder in enumerate(FOLDERS):
        running.drop(f"{folder}/ready-{number}.txt", f"in {folder}")
    wanted = {f"ready-{number}.txt": 1 for number in range(len(FOLDERS))}
    eventually(lambda: wanted.items() <= running.received().items())


def test_the_unit_grants_little(running: Installed) -> None:
    """Systemd rates what the unit leaves open with at most 2.0, and the service runs with nothing more."""
    rated = running.machine.run("systemd-analyze", "security", "--no-pager", UNIT)
    exposure = re.search(r"exposure level for \S+: ([\d.]+)", rated)
    assert exposure is not None
    assert float(exposure[1]) <= 2.0, rated
    status = running.machine.run("cat", f"/proc/{running.pid}/status")
    assert re.search(r"(?m)^CapEff:\s+0000000010000000$", status), status  # CAP_LEASE alone
    assert re.search(r"(?m)^NoNewPrivs:\s+1$", status)


def test_the_secret_is_a_credential(running: Installed) -> None:
    """Only root can read the file with the secret; it is in no environment and in no line of the journal."""
    secret = running.account.client_secret
    assert secret not in running.machine.run("cat", f"/proc/{running.pid}/environ")
    assert secret not in running.machine.journal(UNIT)
    asked = running.machine.try_run("setpriv", "--reuid=dingwatch", "cat", "/etc/dingwatch/client_secret")
    assert asked.returncode != 0


def test_a_killed_service_starts_again(running: Installed) -> None:
    """After `kill -9` systemd starts the service, which sends what came meanwhile, and nothing twice."""
    running.drop(f"{FOLDERS[0]}/before-kill.txt", "before")
    eventually(lambda: running.received()["before-kill.txt"] == 1)
    former = running.pid
    running.machine.run("kill", "-9", str(former))
    running.drop(f"{FOLDERS[0]}/while-dead.txt", "meanwhile")
    eventually(lambda: running.state == "active" and running.pid not in {0, former})
    eventually(lambda: running.received()["while-dead.txt"] == 1)
    assert running.received()["before-kill.txt"] == 1


def test_a_stop_waits_for_what_is_in_flight(running: Installed) -> None:
    """A stop lets an upload in flight end or abandons it within its ten seconds; the file goes once."""
    running.order_fault(api="media/upload", kind="slow", seconds=60, times=1)
    running.drop(f"{FOLDERS[0]}/in-flight.txt", "in flight")
    eventually(lambda: "uploading" in running.machine.run("dingwatch", "history", "--limit", "1"))
    running.machine.run("systemctl", "stop", UNIT, patience=25)
    assert running.machine.show(UNIT, "Result") == "success"
    running.start()
    eventually(lambda: running.received()["in-flight.txt"] == 1)


def test_a_bad_config_is_not_restarted(installed: Installed) -> None:
    """With a config that no restart cures, the unit fails at once and stays so; the journal says why."""
    machine = installed.machine
    good = machine.run("cat", "/etc/dingwatch/config.yaml")
    machine.write("/etc/dingwatch/config.yaml", good.replace("settle:", "setle:"))
    assert machine.try_run("systemctl", "start", UNIT).returncode != 0
    assert installed.state == "failed"
    assert machine.show(UNIT, "ExecMainStatus") == "78"
    assert "folders[0].setle" in machine.journal(UNIT)
    machine.write("/etc/dingwatch/config.yaml", good)
    machine.run("systemctl", "reset-failed", UNIT)


def test_a_full_journal_stops_nothing(running: Installed) -> None:
    """A journal that can keep nothing more costs lines of log, not files."""
    machine = running.machine
    machine.write(
        "/etc/systemd/journald.conf.d/small.conf",
        "[Journal]\nStorage=volatile\nRuntimeMaxUse=4K\nRuntimeKeepFree=100T\n",
    )
    machine.run("systemctl", "restart", "systemd-journald")
    for number in range(20):
        running.drop(f"{FOLDERS[1]}/full-journal-{number}.txt", f"number {number}")
    eventually(lambda: sum(name.startswith("full-journal-") for name in running.received()) == 20)
    machine.run("rm", "/etc/systemd/journald.conf.d/small.conf")
    machine.run("systemctl", "restart", "systemd-journald")


def test_lines_have_their_priorities(running: Installed) -> None:
    """The journal has each line under its level, without the prefix that told it."""
    running.drop(f"{FOLDERS[0]}/priority.txt", "priority")
    eventually(lambda: running.received()["priority.txt"] == 1)
    eventually(lambda: "priority.txt" in running.machine.journal(UNIT, "--priority=info..info"))
    line = next(one for one in running.machine.journal(UNIT).splitlines() if "sent: " in one)
    assert not line.startswith("<")


def test_check_asks_for_what_lets_it_write(installed: Installed) -> None:
    """The unit forbids to write to folders; the lines that `check` prints, put into a drop-in, allow it."""
    machine = installed.machine
    good = machine.run("cat", CONFIG)
    machine.write(CONFIG, good.replace("settle:", "feedback: sidecar, settle:"))
    machine.run("chown", "dingwatch", *FOLDERS)

    def asked() -> str:
        """Return what `check` would have an admin add."""
        secret = "DINGWATCH_CLIENT_SECRET=$(cat /etc/dingwatch/client_secret)"
        said = machine.run("sh", "-c", f"{secret} dingwatch check --offline")
        return "\n".join(re.findall(r"(?m)^ {6}(\S.*)$", said)) + "\n"

    def may_write(folder: str) -> bool:
        """Return whether the service may write to a folder, as far as the unit lets it."""
        probe = ("nsenter", "-t", str(installed.pid), "-m", "touch", f"{folder}/.probe")
        return machine.try_run(*probe).returncode == 0

    try:
        before = asked()
        installed.start()
        assert (
            before == asked() == "\n".join(["[Service]", *(f"ReadWritePaths=-{one}" for one in FOLDERS), ""])
        )
        assert not any(map(may_write, FOLDERS))
        machine.write(f"/etc/systemd/system/{UNIT}.service.d/write.conf", before)
        machine.run("systemctl", "daemon-reload")
        assert asked() == "\n"
        machine.run("systemctl", "restart", UNIT)
        assert asked() == "\n"
        assert all(map(may_write, FOLDERS))
    finally:
        machine.run("chown", "root", *FOLDERS)
        machine.run("rm", "-rf", f"/etc/systemd/system/{UNIT}.service.d")
        machine.write(CONFIG, good)
        machine.run("systemctl", "daemon-reload")
        machine.run("systemctl", "stop", UNIT)


def test_the_program_of_before_send_runs_within_the_unit(installed: Installed) -> None:
    """It is found by PATH and reads the file; it sees no secret, and can write nowhere."""
    script = (
        "#!/bin/sh\n"
        "env | grep -Eq 'CREDENTIALS_DIRECTORY|NOTIFY_SOCKET' && exit 2\n"
        "touch /srv/share/written 2>/dev/null && exit 3\n"
        "! grep -q virus\n"
    )
    installed.machine.write("/usr/local/bin/scan", script, "0755")
    installed.configure("folder_defaults: {before_send: [scan, '{fd}']}", folders=FOLDERS[:1])
    installed.start()
    try:
        installed.drop(f"{FOLDERS[0]}/bad.txt", "a virus")
        installed.drop(f"{FOLDERS[0]}/good.txt", "nothing")
        eventually(lambda: installed.received()["good.txt"] == 1)
        eventually(
            lambda: "gate" in installed.machine.run("dingwatch", "history", "--state", "skipped", "--json")
        )
        assert installed.received()["bad.txt"] == 0
    finally:
        installed.machine.run("systemctl", "stop", UNIT)
        installed.configure()
