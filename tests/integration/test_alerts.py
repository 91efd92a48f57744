"""Alerts through the running service: told once, once more when it is over, and never about themselves."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from socket import gethostname
from typing import Any

import pytest

from dingwatch.config.values import Alerts, Config, Delivery, Pace, Webhook
from dingwatch.ledger import Store, commands, sqlite, sqlite_url
from dingwatch.model import Cause
from dingwatch.pace import Limit
from dingwatch.sandbox import Fault, FaultKind, Sandbox, Settings
from dingwatch.sandbox.settings import CONVERSATIONS
from dingwatch.sandbox.settings import Webhook as SandboxRobot
from dingwatch.service import canary, delivering
from dingwatch.service.alerting import Alerting, Sources
from dingwatch.service.daemon import Service
from dingwatch.texts import Log
from tests.integration.conftest import Machine
from tests.ledger import execute, states
from tests.support import Heard, config, eventually, folder, names, running

SEND = "robot/groupMessages/send"
SEND_TO_PERSONS = "robot/oToMessages/batchSend"
BOSS = "user:manager1234"


def alerts_of(sandbox: Sandbox, recipient: str) -> list[str]:
    """Return the alerts that a recipient got."""
    return [one.text for one in sandbox.messages(recipient) if not one.file_name]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A DingTalk with a custom robot that takes what has its keyword, as every alert does."""
    robot = SandboxRobot("2a1f0e9d8c7b6a5f4e3d2c1b0a9f", CONVERSATIONS[1].id, keywords=("dingwatch",))
    with Sandbox(settings=Settings(webhooks=(robot,))) as made:
        yield made


def robot_of(sandbox: Sandbox) -> tuple[Webhook, str]:
    """Return the custom robot, and the group that it writes to."""
    (robot,) = sandbox.settings.webhooks
    return Webhook(f"{sandbox.url}/robot/send?access_token={robot.token}", None), robot.conversation_id


@pytest.fixture
def group(sandbox: Sandbox) -> str:
    """The conversation that alerts go to; files go to another one."""
    return sandbox.conversations[1].id


def setting_of(tmp_path: Path, sandbox: Sandbox, share: Path, *to: str, **changes: Any) -> Config:  # noqa: ANN401
    """Return a configuration with alerts that come fast."""
    alerts = Alerts(to=to, after=0.2, **changes.pop("alerts", {}))
    one = folder(share, sandbox.conversations[0].id, **changes.pop("of_folder", {}))
    return config(tmp_path / "state", sandbox, one, alerts=alerts, **changes)


def fail(sandbox: Sandbox, share: Path, name: str) -> None:
    """Drop a file that DingTalk refuses for good."""
    sandbox.inject(Fault("media/upload", FaultKind.ERROR, code="40011"))
    (share / name).write_text(name)


def look_on(service: Service, seconds: float = 0.5) -> None:
    """Wait until the service has looked again and again for so long, and would have told what there is."""
    began = time.monotonic()
    eventually(lambda: service._alerting._looked_at > began + seconds)


# --- A trouble's life ----------------------------------------------------------------------------


def test_a_folder_that_is_down_is_told_once_and_once_when_it_is_back(
    tmp_path: Path, share: Path, sandbox: Sandbox, group: str
) -> None:
    """The alert says which folder it is, where, since when and what to do; a restart tells nothing again."""
    setting = setting_of(tmp_path, sandbox, share, group, node="files01")
    with running(setting) as service:
        shutil.rmtree(share)
        eventually(lambda: alerts_of(sandbox, group))
        look_on(service)
    with running(setting) as service:
        look_on(service)
    (begun,) = alerts_of(sandbox, group)
    title, start = begun.split("\n", 1)
    assert title == "dingwatch files01: 1 problem"
    assert start.startswith("dingwatch on files01 needs attention:\n\nFolder share has been down since 20")
    assert "(ENOENT)" in start
    assert "Check the folder's path" in start
    share.mkdir()
    with running(setting):
        eventually(lambda: len(alerts_of(sandbox, group)) == 2)
    assert "Folder share is watched again (it began 20" in alerts_of(sandbox, group)[1]
    assert execute(setting, "SELECT * FROM alert_troubles") == []


def test_what_had_failed_before_there_were_alerts_is_silent(
    tmp_path: Path, share: Path, sandbox: Sandbox, group: str
) -> None:
    """What fails later is told, with its name and the reason, and once in an hour; `retry` ends it."""
    setting = setting_of(tmp_path, sandbox, share, group)
    with running(replace(setting, alerts=Alerts())):
        fail(sandbox, share, "old.txt")
        eventually(lambda: states(setting) == {"failed": 1})
    with running(setting) as service:
        look_on(service)
        assert alerts_of(sandbox, group) == []
        fail(sandbox, share, "*new*.txt")
        eventually(lambda: len(alerts_of(sandbox, group)) == 1)
        fail(sandbox, share, "newer.txt")
        eventually(lambda: states(setting) == {"failed": 3})
        look_on(service)
        retry(setting)
        eventually(lambda: len(alerts_of(sandbox, group)) == 2)
        look_on(service)
    first, second = alerts_of(sandbox, group)
    assert "Folder share has 1 failed delivery since" in first
    assert r"the latest \*new\*.txt (40011 " in first
    assert "`dingwatch retry --all`" in first
    assert "no failed file any more" in second


def retry(setting: Config) -> None:
    """Put what has failed to work, as `retry --all` does."""
    with closing(Store.open(sqlite_url(setting.state_dir / "ledger.db"))) as ledger:
        commands.retry_all(ledger, time.time())


def test_the_quota_is_told_at_80_and_at_100_per_cent(
    tmp_path: Path, share: Path, sandbox: Sandbox, group: str
) -> None:
    """Alerts count among the calls."""
    setting = setting_of(tmp_path, sandbox, share, group)
    setting = replace(setting, dingtalk=replace(setting.dingtalk, monthly_calls=5))
    with running(setting) as service:
        for name in ("a.txt", "b.txt"):
            (share / name).write_text(name)
            eventually(partial(_has, sandbox, name))
        eventually(lambda: len(alerts_of(sandbox, group)) == 2)
        look_on(service)
    first, second = alerts_of(sandbox, group)
    assert "4 of the month's 5 API calls are used, more than 80 %" in first
    assert "The month's API calls are used up (5 of 5)" in second
    billed = execute(setting, "SELECT sum(count) FROM calls WHERE api LIKE '%essages/send'")
    assert billed == [(4,)]


def _has(sandbox: Sandbox, name: str) -> bool:
    return name in names(sandbox)


def test_what_is_uncertain_is_told_under_hold(
    tmp_path: Path, share: Path, sandbox: Sandbox, group: str
) -> None:
    """Nobody else sends it."""
    setting = setting_of(tmp_path, sandbox, share, group, delivery=Delivery(4, 3 * 86400.0, "hold"))
    with running(setting):
        sandbox.inject(Fault(SEND, FaultKind.CUT_AFTER))
        (share / "a.txt").write_text("a")
        eventually(lambda: alerts_of(sandbox, group))
    assert "nobody knows whether they arrived" in alerts_of(sandbox, group)[0]
    assert "a.txt" in alerts_of(sandbox, group)[0]


def test_a_program_that_fails_is_told(tmp_path: Path, share: Path, sandbox: Sandbox, group: str) -> None:
    """The files wait until `before_send` gives a verdict; nobody reads that DingTalk refused a call."""
    missing = {"before_send": ("no-such-program-here", "{fd}")}
    setting = setting_of(tmp_path, sandbox, share, group, of_folder=missing)
    with running(setting):
        (share / "a.txt").write_text("a")
        eventually(lambda: alerts_of(sandbox, group))
    (alert,) = alerts_of(sandbox, group)
    assert alert.startswith(f"dingwatch {gethostname()}: 1 problem\n")
    assert "1 file waits because the program of before" in alert.replace("\\", "")
    with running(replace(setting, folders=(replace(setting.folders[0], before_send=None),))):
        eventually(lambda: len(alerts_of(sandbox, group)) == 2)


def test_what_is_sent_again_by_itself_is_not_told(
    tmp_path: Path, share: Path, sandbox: Sandbox, group: str
) -> None:
    """It waits half a minute for that."""
    setting = setting_of(tmp_path, sandbox, share, group)
    with running(setting) as service:
        sandbox.inject(Fault(SEND, FaultKind.CUT_AFTER))
        (share / "a.txt").write_text("a")
        eventually(lambda: states(setting) == {"uncertain": 1})
        look_on(service)
    assert alerts_of(sandbox, group) == []


def test_every_kind_of_recipient_is_told(tmp_path: Path, share: Path, sandbox: Sandbox) -> None:
    """A group, a person, a chat of old and a custom robot."""
    robot, room = robot_of(sandbox)
    legacy = next(one for one in sandbox.conversations if one.chat_id)
    group = sandbox.conversations[2].id
    to = (group, BOSS, f"chat:{legacy.chat_id}", f"webhook:{robot.id}")
    shutil.rmtree(share)
    with running(setting_of(tmp_path, sandbox, share, *to, alerts={"robots": (robot,)})) as service:
        places = {group, BOSS, legacy.id, room}
        eventually(lambda: all(alerts_of(sandbox, one) for one in places))
        look_on(service)
    assert len({text for one in places for text in alerts_of(sandbox, one)}) == 1


def test_an_alert_keeps_the_pace_of_its_conversation(tmp_path: Path, share: Path, sandbox: Sandbox) -> None:
    """One message a minute, and a file was the one of this minute."""
    group = sandbox.conversations[0].id
    pace = Pace(None, Limit(1, 60.0, spaced=False))
    setting = setting_of(tmp_path, sandbox, share, group, pace=pace)
    with running(setting) as service:
        (share / "a.txt").write_text("a")
        eventually(lambda: names(sandbox) == ["a.txt"])
        shutil.rmtree(share)
        eventually(lambda: service._alerting._conditions)
        look_on(service)
        assert alerts_of(sandbox, group) == []
    assert sandbox.calls()[SEND] == 1


# --- Refusals ------------------------------------------------------------------------------------


def test_wrong_credentials_are_told_by_a_custom_robot(tmp_path: Path, share: Path, sandbox: Sandbox) -> None:
    """It needs none; the group hears nothing, and nobody is told that it does not."""
    robot, room = robot_of(sandbox)
    group = next(one.id for one in sandbox.conversations[1:] if one.id != room)
    word = f"webhook:{robot.id}"
    setting = setting_of(tmp_path, sandbox, share, word, group, alerts={"robots": (robot,)})
    setting = replace(setting, dingtalk=replace(setting.dingtalk, client_secret="wrong-secret-0000"))
    heard = Heard()
    with running(setting, heard) as service:
        (share / "a.txt").write_text("a")
        eventually(lambda: alerts_of(sandbox, room))
        look_on(service)
    (text,) = alerts_of(sandbox, room)
    assert "DingTalk has refused calls since" in text
    assert "Check client_id and client_secret" in text
    assert alerts_of(sandbox, group) == []
    assert SEND not in sandbox.calls()


def test_the_recipient_of_alerts_is_not_told_of_itself(
    tmp_path: Path, share: Path, sandbox: Sandbox, group: str
) -> None:
    """Files for the group are refused, which another recipient hears."""
    sandbox.inject(Fault(SEND, FaultKind.ERROR, status=400, code="openConversationId.notExisted", times=None))
    setting = setting_of(tmp_path, sandbox, share, group, BOSS)
    one = replace(setting.folders[0], conversation_ids=(group,))
    with running(replace(setting, folders=(one,))) as service:
        (share / "a.txt").write_text("a")
        eventually(lambda: alerts_of(sandbox, BOSS))
        look_on(service)
    assert len(alerts_of(sandbox, BOSS)) == 1
    assert "DingTalk has refused calls" in alerts_of(sandbox, BOSS)[0]
    assert sandbox.calls()[SEND] == 1  # the file's own


def test_a_refused_alert_is_tried_later_and_pauses_nothing(
    tmp_path: Path, share: Path, sandbox: Sandbox, group: str
) -> None:
    """Each try may be billed, so there is a minute between them; files go on meanwhile."""
    sandbox.inject(Fault(SEND, FaultKind.ERROR, status=400, code="openConversationId.notExisted", times=1))
    down = tmp_path / "away"
    setting = setting_of(tmp_path, sandbox, share, group)
    gone = folder(down, sandbox.conversations[2].id)
    heard = Heard()
    with running(replace(setting, folders=(*setting.folders, gone)), heard) as service:
        eventually(lambda: heard.count(Log.ALERT_FAILED))
        look_on(service)
        (share / "a.txt").write_text("a")
        eventually(lambda: names(sandbox) == ["a.txt"])
    assert (heard.count(Log.ALERT_FAILED), alerts_of(sandbox, group)) == (1, [])
    assert execute(setting, "SELECT * FROM pauses") == []


def test_a_refused_alert_is_told_when_it_can_be(
    tmp_path: Path, share: Path, sandbox: Sandbox, group: str
) -> None:
    """It does not count as told, nor among the six of an hour."""
    sandbox.inject(Fault(SEND, FaultKind.ERROR, status=400, code="openConversationId.notExisted", times=3))
    setting = setting_of(tmp_path, sandbox, share, group)
    with running(replace(setting, alerts=Alerts())) as service:
        day = day_of(service, setting, group)
        day.down = {1: None}
        day.pass_by(1800.0)
        assert len(alerts_of(sandbox, group)) == 1
        assert execute(setting, "SELECT count(*) FROM alert_messages") == [(1,)]
    assert sandbox.calls()[SEND] == 4


def test_a_lost_answer_is_not_sent_again(tmp_path: Path, share: Path, sandbox: Sandbox, group: str) -> None:
    """DingTalk took the alert, and its answer never came: neither now nor after a restart."""
    sandbox.inject(Fault(SEND, FaultKind.CUT_AFTER))
    setting, heard = setting_of(tmp_path, sandbox, share, group), Heard()
    shutil.rmtree(share)
    for _ in range(2):
        with running(setting, heard) as service:
            eventually(lambda: heard.count(Log.ALERT_LOST))
            look_on(service)
    assert len(alerts_of(sandbox, group)) == 1
    assert heard.count(Log.ALERT_LOST) == 1


def test_a_token_that_was_refused_is_renewed_once(
    tmp_path: Path, share: Path, sandbox: Sandbox, group: str
) -> None:
    """It died before its time."""
    setting = setting_of(tmp_path, sandbox, share, group)
    sandbox.inject(Fault(SEND, FaultKind.TOKEN_DEAD))
    shutil.rmtree(share)
    with running(setting):
        eventually(lambda: alerts_of(sandbox, group))
    assert sandbox.calls()[SEND] == 2


def test_several_persons_are_told_by_one_call(tmp_path: Path, share: Path, sandbox: Sandbox) -> None:
    """One of them is not there, and the others hear it all the same; only he is tried again, alone."""
    others = (BOSS, "user:user2345")
    setting = setting_of(tmp_path, sandbox, share)
    with running(setting) as service:
        day = day_of(service, setting, *others, "user:nobody")
        day.down = {1: None}
        day.pass_by(360.0)
        assert [len(alerts_of(sandbox, one)) for one in others] == [1, 1]
        assert sandbox.calls()[SEND_TO_PERSONS] == 1
        day.pass_by(120.0)
    assert [len(alerts_of(sandbox, one)) for one in others] == [1, 1]
    assert sandbox.calls()[SEND_TO_PERSONS] == 2
    assert day.heard.count(Log.ALERT_FAILED) == 2


# --- A day, by a clock that runs fast ------------------------------------------------------------


@dataclass
class Day:
    """Looks at a running service by a clock of its own; the folders that are down are as the test says."""

    service: Service
    setting: Config
    heard: Heard = field(default_factory=Heard)
    now: float = field(default_factory=time.time)
    down: dict[int, Cause | None] = field(default_factory=dict)
    alerting: Alerting = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Begin anew with what the ledger has."""
        assert self.service._store is not None
        sources = Sources(lambda: self.setting, self.service._store, lambda: self.down, lambda: None)
        self.alerting = Alerting(sources, self.service._delivery, self.heard, lambda: self.now)

    def pass_by(self, seconds: float) -> None:
        """Look every minute for so long."""
        until = self.now + seconds
        while self.now < until:
            self.now += 60.0
            self.alerting.look(self.now)


def day_of(service: Service, setting: Config, *to: str, **changes: Any) -> Day:  # noqa: ANN401
    """Return a day of a service that has no alerts of its own."""
    return Day(service, replace(setting, alerts=Alerts(to=to, **changes)))


def test_a_folder_that_comes_and_goes_fills_no_conversation(
    tmp_path: Path, share: Path, sandbox: Sandbox, group: str
) -> None:
    """Every twenty minutes for a day, and the service restarts again and again."""
    setting = setting_of(tmp_path, sandbox, share, group)
    with running(replace(setting, alerts=Alerts())) as service:
        day = day_of(service, setting, group, BOSS)
        for _ in range(72):
            day.down = {} if day.down else {1: Cause("ENOTCONN", "", "FOLDER_DOWN")}
            day.pass_by(1200.0)
            day.restart()
    assert 24 < day.heard.count(Log.ALERT_SENT) <= 24 * 6


def test_several_troubles_are_one_message(tmp_path: Path, share: Path, sandbox: Sandbox, group: str) -> None:
    """A flood on hold and a folder that is down; a restart before they have lasted makes no difference."""
    setting = setting_of(tmp_path, sandbox, share, group, of_folder={"hold_over": 0})
    with running(replace(setting, alerts=Alerts())) as service:
        day = day_of(service, setting, group)
        day.alerting.look(day.now)
        (share / "a.txt").write_text("a")
        held = "SELECT count(*) FROM deliveries WHERE due >= 1e15"
        eventually(lambda: execute(setting, held) == [(1,)])
        day.down = {1: Cause("ENOTCONN", "", "FOLDER_DOWN")}
        day.pass_by(240.0)
        day.restart()
        day.pass_by(120.0)
    (text,) = alerts_of(sandbox, group)
    assert "2 problems" in text
    assert "Folder share has been down since" in text
    assert "Folder share has 1 delivery on hold since" in text
    assert "`dingwatch release share`" in text


def test_an_outage_of_hours_is_told_once_it_is_over(
    tmp_path: Path, share: Path, sandbox: Sandbox, group: str
) -> None:
    """Tries cost nothing and are few; one message tells what is still there, and nothing of what is over."""
    setting = setting_of(tmp_path, sandbox, share, group)
    away = folder(tmp_path / "away", sandbox.conversations[2].id)
    setting = replace(setting, folders=(*setting.folders, away))
    with running(replace(setting, alerts=Alerts())) as service:
        day = day_of(service, setting, group)
        sandbox.stop()
        day.down = {1: None, 2: Cause("ENOENT", "", "FOLDER_DOWN")}
        day.pass_by(5400.0)
        assert 12 < day.heard.count(Log.ALERT_FAILED) < 24
        day.down.pop(1)
        sandbox.start()
        day.pass_by(1200.0)
        day.down.clear()
        day.pass_by(1200.0)
    first, second = alerts_of(sandbox, group)
    assert "1 problem" in first
    assert "Folder away has been down" in first
    assert "Folder away is watched again" in second


def test_the_day_is_summed_up_once(tmp_path: Path, share: Path, sandbox: Sandbox, group: str) -> None:
    """What was sent, what waits, what failed, and the quota; a restart sends no second one."""
    setting = setting_of(tmp_path, sandbox, share, group, of_folder={"send_as": "notice"})
    plain = folder(tmp_path / "plain", sandbox.conversations[2].id)
    plain.path.mkdir()
    setting = replace(setting, folders=(*setting.folders, plain), node="files01")
    with running(replace(setting, alerts=Alerts())) as service:
        for place in (share, plain.path):
            (place / "a.txt").write_text("a")
        eventually(lambda: states(setting) == {"sent": 1, "skipped": 1})
        at = datetime.fromtimestamp(time.time() + 120.0).astimezone().strftime("%H:%M")
        day = day_of(service, setting, group, daily=at)
        day.alerting.look(day.now)
        assert alerts_of(sandbox, group) == []
        day.pass_by(300.0)
        day.restart()
        day.pass_by(86400.0 - 600.0)
        assert len(alerts_of(sandbox, group)) == 1
        day.pass_by(600.0)
    first, second = alerts_of(sandbox, group)
    assert first.startswith("dingwatch files01: summary of 20")
    assert ": 2 sent." in first
    for name in ("share", "plain"):
        assert f"{name}: 1 sent, 0 waiting, 0 on hold, 0 failed, 0 uncertain" in first
    assert "API calls in 20" in first
    assert ": 0 sent." in second


# --- The ledger ----------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A state directory on a disk of 2 MB."""
    path = tmp_path / "state"
    path.mkdir()
    subprocess.run(["/usr/bin/env", "mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", path], check=True)
    yield path
    subprocess.run(["/usr/bin/env", "umount", "-l", path], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")
def test_a_full_disk_is_told_once_although_nothing_can_be_remembered(
    tmp_path: Path, share: Path, sandbox: Sandbox, group: str, small_disk: Path
) -> None:
    """What was told meanwhile is remembered once there is room: a restart does not tell it again."""
    setting = setting_of(tmp_path, sandbox, share, group)
    with running(setting) as service:
        eventually(lambda: execute(setting, "SELECT 1 FROM numbers WHERE name = 'alerts_after_event'"))
        filler = small_disk / "filler"
        fill(filler)
        (share / "a.txt").write_text("a")
        eventually(lambda: alerts_of(sandbox, group))
        look_on(service)
        assert len(alerts_of(sandbox, group)) == 1
        filler.unlink()
        eventually(lambda: len(alerts_of(sandbox, group)) == 2)
        eventually(lambda: names(sandbox) == ["a.txt"])
    with running(setting) as service:
        look_on(service)
    first, second = alerts_of(sandbox, group)
    assert "The ledger has not been writable since" in first
    assert "Check free space" in first
    assert "The ledger can be written again" in second


def test_a_ledger_that_another_program_keeps_locked_is_told(
    tmp_path: Path, share: Path, sandbox: Sandbox, group: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody drops a file, the canary notices it; all that would write waits for the ledger in turn."""
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.5)  # scaled down, as the next
    monkeypatch.setattr(delivering, "RESERVE_SECONDS", 3.0)
    monkeypatch.setattr(canary, "SECONDS", 0.1)
    setting = setting_of(tmp_path, sandbox, share, group)
    with running(setting):
        eventually(lambda: execute(setting, "SELECT 1 FROM numbers WHERE name = 'alerts_after_event'"))
        with closing(sqlite3.connect(setting.state_dir / "ledger.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            eventually(lambda: alerts_of(sandbox, group))
            other.execute("ROLLBACK")
        eventually(lambda: len(alerts_of(sandbox, group)) == 2)
    assert "The ledger has not been writable since" in alerts_of(sandbox, group)[0]


def fill(path: Path) -> None:
    """Fill the disk."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


# --- The rest ------------------------------------------------------------------------------------


def test_alerts_that_are_turned_on_need_no_restart(machine: Machine, share: Path, sandbox: Sandbox) -> None:
    """`reload` names the keys; nothing shows an address of a robot, or the heartbeat's."""
    robot, room = robot_of(sandbox)
    process = machine.start()
    machine.settings["alerts"] = {"to": [robot.address], "after": "100ms"}
    machine.write()
    assert machine.call("reload").stdout == "changed: alerts.to, alerts.after\n"
    shutil.rmtree(share)
    eventually(lambda: alerts_of(sandbox, room))
    machine.settings["alerts"]["heartbeat_url"] = f"{sandbox.url}/ping/s3cr3t-of-the-heart"
    machine.write()
    assert machine.call("reload").stdout == "changed: alerts.heartbeat_url\n"
    shown = machine.call("config", "show").stdout
    assert "access_token=***" in shown
    assert robot.address.partition("=")[2] not in shown
    assert "s3cr3t-of-the-heart" not in shown
    machine.settings["alerts"] = {}
    machine.write()
    assert machine.call("reload").exit_code == 0
    share.mkdir()
    process.terminate()
    _, log = process.communicate(timeout=60)
    assert "s3cr3t-of-the-heart" not in log
    assert len(alerts_of(sandbox, room)) == 1


def test_check_says_who_is_told(machine: Machine, sandbox: Sandbox) -> None:
    """Of a group it asks for the robot; who else is told is named, for nothing shows whether that works."""
    robot, _ = robot_of(sandbox)
    machine.settings["alerts"] = {"to": [sandbox.conversations[1].id, BOSS, robot.address], "daily": "18:00"}
    machine.write()
    done = machine.call("check")
    assert f"ok    the robot is in conversation {sandbox.conversations[1].id}" in done.stdout, done.stdout
    told_of = f"alerts also go to {BOSS}, webhook:{robot.id}; only a message shows whether they arrive"
    assert f"ok    {told_of}" in done.stdout, done.stdout
    machine.settings["alerts"] = {"daily": "18:00"}
    machine.write()
    assert "warn  alerts.daily is set, but alerts.to is empty" in machine.call("check", "--offline").stdout
