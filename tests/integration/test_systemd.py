import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "systemd" / "dingwatch.service"
TEMPLATE = UNIT.with_name("dingwatch@.service")
SYSUSERS = UNIT.parent / "sysusers.d" / "dingwatch.conf"


def complaints(unit: Path) -> str:
    """Return what systemd says of a unit file; it exits 0 also over a key that it does not know."""
    command = ["systemd-analyze", "verify", "--man=no", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    return "\n".join(line for line in lines if "dingwatch" in line)


def directives(unit: Path = UNIT) -> list[tuple[str, str]]:
    """Return a unit's directives."""
    return re.findall(r"^(\w+)=(.*)$", unit.read_text("utf-8"), re.MULTILINE)


@pytest.fixture(params=[UNIT, TEMPLATE], ids=["unit", "template"])
def copy(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Return a copy whose program exists: verify looks for it. A template is verified as an instance."""
    original: Path = request.param
    unit = tmp_path / original.name.replace("@", "@acme")
    unit.write_text(
        re.sub(r"(?m)^(Exec\w+)=\S+", r"\1=/bin/true", original.read_text("utf-8")),
        "utf-8",
    )
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
    assert said["ExecReload"] == said["ExecStart"].replace(" run ", " reload ")
    assert int(said["TimeoutStopSec"].removesuffix("s")) > 10
    assert said["StateDirectoryMode"] == "0700"
    assert said["LoadCredential"].startswith("client_secret:/")


IN_A_TEMPLATE = {
    "Description": ("dingwatch:", "dingwatch for %i:"),
    "ExecStart": ("config.yaml", "%i.yaml"),
    "ExecReload": ("config.yaml", "%i.yaml"),
    "StateDirectory": ("dingwatch", "dingwatch/%i"),
    "LoadCredential": ("/client_secret", "/%i.client_secret"),
}
"""By directive, what a template has in the place of what the unit has."""


def test_the_template_is_the_unit() -> None:
    """`dingwatch@.service` is `dingwatch.service` but for its paths: a change to one belongs into both."""
    expected = [
        (key, value.replace(*IN_A_TEMPLATE[key]) if key in IN_A_TEMPLATE else value)
        for key, value in directives()
    ]
    assert directives(TEMPLATE) == expected


def test_no_directive_twice() -> None:
    """No directive takes back another."""
    keys = [key for key, _ in directives() if key != "SystemCallFilter"]  # its lines add up
    assert len(keys) == len(set(keys))


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="systemd-sysusers is not here")
def test_user_can_be_made() -> None:
    """Systemd understands how to make the service's user, and it is the unit's."""
    command = ["systemd-sysusers", "--dry-run", str(SYSUSERS)]
    subprocess.run(command, capture_output=True, check=True)
    assert f"u {dict(directives())['User']} " in SYSUSERS.read_text("utf-8")
