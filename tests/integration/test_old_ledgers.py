"""Ledgers that older versions wrote (tests/ledgers) are taken over with all that they hold."""

from __future__ import annotations

import os
import re
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from dingwatch.ledger.schema import SCHEMA
from dingwatch.sandbox import Sandbox
from tests.integration.conftest import Machine
from tests.ledgers.record import HERE, ROOT
from tests.support import eventually

RECORDED: Final = {
    int(one.stem.removeprefix("schema-")): one.read_text("utf-8") for one in HERE.glob("schema-*.sql")
}


def restore(machine: Machine, share: Path, lines: str) -> None:
    """Put a recorded ledger into the state directory, and its files into the folder."""
    machine.state_dir.mkdir()
    with closing(sqlite3.connect(machine.state_dir / "ledger.db")) as ledger:
        ledger.executescript(lines.replace(ROOT.hex().upper(), os.fsencode(share.resolve()).hex().upper()))
        files = ledger.execute("SELECT name, mtime_ns FROM versions").fetchall()
    for name, mtime in files:
        file = share / os.fsdecode(name)
        file.write_bytes(name)
        os.utime(file, ns=(mtime, mtime))


def test_every_schema_is_recorded() -> None:
    """Of each schema there is a ledger. After a new one: `python -m tests.ledgers.record`."""
    assert sorted(RECORDED) == list(range(1, SCHEMA + 1))


@pytest.mark.parametrize("schema", sorted(RECORDED))
def test_an_old_ledger_goes_on(machine: Machine, share: Path, sandbox: Sandbox, schema: int) -> None:
    """What an older version left waiting is sent, what it sent is not sent again, and the past is there."""
    machine.settings["delivery"] = {"give_up_after": "36500d"}
    machine.set_folder(unsupported="skip")
    restore(machine, share, RECORDED[schema])
    assert re.search(rf"INTO \"?numbers\"? VALUES\('schema',{schema}\)", RECORDED[schema])
    service = machine.start()
    eventually(lambda: machine.status()["totals"]["sent"] == 2)
    (share / "new.txt").write_bytes(b"new.txt")
    eventually(lambda: machine.status()["totals"]["sent"] == 3)
    assert machine.stop(service) == 0
    received = Counter(message.file_name for message in sandbox.messages(sandbox.conversations[0].id))
    assert received == {"new.txt": 1, "waiting.txt": 1}
    states = {row["path"]: row["state"] for row in machine.history()}
    assert states == {"sent.txt": "sent", "skipped": "skipped", "waiting.txt": "sent", "new.txt": "sent"}
    assert [row["path"] for row in machine.history("--state", "baseline")] == ["baseline.txt"]
    for name in (*states, "baseline.txt"):
        told = machine.call("why", str(share / name))
        assert (told.exit_code, name in told.output) == (0, True), told.output
