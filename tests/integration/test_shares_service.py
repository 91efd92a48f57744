"""Services on several hosts watch the same share: whatever they do together, each file is sent once."""

from __future__ import annotations

import signal
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, LiteralString

import psycopg
import pytest

from dingwatch.config.values import Alerts, Config
from dingwatch.model import WatchKind
from dingwatch.sandbox import Fault, FaultKind, Sandbox
from dingwatch.service.daemon import Service
from dingwatch.texts import Log
from tests import support
from tests.integration.commit_proxy import CommitProxy
from tests.integration.conftest import Machine
from tests.postgres import PostgresServer
from tests.support import PATIENCE, Heard, eventually, folder, names, running, sent

Setting = Callable[..., Config]


@pytest.fixture
def node(tmp_path: Path, share: Path, sandbox: Sandbox, postgres_url: str) -> Setting:
    """Make the configuration of a host that has the share, with changes to its folder."""

    def make(name: str, **changes: Any) -> Config:  # noqa: ANN401
        one = folder(share, sandbox.conversations[0].id, name="office", shared="office", **changes)
        return replace(support.config(tmp_path / name, sandbox, one), ledger=postgres_url, node=name)

    return make


def kind(service: Service) -> WatchKind:
    """Return how a service watches its only folder."""
    ((found, _),) = service.watching().values()
    return found


def test_two_services_send_each_file_once(node: Setting, share: Path, sandbox: Sandbox) -> None:
    """Both watch, upload and send; when one has ended, the other goes on, and so does who comes back."""
    (share / "old.pdf").write_text("old")
    with running(node("east")):
        with running(node("west")):
            for number in range(10):
                (share / f"{number}.pdf").write_text(str(number))
            eventually(sent(sandbox, 10))
            (share / "0.pdf").rename(share / "renamed.pdf")
            (share / "new.pdf").write_text("new")
            eventually(sent(sandbox, 11))
        (share / "alone.pdf").write_text("alone")
        eventually(sent(sandbox, 12))
    (share / "meanwhile.pdf").write_text("meanwhile")
    with running(node("west")):
        eventually(sent(sandbox, 13))
    expected = [*(f"{number}.pdf" for number in range(10)), "alone.pdf", "meanwhile.pdf", "new.pdf"]
    assert sorted(names(sandbox)) == sorted(expected)


def test_feedback_in_a_share_comes_from_one_node(node: Setting, share: Path, sandbox: Sandbox) -> None:
    """A note is written once and taken away again, and a file that was sent is moved away once."""
    changes = {"feedback": "sidecar", "after_send": "move", "unsupported": "skip"}

    def lie_there() -> list[str]:
        return sorted(path.name for path in share.rglob("*") if path.is_file())

    with running(node("west", **changes)), running(node("east", **changes)):
        (share / "report").write_text("a name without extension")
        (share / "a.pdf").write_text("content")
        eventually(sent(sandbox, 1))
        eventually(lambda: lie_there() == ["a.pdf", "report", "report.not-sent.txt"])
        eventually(lambda: not (share / "a.pdf").exists())
        (share / "report").unlink()
        eventually(lambda: lie_there() == ["a.pdf"])
        (share / "a.pdf").write_text("content")  # a new file, for it was dingwatch that took the other away
        eventually(sent(sandbox, 2))
    assert names(sandbox) == ["a.pdf", "a.pdf"]


def test_a_share_that_one_node_does_not_watch_is_told_with_that_node(node: Setting, sandbox: Sandbox) -> None:
    """The other one watches it all the same, and tells of it, also when it is watched by both."""
    group = sandbox.conversations[1].id
    leader = replace(node("east"), alerts=Alerts(to=(group,), after=0.2))
    quiet = Alerts(after=0.2)
    with running(leader):
        with running(replace(node("west", include=("*.doc",)), alerts=quiet)):
            eventually(lambda: len(sandbox.messages(group)) == 1)
        with running(replace(node("west"), alerts=quiet)):
            eventually(lambda: len(sandbox.messages(group)) == 2)
    begun, over = (one.text for one in sandbox.messages(group))
    assert "Folder office on node west has been down since" in begun
    assert "(differs east: include)" in begun
    assert "Folder office on node west is watched again" in over


def test_other_settings_keep_a_service_from_a_share(node: Setting, share: Path, sandbox: Sandbox) -> None:
    """It reports the folder down and sends nothing of it; with the same settings, it comes up."""
    with running(node("east")) as east:
        with running(node("west", include=("*.doc",))) as west:
            assert (kind(east), kind(west)) == (WatchKind.INOTIFY, WatchKind.DOWN)
            ((reason, message),) = [
                (one.cause.code, one.cause.message) for one in west._intake.loop.list_down()
            ]
            assert (reason, message) == ("differs", "east: include")
            (share / "a.pdf").write_text("content")
            eventually(sent(sandbox, 1))
        with running(node("west")) as west:
            assert kind(west) is WatchKind.INOTIFY


def test_the_program_is_asked_once_about_each_file(
    node: Setting, share: Path, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Both services see each file, and both upload and send; one of them has it screened."""
    record = tmp_path / "record"
    script = f"echo {{name}} >> {record}; sleep 0.1; case {{name}} in bad*) exit 1; esac"
    program = ("/bin/sh", "-c", script)
    with running(node("east", before_send=program)), running(node("west", before_send=program)):
        for number in range(10):
            (share / f"{number}.pdf").write_text(str(number))
        (share / "bad.pdf").write_text("virus")
        eventually(sent(sandbox, 10))
        eventually(lambda: len(record.read_text().split()) == 11)
        (share / "last.pdf").write_text("last")
        eventually(sent(sandbox, 11))
    expected = [*(f"{number}.pdf" for number in range(10)), "last.pdf"]
    assert sorted(names(sandbox)) == expected
    assert sorted(record.read_text().split()) == sorted([*expected, "bad.pdf"])


def test_a_caption_stands_right_before_its_file(node: Setting, share: Path, sandbox: Sandbox) -> None:
    """Whichever service sends the two, and whichever has uploaded the file."""
    with running(node("east", message="{name}")), running(node("west", message="{name}")):
        for number in range(10):
            (share / f"{number}.pdf").write_text(str(number))
        eventually(sent(sandbox, 20))
    chat = sandbox.messages(sandbox.conversations[0].id)
    files = [str(one.file_name) for one in chat[1::2]]
    assert sorted(files) == [f"{number}.pdf" for number in range(10)]
    assert [one.text.splitlines()[-1] for one in chat[::2]] == files


@pytest.mark.parametrize("each", [1, 2])
@pytest.mark.parametrize("reaches", [True, False])
def test_a_commit_whose_answer_is_lost_repeats_no_feedback(
    node: Setting, share: Path, sandbox: Sandbox, postgres: PostgresServer, *, reaches: bool, each: int
) -> None:
    """Each note is written once and taken away, each file moved once, and nothing is left to be done."""
    direct = node("east", feedback="sidecar", after_send="move", unsupported="skip")
    heard = Heard()
    with tempfile.TemporaryDirectory() as directory:
        proxy = CommitProxy(Path(directory), postgres.directory)
        east = replace(direct, ledger=str(direct.ledger).replace(str(postgres.directory), directory))
        with running(east, heard):
            for number in range(3):
                proxy.cut(2 * each, reaches=reaches, each=each)
                (share / f"no extension {number}").write_text(f"no extension {number}")
                (share / f"{number}.pdf").write_text(str(number))
                note = share / f"no extension {number}.not-sent.txt"
                eventually(note.exists)
                eventually(lambda: not list(share.glob("*.pdf")))
                proxy.cut(2 * each, reaches=reaches, each=each)
                (share / f"no extension {number}").unlink()
                eventually(lambda: not list(share.glob("no extension*")))
            eventually(lambda: at_rest(direct))
        proxy.close()
    assert proxy.cuts >= 6
    assert sorted(one.name for one in share.rglob("*") if one.is_file()) == [f"{n}.pdf" for n in range(3)]
    assert sorted(names(sandbox)) == [f"{number}.pdf" for number in range(3)]
    with closing(psycopg.connect(str(direct.ledger).replace("+psycopg", ""))) as connection:
        done = "SELECT count(*), count(DISTINCT version_id) FROM history WHERE event = 'put_away'"
        assert connection.execute(done).fetchall() == [(3, 3)]
    assert heard.count(Log.NO_FEEDBACK) == 0


def at_rest(setting: Config) -> bool:
    """Return whether no file is on its way, and no note is to be made or removed."""
    with closing(psycopg.connect(str(setting.ledger).replace("+psycopg", ""))) as connection:
        return connection.execute("SELECT 1 FROM moves UNION ALL SELECT 1 FROM sidecars").fetchall() == []


# --- A node that is killed -----------------------------------------------------------------------


@pytest.fixture
def machines(machine: Machine, postgres_url: str, tmp_path: Path) -> dict[str, Machine]:
    """Two hosts that have the share, each with a short lease."""
    made = {}
    for name in ("east", "west"):
        own = machine.settings["folders"][0] | {"shared": "office"}
        more = {"ledger": postgres_url, "node": name, "folders": [own], "state_dir": str(tmp_path / name)}
        made[name] = Machine(tmp_path / f"{name}.yaml", machine.settings | more, machine.running)
        made[name].constants = {
            "dingwatch.service.daemon.LEASE": 3.0,
            "dingwatch.policy.DOUBT_WAIT": 0.1,
        }
        made[name].write()
    return made


IN_HAND: Final = {
    "upload": ("media/upload", FaultKind.SLOW, "uploading"),
    "uploaded": ("media/upload", FaultKind.SLOW_ANSWER, "uploading"),
    "sent": ("robot/groupMessages/send", FaultKind.SLOW_ANSWER, "sending"),
}
"""What a node is killed in: the API, what keeps it there, and the state of its row."""


@pytest.mark.parametrize("case", IN_HAND)
def test_the_other_finishes_what_a_killed_node_has_in_hand(
    machines: dict[str, Machine], share: Path, sandbox: Sandbox, postgres_url: str, case: str
) -> None:
    """Nothing is lost, and a message that may have arrived is marked when it goes again."""
    api, kind, state = IN_HAND[case]

    def ask(query: LiteralString, *values: str) -> list[tuple[Any, ...]]:
        with closing(psycopg.connect(postgres_url.replace("+psycopg", ""))) as connection:
            return connection.execute(query, values or None).fetchall()

    processes = {name: one.start() for name, one in machines.items()}
    (share / "before.pdf").write_text("before")
    eventually(sent(sandbox, 1))
    eventually(lambda: ask("SELECT count(*) FROM deliveries WHERE state = 'sent'") == [(1,)])
    sandbox.inject(Fault(api, kind, seconds=PATIENCE))
    calls = sandbox.calls()[api]
    for number in range(5):
        (share / f"{number}.pdf").write_text(str(number))
    eventually(lambda: sandbox.calls()[api] > calls)
    in_hand: LiteralString = "SELECT node FROM deliveries WHERE state = %s ORDER BY claimed_at LIMIT 1"
    eventually(lambda: ask(in_hand, state))
    ((killed,),) = ask(in_hand, state)
    machines[killed].stop(processes.pop(killed), signal.SIGKILL)
    eventually(lambda: ask("SELECT count(*) FROM deliveries WHERE state = 'sent'") == [(6,)])
    (share / "after.pdf").write_text("after")
    eventually(lambda: ask("SELECT count(*) FROM deliveries WHERE state = 'sent'") == [(7,)])
    ((left, process),) = processes.items()
    assert machines[left].stop(process) == 0
    marked = {
        bytes(name).decode(): int(resent)
        for name, resent in ask(
            "SELECT v.name, d.uncertain_resent FROM deliveries d JOIN versions v ON v.id = d.version_id"
        )
    }
    arrived = Counter(names(sandbox))
    assert arrived.keys() == marked.keys() == {f"{one}.pdf" for one in ("before", *range(5), "after")}
    assert all(arrived[name] <= 1 + resent for name, resent in marked.items()), (arrived, marked)
    assert sum(marked.values()) == (state == "sending")
    assert ask("SELECT count(*) FROM in_flight") == [(0,)]
