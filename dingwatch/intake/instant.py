"""Now, by both clocks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Now:
    """Due times are of the wall clock, settling is of the monotonic one; both in seconds."""

    wall: float
    monotonic: float
