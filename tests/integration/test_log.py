"""The service's log: what a line holds, how it is written, and how much trouble fills."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dingwatch.config.values import LogOptions
from dingwatch.delivery import FolderPolicy, Outcome, Settings
from dingwatch.dingtalk import MEDIA_LIMIT, REFUSED_EXTENSIONS
from dingwatch.ledger import versions
from dingwatch.ledger.folders import MappedFolder, bind
from dingwatch.ledger.versions import NewVersion
from dingwatch.model import Cause, Fingerprint, NotReached, Scope
from dingwatch.pace import Limit
from dingwatch.payload import PayloadPolicy, choose_payload
from dingwatch.service.log import ServiceLog, Shown, log_to_stderr, logger, one_line
from dingwatch.texts import Language, Log
from tests.integration.conftest import Machine
from tests.integration.test_delivery import APP, Desk
from tests.support import eventually

SENT: dict[str, Any] = {
    "folder": 7,
    "path": "2026/a\nb.pdf",
    "conversation": "cidA",
    "size": 1_234_567,
    "seconds": 754.0,
}
CAUSE = Cause("send.too.fast", "slow down", "", "req-1")
REFUSED = {"folder": 7, "path": "a.pdf", "conversation": "cidA", **CAUSE.log_values()}


class Written:
    """A log that is written to memory, by a clock that is moved by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, options: LogOptions, environ: dict[str, str]) -> None:
        self.now = 0.0
        self.stderr = io.StringIO()
        monkeypatch.setattr(sys, "stderr", self.stderr)
        log_to_stderr(options, environ)
        shown = Shown({7: "finance"}.__getitem__, {"cidA": "财务群"}.__getitem__)
        self.log = ServiceLog(Language.EN, shown, lambda: self.now)

    @property
    def lines(self) -> list[str]:
        """Return what was written."""
        return self.stderr.getvalue().splitlines()


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """The logger as it was before, when the test is over."""
    handlers, level = list(logger.handlers), logger.level
    yield
    logger.handlers[:] = handlers
    logger.setLevel(level)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Written:
    """A log of text."""
    return Written(monkeypatch, LogOptions(), {})


def test_a_line_tells_where_and_how_long(written: Written) -> None:
    """A line has the file's folder, the recipient's alias, the size and the duration, and stays one line."""
    written.log(Log.SENT, **SENT)
    (line,) = written.lines
    assert line.endswith("sent: finance/2026/a\\x0ab.pdf → 财务群 (1.2 MB, 12 min 34 s)")


def test_json_has_values_for_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """As JSON, a line has the values as they are: IDs, bytes and seconds; and DingTalk's request id."""
    written = Written(monkeypatch, LogOptions(format="json"), {})
    written.log(Log.SENT, **SENT)
    written.log(Log.FAILED, **REFUSED)
    sent, failed = map(json.loads, written.lines)
    wanted = {
        "folder": "finance",
        "path": SENT["path"],
        "recipient": "cidA",
        "size": 1_234_567,
        "seconds": 754.0,
    }
    assert wanted.items() <= sent.items()
    assert (sent["level"], sent["event"]) == ("info", "sent")
    assert (failed["level"], failed["request_id"], failed["code"]) == ("error", "req-1", "send.too.fast")
    assert failed["reason"] == "slow down"


def test_the_journal_gets_levels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where stderr is the journal, each line begins with its level; also those of a traceback."""
    with (tmp_path / "journal").open("w+", encoding="utf-8") as journal:
        monkeypatch.setattr(sys, "stderr", journal)
        status = os.fstat(journal.fileno())
        log_to_stderr(environ={"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"})
        log = ServiceLog(Language.EN)
        log(Log.SENT, **SENT)
        log(Log.RETRYING, **REFUSED)
        log(Log.FAILED, **REFUSED)
        logger.critical("two\nlines")
        journal.seek(0)
        assert [line[:3] for line in journal.read().splitlines()] == ["<6>", "<4>", "<3>", "<2>", "<2>"]


def test_another_stream_is_not_the_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service whose stderr goes to a file has no levels as prefixes, but times."""
    written = Written(monkeypatch, LogOptions(), {"JOURNAL_STREAM": "1:2"})
    written.log(Log.SENT, **SENT)
    assert written.lines[0][:2] == "20"


def test_a_level_leaves_out_what_is_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """With `log.level: warning`, what was sent is not logged."""
    written = Written(monkeypatch, LogOptions(level="warning"), {})
    written.log(Log.SENT, **SENT)
    written.log(Log.FAILED, **REFUSED)
    assert len(written.lines) == 1


def test_repeated_trouble_is_counted(written: Written) -> None:
    """After three lines the same trouble is counted, and the last of it is written with the count."""
    for _ in range(10):
        written.log(Log.RETRYING, **REFUSED)
    written.log(Log.RETRYING, **{**REFUSED, "conversation": "cidA", "code": "other"})
    assert len(written.lines) == 4
    written.now += 600.0
    written.log.write_counted()
    assert written.lines[-1].endswith("[the last of 7 more like this within 10 min]")
    written.now += 7200.0
    written.log.write_counted()
    assert len(written.lines) == 5
    written.log(Log.RETRYING, **REFUSED)
    assert len(written.lines) == 6  # it was over, and begins anew


def test_the_log_ends_with_what_is(written: Written) -> None:
    """Of a folder that goes and comes, the last line tells whether it is there."""
    for _ in range(20):
        written.log(Log.FOLDER_BACK, folder="finance", path="/srv")
        written.log(Log.FOLDER_DOWN, folder="finance", path="/srv", code="ENOENT", message="", advice="")
    written.now += 600.0
    written.log.write_counted()
    assert "finance cannot be watched" in written.lines[-1]


def test_a_folder_that_is_down_has_its_reason(written: Written) -> None:
    """Which node has set up a share otherwise, and by which keys, is nowhere else on this host's terminal."""
    why = {"code": "differs", "message": "east: include", "advice": "SHARE_DIFFERS"}
    written.log(Log.FOLDER_DOWN, folder="office", path="/srv", **why)
    assert "folder office cannot be watched: /srv (differs east: include). Another node" in written.lines[-1]


def test_each_failed_file_has_its_line(written: Written) -> None:
    """What happens to a file once is never left out."""
    for number in range(20):
        written.log(Log.FAILED, **{**REFUSED, "path": f"{number}.pdf"})
        written.log(Log.SENT, **SENT)
    assert len(written.lines) == 40


# --- A day ---------------------------------------------------------------------------------------

FOLDERS = 300
FILES = 10_000
DAY = 86_400.0
LIMIT = 1_000_000
UNREACHED = NotReached(Cause("ENETUNREACH", "Network is unreachable", "UNREACHABLE"), Scope.APP)


class Outskirts(Desk):
    """A desk with 300 folders, each to a conversation of its own, and 10,000 files that wait."""

    def __init__(self, path: Path, ledger: Path | str) -> None:
        policies: dict[int | None, FolderPolicy] = {
            number: FolderPolicy(PayloadPolicy(APP, MEDIA_LIMIT)) for number in range(1, FOLDERS + 9)
        }
        pace = Limit(20, 1.0, spaced=True)
        super().__init__(path, ledger, Settings(APP, workers=8, per_api=pace, folders=policies))
        mapped = [MappedFolder(f"/srv/{n}".encode(), f"department-{n}", (f"cid{n}",)) for n in range(FOLDERS)]
        with self.store.writing() as connection:
            marks = bind(connection, mapped)
            new = [self._version(marks[number % FOLDERS].id, number) for number in range(FILES)]
            versions.add(self.store, connection, new, self.now)

    def _version(self, folder: int, number: int) -> NewVersion:
        name, digest = f"2026/11/report-{number}.pdf".encode(), f"{number:064}"
        return NewVersion(
            folder=folder,
            path=name,
            fingerprint=Fingerprint(5, number, 1, number, 1),
            digest=digest,
            noticed_at=self.now,
            settled_at=self.now,
            payload=choose_payload(name, 5, digest, PayloadPolicy(APP, MEDIA_LIMIT), REFUSED_EXTENSIONS),
            recipients=(f"cid{number % FOLDERS}",),
        )


@pytest.mark.sweep
def test_a_day_without_network_fills_little(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, blank_ledger: Path
) -> None:
    """10,000 files that wait and 300 folders that come and go fill less than 1 MB of log in a day."""
    monkeypatch.setattr(sys, "stderr", stderr := io.StringIO())
    log_to_stderr()
    desk = Outskirts(tmp_path, blank_ledger)
    begun = desk.now
    log = ServiceLog(Language.ZH, Shown(lambda n: f"department-{n}", str), lambda: desk.now)
    desk.heard = log  # type: ignore[assignment]
    desk.fresh_token = lambda _: desk.now < begun + 60.0
    desk.restart()
    outcomes: list[Outcome] = []
    next_share = begun
    while desk.now < begun + DAY:
        plan = desk.loop.tick(desk.now, outcomes)
        outcomes = [Outcome(job, UNREACHED) for job in plan.jobs]
        if not outcomes:
            desk.now = min(max(desk.now + 0.01, plan.next_at or next_share), next_share)
        if desk.now >= next_share:
            next_share += 1800.0
            for number in range(FOLDERS):
                place = {"folder": f"department-{number}", "path": f"/srv/{number}"}
                log(Log.FOLDER_DOWN, **place, code="ENOTCONN", message="", advice="FOLDER_DOWN")
                log(Log.FOLDER_BACK, **place)
        log.write_counted()
    written = stderr.getvalue().encode()
    desk.store.close()
    assert len(written) < LIMIT
    assert b"department-299" in written


# --- The running service ---------------------------------------------------------------------------


def test_run_logs_json(machine: Machine, share: Path) -> None:
    """`run --log-format json` writes one object a line to stderr, and nothing else."""
    process = subprocess.Popen(
        [*machine.command("run"), "--log-format", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    machine.running.append(process)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("ready")
    (share / "a.txt").write_text("a")
    eventually(lambda: [row["state"] for row in machine.history()] == ["sent"])
    process.terminate()
    _, log = process.communicate(timeout=60)
    events = [json.loads(line) for line in log.splitlines()]
    sent = next(one for one in events if one["event"] == "sent")
    assert (sent["folder"], sent["path"], sent["size"]) == (share.name, "a.txt", 1)
    assert sent["seconds"] >= 0


def test_what_would_break_a_line_or_turn_it_around_is_written_out() -> None:
    """As the names on the status page are."""
    assert one_line("a\u202eb\nc 字") == "a\\u202eb\\x0ac 字"
