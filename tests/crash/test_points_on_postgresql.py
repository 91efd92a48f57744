"""Killed at every point with the ledger in PostgreSQL; in a file of its own, for another worker of pytest."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.conftest import Tell
from tests.crash.test_points import KINDS, Sweep, play, sweep_of
from tests.postgres import PostgresServer


@pytest.mark.sweep
def test_killed_at_every_point_on_postgresql(tmp_path: Path, postgres: PostgresServer, tell: Tell) -> None:
    """The same promise holds where the ledger is in PostgreSQL."""
    sweep = sweep_of(Sweep(tmp_path, "resend", play, ledgers=postgres.ledger), tell)
    assert set(sweep.points) >= KINDS
