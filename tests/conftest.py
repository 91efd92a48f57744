from collections.abc import Iterator
from pathlib import Path

import pytest

from dingwatch.sandbox import Sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A running stand-in for DingTalk."""
    with Sandbox() as running:
        yield running


@pytest.fixture
def share(tmp_path: Path) -> Path:
    """An empty folder to be watched."""
    made = tmp_path / "share"
    made.mkdir()
    return made
