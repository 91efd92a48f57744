"""Texts that a database may not take: what DingTalk answers, and names of files, in either database."""

from __future__ import annotations

import os
import random
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from dingwatch.config.values import LEDGER_FILE, Config
from dingwatch.ledger import Store, sqlite_url
from dingwatch.sandbox import Fault, FaultKind, Sandbox
from dingwatch.texts import Log
from tests import support
from tests.ledger import query
from tests.support import Heard, eventually, folder, names, running, sent

ODD: Final = ["a\x00b", "a\ud800b"]
"""What PostgreSQL keeps in no text, and what has no UTF-8."""
UPLOAD: Final = "media/upload"


@pytest.fixture(params=["sqlite", "postgresql"])
def setting(request: pytest.FixtureRequest, tmp_path: Path, share: Path, sandbox: Sandbox) -> Config:
    """One folder, on a ledger in either database."""
    made = support.config(tmp_path / "state", sandbox, folder(share, sandbox.conversations[0].id))
    if request.param == "sqlite":
        return made
    return replace(made, ledger=request.getfixturevalue("postgres_url"), node="east")


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_key_of_a_message_stops_nothing(
    setting: Config, share: Path, sandbox: Sandbox, odd: str
) -> None:
    """The message was sent: it is not sent again, and the next file follows."""
    field = "processQueryKey"
    sandbox.inject(Fault("robot/groupMessages/send", FaultKind.REPLACE, field=field, value=odd))
    heard = Heard()
    with running(setting, heard):
        (share / "a.pdf").write_text("a")
        eventually(sent(sandbox, 1))
        (share / "b.pdf").write_text("b")
        eventually(sent(sandbox, 2))
    assert names(sandbox) == ["a.pdf", "b.pdf"]
    assert heard.count(Log.LEDGER_DOWN) == 0


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_media_id_is_no_answer(setting: Config, share: Path, sandbox: Sandbox, odd: str) -> None:
    """The upload is tried again later, and the ledger goes on to be written."""
    sandbox.inject(Fault(UPLOAD, FaultKind.REPLACE, field="media_id", value=odd))
    heard = Heard()
    with running(setting, heard) as service:
        (share / "a.pdf").write_text("a")
        eventually(lambda: heard.count(Log.PAUSED))
        eventually(lambda: service._delivery.loop.in_hand == 0)
    assert heard.count(Log.LEDGER_DOWN) == 0


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_message_of_a_refusal_stops_nothing(
    setting: Config, share: Path, sandbox: Sandbox, odd: str
) -> None:
    """It is kept as far as it can be shown; the file fails, and the next one is sent."""
    sandbox.inject(Fault(UPLOAD, FaultKind.ERROR, code=40058, message=odd))
    heard = Heard()
    with running(setting, heard):
        (share / "a.pdf").write_text("a")
        eventually(lambda: heard.count(Log.FAILED))
        (share / "b.pdf").write_text("b")
        eventually(sent(sandbox, 1))
    assert names(sandbox) == ["b.pdf"]
    assert heard.count(Log.LEDGER_DOWN) == 0


@pytest.mark.parametrize("name", [b"\xff\xfe.pdf", "财务\N{ZERO WIDTH JOINER}\r\n.pdf".encode("gb18030")])
def test_a_name_that_is_no_text_is_sent(setting: Config, share: Path, sandbox: Sandbox, name: bytes) -> None:
    """Linux takes any bytes but a slash and NUL."""
    heard = Heard()
    with running(setting, heard):
        Path(os.fsdecode(os.fsencode(share) + b"/" + name)).write_text("content")
        eventually(sent(sandbox, 1))
    assert heard.count(Log.LEDGER_DOWN) == 0


def make_deep(share: Path, seed: int, depth: int = 14) -> None:
    """Write a file whose path cannot be compressed, and has 3,400 bytes, or fewer."""
    chance = random.Random(seed)  # noqa: S311 (the same bytes each time)
    allowed = [code for code in range(1, 256) if code != ord("/")]
    with ExitStack() as stack:
        directory = os.open(share, os.O_RDONLY)
        stack.callback(os.close, directory)
        for _ in range(depth):
            name = bytes(chance.choices(allowed, k=240))
            os.mkdir(name, dir_fd=directory)
            directory = os.open(name, os.O_RDONLY, dir_fd=directory)
            stack.callback(os.close, directory)
        file = os.open("deep.pdf", os.O_WRONLY | os.O_CREAT, dir_fd=directory)
        os.write(file, b"deep")
        os.close(file)


def test_a_path_that_is_too_long_stops_no_other_file(setting: Config, share: Path, sandbox: Sandbox) -> None:
    """SQLite takes it; with PostgreSQL the log says why not, whether it was there, came or was found."""
    heard = Heard()
    make_deep(share, 0)
    with running(setting, heard):
        make_deep(share, 1)
        (share / "b.pdf").write_text("b")
        eventually(lambda: "b.pdf" in names(sandbox))
        eventually(lambda: "deep.pdf" in names(sandbox) or heard.count(Log.UNREADABLE))
    make_deep(share, 2)
    with running(setting, heard):
        (share / "c.pdf").write_text("c")
        eventually(lambda: "c.pdf" in names(sandbox))
        expected = 0 if setting.ledger else 2
        eventually(lambda: names(sandbox).count("deep.pdf") == expected)
    assert heard.count(Log.LEDGER_DOWN) == 0
    assert bool(heard.count(Log.UNREADABLE)) == bool(setting.ledger)


@pytest.mark.parametrize("depth", [4, 10])
def test_a_deep_directory_is_renamed(setting: Config, share: Path, sandbox: Sandbox, depth: int) -> None:
    """The history names both paths, with four characters for a byte that is no text."""
    heard = Heard()
    with running(setting, heard):
        make_deep(share, 1, depth)
        kept = depth == 4 or not setting.ledger
        eventually(lambda: sent(sandbox, 1)() if kept else heard.count(Log.UNREADABLE))
        (top,) = share.iterdir()
        top.rename(share / "renamed")
        (share / "b.pdf").write_text("b")
        eventually(sent(sandbox, 1 + kept))
        url = setting.ledger or sqlite_url(setting.state_dir / LEDGER_FILE)
        with closing(Store.open(url)) as store:
            eventually(lambda: not kept or query(store, "SELECT 1 FROM history WHERE event = 'moved'"))
    assert heard.count(Log.LEDGER_DOWN) == 0
