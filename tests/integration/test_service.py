import os
import shutil
import sqlite3
import threading
import time
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, event

from dingwatch.config.values import LEDGER_FILE, Config
from dingwatch.dingtalk import trust
from dingwatch.host.control_socket import ask
from dingwatch.host.lock import LockedError
from dingwatch.ledger import Outage
from dingwatch.model import WatchKind
from dingwatch.sandbox import Fault, FaultKind, Sandbox, Settings
from dingwatch.service.daemon import Service
from dingwatch.service.delivering import DeliverySide
from dingwatch.service.folders import Folders
from dingwatch.service.ledgers import open_ledger
from dingwatch.service.node import OpenLedger
from dingwatch.texts import Log
from tests.ledger import deliveries, execute, pauses, states
from tests.support import PATIENCE, Heard, config, digests, eventually, folder, names, running, sent, sha256


@pytest.fixture
def one(tmp_path: Path, share: Path, sandbox: Sandbox) -> Config:
    """One folder, mapped to the first conversation."""
    return config(tmp_path / "state", sandbox, folder(share, sandbox.conversations[0].id))


# --- The main job --------------------------------------------------------------------------------


def test_a_dropped_file_arrives_whole_under_its_name(one: Config, share: Path, sandbox: Sandbox) -> None:
    """Drop a file, see it in the conversation."""
    content = os.urandom(100_000)
    with running(one):
        (share / "报告 2024 终稿.pdf").write_bytes(content)
        eventually(sent(sandbox, 1))
    message = sandbox.messages(sandbox.conversations[0].id)[0]
    assert (message.file_name, message.file_type, message.sha256) == (
        "报告 2024 终稿.pdf",
        "pdf",
        sha256(content),
    )
    assert states(one) == {"sent": 1}


def test_folders_go_to_their_own_conversations(tmp_path: Path, sandbox: Sandbox) -> None:
    """One folder goes to one conversation, another to two, with one upload for one content."""
    first, second = tmp_path / "财务", tmp_path / "two words"
    for made in (first, second / "nested" / "deep"):
        made.mkdir(parents=True)
    a, b = (conversation.id for conversation in sandbox.conversations[:2])
    setting = config(tmp_path / "state", sandbox, folder(first, a), folder(second, a, b))
    with running(setting):
        (first / "a.txt").write_text("for a")
        (second / "nested" / "deep" / "b c.txt").write_text("for both")
        eventually(lambda: sent(sandbox, 2)() and sent(sandbox, 1, 1)())
    assert sorted(names(sandbox)) == ["a.txt", "b c.txt"]
    assert names(sandbox, 1) == ["b c.txt"]
    assert sandbox.calls()["media/upload"] == 2


def test_the_same_content_is_uploaded_once(one: Config, share: Path, sandbox: Sandbox) -> None:
    """A second name for a known content costs one call, the send."""
    with running(one):
        (share / "a.txt").write_text("same")
        eventually(sent(sandbox, 1))
        (share / "b.txt").write_text("same")
        eventually(sent(sandbox, 2))
    assert sandbox.calls()["media/upload"] == 1


def test_files_of_one_conversation_keep_their_order(one: Config, share: Path, sandbox: Sandbox) -> None:
    """What settled first arrives first, however its upload fared."""
    with running(one):
        for number in range(10):
            (share / f"{number}.bin.txt").write_bytes(os.urandom(200_000 if number % 2 else 10))
            eventually(lambda n=number: sum(states(one).values()) > n)  # type: ignore[misc]
        eventually(sent(sandbox, 10))
    assert names(sandbox) == [f"{number}.bin.txt" for number in range(10)]


def test_a_burst_arrives_whole_and_once(one: Config, share: Path, sandbox: Sandbox) -> None:
    """Three hundred files in new directories: each one once."""
    wanted = Counter[str]()
    with running(one):
        for number in range(300):
            target = share / f"d{number % 7}" / f"e{number % 3}"
            target.mkdir(parents=True, exist_ok=True)
            content = os.urandom(500)
            (target / f"{number}.pdf").write_bytes(content)
            wanted[sha256(content)] += 1
        eventually(sent(sandbox, 300))
    assert Counter(digests(sandbox.messages(sandbox.conversations[0].id))) == wanted


def test_at_rest_the_service_writes_nothing(one: Config, share: Path, sandbox: Sandbox) -> None:
    """Woken by a command, its loops look at the ledger and leave the write lock alone."""
    begun: list[bool] = []

    def note(connection: Connection) -> None:
        if threading.current_thread().name != "canary":  # it takes the lock, and gives it back
            begun.append(connection.get_execution_options().get("writes", False))

    with running(one):
        (share / "a.txt").write_text("a")
        eventually(sent(sandbox, 1))
        eventually(lambda: states(one) == {"sent": 1})
        calls = sum(sandbox.calls().values())
        eventually(lambda: execute(one, "SELECT sum(count) FROM calls") == [(calls,)])
        event.listen(Engine, "begin", note)
        try:
            with closing(sqlite3.connect(one.state_dir / LEDGER_FILE, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                for number in range(1, 4):
                    ask(one.state_dir, "wake", {}, PATIENCE)
                    eventually(lambda n=number: len(begun) >= n)  # type: ignore[misc]
        finally:
            event.remove(Engine, "begin", note)
    assert set(begun) == {False}


# --- What is known -------------------------------------------------------------------------------


def test_what_was_there_before_is_not_sent(one: Config, share: Path, sandbox: Sandbox) -> None:
    """The first look at a folder is its baseline; with `existing: send` it is work."""
    (share / "old.txt").write_text("old")
    with running(one):
        (share / "new.txt").write_text("new")
        eventually(sent(sandbox, 1))
    assert names(sandbox) == ["new.txt"]


def test_existing_files_are_sent_on_request(one: Config, share: Path, sandbox: Sandbox) -> None:
    """`existing: send` sends what was there."""
    (share / "old.txt").write_text("old")
    with running(replace(one, folders=(replace(one.folders[0], existing="send"),))):
        eventually(sent(sandbox, 1))
    assert names(sandbox) == ["old.txt"]


def test_what_came_while_the_service_was_down_is_sent(one: Config, share: Path, sandbox: Sandbox) -> None:
    """A start finds what arrived since the last stop, and sends nothing else."""
    with running(one):
        (share / "a.txt").write_text("a")
        eventually(sent(sandbox, 1))
    (share / "b.txt").write_text("b")
    with running(one):
        eventually(sent(sandbox, 2))
    assert names(sandbox) == ["a.txt", "b.txt"]


def test_a_rename_is_not_sent_again(one: Config, share: Path, sandbox: Sandbox) -> None:
    """A moved file is known, whether it moved while watched or while nobody looked."""
    with running(one):
        (share / "a.txt").write_text("a")
        eventually(sent(sandbox, 1))
        (share / "a.txt").rename(share / "b.txt")
        eventually(lambda: b"b.txt" in paths(one))
    (share / "b.txt").rename(share / "c.txt")
    with running(one):
        eventually(lambda: b"c.txt" in paths(one))
        (share / "d.txt").write_text("d")
        eventually(sent(sandbox, 2))
    assert names(sandbox) == ["a.txt", "d.txt"]


def paths(setting: Config) -> set[bytes]:
    """Return the names that the ledger knows."""
    return {name for (name,) in execute(setting, "SELECT name FROM versions")}


def test_new_content_under_a_known_name_is_sent(one: Config, share: Path, sandbox: Sandbox) -> None:
    """A changed file is a new version; a touched one is not."""
    with running(one):
        (share / "a.txt").write_text("one")
        eventually(sent(sandbox, 1))
        os.utime(share / "a.txt", (1, 1))
        (share / "a.txt").write_text("two, longer")
        eventually(sent(sandbox, 2))
    assert digests(sandbox.messages(sandbox.conversations[0].id)) == [sha256(b"one"), sha256(b"two, longer")]


def test_with_on_change_ignore_a_name_is_sent_once(one: Config, share: Path, sandbox: Sandbox) -> None:
    """The second content under a name is listed as skipped, with its reason."""
    with running(replace(one, folders=(replace(one.folders[0], on_change="ignore"),))):
        (share / "a.txt").write_text("one")
        eventually(sent(sandbox, 1))
        (share / "a.txt").write_text("two, longer")
        eventually(lambda: states(one)["skipped"] == 1)
    assert deliveries(one, "code") == [(None,), ("on_change",)]


def test_a_file_taken_back_before_its_send_is_gone(one: Config, share: Path, sandbox: Sandbox) -> None:
    """Its owner took it back: it is not sent, and when it returns it is."""
    sandbox.inject(Fault(api="media/upload", kind=FaultKind.THROTTLE, times=None))
    with running(one):
        (share / "a.txt").write_text("a")
        eventually(lambda: sum(states(one).values()) == 1)
        (share / "a.txt").rename(share.parent / "kept.txt")
        eventually(lambda: states(one)["gone"] == 1)
        sandbox.clear_faults()
        (share.parent / "kept.txt").rename(share / "a.txt")
        eventually(sent(sandbox, 1))
    assert states(one) == {"sent": 1}


# --- Kinds ---------------------------------------------------------------------------------------


def test_a_refused_kind_costs_one_refused_call_in_all(share: Path, tmp_path: Path) -> None:
    """40005 is learnt: the file goes zipped, and so does the next one of its kind, without a refused call."""
    media = Settings().media
    settings = replace(Settings(), media=replace(media, refused=media.refused | {"xyz"}))
    with Sandbox(settings=settings) as strict:
        setting = config(tmp_path / "state", strict, folder(share, strict.conversations[0].id))
        with running(setting):
            (share / "a.xyz").write_text("a")
            eventually(sent(strict, 1))
            (share / "b.xyz").write_text("b")
            eventually(sent(strict, 2))
        assert names(strict) == ["a.xyz.zip", "b.xyz.zip"]
        assert strict.calls()["media/upload"] == 3


def test_what_cannot_be_sent_costs_no_call(one: Config, share: Path, sandbox: Sandbox) -> None:
    """A file over the limit fails with its advice before anything is asked."""
    refusing = replace(one, folders=(replace(one.folders[0], large_files="fail"),))
    with running(refusing):
        with (share / "big.zip").open("wb") as big:
            big.truncate(21 * 1024 * 1024)
        eventually(lambda: states(one)["failed"] == 1)
    assert deliveries(one, "code") == [("too_big",)]
    assert "media/upload" not in sandbox.calls()


# --- Trouble -------------------------------------------------------------------------------------


def test_a_missing_folder_does_not_stop_the_others(tmp_path: Path, share: Path, sandbox: Sandbox) -> None:
    """It is reported down, and watched when it appears; what lies in it then is its baseline."""
    later, heard = tmp_path / "later", Heard()
    cid = sandbox.conversations[0].id
    setting = config(tmp_path / "state", sandbox, folder(later, cid), folder(share, cid))
    with running(setting, heard) as service:
        assert heard.count(Log.FOLDER_DOWN) == 1
        (share / "a.txt").write_text("a")
        eventually(sent(sandbox, 1))
        later.mkdir()
        eventually(lambda: heard.count(Log.FOLDER_BACK) == 1)
        eventually(lambda: [kind for kind, _ in service.watching().values()] == [WatchKind.INOTIFY] * 2)
        (later / "b.txt").write_text("b")
        eventually(sent(sandbox, 2))


def test_a_folder_that_is_replaced_is_watched_again(one: Config, share: Path, sandbox: Sandbox) -> None:
    """A root deleted and made anew is noticed, armed and scanned again."""
    heard = Heard()
    with running(one, heard):
        shutil.rmtree(share)
        eventually(lambda: heard.count(Log.FOLDER_DOWN) >= 1)
        share.mkdir()
        (share / "a.txt").write_text("a")
        eventually(sent(sandbox, 1))


def test_no_thread_outlives_the_service(one: Config, share: Path, sandbox: Sandbox) -> None:
    """What watched, read and sent has ended when the service has."""
    before = set(threading.enumerate())
    with running(one) as service:
        (share / "a.txt").write_text("a")
        eventually(sent(sandbox, 1))
    eventually(lambda: set(threading.enumerate()) <= before)
    assert service.ended.is_set()


def test_a_second_daemon_on_one_ledger_refuses(one: Config) -> None:
    """Two daemons would send everything twice."""
    with running(one), pytest.raises(LockedError):
        Service(one, log=Heard()).start()


def test_wrong_credentials_pause_the_app_and_keep_every_file(
    one: Config, share: Path, sandbox: Sandbox
) -> None:
    """One line with advice; no upload is tried; the right secret sends all that waited."""
    wrong, heard = replace(one, dingtalk=replace(one.dingtalk, client_secret="wrong")), Heard()
    with running(wrong, heard):
        for number in range(5):
            (share / f"{number}.txt").write_text(str(number))
        eventually(lambda: states(one)["pending"] == 5 and pauses(one))
    assert heard.count(Log.PAUSED) == 1
    assert [(scope, code) for scope, _, code in pauses(one)] in (
        [("app", "40096")],
        [("app", "invalidClientIdOrSecret")],
    )
    assert "media/upload" not in sandbox.calls()
    with running(one):
        eventually(sent(sandbox, 5))
    assert pauses(one) == []


def test_a_robot_that_is_not_in_a_conversation_pauses_only_that(
    tmp_path: Path, share: Path, sandbox: Sandbox
) -> None:
    """The other conversation gets everything, and the refused one costs one call."""
    inside = sandbox.conversations[0].id
    outside = next(one.id for one in sandbox.conversations if not one.robot_inside)
    heard = Heard()
    setting = config(tmp_path / "state", sandbox, folder(share, inside, outside))
    with running(setting, heard):
        for number in range(5):
            (share / f"{number}.txt").write_text(str(number))
        eventually(sent(sandbox, 5))
        # What is uploaded after the refusal is claimed for the other conversation alone.
        eventually(lambda: states(setting)["uploaded"] + states(setting)["pending"] == 5)
        eventually(lambda: states(setting)["sent"] == 5)
    assert [(scope, key) for scope, key, _ in pauses(setting)] == [("conversation", outside)]
    assert heard.count(Log.PAUSED) == 1
    assert sandbox.calls()["robot/groupMessages/send"] == 6


def test_an_unreachable_host_pauses_the_app_and_ends_by_itself(
    one: Config, share: Path, sandbox: Sandbox
) -> None:
    """What waited through an outage is sent when it ends, without a person."""
    heard = Heard()
    sandbox.stop()
    with running(one, heard):
        (share / "a.txt").write_text("a")
        eventually(lambda: pauses(one))
        assert pauses(one)[0][0] == "app"
        sandbox.start()
        eventually(sent(sandbox, 1))
        eventually(lambda: pauses(one) == [])
    assert heard.count(Log.PAUSED) == 1


def test_throttle_answers_lose_nothing(one: Config, share: Path, sandbox: Sandbox) -> None:
    """Refused for their rate, uploads and sends come again and arrive once."""
    sandbox.inject(Fault(api="media/upload", kind=FaultKind.THROTTLE, times=1))
    sandbox.inject(Fault(api="robot/groupMessages/send", kind=FaultKind.THROTTLE, times=1))
    with running(one):
        for number in range(4):
            (share / f"{number}.txt").write_text(str(number))
        eventually(sent(sandbox, 4))
        eventually(lambda: states(one) == {"sent": 4})
    assert len(names(sandbox)) == 4


def test_tokens_that_die_early_are_renewed(one: Config, share: Path, sandbox: Sandbox) -> None:
    """A token may die before its time; nothing is lost and nothing doubled."""
    with running(one):
        (share / "a.txt").write_text("a")
        eventually(sent(sandbox, 1))
        sandbox.kill_tokens()
        (share / "b.txt").write_text("b")
        eventually(sent(sandbox, 2))
    assert names(sandbox) == ["a.txt", "b.txt"]


def test_a_lost_answer_leaves_a_doubt_that_a_person_can_hold(
    one: Config, share: Path, sandbox: Sandbox
) -> None:
    """With `hold` a message whose answer was lost is never sent twice by itself."""
    held = replace(one, delivery=replace(one.delivery, on_uncertain="hold"))
    sandbox.inject(Fault(api="robot/groupMessages/send", kind=FaultKind.CUT_AFTER, times=1))
    with running(held):
        (share / "a.txt").write_text("a")
        eventually(lambda: states(one)["uncertain"] == 1)
        (share / "b.txt").write_text("b")
        eventually(sent(sandbox, 2))
    assert names(sandbox) == ["a.txt", "b.txt"]
    assert states(one) == {"uncertain": 1, "sent": 1}


# --- Time ----------------------------------------------------------------------------------------

SEND = "robot/groupMessages/send"


def column(setting: Config, name: str) -> float:
    """Return a column of the only delivery."""
    ((value,),) = deliveries(setting, name)
    return float(value)


def test_the_wait_that_a_refusal_asks_for_begins_with_the_refusal(
    one: Config, share: Path, sandbox: Sandbox
) -> None:
    """A call takes longer than the wait it is then told: the wait is kept nevertheless."""
    slow, told = 2.0, 1.0
    sandbox.inject(Fault(SEND, FaultKind.THROTTLE, seconds=slow))
    with running(one):
        dropped = time.time()
        (share / "a.txt").write_text("a")
        eventually(sent(sandbox, 1))
    (message,) = sandbox.messages(sandbox.conversations[0].id)
    assert message.at >= dropped + slow + told


@pytest.mark.parametrize("stopped", [False, True], ids=["running", "stopping"])
def test_a_file_is_sent_when_its_call_has_ended(
    one: Config, share: Path, sandbox: Sandbox, *, stopped: bool
) -> None:
    """`sent_at` is no earlier than the message, while the service runs and while it finishes."""
    sandbox.inject(Fault(SEND, FaultKind.SLOW, seconds=0.5))
    with running(one):
        (share / "a.txt").write_text("a")
        eventually(lambda: SEND in sandbox.calls())
        if not stopped:
            eventually(lambda: states(one)["sent"] == 1)
    (message,) = sandbox.messages(sandbox.conversations[0].id)
    assert column(one, "sent_at") >= message.at


def test_a_doubt_begins_when_the_call_is_lost(one: Config, share: Path, sandbox: Sandbox) -> None:
    """The time after which a doubtful message goes again is not used up by the call itself."""
    held = replace(one, delivery=replace(one.delivery, on_uncertain="hold"))
    sandbox.inject(Fault(SEND, FaultKind.CUT_AFTER, seconds=0.5))
    with running(held):
        (share / "a.txt").write_text("a")
        eventually(lambda: states(one)["uncertain"] == 1)
    (message,) = sandbox.messages(sandbox.conversations[0].id)
    assert column(one, "doubted_at") >= message.at


# --- Outages -------------------------------------------------------------------------------------


def test_a_ledger_that_is_back_before_anything_was_repaired_is_told(one: Config) -> None:
    """Down at the first thing that delivery does, and back a moment later: each is said once."""
    one.state_dir.mkdir(mode=0o700)
    ledger, heard, stop = one.state_dir / LEDGER_FILE, Heard(), threading.Event()
    with closing(open_ledger(one)) as store:
        side = DeliverySide(one, OpenLedger(store, Outage(heard)), Folders(), heard)
        away = ledger.rename(one.state_dir / "away.db")
        thread = threading.Thread(target=side.run, args=(stop,))
        thread.start()
        eventually(lambda: heard.count(Log.LEDGER_DOWN))
        away.rename(ledger)
        eventually(lambda: heard.count(Log.LEDGER_BACK))
        stop.set()
        side.inbox.wake()
        thread.join()
    assert [text for text, _ in heard.said] == [Log.LEDGER_DOWN, Log.LEDGER_BACK]


def test_after_an_outage_the_backlog_drains_in_order(one: Config, share: Path, sandbox: Sandbox) -> None:
    """While DingTalk is down its probes cost nothing; then everything arrives as it had settled."""
    sandbox.inject(Fault(api="*", kind=FaultKind.ERROR, times=None))
    with running(one):
        for number in range(40):
            (share / f"{number:02}.txt").write_bytes(os.urandom(20_000 if number % 2 else 10))
            eventually(lambda n=number: sum(states(one).values()) > n)  # type: ignore[misc]
        eventually(lambda: pauses(one))
        assert sandbox.billed() == 0  # whether the outage is over is asked by the token call, which is free
        sandbox.clear_faults()
        eventually(sent(sandbox, 40))
    assert names(sandbox) == [f"{number:02}.txt" for number in range(40)]
    assert sandbox.calls()["media/upload"] <= 42
    assert states(one) == {"sent": 40}


def test_an_upload_refused_for_its_conversation_pauses_uploads(
    one: Config, share: Path, sandbox: Sandbox
) -> None:
    """It has none, so every upload would be refused: few are tried, and all go when it is mended."""
    sandbox.inject(Fault("media/upload", FaultKind.ERROR, code=34013, times=None))
    with running(one):
        for number in range(20):
            (share / f"{number}.txt").write_text(str(number))
        eventually(lambda: states(one) == {"pending": 20} and pauses(one))
    assert pauses(one) == [("api", "media/upload", "34013")]
    assert sandbox.calls()["media/upload"] < one.delivery.workers
    sandbox.clear_faults()
    with running(one):
        eventually(sent(sandbox, 20))
    assert pauses(one) == []


def test_a_conversation_that_fails_delays_no_other(tmp_path: Path, share: Path, sandbox: Sandbox) -> None:
    """The robot was taken out of one group: the other gets its files, and the first costs a call or two."""
    first, second = (conversation.id for conversation in sandbox.conversations[:2])
    other = tmp_path / "other"
    other.mkdir()
    setting = config(
        tmp_path / "state", sandbox, folder(share, "cidGone=="), folder(other, second, settle=0.1)
    )
    with running(setting):
        for number in range(10):
            (share / f"{number}.txt").write_text(f"gone {number}")
        eventually(lambda: any(scope == "conversation" for scope, _, _ in pauses(setting)))
        for number in range(10):
            (other / f"{number}.txt").write_text(f"other {number}")
        eventually(sent(sandbox, 10, 1))
    assert sandbox.messages(first) == ()
    assert sandbox.calls()["robot/groupMessages/send"] <= 12
    assert states(setting)["sent"] == 10
    assert states(setting)["failed"] == 0


@pytest.mark.parametrize(
    "code", ["invalidParameter.robotCode.empty", "invalidParameter.robotCode.notExsit", "auth.error"]
)
def test_a_refusal_that_may_concern_one_group_stops_only_that(
    tmp_path: Path, share: Path, sandbox: Sandbox, code: str
) -> None:
    """DingTalk blames the robot, and means that one group lacks it: the other group gets its files."""
    other = tmp_path / "other"
    other.mkdir()
    cids = [one.id for one in sandbox.conversations[:2]]
    setting = config(tmp_path / "state", sandbox, folder(share, cids[0]), folder(other, cids[1]))
    sandbox.inject(Fault("robot/groupMessages/send", FaultKind.ERROR, times=1, code=code, status=400))
    with running(setting):
        (share / "bad.txt").write_text("bad")
        eventually(lambda: pauses(setting) == [("conversation", cids[0], code)])
        for number in range(5):
            (other / f"{number}.txt").write_text(f"good {number}")
        eventually(sent(sandbox, 5, 1))
    assert pauses(setting) == [("conversation", cids[0], code)]


# --- What strangers found ------------------------------------------------------------------------

REFUSED = Fault("robot/groupMessages/send", FaultKind.ERROR, code="bot.stopped", status=400, times=None)
"""Only a person can end it: what is uploaded stays so."""


def test_a_file_from_the_far_future_is_a_file(one: Config, share: Path, sandbox: Sandbox) -> None:
    """One date that no column holds must not stop the service, nor the files beside it."""
    (share / "before.txt").write_text("before")
    os.utime(share / "before.txt", (13_569_465_600, 13_569_465_600))  # the year 2400
    with running(one):
        (share / "after.txt").write_text("after")
        os.utime(share / "after.txt", (13_569_465_600, 13_569_465_600))
        eventually(sent(sandbox, 1))
    with running(one):
        (share / "b.txt").write_text("b")
        eventually(sent(sandbox, 2))
    assert names(sandbox) == ["after.txt", "b.txt"]


@pytest.mark.parametrize("replaced", [False, True])
def test_what_its_owner_took_back_while_nothing_ran_is_not_sent(
    one: Config, share: Path, sandbox: Sandbox, *, replaced: bool
) -> None:
    """Also where its content is at DingTalk already, and would be sent without another look."""
    sandbox.inject(REFUSED)
    with running(one):
        (share / "a.txt").write_text("draft")
        eventually(lambda: states(one) == {"uploaded": 1} and pauses(one))
    (share / "a.txt").unlink()
    if replaced:
        (share / "a.txt").write_text("final version")
    (share / "b.txt").write_text("another")
    sandbox.clear_faults()
    wanted = {"another", *(["final version"] if replaced else [])}
    with running(one):
        eventually(lambda: states(one) == {"gone": 1, "sent": len(wanted)})
    shown = sandbox.messages(sandbox.conversations[0].id)
    assert {message.sha256 for message in shown} == {sha256(text.encode()) for text in wanted}


def test_a_clock_that_was_set_back_keeps_nothing_waiting(one: Config, share: Path, sandbox: Sandbox) -> None:
    """A restart sees that nothing waits for so long, whatever was written before."""
    sandbox.inject(REFUSED)
    with running(one):
        (share / "a.txt").write_text("a")
        eventually(lambda: states(one) == {"uploaded": 1} and pauses(one))
    execute(one, "UPDATE deliveries SET due = due + 172800")
    execute(one, "UPDATE pauses SET until = until + 172800, since = since + 172800, fixed = 1")
    sandbox.clear_faults()
    with running(one):
        eventually(sent(sandbox, 1))


@pytest.mark.parametrize(
    ("question", "arguments"),
    [
        ("", {}),
        (" ", {}),
        ("\0", {}),
        ("😀", {}),
        ("status", {"now": True}),
        ("settling", {}),
        ("settling", {"folder": "1", "path": "61"}),
        ("settling", {"folder": 10**40, "path": "61"}),
        ("settling", {"folder": 1, "path": "zz"}),
        ("settling", {"folder": 1, "path": "616"}),
        ("settling", {"folder": 1, "path": "00"}),
        ("why", {}),
        ("why", {"paths": 5}),
        ("why", {"paths": [5]}),
        ("why", {"paths": [["share", "zz"]]}),
        ("why", {"paths": [[5, "61"]]}),
        ("why", {"paths": [[None, "00"], ["share", "00"], ["😀", "61"]]}),
    ],
)
def test_no_question_ends_the_service(one: Config, question: str, arguments: dict[str, object]) -> None:
    """Whatever somebody asks on the control socket, the service goes on."""
    with running(one) as service:
        ask(one.state_dir, question, arguments, PATIENCE)
        assert not service.ended.is_set()


def test_a_system_without_certificates_is_said_once(
    one: Config, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A small container has no store: one line says which list counts instead."""
    for name in trust.BUNDLE_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    monkeypatch.setattr(trust, "SYSTEM_FILES", ())
    heard, url = Heard(), "https://localhost:1"
    with running(replace(one, dingtalk=replace(one.dingtalk, api_url=url, oapi_url=url)), heard):
        pass
    assert heard.count(Log.NO_TRUST_STORE) == 1
    with running(one, heard):  # nothing to the sandbox is encrypted
        pass
    assert heard.count(Log.NO_TRUST_STORE) == 1
