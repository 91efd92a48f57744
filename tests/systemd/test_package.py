"""The Debian package, on a minimal Debian with a real systemd.

The tests tell one story, in their order: the package is installed, runs, is upgraded, removed and purged.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.support import eventually
from tests.systemd.machine import Machine, Setup
from tests.systemd.service import CONFIG, FOLDERS, UNIT, Installed

PROJECT: Final = Path(__file__).parents[2]
INSTANCE: Final = "dingwatch@acme"
INSTANCE_FOLDER: Final = "/srv/acme"
OURS: Final = ("/etc/dingwatch", "/var/lib/dingwatch", "/usr/lib/dingwatch", "/usr/share/doc/dingwatch")


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with two packages: `new.deb`, and `old.deb`, which is the same with a lower version."""
    made = tmp_path_factory.mktemp("packages")
    run_here(str(PROJECT / "packaging/deb/build.sh"), str(made))
    (new,) = made.glob("*.deb")
    new = new.rename(made / "new.deb")
    unpacked = made / "unpacked"
    run_here("dpkg-deb", "-R", str(new), str(unpacked))
    control = unpacked / "DEBIAN" / "control"
    control.write_text(re.sub("(?m)^Version: .*$", "Version: 0.0.1-1", control.read_text("utf-8")), "utf-8")
    run_here("dpkg-deb", "-b", "-Zgzip", "-z1", str(unpacked), str(made / "old.deb"))
    shutil.rmtree(unpacked)
    return made


def run_here(*command: str) -> None:
    """Run a program on this host, without the virtual environment that the tests run in."""
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    environ = {"PATH": path, "HOME": os.environ.get("HOME", "/root")}
    subprocess.run(command, check=True, env=environ)


@pytest.fixture(scope="module")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a minimal Debian of this host's release."""
    if shutil.which("debootstrap") is None:
        pytest.skip("not installed: debootstrap")
    root = tmp_path_factory.mktemp("debian") / "root"
    release = re.search(r"(?m)^VERSION_CODENAME=(\w+)$", Path("/etc/os-release").read_text("utf-8"))
    assert release is not None
    run_here("debootstrap", "--variant=minbase", "--include=systemd-sysv,dbus,curl", release[1], str(root))
    return root


@pytest.fixture(scope="module")
def setup(debian: Path, packages: Path) -> Setup:
    """A minimal Debian on which the older package is installed; apt fetches what it depends on."""
    install = "apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -qy install ./old.deb"
    return Setup(packages, install, debian)


@pytest.fixture(scope="module")
def instance(installed: Installed) -> None:
    """The configuration of another organisation, with a secret, a folder and a ledger of its own."""
    machine = installed.machine
    machine.run("install", "-d", "-m", "0755", INSTANCE_FOLDER)
    main = machine.run("cat", CONFIG)
    lines = (
        main[: main.index("folders:")] + "state_dir: /var/lib/dingwatch/acme",
        "folders:",
        f"  - {{path: {INSTANCE_FOLDER}, conversation_id: '{installed.conversation}', settle: 200ms}}",
    )
    machine.write("/etc/dingwatch/acme.yaml", "\n".join(lines) + "\n")
    machine.write("/etc/dingwatch/acme.client_secret", installed.account.client_secret, "0600")


def install(machine: Machine, package: str) -> None:
    """Install a package over what is there."""
    machine.run("dpkg", "--install", f"/mnt/source/{package}.deb", patience=300)


def pid(machine: Machine, unit: str) -> int:
    """Return the process of a unit."""
    return int(machine.show(unit, "MainPID"))


def test_nothing_runs_before_it_is_configured(machine: Machine) -> None:
    """The package makes the user and its directory, and starts nothing that would fail without a config."""
    assert machine.run("dingwatch", "--version").startswith("dingwatch, version ")
    assert machine.run("stat", "-c", "%U %a", "/var/lib/dingwatch") == "dingwatch 700\n"
    assert machine.show(UNIT, "ActiveState") == "inactive"
    assert machine.try_run("systemctl", "is-enabled", UNIT).stdout == "disabled\n"
    assert machine.run("dpkg", "--verify", "dingwatch") == ""


def test_the_shells_complete(machine: Machine) -> None:
    """Bash completes the commands."""
    ask = (
        ". /usr/share/bash-completion/completions/dingwatch; COMP_WORDS=(dingwatch hist) COMP_CWORD=1;"
        ' _dingwatch_completion dingwatch; echo "${COMPREPLY[@]}"'
    )
    assert machine.run("bash", "-c", ask) == "history\n"


def test_it_sends(installed: Installed) -> None:
    """The service of the package sends a file."""
    installed.start()
    installed.machine.run("systemctl", "enable", UNIT)
    installed.drop(f"{FOLDERS[0]}/before-upgrade.txt", "before")
    eventually(lambda: installed.received()["before-upgrade.txt"] == 1)


@pytest.mark.usefixtures("instance")
def test_an_instance_serves_another_organisation(installed: Installed) -> None:
    """Beside the service runs an instance with a ledger of its own, which is granted as little."""
    machine = installed.machine
    machine.run("systemctl", "enable", "--now", INSTANCE)
    installed.drop(f"{INSTANCE_FOLDER}/of-acme.txt", "acme")
    eventually(lambda: installed.received()["of-acme.txt"] == 1)
    history = machine.run("dingwatch", "-c", "/etc/dingwatch/acme.yaml", "history", "--json")
    assert "of-acme.txt" in history
    assert "of-acme.txt" not in machine.run("dingwatch", "history", "--json")
    assert machine.run("stat", "-c", "%U %a", "/var/lib/dingwatch/acme") == "dingwatch 700\n"
    rated = machine.run("systemd-analyze", "security", "--no-pager", INSTANCE)
    exposure = re.search(r"exposure level for \S+: ([\d.]+)", rated)
    assert exposure is not None
    assert float(exposure[1]) <= 2.0, rated


def test_an_upgrade_keeps_the_ledger(installed: Installed) -> None:
    """After an upgrade, what ran runs again with the same ledger, and sends what came meanwhile."""
    machine = installed.machine
    former = {unit: pid(machine, unit) for unit in (UNIT, INSTANCE)}
    assert 0 not in former.values()
    install(machine, "new")
    eventually(lambda: all(pid(machine, unit) not in {0, former[unit]} for unit in former))
    eventually(lambda: machine.show(INSTANCE, "ActiveState") == installed.state == "active")
    assert "before-upgrade.txt" in machine.run("dingwatch", "history", "--json")
    installed.drop(f"{FOLDERS[0]}/after-upgrade.txt", "after")
    eventually(lambda: installed.received()["after-upgrade.txt"] == 1)
    assert installed.received()["before-upgrade.txt"] == 1
    assert not machine.try_run("find", "/usr/lib/dingwatch", "-newer", "/run/dingwatch.stopped").stdout


def test_an_upgrade_starts_nothing_that_was_stopped(installed: Installed) -> None:
    """A service that an admin stopped stays stopped, though it is enabled; the other one goes on."""
    machine = installed.machine
    machine.run("systemctl", "stop", UNIT)
    former = pid(machine, INSTANCE)
    install(machine, "new")
    eventually(lambda: pid(machine, INSTANCE) not in {0, former})
    assert installed.state == "inactive"


def test_a_removal_keeps_config_and_ledger(installed: Installed) -> None:
    """Whoever installs the package again goes on where it was."""
    machine = installed.machine
    machine.run("dpkg", "--remove", "dingwatch")
    assert machine.run("ls", "/etc/dingwatch").split() == [
        "acme.client_secret",
        "acme.yaml",
        "client_secret",
        "config.yaml",
    ]
    assert "ledger.db" in machine.run("ls", "/var/lib/dingwatch")
    assert machine.try_run("test", "-e", "/usr/lib/dingwatch").returncode == 1
    assert machine.try_run("pgrep", "-u", "dingwatch").stdout == ""
    install(machine, "new")
    assert installed.state == "inactive"
    installed.start()
    installed.drop(f"{FOLDERS[0]}/after-removal.txt", "again")
    eventually(lambda: installed.received()["after-removal.txt"] == 1)
    assert installed.received()["before-upgrade.txt"] == 1


def test_a_purge_leaves_nothing(installed: Installed) -> None:
    """A purge removes all that has the name, but for the user and what the admin's own folders hold."""
    machine = installed.machine
    machine.write(f"/etc/systemd/system/{UNIT}.service.d/override.conf", "[Service]\nNice=1\n")
    machine.run("dpkg", "--purge", "dingwatch")
    found = machine.run("find", "/", "-xdev", "-name", "*dingwatch*", "-not", "-path", "/mnt/*")
    assert found == ""
    machine.run("id", "dingwatch")
    assert machine.run("systemctl", "--failed", "--plain", "--no-legend") == ""
    assert machine.run("cat", f"{FOLDERS[0]}/after-removal.txt") == "again"
