import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "systemd" / "dingwatch.service"
SYSUSERS = UNIT.parent / "sysusers.d" / "dingwatch.conf"


def complaints(unit: Path) -> str:
    """Return what systemd says of a unit file; it exits 0 also over a key that it does not know."""
    command = ["systemd-analyze", "verify", "--man=no", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    return "\n".join(line for line in lines if "dingwatch" in line)


def directives() -> list[tuple[str, str]]:
    """Return the unit's directives."""
    return re.findall(r"^(\w+)=(.*)$", UNIT.read_text("utf-8"), re.MULTILINE)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy whose program exists: verify looks for it."""
    unit = tmp_path / UNIT.name
    unit.write_text(re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text("utf-8")), "utf-8")
    return unit


analyze = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")


@analyze
def test_systemd_accepts_the_unit(copy: Path) -> None:
    """Systemd has nothing to say against the unit."""
    assert complaints(copy) == ""


@analyze
def test_systemd_would_complain(copy: Path) -> None:
    """A mistyped directive would have been found."""
    copy.write_text(copy.read_text("utf-8").replace("UMask=", "UMaks="), "utf-8")
    assert "UMaks" in complaints(copy)


def test_unit_keeps_its_promises() -> None:
    """A wrong configuration is not restarted, an outage never ends the restarts, a stop has its 10 s."""
    said = dict(directives())
    assert (said["Type"], said["Restart"], said["RestartPreventExitStatus"]) == ("notify", "on-failure", "78")
    assert said["StartLimitIntervalSec"] == "0"
    assert int(said["TimeoutStopSec"].removesuffix("s")) > 10
    assert said["StateDirectoryMode"] == "0700"
    assert said["LoadCredential"].startswith("client_secret:/")


def test_no_directive_twice() -> None:
    """No directive takes back another."""
    keys = [key for key, _ in directives()]
    assert len(keys) == len(set(keys))


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="systemd-sysusers is not here")
def test_user_can_be_made() -> None:
    """Systemd understands how to make the service's user, and it is the unit's."""
    command = ["systemd-sysusers", "--dry-run", str(SYSUSERS)]
    subprocess.run(command, capture_output=True, check=True)
    assert f"u {dict(directives())['User']} " in SYSUSERS.read_text("utf-8")
