"""Texts that a database may not take: what DingTalk answers, and names of files, in either database."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from dingwatch.config.values import Config
from dingwatch.sandbox import Fault, FaultKind, Sandbox
from dingwatch.texts import Log
from tests import support
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
