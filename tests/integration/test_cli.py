import csv
import io
import os
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from dingwatch.sandbox import Fault, FaultKind, Sandbox
from tests.integration.conftest import Machine
from tests.support import PATIENCE, eventually, sha256

STATES = {"pending", "uploading", "uploaded", "sending", "sent", "uncertain", "failed", "skipped", "gone"}


def arrived(sandbox: Sandbox, conversation: int = 0) -> list[str]:
    """Return the digests that a conversation shows."""
    return [str(m.sha256) for m in sandbox.messages(sandbox.conversations[conversation].id)]


# --- run -----------------------------------------------------------------------------------------


def test_run_says_ready_and_ends_cleanly_on_sigterm(machine: Machine, share: Path, sandbox: Sandbox) -> None:
    """The service tells when it watches, delivers, and exits 0 when it is asked to."""
    process = machine.start()
    (share / "报告.pdf").write_bytes(b"report")
    eventually(lambda: arrived(sandbox) == [sha256(b"report")])
    assert machine.stop(process) == 0


def test_a_stop_waits_for_no_slow_server(machine: Machine, share: Path, sandbox: Sandbox) -> None:
    """What is in flight is given up after its time, and goes on after the next start."""
    sandbox.inject(Fault(api="media/upload", kind=FaultKind.SLOW, seconds=60.0))
    machine.constants["dingwatch.service.delivering.STOP_SECONDS"] = 0.5
    process = machine.start()
    (share / "a.txt").write_text("a")
    eventually(lambda: machine.status()["totals"]["uploading"] == 1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=PATIENCE) == 0
    assert machine.status()["totals"]["pending"] == 1
    machine.start()
    eventually(lambda: arrived(sandbox) == [sha256(b"a")])


def test_a_bad_config_reports_every_problem_and_exits_78(machine: Machine, share: Path) -> None:
    """Eight different mistakes are eight lines with key and line, without a traceback."""
    machine.path.write_text(
        "langauge: zh\n"
        "dingtalk:\n"
        "  client_id: 5\n"
        "  client_secret: s\n"
        "  api_url: ftp://x\n"
        "delivery: {workers: many}\n"
        "pace: {per_api: fast}\n"
        "folders:\n"
        "  - path: relative\n"
        "    conversation_id: 12345\n"
        f"  - path: {share}\n"
        "    conversation_id: cidA\n"
        "    settle: soon\n",
        encoding="utf-8",
    )
    machine.path.chmod(0o600)
    done = machine.do("run")
    assert done.returncode == 78
    assert "Traceback" not in done.stderr
    for key in (
        "langauge", "dingtalk.client_id", "dingtalk.api_url", "delivery.workers", "pace.per_api",
        "folders[0].path", "folders[0].conversation_id", "folders[1].settle",
    ):  # fmt: skip
        assert any(key in line and "line" in line for line in done.stderr.splitlines()), (key, done.stderr)


def test_a_second_daemon_is_refused_with_a_clear_line(machine: Machine) -> None:
    """One ledger, one service; the message names the other process."""
    process = machine.start()
    done = machine.do("run")
    assert done.returncode == 1
    assert str(process.pid) in done.stderr
    assert "Traceback" not in done.stderr


def test_messages_are_in_the_language_of_the_locale(machine: Machine) -> None:
    """What is said before a config is known goes by the locale."""
    machine.path.unlink()
    assert "配置" in machine.do("status", language="zh_CN.UTF-8").stderr
    assert "config" in machine.do("status").stderr


# --- status and history --------------------------------------------------------------------------


def test_status_tells_everything_with_zeros(machine: Machine, share: Path, sandbox: Sandbox) -> None:
    """`status --json` has the contract's shape, with the daemon and without it."""
    (share / "old.txt").write_text("old")
    before = machine.status()
    assert before["daemon"] == {"running": False, "pid": None}
    process = machine.start()
    (share / "a.txt").write_text("a")
    eventually(lambda: len(arrived(sandbox)) == 1)
    eventually(lambda: machine.status()["totals"]["sent"] == 1)
    now = machine.status()
    assert now["daemon"] == {"running": True, "pid": process.pid}
    (folder,) = now["folders"]
    assert set(folder) == {
        "name", "path", "conversation_ids", "recipient_names", "watch", "counts", "paused", "node",
    }  # fmt: skip
    assert (folder["watch"], folder["node"], now["nodes"]) == ("inotify", None, [])
    assert set(folder["counts"]) == STATES | {"settling", "baseline"}
    assert (folder["counts"]["sent"], folder["counts"]["baseline"]) == (1, 1)
    eventually(lambda: machine.status()["api_calls"]["used"] == 2)
    machine.stop(process)
    assert machine.status()["folders"][0]["watch"] == "down"


def test_history_has_one_object_a_line(machine: Machine, share: Path, sandbox: Sandbox) -> None:
    """`history --json` gives digests, times and states; a baseline line only when asked for."""
    (share / "old.txt").write_text("old")
    process = machine.start()
    for name in ("a.txt", "b.txt"):
        (share / name).write_text(name)
        eventually(lambda n=name: sha256(n.encode()) in arrived(sandbox))  # type: ignore[misc]
    machine.stop(process)
    newest, first = machine.history()
    assert (newest["path"], first["path"]) == ("b.txt", "a.txt")
    assert set(newest) == {
        "id", "folder", "path", "conversation_id", "recipient_name", "state", "size", "sha256", "attempts",
        "error", "uncertain_resent", "noticed_at", "sent_at", "bundle", "node",
    }  # fmt: skip
    assert newest["sha256"] == sha256(b"b.txt")
    assert newest["attempts"] == 2
    assert newest["sent_at"].endswith("Z")
    (old,) = machine.history("--state", "baseline")
    assert (old["path"], old["conversation_id"]) == ("old.txt", None)
    assert machine.history("--limit", "1") == [newest]


def test_history_is_csv_for_a_spreadsheet(machine: Machine, share: Path) -> None:
    """One row a line with the keys of `--json`; a name neither breaks a row nor is run as a formula."""
    names = ['comma, "quote"\nline.txt', "=1+1.txt", "报告.pdf"]
    for name in names:
        (share / name).write_text("old")
    machine.stop(machine.start())
    raw = machine.call("history", "--state", "baseline", "--csv").stdout_bytes
    assert raw.count(b"\r\n") == 4
    header, *rows = csv.reader(io.StringIO(raw.decode(), newline=""))
    assert header == [
        *("id", "folder", "path", "conversation_id", "state", "size", "sha256", "attempts", "error_code"),
        *("error_message", "error_advice", "uncertain_resent", "noticed_at", "sent_at", "bundle", "node"),
    ]
    assert sorted(row[2] for row in rows) == sorted([names[0], "'" + names[1], names[2]])
    (only,) = machine.history("--state", "baseline", "--search", "报告")
    (row,) = [row for row in rows if row[2] == "报告.pdf"]
    assert row == [
        *(str(only["id"]), "share", "报告.pdf", "", "baseline", "3", "", "0"),
        *("", "", "", "false", only["noticed_at"], "", "", ""),
    ]


def test_history_is_searched_by_time_recipient_and_name(machine: Machine, share: Path) -> None:
    """The options combine, with a table and with JSON; what a line shows finds that line again."""
    process = machine.start()
    for name in ("合同 A.txt", "other.txt"):
        (share / name).write_text(name)
        eventually(lambda n=name: machine.history()[:1] and machine.history()[0]["path"] == n)  # type: ignore[misc]
    machine.stop(process)
    other, contract = machine.history()
    recipient = contract["conversation_id"]
    assert machine.history("--search", "同 a", "--recipient", recipient, "--since", "1h") == [contract]
    assert "合同 A.txt" in machine.call("history", "--search", "合同").stdout
    assert machine.history("--since", other["noticed_at"]) == [other]
    assert machine.history("--until", contract["noticed_at"]) == [contract]
    assert machine.history("--since", time.strftime("%Y-%m-%d", time.localtime(0))) == [other, contract]
    assert machine.history("--until", "1h") == []
    assert machine.history("--recipient", "user:nobody") == []
    assert machine.history("--search", "同_a") == []
    machine.settings["aliases"] = {"财务群": recipient}
    machine.write()
    assert len(machine.history("--recipient", "财务群")) == 2


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--since", "yesterday"), 2, "2026-11-24"),
        (("--until", "2026-02-30"), 2, "2026-11-24"),
        (("--since", "1h", "--until", "2h"), 2, "swap"),
        (("--json", "--csv"), 2, "not both"),
        (("--recipient", "财务群"), 1, "aliases"),
        (("--recipient", "user:"), 1, "cid"),
    ],
)
def test_a_search_that_makes_no_sense_says_what_would(
    machine: Machine, words: tuple[str, ...], code: int, told: str
) -> None:
    """A typing error does not look like an empty history."""
    done = machine.call("history", *words)
    assert (done.exit_code, told in done.stderr, done.stdout) == (code, True, ""), done.output


def test_names_that_are_no_utf8_are_delivered_and_shown(
    machine: Machine, share: Path, sandbox: Sandbox
) -> None:
    r"""A GBK name is sent under a readable one and shown with its bytes as `\xNN`."""
    process = machine.start()
    with open(os.path.join(os.fsencode(share), "报告.txt".encode("gbk")), "wb") as file:
        file.write(b"gbk")
    eventually(lambda: arrived(sandbox) == [sha256(b"gbk")])
    machine.stop(process)
    assert machine.history()[0]["path"] == "\\xb1\\xa8\\xb8\\xe6.txt"


def test_what_left_the_config_is_shown_as_failed_and_comes_back(
    machine: Machine, share: Path, sandbox: Sandbox
) -> None:
    """An unmapped delivery keeps its stored state and goes on when its conversation is mapped again."""
    sandbox.inject(Fault(api="media/upload", kind=FaultKind.ERROR, times=None))
    process = machine.start()
    (share / "a.txt").write_text("a")
    eventually(machine.history)
    machine.stop(process)
    mapped = machine.settings["folders"][0]["conversation_id"]
    machine.set_folder(conversation_id=sandbox.conversations[1].id)
    (line,) = machine.history()
    assert (line["state"], line["error"]["code"]) == ("failed", "unmapped")
    sandbox.clear_faults()
    machine.set_folder(conversation_id=mapped)
    machine.start()
    eventually(lambda: arrived(sandbox) == [sha256(b"a")])


# --- retry and send ------------------------------------------------------------------------------


def test_retry_names_the_mapping_that_is_missing(machine: Machine, share: Path, sandbox: Sandbox) -> None:
    """What no service would send is not queued again; the command says what to add to the config."""
    sandbox.inject(Fault("media/upload", FaultKind.ERROR, code=40004, times=None))
    process = machine.start()
    (share / "a.txt").write_text("a")
    eventually(lambda: machine.history("--state", "failed"))
    machine.stop(process)
    (line,) = machine.history()
    old = machine.settings["folders"][0]["conversation_id"]
    machine.set_folder(conversation_id=sandbox.conversations[1].id)
    for words in ([str(line["id"])], ["--all"]):
        done = machine.do("retry", *words)
        assert (done.returncode, f"share to {old}" in done.stderr) == (1, True), done.stderr
    machine.set_folder(conversation_id=old)
    assert machine.history()[0]["attempts"] == line["attempts"]
    assert machine.do("retry", "--all").returncode == 0
    assert machine.history()[0]["state"] == "pending"


def test_retry_puts_a_failure_to_work_at_once(machine: Machine, share: Path, sandbox: Sandbox) -> None:
    """A command writes the ledger and pokes the daemon, which acts."""
    sandbox.inject(Fault(api="media/upload", kind=FaultKind.ERROR, times=1, code=40038, status=200))
    machine.start()
    (share / "a.txt").write_text("a")
    eventually(lambda: machine.status()["totals"]["failed"] == 1)
    (line,) = machine.history("--state", "failed")
    assert line["error"]["code"] == "40038"
    assert line["error"]["advice"]
    assert machine.do("retry", str(line["id"])).returncode == 0
    eventually(lambda: arrived(sandbox) == [sha256(b"a")])


def test_retry_of_what_cannot_be_retried_changes_nothing(machine: Machine, share: Path) -> None:
    """An unknown id, or one in a wrong state, is refused, and with it all others."""
    machine.start()
    (share / "a.txt").write_text("a")
    eventually(lambda: machine.status()["totals"]["sent"] == 1)
    (line,) = machine.history()
    done = machine.do("retry", str(line["id"]), "999")
    assert done.returncode == 1
    assert "999" in done.stderr
    assert machine.history() == [line]


def test_a_baseline_is_sent_on_request(machine: Machine, share: Path, sandbox: Sandbox) -> None:
    """`retry --folder NAME --baseline` sends what was there before."""
    (share / "old.txt").write_text("old")
    machine.start()
    assert machine.do("retry", "--folder", "share", "--baseline").returncode == 0
    eventually(lambda: arrived(sandbox) == [sha256(b"old")])
    assert machine.history("--state", "baseline") == []


def test_send_works_with_and_without_the_daemon(machine: Machine, tmp_path: Path, sandbox: Sandbox) -> None:
    """`send` delivers by itself under the lock, or has the daemon do it; the rows have no folder."""
    (tmp_path / "one.txt").write_text("one")
    (tmp_path / "two.txt").write_text("two")
    alone = machine.do("send", str(tmp_path / "one.txt"), "--to", sandbox.conversations[1].id)
    assert alone.returncode == 0, alone.stderr
    machine.start()
    along = machine.do("send", str(tmp_path / "two.txt"), str(tmp_path / "one.txt"), "--to", "share")
    assert along.returncode == 0, along.stderr
    assert arrived(sandbox, 1) == [sha256(b"one")]
    assert Counter(arrived(sandbox)) == Counter([sha256(b"two"), sha256(b"one")])
    newest = machine.history()[0]
    assert newest["folder"] is None
    assert newest["path"].startswith("/")


def test_send_reaches_persons_and_chats(machine: Machine, tmp_path: Path, sandbox: Sandbox) -> None:
    """`user:ID` and `chat:ID` stand for recipients; a folder's custom robot takes no files."""
    robot = sandbox.settings.webhooks[0]
    address = f"{sandbox.url}/robot/send?access_token={robot.token}"
    told = tmp_path / "told"
    told.mkdir()
    machine.settings["folders"].append({"path": str(told), "webhook": address, "send_as": "notice"})
    machine.write()
    (tmp_path / "one.txt").write_text("one")
    chat = sandbox.conversations[1]
    for target in ("user:manager1234", f"chat:{chat.chat_id}"):
        done = machine.do("send", str(tmp_path / "one.txt"), "--to", target)
        assert done.returncode == 0, done.stderr
    assert [m.file_name for m in sandbox.person_messages("manager1234")] == ["one.txt"]
    assert [m.file_name for m in sandbox.messages(chat.id)] == ["one.txt"]
    for target in ("told", "user:", "webhook:abc"):
        assert machine.do("send", str(tmp_path / "one.txt"), "--to", target).returncode == 1
    assert sandbox.messages(sandbox.conversations[0].id) == ()


def test_check_counts_the_calls_of_all_recipients(machine: Machine, tmp_path: Path) -> None:
    """Twenty persons are one call, a line before each file is another, and custom robots are not billed."""
    many = tmp_path / "many"
    many.mkdir()
    for number in range(2):
        (many / f"{number}.txt").write_text("x")
    people = [f"user{number}" for number in range(21)]
    more = {"user_ids": people, "chat_id": "chatX", "message": "{name}", "existing": "send"}
    machine.settings["folders"].append({"path": str(many), **more})
    machine.write()
    done = machine.do("check", "--offline")
    assert "user:user20, chat:chatX" in done.stdout
    assert "44 messages, about 14 API calls" in done.stdout, done.stdout


def test_send_refuses_bad_files_before_anything_is_written(machine: Machine, tmp_path: Path) -> None:
    """Missing files and folders are reported together, and nothing is sent."""
    done = machine.do("send", str(tmp_path / "absent"), str(tmp_path), "--to", "share")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 2
    assert "check the path" in done.stderr.splitlines()[0]
    assert machine.history() == []


def test_send_refuses_links_and_empty_files(machine: Machine, tmp_path: Path, sandbox: Sandbox) -> None:
    """Each is told why, and nothing waits for content or goes out under another name."""
    (tmp_path / "target.txt").write_text("target")
    (tmp_path / "link.txt").symlink_to("target.txt")
    (tmp_path / "empty.txt").touch()
    done = machine.do("send", str(tmp_path / "link.txt"), str(tmp_path / "empty.txt"), "--to", "share")
    assert done.returncode == 1
    said = done.stderr.splitlines()
    assert ["not followed" in said[0], "empty" in said[1], len(said)] == [True, True, 2]
    assert machine.history() == []
    (tmp_path / "directory").symlink_to(tmp_path)
    assert machine.do("send", str(tmp_path / "directory" / "target.txt"), "--to", "share").returncode == 0
    assert sandbox.messages(sandbox.conversations[0].id)[0].file_name == "target.txt"


# --- check ---------------------------------------------------------------------------------------


def test_check_finds_nothing_wrong_where_nothing_is(machine: Machine) -> None:
    """A machine that is set up rightly passes, online and offline."""
    assert machine.do("check").returncode == 0, machine.do("check").stdout
    assert machine.do("check", "--offline").returncode == 0


def test_check_names_what_is_wrong(machine: Machine, tmp_path: Path, sandbox: Sandbox) -> None:
    """A missing folder, a wrong secret, and a robot that is not there: each with what to do."""
    outside = next(one.id for one in sandbox.conversations if not one.robot_inside)
    machine.settings["folders"].append({"path": str(tmp_path / "absent"), "conversation_id": outside})
    machine.write()
    done = machine.do("check")
    assert done.returncode == 1
    assert done.stdout.count("FAIL") == 2
    machine.settings["dingtalk"]["client_secret"] = "wrong"
    machine.write()
    assert "client_secret" in machine.do("check").stdout


# --- Crashes -------------------------------------------------------------------------------------


@pytest.mark.sweep
def test_killed_while_it_works_it_loses_nothing(machine: Machine, share: Path, sandbox: Sandbox) -> None:
    """`kill -9` several times during a burst: every file arrives, and only doubts arrive twice."""
    process = machine.start()
    wanted = set()
    for number in range(120):
        (share / f"{number}.pdf").write_bytes(b"%d" % number)
        wanted.add(sha256(b"%d" % number))
        if number in {40, 80}:
            eventually(lambda n=number: len(arrived(sandbox)) >= n // 4)  # type: ignore[misc]
            machine.stop(process, signal.SIGKILL)
            process = machine.start()
    eventually(lambda: wanted <= set(arrived(sandbox)), patience=90.0)  # a doubt is resent after 30 s
    eventually(lambda: machine.status()["totals"]["sent"] == 120, patience=90.0)
    twice = sum(count - 1 for count in Counter(arrived(sandbox)).values())
    resent = sum(line["uncertain_resent"] for line in machine.history("--limit", "200"))
    assert twice <= resent <= 2
