"""Durations, sizes and paces as people write them: `500ms`, `20MB`, `20/s`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from pydantic_core import PydanticCustomError

from dingwatch.pace import Limit
from dingwatch.texts import Problems

_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES: Final = {"B": 1, **{f"{p}B": 10 ** (3 * n) for n, p in enumerate("kMGT", 1)}}
_BINARY_BYTES: Final = {f"{p}iB": 2 ** (10 * n) for n, p in enumerate("KMGT", 1)}
_ALL_BYTES: Final = {**_BYTES, **_BINARY_BYTES, "KB": 1000}

# `[0-9]` and not `\d`, which takes full-width digits too; the lengths keep floats exact.
_DURATION: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(ms|s|m|h|d)")
_SIZE: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)([kKMGT]?i?B)")
_PACE: Final = re.compile(r"([1-9][0-9]{0,5})/(s|m)")


def refused(text: Problems, **values: object) -> PydanticCustomError:
    """Return what a validator raises: one of our own sentences, which survives pydantic whole."""
    return PydanticCustomError(text.name, "{sentence}", {"sentence": text.name, **values})


def _match(pattern: re.Pattern[str], written: object, otherwise: Problems) -> re.Match[str]:
    found = pattern.fullmatch(written) if isinstance(written, str) else None
    if found is None:
        raise refused(otherwise)
    return found


def seconds(written: object) -> float:
    """Return a duration in seconds."""
    number, unit = _match(_DURATION, written, Problems.DURATION).groups()
    return float(number) * _SECONDS[unit]


def size(written: object) -> int:
    """Return a size in bytes: `20MB` is 20 × 10^6, `20MiB` is 20 × 2^20."""
    number, unit = _match(_SIZE, written, Problems.SIZE).groups()
    if unit not in _ALL_BYTES:
        raise refused(Problems.SIZE)
    return int(float(number) * _ALL_BYTES[unit])


def pace(written: object) -> Limit:
    """Return a rate: per second evenly spaced, per minute in bursts."""
    count, unit = _match(_PACE, written, Problems.PACE).groups()
    return Limit(int(count), _SECONDS[unit], spaced=unit == "s")


@dataclass(frozen=True, slots=True)
class Span:
    """A validator of durations from `least` to `most`, both as people write them."""

    least: str
    most: str

    def __call__(self, written: object) -> float:
        """Return the duration in seconds, or refuse it."""
        found = seconds(written)
        if not seconds(self.least) <= found <= seconds(self.most):
            raise refused(Problems.DURATION_RANGE, least=self.least, most=self.most)
        return found


@dataclass(frozen=True, slots=True)
class Between:
    """A validator of whole numbers."""

    least: int
    most: int

    def __call__(self, number: int) -> int:
        """Return the number, or refuse it."""
        if not self.least <= number <= self.most:
            raise refused(Problems.NUMBER_RANGE, least=self.least, most=self.most)
        return number
