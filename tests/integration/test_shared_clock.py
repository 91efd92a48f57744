"""Hosts whose clocks are wrong, on one ledger: its times are those of the database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

from dingwatch.sandbox import Sandbox
from tests.integration.conftest import Machine, settings_for
from tests.integration.test_clock import LIBRARY, preload
from tests.support import PATIENCE, eventually, names

MINUTE: Final = 60.0


class WrongMachine(Machine):
    """A host whose wall clock is ten minutes wrong; what it counts from its start is right."""

    def type(self, *words: str) -> None:
        """Run a command, which succeeds."""
        process = self.launch(*words)
        said = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, said


TIMES: Final = """
SELECT noticed_at FROM versions
UNION ALL SELECT unnest(ARRAY[noticed_at, settled_at, claimed_at, uploaded_at, sent_at, due]) FROM deliveries
UNION ALL SELECT at FROM history
UNION ALL SELECT at FROM slots
UNION ALL SELECT uploaded_at FROM uploads
UNION ALL SELECT since FROM folder_pauses
UNION ALL SELECT started_at FROM nodes
"""
NOW: Final = "SELECT extract(epoch FROM clock_timestamp())::float8"


@pytest.fixture(params=["+10m", "-10m"])
def hosts(
    tmp_path: Path, sandbox: Sandbox, postgres_url: str, request: pytest.FixtureRequest
) -> Iterator[tuple[WrongMachine, Machine]]:
    """Two hosts with a folder each, `east` with a wrong clock and `west`."""
    made = []
    for name, kind in (("east", WrongMachine), ("west", Machine)):
        share = tmp_path / name
        share.mkdir()
        settings = settings_for(tmp_path / f"of {name}", share, sandbox)
        settings["folders"][0] |= {"name": name, "unsupported": "skip"}
        made.append(kind(tmp_path / f"{name}.yaml", settings | {"ledger": postgres_url, "node": name}))
        made[-1].write()
    wrong, right = made
    assert isinstance(wrong, WrongMachine)
    wrong.preload = preload(FAKETIME=request.param)
    yield wrong, right
    for one in made:
        one.kill_left_over()


@pytest.mark.skipif(LIBRARY is None, reason="needs Debian's libfaketime")
def test_all_times_are_those_of_the_database(
    hosts: tuple[WrongMachine, Machine], tmp_path: Path, sandbox: Sandbox, postgres_url: str
) -> None:
    """What either host writes down, by its service or a command, is due and in order; pauses end in time."""

    def ask(query: Any, *values: object) -> list[tuple[Any, ...]]:  # noqa: ANN401 (also SQL objects)
        with psycopg.connect(postgres_url.replace("+psycopg", "")) as connection:
            return connection.execute(query, values or None).fetchall()

    (wrong, right), shares = hosts, [tmp_path / name for name in ("east", "west")]
    ((began,),) = ask(NOW)
    processes = [(one, one.start()) for one in hosts]
    expected = []
    for number in range(3):
        for share in shares:
            expected.append(f"{share.name}{number}.pdf")
            (share / expected[-1]).write_text(expected[-1])
            eventually(lambda: names(sandbox) == expected)
    wrong.type("pause", "east", "--for", "1h")
    ((since, until),) = ask("SELECT since, until FROM folder_pauses")
    assert until - since == 60 * MINUTE
    (shares[0] / "paused.pdf").write_text("paused")
    eventually(lambda: ask("SELECT 1 FROM deliveries WHERE state = 'pending'"))
    wrong.type("resume", "east")
    expected.append("paused.pdf")
    eventually(lambda: names(sandbox) == expected)
    (shares[0] / "no extension").write_text("none")
    eventually(lambda: ask("SELECT 1 FROM deliveries WHERE state = 'skipped'"))
    ((skipped,),) = ask("SELECT id FROM deliveries WHERE state = 'skipped'")
    wrong.type("retry", str(skipped))
    eventually(lambda: ask("SELECT 1 FROM history WHERE event = 'skip' OFFSET 1"))
    given = tmp_path / "given.pdf"
    given.write_text("given")
    wrong.type("send", str(given), "--to", sandbox.conversations[0].id)
    expected.append("given.pdf")
    eventually(lambda: names(sandbox) == expected)
    ((now,),) = ask(NOW)
    times = [at for (at,) in ask(TIMES) if at is not None]
    assert [at for at in (*times, since) if not began - MINUTE < at < now + MINUTE] == []
    assert [one["state"] for one in right.status()["nodes"]] == ["up", "up"]
    listed = [Path(one["path"]).name for one in right.history()]
    by_time = ask("SELECT name FROM versions ORDER BY noticed_at DESC")
    assert listed == [bytes(name).decode() for (name,) in by_time]
    for one, process in processes:
        assert one.stop(process) == 0
