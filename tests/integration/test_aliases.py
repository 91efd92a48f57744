"""Names for recipients: people read and write them, programs get IDs."""

from pathlib import Path

from dingwatch.sandbox import Sandbox
from tests.integration.conftest import Machine
from tests.support import eventually


def test_people_are_shown_names_and_programs_ids(machine: Machine, share: Path, sandbox: Sandbox) -> None:
    """Whether the service runs or not, `send`, `history`, `why`, `check` and the log say 财务群."""
    group = sandbox.conversations[0].id
    machine.settings["aliases"] = {"财务群": group}
    machine.set_folder(conversation_id="财务群")
    given = share.parent / "given.txt"
    given.write_text("by hand", encoding="utf-8")
    for offline in (True, False):
        service = None if offline else machine.start()
        sent = machine.do("send", str(given), "--to", "财务群")
        assert sent.returncode == 0, sent.stderr
        assert sent.stdout.rstrip().endswith("given.txt → 财务群")
        table, checked = machine.do("history").stdout, machine.do("check").stdout
        assert "财务群" in table
        assert "the robot is in conversation 财务群" in checked
        assert group not in table + checked
        newest = machine.history("--recipient", "财务群")[0]
        assert (newest["conversation_id"], newest["recipient_name"]) == (group, "财务群")
        (folder,) = machine.status()["folders"]
        assert (folder["conversation_ids"], folder["recipient_names"]) == ([group], ["财务群"])
        if service is not None:
            (share / "dropped.txt").write_text("dropped", encoding="utf-8")
            eventually(lambda: "dropped.txt" in str(machine.history("--state", "sent")))
            why = machine.do("why", str(share / "dropped.txt")).stdout
            assert "财务群" in why
            service.terminate()
            _, log = service.communicate()
            assert "dropped.txt → 财务群" in log
            assert group not in why + log


def test_a_name_that_nobody_has_names_the_nearest(machine: Machine, share: Path, sandbox: Sandbox) -> None:
    """`send --to` with a typing error sends nothing."""
    machine.settings["aliases"] = {"财务群": sandbox.conversations[0].id}
    machine.write()
    done = machine.do("send", str(share), "--to", "财务裙")
    assert done.returncode == 1
    assert "Did you mean 财务群?" in done.stderr
    searched = machine.do("history", "--recipient", "财务裙")
    assert (searched.returncode, "Did you mean 财务群?" in searched.stderr) == (1, True)
