"""Regular expressions for numbers within limits, which JSON Schema can only express so where units follow."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Final

_UNITS: Final = {
    "ms": Fraction(1, 1000), "s": Fraction(1), "m": Fraction(60), "h": Fraction(3600), "d": Fraction(86400)
}  # fmt: skip
_DIGITS: Final = 9
_PLACES: Final = 6
_SCALE: Final = 10**_PLACES


def whole(least: int, most: int, *, digits: int) -> str:
    """Return a regular expression for whole numbers of so many digits at most, leading zeros included."""
    return f"(?=[0-9]{{1,{digits}}}(?![0-9]))0*(?:{'|'.join(_between(least, most))})"


def _between(least: int, most: int) -> Iterator[str]:
    """Yield alternatives for the numbers from `least` to `most`, without leading zeros; 0 may be empty."""
    if least == 0:
        yield "0?(?![0-9])"
        least = 1
    while least <= most:
        # The longest run that begins here and has one prefix: 300–399 is `3[0-9]{2}`.
        free = 0
        while least % 10 ** (free + 1) == 0 and least + 10 ** (free + 1) - 1 <= most:
            free += 1
        step = 10**free
        digit = least // step % 10
        last = min(9, digit + (most - least + 1) // step - 1)
        prefix = str(least // step)[:-1]
        yield f"{prefix}[{digit}-{last}]" + (f"[0-9]{{{free}}}" if free else "")
        least += (last - digit + 1) * step


def durations(least: str, most: str) -> str:
    """Return a regular expression for durations between two others, as `checks.Span` judges them."""
    low, high = _seconds(least), _seconds(most)
    found = []
    for unit, seconds in _UNITS.items():
        begin, end = -(-low * _SCALE // seconds), high * _SCALE // seconds
        if begin <= end:
            found.append(f"(?:{'|'.join(_decimals(int(begin), int(end)))}){unit}")
    return "|".join(found)


def _seconds(written: str) -> Fraction:
    unit = written.lstrip("0123456789.")
    return Fraction(written.removesuffix(unit)) * _UNITS[unit]


def _decimals(least: int, most: int) -> Iterator[str]:
    """Yield alternatives for decimal numbers; both limits in millionths."""
    (low, low_part), (high, high_part) = divmod(least, _SCALE), divmod(most, _SCALE)
    if high >= 10**_DIGITS:
        high, high_part = 10**_DIGITS - 1, _SCALE - 1
    first = low if low_part == 0 else low + 1
    last = high if high_part == _SCALE - 1 else high - 1
    if first <= last:
        yield whole(first, last, digits=_DIGITS) + rf"(?:\.[0-9]{{1,{_PLACES}}})?"
    if low_part and low <= high:
        at_most = rf"(?!\.{_above(high_part)})" if low == high and high_part < _SCALE - 1 else ""
        yield whole(low, low, digits=_DIGITS) + at_most + rf"\.{_at_least(low_part)}"
    if high_part < _SCALE - 1 and high > low - (low_part == 0):
        yield whole(high, high, digits=_DIGITS) + rf"(?:\.{_at_most(high_part)})?"


def _at_least(part: int) -> str:
    """Return an expression for the digits of a fraction that is `part` millionths or more."""
    digits = f"{part:0{_PLACES}}"
    found = []
    for place, digit in enumerate(digits):
        if digit != "9":
            rest = _PLACES - place - 1
            found.append(f"{digits[:place]}[{int(digit) + 1}-9][0-9]{{0,{rest}}}")
    same = digits.rstrip("0")
    found.append(f"{same}0{{0,{_PLACES - len(same)}}}")
    return f"(?:{'|'.join(found)})(?![0-9])"


def _above(part: int) -> str:
    return _at_least(part + 1)


def _at_most(part: int) -> str:
    """Return an expression for the digits of a fraction that is `part` millionths or less."""
    digits = f"{part:0{_PLACES}}"
    found = []
    for place, digit in enumerate(digits):
        if digit != "0":
            rest = _PLACES - place - 1
            found.append(f"{digits[:place]}[0-{int(digit) - 1}][0-9]{{0,{rest}}}")
        found.append(digits[: place + 1] + "(?![0-9])")
    return f"(?:{'|'.join(found)})(?![0-9])"
