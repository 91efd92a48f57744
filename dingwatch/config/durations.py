"""Durations as people write them: `500ms`, `2s`, `5m`, `3d`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

SECONDS: Final[Mapping[str, float]] = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
# `[0-9]` and not `\d`, which takes full-width digits too; the lengths keep floats exact.
DURATION: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(ms|s|m|h|d)")


def parse_duration(written: str) -> float:
    """Return a duration in seconds; raise ValueError for anything else."""
    found = DURATION.fullmatch(written)
    if found is None:
        raise ValueError(written)
    return float(found[1]) * SECONDS[found[2]]
