"""Several services work on one ledger in PostgreSQL, each as a node with a lease."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

from dingwatch import policy
from dingwatch.config.values import Alerts, Config, Pace
from dingwatch.dingtalk import Hurry
from dingwatch.host.control_socket import ask, call
from dingwatch.ledger import LedgerError
from dingwatch.pace import Limit
from dingwatch.sandbox import Fault, FaultKind, Sandbox
from dingwatch.service import canary, delivering
from dingwatch.service.daemon import Service
from dingwatch.service.node import NameTakenError
from dingwatch.texts import Log
from tests import support
from tests.integration.commit_proxy import CommitProxy
from tests.integration.conftest import Machine
from tests.ledger import states
from tests.postgres import PostgresServer, as_user, find_program
from tests.support import PATIENCE, Heard, eventually, folder, names, running, sent

Setting = Callable[..., Config]


@pytest.fixture
def node(tmp_path: Path, sandbox: Sandbox, postgres_url: str) -> Setting:
    """Make the configuration of a host with one folder, on a ledger that all share."""

    def make(name: str) -> Config:
        share = tmp_path / name / "share"
        share.mkdir(parents=True)
        made = support.config(
            tmp_path / name / "state", sandbox, folder(share, sandbox.conversations[0].id, name=name)
        )
        return replace(made, ledger=postgres_url, node=name)

    return make


SEND: Final = "robot/groupMessages/send"
LEASE: Final = 3.0
"""Seconds; a whole minute would have to be sat out."""
COMMITS: Final = 12
NAMES: Final = ("east", "south", "west")


def execute_in(url: str, statement: str, *, commit: bool = False) -> list[tuple[Any, ...]]:
    """Run one SQL statement in a ledger and return its rows."""
    with closing(psycopg.connect(url.replace("+psycopg", ""), autocommit=commit)) as connection:
        return connection.execute(statement).fetchall()


def execute(setting: Config, statement: str, *, commit: bool = False) -> list[tuple[Any, ...]]:
    """Do the same in the ledger of a node."""
    return execute_in(str(setting.ledger), statement, commit=commit)


def totals_in(url: str) -> Counter[str]:
    """Count the deliveries of a ledger by their state."""
    return Counter(state for (state,) in execute_in(url, "SELECT state FROM deliveries"))


def totals(setting: Config) -> Counter[str]:
    """Do the same for the ledger of a node."""
    return totals_in(str(setting.ledger))


def has_sent(setting: Config, count: int) -> bool:
    """Return whether so many deliveries are sent."""
    return totals(setting)["sent"] == count


def act(setting: Config, action: str) -> None:
    """Have a node drain, or work again."""
    status, _ = call(setting.state_dir, "POST", f"/api/v1/node/{action}", b"", timeout=PATIENCE)
    assert status == HTTPStatus.NO_CONTENT


def brief(setting: Config) -> tuple[Service, Heard]:
    """Return a service whose lease is short, and its log."""
    heard = Heard()
    service = Service(setting, log=heard)
    service.lease = LEASE
    return service, heard


def share_of(setting: Config) -> Path:
    """Return the folder of a node."""
    return setting.folders[0].path


# --- A name and a lease --------------------------------------------------------------------------


def test_two_nodes_share_a_ledger(node: Setting, sandbox: Sandbox) -> None:
    """Each sends what its own folder gets."""
    east, west = node("east"), node("west")
    with running(east), running(west):
        (share_of(east) / "e.txt").write_text("e")
        (share_of(west) / "w.txt").write_text("w")
        eventually(sent(sandbox, 2))
    assert sorted(names(sandbox)) == ["e.txt", "w.txt"]


def test_one_name_is_one_process(node: Setting) -> None:
    """The second one says so, and leaves the first alone."""
    east = node("east")
    second = replace(east, state_dir=east.state_dir.with_name("second"))
    with running(east) as service:
        with pytest.raises(NameTakenError):
            Service(second, log=Heard()).start()
        assert service.failed is None
    with running(second):
        pass


def test_a_second_process_of_a_name_exits_with_78(machine: Machine, postgres_url: str) -> None:
    """So systemd does not start it again and again, and a person reads which name it is about."""
    machine.settings |= {"ledger": postgres_url, "node": "east"}
    machine.write()
    first = machine.start()
    elsewhere = str(machine.state_dir.with_name("other"))
    other = Machine(machine.path.with_name("other.yaml"), {**machine.settings, "state_dir": elsewhere})
    for language, text in (("en_GB.UTF-8", "as node east"), ("zh_CN.UTF-8", "节点名 east")):
        other.settings["language"] = "auto"
        other.write()
        done = other.do("run", language=language)
        assert (done.returncode, text in done.stderr, "Traceback" in done.stderr) == (78, True, False), done
    assert machine.stop(first) == 0


def test_a_node_of_another_app_exits_with_78(machine: Machine, node: Setting) -> None:
    """It would use what the first one has uploaded, by its own app; once the first is gone, it may start."""
    east = node("east")
    machine.settings |= {"ledger": east.ledger, "node": "west"}
    machine.settings["dingtalk"]["client_id"] = "dingother"
    with running(east) as service:
        for language, advice in (("en_GB.UTF-8", "the same client_id"), ("zh_CN.UTF-8", "相同的 client_id")):
            machine.settings["language"] = "auto"
            machine.write()
            found = machine.do("check", "--offline", language=language)
            assert (found.returncode, f"east: {east.dingtalk.client_id}" in found.stdout) == (1, True), found
            done = machine.do("run", language=language)
            assert done.returncode == 78, done
            assert f"west: dingother, east: {east.dingtalk.client_id}" in done.stderr
            assert advice in done.stderr
            assert "Traceback" not in done.stderr
        assert execute(east, "SELECT name FROM nodes") == [("east",)]
        assert service.failed is None
    assert machine.stop(machine.start()) == 0


def test_a_node_of_another_app_that_was_away_stops(node: Setting) -> None:
    """It was cut off for so long that the others were started with another app meanwhile."""
    east = node("east")
    service, _ = brief(east)
    with service:
        execute(
            east,
            "INSERT INTO nodes (name, instance, started_at, lease_until)"
            " VALUES ('west', 'drawn/dingother', 1, 1e12) RETURNING 1",
            commit=True,
        )
        assert service.failed is None
        execute(east, "UPDATE nodes SET lease_until = 1 WHERE name = 'east' RETURNING 1", commit=True)
        eventually(service.ended.is_set)
    assert isinstance(service.failed, LedgerError)
    assert service.failed.cause.code == "other_app"


def test_a_killed_node_starts_again_at_once(
    machine: Machine, postgres: PostgresServer, postgres_url: str, share: Path, sandbox: Sandbox
) -> None:
    """Its lease has a minute to go, but the server knows that its process is gone."""
    machine.settings |= {"ledger": postgres_url, "node": "east"}
    machine.write()
    machine.stop(machine.start(), signal.SIGKILL)
    database = postgres_url.partition("?")[0].rpartition("/")[2]
    ((before,),) = postgres.execute("SELECT lease_until FROM nodes", database=database)
    process = machine.start()
    (share / "a.txt").write_text("a")
    eventually(sent(sandbox, 1))
    ((started,),) = postgres.execute("SELECT started_at FROM nodes", database=database)
    assert started < before
    assert machine.stop(process) == 0


# --- Leases that end -----------------------------------------------------------------------------


def test_a_frozen_node_repeats_nothing_unmarked(
    machine: Machine, node: Setting, share: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is frozen while a message of its own is out, past its lease: others take over, and it finds out."""
    monkeypatch.setattr(policy, "DOUBT_WAIT", 0.1)
    west = node("west")
    machine.settings |= {"ledger": west.ledger, "node": "east"}
    machine.constants = {"dingwatch.service.daemon.LEASE": LEASE}
    machine.write()
    process = machine.start()
    service, heard = brief(west)
    with service:
        sandbox.inject(Fault(SEND, FaultKind.SLOW_ANSWER, seconds=LEASE, times=1))
        (share / "a.txt").write_text("a")
        eventually(sent(sandbox, 1))
        process.send_signal(signal.SIGSTOP)
        eventually(lambda: heard.count(Log.NODE_LOST))
        process.send_signal(signal.SIGCONT)
        eventually(lambda: totals(west)["sent"] == 1)
        (share / "b.txt").write_text("b")
        eventually(lambda: totals(west)["sent"] == 2)
    assert service.failed is None
    assert machine.stop(process) == 0
    marked = execute(west, "SELECT uncertain_resent FROM deliveries ORDER BY id")
    assert names(sandbox) == ["a.txt"] * (1 + marked[0][0]) + ["b.txt"]
    assert not marked[1][0]


HURRIED: Final = "dingwatch.service.delivering.HURRY"


def on_hold(setting: Config) -> Config:
    """Leave what is uncertain to a person."""
    return replace(setting, delivery=replace(setting.delivery, on_uncertain="hold"))


@pytest.mark.parametrize("kind", [FaultKind.SLOW_ANSWER, FaultKind.ENDLESS])
def test_a_send_is_given_up_while_the_lease_lasts(
    node: Setting, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, kind: FaultKind
) -> None:
    """DingTalk is silent, or answers drop by drop: the message is uncertain before its answer is there."""
    monkeypatch.setattr(HURRIED, Hurry(0.5, 0.5))
    sandbox.inject(Fault(SEND, kind, seconds=PATIENCE / 6))
    east = on_hold(node("east"))
    with running(east):
        (share_of(east) / "a.txt").write_text("a")
        eventually(lambda: totals(east) == {"uncertain": 1})
        (share_of(east) / "b.txt").write_text("b")
        eventually(lambda: totals(east) == {"uncertain": 1, "sent": 1})
    assert execute(east, "SELECT doubts FROM deliveries ORDER BY id") == [(1,), (0,)]


def test_a_send_may_take_longer_where_no_lease_ends(
    tmp_path: Path, share: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that has its ledger for itself waits for DingTalk as long as it ever does."""
    monkeypatch.setattr(HURRIED, Hurry(0.1, 0.1))
    sandbox.inject(Fault(SEND, FaultKind.SLOW_ANSWER, seconds=1.0))
    setting = on_hold(support.config(tmp_path / "state", sandbox, folder(share, sandbox.conversations[0].id)))
    with running(setting):
        (share / "a.txt").write_text("a")
        eventually(lambda: states(setting) == {"sent": 1})


def test_a_node_that_drains_finishes_and_claims_nothing(node: Setting, sandbox: Sandbox) -> None:
    """What comes meanwhile waits, until it works again."""
    east = node("east")
    with running(east):
        act(east, "drain")
        eventually(lambda: ask(east.state_dir, "drain", {}, PATIENCE)["in_flight"] == 0)
        (share_of(east) / "a.txt").write_text("a")
        eventually(lambda: totals(east)["pending"] == 1)
        act(east, "undrain")
        eventually(sent(sandbox, 1))
    assert names(sandbox) == ["a.txt"]


def test_a_decision_reaches_the_node_that_it_is_for_at_once(
    node: Setting, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person retries on one host what has failed on another, which would not look again for an hour."""
    monkeypatch.setattr(delivering, "POLL_SECONDS", 3600.0)
    monkeypatch.setattr(canary, "SECONDS", 3600.0)  # it passes through all loops, too
    east, west = node("east"), node("west")
    with running(east), running(west):
        sandbox.inject(Fault("media/upload", FaultKind.ERROR, code="40011", times=1))
        (share_of(west) / "w.txt").write_text("w")
        eventually(lambda: totals(west)["failed"] == 1)
        # The last thing to do before the node sleeps is to count the call.
        eventually(lambda: execute(west, "SELECT 1 FROM calls WHERE api = 'media/upload'"))
        ((number,),) = execute(west, "SELECT id FROM deliveries")
        path = f"/api/v1/deliveries/{number}/retry"
        status, body = call(east.state_dir, "POST", path, b"", timeout=PATIENCE)
        assert status == HTTPStatus.NO_CONTENT, body
        eventually(sent(sandbox, 1))


def test_a_ledger_of_one_host_has_no_node_to_drain(tmp_path: Path, sandbox: Sandbox) -> None:
    """The answer says why."""
    with running(support.config(tmp_path, sandbox)) as service:
        status, body = call(service.config.state_dir, "POST", "/api/v1/node/drain", b"", timeout=PATIENCE)
    assert (status, b"not_shared" in body) == (409, True)


# --- Failover ------------------------------------------------------------------------------------


def copy_to(primary: PostgresServer, standby: PostgresServer) -> None:
    """Have a server that is stopped begin as an asynchronous standby of another, once it is started."""
    shutil.rmtree(standby.data)
    command = (find_program("pg_basebackup"), "-h", primary.directory, "-U", "postgres")
    subprocess.run((*command, "-c", "fast", "-D", standby.data, "-R"), check=True, **as_user())


def test_a_promoted_standby_is_told_what_it_lacks(node: Setting, sandbox: Sandbox) -> None:
    """It knows nothing of a file that was sent: that is written again, and the file is not sent again."""
    heard = Heard()
    with PostgresServer() as primary, primary.ledger() as url, PostgresServer() as standby:
        standby.stop()
        east = replace(node("east"), ledger=f"{url},{standby.directory}")
        with running(east, heard):
            copy_to(primary, standby)
            (share_of(east) / "a.txt").write_text("a")
            eventually(sent(sandbox, 1))
            eventually(lambda: execute(east, "SELECT 1 FROM deliveries WHERE state = 'sent'"))
            primary.kill()
            standby.start()
            standby.execute("SELECT pg_promote()")
            eventually(lambda: heard.count(Log.FAILED_OVER))
            assert execute(east, "SELECT state FROM deliveries") == [("sent",)]
            (share_of(east) / "b.txt").write_text("b")
            eventually(sent(sandbox, 2))
        with running(replace(east, folders=(replace(east.folders[0], rescan=0.1),))):
            (share_of(east) / "c.txt").write_text("c")
            eventually(sent(sandbox, 3))
    assert names(sandbox) == ["a.txt", "b.txt", "c.txt"]


# --- Outages of the database ---------------------------------------------------------------------


def test_a_database_that_is_away_keeps_only_the_work_waiting(node: Setting, sandbox: Sandbox) -> None:
    """The folder is watched on; each outage is said once; what came meanwhile is sent once it is back."""
    heard = Heard()
    with PostgresServer() as server, server.ledger() as url:
        east = replace(node("east"), ledger=url)
        with running(east, heard) as service:
            (share_of(east) / "a.txt").write_text("a")
            eventually(sent(sandbox, 1))
            server.stop()
            (share_of(east) / "b.txt").write_text("b")
            eventually(lambda: service.health().ledger_error)
            alive = service.health().passed_at
            eventually(lambda: (service.health().passed_at or 0.0) > (alive or 0.0))
            server.start()
            (share_of(east) / "c.txt").write_text("c")
            eventually(sent(sandbox, 3))
            eventually(lambda: heard.count(Log.LEDGER_BACK))
        assert (heard.count(Log.LEDGER_DOWN), heard.count(Log.LEDGER_BACK)) == (1, 1)
    assert sorted(names(sandbox)) == ["a.txt", "b.txt", "c.txt"]


@pytest.mark.parametrize("reaches", [True, False])
def test_a_commit_whose_answer_is_lost_is_found_out(
    node: Setting, postgres: PostgresServer, sandbox: Sandbox, *, reaches: bool
) -> None:
    """Nothing is recorded, uploaded or sent a second time, and nothing is left in hand without a job."""
    direct = node("east")
    with tempfile.TemporaryDirectory() as directory:
        proxy = CommitProxy(Path(directory), postgres.directory)
        east = replace(direct, ledger=str(direct.ledger).replace(str(postgres.directory), directory))
        with running(east):
            for number in range(COMMITS):
                (share_of(east) / f"{number}.txt").write_text(str(number))
                # At every second one, what is found out is itself followed by a transaction that breaks.
                proxy.cut(1 + number % 3, reaches=reaches, each=1 + number % 2)
                eventually(partial(has_sent, direct, number + 1))
        proxy.close()
    assert proxy.cuts >= COMMITS
    assert names(sandbox) == [f"{number}.txt" for number in range(COMMITS)]
    assert sandbox.calls()["media/upload"] == COMMITS
    assert execute(direct, "SELECT count(*) FROM versions") == [(COMMITS,)]


def test_a_node_names_the_folder_of_another(node: Setting) -> None:
    """It logs what it sends, also when another node has uploaded that from a folder of its own."""
    with running(node("east")) as east:
        (number,) = east._delivery._roots
    with running(node("west")) as west:
        assert west._name_folder(number) == "east"


def test_the_node_that_tells_people_is_one_that_knows_whom(node: Setting, sandbox: Sandbox) -> None:
    """The first by name has no `alerts.to`; whoever has it tells of all folders, and nobody twice."""
    group = sandbox.conversations[1].id
    knows, knows_not = Alerts(to=(group,), after=0.2), Alerts(after=0.2)
    east, south, west = node("east"), node("south"), node("west")
    share_of(east).rmdir()
    with running(replace(east, alerts=knows_not)):
        with running(replace(south, alerts=knows)), running(replace(west, alerts=knows)):
            eventually(lambda: sandbox.messages(group))
            assert execute(east, "SELECT node FROM tellers ORDER BY node") == [("south",), ("west",)]
        # Its configuration names nobody any more; the other one goes on from what was told.
        with running(replace(south, alerts=knows_not)), running(replace(west, alerts=knows)):
            share_of(east).mkdir()
            eventually(lambda: len(sandbox.messages(group)) == 2)
    begun, over = (one.text for one in sandbox.messages(group))
    assert "Folder east on node east has been down since" in begun
    assert "Folder east on node east is watched again" in over


# --- The limits of one app -----------------------------------------------------------------------


def test_services_together_are_never_refused(
    tmp_path: Path, machine: Machine, sandbox: Sandbox, postgres_url: str
) -> None:
    """DingTalk counts their calls as one app's: all files arrive, each once, and nothing is left over."""
    sandbox.limit(qps=20)
    to = [one.id for one in sandbox.conversations[:3]]
    machines: dict[Path, Machine] = {}
    for number, name in enumerate(NAMES):
        path = tmp_path / f"share-{name}"
        path.mkdir()
        both = [to[number], to[number - 1]]
        own = machine.settings["folders"][0] | {"path": str(path), "conversation_id": both}
        more = {"ledger": postgres_url, "node": name, "folders": [own], "state_dir": str(tmp_path / name)}
        # A busy machine delays some calls: the limit is twice as high, but too low for three nodes apart.
        pace = {"per_api": "10/s", "per_conversation": None}
        made = machines[path] = Machine(tmp_path / f"{name}.yaml", {**machine.settings, **more, "pace": pace})
        made.running = machine.running
        made.write()
    processes = [(one, one.start()) for one in machines.values()]
    for number in range(15):
        for path in machines:
            (path / f"{path.name}{number}.txt").write_text(f"{path.name}{number}")
    eventually(lambda: totals_in(postgres_url)["sent"] == 90)
    assert [one.stop(process) for one, process in processes] == [0] * 3
    assert sandbox.calls() == sandbox.granted()
    assert sandbox.calls()["media/upload"] == 45
    for number, senders in enumerate((("east", "south"), ("south", "west"), ("west", "east"))):
        expected = [f"share-{name}{count}.txt" for name in senders for count in range(15)]
        assert sorted(names(sandbox, number)) == sorted(expected)
    assert totals_in(postgres_url) == {"sent": 90}
    left = (
        "SELECT count(*) FROM in_flight",
        "SELECT count(*) FROM pauses",
        "SELECT count(*) FROM uploads WHERE state = 'busy'",
        "SELECT count(*) FROM deliveries WHERE doubts > 0",
    )
    assert [execute_in(postgres_url, one) for one in left] == [[(0,)]] * len(left)


FAST: Final = 20
"""How many times faster the sandbox's clock goes, so that its minute is over in three seconds."""


def test_services_together_keep_to_the_pace_of_a_conversation(tmp_path: Path, postgres_url: str) -> None:
    """Twenty messages a minute in all go to one group from two services, also after one was restarted."""
    pace = Pace(None, Limit(20, 60.0 / FAST, spaced=False))
    with Sandbox(clock=lambda: time.time() * FAST) as chat:
        # On a busy machine some are on their way for long when a minute of the sandbox's begins. Apart, the
        # two would send forty.
        chat.limit(conversation_per_minute=25)
        settings = {}
        for name in ("east", "west"):
            share = tmp_path / name / "share"
            share.mkdir(parents=True)
            # What a program is asked about goes from its own node: both send.
            one = folder(share, chat.conversations[0].id, name=name, before_send=("/bin/true",))
            made = support.config(tmp_path / name / "state", chat, one, pace=pace)
            settings[name] = replace(made, ledger=postgres_url, node=name)
        with running(settings["east"]):
            with running(settings["west"]):
                for number in range(25):
                    for name, setting in settings.items():
                        (share_of(setting) / f"{name} {number}.txt").write_text(f"{name} {number}")
                eventually(sent(chat, 10))
            with running(settings["west"]):
                eventually(partial(has_sent, settings["west"], 50))
        assert sorted(names(chat)) == sorted(f"{name} {n}.txt" for name in settings for n in range(25))
    # A claim that came late to its slot has it from when it was free, and its request leaves by that.
    taken = "SELECT at FROM slots WHERE scope = 'conversation' ORDER BY at"
    slots = [at for (at,) in execute_in(postgres_url, taken)]
    assert len(slots) >= 50, "what a stop has cut off was claimed twice"
    assert all(later - at >= 60.0 / FAST for at, later in zip(slots, slots[20:], strict=False))
    refused = "SELECT code FROM history WHERE event = 'retry' AND code <> 'stopped'"
    assert execute_in(postgres_url, refused) == []
    senders = "SELECT node, count(*) FROM deliveries GROUP BY node ORDER BY node"
    assert execute_in(postgres_url, senders) == [("east", 25), ("west", 25)]
