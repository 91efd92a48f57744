from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from dingwatch.config.values import Config, Delivery, Http, TcpAddress
from dingwatch.sandbox import Fault, FaultKind, Sandbox
from dingwatch.service.daemon import Service
from dingwatch.service.log import ServiceLog
from dingwatch.texts import Language, Log
from dingwatch.web import WebServer
from tests.integration.test_web import Client, serving
from tests.support import PATIENCE, config, eventually, folder, sent

REFUSED = Fault(
    "robot/groupMessages/send", FaultKind.ERROR, code="invalidParameter.msgParam", status=400, times=None
)
LOST = Fault("robot/groupMessages/send", FaultKind.CUT_AFTER, times=1)
OF_PAGE: dict[str, set[str]] = {
    "": {
        *("now", "tz", "node", "version", "started_at", "daemon", "ledger", "today", "waiting", "needs"),
        *("folders", "uploads", "settling", "pauses", "calls", "log"),
    },
    "daemon": {"running", "since"},
    "ledger": {"ok", "size", "rows", "backup_at"},
    "today": {"sent", "yesterday", "last_sent_at"},
    "waiting": {"count", "oldest_at"},
    "calls": {"month", "days", "used", "limit", "left", "forecast", "runs_out_on", "by_day", "by_api"},
}
"""Keys of the status beside those of `status --json`."""
OF_FOLDER = {
    *("id", "name", "path", "to", "watch", "poll_interval", "state", "last_event_at", "last_scan_at"),
    *("settling", "waiting", "failed", "uncertain", "held", "paused_until", "hours"),
}
OF_NEED = {
    *("kind", "id", "folder_id", "count", "name", "path", "size", "folder", "to", "at", "reason", "advice"),
    *("code", "request_id", "actions"),
}


@pytest.fixture
def setting(tmp_path: Path, share: Path, sandbox: Sandbox) -> Config:
    """One folder, and the API on a port of loopback; what is doubted waits for a person."""
    made = config(tmp_path / "state", sandbox, folder(share, sandbox.conversations[0].id))
    return replace(made, http=Http(TcpAddress("127.0.0.1", 0)), delivery=Delivery(4, 3 * 86400.0, "hold"))


def status(ask: Client, language: str = "en") -> Any:  # noqa: ANN401 (JSON)
    """Return the status in a language."""
    return ask("GET", f"/api/v1/status?lang={language}").json


def needs(ask: Client, count: int = 1) -> list[Any]:
    """Return what needs a person, once there are so many entries."""
    eventually(lambda: len(status(ask)["needs"]) == count)
    found: list[Any] = status(ask)["needs"]
    assert all(one.keys() == OF_NEED for one in found)
    return found


def with_folder(setting: Config, **changes: object) -> Config:
    """Return a configuration whose folder has other settings."""
    return replace(setting, folders=(replace(setting.folders[0], **changes),))  # type: ignore[arg-type]


def test_all_keys_are_there(setting: Config, share: Path, sandbox: Sandbox) -> None:
    """The status has every key that the page is drawn from, with what has happened."""
    began = time.time()
    with serving(setting) as ask:
        (share / "a.txt").write_text("a")
        eventually(sent(sandbox, 1))
        eventually(lambda: status(ask)["totals"]["sent"] == 1)
        found = status(ask)
    for name, keys in OF_PAGE.items():
        assert (found[name] if name else found).keys() >= keys, name
    (shown,) = found["folders"]
    assert shown.keys() >= OF_FOLDER
    assert (shown["state"], shown["waiting"], shown["failed"]) == ("ok", 0, 0)
    assert len(shown["hours"]) == 24
    assert sum(number for number, _ in shown["hours"][-2:]) == 1  # the hour may just have ended
    assert found["today"] == {"sent": 1, "yesterday": 0, "last_sent_at": found["today"]["last_sent_at"]}
    for at in (found["today"]["last_sent_at"], shown["last_event_at"], shown["last_scan_at"]):
        assert began - 1 <= datetime.fromisoformat(at).timestamp() <= time.time()
    assert (found["ledger"]["ok"], found["ledger"]["rows"]) == (True, 1)
    assert (found["needs"], found["uploads"], found["settling"]) == ([], [], [])
    assert len(found["calls"]["by_day"]) <= found["calls"]["days"]


def test_equal_failures_are_one_entry(setting: Config, share: Path, sandbox: Sandbox) -> None:
    """It has their number, names the first one, and says why in the language asked for; a retry clears it."""
    sandbox.inject(REFUSED)
    with serving(setting) as ask:
        for number in range(3):
            (share / f"{number}.txt").write_text(str(number))
        eventually(lambda: status(ask)["totals"]["failed"] == 3)
        (one,) = needs(ask)
        (shown,) = status(ask)["folders"]
        sandbox.clear_faults()
        assert ask("POST", f"/api/v1/deliveries/{one['id']}/retry").status == 204
        eventually(lambda: needs(ask)[0]["count"] == 2)
    assert (one["kind"], one["count"], one["code"]) == ("failed", 3, "invalidParameter.msgParam")
    assert one["name"] in {"0.txt", "1.txt", "2.txt"}
    assert (one["folder"], one["folder_id"], one["actions"]) == ("share", shown["id"], ["retry"])
    assert one["request_id"]
    assert one["reason"]
    assert (shown["state"], shown["failed"], sum(failed for _, failed in shown["hours"])) == ("needs", 3, 3)


def test_what_may_have_arrived_asks_a_person(setting: Config, share: Path, sandbox: Sandbox) -> None:
    """With `on_uncertain: hold` there are two buttons; one of them settles it."""
    sandbox.inject(LOST)
    with serving(setting) as ask:
        (share / "a.txt").write_text("a")
        (one,) = needs(ask)
        assert (one["kind"], one["actions"]) == ("uncertain", ["confirm", "resend"])
        assert status(ask, "zh")["needs"][0]["advice"].startswith("请到会话里看一下")
        assert ask("POST", f"/api/v1/deliveries/{one['id']}/confirm").status == 204
        assert status(ask)["needs"] == []


def test_what_is_sent_once_more_by_itself_needs_nobody(
    setting: Config, share: Path, sandbox: Sandbox
) -> None:
    """With `on_uncertain: resend` a doubt is no entry, and its folder waits."""
    sandbox.inject(LOST)
    resends = replace(setting, delivery=Delivery(4, 3 * 86400.0, "resend"))
    with serving(resends) as ask:
        (share / "a.txt").write_text("a")
        eventually(lambda: status(ask)["totals"]["uncertain"] == 1)
        found = status(ask)
    assert (found["needs"], found["folders"][0]["state"]) == ([], "waiting")


def test_a_flood_is_one_entry(setting: Config, share: Path) -> None:
    """It tells how many files are held and of what size, and what it would cost to send them."""
    with serving(with_folder(setting, hold_over=2)) as ask:
        for number in range(5):
            (share / f"{number}.txt").write_text("four")
        eventually(lambda: status(ask)["folders"][0]["held"] >= 3)
        (one,) = needs(ask)
        found = status(ask)
        assert ask("POST", f"/api/v1/folders/{one['folder_id']}/discard").status == 204
        assert status(ask)["needs"] == []
    assert (one["kind"], one["actions"], one["name"]) == ("held", ["release", "discard"], None)
    assert one["size"] == 4 * one["count"]
    assert f"{2 * one['count']} calls" in one["advice"]
    assert found["waiting"]["count"] == 0


def test_folders_that_are_down_together_are_one_entry(
    setting: Config, tmp_path: Path, sandbox: Sandbox
) -> None:
    """They are beneath one path and cannot be watched for the same reason."""
    there = tmp_path / "mnt"
    there.mkdir()
    to = sandbox.conversations[0].id
    two = replace(setting, folders=tuple(folder(there / name, to) for name in ("a", "b")))
    with serving(two) as ask:
        (one,) = needs(ask)
        assert {shown["state"] for shown in status(ask)["folders"]} == {"needs"}
        for name in ("a", "b"):
            (there / name).mkdir()
        eventually(lambda: status(ask)["needs"] == [])
    assert (one["kind"], one["count"], one["path"], one["actions"]) == (
        "folder_down",
        2,
        str(there),
        ["look"],
    )
    assert "2 folders" in one["reason"]


def test_what_a_file_waits_for(setting: Config, share: Path) -> None:
    """A file that an editor has open, and an empty one, are shown with their reasons."""
    with serving(setting) as ask:
        (share / "~$plan.docx").write_text("me")
        (share / "plan.docx").write_text("plan")
        (share / "empty.txt").touch()
        found: dict[str, Any] = {}

        def explained() -> bool:
            found.update({one["name"]: one for one in status(ask)["settling"]})
            return "~$plan.docx" in found.get("plan.docx", {}).get("waits", "") and (
                "empty" in found.get("empty.txt", {}).get("waits", "")
            )

        eventually(explained)
        assert status(ask)["folders"][0]["state"] == "waiting"
    assert found["plan.docx"]["folder"] == "share"
    assert found["empty.txt"]["size"] == 0


def test_a_paused_folder(setting: Config) -> None:
    """Its state is `paused`, until when is told, and the pause has a name and a reason."""
    with serving(setting) as ask:
        number = status(ask)["folders"][0]["id"]
        assert ask("POST", f"/api/v1/folders/{number}/pause?for=2h", "reason=stocktaking").status == 204
        found = status(ask)
        (shown,), (pause,) = found["folders"], found["pauses"]
    assert shown["state"] == "paused"
    assert shown["paused_until"] == pause["until"]
    assert (pause["name"], pause["key"], pause["code"]) == ("share", str(number), "by_hand")
    assert "stocktaking" in pause["reason"]


def test_an_upload_is_shown_as_it_proceeds(setting: Config, share: Path, sandbox: Sandbox) -> None:
    """Its bytes so far are told while the other end takes its time."""
    sandbox.inject(Fault("media/upload", FaultKind.SLOW, seconds=3.0, times=1))
    with serving(setting) as ask:
        (share / "film.bin").write_bytes(bytes(3 << 20))
        eventually(lambda: status(ask)["uploads"])
        (one,) = status(ask)["uploads"]
        eventually(lambda: not status(ask)["uploads"])
    assert (one["name"], one["size"], one["route"], one["folder"]) == ("film.bin", 3 << 20, "robot", "share")
    assert 0 < one["done"] <= one["size"]


def test_the_tail_of_the_log_is_in_the_language_asked_for() -> None:
    """Lines are kept apart from the language of the log, and only the last."""
    log = ServiceLog(Language.EN)
    for number in range(60):
        log(Log.BASELINE, folder="财务", count=number)
    tail = log.tail()
    assert (len(tail), log.written) == (50, 60)
    assert tail[-1].render(Language.ZH) == Log.BASELINE.render(Language.ZH, folder="财务", count=59)
    assert tail[-1].render(Language.EN) == Log.BASELINE.render(Language.EN, folder="财务", count=59)


def test_the_log_of_a_running_service(setting: Config, share: Path) -> None:
    """The page has its last lines, with their levels."""
    share.rmdir()
    with Service(setting, make_server=WebServer) as service:
        assert service.ready.wait(PATIENCE)
        (line,) = status(Client(service))["log"]
    assert (line["level"], line["text"].startswith("folder share")) == ("error", True)
