"""What the commands and pages of a host show of a ledger that it shares with others."""

import json
import re
import shlex
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from sqlalchemy import make_url

from dingwatch import names
from dingwatch.dingtalk import API_SEND, API_UPLOAD
from dingwatch.sandbox import Fault, FaultKind, Sandbox
from tests.integration.conftest import Machine, settings_for
from tests.postgres import PostgresServer
from tests.support import eventually, sent


@pytest.fixture
def pair(tmp_path: Path, sandbox: Sandbox, postgres_url: str) -> Iterator[tuple[Machine, Machine]]:
    """Two hosts with a folder each, which is called `share` on both."""
    found = []
    for name in ("east", "west"):
        share = tmp_path / name / "share"
        share.mkdir(parents=True)
        settings = settings_for(tmp_path / name, share, sandbox)
        settings |= {"ledger": postgres_url, "node": name}
        made = Machine(tmp_path / name / "config.yaml", settings)
        made.write()
        found.append(made)
    yield found[0], found[1]
    for one in found:
        one.kill_left_over()


def share_of(machine: Machine) -> Path:
    """Return the folder of a host."""
    return Path(machine.settings["folders"][0]["path"])


def lose(machine: Machine, postgres: PostgresServer) -> None:
    """Have a host whose power has failed lose its lease, which would take a minute."""
    name = make_url(machine.settings["ledger"]).database or ""
    postgres.execute(
        "UPDATE nodes SET lease_until = 1 WHERE name = %s", machine.settings["node"], database=name
    )


def test_each_host_shows_all_nodes_and_folders(
    pair: tuple[Machine, Machine], sandbox: Sandbox, postgres: PostgresServer
) -> None:
    """Folders of others are listed with their node, and counted; those of a lost node are down."""
    east, west = pair
    east.start()
    process = west.start()
    for one in pair:
        (share_of(one) / f"{one.settings['node']}.txt").write_text("x" + one.settings["node"])
    eventually(sent(sandbox, 2))
    eventually(lambda: east.status()["totals"]["sent"] == 2)
    for one, other in (pair, pair[::-1]):
        status = one.status()
        assert [(each["name"], each["state"]) for each in status["nodes"]] == [("east", "up"), ("west", "up")]
        assert all(each["lease_until"].endswith("Z") for each in status["nodes"])
        own, theirs = status["folders"]
        assert (own["node"], own["watch"], own["path"]) == (
            one.settings["node"],
            "inotify",
            str(share_of(one)),
        )
        assert (theirs["node"], theirs["watch"]) == (other.settings["node"], "unknown")
        assert theirs["conversation_ids"] == [sandbox.conversations[0].id]
        assert (own["counts"]["sent"], theirs["counts"]["sent"], status["totals"]["sent"]) == (1, 1, 2)
        assert one.call("status", "--check").exit_code == 0
    lines = east.history()
    assert {line["path"] for line in lines} == {"east.txt", "west.txt"}
    assert {line["node"] for line in lines} <= {"east", "west"}  # either may send what is uploaded
    assert "nodes that are up: east, west" in east.call("status").stdout
    assert "share @ west" in east.call("status").stdout
    assert west.stop(process, signal.SIGKILL) == -signal.SIGKILL
    lose(west, postgres)
    status = east.status()
    assert [(each["name"], each["state"]) for each in status["nodes"]] == [("east", "up"), ("west", "lost")]
    assert status["folders"][1]["watch"] == "down"
    done = east.call("status", "--check")
    assert done.exit_code == 2
    assert "nodes that are lost: west" in done.stdout
    # What a check on this host says of its own folder does not help there.
    assert "folders that nobody watches, because their node is lost: share @ west" in done.stdout
    assert "check --offline" not in done.stdout
    assert "node west is lost since" in east.call("status").stdout
    metrics = east.call("status", "--metrics").stdout
    assert 'dingwatch_node_up{node="east"} 1.0' in metrics
    assert 'dingwatch_node_up{node="west"} 0.0' in metrics
    # Each node has metrics of its own folders: Prometheus refuses two series with the same labels.
    assert metrics.count('dingwatch_folder_watched{folder="share"}') == 1


def test_a_lost_node_is_told_once_and_when_it_is_back(
    pair: tuple[Machine, Machine], sandbox: Sandbox, postgres: PostgresServer
) -> None:
    """By one of the others; one that was drained and stopped is no news."""
    east, west = pair
    group = sandbox.conversations[1].id
    for one in pair:
        one.settings["alerts"] = {"to": [group], "after": "200ms"}
        one.write()
    east.start()
    process = west.start()
    west.stop(process, signal.SIGKILL)
    lose(west, postgres)
    eventually(lambda: len(sandbox.messages(group)) == 1)
    assert "Node west has been lost" in str(sandbox.messages(group)[0])
    west.start()
    eventually(lambda: len(sandbox.messages(group)) == 2)
    assert "Node west works again" in str(sandbox.messages(group)[1])


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_folder_that_is_down_on_another_node_is_told(
    pair: tuple[Machine, Machine], sandbox: Sandbox, postgres: PostgresServer, language: str
) -> None:
    """By the leader, with the node; a node that is lost meanwhile has not got its folder back."""
    east, west = pair
    group = sandbox.conversations[1].id
    for one, to in ((east, [group]), (west, [])):
        one.settings |= {"alerts": {"to": to, "after": "200ms"}, "language": language}
        one.write()
    east.start()
    process = west.start()
    share_of(west).rmdir()
    eventually(lambda: len(sandbox.messages(group)) == 1)
    down = {"en": "Folder share on node west has been down", "zh": "节点 west 上的文件夹 share 自"}
    assert down[language] in sandbox.messages(group)[0].text
    west.stop(process, signal.SIGKILL)
    lose(west, postgres)
    eventually(lambda: len(sandbox.messages(group)) == 2)
    lost = {"en": "Node west has been lost", "zh": "节点 west 自"}
    assert lost[language] in sandbox.messages(group)[1].text
    share_of(west).mkdir()
    west.start()
    eventually(lambda: len(sandbox.messages(group)) >= 3)
    back = {"en": "Folder share on node west is watched again", "zh": "节点 west 上的文件夹 share 已恢复监视"}
    eventually(lambda: back[language] in "".join(one.text for one in sandbox.messages(group)[2:]))
    assert len(sandbox.messages(group)) <= 4


def test_drain_returns_when_nothing_is_in_flight(pair: tuple[Machine, Machine], sandbox: Sandbox) -> None:
    """Then nothing is sent until `undrain`, not even after a restart; nobody is alarmed meanwhile."""
    east, _ = pair
    process = east.start()
    sandbox.inject(Fault(API_UPLOAD, FaultKind.SLOW, seconds=8.0))
    (share_of(east) / "a.txt").write_text("a")
    eventually(lambda: east.status()["totals"]["uploading"] == 1)
    slow = east.call("drain", "--timeout", "100ms")
    assert (slow.exit_code, "still in flight" in slow.stderr) == (1, True), slow.output
    done = east.call("drain")
    assert (done.exit_code, "nothing is in flight" in done.stdout) == (0, True), done.output
    assert east.status()["totals"]["uploading"] == 0
    (share_of(east) / "b.txt").write_text("b")
    eventually(lambda: sum(east.status()["totals"][one] for one in ("pending", "uploaded")) == 2)
    assert [one["state"] for one in east.status()["nodes"]] == ["draining"]
    assert "node east is drained" in east.call("status").stdout
    assert east.stop(process) == 0
    assert [one["state"] for one in east.status()["nodes"]] == ["draining"]
    assert "nothing is in flight" in east.call("drain").stdout
    east.start()
    assert [one["state"] for one in east.status()["nodes"]] == ["draining"]
    assert not sandbox.messages(sandbox.conversations[0].id)
    assert east.call("undrain").exit_code == 0
    eventually(sent(sandbox, 2))


def test_a_host_that_is_gone_for_good_is_drained_from_another(
    pair: tuple[Machine, Machine], sandbox: Sandbox, postgres: PostgresServer
) -> None:
    """Nobody drained it before it was taken away: it is no trouble any more, and may come back later."""
    east, west = pair
    group = sandbox.conversations[1].id
    east.settings["alerts"] = {"to": [group], "after": "200ms"}
    east.write()
    east.start()
    west.stop(west.start(), signal.SIGKILL)
    lose(west, postgres)
    eventually(lambda: len(sandbox.messages(group)) == 1)
    assert "`dingwatch drain west`" in sandbox.messages(group)[0].text
    assert "dingwatch drain west" in east.call("status").stdout
    done = east.call("drain", "west")
    assert (done.exit_code, "node west does not run" in done.stdout) == (0, True), done.output
    eventually(lambda: len(sandbox.messages(group)) == 2)
    assert "was drained" in sandbox.messages(group)[1].text
    assert [(one["name"], one["state"]) for one in east.status()["nodes"]] == [
        ("east", "up"),
        ("west", "draining"),
    ]
    done = east.call("status", "--check")
    assert done.exit_code == 0, done.output
    west.start()
    (share_of(west) / "w.txt").write_text("w")
    eventually(lambda: east.status()["totals"]["pending"] == 1)
    done = east.call("undrain", "west")
    assert (done.exit_code, "node west sends again" in done.stdout) == (0, True), done.output
    eventually(sent(sandbox, 1))


def test_a_node_that_works_is_drained_from_another(pair: tuple[Machine, Machine], sandbox: Sandbox) -> None:
    """The command returns when nothing of that node is in flight."""
    east, west = pair
    east.start()
    west.start()
    sandbox.inject(Fault(API_UPLOAD, FaultKind.SLOW, seconds=8.0))
    (share_of(west) / "a.txt").write_text("a")
    eventually(lambda: east.status()["totals"]["uploading"] == 1)
    slow = east.call("drain", "west", "--timeout", "100ms")
    assert (slow.exit_code, "still in flight" in slow.stderr) == (1, True), slow.output
    done = east.call("drain", "west")
    assert (done.exit_code, "node west sends nothing any more" in done.stdout) == (0, True), done.output
    assert east.status()["totals"]["uploading"] == 0
    done = east.call("drain", "wset")
    assert done.exit_code == 1
    assert "no node named wset works on the ledger; it knows: east, west" in done.stderr


def test_a_host_whose_service_is_stopped_can_be_drained(pair: tuple[Machine, Machine]) -> None:
    """Who stops first and drains then has nobody told that the node is lost; `undrain` takes that back."""
    east, _ = pair
    assert east.call("drain").exit_code == 0  # it has never run, and so there is nothing to drain
    assert east.stop(east.start()) == 0
    for command, state in (("drain", "draining"), ("undrain", "lost")):
        done = east.call(command)
        assert done.exit_code == 0, done.output
        assert [one["state"] for one in east.status()["nodes"]] == [state]


def test_why_tells_that_the_node_is_drained(pair: tuple[Machine, Machine], sandbox: Sandbox) -> None:
    """Also from the ledger alone; where another node has the share as well, the file does not wait."""
    east, west = pair
    process = east.start()
    assert east.call("drain").exit_code == 0
    (share_of(east) / "a.txt").write_text("a")
    eventually(lambda: east.status()["totals"]["pending"] == 1)
    for _ in range(2):
        done = east.call("why", str(share_of(east) / "a.txt"))
        assert "node east is drained and sends nothing; run dingwatch undrain east to resume" in done.stdout
        assert "waits for its turn" not in done.stdout
        east.stop(process)
    for one in pair:
        one.set_folder(path=str(share_of(east)), shared="team")
    sandbox.inject(Fault(API_UPLOAD, FaultKind.SLOW, seconds=8.0))
    east.start()
    west.start()
    (share_of(east) / "b.txt").write_text("b")
    eventually(lambda: east.status()["totals"]["uploading"] == 1)
    assert "is drained" not in east.call("why", str(share_of(east) / "b.txt")).stdout
    eventually(sent(sandbox, 2))


@pytest.mark.parametrize("runs", [True, False])
def test_nothing_is_given_to_a_drained_node(pair: tuple[Machine, Machine], *, runs: bool) -> None:
    """The command would wait until somebody thinks of that; with a service, and without."""
    east, _ = pair
    process = east.start()
    assert east.call("drain").exit_code == 0
    if not runs:
        east.stop(process)
    file = east.path.with_name("given.txt")
    file.write_text("given")
    done = east.call("send", str(file), "--to", "share", "--timeout", "30s")
    assert (done.exit_code, "node east is drained and sends nothing" in done.stderr) == (1, True), done.output
    assert not east.history()


def test_a_node_that_has_never_run_cannot_be_drained(pair: tuple[Machine, Machine], sandbox: Sandbox) -> None:
    """The command does not say that it was, because the service sends once it is started."""
    east, west = pair
    west.stop(west.start())
    done = east.call("drain")
    assert "node east has never worked on this ledger, so there is nothing to drain" in done.stdout
    east.start()
    (share_of(east) / "a.txt").write_text("a")
    eventually(sent(sandbox, 1))


@pytest.mark.parametrize(
    "words", [("drain", ""), ("undrain", " "), ("ledger", "copy", "--node", "", "a", "b")]
)
def test_an_empty_name_is_not_this_host(pair: tuple[Machine, Machine], words: tuple[str, ...]) -> None:
    """A script has it from a variable that is not set, and meant another node."""
    east, _ = pair
    process = east.start()
    done = east.call(*words)
    assert (done.exit_code, "the name of the node is empty" in done.stderr) == (2, True), done.output
    assert [one["state"] for one in east.status()["nodes"]] == ["up"]
    assert east.stop(process) == 0


@pytest.mark.parametrize("name", ["-x", "财务 服务器's"])
def test_the_command_that_is_shown_works_for_any_name(pair: tuple[Machine, Machine], name: str) -> None:
    """A name may have blanks, or look like an option."""
    east, west = pair
    west.settings["node"] = name
    west.write()
    west.stop(west.start())
    for verb in ("drain", "undrain"):
        lines = east.call("status").stdout.splitlines()
        (line,) = (one for one in lines if f"run dingwatch {verb} " in one)
        words = shlex.split(line.partition("run dingwatch ")[2].removesuffix(" to resume"))
        done = east.call(*words)
        assert (done.exit_code, f"node {name} " in done.stdout) == (0, True), done.output
    done = east.call("drain", "--", name)
    assert f"sends nothing until dingwatch undrain {names.shell_word(name)}." in done.stdout


def test_a_ledger_in_a_file_has_no_nodes(machine: Machine, sandbox: Sandbox) -> None:
    """The keys are there, and the commands say what to do instead."""
    process = machine.start()
    (share_of(machine) / "a.txt").write_text("a")
    eventually(sent(sandbox, 1))
    status = machine.status()
    assert (status["nodes"], status["folders"][0]["node"]) == ([], None)
    eventually(lambda: machine.history()[0]["state"] == "sent")
    assert machine.history()[0]["node"] is None
    for word in ("drain", "undrain"):
        done = machine.call(word)
        assert (done.exit_code, "only a node of a ledger in PostgreSQL" in done.stderr) == (1, True), (
            done.output
        )
    assert machine.stop(process) == 0
    assert (machine.status()["nodes"], machine.status()["folders"][0]["node"]) == ([], None)


def test_commands_work_beside_the_services(pair: tuple[Machine, Machine], sandbox: Sandbox) -> None:
    """With the password that the service alone has been given."""
    east, west = pair
    east.start()
    west.start()
    file = east.path.with_name("given.txt")
    file.write_text("given")
    done = east.call("send", str(file), "--to", "share")
    assert done.exit_code == 0, done.output
    (share_of(west) / "w.txt").write_text("w")
    eventually(sent(sandbox, 2))
    eventually(lambda: west.status()["totals"]["sent"] == 2)
    why = west.call("why", str(share_of(west) / "w.txt"))
    assert why.exit_code == 0, why.output
    assert "sent" in why.stdout
    for one in pair:
        assert one.call("pause", "share", "--for", "1h").exit_code == 0
        assert one.status()["folders"][0]["paused"] is not None
        assert one.status()["folders"][1]["paused"] is None
        assert one.call("resume", "share").exit_code == 0
    assert east.call("history", "--csv").stdout.splitlines()[0].endswith(",bundle,node")


def test_why_and_history_name_the_nodes(pair: tuple[Machine, Machine], sandbox: Sandbox) -> None:
    """One has found a file, another may have sent it; a ledger of one host has no such column."""
    east, west = pair
    process = west.start()
    refusal = "Forbidden.AccessDenied.QpsLimitForApi"
    sandbox.inject(Fault(API_SEND, FaultKind.ERROR, status=403, code=refusal, times=None))
    (share_of(west) / "w.txt").write_text("w")
    eventually(lambda: west.status()["totals"]["uploaded"] == 1 and west.status()["pauses"])
    west.stop(process)
    sandbox.clear_faults()
    east.start()
    assert east.call("resume").exit_code == 0
    eventually(sent(sandbox, 1))
    eventually(lambda: east.history()[0]["state"] == "sent")
    why = west.call("why", str(share_of(west) / "w.txt"))
    assert "(node west) settled: complete" in why.stdout, why.stdout
    assert "(node east) sending took" in why.stdout
    raw = west.call("why", "-v", str(share_of(west) / "w.txt"))
    assert "(node east)" in raw.stdout.splitlines()[-1], raw.stdout
    heading, line = east.call("history").stdout.splitlines()
    assert heading.split()[-2:] == ["node", "reason"]
    assert line.split()[-1] == "east"


def test_the_page_shows_the_nodes(
    pair: tuple[Machine, Machine], sandbox: Sandbox, postgres: PostgresServer
) -> None:
    """With their state in words, and the folders of others."""
    east, west = pair
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = "{}:{}".format(*free.getsockname())
    east.settings["http"] = {"listen": address}
    east.write()
    east.start()
    process = west.start()
    (share_of(west) / "w.txt").write_text("w")
    eventually(sent(sandbox, 1))
    west.stop(process, signal.SIGKILL)
    lose(west, postgres)
    with urlopen(f"http://{address}/") as answer:
        page = answer.read().decode()
    assert "1</b> thing needs you" in page
    assert "Last backup" not in page  # a service makes none of a database
    part = page[page.index('id="nodes"') :]
    assert re.search(r"<b>east</b> <span class=.tag.>up</span>", part)
    assert re.search(r"<b>west</b> <span class=.tag.>lost</span>", part)
    with urlopen(f"http://{address}/api/v1/status") as answer:
        status = json.load(answer)
    assert [one["state"] for one in status["nodes"]] == ["up", "lost"]
    assert [one["node"] for one in status["folders"]] == ["east", "west"]
    with urlopen(f"http://{address}/metrics") as answer:
        assert 'dingwatch_node_up{node="west"} 0.0' in answer.read().decode()
