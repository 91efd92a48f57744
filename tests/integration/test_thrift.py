import json
import os
import signal
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from dingwatch.dingtalk import BILLED
from dingwatch.sandbox import Sandbox
from tests.integration.conftest import Machine
from tests.support import eventually


def billed(sandbox: Sandbox) -> int:
    """Return how many billed calls came to the sandbox."""
    return sum(count for api, count in sandbox.calls().items() if api in BILLED)


def drop(share: Path, *names: str) -> None:
    """Write files, each with a content of its own."""
    for name in names:
        (share / name).write_bytes(os.urandom(64))


def test_a_month_without_calls_waits_for_a_persons_word(
    machine: Machine, share: Path, sandbox: Sandbox
) -> None:
    """DingTalk's refusal stops all calls, over a restart and a retry, until `resume`; it is said once."""
    sandbox.limit(monthly_calls=2)
    chat = sandbox.conversations[0].id
    first = machine.start()
    drop(share, "a.pdf")
    eventually(lambda: len(sandbox.messages(chat)) == 1)
    drop(share, "b.pdf", "c.pdf", "d.pdf")
    eventually(lambda: machine.status()["pauses"])
    eventually(lambda: machine.status()["totals"]["pending"] == 3)
    (pause,) = machine.status()["pauses"]
    assert (pause["scope"], "dingwatch resume" in pause["reason"]) == ("app", True)
    assert "DingTalk reports that the month's quota is used up" in machine.do("status").stdout
    stated = machine.status()["api_calls"]  # by DingTalk's own text, not by the plan of the config
    assert (stated["used"] >= 2, stated["limit"]) == (True, 2)
    asked = billed(sandbox)
    assert asked <= 2 + 3  # what was under way together
    first.send_signal(signal.SIGTERM)
    _, log = first.communicate(timeout=20)
    assert log.count("90020") == 1

    second = machine.start()
    assert machine.do("retry", "--all").returncode == 0
    drop(share, "e.pdf")
    eventually(lambda: machine.status()["totals"]["pending"] == 4)
    assert billed(sandbox) == asked
    sandbox.limit(monthly_calls=None)
    done = machine.do("resume")
    assert (done.returncode, "90020" in done.stdout) == (0, True)
    eventually(lambda: len(sandbox.messages(chat)) == 5)
    eventually(lambda: machine.status()["pauses"] == [])
    again = machine.do("resume")
    assert (again.returncode, again.stdout) == (0, "nothing is paused\n")
    second.send_signal(signal.SIGTERM)
    _, log = second.communicate(timeout=20)
    assert "90020" not in log


def test_resume_without_a_ledger_makes_none(machine: Machine, tmp_path: Path) -> None:
    """Before the first run nothing is paused."""
    done = machine.do("resume")
    assert (done.returncode, done.stdout) == (0, "nothing is paused\n")
    assert not (tmp_path / "state" / "ledger.db").exists()


def test_every_billed_call_of_every_command_is_counted(
    machine: Machine, share: Path, tmp_path: Path, sandbox: Sandbox
) -> None:
    """The daemon's, those of `send` without it, and those of `check`: by month and API, as DingTalk does."""
    process = machine.start()
    drop(share, "a.pdf", "b.pdf")
    eventually(lambda: len(sandbox.messages(sandbox.conversations[0].id)) == 2)
    assert machine.stop(process) == 0
    drop(tmp_path, "c.pdf")
    assert machine.do("send", str(tmp_path / "c.pdf"), "--to", sandbox.conversations[1].id).returncode == 0
    assert machine.do("check").returncode == 0
    calls = machine.status()["api_calls"]
    assert calls["used"] == billed(sandbox) == sandbox.billed() == 7
    assert calls["by_api"] == {api: count for api, count in sandbox.calls().items() if api in BILLED}


def test_most_of_the_quota_is_warned_of(machine: Machine, share: Path, sandbox: Sandbox) -> None:
    """Status and the log tell what is used, what is left and when it runs out; `check` warns of its own."""
    machine.settings["dingtalk"]["monthly_calls"] = 5
    machine.write()
    process = machine.start()
    drop(share, "a.pdf", "b.pdf")
    eventually(lambda: len(sandbox.messages(sandbox.conversations[0].id)) == 2)
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=20)
    assert log.count("4 of 5, 1 left") == 1
    status = machine.status()
    calls = status["api_calls"]
    assert (calls["used"], calls["limit"], calls["left"]) == (4, 5, 1)
    assert "4 of 5, 1 left" in machine.do("status").stdout
    assert status["webhook_calls"] == {"month": calls["month"], "used": 0, "limit": 3000}
    assert "5 of 5, none left" in machine.do("check").stderr
    assert machine.status()["api_calls"]["runs_out_on"].startswith(calls["month"])


def test_metrics_are_what_prometheus_reads(machine: Machine, share: Path, sandbox: Sandbox) -> None:
    """Deliveries, queue, pauses, calls, quota and the daemon, in the text format, with any folder's name."""
    machine.settings["folders"][0]["name"] = name = '财务 "A"\\1'
    machine.write()
    process = machine.start()
    drop(share, "a.pdf")
    eventually(lambda: len(sandbox.messages(sandbox.conversations[0].id)) == 1)
    eventually(lambda: metrics(machine)["dingwatch_deliveries", name, "sent"] == 1)
    eventually(lambda: metrics(machine)["dingwatch_quota_used",] == 2)
    found = metrics(machine)
    assert found["dingwatch_daemon_running",] == found["dingwatch_folder_watched", name] == 1
    assert found["dingwatch_queue_depth",] == found["dingwatch_unmapped",] == 0
    assert found["dingwatch_api_calls", "media/upload", "calls"] == 1
    assert found["dingwatch_api_calls", "gettoken", "none"] == 1
    assert (found["dingwatch_quota_limit",], found["dingwatch_quota_left",]) == (5000, 4998)
    assert machine.stop(process) == 0
    assert metrics(machine)["dingwatch_daemon_running",] == 0
    assert machine.do("status", "--json", "--metrics").returncode == 2


def metrics(machine: Machine) -> dict[tuple[str, ...], float]:
    """Return what `status --metrics` prints, by name and the values of its labels."""
    done = machine.do("status", "--metrics")
    assert done.returncode == 0, done.stderr
    families = text_string_to_metric_families(done.stdout)
    return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}


def test_the_contracts_keys_are_kept(machine: Machine) -> None:
    """What other programs read of `status --json` stays, beside what is new."""
    calls = json.loads(machine.do("status", "--json").stdout)["api_calls"]
    assert list(calls) == ["month", "used", "limit", "left", "runs_out_on", "by_api"]
