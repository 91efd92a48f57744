"""The program of `before_send`, with the running service, the sandbox and real programs."""

import json
import os
import sqlite3
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from dingwatch.config.values import Config
from dingwatch.ledger import Store, screening, sqlite_url
from dingwatch.sandbox import Fault, FaultKind, Sandbox
from dingwatch.service.daemon import Service, Source
from dingwatch.texts import Log
from tests.integration.conftest import Machine
from tests.support import PATIENCE, Heard, config, eventually, folder, names, running, sent

RECORD = """
import json, os, sys
record, code = sys.argv[1], int(open(sys.argv[2]).read())
fds = sorted(int(one) for one in os.listdir("/proc/self/fd"))
with open(int(sys.argv[3]), "rb") as file:
    content = file.read().decode()
with open(record, "a") as out:
    told = {"args": sys.argv[3:], "content": content, "env": dict(os.environ), "fds": fds[:-1]}
    out.write(json.dumps(told) + "\\n")
print("\\n  Eicar\\x1b[31m FOUND  ")
sys.exit(code)
"""


class Checker:
    """A program that records how it was asked, and answers as the test says."""

    def __init__(self, directory: Path, code: int = 0) -> None:
        self.script, self.record, self.code = (directory / one for one in ("check.py", "record", "code"))
        self.script.write_text(RECORD)
        self.answer(code)

    def answer(self, code: int) -> None:
        """Answer with another exit code from now on."""
        self.code.write_text(str(code))

    @property
    def command(self) -> tuple[str, ...]:
        """Return the key's value."""
        files = (str(self.script), str(self.record), str(self.code))
        return (sys.executable, *files, "{fd}", "{name}", "{size}")

    def asked(self) -> list[dict[str, object]]:
        """Return how it was asked, in order."""
        lines = self.record.read_text().splitlines() if self.record.exists() else []
        return [json.loads(line) for line in lines]


def rows(setting: Config) -> list[tuple[str, str | None, str | None]]:
    """Return state, code and message of every delivery."""
    with closing(sqlite3.connect(setting.state_dir / "ledger.db")) as ledger:
        return ledger.execute("SELECT state, code, message FROM deliveries ORDER BY id").fetchall()


def list_failures(setting: Config) -> list[screening.ScreeningFailure]:
    """Return the folders that alerts are about."""
    with (
        closing(Store.open(sqlite_url(setting.state_dir / "ledger.db"))) as store,
        store.reading() as connection,
    ):
        return screening.list_failures(connection)


def uploads(sandbox: Sandbox) -> int:
    """Return how many uploads DingTalk was asked for."""
    return sandbox.calls().get("media/upload", 0)


@pytest.fixture
def checker(tmp_path: Path) -> Checker:
    """A program that passes every file."""
    return Checker(tmp_path)


def test_a_file_that_passes_is_sent(
    tmp_path: Path, share: Path, sandbox: Sandbox, checker: Checker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program gets the file open, its name and size; no secret, and nothing else that is open."""
    monkeypatch.setenv("DINGWATCH_CLIENT_SECRET", "s3cr3t-of-the-app")
    watched = folder(share, *(one.id for one in sandbox.conversations[:2]), before_send=checker.command)
    with running(config(tmp_path / "state", sandbox, watched)):
        (share / "it's {name}.pdf").write_text("content")
        eventually(sent(sandbox, 1, 0))
        eventually(sent(sandbox, 1, 1))
    (asked,) = checker.asked()  # once for two recipients
    assert asked["args"] == ["0", "it's {name}.pdf", "7"]
    assert asked["content"] == "content"
    assert asked["fds"] == [0, 1, 2]
    environment = asked["env"]
    assert isinstance(environment, dict)
    assert "DINGWATCH_CLIENT_SECRET" not in environment
    assert environment["PATH"] == os.environ["PATH"]


def test_a_refused_file_is_skipped_with_the_programs_words(
    tmp_path: Path, share: Path, sandbox: Sandbox, checker: Checker
) -> None:
    """Exit code 1: nothing of the file leaves, for no recipient; a person may have it looked at again."""
    checker.answer(1)
    ids = [one.id for one in sandbox.conversations[:2]]
    setting = config(tmp_path / "state", sandbox, folder(share, *ids, before_send=checker.command))
    heard = Heard()
    with running(setting, heard):
        (share / "bad.pdf").write_text("virus")
        eventually(lambda: [one[0] for one in rows(setting)] == ["skipped", "skipped"])
    assert set(rows(setting)) == {("skipped", "gate", r"Eicar\x1b[31m FOUND")}
    assert len(checker.asked()) == 1
    assert uploads(sandbox) == 0
    assert heard.count(Log.SKIPPED) == 2


def test_a_new_version_is_checked_anew(
    tmp_path: Path, share: Path, sandbox: Sandbox, checker: Checker
) -> None:
    """A passed name is no passed content; a restart asks for nothing again."""
    setting = config(
        tmp_path / "state", sandbox, folder(share, sandbox.conversations[0].id, before_send=checker.command)
    )
    with running(setting):
        (share / "a.txt").write_text("one")
        eventually(sent(sandbox, 1))
    with running(setting):
        (share / "a.txt").write_text("two!")
        eventually(sent(sandbox, 2))
    assert [one["content"] for one in checker.asked()] == ["one", "two!"]


def test_content_that_dingtalk_has_is_checked_in_each_folder(
    tmp_path: Path, share: Path, sandbox: Sandbox, checker: Checker
) -> None:
    """The same bytes in another folder are another version, which its own program has not seen."""
    other = tmp_path / "other"
    other.mkdir()
    first, second = (one.id for one in sandbox.conversations[:2])
    setting = config(
        tmp_path / "state", sandbox, folder(share, first), folder(other, second, before_send=checker.command)
    )
    checker.answer(1)
    with running(setting):
        (share / "a.txt").write_text("same")
        eventually(sent(sandbox, 1))
        (other / "a.txt").write_text("same")
        eventually(lambda: ("skipped", "gate", r"Eicar\x1b[31m FOUND") in rows(setting))
    assert names(sandbox, 1) == []


def test_a_notice_waits_for_the_program_too(
    tmp_path: Path, share: Path, sandbox: Sandbox, checker: Checker
) -> None:
    """People who are told of a file open it."""
    checker.answer(1)
    watched = folder(share, sandbox.conversations[0].id, send_as="notice", before_send=checker.command)
    setting = config(tmp_path / "state", sandbox, watched)
    with running(setting):
        (share / "bad.pdf").write_text("virus")
        eventually(lambda: [one[:2] for one in rows(setting)] == [("skipped", "gate")])
    assert names(sandbox) == []


def test_a_program_without_a_verdict_has_the_file_wait(
    tmp_path: Path, share: Path, sandbox: Sandbox, checker: Checker
) -> None:
    """Any other exit code: the file stays, the folder's trouble can be asked for, and ends by itself."""
    checker.answer(2)
    setting = config(
        tmp_path / "state", sandbox, folder(share, sandbox.conversations[0].id, before_send=checker.command)
    )
    heard = Heard()
    with running(setting, heard):
        (share / "a.txt").write_text("one")
        eventually(lambda: len(checker.asked()) >= 2)
        assert rows(setting) == [("pending", "gate_failed", r"exit 2: Eicar\x1b[31m FOUND")]
        (failure,) = list_failures(setting)
        assert (failure.folder, failure.files, failure.cause.code) == (1, 1, "gate_failed")
        assert heard.count(Log.SCREENING_FAILED) == 1
        checker.answer(0)
        eventually(sent(sandbox, 1))
        eventually(lambda: heard.count(Log.SCREENING_WORKS) == 1)
        assert list_failures(setting) == []


def test_a_missing_program_waits_until_another_is_configured(
    tmp_path: Path, share: Path, sandbox: Sandbox, checker: Checker
) -> None:
    """A hundred files start a missing program a few times; `reload` asks the new one at once."""
    watched = folder(share, sandbox.conversations[0].id, before_send=("no-such-program-here", "{fd}"))
    setting = config(tmp_path / "state", sandbox, watched)
    heard = Heard()
    found = [setting]
    source = Source(tmp_path / "config.yaml", lambda: found[0])
    service = Service(setting, log=heard, source=source)
    with service:
        assert service.ready.wait(PATIENCE)
        for number in range(100):
            (share / f"{number}.txt").write_text(str(number))
        eventually(lambda: any(code == "gate_missing" for _, code, _ in rows(setting)))
        eventually(lambda: len(rows(setting)) == 100)
        assert uploads(sandbox) == 0
        assert heard.count(Log.SCREENING_FAILED) == 1
        failed = [message for _, code, message in rows(setting) if code == "gate_missing"]
        assert failed[0] == "no-such-program-here: No such file or directory"
        assert len(failed) < 100
        found[0] = replace(setting, folders=(replace(watched, before_send=checker.command),))
        service.reload()
        eventually(sent(sandbox, 100))
    assert service.failed is None


def test_resume_has_the_program_asked_at_once(
    tmp_path: Path, share: Path, sandbox: Sandbox, checker: Checker
) -> None:
    """A person who has mended it waits neither for the folder's pause nor for the files' own."""
    checker.answer(2)
    watched = folder(share, sandbox.conversations[0].id, before_send=checker.command)
    setting = config(tmp_path / "state", sandbox, watched)
    with running(setting) as service:
        (share / "a.txt").write_text("one")
        eventually(lambda: len(checker.asked()) >= 1)
        eventually(lambda: rows(setting) == [("pending", "gate_failed", r"exit 2: Eicar\x1b[31m FOUND")])
        checker.answer(0)
        with closing(sqlite3.connect(setting.state_dir / "ledger.db", timeout=30.0)) as ledger:
            far = 9e14
            ledger.execute("UPDATE deliveries SET due = ?, due_after = ?", (far, far))
            ledger.execute("UPDATE pauses SET until = 0, failures = 0")
            ledger.commit()
        service._delivery.poke()
        eventually(sent(sandbox, 1))


def test_uploaded_files_wait_for_a_program_that_comes_later(
    tmp_path: Path, share: Path, sandbox: Sandbox, checker: Checker
) -> None:
    """What is uploaded, but not sent, is checked too, and is not uploaded again."""
    checker.answer(1)
    sandbox.inject(Fault("robot/groupMessages/send", FaultKind.THROTTLE, times=None))
    watched = folder(share, sandbox.conversations[0].id)
    setting = config(tmp_path / "state", sandbox, watched)
    with running(setting):
        (share / "a.txt").write_text("one")
        eventually(lambda: [one[0] for one in rows(setting)] == ["uploaded"])
    with running(replace(setting, folders=(replace(watched, before_send=checker.command),))):
        eventually(lambda: [one[:2] for one in rows(setting)] == [("skipped", "gate")])
    assert uploads(sandbox) == 1


def test_a_program_that_hangs_is_killed_and_holds_up_nobody(
    tmp_path: Path, share: Path, sandbox: Sandbox
) -> None:
    """At the time-out its whole process group ends, and the file waits; other folders' files go meanwhile."""
    other = tmp_path / "other"
    other.mkdir()
    pids = tmp_path / "pids"
    hangs = ("/bin/sh", "-c", f"sleep 600 & echo $! >> {pids}; echo $$ >> {pids}; wait")
    first, second = (one.id for one in sandbox.conversations[:2])
    setting = config(
        tmp_path / "state",
        sandbox,
        folder(share, first, before_send=hangs, before_send_timeout=1.0),
        folder(other, second),
    )
    with running(setting):
        (share / "a.txt").write_text("one")
        eventually(lambda: pids.exists() and len(pids.read_text().split()) >= 2)
        (other / "b.txt").write_text("two")
        eventually(sent(sandbox, 1, 1))
        eventually(lambda: ("pending", "gate_timeout", "1 s") in rows(setting))
        (share / "c.txt").write_text("three")
        eventually(lambda: len(pids.read_text().split()) >= 4)
    ran = [int(one) for one in pids.read_text().split()]
    eventually(lambda: not any(is_running(pid) for pid in ran))  # at the time-out, and at the stop
    assert names(sandbox) == []


def is_running(pid: int) -> bool:
    """Return whether a process is there, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


def test_a_stop_leaves_the_file_as_it_was(tmp_path: Path, share: Path, sandbox: Sandbox) -> None:
    """A service that stops kills the program; that is no failure of it, and the next start asks again."""
    pids = tmp_path / "pids"
    hangs = ("/bin/sh", "-c", f"echo $$ >> {pids}; exec sleep 600")
    watched = folder(share, sandbox.conversations[0].id, before_send=hangs)
    setting = config(tmp_path / "state", sandbox, watched)
    with running(setting):
        (share / "a.txt").write_text("one")
        eventually(lambda: pids.exists() and pids.read_text())
    assert not is_running(int(pids.read_text()))
    assert rows(setting) == [("pending", None, None)]
    with running(replace(setting, folders=(replace(watched, before_send=("true",)),))):
        eventually(sent(sandbox, 1))


def test_a_file_that_changes_meanwhile_settles_again(tmp_path: Path, share: Path, sandbox: Sandbox) -> None:
    """What passed is not what would be sent: the new content is checked, and only that is sent."""
    appends = tmp_path / "append.sh"
    appends.write_text(
        f"if [ ! -e {tmp_path}/once ]; then touch {tmp_path}/once; echo more >> {share}/a.txt; fi\n"
    )
    watched = folder(share, sandbox.conversations[0].id, before_send=("/bin/sh", str(appends)))
    setting = config(tmp_path / "state", sandbox, watched)
    with running(setting):
        (share / "a.txt").write_text("one\n")
        eventually(sent(sandbox, 1))
    assert sandbox.messages(sandbox.conversations[0].id)[0].size == len("one\nmore\n")
    assert len(sandbox.messages(sandbox.conversations[0].id)) == 1


def test_as_many_programs_run_at_once_as_there_are_workers(
    tmp_path: Path, share: Path, sandbox: Sandbox
) -> None:
    """With one worker, one program runs at a time."""
    lock = tmp_path / "lock"
    alone = ("/bin/sh", "-c", f"mkdir {lock} || exit 1; sleep 0.05; rmdir {lock}")
    watched = folder(share, sandbox.conversations[0].id, before_send=alone)
    setting = config(tmp_path / "state", sandbox, watched)
    setting = replace(setting, delivery=replace(setting.delivery, workers=1))
    with running(setting):
        for number in range(10):
            (share / f"{number}.txt").write_text(str(number))
        eventually(
            lambda: len(rows(setting)) == 10 and {one[0] for one in rows(setting)} <= {"sent", "skipped"}
        )
    assert {one[0] for one in rows(setting)} == {"sent"}


def test_check_finds_a_missing_program(machine: Machine) -> None:
    """An error of `check`, before the first file waits for it; a program that is there is named."""
    machine.set_folder(before_send=["no-such-program-here"])
    done = machine.do("check", "--offline")
    assert done.returncode == 1
    assert "no-such-program-here of before_send" in done.stdout
    machine.set_folder(before_send=["true", "{fd}"])
    done = machine.do("check", "--offline")
    assert done.returncode == 0, done.stdout
    assert "/true checks each file" in done.stdout
    assert "not yet" not in done.stdout
