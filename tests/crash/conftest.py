from __future__ import annotations

import logging
import sys
from collections.abc import Callable

import pytest

Tell = Callable[[str], None]


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Tell:
    """Print a line that is seen though the test succeeds."""

    def log(line: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{line}")
            sys.stdout.flush()

    return log


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger(request: pytest.FixtureRequest) -> str | None:
    """The URL of an empty ledger in PostgreSQL; None: a file."""
    return request.getfixturevalue("postgres_url") if request.param == "postgresql" else None


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Keep a failure readable: a stand-in whose clients are killed has much to say of that."""
    caplog.set_level(logging.CRITICAL, "aiohttp.server")
