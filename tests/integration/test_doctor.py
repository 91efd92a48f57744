"""`doctor`: an archive for others has what they need, and nothing that they must not see."""

import json
import os
import stat
import zipfile
from pathlib import Path

import pytest

from dingwatch.cli.discretion import HIDDEN, Discretion, find_secrets, shorten
from dingwatch.sandbox import Sandbox
from tests.integration.conftest import Machine
from tests.support import eventually

PLANTED = {
    name: f"planted{name}0123456789"
    for name in (
        "inFile",
        "inConfig",
        "inWebhook",
        "inRobot",
        "inEnv",
        "inLedger",
        "inHeart",
        "inExtra",
        "inLog",
    )
}
MEMBERS = {
    *("README.txt", "check.txt", "config.txt", "ledger.txt", "limits.txt", "log.txt", "mounts.txt"),
    *("status.json", "versions.txt"),
}


def unpack(path: Path) -> dict[str, str]:
    """Return the members of an archive."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def put_journal(directory: Path, lines: str) -> str:
    """Put a `journalctl` that prints these lines in front of the system's; return the PATH."""
    directory.mkdir()
    program = directory / "journalctl"
    (directory / "lines").write_text(lines, encoding="utf-8")
    program.write_text(f"#!/bin/sh\nexec cat '{directory}/lines'\n")
    program.chmod(0o755)
    return f"{directory}:{os.environ['PATH']}"


@pytest.mark.shows_secret("the journal that it is given has them")
def test_no_secret_is_in_any_member(machine: Machine, share: Path, tmp_path: Path, sandbox: Sandbox) -> None:
    """Wherever one stands: in the config, in addresses, in files and variables, and in the log."""
    process = machine.start()
    (share / "a.txt").write_text("content that nobody else may read")
    eventually(lambda: machine.status()["totals"]["sent"] == 1)
    machine.stop(process)
    secret_file = tmp_path / "secret"
    secret_file.write_text(PLANTED["inFile"])
    secret_file.chmod(0o600)
    machine.settings["dingtalk"].pop("client_secret")
    machine.settings["dingtalk"]["client_secret_file"] = str(secret_file)
    machine.settings["x-mine"] = {"password": PLANTED["inExtra"]}
    machine.settings["alerts"] = {"heartbeat_url": f"https://hc.example/{PLANTED['inHeart']}"}
    robot = f"{sandbox.url}/robot/send?access_token={PLANTED['inWebhook']}"
    told = tmp_path / "told"
    told.mkdir()
    machine.settings["folders"].append(
        {
            "path": str(told),
            "webhook": robot,
            "webhook_secret": PLANTED["inRobot"],
            "send_as": "notice",
        }
    )
    machine.write()
    elsewhere = {PLANTED[name] for name in ("inLog", "inConfig", "inLedger")}
    lines = "".join(
        f"dingwatch: something {secret} failed\n" for secret in PLANTED.values() if secret not in elsewhere
    )
    lines += f"dingwatch: https://x/robot/send?access_token={PLANTED['inLog']}&sign=abcdefghijk\n"
    path = put_journal(tmp_path / "bin", lines)
    environ = {"PATH": path, "DINGWATCH_API_TOKEN": PLANTED["inEnv"]}
    for extra in ((), ("--names",)):
        target = tmp_path / f"doctor{len(extra)}.zip"
        done = machine.call("doctor", "-o", str(target), *extra, **environ)
        assert done.exit_code == 0, done.output
        members = unpack(target)
        assert members.keys() == MEMBERS
        for name, text in members.items():
            leaked = [what for what, secret in PLANTED.items() if secret in text and what != "inLedger"]
            assert leaked == [], name
            assert "content that nobody" not in text
            assert sandbox.client_secret not in text
        assert "dingwatch: something *** failed" in members["log.txt"]


def test_a_broken_config_leaks_nothing_either(machine: Machine, tmp_path: Path) -> None:
    """The archive tells what is wrong with it."""
    machine.path.write_text(
        f"dingtalk:\n  client_secret: {PLANTED['inConfig']}\n  client_id: [\n"
        f"ledger: postgresql+psycopg://me:{PLANTED['inLedger']}@db/dingwatch\n"
    )
    target = tmp_path / "doctor.zip"
    assert machine.call("doctor", "-o", str(target)).exit_code == 0
    text = "\n".join(unpack(target).values())
    assert [what for what, secret in PLANTED.items() if secret in text] == []
    assert "line 4" in text or "line 3" in text


def test_names_are_shortened_unless_they_are_wanted(machine: Machine, share: Path, tmp_path: Path) -> None:
    """In the counts, in the config, and in the log; whether the ledger knows them or not."""
    machine.set_folder(name="财务报表", existing="send")
    (share / "季度 合同.pdf").write_text("x")
    process = machine.start()
    eventually(lambda: machine.status()["totals"]["sent"] == 1)
    machine.stop(process)
    lines = (
        "2026-11-30T05:00:00+08:00 host dingwatch[1]: sent: 季度 合同.pdf → cidA\n"
        "2026-11-30T05:00:00+08:00 host dingwatch[1]: queued: another name.docx (1 KB)\n"
        "2026-11-30T05:00:00+08:00 host other[1]: /srv/some/where.txt is odd\n"
    )
    path = put_journal(tmp_path / "bin", lines)
    short, whole = tmp_path / "short.zip", tmp_path / "whole.zip"
    assert machine.call("doctor", "-o", str(short), PATH=path).exit_code == 0
    assert machine.call("doctor", "-o", str(whole), "--names", PATH=path).exit_code == 0
    text = "\n".join(unpack(short).values())
    for name in ("财务报表", "季度 合同", "another name", "where.txt", str(share)):
        assert name not in text
        if name != str(share):
            assert name in "\n".join(unpack(whole).values())
    log = unpack(short)["log.txt"]
    assert "sent: 季….pdf → cidA" in log
    assert "queued: a….docx" in log
    assert json.loads(unpack(short)["status.json"])["folders"][0]["counts"]["sent"] == 1


def test_an_archive_is_private_and_overwrites_nothing(machine: Machine, tmp_path: Path) -> None:
    """Without a service and without a ledger, it is written all the same."""
    target = tmp_path / "doctor.zip"
    done = machine.call("doctor", "--output", str(target), PATH="/nowhere")
    assert (done.exit_code, str(target) in done.stdout) == (0, True), done.output
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    members = unpack(target)
    assert "no journalctl" in members["log.txt"]
    assert "no ledger" in members["ledger.txt"]
    assert f"dingtalk.client_secret: {HIDDEN}  # " in members["config.txt"]
    assert "folders[0].recursive (s…): true  # default" in members["config.txt"]
    before = target.read_bytes()
    done = machine.call("doctor", "-o", str(target))
    assert (done.exit_code, "not overwritten" in done.stderr, target.read_bytes() == before) == (
        1,
        True,
        True,
    )
    assert machine.call("doctor", "-o", str(tmp_path / "absent" / "x.zip")).exit_code == 1


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("/srv/财务/合同 A.pdf", "/s…/财…/合….pdf"),
        ("a", "a"),
        ("ab", "a…"),
        (".hidden", ".…"),
        ("x.tar.gz", "x….gz"),
    ],
)
def test_a_shortened_name_keeps_its_extension(name: str, short: str) -> None:
    """It is still clear what kind of file it was."""
    assert shorten(name) == short


def test_what_may_be_a_secret_is_one() -> None:
    """Whatever its key is called, and whether YAML could read the file or not."""
    found = find_secrets(
        "a_token: 'abcdef'\n  webhook: https://x/send?access_token=tttttt&k=2 # mine\nledger: p://u:passwd@h/d\n",
        {"X_PASSWORD": "pppppp", "HOME": "/root"},
    )
    assert {"abcdef", "tttttt", "passwd", "pppppp"} <= found
    assert "/root" not in found
    assert Discretion(frozenset(found)).hide("tttttt and https://a:b@c and Bearer xyz") == (
        "*** and https://***@c and Bearer ***"
    )
