"""The machine's time zone."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Final

_LINK: Final = "/etc/localtime"


def zone_name() -> str:
    """Return the name of the time zone (`Asia/Shanghai`); without one, the offset from UTC (`+08:00`)."""
    for known in (os.environ.get("TZ", "").lstrip(":"), os.path.realpath(_LINK)):
        name = known.rpartition("/zoneinfo/")[2]
        if "/" in name and not name.startswith("/"):
            return name
    return datetime.now(UTC).astimezone().isoformat()[-6:]


def local_month(at: float) -> str:
    """Return the month of an instant (seconds since the epoch) in the machine's time zone: `2026-11`."""
    return datetime.fromtimestamp(at, UTC).astimezone().strftime("%Y-%m")
